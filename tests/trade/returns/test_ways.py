"""How a return comes back: the price that was shown, one scan, one pick-up time, one label."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

import world
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import returns
from pinwheel.trade.returns import Label, LabelWish, NewReturn, Point, Return, Slot, Window
from pinwheel.trade.returns.labels import bars, code128, label_svg
from pinwheel.trade.returns.ways import tracking_of
from wardrobe import Wardrobe, came, exchange, graded, open_wardrobe, swap

TUESDAY = dt.date(2026, 1, 6)


@pytest.fixture
async def shop(db: Database) -> Wardrobe:
    shop = await open_wardrobe(db)
    async with db.transaction() as tx:
        nothing = uuid.UUID(int=0)
        policy = returns.CategoryPolicy(market="GB", category_id=nothing, freight_minor=300)
        await returns.set_policy(tx, policy)
        for code in ("POINT-1", "POINT-2"):
            await returns.save_point(
                tx, Point(code=code, name={"en": code}, address="1 Lane", country="GB")
            )
        await returns.set_window(tx, Window(market="GB", from_hour=9, until_hour=12, most=1))
        await returns.set_way_offer(
            tx, returns.WayOffer(market="GB", kind="pickup", extra_minor=250)
        )
    return shop


async def ask(shop: Wardrobe, order_id: uuid.UUID, way: str, **more: object) -> Return:
    async with shop.db.transaction() as tx:
        wish = NewReturn(
            **{"order_id": order_id, "lines": [(0, 1)], "reason": "unwanted", "way": way, **more}  # type: ignore[arg-type]
        )
        [answer] = await returns.request(tx, [wish])
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def scan(shop: Wardrobe, code: str, where: str = "POINT-1") -> uuid.UUID:
    async with shop.db.transaction() as tx:
        return await returns.hand_in(tx, code, where)


@pytest.mark.parametrize(
    ("way", "freight"), [("own", 0), ("label", 300), ("dropoff", 300), ("pickup", 550)]
)
async def test_what_was_shown_is_taken_once(shop: Wardrobe, way: str, freight: int) -> None:
    async with shop.db.reading() as tx:
        policy = returns.Policy(freight_minor=300)
        shown = {
            p.kind: p.freight_minor
            for p in await returns.way_prices(tx, "GB", "GB", policy, fault=False)
        }
        free = await returns.way_prices(tx, "GB", "GB", policy, fault=True)
    assert shown[way] == freight and {p.freight_minor for p in free} == {0}  # type: ignore[index]
    ret = await ask(shop, await shop.bought("S", 2), way, slot=Slot(TUESDAY, 9))
    await came(shop, ret.id)
    done = await graded(shop, ret.id)
    assert (done.freight_minor, done.refund_minor) == (freight, 2000 - freight)
    assert not await shop.broken()


async def test_two_want_the_last_pick_up(shop: Wardrobe) -> None:
    ids = [await shop.bought("S") for _ in range(3)]
    answers = await asyncio.gather(
        *(ask(shop, i, "pickup", slot=Slot(TUESDAY, 9)) for i in ids), return_exceptions=True
    )
    taken = [a for a in answers if isinstance(a, Return)]
    assert len(taken) == 1 and sum(isinstance(a, returns.SlotFull) for a in answers) == 2
    async with shop.db.reading() as tx:
        assert await tx.value("select count(*) from returns.rma") == 1
        [pickup] = [
            p
            for p in await returns.way_prices(tx, "GB", "GB", returns.Policy(), fault=False)
            if p.kind == "pickup"
        ]
    assert [s.on for s in pickup.slots] == [TUESDAY + dt.timedelta(days=n) for n in range(1, 7)]
    async with shop.db.transaction() as tx:  # who cancels gives the time to the next
        await returns.cancel(tx, [taken[0].id])
    await ask(shop, taken[0].order_id, "pickup", slot=Slot(TUESDAY, 9))
    for bad in (Slot(TUESDAY - dt.timedelta(days=1), 9), Slot(TUESDAY, 8), None):
        with pytest.raises(returns.SlotFull):
            await ask(shop, await shop.bought("S"), "pickup", slot=bad)


async def test_a_code_is_scanned_once(shop: Wardrobe, clock: SetClock, worker: Worker) -> None:
    ret = await ask(shop, await shop.bought("S"), "dropoff")
    async with shop.db.transaction() as tx:
        assert await returns.hand_in(tx, ret.number, "POINT-1") == ret.id
        again = asyncio.create_task(scan(shop, ret.number))
        await world.waits_or_ends(shop.db.pool, again)
        assert not again.done()
    assert await again == ret.id
    with pytest.raises(returns.HandedElsewhere):
        await scan(shop, ret.number, "POINT-2")
    with pytest.raises(returns.UnknownPoint):
        await scan(shop, ret.number, "POINT-3")
    with pytest.raises(NotFound):
        await scan(shop, "R-NOPE")
    async with shop.db.reading() as tx:
        told = "select count(*) from kernel.event where kind = 'returns.return_handed_in'"
        assert await tx.value(told) == 1
        assert (await returns.ways_of(tx, [ret.id]))[ret.id].state == "handed"
    off = await ask(shop, await shop.bought("S"), "dropoff")
    async with shop.db.transaction() as tx:
        await returns.cancel(tx, [off.id])
    with pytest.raises(returns.ReturnIs):
        await scan(shop, off.number)


async def test_handed_in_on_the_last_day_is_in_time(
    shop: Wardrobe, clock: SetClock, worker: Worker
) -> None:
    asked = await swap(shop, await shop.bought("S"), "M", way="dropoff")
    clock.set(clock.now() + dt.timedelta(days=14, seconds=-1))
    await scan(shop, asked.number)
    clock.set(clock.now() + dt.timedelta(days=13))
    await worker.drain()
    assert (await exchange(shop, asked.exchange.return_id)).state == "waiting"
    await came(shop, asked.exchange.return_id)
    assert (await exchange(shop, asked.exchange.return_id)).state == "released"
    assert not await shop.broken()


class Forgetful:
    """A carrier that gives no answer the first time, and counts."""

    name = "forgetful"
    asked = 0

    async def label(self, wishes: Sequence[LabelWish]) -> list[Label]:
        self.asked += 1
        if self.asked == 1:
            raise ConnectionError("no answer")
        return [
            Label(return_id=w.return_id, carrier=self.name, tracking=tracking_of(w.return_id))
            for w in wishes
        ]


async def test_a_carrier_without_an_answer_is_asked_again(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    carrier = Forgetful()
    returns.use_carrier(shop.db, carrier)
    ret = await ask(shop, await shop.bought("S"), "label")
    await worker.drain()
    clock.set(clock.now() + dt.timedelta(minutes=30))
    await worker.drain()
    async with shop.db.reading() as tx:
        way = (await returns.ways_of(tx, [ret.id]))[ret.id]
    assert (way.state, way.tracking, carrier.asked) == ("ready", tracking_of(ret.id), 2)
    async with shop.db.transaction() as tx:  # the courier scans the tracking number
        assert await returns.hand_in(tx, way.tracking, "courier", at_point=False) == ret.id


async def test_a_way_that_is_not_offered(shop: Wardrobe) -> None:
    async with shop.db.transaction() as tx:
        await returns.set_way_offer(tx, returns.WayOffer(market="GB", kind="label", is_open=False))
    with pytest.raises(returns.WayClosed):
        await ask(shop, await shop.bought("S"), "label")


def test_the_barcode_is_code_128() -> None:
    # The worked example of many readers: "Wikipedia" in code B has the check value 88.
    values = code128("Wikipedia")
    assert values[0] == 104 and values[-2:] == [88, 106]
    drawn = bars("SBX0000000000000")
    assert drawn[0] == (0, 2) and sum(w for _, w in drawn) < drawn[-1][0] + drawn[-1][1]
    with pytest.raises(ValueError, match="ASCII"):
        code128("退货")


def test_the_label_is_well_formed_and_says_what_it_is() -> None:
    svg = label_svg(
        "R-A&B", tracking_of(uuid.UUID(int=7)), ["MAIN <1>", "GB"], ("Return", "Order 1", "Scan"),
        demonstration=True,
    )  # fmt: skip
    root = ET.fromstring(svg)
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "R-A&B" in texts and "MAIN <1>" in texts and "DEMONSTRATION · 演示" in texts
