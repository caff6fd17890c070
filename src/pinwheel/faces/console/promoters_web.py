"""Promoters: what they earned, paying it out, and the year's sums for the tax office."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, csv_line, names_of, shown, with_query
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.growth.social import PaidOut, Payout, Promoter, RewardLine, TaxLine
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, File, See, get, post
from pinwheel.trade import pricing

READ, MONEY = "teams:read", "money"
HERE = "/console/promoters"
TAX = f"{HERE}/tax"
Currency = Annotated[str, Meta(pattern="^([A-Z]{3})?$")]
Year = Annotated[int, Meta(ge=2000, le=2200)]


def _currency(call: Call, asked: str) -> str:
    return asked or str(call.app.state["edge"].settings.currency)


async def _currencies(tx: Tx, chosen: str) -> list[str]:
    return sorted({chosen, *(m.currency for m in (await pricing.markets(tx)).values() if m.active)})


@get(HERE, scope=READ)
async def promoters_page(
    call: Call,
    db: Database,
    currency: Currency = "",
    view: Annotated[str, Meta(pattern="^(due|waiting)?$")] = "",
    after: str | None = None,
) -> Answer[Page[Promoter]]:
    """Who earns commissions, with what waits, is due and was paid. Looking is recorded."""
    chosen = _currency(call, currency)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        found = await social.promoters(
            tx,
            chosen,
            standing=view or None,  # type: ignore[arg-type]
            cursor=after,
        )
        ids = [p.person_id for p in found.items]
        await identity.record_access(tx, ids, "list", "console")
        query = {"currency": currency, "view": view}
        return await shown(
            call,
            tx,
            found,
            "promoters",
            call.say("Promoters"),
            "promoters",
            people=await identity.people(tx, ids),
            currency=chosen,
            currencies=await _currencies(tx, chosen),
            view=view,
            least=social.LEAST_PAYOUT_MINOR,
            next_path=with_query(HERE, **query, after=found.next) if found.next else None,
            first_path=with_query(HERE, **query) if after else None,
        )


class Account(msgspec.Struct, frozen=True):
    """One promoter; ``standing`` is None before their first commission in this currency."""

    person_id: UUID
    standing: Promoter | None
    rewards: Page[RewardLine]
    payouts: list[PaidOut]


@get(HERE + "/{person_id:uuid}", scope=READ)
async def promoter_page(
    call: Call, db: Database, person_id: UUID, currency: Currency = "", after: str | None = None
) -> Answer[Account]:
    """One promoter's account: each commission with what became of it, and each payout with who
    made it. Looking is recorded."""
    chosen = _currency(call, currency)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        person = await identity.person_of(tx, person_id)
        await identity.record_access(tx, [person_id], "promoter", "console")
        standing = (await social.promoters(tx, chosen, person_id=person_id)).items
        found = Account(
            person_id,
            standing[0] if standing else None,
            await social.rewards(
                tx, person_id=person_id, kind="commission", currency=chosen, cursor=after
            ),
            (await social.payouts(tx, chosen, person_id=person_id)).items,
        )
        here = with_query(f"{HERE}/{person_id}", currency=currency)
        more = with_query(f"{HERE}/{person_id}", currency=currency, after=found.rewards.next)
        return await shown(
            call,
            tx,
            found,
            "promoter",
            person.name or person.email or call.say("Erased person"),
            "promoters",
            currency=chosen,
            currencies=await _currencies(tx, chosen),
            least=social.LEAST_PAYOUT_MINOR,
            names=await names_of(tx, {p.made_by for p in found.payouts}),
            next_path=more if found.rewards.next else None,
            first_path=here if after else None,
        )


class PayForm(msgspec.Struct):
    """``amount_minor`` is what the page showed; ``sure`` the box that says that it was checked."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    amount_minor: Annotated[int, Meta(ge=0, le=10**15)]
    sure: bool = False


@post(HERE + "/{person_id:uuid}/payouts", scope=MONEY)
async def pay_promoter(call: Call, db: Database, person_id: UUID, data: PayForm) -> See[Any]:
    """What is due leaves the promoter's account: exactly the amount that was looked at."""

    async def verb(tx: Tx) -> Payout:
        if not data.sure:
            raise Invalid("sure", "tick the box: money leaves", "请勾选确认：款项将支付")
        await identity.person_of(tx, person_id)
        return await social.pay_out(tx, person_id, data.currency, agreed_minor=data.amount_minor)

    here = with_query(f"{HERE}/{person_id}", currency=data.currency)
    return await attempt(
        call, db, verb, here, call.say("Paid out in the books. Now transfer the money.")
    )


class TaxYear(msgspec.Struct, frozen=True):
    year: int
    threshold_minor: int
    lines: Page[TaxLine]


@get(TAX, scope=MONEY)
async def tax_page(
    call: Call, db: Database, year: Year | None = None, after: str | None = None
) -> Answer[TaxYear]:
    """Sums for each person of a calendar year (UTC). Looking is recorded."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        chosen = year or tx.now.year
        lines = await social.tax_page(tx, chosen, cursor=after)
        found = TaxYear(chosen, await social.tax_threshold(tx), lines)
        ids = [line.person_id for line in lines.items if line.person_id]
        await identity.record_access(tx, ids, "tax report", str(chosen))
        currency = _currency(call, "")
        return await shown(
            call,
            tx,
            found,
            "promoters_tax",
            call.say("Rewards of a year, for the tax office"),
            "promoters",
            people=await identity.people(tx, ids),
            years=range(tx.now.year, tx.now.year - 6, -1),
            currency=currency,
            plain=plain_of(found.threshold_minor, currency),
            next_path=with_query(TAX, year=chosen, after=lines.next) if lines.next else None,
            first_path=with_query(TAX, year=chosen) if after else None,
        )


@get(f"{HERE}/tax.csv", scope=MONEY)
async def tax_csv(call: Call, db: Database, year: Year | None = None) -> File:
    """The same sums as a file, sent as they are read, with names and addresses; recorded."""
    chosen = year or db.clock.now().year
    return File(_csv(call, db, chosen), "text/csv; charset=utf-8", name=f"rewards-{chosen}.csv")


async def _csv(call: Call, db: Database, year: int) -> AsyncIterator[bytes]:
    yield "\ufeff".encode() + csv_line(
        "year", "person", "name", "email", "currency", "given_minor", "reversed_minor",
        "net_minor", "reportable",
    )  # fmt: skip
    cursor: str | None = None
    while True:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            found = await social.tax_page(tx, year, cursor=cursor, limit=500)
            ids = [line.person_id for line in found.items if line.person_id]
            people = await identity.people(tx, ids)
            await identity.record_access(tx, ids, "tax report", f"{year}.csv")
        for line in found.items:
            person = people.get(line.person_id) if line.person_id else None
            yield csv_line(
                year, str(line.person_id or ""), (person.name or "") if person else "",
                (person.email or "") if person else "", line.currency, line.given_minor,
                line.reversed_minor, line.given_minor - line.reversed_minor,
                "yes" if line.is_reportable else "no",
            )  # fmt: skip
        if found.next is None:
            return
        cursor = found.next


class ThresholdForm(msgspec.Struct):
    amount: Annotated[str, Meta(max_length=20)]


@post(f"{TAX}/threshold", scope=MONEY)
async def set_threshold(call: Call, db: Database, data: ThresholdForm) -> See[Any]:
    """From which sum of a year on somebody is reported."""

    async def verb(tx: Tx) -> None:
        minor = minor_of(data.amount, _currency(call, ""))
        if minor < 0:
            raise Invalid("amount", "it can't be less than nothing", "不能为负数")
        await social.set_tax_threshold(tx, minor)

    return await attempt(call, db, verb, TAX, call.say("Saved."))
