"""On call: what of the house is behind or broken this minute, the worst first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from pinwheel.discovery import search
from pinwheel.faces.console.frame import shown
from pinwheel.ground import ledger, messages
from pinwheel.insight import tracking
from pinwheel.kernel import kept, queries
from pinwheel.kernel.db import Tx
from pinwheel.kernel.queries import Behind, Parked
from pinwheel.kernel.web import Answer, Call, get
from pinwheel.platform import open as outside
from pinwheel.trade import payments

OPERATE = "operate"
AUDIT_DAYS = 7
MINUTE, HOUR, DAY = 60, 3_600, 86_400


class Limit(msgspec.Struct, frozen=True):
    """From which age in seconds something is a warning, and from which it can't wait (None: it
    can). ``path``: where it is put right."""

    room: str
    warn_seconds: int
    bad_seconds: int | None
    path: str


LIMITS = {
    "payments_unanswered": Limit("money", 10 * MINUTE, HOUR, "/console/payments?view=unanswered"),
    "instructions_unanswered": Limit("money", 10 * MINUTE, HOUR, "/console/payments"),
    "refunds_failed": Limit("money", 0, 0, "/console/payments?view=refunds_failed"),
    "holds_overdue": Limit("money", MINUTE, 10 * MINUTE, "/console/jobs"),
    "audit_broken": Limit("money", 0, 0, "/console/audit"),
    "audit_old": Limit("money", 0, None, "/console/audit"),
    "jobs_due": Limit("machine", MINUTE, 10 * MINUTE, "/console/jobs?state=due"),
    "jobs_parked": Limit("machine", 0, 0, "/console/jobs?state=parked"),
    "clock_late": Limit("machine", MINUTE, 10 * MINUTE, "/console/jobs"),
    "clock_failing": Limit("machine", 0, 0, "/console/jobs"),
    "transactions": Limit("machine", 5 * MINUTE, 30 * MINUTE, "/console/jobs"),
    "search_missing": Limit("machine", 0, 0, "/console/events"),
    "search_unread": Limit("machine", 2 * MINUTE, 15 * MINUTE, "/console/events"),
    "visits_unread": Limit("machine", MINUTE, 15 * MINUTE, "/console/tracking"),
    "hooks_due": Limit("outside", 5 * MINUTE, HOUR, "/console/open"),
    "hooks_retrying": Limit("outside", 5 * MINUTE, None, "/console/open"),
    "hooks_failed": Limit("outside", 0, None, "/console/open"),
    "hooks_off": Limit("outside", 0, None, "/console/open"),
    "letters_due": Limit("outside", 5 * MINUTE, HOUR, "/console/messages?state=waiting"),
    "letters_dropped": Limit("outside", 5 * MINUTE, HOUR, "/console/messages"),
    "letters_failed": Limit("outside", 0, None, "/console/messages?state=dead"),
}
"""What is looked at, in the order in which it is shown."""
TONES = ("bad", "warn", "good")


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``tone``: bad can't wait until morning, warn can, good is as it
    should be; ``since``: the oldest of ``count``."""

    kind: str
    room: str
    tone: str
    count: int
    since: dt.datetime | None
    path: str


class Watch(msgspec.Struct, frozen=True):
    """``tone`` is the worst of the checks: what a monitor asks for."""

    tone: str
    checks: list[Check]
    parked: list[Parked]


def judged(found: Sequence[Behind], now: dt.datetime) -> list[Check]:
    """Each with its tone: the worst first, else in the order of ``LIMITS``."""
    by_kind = {b.kind: b for b in found}
    checks = []
    for kind, limit in LIMITS.items():
        behind = by_kind.get(kind, Behind(kind, 0, None))
        tone = tone_of(limit, behind, now)
        checks.append(Check(kind, limit.room, tone, behind.count, behind.since, limit.path))
    return sorted(checks, key=lambda c: TONES.index(c.tone))


def tone_of(limit: Limit, behind: Behind, now: dt.datetime) -> str:
    """``good`` when nothing is there or it is young; what has no age is as old as can be."""
    if not behind.count:
        return "good"
    age = (now - behind.since).total_seconds() if behind.since else float("inf")
    if limit.bad_seconds is not None and age >= limit.bad_seconds:
        return "bad"
    return "warn" if age >= limit.warn_seconds else "good"


async def checks(call: Call, tx: Tx) -> list[Check]:
    """All of the house, judged at ``tx.now``. At most 10 statements."""
    found = [
        *await queries.behind(tx),
        *await ledger.behind(tx),
        *await payments.behind(tx),
        *await messages.behind(tx),
        *await tracking.behind(tx),
        *await outside.behind(tx),
        *await _audit(tx),
    ]
    desk = call.app.state.get("search")
    if isinstance(desk, search.SearchDesk):
        found += await search.behind(tx, desk.index)
    return judged(found, tx.now)


async def _audit(tx: Tx) -> list[Behind]:
    last = (await kept.kept(tx, "audit")).get("audit")
    if last is None:
        return [Behind("audit_old", 1, None)]
    is_old = last.changed_at < tx.now - dt.timedelta(days=AUDIT_DAYS)
    return [
        Behind("audit_broken", int(last.value.get("broken", 0)), last.changed_at),
        Behind("audit_old", int(is_old), last.changed_at),
    ]


@get("/console/watch", scope=OPERATE)
async def watch(call: Call, tx: Tx) -> Answer[Watch]:
    """What is behind or broken now, and what to do about it."""
    found = await checks(call, tx)
    parked = await queries.parked(tx)
    return await shown(
        call,
        tx,
        Watch(found[0].tone, found, parked),
        "watch",
        call.say("On call"),
        "watch",
        part="desk",
    )
