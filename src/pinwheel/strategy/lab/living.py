"""The life of the simulated city: who orders, brings friends, gets parcels, sends things back and
comes again, all through the verbs that production calls, at their own time."""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
import uuid
from collections import Counter
from collections.abc import Sequence
from random import Random

import msgspec

from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.insight import experiments
from pinwheel.kernel.clock import SetClock, new_id
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker, lease_seconds
from pinwheel.kernel.together import apart
from pinwheel.strategy.lab.incidents import WorkerKilled
from pinwheel.strategy.lab.model import (
    INVITED,
    MARKET,
    Act,
    Buyer,
    Scenario,
    Truth,
    slot_after,
)
from pinwheel.strategy.lab.world import ACTOR, COUPON_MINOR, EXPERIMENT, World
from pinwheel.trade import orders, payments, promotions, returns

TOGETHER = 150  # drafts in one batch
NEWCOMER_SHARE = 0.35
WHILE_OPEN_HOURS = 37  # and to the next slot: a team is open for 48
STOPS_EXPOSING_DAYS = 9  # before the end, so that everybody exposed has their week


class Seat(msgspec.Struct, frozen=True):
    """Where a leader's friends may sit."""

    team_id: uuid.UUID
    link: str


class City:
    """``await city.day(slot)`` for each slot, in order."""

    def __init__(
        self, db: Database, clock: SetClock, world: World, scenario: Scenario, truth: Truth,
        buyers: list[Buyer],
    ) -> None:  # fmt: skip
        self.db, self.clock, self.world = db, clock, world
        self.scenario, self.truth, self.buyers = scenario, truth, buyers
        self.chance = Random(f"{scenario.seed}:life")
        self.acts: list[Act] = []
        self.seats: dict[int, Seat] = {}
        self.by_person: dict[uuid.UUID, Buyer] = {}
        self.order_of: dict[uuid.UUID, tuple[int, str]] = {}
        self.treated: dict[int, dt.datetime] = {}  # since when they have the coupon
        self.exposed: set[int] = set()
        self.uninvited: list[tuple[Buyer, uuid.UUID]] = []  # leaders whose payment is not heard of
        self.refused: Counter[str] = Counter()
        self.kills = 0
        self.shelf = list(range(17, scenario.products))  # what is bought without a claim

    # --- one slot

    async def slot(self, at: dt.datetime) -> None:
        """What is planned until ``at`` happens; then parcels move and the jobs are done."""
        self.clock.set(at)
        due: list[Act] = []
        while self.acts and self.acts[0].at <= at:
            due.append(heapq.heappop(self.acts))
        for start in range(0, len(due), TOGETHER):
            await self._order(due[start : start + TOGETHER])
            await self._invite()
        await self.drain()
        await self._invite()
        if at.hour == 12:
            await self._send(at)
            await self._bring_back()
            await self._follow_up(at)
            await self.drain()

    def plan(self, act: Act) -> None:
        if act.at < self.scenario.ends:
            self.buyers[act.number].busy = True
            heapq.heappush(self.acts, act)

    def arrivals(self, day: dt.datetime) -> None:
        """New people find the shop by themselves, by channel; their first order is in the day."""
        strangers = [b for b in self.buyers if not (b.ring or b.busy or b.first_at)]
        self.chance.shuffle(strangers)
        for channel, daily in sorted(self.truth.brings.items()):
            for _ in range(_poisson(self.chance, daily)):
                if not strangers:
                    return
                buyer = strangers.pop()
                buyer.channel = channel
                self.plan(Act(self._moment(day), buyer.number, self._first_kind()))

    def _first_kind(self) -> str:
        if self.chance.random() < self.truth.leads:
            return "lead"
        return "newcomer" if self.chance.random() < NEWCOMER_SHARE else "first"

    def _moment(self, day: dt.datetime, hours: tuple[int, int] = (0, 22)) -> dt.datetime:
        return slot_after(day + dt.timedelta(hours=self.chance.randint(*hours)))

    # --- orders

    async def _order(self, acts: Sequence[Act]) -> None:
        """Those who come at one moment, in one batch: placed, asked for their money, recorded."""
        await self._register([self.buyers[a.number] for a in acts])
        await self._come_to_teams(acts)
        drafts = [self._draft(a) for a in acts]
        checkout = self.db.given[orders.Buying].checkout
        answers = await apart(self.db, checkout.place, drafts, actor=ACTOR)
        asked = [p for a in answers if isinstance(a, orders.Placed) for p in a.payments]
        if asked:
            outcomes = await payments.charge(self.db, asked)
            async with self.db.transaction(actor=ACTOR) as tx:
                await payments.record(tx, outcomes)
        leaders = []
        for act, answer in zip(acts, answers, strict=True):
            buyer = self.buyers[act.number]
            buyer.busy = False
            if isinstance(answer, orders.Placed):
                self._ordered(buyer, act, answer.order_id)
                if act.kind == "lead":
                    leaders.append((buyer, answer.order_id))
            else:
                self._not_ordered(buyer, act, answer)
        self.uninvited += leaders

    def _ordered(self, buyer: Buyer, act: Act, order_id: uuid.UUID) -> None:
        self.order_of[order_id] = (buyer.number, act.kind)
        if buyer.first_at is None:
            buyer.first_at = act.at
            if act.kind == "join":
                buyer.brought_by = act.by
                self._carry_on(buyer, act.at)
        elif act.kind == "again":
            buyer.orders += 1
            if self.chance.random() < buyer.stops:
                return
        if act.kind != "follow_up" and not buyer.ring:
            self._come_again(buyer, act.at)

    def _carry_on(self, buyer: Buyer, at: dt.datetime) -> None:
        """Who came by a friend opens a team as often as anybody: a branching process."""
        if self.chance.random() < self.truth.leads:
            later = at + dt.timedelta(hours=self.chance.randint(2, 20))
            self.plan(Act(slot_after(later), buyer.number, "lead"))

    def _come_again(self, buyer: Buyer, at: dt.datetime) -> None:
        wait = self.chance.expovariate(buyer.rate) if buyer.rate > 0 else 1e9
        if wait < self.scenario.days:
            act = Act(slot_after(at + dt.timedelta(days=wait)), buyer.number, "again")
            if act.at < self.scenario.ends:
                heapq.heappush(self.acts, act)

    def _not_ordered(self, buyer: Buyer, act: Act, why: Exception) -> None:
        self.refused[type(why).__name__] += 1
        if not isinstance(why, Refusal):
            raise why
        if buyer.ring or buyer.first_at is not None:
            return
        if act.kind in ("newcomer", "join", "lead"):  # they buy at the normal price instead
            self.plan(Act(slot_after(act.at + dt.timedelta(hours=2)), buyer.number, "first"))

    def _draft(self, act: Act) -> orders.Draft:
        buyer = self.buyers[act.number]
        product, claims = self._wish(act)
        address = orders.AddressedTo(
            name=f"模拟买家 {buyer.number} 号",
            line1=f"模拟路 {buyer.home} 号",
            city="模拟市",
            region="",
            postal_code="000000",
            country="CN",
        )
        vault = self.db.vault
        assert buyer.person_id is not None
        return orders.Draft(
            id=new_id(self.clock.now(), self.db.random),
            items=[orders.Item(self.world.offers[product], 1)],
            market=MARKET,
            country="CN",
            postal_code="000000",
            person_id=buyer.person_id,
            contact=vault.seal(_email(buyer), "orders.contact"),
            ship_to=vault.seal(msgspec.json.encode(address).decode(), "orders.ship_to"),
            tenders=[orders.Tender("sandbox", buyer.method)],
            channel=buyer.channel or "friend",
            scope=ACTOR,
            key=f"{buyer.number}:{act.at.isoformat()}:{act.kind}",
            device=hashlib.sha256(buyer.device.encode()).hexdigest(),
            claims=claims,
        )

    def _wish(self, act: Act) -> tuple[int, list[orders.Claim]]:
        """Which product, and by what right at another price than the normal one."""
        pick = Random(f"{self.scenario.seed}:{act.number}:{act.at.isoformat()}")
        if act.kind == "lead":
            return pick.randrange(10), [orders.Claim("team_open", self.world.team_campaign_id)]
        if act.kind == "join":
            seat = self.seats[act.by]
            return seat_product(pick, act.by, self.scenario), [orders.Claim("team", seat.team_id)]
        if act.kind == "newcomer":
            number = pick.randrange(len(self.world.newcomer_offer_ids))
            return 10 + number, [orders.Claim("newcomer", self.world.newcomer_offer_ids[number])]
        if act.kind == "mistake":
            return 15, []
        return pick.choice(self.shelf), []

    async def _register(self, buyers: Sequence[Buyer]) -> None:
        fresh = [b for b in buyers if b.person_id is None]
        if not fresh:
            return
        async with self.db.transaction(actor=ACTOR) as tx:
            for buyer in fresh:
                person = await identity.register(tx, _email(buyer), language="zh-CN")
                buyer.person_id = person.id
                self.by_person[person.id] = buyer

    # --- teams

    async def _come_to_teams(self, acts: Sequence[Act]) -> None:
        joins = [a for a in acts if a.kind == "join"]
        if not joins:
            return
        async with self.db.transaction(actor=ACTOR) as tx:
            for act in joins:
                seat, person = self.seats[act.by], self.buyers[act.number].person_id
                assert person is not None
                await social.come_to_team(tx, seat.team_id, person, came_by=seat.link)

    async def _invite(self) -> None:
        """A leader whose order is paid sends the team's link to friends who are not buyers yet."""
        asking, self.uninvited = self.uninvited, []
        if not asking:
            return
        invited = []
        async with self.db.reading() as tx:
            for buyer, order_id in asking:
                token = await social.team_of_order(tx, order_id)
                if token is None:
                    self.uninvited.append((buyer, order_id))
                    continue
                seen = await social.team_seen(tx, token, person_id=buyer.person_id)
                self.seats[buyer.number] = Seat(seen.team_id, seen.my_link or "")
                invited.append(buyer)
        for buyer in invited:
            self._ask_friends(buyer)

    def _ask_friends(self, leader: Buyer) -> None:
        strangers = [
            self.buyers[f]
            for f in leader.friends
            if not (self.buyers[f].busy or self.buyers[f].first_at or self.buyers[f].ring)
        ]
        for friend in strangers[:INVITED]:
            if self.chance.random() < self.truth.converts:
                hours = self.chance.randint(2, WHILE_OPEN_HOURS)
                at = slot_after(self.clock.now() + dt.timedelta(hours=hours))
                self.plan(Act(at, friend.number, "join", leader.number))

    # --- parcels, returns, the follow-up

    async def _send(self, now: dt.datetime) -> None:
        """What is paid and waits for nothing leaves; what left two days ago arrives."""
        async with self.db.reading() as tx:
            ready = (await orders.inbox(tx, view="to_send", limit=5000)).items
            parcels = await tx.values(
                """
                select shipment_id from orders.v_shipment
                 where cell = $1 and state = 'shipped' and shipped_at <= $2 order by shipment_id
                """,
                tx.cell,
                now - dt.timedelta(days=2),
            )
        for start in range(0, len(ready), TOGETHER):
            sent = [
                orders.Sending(order_id=line.id, carrier="Simulated courier")
                for line in sorted(ready, key=lambda one: one.id)[start : start + TOGETHER]
            ]
            async with self.db.transaction(actor=ACTOR) as tx:
                await orders.ship_orders(tx, sent)
        if parcels:
            async with self.db.transaction(actor=ACTOR) as tx:
                await orders.deliver_parcels(tx, parcels)
            self._arrived = await self._orders_of(parcels)
        else:
            self._arrived = []

    async def _orders_of(self, parcels: Sequence[uuid.UUID]) -> list[uuid.UUID]:
        async with self.db.reading() as tx:
            return await tx.values(
                """
                select distinct order_id from orders.v_shipment
                 where cell = $1 and shipment_id = any($2::uuid[]) order by order_id
                """,
                tx.cell,
                list(parcels),
            )

    async def _bring_back(self) -> None:
        """A few of what arrived today go back at once, are graded, and are paid back."""
        for order_id in self._arrived:
            number, _ = self.order_of.get(order_id, (-1, ""))
            if number < 0 or self.chance.random() >= self.truth.returns:
                continue
            try:
                async with self.db.transaction(actor=ACTOR) as tx:
                    await self._return_one(tx, order_id, self.buyers[number])
            except Refusal as refusal:
                self.refused[type(refusal).__name__] += 1

    async def _return_one(self, tx: Tx, order_id: uuid.UUID, buyer: Buyer) -> None:
        wish = returns.NewReturn(
            order_id=order_id, lines=[(0, 1)], reason="unwanted", person_id=buyer.person_id
        )
        await returns.request(tx, [wish])
        for one in (await returns.returns(tx, order_id=order_id)).items:
            await returns.receive(tx, [returns.Receipt(return_id=one.id, node="SIM-1")])
            graded = [returns.Graded(0, "A", 1)]
            await returns.grade_and_refund(tx, [returns.Grading(return_id=one.id, lines=graded)])

    async def _follow_up(self, now: dt.datetime) -> None:
        """Who got the first order today is in the experiment: half of them get a coupon."""
        if now > self.scenario.ends - dt.timedelta(days=STOPS_EXPOSING_DAYS):
            return
        fresh = [
            buyer
            for order_id in self._arrived
            if (buyer := self.buyers[self.order_of[order_id][0]]).number not in self.exposed
            and not buyer.ring
        ]
        people = {b.person_id: b for b in fresh if b.person_id is not None}
        if not people:
            return
        async with self.db.transaction(actor=ACTOR) as tx:
            found = await experiments.assigned(tx, EXPERIMENT, sorted(people))
            await experiments.expose(tx, list(found.values()))
            given = [i for i in sorted(people) if found[i].variation == "coupon"]
            grants = [
                promotions.Grant(person_id=p, promotion_id=self.world.coupon_id, key=EXPERIMENT)
                for p in given
            ]
            await promotions.grant(tx, grants)
        for person in sorted(people):
            buyer = people[person]
            self.exposed.add(buyer.number)
            if person in given:
                self.treated[buyer.number] = now
                if self.chance.random() < self.truth.pull:
                    at = slot_after(now + dt.timedelta(hours=self.chance.randint(6, 160)))
                    heapq.heappush(self.acts, Act(at, buyer.number, "follow_up"))

    async def drain(self) -> None:
        """The jobs are done; a worker that is killed in the middle is replaced, and what it had
        taken is taken again when its lease is over."""
        for _ in range(1000):
            try:
                await Worker(self.db).drain()
                return
            except WorkerKilled:
                self.kills += 1
                self.clock.travel(
                    seconds=1 + max(map(lease_seconds, self.db.reactions.by_name.values()))
                )
        raise RuntimeError("the workers were killed a thousand times in one slot")


def seat_product(pick: Random, leader: int, scenario: Scenario) -> int:
    """A team's campaign has ten offers; who joins takes any of them."""
    return pick.randrange(10)


def _email(buyer: Buyer) -> str:
    return f"simulated-{buyer.number}@city.example"


def _poisson(chance: Random, mean: float) -> int:
    """Knuth's way: fine for small means; a large one is cut into pieces."""
    total = 0
    while mean > 30:
        total += _poisson(chance, 30)
        mean -= 30
    limit, product = 2.718281828459045**-mean, chance.random()
    while product > limit:
        total += 1
        product *= chance.random()
    return total


__all__ = ["COUPON_MINOR", "City"]
