"""A small shop behind its pages: categories, products with variants, a search index of its own."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pinwheel import app, seeding
from pinwheel.discovery import search
from pinwheel.kernel import settings as kernel_settings
from pinwheel.kernel.db import Database
from pinwheel.kernel.web import Edge
from pinwheel.trade import catalogue
from web_world import HOST, Browser

SECRET = "the secret of these tests"


class Storefront:
    """The whole house behind its edge, with a seeded demonstration shop of a few products."""

    def __init__(self, db: Database, edge: Edge, desk: search.SearchDesk) -> None:
        self.db = db
        self.edge = edge
        self.desk = desk

    def browser(self, language: str = "en") -> Browser:
        return Browser(self.edge, self.db, language=language)

    async def slugs(self) -> list[str]:
        async with self.db.reading() as tx:
            return [p.slug for p in (await catalogue.products(tx, status="published")).items]


def quiet(line: str) -> None:
    """Seeding speaks; tests don't listen."""


@asynccontextmanager
async def open_storefront(
    db: Database, folder: Path, *, most: int = 60, days: int = 9, public_url: str = HOST
) -> AsyncIterator[Storefront]:
    settings = kernel_settings.Settings(
        secret=SECRET, data_dir=folder, public_url=public_url, rate_limit_per_second=0
    )
    app.furnish(db, settings)
    await seeding.seed(db, quiet, days=days, orders_a_day=6, most=most)
    desk = search.SearchDesk(db, folder / "search")
    edge = app.edge(settings, db)
    edge.app.state["search"] = desk
    yield Storefront(db, edge, desk)


def graph_of(page: str) -> list[dict[str, Any]]:
    """The structured data of a page."""
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert found, "the page has no structured data"
    whole: dict[str, Any] = json.loads(found[1])
    assert whole["@context"] == "https://schema.org"
    things: list[dict[str, Any]] = whole["@graph"]
    return things


def text_of(page: str) -> str:
    """What a person reads of a page."""
    bare = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", bare)))


def field_of(page: str, name: str) -> str:
    """The value of a form's field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name}"
    return html.unescape(found[1])


def fields_of(page: str, name: str) -> list[str]:
    return [html.unescape(v) for v in re.findall(rf'name="{name}" value="([^"]*)"', page)]
