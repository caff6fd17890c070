"""Saving, starting and stopping promotions. Each says that the rules have changed (``revise``)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.trade import orders
from pinwheel.trade.promotions import model, stocking
from pinwheel.trade.promotions.book import limits_of, plain
from pinwheel.trade.promotions.checking import check
from pinwheel.trade.promotions.model import NewPromotion, Promotion, PromotionEnded
from pinwheel.trade.promotions.queries import promotion
from pinwheel.trade.promotions.refusals import CodeTaken, PromotionFixed


async def save(tx: Tx, new: NewPromotion) -> Promotion:
    """Make a draft, or change what is there; orders that agreed to other figures are asked again.

    Refuses ``PromotionUnsound``, ``CodeTaken``, ``NotFound``; ``PromotionFixed`` for what one
    person may use and how it is counted once it was started; the ledger's ``Insufficient`` for
    fewer uses than were used; ``TooFewToPutAside`` for more pieces of a deal that runs than there
    are. With a code it is a coupon."""
    check(new)
    terms = new.terms
    if new.code is not None and not terms.conditions.coupon:
        conditions = msgspec.structs.replace(terms.conditions, coupon=True)
        terms = msgspec.structs.replace(terms, conditions=conditions)
    before = await promotion(tx, new.id, lock=True) if new.id is not None else None
    if before is not None and before.state != "draft":
        was, now = limits_of(before.terms), limits_of(terms)
        if was.per_person != now.per_person or was.counts != now.counts:
            raise PromotionFixed(what="per person")
        if before.is_deal != new.is_deal:
            raise PromotionFixed(what="deal")
    promotion_id = new.id or tx.new_id()
    try:
        async with tx.savepoint():
            await _write(tx, promotion_id, new, msgspec.to_builtins(terms))
    except asyncpg.UniqueViolationError as error:
        raise CodeTaken(code=new.code) from error
    saved = await promotion(tx, promotion_id)
    if saved.state == "active":
        await _open_pool(tx, saved)
        await stocking.refit(tx, before, saved)
        await orders.revise(tx)
    return saved


async def _write(tx: Tx, promotion_id: uuid.UUID, new: NewPromotion, terms: object) -> None:
    await tx.run(
        """
        insert into promotions.promotion as p
               (id, name, terms, code, starts_at, ends_at, is_deal, created_at, changed_at,
                changed_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
        on conflict (id) do update
           set name = excluded.name, terms = excluded.terms, code = excluded.code,
               starts_at = excluded.starts_at, ends_at = excluded.ends_at,
               is_deal = excluded.is_deal, changed_at = excluded.changed_at,
               changed_by = excluded.changed_by,
               told = case when p.told = 'ended' and p.state = 'active'
                            and (excluded.ends_at is null or excluded.ends_at > $8)
                           then '' else p.told end
        """,
        promotion_id,
        new.name,
        terms,
        plain(new.code) if new.code else None,
        new.starts_at,
        new.ends_at,
        new.is_deal,
        tx.now,
        tx.actor,
    )


async def start(tx: Tx, promotion_id: uuid.UUID) -> Promotion:
    """It holds from its start on; a deal's pieces are put aside. Safe to repeat; a stopped one may
    be started again. Refuses ``CodeTaken``, ``TooFewToPutAside``."""
    found = await promotion(tx, promotion_id, lock=True)
    if found.state == "active":
        return found
    try:
        async with tx.savepoint():
            await _set_state(tx, promotion_id, "active", "")
    except asyncpg.UniqueViolationError as error:
        raise CodeTaken(code=found.code) from error
    started = await promotion(tx, promotion_id)
    await _open_pool(tx, started)
    await stocking.fit(tx, started)
    await orders.revise(tx)
    return started


async def stop(tx: Tx, promotion_id: uuid.UUID) -> Promotion:
    """It ends now: no order is committed with it after this is, and a deal's pieces that nobody
    has are everybody's again. Safe to repeat."""
    found = await promotion(tx, promotion_id, lock=True)
    if found.state != "active":
        return found
    await _set_state(tx, promotion_id, "stopped", "ended")
    await stocking.free(tx, [promotion_id] if found.is_deal else [])
    await orders.revise(tx)
    tx.emit(PromotionEnded(promotion_id=found.id, name=found.name, reason="stopped"))
    return await promotion(tx, promotion_id)


async def _set_state(tx: Tx, promotion_id: uuid.UUID, state: str, told: str) -> None:
    await tx.run(
        """
        update promotions.promotion set state = $2, told = $3, changed_at = $4, changed_by = $5
         where id = $1
        """,
        promotion_id,
        state,
        told,
        tx.now,
        tx.actor,
    )


async def _open_pool(tx: Tx, saved: Promotion) -> None:
    uses = limits_of(saved.terms).uses
    if uses is not None:
        account = model.pool(saved.id, uses)
        await ledger.open_accounts(tx, [account, model.taken(saved.id)])
        await ledger.set_floor(tx, account, -uses)


class _Told(msgspec.Struct, frozen=True):
    id: uuid.UUID
    name: dict[str, str]
    ends_at: dt.datetime | None
    told: str
    is_deal: bool


async def tell(tx: Tx) -> None:
    """Say which promotions have begun and which are over since the last time; the pieces of deals
    that are over are everybody's again."""
    told = await tx.rows(
        _Told,
        """
        update promotions.promotion p
           set told = case when p.ends_at <= $1 then 'ended' else 'started' end
         where p.state = 'active'
           and ((p.told = '' and coalesce(p.starts_at, $1) <= $1)
                or (p.told <> 'ended' and p.ends_at <= $1))
        returning p.id, p.name, p.ends_at, p.told, p.is_deal
        """,
        tx.now,
    )
    await stocking.free(tx, [t.id for t in told if t.is_deal and t.told == "ended"])
    events: Sequence[model.PromotionStarted | PromotionEnded] = [
        model.PromotionStarted(promotion_id=t.id, name=t.name, ends_at=t.ends_at)
        if t.told == "started"
        else PromotionEnded(promotion_id=t.id, name=t.name, reason="over")
        for t in told
    ]
    tx.emit(*events)
