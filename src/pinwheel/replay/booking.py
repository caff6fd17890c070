"""What every replay writes and asks: its own progress, the figures of the file, the ledger's."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.replay.model import Entry, Listed, Totals


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One file being played. ``minutes`` and ``most``: what is played together; a run that goes on
    keeps those it began with."""

    id: uuid.UUID
    source: str
    label: str
    currency: str
    minutes: int
    most: int


class Progress(msgspec.Struct, frozen=True):
    """``position``: so many batches are played."""

    position: int
    is_done: bool
    minutes: int
    most: int


async def begin(tx: Tx, run: Run) -> Progress:
    """The run as it stands; a new one is written down."""
    await tx.run(
        """
        insert into replay.run (cell, id, source, label, currency, minutes, most, started_at,
               updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict (cell, id) do nothing
        """,
        tx.cell,
        run.id,
        run.source,
        run.label,
        run.currency,
        run.minutes,
        run.most,
        tx.now,
    )
    found = await progress(tx, run.id)
    assert found is not None
    return found


async def progress(tx: Tx, run: uuid.UUID) -> Progress | None:
    return await tx.row(
        Progress,
        "select position, is_done, minutes, most from replay.run where cell = $1 and id = $2",
        tx.cell,
        run,
    )


async def reach(tx: Tx, run: uuid.UUID, position: int) -> None:
    """So far, in the transaction of the effects."""
    await tx.run(
        "update replay.run set position = $3, updated_at = $4 where cell = $1 and id = $2",
        tx.cell,
        run,
        position,
        tx.now,
    )


async def finish(tx: Tx, run: uuid.UUID) -> None:
    await tx.run(
        "update replay.run set is_done = true, updated_at = $3 where cell = $1 and id = $2",
        tx.cell,
        run,
        tx.now,
    )


async def enter(tx: Tx, run: uuid.UUID, entries: Sequence[Entry]) -> None:
    if entries:
        await tx.run(
            """
            insert into replay.entry (cell, run_id, document_id, key, kind, reference, lines, units,
                   revenue_minor)
            select $1, $2, e.* from unnest($3::uuid[], $4::text[], $5::text[], $6::text[],
                   $7::int[], $8::bigint[], $9::bigint[]) as e
            on conflict (cell, run_id, document_id, key) do nothing
            """,
            tx.cell,
            run,
            *([getattr(e, name) for e in entries] for name in Entry.__struct_fields__),
        )


async def list_lines(tx: Tx, run: uuid.UUID, listed: Sequence[Listed]) -> None:
    if listed:
        await tx.run(
            """
            insert into replay.line (cell, run_id, number, reference, code, description, quantity,
                   amount, reason, booked)
            select $1, $2, l.* from unnest($3::int[], $4::text[], $5::text[], $6::text[],
                   $7::bigint[], $8::numeric[], $9::text[], $10::text[]) as l
            on conflict (cell, run_id, number, reason) do nothing
            """,
            tx.cell,
            run,
            *([getattr(one, name) for one in listed] for name in Listed.__struct_fields__),
        )


async def ledger_totals(tx: Tx, run: uuid.UUID) -> Totals:
    """What the ledger says of the replay's documents, by the codes of its accounts alone.

    Units: sold (less what came back), less written off, plus adjusted. Revenue: sales, what is
    owed to sellers, delivery and adjustments, in minor units."""
    return await tx.the(
        "replay",
        Totals,
        """
        select coalesce(sum(case when p.debit like 'stock:%:sold'
                                   or p.credit like 'stock:%:written_off'
                                   or p.debit like 'adjusted:%' then p.amount else 0 end)
               - sum(case when p.credit like 'stock:%:sold' or p.debit like 'stock:%:written_off'
                            or p.credit like 'adjusted:%' then p.amount else 0 end), 0)::bigint
               as units,
               coalesce(sum(case when p.credit ~ '^(sales|payable|delivery|adjustment):'
                                 then p.amount else 0 end)
               - sum(case when p.debit ~ '^(sales|payable|delivery|adjustment):'
                          then p.amount else 0 end), 0)::bigint as revenue_minor
          from ledger.v_posting p
         where p.cell = $1 and p.document_id in (
               select document_id from replay.entry where cell = $1 and run_id = $2)
        """,
        tx.cell,
        run,
    )


class Counted(msgspec.Struct, frozen=True):
    name: str
    count: int


async def listed_by_reason(tx: Tx, run: uuid.UUID) -> dict[str, int]:
    rows = await tx.rows(
        Counted,
        """
        select reason as name, count(*) from replay.line
         where cell = $1 and run_id = $2 group by reason order by reason
        """,
        tx.cell,
        run,
    )
    return {row.name: row.count for row in rows}


async def entries_by_kind(tx: Tx, run: uuid.UUID) -> dict[str, int]:
    rows = await tx.rows(
        Counted,
        """
        select kind as name, count(*) from replay.entry
         where cell = $1 and run_id = $2 group by kind order by kind
        """,
        tx.cell,
        run,
    )
    return {row.name: row.count for row in rows}


async def listing(tx: Tx, run: uuid.UUID, after: int, most: int) -> list[Listed]:
    """Lines that are no order, by number; the next ones after ``after``."""
    return await tx.rows(
        Listed,
        """
        select number, reference, code, description, quantity, amount, reason, booked
          from replay.line where cell = $1 and run_id = $2 and number > $3
         order by number, reason limit $4
        """,
        tx.cell,
        run,
        after,
        most,
    )
