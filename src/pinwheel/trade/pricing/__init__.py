"""Pricing: what an offer costs now, what it cost before, and the tax in it or on top.

Words: a *price* belongs to an offer and a currency, starts at an instant and may end at one; the
*price now* is the one that started last and has not ended, so that a promotion's end brings the
earlier price back; the *strike-through* is a price that was really asked in the 30 days before; a
*market* is where one currency and one way of showing tax hold.

Promises: history is the table itself and is never rewritten; money is split to the last unit
(``allocate``); every rounding is half away from zero."""

from pinwheel.trade.pricing.actions import save_markets, set_prices, set_tax_rates
from pinwheel.trade.pricing.model import (
    CurrencyUnknown,
    ListPriceLow,
    Market,
    NewPrice,
    Place,
    Price,
    PriceChanged,
    PriceHistoric,
    PriceJump,
    PriceNegative,
    PricePeriodEmpty,
    PriceSet,
    PriceTwice,
    TaxRate,
    TaxRateUnsound,
    allocate,
    is_currency,
    tax_included,
    tax_on_top,
)
from pinwheel.trade.pricing.queries import (
    PastPrice,
    history,
    lowest_prices,
    markets,
    prices,
    tax_rates,
)

__all__ = [
    "CurrencyUnknown",
    "ListPriceLow",
    "Market",
    "NewPrice",
    "PastPrice",
    "Place",
    "Price",
    "PriceChanged",
    "PriceHistoric",
    "PriceJump",
    "PriceNegative",
    "PricePeriodEmpty",
    "PriceSet",
    "PriceTwice",
    "TaxRate",
    "TaxRateUnsound",
    "allocate",
    "history",
    "is_currency",
    "lowest_prices",
    "markets",
    "prices",
    "save_markets",
    "set_prices",
    "set_tax_rates",
    "tax_included",
    "tax_on_top",
    "tax_rates",
]
