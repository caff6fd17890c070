"""In which markets the demonstration shop has lived with its growth loop, and with what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pinwheel.demonstration import DemoOrderPlan, DemoProduct
from pinwheel.seeding.living import Market
from pinwheel.seeding.season import FIRST_NUMBER, PER_ORDER, Place, season_of
from pinwheel.seeding.shelf import shelf_of

HOME, CURRENCY, LEAST_MINOR = "CN", "CNY", 2_000
ABROAD, ABROAD_CURRENCY, ABROAD_LEAST_MINOR = "GB", "GBP", 250
SIZES = (8, 4, 4, 1, 2, 2, 3)  # team, deals, newcomers, bargain, subsidy, prices, big day
ABROAD_SIZES = (4, 3, 2, 0, 0, 0, 0)
ABROAD_FIRST_NUMBER = 5 * FIRST_NUMBER
LEAST_RATE = 2.0
BEFORE_DAYS, SHORT_DAYS = 57, 15  # of a season before its history; a short one has no time before
ABROAD_SHARE = 0.25  # of the rate at home
GOODS = 60  # the first ones of the content; abroad those after them


def lives_of(
    products: Sequence[DemoProduct],
    plans: Sequence[DemoOrderPlan],
    began_at: dt.datetime,
    *,
    days: int,
    orders_a_day: int,
    seed: int,
) -> list[Market]:
    """At home with everything for a season that is longer than the history; abroad, for readers of
    English, since the history began. None where the content is too small."""
    shelf = shelf_of(products[:GOODS], CURRENCY, SIZES, LEAST_MINOR)
    if shelf is None:
        return []
    rate = orders_a_day * PER_ORDER if days > SHORT_DAYS else LEAST_RATE
    home = Place(
        market=HOME,
        shelf=shelf,
        prices=prices_of(products, CURRENCY),
        until=began_at,
        days=days + min(BEFORE_DAYS, 4 * max(0, days - SHORT_DAYS)),
        rate=rate,
        first_number=FIRST_NUMBER,
        numbered_from=len(plans),
    )
    found = [Market(HOME, season_of(plans, home, seed), shelf, rate)]
    shelf = shelf_of(products[GOODS : 2 * GOODS], ABROAD_CURRENCY, ABROAD_SIZES, ABROAD_LEAST_MINOR)
    if shelf is not None:
        abroad = Place(
            market=ABROAD,
            shelf=shelf,
            prices=prices_of(products, ABROAD_CURRENCY),
            until=began_at,
            days=days,
            rate=rate * ABROAD_SHARE,
            first_number=ABROAD_FIRST_NUMBER,
            numbered_from=len(plans) + len(found[0].season.plans),
        )
        found.append(Market(ABROAD, season_of(plans, abroad, seed), shelf, abroad.rate))
    return found


def prices_of(products: Sequence[DemoProduct], currency: str) -> dict[str, int]:
    """By SKU; what has no price in it costs nothing there."""
    return {v.sku: v.price_minor.get(currency, 0) for p in products for v in p.variants}
