"""The routes of exchanges, ways back and trials. Buyers act on their own; staff on everybody's."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, File, get, post, put
from pinwheel.trade import orders, payments
from pinwheel.trade.inventory import OutOfStock
from pinwheel.trade.returns import exchange_queries, exchanging, queries, sending, trials
from pinwheel.trade.returns.exchanges import (
    Asked,
    Choice,
    DifferenceChanged,
    Exchange,
    ExchangeNotOffered,
    NewExchange,
    NotExchangeable,
)
from pinwheel.trade.returns.looking import policy_of
from pinwheel.trade.returns.model import FAULTS, NotSent, ReturnIs, Why, WindowOver
from pinwheel.trade.returns.printing import draw_label
from pinwheel.trade.returns.trials import Trial, TrialRule
from pinwheel.trade.returns.ways import (
    HandedElsewhere,
    Kind,
    Point,
    Slot,
    SlotFull,
    UnknownPoint,
    Way,
    WayClosed,
    WayOffer,
    WayPrice,
    Window,
)

READ, WRITE, STOCK = "orders:read", "orders:write", "stock"
TAGS = ("Returns",)
Code = Annotated[str, Meta(min_length=1, max_length=40)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Minor = Annotated[int, Meta(ge=0, le=10**12)]
Signed = Annotated[int, Meta(ge=-(10**12), le=10**12)]
Words = Annotated[dict[str, Annotated[str, Meta(max_length=200)]], Meta(max_length=10)]
Hour = Annotated[int, Meta(ge=0, le=24)]


class PickUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A day and the hour its window begins."""

    on: dt.date
    from_hour: Annotated[int, Meta(ge=0, le=23)]


class ExchangeWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of a line for as many of ``offer_id``. ``expected_minor``: the difference that
    was seen; ``provider`` and ``method`` pay it."""

    order_id: UUID
    line: Annotated[int, Meta(ge=0, le=32_000)]
    quantity: Annotated[int, Meta(ge=1, le=100_000)]
    offer_id: UUID
    reason: Why = "unwanted"
    note: Annotated[str, Meta(max_length=1000)] = ""
    expected_minor: Signed | None = None
    provider: Annotated[str, Meta(max_length=40)] = ""
    method: Annotated[str, Meta(max_length=200)] = ""
    way: Kind | None = None
    pickup: PickUp | None = None


class HandInRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The return's number, or the tracking number of its label, as scanned."""

    code: Annotated[str, Meta(min_length=1, max_length=60)]
    where: Code
    at_point: bool = True


class PointRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Annotated[str, Meta(pattern="^[A-Z0-9-]{2,20}$")]
    name: Words
    address: Annotated[str, Meta(min_length=1, max_length=300)]
    country: Country
    is_open: bool = True


class WindowRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    market: Code
    from_hour: Annotated[int, Meta(ge=0, le=22)]
    hours: Annotated[int, Meta(ge=1, le=24)] = 3
    most: Annotated[int, Meta(ge=0, le=100_000)]


class WayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    market: Code
    kind: Kind
    extra_minor: Minor = 0
    is_open: bool = True


class TrialRuleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    market: Code
    category_id: UUID = UUID(int=0)
    days: Annotated[int, Meta(ge=1, le=60)] = 7
    most_minor: Minor = 30_000
    is_open: bool = True


State = Literal["unpaid", "waiting", "released", "ended"]


@get("/api/v1/orders/{order_id:uuid}/lines/{line:int}/exchanges", tags=TAGS)
async def choices(call: Call, tx: Tx, order_id: UUID, line: int) -> Answer[list[Choice]]:
    """What a line may be exchanged for, with the difference of one piece."""
    return Answer(await exchange_queries.choices(tx, order_id, line, person_id=_only(call)))


@get("/api/v1/orders/{order_id:uuid}/ways-back", tags=TAGS)
async def ways_back(
    call: Call, tx: Tx, order_id: UUID, reason: Why = "unwanted"
) -> Answer[list[WayPrice]]:
    """How a return may come back, and what the buyer bears of it, by the market's policy."""
    sight = await orders.order(tx, order_id=order_id, person_id=_only(call))
    policy = await policy_of(tx, sight.order, sight.lines)
    return Answer(
        await sending.way_prices(
            tx, sight.order.market, sight.order.country, policy, fault=reason in FAULTS
        )
    )


@post(
    "/api/v1/exchanges",
    status=201,
    tags=TAGS,
    refusals=(
        NotSent,
        WindowOver,
        NotExchangeable,
        ExchangeNotOffered,
        DifferenceChanged,
        OutOfStock,
        WayClosed,
        SlotFull,
        orders.NoTender,
        payments.ProviderUnknown,
    ),
)
async def exchange(call: Call, db: Database, data: ExchangeWish) -> Answer[Asked]:
    """Exchange pieces for another variant: it is held now, a difference is charged now, and it is
    sent when the old pieces are here (at once to the trusted)."""
    wish = NewExchange(
        order_id=data.order_id,
        line=data.line,
        quantity=data.quantity,
        offer_id=data.offer_id,
        reason=data.reason,
        note=data.note,
        person_id=_only(call),
        expected_minor=data.expected_minor,
        provider=data.provider,
        method=data.method,
        way=data.way,
        slot=Slot(data.pickup.on, data.pickup.from_hour) if data.pickup else None,
    )
    return Answer(await exchanging.exchange(db, wish, actor=call.caller.actor))


@get("/api/v1/exchanges", scope=READ, tags=TAGS)
async def list_exchanges(
    tx: Tx, state: State | None = None, after: str | None = None, limit: int = 50
) -> Answer[Page[exchange_queries.Waiting]]:
    """Exchanges, newest first."""
    found = await exchange_queries.exchange_list(
        tx, state=state, cursor=after, limit=max(1, min(limit, 100))
    )
    return Answer(found)


@get("/api/v1/returns/{return_id:uuid}/exchange", tags=TAGS)
async def see_exchange(call: Call, tx: Tx, return_id: UUID) -> Answer[Exchange]:
    """The exchange of one return."""
    await queries.see(tx, return_id, person_id=_only(call))
    found = await exchange_queries.exchanges_of(tx, [return_id])
    if return_id not in found:
        raise NotFound(what="exchange")
    return Answer(found[return_id])


@post("/api/v1/returns/{return_id:uuid}/exchange/end", scope=WRITE, tags=TAGS)
async def end_exchange(call: Call, tx: Tx, return_id: UUID) -> Answer[list[Exchange]]:
    """No replacement can be sent: the return goes on as one for a refund. Safe to repeat."""
    return Answer(await exchanging.end_exchanges(tx, [(return_id, "ran_out")]))


@get("/api/v1/returns/{return_id:uuid}/way", tags=TAGS)
async def see_way(call: Call, tx: Tx, return_id: UUID) -> Answer[Way]:
    """How a return comes back, with its tracking number."""
    await queries.see(tx, return_id, person_id=_only(call))
    found = await sending.ways_of(tx, [return_id])
    if return_id not in found:
        raise NotFound(what="way")
    return Answer(found[return_id])


@get("/api/v1/returns/{return_id:uuid}/label.svg", tags=TAGS)
async def label(call: Call, tx: Tx, return_id: UUID) -> File:
    """The label to print: A6, as SVG."""
    drawn = await draw_label(tx, return_id, _only(call), call.say)
    return File(drawn.encode(), "image/svg+xml")


@post(
    "/api/v1/return-scans",
    scope=STOCK,
    tags=TAGS,
    refusals=(ReturnIs, HandedElsewhere, UnknownPoint),
)
async def hand_in(tx: Tx, data: HandInRequest) -> Answer[Way]:
    """A counter or a courier has scanned a code. The same place again changes nothing."""
    return_id = await sending.hand_in(tx, data.code, data.where, at_point=data.at_point)
    return Answer((await sending.ways_of(tx, [return_id]))[return_id])


@put("/api/v1/return-points", scope="settings", status=204, tags=TAGS)
async def save_point(tx: Tx, data: PointRequest) -> Answer[None]:
    """Add a point where parcels are handed in, or change one."""
    await sending.save_point(tx, Point(**msgspec.structs.asdict(data)))
    return Answer(None)


@put("/api/v1/return-windows", scope="settings", status=204, tags=TAGS)
async def set_window(tx: Tx, data: WindowRequest) -> Answer[None]:
    """Hours in which parcels are picked up, and how many a day."""
    await sending.set_window(
        tx,
        Window(
            market=data.market,
            from_hour=data.from_hour,
            until_hour=min(24, data.from_hour + data.hours),
            most=data.most,
        ),
    )
    return Answer(None)


@put("/api/v1/return-ways", scope="settings", status=204, tags=TAGS)
async def set_way(tx: Tx, data: WayRequest) -> Answer[None]:
    """Open or close a way back in a market; what it costs the buyer on top of the policy."""
    await sending.set_way_offer(tx, WayOffer(**msgspec.structs.asdict(data)))
    return Answer(None)


@get("/api/v1/trial-rules", tags=TAGS)
async def list_trial_rules(tx: Tx) -> Answer[list[TrialRule]]:
    """What may be tried before it is bought. An order does so by the claim ``trial``."""
    return Answer(await trials.trial_rules(tx))


@put("/api/v1/trial-rules", scope="settings", status=204, tags=TAGS)
async def set_trial_rule(tx: Tx, data: TrialRuleRequest) -> Answer[None]:
    """What may be tried in a market or in a category of it, for how long, up to which worth."""
    await trials.set_trial_rule(tx, TrialRule(**msgspec.structs.asdict(data)))
    return Answer(None)


@get("/api/v1/orders/{order_id:uuid}/trial", tags=TAGS)
async def see_trial(call: Call, tx: Tx, order_id: UUID) -> Answer[Trial]:
    """How the trial of an order stands."""
    await orders.order(tx, order_id=order_id, person_id=_only(call))
    found = await trials.trials_of(tx, [order_id])
    if order_id not in found:
        raise NotFound(what="trial")
    return Answer(found[order_id])


@post("/api/v1/orders/{order_id:uuid}/cancel-waiting", tags=("Orders",))
async def cancel_waiting(call: Call, tx: Tx, order_id: UUID) -> Answer[dict[str, int]]:
    """Cancel what of an order is not here yet; what goes back, in minor units."""
    refund = await orders.cancel_backorders(tx, order_id, person_id=_only(call))
    return Answer({"refund_minor": refund})


def _only(call: Call) -> UUID | None:
    """The person whose orders this caller may touch; None is everybody's (staff)."""
    return None if call.caller.may(READ) else call.caller.person()
