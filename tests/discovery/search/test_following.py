"""The index follows the shop: every change is found, a crash or a restored copy too."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import world
from pinwheel.discovery.search import (
    Follower,
    IndexBusy,
    Query,
    SearchIndex,
    Writer,
    announce_popularity,
    record_sales,
    search,
)
from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, inventory, pricing

OWN = uuid.UUID("00000000-0000-7000-8000-000000000001")


class Shop:
    """A shop of lamps, one offer each, sold in China, with some stock."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.offers: dict[uuid.UUID, uuid.UUID] = {}
        self.variants: dict[uuid.UUID, uuid.UUID] = {}

    async def open(self) -> None:
        async with self.db.transaction(actor="test") as tx:
            await inventory.save_nodes(
                tx, [inventory.Node(code="SH1", name={"en": "Shanghai"}, country="CN")]
            )
            draft = catalogue.CategoryDraft(slug="lamps", name={"en": "Lamps", "zh-CN": "灯具"})
            [made] = await catalogue.save_categories(tx, [draft])
            assert isinstance(made, catalogue.Category)
            self.category = made.id
            label = {"en": "red", "zh-CN": "红色"}
            await catalogue.save_attributes(
                tx,
                [
                    catalogue.Attribute(
                        category_id=made.id, code="colour", kind="choice", label={"en": "Colour"},
                        choices=[catalogue.Choice(code="r", label=label)], facet=True,
                    )
                ],
            )  # fmt: skip

    async def add(
        self, name: str, sku: str, *, price_minor: int = 1000, pieces: int = 5
    ) -> uuid.UUID:
        async with self.db.transaction(actor="test") as tx:
            draft = catalogue.ProductDraft(
                title={"en": name}, category_id=self.category, attributes={"colour": "r"},
                description={"en": "<p>shines</p>"}, variants=[catalogue.VariantDraft(sku=sku)],
            )  # fmt: skip
            [saved] = await catalogue.save_products(tx, [draft])
            assert isinstance(saved, catalogue.Saved), saved
            await catalogue.publish(tx, [saved.product_id])
        async with self.db.transaction(actor="test") as tx:
            product_id = saved.product_id
            _, [variant] = await catalogue.product(tx, product_id)
            offer = self.offers[product_id] = tx.new_id()
            self.variants[product_id] = variant.id
            await tx.connection.execute(
                """
                insert into marketplace.offer (id, seller_id, variant_id, created_at, updated_at)
                values ($1, $2, $3, $4, $4)
                """,
                offer, OWN, variant.id, tx.now,
            )  # fmt: skip
        await self.price(product_id, price_minor)
        if pieces:
            await self.stock(product_id, pieces)
        return product_id

    async def price(self, product_id: uuid.UUID, price_minor: int) -> None:
        async with self.db.transaction(actor="test") as tx:
            new = pricing.NewPrice(
                offer_id=self.offers[product_id], currency="CNY", price_minor=price_minor,
                confirmed=True,
            )  # fmt: skip
            [answer] = await pricing.set_prices(tx, [new])
            assert isinstance(answer, pricing.PriceSet), answer

    async def stock(self, product_id: uuid.UUID, pieces: int) -> None:
        async with self.db.transaction(actor="test") as tx:
            place = inventory.Place(OWN, "SH1", self.variants[product_id])
            count = inventory.StockCount(place, pieces)
            await inventory.adjust(tx, [count], document_id=tx.new_id(), reason="counted")
            tx.emit(inventory.AvailabilityChanged(variant_ids=[self.variants[product_id]]))


@pytest.fixture
async def shop(db: Database) -> AsyncIterator[Shop]:
    made = Shop(db)
    await made.open()
    yield made


async def caught_up(follower: Follower) -> None:
    while await follower.step():
        pass


def lamps(root: Path, **more: object) -> list[tuple[str, int]]:
    query = Query(text="lamp", region="CN", sort="price_asc", **more)  # type: ignore[arg-type]
    return [(h.title, h.price_minor) for h in search(SearchIndex(root), query).hits]


async def test_every_change_is_followed(db: Database, shop: Shop, root: Path) -> None:
    first = await shop.add("Desk lamp", "L-1")
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        assert lamps(root) == [("Desk lamp", 1000)]
        second = await shop.add("Floor lamp", "L-2", price_minor=900)
        await caught_up(follower)
        assert lamps(root) == [("Floor lamp", 900), ("Desk lamp", 1000)]
        await shop.price(second, 1500)
        await caught_up(follower)
        assert lamps(root) == [("Desk lamp", 1000), ("Floor lamp", 1500)]
        await shop.stock(first, -5)
        await caught_up(follower)
        assert lamps(root) == [("Floor lamp", 1500)]
        assert ("Desk lamp", 1000) in lamps(root, buyable_only=False)
        async with db.transaction(actor="test") as tx:
            await catalogue.archive(tx, [second])
        await caught_up(follower)
        assert lamps(root) == []
        await shop.stock(first, 1)
        await caught_up(follower)
        assert lamps(root) == [("Desk lamp", 1000)]


async def test_labels_categories_and_markets(db: Database, shop: Shop, root: Path) -> None:
    await shop.add("Desk lamp", "L-1")
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        index = SearchIndex(root)
        for text in ("红色", "灯具", "dengju", "L-1", "shines"):
            answer = search(index, Query(text=text, region="CN", language="zh-CN"))
            assert (answer.total, answer.widening) == (1, "none"), text
        facets = {f.code: [v.value for v in f.values] for f in answer.facets}
        assert facets["colour"] == ["r"] and facets["category"] == [str(shop.category)]
        assert search(index, Query(text="lamp", region="GB")).total == 0
        async with db.transaction(actor="test") as tx:
            draft = catalogue.CategoryDraft(slug="lamps", name={"en": "Lights", "zh-CN": "照明"})
            await catalogue.save_categories(tx, [draft])
        await caught_up(follower)
        assert search(index, Query(text="照明", region="CN", language="zh-CN")).total == 1


async def test_what_sells_moves_up(db: Database, shop: Shop, root: Path) -> None:
    ids = [await shop.add(f"Lamp {n}", f"L-{n}") for n in range(3)]
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        async with db.transaction(actor="test") as tx:
            await record_sales(tx, {ids[1]: 7})
        await db.attempt(announce_popularity)
        await caught_up(follower)
        query = Query(text="lamp", region="CN")
        best = search(SearchIndex(root), query).hits[0]
        assert best.product_id == ids[1]
        assert "popularity" in {part.reason for part in best.because}
        assert await db.attempt(announce_popularity) == 0


async def test_a_restart_goes_on_where_the_index_ends(
    db: Database, shop: Shop, root: Path, tmp_path: Path
) -> None:
    await shop.add("Desk lamp", "L-1")
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        await shop.add("Floor lamp", "L-2")
        await caught_up(follower)
    shutil.copytree(root, tmp_path / "copy")
    await shop.add("Wall lamp", "L-3")
    for place in (root, tmp_path / "copy"):
        again = Follower(db, place)
        with again.writer:
            await again.begin()
            generation = [p.name for p in place.glob("g*")]
            await caught_up(again)
            assert len(lamps(place)) == 3
            assert generation == ["g1"], "it was rebuilt though the feed reaches back"


async def test_a_crash_before_the_commit_loses_nothing(
    db: Database, shop: Shop, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        await shop.add("Desk lamp", "L-1")

        def crash(*_: object) -> None:
            raise OSError("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(follower.writer, "apply", crash)
            with pytest.raises(OSError, match="disk full"):
                await follower.step()
        assert lamps(root) == []
        await caught_up(follower)
        assert lamps(root) == [("Desk lamp", 1000)]


async def test_a_feed_that_no_longer_reaches_back_means_a_rebuild(
    db: Database, shop: Shop, root: Path
) -> None:
    await shop.add("Desk lamp", "L-1")
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
    await shop.add("Floor lamp", "L-2")
    async with db.transaction(actor="test") as tx:
        await tx.connection.execute("delete from kernel.event")
    await shop.add("Wall lamp", "L-3")
    again = Follower(db, root)
    with again.writer:
        await again.begin()
        await caught_up(again)
    assert len(lamps(root)) == 3


async def test_a_fact_of_an_unfinished_transaction_is_not_overtaken(
    db: Database, shop: Shop, root: Path
) -> None:
    """A later transaction that ends first doesn't carry the position past the earlier one."""
    slow = await shop.add("Desk lamp", "L-1")
    fast = await shop.add("Floor lamp", "L-2")
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        async with db.transaction(actor="test") as tx:
            await tx.connection.execute("select pg_current_xact_id()")
            await shop.price(fast, 2000)
            await caught_up(follower)
            new = pricing.NewPrice(
                offer_id=shop.offers[slow], currency="CNY", price_minor=3000, confirmed=True
            )
            await pricing.set_prices(tx, [new])
        await caught_up(follower)
        assert lamps(root) == [("Floor lamp", 2000), ("Desk lamp", 3000)]


async def test_a_rebuild_equals_what_was_followed(
    db: Database, shop: Shop, root: Path, tmp_path: Path
) -> None:
    follower = Follower(db, root)
    with follower.writer:
        await follower.begin()
        ids = [await shop.add(f"Lamp number {n}", f"L-{n}", price_minor=100 + n) for n in range(8)]
        await caught_up(follower)
        await shop.price(ids[3], 50)
        await shop.stock(ids[4], -5)
        await caught_up(follower)
    fresh = Follower(db, tmp_path / "fresh")
    with fresh.writer:
        assert await fresh.rebuild() == 8
    for query in (Query(text="lamp", region="CN"), Query(text="number 3 lamp", region="CN")):
        answers = [search(SearchIndex(place), query) for place in (root, tmp_path / "fresh")]
        assert answers[0] == answers[1] and answers[0].hits


async def test_one_process_follows_and_another_takes_over(
    db: Database, shop: Shop, root: Path
) -> None:
    with Writer(root), pytest.raises(IndexBusy), Follower(db, root).writer:
        pass

    class UntilSeen(Follower):
        async def step(self) -> bool:
            did = await super().step()
            if lamps(root):
                self.stop()
            return did

    follower = UntilSeen(db, root)
    running = asyncio.create_task(follower.run())
    await shop.add("Desk lamp", "L-1")
    await asyncio.wait_for(running, world.PATIENCE_SECONDS)
    assert lamps(root) == [("Desk lamp", 1000)]
