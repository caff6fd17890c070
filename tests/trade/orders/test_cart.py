"""Carts: what changes while they lie there, who they belong to, and how they become orders."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, marketplace, orders, pricing
from shop import Shop, open_shop

HOME = orders.AddressedTo(name="A", line1="1 High Street", city="Leeds", country="GB")


@pytest.fixture
async def shop(db: Database) -> Shop:
    shop = await open_shop(db)
    db.given[orders.Buying] = shop.buying
    return shop


async def person(db: Database, email: str = "a@example.org", kind: str = "buyer") -> Caller:
    async with db.transaction() as tx:
        found = await identity.register(tx, email, password_hash=None, language="en")
    return Caller(kind="buyer", person_id=found.id)


async def guest(db: Database) -> Caller:
    session_id = uuid.uuid4()
    async with db.transaction() as tx:
        caller = Caller(session_id=session_id)
        person_id = await identity.guest_of(tx, caller, f"token {session_id}")
    return Caller(kind="guest", person_id=person_id, session_id=session_id)


def who(caller: Caller) -> uuid.UUID:
    assert caller.person_id is not None
    return caller.person_id


async def put(shop: Shop, caller: Caller, *items: tuple[int, int]) -> None:
    wanted = [orders.Item(shop.offers[number], quantity) for number, quantity in items]
    async with shop.db.transaction() as tx:
        await orders.put_in_cart(tx, who(caller), "GB", wanted)


async def look(shop: Shop, caller: Caller) -> orders.CartSight:
    async with shop.db.reading() as tx:
        return await orders.cart(
            tx, shop.buying.checkout, caller.person_id, market="GB", country="GB"
        )


async def held(shop: Shop, caller: Caller) -> dict[int, int]:
    lines = (await look(shop, caller)).lines
    return {shop.offers.index(line.offer_id): line.quantity for line in lines}


def wish(quote: str, key: str = "k", method: str = "tok_ok", **more: object) -> orders.Wish:
    how: dict[str, object] = {
        "market": "GB",
        "quote": quote,
        "key": key,
        "ship_to": HOME,
        "email": "a@example.org",
        "tenders": (orders.Tender("sandbox", method),),
    }
    return orders.Wish(**(how | more))  # type: ignore[arg-type]


async def token(shop: Shop, caller: Caller) -> str:
    quote = (await look(shop, caller)).quote
    assert quote is not None
    return quote.token


async def test_what_changed_while_it_lay_there_is_said_in_both_languages(shop: Shop) -> None:
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 3), (1, 2))
    async with shop.db.transaction() as tx:
        await pricing.set_prices(
            tx,
            [pricing.NewPrice(offer_id=shop.offers[0], currency="GBP", price_minor=1250)],
        )
        await marketplace.pause_offers(tx, [shop.offers[1]])
        places = [
            inventory.Place(marketplace.OWN_SELLER_ID, n, shop.variants[0])
            for n in ("EAST", "MAIN")
        ]
        await inventory.adjust(
            tx,
            [inventory.StockCount(places[0], -50), inventory.StockCount(places[1], -48)],
            document_id=tx.new_id(),
            reason="count",
        )
    sight = await look(shop, buyer)
    first, second = sight.lines
    assert [n.kind for n in first.notes] == ["only_left", "price_up"]
    assert "£10.00 to £12.50" in first.notes[1].en and "上涨" in first.notes[1].zh
    assert (first.quantity, first.buyable) == (3, 2)
    assert [n.kind for n in second.notes] == ["unavailable"] and second.title["en"] == "Thing 1"
    assert sight.quote is not None and sight.quote.goods_minor == 2 * 1250
    async with shop.db.transaction() as tx:
        await pricing.set_prices(
            tx,
            [pricing.NewPrice(offer_id=shop.offers[0], currency="GBP", price_minor=900)],
        )
        await inventory.adjust(
            tx,
            [inventory.StockCount(places[1], -2)],
            document_id=tx.new_id(),
            reason="count",
        )
    sight = await look(shop, buyer)
    assert [n.kind for n in sight.lines[0].notes] == ["only_left", "price_down"]
    assert sight.quote is None and sight.lines[0].buyable == 0


async def test_lines_that_share_stock_share_what_is_left(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        [used] = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=shop.variants[0], condition="used")]
        )
        assert isinstance(used, marketplace.Offer)
        await pricing.set_prices(
            tx, [pricing.NewPrice(offer_id=used.id, currency="GBP", price_minor=500)]
        )
    shop.offers.append(used.id)
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 60), (2, 60))
    sight = await look(shop, buyer)
    assert sum(line.buyable for line in sight.lines) == 100
    assert sight.quote is not None


@pytest.mark.parametrize("lines", [2, 200])
async def test_a_quote_costs_the_same_statements_whatever_the_cart(
    db: Database, lines: int
) -> None:
    shop = await open_shop(db, [100] * lines)
    buyer = await person(db)
    await put(shop, buyer, *((n, 1) for n in range(lines)))
    async with db.reading() as tx:
        sight = await orders.cart(tx, shop.buying.checkout, who(buyer), market="GB", country="GB")
        assert tx.statements <= 7  # the cart and the quote's six
    assert sight.quote is not None and len(sight.quote.lines) == lines


async def test_a_cart_that_grows_without_end_is_refused_with_a_sentence(db: Database) -> None:
    shop = await open_shop(db, [100] * 201)
    buyer = await person(db)
    with pytest.raises(orders.CartFull, match="200"):
        await put(shop, buyer, *((n % 201, 1) for n in range(10_000)))
    await put(shop, buyer, *((n, 1) for n in range(150)))
    with pytest.raises(orders.CartFull):
        await put(shop, buyer, *((n, 1) for n in range(100, 201)))
    assert len(await held(shop, buyer)) == 150
    await put(shop, buyer, *((n, 1) for n in range(50, 200)))
    assert len(await held(shop, buyer)) == 200


async def test_two_tabs_do_not_lose_a_piece_nor_pass_the_limit(db: Database) -> None:
    shop = await open_shop(db, [100] * 210)
    buyer = await person(db)
    await put(shop, buyer, (0, 1))
    await asyncio.gather(*(put(shop, buyer, (0, 1)) for _ in range(12)))
    assert await held(shop, buyer) == {0: 13}
    answers = await asyncio.gather(
        *(put(shop, buyer, *((n, 1) for n in range(i * 52, i * 52 + 52))) for i in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(a, orders.CartFull) for a in answers) == 1
    assert len(await held(shop, buyer)) <= 200


async def test_an_offer_that_is_not_for_sale_is_not_put_in(shop: Shop) -> None:
    buyer = await person(shop.db)
    with pytest.raises(orders.OfferUnavailable):
        async with shop.db.transaction() as tx:
            items = [orders.Item(shop.offers[0], 1), orders.Item(uuid.uuid4(), 1)]
            await orders.put_in_cart(tx, who(buyer), "GB", items)
    assert await held(shop, buyer) == {}
    with pytest.raises(orders.OfferUnavailable):  # no price in that market
        async with shop.db.transaction() as tx:
            await orders.put_in_cart(tx, who(buyer), "CN", [orders.Item(shop.offers[0], 1)])
    with pytest.raises(orders.BadQuantity):
        await put(shop, buyer, (0, 0))


async def test_set_remove_and_clear(shop: Shop) -> None:
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 3), (1, 2))
    async with shop.db.transaction() as tx:
        items = [orders.Item(shop.offers[0], 0), orders.Item(shop.offers[1], 9)]
        await orders.set_cart_quantities(tx, who(buyer), items)
    assert await held(shop, buyer) == {1: 9}
    with pytest.raises(NotFound):
        async with shop.db.transaction() as tx:
            items = [orders.Item(shop.offers[1], 1), orders.Item(shop.offers[0], 1)]
            await orders.set_cart_quantities(tx, who(buyer), items)
    assert await held(shop, buyer) == {1: 9}
    for _ in range(2):
        async with shop.db.transaction() as tx:
            await orders.remove_from_cart(tx, who(buyer), [shop.offers[1]])
    await put(shop, buyer, (0, 1), (1, 1))
    async with shop.db.transaction() as tx:
        await orders.clear_cart(tx, who(buyer))
    assert await held(shop, buyer) == {}


async def test_a_guests_cart_joins_the_accounts_and_nothing_is_lost(shop: Shop) -> None:
    buyer, visitor = await person(shop.db), await guest(shop.db)
    await put(shop, buyer, (0, 5))
    await put(shop, visitor, (0, 2), (1, 4))
    async with shop.db.transaction() as tx:
        tx.emit(identity.GuestJoined(guest_id=who(visitor), person_id=who(buyer)))
    assert await held(shop, buyer) == {0: 5, 1: 4}
    assert await held(shop, visitor) == {}
    async with shop.db.transaction() as tx:  # the same news again
        tx.emit(identity.GuestJoined(guest_id=who(visitor), person_id=who(buyer)))
    assert await held(shop, buyer) == {0: 5, 1: 4}


async def test_a_guest_who_signs_in_while_a_payment_waits_finds_the_cart_emptied(
    shop: Shop,
) -> None:
    buyer, visitor = await person(shop.db), await guest(shop.db)
    await put(shop, visitor, (0, 2), (1, 1))
    bought = await orders.order_cart(
        shop.db, visitor, who(visitor), wish(await token(shop, visitor), method="tok_challenge")
    )
    assert bought.action_url and await held(shop, visitor) == {0: 2, 1: 1}
    async with shop.db.transaction() as tx:
        tx.emit(identity.GuestJoined(guest_id=who(visitor), person_id=who(buyer)))
    await put(shop, buyer, (0, 1))
    async with shop.db.transaction() as tx:
        await orders.confirm(tx, {bought.order_id: bought.total_minor})
    assert await held(shop, buyer) == {0: 1}


async def test_ordering_empties_the_cart_of_what_was_ordered_and_a_repeat_finds_the_order(
    shop: Shop,
) -> None:
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 2), (1, 1))
    asked = wish(await token(shop, buyer))
    answers = await asyncio.gather(
        *(orders.order_cart(shop.db, buyer, who(buyer), asked) for _ in range(6))
    )
    assert len({a.order_id for a in answers}) == 1 and answers[0].state == "placed"
    assert await held(shop, buyer) == {}
    again = await orders.order_cart(shop.db, buyer, who(buyer), asked)
    assert (again.order_id, again.fresh) == (answers[0].order_id, False)
    with pytest.raises(orders.EmptyOrder):
        await orders.order_cart(shop.db, buyer, who(buyer), wish(asked.quote, key="another"))
    assert await shop.stock(0) == (100, 2)


async def test_a_declined_payment_leaves_the_cart_as_it_was(shop: Shop) -> None:
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 2))
    declined = wish(await token(shop, buyer), method="tok_declined")
    with pytest.raises(orders.PaymentDeclined):
        await orders.order_cart(shop.db, buyer, who(buyer), declined)
    assert await held(shop, buyer) == {0: 2}
    bought = await orders.order_cart(
        shop.db, buyer, who(buyer), wish(await token(shop, buyer), key="second try")
    )
    assert bought.state == "placed" and await held(shop, buyer) == {}


async def test_a_cart_whose_figures_moved_is_not_ordered(shop: Shop) -> None:
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 2))
    seen = await token(shop, buyer)
    await put(shop, buyer, (0, 1))
    with pytest.raises(orders.StaleQuote) as refused:
        await orders.order_cart(shop.db, buyer, who(buyer), wish(seen))
    assert refused.value.quote.goods_minor == 3000
    assert await held(shop, buyer) == {0: 3}


async def test_without_an_address_or_a_method_the_kept_ones_are_used(shop: Shop) -> None:
    buyer = await person(shop.db)
    await put(shop, buyer, (0, 1))
    seen = await token(shop, buyer)
    with pytest.raises(orders.NoAddress):
        await orders.order_cart(shop.db, buyer, who(buyer), wish(seen, ship_to=None))
    with pytest.raises(orders.NoTender):
        await orders.order_cart(shop.db, buyer, who(buyer), wish(seen, tenders=()))


async def test_erased_people_and_forgotten_guests_have_no_cart(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    buyer, visitor = await person(shop.db), await guest(shop.db)
    await put(shop, buyer, (0, 1))
    await put(shop, visitor, (1, 1))
    async with shop.db.transaction() as tx:
        await identity.erase_person(tx, who(buyer))
    clock.travel(days=90)
    await worker.drain()
    async with shop.db.reading() as tx:
        assert await tx.value("select count(*) from orders.cart") == 0
        assert await tx.value("select count(*) from orders.cart_line") == 0


async def test_a_guest_with_an_order_is_kept(shop: Shop, clock: SetClock, worker: Worker) -> None:
    visitor = await guest(shop.db)
    await put(shop, visitor, (1, 1))
    await orders.order_cart(shop.db, visitor, who(visitor), wish(await token(shop, visitor)))
    clock.travel(days=90)
    await worker.drain()
    async with shop.db.reading() as tx:
        assert (await identity.person_of(tx, who(visitor))).kind == "guest"
