"""Splitting money and rounding tax."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.trade import pricing

weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)
totals = st.integers(-(10**12), 10**12)


@given(totals, weights)
def test_the_parts_sum_to_the_whole_and_are_fair(total: int, shares: list[int]) -> None:
    parts = pricing.allocate(total, shares)
    assert sum(parts) == total
    assert parts == pricing.allocate(total, shares)
    fair = shares if any(shares) else [1] * len(shares)
    for part, share in zip(parts, fair, strict=True):
        assert abs(part - Fraction(total * share, sum(fair))) < 1


@given(totals, weights)
def test_a_refund_is_split_as_the_payment_was(total: int, shares: list[int]) -> None:
    assert [-part for part in pricing.allocate(total, shares)] == pricing.allocate(-total, shares)


@given(totals, weights)
def test_who_weighs_nothing_gets_nothing(total: int, shares: list[int]) -> None:
    if any(shares):
        for part, share in zip(pricing.allocate(total, shares), shares, strict=True):
            assert share or not part


def test_ties_go_to_the_earlier_part() -> None:
    assert pricing.allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert pricing.allocate(5, [0, 0]) == [3, 2]
    assert pricing.allocate(0, []) == []


@pytest.mark.parametrize("shares", [[], [3, -1]])
def test_unsound_weights_are_an_error(shares: list[int]) -> None:
    with pytest.raises(ValueError, match=r"allocate|negative"):
        pricing.allocate(1, shares)


def test_tax_rounds_half_away_from_zero() -> None:
    assert pricing.tax_included(11_300, 1_300) == 1_300
    assert pricing.tax_on_top(50, 100) == 1  # exactly one half
    assert pricing.tax_on_top(49, 100) == 0
    assert pricing.tax_on_top(-50, 100) == -1
    assert pricing.tax_included(0, 2_000) == 0


@given(st.integers(0, 10**12), st.integers(0, 10_000))
def test_tax_inside_is_less_than_tax_on_top_and_undoes_it(net: int, rate: int) -> None:
    gross = net + pricing.tax_on_top(net, rate)
    assert abs(gross - pricing.tax_included(gross, rate) - net) <= 1
    assert pricing.tax_on_top(-net, rate) == -pricing.tax_on_top(net, rate)
