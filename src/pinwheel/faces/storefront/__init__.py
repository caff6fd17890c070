"""The storefront: the pages a buyer walks through, from the first look to the return.

Words: a *frame* is what stands around every page (departments, markets, ways of delivery); a *card*
is a product in a list; a *market* is where the reader buys: a currency, its taxes and countries.

Promises: every page works without JavaScript and by keyboard; the price, the stock and the
structured data of a product come from one place, so they can't differ; a product page costs at most
five statements.
"""

from pinwheel.faces.storefront import (
    account_web,
    bargain_web,
    basket_web,
    bigday_balance_web,
    bigday_web,
    card_web,
    checkout_web,
    deals_web,
    exchange_web,
    found_web,
    goods_web,
    help_web,
    invite_web,
    letters_web,
    newcomer_web,
    one_tap_web,
    orders_web,
    product_web,
    products_web,
    returning_web,
    scan_web,
    share_web,
    team_checkout_web,
    team_web,
    tender_web,
    try_web,
    wallet_web,
)
from pinwheel.faces.storefront.frame import surroundings

__all__ = ["WEB", "surroundings"]

WEB = (
    goods_web,
    product_web,
    products_web,
    basket_web,
    deals_web,
    bigday_web,
    bigday_balance_web,
    wallet_web,
    tender_web,
    checkout_web,
    orders_web,
    returning_web,
    exchange_web,
    try_web,
    account_web,
    one_tap_web,
    help_web,
    letters_web,
    newcomer_web,
    found_web,
    team_web,
    team_checkout_web,
    bargain_web,
    invite_web,
    scan_web,
    share_web,
    card_web,
)
"""What ``app.py`` composes."""
