"""The way in and the way out as pages: what a person, a scanner and a mail program do there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ground.messages.readers import House, path_in
from pinwheel import app
from pinwheel.ground import messages
from pinwheel.ground.messages import Queued
from pinwheel.ground.messages.model import message_token
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Edge
from web_world import Browser, client


@pytest.fixture
async def open_house(db: Database, clock: SetClock, tmp_path: Path) -> tuple[House, Edge]:
    settings = Settings(
        secret="the secret of the tests",
        data_dir=tmp_path,
        public_url="https://shop.test",
        default_language="en",
        time_zone="UTC",
        rate_limit_per_second=0,
    )
    app.furnish(db, settings)
    made = House(db, clock)
    await made.write_letter()
    return made, app.edge(settings, db)


async def last_letter(house: House) -> str:
    """The newest letter as it is read: with its links."""
    async with house.db.reading() as tx:
        line = (await messages.letters(tx)).items[0]
        found = await messages.letter(tx, line.id)
        said = messages.Words(line.subject or "", found.text or "")
        if line.purpose == "marketing":
            said = messages.with_way_out(said, house.db.vault, "en", found.address_hash)
    return messages.plain(said.text, "https://shop.test")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_in_and_out_without_an_account(open_house: tuple[House, Edge], language: str) -> None:
    house, edge = open_house
    browser = Browser(edge, house.db, language=language)
    assert (await browser.get("/letters")).status_code == 200
    for email in ("ann@example.com", "ann@example.com"):
        assert (await browser.post("/letters", {"email": email, "zone": "UTC"})).status_code == 200
        await house.worker.drain()
    link = path_in(await last_letter(house), "/letters/confirm/").partition("/letters")[2]
    page = await browser.get(f"/letters{link}")
    assert page.status_code == 200 and "<form" in page.text
    assert not isinstance((await house.send("ann@example.com"))[0], Queued)  # a look is no yes
    assert (await browser.post(f"/letters{link}")).status_code == 200
    assert isinstance((await house.send("ann@example.com"))[0], Queued)
    await house.worker.drain()


async def test_a_scanner_unsubscribes_nobody_and_a_mail_program_does(
    open_house: tuple[House, Edge],
) -> None:
    house, edge = open_house
    await house.reader("ann@example.com")
    await house.send("ann@example.com")
    await house.worker.drain()
    link = path_in(await last_letter(house), "/letters/unsubscribe/")
    scanner = client(edge, house.db, accept="*/*")
    for _ in range(3):
        assert (await scanner.get(link)).status_code == 200
        assert (await scanner.head(link)).status_code in (200, 405)
    assert isinstance((await house.send("ann@example.com"))[0], Queued)
    # RFC 8058: no cookie, no token, from another site.
    program = client(edge, house.db, origin="https://mail.example", accept="*/*")
    form = {"List-Unsubscribe": "One-Click"}
    for _ in range(2):
        assert (await program.post(link, data=form)).status_code == 200
    assert isinstance((await house.send("ann@example.com"))[0], messages.Suppressed)
    wrong = link[:-1] + ("A" if link[-1] != "A" else "B")
    assert (await program.post(wrong, data=form)).status_code == 404
    assert (await program.get(wrong)).status_code == 404
    assert await house.broken() == []


async def test_a_counted_link_leads_into_the_shop_alone(open_house: tuple[House, Edge]) -> None:
    house, edge = open_house
    await house.reader("ann@example.com")
    (queued,) = await house.send("ann@example.com")
    assert isinstance(queued, Queued)
    browser = Browser(edge, house.db)
    token = message_token(house.db.vault, queued.message_id, "click /c/autumn")
    good = await browser.get(f"/letters/go/{token}?to=/c/autumn")
    assert good.status_code == 303 and good.headers["location"].endswith("/c/autumn")
    for elsewhere in ("https://evil.test/", "//evil.test", "/c/other", "/%5Cevil.test"):
        assert (await browser.get(f"/letters/go/{token}?to={elsewhere}")).status_code == 404
    seen = message_token(house.db.vault, queued.message_id, "seen")
    assert (await browser.get(f"/letters/seen/{seen}")).headers["content-type"] == "image/gif"


async def test_notices_without_a_signature_are_refused(open_house: tuple[House, Edge]) -> None:
    house, edge = open_house
    program = client(edge, house.db)
    answer = await program.post("/api/v1/webhooks/mail", content=b"[]")
    assert answer.status_code == 401
