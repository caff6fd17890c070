"""``pinwheel bench orders``: whole orders over HTTP beside the machine's own ``pgbench`` TPC-B.

Each order is whole: priced, stock taken, paid by a stored method, ledger posted, event written.
Clients, server and PostgreSQL share the machine, the database is durable, and pgbench runs
before and after on the same server: the better of its runs, of either protocol, is the rate to
meet; ``ratio_to_default`` is to pgbench as it is called without options (the simple protocol).
``with_growth`` is the same once more with a promotion on every order that a budget pays for, and
with the jobs at work beside it (budgets, segments, tracking, search, webhooks)."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import asyncpg
import msgspec

from pinwheel import app
from pinwheel.bench.buyers import Load, Told
from pinwheel.bench.stand import Report, Stand, cpu_seconds, machine
from pinwheel.ground import identity
from pinwheel.ground.identity import Caller
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings
from pinwheel.trade import budgets, catalogue, inventory, marketplace, pricing, promotions
from pinwheel.trade.inventory import Node, Place, StockCount

PRODUCTS = 1000
BUYERS = 200
RACE_BUYERS, RACE_UNITS = 500, 50
WEB_PROCESSES = os.cpu_count() or 1  # as it is run: one for each core, beside PostgreSQL
TARGET = 1.0
CPU_TARGET_MS = 1.5
SECRET = "the secret of a bench that is gone in a minute"
PGBENCH_SCALE = 50


class _Shop(msgspec.Struct):
    token: str
    offers: list[uuid.UUID]  # the last one is scarce
    variants: list[uuid.UUID]


async def run(stand: Stand, *, seconds: float = 8.0) -> Report:
    """Spread over 1,000 products, then all on one; then 500 buyers for 50 units."""
    settings = Settings(
        database_url=stand.url,
        secret=SECRET,
        rate_limit_per_second=0,
        port=_free_port(),
        demonstration=True,
        log_level="warning",
    )
    db = await app.open_database(settings)
    shop = await _open_shop(db)
    version = await db.pool.fetchval("show server_version")
    await db.close()
    folder = Path(tempfile.mkdtemp(prefix="pinwheel-bench-web-"))
    server = await _serve(settings, folder)
    try:
        bodies = [_body(offer) for offer in shop.offers]
        await _buy(settings, shop, bodies[:-1], BUYERS, 2.0)
        first = await _pgbench(stand, seconds)
        spread = await _measured(stand, server.pid, settings, shop, bodies[:-1], seconds)
        hot = await _measured(stand, server.pid, settings, shop, bodies[:1], seconds)
        second = await _pgbench(stand, seconds, prepared_only=True)
        growth = await _with_growth(stand, server.pid, settings, shop, bodies, seconds, folder)
        race = await _buy(settings, shop, bodies[-1:], RACE_BUYERS, 0.0, once=True)
    finally:
        server.send_signal(signal.SIGTERM)
        await server.wait()
        shutil.rmtree(folder, ignore_errors=True)
    tpcb = max(*first.values(), *second.values())
    proved = await _prove(settings, shop)
    ratio = min(spread["orders_per_second"], hot["orders_per_second"]) / tpcb
    cpu = max(spread["cpu_ms_per_order"], hot["cpu_ms_per_order"])
    exact = proved["race_orders"] == RACE_UNITS and race.by_status.get("201") == RACE_UNITS
    passed = ratio >= TARGET and cpu <= CPU_TARGET_MS and exact and not proved["broken_promises"]
    return Report(
        name="orders",
        ratio=round(ratio, 3),
        target=TARGET,
        passed=bool(passed and not proved["charged_then_refunded"]),
        figures={
            "spread": spread,
            "hot": hot,
            "with_growth": growth,
            "ratio_with_growth": round(growth["orders_per_second"] / tpcb, 3),
            "ratio_to_default": round(ratio * tpcb / first["simple"], 3),
            "tpcb_per_second": {**first, **{f"{k}_again": v for k, v in second.items()}},
            "race": {"buyers": RACE_BUYERS, "units": RACE_UNITS, "answers": race.by_status},
            **proved,
            "cpu_target_ms": CPU_TARGET_MS,
            "buyers": BUYERS,
            "products": PRODUCTS,
            "web_processes": WEB_PROCESSES,
        },
        machine=machine(version),
    )


async def _open_shop(db: Database) -> _Shop:
    """1,000 products with plenty of stock, one with 50 pieces, and an API key."""
    async with db.transaction(actor="bench") as tx:
        await inventory.save_nodes(tx, [Node(code="MAIN", name={"en": "Main"}, country="GB")])
        saved = await catalogue.save_products(
            tx,
            [
                catalogue.ProductDraft(
                    title={"en": f"Bench item {n}", "zh-CN": f"测试商品 {n}"},
                    variants=[catalogue.VariantDraft(sku=f"B-{n}", weight_grams=100)],
                )
                for n in range(PRODUCTS + 1)
            ],
        )
        products = [s for s in saved if isinstance(s, catalogue.Saved)]
        await catalogue.publish(tx, [p.product_id for p in products])
        variants = [v for p in products for v in p.variant_ids.values()]
        made = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=v) for v in variants]
        )
        offers = [o.id for o in made if isinstance(o, marketplace.Offer)]
        await pricing.set_prices(
            tx,
            [
                pricing.NewPrice(offer_id=o, currency="GBP", price_minor=500 + n)
                for n, o in enumerate(offers)
            ],
        )
        await inventory.receive(
            tx,
            [
                StockCount(
                    Place(marketplace.OWN_SELLER_ID, "MAIN", v),
                    RACE_UNITS if n == PRODUCTS else 10**9,
                )
                for n, v in enumerate(variants)
            ],
            document_id=tx.new_id(),
        )
        owner = await identity.register(tx, "bench@example.invalid", kind="operator")
        caller = Caller(kind="operator", person_id=owner.id, scopes=frozenset({"*"}))
        key = await identity.make_key(tx, caller, "bench", ["orders:write", "orders:read"])
    return _Shop(key.key, offers, variants)


def _body(offer: uuid.UUID) -> str:
    order = {
        "items": [{"offer_id": str(offer), "quantity": 1}],
        "market": "GB",
        "ship_to": {"name": "Bench", "line1": "1 Road", "city": "Town", "country": "GB"},
        "email": "bench@example.invalid",
        "payments": [{"provider": "sandbox", "method": "tok_ok"}],
    }
    return msgspec.json.encode(order).decode()


async def _with_growth(
    stand: Stand,
    server: int,
    settings: Settings,
    shop: _Shop,
    bodies: list[str],
    seconds: float,
    folder: Path,
) -> dict[str, Any]:
    """Orders over all products at one percent off, paid for by a budget, while the jobs run."""
    db = await app.open_database(settings)
    async with db.transaction(actor="bench") as tx:
        [budget_id] = await budgets.open_budgets(
            tx, [budgets.NewBudget(name="Bench", currency="GBP")]
        )
        assert isinstance(budget_id, uuid.UUID)
        await budgets.fund(tx, budget_id, 10**12, "bench")
        saved = await promotions.save(
            tx,
            promotions.NewPromotion(
                name={"en": "Bench", "zh-CN": "测试"},
                terms=promotions.Terms(
                    kind=promotions.PercentageOff(100),
                    conditions=promotions.Conditions(currency="GBP"),
                    funding=[promotions.Share(10_000, budget_id)],
                ),
            ),
        )
        await promotions.start(tx, saved.id)
    await db.close()
    worker = await _start(settings, folder, "work")
    try:
        return await _measured(stand, server, settings, shop, bodies[:-1], seconds)
    finally:
        worker.send_signal(signal.SIGTERM)
        await worker.wait()


async def _start(
    settings: Settings, folder: Path, command: str, *options: str
) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "PINWHEEL_DATABASE_URL": settings.database_url,
        "PINWHEEL_SECRET": SECRET,
        "PINWHEEL_PORT": str(settings.port),
        "PINWHEEL_DATA_DIR": str(folder),
        "PINWHEEL_RATE_LIMIT_PER_SECOND": "0",
        "PINWHEEL_LOG_LEVEL": "warning",
    }
    with (folder / f"{command}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pinwheel.cli", command, *options),
            env=environment,
            stdout=log,
            stderr=log,
        )


async def _serve(settings: Settings, folder: Path) -> asyncio.subprocess.Process:
    process = await _start(settings, folder, "serve", "--workers", str(WEB_PROCESSES))
    for _ in range(200):
        if await asyncio.to_thread(_ready, settings):
            return process
        await asyncio.sleep(0.1)
    raise RuntimeError((folder / "serve.log").read_text(encoding="utf-8")[-4000:])


def _ready(settings: Settings) -> bool:
    try:
        with urlopen(f"http://{settings.host}:{settings.port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _buy(
    settings: Settings,
    shop: _Shop,
    bodies: list[str],
    connections: int,
    seconds: float,
    *,
    once: bool = False,
) -> Told:
    """Buyers in a process of their own."""
    plan = Load(
        host=settings.host,
        port=settings.port,
        path="/api/v1/orders",
        token=shop.token,
        bodies=bodies,
        connections=connections,
        seconds=seconds,
        once=once,
        seed=random.SystemRandom().getrandbits(60),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pinwheel.bench.buyers"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(msgspec.json.encode(plan))
    return msgspec.json.decode(out, type=Told)


async def _measured(
    stand: Stand,
    server: int,
    settings: Settings,
    shop: _Shop,
    bodies: list[str],
    seconds: float,
) -> dict[str, Any]:
    before = _cpu(stand, server), await asyncio.to_thread(_statements, settings)
    told = await _buy(settings, shop, bodies, BUYERS, seconds)
    cpu = _cpu(stand, server) - before[0]
    sql = await asyncio.to_thread(_statements, settings) - before[1]
    orders = told.by_status.get("201", 0)
    return {
        "orders": orders,
        "orders_per_second": round(orders / told.seconds, 1),
        "p50_ms": told.p50_ms,
        "p95_ms": told.p95_ms,
        "p99_ms": told.p99_ms,
        "cpu_ms_per_order": round(1000 * cpu / max(1, orders), 3),
        "statements_per_order": round(sql / max(1, orders), 3),
        "answers": told.by_status,
        "client_cpu_ms_per_order": round(1000 * told.cpu_seconds / max(1, orders), 3),
    }


def _cpu(stand: Stand, server: int) -> float:
    return cpu_seconds(server) + (cpu_seconds(stand.pid) if stand.pid else 0.0)


def _statements(settings: Settings) -> float:
    with urlopen(f"http://{settings.host}:{settings.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(r"^pinwheel_statements_total (\S+)$", text, re.M)
    return float(found.group(1)) if found else 0.0


async def _pgbench(
    stand: Stand, seconds: float, *, prepared_only: bool = False
) -> dict[str, float]:
    """TPC-B per second, by protocol: 16 clients, two threads, scale 50, durable."""
    name = "pinwheel_tpcb"
    url = urlunsplit(urlsplit(stand.server_url)._replace(path=f"/{name}"))
    admin = await asyncpg.connect(stand.server_url)
    fresh = not await admin.fetchval("select 1 from pg_database where datname = $1", name)
    if fresh:
        await admin.execute(f"create database {name}")
    await admin.close()
    if fresh:
        await _program(stand, "-i", "-q", "-s", str(PGBENCH_SCALE), url)
    rates = {}
    for protocol in ("prepared",) if prepared_only else ("simple", "prepared"):
        said = await _program(
            stand, "-n", "-M", protocol, "-c", "16", "-j", "2", "-T", str(round(seconds)), url
        )
        found = re.search(r"tps = ([\d.]+)", said)
        rates[protocol] = round(float(found.group(1)), 1) if found else 0.0
    return rates


async def _program(stand: Stand, *args: str) -> str:
    process = await asyncio.create_subprocess_exec(
        str(stand.bin / "pgbench"),
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    if process.returncode:
        raise RuntimeError(error.decode()[-2000:])
    return out.decode()


async def _prove(settings: Settings, shop: _Shop) -> dict[str, Any]:
    """What the books say of the race, of every order, and of the promises."""
    db = await app.open_database(settings)
    try:
        async with db.reading() as tx:
            race_orders = await tx.value(
                "select count(*) from orders.v_line where variant_id = $1 and state = 'placed'",
                shop.variants[-1],
            )
            refunded = await tx.value("select count(*) from payments.v_instruction")
        checks = await audit.run(db, app.PROMISING)
    finally:
        await db.close()
    return {
        "race_orders": race_orders,
        "charged_then_refunded": refunded,
        "broken_promises": [c.promise for c in checks if c.broken],
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
