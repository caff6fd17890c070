"""Coupons: codes, wallets, refusals that say what is missing, and every double use."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import RateLimited, Refusal
from pinwheel.trade import orders, promotions
from pinwheel.trade.promotions import Conditions, Grant, Scope
from trade.promotions.shelf import Shop, open_shop, person

COUPON = Conditions(currency="GBP", coupon=True)


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def given(
    shop: Shop, promotion_id: uuid.UUID, who: uuid.UUID, key: str = "k", **more: Any
) -> uuid.UUID:
    async with shop.db.transaction() as tx:
        one = Grant(person_id=who, promotion_id=promotion_id, key=key, **more)
        [answer] = await promotions.grant(tx, [one])
    assert isinstance(answer, promotions.Granted)
    return answer.coupon_id


async def told(shop: Shop, code: str, *items: tuple[int, int], **more: Any) -> str:
    """What the quote says of the code; "" when it works."""
    quote = await shop.quote(*items, coupons=[code], **more)
    return next((h.en for h in quote.hints if h.kind == "coupon"), "")


async def test_a_grant_is_made_once_a_key(shop: Shop) -> None:
    one = await shop.promote(promotions.AmountOff(100, "order"), conditions=COUPON)
    plain = await shop.promote(promotions.AmountOff(100, "order"))
    wanted = [
        Grant(person_id=person(n), promotion_id=one.id, key=key)
        for n in range(3)
        for key in ("birthday", "birthday", "team")
    ] + [Grant(person_id=person(), promotion_id=plain.id, key="no coupon")]
    async with shop.db.transaction() as tx:
        answers = await promotions.grant(tx, wanted)
        assert tx.statements == 1
    async with shop.db.transaction() as tx:
        again = await promotions.grant(tx, wanted)
    assert isinstance(answers[-1], promotions.NotClaimable)
    ids = {a.coupon_id for a in answers if isinstance(a, promotions.Granted)}
    assert len(ids) == 6
    assert ids == {a.coupon_id for a in again if isinstance(a, promotions.Granted)}
    assert not any(a.fresh for a in again if isinstance(a, promotions.Granted))
    async with shop.db.reading() as tx:
        events = await tx.value(
            "select count(*) from kernel.event where kind = 'promotions.coupon_granted'"
        )
        assert [c.state for c in await promotions.wallet(tx, person(0))] == ["usable"] * 2
    assert events == 6


async def test_one_coupon_in_two_tabs_is_used_once_and_comes_back_when_cancelled(
    shop: Shop,
) -> None:
    one = await shop.promote(promotions.AmountOff(100, "order"), conditions=COUPON)
    coupon = str(await given(shop, one.id, person()))
    answers = await asyncio.gather(
        *(
            shop.buying.buy(shop.draft((0, 1), coupons=[coupon], person_id=person()))
            for _ in range(2)
        ),
        return_exceptions=True,
    )
    [bought] = [a for a in answers if isinstance(a, orders.Bought)]
    assert bought.total_minor == 900 + 399
    assert "used already" in await told(shop, coupon, (0, 1), person_id=person())
    async with shop.db.transaction() as tx:
        assert [c.state for c in await promotions.wallet(tx, person())] == ["used"]
        await orders.cancel(tx, bought.order_id, reason="too late")
        assert [c.state for c in await promotions.wallet(tx, person())] == ["usable"]
    assert await told(shop, coupon, (0, 1), person_id=person()) == ""
    assert not await shop.broken()


async def test_nobody_uses_anothers_coupon(shop: Shop) -> None:
    one = await shop.promote(promotions.AmountOff(100, "order"), conditions=COUPON)
    coupon = str(await given(shop, one.id, person(1)))
    for who in (person(2), None):
        assert "not known" in await told(shop, coupon, (0, 1), person_id=who)
    assert await told(shop, coupon, (0, 1), person_id=person(1)) == ""


async def test_unique_codes_work_once_each_and_are_made_again_for_the_file(shop: Shop) -> None:
    one = await shop.promote(promotions.AmountOff(100, "order"), conditions=COUPON)
    async with shop.db.transaction() as tx:
        batch = await promotions.make_codes(tx, one.id, 50, note="fair")
        codes = await promotions.codes_of(tx, batch)
        stored = await tx.connection.fetch("select * from promotions.code limit 100")
    assert len(set(codes)) == 50 and not any(c.encode() in str(stored).encode() for c in codes)
    async with shop.db.reading() as tx:
        assert await promotions.codes_of(tx, batch) == codes
    typed = codes[7].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert (await shop.quote((0, 1), coupons=[typed])).discount_minor == 100
    await shop.buying.buy(shop.draft((0, 1), coupons=[typed]))
    assert "used already" in await told(shop, codes[7], (0, 1))
    with pytest.raises(Refusal, match="used already"):
        await shop.buying.buy(shop.draft((0, 1), coupons=[codes[7]]))
    async with shop.db.transaction() as tx:
        given = await promotions.claim(tx, person(), codes[8])
    assert "used already" in await told(shop, codes[8], (0, 1), person_id=person(2))
    assert await told(shop, str(given.coupon_id), (0, 1), person_id=person()) == ""
    with pytest.raises(Refusal, match="used already"):
        async with shop.db.transaction() as tx:
            await promotions.claim(tx, person(2), codes[8])
    assert not await shop.broken()


async def test_each_refusal_says_what_is_missing(shop: Shop, clock: SetClock) -> None:
    now = clock.now()
    both = {"conditions": COUPON}
    await shop.promote(
        promotions.AmountOff(100, "order"), code="LATER", starts_at=now + dt.timedelta(days=1)
    )
    await shop.promote(
        promotions.AmountOff(100, "order"), code="SHORT", ends_at=now + dt.timedelta(minutes=5)
    )
    conditions = Conditions(currency="GBP", min_spend_minor=3000)
    await shop.promote(promotions.AmountOff(100, "order"), code="MORE", conditions=conditions)
    await shop.promote(
        promotions.AmountOff(100), code="OTHER", scope=Scope(offers=[shop.offers[2]])
    )
    await shop.promote(promotions.AmountOff(100), code="HERE", conditions=Conditions(
        currency="GBP", markets=["US"]))  # fmt: skip
    revoked = await shop.promote(promotions.AmountOff(100, "order"), **both)
    coupon = await given(shop, revoked.id, person())
    async with shop.db.transaction() as tx:
        assert await promotions.revoke(tx, [coupon], reason="fraud") == 1
    assert "not known" in await told(shop, "NOTHING", (0, 1))
    assert "does not hold yet" in await told(shop, "LATER", (0, 1))
    assert "Spend £20.00 more" in await told(shop, "more", (0, 1))
    assert await told(shop, "more", (0, 3)) == ""
    assert "not for the items" in await told(shop, "OTHER", (0, 1))
    assert "market or currency" in await told(shop, "HERE", (0, 1))
    assert "expired" in await told(shop, str(coupon), (0, 1), person_id=person())
    clock.travel(minutes=5)
    assert "expired" in await told(shop, "SHORT", (0, 1))
    with pytest.raises(Refusal, match=r"Spend £20\.00 more"):
        await shop.buying.buy(shop.draft((0, 1), coupons=["MORE"]))


async def test_a_coupon_lies_with_the_cart_until_it_is_ordered(db: Database, shop: Shop) -> None:
    await shop.promote(promotions.AmountOff(100, "order"), code="SAVE")
    who = person()
    async with db.transaction() as tx:
        await orders.put_in_cart(tx, who, "GB", [orders.Item(shop.offers[0], 2)])
        await orders.set_cart_coupons(tx, who, ["save", "save"])
    await shop.quote((0, 1), coupons=["save"])  # reads the rules once
    async with db.reading() as tx:
        sight = await orders.cart(tx, shop.buying.checkout, who, market="GB", country="GB")
        assert tx.statements <= 7
    assert sight.coupons == ["save"] and sight.quote is not None
    assert sight.quote.discount_minor == 100


async def test_guessing_is_slowed_down(db: Database) -> None:
    for _ in range(10):
        async with db.transaction() as tx:
            await promotions.count_guess(tx, "visitor")
    with pytest.raises(RateLimited):
        async with db.transaction() as tx:
            await promotions.count_guess(tx, "visitor")
