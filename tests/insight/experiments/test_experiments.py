"""Assignment, exposure, lifecycle and figures on the real database."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
import pytest

from pinwheel.ground import identity
from pinwheel.insight import experiments
from pinwheel.insight.experiments import (
    Assignment,
    Blocked,
    ExperimentRunning,
    Guardrail,
    LayerFull,
    LayerUnit,
    Metric,
    Plan,
    RampDown,
    Reward,
    Subject,
    Variation,
    WrongState,
)
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.jobs import Worker

HALVES = [Variation("control", 5000), Variation("gift", 5000)]


def plan(**more: Any) -> Plan:
    how: dict[str, Any] = {
        "en": "A gift for sharing",
        "zh": "分享有礼",
        "variations": HALVES,
        "metrics": ["orders", "revenue", "contribution", "basket", "reward", "cost-per-buyer"],
        "currency": "GBP",
        "least": 2,
    }
    return Plan(**(how | more))


async def started(db: Database, key: str = "gift", **more: Any) -> None:
    async with db.transaction(actor="operator:test") as tx:
        await experiments.save_experiment(tx, key, plan(**more))
        await experiments.start(tx, key, "the test begins")


async def exposed(
    db: Database, key: str, units: Sequence[uuid.UUID | Subject]
) -> dict[uuid.UUID, Assignment]:
    async with db.transaction() as tx:
        found = await experiments.assigned(tx, key, units)
        await experiments.expose(tx, list(found.values()))
    return found


def people(n: int, salt: int = 0) -> list[uuid.UUID]:
    return [uuid.UUID(int=(salt << 64) + i + 1) for i in range(n)]


async def broken(db: Database) -> list[audit.Check]:
    return [c for c in await audit.run(db, ["pinwheel.insight.experiments"]) if c.broken]


async def order(
    db: Database,
    person: uuid.UUID,
    at: dt.datetime,
    total: int,
    *,
    tax: int = 0,
    quantity: int = 1,
    cancelled: int = 0,
    state: str = "placed",
    currency: str = "GBP",
    discount: int = 0,
    refunded: int = 0,
) -> uuid.UUID:
    """An order as the orders module would have left it: what counts here is what it publishes."""
    order_id, offer, ret = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    async with db.transaction() as tx:
        c = tx.connection
        await c.execute(
            """
            insert into orders."order" (id, number, state, person_id, country, market, currency,
                   delivery, goods_minor, delivery_minor, tax_minor, tax_included, total_minor,
                   secured_minor, reasons, quote, placed_at)
            values ($1, $2, $3, $4, 'GB', 'GB', $5, 'standard', $6, 0, $7, true, $6, $6, '[]', 'q',
                    $8)
            """,
            order_id, order_id.hex, state, person, currency, total, tax, at,
        )  # fmt: skip
        await c.execute(
            """
            insert into orders.line (order_id, line, offer_id, seller_id, variant_id, sku, title,
                   node, quantity, unit_price_minor, goods_minor, tax_basis_points, tax_minor,
                   total_minor, cancelled, shipped, returned)
            values ($1, 1, $2, $2, $2, 'S', '{}', 'MAIN', $3, $4, $4, 0, $5, $4, $6,
                    $3::bigint - $6::bigint, $7)
            """,
            order_id, offer, quantity, total, tax, cancelled, 1 if refunded else 0,
        )  # fmt: skip
        if discount:
            await c.execute(
                """
                insert into orders.discount (order_id, offer_id, source, source_id, amount_minor)
                values ($1, $2, 'coupon', $2, $3)
                """,
                order_id, offer, discount,
            )  # fmt: skip
        if refunded:
            await c.execute(
                """
                insert into returns.rma (id, number, order_id, person_id, state, reason, market,
                       currency, policy, score, reasons, carried_minor, refund_minor, requested_at)
                values ($1, $2, $3, $4, 'refunded', 'unwanted', 'GB', 'GBP', '{}', 0, '[]', $5, $5,
                        $6)
                """,
                ret, ret.hex, order_id, person, refunded, at,
            )  # fmt: skip
            await c.execute(
                """
                insert into returns.line (return_id, line, order_id, seller_id, variant_id, sku,
                       title, quantity, received, net_minor)
                values ($1, 1, $2, $3, $3, 'S', '{}', 1, 1, $4)
                """,
                ret, order_id, offer, refunded,
            )  # fmt: skip
    return order_id


async def figures(db: Database, key: str = "gift") -> experiments.Figures:
    async with db.transaction() as tx:
        found = await experiments.experiment(tx, key)
        return await experiments.refresh(tx, found, await experiments.phase(tx, found))


def mean(found: experiments.Figures, metric: str, variation: str) -> float | None:
    line = next(x for x in found.lines if x.metric.key == metric)
    return next(a.mean for a in line.arms if a.variation == variation)


async def test_two_processes_send_a_unit_the_same_way(db: Database, clock: SetClock) -> None:
    await started(db)
    found = await exposed(db, "gift", people(200))
    async with db.reading() as tx:
        one = await experiments.experiment(tx, "gift")
        phase = await experiments.phase(tx, one)
    script = (
        "import sys, uuid, msgspec\n"
        "from pinwheel.insight.experiments import Definition, Phase, Subject, assign\n"
        "phase = msgspec.json.decode(sys.stdin.buffer.read(), type=Phase)\n"
        "d = Definition(phase=phase, is_running=True)\n"
        "print(','.join(assign(d, Subject(uuid.UUID(int=i + 1))).variation for i in range(200)))\n"
    )
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script],
        input=msgspec.json.encode(phase),
        capture_output=True,
        check=True,
    )
    there = ran.stdout.decode().strip().split(",")
    assert there == [found[i].variation for i in people(200)]
    assert 70 < Counter(there)["gift"] < 130
    assert await broken(db) == []


async def test_concurrent_first_exposures_make_one_row(db: Database) -> None:
    await started(db)
    ids = people(50)
    await asyncio.gather(*(exposed(db, "gift", ids if i % 2 else ids[::-1]) for i in range(8)))
    async with db.reading() as tx:
        assert await tx.connection.fetchval("select count(*) from experiments.exposure") == 50
    async with db.transaction() as tx:
        again = await experiments.assigned(tx, "gift", ids)
        assert await experiments.expose(tx, list(again.values())) == 0


async def test_one_statement_for_any_number_of_units(db: Database) -> None:
    await started(db)
    await exposed(db, "gift", people(1))
    async with db.transaction() as tx:
        found = await experiments.assigned(tx, "gift", people(1000))
        assert tx.statements == 1
        await experiments.expose(tx, list(found.values()))
        assert tx.statements == 2


async def test_nobody_is_exposed_after_the_stop(db: Database, clock: SetClock) -> None:
    await started(db)
    async with db.transaction() as tx:
        found = await experiments.assigned(tx, "gift", people(10))
        # Another process stops it between the assignment and the exposure.
        async with db.transaction() as other:
            await experiments.stop(other, "gift", "enough seen")
        assert await experiments.expose(tx, list(found.values())) == 0
    after = await exposed(db, "gift", people(10))
    assert {a.reason for a in after.values()} == {"not_running"}
    assert {a.variation for a in after.values()} == {None}
    assert await broken(db) == []


async def test_a_draft_and_a_key_that_is_not_there_change_nothing(db: Database) -> None:
    async with db.transaction(actor="operator:test") as tx:
        await experiments.save_experiment(tx, "gift", plan())
    for key in ("gift", "never-made"):
        found = await exposed(db, key, people(3))
        assert {a.variation for a in found.values()} == {None}


async def test_what_runs_is_not_edited(db: Database) -> None:
    await started(db)
    async with db.transaction() as tx:
        with pytest.raises(ExperimentRunning):
            await experiments.save_experiment(tx, "gift", plan(en="Other"))
    with pytest.raises(asyncpg.RaiseError):
        async with db.transaction() as tx:
            await tx.connection.execute("update experiments.phase set salt = 'mine'")
    async with db.reading() as tx:
        first = await experiments.phase(tx, await experiments.experiment(tx, "gift"))
    async with db.transaction() as tx:
        second = await experiments.new_phase(tx, "gift", plan(en="Other"), "another gift")
    assert (second.number, second.plan.en) == (2, "Other")
    assert second.salt != first.salt
    async with db.reading() as tx:
        said = await experiments.steps(tx, second.experiment_id)
    assert {s.what: s.why for s in said} == {
        "created": "",
        "started": "the test begins",
        "new phase": "another gift",
    }
    assert await broken(db) == []


async def test_a_ramp_takes_more_in_and_moves_nobody(db: Database) -> None:
    await started(db, rollout=1000)
    ids, before = people(2000), {}
    for share in (1000, 3000, 10_000):
        async with db.transaction() as tx:
            await experiments.ramp(tx, "gift", share, "all is well")
        found = await exposed(db, "gift", ids)
        taken = {i: a.variation for i, a in found.items() if a.variation}
        assert {i: taken[i] for i in before} == before
        assert abs(len(taken) - share / 5) < 70
        before = taken
    async with db.transaction() as tx:
        with pytest.raises(RampDown):
            await experiments.ramp(tx, "gift", 500, "fewer")


async def test_layers_keep_experiments_apart(db: Database) -> None:
    await started(db, "one", layer="home", layer_share=6000)
    await started(db, "two", layer="home", layer_share=4000)
    ids = people(3000)
    first, second = await exposed(db, "one", ids), await exposed(db, "two", ids)
    in_first = {i for i, a in first.items() if a.variation}
    in_second = {i for i, a in second.items() if a.variation}
    assert not in_first & in_second
    assert in_first | in_second == set(ids)
    async with db.transaction() as tx:
        await experiments.save_experiment(tx, "three", plan(layer="home", layer_share=1))
        with pytest.raises(LayerFull):
            await experiments.start(tx, "three", "no room")
        await experiments.save_experiment(tx, "four", plan(layer="home", unit="visitor"))
        with pytest.raises(LayerUnit):
            await experiments.start(tx, "four", "visitors")
    assert await broken(db) == []
    async with db.transaction() as tx:
        await experiments.stop(tx, "one", "done")
        assert (await experiments.start(tx, "three", "there is room")).slots[0].first == 0


async def test_two_starts_at_once_do_not_share_a_layer(db: Database) -> None:
    async with db.transaction() as tx:
        for n in range(4):
            await experiments.save_experiment(tx, f"e{n}", plan(layer="home", layer_share=5000))

    async def begin(n: int) -> bool:
        try:
            async with db.transaction() as tx:
                await experiments.start(tx, f"e{n}", "at once")
        except LayerFull:
            return False
        return True

    assert sum(await asyncio.gather(*(begin(n) for n in range(4)))) == 2


async def test_holdouts_segments_and_forced(db: Database) -> None:
    segment = uuid.UUID(int=77)
    async with db.transaction(actor="operator:test") as tx:
        await experiments.hold_out(tx, 1000, "measure everything together")
    await started(db, segments=[segment], holdout=2000)
    ids = people(4000)
    found = await exposed(db, "gift", [Subject(i, segments=frozenset({segment})) for i in ids])
    why = Counter(a.reason for a in found.values())
    assert abs(why["global_holdout"] - 400) < 80 and abs(why["holdout"] - 720) < 100
    outside = await exposed(db, "gift", ids[:20])
    assert {a.reason for a in outside.values()} <= {"segment", "sticky"}
    held = next(i for i, a in found.items() if a.reason == "global_holdout")
    async with db.transaction() as tx:
        await experiments.force(tx, "gift", held, "gift")
        with pytest.raises(Invalid):
            await experiments.force(tx, "gift", held, "no such")
    looked = (await exposed(db, "gift", [held]))[held]
    assert (looked.variation, looked.reason, looked.counts) == ("gift", "forced", False)
    async with db.transaction() as tx:
        await experiments.force(tx, "gift", held, None)
    assert (await exposed(db, "gift", [held]))[held].variation is None
    async with db.reading() as tx:
        kept = await tx.connection.fetchval("select count(*) from experiments.exposure")
    assert kept == why["assigned"]


async def test_figures_count_what_came_after_exposure_net_of_refunds(
    db: Database, clock: SetClock
) -> None:
    await started(db)
    clock.travel(hours=1)
    found = await exposed(db, "gift", people(40))
    of = {v: [i for i, a in found.items() if a.variation == v] for v in ("control", "gift")}
    before, at = clock.now() - dt.timedelta(days=3), clock.now()
    a, b, c = of["gift"][:3]
    await order(db, a, before, 5000)  # before exposure
    await order(db, a, at + dt.timedelta(hours=1), 1200, tax=200, discount=300)
    await order(db, b, at + dt.timedelta(hours=1), 1000, quantity=2, cancelled=1)
    await order(db, b, at + dt.timedelta(hours=2), 700, refunded=700)
    await order(db, c, at + dt.timedelta(hours=1), 900, state="cancelled")
    await order(db, c, at + dt.timedelta(hours=1), 900, state="pending_payment")
    await order(db, c, at + dt.timedelta(hours=1), 900, currency="CNY")
    async with db.transaction() as tx:
        gift = Reward(source_id=uuid.UUID(int=5), subject_id=c, currency="GBP", amount_minor=250)
        assert await experiments.reward(tx, [gift]) == 0 + 1
        assert await experiments.reward(tx, [gift]) == 0
    clock.travel(days=1)
    seen = await figures(db)
    n = len(of["gift"])
    assert seen.counts == {v: len(ids) for v, ids in of.items()}
    assert mean(seen, "buyers", "gift") == pytest.approx(2 / n)
    assert mean(seen, "orders", "gift") == pytest.approx(3 / n)
    assert mean(seen, "revenue", "gift") == pytest.approx((1000 + 500 + 0) / n)
    assert mean(seen, "reward", "gift") == pytest.approx((300 + 250) / n)
    assert mean(seen, "contribution", "gift") == pytest.approx((1500 - 250) / n)
    assert mean(seen, "basket", "gift") == pytest.approx(1500 / 3)
    assert mean(seen, "revenue", "control") == 0
    assert seen.elsewhere == 1


async def test_too_little_is_said(db: Database, clock: SetClock) -> None:
    await started(db, least=30)
    clock.travel(hours=1)
    await exposed(db, "gift", people(20))
    clock.travel(hours=1)
    for line in (await figures(db)).lines:
        assert {a.verdict for a in line.arms} == {"too_little"}
        assert {a.mean for a in line.arms} == {None}


async def test_a_window_counts_only_those_whose_time_is_over(db: Database, clock: SetClock) -> None:
    await started(db, metrics=["retained"])
    clock.travel(hours=1)
    old = await exposed(db, "gift", people(40))
    first = clock.now()
    clock.travel(days=40)
    await exposed(db, "gift", people(40, salt=9))
    for i in list(old)[:10]:
        await order(db, i, first + dt.timedelta(days=5), 500)  # too early to be a return
    buyer = next(i for i, a in old.items() if a.variation == "gift")
    await order(db, buyer, first + dt.timedelta(days=45), 500)
    clock.travel(days=21)
    seen = await figures(db)
    line = next(x for x in seen.lines if x.metric.key == "retained")
    assert sum(a.n for a in line.arms) == 40
    inside = sum(a.variation == "gift" for a in old.values())
    assert mean(seen, "retained", "gift") == pytest.approx(1 / inside)


async def test_an_erased_person_stays_in_the_totals_and_leaves_no_id(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    async with db.transaction(actor="test") as tx:
        ann = await identity.register(tx, "ann@example.com", name="Ann")
    await started(db, metrics=["revenue", "retained", "reward"])
    clock.travel(hours=1)
    found = await exposed(db, "gift", [ann.id, *people(30)])
    await order(db, ann.id, clock.now() - dt.timedelta(days=3), 4000)
    await order(db, ann.id, clock.now() + dt.timedelta(hours=1), 900)
    async with db.transaction() as tx:
        await experiments.reward(tx, [Reward(
            source_id=uuid.UUID(int=5), subject_id=ann.id, currency="GBP", amount_minor=250,
        )])  # fmt: skip
    clock.travel(days=2)
    before = await figures(db)
    async with db.transaction(actor="operator:test") as tx:
        await identity.erase_person(tx, ann.id)
    after = await figures(db)
    assert after.lines == before.lines and after.counts == before.counts
    assert mean(after, "revenue", found[ann.id].variation or "") != 0
    async with db.reading() as tx:
        for table in ("exposure", "reward", "forced", "member"):
            rows = await tx.connection.fetch(f"select t::text as row from experiments.{table} t")
            assert not any(str(ann.id) in r["row"] for r in rows), table
    assert await broken(db) == []


async def test_a_visitor_with_two_devices_counts_once_and_one_sent_two_ways_never(
    db: Database, clock: SetClock
) -> None:
    await started(db, unit="visitor")
    clock.travel(hours=1)
    async with db.transaction() as tx:
        ways = {i: a.variation for i, a in (
            await experiments.assigned(tx, "gift", people(60))).items()}  # fmt: skip
    gifts = [i for i, v in ways.items() if v == "gift"]
    control = next(i for i, v in ways.items() if v == "control")
    same, crossed = uuid.UUID(int=1 << 90), uuid.UUID(int=2 << 90)
    await exposed(db, "gift", [Subject(gifts[0], person_id=same)])
    clock.travel(minutes=1)
    await exposed(db, "gift", [Subject(gifts[1], person_id=same)])
    await exposed(db, "gift", [Subject(gifts[2], person_id=crossed)])
    await exposed(db, "gift", [Subject(control, person_id=crossed)])
    await exposed(db, "gift", [Subject(gifts[3]), Subject(gifts[4])])
    await exposed(db, "gift", [Subject(gifts[3], person_id=uuid.UUID(int=3 << 90))])
    for person in (same, crossed, uuid.UUID(int=3 << 90)):
        await order(db, person, clock.now() + dt.timedelta(hours=1), 600)
    clock.travel(days=1)
    seen = await figures(db)
    assert seen.crossed == 1
    line = next(x for x in seen.lines if x.metric.key == "orders")
    assert {a.variation: a.n for a in line.arms} == {"control": 0, "gift": 3}
    async with db.reading() as tx:
        phase = await experiments.phase(tx, await experiments.experiment(tx, "gift"))
        sums = await experiments.moments(tx, phase, line.metric)
    assert sums["gift"].y == 2


async def test_two_who_save_groups_at_once_leave_one_set(db: Database) -> None:
    ids = people(90)
    edges = [(ids[i], ids[i + 1]) for i in range(89) if i % 3 != 2]
    async with db.transaction() as tx:
        await experiments.save_experiment(tx, "gift", plan(unit="cluster"))

    async def save() -> int:
        async with db.transaction() as tx:
            return await experiments.save_clusters(tx, "gift", edges)

    assert await asyncio.gather(*(save() for _ in range(8))) == [30] * 8
    async with db.reading() as tx:
        groups = await tx.value("select count(distinct cluster_id) from experiments.member")
    assert groups == 30


async def test_a_cluster_goes_one_way(db: Database, clock: SetClock) -> None:
    async with db.transaction() as tx:
        await experiments.save_experiment(tx, "gift", plan(unit="cluster"))
        ids = people(90)
        edges = [(ids[i], ids[i + 1]) for i in range(89) if i % 3 != 2]
        assert await experiments.save_clusters(tx, "gift", edges) == 30
        await experiments.start(tx, "gift", "groups of three")
    clock.travel(hours=1)
    found = await exposed(db, "gift", ids)
    for i in range(0, 90, 3):
        assert len({found[one].variation for one in ids[i : i + 3]}) == 1
    assert {str(a.cluster_id) for a in found.values()}.isdisjoint(map(str, ids))
    team = uuid.UUID(int=5 << 90)
    mates = [Subject(i, cluster_id=team) for i in people(4, salt=3)]
    assert len({a.variation for a in (await exposed(db, "gift", mates)).values()}) == 1
    await order(db, ids[0], clock.now() + dt.timedelta(hours=1), 600)
    clock.travel(days=1)
    seen = await figures(db)
    assert sum(seen.counts.values()) == 31
    of = found[ids[0]].variation or ""
    size = sum(a.variation == of for a in found.values())
    size += 4 if (await exposed(db, "gift", mates))[mates[0].id].variation == of else 0
    assert mean(seen, "orders", of) == pytest.approx(1 / size)
    assert await broken(db) == []


async def test_who_stands_between_the_ways_is_not_counted(db: Database, clock: SetClock) -> None:
    """Sixteen pairs in a chain, cut into pairs: an inner person is tied to one other group."""
    ids = people(32)
    async with db.transaction() as tx:
        await experiments.save_experiment(tx, "gift", plan(unit="cluster"))
        chain = [(ids[i], ids[i + 1]) for i in range(31)]
        assert await experiments.save_clusters(tx, "gift", chain, most=2) > 12
        await experiments.start(tx, "gift", "a chain of friends")
        members = dict(await tx.connection.fetch(
            "select subject_id, cluster_id from experiments.member"))  # fmt: skip
        assert await tx.value("select sum(ties) from experiments.member") == 62
    clock.travel(hours=1)
    found = await exposed(db, "gift", ids)
    for i in range(0, 32, 3):
        await order(db, ids[i], clock.now() + dt.timedelta(hours=1), 600)
    clock.travel(days=1)
    expected: dict[str, list[float]] = {"control": [0.0, 0.0, 0], "gift": [0.0, 0.0, 0]}
    for i, one in enumerate(ids):
        friends = [ids[j] for j in (i - 1, i + 1) if 0 <= j < 32]
        others = {members[f] for f in friends} - {members[one]}
        way = found[one].variation or ""
        if all(found[f].variation == way for f in friends):
            weight = 2.0 ** len(others)
            expected[way][0] += weight * (i % 3 == 0)
            expected[way][1] += weight
            expected[way][2] += 1
    async with db.transaction() as tx:
        known = await experiments.metrics(tx)
        phase = await experiments.phase(tx, await experiments.experiment(tx, "gift"))
        sums = await experiments.moments(tx, phase, known["orders"])
        seen = await experiments.refresh(tx, await experiments.experiment(tx, "gift"), phase)
    for way, (y, d, _) in expected.items():
        assert (sums[way].y, sums[way].d) == (y, d), way
        assert sums[way].leverage is not None
    assert seen.leak is not None and seen.leak.units == 32
    assert seen.leak.apart == sum(n for _, _, n in expected.values()) < 32
    assert seen.leak.ties == 62 and 0 < seen.leak.cut < 62 and seen.leak.wide == 0
    # Whoever is erased leaves the figures and their ties, as nobody's.
    async with db.transaction() as tx:
        await experiments.forget_people(tx, ids[:4])
        again = await experiments.moments(tx, phase, known["orders"])
        left = await tx.value(
            "select count(*) from experiments.tie where subject_id = any($1::uuid[])", ids[:4]
        )
    assert left == 0
    for way in expected:
        assert (again[way].y, again[way].d) == (sums[way].y, sums[way].d), way


async def test_a_mismatch_blocks_the_decision(db: Database, clock: SetClock) -> None:
    await started(db)
    clock.travel(hours=1)
    found = await exposed(db, "gift", people(3000))
    lost = [i for i, a in found.items() if a.variation == "gift"][:300]
    async with db.transaction() as tx:  # what a bug does that loses the exposures of one arm
        await tx.connection.execute(
            "delete from experiments.exposure where subject_id = any($1::uuid[])", lost
        )
    clock.travel(hours=1)
    async with db.transaction() as tx:
        await experiments.stop(tx, "gift", "enough")
    async with db.transaction() as tx:
        with pytest.raises(Blocked):
            await experiments.decide(tx, "gift", "gift", "it looked better")
    async with db.transaction() as tx:
        assert (await experiments.decide(tx, "gift", None, "the shares are wrong")).is_mismatched


async def test_a_decision_keeps_its_figures_and_goes_to_everybody(
    db: Database, clock: SetClock
) -> None:
    await started(db, guardrails=[Guardrail("revenue", 0.1)])
    clock.travel(hours=1)
    found = await exposed(db, "gift", people(400))
    at = clock.now() + dt.timedelta(minutes=5)
    for n, (i, a) in enumerate(found.items()):
        if n % 4 == 0 or (a.variation == "gift" and n % 4 != 3):
            await order(db, i, at, 1000 if a.variation == "control" else 60)
    clock.travel(days=1)
    async with db.transaction() as tx:
        with pytest.raises(WrongState):
            await experiments.decide(tx, "gift", "gift", "too early")
        await experiments.stop(tx, "gift", "enough")
    clock.travel(minutes=5)
    async with db.transaction() as tx:
        seen = await experiments.decide(tx, "gift", "gift", "more of them buy")
    line = seen.lines[0]
    assert line.metric.key == "buyers" and line.arms[1].verdict == "better"
    assert [(r.metric, r.state) for r in seen.rails] == [("revenue", "breached")]
    everybody = await exposed(db, "gift", people(5, salt=8))
    assert {(a.variation, a.reason) for a in everybody.values()} == {("gift", "decided")}
    async with db.reading() as tx:
        one = await experiments.experiment(tx, "gift")
        last = (await experiments.steps(tx, one.id))[0]
    assert (one.state, one.winner, last.what) == ("decided", "gift", "decided")
    assert last.facts["figures"]["counts"] == seen.counts
    assert await broken(db) == []


async def test_a_bandit_learns_keeps_a_floor_and_moves_nobody(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    await started(db, mode="bandit", goal="contribution", floor=1000, metrics=[])
    clock.travel(hours=1)
    found = await exposed(db, "gift", people(400))
    at = clock.now() + dt.timedelta(minutes=5)
    for n, (i, a) in enumerate(found.items()):
        await order(db, i, at, 500 + n % 50 + (400 if a.variation == "gift" else 0))
    clock.travel(days=1)
    async with db.transaction() as tx:
        weights = await experiments.reweigh(tx, "gift", seed=1)
    assert weights == {"control": 1000, "gift": 9000}
    again = await exposed(db, "gift", people(400))
    assert {i: a.variation for i, a in again.items()} == {i: a.variation for i, a in found.items()}
    fresh = await exposed(db, "gift", people(1000, salt=4))
    assert 60 < Counter(a.variation for a in fresh.values())["control"] < 145
    clock.travel(days=1)
    seen = await figures(db)
    assert not seen.is_mismatched and seen.expected["control"] == pytest.approx(300)
    async with db.reading() as tx:
        one = await experiments.experiment(tx, "gift")
        kept = (await experiments.batches(tx, one.id, 1))[0]
    assert kept.reasons["arms"]["gift"]["odds"] == 1.0


async def test_the_figures_are_kept_by_the_clock(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    await started(db)
    for day in range(3):
        clock.travel(days=1)
        await exposed(db, "gift", people(20, salt=day))
        clock.travel(hours=1)
        await worker.drain()
    async with db.reading() as tx:
        one = await experiments.experiment(tx, "gift")
        kept = await experiments.snapshots(tx, one.id, 1)
    assert [sum(s.figures.counts.values()) for s in kept] == [20, 40, 60]


def test_a_plan_that_cannot_be_run_is_refused() -> None:
    known = {m.key: m for m in experiments.METRICS}
    wrong: list[dict[str, Any]] = [
        {"variations": [Variation("a", 5000), Variation("a", 5000)]},
        {"variations": [Variation("a", 5000), Variation("b", 4000)]},
        {"variations": [Variation("a", 10_000), Variation("b", 0)]},
        {"metrics": ["no-such"]},
        {"goal": "cost-per-buyer"},
        {"mode": "bandit", "floor": 5000, "variations": [
            Variation("a", 4000), Variation("b", 3000), Variation("c", 3000)]},
        {"mode": "bandit", "unit": "cluster"},
    ]  # fmt: skip
    for more in wrong:
        with pytest.raises(Invalid):
            experiments.check(plan(**more), known)
    with pytest.raises(Invalid):
        experiments.check_metric(Metric(key="x", en="x", zh="x", kind="ratio", numerator="orders"))


async def test_a_definition_changed_in_the_middle_changes_nothing_that_runs(db: Database) -> None:
    mine = Metric(key="big", en="Big", zh="大", kind="mean", numerator="revenue", cap_minor=1000)
    async with db.transaction() as tx:
        await experiments.save_metrics(tx, mine)
    await started(db, metrics=["big"])
    async with db.transaction() as tx:
        await experiments.save_metrics(tx, msgspec.structs.replace(mine, cap_minor=10))
        phase = await experiments.phase(tx, await experiments.experiment(tx, "gift"))
    assert next(m for m in phase.metrics if m.key == "big").cap_minor == 1000
