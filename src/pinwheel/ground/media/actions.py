"""Keeping pictures and letting them go."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

from pinwheel.ground.media.model import Picture
from pinwheel.ground.media.queries import pictures
from pinwheel.ground.media.remaking import remade
from pinwheel.ground.media.store import Store
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound


def use(db: Database, folder: Path) -> None:
    """Keep this house's files below ``folder``."""
    db.given[Store] = Store(folder)


async def file_of(tx: Tx, picture_id: uuid.UUID) -> bytes | None:
    """A picture's own bytes (``MEDIA_TYPE``); None when it is gone. 1 statement."""
    found = (await pictures(tx, [picture_id])).get(picture_id)
    if found is None:
        return None
    return await asyncio.to_thread(store_of(tx.db).get, found.digest)


def store_of(db: Database) -> Store:
    given = db.given.get(Store)
    if not isinstance(given, Store):
        raise RuntimeError("this house has no place for files: call media.use first")
    return given


async def keep_picture(
    db: Database, raw: bytes, *, owner_id: uuid.UUID | None, actor: str = "system"
) -> Picture:
    """Remake what somebody sent and keep it, once by what it contains. ``NotAPicture``,
    ``PictureTooLarge``."""
    made = await asyncio.to_thread(remade, raw)
    digest = hashlib.sha256(made.body).hexdigest()
    async with db.transaction(actor=actor) as tx:
        await _hold(tx, digest)
        await asyncio.to_thread(store_of(db).put, made.body)
        picture = Picture(tx.new_id(), digest, made.width, made.height, len(made.body))
        await tx.run(
            """
            insert into media.picture (cell, id, digest, owner_id, width, height, bytes, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            tx.cell,
            picture.id,
            picture.digest,
            owner_id,
            picture.width,
            picture.height,
            picture.bytes,
            tx.now,
        )
    return picture


async def remove_picture(tx: Tx, picture_id: uuid.UUID, owner_id: uuid.UUID | None) -> None:
    """Take a picture away: its owner's, or with None anybody's. Safe to repeat."""
    if not await tx.run(
        """
        update media.picture set gone_at = coalesce(gone_at, $4)
         where cell = $1 and id = $2 and ($3::uuid is null or owner_id = $3)
        """,
        tx.cell,
        picture_id,
        owner_id,
        tx.now,
    ):
        raise NotFound(what="picture")


async def forget_owners(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Their pictures are no longer shown, and belong to nobody."""
    await tx.run(
        """
        update media.picture set owner_id = null, gone_at = coalesce(gone_at, $3)
         where cell = $1 and owner_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
        tx.now,
    )


async def sweep(tx: Tx, limit: int = 200) -> int:
    """Delete the files of pictures that are gone, unless the same picture is there for somebody
    else; how many rows went."""
    digests: list[str] = await tx.values(
        """
        select distinct digest from media.picture where cell = $1 and gone_at is not null
         order by digest limit $2
        """,
        tx.cell,
        limit,
    )
    for digest in digests:
        await _hold(tx, digest)
        alive = await tx.value(
            "select true from media.v_picture where cell = $1 and digest = $2 limit 1",
            tx.cell,
            digest,
        )
        if not alive:
            await asyncio.to_thread(store_of(tx.db).remove, digest)
    return await tx.run(
        """
        delete from media.picture
         where cell = $1 and digest = any($2::text[]) and gone_at is not null
        """,
        tx.cell,
        digests,
    )


async def sweep_strays(tx: Tx) -> int:
    """Delete files that nobody knows, left by a process that died between writing a file and its
    row: one of the 256 folders a time, files of yesterday and before; how many went."""
    folder = f"{int(tx.now.timestamp() // 3600) % 256:02x}"
    before = tx.later_than(-86_400).timestamp()
    store = store_of(tx.db)
    found = await asyncio.to_thread(lambda: list(store.digests(folder, before)))
    known = set(
        await tx.values(
            "select digest from media.picture where cell = $1 and digest = any($2::text[])",
            tx.cell,
            found,
        )
    )
    strays = [digest for digest in found if digest not in known]
    for digest in strays:
        await _hold(tx, digest)
        known_now = await tx.value(
            "select true from media.picture where cell = $1 and digest = $2 limit 1",
            tx.cell,
            digest,
        )
        if not known_now:
            await asyncio.to_thread(store.remove, digest)
    return len(strays)


async def _hold(tx: Tx, digest: str) -> None:
    """One at a time for each content: a file is never deleted while it is being kept again."""
    await tx.run("select pg_advisory_xact_lock(hashtextextended('media:' || $1, 0))", digest)
