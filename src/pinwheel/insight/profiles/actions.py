"""Saying a trait, taking it back; making two accounts one customer, and undoing that."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from pinwheel.ground import identity
from pinwheel.insight.profiles.model import (
    BY_CONSENT,
    AlreadyMerged,
    Merge,
    NewTrait,
    ProfilesMerged,
    ProfilesUnmerged,
    TraitKind,
    UnknownTrait,
    fits,
)
from pinwheel.insight.profiles.queries import accounts_of, kinds
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Forbidden, NotFound


async def tell(
    tx: Tx, person_id: uuid.UUID, traits: Sequence[NewTrait], *, sensitive: bool = False
) -> int:
    """Note traits of one account, each in place of what the same source said before; how many.
    What was observed or inferred is left out without consent to personalisation.
    ``UnknownTrait``; ``Forbidden`` for a sensitive one without the right."""
    known = {kind.name: kind for kind in await kinds(tx)}
    for trait in traits:
        kind = known.get(trait.name)
        if kind is None or not fits(kind, trait.value):
            raise UnknownTrait(name=trait.name, type=kind.type if kind else "–")
        if kind.is_sensitive and not sensitive:
            raise Forbidden()
    if any(t.source in BY_CONSENT for t in traits):
        agreed = await identity.with_consent(tx, [person_id], "personalisation", "web")
        if person_id not in agreed:
            traits = [t for t in traits if t.source not in BY_CONSENT]
    latest = {(t.name, t.source): t for t in traits}
    if latest:
        await _write(tx, person_id, list(latest.values()), known)
    return len(latest)


async def _write(
    tx: Tx, person_id: uuid.UUID, traits: list[NewTrait], kinds: dict[str, TraitKind]
) -> None:
    await tx.run(  # of two who tell the same at once, the later one's word stands
        "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"profiles.trait:{person_id}"
    )
    await tx.run(
        """
        update profiles.trait t set replaced_at = $3
          from unnest($4::text[], $5::text[]) as n(name, source)
         where t.cell = $1 and t.person_id = $2 and t.name = n.name and t.source = n.source
           and t.replaced_at is null
        """,
        tx.cell,
        person_id,
        tx.now,
        [t.name for t in traits],
        [t.source for t in traits],
    )
    await tx.run(
        """
        insert into profiles.trait (cell, id, person_id, name, value, source, evidence,
               observed_at, expires_at, recorded_by)
        select $1, n.id, $2, n.name, n.value, n.source, n.evidence, $3,
               $3::timestamptz + n.days * interval '1 day', $4
          from unnest($5::uuid[], $6::text[], $7::jsonb[], $8::text[], $9::text[], $10::int[])
               as n(id, name, value, source, evidence, days)
        """,
        tx.cell,
        person_id,
        tx.now,
        tx.actor,
        [tx.new_id() for _ in traits],
        [t.name for t in traits],
        [t.value for t in traits],
        [t.source for t in traits],
        [t.evidence for t in traits],
        [min(t.ttl_days or kinds[t.name].ttl_days, kinds[t.name].ttl_days) for t in traits],
    )


async def take_back(tx: Tx, trait_id: uuid.UUID) -> None:
    """A trait counts no more; that it was said stays in the history until it expires."""
    done = await tx.run(
        """
        update profiles.trait set replaced_at = $3
         where cell = $1 and id = $2 and replaced_at is null
        """,
        tx.cell,
        trait_id,
        tx.now,
    )
    if not done:
        raise NotFound(what="trait")


async def merge(tx: Tx, kept_id: uuid.UUID, joined_id: uuid.UUID, reason: str) -> Merge:
    """From now on both accounts are one customer, for whom ``kept_id`` stands. Nothing is moved:
    each account's history stays its own. ``AlreadyMerged``, ``NotFound``."""
    await _one_at_a_time(tx)
    people = await identity.people(tx, [kept_id, joined_id])
    if len(people) != 2 or any(p.email is None and p.kind != "guest" for p in people.values()):
        if kept_id != joined_id:
            raise NotFound(what="person")
        raise AlreadyMerged(why="it is one account", why_zh="这是同一个账号")
    if joined_id in await accounts_of(tx, kept_id):
        raise AlreadyMerged(why="they are one customer already", why_zh="两者已是同一位顾客")
    [customer_id, *_] = await accounts_of(tx, joined_id)
    made = Merge(tx.new_id(), kept_id, customer_id, reason, tx.now, tx.actor, None, None)
    await tx.run(
        """
        insert into profiles.merge (cell, id, kept_id, joined_id, reason, merged_at, merged_by)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        tx.cell,
        made.id,
        made.kept_id,
        made.joined_id,
        made.reason,
        made.merged_at,
        made.merged_by,
    )
    await identity.record_access(tx, [kept_id, made.joined_id], "merge", reason)
    tx.emit(ProfilesMerged(kept_id=kept_id, joined_id=made.joined_id))
    return made


async def unmerge(tx: Tx, merge_id: uuid.UUID) -> Merge:
    """They were two after all: both are again exactly what they are by themselves."""
    await _one_at_a_time(tx)
    undone = await tx.the(
        "merge",
        Merge,
        """
        update profiles.merge set undone_at = $3, undone_by = $4
         where cell = $1 and id = $2 and undone_at is null
        returning id, kept_id, joined_id, reason, merged_at, merged_by, undone_at, undone_by
        """,
        tx.cell,
        merge_id,
        tx.now,
        tx.actor,
    )
    people = [undone.kept_id, undone.joined_id]
    await identity.record_access(tx, people, "unmerge", undone.reason)
    tx.emit(ProfilesUnmerged(kept_id=undone.kept_id, joined_id=undone.joined_id))
    return undone


async def _one_at_a_time(tx: Tx) -> None:
    """Merges are rare; one at a time, no two can make a circle."""
    await tx.run("select pg_advisory_xact_lock(hashtext('profiles.merge'))")


async def export_customer(
    tx: Tx, person_id: uuid.UUID, reason: str, contributions: Sequence[identity.Contribution]
) -> list[dict[str, Any]]:
    """A copy of everything that is known of a customer, an account each, the one that stands for
    them first. Recorded with the ``reason``. ``NotFound``."""
    return [
        await identity.export_person(tx, account, contributions, reason)
        for account in await accounts_of(tx, person_id)
    ]


async def erase_customer(tx: Tx, person_id: uuid.UUID, reason: str) -> list[uuid.UUID]:
    """Erase every account of a customer, here and everywhere; which they were. Recorded with the
    ``reason``. Safe to repeat. ``NotFound``, ``identity.LastOperator``."""
    await identity.person_of(tx, person_id)
    accounts = await accounts_of(tx, person_id)
    for account in accounts:
        await identity.erase_person(tx, account, reason)
    return accounts


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Nothing of these accounts stays here; a customer they were part of goes on without them."""
    await tx.run(
        """
        with trait as (
          delete from profiles.trait where cell = $1 and person_id = any($2::uuid[])
        )
        delete from profiles.merge
         where cell = $1 and (kept_id = any($2::uuid[]) or joined_id = any($2::uuid[]))
        """,
        tx.cell,
        list(person_ids),
    )


async def forget_guesses(tx: Tx, person_ids: Sequence[uuid.UUID]) -> int:
    """What nobody said of themselves goes when consent does."""
    return await tx.run(
        """
        delete from profiles.trait
         where cell = $1 and person_id = any($2::uuid[]) and source in ('observed', 'inferred')
        """,
        tx.cell,
        list(person_ids),
    )


async def forget_expired(tx: Tx, before: dt.datetime) -> int:
    """Traits whose time is over."""
    return await tx.run(
        "delete from profiles.trait where cell = $1 and expires_at <= $2", tx.cell, before
    )
