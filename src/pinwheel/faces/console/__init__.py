"""The console: where the staff of a shop work all day.

Every page asks one question and every button is one verb, recorded with who pressed it. A program
gets the same from the same addresses as JSON. Each address names the right that it takes
(``frame.SCOPES``): an operator has all of them, a clerk those of the daily work.

`WEB` and `JOBS` are what ``app.py`` composes."""

from pinwheel.faces.console import (
    arrivals_web,
    audience_value_web,
    audience_web,
    bargains_web,
    bigdays_web,
    budgets_web,
    catalogue_web,
    categories_web,
    changes_web,
    coupons_web,
    customers_web,
    experiments_web,
    growth_web,
    imports_jobs,
    imports_web,
    invites_web,
    journeys_web,
    ledger_web,
    messages_web,
    newcomers_web,
    open_web,
    orders_web,
    payments_web,
    price_rules_web,
    profiles_web,
    promotions_web,
    returns_web,
    reviews_web,
    running_web,
    settings_web,
    stock_web,
    subsidy_web,
    teams_web,
    today_web,
    tracking_web,
    trust_web,
)

__all__ = ["JOBS", "OFFERS", "WEB"]

WEB = (
    today_web,
    orders_web,
    customers_web,
    promotions_web,
    bigdays_web,
    coupons_web,
    profiles_web,
    audience_web,
    audience_value_web,
    imports_web,
    catalogue_web,
    categories_web,
    changes_web,
    stock_web,
    payments_web,
    budgets_web,
    price_rules_web,
    subsidy_web,
    arrivals_web,
    returns_web,
    reviews_web,
    messages_web,
    journeys_web,
    teams_web,
    bargains_web,
    invites_web,
    trust_web,
    newcomers_web,
    experiments_web,
    growth_web,
    ledger_web,
    open_web,
    running_web,
    tracking_web,
    settings_web,
)
JOBS = (imports_jobs,)
OFFERS = profiles_web.OFFERS
