"""The index keeps its promises through changes, crashes, copies and rebuilds."""

import multiprocessing
import os
import random
import shutil
import signal
import threading
from pathlib import Path

import msgspec
import pytest

import world
from discovery.search import shelf
from discovery.search.shelf import item, many, pid
from pinwheel.discovery.search import (
    Document,
    IndexBusy,
    Query,
    Results,
    SearchIndex,
    Writer,
    search,
)

QUESTIONS = [
    Query(text="red", limit=100),
    Query(text="leather lamp", limit=100),
    Query(text="usb cable charger", limit=30, offset=10),
    Query(text="三体 皮包", language="zh-CN", limit=100),
    Query(text="lether", limit=50),
    Query(text="keybord desk zzxxyy", limit=50),
    Query(text="", limit=100),
    Query(text="desk", sort="price_asc", limit=100),
    Query(text="red", facets={"colour": ["red"]}, price_max_minor=2000, buyable_only=False),
]


def answers(root: Path) -> list[Results]:
    index = SearchIndex(root)
    return [search(index, q) for q in QUESTIONS]


def rebuilt(root: Path, documents: list[Document]) -> list[Results]:
    with Writer(root) as writer, writer.rebuild() as rebuild:
        rebuild.add(documents)
    return answers(root)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_history_leaves_no_trace(tmp_path: Path, seed: int) -> None:
    """Inserts in any order, changes and deletions end in the lists and scores of a fresh build."""
    rng = random.Random(seed)
    now = {d.product_id: d for d in many(400, seed)}
    strangers = many(300, seed + 100)
    churned = tmp_path / "churned"
    with Writer(churned) as writer:
        for at in range(0, 300, 60):
            batch = [
                msgspec.structs.replace(d, product_id=pid(50_000 + at + i))
                for i, d in enumerate(strangers[at : at + 60])
            ]
            writer.apply([d.product_id for d in batch], batch)
        writer.apply(list(now), list(strangers[:50]))  # wrong for now: put right below
        order = list(now.values())
        rng.shuffle(order)
        for at in range(0, 400, 37):
            batch = order[at : at + 37]
            writer.apply([d.product_id for d in batch], batch)
        gone = {d.product_id for d in strangers} | {pid(50_000 + i) for i in range(300)}
        writer.apply(gone - set(now), [])
    assert answers(churned) == rebuilt(tmp_path / "fresh", list(now.values()))
    shuffled = list(now.values())
    rng.shuffle(shuffled)
    assert answers(churned) == rebuilt(tmp_path / "shuffled", shuffled)


def test_another_market_changes_nothing(tmp_path: Path) -> None:
    here = many(200)
    there = [msgspec.structs.replace(d, region="EU", price_minor=1) for d in many(500, 9)]
    alone = rebuilt(tmp_path / "alone", here)
    assert alone == rebuilt(tmp_path / "both", here + there)


def test_ties_at_a_page_end_are_cut_by_product_id(tmp_path: Path) -> None:
    same = [item(n, "plain white shirt", price_minor=500) for n in range(300)]
    random.Random(3).shuffle(same)
    rebuilt(tmp_path / "s", same)
    index = SearchIndex(tmp_path / "s")
    for sort in ("relevance", "price_asc", "popular"):
        whole = [
            h.product_id
            for at in range(0, 300, 7)
            for h in search(index, Query(text="shirt", sort=sort, offset=at, limit=7)).hits  # type: ignore[arg-type]
        ]
        assert len(set(whole)) == 300
        if sort == "relevance":
            assert whole == sorted(whole)


def test_a_change_is_seen_by_an_open_reader(root: Path, index: SearchIndex) -> None:
    query = Query(text="handbag", sort="price_asc")
    assert search(index, query).hits[0].price_minor == 9800
    cheaper = item(6, "Canvas handbag, blue", price_minor=100)
    with Writer(root) as writer:
        writer.apply([pid(6)], [cheaper])
        assert search(index, query).hits[0].price_minor == 100
        writer.apply([pid(6)], [msgspec.structs.replace(cheaper, buyable=False)])
        assert pid(6) not in {h.product_id for h in search(index, query).hits}
        writer.apply([pid(5), pid(6)], [])
        assert [h.product_id for h in search(index, query).hits] == [pid(4)]


def test_a_failed_rebuild_leaves_the_old_index(root: Path, index: SearchIndex) -> None:
    before = search(index, Query(text="handbag"))
    with Writer(root) as writer:
        with pytest.raises(ZeroDivisionError), writer.rebuild() as rebuild:
            rebuild.add(many(10))
            raise ZeroDivisionError
        assert search(index, Query(text="handbag")) == before
        writer.apply([pid(5)], [])
    assert search(index, Query(text="handbag")).total == before.total - 1
    assert len(list(root.glob("g*"))) == 1


def test_a_failed_batch_changes_nothing(root: Path, index: SearchIndex) -> None:
    def broken() -> object:
        yield item(5, "Half a change")
        raise OSError("the database went away")

    with Writer(root) as writer:
        with pytest.raises(OSError, match="went away"):
            writer.apply([pid(4), pid(5)], broken(), b"later")  # type: ignore[arg-type]
        assert search(index, Query(text="handbag")).total == 3
        assert writer.position() is None
        writer.apply([pid(5)], [], b"7")
        assert writer.position() == b"7"
    assert search(index, Query(text="handbag")).total == 2


def test_the_position_is_part_of_what_was_committed(root: Path, tmp_path: Path) -> None:
    with Writer(root) as writer:
        assert writer.position() is None
        writer.apply([pid(40)], [item(40, "Kettle")], b"40")
        shutil.copytree(root, tmp_path / "copy")
        writer.apply([pid(41)], [item(41, "Kettle")], b"41")
    with Writer(tmp_path / "copy") as writer:
        assert writer.position() == b"40"
        writer.apply([pid(41)], [item(41, "Kettle")], b"41")
    assert answers(tmp_path / "copy") == answers(root)


def test_another_format_asks_for_a_rebuild(root: Path, index: SearchIndex) -> None:
    (root / "CURRENT").write_text('{"directory":"g1","format":999}')
    assert search(index, Query(text="handbag")).total == 0
    with Writer(root) as writer:
        assert writer.position() is None
    (root / "CURRENT").write_text("no json")
    with Writer(root) as writer:
        assert writer.position() is None


@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_damaged_index_is_built_anew(root: Path, index: SearchIndex, damage: str) -> None:
    with Writer(root) as writer:
        writer.apply([], [], b"9")
    if damage == "gone":
        shutil.rmtree(root / "g1")
    else:
        meta = root / "g1" / "meta.json"
        meta.write_bytes(meta.read_bytes()[:100] if damage == "cut" else b"")
    assert search(SearchIndex(root), Query(text="handbag")).total == 0
    with Writer(root) as writer:
        assert writer.position() is None
        with writer.rebuild(b"10") as rebuild:
            rebuild.add(shelf.SHELF)
    assert search(SearchIndex(root), Query(text="handbag")).total == 3
    assert search(index, Query(text="handbag")).total == 3
    with Writer(root) as writer:
        assert writer.position() == b"10"


def test_one_writer(root: Path) -> None:
    with Writer(root), pytest.raises(IndexBusy), Writer(root):
        pass
    with Writer(root) as writer:
        writer.apply([pid(1)], [])


def _write_until_killed(root: Path, ready: object) -> None:
    with Writer(root) as writer:
        number = 0
        while True:
            number += 1
            batch = [item(n, f"Crash kettle {number}") for n in range(100, 110)]
            writer.apply([d.product_id for d in batch], batch, str(number).encode())
            if number == 3:
                ready.set()  # type: ignore[attr-defined]


@pytest.mark.crash
def test_a_killed_writer_leaves_a_whole_commit(root: Path, index: SearchIndex) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_until_killed, args=(root, ready))
    process.start()
    assert ready.wait(world.PATIENCE_SECONDS)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with Writer(root) as writer:
        position = writer.position()
        assert position is not None and int(position) >= 3
        titles = {h.title for h in search(index, Query(text="crash kettle", limit=100)).hits}
        assert titles == {f"Crash kettle {int(position)}"}
        writer.apply([pid(n) for n in range(100, 110)], [], b"end")
    assert search(index, Query(text="crash kettle")).widening == "popular"


def test_readers_while_the_writer_commits_and_rebuilds(root: Path, index: SearchIndex) -> None:
    """Each answer is one committed state: ten kettles of one generation, or none of them torn."""
    stop = threading.Event()
    torn: list[object] = []

    def read(own: SearchIndex) -> None:
        while not stop.is_set():
            try:
                answer = search(own, Query(text="kettle", limit=50))
                if len(answer.hits) != 10 or len({h.title for h in answer.hits}) != 1:
                    torn.append([h.title for h in answer.hits])
            except Exception as error:
                torn.append(error)

    def kettles(number: int) -> list[Document]:
        return [item(n, f"Kettle {'x' * number}") for n in range(100, 110)]

    with Writer(root) as writer:
        writer.apply([], kettles(0))
        readers = [threading.Thread(target=read, args=(i,)) for i in (index, SearchIndex(root))]
        for reader in readers:
            reader.start()
        for number in range(1, 16):
            if number % 4:
                batch = kettles(number)
                writer.apply([d.product_id for d in batch], batch)
            else:
                with writer.rebuild() as rebuild:
                    rebuild.add(shelf.SHELF + kettles(number))
        stop.set()
        for reader in readers:
            reader.join()
    assert not torn
