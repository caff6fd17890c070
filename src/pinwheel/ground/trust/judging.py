"""Judging acts: what surrounds them is read in one statement, the rules decide purely, and every
verdict is kept with its evidence."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground.trust.model import Act, Decision, Rule, Verdict, Why, decided, noisy_or
from pinwheel.ground.trust.rules import Around, judged
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound


async def judge(tx: Tx, acts: Sequence[Act]) -> list[Verdict]:
    """A verdict for each act, in order, with its reasons. 4 statements, however many acts.

    An act with a ``document_id`` that was judged before (same kind and person) is judged again:
    ask once. A review waits for a person: ``VerdictDecided`` tells what they said."""
    if not acts:
        return []
    ids = [tx.new_id() for _ in acts]
    await _write_acts(tx, ids, acts)
    rules = await rules_of(tx)
    around = {a.id: a for a in await surroundings_of(tx, ids)}
    verdicts = []
    for act_id in ids:
        decision, score, reasons = judged(around[act_id], rules)
        verdicts.append(Verdict(act_id, decision, score, reasons))
    await _write_verdicts(tx, verdicts, acts)
    return verdicts


async def rules_of(tx: Tx) -> list[Rule]:
    return await tx.rows(
        Rule,
        "select code, kinds, weight, limits, is_on, en, zh from trust.rule order by code",
    )


async def refuse(tx: Tx, found: Sequence[tuple[uuid.UUID, Why]]) -> None:
    """Whoever asked for verdicts refuses some of them for a reason of their own: kept with it, so
    that it can be appealed against. 1 statement."""
    if not found:
        return
    await tx.run(
        """
        update trust.verdict v
           set decision = 'deny', stands = 'deny', score = 1,
               reasons = jsonb_build_array(n.reason::jsonb) || v.reasons
          from unnest($2::uuid[], $3::text[]) as n(id, reason)
         where v.cell = $1 and v.id = any($2::uuid[]) and v.id = n.id and v.decided_by is null
        """,
        tx.cell,
        [verdict_id for verdict_id, _ in found],
        [msgspec.json.encode(why).decode() for _, why in found],
    )


async def pardoned(tx: Tx, rule: str, person_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """For whom a person has set this rule aside, in the last 180 days. 1 statement."""
    found = await tx.values(
        """
        select distinct v.person_id from trust.verdict v
         where v.cell = $1 and v.person_id = any($2::uuid[]) and v.stands = 'allow'
           and v.decided_at > $3
           and v.reasons @> jsonb_build_array(jsonb_build_object('rule', $4::text))
        """,
        tx.cell,
        list(person_ids),
        tx.later_than(-180 * 86_400),
        rule,
    )
    return set(found)


async def set_rule(
    tx: Tx, code: str, *, is_on: bool, weight: float, limits: dict[str, float]
) -> Rule:
    """Change what a rule weighs and where its limits lie; verdicts given stay. ``NotFound``
    for a rule that isn't there, ``Invalid`` for a limit it doesn't have."""
    rule = next((r for r in await rules_of(tx) if r.code == code), None)
    if rule is None:
        raise NotFound(what="rule")
    if not 0 <= weight <= 1 or set(limits) - set(rule.limits):
        raise Invalid("limits", "this rule has no such limit", "该规则没有此项限值")
    changed = msgspec.structs.replace(
        rule, is_on=is_on, weight=weight, limits={**rule.limits, **limits}
    )
    await tx.run(
        """
        update trust.rule set is_on = $2, weight = $3, limits = $4, changed_at = $5, changed_by = $6
         where code = $1
        """,
        code,
        is_on,
        weight,
        changed.limits,
        tx.now,
        tx.actor,
    )
    return changed


async def again(tx: Tx, verdict_ids: Sequence[uuid.UUID]) -> list[Verdict]:
    """Judge acts once more as of now, before something is paid out for them: what has gathered
    since counts too, and what spoke then still speaks. What a person decided stands. 4 statements.

    In the order asked for, without those that are not kept any more."""
    rules = await rules_of(tx)
    around = {a.id: a for a in await surroundings_of(tx, verdict_ids, as_of=tx.now)}
    kept = await tx.rows(
        _Standing,
        """
        select id, decision, stands, score, reasons, decided_by is not null as is_decided
          from trust.verdict where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        list(verdict_ids),
    )
    found: dict[uuid.UUID, Verdict] = {}
    changed: list[Verdict] = []
    for old in kept:
        verdict = Verdict(old.id, old.stands, old.score, old.reasons)
        if old.id in around and not old.is_decided:
            _, _, reasons = judged(around[old.id], rules)
            verdict = _together(old, reasons)
            if verdict.reasons != old.reasons:
                changed.append(verdict)
        found[old.id] = verdict
    if changed:
        await _rewrite(tx, changed)
    return [found[i] for i in verdict_ids if i in found]


class _Standing(msgspec.Struct, frozen=True):
    id: uuid.UUID
    decision: Decision
    stands: Decision
    score: float
    reasons: list[Why]
    is_decided: bool


def _together(old: _Standing, reasons: Sequence[Why]) -> Verdict:
    by_rule = {why.rule: why for why in (*old.reasons, *reasons)}
    both = sorted(by_rule.values(), key=lambda why: (-why.weight, why.rule))
    score = noisy_or(why.weight for why in both)
    return Verdict(old.id, decided(score), score, both)


async def _rewrite(tx: Tx, verdicts: Sequence[Verdict]) -> None:
    await tx.run(
        """
        update trust.verdict v
           set decision = n.decision, stands = n.decision, score = n.score,
               reasons = n.reasons::jsonb
          from unnest($2::uuid[], $3::text[], $4::real[], $5::text[])
               as n(id, decision, score, reasons)
         where v.cell = $1 and v.id = any($2::uuid[]) and v.id = n.id
        """,
        tx.cell,
        [v.id for v in verdicts],
        [v.decision for v in verdicts],
        [v.score for v in verdicts],
        [msgspec.json.encode(v.reasons).decode() for v in verdicts],
    )


async def surroundings_of(
    tx: Tx, act_ids: Sequence[uuid.UUID], *, as_of: dt.datetime | None = None
) -> list[Around]:
    """What surrounded each act at its time, or at ``as_of``; clusters are today's. 1 statement."""
    return await tx.rows(
        Around,
        """
        select id, kind, same_person, shared, accounts, today, back, forth, circle, helpers,
               helper_devices, helper_identities, helper_ties, fresh_near, near, crowded, denials,
               pardoned
          from trust.surroundings($1, $2, $3) order by id
        """,
        tx.cell,
        list(act_ids),
        as_of,
    )


async def _write_acts(tx: Tx, ids: Sequence[uuid.UUID], acts: Sequence[Act]) -> None:
    await tx.run(
        """
        insert into trust.act (cell, id, kind, person_id, other_id, document_id, facts, at)
        select $1, a.id, a.kind, a.person_id, a.other_id, a.document_id, a.facts::jsonb, a.at
          from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
                      $8::timestamptz[])
               as a(id, kind, person_id, other_id, document_id, facts, at)
        """,
        tx.cell,
        list(ids),
        [a.kind for a in acts],
        [a.person_id for a in acts],
        [a.other_id for a in acts],
        [a.document_id for a in acts],
        [msgspec.json.encode(a.facts).decode() for a in acts],
        [a.at or tx.now for a in acts],
    )


async def _write_verdicts(tx: Tx, verdicts: Sequence[Verdict], acts: Sequence[Act]) -> None:
    await tx.run(
        """
        insert into trust.verdict (cell, id, kind, person_id, other_id, document_id, decision,
                                   score, reasons, stands, at)
        select $1, v.id, v.kind, v.person_id, v.other_id, v.document_id, v.decision, v.score,
               v.reasons::jsonb, v.decision, v.at
          from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
                      $8::real[], $9::text[], $10::timestamptz[])
               as v(id, kind, person_id, other_id, document_id, decision, score, reasons, at)
        """,
        tx.cell,
        [v.id for v in verdicts],
        [a.kind for a in acts],
        [a.person_id for a in acts],
        [a.other_id for a in acts],
        [a.document_id for a in acts],
        [v.decision for v in verdicts],
        [v.score for v in verdicts],
        [msgspec.json.encode(v.reasons).decode() for v in verdicts],
        [a.at or tx.now for a in acts],
    )


class _Old(msgspec.Struct, frozen=True):
    id: uuid.UUID
    decision: Decision
    reasons: list[Why]


class Trial(msgspec.Struct, frozen=True):
    """What the rules would have said over some days: how many acts, what changes (from, to,
    count), and how often each rule would have spoken and has spoken."""

    acts: int
    changes: list[tuple[str, str, int]]
    hits: dict[str, int]
    before: dict[str, int]


async def dry_run(tx: Tx, rules: Sequence[Rule], since: dt.datetime, *, most: int = 2000) -> Trial:
    """Judge the last ``most`` acts since then by ``rules`` without keeping anything. 2
    statements."""
    old = await tx.rows(
        _Old,
        """
        select id, decision, reasons from trust.verdict where cell = $1 and at >= $2
         order by at desc limit $3
        """,
        tx.cell,
        since,
        most,
    )
    around = {a.id: a for a in await surroundings_of(tx, [v.id for v in old])}
    changes: dict[tuple[str, str], int] = {}
    hits: dict[str, int] = {}
    before: dict[str, int] = {}
    for verdict in old:
        for why in verdict.reasons:
            before[why.rule] = before.get(why.rule, 0) + 1
        if verdict.id not in around:
            continue
        decision, _, reasons = judged(around[verdict.id], rules)
        for why in reasons:
            hits[why.rule] = hits.get(why.rule, 0) + 1
        if decision != verdict.decision:
            change = (verdict.decision, decision)
            changes[change] = changes.get(change, 0) + 1
    listed = [(a, b, n) for (a, b), n in sorted(changes.items())]
    return Trial(len(old), listed, hits, before)
