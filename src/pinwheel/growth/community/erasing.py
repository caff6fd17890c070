"""What a person may have, and have gone: the copy of their words, and their erasure."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


async def forget_people(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Words, names, pictures, votes and reports of these people go; their ratings stay in the
    figures and belong to nobody. Safe to repeat."""
    ids = list(person_ids)
    await tx.run(
        """
        with former as (
          delete from community.revision v using community.review r
           where r.cell = $1 and r.person_id = any($2::uuid[]) and v.cell = r.cell
             and v.review_id = r.id
        ), question as (
          update community.question set person_id = null, author = null, body = '', note = null,
                 state = 'withdrawn', erased_at = $3
           where cell = $1 and person_id = any($2::uuid[])
        ), answer as (
          update community.answer set person_id = null, author = null, body = '', note = null,
                 state = 'withdrawn', erased_at = $3
           where cell = $1 and person_id = any($2::uuid[])
        ), report as (
          delete from community.report where cell = $1 and person_id = any($2::uuid[])
        )
        update community.review
           set person_id = null, author = null, title = '', body = '', pictures = '{}', note = null,
               bands = '{}', device = null, network = null, erased_at = $3,
               state = case when state = 'pending' then 'withdrawn' else state end
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        ids,
        tx.now,
    )
    await tx.run(
        """
        with gone as (
          delete from community.vote where cell = $1 and person_id = any($2::uuid[])
          returning review_id
        )
        update community.review r set helpful = helpful - g.votes
          from (select review_id, count(*) as votes from gone group by review_id) g
         where r.cell = $1 and r.id = g.review_id
        """,
        tx.cell,
        ids,
    )


class Said(msgspec.Struct, frozen=True):
    """Something a person wrote or did here."""

    part: str
    id: uuid.UUID
    product_id: uuid.UUID | None
    rating: int | None
    title: str | None
    body: str
    state: str
    at: dt.datetime


async def export(tx: Tx, person_id: uuid.UUID) -> Any:
    """Everything this person has said here, former wordings, votes and reports too."""
    return await tx.rows(
        Said,
        """
        select 'review' as part, id, product_id, rating::int as rating, title, body, state,
               created_at as at
          from community.review where cell = $1 and person_id = $2
        union all
        select 'former review', r.id, r.product_id, v.rating::int, v.title, v.body, 'replaced', v.at
          from community.revision v
          join community.review r on r.cell = v.cell and r.id = v.review_id
         where r.cell = $1 and r.person_id = $2
        union all
        select 'question', id, product_id, null, null, body, state, created_at
          from community.question where cell = $1 and person_id = $2
        union all
        select 'answer', id, product_id, null, null, body, state, created_at
          from community.answer where cell = $1 and person_id = $2
        union all
        select 'vote', review_id, null, null, null, 'helpful', 'given', at
          from community.vote where cell = $1 and person_id = $2
        union all
        select 'report', subject_id, null, null, reason, words, 'sent', at
          from community.report where cell = $1 and person_id = $2
        order by at
        """,
        tx.cell,
        person_id,
    )
