"""Questions about word of mouth; set-based, no locks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.growth.community.model import Order, OwnReview, Question, Queued, Rating, Review
from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page

Votes = Annotated[int, Meta(ge=0, lt=2**31)]


class ProductReviews(msgspec.Struct, frozen=True):
    """A product's rating and a page of its reviews. ``rating`` None: nobody has rated it yet."""

    rating: Rating | None
    reviews: list[Review]
    next: str | None = None


class _Sight(msgspec.Struct, frozen=True):
    rating: Rating | None
    reviews: list[Review]


async def product_reviews(
    tx: Tx,
    product_id: uuid.UUID,
    *,
    order: Order = "helpful",
    stars: int | None = None,
    cursor: str | None = None,
    limit: int = 10,
) -> ProductReviews:
    """Rating, histogram and one page of reviews in one statement; ``stars`` shows those alone."""
    place = listing.after(cursor, Votes, uuid.UUID)
    sight = await tx.the(
        "product",
        _Sight,
        """
        select (select to_jsonb(v) from community.v_rating v
                 where v.product_id = $2 and v.cell = $1) as rating,
               coalesce((select jsonb_agg(to_jsonb(f) order by f.place desc, f.id desc) from (
                 select * from (
                   select r.id, r.product_id, r.variant_id, r.author, r.rating, r.title, r.body,
                          r.pictures, r.language, r.incentive, r.helpful, r.reply, r.replied_at,
                          r.created_at, r.edited_at, r.helpful as place
                     from community.review r
                    where $3 = 'helpful' and r.cell = $1 and r.product_id = $2
                      and r.state = 'published' and ($4::int is null or r.rating = $4)
                      and ($5::int is null or (r.helpful, r.id) < ($5, $6::uuid))
                    order by r.helpful desc, r.id desc limit $7) helpful
                 union all
                 select * from (
                   select r.id, r.product_id, r.variant_id, r.author, r.rating, r.title, r.body,
                          r.pictures, r.language, r.incentive, r.helpful, r.reply, r.replied_at,
                          r.created_at, r.edited_at, 0 as place
                     from community.review r
                    where $3 = 'newest' and r.cell = $1 and r.product_id = $2
                      and r.state = 'published' and ($4::int is null or r.rating = $4)
                      and ($6::uuid is null or r.id < $6)
                    order by r.id desc limit $7) newest) f), '[]') as reviews
        """,
        tx.cell,
        product_id,
        order,
        stars,
        place[0] if place else None,
        place[1] if place else None,
        limit + 1,
    )
    found = listing.page(
        sight.reviews, limit, lambda r: (r.helpful if order == "helpful" else 0, r.id)
    )
    return ProductReviews(sight.rating, found.items, found.next)


async def ratings_of(tx: Tx, product_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Rating]:
    """The ratings of many products; those that nobody has rated are absent."""
    rows = await tx.rows(
        Rating,
        """
        select product_id, ratings, mean, score, shrunk, stars from community.v_rating
         where cell = $1 and product_id = any($2::uuid[])
        """,
        tx.cell,
        list(product_ids),
    )
    return {row.product_id: row for row in rows}


async def reviews_of(
    tx: Tx, person_id: uuid.UUID, *, cursor: str | None = None, limit: int = 20
) -> Page[OwnReview]:
    """What this person has reviewed, whatever became of it, the newest first."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        OwnReview,
        """
        select id, product_id, rating, title, body, pictures, incentive, state, note, revision,
               helpful, created_at, edited_at
          from community.review
         where cell = $1 and person_id = $2 and ($3::uuid is null or id < $3)
         order by id desc limit $4
        """,
        tx.cell,
        person_id,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda r: (r.id,))


async def questions(
    tx: Tx, product_id: uuid.UUID, *, cursor: str | None = None, limit: int = 10, answers: int = 5
) -> Page[Question]:
    """Questions about a product, the newest first, each with its first answers, the shop's before
    the others'. One statement."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        Question,
        """
        select q.id, q.author, q.body, q.created_at,
               coalesce((select jsonb_agg(to_jsonb(f)) from (
                 select a.id, a.author, a.standing, a.body, a.created_at from community.answer a
                  where a.cell = $1 and a.question_id = q.id and a.state = 'published'
                  order by a.standing desc, a.id limit $5) f), '[]') as answers
          from community.question q
         where q.cell = $1 and q.product_id = $2 and q.state = 'published'
           and ($3::uuid is null or q.id < $3)
         order by q.id desc limit $4
        """,
        tx.cell,
        product_id,
        before[0] if before else None,
        limit + 1,
        answers,
    )
    return listing.page(rows, limit, lambda q: (q.id,))


async def queue(tx: Tx, *, cursor: str | None = None, limit: int = 50) -> Page[Queued]:
    """What waits for a moderator, and what was let stand before and is reported again; the oldest
    first, with every signal and report."""
    place = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        Queued,
        """
        with reported as (
          select distinct subject_id as id from community.report
           where cell = $1 and settled_at is null
        ), waiting as (
          select id, 'review' as part, product_id, person_id, rating::int as rating, title, body,
                 state, created_at
            from community.review
           where cell = $1 and (state = 'pending' or state = 'published' and id in (table reported))
          union all
          select id, 'question', product_id, person_id, null, '', body, state, created_at
            from community.question
           where cell = $1 and (state = 'pending' or state = 'published' and id in (table reported))
          union all
          select id, 'answer', product_id, person_id, null, '', body, state, created_at
            from community.answer
           where cell = $1 and (state = 'pending' or state = 'published' and id in (table reported))
        )
        select w.id, w.part, w.product_id, w.person_id, w.rating, w.title, w.body, w.state,
               w.created_at,
               coalesce((select jsonb_agg(jsonb_build_object('kind', s.kind, 'weight', s.weight,
                                                             'facts', s.facts) order by s.kind)
                  from community.signal s where s.cell = $1 and s.subject_id = w.id), '[]')
               as signals,
               coalesce((select jsonb_agg(jsonb_build_object('reason', p.reason, 'words', p.words,
                                                             'at', p.at) order by p.at)
                  from community.report p
                 where p.cell = $1 and p.subject_id = w.id and p.settled_at is null), '[]')
               as reports
          from waiting w
         where $2::uuid is null or w.id > $2
         order by w.id limit $3
        """,
        tx.cell,
        place[0] if place else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda q: (q.id,))
