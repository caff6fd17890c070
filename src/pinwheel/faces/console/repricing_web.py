"""Prices that follow competitors: what was seen, within which bounds, what was proposed."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, refused, shown, with_query
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, pricing
from pinwheel.trade.pricing import Decided, Following, Proposal, Repricing, SeenLine

SCOPE = "prices"
PATH = "/console/repricing"
TRIED_MOST = 100
SKUS_MOST = 20_000
Text = Annotated[str, Meta(max_length=200)]
Long = Annotated[str, Meta(max_length=SKUS_MOST)]
Small = Annotated[str, Meta(max_length=20)]
Currency = Annotated[str, Meta(pattern="^([A-Z]{3})?$")]
Percent = Annotated[float, Meta(ge=0, le=100)]


async def _articles(tx: Tx, offer_ids: set[UUID]) -> dict[UUID, orders.Article]:
    found = await orders.articles(tx, offer_ids=sorted(offer_ids)) if offer_ids else []
    return {a.offer_id: a for a in found}


async def _currencies(tx: Tx) -> list[str]:
    return sorted({m.currency for m in (await pricing.markets(tx)).values() if m.active})


class Desk(msgspec.Struct, frozen=True):
    """The ways of following, what waits for a person, and what was decided last."""

    followings: list[Following]
    asked: Page[Decided]
    decided: list[Decided]


@get(PATH, scope=SCOPE)
async def repricing_page(call: Call, tx: Tx, after: str | None = None) -> Answer[Desk]:
    """Who follows whom, proposals that wait, and the latest changes with who and why."""
    found = Desk(
        await pricing.followings(tx),
        await pricing.decided(tx, waiting=True, cursor=after),
        (await pricing.decided(tx, waiting=False, limit=20)).items,
    )
    lines = [*found.asked.items, *found.decided]
    actors = {f.changed_by for f in found.followings} | {d.decided_by or "" for d in found.decided}
    more = found.asked.next
    return await shown(
        call,
        tx,
        found,
        "repricings",
        call.say("Prices that follow competitors"),
        "repricing",
        articles=await _articles(tx, {p.offer_id for p in lines}),
        currency=call.app.state["edge"].settings.currency,
        currencies=await _currencies(tx),
        names=await names_of(tx, actors - {""}),
        next_path=with_query(PATH, after=more) if more else None,
        first_path=PATH if after else None,
    )


class RepricingForm(msgspec.Struct):
    """``skus``: none follows every article that a competitor's price was seen of. ``by``: how much
    less than the competitor."""

    name: Text
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    kind: Literal["match", "undercut"] = "match"
    by: Small = ""
    skus: Long = ""
    max_age_hours: Annotated[int, Meta(ge=1, le=8760)] = 48
    publish_within: Percent = 0.0
    most_change: Annotated[float, Meta(ge=0.01, le=100)] = 20.0


async def _saved(tx: Tx, data: RepricingForm, repricing_id: UUID, *, active: bool) -> UUID:
    skus = data.skus.replace(",", " ").split()
    found = await orders.articles(tx, skus=skus) if skus else []
    missing = sorted(set(skus) - {a.sku for a in found})
    if missing:
        raise Invalid("skus", f"not sold here: {missing[0]}", f"未找到商品：{missing[0]}")
    by_minor = minor_of(data.by, data.currency, "by") if data.by.strip() else 0
    if data.kind == "undercut" and by_minor <= 0:
        raise Invalid("by", "say by how much to undercut", "请填写低于竞品的金额")
    await pricing.save_repricing(
        tx,
        Repricing(
            id=repricing_id,
            name=data.name,
            currency=data.currency,
            offers=[a.offer_id for a in found],
            kind=data.kind,
            by_minor=by_minor if data.kind == "undercut" else 0,
            max_age_hours=data.max_age_hours,
            publish_within_basis_points=round(data.publish_within * 100),
            most_change_basis_points=round(data.most_change * 100),
            is_active=active,
        ),
    )
    return repricing_id


@post(PATH, scope=SCOPE)
async def make_repricing(call: Call, db: Database, data: RepricingForm) -> See[Any]:
    """A new way of following, off: what it would do is looked at first."""

    async def verb(tx: Tx) -> UUID:
        return await _saved(tx, data, tx.new_id(), active=False)

    return await attempt(
        call,
        db,
        verb,
        PATH,
        call.say("Saved, and off. Look at what it would do, then switch it on."),
        ahead=lambda repricing_id: f"{PATH}/{repricing_id}",
    )


class RepricingSight(msgspec.Struct, frozen=True):
    """One way of following; ``would``: what it would propose this minute."""

    repricing: Repricing
    would: list[Proposal]
    decided: Page[Decided]


@get(PATH + "/{repricing_id:uuid}", scope=SCOPE)
async def one_page(
    call: Call, tx: Tx, repricing_id: UUID, after: str | None = None
) -> Answer[RepricingSight]:
    """Its bounds, what it would do now, and what became of its proposals."""
    one = await pricing.repricing_of(tx, repricing_id)
    would = (await pricing.would_propose(tx, one))[:TRIED_MOST]
    past = await pricing.decided(tx, waiting=False, repricing_id=repricing_id, cursor=after)
    shown_ids = {p.offer_id for p in would} | {p.offer_id for p in past.items}
    known = await _articles(tx, shown_ids | set(one.offers))
    skus = " ".join(known[i].sku for i in one.offers if i in known)
    line = next((f for f in await pricing.followings(tx) if f.id == repricing_id), None)
    here = f"{PATH}/{repricing_id}"
    actors = {d.decided_by or "" for d in past.items} | {line.changed_by if line else ""}
    return await shown(
        call,
        tx,
        RepricingSight(one, would, past),
        "repricing",
        one.name,
        "repricing",
        articles=known,
        line=line,
        skus=skus,
        plain=plain_of(one.by_minor, one.currency) if one.by_minor else "",
        is_whole=len(skus) <= SKUS_MOST,
        names=await names_of(tx, actors - {""}),
        next_path=with_query(here, after=past.next) if past.next else None,
        first_path=here if after else None,
    )


@post(PATH + "/{repricing_id:uuid}", scope=SCOPE)
async def edit_repricing(
    call: Call, db: Database, repricing_id: UUID, data: RepricingForm
) -> See[Any]:
    """Other bounds from the next look on; on or off stays as it is."""

    async def verb(tx: Tx) -> UUID:
        stands = await pricing.repricing_of(tx, repricing_id)
        return await _saved(tx, data, repricing_id, active=stands.is_active)

    return await attempt(call, db, verb, f"{PATH}/{repricing_id}", call.say("Saved."))


class SwitchForm(msgspec.Struct):
    on: bool = False


@post(PATH + "/{repricing_id:uuid}/switch", scope=SCOPE)
async def switch(call: Call, db: Database, repricing_id: UUID, data: SwitchForm) -> See[Any]:
    """Follow from the next quarter of an hour on, or no more."""

    async def verb(tx: Tx) -> None:
        await pricing.switch_repricing(tx, repricing_id, active=data.on)

    message = (
        call.say("On: it looks every quarter of an hour.")
        if data.on
        else call.say("Off: prices stay where they are.")
    )
    return await attempt(call, db, verb, f"{PATH}/{repricing_id}", message)


class ProposalForm(msgspec.Struct):
    reason: Text
    proposal: list[UUID] = []
    agree: bool = False


@post(PATH + "/proposals", scope=SCOPE)
async def decide(call: Call, db: Database, data: ProposalForm) -> See[Any]:
    """Publish what was proposed, or refuse it."""

    async def verb(tx: Tx) -> None:
        if not data.proposal:
            raise Invalid("proposal", "tick at least one", "请至少勾选一项")
        refused(
            await pricing.decide_proposals(
                tx, data.proposal[:200], agree=data.agree, reason=data.reason
            )
        )

    return await attempt(call, db, verb, PATH, call.say("Decided."))


@get(f"{PATH}/seen", scope=SCOPE)
async def seen_page(
    call: Call, tx: Tx, currency: Currency = "", after: str | None = None
) -> Answer[Page[SeenLine]]:
    """Each competitor's latest price beside ours and the floor, with where it was seen."""
    chosen = currency or call.app.state["edge"].settings.currency
    found = await pricing.seen_prices(tx, chosen, cursor=after)
    here = f"{PATH}/seen"
    return await shown(
        call,
        tx,
        found,
        "repricing_seen",
        call.say("Competitors' prices"),
        "repricing",
        articles=await _articles(tx, {p.offer_id for p in found.items}),
        currency=chosen,
        currencies=await _currencies(tx),
        names=await names_of(tx, {p.imported_by for p in found.items}),
        next_path=with_query(here, currency=currency, after=found.next) if found.next else None,
        first_path=with_query(here, currency=currency) if after else None,
    )


class SeenForm(msgspec.Struct):
    currency: Annotated[str, Meta(max_length=3)]
    rows: Long


@post(f"{PATH}/seen", scope=SCOPE)
async def import_seen(call: Call, db: Database, data: SeenForm) -> See[Any]:
    """What competitors ask, one line each: SKU, competitor, price, link."""

    async def verb(tx: Tx) -> int:
        return await pricing.import_seen_prices(tx, await _rows_of(tx, data), "csv")

    return await attempt(
        call, db, verb, with_query(f"{PATH}/seen", currency=data.currency), call.say("Kept.")
    )


async def _rows_of(tx: Tx, data: SeenForm) -> list[pricing.SeenPrice]:
    lines = [row for row in csv.reader(io.StringIO(data.rows)) if any(c.strip() for c in row)]
    if any(len(row) < 3 for row in lines):
        raise Invalid("rows", "SKU, competitor, price, link", "格式：SKU,竞品,价格,链接")
    found = {
        a.sku: a.offer_id for a in await orders.articles(tx, skus=[r[0].strip() for r in lines])
    }
    missing = [row[0] for row in lines if row[0].strip() not in found]
    if missing:
        raise Invalid("rows", f"not sold here: {missing[0]}", f"未找到商品：{missing[0]}")
    return [
        pricing.SeenPrice(
            offer_id=found[row[0].strip()],
            competitor=row[1].strip()[:120] or "?",
            currency=data.currency,
            price_minor=minor_of(row[2], data.currency, "price"),
            url=row[3].strip()[:2000] if len(row) > 3 else "",
        )
        for row in lines
    ]
