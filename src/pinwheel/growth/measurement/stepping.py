"""The rocket at work: its rules kept by version, everybody's moves reckoned from what happened."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.measurement.model import RocketSaved
from pinwheel.growth.measurement.stages import (
    BEGIN,
    PLAN,
    Happened,
    Move,
    NextOffer,
    Plan,
    check,
    levels_of,
    moves_of,
)
from pinwheel.kernel.db import Tx

PEOPLE_AT_ONCE = 2_000


class Rocket(msgspec.Struct, frozen=True):
    """``version`` 0: nobody has saved a programme yet, the one that comes with the shop holds."""

    version: int
    plan: Plan


async def rocket(tx: Tx) -> Rocket:
    """The programme that holds. 1 statement."""
    found = await tx.row(
        Rocket,
        """
        select version, plan from measurement.rocket where cell = $1 order by version desc limit 1
        """,
        tx.cell,
    )
    return found or Rocket(0, PLAN)


async def save_rocket(tx: Tx, plan: Plan) -> int:
    """Save a new version; everybody is reckoned anew by it. Refuses ``RocketUnclear``."""
    check(plan)
    await tx.value("select pg_advisory_xact_lock(hashtext('measurement.rocket'))")
    version = (await rocket(tx)).version + 1
    await tx.run(
        """
        insert into measurement.rocket (cell, version, plan, saved_at, saved_by)
        values ($1, $2, $3, $4, $5)
        """,
        tx.cell,
        version,
        msgspec.to_builtins(plan),
        tx.now,
        tx.actor,
    )
    tx.emit(RocketSaved(version=version))
    return version


class _Order(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    order_id: uuid.UUID
    at: dt.datetime
    cancelled_at: dt.datetime | None
    amount_minor: int
    categories: list[str]


class _Share(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    at: dt.datetime
    kind: str
    id: uuid.UUID


async def happened(
    tx: Tx, person_ids: Sequence[uuid.UUID], plan: Plan
) -> dict[uuid.UUID, list[Happened]]:
    """What counts for these people, from the tables of facts alone. 2 statements."""
    orders = await tx.rows(
        _Order,
        """
        select p.person_id, p.order_id, p.placed_at as at, c.cancelled_at,
               c.goods_minor - c.discount_minor as amount_minor,
               array(select distinct a.id::text
                       from orders.v_purchase_line l
                       join catalogue.v_variant v on v.variant_id = l.variant_id
                       join catalogue.v_category k on k.category_id = v.category_id
                      cross join unnest(k.path) as a(id)
                      where l.cell = $1 and l.order_id = p.order_id order by 1) as categories
          from orders.v_purchase p
          join orders.v_contact c on c.cell = p.cell and c.order_id = p.order_id
         where p.cell = $1 and p.person_id = any($2::uuid[]) and p.secured_minor > 0
           and p.state <> 'pending_payment'
         order by p.person_id, p.placed_at, p.order_id
        """,
        tx.cell,
        list(person_ids),
    )
    shares = await tx.rows(
        _Share,
        """
        select e.parent_id as person_id, min(e.at) as at, 'shared' as kind, e.child_id as id
          from measurement.v_edge e
         where e.cell = $1 and e.parent_id = any($2::uuid[]) group by e.parent_id, e.child_id
        union all
        select b.parent_id, b.first_at, 'brought', b.person_id
          from measurement.buyer b where b.cell = $1 and b.parent_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )
    found: dict[uuid.UUID, list[Happened]] = {p: [] for p in person_ids}
    for o in orders:
        level = max((plan.levels.get(c, 1) for c in o.categories), default=1)
        found[o.person_id].append(Happened(o.at, "ordered", o.order_id, level, o.amount_minor))
        if o.cancelled_at is not None:
            found[o.person_id].append(Happened(o.cancelled_at, "cancelled", o.order_id))
    for s in shares:
        kind = "shared" if s.kind == "shared" else "brought"
        found[s.person_id].append(Happened(s.at, kind, s.id))  # type: ignore[arg-type]
    return found


async def move(tx: Tx, person_ids: Sequence[uuid.UUID]) -> int:
    """Reckon the moves of these people by the programme that holds, and write those that are not
    so already; how many people changed. Safe to repeat: the same events give the same rows.
    6 statements."""
    people = sorted(set(person_ids))
    if not people:
        return 0
    await tx.value("select pg_advisory_xact_lock(hashtext('measurement.transition'))")
    held = await rocket(tx)
    now = {
        person: moves_of(held.plan, events)
        for person, events in (await happened(tx, people, held.plan)).items()
    }
    before = await _kept(tx, people)
    changed = [p for p in people if before.get(p, []) != [(held.version, m) for m in now[p]]]
    if changed:
        await _replace(tx, held.version, {p: now[p] for p in changed})
    return len(changed)


class _Kept(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    version: int
    at: dt.datetime
    was: str
    now: str
    rule: str
    facts: dict[str, int]


async def _kept(tx: Tx, people: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[tuple[int, Move]]]:
    rows = await tx.rows(
        _Kept,
        """
        select person_id, version, at, was, now, rule, facts from measurement.transition
         where cell = $1 and person_id = any($2::uuid[]) order by person_id, number
        """,
        tx.cell,
        list(people),
    )
    found: dict[uuid.UUID, list[tuple[int, Move]]] = {}
    for r in rows:
        found.setdefault(r.person_id, []).append(
            (r.version, Move(r.at, r.was, r.now, r.rule, r.facts))
        )
    return found


async def _replace(tx: Tx, version: int, moves: dict[uuid.UUID, list[Move]]) -> None:
    await tx.run(
        "delete from measurement.transition where cell = $1 and person_id = any($2::uuid[])",
        tx.cell,
        list(moves),
    )
    rows = [(p, n, m) for p, ms in moves.items() for n, m in enumerate(ms, 1)]
    await tx.run(
        """
        insert into measurement.transition
               (cell, person_id, number, version, at, was, now, rule, facts)
        select $1, m.person_id, m.number, $2, m.at, m.was, m.now, m.rule, m.facts
          from unnest($3::uuid[], $4::int[], $5::timestamptz[], $6::text[], $7::text[],
                      $8::text[], $9::jsonb[])
               as m(person_id, number, at, was, now, rule, facts)
        """,
        tx.cell,
        version,
        [p for p, _, _ in rows],
        [n for _, n, _ in rows],
        [m.at for _, _, m in rows],
        [m.was for _, _, m in rows],
        [m.now for _, _, m in rows],
        [m.rule for _, _, m in rows],
        [m.facts for _, _, m in rows],
    )


async def people_after(
    tx: Tx, after: uuid.UUID | None, most: int = PEOPLE_AT_ONCE
) -> list[uuid.UUID]:
    """Everybody who ever paid or is in the programme, in the order of their ids, from ``after``
    on."""
    found: list[uuid.UUID] = await tx.values(
        """
        select p.person_id from orders.v_purchase p
         where p.cell = $1 and p.person_id is not null and p.secured_minor > 0
           and ($2::uuid is null or p.person_id > $2)
           and not exists (select from identity.v_erased e
                            where e.cell = p.cell and e.person_id = p.person_id)
        union
        select t.person_id from measurement.transition t
         where t.cell = $1 and ($2::uuid is null or t.person_id > $2)
         order by 1 limit $3
        """,
        tx.cell,
        after,
        most,
    )
    return found


async def touched_since(tx: Tx, since: dt.datetime) -> list[uuid.UUID]:
    """Whose shares have changed since then: who brought somebody, or by whose link somebody
    came."""
    found: list[uuid.UUID] = await tx.values(
        """
        select distinct parent_id from measurement.v_edge where cell = $1 and at >= $2
        union
        select distinct parent_id from measurement.buyer
         where cell = $1 and parent_id is not null and first_at >= $2
         order by 1 limit 20000
        """,
        tx.cell,
        since,
    )
    return found


class Step(msgspec.Struct, frozen=True):
    """How many buyers of a month ever reached a stage, and in how many days half of those did."""

    month: dt.date
    stage: str
    people: int
    median_days: float | None


async def funnel(tx: Tx, since: dt.date) -> list[Step]:
    """By month of the first order; the stage ``none`` stands for all buyers of the month.
    1 statement."""
    return await tx.rows(
        Step,
        """
        with member as (
          select person_id, first_at,
                 date_trunc('month', first_at at time zone 'UTC')::date as month
            from measurement.buyer where cell = $1 and first_at >= $2::date
        ), reached as (
          select m.month, t.now as stage, m.person_id, min(t.at) - m.first_at as took
            from member m
            join measurement.transition t on t.cell = $1 and t.person_id = m.person_id
           where t.now <> 'none'
           group by m.month, t.now, m.person_id, m.first_at
        )
        select month, 'none' as stage, count(*) as people, null::float8 as median_days
          from member group by month
        union all
        select month, stage, count(*),
               (percentile_cont(0.5) within group (order by extract(epoch from took) / 86400))
                 ::float8
          from reached group by month, stage order by 1, 2
        """,
        tx.cell,
        since,
    )


class Standing(msgspec.Struct, frozen=True):
    stage: str
    people: int


async def standing(tx: Tx) -> list[Standing]:
    """Where people are now."""
    return await tx.rows(
        Standing,
        """
        select now as stage, count(*) as people from (
          select distinct on (person_id) person_id, now from measurement.transition
           where cell = $1 order by person_id, number desc) s
         group by now order by now
        """,
        tx.cell,
    )


class Moved(msgspec.Struct, frozen=True):
    """A move with the rule that fired and the facts it saw; ``version`` of the programme."""

    number: int
    version: int
    at: dt.datetime
    was: str
    now: str
    rule: str
    facts: dict[str, int]


async def moves(tx: Tx, person_id: uuid.UUID) -> list[Moved]:
    """All moves of a person, the first one first."""
    return await tx.rows(
        Moved,
        """
        select number, version, at, was, now, rule, facts from measurement.transition
         where cell = $1 and person_id = $2 order by number limit 1000
        """,
        tx.cell,
        person_id,
    )


class _Stage(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    stage: str


async def next_offers(tx: Tx, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, NextOffer | None]:
    """What each person is to be shown next: the first offer of their stage that runs now, None
    where there is none. 3 statements."""
    stages = await tx.rows(
        _Stage,
        """
        select p.person_id,
               coalesce((select t.now from measurement.transition t
                          where t.cell = $1 and t.person_id = p.person_id
                          order by t.number desc limit 1), $3) as stage
          from unnest($2::uuid[]) as p(person_id)
        """,
        tx.cell,
        list(person_ids),
        BEGIN,
    )
    plan = (await rocket(tx)).plan
    open_ids = set(
        await tx.values(
            """
            select campaign_id from measurement.v_campaign
             where campaign_id = any($1::uuid[]) and is_running and starts_at <= $2
               and (ends_at is null or ends_at > $2)
            """,
            [offer.id for offer in plan.offers],
            tx.now,
        )
    )
    first: dict[str, NextOffer] = {}
    for offer in plan.offers:
        if offer.id in open_ids:
            first.setdefault(offer.stage, offer)
    return {row.person_id: first.get(row.stage) for row in stages}


class CategoryValue(msgspec.Struct, frozen=True):
    """What a piece of a top category brought, without tax, in minor units; ``proposed``: its level
    by equal thirds."""

    category_id: str
    name: dict[str, str]
    pieces: int
    each_minor: float
    proposed: int = 1


async def gradient(tx: Tx, currency: str, since: dt.datetime) -> list[CategoryValue]:
    """Top categories from the least to the most valuable piece, of orders that stand.
    1 statement."""
    rows = await tx.rows(
        CategoryValue,
        """
        select k.category_id::text as category_id, k.name,
               sum(l.quantity - l.cancelled - l.returned)::bigint as pieces,
               (sum((l.total_minor - l.tax_minor) * (l.quantity - l.cancelled - l.returned)
                    / l.quantity)::float8
                / sum(l.quantity - l.cancelled - l.returned))::float8 as each_minor, 1 as proposed
          from orders.v_purchase p
          join orders.v_purchase_line l on l.cell = p.cell and l.order_id = p.order_id
          join catalogue.v_variant v on v.variant_id = l.variant_id
          join catalogue.v_category c on c.category_id = v.category_id
          join catalogue.v_category k on k.category_id = c.path[1]
         where p.cell = $1 and p.currency = $2 and p.placed_at >= $3
           and p.state in ('placed', 'shipped', 'delivered')
         group by k.category_id, k.name
        having sum(l.quantity - l.cancelled - l.returned) > 0
         order by 4, 1 limit 200
        """,
        tx.cell,
        currency,
        since,
    )
    levels = levels_of([(r.category_id, r.each_minor) for r in rows])
    return [msgspec.structs.replace(r, proposed=levels[r.category_id]) for r in rows]
