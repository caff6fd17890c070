"""The stock behind a deal's price: put aside when it starts, everybody's again when it ends."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.trade import inventory
from pinwheel.trade.promotions import model
from pinwheel.trade.promotions.book import limits_of
from pinwheel.trade.promotions.model import Promotion
from pinwheel.trade.promotions.queries import promotion, rooms


async def fit(tx: Tx, deal: Promotion) -> None:
    """Put aside what may still be had at the deal's price; nothing for other promotions. The
    promotion is under lock. Refuses ``TooFewToPutAside``."""
    if not _is_live(tx, deal):
        return
    called: list[uuid.UUID] = await tx.values(
        """
        select id from promotions.waiting
         where promotion_id = $2 and state = 'called' and cell = $1 order by id
        """,
        tx.cell,
        deal.id,
    )
    turns = await ledger.balances(tx, [model.turn(deal.id, one) for one in called])
    kept = sum(max(0, b.posted - b.held) for b in turns.values())
    await _more(tx, deal, (await rooms(tx, [deal])).get(deal.id, 0) + kept)


async def refit(tx: Tx, before: Promotion | None, deal: Promotion) -> None:
    """A deal that was started has other figures: more pieces or fewer, another offer or end."""
    if before is None or not deal.is_deal:
        return
    was_live = _is_live(tx, before)
    same = (_offer(before), before.starts_at, before.ends_at) == (
        _offer(deal),
        deal.starts_at,
        deal.ends_at,
    )
    if was_live and _is_live(tx, deal) and same:
        more = (limits_of(deal.terms).uses or 0) - (limits_of(before.terms).uses or 0)
        if more > 0:
            await _more(tx, deal, more)
        elif more < 0:
            there = sum(one.free for one in await inventory.earmarks(tx, [deal.id]))
            await inventory.give_back(tx, [deal.id], keep={deal.id: max(0, there + more)})
        return
    await free(tx, [deal.id])
    await fit(tx, deal)


async def catch_up(tx: Tx, *, most: int = 50) -> int:
    """Deals that run with nothing ever put aside, such as those that were live when stock was not
    yet put aside: what may still be had at their price is, or what there is of it; how many. Where
    that is too little, the audit names the deal. 1 statement where there is none."""
    bare: list[uuid.UUID] = await tx.values(
        """
        select p.id from promotions.promotion p
         where p.is_deal and p.state = 'active' and (p.ends_at is null or p.ends_at > $2)
           and not exists (select from inventory.v_earmark e
                            where e.document_id = p.id and e.cell = $1)
         order by p.id limit $3 for update of p skip locked
        """,
        tx.cell,
        tx.now,
        most,
    )
    for deal_id in bare:
        deal = await promotion(tx, deal_id)
        try:
            async with tx.savepoint():
                await fit(tx, deal)
        except inventory.TooFewToPutAside as few:
            await _more(tx, deal, few.facts["free"])
    return len(bare)


async def free(tx: Tx, deal_ids: Sequence[uuid.UUID]) -> None:
    """What nobody has of these deals is everybody's again. Safe to repeat."""
    if deal_ids:
        await inventory.give_back(tx, deal_ids)


async def free_ended(tx: Tx, among: Sequence[uuid.UUID] | None = None) -> None:
    """What came back to deals that are over; ``among`` these, or all. 1 statement where there is
    nothing."""
    await free(
        tx,
        await tx.values(
            """
            select distinct e.document_id from inventory.v_earmark e
              join promotions.promotion p on p.id = e.document_id and p.is_deal
             where e.cell = $1 and e.pieces > 0 and e.free > 0
               and ($3::uuid[] is null or e.document_id = any($3))
               and (p.state <> 'active' or p.ends_at <= $2)
            """,
            tx.cell,
            tx.now,
            None if among is None else list(among),
        ),
    )


class _Sold(msgspec.Struct, frozen=True):
    seller_id: uuid.UUID
    variant_id: uuid.UUID


class _Over(msgspec.Struct, frozen=True):
    promotion_id: uuid.UUID
    order_id: uuid.UUID
    hold_id: uuid.UUID
    over: int
    left: int


async def lower_uses(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Lines of these orders were cancelled: a deal's use counts no more pieces than the order
    still has. The deals of these orders."""
    deals: list[uuid.UUID] = await tx.values(
        """
        select distinct u.promotion_id from promotions.use u
          join promotions.promotion p on p.id = u.promotion_id and p.is_deal
         where u.order_id = any($2::uuid[]) and u.cell = $1
        """,
        tx.cell,
        list(order_ids),
    )
    if not deals:
        return []
    over = await tx.rows(
        _Over,
        """
        select u.promotion_id, u.order_id, h.hold_id, h.remaining - n.pieces as over,
               n.pieces as left
          from promotions.use u
          join promotions.promotion p on p.id = u.promotion_id and p.is_deal
         cross join lateral (
           select coalesce(sum(l.quantity - l.cancelled), 0)::bigint as pieces from orders.v_line l
            where l.order_id = u.order_id and l.cell = u.cell
              and l.offer_id = (p.terms -> 'scope' -> 'offers' ->> 0)::uuid) n
          join ledger.v_hold h on h.document_id = u.order_id and h.cell = u.cell
           and h.state = 'open' and h.remaining > n.pieces
           and starts_with(h.key, 'use:' || u.promotion_id || ':')
         where u.order_id = any($2::uuid[]) and u.cell = $1 order by h.hold_id
        """,
        tx.cell,
        list(order_ids),
    )
    if over:
        await ledger.reduce(tx, [(one.hold_id, one.over) for one in over])
        await tx.run(
            """
            update promotions.use u set pieces = least(u.pieces, o.pieces)
              from unnest($2::uuid[], $3::uuid[], $4::bigint[])
                   as o(order_id, promotion_id, pieces)
             where u.order_id = o.order_id and u.promotion_id = o.promotion_id and u.cell = $1
            """,
            tx.cell,
            [one.order_id for one in over],
            [one.promotion_id for one in over],
            [one.left for one in over],
        )
    return deals


def _is_live(tx: Tx, deal: Promotion) -> bool:
    return (
        deal.is_deal and deal.state == "active" and (deal.ends_at is None or tx.now < deal.ends_at)
    )


def _offer(deal: Promotion) -> uuid.UUID:
    return deal.terms.scope.offers[0]


async def _more(tx: Tx, deal: Promotion, pieces: int) -> None:
    if pieces <= 0:
        return
    offer = await tx.the(
        "offer",
        _Sold,
        "select seller_id, variant_id from marketplace.v_offer where offer_id = $1",
        _offer(deal),
    )
    await inventory.put_aside(
        tx,
        deal.id,
        offer.seller_id,
        offer.variant_id,
        pieces,
        opens_at=deal.starts_at,
        closes_at=deal.ends_at,
    )
