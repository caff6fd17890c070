"""How the house runs: the audit, the log of facts, jobs and the clock."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.kernel import audit, jobs, kept, queries
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.events import Recorded
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post

OPERATE = "operate"
KEPT_ROWS = 5


class Audited(msgspec.Struct, frozen=True):
    """What the last audit found; ``checks`` are plain: module, promise, broken rows."""

    promises: int
    broken: int
    checks: list[dict[str, Any]]


@get("/console/audit", scope=OPERATE)
async def audit_page(call: Call, tx: Tx) -> Answer[Audited]:
    """The promises of every module, as the last audit found them."""
    last = (await kept.kept(tx, "audit")).get("audit")
    found = msgspec.convert(last.value, Audited) if last else Audited(0, 0, [])
    return await shown(
        call,
        tx,
        found,
        "audit",
        call.say("Audit"),
        "audit",
        last=last,
        names=await names_of(tx, [last.changed_by]) if last else {},
    )


@post("/console/audit", scope=OPERATE)
async def run_audit(call: Call, db: Database) -> See[Any]:
    """Prove every promise on the database as it is now, and keep what was found."""
    checks = await audit.run(db, call.app.state["promising"])
    plain = [
        {"module": c.module, "promise": c.promise, "broken": c.broken[:KEPT_ROWS]} for c in checks
    ]
    found = Audited(len(checks), sum(bool(c.broken) for c in checks), plain)

    async def verb(tx: Tx) -> Audited:
        await kept.keep(tx, "audit", msgspec.to_builtins(found))
        return found

    text = call.say("%(n)s promises proved, %(broken)s broken.")
    said = text % {"n": found.promises, "broken": found.broken}
    return await attempt(call, db, verb, "/console/audit", said)


@get("/console/events", scope=OPERATE)
async def event_list(
    call: Call,
    tx: Tx,
    kind: Annotated[str, Meta(max_length=100)] = "",
    subject: str = "",
    after: str | None = None,
) -> Answer[Page[Recorded]]:
    """The log of facts, the newest first."""
    found = await queries.events(
        tx, kind=kind.strip() or None, subject_id=_id(subject), cursor=after
    )
    query = {"kind": kind, "subject": subject}
    return await shown(
        call,
        tx,
        found,
        "events",
        call.say("Events"),
        "events",
        asked=query,
        kinds=sorted(call.db.reactions.kinds),
        names=await names_of(tx, [e.actor for e in found.items]),
        next_path=with_query("/console/events", **query, after=found.next) if found.next else None,
        first_path=with_query("/console/events", **query) if after else None,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text.strip()) if text.strip() else None
    except ValueError as error:
        raise Invalid("subject", "this is not an id", "这不是有效的编号") from error


@get("/console/events/{event_id:uuid}", scope=OPERATE)
async def event_page(call: Call, tx: Tx, event_id: UUID) -> Answer[Recorded]:
    """One fact with its data, and what reacts to its kind."""
    found = await queries.event(tx, event_id)
    known = call.db.reactions.kinds.get(found.kind)
    reacting = call.db.reactions.by_event.get(known, []) if known else []
    return await shown(
        call,
        tx,
        found,
        "event",
        found.kind,
        "events",
        pretty=_pretty(found.data),
        reacting=[(r.name, r.when) for r in reacting],
        names=await names_of(tx, [found.actor]),
    )


def _pretty(data: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(data)).decode()


@get("/console/jobs", scope=OPERATE)
async def job_list(
    call: Call, tx: Tx, state: str = "", after: str | None = None
) -> Answer[Page[queries.JobLine]]:
    """What is due, under way, for later, or has given up and waits for a person."""
    found = await queries.jobs(tx, state=state or None, cursor=after)
    return await shown(
        call,
        tx,
        found,
        "jobs",
        call.say("Jobs"),
        "jobs",
        part="desk",
        state=state,
        counts=await queries.job_counts(tx),
        ticks=await queries.ticks(tx),
        pretty=_pretty,
        next_path=with_query("/console/jobs", state=state, after=found.next)
        if found.next
        else None,
        first_path=with_query("/console/jobs", state=state) if after else None,
    )


class Retry(msgspec.Struct):
    job: Annotated[list[UUID], Meta(min_length=1, max_length=500)]


@post("/console/jobs/retry", scope=OPERATE)
async def retry(call: Call, db: Database, data: Retry) -> See[Any]:
    """Let jobs that gave up run again."""

    async def verb(tx: Tx) -> int:
        return await jobs.retry_parked(tx, data.job)

    def message(n: int) -> str:
        return call.say("%(n)s jobs run again.") % {"n": n}

    answer = await attempt(call, db, verb, "/console/jobs", message)
    db.wake()
    return answer
