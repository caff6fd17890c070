"""A small shop with promotions."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import shop
import world
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.trade import orders, promotions
from pinwheel.trade.promotions import NewPromotion, Promotion, PromotionStage, Terms

PROMISES = [*shop.PROMISES, "pinwheel.trade.promotions", "pinwheel.trade.returns"]
GBP = promotions.Conditions(currency="GBP")


class Shop(shop.Shop):
    """``await shop.promote(kind, …)`` starts a promotion."""

    def __init__(self, opened: shop.Shop, stage: PromotionStage | None = None) -> None:
        super().__init__(opened.db)
        self.offers, self.variants = opened.offers, opened.variants
        self.buying = orders.Buying(opened.db, orders.Checkout(stage or PromotionStage()))
        opened.db.given[orders.Buying] = self.buying

    async def promote(self, kind: Any, *, started: bool = True, **how: Any) -> Promotion:
        """``how``: fields of ``NewPromotion`` and ``Terms``."""
        own = {k: how.pop(k) for k in ("code", "starts_at", "ends_at", "is_deal", "id") if k in how}
        name = how.pop("name", "Promotion")
        terms = Terms(kind=kind, **({"conditions": GBP} | how))
        new = NewPromotion(name={"en": name, "zh-CN": name}, terms=terms, **own)
        async with self.db.transaction(actor="test") as tx:
            saved = await promotions.save(tx, new)
            return await promotions.start(tx, saved.id) if started else saved

    async def deal(
        self, number: int, price_minor: int, pieces: int, opens_seconds: int = 0, **limits: Any
    ) -> Promotion:
        """A deal on one product for a day from ``opens_seconds`` on."""
        opens = world.MONDAY + dt.timedelta(seconds=opens_seconds)
        return await self.promote(
            promotions.FixedPrice(price_minor),
            scope=promotions.Scope(offers=[self.offers[number]]),
            limits=promotions.Limits(uses=pieces, counts="pieces", **limits),
            starts_at=opens,
            ends_at=opens + dt.timedelta(days=1),
            is_deal=True,
            name="Deal",
        )

    async def quote(self, *items: tuple[int, int], **more: Any) -> orders.Quote:
        async with self.db.reading() as tx:
            [answer] = await self.buying.checkout.quote(tx, [self.draft(*items, **more)])
        assert isinstance(answer, orders.Quote), answer
        return answer

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, PROMISES) if c.broken]


async def open_shop(
    db: Database, prices_minor: tuple[int, ...] = (1000, 250, 400), **how: Any
) -> Shop:
    return Shop(await shop.open_shop(db, prices_minor), **how)


def person(number: int = 1) -> uuid.UUID:
    return uuid.UUID(int=0xABC0000 + number)
