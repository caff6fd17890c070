"""The pages of a big day: made at the desk, announced, queued for, kept by a deposit, reported."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from console_world import Desk, open_desk
from pinwheel.growth import bigdays
from pinwheel.kernel import words
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from storefront_world import field_of, fields_of, text_of
from web_world import Browser
from world import MONDAY

HOUR = dt.timedelta(hours=1)
OPENS = MONDAY + 24 * HOUR


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    yield await open_desk(db, tmp_path)


def local(at: dt.datetime) -> str:
    return at.isoformat()[:16]


async def make(desk: Desk, operator: Browser, **more: str) -> str:
    """A started event with one deal with a deposit, by its pages; its id."""
    await operator.get("/console/bigdays")
    form = {
        "name_en": "Summer day",
        "name_zh": "夏日大促",
        "market": "GB",
        "preheat_at": local(MONDAY),
        "starts_at": local(OPENS),
        "ends_at": local(OPENS + 24 * HOUR),
    }
    made = await operator.post("/console/bigdays", form | more)
    assert made.status_code == 303, made.text
    path = made.headers["location"].removeprefix("/en")
    slot = {"name_en": "Morning", "starts_at": local(OPENS), "ends_at": local(OPENS + 6 * HOUR)}
    assert (await operator.post(f"{path}/slots", slot)).status_code == 303
    page = await operator.get(path)
    slot_id = page.text.split('name="slot_id"><option value="')[1][:36]
    deal = {
        "slot_id": slot_id,
        "sku": "T-0",
        "price": "6.00",
        "pieces": "3",
        "deposit": "1.00",
        "balance_from": local(OPENS + HOUR),
        "balance_until": local(OPENS + 3 * HOUR),
    }
    assert (await operator.post(f"{path}/deals", deal)).status_code == 303
    assert (await operator.post(f"{path}/start", {"why": ""})).status_code == 303
    page = await operator.get(path)
    assert "Pre-heat" in page.text and "started" in page.text
    return path.rsplit("/", 1)[1]


async def buyer(desk: Desk) -> Browser:
    browser = Browser(desk.edge, desk.db)
    await browser.get("/register")
    form = {"name": "A Reader", "email": "reader@shop.test", "password": "correct horse staple"}
    answer = await browser.post("/register", form)
    assert answer.status_code == 303, answer.text
    return browser


async def test_a_deposit_from_the_page_to_the_order(
    desk: Desk, clock: SetClock, worker: Worker
) -> None:
    event = await make(desk, await desk.signed_in("operator"))
    reader = await buyer(desk)
    page = await reader.get(f"/days/{event}")
    assert "Pay a deposit" in page.text and "Add to cart" not in page.text
    chinese = Browser(desk.edge, desk.db, language="zh-CN")
    assert "夏日大促" in (await chinese.get(f"/days/{event}")).text
    assert "Summer day" in (await reader.get("/days")).text
    assert (await reader.post(f"/days/{event}/remind")).status_code == 303
    async with desk.db.reading() as tx:
        [deal] = await bigdays.deals(tx, UUID(event))
    path = f"/days/{event}/deposit/{deal.promotion_id}"
    assert "You may have the deposit back" in text_of((await reader.get(path)).text)
    assert (await reader.post(path, {})).status_code == 422
    paid = await reader.post(path, {"payment": "sandbox:tok_ok"})
    assert paid.status_code == 303, paid.text
    assert "One is kept for you" in (await reader.get(f"/days/{event}")).text
    again = await reader.post(path, {"payment": "sandbox:tok_ok"})
    assert again.status_code == 409 and "already" in again.text
    clock.set(OPENS + HOUR)
    await worker.drain()
    page = await reader.get(f"/days/{event}")
    balance = "/days/balance/" + page.text.split("/days/balance/")[1][:36]
    page = await reader.get(balance)
    assert page.status_code == 200 and "£9.99" in page.text
    form = {
        "key": field_of(page.text, "key"),
        "quotes": fields_of(page.text, "quotes"),
        "name": "A Reader",
        "country": "GB",
        "address": "1 Long Road",
        "city": "London",
        "postcode": "N1 9GU",
        "delivery": "standard",
        "payment": "sandbox:tok_ok",
    }
    stranger = Browser(desk.edge, desk.db)
    assert (await stranger.get(balance)).status_code == 303
    bought = await reader.post(balance, form)
    assert bought.status_code == 303, text_of(bought.text)
    await worker.drain()
    assert "the balance is paid" in (await reader.get(f"/days/{event}")).text
    async with desk.db.reading() as tx:
        subjects = await tx.values("select template from messages.message order by template")
    assert {"kept", "due", "begun"} <= set(subjects)


async def test_times_are_the_shops_own(db: Database, tmp_path: Path) -> None:
    """Whoever types a time means the clock on the shop's wall; whoever reads one sees its zone."""
    desk = await open_desk(db, tmp_path, time_zone="Asia/Shanghai")
    operator = await desk.signed_in("operator")
    event = await make(desk, operator)
    async with db.reading() as tx:
        assert (await bigdays.event(tx, UUID(event))).starts_at == OPENS - 8 * HOUR
    assert f'value="{local(OPENS)}"' in (await operator.get(f"/console/bigdays/{event}")).text
    for language in ("en", "zh-CN"):
        page = await Browser(desk.edge, db, language=language).get(f"/days/{event}")
        assert f"{OPENS:%H:%M} UTC+8" in text_of(page.text)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC", "Jul 1, 2026, 12:00 UTC"),
        ("Europe/London", "Jul 1, 2026, 13:00 UTC+1"),
        ("Asia/Kolkata", "Jul 1, 2026, 17:30 UTC+5:30"),
        ("America/St_Johns", "Jul 1, 2026, 09:30 UTC-2:30"),
    ],
)
def test_a_moment_says_how_far_it_is_from_utc(zone: str, said: str) -> None:
    assert words.moment(dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC), "en", zone) == said


async def test_the_queue_works_by_looking_again(
    desk: Desk, clock: SetClock, worker: Worker
) -> None:
    operator = await desk.signed_in("operator")
    event = await make(desk, operator, queue_on="true")
    path = f"/days/{event}/queue"
    guest = Browser(desk.edge, desk.db)
    await guest.get(path)
    assert "Sign in" in (await guest.get(path)).text
    reader = await buyer(desk)
    await reader.get(path)
    assert (await reader.post(path)).status_code == 303
    page = await reader.get(path)
    assert "You have a place" in page.text and 'http-equiv="refresh"' in page.text
    clock.set(OPENS + dt.timedelta(seconds=2))
    await worker.drain()
    page = await reader.get(path)
    assert "It is your turn" in page.text and 'http-equiv="refresh"' not in page.text
    assert "Add to cart" in (await reader.get(f"/days/{event}")).text
    operator = await desk.signed_in("operator")  # the desk's session ended overnight
    board = await operator.get(f"/console/bigdays/{event}")
    assert "let in now" in text_of(board.text)
    report = await operator.get(f"/console/bigdays/{event}/report")
    assert "not what the event brought" in text_of(report.text)


async def test_the_desk_takes_its_right_and_a_draft_is_nobodys(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await operator.get("/console/bigdays")
    form = {"name_en": "Secret", "market": "GB", "preheat_at": local(OPENS),
            "starts_at": local(OPENS), "ends_at": local(OPENS + HOUR)}  # fmt: skip
    made = await operator.post("/console/bigdays", form)
    event = made.headers["location"].rsplit("/", 1)[1]
    reader = await buyer(desk)
    assert (await reader.get(f"/days/{event}")).status_code == 404
    assert (await reader.get("/console/bigdays")).status_code in (303, 403)
