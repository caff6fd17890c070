"""What the campaigns of the demonstration shop sell: which products of the content, in which
market."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pinwheel.demonstration import DemoProduct

LEAST_PIECES, PLENTY = 4, 30


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """Products by the kind of campaign that sells them, in one currency."""

    currency: str
    team: list[DemoProduct]
    deals: list[DemoProduct]
    newcomers: list[DemoProduct]
    bargain: list[DemoProduct]
    subsidy: list[DemoProduct]
    prices: list[DemoProduct]
    big_day: list[DemoProduct]

    def price(self, product: DemoProduct) -> int:
        return product.variants[0].price_minor[self.currency]

    @property
    def all_goods(self) -> list[DemoProduct]:
        parts = (self.team, self.deals, self.newcomers, self.bargain, self.subsidy)
        return [product for part in parts for product in part]


def sku_of(product: DemoProduct) -> str:
    """What campaigns sell of a product."""
    return product.variants[0].sku


def shelf_of(
    products: Sequence[DemoProduct], currency: str, sizes: Sequence[int], least_minor: int
) -> Shelf | None:
    """The first products of the content that have a price and enough pieces, those with plenty
    that were never reduced before the others; None when there are too few. ``sizes`` in the order
    of the shelf."""
    sound = [
        p
        for p in products
        if p.variants[0].price_minor.get(currency, 0) >= least_minor
        and sum(p.variants[0].stock) >= LEAST_PIECES
    ]
    sound.sort(key=_lacks)
    if len(sound) < sum(sizes):
        return None
    parts, at = [], 0
    for size in sizes:
        parts.append(sound[at : at + size])
        at += size
    team, deals, newcomers, bargain, subsidy, prices, big_day = parts
    return Shelf(
        currency=currency, team=team, deals=deals, newcomers=newcomers, bargain=bargain,
        subsidy=subsidy, prices=prices, big_day=big_day,
    )  # fmt: skip


def _lacks(product: DemoProduct) -> tuple[bool, bool]:
    variant = product.variants[0]
    return bool(variant.list_price_minor), sum(variant.stock) < PLENTY
