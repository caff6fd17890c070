"""The console: where the staff of a shop work all day.

Every page asks one question and every button is one verb, recorded with who pressed it. A program
gets the same from the same addresses as JSON. Each address names the right that it takes
(``frame.SCOPES``): an operator has all of them, a clerk those of the daily work.

`WEB` is what ``app.py`` composes."""

from pinwheel.faces.console import (
    catalogue_web,
    categories_web,
    changes_web,
    customers_web,
    ledger_web,
    orders_web,
    payments_web,
    running_web,
    settings_web,
    stock_web,
    today_web,
)

__all__ = ["WEB"]

WEB = (
    today_web,
    orders_web,
    customers_web,
    catalogue_web,
    categories_web,
    changes_web,
    stock_web,
    payments_web,
    ledger_web,
    running_web,
    settings_web,
)
