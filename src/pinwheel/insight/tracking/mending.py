"""Quarantine: what could not be taken waits here with its reason, and is tried again when its
schema was mended."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.insight.tracking import actions, registry
from pinwheel.insight.tracking.model import LOOKED_BACK, Source
from pinwheel.insight.tracking.taking import Bad, Columns, Registry, Sender, read_again
from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page

AT_ONCE = 1_000


class Quarantined(msgspec.Struct, frozen=True):
    """An event that could not be taken."""

    id: uuid.UUID
    received_at: dt.datetime
    source: Source
    name: str
    reason: str
    detail: str
    raw: str | None
    bot_reason: str
    tried_at: dt.datetime | None


class ReasonCount(msgspec.Struct, frozen=True):
    reason: str
    name: str
    events: int
    last_at: dt.datetime


class Which(msgspec.Struct, kw_only=True):
    """What to try again: these, or all of a reason and a name ("" is any)."""

    ids: Annotated[list[uuid.UUID], Meta(max_length=1000)] = []
    reason: Annotated[str, Meta(max_length=40)] = ""
    name: Annotated[str, Meta(max_length=64)] = ""


class Replayed(msgspec.Struct, frozen=True):
    """``refused`` ones stay, with what was wrong with them this time."""

    accepted: int
    duplicates: int
    refused: int


async def reasons(tx: Tx) -> list[ReasonCount]:
    """What waits, by reason and name."""
    return await tx.rows(
        ReasonCount,
        """
        select reason, name, count(*) as events, max(received_at) as last_at
          from tracking.quarantine where cell = $1 group by reason, name
         order by events desc, reason, name limit 200
        """,
        tx.cell,
    )


async def quarantined(
    tx: Tx, *, reason: str = "", name: str = "", cursor: str | None = None, limit: int = 50
) -> Page[Quarantined]:
    """What waits, the newest first."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        Quarantined,
        """
        select id, received_at, source, name, reason, detail, raw, bot_reason, tried_at
          from tracking.quarantine
         where cell = $1 and ($2 = '' or reason = $2) and ($3 = '' or name = $3)
           and ($4::uuid is null or id < $4)
         order by id desc limit $5
        """,
        tx.cell,
        reason,
        name,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda q: (q.id,))


async def replay(tx: Tx, which: Which) -> Replayed:
    """Try a thousand again, held to the newest schemas, as of when they were received: one that
    waited here is not late for it. One that was taken meanwhile is a duplicate."""
    waiting = await tx.rows(
        Quarantined,
        """
        select id, received_at, source, name, reason, detail, raw, bot_reason, tried_at
          from tracking.quarantine
         where cell = $1 and raw is not null
           and (cardinality($2::uuid[]) = 0 or id = any($2::uuid[]))
           and ($3 = '' or reason = $3) and ($4 = '' or name = $4)
         order by id limit $5 for update skip locked
        """,
        tx.cell,
        which.ids,
        which.reason,
        which.name,
        AT_ONCE,
    )
    known = Registry(await registry.schemas(tx))
    tried: list[tuple[Quarantined, Columns]] = []
    for one in waiting:
        sender = Sender(source=one.source, now=one.received_at, may_identify=one.source != "web",
                        bot_reason=one.bot_reason)  # fmt: skip
        tried.append((one, read_again(one.raw or "", known, sender)))
    good = [(one, columns) for one, columns in tried if not columns.bad]
    there = await _taken_before(tx, [(c.event_ids[0], q) for q, c in good if c.event_ids])
    fresh = [columns for _, columns in good if not there.intersection(columns.event_ids)]
    await actions.take(tx, fresh)
    await tx.run(
        "delete from tracking.quarantine where cell = $1 and id = any($2::uuid[])",
        tx.cell,
        [one.id for one, _ in good],
    )
    await _still_bad(tx, [(one, columns.bad[0]) for one, columns in tried if columns.bad])
    return Replayed(len(fresh), len(good) - len(fresh), len(tried) - len(good))


async def _taken_before(tx: Tx, ids: Sequence[tuple[uuid.UUID, Quarantined]]) -> set[uuid.UUID]:
    if not ids:
        return set()
    found = await tx.values(
        """
        select event_id from tracking.event
         where cell = $1 and event_id = any($2::uuid[]) and received_at >= $3
        """,
        tx.cell,
        [event_id for event_id, _ in ids],
        min(one.received_at for _, one in ids) - LOOKED_BACK,
    )
    return set(found)


async def _still_bad(tx: Tx, bad: Sequence[tuple[Quarantined, Bad]]) -> None:
    await tx.run(
        """
        update tracking.quarantine q set reason = b.reason, detail = b.detail, tried_at = $2
          from unnest($3::uuid[], $4::text[], $5::text[]) as b(id, reason, detail)
         where q.cell = $1 and q.id = b.id
        """,
        tx.cell,
        tx.now,
        [one.id for one, _ in bad],
        [why.reason for _, why in bad],
        [why.detail for _, why in bad],
    )
