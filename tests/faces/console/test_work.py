"""A day's work: what buttons do, twice, too late, wrongly, and what is recorded."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from urllib.parse import unquote

import pytest

from console_world import Desk
from pinwheel.faces.console.frame import csv_line
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.ground import identity, ledger
from pinwheel.insight import profiles
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.errors import Invalid
from pinwheel.trade import catalogue, orders, pricing
from shop import money


async def order_of(desk: Desk, number: str) -> orders.OrderSight:
    async with desk.db.reading() as tx:
        return await orders.order(tx, number=number)


async def test_a_parcel_is_sent_once_however_often_the_button_is_pressed(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    number = await desk.number((0, 3))
    form = {"line": "0", "quantity": "2", "shipment_id": str(uuid.uuid4()), "carrier": "Post"}
    for _ in range(2):
        answer = await operator.post(f"/console/orders/{number}/ship", form)
        assert answer.headers["location"] == f"/en/console/orders/{number}"
    sight = await order_of(desk, number)
    assert [s.lines for s in sight.shipments] == [[(0, 2)]]
    assert sight.lines[0].open == 1
    page = (await operator.get(f"/console/orders/{number}")).text
    assert "Operator" in page and "Parcel sent" in page
    assert not await desk.shop.broken()


async def test_a_refusal_stands_where_one_was(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    number = await desk.number((0, 1))
    form = {"line": "0", "quantity": "9", "shipment_id": str(uuid.uuid4())}
    answer = await operator.post(f"/console/orders/{number}/ship", form)
    page = await operator.get(f"/console/orders/{number}")
    assert answer.status_code == 303
    assert 'id="refusal"' in page.text and "9 asked for" in page.text
    again = await operator.get(f"/console/orders/{number}")
    assert 'id="refusal"' not in again.text  # said once
    program = await operator.post(
        f"/console/orders/{number}/ship", form, headers={"accept": "application/json"}
    )
    assert program.status_code == 422 and program.json()["code"] == "nothing_to_ship"
    assert not (await order_of(desk, number)).shipments


async def test_several_orders_are_sent_and_the_one_that_cant_be_says_why(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    numbers = [await desk.number((0, 1)) for _ in range(3)]
    ids = [str((await order_of(desk, n)).order.id) for n in numbers]
    await operator.post(f"/console/orders/{numbers[1]}/cancel", {"reason": "asked by phone"})
    answer = await operator.post(
        "/console/orders/send", {"order": ids}, headers={"accept": "application/json"}
    )
    done = answer.json()
    assert done["sent"] == 2 and list(done["refused"]) == [ids[1]]
    states = [(await order_of(desk, n)).order.state for n in numbers]
    assert states == ["shipped", "cancelled", "shipped"]


async def test_goodwill_is_an_expense_and_given_once(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    number = await desk.number((0, 2))
    await operator.post(f"/console/orders/{number}/ship")
    form = {"amount": "5,50", "reason": "late", "gift_id": str(uuid.uuid4())}
    for _ in range(2):
        await operator.post(f"/console/orders/{number}/goodwill", form)
    before = await money(desk.db, "sales:own:GBP", "tax:GB:GBP")
    assert (await money(desk.db, "goodwill:GBP"))["goodwill:GBP"] == 550
    assert sum(before.values()) >= 2000  # income and tax stay as they were
    too_much = {"amount": "9999", "reason": "late", "gift_id": str(uuid.uuid4())}
    await operator.post(f"/console/orders/{number}/goodwill", too_much)
    assert (await money(desk.db, "goodwill:GBP"))["goodwill:GBP"] == 550
    assert not await desk.shop.broken()


async def test_every_look_at_a_person_is_recorded_and_shown(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    await desk.signed_in("buyer")
    person_id = desk.people["buyer"]
    await clerk.get("/console/customers", params={"email": "Buyer@Shop.test "})
    page = await clerk.get(f"/console/customers/{person_id}")
    assert "buyer@shop.test" in page.text
    async with desk.db.reading() as tx:
        access = await identity.access_to(tx, person_id)
    assert [a.what for a in access] == ["customer"]
    assert access[0].actor == f"clerk:{desk.people['clerk']}"


async def test_erasing_asks_for_the_word_and_keeps_the_books(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await desk.signed_in("buyer")
    here = f"/console/customers/{desk.people['buyer']}"
    await operator.post(f"{here}/erase", {"reason": "asked for it", "sure": "yes"})
    assert "buyer@shop.test" in (await operator.get(here)).text
    await operator.post(f"{here}/erase", {"reason": "asked for it", "sure": "ERASE"})
    page = await operator.get(here)
    assert page.status_code == 200 and "buyer@shop.test" not in page.text


async def test_a_customer_is_copied_and_erased_with_every_account(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await desk.signed_in("buyer")
    first = desk.people["buyer"]
    async with desk.db.transaction() as tx:
        second = await identity.register(tx, "buyer.again@shop.test", kind="buyer", name="Again")
        await profiles.merge(tx, first, second.id, "same telephone")
    here = f"/console/customers/{first}"
    assert "This customer has 2 accounts" in (await operator.get(here)).text
    copy = await operator.post(f"{here}/export", {"reason": "asked for it"})
    mails = [a["person"]["email"] for a in copy.json()["accounts"]]
    assert mails == ["buyer@shop.test", "buyer.again@shop.test"]
    await operator.post(f"{here}/erase", {"reason": "asked for it", "sure": "ERASE"})
    async with desk.db.reading() as tx:
        people = await identity.people(tx, [first, second.id])
    assert [p.email for p in people.values()] == [None, None]


async def test_a_count_corrects_the_books_once(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    here = f"/console/stock/{desk.shop.variants[0]}"
    form = {"node": "MAIN", "document_id": str(uuid.uuid4())}
    for _ in range(2):
        await clerk.post(f"{here}/count", form | {"quantity": "47", "reason": "counted"})
    assert await desk.shop.stock(0) == (97, 0)
    await clerk.post(f"{here}/receive", form | {"quantity": "5"})
    await clerk.post(f"{here}/receive", form | {"quantity": "5"})
    assert await desk.shop.stock(0) == (102, 0)
    refused = form | {"quantity": "0", "reason": "  ", "document_id": str(uuid.uuid4())}
    await clerk.post(f"{here}/count", refused)
    assert await desk.shop.stock(0) == (102, 0)


async def test_a_closed_node_sends_its_promises_elsewhere(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    number = await desk.number((0, 2))
    node = (await order_of(desk, number)).lines[0].node
    await operator.post(f"/console/nodes/{node}/close")
    assert (await order_of(desk, number)).lines[0].node != node
    assert not await desk.shop.broken()


async def product_of(desk: Desk) -> tuple[uuid.UUID, catalogue.Product]:
    async with desk.db.reading() as tx:
        product_id = (await catalogue.skus(tx, ["T-0"]))["T-0"].product_id
        product, _ = await catalogue.product(tx, product_id)
    return product_id, product


def editor_of(page: str) -> dict[str, object]:
    """What the product's form would send as it stands."""
    form = page[page.index('id="editor"') :]
    form = form[: form.index("</form>")]
    sent: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input[^>]*? name="([^"]+)"[^>]*? value="([^"]*)"', form):
        sent.setdefault(name, []).append(value)
    for name in re.findall(r'<select[^>]*name="(variant_status)"', form):
        sent.setdefault(name, []).append("published")
    sent.pop("csrf_token")
    return dict(sent)


async def test_the_editor_saves_and_does_not_overwrite_a_colleague(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    product_id, before = await product_of(desk)
    here = f"/console/catalogue/{product_id}"
    first = editor_of((await clerk.get(here)).text)
    saved = await clerk.post(here, first | {"title_en": "Lamp", "title_zh": "灯"})
    assert saved.status_code == 303
    _, now = await product_of(desk)
    assert now.title == {"en": "Lamp", "zh-CN": "灯"} and now.version == before.version + 1
    late = await clerk.post(here, first | {"title_en": "Lantern"})
    assert late.status_code == 409
    assert 'id="refusal"' in late.text and 'value="Lantern"' in late.text  # nothing written is lost
    assert (await product_of(desk))[1].title["en"] == "Lamp"


async def test_a_bulk_edit_is_seen_first_and_taken_back_at_once(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    async with desk.db.reading() as tx:
        ids = [str(p.id) for p in (await catalogue.products(tx)).items]
    form = {"product": ids, "field": "brand", "value": "Nine", "reason": "new owner"}
    seen = await clerk.post("/console/catalogue/bulk", form | {"do": "preview"})
    assert "3 would change" in seen.text and (await product_of(desk))[1].brand == ""
    done = await clerk.post("/console/catalogue/bulk", form | {"do": "apply"})
    assert (await product_of(desk))[1].brand == "Nine"
    change = done.headers["location"].removeprefix("/en")
    await clerk.post(f"{change}/revert")
    assert (await product_of(desk))[1].brand == ""
    await clerk.post(f"{change}/revert")
    assert 'id="refusal"' in (await clerk.get(change)).text  # a change is taken back once


async def test_a_slip_of_the_finger_is_not_a_price(desk: Desk, clock: SetClock) -> None:
    clerk = await desk.signed_in("clerk")
    product_id, _ = await product_of(desk)
    offer, here = desk.shop.offers[0], f"/console/catalogue/{product_id}"

    async def now() -> pricing.Price:
        async with desk.db.reading() as tx:
            return (await pricing.prices(tx, [offer], "GBP"))[offer]

    clock.travel(hours=1)
    form = {"currency": "GBP", "variant_id": str(desk.shop.variants[0]), "list_price": ""}
    await clerk.post(f"{here}/prices", form | {"price": "0.10"})
    assert (await now()).price_minor == 1000
    await clerk.post(f"{here}/prices", form | {"price": "0.10", "confirmed": "on"})
    assert (await now()).price_minor == 10
    seen = await clerk.get(
        f"/console/prices/preview?currency=GBP&offer={offer}&price=0.05&list_price=90"
    )
    assert "lowest price of the last 30 days" in seen.text
    other = str(desk.shop.variants[1])
    await clerk.post(f"{here}/prices", form | {"price": "1", "variant_id": other})
    assert 'id="refusal"' in (await clerk.get(here)).text  # a variant of another product


async def test_a_period_is_closed_by_an_operator_who_means_it(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await operator.post("/console/ledger/close", {"until": "2026-01-04"})
    await operator.post("/console/ledger/close", {"until": "2026-02-01", "sure": "on"})
    async with desk.db.reading() as tx:
        assert await ledger.periods(tx) == []
    await operator.post("/console/ledger/close", {"until": "2026-01-04", "sure": "on"})
    async with desk.db.reading() as tx:
        [period] = await ledger.periods(tx)
    assert period.actor == f"operator:{desk.people['operator']}"


async def test_the_audit_is_kept_and_shown_today(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    assert "never run" in (await operator.get("/console/today")).text
    await operator.post("/console/audit")
    assert "all kept" in (await operator.get("/console/today")).text


async def test_only_the_import_folder_is_read(desk: Desk, tmp_path: Path) -> None:
    clerk = await desk.signed_in("clerk")
    (tmp_path / "secret.csv").write_text("Handle,Title\n", encoding="utf-8")
    (tmp_path / "import").mkdir()
    for name in ("../secret.csv", str(tmp_path / "secret.csv"), "..", ""):
        path = f"/console/import/preview?source=shopify-csv&name={name}"
        assert (await clerk.get(path)).status_code == 404
    file = {"file": ("../../x.sh", b"#!/bin/sh", "text/csv")}
    await clerk.post("/console/import", {"source": "shopify-csv"}, files=file)
    assert not list((tmp_path / "import").iterdir())
    file = {"file": ("../a b.csv", b"Handle,Title,Variant Price\nx,Lamp,3\n", "text/csv")}
    sent = await clerk.post("/console/import", {"source": "shopify-csv"}, files=file)
    [kept] = (tmp_path / "import").iterdir()
    assert kept.name.endswith("-a-b.csv")
    seen = await clerk.get(unquote(sent.headers["location"]).removeprefix("/en"))
    assert seen.status_code == 200 and "Handle" in seen.text


async def test_a_file_goes_in_by_the_worker(desk: Desk, tmp_path: Path) -> None:
    clerk = await desk.signed_in("clerk")
    folder = tmp_path / "import"
    folder.mkdir()
    (folder / "two.csv").write_text(
        "Handle,Title,Variant SKU,Variant Price,Published\n"
        "lamp,Lamp,L-1,12.50,TRUE\nvase,Vase,V-1,oops,TRUE\n",
        encoding="utf-8",
    )
    form = {"source": "shopify-csv", "name": "two.csv", "currency": "GBP"}
    await clerk.post("/console/import/begin", form)
    await desk.worker().drain()
    page = (await clerk.get("/console/import")).text
    assert "two.csv" in page
    job = re.search(r"/en(/console/import/[0-9a-f-]{36})", page)
    assert job
    report = (await clerk.get(job[1], headers={"accept": "application/json"})).json()
    assert report["report"]["status"] == "done" and report["report"]["counts"]["created"] >= 1
    faults = await clerk.get(f"{job[1]}/faults.csv")
    assert "oops" in faults.text


async def test_a_secret_is_shown_once(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    made = await operator.post("/console/open/keys", {"label": "till", "scopes": "orders:read"})
    key = re.search(r"pk_live_[\w-]+", made.text)
    assert key
    assert key[0] not in (await operator.get("/console/open")).text


def test_a_cell_that_a_spreadsheet_would_run_is_text() -> None:
    line = csv_line("=1+1", "-3", "plain", 5, "+x", "@y")
    assert line == b"'=1+1,'-3,plain,5,'+x,'@y\r\n"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("12.50", "GBP", 1250), ("12,5", "EUR", 1250), ("0.01", "CNY", 1), ("500", "JPY", 500)],
)
def test_amounts_are_read_as_people_write_them(text: str, currency: str, minor: int) -> None:
    assert minor_of(text, currency) == minor
    assert minor_of(plain_of(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"), [("1.005", "GBP"), ("0.5", "JPY"), ("1,234", "GBP"), ("nan", "GBP")]
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(Invalid):
        minor_of(text, currency)
