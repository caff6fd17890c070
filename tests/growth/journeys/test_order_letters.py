"""An order's life in letters: once for each fact, in the buyer's language."""

from __future__ import annotations

import re

import msgspec

from growth.journeys.travellers import Road
from pinwheel.ground import identity, messages
from pinwheel.growth.journeys.jobs import write_order_letters
from pinwheel.growth.journeys.order_letters import LETTERS
from pinwheel.kernel.db import Database
from pinwheel.trade import orders, payments
from pinwheel.trade.orders import OrderPlaced
from shop import Shop, open_shop


async def letters_of(db: Database) -> list[messages.LetterSight]:
    async with db.reading() as tx:
        lines = (await messages.letters(tx)).items
        return [await messages.letter(tx, line.id) for line in reversed(lines)]


async def buyer(road: Road, shop: Shop, language: str) -> dict[str, object]:
    async with road.db.transaction() as tx:
        person = await identity.register(tx, f"{language}@example.com", name="Ann")
        await tx.connection.execute(
            "update identity.person set language = $2 where id = $1", person.id, language
        )
    contact = road.db.vault.seal(f"{language}@example.com", "orders.contact")
    return {"person_id": person.id, "contact": contact}


async def test_placed_shipped_delivered(road: Road) -> None:
    shop = await open_shop(road.db)
    bought = await shop.buying.buy(shop.draft((0, 2), **await buyer(road, shop, "zh-CN")))
    await road.worker.drain()
    await road.travel(seconds=1)
    async with road.db.transaction() as tx:
        (parcel,) = await orders.ship(tx, bought.order_id, carrier="Post", tracking="T1")
    await road.worker.drain()
    await road.travel(seconds=1)
    async with road.db.transaction() as tx:
        await orders.deliver(tx, parcel)
    await road.worker.drain()
    found = await letters_of(road.db)
    assert [f.line.template for f in found] == ["placed", "shipped", "delivered"]
    assert "T1" in (found[1].text or "")
    assert {f.line.to for f in found} == {"zh-cn@example.com"}  # as identity writes addresses
    assert bought.number in (found[0].line.subject or "") and "物品 0" in (found[0].text or "")


async def test_cancelled_says_what_comes_back_and_repeats_say_nothing(road: Road) -> None:
    shop = await open_shop(road.db)
    bought = await shop.buying.buy(shop.draft((1, 1), **await buyer(road, shop, "en")))
    await road.worker.drain()
    await road.travel(seconds=1)
    async with road.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    await road.worker.drain()
    placed = OrderPlaced(**await placed_event(road))  # type: ignore[arg-type]
    for _ in range(2):
        async with road.db.transaction() as tx:
            await write_order_letters(tx, [placed])
    found = await letters_of(road.db)
    assert [f.line.template for f in found] == ["placed", "cancelled"]
    assert "£" in (found[1].text or "") and "paying back" in (found[1].text or "")
    # A letter about something long ago is not written.
    await road.travel(days=4)
    async with road.db.transaction() as tx:
        await tx.connection.execute("delete from messages.message")
        await write_order_letters(tx, [placed])
    assert await letters_of(road.db) == []


async def test_gift_cards_are_told_of_once_and_without_their_codes(road: Road) -> None:
    shop = await open_shop(road.db)
    async with road.db.transaction() as tx:
        await payments.mark_gift_product(tx, shop.variants[0])
    about = await buyer(road, shop, "zh-CN")
    bought = await shop.buying.buy(shop.draft((0, 2), **about))
    await road.worker.drain()
    async with road.db.reading() as tx:
        cards = await payments.bought_gift_cards(tx, about["person_id"])  # type: ignore[arg-type]
    assert len(cards) == 2
    letters = await letters_of(road.db)
    found = {letter.line.template: letter for letter in letters}
    assert len(letters) == 2 and set(found) == {"placed", "gift_cards"}  # and of no parcel
    assert bought.number in (found["gift_cards"].line.subject or "")
    text = found["gift_cards"].text or ""
    assert "/account/gift-cards" in text and "礼品卡" in text
    assert not re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4}", text)


async def placed_event(road: Road) -> dict[str, object]:
    async with road.db.reading() as tx:
        data: dict[str, object] = await tx.value(
            "select data from kernel.event where kind = 'orders.order_placed' limit 1"
        )

    return msgspec.structs.asdict(msgspec.convert(data, OrderPlaced))


async def test_every_letter_is_there_in_both_languages() -> None:
    names = {f.name for f in LETTERS.folder.glob("*.txt")}
    for name in LETTERS.names():
        assert {f"{name}.en.txt", f"{name}.zh-CN.txt"} <= names
