"""Stitching in both directions, undone and done again; consent from the account; erasure."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pyarrow.parquet as pq

from insight_world import broken, said, send, shown
from pinwheel.ground import identity
from pinwheel.insight import tracking
from pinwheel.insight.tracking import ServerEvent
from pinwheel.insight.tracking.exporting import export_week, old_weeks
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker


async def person(db: Database, email: str) -> uuid.UUID:
    async with db.transaction() as tx:
        return (await identity.register(tx, email, kind="buyer")).id


async def whose(db: Database, worker: Worker) -> list[uuid.UUID | None]:
    """The person of each event, in the order they occurred."""
    events = [e for e in await shown(db, worker) if e.name == "page_viewed"]
    return [e.person_id for e in sorted(events, key=lambda e: (e.occurred_at, e.position))]


async def test_a_visitor_is_stitched_backwards_and_forwards_and_apart_again(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    ada = await person(db, "ada@example.org")
    await send(db, said(at=clock.now()))
    clock.travel(minutes=1)
    await send(db, said(at=clock.now(), person_id=str(ada)))
    clock.travel(minutes=1)
    await send(db, said(at=clock.now()), said(at=clock.now(), visitor_id="somebody-else"))
    assert sorted(await whose(db, worker), key=str) == sorted([ada, ada, ada, None], key=str)
    async with db.reading() as tx:
        assert len((await tracking.events_of(tx, [ada])).items) == 4  # with the registration
    async with db.transaction() as tx:
        assert await tracking.unlink(tx, "visitor-1", ada) == 1
    # What was sent signed in stays theirs; what was guessed does not.
    assert (await whose(db, worker)).count(ada) == 1
    clock.travel(minutes=1)
    await send(db, said(at=clock.now(), person_id=str(ada)))
    assert (await whose(db, worker)).count(ada) == 2  # an undone pair is not stitched again
    async with db.transaction() as tx:
        assert await tracking.relink(tx, "visitor-1", ada) == 1
    assert (await whose(db, worker)).count(ada) == 4
    assert not await broken(db)


async def test_two_people_on_one_device_have_their_own_times(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    ada, ben = await person(db, "ada@example.org"), await person(db, "ben@example.org")
    for signed_in in (None, ada, None, ben, None, ada, None):
        more = {"person_id": str(signed_in)} if signed_in else {}
        await send(db, said(at=clock.now(), **more))
        clock.travel(minutes=1)
    assert await whose(db, worker) == [ada, ada, ada, ben, ben, ada, ada]
    async with db.transaction() as tx:
        await tracking.unlink(tx, "visitor-1", ben)
    assert await whose(db, worker) == [ada, ada, ada, ben, ada, ada, ada]
    async with db.transaction() as tx:
        await tracking.relink(tx, "visitor-1", ben)
    assert await whose(db, worker) == [ada, ada, ada, ben, ben, ada, ada]
    assert not await broken(db)


async def test_a_person_who_withdraws_is_not_followed_on_their_devices(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    ada = await person(db, "ada@example.org")
    await send(db, said(person_id=str(ada)))
    await shown(db, worker)
    clock.travel(seconds=5)
    async with db.transaction() as tx:
        await identity.record_consent(tx, ada, "analytics", "web", False, {"where": "test"})
    clock.travel(seconds=5)
    await send(db, said(person_id=str(ada)), said(), said(visitor_id="new-device",
               person_id=str(ada)))  # fmt: skip
    async with db.transaction() as tx:
        await tracking.record(
            tx, [ServerEvent(name="return_requested", person_id=ada,
                             properties={"order_id": ada, "return_id": ada})]
        )  # fmt: skip
    events = await shown(db, worker)
    names = [(e.name, e.person_id) for e in events if e.name != "person_registered"]
    assert names == [("page_viewed", ada), ("return_requested", None)]


async def test_erasure_takes_the_person_out_of_every_place_and_leaves_the_counts(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    ada, ben = await person(db, "ada@example.org"), await person(db, "ben@example.org")
    words = {"words": "a secret wish", "found": 3}
    await send(db, said(visitor_id="ada-phone"))
    await send(db, said("search_made", visitor_id="ada-phone", person_id=str(ada), properties=words,
                        context={"page": "/secret"}))  # fmt: skip
    await send(db, said(visitor_id="shared", person_id=str(ada)))
    clock.travel(minutes=1)
    await send(db, said(at=clock.now(), visitor_id="shared", person_id=str(ben)))
    await send(db, said(visitor_id="ada-phone", properties={"page": 1}))  # quarantined
    before = len(await shown(db, worker))
    await send(db, said(visitor_id="ada-phone", person_id=str(ada)))  # waits in the inbox
    async with db.transaction() as tx:
        await identity.erase_person(tx, ada)
    after = await shown(db, worker)
    assert len(after) == before + 1
    async with db.reading() as tx:
        everything = [
            str(await tx.connection.fetch(f"select * from tracking.{table}"))
            for table in ("event", "inbox", "visitor", "link", "quarantine", "revenue")
        ]
    for table in everything:
        assert str(ada) not in table and "ada-phone" not in table and "secret" not in table
    assert [e.person_id for e in after].count(ben) == 2  # the registration and the visit
    [searched] = [e for e in after if e.name == "search_made"]
    assert searched.properties == {"found": 3} and searched.context == {}
    # A page that is still open brings nothing back.
    clock.travel(seconds=5)
    await send(db, said(at=clock.now(), visitor_id="ada-phone"))
    assert len(await shown(db, worker)) == before + 1
    assert not await broken(db)


async def test_a_copy_for_the_person_holds_what_was_before_they_were_known(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    ada = await person(db, "ada@example.org")
    await send(db, said())
    clock.travel(minutes=1)
    await send(db, said(person_id=str(ada)))
    await shown(db, worker)
    async with db.transaction() as tx:
        copy = await identity.export_person(tx, ada, [("tracking", tracking.export)])
    assert len(copy["tracking"]["events"]) == 3  # with the registration
    assert copy["tracking"]["visitor_ids"] == ["visitor-1"]


async def test_an_old_week_goes_out_nameless_and_is_dropped(
    db: Database, worker: Worker, clock: SetClock, tmp_path: Path
) -> None:
    ada = await person(db, "ada@example.org")
    words = {"words": "a secret wish"}
    await send(db, said(person_id=str(ada)), said("search_made", properties=words))
    assert len(await shown(db, worker)) == 3
    clock.travel(days=401)
    async with db.transaction() as tx:
        assert await old_weeks(tx) == []  # the week is kept until its last day is old enough
    clock.travel(days=8)
    async with db.transaction() as tx:
        [week] = await old_weeks(tx)
        assert week == dt.date(2026, 1, 5)
        done = await export_week(tx, week, tmp_path)
    assert (done.events, await shown(db, worker)) == (3, [])
    read = pq.read_table(tmp_path / done.file).to_pylist()
    assert {r["name"] for r in read} == {"page_viewed", "search_made", "person_registered"}
    assert str(ada) not in str(read) and "visitor-1" not in str(read)
    assert "secret" not in str(read)
    assert [r["visitor"] for r in read if r["name"] != "person_registered"] == [0, 0]
