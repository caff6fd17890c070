"""The registry of schemas: read into each process, believed for two seconds, added to by people."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

from pinwheel.insight.tracking.model import NewSchema, Schema, checked_schema
from pinwheel.insight.tracking.taking import Registry
from pinwheel.kernel.db import Database, Tx

BELIEVED_SECONDS = 2.0
_kept: WeakKeyDictionary[Database, tuple[float, Registry]] = WeakKeyDictionary()


async def schemas(tx: Tx) -> list[Schema]:
    """Every version of every schema."""
    return await tx.rows(
        Schema,
        """
        select name, title, purpose, origin, properties, version from tracking.schema
         order by name, version
        """,
    )


async def registry(tx: Tx) -> Registry:
    """What events there are, as this process knows it: at most two seconds old."""
    kept = _kept.get(tx.db)
    if kept is not None and kept[0] > time.monotonic():
        return kept[1]
    found = Registry(await schemas(tx))
    _kept[tx.db] = (time.monotonic() + BELIEVED_SECONDS, found)
    return found


async def registry_of(db: Database) -> Registry:
    """The same without a transaction of one's own; no statement while it is believed."""
    kept = _kept.get(db)
    if kept is not None and kept[0] > time.monotonic():
        return kept[1]
    async with db.reading(actor="tracking") as tx:
        return await registry(tx)


async def add_schema(tx: Tx, new: NewSchema) -> Schema:
    """A first version, or the next one of that name. ``SchemaIncompatible``."""
    await tx.run("select pg_advisory_xact_lock(hashtext('tracking.schema'))")
    before = await tx.row(
        Schema,
        """
        select name, title, purpose, origin, properties, version from tracking.schema
         where name = $1 order by version desc limit 1
        """,
        new.name,
    )
    fresh = checked_schema(new, before)
    await tx.run(
        """
        insert into tracking.schema
               (name, version, title, purpose, origin, properties, created_at, created_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        fresh.name,
        fresh.version,
        fresh.title,
        fresh.purpose,
        fresh.origin,
        fresh.properties,
        tx.now,
        tx.actor,
    )
    _kept.pop(tx.db, None)
    return fresh
