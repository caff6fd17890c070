"""A season as it is lived: who comes is welcomed, deals begin, spend is reported, friends are
brought and prices cut, each by the verb that a page calls, at its own time."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from pinwheel.growth import measurement, social
from pinwheel.insight import experiments, tracking
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.settings import Settings
from pinwheel.seeding.campaigns import (
    COUPON,
    EXPERIMENT,
    open_abroad,
    open_at_home,
    open_deal,
    write_to,
)
from pinwheel.seeding.marker import ACTOR, Marker, Opened
from pinwheel.seeding.people import home_of, welcome
from pinwheel.seeding.season import DAY, Season, Wish
from pinwheel.seeding.shelf import Shelf, sku_of
from pinwheel.trade import orders

SPENT = {"search-ads": 1_150, "social-ads": 900}  # CNY cents a day for each buyer a day
LETTERS_BACK = (46, 12)  # days before the end
EXPERIMENT_DAYS = 40
BUSY_DAYS, QUIET_SHARE = 32, 0.5  # less is spent before the month of orders
SPENDS_AFTER = dt.timedelta(days=2)
LETTER = "New on the shelves (demonstration)"
HOST = "https://search.example/"


class Market(msgspec.Struct):
    """A season with what it sells and what has been opened for it."""

    name: str
    season: Season
    shelf: Shelf
    rate: float
    opened: Opened | None = None


class Living(msgspec.Struct):
    """``people`` by buyer's number, ``products`` by slug; both belong to the history that this
    happens in. ``home``: the market with everything."""

    past: Database
    markets: list[Market]
    offers: Mapping[str, uuid.UUID]
    people: dict[int, uuid.UUID]
    products: Mapping[str, uuid.UUID]
    wishes: dict[int, Wish]
    order_ids: Mapping[int, uuid.UUID]
    until: dt.datetime

    @property
    def home(self) -> Market:
        return self.markets[0]


# --- days


async def begin_day(living: Living, marker: Marker, today: dt.datetime) -> None:
    """Campaigns that begin, the spend of yesterday, and everybody who is new today. Safe to
    repeat."""
    async with living.past.transaction(actor=ACTOR) as tx:
        for market in living.markets:
            if today >= market.season.begins_at:
                await _open(tx, living, marker, market)
        await _register(tx, living, today)
    if not living.markets:  # the content is too small for a season
        return
    async with living.past.transaction(actor=ACTOR) as tx:
        for market in living.markets:
            await _begin_deals(tx, living, marker, market)
        await _invite(tx, living, today)
        await _spend(tx, living.home, today, living.until)
        for n, back in enumerate(LETTERS_BACK):
            if today >= living.until - back * DAY and marker.at("letters") == n:
                await write_to(tx, LETTER, sorted(living.people.values()))
                await marker.reach(tx, "letters", n + 1)


def zone_of(db: Database) -> dt.tzinfo:
    """The shop's own."""
    settings = db.given.get(Settings)
    return ZoneInfo(settings.time_zone) if settings else dt.UTC


async def letters_out(living: Living, today: dt.datetime) -> dt.datetime | None:
    """When the letters that wait go out today: at the shop's noon, which is no quiet hour. None
    when no letter waits."""
    async with living.past.reading(actor=ACTOR) as tx:
        waits = await tx.value(
            """
            select exists (select from messages.v_message
                            where cell = $1 and purpose = 'marketing' and state = 'waiting')
            """,
            tx.cell,
        )
    if not waits:
        return None
    noon = dt.datetime.combine(today.date(), dt.time(12), zone_of(living.past))
    return today + dt.timedelta(seconds=noon.timestamp() % 86_400)


async def end_day(living: Living, today: dt.datetime) -> None:
    """What was looked at today is told at once: an event that is told again changes nothing."""
    seen = [
        (market, n)
        for market in living.markets
        for n, visit in enumerate(market.season.visits)
        if today <= visit.at < today + DAY
    ]
    told = [one for market, n in seen for one in _events(living, market, n)]
    linked = {
        (visit.visitor, living.people[visit.number])
        for market, n in seen
        if (visit := market.season.visits[n]).number in living.people
    }
    async with living.past.transaction(actor=ACTOR) as tx:
        await tracking.record(tx, [one for one in told if (one.occurred_at or tx.now) <= tx.now])
        if linked:
            await tracking.link(tx, sorted(linked))


async def _open(tx: Tx, living: Living, marker: Marker, market: Market) -> None:
    """Once; what was opened is known by the marker."""
    if market.name not in marker.opened:
        if market is living.home:
            ends_at = living.until + 60 * DAY
            opened = await open_at_home(tx, market.shelf, living.offers, market.name, ends_at)
        else:
            opened = await open_abroad(tx, market.shelf, living.offers, market.name)
        marker.opened[market.name] = opened
        await marker.reach(tx, "opened", len(marker.opened))
    market.opened = marker.opened[market.name]


async def _register(tx: Tx, living: Living, today: dt.datetime) -> None:
    numbers = sorted(
        number
        for market in living.markets
        for number, at in market.season.first_at.items()
        if today <= at < today + DAY and number not in living.people
    )
    for number in numbers:
        living.people[number] = await welcome(tx, number)


async def _begin_deals(tx: Tx, living: Living, marker: Marker, market: Market) -> None:
    if market.opened is None:
        return
    step = f"deals:{market.name}"
    for n, timed in enumerate(market.season.deals):
        if marker.at(step) <= n and timed.starts_at < tx.now + DAY:
            try:
                async with tx.savepoint():
                    offer_id = living.offers[sku_of(timed.product)]
                    await open_deal(tx, timed, market.opened, offer_id)
            except Refusal:  # too few pieces are left: no deal that week
                pass
            await marker.reach(tx, step, n + 1)


async def _invite(tx: Tx, living: Living, today: dt.datetime) -> None:
    """Who begins to invite today, and their links."""
    opened = living.home.opened
    if opened is None:
        return
    for number, (at, promotes) in sorted(living.home.season.inviters.items()):
        campaign_id = opened.promoter_id if promotes else opened.invite_id
        if today <= at < today + DAY and number in living.people and campaign_id is not None:
            await social.join_campaign(tx, campaign_id, living.people[number])
            await social.link_of(tx, living.people[number], "invite", campaign_id=campaign_id)


async def _spend(tx: Tx, market: Market, today: dt.datetime, until: dt.datetime) -> None:
    """Yesterday's marketing of two channels, as it is imported."""
    day = (today - DAY).date()
    if day < market.season.begins_at.date() + SPENDS_AFTER:
        return
    r = Random(f"spend:{day}")
    share = 1.0 if today > until - BUSY_DAYS * DAY else QUIET_SHARE
    await measurement.record_spend(
        tx,
        [
            measurement.NewSpend(
                channel, day, round(each * share * market.rate * r.uniform(0.7, 1.3)),
                market.shelf.currency, "Always on (demonstration)",
            )
            for channel, each in SPENT.items()
        ],
        source="csv",
    )  # fmt: skip


def _events(living: Living, market: Market, n: int) -> list[tracking.ServerEvent]:
    """A visit: the page it began on, and the things that were looked at."""
    visit = market.season.visits[n]
    session = f"{visit.visitor}-{visit.at:%m%d%H%M}"
    context = {"page": "/", "source": visit.source, "medium": visit.medium}
    if visit.is_from_elsewhere:
        context["referrer"] = HOST
    told = [
        tracking.ServerEvent(
            name="page_viewed",
            properties={"page": "/"},
            visitor_id=visit.visitor,
            session_id=session,
            occurred_at=visit.at,
            context=context,
            event_id=uuid.uuid5(uuid.NAMESPACE_OID, f"{market.name}:{n}"),
        )
    ]
    for place, slug in enumerate(visit.products):
        told.append(
            tracking.ServerEvent(
                name="product_viewed",
                properties={"product_id": str(living.products[slug])},
                visitor_id=visit.visitor,
                session_id=session,
                occurred_at=visit.at + dt.timedelta(seconds=40 * (place + 1)),
                event_id=uuid.uuid5(uuid.NAMESPACE_OID, f"{market.name}:{n}:{place}"),
            )
        )
    return told


# --- orders


def device_of(number: int) -> str:
    return hashlib.sha256(f"demonstration-device-{number}".encode()).hexdigest()


def coupons_of(living: Living, number: int) -> list[str]:
    wish = living.wishes.get(number)
    return [COUPON] if wish is not None and wish.kind == "coupon" else []


async def arrive(
    living: Living, coming: Sequence[tuple[int, int, str]]
) -> dict[int, list[orders.Claim]]:
    """What whoever is about to order does before, and by what right they order: of each (number
    of the order, number of the buyer, its first SKU)."""
    claims: dict[int, list[orders.Claim]] = {}
    async with living.past.transaction(actor=ACTOR) as tx:
        await _look(tx, living, sorted({living.people[buyer] for _, buyer, _ in coming}))
        for number, buyer, sku in coming:
            wish, market = living.wishes.get(number), _market_of(living, buyer)
            if wish is None or market is None or market.opened is None:
                continue
            person_id, opened = living.people[buyer], market.opened
            if wish.kind == "lead":
                claims[number] = [orders.Claim("team_open", opened.team_id)]
            elif wish.kind == "newcomer" and sku in opened.newcomers:
                claims[number] = [orders.Claim("newcomer", opened.newcomers[sku])]
            elif wish.kind == "join":
                claims[number] = await _come_to_team(tx, living, wish, person_id)
            elif wish.kind == "invited":
                await _accept(tx, living, opened, wish, person_id)
            elif wish.kind == "bargain":
                claims[number] = await _cut(tx, opened, person_id)
    return {number: found for number, found in claims.items() if found}


async def _look(tx: Tx, living: Living, people: Sequence[uuid.UUID]) -> None:
    """The words to share are on the page of the order."""
    if tx.now >= living.until - EXPERIMENT_DAYS * DAY:
        found = await experiments.assigned(tx, EXPERIMENT, people)
        await experiments.expose(tx, list(found.values()))


async def _come_to_team(
    tx: Tx, living: Living, wish: Wish, person_id: uuid.UUID
) -> list[orders.Claim]:
    token = await social.team_of_order(tx, living.order_ids[wish.by])
    if token is None:
        return []
    seen = await social.team_seen(tx, token, person_id=living.people[wish.sharer])
    if seen.state != "open" or seen.my_link is None:
        return []
    await social.come_to_team(tx, seen.team_id, person_id, came_by=seen.my_link)
    return [orders.Claim("team", seen.team_id)]


async def _accept(tx: Tx, living: Living, opened: Opened, wish: Wish, person_id: uuid.UUID) -> None:
    campaign_id = opened.promoter_id if wish.is_promoted else opened.invite_id
    if campaign_id is None:
        return
    link = await social.link_of(tx, living.people[wish.sharer], "invite", campaign_id=campaign_id)
    await social.count_click(tx, link.id, "link", is_bot=False)
    await social.touch_link(tx, link, person_id, "link", accepts=True)


async def _cut(tx: Tx, opened: Opened, person_id: uuid.UUID) -> list[orders.Claim]:
    found = await social.bargains(tx, campaign_id=opened.bargain_id, person_id=person_id, limit=1)
    standing = [one.id for one in found.items if one.state in ("running", "reached")]
    return [orders.Claim("bargain", one) for one in standing]


async def begin_bargain(tx: Tx, living: Living, buyer: int) -> None:
    market = _market_of(living, buyer)
    if market is None or market.opened is None or market.opened.bargain_id is None:
        return
    await social.start_bargain(
        tx, market.opened.bargain_id, living.people[buyer], device=device_of(buyer)
    )


async def help_bargain(tx: Tx, living: Living, buyer: int, helpers: Sequence[int]) -> None:
    """Friends help; what a help is refused for changes nothing."""
    market = _market_of(living, buyer)
    if market is None or market.opened is None:
        return
    standing = await _cut(tx, market.opened, living.people[buyer])
    if not standing:
        return
    wishes = [
        social.Help(
            bargain_id=standing[0].id, person_id=living.people[helper], device=device_of(helper)
        )
        for helper in helpers
        if helper in living.people
    ]
    await social.help_bargains(tx, wishes)


def _market_of(living: Living, buyer: int) -> Market | None:
    name = home_of(buyer).market
    return next((market for market in living.markets if market.name == name), None)
