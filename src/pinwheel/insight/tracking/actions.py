"""Taking events in: what was judged goes into the inbox, durably, before anybody is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from pinwheel.insight.tracking import registry
from pinwheel.insight.tracking.linking import link
from pinwheel.insight.tracking.model import NOTHING, Incoming, ServerEvent
from pinwheel.insight.tracking.taking import Bad, Columns, Sender, judge
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal

BATCHES_AT_ONCE = 16


class Fault(msgspec.Struct, frozen=True):
    """``at`` counts from 0 in the batch as it was sent."""

    at: int
    reason: str
    detail: str


class Receipt(msgspec.Struct, frozen=True):
    """What became of a batch. ``accepted`` events are durable and shown within seconds, once each
    however often they are sent; ``quarantined`` ones wait for a mended schema; ``withheld`` ones
    were left out, since nobody consented to them."""

    accepted: int
    quarantined: int
    withheld: int
    duplicates: int
    faults: list[Fault]


async def take(tx: Tx, batches: Sequence[Columns]) -> list[Receipt | Refusal]:
    """Store what was judged; the transaction's commit is what a sender is answered for."""
    by_source: dict[str, Columns] = {}
    for batch in batches:
        into = by_source.setdefault(batch.source, Columns(batch.source))
        into.extend(batch)
    for columns in by_source.values():
        if columns.event_ids:
            await _store(tx, columns)
    bad = [(batch.source, one) for batch in batches for one in batch.bad]
    if bad:
        await quarantine(tx, bad)
    left: Counter[tuple[str, str]] = Counter()
    for columns in by_source.values():
        left.update({("withheld", n): c for n, c in columns.withheld.items()})
        left.update({("duplicates", n): c for n, c in columns.duplicates.items()})
    left.update(("quarantined", one.name if one.reason != "unknown" else "?") for _, one in bad)
    if left:
        await _count(tx, left)
    linked = {pair for batch in batches for pair in batch.linked}
    if linked:
        await link(tx, sorted(linked))
    return [
        Receipt(
            accepted=len(b.event_ids),
            quarantined=len(b.bad),
            withheld=b.withheld.total(),
            duplicates=b.duplicates.total(),
            faults=[Fault(one.at, one.reason, one.detail) for one in b.bad[:100]],
        )
        for b in batches
    ]


async def _store(tx: Tx, c: Columns) -> None:
    await tx.run(
        """
        insert into tracking.inbox (cell, id, received_at, source, event_ids, names, versions,
               occurred_ats, visitor_ids, person_ids, session_ids, bot_reasons, purposes,
               properties, contexts)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::text[]::jsonb[],
                $15::text[]::jsonb[])
        """,
        tx.cell,
        tx.new_id(),
        tx.now,
        c.source,
        c.event_ids,
        c.names,
        c.versions,
        c.occurred_ats,
        c.visitor_ids,
        c.person_ids,
        c.session_ids,
        c.bot_reasons,
        c.purposes,
        # As text, which costs the driver a third of what a value of ours does.
        [str(raw, "utf-8") for raw in c.properties],
        [str(raw, "utf-8") for raw in c.contexts],
    )


async def quarantine(tx: Tx, bad: Sequence[tuple[str, Bad]]) -> None:
    """Keep what could not be taken, with why. One statement."""
    await tx.run(
        """
        insert into tracking.quarantine (cell, id, received_at, source, name, reason, detail, raw,
               visitor_id, person_id)
        select $1, q.id, $2, q.source, q.name, q.reason, q.detail, q.raw, q.visitor_id, q.person_id
          from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                      $9::text[], $10::uuid[])
               as q(id, source, name, reason, detail, raw, visitor_id, person_id)
        """,
        tx.cell,
        tx.now,
        [tx.new_id() for _ in bad],
        [source for source, _ in bad],
        [one.name.replace("\0", "") for _, one in bad],
        [one.reason for _, one in bad],
        [one.detail.replace("\0", "") for _, one in bad],
        [one.raw for _, one in bad],
        [one.visitor_id.replace("\0", "") for _, one in bad],
        [one.person_id for _, one in bad],
    )


async def _count(tx: Tx, left: Counter[tuple[str, str]]) -> None:
    """Add to this minute's volumes, names in order so that two batches never wait for each
    other."""
    names = sorted({name.replace("\0", "") for _, name in left})
    await tx.run(
        """
        insert into tracking.volume as v
               (cell, minute_at, name, withheld, duplicates, quarantined)
        select $1, date_trunc('minute', $2::timestamptz), n.name, n.withheld, n.duplicates,
               n.quarantined
          from unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
               as n(name, withheld, duplicates, quarantined)
        on conflict (cell, minute_at, name) do update
           set withheld = v.withheld + excluded.withheld,
               duplicates = v.duplicates + excluded.duplicates,
               quarantined = v.quarantined + excluded.quarantined
        """,
        tx.cell,
        tx.now,
        names,
        [left["withheld", name] for name in names],
        [left["duplicates", name] for name in names],
        [left["quarantined", name] for name in names],
    )


async def record(tx: Tx, events: Sequence[ServerEvent]) -> None:
    """Record facts of the server in the transaction that made them. One statement, two when a
    process looks up the schemas. One that does not fit its schema goes into quarantine: a fact
    never fails because it is counted."""
    if not events:
        return
    known = await registry.registry(tx)
    said = [
        Incoming(
            id=event.event_id or tx.new_id(),
            name=event.name,
            occurred_at=event.occurred_at or tx.now,
            properties=msgspec.Raw(msgspec.json.encode(event.properties)),
            visitor_id=event.visitor_id,
            session_id=event.session_id,
            person_id=event.person_id,
            consent=True,
            context=msgspec.Raw(msgspec.json.encode(event.context)) if event.context else NOTHING,
        )
        for event in events
    ]
    columns = Columns("server")
    judge(said, columns, known, Sender(source="server", now=tx.now, may_identify=True))
    columns.linked.clear()
    await take(tx, [columns])
