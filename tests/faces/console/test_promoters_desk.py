"""Promoters at the desk: commissions wait, are paid out once and as agreed, and are summed up."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest

from console_world import Desk
from pinwheel.growth import social
from pinwheel.kernel.clock import SetClock
from pinwheel.trade import budgets, orders

DAY = 86_400


async def a_campaign(desk: Desk, basis_points: int = 2000) -> uuid.UUID:
    async with desk.db.transaction(actor="test") as tx:
        [budget] = await budgets.open_budgets(
            tx, [budgets.NewBudget(name="Promoters", currency="GBP")]
        )
        assert isinstance(budget, uuid.UUID)
        await budgets.fund(tx, budget, 100_000, reason="test")
        terms = social.InviteTerms(
            name={"en": "Promote us", "zh-CN": "推广我们"},
            kind="promoter",
            currency="GBP",
            budget_id=budget,
            commission_basis_points=basis_points,
            commission_days=30,
        )
        campaign_id = await social.save_invite_campaign(tx, terms)
        await social.set_invite_campaign(tx, campaign_id, running=True)
    return campaign_id


async def brings(desk: Desk, campaign_id: uuid.UUID, promoter: uuid.UUID, pieces: int) -> None:
    """A new buyer comes by the promoter's link; the order arrives."""
    child = uuid.uuid4()
    async with desk.db.transaction(actor="test") as tx:
        await social.join_campaign(tx, campaign_id, promoter)
        link = await social.link_of(tx, promoter, "invite", campaign_id=campaign_id)
        await social.touch_link(tx, link, child, "qr", accepts=True)
    bought = await desk.bought((0, pieces), person_id=child)
    await desk.worker().drain()
    async with desk.db.transaction(actor="test") as tx:
        await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id))
    await desk.worker().drain()


async def passes(desk: Desk, days: int) -> None:
    assert isinstance(desk.db.clock, SetClock)
    desk.db.clock.travel(seconds=days * DAY)
    await desk.worker().drain()


async def earned(desk: Desk) -> uuid.UUID:
    """A promoter to whom 20.00 is due."""
    campaign_id = await a_campaign(desk)
    await desk.signed_in("buyer")
    await brings(desk, campaign_id, desk.people["buyer"], 10)
    await passes(desk, 31)
    return desk.people["buyer"]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_commission_waits_is_due_and_is_paid_once(desk: Desk, language: str) -> None:
    operator = await desk.signed_in("operator", language)
    empty = (await operator.get("/console/promoters")).text
    assert ("No promoters here" if language == "en" else "暂无推广员") in empty
    campaign_id = await a_campaign(desk)
    await desk.signed_in("buyer")
    promoter = desk.people["buyer"]
    await brings(desk, campaign_id, promoter, 10)
    here = f"/console/promoters/{promoter}"
    assert "amount_minor" not in (await operator.get(here)).text  # it waits
    await passes(desk, 31)
    operator = await desk.signed_in("operator", language)
    page = (await operator.get(here)).text
    assert re.search(r'name="amount_minor" value="2000"', page)
    form = {"currency": "GBP", "amount_minor": "2000"}
    await operator.post(f"{here}/payouts", form)  # not confirmed
    assert 'role="alert"' in (await operator.get(here)).text
    await operator.post(f"{here}/payouts", form | {"sure": "true"})
    page = (await operator.get(here)).text
    assert "amount_minor" not in page and "Operator" in page
    await operator.post(f"{here}/payouts", form | {"sure": "true"})  # pressed again
    async with desk.db.reading() as tx:
        assert [p.amount_minor for p in (await social.payouts(tx, "GBP")).items] == [2000]
        [line] = (await social.promoters(tx, "GBP")).items
    assert (line.due_minor, line.paid_minor, line.pending_minor) == (0, 2000, 0)


async def test_two_clerks_pay_at_once_and_it_is_paid_once(desk: Desk) -> None:
    promoter = await earned(desk)
    operators = [await desk.signed_in("operator") for _ in range(2)]
    form = {"currency": "GBP", "amount_minor": "2000", "sure": "true"}
    path = f"/console/promoters/{promoter}/payouts"
    await asyncio.gather(*(o.post(path, form) for o in operators))
    async with desk.db.reading() as tx:
        assert [p.amount_minor for p in (await social.payouts(tx, "GBP")).items] == [2000]


async def test_what_has_changed_since_it_was_looked_at_is_not_paid(desk: Desk) -> None:
    promoter = await earned(desk)
    operator = await desk.signed_in("operator")
    here = f"/console/promoters/{promoter}"
    for amount in ("1900", "2100"):
        await operator.post(
            f"{here}/payouts", {"currency": "GBP", "amount_minor": amount, "sure": "true"}
        )
        assert "has changed since you looked" in (await operator.get(here)).text
    async with desk.db.reading() as tx:
        assert (await social.payouts(tx, "GBP")).items == []


async def test_a_clerk_neither_pays_nor_sees_the_tax_report(desk: Desk) -> None:
    promoter = await earned(desk)
    clerk = await desk.signed_in("clerk")
    assert (await clerk.get("/console/promoters/tax")).status_code == 403
    assert (await clerk.get("/console/promoters/tax.csv?year=2026")).status_code == 403
    answer = await clerk.post(
        f"/console/promoters/{promoter}/payouts",
        {"currency": "GBP", "amount_minor": "2000", "sure": "true"},
    )
    assert answer.status_code == 403


async def test_the_year_is_summed_up_on_the_page_and_in_the_file(desk: Desk) -> None:
    promoter = await earned(desk)
    operator = await desk.signed_in("operator")
    year = desk.db.clock.now().year
    page = (await operator.get(f"/console/promoters/tax?year={year}")).text
    assert "£20.00" in page and "below the threshold" in page
    await operator.post("/console/promoters/tax/threshold", {"amount": "20.00"})
    assert "to be reported" in (await operator.get(f"/console/promoters/tax?year={year}")).text
    await operator.post("/console/promoters/tax/threshold", {"amount": "-1"})
    assert 'role="alert"' in (await operator.get("/console/promoters/tax")).text
    rows = (await operator.get(f"/console/promoters/tax.csv?year={year}")).text.splitlines()
    expected = f"{year},{promoter},Buyer,buyer@shop.test,GBP,2000,0,2000,yes"
    assert rows[1:] == [expected]
    before = await operator.get(f"/console/promoters/tax?year={year - 1}")
    assert "No rewards in" in before.text
    async with desk.db.reading() as tx:
        looks = await tx.connection.fetchval(
            "select count(*) from identity.access where person_id = $1 and what = 'tax report'",
            promoter,
        )
    assert looks >= 3


async def test_lists_go_on_where_they_ended(desk: Desk) -> None:
    campaign_id = await a_campaign(desk)
    people = [uuid.uuid4() for _ in range(3)]
    for person in people:
        await brings(desk, campaign_id, person, 6)
        await passes(desk, 1)
    await passes(desk, 40)
    async with desk.db.reading() as tx:
        seen, cursor = [], None
        while True:
            found = await social.promoters(tx, "GBP", standing="due", cursor=cursor, limit=1)
            seen += [p.person_id for p in found.items]
            cursor = found.next
            if cursor is None:
                break
        assert seen == people[::-1]
        year, lines, cursor = desk.db.clock.now().year, [], None
        while True:
            part = await social.tax_page(tx, year, cursor=cursor, limit=1)
            lines += part.items
            cursor = part.next
            if cursor is None:
                break
        assert sorted(lines, key=str) == sorted(await social.tax_report(tx, year), key=str)
        assert len(lines) == 3
