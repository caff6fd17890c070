"""The checkout of a seat in a team: the same page as the cart's, with a claim."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import team_queries
from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import CheckoutForm, faults
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.ordering import (
    buyer_of,
    claim_drafts,
    form_fields,
    missing,
    quotes_of,
    refused,
    way_of,
    wish_of,
)
from pinwheel.faces.storefront.team_queries import Thing
from pinwheel.faces.storefront.team_view import initials_of, thing_of, what_if_it_fails
from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders

PAGE, SUM = "storefront/team_checkout.html", "storefront/_checkout_sum.html"
PATH = "/teams/checkout"


class SeatForm(CheckoutForm):
    """The checkout's form, and which seat: that of ``team``, else a new team of ``campaign``."""

    team: Annotated[str, msgspec.Meta(max_length=64)] = ""
    campaign: UUID | None = None
    offer: UUID | None = None
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    shows_initial: bool = False


class Seat(msgspec.Struct, frozen=True):
    """What is claimed."""

    claim: orders.Claim
    campaign: social.TeamCampaign
    thing: Thing
    back: str


async def _seat(tx: Tx, form: SeatForm) -> Seat:
    """The seat the form asks for; ``NotFound``."""
    if form.team:
        team = await social.team_seen(tx, form.team)
        campaign, offer_id = team.campaign, team.offer_id
        claim, back = orders.Claim("team", team.team_id), f"/team/{team.token}"
    elif form.campaign is not None and form.offer is not None:
        campaign, _ = await social.team_campaign(tx, form.campaign)
        offer_id, claim, back = form.offer, orders.Claim("team_open", campaign.id), ""
    else:
        raise NotFound(what="team")
    seen = await team_queries.things(tx, [offer_id], campaign.currency)
    if offer_id not in seen:
        raise NotFound(what="team")
    return Seat(claim, campaign, seen[offer_id], back or f"/p/{seen[offer_id].slug}#teams")


@get(PATH)
async def see_checkout(
    call: Call,
    db: Database,
    team: str = "",
    campaign: UUID | None = None,
    offer: UUID | None = None,
) -> Answer[dict[str, Any]] | See[None]:
    """Address, delivery and payment for a seat, with what happens if the team is not completed."""
    form = SeatForm(team=team[:64], campaign=campaign, offer=offer)
    if call.caller.person_id is None:
        async with db.reading() as tx:
            return See((await _seat(tx, form)).back)
    _, cookies = device_of(call)
    return Answer(await _page(call, db, form, fresh=True), page=PAGE, cookies=cookies)


@post(f"{PATH}/quote")
async def quote_again(call: Call, db: Database, data: SeatForm) -> Answer[dict[str, Any]]:
    """The sums for what is filled in so far."""
    return Answer(await _page(call, db, data), page=PAGE, part=SUM)


@post(PATH, limits=(("checkout", Limit(30, 10)),))
async def place(
    call: Call, db: Database, data: SeatForm
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Take the seat and pay, at the figures that were shown."""
    person_id = call.caller.person_id
    market = market_of(call, await frame_of(db))
    if person_id is None:
        return See("/cart")
    wrong = faults(call, data, market)
    if wrong:
        more = await _page(call, db, data) | missing(call, wrong)
        return Answer(more, page=PAGE, status=422)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        seat = await _seat(tx, data)
        initials = await _initials(tx, person_id, data) if data.shows_initial else None
        await social.come_to_team(tx, seat.claim.id, person_id, initials=initials)
    device, cookies = device_of(call)
    item = orders.Item(seat.thing.offer_id, data.quantity)
    wish = wish_of(data, market.code, device, item=item, claim=seat.claim, placed="/teams/placed")
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500:
            raise
        return await _again(call, db, data, refusal)
    return See(bought.action_url or wish.return_url, bought, cookies=cookies)


async def _initials(tx: Tx, person_id: UUID, form: SeatForm) -> str | None:
    if form.name.strip():
        return initials_of(form.name)
    chosen = form.stored_address()
    address = await identity.address_of(tx, person_id, chosen) if chosen else None
    return initials_of(address.recipient_name) if address else None


async def _again(
    call: Call, db: Database, form: SeatForm, refusal: Refusal
) -> Answer[dict[str, Any]]:
    """The page once more, with the new figures or with what to do."""
    more = await _page(call, db, form, fresh=True)
    told = refused(call, refusal)
    error = told["error"] and (more["error"] or told["error"])
    return Answer({**more, **told, "error": error}, page=PAGE, status=refusal.status)


async def _page(call: Call, db: Database, form: SeatForm, *, fresh: bool = False) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = call.caller.person_id
    device, _ = device_of(call)
    async with db.reading() as tx:
        seat = await _seat(tx, form)
        buyer = await buyer_of(tx, call, form, market, fresh=fresh)
        drafts = claim_drafts(
            tx,
            buyer,
            frame,
            market,
            item=orders.Item(seat.thing.offer_id, form.quantity),
            claim=seat.claim,
            person_id=person_id,
            device=device,
        )
        quotes, refusal = await quotes_of(tx, drafts)
    quote = quotes.get(way_of(buyer.form, quotes))
    campaign = seat.campaign
    return {
        "cart": _shown(call, frame, seat, form.quantity, quote, market.currency),
        **form_fields(call, db, frame, market, buyer, quotes, fresh=fresh),
        "error": refusal.sentence(call.language) if refusal else None,
        "checkout_path": PATH,
        "back": seat.back,
        "opens": not form.team,
        "again": urlencode({"team": form.team} if form.team else {}),
        "most": campaign.pieces_per_member,
        "fails": what_if_it_fails(call, campaign.policy, campaign.fill_from),
        "captures_at_once": campaign.captures_at_once,
        "title": call.say("Checkout"),
    }


def _shown(
    call: Call,
    frame: Frame,
    seat: Seat,
    quantity: int,
    quote: orders.Quote | None,
    currency: str,
) -> dict[str, Any]:
    """The one line as the sum shows it."""
    price = quote.lines[0].unit_price_minor if quote else seat.thing.price_minor or 0
    line = thing_of(call, frame, seat.thing) | {
        "id": seat.thing.offer_id,
        "quantity": quantity,
        "buyable": quantity,
        "price_minor": price,
        "total_minor": price * quantity,
    }
    return {"lines": [line], "orderable": quote is not None, **sums(call, quote, currency)}


@get("/teams/placed")
async def placed(call: Call, tx: Tx, key: str = "") -> See[None]:
    """From a payment to the team's own page."""
    person_id = call.caller.person_id
    if person_id is None:
        raise NotFound(what="order")
    known = await orders.known_order(tx, f"cart:{person_id}", key[:100])
    if known is None:
        raise NotFound(what="order")
    token = await social.team_of_order(tx, known.id, person_id=person_id)
    if token is None or known.state == "cancelled":
        return See(f"/checkout/placed?{urlencode({'key': key[:100]})}")
    return See(f"/team/{token}")
