"""Questions about promotions; none takes a lock unless it says so."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.promotions import model
from pinwheel.trade.promotions.book import limits_of
from pinwheel.trade.promotions.model import Promotion


async def promotion(tx: Tx, promotion_id: uuid.UUID, *, lock: bool = False) -> Promotion:
    """One promotion (``lock``: until the transaction ends). ``NotFound``."""
    if lock:
        await tx.value("select 1 from promotions.promotion where id = $1 for update", promotion_id)
    return await tx.the(
        "promotion",
        Promotion,
        """
        select id, name, state, terms, code, starts_at, ends_at, is_deal, changed_at, changed_by
          from promotions.promotion where id = $1
        """,
        promotion_id,
    )


async def promotions(
    tx: Tx, *, state: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Promotion]:
    """All promotions, newest first."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Promotion,
        """
        select id, name, state, terms, code, starts_at, ends_at, is_deal, changed_at, changed_by
          from promotions.promotion
         where ($1::text is null or state = $1) and ($2::uuid is null or id < $2)
         order by id desc limit $3
        """,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda p: (p.id,))


class Effect(msgspec.Struct, frozen=True):
    """What a promotion has done so far, in one currency; orders that came to nothing not
    counted. ``people``: how many different ones."""

    promotion_id: uuid.UUID
    currency: str
    orders: int
    people: int
    off_minor: int


async def effects(tx: Tx, promotion_ids: Sequence[uuid.UUID]) -> list[Effect]:
    """Uses and what they took off, by promotion and currency. One statement."""
    return await tx.rows(
        Effect,
        """
        select u.promotion_id, u.currency, count(*)::int as orders,
               count(distinct u.person_id)::int as people, sum(u.off_minor)::bigint as off_minor
          from promotions.use u
         where u.cell = $1 and u.promotion_id = any($2::uuid[])
           and exists (select from orders.v_line l
                        where l.cell = u.cell and l.order_id = u.order_id
                          and l.state not in ('cancelled', 'pending_payment'))
         group by u.promotion_id, u.currency order by u.promotion_id, u.currency
        """,
        tx.cell,
        list(promotion_ids),
    )


async def rooms(tx: Tx, found: Sequence[Promotion]) -> dict[uuid.UUID, int]:
    """How often each limited promotion may still be used in all. One statement."""
    pools = {
        p.id: model.pool(p.id, uses) for p in found if (uses := limits_of(p.terms).uses) is not None
    }
    if not pools:
        return {}
    balances = await ledger.balances(tx, pools.values())
    left = {}
    for promotion_id, account in pools.items():
        balance = balances.get(account.code)
        used = -(balance.posted - balance.held) if balance is not None else 0
        left[promotion_id] = max(0, -(account.floor or 0) - used)
    return left


class Batch(msgspec.Struct, frozen=True):
    """Unique codes that were made together."""

    id: uuid.UUID
    promotion_id: uuid.UUID
    size: int
    note: str
    expires_at: dt.datetime | None
    made_at: dt.datetime
    made_by: str


async def batches(tx: Tx, promotion_id: uuid.UUID) -> list[Batch]:
    """The batches of codes of a promotion, newest first."""
    return await tx.rows(
        Batch,
        """
        select id, promotion_id, size, note, expires_at, made_at, made_by
          from promotions.batch where promotion_id = $1 order by id desc limit 100
        """,
        promotion_id,
    )


class _Coupon(msgspec.Struct, frozen=True):
    id: uuid.UUID
    promotion_id: uuid.UUID
    name: dict[str, str]
    terms: model.Terms
    state: str
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    expires_at: dt.datetime | None
    granted_at: dt.datetime
    revoked_at: dt.datetime | None


class WalletCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon as its owner sees it. ``state``: usable, planned, used, expired or revoked; the
    coupon's ``id`` is what is given to an order as a code."""

    id: uuid.UUID
    promotion_id: uuid.UUID
    name: dict[str, str]
    terms: model.Terms
    state: str
    starts_at: dt.datetime | None
    until: dt.datetime | None
    granted_at: dt.datetime


async def wallet(tx: Tx, person_id: uuid.UUID, *, limit: int = 200) -> list[WalletCoupon]:
    """The person's coupons, newest first. 2 statements."""
    rows = await tx.rows(
        _Coupon,
        """
        select c.id, c.promotion_id, p.name, p.terms, p.state, p.starts_at, p.ends_at,
               c.expires_at, c.granted_at, c.revoked_at
          from promotions.coupon c join promotions.promotion p on p.id = c.promotion_id
         where c.cell = $1 and c.person_id = $2 order by c.id desc limit $3
        """,
        tx.cell,
        person_id,
        limit,
    )
    accounts = [model.once(r.promotion_id, str(r.id)) for r in rows]
    balances = await ledger.balances(tx, accounts) if rows else {}
    found = []
    for row, account in zip(rows, accounts, strict=True):
        balance = balances.get(account.code)
        used = balance is not None and balance.posted - balance.held < 0
        ends = [at for at in (row.expires_at, row.ends_at) if at is not None]
        found.append(
            WalletCoupon(
                id=row.id,
                promotion_id=row.promotion_id,
                name=row.name,
                terms=row.terms,
                state=_coupon_state(row, tx.now, used, min(ends, default=None)),
                starts_at=row.starts_at,
                until=min(ends, default=None),
                granted_at=row.granted_at,
            )
        )
    return found


def _coupon_state(row: _Coupon, now: dt.datetime, used: bool, until: dt.datetime | None) -> str:
    if used:
        return "used"
    if row.revoked_at is not None:
        return "revoked"
    if row.state == "stopped" or (until is not None and until <= now):
        return "expired"
    if row.state == "draft" or (row.starts_at is not None and row.starts_at > now):
        return "planned"
    return "usable"


async def export(tx: Tx, person_id: uuid.UUID) -> list[WalletCoupon]:
    """For the copy of their data that a person may ask for."""
    return await wallet(tx, person_id, limit=10_000)
