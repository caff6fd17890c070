"""What the staff ask of the catalogue: what was changed lately, and by which act."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page


class ChangeSet(msgspec.Struct, frozen=True):
    """One act over products. ``reverted_by``: the act that took it back."""

    id: uuid.UUID
    kind: str
    reason: str
    actor: str
    at: dt.datetime
    reverts: uuid.UUID | None
    reverted_by: uuid.UUID | None
    products: int


class ChangeLine(msgspec.Struct, frozen=True):
    """What an act did to one product: the fields that changed, before and after."""

    product_id: uuid.UUID
    title: dict[str, str]
    version: int
    before: dict[str, Any]
    after: dict[str, Any]


async def change_sets(tx: Tx, *, cursor: str | None = None, limit: int = 50) -> Page[ChangeSet]:
    """Every act, the latest first. 1 statement."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        ChangeSet,
        """
        select c.id, c.kind, c.reason, c.actor, c.at, c.reverts,
               (select r.id from catalogue.change r where r.reverts = c.id) as reverted_by,
               (select count(*) from catalogue.change_line l where l.change_id = c.id) as products
          from catalogue.change c where $1::uuid is null or c.id < $1
         order by c.id desc limit $2
        """,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda c: (c.id,))


async def change_set(tx: Tx, change_id: uuid.UUID) -> ChangeSet:
    return await tx.the(
        "change",
        ChangeSet,
        """
        select c.id, c.kind, c.reason, c.actor, c.at, c.reverts,
               (select r.id from catalogue.change r where r.reverts = c.id) as reverted_by,
               (select count(*) from catalogue.change_line l where l.change_id = c.id) as products
          from catalogue.change c where c.id = $1
        """,
        change_id,
    )


async def change_lines(
    tx: Tx, change_id: uuid.UUID, *, cursor: str | None = None, limit: int = 50
) -> Page[ChangeLine]:
    """What one act did, product by product. 1 statement."""
    start = after(cursor, uuid.UUID)
    rows = await tx.rows(
        ChangeLine,
        """
        select l.product_id, p.title, l.version, l.before, l.after
          from catalogue.change_line l join catalogue.product p on p.id = l.product_id
         where l.change_id = $1 and ($2::uuid is null or l.product_id > $2)
         order by l.product_id limit $3
        """,
        change_id,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda c: (c.product_id,))


class CategoryCount(msgspec.Struct, frozen=True):
    category_id: uuid.UUID
    products: int
    attributes: int


async def category_counts(tx: Tx) -> dict[uuid.UUID, CategoryCount]:
    """How many products and own attributes each category has. 1 statement."""
    rows = await tx.rows(
        CategoryCount,
        """
        select c.id as category_id,
               (select count(*) from catalogue.product p where p.category_id = c.id) as products,
               (select count(*) from catalogue.attribute a where a.category_id = c.id)
                 as attributes
          from catalogue.category c
        """,
    )
    return {row.category_id: row for row in rows}
