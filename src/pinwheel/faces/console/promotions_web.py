"""Promotions in the console: what runs, what it costs, and the editor with its preview."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import segment_choices
from pinwheel.faces.console.frame import attempt, shown, with_query
from pinwheel.faces.console.moments import zone_of
from pinwheel.faces.console.offer_queries import offer_skus, offers_of_skus
from pinwheel.faces.console.promotion_form import KINDS, SELLER, PromotionForm, form_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import budgets, catalogue, pricing, promotions
from pinwheel.trade.promotions import Promotion, Tried

SCOPE = "promotions"
HERE = "/console/promotions"
DAYS = 28


@get(HERE, scope=SCOPE)
async def promotion_list(
    call: Call, tx: Tx, state: Annotated[str, Meta(max_length=20)] = "", after: str | None = None
) -> Answer[Page[Promotion]]:
    """Every promotion with its uses and what it took off."""
    found = await promotions.promotions(tx, state=state or None, cursor=after)
    effects: dict[UUID, list[promotions.Effect]] = {}
    for effect in await promotions.effects(tx, [p.id for p in found.items]):
        effects.setdefault(effect.promotion_id, []).append(effect)
    return await shown(
        call,
        tx,
        found,
        "promotions",
        call.say("Promotions"),
        "promotions",
        effects=effects,
        left=await promotions.rooms(tx, found.items),
        state=state,
        kinds=dict(KINDS),
        next_path=with_query(HERE, state=state, after=found.next) if found.next else None,
    )


@get(f"{HERE}/new", scope=SCOPE)
async def new_promotion(call: Call, tx: Tx, kind: str = "") -> Answer[Any]:
    """An empty editor for one kind; without a kind, the choice of kinds."""
    known = dict(KINDS)
    form = PromotionForm(kind=kind if kind in known else "")
    if kind in ("amount", "percentage"):
        form.level = "line"
    return await _editor(call, tx, form, None)


@get(f"{HERE}/{{promotion_id:uuid}}", scope=SCOPE)
async def see_promotion(call: Call, tx: Tx, promotion_id: UUID) -> Answer[Any]:
    """One promotion: its editor, its uses, its codes."""
    found = await promotions.promotion(tx, promotion_id)
    scope = found.terms.scope
    offers = [*scope.offers, *scope.not_offers]
    if isinstance(found.terms.kind, promotions.Bundle):
        offers += [o for part in found.terms.kind.parts for o in part.offers]
    return await _editor(
        call, tx, form_of(found, await offer_skus(tx, offers), zone_of(call)), found
    )


async def _editor(
    call: Call,
    tx: Tx,
    form: PromotionForm,
    found: Promotion | None,
    *,
    tried: Tried | None = None,
    told: Refusal | None = None,
) -> Answer[Any]:
    markets = await pricing.markets(tx)
    more: dict[str, Any] = {}
    if found is not None:
        more = {
            "effects": await promotions.effects(tx, [found.id]),
            "left": (await promotions.rooms(tx, [found])).get(found.id),
            "batches": await promotions.batches(tx, found.id),
            "phase": found.phase(tx.now),
        }
    if told is not None:
        more["error"] = told.sentence(call.language)
    name = ""
    if found is not None:
        name = said(found.name, call.language)
    return await shown(
        call,
        tx,
        found if found is not None else form,
        "promotion",
        name or call.say("New promotion"),
        "promotions",
        status=told.status if told is not None else 200,
        form=form,
        promotion=found,
        kinds=KINDS,
        markets=list(markets.values()),
        currencies=sorted({m.currency for m in markets.values()}),
        categories=await catalogue.categories(tx),
        payers=[("", "–"), (SELLER, call.say("the seller"))]
        + [(str(b.id), f"{b.name} · {b.currency}") for b in await budgets.budgets(tx)],
        segments=await segment_choices(call, tx),
        tried=tried,
        days=DAYS,
        **more,
    )


@post(f"{HERE}/preview", scope=SCOPE)
async def preview(
    call: Call, db: Database, data: PromotionForm, promotion_id: str = ""
) -> Answer[Any]:
    """What it would have done to the orders of the last days; nothing is saved."""
    async with db.reading(actor=call.caller.actor) as tx:
        found = await _known(tx, promotion_id)
        try:
            new = data.new(await offers_of_skus(tx, data.wanted_skus()), None, zone_of(call))
            if not new.name:  # it may be given later
                new = msgspec.structs.replace(new, name={"en": call.say("New promotion")})
            currency = data.currency or _first_currency(await pricing.markets(tx))
            tried = await promotions.dry_run(tx, new, currency=currency, days=DAYS)
        except Refusal as refusal:
            return await _editor(call, tx, data, found, told=refusal)
        return await _editor(call, tx, data, found, tried=tried)


async def _known(tx: Tx, promotion_id: str) -> Promotion | None:
    try:
        return await promotions.promotion(tx, UUID(promotion_id)) if promotion_id else None
    except ValueError:
        return None


def _first_currency(markets: dict[str, pricing.Market]) -> str:
    return next((m.currency for m in markets.values() if m.active), "CNY")


@post(HERE, scope=SCOPE)
async def make_promotion(call: Call, db: Database, data: PromotionForm) -> Any:
    """Save a new draft."""
    return await _save(call, db, data, None)


@post(f"{HERE}/{{promotion_id:uuid}}", scope=SCOPE)
async def change_promotion(
    call: Call, db: Database, promotion_id: UUID, data: PromotionForm
) -> Any:
    """Change it; carts that agreed to other figures are asked again."""
    return await _save(call, db, data, promotion_id)


async def _save(
    call: Call, db: Database, data: PromotionForm, promotion_id: UUID | None
) -> Answer[Any] | See[Any]:
    async def verb(tx: Tx) -> Promotion:
        new = data.new(await offers_of_skus(tx, data.wanted_skus()), promotion_id, zone_of(call))
        return await promotions.save(tx, new)

    try:
        saved = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    except Refusal as refusal:
        if not call.wants_page or refusal.status in (401, 403):
            raise
        async with db.reading() as tx:
            found = await promotions.promotion(tx, promotion_id) if promotion_id else None
            return await _editor(call, tx, data, found, told=refusal)
    data_back = None if call.wants_page else msgspec.to_builtins(saved, enc_hook=str)
    return See(f"{HERE}/{saved.id}", data_back)


@post(f"{HERE}/{{promotion_id:uuid}}/start", scope=SCOPE)
async def start(call: Call, db: Database, promotion_id: UUID) -> See[Any]:
    """It holds from its start on."""

    async def verb(tx: Tx) -> Promotion:
        return await promotions.start(tx, promotion_id)

    return await attempt(call, db, verb, f"{HERE}/{promotion_id}", call.say("Started."))


@post(f"{HERE}/{{promotion_id:uuid}}/stop", scope=SCOPE)
async def stop(call: Call, db: Database, promotion_id: UUID) -> See[Any]:
    """It ends now."""

    async def verb(tx: Tx) -> Promotion:
        return await promotions.stop(tx, promotion_id)

    return await attempt(call, db, verb, f"{HERE}/{promotion_id}", call.say("Stopped."))
