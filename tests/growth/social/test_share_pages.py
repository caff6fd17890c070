"""The pages of bargains and invitations, without scripts, in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console_world import Desk, open_desk
from pinwheel.growth import social
from pinwheel.kernel.db import Database
from pinwheel.trade import budgets
from storefront_world import field_of, fields_of


async def opened(desk: Desk) -> tuple[Any, Any]:
    async with desk.db.transaction(actor="test") as tx:
        [budget] = await budgets.open_budgets(tx, [budgets.NewBudget(name="B", currency="GBP")])
        await budgets.fund(tx, budget, 100_000, reason="test")
        names = {"en": "Bring a friend", "zh-CN": "邀请好友"}
        invite = social.InviteTerms(
            name=names, currency="GBP", budget_id=budget, inviter_minor=300, invitee_minor=200
        )
        campaign = await social.save_invite_campaign(tx, invite)
        await social.set_invite_campaign(tx, campaign, running=True)
    return budget, campaign


async def test_a_bargain_from_the_desk_to_the_order(db: Database, tmp_path: Path) -> None:
    desk = await open_desk(db, tmp_path)
    budget, _ = await opened(desk)
    operator = await desk.signed_in("operator")
    await operator.get("/console/bargains")
    form = {
        "name_en": "Cut it",
        "name_zh": "砍一刀",
        "market": "GB",
        "sku": "T-0",
        "budget_id": str(budget),
        "floor": "1.00",
        "helps": "2",
    }
    assert (await operator.post("/console/bargains", form)).status_code == 303
    owner, friend = desk.browser(), desk.browser()
    page = await owner.get("/bargains")
    assert "exactly 2 valid helps" in page.text
    started = await owner.post("/bargains", {"campaign": field_of(page.text, "campaign")})
    path = started.headers["location"].removeprefix("/en")
    own = (await owner.get(path)).text
    assert "£9.00 still to cut" in own
    assert "%" not in own.split('id="stand"')[1].split("</section>")[0]
    theirs = (await friend.get(path)).text
    assert ">Help cut the price<" in theirs
    helped = await friend.post(f"{path}/help", {"initials": "Test Friend"})
    assert helped.status_code == 303
    assert "Thank you" in (await friend.get(path)).text
    again = await friend.get(path)
    assert ">Help cut the price<" not in again.text
    own = (await owner.get(path)).text
    assert "Buy now for" in own
    checkout = await owner.get(f"{path}/buy")
    assert checkout.status_code == 200, checkout.text[:500]
    filled = {
        "key": field_of(checkout.text, "key"),
        "quotes": fields_of(checkout.text, "quotes"),
        "email": "reader@shop.test",
        "name": "A Reader",
        "country": "GB",
        "address": "1 Long Road",
        "city": "London",
        "postcode": "N1 9GU",
        "delivery": "standard",
        "payment": "sandbox:tok_ok",
    }
    placed = await owner.post(f"{path}/buy", filled)
    assert placed.status_code == 303, placed.text[:3000]
    await desk.worker().drain()
    ended = (await friend.get(path)).text
    assert "Its SHA-256 must be the line above" in ended
    assert "砍价" in (await desk.browser("zh-CN").get(path)).text
    desk_page = await operator.get("/console/bargains")
    assert "Bought" in desk_page.text


async def test_an_invitation_from_the_link_to_the_reward(db: Database, tmp_path: Path) -> None:
    desk = await open_desk(db, tmp_path)
    await opened(desk)
    inviter = await desk.signed_in("buyer")
    page = await inviter.get("/account/invites")
    link = page.text.split('id="share-link" readonly value="')[1].split('"')[0]
    token = link.rsplit("/", 1)[1]
    friend = desk.browser()
    came = await friend.get(f"/s/{token}?c=qr", headers={"user-agent": "Mozilla/5.0 Firefox/140.0"})
    assert came.status_code == 303
    assert came.headers["location"] == f"/en/invite/{token}"
    await friend.get(f"/s/{token}", headers={"user-agent": "TelegramBot (like TwitterBot)"})
    landing = await friend.get(f"/invite/{token}")
    assert "£2.00" in landing.text
    assert (await friend.post(f"/invite/{token}/accept", {})).status_code == 303
    async with db.reading() as tx:
        assert await tx.value("select count(accepted_at) from social.share_touch") == 1
        clicks = await tx.connection.fetchrow(
            "select sum(people) as people, sum(bots) as bots from social.share_clicks"
        )
    assert (clicks["people"], clicks["bots"]) == (1, 1)
    assert (await friend.get("/s/nothing")).status_code == 404
    assert (
        "邀请好友" in (await (await desk.signed_in("buyer", "zh-CN")).get("/account/invites")).text
    )
    operator = await desk.signed_in("operator")
    assert "Bring a friend" in (await operator.get("/console/invites")).text
