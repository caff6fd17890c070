"""Paying with a phone, as the shop's pages say it: waiting, paid, run out, too late."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faces.storefront.test_buying import checkout_form, put_something
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, payments
from pinwheel.trade.payments.sandbox import Sandbox
from storefront_world import Storefront, open_storefront, text_of
from web_world import Browser

pytestmark = pytest.mark.slow


@pytest.fixture
async def store(db: Database, tmp_path: Path) -> AsyncIterator[Storefront]:
    async with open_storefront(db, tmp_path, most=8, days=1) as found:
        yield found


def sandbox_of(store: Storefront) -> Sandbox:
    found = payments.providers_of(store.db)["sandbox"]
    assert isinstance(found, Sandbox)
    return found


async def scanning(store: Storefront, browser: Browser) -> tuple[str, uuid.UUID]:
    """An order that waits for a phone: the path of its code, and its payment."""
    await put_something(store, browser)
    answer = await browser.post(
        "/checkout", await checkout_form(browser, payment="sandbox:tok_scan")
    )
    assert answer.status_code == 303, text_of(answer.text)[:600]
    path = answer.headers["location"].removeprefix("/en")
    assert path.startswith("/pay/")
    return path, uuid.UUID(path.rpartition("/")[2])


async def test_the_page_follows_the_phone(
    store: Storefront, clock: SetClock, worker: Worker
) -> None:
    browser, other = store.browser(), store.browser()
    path, payment_id = await scanning(store, browser)
    page = await browser.get(path)
    assert "data:image/svg+xml" in page.text and "Waiting for your phone" in page.text
    part = await browser.get(f"{path}?waits=true", headers={"HX-Request": "true"})
    assert part.status_code == 200 and "<html" not in part.text
    await put_something(store, other)
    assert (await other.get(path)).status_code == 404  # the code is nobody else's
    await sandbox_of(store).decide(payment_id, approve=True)
    clock.travel(seconds=2)
    await worker.drain()
    went = await browser.get(f"{path}?waits=true", headers={"HX-Request": "true"})
    assert "/checkout/placed" in went.headers["hx-redirect"]
    placed = await browser.get(went.headers["hx-redirect"].removeprefix("/en"))
    assert "Thank you" in placed.text


async def test_a_code_that_ran_out_says_so_and_the_cart_is_kept(
    store: Storefront, clock: SetClock, worker: Worker
) -> None:
    browser = store.browser()
    path, _ = await scanning(store, browser)
    clock.travel(seconds=302)
    assert "We ask whether your payment" in text_of((await browser.get(path)).text)
    await worker.drain()
    went = await browser.get(f"{path}?waits=true", headers={"HX-Request": "true"})
    assert went.headers["hx-redirect"] == f"/en{path}"
    page = await browser.get(path)
    assert "The code has run out" in page.text and "/en/checkout" in page.text
    assert "http-equiv" not in page.text
    assert "Your cart is empty" not in (await browser.get("/cart")).text


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_late_payment_is_used_or_goes_back(
    store: Storefront, clock: SetClock, worker: Worker, is_gone: bool
) -> None:
    browser = store.browser()
    path, payment_id = await scanning(store, browser)
    clock.travel(seconds=302)
    await worker.drain()
    if is_gone:
        await take_all(store, payment_id)
    await sandbox_of(store).decide(payment_id, approve=True, in_time=False)
    clock.travel(seconds=2)
    await worker.drain()
    went = (await browser.get(path)).headers["location"].removeprefix("/en")
    said = text_of((await browser.get(went)).text)
    assert ("Your money goes back by itself" if is_gone else "Thank you") in said
    kept = await store.db.pool.fetchval(
        "select captured_minor - refunded_minor from payments.payment where id = $1", payment_id
    )
    assert (kept == 0) is is_gone


async def take_all(store: Storefront, payment_id: uuid.UUID) -> None:
    """A count finds that nothing is left of what was ordered."""
    async with store.db.transaction(actor="test") as tx:
        variants = await tx.values(
            "select l.variant_id from payments.payment p"
            " join orders.line l on l.order_id = p.order_id where p.id = $1",
            payment_id,
        )
        counts = [
            inventory.StockCount(inventory.Place(one.seller_id, one.node, one.variant_id), -one.atp)
            for one in await inventory.positions(tx, variants)
            if one.atp > 0
        ]
        await inventory.adjust(tx, counts, document_id=tx.new_id(), reason="a count")
