"""Earmarks: pieces put aside for a document, such as a timed deal or a bargain campaign.

They leave what everybody can buy and stand in an account of their own, one for each place. An order
that uses the document holds its pieces out of that account; released, they are back in it, in the
same transaction and without anybody's doing (decision 0020).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.inventory.model import (
    AvailabilityChanged,
    Place,
    Position,
    TooFewToPutAside,
    available,
    earmarked,
)
from pinwheel.trade.inventory.queries import positions

LOOKS = 4  # so often a choice of places is made anew when somebody was faster


class Earmark(msgspec.Struct, frozen=True, kw_only=True):
    """What is aside at one place. ``pieces``: put aside, less what was given back; ``free`` of
    them no order has."""

    document_id: uuid.UUID
    variant_id: uuid.UUID
    seller_id: uuid.UUID
    node: str
    is_open: bool
    pieces: int
    free: int

    @property
    def place(self) -> Place:
        return Place(self.seller_id, self.node, self.variant_id)


async def earmarks(tx: Tx, document_ids: Iterable[uuid.UUID]) -> list[Earmark]:
    """What is aside for these documents, place by place. 1 statement."""
    return await tx.rows(
        Earmark,
        """
        select document_id, variant_id, seller_id, node, is_open, pieces, free
          from inventory.v_earmark where document_id = any($2::uuid[]) and cell = $1
         order by document_id, node
        """,
        tx.cell,
        sorted(set(document_ids)),
    )


async def put_aside(
    tx: Tx,
    document_id: uuid.UUID,
    seller_id: uuid.UUID,
    variant_id: uuid.UUID,
    pieces: int,
    *,
    opens_at: dt.datetime | None = None,
    closes_at: dt.datetime | None = None,
) -> None:
    """Put ``pieces`` aside for a document, from the open places that have most. From ``opens_at``
    to ``closes_at`` they are shown as for sale; without, only who has a claim may buy them. The
    caller holds the document's lock. Refuses ``TooFewToPutAside``, which says what there is and
    where."""
    for _ in range(LOOKS):
        there = sorted(
            (
                p
                for p in await positions(tx, [variant_id])
                if p.seller_id == seller_id and p.is_open and p.atp > 0
            ),
            key=lambda p: (-p.atp, p.node),
        )
        if sum(p.atp for p in there) < pieces:
            raise await _too_few(tx, variant_id, pieces, there)
        parts = list(_parts(there, pieces))
        await _open(tx, document_id, parts, opens_at, closes_at)
        moves = tuple(Transfer(earmarked(p, document_id), available(p), n) for p, n in parts)
        [answer] = await ledger.post(tx, [_journal(tx, document_id, "put aside", moves)])
        if not isinstance(answer, Refusal):
            await _count(tx, document_id, parts)
            tx.emit(AvailabilityChanged(variant_ids=[variant_id]))
            return
    raise RacedEarmark("others were faster, again and again")


class RacedEarmark(asyncpg.SerializationError):  # type: ignore[misc]
    """The whole is tried anew."""


def _parts(there: Sequence[Position], pieces: int) -> Iterable[tuple[Place, int]]:
    for one in there:
        part = min(one.atp, pieces)
        if part:
            pieces -= part
            yield Place(one.seller_id, one.node, one.variant_id), part


async def _too_few(
    tx: Tx, variant_id: uuid.UUID, pieces: int, there: Sequence[Position]
) -> TooFewToPutAside:
    sku: str | None = await tx.value(
        "select sku from catalogue.v_variant where variant_id = $1", variant_id
    )
    where = ", ".join(f"{p.node} {p.atp}" for p in there)
    return TooFewToPutAside(
        sku=sku or str(variant_id), pieces=pieces, free=sum(p.atp for p in there), where=where
    )


async def _open(
    tx: Tx,
    document_id: uuid.UUID,
    parts: Sequence[tuple[Place, int]],
    opens_at: dt.datetime | None,
    closes_at: dt.datetime | None,
) -> None:
    accounts = [earmarked(place, document_id) for place, _ in parts]
    await ledger.open_accounts(tx, accounts)
    await tx.run(
        """
        insert into inventory.earmark (cell, document_id, variant_id, seller_id, node, account_id,
                                       opens_at, closes_at)
        select $1, $2, p.*, $7, $8
          from unnest($3::uuid[], $4::uuid[], $5::text[], $6::bigint[]) as p
        on conflict (document_id, node, variant_id, seller_id, cell) do update
           set opens_at = excluded.opens_at, closes_at = excluded.closes_at
        """,
        tx.cell,
        document_id,
        [place.variant_id for place, _ in parts],
        [place.seller_id for place, _ in parts],
        [place.node for place, _ in parts],
        [account.id for account in accounts],
        opens_at,
        closes_at,
    )


async def give_back(
    tx: Tx, document_ids: Iterable[uuid.UUID], *, keep: Mapping[uuid.UUID, int] | None = None
) -> int:
    """What no order has of these documents is everybody's again, but for ``keep`` pieces of each;
    how many. What an open order has stays with it. Safe to repeat."""
    gone = 0
    for _ in range(LOOKS):
        parts = _spare(await earmarks(tx, document_ids), keep or {})
        if not parts:
            return gone
        answers = await ledger.post(
            tx,
            [
                _journal(
                    tx,
                    e.document_id,
                    "given back",
                    (Transfer(available(e.place), earmarked(e.place, e.document_id), n),),
                )
                for e, n in parts
            ],
        )
        done = [(e, n) for (e, n), a in zip(parts, answers, strict=True)
                if not isinstance(a, Refusal)]  # fmt: skip
        for document_id in {e.document_id for e, _ in done}:
            mine = [(e.place, -n) for e, n in done if e.document_id == document_id]
            await _count(tx, document_id, mine)
        gone += sum(n for _, n in done)
        tx.emit(AvailabilityChanged(variant_ids=sorted({e.variant_id for e, _ in done})))
        if len(done) == len(parts):
            return gone
    raise RacedEarmark("others were faster, again and again")


def _spare(there: Sequence[Earmark], keep: Mapping[uuid.UUID, int]) -> list[tuple[Earmark, int]]:
    left = dict(keep)
    parts = []
    for one in there:
        stays = min(max(0, one.free), left.get(one.document_id, 0))
        left[one.document_id] = left.get(one.document_id, 0) - stays
        if one.free > stays:
            parts.append((one, one.free - stays))
    return parts


def _journal(tx: Tx, document_id: uuid.UUID, reason: str, moves: tuple[Transfer, ...]) -> Journal:
    return Journal(
        document_kind="earmark",
        document_id=document_id,
        key=f"{reason}:{tx.new_id()}",
        reason=reason,
        transfers=moves,
    )


async def _count(tx: Tx, document_id: uuid.UUID, parts: Sequence[tuple[Place, int]]) -> None:
    await tx.run(
        """
        update inventory.earmark e set pieces = e.pieces + p.pieces
          from unnest($3::text[], $4::uuid[], $5::uuid[], $6::bigint[])
               as p(node, variant_id, seller_id, pieces)
         where e.document_id = $2 and e.cell = $1 and e.node = p.node
           and e.variant_id = p.variant_id and e.seller_id = p.seller_id
        """,
        tx.cell,
        document_id,
        [place.node for place, _ in parts],
        [place.variant_id for place, _ in parts],
        [place.seller_id for place, _ in parts],
        [pieces for _, pieces in parts],
    )


class _Source(msgspec.Struct, frozen=True):
    hold_id: uuid.UUID
    document_id: uuid.UUID


async def earmarks_of_holds(tx: Tx, hold_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Holds that were taken out of an earmark, with its document. 1 statement."""
    rows = await tx.rows(
        _Source,
        """
        select h.hold_id, e.document_id from ledger.v_hold h
          join inventory.earmark e on e.account_id = h.credit_id and e.cell = h.cell
         where h.hold_id = any($2::uuid[]) and h.cell = $1
        """,
        tx.cell,
        list(hold_ids),
    )
    return {row.hold_id: row.document_id for row in rows}


def account_of(place: Place, document_id: uuid.UUID | None) -> ledger.Account:
    """Where a piece is taken from: its document's pieces, or everybody's."""
    return available(place) if document_id is None else earmarked(place, document_id)
