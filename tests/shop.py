"""A small shop for tests: products with offers, prices in GBP and stock in two nodes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, inventory, marketplace, payments, pricing
from pinwheel.trade.inventory import Node, Place, StockCount
from pinwheel.trade.orders import Buying, Checkout, Draft, Item, Tender

OWN = marketplace.OWN_SELLER_ID
PROMISES = [
    "pinwheel.ground.ledger",
    "pinwheel.trade.inventory",
    "pinwheel.trade.orders",
    "pinwheel.trade.payments",
]


class Shop:
    """``offers[i]`` sells ``variants[i]`` at ``prices[i]``."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.offers: list[uuid.UUID] = []
        self.variants: list[uuid.UUID] = []
        self.buying = Buying(db, Checkout())

    def draft(self, *items: tuple[int, int], method: str = "tok_ok", **more: object) -> Draft:
        """A guest's draft: (product number, quantity) pairs, delivered in Great Britain."""
        how: dict[str, object] = {
            "market": "GB",
            "country": "GB",
            "tenders": [Tender("sandbox", method)],
        }
        return Draft(
            id=uuid.uuid4(),
            items=[Item(self.offers[number], quantity) for number, quantity in items],
            **(how | more),  # type: ignore[arg-type]
        )

    async def stock(self, number: int) -> tuple[int, int]:
        """(on hand, reserved) of one product over all nodes."""
        async with self.db.reading() as tx:
            found = await inventory.positions(tx, [self.variants[number]])
        return sum(p.on_hand for p in found), sum(p.reserved for p in found)

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, PROMISES) if c.broken]


async def open_shop(
    db: Database,
    prices_minor: Sequence[int] = (1000, 250),
    stock: Sequence[dict[str, int]] | None = None,
) -> Shop:
    """Products cost ``prices_minor``; ``stock[i]`` is pieces by node (50 in MAIN and in EAST)."""
    shop = Shop(db)
    async with db.transaction(actor="test") as tx:
        await inventory.save_nodes(
            tx,
            [
                Node(code="EAST", name={"en": "East"}, country="GB", parcel_minor=500),
                Node(code="MAIN", name={"en": "Main"}, country="GB", parcel_minor=400),
            ],
        )
        saved = await catalogue.save_products(
            tx,
            [
                catalogue.ProductDraft(
                    title={"en": f"Thing {n}", "zh-CN": f"物品 {n}"},
                    variants=[catalogue.VariantDraft(sku=f"T-{n}", weight_grams=100)],
                )
                for n in range(len(prices_minor))
            ],
        )
        products = [s for s in saved if isinstance(s, catalogue.Saved)]
        await catalogue.publish(tx, [p.product_id for p in products])
        shop.variants = [p.variant_ids[f"T-{n}"] for n, p in enumerate(products)]
        offers = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=v) for v in shop.variants]
        )
        shop.offers = [o.id for o in offers]  # type: ignore[union-attr]
        await pricing.set_prices(
            tx,
            [
                pricing.NewPrice(offer_id=o, currency="GBP", price_minor=p)
                for o, p in zip(shop.offers, prices_minor, strict=True)
            ],
        )
        each = stock or [{"MAIN": 50, "EAST": 50}] * len(prices_minor)
        await inventory.receive(
            tx,
            [
                StockCount(Place(OWN, node, variant), pieces)
                for variant, at in zip(shop.variants, each, strict=True)
                for node, pieces in at.items()
            ],
            document_id=tx.new_id(),
        )
    return shop


async def money(db: Database, *codes: str) -> dict[str, int]:
    """Ledger balances by account code, each in its own sign."""
    async with db.reading() as tx:
        rows = await tx.connection.fetch(
            "select a.code, a.side * coalesce(sum(case when t.debit_id = a.id then t.amount"
            " else -t.amount end), 0) as net from ledger.account a left join ledger.transfer t"
            " on a.id in (t.debit_id, t.credit_id) where a.code = any($1) group by a.code, a.side",
            list(codes),
        )
    found = {r["code"]: int(r["net"]) for r in rows}
    return {code: found.get(code, 0) for code in codes}


__all__ = ["OWN", "Shop", "money", "open_shop", "payments"]
