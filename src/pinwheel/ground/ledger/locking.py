"""Accounts and holds under lock, in the order of their ids: two batches never wait for each other
in a ring."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence

from pinwheel.ground.ledger.model import (
    Account,
    OpenHold,
    Standing,
    id_of,
)
from pinwheel.kernel.db import Tx

PERIOD_LOCK = id_of("ledger.period")  # shared by postings, exclusive while a period is closed


async def locked_holds(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, OpenHold]:
    rows = await tx.rows(
        OpenHold,
        """
        select id, debit_id, credit_id, unit, remaining, state from ledger.hold
         where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        ids,
    )
    return {row.id: row for row in rows}


async def locked_accounts(tx: Tx, named: Mapping[int, Account]) -> dict[int, Standing]:
    """The accounts, those with a floor under lock in the order of their ids; a new one is
    opened."""
    ids = sorted(named)
    found = await lock(tx, ids)
    missing = [named[i] for i in ids if i not in found]
    if missing:
        await open_accounts(tx, missing)
        found = await lock(tx, ids)
    for account in named.values():
        if found[account.id].code != account.code:
            raise ValueError(f"{account.code} and {found[account.id].code} share an id")
    return found


async def lock(tx: Tx, ids: Sequence[int]) -> dict[int, Standing]:
    rows = await tx.rows(
        Standing,
        """
        with floored as (
          select account_id, floor, posted, held from ledger.balance
           where cell = $1 and account_id = any($2::bigint[])
             and pg_advisory_xact_lock_shared($3) is not null
           order by account_id for update
        )
        select a.id, a.code, a.unit, a.side as sign, f.floor,
               coalesce(f.posted, 0) as posted, coalesce(f.held, 0) as held
          from ledger.account a left join floored f on f.account_id = a.id
         where a.cell = $1 and a.id = any($2::bigint[])
        """,
        tx.cell,
        ids,
        PERIOD_LOCK,
    )
    return {row.id: row for row in rows}


async def open_accounts(tx: Tx, accounts: Iterable[Account]) -> None:
    """Open what is not open yet. Postings do this by themselves; call it to show an account at
    zero."""
    ordered = sorted({a.id: a for a in accounts}.values(), key=lambda a: a.id)
    units = sorted({a.unit.id: a.unit for a in ordered}.values(), key=lambda u: u.id)
    await tx.run(
        """
        with unit as (
          insert into ledger.unit (id, code, kind, exponent)
          select * from unnest($2::bigint[], $3::text[], $4::text[], $5::smallint[])
          on conflict do nothing
        ), account as (
          insert into ledger.account (cell, id, code, unit, side, floor, opened_at)
          select $1, a.id, a.code, a.unit, a.side, a.floor, $6
            from unnest($7::bigint[], $8::text[], $9::bigint[], $10::smallint[], $11::bigint[])
                 as a(id, code, unit, side, floor)
          on conflict do nothing
          returning id, floor
        )
        insert into ledger.balance (cell, account_id, floor)
        select $1, id, floor from account where floor is not null
        """,
        tx.cell,
        [u.id for u in units],
        [u.code for u in units],
        [u.kind for u in units],
        [u.exponent for u in units],
        tx.now,
        [a.id for a in ordered],
        [a.code for a in ordered],
        [a.unit.id for a in ordered],
        [a.sign for a in ordered],
        [a.floor for a in ordered],
    )


async def closed_until_of(tx: Tx) -> dt.datetime | None:
    found: dt.datetime | None = await tx.value(
        "select max(closed_until) from ledger.period where cell = $1", tx.cell
    )
    return found
