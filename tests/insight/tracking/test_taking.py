"""Taking events in: bad ones among good ones, copies, late ones, wrong clocks, no consent, bots."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

import msgspec
import pytest

import world
from insight_world import broken, said, send, shown
from pinwheel.insight import tracking
from pinwheel.insight.tracking import Property, Schema
from pinwheel.insight.tracking.linking import suspect
from pinwheel.insight.tracking.model import NewSchema, NotABatch, SchemaIncompatible, TooManyEvents
from pinwheel.insight.tracking.registry import registry
from pinwheel.insight.tracking.taking import Columns, Registry, Sender, read_batch, read_beacon
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker

NOW = world.MONDAY
PAGE = uuid.UUID("00000000-0000-4000-8000-000000000001")


async def test_a_bad_event_between_good_ones_fails_alone(db: Database, worker: Worker) -> None:
    receipt = await send(
        db,
        said(),
        said("product_viewed", properties={"product_id": "no uuid"}),
        said(name="nobody_knows_this"),
        said(occurred_at="yesterday"),
        said(properties={"page": 7}),
        said(properties={"unheard_of": "x"}),
        said(properties={"page": "a\u0000b"}),
        said(visitor_id="v" * 65),
        ["not", "an", "event"],
        said(),
    )
    assert (receipt.accepted, receipt.quarantined) == (2, 8)
    assert [(f.at, f.reason) for f in sorted(receipt.faults, key=lambda f: f.at)] == [
        *((1, "properties"), (2, "unknown"), (3, "shape"), (4, "properties")),
        *((5, "properties"), (6, "nul"), (7, "shape"), (8, "shape")),
    ]
    assert len(await shown(db, worker)) == 2
    async with db.reading() as tx:
        kept = (await tracking.quarantined(tx)).items
    assert len(kept) == 8 and all(q.detail for q in kept)


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"[", b'{"id"', b"7", b'"x"', b"[1,2", b"\xff\xfe", b"null", b"[]"]
)
def test_what_is_no_batch_takes_nothing(body: bytes) -> None:
    try:
        columns = read_batch(body, Registry([]), Sender(source="api", now=NOW))
    except NotABatch:
        return
    assert not columns.event_ids


def test_lines_and_an_array_are_the_same() -> None:
    known = Registry([Schema(name="a_b", title={"en": "A"}, version=1)])
    events = [said("a_b"), said("a_b")]
    lines = b"\r\n".join(map(msgspec.json.encode, events)) + b"\n\n"
    broken_line = lines + b"{no json}\n" + msgspec.json.encode(said("a_b"))
    sender = Sender(source="api", now=NOW)
    assert len(read_batch(lines, known, sender).event_ids) == 2
    mixed = read_batch(broken_line, known, sender)
    assert len(mixed.event_ids) == 3 and [b.reason for b in mixed.bad] == ["unreadable"]
    assert len(read_batch(msgspec.json.encode(events), known, sender).event_ids) == 2


def test_more_than_a_batch_holds_is_refused_whole() -> None:
    body = b"[" + b",".join([b"{}"] * 5_001) + b"]"
    with pytest.raises(TooManyEvents):
        read_batch(body, Registry([]), Sender(source="api", now=NOW))


async def test_a_copy_counts_once_in_a_batch_across_batches_and_across_weeks(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    event = said()
    first = await send(db, event, event)
    assert (first.accepted, first.duplicates) == (1, 1)
    await send(db, event)  # both wait in the inbox
    assert len(await shown(db, worker)) == 1
    await send(db, event)  # one is unpacked already
    clock.travel(days=6, hours=23)  # the next week's partition
    later = await send(db, event)
    assert later.accepted == 1
    assert len(await shown(db, worker)) == 1
    clock.travel(hours=2)  # now every copy is late
    last = await send(db, event)
    assert [f.reason for f in last.faults] == ["too_late"]
    assert len(await shown(db, worker)) == 1
    async with db.reading() as tx:
        [counted] = await tx.connection.fetch(
            "select sum(events) as events, sum(duplicates) as copies from tracking.volume"
        )
    assert (counted["events"], counted["copies"]) == (1, 4)
    assert not await broken(db)


async def test_late_events_have_a_bound_and_wrong_clocks_are_put_right(
    db: Database, worker: Worker
) -> None:
    day = dt.timedelta(days=1)
    on_the_bound = said(occurred_at=(NOW - 7 * day).isoformat())
    past_it = said(occurred_at=(NOW - 7 * day - dt.timedelta(seconds=1)).isoformat())
    ahead = said(occurred_at=(NOW + dt.timedelta(minutes=6)).isoformat())
    receipt = await send(db, on_the_bound, past_it, ahead)
    assert [f.reason for f in receipt.faults] == ["too_late", "in_the_future"]
    # A telephone that lives three hours ahead: sent right after it occurred.
    off = NOW + 3 * dt.timedelta(hours=1)
    skewed = said(occurred_at=(off - dt.timedelta(seconds=9)).isoformat(), sent_at=off.isoformat())
    # One whose clock is right to the minute is believed.
    fine = said(
        occurred_at=(NOW - dt.timedelta(seconds=5)).isoformat(),
        sent_at=(NOW + dt.timedelta(seconds=30)).isoformat(),
    )
    await send(db, skewed, fine)
    at = {str(e.event_id): e.occurred_at for e in await shown(db, worker)}
    assert at[skewed["id"]] == NOW - dt.timedelta(seconds=9)
    assert at[fine["id"]] == NOW - dt.timedelta(seconds=5)
    assert len(at) == 3


async def test_without_consent_only_what_is_necessary_and_nobodys(
    db: Database, worker: Worker
) -> None:
    person = str(uuid.uuid4())
    receipt = await send(
        db,
        said(consent=False, person_id=person),
        said("page_failed", consent=False, person_id=person, context={"page": "/x"}),
        said("page_failed", consent=False, person_id=person, properties={"nonsense": 1}),
    )
    assert (receipt.accepted, receipt.withheld, receipt.quarantined) == (1, 1, 1)
    [event] = await shown(db, worker)
    assert (event.name, event.visitor_id, event.person_id, event.session_id, event.context) == (
        *("page_failed", "", None, "", {}),
    )
    async with db.reading() as tx:
        everything = str(
            await tx.connection.fetch("select * from tracking.quarantine, tracking.v_event")
        )
    assert "visitor-1" not in everything and person not in everything


async def test_a_withdrawal_stops_a_page_that_is_still_open(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    await send(db, said())
    clock.travel(seconds=10)
    async with db.transaction() as tx:
        await tracking.say(tx, [("visitor:visitor-1", False)])
    clock.travel(seconds=1)
    # The page still says yes, and that it occurred before.
    await send(db, said(), said("page_failed"), said(visitor_id="visitor-2"))
    events = {(e.name, e.visitor_id) for e in await shown(db, worker)}
    assert events == {
        *(("page_viewed", "visitor-1"), ("page_viewed", "visitor-2"), ("page_failed", "")),
    }
    clock.travel(seconds=1)
    async with db.transaction() as tx:
        await tracking.say(tx, [("visitor:visitor-1", True)])
    await send(db, said())
    assert len(await shown(db, worker)) == 4


async def test_a_beacon_says_who_once_and_is_withheld_when_the_browser_says_no(
    db: Database, worker: Worker
) -> None:
    beacon = {
        "visitor_id": "visitor-1",
        "session_id": "session-1",
        "consent": True,
        "context": {"page": "/en/things", "source": "letter"},
        "events": [
            {"id": str(uuid.uuid4()), "name": "page_viewed", "occurred_at": NOW.isoformat()},
            {"id": "no", "name": "page_viewed", "occurred_at": NOW.isoformat()},
            {"id": str(uuid.uuid4()), "name": "page_failed", "occurred_at": NOW.isoformat()},
        ],
    }
    for refuses, accepted, withheld in ((False, 2, 0), (True, 1, 1)):
        async with db.transaction() as tx:
            sender = Sender(source="web", now=NOW, refuses=refuses)
            columns = read_beacon(msgspec.json.encode(beacon), await registry(tx), sender, "phone")
            [receipt] = await tracking.take(tx, [columns])
        assert isinstance(receipt, tracking.Receipt)
        assert (receipt.accepted, receipt.withheld, receipt.quarantined) == (accepted, withheld, 1)
    events = await shown(db, worker)
    assert {(e.name, e.visitor_id, e.context.get("device")) for e in events} == {
        *(("page_viewed", "visitor-1", "phone"), ("page_failed", "visitor-1", "phone")),
    }


async def test_programs_are_flagged_and_not_dropped(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    await send(db, said(visitor_id="crawler"), bot_reason="agent")
    async with db.transaction() as tx:
        await suspect(tx, "trapped", "honeypot")
    await send(db, said(visitor_id="trapped-one", session_id="trapped"))
    await send(db, *(said(visitor_id="hasty", session_id=f"s{n}") for n in range(241)))
    await send(db, *(said(visitor_id="brisk", session_id=f"s{n}") for n in range(240)))
    events = await shown(db, worker)
    assert {(e.visitor_id, e.is_bot, e.bot_reason) for e in events} == {
        *(("crawler", True, "agent"), ("trapped-one", True, "honeypot"), ("hasty", True, "rate")),
        ("brisk", False, ""),
    }
    clock.travel(hours=1)
    await send(db, said(visitor_id="hasty"))  # once a program, always one
    assert (await shown(db, worker))[-1].bot_reason == "rate"


async def test_a_client_cannot_say_money(db: Database, worker: Worker) -> None:
    money = {"order_id": str(PAGE), "total_minor": 1, "currency": "GBP"}
    receipt = await send(db, said("order_placed", properties=money), said())
    assert [f.reason for f in receipt.faults] == ["server_only"]
    async with db.transaction() as tx:
        again = await tracking.replay(tx, tracking.Which())
    assert again == tracking.Replayed(0, 0, 1)
    assert [e.name for e in await shown(db, worker)] == ["page_viewed"]
    assert not await broken(db)


async def test_quarantine_is_replayed_when_its_schema_was_mended(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    event = said(properties={"page": "/en", "colour": "red"})
    await send(db, event, said(properties={"page": "/en", "shape": "round"}))
    async with db.transaction() as tx:
        still = await tracking.replay(tx, tracking.Which(name="page_viewed"))
        assert still == tracking.Replayed(0, 0, 2)
        [v1] = [s for s in await tracking.schemas(tx) if s.name == "page_viewed"]
        mended = [*v1.properties, Property(name="colour", type="string")]
        await tracking.add_schema(
            tx, NewSchema(name="page_viewed", title=v1.title, properties=mended)
        )
    clock.travel(days=20)  # by now it would be late
    async with db.transaction() as tx:
        assert await tracking.replay(tx, tracking.Which()) == tracking.Replayed(1, 0, 1)
    [shown_now] = await shown(db, worker)
    assert shown_now.properties == {"page": "/en", "colour": "red"} and shown_now.version == 2
    assert str(shown_now.event_id) == event["id"]
    async with db.transaction() as tx:
        assert await tracking.replay(tx, tracking.Which()) == tracking.Replayed(0, 0, 1)


async def test_a_replay_of_what_came_right_meanwhile_counts_once(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    event = said("colour_seen")
    await send(db, event)
    async with db.transaction() as tx:
        await tracking.add_schema(tx, NewSchema(name="colour_seen", title={"en": "Colour seen"}))
    await send(db, event)
    assert len(await shown(db, worker)) == 1
    clock.travel(days=20)
    async with db.transaction() as tx:
        assert await tracking.replay(tx, tracking.Which()) == tracking.Replayed(0, 1, 0)
    assert len(await shown(db, worker)) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"properties": []}, "taken away"),
        ({"properties": [Property(name="a", type="integer")]}, "another type"),
        ({"properties": [Property(name="a", type="string", required=True)]}, "as required"),
        ({"properties": [Property(name="a", type="string", max_length=9)]}, "shorter"),
        ({"properties": [Property(name="a", type="string", values=["x"])]}, "fewer values"),
        (
            {"properties": [Property(name="a", type="string"),
                            Property(name="b", type="string", required=True)]},
            "new and required",
        ),
        ({"purpose": "necessary"}, "purpose"),
        ({"properties": [Property(name="a", type="string")] * 2}, "twice"),
    ],
)  # fmt: skip
async def test_a_new_version_breaks_no_reader(
    db: Database, change: dict[str, Any], why: str
) -> None:
    first = NewSchema(
        name="thing_done", title={"en": "Done"}, properties=[Property(name="a", type="string")]
    )
    async with db.transaction() as tx:
        await tracking.add_schema(tx, first)
        with pytest.raises(SchemaIncompatible, match=why):
            await tracking.add_schema(tx, msgspec.structs.replace(first, **change))
        wider = Property(name="a", type="string", max_length=300)
        second = await tracking.add_schema(
            tx,
            msgspec.structs.replace(
                first, properties=[wider, Property(name="b", type="boolean", pii=True)]
            ),
        )
    assert second.version == 2


async def test_the_feed_skips_nothing_that_is_committed_late(db: Database, worker: Worker) -> None:
    """A batch whose transaction takes long is numbered when it is over."""
    async with db.pool.acquire() as connection, connection.transaction():
        slow = Columns("api")
        async with db.transaction() as tx:
            slow.extend(read_batch(msgspec.json.encode([said(visitor_id="slow")]),
                                   await registry(tx), Sender(source="api", now=NOW)))  # fmt: skip
        late = type(tx)(db, connection, now=NOW, actor="test", request_id="")
        await tracking.take(late, [slow])
        await send(db, said(visitor_id="fast"))
        seen = await shown(db, worker)
        assert [e.visitor_id for e in seen] == ["fast"]
    await shown(db, worker)
    async with db.reading() as tx:
        rest = await tracking.feed(tx, after=seen[-1].position)
    assert [e.visitor_id for e in rest.items] == ["slow"]


async def test_two_unpackers_at_once_move_everything_once(db: Database) -> None:

    for _ in range(20):
        await send(db, *(said() for _ in range(10)))

    async def unpack() -> None:
        for _ in range(30):
            async with db.transaction() as tx:
                await tracking.unpack(tx, most=25)

    await asyncio.gather(unpack(), unpack(), unpack())
    async with db.reading() as tx:
        events = (await tracking.feed(tx, limit=1000)).items
    assert len(events) == 200 == len({e.event_id for e in events})
    assert not await broken(db)
