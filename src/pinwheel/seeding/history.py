"""A month of orders, played through the real verbs at their own time."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
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
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.seeding.people import LOGINS, email_of, home_of, name_of, stand_in
from pinwheel.trade import catalogue, orders, payments, returns

Kind = Literal["place", "cancel", "ship", "deliver", "review", "return", "receive", "grade"]
SCOPE = "demonstration"
FIRST_NODE = NODES[0].code.upper()
REVIEWING_SHARE = 0.75
CARRIER = "Demonstration courier · 演示快递"


class Deed(msgspec.Struct, frozen=True, order=True):
    """Something that happens to the order of plan ``number`` at ``at``."""

    at: dt.datetime
    number: int
    kind: str
    order_id: uuid.UUID


def deeds_of(plans: Sequence[DemoOrderPlan], until: dt.datetime, seed: int = 7) -> list[Deed]:
    """The whole month in order of time; what would happen after ``until`` has not happened yet."""
    found = []
    for number, plan in enumerate(plans):
        r = Random(f"{seed}:{number}")
        order_id = new_id(plan.at, r)
        what: list[tuple[Kind, dt.datetime]] = [("place", plan.at)]
        if plan.outcome == "cancelled":
            what.append(("cancel", plan.at + dt.timedelta(minutes=r.randint(5, 240))))
        else:
            shipped_at = plan.at + dt.timedelta(hours=r.randint(8, 40))
            arrived_at = shipped_at + dt.timedelta(hours=r.randint(20, 90))
            what += [("ship", shipped_at), ("deliver", arrived_at)]
            if plan.outcome == "returned":
                asked_at = arrived_at + dt.timedelta(hours=r.randint(12, 60))
                back_at = asked_at + dt.timedelta(hours=r.randint(40, 90))
                what += [("return", asked_at), ("receive", back_at)]
                what.append(("grade", back_at + dt.timedelta(hours=4)))
            elif r.random() < REVIEWING_SHARE:
                what.append(("review", arrived_at + dt.timedelta(hours=r.randint(10, 120))))
        found += [Deed(_hour(at), number, kind, order_id) for kind, at in what if at <= until]
    return sorted(found)


def _hour(at: dt.datetime) -> dt.datetime:
    """Deeds of one quarter of an hour happen together: they share their transactions."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


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


async def play_history(
    db: Database,
    marker: Marker,
    products: Sequence[DemoProduct],
    plans: Sequence[DemoOrderPlan],
    reviews: Sequence[DemoReview],
    say: Callable[[str], None],
) -> None:
    """Place, cancel, send, deliver, review and return, day after day; after each day its jobs are
    done too."""
    deeds = deeds_of(plans, marker.began_at)
    days = sorted({deed.at.date() for deed in deeds})
    clock = SetClock(deeds[0].at if deeds else marker.began_at)
    past = Database(
        db.pool,
        clock=clock,
        reactions=db.reactions,
        cell=db.cell,
        rng=Random(f"history:{marker.at('days')}"),
        vault=db.vault,
    )
    stage = Stage(
        past=past,
        clock=clock,
        buying=orders.Buying(past, orders.Checkout()),
        worker=Worker(past),
        plans=plans,
        offers=await _offers(db, products),
        people=await _people(db, plans),
        products=await _skus(db, products),
        slugs={v.sku: p.slug for p in products for v in p.variants},
        said=_by_product(reviews),
    )
    past.given.update({**db.given, orders.Buying: stage.buying})
    for number, day in enumerate(days[marker.at("days") :], start=marker.at("days") + 1):
        await _play_day(stage, [deed for deed in deeds if deed.at.date() == day])
        async with db.transaction(actor=ACTOR) as tx:
            await marker.reach(tx, "days", number)
        if number % 5 == 0 or number == len(days):
            say(f"  {number} / {len(days)} days of orders / 天的订单历史")


async def _play_day(stage: Stage, deeds: Sequence[Deed]) -> None:
    for at in sorted({deed.at for deed in deeds}):
        stage.clock.set(at)
        now = [deed for deed in deeds if deed.at == at]
        await _place(stage, [deed for deed in now if deed.kind == "place"])
        rest = [deed for deed in now if deed.kind != "place"]
        if rest:
            async with stage.past.transaction(actor=ACTOR) as tx:
                for deed in rest:
                    await _do(stage, tx, deed)
    await stage.worker.drain()


async def _place(stage: Stage, deeds: Sequence[Deed]) -> None:
    """Ordered and paid, as buyers do it who come at the same time. What is refused (sold out) is
    not bought."""
    if not deeds:
        return
    drafts = [_draft(stage, deed) for deed in deeds]
    async with stage.past.transaction(actor=ACTOR) as tx:
        answers = await stage.buying.checkout.place(tx, drafts)
    asked = [p for a in answers if isinstance(a, orders.Placed) for p in a.payments]
    if not asked:
        return
    outcomes = await payments.charge(stage.past, asked)
    async with stage.past.transaction(actor=ACTOR) as tx:
        await payments.record(tx, outcomes)


def _draft(stage: Stage, deed: Deed) -> orders.Draft:
    plan = stage.plans[deed.number]
    number = plan.buyer_number
    home = home_of(number)
    vault = stage.past.vault
    address = orders.AddressedTo(
        name=name_of(number),
        line1=home.line1,
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
    )


async def _do(stage: Stage, tx: Tx, deed: Deed) -> None:
    """Whatever was refused at placing has no order to do it to; a repeat changes nothing."""
    parcel_id = uuid.UUID(int=deed.order_id.int ^ 1)
    try:
        async with tx.savepoint():
            if deed.kind == "cancel":
                await orders.cancel(tx, deed.order_id, reason="the buyer changed their mind")
            elif deed.kind == "ship":
                tracking = f"DEMO{deed.number:06d}"
                await orders.ship(
                    tx, deed.order_id, shipment_id=parcel_id, carrier=CARRIER, tracking=tracking
                )
            elif deed.kind == "deliver":
                for parcel in await orders.shipments_of(tx, [deed.order_id]):
                    await orders.deliver(tx, parcel.id)
            elif deed.kind == "review":
                await _review(stage, tx, deed)
            else:
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


async def _people(db: Database, plans: Sequence[DemoOrderPlan]) -> dict[int, uuid.UUID]:
    """Person of each buyer number; the busiest one is who visitors sign in as."""
    shown = stand_in(plans)
    found = {}
    async with db.reading() as tx:
        for number in sorted({plan.buyer_number for plan in plans}):
            email = LOGINS[0].email if number == shown else email_of(number)
            person = await identity.person_with_email(tx, email)
            if person is not None:
                found[number] = person.id
    return found
