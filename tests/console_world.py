"""The console of a small shop: an operator, a clerk, a buyer and a visitor at their browsers."""

from __future__ import annotations

import uuid
from typing import Any

from pinwheel import app
from pinwheel.ground import identity
from pinwheel.ground.identity.model import Proof
from pinwheel.kernel.caller import NOBODY
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Edge
from pinwheel.trade.orders import Bought
from shop import Shop, open_shop
from web_world import Browser, nothing

SECRET = "the secret of the tests"


class Desk:
    """``operator``, ``clerk``, ``buyer`` and ``visitor`` are browsers on one shop."""

    def __init__(self, db: Database, edge: Edge, shop: Shop) -> None:
        self.db, self.edge, self.shop = db, edge, shop
        self.people: dict[str, uuid.UUID] = {}

    def browser(self, language: str = "en") -> Browser:
        return Browser(self.edge, self.db, language=language)

    async def signed_in(self, kind: str, language: str = "en") -> Browser:
        """A browser of somebody with this role, with the token of a page it has seen."""
        browser, token = self.browser(language), self.edge.seals.issue()
        async with self.db.transaction(actor="test") as tx:
            if kind not in self.people:
                email = f"{kind}@shop.test"
                person = await identity.register(tx, email, name=kind.title())
                if kind != "buyer":
                    await identity.appoint(tx, person.id, kind, [])  # type: ignore[arg-type]
                self.people[kind] = person.id
            proof = Proof(f"{kind}@shop.test", self.people[kind], "password")
            await identity.sign_in(tx, proof, NOBODY, token, "test")
        browser.http.cookies.set("pinwheel", token)
        browser.token = self.edge.seals.csrf(token)
        return browser

    def worker(self) -> Worker:
        return Worker(self.db)

    async def bought(self, *items: tuple[int, int], **more: Any) -> Bought:
        return await self.shop.buying.buy(self.shop.draft(*items, **more))

    async def number(self, *items: tuple[int, int]) -> str:
        """The number of a fresh, paid order."""
        bought = await self.bought(*items)
        return bought.number


async def open_desk(db: Database, tmp: Any, *, time_zone: str = "UTC") -> Desk:
    settings = Settings(
        secret=SECRET, data_dir=tmp, currency="GBP", rate_limit_per_second=0, time_zone=time_zone
    )
    app.furnish(db, settings)
    shop = await open_shop(db, prices_minor=(1000, 250, 4000))
    edge = app.edge(settings, db)
    return Desk(db, edge, shop)


__all__ = ["Desk", "nothing", "open_desk"]
