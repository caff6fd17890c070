"""People enter and leave segments: by what happened, by time, by an edited rule; never twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

import pytest

import world
from insight.audience.town import Town, write_orders
from pinwheel.ground import identity
from pinwheel.insight import audience
from pinwheel.insight.audience import NewSegment, Place, queries, sizing, walking
from pinwheel.insight.audience.queries import matching
from pinwheel.trade import orders
from pinwheel.trade.orders import privacy

SPENT = {"if": "money", "fact": "net_minor", "market": "GB", "op": ">=", "value": 1500}
TWICE = {"if": "number", "fact": "orders", "op": ">=", "value": 2}
FRESH = {"if": "within", "fact": "orders", "days": 30, "op": ">=", "value": 1}


async def test_a_purchase_moves_a_person_in_and_tells_it_once(town: Town) -> None:
    segment = await town.segment(TWICE)
    anna, ben = await town.person(), await town.person()
    await town.buy(anna)
    await town.buy(ben)
    await town.settle()
    assert await town.inside(segment) == set()
    await town.buy(anna)
    await town.settle()
    assert await town.inside(segment) == {anna}
    [told] = await town.told("segment_entered")
    assert (told["person_id"], told["cause"]) == (str(anna), "fact")
    async with town.db.reading() as tx:
        found = await audience.memberships(tx, [anna, ben])
    assert found == {anna: frozenset({segment.id}), ben: frozenset()}


async def test_a_refund_moves_a_person_out(town: Town) -> None:
    segment = await town.segment(SPENT)
    anna = await town.person()
    await town.buy(anna)
    second = await town.buy(anna)
    await town.settle()
    assert await town.inside(segment) == {anna}
    await town.cancel(second)
    await town.settle()
    assert await town.inside(segment) == set()
    [told] = await town.told("segment_left")
    assert told["person_id"] == str(anna)


async def test_money_given_as_kindness_counts_as_given_back(town: Town) -> None:
    segment = await town.segment(SPENT)
    anna = await town.person()
    order_id = await town.buy(anna, pieces=2)
    await town.settle()
    assert await town.inside(segment) == {anna}
    async with town.db.transaction(actor="test") as tx:
        await orders.give_goodwill(tx, order_id, 1200, "late", gift_id=tx.new_id())
    await town.settle()
    assert await town.inside(segment) == set()


async def test_purchases_that_race_end_as_one_entry(town: Town) -> None:
    segment = await town.segment(TWICE)
    people = [await town.person() for _ in range(3)]
    await asyncio.gather(*(town.buy(person) for person in people for _ in range(3)))
    await asyncio.gather(*(town.follow() for _ in range(4)))
    assert await town.inside(segment) == set(people)
    assert len(await town.told("segment_entered")) == 3
    rows = await town.rows("person")
    assert {row[2] for row in rows["person"]} == {"3"}


async def test_no_purchase_waits_behind_what_a_large_segment_tells(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody who enters is a fact of its own: one look at the log passes over all of them."""
    twice = await town.segment(TWICE)
    anna = await town.person()
    await town.buy(anna)
    await town.settle()
    monkeypatch.setattr(walking, "FACTS_AT_ONCE", 3)
    many = [uuid.uuid4() for _ in range(60)]
    async with town.db.transaction() as tx:
        tx.emit(
            *(
                audience.SegmentEntered(
                    person_id=one, segment_id=one, membership_id=one, is_held=False, cause="rule"
                )
                for one in many
            )
        )
    await town.buy(anna)
    await town.follow()
    assert await town.inside(twice) == {anna}


async def test_the_same_facts_twice_change_nothing(town: Town) -> None:
    await town.segment({"if": "any", "of": [TWICE, SPENT]})
    anna = await town.person()
    await town.buy(anna)
    await town.cancel(await town.buy(anna))
    await town.buy(anna)
    await town.settle()
    before = await town.rows(), len(await town.told("segment_entered"))
    async with town.db.transaction() as tx:
        await tx.run("update audience.follower set xid = '0' where cell = $1", tx.cell)
    await town.follow()
    assert (await town.rows(), len(await town.told("segment_entered"))) == before


async def test_rebuilt_from_the_orders_it_is_the_same_to_the_row(town: Town) -> None:
    one = await town.segment(SPENT)
    await town.segment({"if": "all", "of": [{"if": "segment", "id": str(one.id)}, FRESH]})
    people = [await town.person() for _ in range(6)]
    for number, person in enumerate(people):
        made = [await town.buy(person, number % 2, 1 + number) for _ in range(1 + number % 3)]
        await town.settle()
        if number % 2:
            await town.cancel(made[0])
    await town.settle()
    followed = await town.rows()
    assert followed["membership"]
    async with town.db.transaction() as tx:
        await tx.run("delete from audience.purchase")
        await tx.run("delete from audience.person")
        await tx.run("delete from audience.membership where bucket % 2 = 0")
        await audience.rebuild(tx)
    assert await town.rows() == followed


async def test_whoever_is_erased_leaves_nothing_and_nothing_comes_back(town: Town) -> None:
    await town.segment(FRESH)
    anna, ben = await town.person(), await town.person()
    order_id = await town.buy(anna)
    await town.buy(ben)
    async with town.db.transaction() as tx:
        await audience.note_activity(tx, [(anna, "product_viewed", world.MONDAY.date(), 2)])
    await town.settle()
    async with town.db.transaction(actor="test") as tx:
        await identity.erase_person(tx, anna)
    await town.cancel(order_id)  # a late fact about somebody who is gone
    await town.settle()
    async with town.db.transaction() as tx:
        await audience.note_activity(tx, [(anna, "product_viewed", world.MONDAY.date(), 1)])
        await audience.rebuild(tx)
    left = [(table, row) for table, rows in (await town.rows()).items() for row in rows]
    assert left and not [one for one in left if str(anna) in one[1]]


async def test_erasing_waits_for_whoever_is_counting(town: Town) -> None:
    """Counting begins before the erasure and ends after it has begun: nothing is left behind."""
    anna = await town.person()
    await town.buy(anna)
    counted = asyncio.Event()

    async def count() -> None:
        async with town.db.transaction() as tx:
            await walking.follow(tx)
            counted.set()
            await tx.value("select pg_sleep(0.05)")

    async def erase() -> None:
        await counted.wait()
        async with town.db.transaction(actor="test") as tx:
            await identity.erase_person(tx, anna)

    await asyncio.gather(count(), erase())
    assert (await town.rows("person"))["person"] == []


async def test_a_rule_edited_while_members_are_counted(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old walk stops at its next stretch; what stands in the end is the new rule's."""
    monkeypatch.setattr(walking, "PEOPLE_AT_ONCE", 3)
    at = world.MONDAY - dt.timedelta(days=1)
    people = [uuid.UUID(int=100 + n) for n in range(10)]
    await write_orders(town.db, [(p, at, 100 * n) for n, p in enumerate(people, 1)])
    async with town.db.transaction() as tx:
        await audience.rebuild(tx)
    rule = {"if": "number", "fact": "orders", "op": ">=", "value": 1}
    async with town.db.transaction() as tx:
        saved = await audience.save_segment(tx, NewSegment(name={"en": "S"}, rule=rule))
    async with town.db.transaction() as tx:
        on = await walking.walk(tx, saved.id, saved.version, walking.FIRST)
    assert on is not None and len(await town.inside(saved)) == 3
    async with town.db.transaction() as tx:
        richer = {"if": "money", "fact": "net_minor", "market": "GB", "op": ">", "value": 500}
        edited = await audience.save_segment(
            tx, NewSegment(name={"en": "S"}, rule=richer), saved.id
        )
    async with town.db.transaction() as tx:
        assert await walking.walk(tx, saved.id, saved.version, on) is None
    await town.settle()
    assert await town.inside(saved) == set(people[5:])
    async with town.db.reading() as tx:
        stands = await audience.segment(tx, saved.id)
    assert stands.computed == edited.version == 2


async def test_time_alone_moves_a_person_out_at_its_instant(town: Town) -> None:
    segment = await town.segment(FRESH)
    anna = await town.person()
    await town.buy(anna)
    await town.settle()
    bought = town.clock.now()
    town.clock.set(bought + dt.timedelta(days=30) - dt.timedelta(seconds=10))
    await town.look_again()
    assert await town.inside(segment) == {anna}
    town.clock.travel(seconds=20)
    await town.look_again()
    assert await town.inside(segment) == set()
    [left] = await town.told("segment_left")
    assert left["cause"] == "time"
    assert await town.look_again() == 0


async def test_a_segment_of_segments_follows_them(town: Town) -> None:
    inner = await town.segment(TWICE)
    outer = await town.segment({"if": "not", "of": {"if": "segment", "id": str(inner.id)}})
    anna = await town.person()
    await town.buy(anna)
    await town.settle()
    assert await town.inside(outer) == {anna}
    await town.buy(anna)
    await town.settle()
    assert (await town.inside(inner), await town.inside(outer)) == ({anna}, set())
    async with town.db.transaction() as tx:
        thrice = {**TWICE, "value": 3}
        await audience.save_segment(tx, NewSegment(name={"en": "S"}, rule=thrice), inner.id)
    await town.settle()
    assert (await town.inside(inner), await town.inside(outer)) == (set(), {anna})


async def test_segments_refuse_a_circle_and_what_others_use(town: Town) -> None:
    inner = await town.segment(TWICE)
    outer = await town.segment({"if": "segment", "id": str(inner.id)})
    with pytest.raises(audience.SegmentCycle):
        async with town.db.transaction() as tx:
            round_about: dict[str, Any] = {"if": "segment", "id": str(outer.id)}
            await audience.save_segment(
                tx, NewSegment(name={"en": "S"}, rule=round_about), inner.id
            )
    with pytest.raises(audience.SegmentUsed):
        async with town.db.transaction() as tx:
            await audience.archive_segment(tx, inner.id)
    async with town.db.transaction() as tx:
        await audience.archive_segment(tx, outer.id)
        await audience.archive_segment(tx, inner.id)
    async with town.db.reading() as tx:
        assert await audience.segments(tx) == []


async def test_the_holdout_is_the_same_for_ever_and_of_its_size(town: Town) -> None:
    at = world.MONDAY - dt.timedelta(days=1)
    people = [uuid.UUID(int=1 + n) for n in range(2000)]
    await write_orders(town.db, [(p, at, 500) for p in people])
    async with town.db.transaction() as tx:
        await audience.rebuild(tx)
    segment = await town.segment(FRESH, holdout_basis_points=1000)
    async with town.db.reading() as tx:
        reached = await audience.memberships(tx, people)
        members = await audience.members(tx, segment.id, limit=3000)
    held = {m.person_id for m in members if m.is_held}
    assert held == {p for p in people if audience.bucket_of(segment.id, p) < 1000}
    assert 150 < len(held) < 250  # 200 ± 3.7 standard deviations
    assert {p for p in people if not reached[p]} == held


async def test_an_edited_tier_decides_again(town: Town) -> None:
    segment = await town.segment({"if": "tier", "any_of": [5]})
    anna = await town.person()
    await town.buy(anna)
    await town.settle()
    assert await town.inside(segment) == set()
    async with town.db.transaction(actor="test") as tx:
        assert await audience.set_tiers(tx, [Place("GB", "London", 5)]) == 1
    await town.look_again()
    assert await town.inside(segment) == {anna}


async def test_a_city_s_tier_wins_over_its_region_s(town: Town) -> None:
    """London is 1; Croydon in it is made 4, Barking wherever it is 3 and then in London 2."""
    segments = {n: await town.segment({"if": "tier", "any_of": [n]}) for n in (1, 2, 3, 4)}
    cities = {city: await town.person() for city in ("", " Croydon", "BARKING ", "Ealing")}
    for city, person in cities.items():
        await town.buy(person, city=city)
    await town.settle()

    async def tiers() -> dict[str, int]:
        found = {n: await town.inside(segment) for n, segment in segments.items()}
        return {city: n for city, p in cities.items() for n, inside in found.items() if p in inside}

    assert await tiers() == dict.fromkeys(cities, 1)
    async with town.db.transaction(actor="test") as tx:
        places = [Place("GB", "London", 4, "croydon "), Place("GB", "", 3, "Barking")]
        assert await audience.set_tiers(tx, places) == 2, "nobody else is decided again"
    await town.look_again()
    assert await tiers() == {"": 1, " Croydon": 4, "BARKING ": 3, "Ealing": 1}
    async with town.db.transaction(actor="test") as tx:
        assert await audience.set_tiers(tx, [Place("GB", "London", 2, "Barking")]) == 1
    await town.look_again()
    assert (await tiers())["BARKING "] == 2
    async with town.db.reading() as tx:
        why = {
            city: (await audience.explain(tx, segments[1].id, person)).parts[0].figure
            for city, person in cities.items()
        }
        for (
            n,
            segment,
        ) in segments.items():  # the statement that a rule is compiled to says the same
            new = NewSegment(name={"en": "x"}, rule={"if": "tier", "any_of": [n]})
            assert await matching(tx, new) == await town.inside(segment)
    assert why == {
        "": "1 · london", " Croydon": "4 · croydon",
        "BARKING ": "2 · barking", "Ealing": "1 · london",
    }  # fmt: skip


async def test_the_city_leaves_with_the_person(town: Town) -> None:
    anna = await town.person()
    await town.buy(anna, city="Croydon")
    await town.settle()
    async with town.db.transaction(actor="test") as tx:
        await privacy.forget(tx, [anna])
        assert await tx.connection.fetchval('select max(city) from orders."order"') == ""


async def test_a_guest_who_signs_in_takes_the_orders_along(town: Town) -> None:
    segment = await town.segment(TWICE)
    guest, anna = await town.person(), await town.person()
    await town.buy(guest)
    await town.buy(guest)
    await town.settle()
    assert await town.inside(segment) == {guest}
    async with town.db.transaction() as tx:
        tx.emit(identity.GuestJoined(guest_id=guest, person_id=anna))
    await town.settle()
    assert await town.inside(segment) == {anna}


async def test_why_somebody_is_in(town: Town) -> None:
    segment = await town.segment({"if": "all", "of": [SPENT, TWICE]})
    anna = await town.person()
    await town.buy(anna, pieces=2)
    await town.settle()
    async with town.db.reading() as tx:
        why = await audience.explain(tx, segment.id, anna)
    assert not why.holds and not why.is_in
    assert [(p.where, p.figure, p.holds) for p in why.parts[1:]] == [
        ("rule.of[0]", "2399", True),
        ("rule.of[1]", "1", False),
    ]
    assert "净支付额" in why.parts[1].asks.zh


async def test_what_was_counted_goes_with_the_consent(town: Town) -> None:
    looked = {"if": "did", "event": "product_viewed", "days": 7, "op": ">=", "value": 2}
    segment = await town.segment(looked)
    anna = await town.person()
    async with town.db.transaction() as tx:
        await audience.note_activity(tx, [(anna, "product_viewed", world.MONDAY.date(), 2)])
    await town.look_again()
    assert await town.inside(segment) == {anna}
    async with town.db.transaction() as tx:
        await identity.record_consent(tx, anna, "analytics", "web", False, {"where": "test"})
    await town.look_again()
    assert await town.inside(segment) == set()
    assert (await town.rows("activity"))["activity"] == []


async def test_a_large_segment_is_reckoned_by_a_job_and_says_when(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if more than two were many."""
    people = [await town.person() for _ in range(4)]
    for person in people:
        await town.buy(person)
    rule = {"if": "number", "fact": "orders", "op": ">=", "value": 1}
    once = await town.segment(rule, holdout_basis_points=5000)
    twice = await town.segment(TWICE)
    await town.buy(people[0])
    await town.settle()
    async with town.db.reading() as tx:
        live = {line.id: line for line in await audience.segments(tx)}
        days = await audience.history(tx, once.id)
        shared = {(o.a, o.b): o.both for o in await audience.overlap(tx, [once.id, twice.id])}
    assert live[once.id].size == 4 and live[once.id].reckoned_at is None
    monkeypatch.setattr(sizing, "LIVE", 2)
    monkeypatch.setattr(queries, "LIVE", 2)
    async with town.db.transaction(actor="clock") as tx:
        assert await sizing.reckon(tx) == 1, "the other is small"
        at = tx.now
        assert await sizing.reckon(tx) == 0, "its figures are fresh"
    async with town.db.reading() as tx:
        kept = {line.id: line for line in await audience.segments(tx)}
        assert [
            (d.day, d.entered, d.left, d.size) for d in await audience.history(tx, once.id)
        ] == [(d.day, d.entered, d.left, d.size) for d in days]
        again = {(o.a, o.b): o.both for o in await audience.overlap(tx, [once.id, twice.id])}
    assert kept[once.id].reckoned_at == at and kept[twice.id].reckoned_at is None
    for name in ("size", "held", "entered", "left"):
        assert getattr(kept[once.id], name) == getattr(live[once.id], name), name
    assert again == shared
    assert shared[tuple(sorted((once.id, twice.id)))] == 1
    # It shrinks below what is large: counted live again.
    monkeypatch.setattr(sizing, "LIVE", 10)
    monkeypatch.setattr(queries, "LIVE", 10)
    async with town.db.transaction(actor="clock") as tx:
        await sizing.reckon(tx)
        assert {line.reckoned_at for line in await audience.segments(tx)} == {None}
