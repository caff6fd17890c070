"""Every page in both languages, and what the lists cost."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path

import pytest

from console_world import Desk
from pinwheel.faces import console
from pinwheel.growth import bigdays
from pinwheel.kernel import words
from pinwheel.kernel.web import routes_of
from pinwheel.trade import payments

LISTS = (
    *("orders", "orders?view=late", "returns", "reviews", "catalogue", "changes", "import"),
    *("stock", "payments", "payments/settlement", "events", "jobs", "categories", "nodes"),
)
PAGES = Path(str(console.__file__)).parent / "pages"


async def a_big_day(desk: Desk) -> uuid.UUID:
    """The draft of one, whose pages can be looked at."""
    now = desk.db.clock.now()
    async with desk.db.transaction(actor="test") as tx:
        return await bigdays.save_event(
            tx,
            bigdays.NewEvent(
                name_en="A day",
                name_zh="一天",
                market="GB",
                preheat_at=now,
                starts_at=now + dt.timedelta(days=1),
                ends_at=now + dt.timedelta(days=2),
            ),
        )


async def addresses(desk: Desk) -> list[str]:
    """Every page that can be looked at, with things on it."""
    number = await desk.number((0, 2), (1, 1))
    async with desk.db.reading() as tx:
        payment = await tx.connection.fetchval("select id from payments.payment")
        product = await tx.connection.fetchval("select id from catalogue.product limit 1")
        change = await tx.connection.fetchval("select id from catalogue.change limit 1")
        event = await tx.connection.fetchval("select id from kernel.event limit 1")
    person = desk.people["operator"]
    day = await a_big_day(desk)
    async with desk.db.transaction(actor="test") as tx:
        till = await payments.open_till(tx, "Front", "GBP")
        await payments.make_gift_cards(tx, 2, 500, "GBP", market="GB", reason="a prize")
    given = {
        "{till_id:uuid}": till,
        "bigdays/{event_id:uuid}": f"bigdays/{day}",
        "{number:str}": number,
        "{payment_id:uuid}": payment,
        "{product_id:uuid}": product,
        "{change_id:uuid}": change,
        "{event_id:uuid}": event,
        "{person_id:uuid}": person,
        "{variant_id:uuid}": desk.shop.variants[0],
        "{offer_id:uuid}/prices": f"{desk.shop.offers[0]}/prices?currency=GBP",
    }
    found = []
    for route in routes_of(*console.WEB):
        path = route.paths[0]
        for name, value in given.items():
            path = path.replace(name, str(value))
        if route.method == "GET" and "{" not in path:
            found.append(path)
    known = set(found) - {"/console", "/console/search", "/console/prices/preview"}
    known -= {"/console/ledger/account", "/console/import/preview"}
    return sorted({*known, "/console/ledger/account?code=deposits:GBP", "/console/ledger?prefix=s"})


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_every_page_stands_in_both_languages(desk: Desk, language: str) -> None:
    operator = await desk.signed_in("operator", language)
    for path in await addresses(desk):
        answer = await operator.get(path)
        assert answer.status_code == 200, (path, answer.text[-400:])
        if "text/html" in answer.headers["content-type"] and "waiting" not in path:
            assert f'<html lang="{language}"' in answer.text, path
        program = await operator.get(path, headers={"accept": "application/json"})
        assert program.status_code == 200, path


async def test_a_list_costs_few_statements(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = await desk.signed_in("operator")
    for _ in range(3):
        await desk.number((0, 1), (2, 1))
    counted: list[int] = []
    observe = desk.edge._observe

    def look(scope: object, exchange: object, took: float) -> None:
        counted.append(exchange.statements)  # type: ignore[attr-defined]
        observe(scope, exchange, took)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.edge, "_observe", look)
    for path in LISTS:
        counted.clear()
        answer = await operator.get(f"/console/{path}")
        assert answer.status_code == 200
        assert 0 < counted[-1] <= 6, (path, counted)


def test_every_word_has_its_chinese() -> None:
    known = words.words("zh-CN")._singular
    missing = set()
    for file in PAGES.glob("*.html"):
        for _, text in re.findall(r"\b_\((\"|')((?:\\.|(?!\1).)*)\1", file.read_text("utf-8")):
            if text not in known:
                missing.add((file.name, text))
    assert not missing


async def test_search_leads_to_what_was_meant(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    number = await desk.number((0, 1))
    person = desk.people["operator"]
    for asked, place in (
        (number.lower(), f"/en/console/orders/{number}"),
        ("operator@shop.test", f"/en/console/customers/{person}"),
        ("T-1", "/en/console/catalogue?q=T-1"),
        (str(uuid.UUID(int=5)), f"/en/console/events?subject={uuid.UUID(int=5)}"),
        ("a lamp", "/en/console/catalogue?q=a+lamp"),
    ):
        answer = await operator.get("/console/search", params={"q": asked})
        assert answer.headers["location"] == place
