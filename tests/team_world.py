"""A small shop that sells in teams: product 0 for 10.00 alone and 6.00 in a team of three."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from pinwheel.growth import social
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders
from pinwheel.trade.orders import Bought, Buying, Checkout, Claim
from shop import PROMISES as SHOP_PROMISES
from shop import Shop, open_shop

ALONE, TOGETHER, DELIVERY = 1000, 600, 399
PROMISES = [*SHOP_PROMISES, "pinwheel.trade.budgets", "pinwheel.growth.social"]


class TeamShop:
    """A shop with one running campaign."""

    def __init__(self, db: Database, shop: Shop, campaign_id: uuid.UUID) -> None:
        self.db, self.shop, self.campaign_id = db, shop, campaign_id
        self.buying = shop.buying
        self.worker = Worker(db)

    @property
    def clock(self) -> SetClock:
        assert isinstance(self.db.clock, SetClock)
        return self.db.clock

    async def buys(self, kind: str, claim_id: uuid.UUID, **more: Any) -> Bought:
        """Somebody new buys with a claim on a team (``team``) or a campaign (``team_open``)."""
        how: dict[str, Any] = {"person_id": uuid.uuid4(), "quantity": 1, "number": 0} | more
        number, quantity = how.pop("number"), how.pop("quantity")
        draft = self.shop.draft((number, quantity), claims=[Claim(kind, claim_id)], **how)
        return await self.buying.buy(draft)

    async def opens(self, **more: Any) -> tuple[Bought, uuid.UUID]:
        """A leader buys; the order and its team."""
        bought = await self.buys("team_open", self.campaign_id, **more)
        await self.worker.drain()
        return bought, await self.team_of(bought.order_id)

    async def joins(self, team_id: uuid.UUID, **more: Any) -> Bought:
        return await self.buys("team", team_id, **more)

    async def team_of(self, order_id: uuid.UUID) -> uuid.UUID:
        async with self.db.reading() as tx:
            found: uuid.UUID = await tx.value(
                "select team_id from social.team_member where order_id = $1", order_id
            )
        return found

    async def team(self, team_id: uuid.UUID) -> social.Team:
        async with self.db.reading() as tx:
            return await tx.the(
                "team",
                social.Team,
                "select id, campaign_id, token, state, seats, opened_at, closes_at, ended_at,"
                " closed_at, why, reached, filled, fill_minor, leader_order_id, reward"
                " from social.team where id = $1",
                team_id,
            )

    async def sight(self, bought: Bought) -> orders.Order:
        async with self.db.reading() as tx:
            return (await orders.order(tx, order_id=bought.order_id)).order

    async def passes(self, seconds: float = 86_400) -> None:
        """Time passes; what is due then is done."""
        self.clock.set(self.clock.now() + dt.timedelta(seconds=seconds))
        await self.worker.drain()

    async def charged(self) -> int:
        """What the provider has kept, over all orders."""
        async with self.db.reading() as tx:
            found: int = await tx.value(
                "select coalesce(sum(captured_minor - refunded_minor), 0)::bigint"
                " from payments.payment"
            )
        return found

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, PROMISES) if c.broken]


async def open_team_shop(
    db: Database, *, stock: int = 100, price_minor: int = TOGETHER, **terms: Any
) -> TeamShop:
    shop = await open_shop(db, [ALONE, 250], [{"MAIN": stock, "EAST": stock}] * 2)
    shop.buying = Buying(db, Checkout(social.TeamStage()))
    offer = terms.pop("offer", None) or social.TeamOffer(
        offer_id=shop.offers[0], price_minor=price_minor
    )
    if callable(offer):
        offer = offer(shop.offers[0])
    how: dict[str, Any] = {
        "name": {"en": "Three together", "zh-CN": "三人团"},
        "market": "GB",
        "currency": "GBP",
        "offers": [offer],
    }
    async with db.transaction(actor="test") as tx:
        campaign_id = await social.open_team_campaign(tx, social.TeamTerms(**(how | terms)))
    return TeamShop(db, shop, campaign_id)
