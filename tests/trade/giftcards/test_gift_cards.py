"""Gift cards: codes, races, shares of orders, refunds in order, chargebacks, last days, sales."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.ground import identity
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid, NotFound, RateLimited
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import giftcards, orders, payments
from pinwheel.trade.orders import Bought, Buying, Checkout, Tender
from pinwheel.trade.payments import (
    GiftCard,
    GiftCardBlockedNow,
    GiftCardExpired,
    GiftCardIs,
    GiftCardNotKept,
    GiftCardOtherCurrency,
    GiftCardTooLow,
    GiftCardUsed,
    GiftCodeInUse,
    GiftCodeMistyped,
    GiftCodeUnknown,
    MadeCard,
    Outcome,
)
from pinwheel.trade.payments.gifts import LETTERS, check_letter, code_of
from shop import Shop, money, open_shop

GIVEN, BREAKAGE, SALES = "gift_cards_given:GBP", "gift_card_breakage:GBP", "sales:own:GBP"
THING = 1000 + 399  # one piece and its delivery


@pytest.fixture
async def shop(db: Database) -> Shop:
    shop = await open_shop(db)
    shop.buying = Buying(db, Checkout(after_tax=(giftcards.GiftCardStage(),)))
    return shop


async def person(db: Database, email: str = "a@example.org") -> uuid.UUID:
    async with db.transaction() as tx:
        return (await identity.register(tx, email, password_hash=None, language="en")).id


async def made(
    db: Database, face: int = 5000, currency: str = "GBP", size: int = 1, **more: object
) -> list[MadeCard]:
    async with db.transaction(actor="operator") as tx:
        how = {"market": "GB", "reason": "a prize"} | more
        _, cards = await payments.make_gift_cards(tx, size, face, currency, **how)  # type: ignore[arg-type]
    return cards


async def kept(db: Database, who: uuid.UUID, code: str) -> GiftCard:
    async with db.transaction() as tx:
        return await payments.keep_gift_card(tx, who, code)


async def balance(db: Database, card_id: uuid.UUID, currency: str = "GBP") -> int:
    account = payments.gift_card(card_id, currency)
    return (await money(db, account.code))[account.code]


def card_tender(card_id: uuid.UUID, amount: int | None = None) -> Tender:
    return Tender(payments.GIFT_CARD, str(card_id), amount)


CARD = Tender("sandbox", "tok_ok")


async def buy(shop: Shop, who: uuid.UUID | None, *tenders: Tender, **more: object) -> Bought:
    draft = shop.draft((0, 1), person_id=who, tenders=list(tenders), **more)  # type: ignore[arg-type]
    return await shop.buying.buy(draft)


async def paid_with(db: Database, order_id: uuid.UUID) -> dict[str, tuple[int, int]]:
    """provider → (captured, refunded)."""
    async with db.reading() as tx:
        found = await payments.payments_of(tx, [order_id])
    return {p.provider: (p.captured_minor, p.refunded_minor) for p in found}


async def state(db: Database, card_id: uuid.UUID) -> str:
    return str(
        await db.pool.fetchval("select state from payments.gift_card where id = $1", card_id)
    )


# --- codes


@given(st.integers(0, 2**75 - 1), st.integers(0, 15), st.sampled_from(LETTERS))
def test_every_single_wrong_letter_is_seen_without_a_look_up(
    bits: int, at: int, wrong: str
) -> None:
    code = code_of(bits).replace("-", "")
    assert payments.read_code(code) == code
    changed = code[:at] + wrong + code[at + 1 :]
    assert (payments.read_code(changed) is None) == (wrong != code[at])


def test_a_code_is_read_as_people_type_it() -> None:
    body = "0123456789ABVDE"
    code = body + check_letter(body)
    typed = (
        code.lower(),
        f"  {code[:4]} {code[4:8]}—{code[8:12]}. {code[12:]} ",
        code.replace("0", "O").replace("1", "l").replace("V", "u"),
        "".join(chr(ord(c) + 0xFEE0) for c in code),  # full-width letters
    )
    assert [payments.read_code(t) for t in typed] == [code] * len(typed)
    assert payments.read_code("") is None
    assert payments.read_code(code + "0") is None


async def test_a_code_is_shown_once_and_kept_as_a_hash(db: Database) -> None:
    cards = await made(db, size=200)
    assert len({c.code for c in cards}) == 200
    assert cards[0].code not in repr(cards)
    everything = await db.pool.fetch("select g::text as row from payments.gift_card g")
    everything += await db.pool.fetch("select e::text as row from kernel.event e")
    letters = cards[0].code.replace("-", "")
    assert not [r for r in everything if letters in r["row"] or cards[0].code in r["row"]]


async def test_wrong_codes_are_refused_and_counted(db: Database) -> None:
    who = await person(db)
    with pytest.raises(GiftCodeMistyped):
        await kept(db, who, "AAAA-AAAA-AAAA-AAAB")
    with pytest.raises(GiftCodeUnknown):
        await kept(db, who, code_of(12345))
    counted = 0
    for _ in range(20):
        try:
            async with db.transaction() as tx:
                await payments.count_gift_guess(tx, "203.0.113.7", f"person {counted}")
            counted += 1
        except RateLimited:
            break
    assert counted == 10, "another name does not help from the same address"


# --- paying


async def test_a_card_pays_a_part_and_money_the_rest(shop: Shop, worker: Worker) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, 500)
    assert (await kept(shop.db, who, card.code.lower())).balance_minor == 500
    bought = await buy(shop, who, card_tender(card.id), CARD)
    assert bought.state == "placed"
    assert await paid_with(shop.db, bought.order_id) == {
        "gift_card": (500, 0),
        "sandbox": (THING - 500, 0),
    }
    assert await balance(shop.db, card.id) == 0
    await worker.drain()
    assert not await shop.broken()


async def test_a_card_is_used_over_several_orders_to_the_last_penny(shop: Shop) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, 2 * THING + 7)
    await kept(shop.db, who, card.code)
    for _ in range(2):
        assert (await buy(shop, who, card_tender(card.id))).state == "placed"
    assert await balance(shop.db, card.id) == 7
    with pytest.raises(orders.TenderMismatch):
        await buy(shop, who, card_tender(card.id))
    third = await buy(shop, who, card_tender(card.id), CARD)
    assert (await paid_with(shop.db, third.order_id))["gift_card"] == (7, 0)
    assert await money(shop.db, GIVEN) == {GIVEN: 2 * THING + 7}
    assert not await shop.broken()


async def test_fifty_checkouts_never_overdraw_one_card(db: Database) -> None:
    shop = await open_shop(db, [100], [{"MAIN": 200}])
    shop.buying = Buying(db, Checkout(after_tax=(giftcards.GiftCardStage(),)))
    whole = 100 + 399
    people = [await person(db, f"p{n}@example.org") for n in range(5)]
    [card] = await made(db, 10 * whole + 3)
    for who in people:
        await kept(db, who, card.code)
    answers = await asyncio.gather(
        *(
            buy(shop, people[n % 5], card_tender(card.id, whole if n % 2 else None))
            for n in range(50)
        ),
        return_exceptions=True,
    )
    placed = [a for a in answers if isinstance(a, Bought)]
    refused = [a for a in answers if isinstance(a, GiftCardTooLow | orders.TenderMismatch)]
    assert (len(placed), len(refused)) == (10, 40), [a for a in answers if a not in placed][:3]
    assert await balance(db, card.id) == 3
    assert await shop.stock(0) == (200, 10)
    assert not await shop.broken()


async def test_a_card_is_paid_with_only_by_who_knows_its_code(shop: Shop) -> None:
    thief = await person(shop.db)
    [card] = await made(shop.db)
    for who in (thief, None):
        for amount in (None, THING):
            with pytest.raises(GiftCardNotKept):
                await buy(shop, who, card_tender(card.id, amount))
    with pytest.raises(GiftCardNotKept):
        await buy(shop, thief, Tender(payments.GIFT_CARD, card.code, THING))
    assert await balance(shop.db, card.id) == 5000
    assert await shop.stock(0) == (100, 0)


async def test_another_currency_is_refused_with_a_sentence(shop: Shop) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, currency="USD")
    await kept(shop.db, who, card.code)
    for tenders in ([card_tender(card.id, THING)], [card_tender(card.id), CARD]):
        with pytest.raises(GiftCardOtherCurrency) as refused:
            await buy(shop, who, *tenders)
    assert "USD" in refused.value.sentence("en")
    assert "USD" in refused.value.sentence("zh-CN")
    assert await balance(shop.db, card.id, "USD") == 5000


async def test_a_declined_card_gives_the_gift_card_its_share_back(
    shop: Shop, worker: Worker
) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, 500)
    await kept(shop.db, who, card.code)
    with pytest.raises(orders.PaymentDeclined):
        await buy(shop, who, card_tender(card.id), Tender("sandbox", "tok_declined"))
    await worker.drain()
    assert await balance(shop.db, card.id) == 500
    assert await shop.stock(0) == (100, 0)
    assert not await shop.broken()


# --- refunds


async def test_a_part_refund_is_money_first_and_the_card_gets_its_own_back(
    shop: Shop, worker: Worker
) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, 500)
    await kept(shop.db, who, card.code)
    bought = await buy(shop, who, card_tender(card.id), CARD)
    async with shop.db.transaction() as tx:
        await orders.give_goodwill(tx, bought.order_id, 800, "late", gift_id=tx.new_id())
    await worker.drain()
    assert await paid_with(shop.db, bought.order_id) == {
        "gift_card": (500, 0),
        "sandbox": (THING - 500, 800),
    }
    async with shop.db.transaction() as tx:
        await orders.give_goodwill(tx, bought.order_id, 200, "later", gift_id=tx.new_id())
    await worker.drain()
    assert (await paid_with(shop.db, bought.order_id))["gift_card"] == (500, 101)
    assert await balance(shop.db, card.id) == 101


async def test_a_cancelled_order_fills_the_card_up_again(shop: Shop, worker: Worker) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, 500)
    await kept(shop.db, who, card.code)
    bought = await buy(shop, who, card_tender(card.id), CARD)
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind", person_id=who)
    await worker.drain()
    assert await balance(shop.db, card.id) == 500
    assert not await shop.broken()


# --- blocks, last days


async def test_a_stolen_card_is_blocked_and_its_balance_moves_to_a_new_one(
    shop: Shop, worker: Worker
) -> None:
    who = await person(shop.db)
    [card] = await made(shop.db, 3000)
    await kept(shop.db, who, card.code)
    bought = await buy(shop, who, card_tender(card.id))
    async with shop.db.transaction() as tx:
        with pytest.raises(GiftCardIs):
            await payments.replace_gift_card(tx, card.id, "stolen")
        assert await payments.block_gift_card(tx, card.id, "stolen")
        assert not await payments.block_gift_card(tx, card.id, "stolen")
    with pytest.raises(GiftCardBlockedNow):
        await buy(shop, who, card_tender(card.id, THING))
    with pytest.raises(GiftCardBlockedNow):
        await kept(shop.db, await person(shop.db, "b@example.org"), card.code)
    async with shop.db.transaction() as tx:
        again = await payments.replace_gift_card(tx, card.id, "stolen")
    assert await balance(shop.db, again.id) == 3000 - THING
    # What the old card paid comes back while it has ended: it goes on to the new one.
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="x")
    await worker.drain()
    assert (await balance(shop.db, card.id), await balance(shop.db, again.id)) == (0, 3000)
    assert not await shop.broken()


async def test_expiry_is_a_policy_and_its_rest_is_booked(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    who = await person(shop.db)
    [for_ever] = await made(shop.db, 700)
    async with shop.db.transaction() as tx:
        await payments.set_gift_policy(tx, "GB", 30)
    [card] = await made(shop.db, 3000)
    await kept(shop.db, who, card.code)
    bought = await buy(shop, who, card_tender(card.id))
    clock.travel(days=30)
    async with shop.db.transaction() as tx:
        assert await payments.expire_gift_cards(tx) == 0, "its last day is not over"
    assert (await buy(shop, who, card_tender(card.id, 1), CARD)).state == "placed"
    clock.travel(days=1)
    with pytest.raises(GiftCardExpired):
        await buy(shop, who, card_tender(card.id, THING))
    async with shop.db.transaction() as tx:
        assert await payments.expire_gift_cards(tx) == 1
        assert await payments.expire_gift_cards(tx) == 0
    left = 3000 - THING - 1
    assert await money(shop.db, BREAKAGE) == {BREAKAGE: left}
    assert await balance(shop.db, for_ever.id) == 700
    # The order is called off: what comes back can be spent for a while.
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="x")
    await worker.drain()
    assert (await balance(shop.db, card.id), await state(shop.db, card.id)) == (THING, "open")
    assert (await buy(shop, who, card_tender(card.id))).state == "placed"
    assert not await shop.broken()


async def test_a_card_that_an_open_order_holds_waits_to_expire(shop: Shop, clock: SetClock) -> None:
    who = await person(shop.db)
    today = clock.now().date()
    [card] = await made(shop.db, 3000, expires_on=today)
    await kept(shop.db, who, card.code)
    draft = shop.draft((0, 1), person_id=who, tenders=[card_tender(card.id)])
    async with shop.db.transaction() as tx:  # the process dies before it is charged
        await shop.buying.checkout.place(tx, [draft])
    clock.travel(days=1)
    async with shop.db.transaction() as tx:
        assert await payments.expire_gift_cards(tx) == 0
    assert await money(shop.db, BREAKAGE) == {BREAKAGE: 0}


async def test_a_batch_needs_a_reason(db: Database) -> None:
    for wrong in ({"reason": " "}, {"size": 0}, {"face": 0}, {"expires_on": dt.date(2020, 1, 1)}):
        with pytest.raises(Invalid):
            await made(db, **wrong)  # type: ignore[arg-type]


# --- sold like goods


async def sold(shop: Shop, worker: Worker, who: uuid.UUID, pieces: int = 1) -> Bought:
    async with shop.db.transaction() as tx:
        await payments.mark_gift_product(tx, shop.variants[0])
    draft = shop.draft((0, pieces), person_id=who)
    bought = await shop.buying.buy(draft)
    await worker.drain()
    return bought


async def cards_of(shop: Shop, who: uuid.UUID) -> list[GiftCard]:
    async with shop.db.reading() as tx:
        return await payments.bought_gift_cards(tx, who)


async def test_a_sold_card_is_a_debt_until_it_is_spent(shop: Shop, worker: Worker) -> None:
    who = await person(shop.db)
    bought = await sold(shop, worker, who, 2)
    cards = await cards_of(shop, who)
    assert [c.balance_minor for c in cards] == [1000, 1000]
    async with shop.db.transaction() as tx:
        sight = await orders.order(tx, order_id=bought.order_id)
        [liability] = await payments.gift_liability(tx)
    assert sight.order.state == "delivered"
    assert (liability.open_minor, liability.open_cards) == (2000, 2)
    # The price contained tax, which the plain test shop charges: income is what is left, negative.
    assert (await money(shop.db, SALES))[SALES] == 2000 - 333 - 2000
    # The code is made when its buyer asks for it, and works; another's can't be had.
    other = await person(shop.db, "b@example.org")
    async with shop.db.transaction() as tx:
        with pytest.raises(NotFound):
            await payments.show_gift_code(tx, other, cards[0].id)
        first = await payments.show_gift_code(tx, who, cards[0].id)
        second = await payments.show_gift_code(tx, who, cards[0].id)
    with pytest.raises(GiftCodeUnknown):
        await kept(shop.db, other, first.code)
    assert (await kept(shop.db, other, second.code)).balance_minor == 1000
    async with shop.db.transaction() as tx:
        with pytest.raises(GiftCodeInUse):
            await payments.show_gift_code(tx, who, cards[0].id)
    assert not await shop.broken()


async def test_a_card_bought_with_a_charged_back_payment_is_blocked_for_its_rest(
    shop: Shop, worker: Worker
) -> None:
    who, friend = await person(shop.db), await person(shop.db, "b@example.org")
    bought = await sold(shop, worker, who, 2)
    first, second = await cards_of(shop, who)
    async with shop.db.transaction() as tx:
        code = (await payments.show_gift_code(tx, who, first.id)).code
    await kept(shop.db, friend, code)
    async with shop.db.transaction() as tx:
        await payments.mark_gift_product(tx, shop.variants[0], is_gift=False)
    spent = await buy(shop, friend, card_tender(first.id, 400), CARD)

    async def says(word: str, **more: object) -> None:
        async with shop.db.transaction() as tx:
            [payment] = await payments.payments_of(tx, [bought.order_id])
            about = {"payment_id": payment.id, "ref": "d1", "amount_minor": payment.amount_minor}
            await payments.record(tx, [Outcome(state=word, **(about | more))])  # type: ignore[arg-type]

    await says("disputed")
    assert [await state(shop.db, c.id) for c in (first, second)] == ["blocked", "blocked"]
    with pytest.raises(GiftCardBlockedNow):
        await buy(shop, friend, card_tender(first.id, 100), CARD)
    await says("dispute_lost")
    assert [await balance(shop.db, c.id) for c in (first, second)] == [0, 0]
    chargebacks = "chargebacks:GBP"
    assert await money(shop.db, chargebacks) == {chargebacks: 2000 + 399 - 600 - 1000}
    # What the card had paid is refunded: it lowers the loss, nobody can spend it.
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, spent.order_id, reason="x")
    await worker.drain()
    assert await balance(shop.db, first.id) == 0
    assert not await shop.broken()


async def test_a_won_chargeback_gives_the_cards_back(shop: Shop, worker: Worker) -> None:
    who = await person(shop.db)
    bought = await sold(shop, worker, who)
    [card] = await cards_of(shop, who)
    for word in ("disputed", "dispute_won"):
        async with shop.db.transaction() as tx:
            [payment] = await payments.payments_of(tx, [bought.order_id])
            said = Outcome(state=word, payment_id=payment.id, ref="d", amount_minor=1399)  # type: ignore[arg-type]
            await payments.record(tx, [said])
    assert (await state(shop.db, card.id), await balance(shop.db, card.id)) == ("open", 1000)


async def test_a_used_card_does_not_come_back_and_a_whole_one_ends(
    shop: Shop, worker: Worker
) -> None:
    who = await person(shop.db)
    bought = await sold(shop, worker, who, 2)
    first, second = await cards_of(shop, who)
    async with shop.db.transaction() as tx:
        code = (await payments.show_gift_code(tx, who, first.id)).code
    await kept(shop.db, who, code)
    async with shop.db.transaction() as tx:
        await payments.mark_gift_product(tx, shop.variants[1])  # not what this test is about
    await buy(shop, who, card_tender(first.id, 1), CARD)

    async def back(pieces: int) -> None:
        async with shop.db.transaction() as tx:
            parts = [orders.Back(0, pieces, 1000 * pieces)]
            one = orders.TakenBack(
                order_id=bought.order_id, key=f"r{pieces}", parts=parts, reason="x"
            )
            await orders.take_back(tx, [one])

    with pytest.raises(GiftCardUsed):
        await back(2)
    assert await state(shop.db, second.id) == "open"
    await back(1)
    assert (await state(shop.db, second.id), await balance(shop.db, second.id)) == ("ended", 0)
    assert await balance(shop.db, first.id) == 999
    await worker.drain()
