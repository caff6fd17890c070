"""The follower: reads facts in order and brings the index after them, within seconds.

One process follows; others stand by for its lock. What a crash leaves undone is done again: the
position is committed with the documents, and applying a fact twice changes nothing.
"""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from pinwheel.discovery.search import queries
from pinwheel.discovery.search.index import IndexBusy, SearchIndex, Writer
from pinwheel.discovery.search.model import Position
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import Recorded
from pinwheel.kernel.queries import Behind

log = logging.getLogger("pinwheel.search")
FOLLOWED = ("catalogue.", "pricing.", "marketplace.", "inventory.", "search.")
FACTS_AT_ONCE = 500
PRODUCTS_AT_ONCE = 500
POLL_SECONDS = 0.5
STANDBY_SECONDS = 5.0


class Touched:
    """What facts name: ids of products and of what products hang on."""

    def __init__(self, facts: Iterable[Recorded]) -> None:
        self.products: set[UUID] = set()
        self.variants: set[UUID] = set()
        self.offers: set[UUID] = set()
        self.categories: set[UUID] = set()
        self.sellers: set[UUID] = set()
        self.nodes: set[str] = set()
        for fact in facts:
            if fact.kind.startswith(FOLLOWED):
                self._read(fact.data)

    def _read(self, data: dict[str, Any]) -> None:
        ids = (self.products, self.variants, self.offers, self.categories)
        before = sum(map(len, ids))
        named = False
        for key, value in data.items():
            bare = key.removesuffix("s").removesuffix("_id")
            kind = {
                "product": self.products,
                "variant": self.variants,
                "pair": self.variants,
                "offer": self.offers,
                "category": self.categories,
            }.get(bare)
            if kind is not None:
                kind.update(_ids(value))
                named = True
            elif bare == "node" and isinstance(value, str):
                self.nodes.add(value)
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                for row in value:
                    self._read(row)
        # A seller stands in most facts about offers; alone, it means all that this seller sells.
        if not named and sum(map(len, ids)) == before:
            self.sellers.update(_ids(data.get("seller_id")))
            self.sellers.update(_ids(data.get("seller_ids")))

    def __bool__(self) -> bool:
        return any(vars(self).values())


def _ids(value: Any) -> set[UUID]:
    if isinstance(value, str):
        try:
            return {UUID(value)}
        except ValueError:
            return set()
    if isinstance(value, list):
        return {found for each in value for found in _ids(each)}
    return set()


async def behind(tx: Tx, index: SearchIndex) -> list[Behind]:
    """Products whose changes the index does not show yet, of the next facts it would read; or that
    there is no index. 3 statements at most."""
    stored = index.snapshot().position()
    if stored is None:
        return [Behind("search_missing", 1, None)]
    position = msgspec.msgpack.decode(stored, type=Position)
    facts = await queries.feed(tx, position, FACTS_AT_ONCE)
    telling = [fact for fact in facts if Touched([fact])]
    ids = await queries.touched(tx, **vars(Touched(telling))) if telling else []
    return [Behind("search_unread", len(ids), telling[0].at if ids else None)]


class Follower:
    """Keeps the index under `root` up to date with `db`; `writer` is entered while it follows."""

    def __init__(self, db: Database, root: Path) -> None:
        self.db = db
        self.writer = Writer(root)
        self.position: Position | None = None
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Follow until `stop`; a database that is away, or a busy index, is waited for."""
        while not self.stopping.is_set():
            wait = STANDBY_SECONDS
            try:
                with self.writer:
                    await self.begin()
                    while not self.stopping.is_set():
                        if not await self.step():
                            await self._rest(POLL_SECONDS)
            except IndexBusy:
                pass
            except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("search can't follow for now: %s", error)
                wait = 1.0
            await self._rest(wait)

    def stop(self) -> None:
        """Let `run` end after the step it is in."""
        self.stopping.set()

    async def begin(self) -> None:
        """Find the position in the index; rebuild where it can't be gone on from."""
        stored = self.writer.position()
        position = msgspec.msgpack.decode(stored, type=Position) if stored else None
        if position is not None:
            async with self.db.reading() as tx:
                if await queries.feed_reaches(tx, position):
                    self.position = position
                    return
            log.warning("the feed no longer reaches back to the search index: rebuilding")
        await self.rebuild()

    async def step(self) -> bool:
        """Apply the next facts; were there any? The position is committed with the last of them."""
        assert self.position is not None
        async with self.db.reading() as tx:
            facts = await queries.feed(tx, self.position, FACTS_AT_ONCE)
            if not facts:
                return False
            touched = Touched(facts)
            ids = await queries.touched(tx, **vars(touched)) if touched else []
        position = Position(facts[-1].xid, facts[-1].id)
        done = msgspec.msgpack.encode(position)
        for at in range(0, len(ids), PRODUCTS_AT_ONCE):
            some = ids[at : at + PRODUCTS_AT_ONCE]
            # Read after the facts: a document may be newer than its fact, never older.
            async with self.db.reading() as tx:
                documents = await queries.documents(tx, some)
            last = at + PRODUCTS_AT_ONCE >= len(ids)
            await asyncio.to_thread(self.writer.apply, some, documents, done if last else None)
        if not ids and len(facts) == FACTS_AT_ONCE:
            await asyncio.to_thread(self.writer.apply, [], [], done)
        self.position = position
        return True

    async def rebuild(self) -> int:
        """Write every product into a new generation and switch to it; how many documents.

        Facts that come meanwhile are read afterwards, from the position taken before the start.
        """
        async with self.db.reading() as tx:
            position = await queries.feed_end(tx)
        count = 0
        last: UUID | None = None
        with self.writer.rebuild(msgspec.msgpack.encode(position)) as rebuild:
            while True:
                async with self.db.reading() as tx:
                    ids = await queries.product_ids(tx, last, PRODUCTS_AT_ONCE)
                    documents = await queries.documents(tx, ids)
                if not ids:
                    break
                await asyncio.to_thread(rebuild.add, documents)
                count, last = count + len(documents), ids[-1]
            await asyncio.to_thread(rebuild.flush)
        self.position = position
        return count

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass
