"""A shop with a shirt in three sizes, for tests of exchanges: S and M cost the same, L more, XS
less."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue, inventory, marketplace, orders, payments, pricing, returns
from pinwheel.trade.returns import NewExchange, Receipt, Return
from pinwheel.trade.returns.exchanges import Asked
from shop import OWN, PROMISES, Shop, open_shop

SIZES = {"S": 2000, "M": 2000, "L": 2500, "XS": 1500}


class Wardrobe(Shop):
    """``offer["M"]``, ``variant["M"]``: of the size."""

    offer: dict[str, uuid.UUID]
    variant: dict[str, uuid.UUID]

    async def free(self, size: str) -> int:
        async with self.db.reading() as tx:
            found = await inventory.positions(tx, [self.variant[size]])
        return sum(p.atp for p in found)

    async def pieces(self, size: str) -> tuple[int, int]:
        """(on hand, reserved)."""
        async with self.db.reading() as tx:
            found = await inventory.positions(tx, [self.variant[size]])
        return sum(p.on_hand for p in found), sum(p.reserved for p in found)

    async def bought(self, size: str, quantity: int = 1, **more: object) -> uuid.UUID:
        """An order that was sent and has arrived."""
        draft = self.draft(**more)  # type: ignore[arg-type]
        draft.items = [orders.Item(self.offer[size], quantity)]
        bought = await self.buying.buy(draft)
        async with self.db.transaction() as tx:
            await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id))
        return bought.order_id

    async def broken(self) -> list[audit.Check]:
        checks = await audit.run(self.db, [*PROMISES, "pinwheel.trade.returns"])
        return [c for c in checks if c.broken]


async def open_wardrobe(db: Database, pieces: dict[str, int] | None = None) -> Wardrobe:
    plain = await open_shop(db)
    shop = Wardrobe(db)
    shop.offers, shop.variants = plain.offers, plain.variants
    async with db.transaction(actor="test") as tx:
        [saved] = await catalogue.save_products(
            tx,
            [
                catalogue.ProductDraft(
                    title={"en": "Shirt", "zh-CN": "衬衫"},
                    variants=[
                        catalogue.VariantDraft(
                            sku=f"SHIRT-{size}", weight_grams=200, options={"Size": size}
                        )
                        for size in SIZES
                    ],
                )
            ],
        )
        assert isinstance(saved, catalogue.Saved)
        await catalogue.publish(tx, [saved.product_id])
        shop.variant = {size: saved.variant_ids[f"SHIRT-{size}"] for size in SIZES}
        offers = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=v) for v in shop.variant.values()]
        )
        shop.offer = dict(zip(SIZES, (o.id for o in offers), strict=True))  # type: ignore[union-attr]
        await pricing.set_prices(
            tx,
            [
                pricing.NewPrice(offer_id=shop.offer[s], currency="GBP", price_minor=p)
                for s, p in SIZES.items()
            ],
        )
        each = dict.fromkeys(SIZES, 40) | (pieces or {})
        await inventory.receive(
            tx,
            [
                inventory.StockCount(inventory.Place(OWN, "MAIN", shop.variant[s]), n)
                for s, n in each.items()
                if n
            ],
            document_id=tx.new_id(),
        )
    return shop


async def swap(shop: Wardrobe, order_id: uuid.UUID, to: str, **more: object) -> Asked:
    """Ask, pay the difference, hear the answer: as the page does it."""
    how: dict[str, object] = {"line": 0, "quantity": 1, "provider": "sandbox", "method": "tok_ok"}
    wish = NewExchange(order_id=order_id, offer_id=shop.offer[to], **(how | more))  # type: ignore[arg-type]
    async with shop.db.transaction() as tx:
        asked = await returns.ask_exchange(tx, wish)
    if asked.payment is not None:
        outcomes = await payments.charge(shop.db, [asked.payment])
        async with shop.db.transaction() as tx:
            await payments.record(tx, outcomes)
    return asked


async def exchange(shop: Wardrobe, return_id: uuid.UUID) -> returns.Exchange:
    async with shop.db.reading() as tx:
        return (await returns.exchanges_of(tx, [return_id]))[return_id]


async def came(shop: Wardrobe, return_id: uuid.UUID, lines: Sequence[tuple[int, int]] = ()) -> None:
    async with shop.db.transaction() as tx:
        [answer] = await returns.receive(
            tx, [Receipt(return_id=return_id, node="MAIN", lines=lines or None)]
        )
        if isinstance(answer, Refusal):
            raise answer


async def graded(
    shop: Wardrobe, return_id: uuid.UUID, grade: str = "A", quantity: int = 1, **more: int
) -> Return:
    async with shop.db.transaction() as tx:
        sight = await returns.see(tx, return_id)
        parts = [returns.Graded(sight.lines[0].line, grade, quantity)]  # type: ignore[arg-type]
        [answer] = await returns.grade_and_refund(
            tx,
            [returns.Grading(return_id=return_id, lines=parts, **more)],  # type: ignore[arg-type]
        )
    if isinstance(answer, Refusal):
        raise answer
    return answer
