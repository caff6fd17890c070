"""Routes of promotions: the shop's own (scope ``promotions``), wallets and deals."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Limit, delete, get, post
from pinwheel.trade.promotions import actions, coupons, dealing, queries
from pinwheel.trade.promotions.coupons import Grant
from pinwheel.trade.promotions.dealing import Deal, Place
from pinwheel.trade.promotions.model import NewPromotion, Promotion, Terms
from pinwheel.trade.promotions.queries import Batch, Effect, WalletCoupon
from pinwheel.trade.promotions.refusals import (
    CodeTaken,
    CouponExpired,
    CouponUnknown,
    CouponUsed,
    DealOver,
    NotClaimable,
    PromotionFixed,
    PromotionUnsound,
    StillLeft,
)

SCOPE = "promotions"
TAGS = ("Promotions",)
ONE = "/api/v1/promotions/{promotion_id:uuid}"
Instant = Annotated[dt.datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=200)]
Code = Annotated[str, Meta(min_length=3, max_length=40)]
CLAIMS = (("coupon", Limit(20, 15)),)


class Called(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What buyers read."""

    en: Text
    zh: Text = ""


class PromotionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promotion to be saved. With ``code`` it is a coupon that anybody may use who knows it."""

    name: Called
    terms: Terms
    code: Code | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    is_deal: bool = False

    def new(self, promotion_id: UUID | None) -> NewPromotion:
        name = {"en": self.name.en.strip(), "zh-CN": self.name.zh.strip()}
        return NewPromotion(
            id=promotion_id,
            name={k: v for k, v in name.items() if v},
            terms=self.terms,
            code=self.code,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            is_deal=self.is_deal,
        )


class PromotionSight(msgspec.Struct, frozen=True):
    """A promotion with what it has done. ``left``: how often it may still be used."""

    promotion: Promotion
    effects: list[Effect]
    left: int | None
    batches: list[Batch]


class CodesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1, le=10_000)]
    note: Text = ""
    expires_at: Instant | None = None


class Codes(msgspec.Struct, frozen=True):
    batch_id: UUID
    codes: list[str]


class WantedGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    person_id: UUID
    promotion_id: UUID
    key: Annotated[str, Meta(min_length=1, max_length=100)]
    expires_at: Instant | None = None


class GrantsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    grants: Annotated[list[WantedGrant], Meta(min_length=1, max_length=1000)]


class GrantAnswer(msgspec.Struct, frozen=True):
    """The coupon, or why there is none."""

    coupon_id: UUID | None
    fresh: bool
    refusal: str | None = None


class RevokeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    coupon_ids: Annotated[list[UUID], Meta(min_length=1, max_length=1000)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class Revoked(msgspec.Struct, frozen=True):
    revoked: int


class ClaimRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Code


class Claimed(msgspec.Struct, frozen=True):
    coupon_id: UUID
    fresh: bool


@get("/api/v1/promotions", scope=SCOPE, tags=TAGS)
async def list_promotions(
    tx: Tx,
    state: Annotated[str, Meta(max_length=20)] | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Answer[Page[Promotion]]:
    """All promotions, newest first."""
    limit = max(1, min(limit, 200))
    return Answer(await queries.promotions(tx, state=state, cursor=after, limit=limit))


@post(
    "/api/v1/promotions", scope=SCOPE, status=201, once=True, tags=TAGS,
    refusals=(PromotionUnsound, CodeTaken),
)  # fmt: skip
async def make_promotion(tx: Tx, data: PromotionRequest) -> Answer[Promotion]:
    """A draft: nothing holds before it is started."""
    return Answer(await actions.save(tx, data.new(None)))


@get(ONE, scope=SCOPE, tags=TAGS)
async def see_promotion(tx: Tx, promotion_id: UUID) -> Answer[PromotionSight]:
    """One promotion with its uses and what they took off."""
    return Answer(await sight_of(tx, promotion_id))


async def sight_of(tx: Tx, promotion_id: UUID) -> PromotionSight:
    found = await queries.promotion(tx, promotion_id)
    left = (await queries.rooms(tx, [found])).get(found.id)
    effects = await queries.effects(tx, [found.id])
    return PromotionSight(found, effects, left, await queries.batches(tx, found.id))


@post(ONE, scope=SCOPE, tags=TAGS, refusals=(PromotionUnsound, PromotionFixed, CodeTaken))
async def change_promotion(tx: Tx, promotion_id: UUID, data: PromotionRequest) -> Answer[Promotion]:
    """Change it. Orders that agreed to other figures are asked again."""
    await queries.promotion(tx, promotion_id)
    return Answer(await actions.save(tx, data.new(promotion_id)))


@post(f"{ONE}/start", scope=SCOPE, tags=TAGS, refusals=(CodeTaken,))
async def start_promotion(tx: Tx, promotion_id: UUID) -> Answer[Promotion]:
    """It holds from its start on."""
    return Answer(await actions.start(tx, promotion_id))


@post(f"{ONE}/stop", scope=SCOPE, tags=TAGS)
async def stop_promotion(tx: Tx, promotion_id: UUID) -> Answer[Promotion]:
    """It ends now: no order is committed with it after this."""
    return Answer(await actions.stop(tx, promotion_id))


@post(f"{ONE}/codes", scope=SCOPE, status=201, once=True, tags=TAGS, refusals=(PromotionUnsound,))
async def make_codes(tx: Tx, promotion_id: UUID, data: CodesRequest) -> Answer[Codes]:
    """Unique codes, each for one order."""
    batch_id = await coupons.make_codes(
        tx, promotion_id, data.size, note=data.note, expires_at=data.expires_at
    )
    return Answer(Codes(batch_id, await coupons.codes_of(tx, batch_id)))


@post("/api/v1/coupons", scope=SCOPE, tags=TAGS)
async def grant_coupons(tx: Tx, data: GrantsRequest) -> Answer[list[GrantAnswer]]:
    """Put coupons into wallets; a key that was granted before answers with the first coupon."""
    grants = [
        Grant(
            person_id=g.person_id, promotion_id=g.promotion_id, key=g.key, expires_at=g.expires_at
        )
        for g in data.grants
    ]
    answers = await coupons.grant(tx, grants)
    return Answer(
        [
            GrantAnswer(None, False, a.code)
            if isinstance(a, Refusal)
            else GrantAnswer(a.coupon_id, a.fresh)
            for a in answers
        ]
    )


@post("/api/v1/coupons/revoke", scope=SCOPE, tags=TAGS)
async def revoke_coupons(tx: Tx, data: RevokeRequest) -> Answer[Revoked]:
    """Take coupons back; an order that used one keeps it."""
    return Answer(Revoked(await coupons.revoke(tx, data.coupon_ids, reason=data.reason)))


@get("/api/v1/wallet", tags=TAGS)
async def see_wallet(call: Call, tx: Tx) -> Answer[list[WalletCoupon]]:
    """The caller's coupons, newest first."""
    person_id = call.caller.person_id
    return Answer(await queries.wallet(tx, person_id) if person_id is not None else [])


@post(
    "/api/v1/wallet", status=201, tags=TAGS, limits=CLAIMS,
    refusals=(CouponUnknown, CouponExpired, CouponUsed, NotClaimable),
)  # fmt: skip
async def claim(call: Call, db: Database, data: ClaimRequest) -> Answer[Claimed]:
    """Put a coupon into the caller's wallet by its code."""
    given = await claimed(call, db, data.code)
    return Answer(Claimed(given.coupon_id, given.fresh))


async def claimed(call: Call, db: Database, code: str) -> coupons.Granted:
    """Claim; a code that is not known counts as a guess, in a transaction of its own."""
    try:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            person_id = await identity.guest_of(tx, call.caller, call.token)
            return await coupons.claim(tx, person_id, code)
    except CouponUnknown:
        async with db.transaction(actor=call.caller.actor) as tx:
            await coupons.count_guess(tx, call.address or call.caller.actor)
        raise


@get("/api/v1/deals", tags=TAGS)
async def see_deals(tx: Tx) -> Answer[list[Deal]]:
    """Deals that run now or begin within a week."""
    return Answer(await dealing.deals(tx))


@post("/api/v1/deals/{promotion_id:uuid}/wait", tags=TAGS, refusals=(StillLeft, DealOver))
async def wait(call: Call, tx: Tx, promotion_id: UUID) -> Answer[Place]:
    """Wait for a deal that is taken: who comes first is called first."""
    person_id = await identity.guest_of(tx, call.caller, call.token)
    return Answer(await dealing.wait(tx, promotion_id, person_id))


@delete("/api/v1/deals/{promotion_id:uuid}/wait", status=204, tags=TAGS)
async def leave(call: Call, tx: Tx, promotion_id: UUID) -> Answer[None]:
    """Wait no more."""
    if call.caller.person_id is not None:
        await dealing.leave(tx, promotion_id, call.caller.person_id)
    return Answer(None)
