"""Questions about the house's own running: the log of facts, jobs and the clock's reactions."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import Recorded
from pinwheel.kernel.listing import Page, after, page


class JobLine(msgspec.Struct, frozen=True):
    """One job. ``state``: due, later, leased or parked."""

    id: uuid.UUID
    name: str
    key: str | None
    state: str
    payload: dict[str, Any]
    run_at: dt.datetime
    attempts: int
    leased_until: dt.datetime | None
    leased_by: str | None
    parked_at: dt.datetime | None
    error: str | None
    created_at: dt.datetime


class JobCounts(msgspec.Struct, frozen=True):
    due: int
    later: int
    leased: int
    parked: int


class Behind(msgspec.Struct, frozen=True):
    """Work of one sort that is not done: how much, and since when the oldest of it waits."""

    kind: str
    count: int
    since: dt.datetime | None


class Parked(msgspec.Struct, frozen=True):
    """Jobs of one name that gave up, and what the last of them said."""

    name: str
    count: int
    since: dt.datetime
    error: str | None


class TickLine(msgspec.Struct, frozen=True):
    """One reaction of the clock: when it ran and runs, and what went wrong last."""

    name: str
    next_at: dt.datetime
    last_run_at: dt.datetime | None
    last_error: str | None


async def events(
    tx: Tx,
    *,
    kind: str | None = None,
    subject_id: uuid.UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Recorded]:
    """Facts, the newest first: of a kind (or all kinds that start with it), about a subject."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Recorded,
        """
        select xid, id, kind, subject_id, at, actor, data from kernel.event
         where cell = $1 and ($2::text is null or starts_with(kind, $2))
           and ($3::uuid is null or subject_id = $3) and ($4::uuid is null or id < $4)
         order by id desc limit $5
        """,
        tx.cell,
        kind,
        subject_id,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.id,))


async def event(tx: Tx, event_id: uuid.UUID) -> Recorded:
    return await tx.the(
        "event",
        Recorded,
        """
        select xid, id, kind, subject_id, at, actor, data from kernel.event
         where cell = $1 and id = $2
        """,
        tx.cell,
        event_id,
    )


async def jobs(
    tx: Tx, *, state: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[JobLine]:
    """Jobs that wait or have given up, the newest first."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        JobLine,
        """
        select j.id, j.name, j.key, j.state, j.payload, j.run_at, j.attempts, j.leased_until,
               j.leased_by, j.parked_at, j.error, j.created_at
          from (select *, case when parked_at is not null then 'parked'
                               when leased_until > $2 then 'leased'
                               when run_at <= $2 then 'due' else 'later' end as state
                  from kernel.job where cell = $1) j
         where ($3::text is null or j.state = $3) and ($4::uuid is null or j.id < $4)
         order by j.id desc limit $5
        """,
        tx.cell,
        tx.now,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.id,))


async def job_counts(tx: Tx) -> JobCounts:
    """How many jobs there are in each state."""
    return await tx.the(
        "count",
        JobCounts,
        """
        select count(*) filter (where parked_at is null and run_at <= $2
                                  and (leased_until is null or leased_until <= $2)) as due,
               count(*) filter (where parked_at is null and run_at > $2
                                  and (leased_until is null or leased_until <= $2)) as later,
               count(*) filter (where parked_at is null and leased_until > $2) as leased,
               count(*) filter (where parked_at is not null) as parked
          from kernel.job where cell = $1
        """,
        tx.cell,
        tx.now,
    )


async def ticks(tx: Tx) -> list[TickLine]:
    """What the clock does, by name."""
    return await tx.rows(
        TickLine,
        "select name, next_at, last_run_at, last_error from kernel.tick order by name",
    )


async def behind(tx: Tx) -> list[Behind]:
    """Jobs that are due or gave up, reactions of the clock that are late or fail, and transactions
    that stay open: while one does, no fact after it is handed on. 1 statement."""
    return await tx.rows(
        Behind,
        """
        select 'jobs_due' as kind, count(*) as count, min(run_at) as since from kernel.job
         where cell = $1 and parked_at is null and run_at <= $2
           and (leased_until is null or leased_until <= $2)
        union all
        select 'jobs_parked', count(*), min(parked_at) from kernel.job
         where cell = $1 and parked_at is not null
        union all
        select 'clock_late', count(*), min(next_at) from kernel.tick where next_at <= $2
        union all
        select 'clock_failing', count(*), min(last_run_at) from kernel.tick
         where last_error is not null
        union all
        select 'transactions', count(*), $2::timestamptz - (clock_timestamp() - min(xact_start))
          from pg_stat_activity
         where datname = current_database() and backend_type = 'client backend'
           and pid <> pg_backend_pid() and xact_start is not null
        """,
        tx.cell,
        tx.now,
    )


async def parked(tx: Tx) -> list[Parked]:
    """The jobs that gave up, by name: the most first."""
    return await tx.rows(
        Parked,
        """
        select name, count(*) as count, min(parked_at) as since,
               (array_agg(error order by parked_at desc))[1] as error
          from kernel.job where cell = $1 and parked_at is not null
         group by name order by count(*) desc, name limit 50
        """,
        tx.cell,
    )
