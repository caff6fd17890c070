"""``pinwheel bench quotes``: what a 20-line cart costs under 500 active promotions, beside the
obvious way to work it out, which the tests keep and which must give the same cents."""

from __future__ import annotations

import importlib.util
import random
import sys
import time
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

from pinwheel.bench.stand import Report, Stand, machine
from pinwheel.kernel import db as database
from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, inventory, marketplace, orders, pricing, promotions

RULES, LINES, PRODUCTS = 500, 20, 400
TARGET = 10.0
REFERENCE = Path("tests/trade/promotions/reference.py")


async def run(where: Stand, *, seconds: float) -> Report:
    """Quotes one after another through the whole row of stages, then the promotions alone: the
    stage's own arithmetic beside the reference's, on the same carts."""
    db = await database.connect(where.url, size=4, rng=random.Random(1))
    try:
        offers = await _shop(db)
        await _rules(db, offers, random.Random(2))
        checkout = orders.Checkout(promotions.PromotionStage())
        rng = random.Random(3)
        carts = [_cart(rng, offers) for _ in range(30)]
        figures = await _quotes(db, checkout, carts, seconds)
        version = await _alone(db, checkout, carts, figures)
    finally:
        await db.close()
    ratio = figures.get("reference_ratio")
    return Report(
        name="quotes",
        ratio=ratio if ratio is not None else 0.0,
        target=TARGET,
        passed=ratio is not None and ratio >= TARGET and figures["same_cents"],
        figures=figures,
        machine=machine(version),
    )


async def _shop(db: Database) -> list[uuid.UUID]:
    async with db.transaction(actor="bench") as tx:
        await inventory.save_nodes(
            tx, [inventory.Node(code="MAIN", name={"en": "Main"}, country="GB", parcel_minor=400)]
        )
        saved = await catalogue.save_products(
            tx,
            [
                catalogue.ProductDraft(
                    title={"en": f"Thing {n}"},
                    brand=f"Brand {n % 20}",
                    variants=[catalogue.VariantDraft(sku=f"Q-{n}", weight_grams=100)],
                )
                for n in range(PRODUCTS)
            ],
        )
        products = [s for s in saved if isinstance(s, catalogue.Saved)]
        await catalogue.publish(tx, [p.product_id for p in products])
        variants = [p.variant_ids[f"Q-{n}"] for n, p in enumerate(products)]
        made = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=v) for v in variants]
        )
        offers = [o.id for o in made if isinstance(o, marketplace.Offer)]
        await pricing.set_prices(
            tx,
            [
                pricing.NewPrice(offer_id=o, currency="GBP", price_minor=499 + 37 * (n % 90))
                for n, o in enumerate(offers)
            ],
        )
        own = marketplace.OWN_SELLER_ID
        stock = [inventory.StockCount(inventory.Place(own, "MAIN", v), 100_000) for v in variants]
        await inventory.receive(tx, stock, document_id=tx.new_id())
    return offers


async def _rules(db: Database, offers: list[uuid.UUID], rng: random.Random) -> None:
    """Like a large shop's: most for a few offers or a brand, some for sets of offers, some for
    everything."""
    gbp = promotions.Conditions(currency="GBP")
    async with db.transaction(actor="bench") as tx:
        for n in range(RULES):
            few = rng.sample(offers, 3)
            scope = promotions.Scope(offers=few)
            kind: Any = promotions.PercentageOff(500 + n)
            match n % 10:
                case 0:
                    kind = promotions.NForM(3, 2)
                case 1:
                    kind = promotions.Bundle([promotions.Part([o]) for o in few[:2]], 700)
                case 2:
                    kind = promotions.AmountOff(50 + n % 100)
                case 3:
                    kind = promotions.FixedPrice(450 + n)
                case 4:
                    scope = promotions.Scope(brands=[f"Brand {n % 20}"])
                case 5 if n % 100 == 5:
                    kind = promotions.Threshold([promotions.Tier(5000 + n, 0, 300)])
                    scope = promotions.Scope()
            terms = promotions.Terms(kind=kind, scope=scope, conditions=gbp, priority=n % 7)
            new = promotions.NewPromotion(name={"en": f"Rule {n}"}, terms=terms)
            await promotions.start(tx, (await promotions.save(tx, new)).id)


def _cart(rng: random.Random, offers: list[uuid.UUID]) -> list[orders.Item]:
    return [orders.Item(o, rng.randint(1, 4)) for o in rng.sample(offers, LINES)]


def _draft(items: list[orders.Item]) -> orders.Draft:
    return orders.Draft(id=uuid.UUID(int=1), items=items, market="GB", country="GB")


async def _quotes(
    db: Database, checkout: orders.Checkout, carts: list[list[orders.Item]], seconds: float
) -> dict[str, Any]:
    async def one(cart: list[orders.Item]) -> int:
        async with db.reading() as tx:
            [answer] = await checkout.quote(tx, [_draft(cart)])
            assert isinstance(answer, orders.Quote), answer
            return tx.statements

    for cart in carts:  # reads the rules, plans the statements
        statements = await one(cart)
    begun, cpu, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begun < max(1.0, seconds / 2):
        await one(carts[done % len(carts)])
        done += 1
    took, used = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "rules": RULES,
        "lines": LINES,
        "quotes_per_second": round(done / took, 1),
        "cpu_ms_per_quote": round(1000 * used / done, 3),
        "statements_per_quote": statements,
    }


async def _alone(
    db: Database,
    checkout: orders.Checkout,
    carts: list[list[orders.Item]],
    figures: dict[str, Any],
) -> str:
    """The promotions alone, matching and choosing: here, and by the reference."""
    async with db.reading() as tx:
        drafts = [_draft(cart) for cart in carts]
        for n, draft in enumerate(drafts):
            draft.id = uuid.UUID(int=n + 1)
        await checkout.quote(tx, drafts)
        book = await promotions.books_of(tx).at(tx, 0)
        version = str(await tx.value("show server_version"))
    reference = _reference()
    begun = time.process_time()
    for _ in range(10):
        fast = [_fast(book, draft) for draft in drafts]
    quick = (time.process_time() - begun) / 10
    figures["promotions_cpu_ms_per_quote"] = round(1000 * quick / len(drafts), 3)
    if reference is None:
        figures["reference"] = "not here: run it where the tests are"
        return version
    begun = time.process_time()
    slow = [_slow(reference, book, draft) for draft in drafts]
    lasted = time.process_time() - begun
    figures["reference_cpu_ms_per_quote"] = round(1000 * lasted / len(drafts), 1)
    figures["reference_ratio"] = round(lasted / quick, 1)
    figures["same_cents"] = fast == slow
    return version


def _fast(book: promotions.Book, draft: orders.Draft) -> list[int]:
    lines = sorted(draft.lines, key=lambda li: li.offer_id)
    goods = [promotions.Goods(li.offer_id, li.quantity, li.goods_minor) for li in lines]
    running = [
        promotions.Running(i, book.rules[i].terms, tuple(positions))
        for i, positions in book.matching(lines).items()
    ]
    promotions.settle(goods, frozenset(), running)
    return [g.left for g in goods]


def _slow(reference: Any, book: promotions.Book, draft: orders.Draft) -> list[int]:
    """Every rule is asked about every line, and every division is tried."""
    lines = sorted(draft.lines, key=lambda li: li.offer_id)
    rules = []
    for rule in book.rules.values():
        scope = rule.terms.scope
        inside = {o for p in getattr(rule.terms.kind, "parts", ()) for o in p.offers}
        mine = frozenset(
            n
            for n, li in enumerate(lines)
            if (li.offer_id in inside if inside else scope.is_everything
                or li.offer_id in scope.offers or li.brand in scope.brands)
        )  # fmt: skip
        if mine:
            rules.append(reference.Rule(rule.id, rule.terms, mine, None))
    cart = [reference.Line(li.offer_id, li.quantity, li.goods_minor) for li in lines]
    left: list[int] = reference.settle(cart, frozenset(), rules)[0]
    return left


def _reference() -> ModuleType | None:
    """The reference of the tests, where the tests are."""
    if not REFERENCE.is_file():
        return None
    spec = importlib.util.spec_from_file_location("promotions_reference", REFERENCE)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
