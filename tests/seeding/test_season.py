"""The season that a demonstration shop has lived: possible, plausible, and the same each time."""

from __future__ import annotations

import datetime as dt

import pytest

from pinwheel.demonstration import SEED, DemoOrderPlan, order_history, shop
from pinwheel.seeding.goods import settled_products
from pinwheel.seeding.growth import lives_of
from pinwheel.seeding.history import deeds_of
from pinwheel.seeding.living import Market
from pinwheel.seeding.season import FIRST_NUMBER, TEAM_HOURS, Wish

UNTIL = dt.datetime(2026, 11, 23, 14, 20, tzinfo=dt.UTC)
DAYS, A_DAY = 30, 16
Lived = tuple[list[DemoOrderPlan], list[Market], dict[int, Wish]]


def live() -> Lived:
    products = settled_products(shop(SEED, UNTIL, review_count=0).products)
    plans = order_history(products, SEED, UNTIL, days=DAYS, orders_a_day=A_DAY, buyers=240)
    lives = lives_of(products, plans, UNTIL, days=DAYS, orders_a_day=A_DAY, seed=SEED)
    wishes = {n: wish for life in lives for n, wish in life.season.wishes.items()}
    return [*plans, *(p for life in lives for p in life.season.plans)], lives, wishes


@pytest.fixture(scope="module")
def lived() -> Lived:
    return live()


def test_the_same_content_has_the_same_season(lived: Lived) -> None:
    plans, _, wishes = live()
    assert plans == lived[0]
    assert wishes == lived[2]
    assert deeds_of(plans, wishes, UNTIL) == deeds_of(lived[0], lived[2], UNTIL)


def test_who_joins_comes_while_the_team_is_open(lived: Lived) -> None:
    plans, _, wishes = lived
    joins = {n: wish for n, wish in wishes.items() if wish.kind == "join"}
    seats: dict[int, set[int]] = {}
    assert joins
    for n, wish in joins.items():
        assert wishes[wish.by].kind == "lead"
        assert plans[wish.by].buyer_number == wish.sharer
        assert dt.timedelta() < plans[n].at - plans[wish.by].at < dt.timedelta(hours=48)
        members = seats.setdefault(wish.by, {wish.sharer})
        assert plans[n].buyer_number not in members
        members.add(plans[n].buyer_number)
    assert {len(members) for members in seats.values()} == {2, 3}


def test_who_brings_others_has_bought_before(lived: Lived) -> None:
    plans, lives, wishes = lived
    first: dict[int, dt.datetime] = {}
    for plan in plans:
        first[plan.buyer_number] = min(plan.at, first.get(plan.buyer_number, plan.at))
    for n, wish in wishes.items():
        if wish.kind == "invited":
            began, promotes = next(
                life.season.inviters[wish.sharer]
                for life in lives
                if wish.sharer in life.season.inviters
            )
            assert first[wish.sharer] <= began < plans[n].at
            assert promotes == wish.is_promoted
    buyers = sum(number >= FIRST_NUMBER for number in first)
    brought = sum(w.kind in ("join", "invited") for w in wishes.values())
    assert 0.1 < brought / (buyers + 87) < 0.6  # as many as come of themselves in the history


def test_a_bargain_is_cut_by_friends_before_it_is_bought(lived: Lived) -> None:
    plans, _, wishes = lived
    bargains = {n: wish for n, wish in wishes.items() if wish.kind == "bargain"}
    assert bargains
    for n, wish in bargains.items():
        assert wish.begins_at is not None
        assert dt.timedelta() < plans[n].at - wish.begins_at < dt.timedelta(days=3)
        assert plans[n].buyer_number not in wish.helpers
        assert len(set(wish.helpers)) == len(wish.helpers) > 0


def test_a_thing_has_one_deal_at_a_time(lived: Lived) -> None:
    for life in lived[1]:
        deals = life.season.deals
        assert sum(d.starts_at <= UNTIL < d.ends_at for d in deals) == 3
        for one in deals:
            for other in deals:
                if one is not other and one.product is other.product:
                    assert one.ends_at <= other.starts_at or other.ends_at <= one.starts_at


def test_a_team_waits_before_it_is_sent(lived: Lived) -> None:
    plans, _, wishes = lived
    deeds = [d for d in deeds_of(plans, wishes, UNTIL) if d.kind == "ship"]
    for deed in deeds:
        if deed.number in wishes and wishes[deed.number].kind in ("lead", "join"):
            assert deed.at - plans[deed.number].at >= dt.timedelta(hours=TEAM_HOURS)
