"""Today: what needs a person first, then the day's figures out of the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from pinwheel.faces.console.frame import shown, with_query
from pinwheel.faces.console.queries import LowStock, running_low, variants_like
from pinwheel.faces.console.watch_web import OPERATE, checks
from pinwheel.ground import identity, ledger
from pinwheel.growth import community
from pinwheel.kernel import kept, queries
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get
from pinwheel.platform import open as outside
from pinwheel.trade import imports, orders, payments, returns
from pinwheel.trade.orders import InboxCounts, InboxLine

DAYS = 30
MOST = 100
FLOWS = (
    ("taken", "clearing:", "deposits:"),
    ("taken", "store_credit:", "deposits:"),
    ("refunded", "deposits:", "clearing:"),
    ("refunded", "deposits:", "store_credit:"),
    ("sold", "deposits:", "sales:"),
    ("sold", "deposits:", "payable:"),
)
"""Which accounts a figure is made of: (figure, debit, credit)."""
DRILL = {"taken": "deposits:", "refunded": "deposits:", "sold": "sales:own:"}


class Waiting(msgspec.Struct, frozen=True):
    """Something that waits for a person: ``kind`` names it, ``path`` shows it."""

    kind: str
    count: int
    path: str
    tone: str


class Figure(msgspec.Struct, frozen=True):
    """One figure of today, yesterday's for comparison, and 30 days of it, the oldest first.
    ``account``: where its postings are."""

    name: str
    currency: str
    today_minor: int
    yesterday_minor: int
    points: list[int]
    account: str


class Today(msgspec.Struct, frozen=True):
    day: dt.date
    needs: list[Waiting]
    figures: list[Figure]
    orders: list[int]
    low: list[LowStock]
    latest: list[InboxLine]
    jobs: queries.JobCounts
    audit: dict[str, int] | None


@get("/console")
async def front(call: Call) -> See[None]:
    """The console opens with today."""
    call.caller.require("console")
    return See("/console/today")


@get("/console/today", scope="console")
async def today(call: Call, tx: Tx) -> Answer[Today]:
    """What needs a person, then the figures of the day."""
    zone = call.app.state["edge"].settings.time_zone
    midnight = tx.now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - dt.timedelta(days=DAYS - 1)
    counts = await orders.inbox_counts(tx)
    attention = await payments.attention(tx, since=tx.now - dt.timedelta(days=7))
    jobs = await queries.job_counts(tx)
    low = await running_low(tx)
    flows = await ledger.flows_by_day(tx, FLOWS, since=since, zone=zone)
    placed = await orders.placed_by_day(tx, since=since, zone=zone)
    latest = await orders.inbox(tx, limit=8)
    audited = (await kept.kept(tx, "audit")).get("audit")
    elsewhere = await _elsewhere(tx)
    if call.caller.may(OPERATE):
        elsewhere["watch"] = sum(c.tone == "bad" for c in await checks(call, tx))
    days = [midnight.date() - dt.timedelta(days=n) for n in range(DAYS - 1, -1, -1)]
    currency = _main(flows, call.app.state["edge"].settings.currency)
    found = Today(
        day=days[-1],
        needs=_waiting(counts, attention, jobs, len(low), audited, elsewhere),
        figures=_figures(flows, placed, days, currency),
        orders=_by_day(days, {p.day: p.orders for p in placed if p.currency == currency}),
        low=low,
        latest=latest.items,
        jobs=jobs,
        audit=audited.value if audited else None,
    )
    return await shown(
        call, tx, found, "today", call.say("Today"), "today", currency=currency,
        others=_others(flows, days, currency),
        audited_at=audited.changed_at if audited else None,
    )  # fmt: skip


def _main(flows: Sequence[ledger.Flow], preferred: str) -> str:
    """The shop's currency, or the one that most money moved in when that one has not moved."""
    taken: dict[str, int] = {}
    for flow in flows:
        if flow.name == "taken":
            taken[flow.unit] = taken.get(flow.unit, 0) + flow.amount
    return preferred if preferred in taken or not taken else max(taken, key=lambda c: taken[c])


def _by_day(days: Sequence[dt.date], amounts: dict[dt.date, int]) -> list[int]:
    return [amounts.get(day, 0) for day in days]


def _figures(
    flows: Sequence[ledger.Flow],
    placed: Sequence[orders.DaySum],
    days: Sequence[dt.date],
    currency: str,
) -> list[Figure]:
    series: dict[str, dict[dt.date, int]] = {"taken": {}, "sold": {}, "refunded": {}}
    for flow in flows:
        if flow.unit == currency:
            of = series[flow.name]
            of[flow.day] = of.get(flow.day, 0) + flow.amount
    series["average"] = {
        p.day: p.total_minor // p.orders for p in placed if p.currency == currency and p.orders
    }
    made = []
    for name, amounts in series.items():
        points = _by_day(days, amounts)
        account = f"{DRILL[name]}{currency}" if name in DRILL else ""
        made.append(Figure(name, currency, points[-1], points[-2], points, account))
    return made


def _others(
    flows: Sequence[ledger.Flow], days: Sequence[dt.date], currency: str
) -> list[tuple[str, int, int]]:
    """(currency, taken today, taken in all 30 days) of every other currency."""
    sums: dict[str, list[int]] = {}
    for flow in flows:
        if flow.name == "taken" and flow.unit != currency:
            at = sums.setdefault(flow.unit, [0, 0])
            at[1] += flow.amount
            at[0] += flow.amount if flow.day == days[-1] else 0
    return [(unit, at[0], at[1]) for unit, at in sorted(sums.items())]


async def _elsewhere(tx: Tx) -> dict[str, int]:
    """How much waits in the other rooms; what goes beyond a hundred is as good as a hundred."""
    recent = tx.now - dt.timedelta(days=7)
    jobs = (await imports.jobs(tx, limit=20)).items
    return {
        "returns": len((await returns.returns(tx, state="requested", limit=MOST)).items),
        "to_grade": len((await returns.returns(tx, state="received", limit=MOST)).items),
        "reviews": len((await community.queue(tx, limit=MOST)).items),
        "hooks": sum(not e.enabled or e.failing_since is not None
                     for e in await outside.endpoints(tx)),
        "imports": sum(bool(j.counts.refused) and j.started_at > recent for j in jobs),
    }  # fmt: skip


def _waiting(
    counts: InboxCounts,
    attention: payments.Attention,
    jobs: queries.JobCounts,
    low: int,
    audited: kept.Kept | None,
    elsewhere: dict[str, int],
) -> list[Waiting]:
    broken = audited.value.get("broken", 0) if audited else 0
    listed = [
        Waiting("watch", elsewhere.get("watch", 0), "/console/watch", "bad"),
        Waiting("audit_broken", broken, "/console/audit", "bad"),
        Waiting("unsourced", counts.unsourced, "/console/orders?view=unsourced", "bad"),
        Waiting("refunds_failed", attention.refunds_failed,
                "/console/payments?view=refunds_failed", "bad"),
        Waiting("disputed", attention.disputed, "/console/payments?view=disputed", "bad"),
        Waiting("jobs_parked", jobs.parked, "/console/jobs?state=parked", "bad"),
        Waiting("late", counts.late, "/console/orders?view=late", "bad"),
        Waiting("differences", attention.differences, "/console/payments/settlement", "warn"),
        Waiting("unanswered", attention.unanswered, "/console/payments?view=unanswered", "warn"),
        Waiting("hooks", elsewhere["hooks"], "/console/open", "warn"),
        Waiting("imports", elsewhere["imports"], "/console/import", "warn"),
        Waiting("returns", elsewhere["returns"], "/console/returns", "warn"),
        Waiting("to_grade", elsewhere["to_grade"], "/console/returns?view=received", "warn"),
        Waiting("reviews", elsewhere["reviews"], "/console/reviews", "info"),
        Waiting("low", low, "/console/stock?low=1", "warn"),
        Waiting("to_send", counts.to_send, "/console/orders?view=to_send", "info"),
        Waiting("payments_failed", attention.failed, "/console/payments?view=failed", "info"),
    ]  # fmt: skip
    return [w for w in listed if w.count]


class Found(msgspec.Struct, frozen=True):
    """Where a search in the console leads to."""

    path: str


@get("/console/search", scope="console")
async def search(call: Call, tx: Tx, q: str = "") -> See[Found]:
    """One field for everything: an order's number, an SKU, an e-mail address, an id, or words."""
    text = q.strip()
    if len(text) > 200:
        raise Invalid("q", "at most 200 characters", "最多 200 个字符")
    path = await _place_of(call, tx, text)
    return See(path, Found(path))


async def _place_of(call: Call, tx: Tx, text: str) -> str:
    if not text:
        return "/console/today"
    if "@" in text:
        person = await identity.person_with_email(tx, text)
        return f"/console/customers/{person.id}" if person else "/console/customers"
    found = await orders.inbox(tx, number=text.upper(), limit=2)
    if len(found.items) == 1:
        return f"/console/orders/{found.items[0].number}"
    if found.items:
        return with_query("/console/orders", q=text)
    if await variants_like(tx, text, most=1):
        return with_query("/console/catalogue", q=text)
    try:
        return with_query("/console/events", subject=UUID(text)) if len(text) >= 32 else (
            with_query("/console/catalogue", q=text)
        )  # fmt: skip
    except ValueError:
        return with_query("/console/catalogue", q=text)


class Badges(msgspec.Struct, frozen=True):
    """How many things wait in each part of the console."""

    orders: int
    returns: int
    reviews: int
    payments: int
    jobs: int


@get("/console/waiting", scope="console")
async def waiting(call: Call, tx: Tx) -> Answer[Badges]:
    """The numbers beside the navigation: asked for by the page every minute."""
    counts = await orders.inbox_counts(tx)
    attention = await payments.attention(tx, since=tx.now)
    jobs = await queries.job_counts(tx)
    elsewhere = await _elsewhere(tx)
    badges = Badges(
        orders=counts.to_send,
        returns=elsewhere["returns"] + elsewhere["to_grade"],
        reviews=elsewhere["reviews"],
        payments=attention.disputed + attention.refunds_failed,
        jobs=jobs.parked,
    )
    return Answer(badges, page="console/_waiting.html", part="console/_waiting.html")
