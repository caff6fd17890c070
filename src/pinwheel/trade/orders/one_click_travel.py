"""Orders that travel together: who leads, who joins, and that nobody is left behind."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.orders.draft import (
    Draft,
    Reason,
)
from pinwheel.trade.orders.model import (
    Order,
)


class CarriesOthers(Refusal):
    en = "Order {number} pays the delivery of {others}, sent with it. Cancel the later one first."
    zh = "订单 {number} 承担了同包裹订单 {others} 的运费。请先取消后下的订单。"


class _Leader(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    number: str
    person_id: uuid.UUID
    address_id: uuid.UUID
    market: str
    delivery: str
    placed_at: dt.datetime


class TravelStage:
    """A later order to the same address joins an earlier one that is paid and has not left: it
    pays no second delivery. No statement unless a draft names an address of the book; then one,
    two when placing."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        asking = [d for d in drafts if d.address_id and d.person_id and d.join_seconds]
        leaders = await _leaders(tx, asking) if asking else []
        if placing and leaders:
            staying = await _locked(tx, [leader.order_id for leader in leaders])
            leaders = [leader for leader in leaders if leader.order_id in staying]
        found = {(one.person_id, one.address_id, one.market, one.delivery): one for one in leaders}
        return found, tx.now

    def decide(self, loaded: Any, draft: Draft) -> None:
        leaders, now = loaded
        key = (draft.person_id, draft.address_id, draft.market, draft.delivery)
        leader: _Leader | None = leaders.get(key)
        if leader is None or (now - leader.placed_at).total_seconds() > draft.join_seconds:
            return
        draft.leader_id = leader.order_id
        draft.reasons.append(
            Reason(
                "travel",
                f"Sent with order {leader.number}: no second delivery",
                f"与订单 {leader.number} 同包裹发出，免二次运费",
                -draft.delivery_minor,
            )
        )
        draft.delivery_minor = 0

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        """Who leads and who joins; a leader waits until its youngest can't be undone."""
        joining = [d for d in drafts if d.address_id and d.person_id and d.join_seconds]
        if not joining:
            return
        await tx.run(
            """
            with wait as (
              update orders."order" o set held_until = greatest(o.held_until, w.until)
                from (select leader_id, max(until) as until
                        from unnest($4::uuid[], $9::timestamptz[]) as w(leader_id, until)
                       group by 1) w
               where o.cell = $1 and o.id = w.leader_id
            )
            insert into orders.travel
                   (cell, order_id, leader_id, person_id, address_id, market, delivery, placed_at)
            select $1, t.*, $2
              from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[])
                   as t
            """,
            tx.cell,
            tx.now,
            [d.id for d in joining],
            [d.leader_id or d.id for d in joining],
            [d.person_id for d in joining],
            [d.address_id for d in joining],
            [d.market for d in joining],
            [d.delivery or "" for d in joining],
            [tx.later_than(d.undo_seconds) for d in joining],
        )


async def _leaders(tx: Tx, drafts: Sequence[Draft]) -> list[_Leader]:
    return await tx.rows(
        _Leader,
        """
        select t.order_id, o.number, t.person_id, t.address_id, t.market, t.delivery, t.placed_at
          from (select distinct * from unnest($2::uuid[], $3::uuid[]) as w(person_id, address_id)) w
          join orders.travel t on t.person_id = w.person_id and t.address_id = w.address_id
          join orders."order" o on o.cell = t.cell and o.id = t.order_id
         where t.cell = $1 and t.leader_id = t.order_id and o.state = 'placed'
           and not o.delivery_taken and t.placed_at >= $4
         order by t.order_id
        """,
        tx.cell,
        [d.person_id for d in drafts],
        [d.address_id for d in drafts],
        tx.later_than(-max(d.join_seconds for d in drafts)),
    )


async def _locked(tx: Tx, order_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those that are still here once nobody else can touch them."""
    return set(
        await tx.values(
            """
            select id from orders."order"
             where cell = $1 and id = any($2::uuid[]) and state = 'placed' and not delivery_taken
             order by id for no key update
            """,
            tx.cell,
            sorted(order_ids),
        )
    )


async def refuse_to_strand(tx: Tx, order: Order) -> None:
    """``CarriesOthers`` while orders that have not ended travel with this one for nothing."""
    others = await tx.values(
        """
        select o.number from orders.travel t
          join orders."order" o on o.cell = t.cell and o.id = t.order_id
         where t.cell = $1 and t.leader_id = $2 and t.order_id <> $2 and o.state <> 'cancelled'
         order by o.id
        """,
        tx.cell,
        order.id,
    )
    if others:
        raise CarriesOthers(number=order.number, others=", ".join(others))


async def together(tx: Tx, order_id: uuid.UUID) -> list[uuid.UUID]:
    """The orders to pack with this one, itself among them: paid, and nothing of them has left."""
    found = await tx.values(
        """
        select o.id from orders.travel mine
          join orders.travel t on t.cell = mine.cell and t.leader_id = mine.leader_id
          join orders."order" o on o.cell = t.cell and o.id = t.order_id
         where mine.cell = $1 and mine.order_id = $2 and o.state = 'placed'
           and not o.delivery_taken
         order by o.id
        """,
        tx.cell,
        order_id,
    )
    return found or [order_id]
