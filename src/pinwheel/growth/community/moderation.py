"""The moderators' side: reports, the queue's verdicts, and what a found ring leads to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.community.counting import count
from pinwheel.growth.community.doubting import keep_signals
from pinwheel.growth.community.model import (
    REPORTS_TO_LOOK,
    OwnWords,
    QuestionAnswered,
    QuestionAsked,
    ReportReason,
    ReviewPublished,
    ReviewWithdrawn,
    Signal,
    Verdict,
)
from pinwheel.growth.community.rings import Ring
from pinwheel.growth.community.wording import plain
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound

RING = 1.0
REPORTED = 1.0


class Moved(msgspec.Struct, frozen=True):
    """A review whose state has changed; ``before`` is what it was."""

    id: uuid.UUID
    product_id: uuid.UUID
    person_id: uuid.UUID | None
    rating: int
    revision: int
    incentive: str | None
    before: str


class MovedWords(msgspec.Struct, frozen=True):
    """A question (``answer_id`` None) or an answer whose state has changed."""

    question_id: uuid.UUID
    answer_id: uuid.UUID | None
    product_id: uuid.UUID
    asker_id: uuid.UUID | None
    before: str


async def report(
    tx: Tx, person_id: uuid.UUID, subject_id: uuid.UUID, reason: ReportReason, words: str = ""
) -> None:
    """Tell the moderators that something should not stand here; once a person, safe to repeat.

    When three people have, it is hidden until a moderator has looked, unless one has let it stand
    before: a crowd can ask for a look, not for silence."""
    own = await tx.value(
        """
        select coalesce(w.person_id = $3, false) from (
          select id, person_id from community.review where cell = $1 and state = 'published'
          union all
          select id, person_id from community.question where cell = $1 and state = 'published'
          union all
          select id, person_id from community.answer where cell = $1 and state = 'published') w
         where w.id = $2
        """,
        tx.cell,
        subject_id,
        person_id,
    )
    if own is None:
        raise NotFound(what="review, question or answer")
    if own:
        raise OwnWords()
    await tx.run(
        """
        insert into community.report (cell, subject_id, person_id, reason, words, at)
        values ($1, $2, $3, $4, $5, $6) on conflict (cell, subject_id, person_id) do nothing
        """,
        tx.cell,
        subject_id,
        person_id,
        reason,
        plain(words)[:2000],
        tx.now,
    )
    reports: int = await tx.value(
        "select count(*) from community.report"
        " where cell = $1 and subject_id = $2 and settled_at is null",
        tx.cell,
        subject_id,
    )
    if reports >= REPORTS_TO_LOOK:
        await doubt(tx, [(subject_id, Signal("reported", REPORTED, {"people": reports}))])


async def doubt(tx: Tx, found: Sequence[tuple[uuid.UUID, Signal]]) -> int:
    """Keep strong signals found after the fact, and hide what they are about until somebody has
    looked; how many reviews were hidden. What a moderator has let stand stays."""
    await keep_signals(tx, found)
    ids = sorted({subject for subject, _ in found})
    moved = await tx.rows(
        Moved,
        """
        with words as (
          update community.question set state = 'pending'
           where cell = $1 and id = any($2::uuid[]) and state = 'published' and not is_cleared
        ), said as (
          update community.answer set state = 'pending'
           where cell = $1 and id = any($2::uuid[]) and state = 'published' and not is_cleared
        )
        update community.review set state = 'pending', published_at = null
         where cell = $1 and id = any($2::uuid[]) and state = 'published' and not is_cleared
        returning id, product_id, person_id, rating, revision, incentive, 'published' as before
        """,
        tx.cell,
        ids,
    )
    tx.emit(
        *[ReviewWithdrawn(review_id=m.id, product_id=m.product_id, reason="doubted") for m in moved]
    )
    await count(tx, [(m.product_id, m.rating, -1) for m in moved])
    return len(moved)


async def doubt_rings(tx: Tx, rings: Sequence[Ring]) -> int:
    """Hide the reviews of these rings, each with what it was found by."""
    found = []
    for ring in rings:
        facts = {
            "accounts": len(ring.members),
            "products": len(ring.products),
            "sellers": len(ring.sellers),
            "surprise": ring.surprise,
            "chance_allows": ring.needed,
        }
        found += [(review, Signal("ring", RING, facts)) for review in ring.reviews]
    return await doubt(tx, found) if found else 0


async def moderate(tx: Tx, verdicts: Sequence[Verdict]) -> int:
    """Publish or reject reviews, questions and answers, also ones that are shown already; how many
    of them are there. What is published by a moderator is not hidden again by rules."""
    latest = {verdict.id: verdict for verdict in verdicts}
    ids = sorted(latest)
    states = ["published" if latest[i].publish else "rejected" for i in ids]
    notes = [latest[i].note or None for i in ids]
    moved = await _move_reviews(tx, ids, states, notes)
    words = await _move_words(tx, ids, states, notes)
    await tx.run(
        """
        update community.report set settled_at = $3
         where cell = $1 and subject_id = any($2::uuid[]) and settled_at is null
        """,
        tx.cell,
        ids,
        tx.now,
    )
    changes = []
    for m in moved:
        if latest[m.id].publish and m.before != "published":
            changes.append((m.product_id, m.rating, 1))
            tx.emit(
                ReviewPublished(
                    review_id=m.id,
                    product_id=m.product_id,
                    person_id=m.person_id,
                    rating=m.rating,
                    revision=m.revision,
                    incentive=m.incentive,
                )
            )
        elif not latest[m.id].publish and m.before == "published":
            changes.append((m.product_id, m.rating, -1))
            tx.emit(ReviewWithdrawn(review_id=m.id, product_id=m.product_id, reason="rejected"))
    for w in words:
        if latest[w.answer_id or w.question_id].publish and w.before == "pending":
            _tell(tx, w)
    await count(tx, changes)
    return len(moved) + len(words)


async def _move_reviews(
    tx: Tx, ids: list[uuid.UUID], states: list[str], notes: list[str | None]
) -> list[Moved]:
    """What its writer has withdrawn is nobody's to publish."""
    return await tx.rows(
        Moved,
        """
        with held as materialized (
          select r.id, r.state, v.state as verdict, v.note
            from community.review r
            join unnest($2::uuid[], $3::text[], $4::text[]) as v(id, state, note) on v.id = r.id
           where r.cell = $1 and r.state <> 'withdrawn' order by r.id for update of r
        )
        update community.review r
           set state = h.verdict, note = h.note, is_cleared = h.verdict = 'published',
               published_at = case when h.verdict = 'published'
                              then coalesce(r.published_at, $5) end
          from held h where r.cell = $1 and r.id = h.id
        returning r.id, r.product_id, r.person_id, r.rating, r.revision, r.incentive,
                  h.state as before
        """,
        tx.cell,
        ids,
        states,
        notes,
        tx.now,
    )


async def _move_words(
    tx: Tx, ids: list[uuid.UUID], states: list[str], notes: list[str | None]
) -> list[MovedWords]:
    return await tx.rows(
        MovedWords,
        """
        with v as (
          select v.id, v.state, v.note, coalesce(q.state, a.state) as before
            from unnest($2::uuid[], $3::text[], $4::text[]) as v(id, state, note)
            left join community.question q on q.cell = $1 and q.id = v.id
            left join community.answer a on a.cell = $1 and a.id = v.id
           where coalesce(q.state, a.state) <> 'withdrawn'
        ), q as (
          update community.question q
             set state = v.state, note = v.note, is_cleared = v.state = 'published'
            from v where q.cell = $1 and q.id = v.id and q.state = v.before
          returning q.id, q.product_id, q.person_id, v.before
        ), a as (
          update community.answer a
             set state = v.state, note = v.note, is_cleared = v.state = 'published'
            from v where a.cell = $1 and a.id = v.id and a.state = v.before
          returning a.id, a.question_id, a.product_id, v.before
        )
        select q.id as question_id, null::uuid as answer_id, q.product_id,
               q.person_id as asker_id, q.before
          from q
        union all
        select a.question_id, a.id, a.product_id, o.person_id, a.before
          from a join community.question o on o.cell = $1 and o.id = a.question_id
        """,
        tx.cell,
        ids,
        states,
        notes,
    )


def _tell(tx: Tx, words: MovedWords) -> None:
    if words.answer_id is None:
        tx.emit(QuestionAsked(question_id=words.question_id, product_id=words.product_id))
        return
    tx.emit(
        QuestionAnswered(
            question_id=words.question_id,
            answer_id=words.answer_id,
            product_id=words.product_id,
            asker_id=words.asker_id,
        )
    )
