"""Big days in the shop: the calendar, an event with its deals, the queue, deposits. What is open is
the server's to say; the page's seconds are for the eye."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront.checkout import CheckoutForm, payment_choices
from pinwheel.faces.storefront.deal_goods import DealGoods, deal_goods
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.showing import first_picture
from pinwheel.growth import bigdays
from pinwheel.growth.bigdays import BigDay, EventDeal
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal, Unauthenticated
from pinwheel.kernel.web import Answer, Call, Cookie, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders, payments, promotions

EVENT, QUEUE = "storefront/bigday.html", "storefront/bigday_queue.html"
DEPOSIT = "storefront/bigday_deposit.html"
TICKET = "ticket"


@get("/days")
async def see_days(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """What is on and what is to come, in this market."""
    market = market_of(call, await frame_of(call.db))
    found = await bigdays.calendar(tx, market=market.code, shown_only=True)
    return Answer(
        {
            "days": [_head(call, tx, one) for one in reversed(found)],
            "title": call.say("Big days"),
        },
        page="storefront/bigdays.html",
    )


def _head(call: Call, tx: Tx, event: BigDay) -> dict[str, Any]:
    return {
        "id": event.id,
        "name": said(event.name, call.language),
        "phase": event.phase(tx.now),
        "preheat_at": event.preheat_at,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "queue_on": event.queue_on,
        "members": bool(event.segment),
        "now": tx.now,
    }


async def _shown_event(tx: Tx, event_id: UUID) -> BigDay:
    event = await bigdays.event(tx, event_id)
    if event.phase(tx.now) == "draft":
        raise NotFound(what="event")
    return event


@get("/days/{event_id:uuid}")
async def see_day(call: Call, tx: Tx, event_id: UUID) -> Answer[dict[str, Any]]:
    """An event: its slots, its deals with what is sold and left, one's own deposits."""
    event = await _shown_event(tx, event_id)
    frame = await frame_of(call.db)
    person_id = call.caller.person_id
    deals = await bigdays.deals(tx, event_id)
    goods = await deal_goods(tx, [d.offer_id for d in deals], event.currency)
    standing = {d.promotion.id: d for d in await promotions.deals(tx, ahead_seconds=60 * 86_400)}
    mine: dict[UUID, bigdays.Deposit] = {}
    places: dict[UUID, promotions.Place] = {}
    place = None
    if person_id is not None:
        found = await bigdays.deposits_of(tx, person_id, event_id)
        mine = {d.promotion_id: d for d in reversed(found)}
        places = await promotions.places(tx, person_id, [d.promotion_id for d in deals])
        place = await bigdays.place_of(tx, event_id, person_id)
    is_for_you = True
    try:
        await bigdays.check_person(tx, event, person_id)
    except bigdays.NotForYou:
        is_for_you = False
    held_out = bigdays.is_held_out(event.id, person_id, event.holdout_percent)
    admitted = place is not None and place.state == "admitted" and (place.until or tx.now) > tx.now
    slots = [
        {
            "name": said(s.name, call.language),
            "starts_at": s.starts_at,
            "ends_at": s.ends_at,
            "phase": "planned" if tx.now < s.starts_at else "over" if tx.now >= s.ends_at else "on",
            "deals": [
                _deal(call, tx, frame, d, goods[d.offer_id], standing, mine, places)
                for d in deals
                if d.slot_id == s.id and d.offer_id in goods
            ],
        }
        for s in await bigdays.slots(tx, event_id)
    ]
    return Answer(
        {
            "day": _head(call, tx, event),
            "slots": [] if held_out else slots,
            "is_for_you": is_for_you and not held_out,
            "admitted": admitted,
            "may_buy": not event.queue_on or admitted,
            "currency": event.currency,
            "turn_minutes": promotions.TURN_SECONDS // 60,
            "title": said(event.name, call.language),
        },
        page=EVENT,
    )


def _deal(
    call: Call,
    tx: Tx,
    frame: Frame,
    deal: EventDeal,
    goods: DealGoods,
    standing: dict[UUID, promotions.Deal],
    mine: dict[UUID, bigdays.Deposit],
    places: dict[UUID, promotions.Place],
) -> dict[str, Any]:
    url, _, shape = first_picture(goods.media, call.language, goods.options.get("colour", ""))
    found = standing.get(deal.promotion_id)
    deposit = mine.get(deal.promotion_id)
    place = places.get(deal.promotion_id)
    return {
        "id": deal.promotion_id,
        "path": f"/p/{goods.slug}",
        "title": said(goods.title, call.language),
        "image_url": url,
        "shape": shape or "object",
        "price_minor": deal.price_minor,
        "was_minor": goods.price_minor,
        "pieces": deal.pieces,
        "sold": found.sold if found else 0,
        "left": found.left if found else 0,
        "waiting": found.waiting if found else 0,
        "phase": found.promotion.phase(tx.now) if found else "over",
        "deposit_minor": deal.deposit_minor,
        "takes_deposit": deal.balance_from is not None and tx.now < deal.balance_from,
        "balance_from": deal.balance_from,
        "balance_until": deal.balance_until,
        "deposit": deposit,
        "due": deposit is not None
        and deposit.state == "held"
        and deposit.balance_from <= tx.now < deposit.balance_until,
        "place": place if place is not None and place.state in ("waiting", "called") else None,
    }


@post(
    "/days/{event_id:uuid}/remind",
    again="/days/{event_id:uuid}",
    limits=(("remind", Limit(20, 10)),),
)
async def remind(call: Call, tx: Tx, event_id: UUID) -> See[None]:
    """Be told when it begins."""
    await bigdays.remind(tx, event_id, await _member(call))
    return See(f"/days/{event_id}?reminded=1")


async def _member(call: Call) -> UUID:
    """A letter, a place and a deposit are for an account."""
    if not call.caller.is_known or call.caller.person_id is None:
        raise Unauthenticated()
    return call.caller.person_id


# --- the queue


@get("/days/{event_id:uuid}/queue")
async def see_queue(call: Call, db: Database, event_id: UUID) -> Answer[dict[str, Any]]:
    """Where one stands. It asks again by itself, with or without JavaScript."""
    room = bigdays.room_of(db)
    event = await room.event(event_id)
    ticket, error = None, None
    token = call.cookies.get(TICKET, "")
    if token:
        try:
            ticket = await room.look(token, call.caller.person_id)
            if ticket.event_id != event_id:
                ticket = None
        except bigdays.BadTicket as refusal:
            error = refusal.sentence(call.language)
    return Answer(
        {
            "day": {
                "id": event.id,
                "name": said(event.name, call.language),
                "starts_at": event.starts_at,
                "phase": event.phase(db.clock.now()),
                "queue_on": event.queue_on,
                "rate": event.admit_per_minute,
            },
            "ticket": ticket,
            "signed_in": call.caller.is_known,
            "error": error,
            "title": call.say("Queue"),
            "robots": "noindex",
        },
        page=QUEUE,
    )


@post(
    "/days/{event_id:uuid}/queue", again="/days/{event_id:uuid}", limits=(("queue", Limit(20, 3)),)
)
async def join_queue(call: Call, db: Database, event_id: UUID) -> See[bigdays.Ticket]:
    """Take a place; who has one keeps it."""
    ticket = await bigdays.room_of(db).arrive(event_id, await _member(call))
    return See(f"/days/{event_id}/queue", ticket, cookies=(_kept(ticket.token),))


def _kept(token: str | None) -> Cookie:

    return Cookie(TICKET, token, 86_400) if token else Cookie(TICKET, None)


@post("/days/{event_id:uuid}/queue/leave", again="/days/{event_id:uuid}")
async def leave_queue(call: Call, tx: Tx, event_id: UUID) -> See[None]:
    if call.caller.person_id is not None:
        await bigdays.leave(tx, event_id, call.caller.person_id)
    return See(f"/days/{event_id}", cookies=(_kept(None),))


# --- deposits


class PayForm(msgspec.Struct):
    payment: Annotated[str, msgspec.Meta(max_length=80)] = ""


@get("/days/{event_id:uuid}/deposit/{promotion_id:uuid}")
async def see_deposit(
    call: Call, db: Database, event_id: UUID, promotion_id: UUID
) -> Answer[dict[str, Any]]:
    """The steps of a deposit, its terms, and how to pay it."""
    return Answer(await _deposit_page(call, db, event_id, promotion_id), page=DEPOSIT)


@post(
    "/days/{event_id:uuid}/deposit/{promotion_id:uuid}",
    again="/days/{event_id:uuid}/deposit/{promotion_id:uuid}",
    limits=(("deposit", Limit(20, 30)),),
)
async def pay_deposit(
    call: Call, db: Database, event_id: UUID, promotion_id: UUID, data: PayForm
) -> Answer[dict[str, Any]] | See[bigdays.Kept]:
    """Keep a piece and pay its deposit."""
    person_id = await _member(call)
    form = CheckoutForm(payment=data.payment)
    tender = form.tender()
    method_id = form.stored_method()
    if method_id is not None:
        async with db.reading() as tx:
            kept = await payments.method_of(tx, person_id, method_id)
        if kept is not None:
            tender = orders.Tender(kept.provider, kept.token)
    if tender is None:
        more = await _deposit_page(call, db, event_id, promotion_id)
        return Answer({**more, "error": call.say("Choose how to pay.")}, page=DEPOSIT, status=422)
    new = bigdays.NewDeposit(
        promotion_id=promotion_id,
        person_id=person_id,
        provider=tender.provider,
        method=tender.method,
        return_url=f"/days/{event_id}",
    )
    try:
        done = await bigdays.pay_deposit(db, new, actor=call.caller.actor)
    except Refusal as refusal:
        if refusal.status >= 500 or not call.wants_page:
            raise
        more = await _deposit_page(call, db, event_id, promotion_id)
        return Answer(
            {**more, "error": refusal.sentence(call.language)},
            page=DEPOSIT,
            status=refusal.status,
        )
    return See(done.action_url or f"/days/{event_id}", done)


async def _deposit_page(
    call: Call, db: Database, event_id: UUID, promotion_id: UUID
) -> dict[str, Any]:
    frame = await frame_of(db)
    kept: list[payments.Method] = []
    async with db.reading() as tx:
        event = await _shown_event(tx, event_id)
        deal = next(
            (d for d in await bigdays.deals(tx, event_id) if d.promotion_id == promotion_id), None
        )
        if deal is None or deal.deposit_minor is None:
            raise NotFound(what="pre-sale")
        goods = await deal_goods(tx, [deal.offer_id], event.currency)
        if deal.offer_id not in goods:
            raise NotFound(what="pre-sale")
        left = (await promotions.deal(tx, promotion_id)).left
        if call.caller.is_known and call.caller.person_id is not None:
            kept = await payments.methods_of(tx, call.caller.person_id)
        shown = _deal(call, tx, frame, deal, goods[deal.offer_id], {}, {}, {})
        head = _head(call, tx, event)
    policy = bigdays.POLICY[deal.deposit_policy or "until_balance"]
    return {
        "day": head,
        "deal": shown | {"left": left},
        "rest_minor": deal.price_minor - deal.deposit_minor,
        "currency": event.currency,
        "policy": said(policy, call.language),
        "payments": payment_choices(
            call, CheckoutForm(), kept, "sandbox" in payments.providers_of(db)
        ),
        "signed_in": call.caller.is_known,
        "title": call.say("Deposit"),
        "robots": "noindex",
    }


@post("/days/{event_id:uuid}/deposit/{deposit_id:uuid}/cancel", again="/days/{event_id:uuid}")
async def cancel_deposit(call: Call, tx: Tx, event_id: UUID, deposit_id: UUID) -> See[None]:
    """Take it back, while the terms allow."""
    await bigdays.cancel(tx, deposit_id, await _member(call))
    return See(f"/days/{event_id}")
