"""Attribution and incrementality: sums that hold, rules that agree with pencil and paper, and a
planted truth (simulated) that the holdout recovers and last click does not."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.growth.measurement import (
    MODELS,
    CostLine,
    Side,
    Touch,
    by_days,
    by_people,
    by_regions,
    channel_of,
    channels_of,
    credits,
    payback,
    removal_effects,
    shapley_values,
    whole_cents,
)
from pinwheel.growth.measurement.acquiring import cac_of

NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
CHANNELS = ("search-ads", "email", "team", "display", "direct")


def path(*channels: str) -> list[Touch]:
    return [Touch(c, NOON - dt.timedelta(days=len(channels) - n)) for n, c in enumerate(channels)]


def test_each_rule_with_pencil_and_paper() -> None:
    touches = path("display", "email", "team")
    assert credits(touches, NOON, "first") == {"display": 1.0}
    assert credits(touches, NOON, "last") == {"team": 1.0}
    assert credits(touches, NOON, "linear") == pytest.approx(dict.fromkeys(
        ("display", "email", "team"), 1 / 3))  # fmt: skip
    position = credits(touches, NOON, "position")
    assert position == pytest.approx({"display": 0.4, "email": 0.2, "team": 0.4})
    decayed = credits([Touch("a", NOON - dt.timedelta(days=7)), Touch("b", NOON)], NOON, "decay")
    assert decayed == pytest.approx({"a": 1 / 3, "b": 2 / 3})
    assert credits([], NOON, "last") == {"unknown": 1.0}
    # Direct counts only where there is nothing else.
    assert credits(path("email", "direct"), NOON, "last") == {"email": 1.0}
    assert credits(path("direct"), NOON, "last") == {"direct": 1.0}


def test_removal_effects_with_pencil_and_paper() -> None:
    """Of 4 paths 2 win: a; a b. Without a nobody wins; without b only a alone does."""
    won = Counter({("a",): 1, ("a", "b"): 1})
    lost = Counter({("b",): 1, ("a",): 1})
    found = removal_effects(won, lost)
    # start→a 3/4, start→b 1/4; a→won 1/3, a→b 1/3, a→lost 1/3; b→won 1/2, b→lost 1/2.
    whole = 3 / 4 * (1 / 3 + 1 / 3 * 1 / 2) + 1 / 4 * 1 / 2
    assert found["a"] == pytest.approx(1 - (1 / 4 * 1 / 2) / whole)
    assert found["b"] == pytest.approx(1 - (3 / 4 * 1 / 3) / whole)
    assert removal_effects(Counter(), lost) == {"a": 0.0, "b": 0.0}


def test_shapley_shares_out_what_all_channels_are_worth() -> None:
    won = Counter({("a",): 30, ("b",): 10, ("a", "b"): 40})
    lost = Counter({("a",): 70, ("b",): 90, ("a", "b"): 60})
    found = shapley_values(won, lost)
    assert sum(found.values()) == pytest.approx(80 / 300)
    assert found["a"] > found["b"]


@given(
    st.lists(st.sampled_from(CHANNELS), max_size=6),
    st.integers(-(10**9), 10**9),
    st.sampled_from(["first", "last", "linear", "decay", "position"]),
)
def test_shares_are_one_and_cents_add_up(channels: list[str], amount: int, model: str) -> None:
    shares = credits(path(*channels), NOON, model)  # type: ignore[arg-type]
    assert math.fsum(shares.values()) == pytest.approx(1)
    assert sum(whole_cents(shares, amount).values()) == amount


def test_by_every_rule_the_same_buyers_and_the_same_cents() -> None:
    rng = np.random.default_rng(5)
    people = [uuid.UUID(int=n + 1) for n in range(200)]
    touches = {p: path(*rng.choice(CHANNELS, size=int(rng.integers(0, 5)))) for p in people[:180]}
    lines = [CostLine(NOON.date(), "first_order", "", p, int(rng.integers(1, 999))) for p in people]
    lines += [CostLine(NOON.date(), "marketing", c, None, 12_345) for c in CHANNELS[:3]]
    lines += [CostLine(NOON.date(), "programme", "", None, 77)]
    lines += [CostLine(NOON.date(), "repeat", "", None, 10**6)]
    won = dict.fromkeys(people, NOON)
    found = channels_of(lines, won, touches, Counter({("email",): 900, ("display",): 50}), {})
    cost = sum(x.amount_minor for x in lines if x.kind != "repeat")
    assert set(found) == set(MODELS)
    for rows in found.values():
        assert sum(r.cost_minor for r in rows) == cost
        assert math.fsum(r.buyers for r in rows) == pytest.approx(200)


def test_channels_are_named_by_what_the_address_said() -> None:
    assert channel_of("page_viewed", "google", "CPC", "") == "search-ads"
    assert channel_of("page_viewed", "Partner Site!", "", "") == "partner-site"
    assert channel_of("page_viewed", "", "", "https://elsewhere.example") == "organic"
    assert channel_of("page_viewed", "", "", "") == "direct"
    assert channel_of("share:team", "", "", "") == "team"
    assert channel_of("order", "", "", "", "agent") == "agent"


class Street:
    """People who see banners and films (simulated). The film makes one in twelve buy and is seen
    first; the banner follows whoever is about to buy anyway, is seen last, and makes one in a
    hundred buy."""

    FILM, BANNER = 1 / 12, 1 / 100

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.truth = {"video": 0.0, "display": 0.0}
        self.last: Counter[str] = Counter()
        self.sides: dict[str, dict[bool, list[bool]]] = {}
        for channel in self.truth:
            self.sides[channel] = {True: [], False: []}
        for _ in range(20_000):
            anyway = rng.random() < 0.05
            held = {c: bool(rng.random() < 0.5) for c in self.truth}
            film = rng.random() < 0.4 and not held["video"]
            banner = rng.random() < (0.9 if anyway else 0.15) and not held["display"]
            by_film = film and rng.random() < self.FILM
            by_banner = banner and rng.random() < self.BANNER
            buys = anyway or by_film or by_banner
            self.truth["video"] += by_film and not anyway and not by_banner
            self.truth["display"] += by_banner and not anyway and not by_film
            seen = [c for c, was in (("video", film), ("display", banner)) if was]
            if buys:
                self.last.update(credits(path(*seen), NOON, "last"))
            for channel in self.truth:
                self.sides[channel][held[channel]].append(bool(buys))

    def holdout(self, channel: str) -> float:
        treated, held = self.sides[channel][False], self.sides[channel][True]
        found = by_people(
            channel, Side(len(treated), sum(treated)), Side(len(held), sum(held))
        ).buyers
        assert found is not None
        return found


def test_the_holdout_recovers_planted_effects_better_than_last_click() -> None:
    for seed in range(5):
        street = Street(seed)
        held = sum(abs(street.holdout(c) - t) for c, t in street.truth.items())
        last = sum(abs(street.last[c] - t) for c, t in street.truth.items())
        assert held < last / 2, (held, last)
        # Last click would move the money to the banner; the truth is the other way round.
        assert street.last["display"] > street.last["video"]
        assert street.holdout("video") > street.holdout("display")


def test_days_and_regions_switched_off() -> None:
    rng = np.random.default_rng(9)
    days = [NOON.date() + dt.timedelta(days=n) for n in range(60)]
    off = set(days[::2])
    won = {d: int(rng.poisson(20 if d in off else 30)) for d in days}
    found = by_days("search-ads", won, off, cost_minor=90_000, last_click=500.0)
    assert found.buyers is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 300 <= found.high
    assert found.each_minor == pytest.approx(90_000 / found.buyers)
    assert found.last_click == 500.0
    assert by_days("x", dict.fromkeys(days[:4], 1), {days[0]}).buyers is None
    before = {f"r{n}": 100 + 10 * n for n in range(10)}
    during = {f"r{n}": 100 + 10 * n + (0 if n < 5 else 8) + n % 3 for n in range(10)}
    lift = by_regions("search-ads", before, during, {f"r{n}" for n in range(5)})
    assert lift.low is not None
    assert lift.high is not None
    assert lift.low <= 40 <= lift.high


def test_a_channel_that_may_bring_nobody_has_no_upper_price() -> None:
    found = by_people("email", Side(1000, 50), Side(1000, 50), cost_minor=1000)
    assert found.low is not None
    assert found.low < 0
    assert found.each_high_minor is None
    assert found.each_minor is None
    assert by_people("email", Side(1000, 50), Side(0, 0)).buyers is None


def test_cac_has_an_interval_and_none_of_nobody() -> None:
    found = cac_of(10_000, 100)
    assert found is not None
    assert found.high is not None
    assert found.low < found.point == 100 < found.high
    assert cac_of(10_000, 0) is None


def test_payback_is_the_day_the_margin_covers_the_cost_and_never_a_guess() -> None:
    paid = {0: 10_000, 30: 10_000, 60: 10_000}
    cac = cac_of(60_00, 10)
    assert payback(paid, 10, cac, 0.3, 90) == 30
    assert payback(paid, 10, cac, 0.3, 20) is None
    assert payback(paid, 10, None, 0.3, 90) is None
