"""The search desk: where buyers ask. It answers at once, and counts what is asked.

Counting never costs a request anything: questions are gathered in memory and written every few
seconds; when the database is away they are kept, up to a bound, and then the newest are dropped.
"""

import asyncio
import logging
from pathlib import Path

import asyncpg

from pinwheel.discovery.search import actions, queries
from pinwheel.discovery.search.finding import search
from pinwheel.discovery.search.index import SearchIndex
from pinwheel.discovery.search.lexicon import GROUPS
from pinwheel.discovery.search.model import Asked, Query, Results, Suggestion
from pinwheel.discovery.search.plan import Thesaurus
from pinwheel.discovery.search.suggesting import Phrases, squeezed, suggest
from pinwheel.kernel.db import Database

log = logging.getLogger("pinwheel.search")
MOST_WAITING = 20_000
WRITTEN_AT_ONCE = 2_000
FLUSH_SECONDS = 2.0
REFRESH_SECONDS = 30.0
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class SearchDesk:
    """Search and completion for the pages, with the shop's synonyms and its asked queries."""

    def __init__(self, db: Database, root: Path) -> None:
        self.db = db
        self.index = SearchIndex(root)
        self.synonyms = Thesaurus(GROUPS)
        self.phrases = Phrases()
        self.dropped = 0
        self._waiting: dict[tuple[str, str, str, str], Asked] = {}
        self._stopping = asyncio.Event()

    def search(self, query: Query) -> Results:
        """Answer, and count the question; turning a page is no new question."""
        results = search(self.index, query, synonyms=self.synonyms)
        if query.offset <= 0:
            self._count(query, results)
        return results

    def suggest(
        self, prefix: str, language: str, *, channel: str = "web", region: str = ""
    ) -> list[Suggestion]:
        """Complete what is being typed; not counted."""
        return suggest(
            self.index, prefix, language, channel=channel, region=region, phrases=self.phrases
        )

    def _count(self, query: Query, results: Results) -> None:
        text = squeezed(query.text)[:200].encode("utf-8", "replace").decode()
        if not text:
            return
        found = results.found or results.outside_filters
        key = (query.language[:16], query.channel[:32], query.region[:16], text)
        before = self._waiting.get(key)
        if before is None and len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting[key] = Asked(
            *key,
            asked=1 + (before.asked if before else 0),
            found_nothing=(not found) + (before.found_nothing if before else 0),
            last_found=found,
            last_meant=results.did_you_mean or "",
        )

    async def flush(self) -> int:
        """Write what was counted; how many rows. What can't be written now is kept for later."""
        rows = list(self._waiting.values())[:WRITTEN_AT_ONCE]
        if not rows:
            return 0
        for row in rows:
            del self._waiting[row.language, row.channel, row.region, row.text]
        try:
            async with self.db.transaction(actor="search") as tx:
                await actions.record_queries(tx, rows)
        except BaseException:
            for row in rows:
                self._put_back(row)
            raise
        return len(rows)

    def _put_back(self, row: Asked) -> None:
        key = (row.language, row.channel, row.region, row.text)
        newer = self._waiting.get(key, row)
        more = newer is not row
        self._waiting[key] = Asked(
            *key,
            asked=row.asked + (newer.asked if more else 0),
            found_nothing=row.found_nothing + (newer.found_nothing if more else 0),
            last_found=newer.last_found,
            last_meant=newer.last_meant,
        )

    async def refresh(self) -> None:
        """Take up the shop's synonyms and what buyers have asked."""
        async with self.db.reading() as tx:
            groups = await queries.synonym_groups(tx)
            spoken = await queries.spoken_queries(tx)
        self.synonyms = Thesaurus([*GROUPS, *groups])
        self.phrases = Phrases(spoken)

    async def run(self) -> None:
        """Write and refresh until `stop`; then write once more. A database away is waited for."""
        due = 0.0
        while not self._stopping.is_set():
            try:
                await self.flush()
                due -= FLUSH_SECONDS
                if due <= 0:
                    await self.refresh()
                    due = REFRESH_SECONDS
            except _AWAY as error:
                log.warning("search counts wait for the database: %s", error)
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                pass
        try:
            while await self.flush():
                pass
        except _AWAY as error:
            log.warning("the last search counts were lost: %s", error)

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()
