"""Tills in the console: a clerk takes the cash of an order, hands out a refund, counts the till."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown
from pinwheel.faces.console.money import minor_of
from pinwheel.kernel import words
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import payments, pricing

SCOPE, MONEY = "till", "money"
HERE = "/console/tills"
Amount = Annotated[str, Meta(min_length=1, max_length=20)]


class Desk(msgspec.Struct, frozen=True):
    tills: list[payments.Till]


@get(HERE, scope=SCOPE)
async def tills_page(call: Call, tx: Tx) -> Answer[Desk]:
    """Every till with what should be in it."""
    markets = [m for m in (await pricing.markets(tx)).values() if m.active]
    return await shown(
        call,
        tx,
        Desk(await payments.tills(tx)),
        "tills",
        call.say("Tills"),
        "tills",
        currencies=sorted({m.currency for m in markets}),
    )


class OpenForm(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    change: Annotated[str, Meta(max_length=20)] = ""
    hours: Annotated[int, Meta(ge=1, le=720)] = 48


@post(HERE, scope=MONEY)
async def open_till(call: Call, db: Database, data: OpenForm) -> See[Any]:
    """A new till, or an old one again, with its change from the bank."""

    async def verb(tx: Tx) -> UUID:
        if not pricing.is_currency(data.currency):
            raise Invalid("currency", "choose one of the list", "请从列表中选择")
        change = minor_of(data.change, data.currency) if data.change.strip() else 0
        return await payments.open_till(
            tx, data.name, data.currency, float_minor=change, hours=data.hours
        )

    return await attempt(call, db, verb, HERE, call.say("Opened."))


class TillSight(msgspec.Struct, frozen=True):
    till: payments.Till
    receipts: list[payments.Receipt]
    counts: list[payments.TillCount]


@get(f"{HERE}/{{till_id:uuid}}", scope=SCOPE)
async def till_page(call: Call, tx: Tx, till_id: UUID) -> Answer[TillSight]:
    """One till: take cash, hand it out, count it; its latest receipts and counts."""
    sight = TillSight(
        await payments.till_of(tx, till_id),
        await payments.receipts(tx, till_id),
        await payments.till_counts(tx, till_id),
    )
    actors = {r.made_by for r in sight.receipts} | {c.made_by for c in sight.counts}
    return await shown(
        call, tx, sight, "till", sight.till.name, "tills", names=await names_of(tx, actors)
    )


class CashForm(msgspec.Struct):
    """``key`` is the shown form's own: sending it twice takes the money once."""

    code: Annotated[str, Meta(min_length=1, max_length=40)]
    amount: Amount
    key: UUID


@post(f"{HERE}/{{till_id:uuid}}/takings", scope=SCOPE)
async def take(call: Call, db: Database, till_id: UUID, data: CashForm) -> See[Any]:
    """Take the cash of an order."""

    async def verb(tx: Tx) -> payments.Receipt:
        currency = (await payments.till_of(tx, till_id)).currency
        amount = minor_of(data.amount, currency)
        return await payments.take_cash(tx, data.code, till_id, amount, key=data.key)

    said = call.say("Taken: %(amount)s, receipt %(number)s.")
    return await attempt(call, db, verb, f"{HERE}/{till_id}", lambda r: _said(call, said, r))


@post(f"{HERE}/{{till_id:uuid}}/payouts", scope=SCOPE)
async def hand_out(call: Call, db: Database, till_id: UUID, data: CashForm) -> See[Any]:
    """Hand a buyer what a refund put ready."""

    async def verb(tx: Tx) -> payments.Receipt:
        currency = (await payments.till_of(tx, till_id)).currency
        amount = minor_of(data.amount, currency)
        return await payments.pay_out_cash(tx, data.code, till_id, amount, key=data.key)

    said = call.say("Handed out: %(amount)s, receipt %(number)s.")
    return await attempt(call, db, verb, f"{HERE}/{till_id}", lambda r: _said(call, said, r))


def _said(call: Call, sentence: str, receipt: payments.Receipt) -> str:
    amount = words.money(receipt.amount_minor, receipt.currency, call.language)
    return sentence % {"amount": amount, "number": receipt.number}


class CountForm(msgspec.Struct):
    counted: Amount
    seen_minor: Annotated[int, Meta(ge=0, le=10**15)]
    banked: Annotated[str, Meta(max_length=20)] = ""
    reason: Annotated[str, Meta(max_length=200)] = ""


@post(f"{HERE}/{{till_id:uuid}}/counts", scope=SCOPE)
async def close(call: Call, db: Database, till_id: UUID, data: CountForm) -> See[Any]:
    """Count the till and close it; a difference needs its reason."""

    async def verb(tx: Tx) -> payments.TillCount:
        currency = (await payments.till_of(tx, till_id)).currency
        return await payments.count_till(
            tx,
            till_id,
            minor_of(data.counted, currency),
            seen_minor=data.seen_minor,
            banked_minor=minor_of(data.banked, currency) if data.banked.strip() else 0,
            reason=data.reason,
        )

    return await attempt(call, db, verb, f"{HERE}/{till_id}", call.say("Counted and closed."))
