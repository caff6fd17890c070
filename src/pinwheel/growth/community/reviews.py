"""Writing, editing, withdrawing and judging reviews."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.community.counting import count
from pinwheel.growth.community.doubting import is_doubted, keep_signals, signals_around
from pinwheel.growth.community.model import (
    DOUBT,
    AlreadyReviewed,
    ForeignPicture,
    NewReview,
    NothingDelivered,
    OwnWords,
    ReviewPublished,
    ReviewWithdrawn,
    State,
    Trace,
    Written,
)
from pinwheel.growth.community.wording import bands, one_line, plain
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound


class Bought(msgspec.Struct, frozen=True):
    """The delivered line that gives the right to speak."""

    order_id: uuid.UUID
    line: int
    seller_id: uuid.UUID
    variant_id: uuid.UUID


class Held(msgspec.Struct, frozen=True):
    """A review of one's own, locked."""

    id: uuid.UUID
    product_id: uuid.UUID
    seller_id: uuid.UUID
    rating: int
    title: str
    body: str
    state: State
    is_cleared: bool
    revision: int
    doubt: float  # of what other words don't mend: who wrote, from where, with whom


async def bought(tx: Tx, person_id: uuid.UUID, product_id: uuid.UUID) -> Bought | None:
    """The line by which this person has received this product: one that was kept before one that
    was sent back, then the latest."""
    return await tx.row(
        Bought,
        """
        select l.order_id, l.line, l.seller_id, l.variant_id
          from orders.v_line l
          join catalogue.v_variant v on v.variant_id = l.variant_id
         where l.cell = $1 and l.person_id = $2 and v.product_id = $3 and l.state = 'delivered'
           and l.shipped > 0
         order by l.shipped > l.returned desc, l.placed_at desc, l.line limit 1
        """,
        tx.cell,
        person_id,
        product_id,
    )


async def write_review(
    tx: Tx,
    person_id: uuid.UUID,
    product_id: uuid.UUID,
    new: NewReview,
    *,
    language: str,
    trace: Trace | None = None,
) -> Written:
    """Publish what a buyer says, or have a person look first when there is reason to doubt.

    ``NothingDelivered``, ``AlreadyReviewed``, ``ForeignPicture``."""
    line = await bought(tx, person_id, product_id)
    if line is None:
        raise NothingDelivered()
    await _check_pictures(tx, person_id, new.pictures)
    trace = trace or Trace()
    title, body = one_line(new.title), plain(new.body)
    text = f"{title} {body}"
    signals = await signals_around(
        tx,
        person_id=person_id,
        product_id=product_id,
        seller_id=line.seller_id,
        text=text,
        trace=trace,
    )
    written = Written(tx.new_id(), "pending" if is_doubted(signals) else "published")
    review = _Fresh(written, product_id, line, person_id, language, trace)
    if not await _insert(tx, review, new, title, body):
        raise AlreadyReviewed()
    await keep_signals(tx, [(written.id, signal) for signal in signals])
    if written.state == "published":
        _publish(tx, written.id, person_id, product_id, new, revision=1)
        await count(tx, [(product_id, new.rating, 1)])
    return written


async def edit_review(
    tx: Tx,
    person_id: uuid.UUID,
    review_id: uuid.UUID,
    new: NewReview,
    *,
    trace: Trace | None = None,
) -> Written:
    """Say it otherwise. What was said before is kept; a review that was rejected, or gives reason
    to doubt now, waits for a person."""
    held = await _held(tx, person_id, review_id)
    await _check_pictures(tx, person_id, new.pictures)
    title, body = one_line(new.title), plain(new.body)
    text = f"{title} {body}"
    signals = await signals_around(
        tx,
        person_id=person_id,
        product_id=held.product_id,
        seller_id=held.seller_id,
        text=text,
        trace=trace or Trace(),
    )
    cleared = held.is_cleared and (held.title, held.body) == (title, body)
    doubted = held.doubt >= DOUBT or is_doubted(signals)
    waits = held.state in ("rejected", "pending") or (doubted and not cleared)
    written = Written(review_id, "pending" if waits else "published")
    await _change(tx, written, new, title, body, cleared)
    await keep_signals(tx, [(review_id, signal) for signal in signals])
    changes = []
    if held.state == "published":
        changes.append((held.product_id, held.rating, -1))
    if written.state == "published":
        changes.append((held.product_id, new.rating, 1))
        _publish(tx, review_id, person_id, held.product_id, new, revision=held.revision + 1)
    elif held.state == "published":
        tx.emit(ReviewWithdrawn(review_id=review_id, product_id=held.product_id, reason="doubted"))
    await count(tx, changes)
    return written


async def withdraw_review(tx: Tx, person_id: uuid.UUID, review_id: uuid.UUID) -> None:
    """Take one's review away. Safe to repeat; editing brings it back."""
    held = await _held(tx, person_id, review_id)
    if held.state in ("withdrawn", "rejected"):
        return
    await tx.run(
        """
        update community.review set state = 'withdrawn', published_at = null
         where cell = $1 and id = $2
        """,
        tx.cell,
        review_id,
    )
    if held.state == "published":
        tx.emit(
            ReviewWithdrawn(review_id=review_id, product_id=held.product_id, reason="withdrawn")
        )
        await count(tx, [(held.product_id, held.rating, -1)])


async def vote(tx: Tx, person_id: uuid.UUID, review_id: uuid.UUID, helpful: bool) -> int:
    """Say that a review helped (or take that back); how many it has helped. ``OwnWords``."""
    found = await tx.the(
        "review",
        Votable,
        """
        select coalesce(person_id = $3, false) as is_own from community.review
         where cell = $1 and id = $2 and state = 'published' for update
        """,
        tx.cell,
        review_id,
        person_id,
    )
    if found.is_own:
        raise OwnWords()
    if helpful:
        changed = await tx.run(
            """
            insert into community.vote (cell, review_id, person_id, at) values ($1, $2, $3, $4)
            on conflict (cell, review_id, person_id) do nothing
            """,
            tx.cell,
            review_id,
            person_id,
            tx.now,
        )
    else:
        changed = -await tx.run(
            "delete from community.vote where cell = $1 and review_id = $2 and person_id = $3",
            tx.cell,
            review_id,
            person_id,
        )
    total: int = await tx.value(
        """
        update community.review set helpful = helpful + $3 where cell = $1 and id = $2
        returning helpful
        """,
        tx.cell,
        review_id,
        changed,
    )
    return total


async def reply(
    tx: Tx, review_id: uuid.UUID, words: str, *, seller_id: uuid.UUID | None = None
) -> None:
    """The shop's answer below a review, or that of ``seller_id`` to a review of what they sold; an
    empty one takes it away."""
    said = plain(words) or None
    found = await tx.run(
        """
        update community.review
           set reply = $3, replied_at = case when $3::text is not null then $4::timestamptz end
         where cell = $1 and id = $2 and state = 'published'
           and ($5::uuid is null or seller_id = $5)
        """,
        tx.cell,
        review_id,
        said,
        tx.now,
        seller_id,
    )
    if not found:
        raise NotFound(what="review")


class _Fresh(msgspec.Struct, frozen=True):
    """Whose review of what, and from where."""

    written: Written
    product_id: uuid.UUID
    line: Bought
    person_id: uuid.UUID
    language: str
    trace: Trace


async def _insert(tx: Tx, review: _Fresh, new: NewReview, title: str, body: str) -> int:
    """0 when this person has reviewed the product before."""
    return await tx.run(
        """
        insert into community.review (cell, id, product_id, variant_id, order_id, line, seller_id,
               person_id, author, rating, title, body, pictures, language, incentive, state, bands,
               device, network, created_at, published_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, case when $16 = 'published' then $20::timestamptz end)
        on conflict (cell, product_id, person_id) where person_id is not null do nothing
        """,
        tx.cell,
        review.written.id,
        review.product_id,
        review.line.variant_id,
        review.line.order_id,
        review.line.line,
        review.line.seller_id,
        review.person_id,
        one_line(new.author),
        new.rating,
        title,
        body,
        new.pictures,
        review.language,
        new.incentive,
        review.written.state,
        bands(f"{title} {body}"),
        review.trace.device,
        review.trace.network,
        tx.now,
    )


async def _change(
    tx: Tx, written: Written, new: NewReview, title: str, body: str, cleared: bool
) -> None:
    await tx.run(
        """
        with mended as (
          delete from community.signal
           where cell = $1 and subject_id = $2 and kind in ('link', 'contact', 'duplicate')
        ), former as (
          insert into community.revision (cell, review_id, revision, rating, title, body, at)
          select cell, id, revision, rating, title, body, $10 from community.review
           where cell = $1 and id = $2
        )
        update community.review
           set rating = $3, title = $4, body = $5, pictures = $6, incentive = $7, bands = $8,
               author = $11, state = $9, is_cleared = $12, note = null, revision = revision + 1,
               edited_at = $10, published_at = case when $9 = 'published'
                                               then coalesce(published_at, $10) end
         where cell = $1 and id = $2
        """,
        tx.cell,
        written.id,
        new.rating,
        title,
        body,
        new.pictures,
        new.incentive,
        bands(f"{title} {body}"),
        written.state,
        tx.now,
        one_line(new.author),
        cleared,
    )


class Votable(msgspec.Struct, frozen=True):
    is_own: bool


async def _held(tx: Tx, person_id: uuid.UUID, review_id: uuid.UUID) -> Held:
    return await tx.the(
        "review",
        Held,
        """
        select r.id, r.product_id, r.seller_id, r.rating, r.title, r.body, r.state, r.is_cleared,
               r.revision,
               coalesce((select sum(s.weight) from community.signal s
                          where s.cell = $1 and s.subject_id = $2
                            and s.kind in ('ring', 'device', 'network', 'reported')), 0)
               ::double precision as doubt
          from community.review r
         where r.cell = $1 and r.id = $2 and r.person_id = $3 for update
        """,
        tx.cell,
        review_id,
        person_id,
    )


async def _check_pictures(tx: Tx, person_id: uuid.UUID, pictures: Sequence[uuid.UUID]) -> None:
    if not pictures:
        return
    own = await tx.value(
        """
        select count(distinct picture_id) from media.v_picture
         where cell = $1 and picture_id = any($2::uuid[]) and owner_id = $3
        """,
        tx.cell,
        list(pictures),
        person_id,
    )
    if own != len(pictures):
        raise ForeignPicture()


def _publish(
    tx: Tx,
    review_id: uuid.UUID,
    person_id: uuid.UUID,
    product_id: uuid.UUID,
    new: NewReview,
    *,
    revision: int,
) -> None:
    tx.emit(
        ReviewPublished(
            review_id=review_id,
            product_id=product_id,
            person_id=person_id,
            rating=new.rating,
            revision=revision,
            incentive=new.incentive,
        )
    )
