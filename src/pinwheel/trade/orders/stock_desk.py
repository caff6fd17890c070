"""Stock as a warehouse's program speaks of it: by SKU, many lines under one document of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade import inventory, marketplace
from pinwheel.trade.inventory import Counted, Place, StockCount

T = TypeVar("T")


class VariantUnknown(Refusal):
    status = 404
    en = "There is no variant {variant}. Look it up in the catalogue, or save its product first."
    zh = "没有规格 {variant}。请在商品目录中查找，或先保存其商品。"


class LineTwice(Refusal):
    status = 422
    en = "{variant} at {node} stands on an earlier line too. Put all its pieces on one line."
    zh = "{node} 处的 {variant} 已在前面出现，请合并为一行。"


class SameNode(Refusal):
    status = 422
    en = "The pieces are at {node} already. Choose another node to move them to."
    zh = "商品已在 {node}，请选择其他目标节点。"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """``quantity`` pieces of a variant at a node. The variant is named by its ``sku``, or by
    ``variant_id`` where that is given."""

    sku: str = ""
    variant_id: uuid.UUID | None = None
    node: str
    quantity: int
    seller_id: uuid.UUID = marketplace.OWN_SELLER_ID


class StockPosition(inventory.Position, frozen=True):
    """A position with the ``sku`` it is known by."""

    sku: str


class _Named(msgspec.Struct, frozen=True):
    variant_id: uuid.UUID
    sku: str


async def stock_positions(
    tx: Tx,
    *,
    skus: Sequence[str] = (),
    variant_ids: Sequence[uuid.UUID] = (),
    node: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StockPosition]:
    """Positions by variant; of some SKUs or variants, where they are named. 2 statements."""
    start = after(cursor, uuid.UUID, uuid.UUID, str) or (None, None, None)
    named = bool(skus or variant_ids)
    ids = {row.variant_id for row in await _named(tx, skus, variant_ids)} if named else set()
    rows = await tx.rows(
        StockPosition,
        """
        select p.variant_id, p.seller_id, p.node, p.on_hand, p.reserved, p.atp, p.is_open,
               p.safety_stock, p.backorder_limit, p.expected_on, v.sku
          from inventory.v_atp p join catalogue.v_variant v on v.variant_id = p.variant_id
         where p.cell = $1 and ($2::text is null or p.node = $2)
           and ($3::uuid[] is null or p.variant_id = any($3))
           and ($4::uuid is null
                or (p.variant_id, p.seller_id, p.node) > ($4, $5::uuid, $6::text))
         order by p.variant_id, p.seller_id, p.node limit $7
        """,
        tx.cell,
        node,
        sorted(ids) if named else None,
        *start,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.variant_id, r.seller_id, r.node))


async def _named(tx: Tx, skus: Iterable[str], variant_ids: Iterable[uuid.UUID]) -> list[_Named]:
    return await tx.rows(
        _Named,
        """
        select variant_id, sku from catalogue.v_variant
         where sku = any($1::text[]) or variant_id = any($2::uuid[])
        """,
        sorted({sku for sku in skus if sku}),
        sorted(set(variant_ids)),
    )


async def receive_lines(
    tx: Tx, lines: Sequence[Line], *, document_id: uuid.UUID, reason: str
) -> list[ledger.Posted | Refusal]:
    """Take deliveries in, each line for itself: 3 statements and those of ``inventory.receive``.
    Refuses ``VariantUnknown``, ``SellerUnknown``, ``UnknownNode``, ``LineTwice``."""
    read = await _read(tx, lines)
    good = [c for c in read if isinstance(c, StockCount)]
    done = await inventory.receive(tx, good, document_id=document_id, reason=reason) if good else []
    return _merged(read, iter(done))


async def count_lines(
    tx: Tx, lines: Sequence[Line], *, document_id: uuid.UUID, reason: str
) -> list[Counted | Refusal]:
    """Make the books say what was counted, each line for itself: 3 statements and those of
    ``inventory.count``. Refuses what ``receive_lines`` does, and ``StockTaken``."""
    read = await _read(tx, lines)
    good = [c for c in read if isinstance(c, StockCount)]
    done = await inventory.count(tx, good, document_id=document_id, reason=reason)
    return _merged(read, iter(done))


async def move_lines(
    tx: Tx, lines: Sequence[Line], to_node: str, *, document_id: uuid.UUID
) -> list[ledger.Posted | Refusal]:
    """Take pieces to another node, each line for itself: 3 statements and those of
    ``inventory.move``. Refuses what ``receive_lines`` does, ``SameNode`` and ``StockTaken``; an
    unknown ``to_node`` refuses the whole list."""
    read: list[StockCount | Refusal] = [
        SameNode(node=to_node) if isinstance(c, StockCount) and c.place.node == to_node else c
        for c in await _read(tx, lines)
    ]
    good = [c for c in read if isinstance(c, StockCount)]
    done = await inventory.move(tx, good, to_node, document_id=document_id)
    return _merged(read, iter(done))


async def _read(tx: Tx, lines: Sequence[Line]) -> list[StockCount | Refusal]:
    """Each line as a place with its pieces, or why not. 3 statements."""
    found = await _named(
        tx, (one.sku for one in lines), (one.variant_id for one in lines if one.variant_id)
    )
    by_sku = {row.sku: row.variant_id for row in found}
    known = {row.variant_id for row in found}
    sellers = set(
        await tx.values(
            "select seller_id from marketplace.v_seller where seller_id = any($1::uuid[])",
            sorted({one.seller_id for one in lines}),
        )
    )
    nodes = await inventory.nodes(tx)
    seen: set[Place] = set()
    read: list[StockCount | Refusal] = []
    for one in lines:
        variant_id = one.variant_id or by_sku.get(one.sku)
        if variant_id is None or variant_id not in known:
            read.append(VariantUnknown(variant=one.variant_id or one.sku))
        elif one.seller_id not in sellers:
            read.append(marketplace.SellerUnknown())
        elif one.node not in nodes:
            read.append(inventory.UnknownNode(node=one.node, known=", ".join(nodes)))
        elif (place := Place(one.seller_id, one.node, variant_id)) in seen:
            read.append(LineTwice(variant=one.sku or variant_id, node=one.node))
        else:
            seen.add(place)
            read.append(StockCount(place, one.quantity))
    return read


def _merged(read: Sequence[StockCount | Refusal], done: Iterator[T | Refusal]) -> list[T | Refusal]:
    return [one if isinstance(one, Refusal) else next(done) for one in read]
