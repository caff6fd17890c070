"""Coupons: codes in bulk, coupons in wallets, and what a code typed in is worth."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel import rate
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders
from pinwheel.trade.promotions import model
from pinwheel.trade.promotions.book import books_of, plain
from pinwheel.trade.promotions.knowing import digest_of
from pinwheel.trade.promotions.queries import Batch, promotion
from pinwheel.trade.promotions.refusals import (
    CouponExpired,
    CouponUnknown,
    CouponUsed,
    NotClaimable,
    PromotionUnsound,
)

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MOST_CODES = 100_000
MOST_WITH_CART = 10
GUESSES = rate.Limit(burst=10, seconds_each=60)
"""Unknown codes that one visitor may type: ten at once, then one a minute. A code has 60 random
bits: with a million codes out, that finds one in about two thousand centuries of guessing."""


class RacedGrant(asyncpg.SerializationError):  # type: ignore[misc]
    """The same coupon was granted a moment ago: tried again, it is found."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon for somebody. ``key`` says why, once for each person and promotion."""

    person_id: uuid.UUID
    promotion_id: uuid.UUID
    key: str
    expires_at: dt.datetime | None = None


class Granted(msgspec.Struct, frozen=True):
    """``fresh`` is False when this key had been granted before."""

    coupon_id: uuid.UUID
    fresh: bool = True


class _Row(msgspec.Struct, frozen=True):
    position: int
    coupon_id: uuid.UUID | None
    fresh: bool
    sound: bool


async def grant(tx: Tx, grants: Sequence[Grant]) -> list[Granted | Refusal]:
    """Put coupons into wallets; one answer each. Refuses ``NotClaimable`` where the promotion is
    no coupon, stopped or over. A repeat of a key answers with the first coupon. 1 statement."""
    if not grants:
        return []
    rows = await tx.rows(
        _Row,
        """
        with wanted as (
          select * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
                 with ordinality as w(id, person_id, promotion_id, key, expires_at, position)
        ), sound as (
          select w.* from wanted w join promotions.promotion p on p.id = w.promotion_id
           where p.state <> 'stopped' and (p.ends_at is null or p.ends_at > $7)
             and (p.terms -> 'conditions' ->> 'coupon')::boolean
        ), fresh as (
          insert into promotions.coupon
                 (cell, id, person_id, promotion_id, key, expires_at, granted_at)
          select $1, id, person_id, promotion_id, key, expires_at, $7 from sound order by position
          on conflict (cell, promotion_id, person_id, key) do nothing
          returning id, person_id, promotion_id, key
        )
        select w.position::int, coalesce(f.id, c.id) as coupon_id, f.id = w.id as fresh,
               s.id is not null as sound
          from wanted w
          left join sound s on s.position = w.position
          left join fresh f on f.promotion_id = w.promotion_id and f.person_id = w.person_id
                           and f.key = w.key
          left join promotions.coupon c
            on c.cell = $1 and c.promotion_id = w.promotion_id and c.person_id = w.person_id
           and c.key = w.key
         order by w.position
        """,
        tx.cell,
        [tx.new_id() for _ in grants],
        [g.person_id for g in grants],
        [g.promotion_id for g in grants],
        [g.key for g in grants],
        [g.expires_at for g in grants],
        tx.now,
    )
    answers: list[Granted | Refusal] = []
    for one, row in zip(grants, rows, strict=True):
        if row.coupon_id is None and row.sound:
            raise RacedGrant(one.key)
        if row.coupon_id is None:
            answers.append(NotClaimable())
            continue
        answers.append(Granted(row.coupon_id, bool(row.fresh)))
        if row.fresh:
            tx.emit(
                model.CouponGranted(
                    coupon_id=row.coupon_id,
                    promotion_id=one.promotion_id,
                    person_id=one.person_id,
                    expires_at=one.expires_at,
                )
            )
    return answers


async def revoke(tx: Tx, coupon_ids: Sequence[uuid.UUID], *, reason: str) -> int:
    """Take coupons back that were not used; orders that used one keep it. How many. 1 statement."""
    return await tx.run(
        """
        update promotions.coupon set revoked_at = $3, revoke_reason = $4
         where cell = $1 and id = any($2::uuid[]) and revoked_at is null
        """,
        tx.cell,
        list(coupon_ids),
        tx.now,
        reason[:200],
    )


def made_code(tx: Tx, batch_id: uuid.UUID, number: int) -> str:
    """The code of a batch and number: 60 bits of a keyed hash, in groups of four. It is made anew
    whenever it is asked for; nobody without the installation's secret can."""
    raw = tx.db.vault.blind(f"{batch_id}:{number}", "promotions.code.made")
    bits = int.from_bytes(raw[:8], "big") >> 4
    letters = "".join(ALPHABET[(bits >> shift) & 31] for shift in range(55, -1, -5))
    return "-".join((letters[:4], letters[4:8], letters[8:]))


async def make_codes(
    tx: Tx,
    promotion_id: uuid.UUID,
    size: int,
    *,
    note: str = "",
    expires_at: dt.datetime | None = None,
) -> uuid.UUID:
    """``size`` unique codes, each for one order; the batch's id. ``codes_of`` tells them. Refuses
    ``PromotionUnsound`` (not a coupon, too many), ``NotFound``. 3 statements."""
    found = await promotion(tx, promotion_id)
    if not found.terms.conditions.coupon:
        why = "only a coupon promotion has codes"
        raise PromotionUnsound("codes", why, "只有优惠券活动才有优惠码")
    if not 1 <= size <= MOST_CODES:
        raise PromotionUnsound("size", f"1 to {MOST_CODES} codes", f"数量须为 1 至 {MOST_CODES}")
    batch_id = tx.new_id()
    digests = [digest_of(tx, made_code(tx, batch_id, n)) for n in range(size)]
    await tx.run(
        """
        insert into promotions.batch (id, promotion_id, size, note, expires_at, made_at, made_by)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        batch_id,
        promotion_id,
        size,
        note[:200],
        expires_at,
        tx.now,
        tx.actor,
    )
    await tx.run(
        """
        insert into promotions.code (cell, digest, batch_id, number, promotion_id, expires_at)
        select $1, c.digest, $2, c.position - 1, $3, $4
          from unnest($5::bytea[]) with ordinality as c(digest, position)
        """,
        tx.cell,
        batch_id,
        promotion_id,
        expires_at,
        digests,
    )
    return batch_id


async def codes_of(tx: Tx, batch_id: uuid.UUID) -> list[str]:
    """Every code of a batch, in order. ``NotFound``."""
    batch = await tx.the(
        "batch",
        Batch,
        """
        select id, promotion_id, size, note, expires_at, made_at, made_by
          from promotions.batch where id = $1
        """,
        batch_id,
    )
    return [made_code(tx, batch_id, n) for n in range(batch.size)]


class _Code(msgspec.Struct, frozen=True):
    promotion_id: uuid.UUID
    expires_at: dt.datetime | None


async def claim(tx: Tx, person_id: uuid.UUID, code: str) -> Granted:
    """Put a public coupon, or a unique code, into the person's wallet. A unique code is spent by
    it. Refuses ``CouponUnknown``, ``CouponExpired``, ``CouponUsed``, ``NotClaimable``."""
    book = await books_of(tx).at(tx, await revision(tx))
    public = book.codes.get(plain(code))
    if public is not None:
        return await _granted(tx, Grant(person_id=person_id, promotion_id=public, key="claimed"))
    digest = digest_of(tx, code)
    found = await tx.row(
        _Code,
        """
        select promotion_id, expires_at from promotions.code where cell = $1 and digest = $2
        """,
        tx.cell,
        digest,
    )
    if found is None:
        raise CouponUnknown(code=code)
    if found.expires_at is not None and found.expires_at <= tx.now:
        raise CouponExpired(code=code)
    given = await _granted(
        tx,
        Grant(
            person_id=person_id,
            promotion_id=found.promotion_id,
            key=f"code:{digest.hex()}",
            expires_at=found.expires_at,
        ),
    )
    if given.fresh:
        spent = ledger.Transfer(
            model.taken(found.promotion_id), model.once(found.promotion_id, digest.hex()), 1
        )
        [posted] = await ledger.post(
            tx,
            [
                ledger.Journal(
                    document_kind="coupon",
                    document_id=given.coupon_id,
                    key="claimed",
                    reason="a code became a coupon",
                    transfers=(spent,),
                )
            ],
        )
        if isinstance(posted, Refusal):
            raise CouponUsed(code=code)
    return given


async def _granted(tx: Tx, one: Grant) -> Granted:
    [answer] = await grant(tx, [one])
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def revision(tx: Tx) -> int:
    """The revision of the rules as this transaction sees it. 1 statement."""
    found: int = await tx.value("select version from orders.v_revision")
    return found


async def count_guess(tx: Tx, who: str) -> None:
    """An unknown code was typed by ``who`` (a person, a device, an address): ``RateLimited`` after
    too many. In a transaction of its own, before the refusal is told."""
    await rate.take(tx, f"coupon:{who}", GUESSES)


async def enter(tx: Tx, person_id: uuid.UUID, code: str, sight: orders.CartSight) -> None:
    """Put a code beside what lies with the person's cart (``sight``: the cart as it stands, quoted
    with the code). A code that can't work is refused and not kept; one that only wants more to be
    spent is kept, and the quote says how much."""
    if len(sight.coupons) >= MOST_WITH_CART:
        why = f"no more than {MOST_WITH_CART} with one cart; take one out first"
        raise PromotionUnsound("code", why, f"每个购物车最多 {MOST_WITH_CART} 个，请先移除一个")
    quote = sight.quote
    hint = next((h for h in quote.hints if h.code == code), None) if quote is not None else None
    if hint is not None and not hint.missing_minor:
        raise CodeRefused(hint)
    await orders.set_cart_coupons(tx, person_id, [*sight.coupons, code])


class CodeRefused(Refusal):
    """Why the quote says that this code does not work."""

    status = 422
    en = "{why}"
    zh = "{why_zh}"

    def __init__(self, hint: orders.Hint) -> None:
        super().__init__(why=hint.en, why_zh=hint.zh)
        self.unknown = hint.source_id is None
