"""Routes of word of mouth, for programs."""

from __future__ import annotations

import ipaddress
import secrets
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.growth.community import asking, moderation, queries, reviews
from pinwheel.growth.community.model import (
    AlreadyReviewed,
    Author,
    ForeignPicture,
    NewReview,
    NothingDelivered,
    Order,
    OwnReview,
    OwnWords,
    Question,
    Queued,
    ReportReason,
    Trace,
    Verdict,
    Words,
    Written,
)
from pinwheel.growth.community.queries import ProductReviews
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Cookie, Limit, delete, get, post, put

TAGS = ("community",)
MODERATES = "community"
DEVICE = "device"
DEVICE_SECONDS = 180 * 86_400
WRITING = (("community-write", Limit(20, 60)),)
PRODUCT = "/api/v1/products/{product_id:uuid}"
PageSize = Annotated[int, Meta(ge=1, le=100)]
Stars = Annotated[int, Meta(ge=1, le=5)]


class Vote(msgspec.Struct):
    helpful: bool = True


class Votes(msgspec.Struct):
    helpful: int


class NewWords(msgspec.Struct):
    words: Words
    author: Author = ""


class NewReply(msgspec.Struct):
    words: Annotated[str, Meta(max_length=4000)]


class NewReport(msgspec.Struct):
    subject_id: uuid.UUID
    reason: ReportReason
    words: Annotated[str, Meta(max_length=2000)] = ""


class Verdicts(msgspec.Struct):
    verdicts: Annotated[list[Verdict], Meta(min_length=1, max_length=500)]


class Count(msgspec.Struct):
    count: int


def _trace(call: Call) -> tuple[Trace, tuple[Cookie, ...]]:
    """Keyed hashes of the browser's mark and of the network around its address. A browser without
    a mark gets one; it serves to find invented reviews and nothing else. A program has none."""
    vault, mark = call.db.vault, call.cookies.get(DEVICE, "")
    cookies: tuple[Cookie, ...] = ()
    if call.token and not 20 <= len(mark) <= 60:
        mark = secrets.token_urlsafe(24)
        cookies = (Cookie(DEVICE, mark, DEVICE_SECONDS),)
    device = vault.blind(mark, "community.device") if call.token else None
    try:
        address = ipaddress.ip_address(call.address)
    except ValueError:
        return Trace(device), cookies
    near = ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False)
    return Trace(device, vault.blind(str(near), "community.network")), cookies


@get(f"{PRODUCT}/reviews", tags=TAGS)
async def product_reviews(
    tx: Tx,
    product_id: uuid.UUID,
    order: Order = "helpful",
    stars: Stars | None = None,
    after: str | None = None,
    limit: PageSize = 10,
) -> Answer[ProductReviews]:
    """A product's rating, its histogram and a page of reviews."""
    return Answer(
        await queries.product_reviews(
            tx, product_id, order=order, stars=stars, cursor=after, limit=limit
        )
    )


@post(
    f"{PRODUCT}/reviews",
    tags=TAGS,
    once=True,
    limits=WRITING,
    refusals=(NothingDelivered, AlreadyReviewed, ForeignPicture),
    status=201,
)
async def write_review(
    call: Call, tx: Tx, product_id: uuid.UUID, data: NewReview
) -> Answer[Written]:
    """Review a product one has received. ``pending`` means that a person looks first."""
    trace, cookies = _trace(call)
    person_id = call.caller.person()
    written = await reviews.write_review(
        tx, person_id, product_id, data, language=call.language, trace=trace
    )
    return Answer(written, status=201, cookies=cookies)


@get("/api/v1/account/reviews", tags=TAGS)
async def own_reviews(
    call: Call, tx: Tx, after: str | None = None, limit: PageSize = 20
) -> Answer[Page[OwnReview]]:
    """One's own reviews, whatever became of them."""
    person_id = call.caller.person()
    return Answer(await queries.reviews_of(tx, person_id, cursor=after, limit=limit))


@put(
    "/api/v1/reviews/{review_id:uuid}",
    tags=TAGS,
    limits=WRITING,
    refusals=(ForeignPicture,),
)
async def edit_review(call: Call, tx: Tx, review_id: uuid.UUID, data: NewReview) -> Answer[Written]:
    """Say it otherwise; former wordings are kept."""
    trace, cookies = _trace(call)
    person_id = call.caller.person()
    written = await reviews.edit_review(tx, person_id, review_id, data, trace=trace)
    return Answer(written, cookies=cookies)


@delete("/api/v1/reviews/{review_id:uuid}", tags=TAGS)
async def withdraw_review(call: Call, tx: Tx, review_id: uuid.UUID) -> Answer[Count]:
    """Take one's review away."""
    await reviews.withdraw_review(tx, call.caller.person(), review_id)
    return Answer(Count(1))


@post("/api/v1/reviews/{review_id:uuid}/vote", tags=TAGS, limits=WRITING, refusals=(OwnWords,))
async def vote(call: Call, tx: Tx, review_id: uuid.UUID, data: Vote) -> Answer[Votes]:
    """Say that a review helped, or take that back."""
    total = await reviews.vote(tx, call.caller.person(), review_id, data.helpful)
    return Answer(Votes(total))


@post("/api/v1/reviews/{review_id:uuid}/reply", tags=TAGS, scope=MODERATES)
async def reply(tx: Tx, review_id: uuid.UUID, data: NewReply) -> Answer[Count]:
    """The shop's answer below a review; an empty one takes it away."""
    await reviews.reply(tx, review_id, data.words)
    return Answer(Count(1))


@get(f"{PRODUCT}/questions", tags=TAGS)
async def product_questions(
    tx: Tx, product_id: uuid.UUID, after: str | None = None, limit: PageSize = 10
) -> Answer[Page[Question]]:
    """Questions about a product with their first answers."""
    return Answer(await queries.questions(tx, product_id, cursor=after, limit=limit))


@post(f"{PRODUCT}/questions", tags=TAGS, once=True, limits=WRITING, status=201)
async def ask(call: Call, tx: Tx, product_id: uuid.UUID, data: NewWords) -> Answer[Written]:
    """Ask about a product."""
    written = await asking.ask(tx, call.caller.person(), product_id, data.words, author=data.author)
    return Answer(written, status=201)


@post(
    "/api/v1/questions/{question_id:uuid}/answers",
    tags=TAGS,
    once=True,
    limits=WRITING,
    refusals=(NothingDelivered,),
    status=201,
)
async def answer(call: Call, tx: Tx, question_id: uuid.UUID, data: NewWords) -> Answer[Written]:
    """Answer, as somebody who has received the product, or for the shop with the right to."""
    written = await asking.answer(
        tx,
        call.caller.person(),
        question_id,
        data.words,
        author=data.author,
        standing="shop" if call.caller.may(MODERATES) else "buyer",
    )
    return Answer(written, status=201)


@delete("/api/v1/words/{subject_id:uuid}", tags=TAGS)
async def withdraw_words(call: Call, tx: Tx, subject_id: uuid.UUID) -> Answer[Count]:
    """Take one's question or answer away."""
    await asking.withdraw_words(tx, call.caller.person(), subject_id)
    return Answer(Count(1))


@post("/api/v1/reports", tags=TAGS, limits=WRITING, refusals=(OwnWords,), status=201)
async def report(call: Call, tx: Tx, data: NewReport) -> Answer[Count]:
    """Tell the moderators that a review, a question or an answer should not stand."""
    await moderation.report(tx, call.caller.person(), data.subject_id, data.reason, data.words)
    return Answer(Count(1), status=201)


@get("/api/v1/moderation", tags=TAGS, scope=MODERATES)
async def queue(tx: Tx, after: str | None = None, limit: PageSize = 50) -> Answer[Page[Queued]]:
    """What waits for a moderator, with every reason why."""
    return Answer(await queries.queue(tx, cursor=after, limit=limit))


@post("/api/v1/moderation", tags=TAGS, scope=MODERATES)
async def moderate(tx: Tx, data: Verdicts) -> Answer[Count]:
    """Publish or reject, many at once."""
    return Answer(Count(await moderation.moderate(tx, data.verdicts)))
