"""A street of shops for tests: products of several sellers, and people who received them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from pinwheel.growth import community
from pinwheel.growth.community import NewReview, ProductReviews, Trace, Written
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database


class Street:
    """``products[i]`` is sold by ``sellers[i]``; orders stand as they do after a delivery."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.products: list[uuid.UUID] = []
        self.variants: list[uuid.UUID] = []
        self.sellers: list[uuid.UUID] = []

    async def open(self, products: int) -> None:
        self.products = [uuid.UUID(int=1000 + n) for n in range(products)]
        self.variants = [uuid.UUID(int=2000 + n) for n in range(products)]
        self.sellers = [uuid.UUID(int=3000 + n) for n in range(products)]
        async with self.db.transaction() as tx:
            await tx.run(
                """
                with p as (
                  insert into catalogue.product (id, slug, title, status, created_at, updated_at)
                  select p.id, 'p-' || p.id, '{"en": "A thing"}', 'published', $3, $3
                    from unnest($1::uuid[]) as p(id) returning 1)
                insert into catalogue.variant (id, product_id, sku, created_at, updated_at)
                select v.id, v.product_id, 's-' || v.id, $3, $3
                  from unnest($2::uuid[], $1::uuid[]) as v(id, product_id)
                """,
                self.products,
                self.variants,
                tx.now,
            )

    async def sell(
        self,
        pairs: Sequence[tuple[uuid.UUID, int]],
        *,
        state: str = "delivered",
        shipped: int = 1,
        returned: int = 0,
    ) -> None:
        """One order of one piece for each (person, product number)."""
        async with self.db.transaction() as tx:
            ids = [tx.new_id() for _ in pairs]
            await tx.run(
                """
                with o as (
                  insert into orders."order" (cell, id, number, state, person_id, country, market,
                         currency, delivery, goods_minor, delivery_minor, tax_minor, tax_included,
                         total_minor, reasons, quote, placed_at)
                  select $1, o.id, o.id::text, $2, o.person_id, 'GB', 'GB', 'GBP', 'standard', 100,
                         0, 0, true, 100, '[]', '', $3
                    from unnest($4::uuid[], $5::uuid[]) as o(id, person_id) returning 1)
                insert into orders.line (cell, order_id, line, offer_id, seller_id, variant_id, sku,
                       title, node, quantity, unit_price_minor, goods_minor, tax_basis_points,
                       tax_minor, total_minor, shipped, returned)
                select $1, l.id, 1, l.seller_id, l.seller_id, l.variant_id, 'S', '{}', 'MAIN', 1,
                       100, 100, 0, 0, 100, $8, $9
                  from unnest($4::uuid[], $6::uuid[], $7::uuid[]) as l(id, seller_id, variant_id)
                """,
                tx.cell,
                state,
                tx.now,
                ids,
                [person for person, _ in pairs],
                [self.sellers[n] for _, n in pairs],
                [self.variants[n] for _, n in pairs],
                shipped,
                returned,
            )

    async def review(
        self,
        person: uuid.UUID,
        product: int,
        rating: int = 5,
        body: str = "",
        *,
        sold: bool = True,
        trace: Trace | None = None,
        at: dt.datetime | None = None,
    ) -> Written:
        if sold:
            await self.sell([(person, product)])
        async with self.db.transaction(now=at) as tx:
            return await community.write_review(
                tx,
                person,
                self.products[product],
                NewReview(rating=rating, body=body, author="A reader"),
                language="en",
                trace=trace,
            )

    async def see(self, product: int, **how: object) -> ProductReviews:
        async with self.db.reading() as tx:
            return await community.product_reviews(tx, self.products[product], **how)  # type: ignore[arg-type]

    async def broken(self) -> list[audit.Check]:
        found = await audit.run(self.db, ["pinwheel.growth.community"])
        return [check for check in found if check.broken]


def person(number: int) -> uuid.UUID:
    return uuid.UUID(int=10_000 + number)
