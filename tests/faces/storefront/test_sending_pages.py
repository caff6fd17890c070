"""Exchanging, the way back and trying, as people meet them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.seeding import LOGINS
from pinwheel.trade import orders, returns
from storefront_world import Storefront, field_of, fields_of, open_storefront, text_of
from web_world import Browser

pytestmark = pytest.mark.slow
FORM = {
    "email": "", "name": "Example", "country": "GB", "phone": "", "region": "",
    "address": "1 Example Street", "city": "Exampleton", "postcode": "ZZ1 1ZZ",
    "delivery": "standard", "payment": "sandbox:tok_ok",
}  # fmt: skip


@pytest.fixture
async def store(db: Database, tmp_path: Path) -> AsyncIterator[Storefront]:
    async with open_storefront(db, tmp_path, most=8, days=1) as found:
        async with db.transaction() as tx:
            await returns.set_trial_rule(tx, returns.TrialRule(market="GB", most_minor=10**6))
        yield found


async def buyer(store: Storefront) -> Browser:
    browser, login = store.browser(), LOGINS[0]
    await browser.get("/sign-in")
    form = {"email": login.email, "password": login.password, "next": "/"}
    assert (await browser.post("/sign-in", form)).status_code == 303
    return browser


async def tried(store: Storefront, browser: Browser) -> tuple[UUID, str]:
    """An order to try, from its page."""
    for slug in await store.slugs():
        page = (await browser.get(f"/p/{slug}")).text
        if "Add to cart" in page:
            path = f"/try/{field_of(page, 'offer_id')}"
            assert f'href="/en{path}"' in page and "7 days at home" in text_of(page)
            shown = await browser.get(path)
            assert shown.status_code == 200 and "only reserved" in text_of(shown.text)
            form = FORM | {
                "key": field_of(shown.text, "key"),
                "quotes": fields_of(shown.text, "quotes"),
            }
            answer = await browser.post(path, form)
            assert answer.status_code == 303, text_of(answer.text)[:600]
            break
    page = (await browser.get("/account/orders")).text
    found = re.search(r"/account/orders/([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})", page)
    assert found
    async with store.db.transaction() as tx:
        order = (await orders.order(tx, number=found[1])).order
        await orders.deliver_parcels(tx, await orders.ship(tx, order.id))
    return order.id, order.number


async def test_tried_then_exchanged_with_a_label(store: Storefront, worker: Worker) -> None:
    browser = await buyer(store)
    order_id, number = await tried(store, browser)
    path = f"/account/orders/{number}"
    shown = text_of((await browser.get(path)).text)
    assert "Try before you buy" in shown and "You are trying it" in shown
    page = (await browser.get(f"{path}/exchange")).text
    want = re.findall(r'name="want" value="([^"]+)"', page)
    assert want and "How it comes back" in page
    form = {"want": want[0], "quantity": "1", "reason": "unwanted", "way": "label"}
    refused = await browser.post(f"{path}/exchange", form | {"payment": "sandbox:tok_ok"})
    assert refused.status_code == 409 and "not possible for this order" in text_of(refused.text)
    async with store.db.transaction() as tx:  # the days are over: it is kept
        await tx.run("update returns.trial set until_at = $1", tx.now)
        assert await returns.end_trials(tx) == 1
    await worker.drain()
    answer = await browser.post(f"{path}/exchange", form | {"payment": "sandbox:tok_ok"})
    assert answer.status_code == 303, text_of(answer.text)[:600]
    await worker.drain()
    shown = (await browser.get(path)).text
    assert "The replacement is kept for you" in shown and "was charged for what you kept" in shown
    async with store.db.reading() as tx:
        [ret] = (await returns.returns(tx, order_id=order_id)).items
    label = await browser.get(f"/account/returns/{ret.number}/label")
    assert "DEMONSTRATION" not in label.text and "A demonstration label" in label.text
    drawn = await browser.get(f"/account/returns/{ret.number}/label.svg")
    assert drawn.headers["content-type"].startswith("image/svg+xml") and ret.number in drawn.text
    other = store.browser("zh-CN")
    assert (await other.get(f"/account/returns/{ret.number}/label")).status_code in (303, 401, 404)
    assert "先试后买" in (await browser.http.get(f"/zh-CN{path}")).text
