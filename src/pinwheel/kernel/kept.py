"""Small things the whole installation remembers by name: the shop's name, what the audit found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


class Kept(msgspec.Struct, frozen=True):
    """A value as plain JSON, since when and by whom."""

    name: str
    value: Any
    changed_at: dt.datetime
    changed_by: str


async def kept(tx: Tx, *names: str) -> dict[str, Kept]:
    """What is kept under these names; a name without a value is left out. 1 statement."""
    rows = await tx.rows(
        Kept,
        """
        select name, value, changed_at, changed_by from kernel.setting where name = any($1::text[])
        """,
        list(names),
    )
    return {row.name: row for row in rows}


async def keep(tx: Tx, name: str, value: Any) -> None:
    """Keep ``value`` (plain JSON) under ``name`` in place of what was there."""
    await tx.run(
        """
        insert into kernel.setting (name, value, changed_at, changed_by) values ($1, $2, $3, $4)
        on conflict (name) do update
           set value = excluded.value, changed_at = excluded.changed_at,
               changed_by = excluded.changed_by
        """,
        name,
        value,
        tx.now,
        tx.actor,
    )
