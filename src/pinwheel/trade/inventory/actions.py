"""Verbs that change stock. Each takes a list; quantities move only in the ledger."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade.inventory.model import (
    AvailabilityChanged,
    Node,
    NodeClosed,
    NodeOpened,
    Place,
    StockCount,
    StockTaken,
    UnknownNode,
    available,
    damaged,
    sold,
    supplied,
    written_off,
)

KNOWN_ELSEWHERE = "see the list of stock nodes / 见库存节点列表"


async def save_nodes(tx: Tx, nodes: Sequence[Node]) -> None:
    """Add nodes or change what they are called and cost. Opening and closing are verbs of their
    own. A code stands once in the list."""
    if len({n.code for n in nodes}) < len(nodes):
        raise Invalid("nodes", "a code stands twice in this list", "列表中有重复的节点编码")
    await tx.run(
        """
        insert into inventory.node (code, name, kind, country, latitude, longitude, parcel_minor,
                                    lead_hours, is_open, changed_at)
        select n.code, n.name::jsonb, n.kind, n.country, n.latitude, n.longitude, n.parcel_minor,
               n.lead_hours, n.is_open, $1
          from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[],
                      $8::bigint[], $9::int[], $10::boolean[])
               as n(code, name, kind, country, latitude, longitude, parcel_minor, lead_hours,
               is_open) on conflict (code) do update set name = excluded.name, kind =
               excluded.kind, country = excluded.country, latitude = excluded.latitude,
               longitude = excluded.longitude, parcel_minor = excluded.parcel_minor, lead_hours
               = excluded.lead_hours, changed_at = excluded.changed_at """,
        tx.now,
        [n.code for n in nodes],
        [_json(n.name) for n in nodes],
        [n.kind for n in nodes],
        [n.country for n in nodes],
        [n.latitude for n in nodes],
        [n.longitude for n in nodes],
        [n.parcel_minor for n in nodes],
        [n.lead_hours for n in nodes],
        [n.is_open for n in nodes],
    )


async def receive(
    tx: Tx, counts: Sequence[StockCount], *, document_id: uuid.UUID, reason: str = "received"
) -> list[ledger.Posted | Refusal]:
    """Pieces arrive from a supplier. Once per document: the same delivery twice changes nothing.

    One answer per count; an unknown node is refused (``UnknownNode``). 5 statements and the
    ledger's 3–4."""
    known = await _nodes(tx)
    good = [c for c in counts if c.place.node in known]
    await open_positions(tx, [c.place for c in good])
    answers = iter(
        await ledger.post(
            tx,
            [
                Journal(
                    document_kind="stock",
                    document_id=document_id,
                    key=f"in:{c.place.variant_id}:{c.place.seller_id}:{c.place.node}",
                    reason=reason,
                    transfers=(
                        Transfer(available(c.place), supplied(c.place.variant_id), c.quantity),
                    ),
                )
                for c in good
            ],
        )
    )
    tx.emit(AvailabilityChanged(variant_ids=sorted({c.place.variant_id for c in good})))
    return [
        next(answers)
        if c.place.node in known
        else UnknownNode(node=c.place.node, known=", ".join(sorted(known)))
        for c in counts
    ]


async def adjust(
    tx: Tx, counts: Sequence[StockCount], *, document_id: uuid.UUID, reason: str
) -> list[ledger.Posted | Refusal]:
    """A count found more (positive) or fewer (negative) pieces than the books have.

    Refuses ``StockTaken`` where the missing pieces are promised: release or re-source those
    orders first."""
    await open_positions(tx, [c.place for c in counts])
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="stock",
                document_id=document_id,
                key=f"count:{c.place.variant_id}:{c.place.seller_id}:{c.place.node}",
                reason=reason,
                transfers=(counted_transfer(c),),
            )
            for c in counts
        ],
    )
    tx.emit(AvailabilityChanged(variant_ids=sorted({c.place.variant_id for c in counts})))
    return [stock_words(a, c.place.node) for a, c in zip(answers, counts, strict=True)]


async def move(
    tx: Tx, counts: Sequence[StockCount], to_node: str, *, document_id: uuid.UUID
) -> list[ledger.Posted | Refusal]:
    """Pieces go from one node to another of the same seller."""
    known = await _nodes(tx)
    if to_node not in known:
        raise UnknownNode(node=to_node, known=", ".join(sorted(known)))
    targets = [Place(c.place.seller_id, to_node, c.place.variant_id) for c in counts]
    await open_positions(tx, targets)
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="stock",
                document_id=document_id,
                key=f"move:{c.place.variant_id}:{c.place.seller_id}:{c.place.node}>{to_node}",
                reason=f"moved to {to_node}",
                transfers=(Transfer(available(target), available(c.place), c.quantity),),
            )
            for c, target in zip(counts, targets, strict=True)
        ],
    )
    return [stock_words(a, c.place.node) for a, c in zip(answers, counts, strict=True)]


async def set_limits(
    tx: Tx,
    place: Place,
    *,
    safety_stock: int = 0,
    backorder_limit: int = 0,
    expected_on: dt.date | None = None,
) -> None:
    """Keep ``safety_stock`` pieces from sale, or sell up to ``backorder_limit`` that are not
    here yet."""
    await open_positions(tx, [place])
    await ledger.set_floor(tx, available(place), -backorder_limit)
    await tx.run(
        """
        update inventory.position set safety_stock = $5, backorder_limit = $6, expected_on = $7
         where cell = $1 and variant_id = $2 and seller_id = $3 and node = $4
        """,
        tx.cell,
        place.variant_id,
        place.seller_id,
        place.node,
        safety_stock,
        backorder_limit,
        expected_on,
    )
    tx.emit(AvailabilityChanged(variant_ids=[place.variant_id]))


async def set_node_open(tx: Tx, code: str, is_open: bool) -> None:
    """Open or close a node. What a closed one promised is sourced elsewhere by who promised it."""
    changed = await tx.run(
        "update inventory.node set is_open = $2, changed_at = $3 where code = $1 and is_open <> $2",
        code,
        is_open,
        tx.now,
    )
    if changed:
        tx.emit(NodeOpened(node=code) if is_open else NodeClosed(node=code))
        tx.emit(
            AvailabilityChanged(
                variant_ids=await tx.values(
                    """
                    select distinct variant_id from inventory.position
                     where cell = $1 and node = $2
                    """,
                    tx.cell,
                    code,
                )
            )
        )
    elif code not in await _nodes(tx):
        raise NotFound(what="stock node")


async def open_positions(tx: Tx, places: Sequence[Place]) -> None:
    """Open the places that are new, with their ledger account. 2 statements at most. Refuses
    ``UnknownNode``."""
    ordered = sorted(set(places), key=lambda p: available(p).id)
    try:
        fresh = set(await _insert_positions(tx, ordered))
    except asyncpg.ForeignKeyViolationError as error:
        # The transaction ends with this refusal: nothing of the call remains.
        nodes = ", ".join(sorted({p.node for p in ordered}))
        raise UnknownNode(node=nodes, known=KNOWN_ELSEWHERE) from error
    if fresh:
        await ledger.open_accounts(tx, [a for p in ordered if (a := available(p)).id in fresh])


async def _insert_positions(tx: Tx, ordered: Sequence[Place]) -> list[int]:
    return await tx.values(
        """
        insert into inventory.position (cell, variant_id, seller_id, node, account_id)
        select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[])
        on conflict (cell, variant_id, seller_id, node) do nothing
        returning account_id
        """,
        tx.cell,
        [p.variant_id for p in ordered],
        [p.seller_id for p in ordered],
        [p.node for p in ordered],
        [available(p).id for p in ordered],
    )


def came_back(place: Place, quantity: int, *, sellable: bool) -> Transfer:
    """The transfer that takes a returned piece in: for sale again, or as damaged."""
    account: Account = available(place) if sellable else damaged(place)
    return Transfer(account, sold(place.variant_id), quantity)


def counted_transfer(count: StockCount) -> Transfer:
    """Found pieces come in; missing ones are written off."""
    here, gone = available(count.place), written_off(count.place.variant_id)
    if count.quantity > 0:
        return Transfer(here, gone, count.quantity)
    return Transfer(gone, here, -count.quantity)


def stock_words(answer: ledger.Posted | Refusal, node: str) -> ledger.Posted | Refusal:
    """``answer`` in the words of stock."""
    if isinstance(answer, ledger.Insufficient):
        return StockTaken(left=answer.facts["left"], node=node)
    return answer


async def _nodes(tx: Tx) -> set[str]:
    return set(await tx.values("select code from inventory.node"))


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


async def follow_merge(
    tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]], *, document_id: uuid.UUID
) -> int:
    """Duplicates became one: what is free of ``gone`` goes on as ``kept``, place by place; how many
    places. What is reserved stays where its orders look for it. Each SKU is a unit of its own, so
    the pieces are written off as the one and supplied as the other."""
    kept = dict(pairs)
    rows = await tx.rows(
        _Free,
        """
        select variant_id, seller_id, node, on_hand - reserved as free from inventory.v_atp
         where cell = $1 and variant_id = any($2::uuid[]) and on_hand > reserved
         order by variant_id, seller_id, node
        """,
        tx.cell,
        list(kept),
    )
    moves = [(Place(r.seller_id, r.node, r.variant_id), kept[r.variant_id], r.free) for r in rows]
    targets = [Place(here.seller_id, here.node, variant) for here, variant, _ in moves]
    await open_positions(tx, targets)
    for answer in await ledger.post(
        tx,
        [
            Journal(
                document_kind="stock",
                document_id=document_id,
                key=f"merge:{here.variant_id}:{here.seller_id}:{here.node}>{variant}",
                reason="merged with a duplicate",
                transfers=(
                    Transfer(written_off(here.variant_id), available(here), pieces),
                    Transfer(available(target), supplied(variant), pieces),
                ),
            )
            for (here, variant, pieces), target in zip(moves, targets, strict=True)
        ],
    ):
        if isinstance(answer, Refusal):
            raise answer
    tx.emit(AvailabilityChanged(variant_ids=sorted({*kept, *kept.values()})))
    return len(moves)


class _Free(msgspec.Struct, frozen=True):
    variant_id: uuid.UUID
    seller_id: uuid.UUID
    node: str
    free: int
