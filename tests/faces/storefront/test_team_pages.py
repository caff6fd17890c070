"""Teams as people meet them: the product's page, the team's page, the checkout of a seat."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pinwheel.growth import social
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from storefront_world import Storefront, field_of, fields_of, open_storefront, text_of
from web_world import Browser

pytestmark = pytest.mark.slow


class TeamStore:
    def __init__(self, store: Storefront, slug: str, campaign_id: uuid.UUID, offer: Any) -> None:
        self.store, self.campaign_id, self.offer = store, campaign_id, offer
        self.slug, _, self.sku = slug.partition("?variant=")
        self.worker = Worker(store.db)

    async def takes_seat(self, browser: Browser, path: str, **more: str) -> Any:
        """Fill in the checkout of a seat and send it."""
        shown = await browser.get(path)
        assert shown.status_code == 200, shown.text
        form = {
            name: field_of(shown.text, name)
            for name in ("key", "team", "campaign", "offer")
            if f'name="{name}"' in shown.text
        }
        form |= {
            "email": "guest@example.com",
            "name": "Example",
            "address": "1 Example Street",
            "city": "Exampleton",
            "country": "GB",
            "delivery": "standard",
            "payment": "sandbox:tok_ok",
            "quotes": fields_of(shown.text, "quotes"),
        }
        return await browser.post("/teams/checkout", form | more)


@pytest.fixture
async def teams(db: Database, tmp_path: Path) -> AsyncIterator[TeamStore]:
    async with open_storefront(db, tmp_path, most=12, days=1) as store:
        async with db.reading() as tx:
            row = await tx.connection.fetchrow(
                "select o.offer_id, v.slug, v.sku, p.price_minor from marketplace.v_offer o"
                " join catalogue.v_variant v using (variant_id)"
                " join pricing.v_price p on p.offer_id = o.offer_id and p.currency = 'GBP'"
                " join inventory.v_atp a on a.variant_id = v.variant_id and a.atp > 5"
                " where o.active and v.buyable order by p.price_minor desc limit 1"
            )
        async with db.transaction(actor="test") as tx:
            campaign_id = await social.open_team_campaign(
                tx,
                social.TeamTerms(
                    name={"en": "Two together", "zh-CN": "双人团"},
                    market="GB",
                    currency="GBP",
                    seats=2,
                    offers=[
                        social.TeamOffer(
                            offer_id=row["offer_id"], price_minor=row["price_minor"] // 2
                        )
                    ],
                ),
            )
        yield TeamStore(store, f"{row['slug']}?variant={row['sku']}", campaign_id, row["offer_id"])


async def _opens(teams: TeamStore, browser: Browser, **more: str) -> str:
    """Through the product's page to a team; its path."""
    await browser.get(f"/p/{teams.slug}")
    went = await browser.post(
        "/teams", {"campaign": str(teams.campaign_id), "offer": str(teams.offer)}
    )
    assert went.status_code == 303
    placed = await teams.takes_seat(browser, went.headers["location"][3:], **more)
    assert placed.status_code == 303, text_of(placed.text)
    await teams.worker.drain()
    seen = await browser.get(placed.headers["location"][3:])
    found: str = seen.headers["location"]
    return found[3:]


async def test_from_the_product_to_a_complete_team(teams: TeamStore) -> None:
    leader, friend, late = (teams.store.browser() for _ in range(3))
    page = await leader.get(f"/p/{teams.slug}?variant={teams.sku}")
    assert "Buy together" in page.text and "In a team of 2" in page.text
    path = await _opens(teams, leader, shows_initial="on")
    shown = await leader.get(path)
    assert "1 seat is free" in text_of(shown.text) and "You are in this team" in shown.text
    assert "data:image/svg+xml" in shown.text
    [link] = re.findall(r'readonly value="([^"]+)"', shown.text)
    listed = await friend.get(f"/p/{teams.slug}/teams")
    assert path in listed.text and "E**" in listed.text and "Example" not in listed.text
    await friend.get(f"{path}?by={link.split('by=')[1]}")
    went = await friend.post(f"{path}/join", {"by": link.split("by=")[1]})
    placed = await teams.takes_seat(friend, went.headers["location"][3:])
    assert placed.status_code == 303
    await teams.worker.drain()
    done = await friend.get(path)
    assert "The team is complete" in done.text
    async with teams.store.db.reading() as tx:
        assert await tx.value("select count(invited_by) from social.team_member") == 1
    full = await late.get(path)
    assert "/join" not in full.text and f"/p/{teams.slug}#teams" in full.text
    own = await friend.get("/account/teams")
    assert own.status_code == 200 and path in own.text


async def test_a_full_team_is_refused_with_what_to_do_and_nothing_is_charged(
    teams: TeamStore,
) -> None:
    leader, friend, late = (teams.store.browser() for _ in range(3))
    path = await _opens(teams, leader)
    wents = []
    for browser in (friend, late):
        await browser.get(path)
        wents.append(await browser.post(f"{path}/join"))
    assert (await teams.takes_seat(friend, wents[0].headers["location"][3:])).status_code == 303
    async with teams.store.db.reading() as tx:
        before = await tx.value("select count(*) from payments.payment")
    refused = await teams.takes_seat(late, wents[1].headers["location"][3:])
    assert refused.status_code == 409
    assert "full" in text_of(refused.text) or "ended" in text_of(refused.text)
    async with teams.store.db.reading() as tx:
        assert await tx.value("select count(*) from payments.payment") == before


async def test_in_chinese_nothing_is_left_in_english(teams: TeamStore) -> None:
    browser = teams.store.browser("zh-CN")
    browser.http.cookies.set("market", "GB")
    page = await browser.get(f"/p/{teams.slug}?variant={teams.sku}")
    assert "拼团购买" in page.text and "2 人团" in page.text
    path = await _opens(teams, teams.store.browser())
    shown = text_of((await browser.get(path)).text)
    for english in ("seat", "team", "Invite", "Join"):
        assert not re.search(rf"\b{english}", shown.split("Pinwheel")[1], re.I), english


async def test_a_stranger_and_a_wrong_address(teams: TeamStore) -> None:
    browser = teams.store.browser()
    assert (await browser.get("/team/unknown")).status_code == 404
    assert (await browser.get("/team/unknown/live")).status_code == 404
    assert (
        await browser.get(f"/teams/checkout?campaign={uuid.uuid4()}&offer={uuid.uuid4()}")
    ).status_code == 404
    assert (await browser.get("/teams/placed?key=x")).status_code == 404
