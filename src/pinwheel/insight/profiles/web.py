"""Profiles for programs. Every look is recorded."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.ground import identity
from pinwheel.insight.profiles import actions, queries
from pinwheel.insight.profiles.model import (
    AlreadyMerged,
    Merge,
    NewTrait,
    Profile,
    TraitKind,
    UnknownTrait,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, get, post

TAGS = ("profiles",)
READ, WRITE, SENSITIVE = "profiles:read", "profiles", "people"


@get("/api/v1/profiles/kinds", scope=READ, tags=TAGS)
async def trait_kinds(tx: Tx) -> Answer[list[TraitKind]]:
    """Which traits there are, and how long each is known at most."""
    return Answer(await queries.kinds(tx))


@get("/api/v1/profiles/{person_id:uuid}", scope=READ, tags=TAGS)
async def profile(call: Call, db: Database, person_id: uuid.UUID) -> Answer[Profile]:
    """One customer. A sensitive trait is shown only with the right ``people``."""
    actor, request_id = call.caller.actor, call.request_id
    async with db.transaction(actor=actor, request_id=request_id) as tx:
        await identity.person_of(tx, person_id)
        found = await queries.profile_of(tx, person_id, sensitive=call.caller.may(SENSITIVE))
        await identity.record_access(tx, found.accounts, "profile", "api")
        return Answer(found)


class Told(msgspec.Struct):
    """``kept``: how many were noted; those without consent were left out."""

    kept: int


@post(
    "/api/v1/profiles/{person_id:uuid}/traits",
    scope=WRITE,
    tags=TAGS,
    status=201,
    refusals=(UnknownTrait,),
)
async def tell(
    call: Call,
    tx: Tx,
    person_id: uuid.UUID,
    data: Annotated[list[NewTrait], Meta(min_length=1, max_length=50)],
) -> Answer[Told]:
    """Note traits of an account."""
    await identity.person_of(tx, person_id)
    kept = await actions.tell(tx, person_id, data, sensitive=call.caller.may(SENSITIVE))
    return Answer(Told(kept))


class NewMerge(msgspec.Struct):
    kept_id: uuid.UUID
    joined_id: uuid.UUID
    reason: Annotated[str, Meta(min_length=3, max_length=200)]


@post("/api/v1/profiles/merges", scope=SENSITIVE, tags=TAGS, status=201, refusals=(AlreadyMerged,))
async def merge(tx: Tx, data: NewMerge) -> Answer[Merge]:
    """Two accounts are one customer."""
    return Answer(await actions.merge(tx, data.kept_id, data.joined_id, data.reason))


@post("/api/v1/profiles/merges/{merge_id:uuid}/undo", scope=SENSITIVE, tags=TAGS)
async def unmerge(tx: Tx, merge_id: uuid.UUID) -> Answer[Merge]:
    """They were two after all."""
    return Answer(await actions.unmerge(tx, merge_id))


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """Why: it stands in the record of who looked at or changed this person's data."""

    reason: Annotated[str, Meta(min_length=3, max_length=200)]


class Copy(msgspec.Struct, frozen=True):
    """``accounts``: for each account of the customer what every part of the house knows of it."""

    accounts: list[dict[str, Any]]


@post("/api/v1/profiles/{person_id:uuid}/export", scope=SENSITIVE, tags=TAGS)
async def export(call: Call, tx: Tx, person_id: uuid.UUID, data: Asked) -> Answer[Copy]:
    """A copy of everything that is known of a customer, as they may ask for."""
    contributions = call.app.state["exports"]
    return Answer(Copy(await actions.export_customer(tx, person_id, data.reason, contributions)))


class Erased(msgspec.Struct, frozen=True):
    """The accounts that are nameless now."""

    accounts: list[uuid.UUID]


@post(
    "/api/v1/profiles/{person_id:uuid}/erase",
    scope=SENSITIVE,
    tags=TAGS,
    refusals=(identity.LastOperator,),
)
async def erase(tx: Tx, person_id: uuid.UUID, data: Asked) -> Answer[Erased]:
    """Forget a customer, for good: every account of theirs is nameless at once; orders and books
    stay."""
    return Answer(Erased(await actions.erase_customer(tx, person_id, data.reason)))
