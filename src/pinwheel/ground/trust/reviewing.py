"""What rules leave to a person: the queue, the decision, the appeal and its answer. Every decision
may be taken back by a later one."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Literal

import msgspec

from pinwheel.ground.trust.model import (
    APPEAL_DAYS,
    CLAIM_SECONDS,
    AppealAnswered,
    AppealExists,
    Decision,
    NothingToAppeal,
    NotUnderReview,
    VerdictDecided,
    Why,
)
from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page

PURPOSE = "trust.appeal.words"


class Judged(msgspec.Struct, frozen=True):
    """A verdict as it stands. ``appeal_due``: somebody waits for an answer until then."""

    id: uuid.UUID
    kind: str
    person_id: uuid.UUID
    other_id: uuid.UUID | None
    document_id: uuid.UUID | None
    decision: Decision
    stands: Decision
    score: float
    reasons: list[Why]
    claimed_by: str | None
    claimed_until: dt.datetime | None
    decided_by: str | None
    decided_at: dt.datetime | None
    note: str
    at: dt.datetime
    appeal_due: dt.datetime | None


class Appeal(msgspec.Struct, frozen=True):
    id: uuid.UUID
    verdict_id: uuid.UUID
    person_id: uuid.UUID
    words: str
    state: str
    made_at: dt.datetime
    due_at: dt.datetime
    answer: str
    answered_by: str | None
    answered_at: dt.datetime | None


View = Literal["open", "denied", "all"]


async def verdicts(
    tx: Tx,
    *,
    view: View = "open",
    person_id: uuid.UUID | None = None,
    document_id: uuid.UUID | None = None,
    cursor: str | None = None,
    limit: int = 30,
) -> Page[Judged]:
    """What waits for a decision with the oldest first, or what was refused, or all with the newest
    first. 1 statement."""
    after = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        Judged,
        """
        select v.id, v.kind, v.person_id, v.other_id, v.document_id, v.decision, v.stands, v.score,
               v.reasons, v.claimed_by, v.claimed_until, v.decided_by, v.decided_at, v.note, v.at,
               a.due_at as appeal_due
          from trust.verdict v
          left join trust.appeal a on a.cell = v.cell and a.verdict_id = v.id and a.state = 'open'
         where v.cell = $1
           and case $2::text when 'open' then v.stands = 'review'
                 when 'denied' then v.stands = 'deny' else true end
           and ($3::uuid is null or v.person_id = $3)
           and ($4::uuid is null or v.document_id = $4)
           and ($5::uuid is null or case $2 when 'open' then v.id > $5 else v.id < $5 end)
         order by case $2 when 'open' then v.id end, v.id desc
         limit $6
        """,
        tx.cell,
        view,
        person_id,
        document_id,
        after[0] if after else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda v: (v.id,))


async def verdict(tx: Tx, verdict_id: uuid.UUID) -> Judged:
    """One verdict. ``NotFound``."""
    return await tx.the(
        "verdict",
        Judged,
        """
        select v.id, v.kind, v.person_id, v.other_id, v.document_id, v.decision, v.stands, v.score,
               v.reasons, v.claimed_by, v.claimed_until, v.decided_by, v.decided_at, v.note, v.at,
               a.due_at as appeal_due
          from trust.verdict v
          left join trust.appeal a on a.cell = v.cell and a.verdict_id = v.id and a.state = 'open'
         where v.cell = $1 and v.id = $2
        """,
        tx.cell,
        verdict_id,
    )


async def claim(tx: Tx, verdict_id: uuid.UUID) -> None:
    """I look at this one: half an hour nobody else decides it. ``NotUnderReview`` when somebody
    else looks, or when it is decided."""
    done = await tx.run(
        """
        update trust.verdict set claimed_by = $3, claimed_until = $4
         where cell = $1 and id = $2 and stands = 'review'
           and (claimed_by is null or claimed_by = $3 or claimed_until < $5)
        """,
        tx.cell,
        verdict_id,
        tx.actor,
        tx.later_than(CLAIM_SECONDS),
        tx.now,
    )
    if not done:
        raise NotUnderReview(who=(await verdict(tx, verdict_id)).claimed_by or "–")


async def decide(
    tx: Tx, verdict_id: uuid.UUID, decision: Literal["allow", "deny"], note: str
) -> None:
    """Say what holds, over what the rules or somebody before said, and tell it
    (``VerdictDecided``); the same decision again changes nothing. ``NotUnderReview`` while somebody
    else has claimed it."""
    if not note.strip():
        raise Invalid("note", "say why, for whoever looks after you", "请填写理由，供后续查阅")
    before = await tx.the(
        "verdict",
        _Standing,
        """
        select kind, person_id, other_id, document_id, stands, claimed_by, claimed_until
          from trust.verdict where cell = $1 and id = $2 for update
        """,
        tx.cell,
        verdict_id,
    )
    busy = before.claimed_until is not None and before.claimed_until > tx.now
    if busy and before.claimed_by != tx.actor and before.stands == "review":
        raise NotUnderReview(who=before.claimed_by)
    if before.stands == decision:
        return
    await tx.run(
        """
        with decision as (
          insert into trust.decision (cell, id, verdict_id, decision, note, actor, at)
          values ($1, $3, $2, $4, $5, $6, $7)
        )
        update trust.verdict set stands = $4, note = $5, decided_by = $6, decided_at = $7,
               claimed_by = null, claimed_until = null
         where cell = $1 and id = $2
        """,
        tx.cell,
        verdict_id,
        tx.new_id(),
        decision,
        note,
        tx.actor,
        tx.now,
    )
    tx.emit(
        VerdictDecided(
            verdict_id=verdict_id,
            act_kind=before.kind,
            person_id=before.person_id,
            other_id=before.other_id,
            document_id=before.document_id,
            decision=decision,
        )
    )


class _Standing(msgspec.Struct, frozen=True):
    kind: str
    person_id: uuid.UUID
    other_id: uuid.UUID | None
    document_id: uuid.UUID | None
    stands: Decision
    claimed_by: str | None
    claimed_until: dt.datetime | None


async def appeal(
    tx: Tx, person_id: uuid.UUID, words: str, verdict_id: uuid.UUID | None = None
) -> Appeal:
    """This person disagrees with what was refused or held up (their latest when none is named);
    answered within seven days. ``NothingToAppeal``, ``AppealExists``."""
    found = await tx.value(
        """
        select id from trust.verdict
         where cell = $1 and person_id = $2 and stands in ('deny', 'review')
           and ($3::uuid is null or id = $3)
         order by at desc, id desc limit 1
        """,
        tx.cell,
        person_id,
        verdict_id,
    )
    if found is None:
        raise NothingToAppeal()
    due = tx.later_than(APPEAL_DAYS * 86_400)
    appeal_id = await tx.value(
        """
        insert into trust.appeal (cell, id, verdict_id, person_id, words, made_at, due_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (cell, verdict_id) do nothing returning id
        """,
        tx.cell,
        tx.new_id(),
        found,
        person_id,
        tx.db.vault.seal(words, PURPOSE),
        tx.now,
        due,
    )
    if appeal_id is None:
        [first] = await appeals_of(tx, person_id, verdict_id=found)
        raise AppealExists(due=first.due_at.date().isoformat())
    [made] = await appeals_of(tx, person_id, verdict_id=found)
    return made


async def answer(tx: Tx, appeal_id: uuid.UUID, is_granted: bool, words: str) -> None:
    """Answer an appeal; a granted one allows what was refused. ``NotUnderReview`` when it was
    answered before."""
    if not words.strip():
        raise Invalid("answer", "write the person an answer", "请填写给对方的答复")
    found = await tx.row(
        _Answered,
        """
        update trust.appeal set state = $3, answer = $4, answered_by = $5, answered_at = $6
         where cell = $1 and id = $2 and state = 'open'
        returning person_id, verdict_id
        """,
        tx.cell,
        appeal_id,
        "granted" if is_granted else "refused",
        words,
        tx.actor,
        tx.now,
    )
    if found is None:
        raise NotUnderReview(who="–")
    await tx.run(
        """
        update trust.verdict set claimed_by = $3, claimed_until = $4
         where cell = $1 and id = $2 and stands = 'review'
        """,
        tx.cell,
        found.verdict_id,
        tx.actor,
        tx.later_than(CLAIM_SECONDS),
    )
    await decide(tx, found.verdict_id, "allow" if is_granted else "deny", words)
    tx.emit(
        AppealAnswered(
            person_id=found.person_id,
            appeal_id=appeal_id,
            verdict_id=found.verdict_id,
            is_granted=is_granted,
        )
    )


class _Answered(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    verdict_id: uuid.UUID


async def appeals_of(
    tx: Tx, person_id: uuid.UUID, *, verdict_id: uuid.UUID | None = None
) -> list[Appeal]:
    """A person's appeals with their answers, the newest first."""
    rows = await tx.rows(
        Appeal,
        """
        select id, verdict_id, person_id, words, state, made_at, due_at, answer, answered_by,
               answered_at from trust.appeal
         where cell = $1 and person_id = $2 and ($3::uuid is null or verdict_id = $3)
         order by id desc limit 50
        """,
        tx.cell,
        person_id,
        verdict_id,
    )
    return [_opened(tx, row) for row in rows]


async def open_appeals(tx: Tx, *, limit: int = 100) -> list[Appeal]:
    """Those that wait for an answer, the soonest due first."""
    rows = await tx.rows(
        Appeal,
        """
        select id, verdict_id, person_id, words, state, made_at, due_at, answer, answered_by,
               answered_at from trust.appeal
         where cell = $1 and state = 'open' order by due_at, id limit $2
        """,
        tx.cell,
        limit,
    )
    return [_opened(tx, row) for row in rows]


def _opened(tx: Tx, row: Appeal) -> Appeal:
    words = tx.db.vault.open(row.words, PURPOSE) if row.words else ""
    return msgspec.structs.replace(row, words=words)
