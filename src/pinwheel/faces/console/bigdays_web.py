"""Big days at the desk: the calendar, an event's editor, the live board, the report."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import chosen, segment_choices
from pinwheel.faces.console.frame import attempt, names_of, shown
from pinwheel.faces.console.moments import moment, zone_of
from pinwheel.faces.console.money import minor_of
from pinwheel.growth import bigdays
from pinwheel.growth.bigdays import BigDay, Change, EventDeal, NewDeal, NewEvent, NewSlot, Slot
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import budgets, pricing

SCOPE = "bigdays"
Line = Annotated[str, Meta(max_length=120)]
Instant = Annotated[str, Meta(max_length=32)]
WIDTH, HEIGHT, MARGIN = 720, 260, 44


@get("/console/bigdays", scope=SCOPE)
async def days_page(call: Call, tx: Tx) -> Answer[list[BigDay]]:
    """The calendar, the newest first."""
    return await shown(
        call,
        tx,
        await bigdays.calendar(tx),
        "bigdays",
        call.say("Big days"),
        "bigdays",
        markets=[m.code for m in (await pricing.markets(tx)).values() if m.active],
        segments=await segment_choices(call, tx),
    )


class EventForm(msgspec.Struct):
    name_en: Line
    market: Annotated[str, Meta(max_length=20)]
    preheat_at: Instant
    starts_at: Instant
    ends_at: Instant
    name_zh: Line = ""
    segment: Annotated[str, Meta(max_length=60)] = ""
    expected_per_hour: Annotated[int, Meta(ge=0, le=10**8)] = 0
    pick_per_hour: Annotated[int, Meta(ge=0, le=10**8)] = 0
    queue_on: bool = False
    admit_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 60
    holdout_percent: Annotated[int, Meta(ge=0, le=50)] = 0
    why: Annotated[str, Meta(max_length=300)] = ""

    def new(self, zone: ZoneInfo) -> NewEvent:
        return NewEvent(
            name_en=self.name_en.strip() or self.name_zh.strip() or "–",
            name_zh=self.name_zh.strip() or self.name_en.strip() or "–",
            market=self.market,
            preheat_at=moment("preheat_at", self.preheat_at, zone),
            starts_at=moment("starts_at", self.starts_at, zone),
            ends_at=moment("ends_at", self.ends_at, zone),
            segment=self.segment.strip(),
            expected_per_hour=self.expected_per_hour,
            pick_per_hour=self.pick_per_hour,
            queue_on=self.queue_on,
            admit_per_minute=self.admit_per_minute,
            holdout_percent=self.holdout_percent,
        )


@post("/console/bigdays", scope=SCOPE)
async def make_day(call: Call, db: Database, data: EventForm) -> See[Any]:
    """A new draft."""

    async def verb(tx: Tx) -> UUID:
        return await bigdays.save_event(tx, data.new(zone_of(call)), why=data.why)

    return await attempt(
        call,
        db,
        verb,
        "/console/bigdays",
        call.say("Saved. Now add slots and deals."),
        ahead=lambda event_id: f"/console/bigdays/{event_id}",
    )


class DaySight(msgspec.Struct, frozen=True):
    event: BigDay
    phase: str
    slots: list[Slot]
    deals: list[EventDeal]
    board: bigdays.Board
    history: list[Change]


@get("/console/bigdays/{event_id:uuid}", scope=SCOPE)
async def day_page(call: Call, tx: Tx, event_id: UUID) -> Answer[DaySight]:
    """One event: its plan and, while it runs, its board."""
    event = await bigdays.event(tx, event_id)
    sight = DaySight(
        event,
        event.phase(tx.now),
        await bigdays.slots(tx, event_id),
        await bigdays.deals(tx, event_id),
        await bigdays.board(tx, event_id),
        await bigdays.history(tx, event_id),
    )
    return await shown(
        call,
        tx,
        sight,
        "bigday",
        said(event.name, call.language),
        "bigdays",
        bars=bars(sight.board.per_minute),
        skus={p.offer_id: p.sku for p in sight.board.stock},
        names=await names_of(tx, [c.by for c in sight.history]),
        open_budgets=await budgets.budgets(tx, open_only=True),
        markets=[m.code for m in (await pricing.markets(tx)).values() if m.active],
        segments=await segment_choices(call, tx),
    )


def bars(values: list[int]) -> list[tuple[float, float, float]]:
    """(x, y, height) of a bar for each minute. Pure."""
    high = max(1, *values) if values else 1
    wide = WIDTH / max(1, len(values))
    return [
        (round(n * wide, 1), round(100 - 96 * v / high, 1), round(96 * v / high, 1))
        for n, v in enumerate(values)
    ]


@post("/console/bigdays/{event_id:uuid}", scope=SCOPE)
async def save_day(call: Call, db: Database, event_id: UUID, data: EventForm) -> See[Any]:
    """Change a draft, or the plan of one that has started."""

    async def verb(tx: Tx) -> UUID:
        return await bigdays.save_event(tx, data.new(zone_of(call)), event_id, data.why)

    return await attempt(call, db, verb, f"/console/bigdays/{event_id}", call.say("Saved."))


class SlotForm(msgspec.Struct):
    name_en: Line
    starts_at: Instant
    ends_at: Instant
    name_zh: Line = ""


@post("/console/bigdays/{event_id:uuid}/slots", scope=SCOPE)
async def add_slot(call: Call, db: Database, event_id: UUID, data: SlotForm) -> See[Any]:
    """A slot of a draft."""

    async def verb(tx: Tx) -> UUID:
        new = NewSlot(
            name_en=data.name_en.strip() or "–",
            name_zh=data.name_zh.strip() or data.name_en.strip() or "–",
            starts_at=moment("starts_at", data.starts_at, zone_of(call)),
            ends_at=moment("ends_at", data.ends_at, zone_of(call)),
        )
        return await bigdays.add_slot(tx, event_id, new)

    return await attempt(call, db, verb, f"/console/bigdays/{event_id}", call.say("Saved."))


class DealForm(msgspec.Struct):
    slot_id: UUID
    sku: Line
    price: Annotated[str, Meta(max_length=20)]
    pieces: Annotated[int, Meta(ge=1, le=10**6)]
    per_person: Annotated[int, Meta(ge=1, le=1000)] = 1
    budget_id: Annotated[str, Meta(max_length=40)] = ""
    deposit: Annotated[str, Meta(max_length=20)] = ""
    balance_from: Instant = ""
    balance_until: Instant = ""
    refundable: bool = False


@post("/console/bigdays/{event_id:uuid}/deals", scope=SCOPE)
async def add_deal(call: Call, db: Database, event_id: UUID, data: DealForm) -> See[Any]:
    """A deal in a slot, perhaps with a deposit."""

    async def verb(tx: Tx) -> UUID:
        event = await bigdays.event(tx, event_id)
        has_deposit = bool(data.deposit.strip())
        new = NewDeal(
            slot_id=data.slot_id,
            offer_id=await bigdays.offer_of_sku(tx, data.sku.strip()),
            price_minor=minor_of(data.price, event.currency),
            pieces=data.pieces,
            per_person=data.per_person,
            budget_id=chosen("budget_id", data.budget_id),
            deposit_minor=minor_of(data.deposit, event.currency) if has_deposit else None,
            balance_from=moment("balance_from", data.balance_from, zone_of(call))
            if has_deposit
            else None,
            balance_until=moment("balance_until", data.balance_until, zone_of(call))
            if has_deposit
            else None,
            deposit_policy="refundable" if data.refundable else "until_balance",
        )
        return await bigdays.add_deal(tx, event_id, new)

    return await attempt(call, db, verb, f"/console/bigdays/{event_id}", call.say("Saved."))


class PiecesForm(msgspec.Struct):
    pieces: Annotated[int, Meta(ge=1, le=10**6)]


@post("/console/bigdays/{event_id:uuid}/deals/{promotion_id:uuid}/pieces", scope=SCOPE)
async def change_pieces(
    call: Call, db: Database, event_id: UUID, promotion_id: UUID, data: PiecesForm
) -> See[Any]:
    """Another quantity of a deal, while the event is a draft."""

    async def verb(tx: Tx) -> None:
        await bigdays.set_pieces(tx, event_id, promotion_id, data.pieces)

    return await attempt(call, db, verb, f"/console/bigdays/{event_id}", call.say("Saved."))


class ReasonForm(msgspec.Struct):
    why: Annotated[str, Meta(max_length=300)] = ""


@post("/console/bigdays/{event_id:uuid}/start", scope=SCOPE)
async def start_day(call: Call, db: Database, event_id: UUID, data: ReasonForm) -> See[Any]:
    async def verb(tx: Tx) -> BigDay:
        return await bigdays.start(tx, event_id, data.why)

    return await attempt(
        call, db, verb, f"/console/bigdays/{event_id}", call.say("It is in the calendar.")
    )


@post("/console/bigdays/{event_id:uuid}/stop", scope=SCOPE)
async def stop_day(call: Call, db: Database, event_id: UUID, data: ReasonForm) -> See[Any]:
    async def verb(tx: Tx) -> BigDay:
        return await bigdays.stop(tx, event_id, data.why)

    return await attempt(
        call, db, verb, f"/console/bigdays/{event_id}", call.say("Stopped. Deposits go back.")
    )


class QueueForm(msgspec.Struct):
    admit_per_minute: Annotated[int, Meta(ge=1, le=100_000)]
    on: bool = False
    why: Annotated[str, Meta(max_length=300)] = ""


@post("/console/bigdays/{event_id:uuid}/queue", scope=SCOPE)
async def switch_queue(call: Call, db: Database, event_id: UUID, data: QueueForm) -> See[Any]:
    async def verb(tx: Tx) -> BigDay:
        return await bigdays.set_queue(tx, event_id, data.on, data.admit_per_minute, data.why)

    return await attempt(call, db, verb, f"/console/bigdays/{event_id}", call.say("Saved."))


@get("/console/bigdays/{event_id:uuid}/report", scope=SCOPE)
async def report_page(call: Call, tx: Tx, event_id: UUID) -> Answer[bigdays.Report]:
    """What it brought, and what it only moved."""
    found = await bigdays.report(tx, event_id)
    return await shown(
        call,
        tx,
        found,
        "bigday_report",
        call.say("Report"),
        "bigdays",
        chart=charted(found),
    )


def charted(found: bigdays.Report) -> dict[str, Any] | None:
    """The days as points of a picture: what was sold, what was expected with its band. Pure."""
    if len(found.days) < 2:
        return None
    high = max(1.0, *found.days, *found.high)
    low = min(0.0, *found.low) if found.low else 0.0
    across, tall = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    last = len(found.days) - 1

    def x(day: float) -> float:
        return round(MARGIN + across * day / last, 1)

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - tall * (value - low) / (high - low), 1)

    later = range(found.pre_days, found.pre_days + len(found.expected))
    band = [f"{x(d)},{y(v)}" for d, v in zip(later, found.high, strict=True)]
    band += [f"{x(d)},{y(v)}" for d, v in reversed(list(zip(later, found.low, strict=True)))]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": MARGIN,
        "right": WIDTH - MARGIN,
        "top": MARGIN,
        "bottom": HEIGHT - MARGIN,
        "zero": y(0),
        "sold": " ".join(f"{x(d)},{y(v)}" for d, v in enumerate(found.days)),
        "expected": " ".join(f"{x(d)},{y(v)}" for d, v in zip(later, found.expected, strict=True)),
        "band": " ".join(band),
        "from": x(found.event_first - 0.5),
        "wide": round(x(found.event_last - 0.5) - x(found.event_first - 0.5), 1),
        "high": round(high),
    }
