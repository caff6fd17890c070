"""The orders of a season, played through the real verbs at their own time."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal

import msgspec

from pinwheel.demonstration import NODES, DemoOrderPlan, DemoProduct, DemoReview
from pinwheel.ground import identity
from pinwheel.growth import community
from pinwheel.kernel.clock import SetClock, new_id
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.seeding.goods import offers_of
from pinwheel.seeding.living import (
    Living,
    Market,
    arrive,
    begin_bargain,
    begin_day,
    coupons_of,
    device_of,
    end_day,
    help_bargain,
    letters_out,
)
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.seeding.people import LOGINS, email_of, home_of, line1_of, name_of
from pinwheel.seeding.season import TEAM_HOURS, Wish
from pinwheel.trade import catalogue, orders, payments, returns

Kind = Literal[
    "bargain", "help", "place", "cancel", "ship", "deliver", "review", "return", "receive", "grade"
]
SCOPE = "demonstration"
VALUES = "audience.value"  # each night's lifetime values nobody would read: the last are enough
FIRST_NODE = NODES[0].code.upper()
REVIEWING_SHARE = 0.75
CARRIER = "Demonstration courier · 演示快递"
COLLECTED, BROUGHT, SAID = (9,), (3, 8), (4, 12)  # the hours, in UTC, of couriers and of reviews


class Deed(msgspec.Struct, frozen=True, order=True):
    """Something that happens to the order of plan ``number`` at ``at``."""

    at: dt.datetime
    number: int
    kind: str
    order_id: uuid.UUID


def deeds_of(
    plans: Sequence[DemoOrderPlan],
    wishes: Mapping[int, Wish],
    until: dt.datetime,
    seed: int = 7,
) -> list[Deed]:
    """All of it in order of time; what would happen after ``until`` has not happened yet."""
    found = []
    for number, plan in enumerate(plans):
        r = Random(f"{seed}:{number}")
        order_id = new_id(plan.at, r)
        what = _what_happens(plan, wishes.get(number), r)
        found += [Deed(_quarter(at), number, kind, order_id) for kind, at in what if at <= until]
    return sorted(found)


def _what_happens(
    plan: DemoOrderPlan, wish: Wish | None, r: Random
) -> list[tuple[Kind, dt.datetime]]:
    what: list[tuple[Kind, dt.datetime]] = []
    if wish is not None and wish.begins_at is not None:
        what += [("bargain", wish.begins_at), ("help", wish.begins_at + dt.timedelta(hours=3))]
        what.append(("help", plan.at - dt.timedelta(hours=1)))
    what.append(("place", plan.at))
    if plan.outcome == "cancelled":
        return [*what, ("cancel", plan.at + dt.timedelta(minutes=r.randint(5, 240)))]
    waits = TEAM_HOURS if wish is not None and wish.kind in ("lead", "join") else 0
    shipped_at = _next(plan.at + dt.timedelta(hours=r.randint(8, 40) + waits), COLLECTED)
    arrived_at = _next(shipped_at + dt.timedelta(hours=r.randint(16, 80)), BROUGHT)
    what += [("ship", shipped_at), ("deliver", arrived_at)]
    if plan.outcome == "returned":
        asked_at = arrived_at + dt.timedelta(hours=r.randint(12, 60))
        back_at = asked_at + dt.timedelta(hours=r.randint(40, 90))
        what += [("return", asked_at), ("receive", back_at)]
        what.append(("grade", back_at + dt.timedelta(hours=4)))
    elif r.random() < REVIEWING_SHARE:
        said_at = arrived_at + dt.timedelta(hours=r.randint(10, 120))
        what.append(("review", _next(said_at, SAID)))
    return what


def _quarter(at: dt.datetime) -> dt.datetime:
    """Deeds of one quarter of an hour happen together: they share their transactions."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def _next(at: dt.datetime, hours: Sequence[int]) -> dt.datetime:
    """The next of these hours: a courier comes so often a day, and for everything at once."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    times = [day + dt.timedelta(days=n, hours=hour) for n in (0, 1) for hour in hours]
    return next(time for time in times if time >= at)


class Stage(msgspec.Struct):
    """What playing needs: the past with a clock of its own, and who and what takes part. ``said``
    by product: what its buyers may say."""

    past: Database
    clock: SetClock
    buying: orders.Buying
    worker: Worker
    plans: Sequence[DemoOrderPlan]
    offers: dict[str, uuid.UUID]
    people: dict[int, uuid.UUID]
    products: dict[str, catalogue.Sku]
    slugs: dict[str, str]
    said: dict[str, list[DemoReview]]
    living: Living


async def play_history(
    db: Database,
    marker: Marker,
    products: Sequence[DemoProduct],
    plans: Sequence[DemoOrderPlan],
    reviews: Sequence[DemoReview],
    lives: Sequence[Market],
    shown: int,
    say: Callable[[str], None],
) -> Living:
    """Place, cancel, send, deliver, review and return, day after day, while campaigns run; after
    each day its jobs are done too. ``plans`` are the orders of the history, then those of each
    season; ``shown`` is the buyer whom visitors sign in as."""
    wishes = {n: wish for life in lives for n, wish in life.season.wishes.items()}
    deeds = deeds_of(plans, wishes, marker.began_at)
    begins = min([d.at for d in deeds] + [life.season.begins_at for life in lives])
    clock = SetClock(begins)
    past = Database(
        db.pool,
        clock=clock,
        reactions=db.reactions.without(VALUES),
        cell=db.cell,
        rng=Random(f"history:{marker.at('days')}"),
        vault=db.vault,
    )
    offers, skus = await _offers(db, products), await _skus(db, products)
    numbers = {plan.buyer_number for plan in plans}
    numbers |= {number for life in lives for number in life.season.first_at}
    people = await _people(db, numbers, shown)
    slugs = {v.sku: p.slug for p in products for v in p.variants}
    living = Living(
        past=past,
        markets=list(lives),
        offers=offers,
        people=people,
        products={slugs[sku]: found.product_id for sku, found in skus.items()},
        wishes=wishes,
        order_ids={deed.number: deed.order_id for deed in deeds},
        until=marker.began_at,
    )
    stage = Stage(
        past=past,
        clock=clock,
        buying=orders.Buying(past, db.given[orders.Buying].checkout),
        worker=Worker(past),
        plans=plans,
        offers=offers,
        people=people,
        products=skus,
        slugs=slugs,
        said=_by_product(reviews),
        living=living,
    )
    past.given.update({**db.given, orders.Buying: stage.buying})
    await _play_days(stage, marker, deeds, begins, say)
    return living


async def _play_days(
    stage: Stage,
    marker: Marker,
    deeds: Sequence[Deed],
    begins: dt.datetime,
    say: Callable[[str], None],
) -> None:
    first = begins.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (marker.began_at - first).days + 1
    busy_from = stage.plans[0].at - dt.timedelta(days=1) if stage.plans else first
    by_day: dict[dt.date, list[Deed]] = {}
    for deed in deeds:
        by_day.setdefault(deed.at.date(), []).append(deed)
    for number in range(marker.at("days"), days):
        day = first + dt.timedelta(days=number)
        await _play_day(stage, marker, day, by_day.get(day.date(), []))
        if number % 2 or day >= busy_from:  # quiet days share their jobs with the next one
            await stage.worker.drain()
        async with stage.past.transaction(actor=ACTOR) as tx:
            await marker.reach(tx, "days", number + 1)
        if (number + 1) % 20 == 0 or number + 1 == days:
            say(f"  {number + 1} / {days} days of orders / 天的订单历史")


async def _play_day(stage: Stage, marker: Marker, day: dt.datetime, deeds: Sequence[Deed]) -> None:
    stage.clock.set(day)
    await begin_day(stage.living, marker, day)
    letters_at = await letters_out(stage.living, day)
    for at in sorted({deed.at for deed in deeds} | ({letters_at} if letters_at else set())):
        stage.clock.set(at)
        if at == letters_at:
            await stage.worker.drain()
        now = [deed for deed in deeds if deed.at == at]
        await _place(stage, [deed for deed in now if deed.kind == "place"])
        rest = [deed for deed in now if deed.kind != "place"]
        if rest:
            async with stage.past.transaction(actor=ACTOR) as tx:
                await _carry(stage, tx, rest)
                for deed in rest:
                    await _do(stage, tx, deed)
    stage.clock.set(min(day + dt.timedelta(hours=23, minutes=50), marker.began_at))
    await end_day(stage.living, day)


async def _place(stage: Stage, deeds: Sequence[Deed]) -> None:
    """Ordered and paid, as buyers do it who come at the same time. What is refused (sold out) is
    not bought."""
    if not deeds:
        return
    coming = [(d.number, (p := stage.plans[d.number]).buyer_number, p.lines[0].sku) for d in deeds]
    claims = await arrive(stage.living, coming)
    drafts = [_draft(stage, deed, claims.get(deed.number, [])) for deed in deeds]
    async with stage.past.transaction(actor=ACTOR) as tx:
        answers = await stage.buying.checkout.place(tx, drafts)
    asked = [p for a in answers if isinstance(a, orders.Placed) for p in a.payments]
    if not asked:
        return
    outcomes = await payments.charge(stage.past, asked)
    async with stage.past.transaction(actor=ACTOR) as tx:
        await payments.record(tx, outcomes)


def _draft(stage: Stage, deed: Deed, claims: list[orders.Claim]) -> orders.Draft:
    plan = stage.plans[deed.number]
    number = plan.buyer_number
    home = home_of(number)
    vault = stage.past.vault
    address = orders.AddressedTo(
        name=name_of(number),
        line1=line1_of(number),
        city=home.city,
        region=home.region,
        postal_code=home.postal_code,
        country=home.country,
    )
    return orders.Draft(
        id=deed.order_id,
        items=[orders.Item(stage.offers[li.sku], li.quantity) for li in plan.lines],
        market=home.market,
        country=home.country,
        region=home.region if home.country == "US" else "",
        postal_code=home.postal_code,
        person_id=stage.people[number],
        contact=vault.seal(email_of(number), "orders.contact"),
        ship_to=vault.seal(msgspec.json.encode(address).decode(), "orders.ship_to"),
        delivery="express" if deed.number % 6 == 0 else "standard",
        tenders=[orders.Tender("sandbox", "tok_ok")],
        channel="web",
        scope=SCOPE,
        key=f"plan-{deed.number}",
        device=device_of(number),
        claims=claims,
        coupons=coupons_of(stage.living, deed.number),
    )


async def _carry(stage: Stage, tx: Tx, deeds: Sequence[Deed]) -> None:
    """What the courier takes along and brings, all at once. Whatever was refused at placing has no
    order that could be sent; a repeat changes nothing."""
    sent = sorted((d.order_id, d.number) for d in deeds if d.kind == "ship")
    if sent:
        sendings = [
            orders.Sending(
                order_id=order_id,
                shipment_id=uuid.UUID(int=order_id.int ^ 1),
                carrier=CARRIER,
                tracking=f"DEMO{number:06d}",
            )
            for order_id, number in sent
        ]
        await orders.ship_orders(tx, sendings)
    brought = [d.order_id for d in deeds if d.kind == "deliver"]
    if brought:
        parcels = await orders.shipments_of(tx, brought)
        await orders.deliver_parcels(tx, [parcel.id for parcel in parcels])


async def _do(stage: Stage, tx: Tx, deed: Deed) -> None:
    """Whatever was refused at placing has no order to do it to; a repeat changes nothing."""
    plan = stage.plans[deed.number]
    try:
        async with tx.savepoint():
            if deed.kind == "cancel":
                await orders.cancel(tx, deed.order_id, reason="the buyer changed their mind")
            elif deed.kind == "bargain":
                await begin_bargain(tx, stage.living, plan.buyer_number)
            elif deed.kind == "help":
                helpers = stage.living.wishes[deed.number].helpers
                is_last = plan.at - deed.at < dt.timedelta(hours=2)
                some = helpers if is_last else helpers[: len(helpers) // 2]
                await help_bargain(tx, stage.living, plan.buyer_number, some)
            elif deed.kind == "review":
                await _review(stage, tx, deed)
            elif deed.kind in ("return", "receive", "grade"):
                await _bring_back(stage, tx, deed)
    except Refusal:
        return


async def _review(stage: Stage, tx: Tx, deed: Deed) -> None:
    """The buyer says something of one thing they got, in their own language where there are
    words."""
    plan = stage.plans[deed.number]
    number = plan.buyer_number
    for line in plan.lines:
        bank = stage.said.get(stage.slugs[line.sku], [])
        if not bank:
            continue
        spoken = home_of(number).language
        one = next((b for b in bank if b.language == spoken), bank[0])
        bank.remove(one)
        await community.write_review(
            tx,
            stage.people[number],
            stage.products[line.sku].product_id,
            community.NewReview(
                rating=one.rating, title=one.title, body=one.body, author=name_of(number)
            ),
            language=one.language,
        )


async def _bring_back(stage: Stage, tx: Tx, deed: Deed) -> None:
    """One piece of the first line goes back, arrives, and is refunded."""
    before = (await returns.returns(tx, order_id=deed.order_id)).items
    if deed.kind == "return" and not before:
        person_id = stage.people[stage.plans[deed.number].buyer_number]
        wish = returns.NewReturn(
            order_id=deed.order_id, lines=[(0, 1)], reason="unwanted", person_id=person_id
        )
        await returns.request(tx, [wish])
    for one in before:
        if deed.kind == "receive":
            await returns.receive(tx, [returns.Receipt(return_id=one.id, node=FIRST_NODE)])
        elif deed.kind == "grade":
            graded = [returns.Graded(0, "A", 1)]
            await returns.grade_and_refund(tx, [returns.Grading(return_id=one.id, lines=graded)])


async def _offers(db: Database, products: Sequence[DemoProduct]) -> dict[str, uuid.UUID]:
    async with db.reading() as tx:
        return await offers_of(tx, [v.sku for p in products for v in p.variants])


async def _skus(db: Database, products: Sequence[DemoProduct]) -> dict[str, catalogue.Sku]:
    async with db.reading() as tx:
        return await catalogue.skus(tx, [v.sku for p in products for v in p.variants])


def _by_product(reviews: Sequence[DemoReview]) -> dict[str, list[DemoReview]]:
    found: dict[str, list[DemoReview]] = {}
    for one in reviews:
        found.setdefault(one.product, []).append(one)
    return found


async def _people(db: Database, numbers: set[int], shown: int) -> dict[int, uuid.UUID]:
    """Person of each buyer number who has an account; ``shown`` is who visitors sign in as."""
    found = {}
    async with db.reading() as tx:
        for number in sorted(numbers):
            email = LOGINS[0].email if number == shown else email_of(number)
            person = await identity.person_with_email(tx, email)
            if person is not None:
                found[number] = person.id
    return found
