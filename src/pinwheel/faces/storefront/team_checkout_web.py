"""The checkout of a seat in a team: the same page as the cart's, with a claim."""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import team_queries
from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import STATES, CheckoutForm, faults, payment_choices
from pinwheel.faces.storefront.checkout_web import address_choice, address_of, ways_of_delivery
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.order_view import country_name
from pinwheel.faces.storefront.team_queries import Thing
from pinwheel.faces.storefront.team_view import initials_of, thing_of, what_if_it_fails
from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders, payments, pricing

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
        told = call.say("Something is missing. Please look at the marked fields.")
        more = await _page(call, db, data)
        return Answer({**more, "errors": wrong, "error": told}, page=PAGE, status=422)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        seat = await _seat(tx, data)
        initials = await _initials(tx, person_id, data) if data.shows_initial else None
        await social.come_to_team(tx, seat.claim.id, person_id, initials=initials)
    key = data.key or secrets.token_urlsafe(12)
    device, cookies = device_of(call)
    try:
        bought = await orders.order_cart(
            db, call.caller, person_id, _wish(data, seat, market.code, key, device)
        )
    except Refusal as refusal:
        if refusal.status >= 500:
            raise
        return await _again(call, db, data, refusal)
    return See(bought.action_url or f"/teams/placed?key={key}", bought, cookies=cookies)


def _wish(form: SeatForm, seat: Seat, market: str, key: str, device: str) -> orders.Wish:
    tender = form.tender()
    return orders.Wish(
        market=market,
        quote=form.quote,
        key=key,
        delivery=form.delivery or None,
        address_id=form.stored_address(),
        ship_to=None if form.stored_address() else form.ship_to(),
        email=form.email.strip(),
        tenders=(tender,) if tender else (),
        method_id=form.stored_method(),
        return_url=f"/teams/placed?key={key}",
        items=(orders.Item(seat.thing.offer_id, form.quantity),),
        claims=(seat.claim,),
        device=device,
    )


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
    sentence = refusal.sentence(call.language)
    told = {"quote_changes": [sentence]} if isinstance(refusal, orders.StaleQuote) else {}
    error = None if told else more.get("error") or sentence
    return Answer({**more, **told, "error": error}, page=PAGE, status=refusal.status)


async def _page(call: Call, db: Database, form: SeatForm, *, fresh: bool = False) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = call.caller.person_id
    device, _ = device_of(call)
    addresses: list[identity.Address] = []
    kept: list[payments.Method] = []
    async with db.reading() as tx:
        seat = await _seat(tx, form)
        if person_id is not None and call.caller.is_known:
            every = await identity.addresses_of(tx, person_id)
            addresses = [a for a in every if a.country in market.countries]
            kept = await payments.methods_of(tx, person_id)
        chosen = address_of(form, addresses, first=fresh and not form.name)
        country = chosen.country if chosen else form.country or market.countries[0]
        region = chosen.region if chosen else form.region
        form = msgspec.structs.replace(form, country=country)
        options = [o.code for o in frame.deliveries.get(market.code, [])] or [""]
        answers = await _quotes(tx, form, seat, person_id, market, country, region, options, device)
    quotes = {a.delivery: a for a in answers if isinstance(a, orders.Quote)}
    refusal = next((a for a in answers if isinstance(a, Refusal)), None)
    way = form.delivery if form.delivery in quotes else next(iter(quotes), "")
    key = secrets.token_urlsafe(12) if fresh or not form.key else form.key
    campaign = seat.campaign
    return {
        "cart": _shown(call, frame, seat, form.quantity, quotes.get(way), market.currency),
        "form": msgspec.structs.asdict(form),
        "errors": {},
        "countries": [(c, country_name(c, call.language)) for c in market.countries],
        "states": [("", call.say("Choose …")), *((s, s) for s in STATES)]
        if "US" in market.countries
        else None,
        "addresses": [address_choice(a, chosen) for a in addresses],
        "other_address": chosen is None,
        "deliveries": ways_of_delivery(call, frame, market, quotes, way),
        "payments": payment_choices(call, form, kept, "sandbox" in payments.providers_of(db)),
        "quotes": [f"{code}={quote.token}" for code, quote in quotes.items()],
        "key": key,
        "error": refusal.sentence(call.language) if refusal and not quotes else None,
        "checkout_path": PATH,
        "back": seat.back,
        "opens": not form.team,
        "again": urlencode({"team": form.team} if form.team else {}),
        "most": campaign.pieces_per_member,
        "fails": what_if_it_fails(call, campaign.policy, campaign.fill_from),
        "captures_at_once": campaign.captures_at_once,
        "title": call.say("Checkout"),
        "robots": "noindex",
    }


async def _quotes(
    tx: Tx,
    form: SeatForm,
    seat: Seat,
    person_id: UUID | None,
    market: pricing.Market,
    country: str,
    region: str,
    options: list[str],
    device: str,
) -> list[orders.Quote | Refusal]:
    """What the seat would cost with each way of delivery: one walk for all of them."""
    drafts = [
        orders.Draft(
            id=tx.new_id(),
            items=[orders.Item(seat.thing.offer_id, form.quantity)],
            market=market.code,
            country=country,
            region=region,
            person_id=person_id,
            delivery=option or None,
            claims=[seat.claim],
            device=device,
        )
        for option in options
    ]
    found: list[orders.Quote | Refusal] = await tx.db.given[orders.Buying].checkout.quote(
        tx, drafts
    )
    return found


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
