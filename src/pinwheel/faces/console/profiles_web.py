"""A customer's profile: what is known and from whom, what happened, and accounts that are one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown
from pinwheel.ground import identity
from pinwheel.insight import audience, profiles
from pinwheel.insight.profiles import Known, NewTrait, Offer, Profile
from pinwheel.kernel import words
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post

READ, WRITE, PEOPLE = "profiles:read", "profiles", "people"


async def segments_of(tx: Tx, accounts: Sequence[uuid.UUID]) -> list[Known]:
    """The segments that a customer is in, for profiles."""
    held = await audience.memberships(tx, accounts, held=True)
    mine = frozenset[uuid.UUID]().union(*held.values())
    if not mine:
        return []
    return [
        Known(
            s.name.get("en", str(s.id)),
            s.name.get("zh-CN") or s.name.get("en", str(s.id)),
            "",
            "audience",
        )
        for s in await audience.segments(tx)
        if s.id in mine
    ]


async def values_of(tx: Tx, accounts: Sequence[uuid.UUID]) -> list[Known]:
    """What a customer is expected to bring, for profiles: an estimate, shown as one."""
    return [
        Known(
            f"Expected margin, {v.market}",
            f"预期毛利（{v.market}）",
            f"{words.money(v.value_minor, v.currency, 'en')} "
            f"({words.money(v.low_minor, v.currency, 'en')}–"
            f"{words.money(v.high_minor, v.currency, 'en')})",
            f"audience, estimate of {v.at:%Y-%m-%d}",
        )
        for v in await audience.values_of(tx, accounts)
    ]


OFFERS = (
    Offer(name="segments", en="Segments", zh="人群", known=segments_of),
    Offer(name="predictions", en="Estimates", zh="预测", known=values_of),
)
"""What this floor knows how to ask for profiles: ``app.py`` hands it over."""


@get("/console/profiles/{person_id:uuid}", scope=READ)
async def profile_page(call: Call, db: Database, person_id: uuid.UUID) -> Answer[Profile]:
    """One customer. Looking is recorded for each of their accounts."""
    actor, request_id = call.caller.actor, call.request_id
    async with db.transaction(actor=actor, request_id=request_id) as tx:
        person = await identity.person_of(tx, person_id)
        found = await profiles.profile_of(tx, person_id, sensitive=call.caller.may(PEOPLE))
        await identity.record_access(tx, found.accounts, "profile", "console")
        people = await identity.people(tx, _everybody(found))
        return await shown(
            call,
            tx,
            found,
            "profile",
            person.name or person.email or call.say("Erased person"),
            "customers",
            person=person,
            people={i: p.name or p.email or str(i)[-8:] for i, p in people.items()},
            kinds={k.name: k for k in await profiles.kinds(tx)},
            consents=await identity.consents_of(tx, person_id),
            names=await names_of(tx, [t.recorded_by for t in found.history]),
        )


def _everybody(found: Profile) -> list[uuid.UUID]:
    there = {*found.accounts}
    for merge in found.merges:
        there |= {merge.kept_id, merge.joined_id}
    return list(there)


class TraitForm(msgspec.Struct):
    name: Annotated[str, Meta(max_length=64)]
    value: Annotated[str, Meta(min_length=1, max_length=500)]
    source: Annotated[str, Meta(pattern="^(said|staff)$")] = "staff"
    evidence: Annotated[str, Meta(min_length=3, max_length=200)] = "console"


@post("/console/profiles/{person_id:uuid}/traits", scope=WRITE)
async def tell(call: Call, db: Database, person_id: uuid.UUID, data: TraitForm) -> See[Any]:
    """Note something of this account."""

    async def verb(tx: Tx) -> int:
        await identity.person_of(tx, person_id)
        kind = next((k for k in await profiles.kinds(tx) if k.name == data.name), None)
        value: str | int | bool = data.value.strip()
        if kind is not None and kind.type == "integer":
            if not data.value.strip().isdecimal() or len(data.value.strip()) > 9:
                raise Invalid("value", "this is a whole number", "应为整数")
            value = int(data.value)
        elif kind is not None and kind.type == "boolean":
            value = data.value.strip().lower() in ("yes", "true", "1", "是")
        source: Any = data.source
        new = NewTrait(name=data.name, value=value, source=source, evidence=data.evidence)
        return await profiles.tell(tx, person_id, [new], sensitive=call.caller.may(PEOPLE))

    return await attempt(call, db, verb, f"/console/profiles/{person_id}", call.say("Noted."))


@post("/console/profiles/{person_id:uuid}/traits/{trait_id:uuid}/take-back", scope=WRITE)
async def take_back(
    call: Call, db: Database, person_id: uuid.UUID, trait_id: uuid.UUID
) -> See[Any]:
    async def verb(tx: Tx) -> None:
        await profiles.take_back(tx, trait_id)

    return await attempt(call, db, verb, f"/console/profiles/{person_id}", call.say("Taken back."))


class MergeForm(msgspec.Struct):
    """``email``: of the account that is the same customer."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]


@post("/console/profiles/{person_id:uuid}/merge", scope=PEOPLE)
async def merge(call: Call, db: Database, person_id: uuid.UUID, data: MergeForm) -> See[Any]:
    """The other account is this customer too."""

    async def verb(tx: Tx) -> None:
        other = await identity.person_with_email(tx, data.email)
        if other is None:
            raise NotFound(what="person")
        await profiles.merge(tx, person_id, other.id, data.reason)

    said = call.say("They are one customer now; it can be undone at any time.")
    return await attempt(call, db, verb, f"/console/profiles/{person_id}", said)


@post("/console/profiles/{person_id:uuid}/merges/{merge_id:uuid}/undo", scope=PEOPLE)
async def unmerge(call: Call, db: Database, person_id: uuid.UUID, merge_id: uuid.UUID) -> See[Any]:
    async def verb(tx: Tx) -> None:
        await profiles.unmerge(tx, merge_id)

    said = call.say("They are two again, each with what is theirs.")
    return await attempt(call, db, verb, f"/console/profiles/{person_id}", said)
