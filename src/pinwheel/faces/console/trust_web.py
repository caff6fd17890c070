"""Trust in the console: what waits, who is one person and why, the rules, appeals."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.ground import identity, trust
from pinwheel.ground.trust import Appeal, ClusterSight, Judged, Rule
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post

SCOPE = "trust"
Note = Annotated[str, Meta(max_length=1000)]
MOST_DRAWN = 24
ROW, LEFT, RIGHT, WIDTH = 34, 190, 460, 720
DRY_RUN_DAYS = 14


@get("/console/trust", scope=SCOPE)
async def trust_queue(
    call: Call, tx: Tx, view: str = "open", after: str | None = None
) -> Answer[Page[Judged]]:
    """What the rules left open, the oldest first; what they refused; everything."""
    kept: Any = view if view in ("open", "denied", "all") else "open"
    found = await trust.verdicts(tx, view=kept, cursor=after, limit=30)
    appeals = await trust.open_appeals(tx)
    people = {i for v in found.items for i in (v.person_id, v.other_id) if i is not None}
    path = with_query("/console/trust", view=kept)
    return await shown(
        call,
        tx,
        found,
        "trust",
        call.say("Trust"),
        "trust",
        view=kept,
        people=await identity.people(tx, list(people)),
        names=await names_of(tx, [v.decided_by for v in found.items if v.decided_by]),
        overdue=sum(a.due_at <= tx.now for a in appeals),
        appeals=len(appeals),
        next_path=f"{path}&after={found.next}" if found.next else None,
        first_path=path if after else None,
    )


class Deciding(msgspec.Struct):
    decision: Literal["allow", "deny", "claim"]
    note: Note = ""


@post("/console/trust/verdicts/{verdict_id:uuid}", scope=SCOPE)
async def decide(call: Call, db: Database, verdict_id: UUID, data: Deciding) -> See[Any]:
    """Look at one for half an hour, or decide it."""

    async def verb(tx: Tx) -> None:
        if data.decision == "claim":
            await trust.claim(tx, verdict_id)
        else:
            await trust.decide(tx, verdict_id, data.decision, data.note)

    said = {
        "claim": call.say("It is yours for half an hour."),
        "allow": call.say("Allowed."),
        "deny": call.say("Refused."),
    }
    return await attempt(call, db, verb, "/console/trust", said[data.decision])


@get("/console/trust/clusters/{cluster_id:uuid}", scope=SCOPE)
async def cluster_page(call: Call, db: Database, cluster_id: UUID) -> Answer[ClusterSight]:
    """The accounts that count as one person, what ties them, and what happened to them. That
    somebody looked is recorded."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        sight = await trust.cluster(tx, cluster_id)
        accounts = [a.person_id for a in sight.accounts]
        looked_at = [a.person_id for a in sight.accounts[:100] if not a.is_shadow]
        await identity.record_access(tx, looked_at, "trust", "review")
        chain = trust.path(sight.links, sight.id, cluster_id) if cluster_id != sight.id else []
        return await shown(
            call,
            tx,
            sight,
            "trust_cluster",
            call.say("One person?"),
            "trust",
            drawing=drawn(sight),
            chain=chain,
            asked=cluster_id,
            people=await identity.people(tx, accounts),
            names=await names_of(tx, [c.actor for c in sight.changes]),
            judged=(await trust.verdicts(tx, view="all", person_id=cluster_id, limit=10)).items,
        )


def drawn(sight: ClusterSight) -> dict[str, Any]:
    """Where accounts (left) and the traits that several show (right) stand, and their lines: a
    picture of fixed width. Pure."""
    shared = [t for t in sight.traits if len(t.shown_by) > 1][:MOST_DRAWN]
    shown_by = {p for t in shared for p in t.shown_by}
    accounts = sorted(sight.accounts, key=lambda a: a.person_id not in shown_by)[:MOST_DRAWN]
    place = {a.person_id: 24 + ROW * n for n, a in enumerate(accounts)}
    height = 24 + ROW * max(len(accounts), len(shared), 1)
    step = height / max(len(shared), 1)
    traits = [
        {
            "kind": t.kind,
            "mark": t.mark,
            "count": t.persons,
            "ignored": t.ignored_because,
            "x": RIGHT,
            "y": round(step * n + step / 2),
        }
        for n, t in enumerate(shared)
    ]
    lines = [
        (LEFT, place[p], RIGHT, traits[n]["y"], t.ignored_because is not None)
        for n, t in enumerate(shared)
        for p in t.shown_by
        if p in place
    ]
    return {
        "width": WIDTH,
        "height": height,
        "accounts": [(a, LEFT, place[a.person_id]) for a in accounts],
        "traits": traits,
        "lines": lines,
        "left_out": max(0, len(sight.accounts) - len(accounts)),
    }


class Parting(msgspec.Struct):
    """``person_ids`` are somebody else's; or ``join`` is one more account of this person."""

    reason: Note
    person_ids: list[UUID] = []
    join: str = ""


@post("/console/trust/clusters/{cluster_id:uuid}", scope=SCOPE)
async def part(call: Call, db: Database, cluster_id: UUID, data: Parting) -> See[Any]:
    """Part accounts from the others, or join one, with a reason."""
    if not data.reason.strip():
        raise Invalid("reason", "say why", "请填写原因")

    async def verb(tx: Tx) -> None:
        if data.join.strip():
            await trust.join(tx, cluster_id, _uuid(data.join), data.reason)
        else:
            await trust.separate(tx, cluster_id, data.person_ids, data.reason)

    back = f"/console/trust/clusters/{cluster_id}"
    return await attempt(call, db, verb, back, call.say("Done, and written down."))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError as error:
        raise Invalid("join", "this is no account's id", "这不是账号编号") from error


class Silencing(msgspec.Struct):
    kind: Annotated[str, Meta(max_length=20)]
    value: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    reason: Note
    hear: bool = False


@post("/console/trust/traits", scope=SCOPE)
async def silence(call: Call, db: Database, data: Silencing) -> See[Any]:
    """A shared terminal, a hall of residence: this trait tells nothing any more, or again."""

    async def verb(tx: Tx) -> None:
        verb_of = trust.hear if data.hear else trust.silence
        await verb_of(tx, data.kind, bytes.fromhex(data.value), data.reason or "–")

    return await attempt(call, db, verb, "/console/trust", call.say("Done, and written down."))


class RulesSight(msgspec.Struct, frozen=True):
    rules: list[Rule]
    trial: trust.Trial


@get("/console/trust/rules", scope=SCOPE)
async def rules_page(
    call: Call,
    tx: Tx,
    code: str | None = None,
    weight: Annotated[float, Meta(ge=0, le=1)] | None = None,
    is_on: bool = True,
    days: Annotated[int, Meta(ge=1, le=90)] = DRY_RUN_DAYS,
) -> Answer[RulesSight]:
    """The rules with how often each spoke, and what a change would have done over some days."""
    rules = await trust.rules_of(tx)
    tried = [
        msgspec.structs.replace(r, weight=r.weight if weight is None else weight, is_on=is_on)
        if r.code == code
        else r
        for r in rules
    ]
    trial = await trust.dry_run(tx, tried, tx.later_than(-days * 86_400))
    return await shown(
        call,
        tx,
        RulesSight(rules, trial),
        "trust_rules",
        call.say("Rules"),
        "trust",
        code=code,
        weight=weight,
        turned_on=is_on,
        days=days,
    )


class RuleForm(msgspec.Struct):
    weight: Annotated[float, Meta(ge=0, le=1)]
    is_on: bool = False
    limits: list[Annotated[str, Meta(max_length=80)]] = []


@post("/console/trust/rules/{code:str}", scope=SCOPE)
async def change_rule(call: Call, db: Database, code: str, data: RuleForm) -> See[Any]:
    """What the rule weighs from now on; what was decided stays."""
    limits = dict(pair.split("=", 1) for pair in data.limits if "=" in pair)
    try:
        figures = {name: float(text) for name, text in limits.items()}
    except ValueError as error:
        raise Invalid("limits", "give numbers", "请填写数字") from error

    async def verb(tx: Tx) -> None:
        await trust.set_rule(tx, code, is_on=data.is_on, weight=data.weight, limits=figures)

    return await attempt(call, db, verb, "/console/trust/rules", call.say("Saved."))


@get("/console/trust/appeals", scope=SCOPE)
async def appeals_page(call: Call, tx: Tx) -> Answer[list[Appeal]]:
    """Who waits for an answer, the soonest due first."""
    found = await trust.open_appeals(tx)
    return await shown(
        call,
        tx,
        found,
        "trust_appeals",
        call.say("Appeals"),
        "trust",
        people=await identity.people(tx, [a.person_id for a in found]),
        verdicts={a.verdict_id: await trust.verdict(tx, a.verdict_id) for a in found[:30]},
    )


class AnswerForm(msgspec.Struct):
    is_granted: bool
    answer: Note


@post("/console/trust/appeals/{appeal_id:uuid}", scope=SCOPE)
async def answer(call: Call, db: Database, appeal_id: UUID, data: AnswerForm) -> See[Any]:
    """Grant or refuse, in words the person reads."""

    async def verb(tx: Tx) -> None:
        await trust.answer(tx, appeal_id, data.is_granted, data.answer)

    return await attempt(call, db, verb, "/console/trust/appeals", call.say("Answered."))
