"""The coupon wallet."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel import words
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import promotions

PAGE = "storefront/wallet.html"
ORDER = ("usable", "planned", "used", "expired", "revoked")


class ClaimForm(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(max_length=60)]


@get("/account/coupons")
async def wallet(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """What is in it, what can be used first."""
    return Answer(await _page(call, db), page=PAGE)


async def _page(call: Call, db: Database) -> dict[str, Any]:
    found: list[promotions.WalletCoupon] = []
    if call.caller.person_id is not None:
        async with db.reading() as tx:
            found = await promotions.wallet(tx, call.caller.person_id)
    found.sort(key=lambda c: ORDER.index(c.state))
    return {
        "coupons": [_shown(call, c) for c in found],
        "here": "coupons",
        "title": call.say("Coupons"),
        "robots": "noindex",
    }


def _shown(call: Call, coupon: promotions.WalletCoupon) -> dict[str, Any]:
    conditions = coupon.terms.conditions
    notes = []
    if conditions.min_spend_minor:
        amount = words.money(conditions.min_spend_minor, conditions.currency, call.language)
        notes.append(call.say("from %(amount)s on") % {"amount": amount})
    if conditions.first_order:
        notes.append(call.say("first orders only"))
    if not coupon.terms.scope.is_everything:
        notes.append(call.say("for chosen items"))
    return {
        "code": str(coupon.id),
        "label": said(coupon.name, call.language),
        "state": coupon.state,
        "notes": notes,
        "starts_at": coupon.starts_at,
        "until": coupon.until,
    }


@post("/account/coupons", again="/account/coupons", limits=(("coupon", Limit(20, 15)),))
async def claim(call: Call, db: Database, data: ClaimForm) -> Answer[dict[str, Any]] | See[None]:
    """Put a coupon into the wallet by its code."""
    code = data.code.strip()
    try:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            await _claimed(call, tx, code)
    except Refusal as refusal:
        if isinstance(refusal, promotions.CouponUnknown):
            async with db.transaction(actor=call.caller.actor) as tx:
                await promotions.count_guess(tx, call.address or call.caller.actor)
        if not call.wants_page:
            raise
        told = {"coupon_error": refusal.sentence(call.language), "coupon_typed": code}
        return Answer({**await _page(call, db), **told}, page=PAGE, status=refusal.status)
    return See("/account/coupons")


async def _claimed(call: Call, tx: Tx, code: str) -> None:
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await promotions.claim(tx, person_id, code)
