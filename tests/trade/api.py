"""A shop's own program: keys with rights, and the whole house behind one address."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

import web_world
from pinwheel import app
from pinwheel.ground import identity
from pinwheel.ground.identity import Caller
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings

ALL = (
    *("catalogue:read", "catalogue:write", "stock", "settings", "orders:read", "orders:write"),
    *("fulfilment:write", "money"),
)


@asynccontextmanager
async def opened(db: Database, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(secret="s" * 32, rate_limit_per_second=0, data_dir=folder)
    app.furnish(db, settings)
    async with web_world.client(app.edge(settings, db), db) as http:
        yield http


async def key(db: Database, *scopes: str) -> dict[str, str]:
    """The headers of a program with these rights."""
    async with db.transaction() as tx:
        email = f"{uuid.uuid4().hex}@example.com"
        person = await identity.register(tx, email, kind="operator")
        caller = Caller(kind="operator", person_id=person.id, scopes=frozenset({"*"}))
        made = await identity.make_key(tx, caller, "test", list(scopes))
    return {"authorization": f"Bearer {made.key}"}


def done(answer: Any) -> list[dict[str, Any]]:
    """What came of every item; fails where one was refused."""
    assert answer.status_code == 200, answer.text
    items = answer.json()
    assert all(item["refused"] is None for item in items), items
    return [item["done"] for item in items]


def codes(answer: Any) -> list[str | None]:
    """Why each item was refused, or None."""
    assert answer.status_code == 200, answer.text
    return [item["refused"] and item["refused"]["code"] for item in answer.json()]
