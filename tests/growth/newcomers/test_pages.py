"""The pages of newcomers and trust: buying as a visitor, the refusal that says what to do, the
appeal, and the desk that answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console_world import Desk, open_desk
from pinwheel.ground import trust
from pinwheel.growth import newcomers
from pinwheel.kernel.db import Database
from storefront_world import field_of, fields_of, text_of
from web_world import Browser


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    yield await open_desk(db, tmp_path)


async def put_up(desk: Desk, operator: Browser) -> str:
    """A pool with product 0 (10.00) for 1.00, made by its pages; the newcomer offer's id."""
    await operator.get("/console/newcomers")
    made = await operator.post(
        "/console/newcomers", {"name_en": "Welcome", "name_zh": "新人", "cost_percent": "60"}
    )
    assert made.status_code == 303
    path = made.headers["location"].removeprefix("/en")
    form = {"sku": "T-0", "market": "GB", "price": "1.00", "quantity": "5", "free_delivery": "true"}
    assert (await operator.post(f"{path}/offers", form)).status_code == 303
    page = await operator.get(path)
    assert page.status_code == 200
    assert "Thing 0" in page.text
    async with desk.db.reading() as tx:
        [offer] = await newcomers.offers(tx)
    return str(offer.id)


def filled(page: str, **more: Any) -> dict[str, Any]:
    return {
        "key": field_of(page, "key"),
        "quotes": fields_of(page, "quotes"),
        "email": "reader@shop.test",
        "name": "A Reader",
        "country": "GB",
        "address": "1 Long Road",
        "city": "London",
        "postcode": "N1 9GU",
        "delivery": "standard",
        "payment": "sandbox:tok_ok",
        **more,
    }


async def test_a_visitor_buys_once_and_is_told_what_to_do_then(desk: Desk) -> None:
    offer = await put_up(desk, await desk.signed_in("operator"))
    visitor = desk.browser()
    list_page = await visitor.get("/newcomers")
    assert "Order for £1.00" in text_of(list_page.text)
    page = await visitor.get(f"/newcomers/{offer}")
    assert page.status_code == 200
    assert "£1.00" in text_of(page.text)
    bought = await visitor.post(f"/newcomers/{offer}", filled(page.text))
    assert bought.status_code == 303, bought.text
    await desk.worker().drain()
    # Another browser, the same address: three to a home, but nobody of this home is new now.
    other = desk.browser()
    page = await other.get(f"/newcomers/{offer}")
    refused = await other.post(
        f"/newcomers/{offer}", filled(page.text, email="another@shop.test", name="Somebody")
    )
    assert refused.status_code == 409
    text = text_of(refused.text)
    assert "This price is for a first order" in text
    assert "Ask us to look again" in text
    assert "fraud" not in text.lower()


async def test_a_refusal_is_appealed_and_answered(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    buyer = await desk.signed_in("buyer")
    person = desk.people["buyer"]
    async with desk.db.transaction(actor="test") as tx:
        acts = [trust.Act(kind="newcomer", person_id=person) for _ in range(21)]
        verdicts = await trust.judge(tx, acts)
    last = next(v for v in verdicts if v.decision == "review")
    queue = await operator.get("/console/trust")
    assert "More such acts in a day than one person does" in text_of(queue.text)
    page = await buyer.get("/account/appeals")
    assert page.status_code == 200
    assert (await buyer.post("/account/appeals", {"words": ""})).status_code == 422
    sent = await buyer.post("/account/appeals", {"words": "I was trying it out."})
    assert sent.status_code == 303
    waiting = await operator.get("/console/trust/appeals")
    assert "I was trying it out." in waiting.text
    async with desk.db.reading() as tx:
        [appeal] = await trust.open_appeals(tx)
    answered = await operator.post(
        f"/console/trust/appeals/{appeal.id}",
        {"is_granted": "true", "answer": "That is fine, please try again."},
    )
    assert answered.status_code == 303
    seen = await buyer.get("/account/appeals")
    assert "That is fine" in seen.text
    async with desk.db.transaction(actor="test") as tx:
        assert (await trust.verdict(tx, last.id)).stands == "allow"
        [again] = await trust.judge(tx, [trust.Act(kind="newcomer", person_id=person)])
        assert again.decision == "allow"  # what a person set aside stays set aside


async def test_every_page_opens_in_both_languages(desk: Desk) -> None:
    await put_up(desk, await desk.signed_in("operator"))
    async with desk.db.transaction(actor="test") as tx:
        buyer = await desk.signed_in("buyer")
        person = desk.people["buyer"]
        await trust.note(tx, [*trust.seen_device(person, "d")])
    assert buyer is not None
    async with desk.db.reading() as tx:
        [pool] = await newcomers.pools(tx)
    for language in ("en", "zh-CN"):
        operator = await desk.signed_in("operator", language)
        for path in (
            *("/console/trust", "/console/trust?view=all", "/console/trust/rules"),
            *("/console/trust/rules?code=velocity&weight=0.95", "/console/trust/appeals"),
            *(f"/console/trust/clusters/{person}", "/console/newcomers"),
            *(f"/console/newcomers/{pool.id}", "/newcomers", "/help/privacy"),
        ):
            page = await operator.get(path)
            assert page.status_code == 200, (path, page.text[:400])


async def test_a_clerk_and_a_buyer_may_not(desk: Desk) -> None:
    for kind in ("clerk", "buyer"):
        browser = await desk.signed_in(kind)
        for path in ("/console/trust", "/console/newcomers"):
            assert (await browser.get(path)).status_code == 403
    assert (await desk.browser().get("/console/trust")).status_code in (303, 401)
