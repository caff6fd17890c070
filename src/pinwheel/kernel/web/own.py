"""The kernel's own addresses: files, health, metrics, the API's document; and the headers of every
answer."""

from __future__ import annotations

import ipaddress

import asyncpg

from pinwheel.kernel import observe
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Overloaded
from pinwheel.kernel.migrate import sequence
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web.call import Answer, Call, File
from pinwheel.kernel.web.pages import Assets
from pinwheel.kernel.web.routes import Route, get

FOREVER = "public, max-age=31536000, immutable"
SHORT = "public, max-age=300"
WANTED = frozenset(name for name, _ in sequence())
"""The migrations that came with this process. A newer release that is unpacked beside it, to be
migrated and started next, doesn't make it unready."""


def security_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """On every answer. Scripts and styles come from files of ours alone; Stripe's only when it is
    used."""
    script = "'self' https://js.stripe.com" if settings.stripe_publishable_key else "'self'"
    frame = "https://js.stripe.com" if settings.stripe_publishable_key else "'none'"
    connect = "'self' https://api.stripe.com" if settings.stripe_publishable_key else "'self'"
    policy = (
        f"default-src 'self'; script-src {script}; style-src 'self'; img-src 'self' data: https:; "
        f"connect-src {connect}; frame-src {frame}; font-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    headers = [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"strict-origin-when-cross-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    if settings.secure_cookies:
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    return headers


def routes(assets: Assets) -> list[Route]:
    @get("/static/{name:path}", anonymous=True)
    async def static(call: Call, name: str) -> File | Answer[None]:
        asset = assets.find(str(name))
        if asset is None:
            return Answer(None, status=404)
        fresh = call.query_params.get("v") == asset.version
        headers = {"cache-control": FOREVER if fresh else SHORT, "etag": f'"{asset.version}"'}
        if call.headers.get("if-none-match") == headers["etag"]:
            return File(b"", asset.media_type, status=304, headers=headers)
        return File(asset.body, asset.media_type, headers=headers)

    return [static, healthz, readyz, metrics, openapi]


@get("/healthz", anonymous=True)
async def healthz() -> Answer[dict[str, str]]:
    """This process answers."""
    return Answer({"status": "up"})


@get("/readyz", anonymous=True)
async def readyz(db: Database) -> Answer[dict[str, str]]:
    """The database is there and every migration of this process is applied."""
    try:
        async with db.transaction(actor="ready") as tx:
            applied = await tx.values("select name from kernel.migration")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise Overloaded(2) from error
    if WANTED - set(applied):
        raise Overloaded(5)
    return Answer({"status": "ready"})


@get("/metrics")
async def metrics(call: Call, db: Database) -> File:
    """For a scraper on this machine, or a key with the right ``operate``."""
    if not _is_local(call):
        call.caller.require("operate")
    return File(await observe.exposition(db), "text/plain; version=0.0.4; charset=utf-8")


@get("/api/v1/openapi.json", tags=("API",))
async def openapi(call: Call) -> File:
    """This document."""
    return File(call.app.state["edge"].document, "application/json")


def _is_local(call: Call) -> bool:
    if "x-forwarded-for" in call.headers:
        return False
    try:
        return ipaddress.ip_address(call.address).is_loopback
    except ValueError:
        return False
