"""The books: accounts, balances, statements down to the document, and closing a period."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.faces.console.moments import zone_of
from pinwheel.ground import ledger
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders

BOOKS = "books"
SHOWN_AT_ONCE = 100
UNITS = ("money", "stock", "points", "use")


class Books(msgspec.Struct, frozen=True):
    """One step of the tree of accounts; with few enough accounts below, their balances too."""

    prefix: str
    branches: list[ledger.Branch]
    balances: list[ledger.Balance]


@get("/console/ledger", scope=BOOKS)
async def books(
    call: Call, tx: Tx, prefix: Annotated[str, Meta(max_length=200)] = ""
) -> Answer[Books]:
    """The accounts below ``prefix``."""
    branches = await ledger.branches(tx, prefix)
    few = prefix and sum(b.accounts for b in branches) <= SHOWN_AT_ONCE
    balances = await ledger.balances_below(tx, prefix) if few else []
    return await shown(
        call,
        tx,
        Books(prefix, branches, balances),
        "ledger",
        call.say("Ledger"),
        "ledger",
        steps=_steps(prefix),
        periods=await ledger.periods(tx, most=5),
        trial=await ledger.trial_balance(tx) if not prefix else [],
    )


def _steps(prefix: str) -> list[tuple[str, str]]:
    """(what to show, prefix) of each step down to ``prefix``."""
    parts = [p for p in prefix.split(":") if p]
    return [(part, ":".join(parts[: n + 1]) + ":") for n, part in enumerate(parts)]


class AccountDesk(msgspec.Struct, frozen=True):
    balance: ledger.Balance
    side: str
    postings: Page[ledger.Posting]


@get("/console/ledger/account", scope=BOOKS)
async def account(
    call: Call, tx: Tx, code: Annotated[str, Meta(max_length=200)], after: str | None = None
) -> Answer[AccountDesk]:
    """What moved through one account, the newest first; each line leads to its document."""
    found = await ledger.account_named(tx, code)
    postings = await ledger.statement(tx, found, cursor=after)
    balance = (await ledger.balances(tx, [found]))[found.code]
    numbers = await orders.numbers_of(
        tx, {p.document_id for p in postings.items if p.document_kind == "order"}
    )
    path = with_query("/console/ledger/account", code=code)
    return await shown(
        call,
        tx,
        AccountDesk(balance, found.side, postings),
        "account",
        code,
        "ledger",
        unit=found.unit,
        numbers=numbers,
        names=await names_of(tx, [p.actor for p in postings.items]),
        steps=_steps(code.rpartition(":")[0] + ":" if ":" in code else ""),
        next_path=f"{path}&after={postings.next}" if postings.next else None,
        first_path=path if after else None,
    )


class PeriodForm(msgspec.Struct):
    """The last day of the period. ``sure``: the box that says that it can't be undone."""

    until: dt.date
    sure: bool = False


@post("/console/ledger/close", scope="money")
async def close(call: Call, db: Database, data: PeriodForm) -> See[Any]:
    """Close the books up to the end of a day: nothing before it can change any more."""
    zone = zone_of(call)

    async def verb(tx: Tx) -> int:
        if not data.sure:
            raise Invalid(
                "sure", "tick the box: this can't be undone", "请勾选确认：此操作不可撤销"
            )
        midnight = dt.datetime.combine(data.until + dt.timedelta(days=1), dt.time(), zone)
        return await ledger.close_period(tx, midnight - dt.timedelta(microseconds=1))

    return await attempt(call, db, verb, "/console/ledger", call.say("The period is closed."))
