"""The desk counts what is asked, completes what is typed, and never fails a request for it."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from discovery.search.shelf import pid
from pinwheel.discovery import search
from pinwheel.discovery.search import Phrases, Query, SearchDesk, SearchIndex, Spoken
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound


async def unfound(db: Database) -> list[tuple[str, int, int]]:
    async with db.reading() as tx:
        page = await search.unfound_queries(tx, since=dt.date(2026, 1, 1), limit=2)
        rows = page.items
        while page.next:
            page = await search.unfound_queries(
                tx, since=dt.date(2026, 1, 1), cursor=page.next, limit=2
            )
            rows += page.items
    return [(r.text, r.asked, r.found_nothing) for r in rows]


async def test_questions_are_counted(db: Database, root: Path, index: SearchIndex) -> None:
    desk = SearchDesk(db, root)
    for text in ("Harry  POTTER", "harry potter", "zzxxqq", "zzxxqq", "  ", "!!!", "lamp\x00x"):
        desk.search(Query(text=text))
    desk.search(Query(text="harry potter", offset=24))
    desk.search(Query(text="harry potter", facets={"category": ["bags"]}))
    for text in ("hary poter", "无此物", "q" * 500):
        desk.search(Query(text=text, language="zh-CN"))
    assert await desk.flush() > 0
    assert await desk.flush() == 0
    desk.search(Query(text="zzxxqq"))
    await desk.flush()
    missed = await unfound(db)
    assert missed[0] == ("zzxxqq", 3, 3)
    assert len(missed) == len(set(missed))
    assert {("hary poter", 1, 1), ("无此物", 1, 1), ("q" * 200, 1, 1)} <= set(missed)
    assert "harry potter" not in {text for text, _, _ in missed}
    await desk.refresh()
    assert [s.text for s in desk.suggest("harry p", "en") if s.kind == "query"] == ["harry potter"]
    assert not [s for s in desk.suggest("zzx", "en") if s.kind == "query"]


async def test_a_database_that_is_away_costs_no_answer_and_no_count(
    db: Database, root: Path, index: SearchIndex
) -> None:
    desk = SearchDesk(db, root)
    desk.search(Query(text="zzxxqq"))
    async with db.transaction(actor="test") as tx:
        await tx.connection.execute("alter table search.query_day rename to away")
    with pytest.raises(Exception, match="query_day"):
        await desk.flush()
    assert desk.search(Query(text="zzxxqq")).widening == "popular"
    async with db.transaction(actor="test") as tx:
        await tx.connection.execute("alter table search.away rename to query_day")
    await desk.flush()
    assert await unfound(db) == [("zzxxqq", 2, 2)]


async def test_two_processes_count_the_same_question(
    db: Database, root: Path, index: SearchIndex
) -> None:
    desks = [SearchDesk(db, root) for _ in range(4)]
    for turn in range(20):
        for number, desk in enumerate(desks):
            desk.search(Query(text=f"zzxxqq {(turn * (number + 1)) % 5}"))
    await asyncio.gather(*(desk.flush() for desk in desks))
    assert sum(asked for _, asked, _ in await unfound(db)) == 80


async def test_what_waits_is_bounded(
    db: Database, root: Path, index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinwheel.discovery.search.desk.MOST_WAITING", 5)
    desk = SearchDesk(db, root)
    for number in range(9):
        desk.search(Query(text=f"word{number}"))
    assert desk.dropped == 4
    assert await desk.flush() == 5


async def test_stopping_writes_what_is_left(db: Database, root: Path, index: SearchIndex) -> None:
    desk = SearchDesk(db, root)
    running = asyncio.create_task(desk.run())
    desk.search(Query(text="zzxxqq"))
    desk.stop()
    await running
    assert await unfound(db) == [("zzxxqq", 1, 1)]


async def test_the_shops_own_synonyms(db: Database, root: Path, index: SearchIndex) -> None:
    desk = SearchDesk(db, root)
    asked = Query(text="wizard boy")
    assert desk.search(asked).widening != "none"
    async with db.transaction(actor="test") as tx:
        group = await search.set_synonyms(tx, ["wizard boy", " harry  potter "])
    await desk.refresh()
    answer = desk.search(asked)
    assert (answer.widening, {h.product_id for h in answer.hits}) == ("none", {pid(2), pid(3)})
    async with db.transaction(actor="test") as tx:
        await search.set_synonyms(tx, ["wizard boy", "三体"], synonym_id=group)
    await desk.refresh()
    assert desk.search(asked).hits[0].product_id == pid(1)
    async with db.transaction(actor="test") as tx:
        await search.remove_synonyms(tx, group)
    await desk.refresh()
    assert desk.search(asked).widening != "none"


@pytest.mark.parametrize("phrases", [[], ["one"], ["a", " a "], ["a", "b" * 81], list("abc") * 9])
async def test_synonyms_that_say_nothing_are_refused(db: Database, phrases: list[str]) -> None:
    phrases = phrases if len(phrases) < 20 else [f"w{n}" for n in range(21)]
    async with db.transaction(actor="test") as tx:
        with pytest.raises(search.SynonymInvalid):
            await search.set_synonyms(tx, phrases)
        assert await search.synonym_groups(tx) == []
        with pytest.raises(NotFound):
            await search.remove_synonyms(tx, tx.new_id())
        with pytest.raises(NotFound):
            await search.set_synonyms(tx, ["a", "b"], synonym_id=tx.new_id())


async def test_sales_add_up_and_never_fall_below_nothing(db: Database) -> None:
    for units in ({pid(1): 3, pid(2): 1}, {pid(1): 2, pid(2): -4}, {pid(3): -1}):
        async with db.transaction(actor="test") as tx:
            await search.record_sales(tx, units)
    async with db.reading() as tx:
        sold = await tx.connection.fetch("select product_id, sold_units from search.popularity")
    assert dict(sold) == {pid(1): 5, pid(2): 0, pid(3): 0}


def test_completion(index: SearchIndex) -> None:
    def kinds(prefix: str, language: str = "en") -> list[tuple[str, str]]:
        return [(s.kind, s.text) for s in search.suggest(index, prefix, language)]

    assert ("category", "Handbags") in kinds("hand")
    assert ("category", "女包") in kinds("nvb", "zh-CN") or ("category", "女包") in kinds(
        "女", "zh-CN"
    )
    assert ("brand", "Loma") in kinds("lom")
    assert kinds("harry potter and the ch")[0][1].endswith("Chamber of Secrets")
    assert ("product", "三体（全集）") in kinds("sant", "zh-CN")
    assert ("product", "三体（全集）") in kinds("三", "zh-CN")
    assert kinds("") == kinds("\x00 ") == kinds("zzzxxqq") == []
    assert len(search.suggest(index, "h", "en", limit=2)) <= 2
    for hostile in ("(" * 300, "*", "[", "\\", "\ud800", "a" * 10_000):
        search.suggest(index, hostile, "zh-CN")


def test_asked_queries_complete_by_pinyin_and_not_what_one_person_asked() -> None:
    phrases = Phrases(
        [
            Spoken("三体", "zh-CN", 9),
            Spoken("santa hat", "en", 30),
            Spoken("san secret", "en", 2),
            Spoken("三明治", "zh-CN", 4),
        ]
    )
    assert phrases.starting("san", "zh-CN", 9) == ["三体", "三明治", "santa hat"]
    assert phrases.starting("san", "en", 9) == ["santa hat", "三体", "三明治"]
    assert phrases.starting("st", "zh-CN", 9) == ["三体"]


async def test_old_counts_are_forgotten(db: Database, root: Path, index: SearchIndex) -> None:
    desk = SearchDesk(db, root)
    desk.search(Query(text="zzxxqq"))
    await desk.flush()
    async with db.transaction(actor="test") as tx:
        assert await search.forget_queries(tx, tx.now.date()) == 0
        assert await search.forget_queries(tx, tx.now.date() + dt.timedelta(days=1)) == 1
