"""Pools: opened, filled, closed; and what becomes of an order at a newcomer price."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.growth.newcomers import queries
from pinwheel.growth.newcomers.model import (
    CLAIM,
    FIRST_ORDER,
    NewcomerCalledBack,
    NewcomerWon,
    NewOffer,
    NewPool,
    given_account,
    left_account,
    purpose_of,
    put_up_account,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade import orders, pricing


async def open_pool(tx: Tx, new: NewPool) -> uuid.UUID:
    """A pool without offers; its limits never change. ``Invalid`` for an end before its start."""
    starts = new.starts_at or tx.now
    if new.ends_at is not None and new.ends_at <= starts:
        raise Invalid("ends_at", "the end is before the start", "结束时间早于开始时间")
    pool_id = tx.new_id()
    await tx.run(
        """
        insert into newcomers.pool (cell, id, name, budget_id, per_identity, per_home, cost_percent,
                                    starts_at, ends_at, made_at, made_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        tx.cell,
        pool_id,
        {"en": new.name_en, "zh-CN": new.name_zh},
        new.budget_id,
        new.per_identity,
        new.per_home,
        new.cost_percent,
        starts,
        new.ends_at,
        tx.now,
        tx.actor,
    )
    return pool_id


async def put_up(tx: Tx, pool_id: uuid.UUID, new: NewOffer) -> uuid.UUID:
    """Put an offer into a pool; again with another quantity adds so many. ``NotFound`` for a pool
    that isn't there, ``Invalid`` for a market or an offer without a price there, or when the price
    isn't lower than the normal one."""
    markets = await pricing.markets(tx)
    market = markets.get(new.market)
    if market is None or not market.active:
        raise Invalid("market", "choose one of the shop's markets", "请选择本店支持的市场")
    prices = await pricing.prices(tx, [new.offer_id], market.currency)
    normal = prices.get(new.offer_id)
    if normal is None:
        raise Invalid("offer_id", "it has no price in this market", "该商品在此市场没有价格")
    if new.price_minor >= normal.price_minor:
        raise Invalid("price_minor", "it is no lower than the normal price", "价格不低于正常价格")
    offer_id = tx.new_id()
    made = await tx.value(
        """
        insert into newcomers.offer (cell, id, pool_id, offer_id, market, currency, price_minor,
                                     free_delivery, quantity, left_account)
        select $1, $2, p.id, $4, $5, $6, $7, $8, $9, $10 from newcomers.pool p
         where p.cell = $1 and p.id = $3
        on conflict (cell, pool_id, offer_id, market) do update
           set price_minor = excluded.price_minor, free_delivery = excluded.free_delivery,
               quantity = newcomers.offer.quantity + excluded.quantity, is_open = true
        returning id
        """,
        tx.cell,
        offer_id,
        pool_id,
        new.offer_id,
        new.market,
        market.currency,
        new.price_minor,
        new.free_delivery,
        new.quantity,
        left_account(offer_id).id,
    )
    if made is None:
        raise NotFound(what="pool")
    if new.quantity:
        [answer] = await ledger.post(
            tx,
            [
                ledger.Journal(
                    document_kind="newcomer_offer",
                    document_id=made,
                    key=f"put up {tx.new_id()}",
                    reason="put up for newcomers",
                    transfers=(
                        ledger.Transfer(left_account(made), put_up_account(made), new.quantity),
                    ),
                )
            ],
        )
        if isinstance(answer, Refusal):
            raise answer
    found: uuid.UUID = made
    return found


async def set_pool_open(tx: Tx, pool_id: uuid.UUID, is_open: bool) -> None:
    """Open or stop a pool; orders that are placed keep their price. ``NotFound``."""
    done = await tx.run(
        "update newcomers.pool set is_open = $3 where cell = $1 and id = $2",
        tx.cell,
        pool_id,
        is_open,
    )
    if not done:
        raise NotFound(what="pool")


async def set_offer_open(tx: Tx, newcomer_offer_id: uuid.UUID, is_open: bool) -> None:
    done = await tx.run(
        "update newcomers.offer set is_open = $3 where cell = $1 and id = $2",
        tx.cell,
        newcomer_offer_id,
        is_open,
    )
    if not done:
        raise NotFound(what="newcomer offer")


class _Won(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    pool_id: uuid.UUID
    offer_id: uuid.UUID
    subsidy_minor: int
    currency: str


async def settle_won(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Paid orders at a newcomer price: told to whoever welcomes newcomers. One that is paid after
    its time never comes here: an order that used a right is not taken up again."""
    found = await tx.rows(
        _Won,
        """
        select w.order_id, w.person_id, w.pool_id, w.offer_id, w.subsidy_minor, w.currency
          from newcomers.win w
         where w.cell = $1 and w.order_id = any($2::uuid[]) and w.state = 'held'
         order by w.order_id for update
        """,
        tx.cell,
        list(order_ids),
    )
    await _end(tx, [w.order_id for w in found], "won")
    tx.emit(
        *(
            NewcomerWon(
                order_id=w.order_id,
                person_id=w.person_id,
                pool_id=w.pool_id,
                offer_id=w.offer_id,
                subsidy_minor=w.subsidy_minor,
                currency=w.currency,
            )
            for w in found
        )
    )


async def call_back(tx: Tx, order_id: uuid.UUID, reason: str) -> bool:
    """End an order at a newcomer price that one person may not have twice, and pay it back; what
    has left the house stays sold. True when it was called back."""
    win = await tx.row(
        _Called,
        """
        select person_id, pool_id from newcomers.win
         where cell = $1 and order_id = $2 and state <> 'called_back' for update
        """,
        tx.cell,
        order_id,
    )
    if win is None:
        return False
    try:
        async with tx.savepoint():
            await orders.cancel(tx, order_id, reason=reason)
    except Refusal:
        return False
    await _end(tx, [order_id], "called_back")
    tx.emit(NewcomerCalledBack(order_id=order_id, person_id=win.person_id, pool_id=win.pool_id))
    return True


class _Called(msgspec.Struct, frozen=True):
    person_id: uuid.UUID | None
    pool_id: uuid.UUID


async def _end(tx: Tx, order_ids: Sequence[uuid.UUID], state: str) -> None:
    if order_ids:
        await tx.run(
            """
            update newcomers.win
               set state = $3, won_at = case when $3 = 'won' then $4::timestamptz else won_at end,
                   ended_at = case when $3 = 'won' then null else $4::timestamptz end
             where cell = $1 and order_id = any($2::uuid[])
            """,
            tx.cell,
            list(order_ids),
            state,
            tx.now,
        )


async def give_back(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Orders that were given up or cancelled before anything left: the chance is there again. The
    ledger's holds went back with the order; here it is written down. 1 statement."""
    await tx.run(
        """
        update newcomers.win set state = 'given_back', ended_at = $3
         where cell = $1 and order_id = any($2::uuid[]) and state in ('held', 'won')
        """,
        tx.cell,
        list(order_ids),
        tx.now,
    )


async def give_back_lines(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Some lines were cancelled: where the newcomer's own line is gone whole, its chance and its
    piece of the offer come back though the order goes on."""
    gone = await tx.rows(
        _Gone,
        """
        select w.order_id, w.pool_id, w.newcomer_offer_id from newcomers.win w
          join orders.v_line l on l.cell = w.cell and l.order_id = w.order_id
               and l.offer_id = w.offer_id
         where w.cell = $1 and w.order_id = any($2::uuid[]) and w.state in ('held', 'won')
         group by w.order_id, w.pool_id, w.newcomer_offer_id
        having sum(l.quantity - l.cancelled) = 0
        """,
        tx.cell,
        list(order_ids),
    )
    if not gone:
        return
    holds = await tx.values(
        """
        select h.hold_id from ledger.v_hold h
          join unnest($2::uuid[], $3::text[]) as g(order_id, key) on g.order_id = h.document_id
         where h.cell = $1 and h.state = 'open' and h.document_id = any($2::uuid[])
           and (starts_with(h.key, g.key) or starts_with(h.key, 'newcomer-left:'))
        """,
        tx.cell,
        [g.order_id for g in gone],
        [purpose_of(g.pool_id) for g in gone],
    )
    await ledger.release(tx, holds)
    await give_back(tx, [g.order_id for g in gone])


class _Gone(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    pool_id: uuid.UUID
    newcomer_offer_id: uuid.UUID


class Win(msgspec.Struct, frozen=True, kw_only=True):
    """A newcomer price about to be given."""

    order_id: uuid.UUID
    pool_id: uuid.UUID
    newcomer_offer_id: uuid.UUID
    offer_id: uuid.UUID
    person_id: uuid.UUID
    currency: str
    price_minor: int
    subsidy_minor: int


async def hold_pieces(
    tx: Tx, wins: Sequence[Win], until: dt.datetime
) -> list[ledger.Held | Refusal]:
    """Put a piece of each offer aside with its order."""
    return await ledger.hold(
        tx,
        [
            ledger.Hold(
                document_kind="order",
                document_id=w.order_id,
                key=f"newcomer-left:{w.newcomer_offer_id}",
                debit=given_account(w.newcomer_offer_id),
                credit=left_account(w.newcomer_offer_id),
                amount=1,
                expires_at=until,
            )
            for w in wins
        ],
    )


async def write_wins(tx: Tx, wins: Sequence[Win]) -> None:
    if not wins:
        return
    await tx.run(
        """
        insert into newcomers.win (cell, order_id, id, pool_id, newcomer_offer_id, offer_id,
                                   person_id, currency, price_minor, subsidy_minor, held_at)
        select $1, w.order_id, w.id, w.pool_id, w.newcomer_offer_id, w.offer_id, w.person_id,
               w.currency, w.price_minor, w.subsidy_minor, $2
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[],
                      $9::text[], $10::bigint[], $11::bigint[])
               as w(order_id, id, pool_id, newcomer_offer_id, offer_id, person_id, currency,
                    price_minor, subsidy_minor)
        """,
        tx.cell,
        tx.now,
        [w.order_id for w in wins],
        [tx.new_id() for _ in wins],
        [w.pool_id for w in wins],
        [w.newcomer_offer_id for w in wins],
        [w.offer_id for w in wins],
        [w.person_id for w in wins],
        [w.currency for w in wins],
        [w.price_minor for w in wins],
        [w.subsidy_minor for w in wins],
    )


async def ask_again(tx: Tx, person_id: uuid.UUID, words: str) -> trust.Appeal:
    """Somebody who was told that they are not new asks a person to look at it, also when they have
    only seen the price and not ordered. Refuses what ``trust.appeal`` refuses."""
    open_ones = await trust.verdicts(tx, view="all", person_id=person_id, limit=50)
    is_refused = any(v.stands != "allow" for v in open_ones.items)
    if not is_refused and person_id in await queries.not_new(tx, [person_id]):
        [verdict] = await trust.judge(tx, [trust.Act(kind=CLAIM, person_id=person_id)])
        await trust.refuse(tx, [(verdict.id, FIRST_ORDER)])
    return await trust.appeal(tx, person_id, words)


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Erased people: whose order it was is known no more; what the identity has had, trust keeps
    under a number that leads to nobody."""
    await tx.run(
        "update newcomers.win set person_id = null where cell = $1 and person_id = any($2::uuid[])",
        tx.cell,
        list(person_ids),
    )
