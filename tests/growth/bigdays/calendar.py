"""A small shop with a big day."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import shop
import world
from pinwheel.growth import bigdays
from pinwheel.growth.bigdays import BigDayStage, NewDeal, NewDeposit, NewEvent, NewSlot
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.trade import orders, promotions

PROMISES = [*shop.PROMISES, "pinwheel.trade.promotions", "pinwheel.growth.bigdays"]
HOUR = dt.timedelta(hours=1)
OPENS = world.MONDAY + 24 * HOUR


def person(number: int = 1) -> uuid.UUID:
    return uuid.UUID(int=0xB160000 + number)


class Shop(shop.Shop):
    """``await shop.day(…)`` starts an event from ``OPENS`` for a day, pre-heat from now on."""

    event_id: uuid.UUID
    deal_id: uuid.UUID

    def __init__(self, opened: shop.Shop) -> None:
        super().__init__(opened.db)
        self.offers, self.variants = opened.offers, opened.variants
        stages = (BigDayStage(), promotions.PromotionStage())
        self.buying = orders.Buying(opened.db, orders.Checkout(*stages))
        opened.db.given[orders.Buying] = self.buying

    async def day(
        self,
        pieces: int = 3,
        *,
        started: bool = True,
        deposit: int | None = None,
        deposit_policy: Any = "until_balance",
        per_person: int | None = 1,
        **how: Any,
    ) -> uuid.UUID:
        """One deal on product 0 (10.00): 6.00. The balance of a deposit is due in the event's
        second and third hour."""
        fields: dict[str, Any] = {
            "name_en": "Big day",
            "name_zh": "大促",
            "market": "GB",
            "preheat_at": world.MONDAY,
            "starts_at": OPENS,
            "ends_at": OPENS + 24 * HOUR,
        } | how
        async with self.db.transaction(actor="operator") as tx:
            self.event_id = await bigdays.save_event(tx, NewEvent(**fields))
            slot = NewSlot(name_en="First", name_zh="第一场", starts_at=fields["starts_at"],
                           ends_at=fields["ends_at"])  # fmt: skip
            slot_id = await bigdays.add_slot(tx, self.event_id, slot)
            self.deal_id = await bigdays.add_deal(
                tx,
                self.event_id,
                NewDeal(
                    slot_id=slot_id,
                    offer_id=self.offers[0],
                    price_minor=600,
                    pieces=pieces,
                    per_person=per_person,
                    deposit_minor=deposit,
                    balance_from=OPENS + HOUR if deposit else None,
                    balance_until=OPENS + 3 * HOUR if deposit else None,
                    deposit_policy=deposit_policy,
                ),
            )
            if started:
                await bigdays.start(tx, self.event_id)
        return self.event_id

    async def keep(self, who: uuid.UUID, method: str = "tok_ok") -> bigdays.Kept:
        new = NewDeposit(promotion_id=self.deal_id, person_id=who, provider="sandbox",
                         method=method)  # fmt: skip
        return await bigdays.pay_deposit(self.db, new, actor="test")

    async def deposit(self, deposit_id: uuid.UUID) -> bigdays.Deposit:
        async with self.db.reading() as tx:
            return await bigdays.deposit(tx, deposit_id)

    def balance(self, deposit_id: uuid.UUID, who: uuid.UUID, **more: Any) -> orders.Draft:
        claims = [orders.Claim(bigdays.PRESALE, deposit_id)]
        return self.draft((0, 1), person_id=who, claims=claims, **more)

    async def quote(self, *items: tuple[int, int], **more: Any) -> orders.Quote:
        async with self.db.reading() as tx:
            [answer] = await self.buying.checkout.quote(tx, [self.draft(*items, **more)])
        assert isinstance(answer, orders.Quote), answer
        return answer

    async def join(self, *people: uuid.UUID) -> list[Any]:
        async with self.db.transaction() as tx:
            return await bigdays.join(tx, [bigdays.Arrival(self.event_id, p) for p in people])

    async def turn(self) -> int:
        async with self.db.transaction() as tx:
            return await bigdays.turn(tx)

    async def left(self) -> int:
        async with self.db.reading() as tx:
            return (await promotions.deal(tx, self.deal_id)).left

    async def wait(self, who: uuid.UUID) -> promotions.Place:
        async with self.db.transaction() as tx:
            return await promotions.wait(tx, self.deal_id, who)

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, PROMISES) if c.broken]


async def open_shop(db: Database, prices_minor: tuple[int, ...] = (1000, 250)) -> Shop:
    return Shop(await shop.open_shop(db, prices_minor))
