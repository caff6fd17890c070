"""Reviews, questions and answers: nouns, limits, refusals and facts."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

State = Literal["published", "pending", "rejected", "withdrawn"]
Order = Literal["helpful", "newest"]
Part = Literal["review", "question", "answer"]
ReportReason = Literal["spam", "insult", "false", "personal_data", "illegal", "other"]
Incentive = Literal["sample", "discount", "points", "cash", "other"]

MOST_PICTURES = 6
REPORTS_TO_LOOK = 3
DOUBT = 1.0
"""What is written is shown at once unless the weights of its signals reach this sum."""

Author = Annotated[str, Meta(max_length=60)]
Title = Annotated[str, Meta(max_length=150)]
Body = Annotated[str, Meta(max_length=8000)]
Words = Annotated[str, Meta(min_length=1, max_length=2000)]


class NewReview(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer says of a product: ``rating`` from 1 to 5. ``incentive`` is what they were given
    for saying it; it is shown."""

    rating: Annotated[int, Meta(ge=1, le=5)]
    title: Title = ""
    body: Body = ""
    author: Author = ""
    pictures: Annotated[list[uuid.UUID], Meta(max_length=MOST_PICTURES)] = []
    incentive: Incentive | None = None


class Trace(msgspec.Struct, frozen=True):
    """Keyed hashes of where something was written from: they can be compared and not read."""

    device: bytes | None = None
    network: bytes | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A review as everybody may see it. ``author`` None: the writer has left, and their words with
    them. Every review is of a delivered purchase (``is_verified``)."""

    id: uuid.UUID
    product_id: uuid.UUID
    variant_id: uuid.UUID
    author: str | None
    rating: int
    title: str
    body: str
    pictures: list[uuid.UUID]
    language: str
    incentive: str | None
    helpful: int
    reply: str | None
    replied_at: dt.datetime | None
    created_at: dt.datetime
    edited_at: dt.datetime | None
    is_verified: bool = True


class OwnReview(msgspec.Struct, frozen=True, kw_only=True):
    """A review as its writer sees it."""

    id: uuid.UUID
    product_id: uuid.UUID
    rating: int
    title: str
    body: str
    pictures: list[uuid.UUID]
    incentive: str | None
    state: State
    note: str | None
    revision: int
    helpful: int
    created_at: dt.datetime
    edited_at: dt.datetime | None


class Rating(msgspec.Struct, frozen=True):
    """``mean`` is what was given; ``score`` is what to rank by: it counts few ratings for less.
    ``stars`` are the numbers of ratings from one to five stars."""

    product_id: uuid.UUID
    ratings: int
    mean: float
    score: float
    shrunk: float
    stars: list[int]


class Written(msgspec.Struct, frozen=True):
    """``state`` is ``pending`` when a person looks first."""

    id: uuid.UUID
    state: State


class Signal(msgspec.Struct, frozen=True):
    """One reason to doubt: the rule, how heavily it weighs (0 to 1) and the figures it saw."""

    kind: str
    weight: float
    facts: dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    id: uuid.UUID
    author: str | None
    standing: Literal["buyer", "shop"]
    body: str
    created_at: dt.datetime


class Question(msgspec.Struct, frozen=True):
    id: uuid.UUID
    author: str | None
    body: str
    created_at: dt.datetime
    answers: list[Answer]


class Queued(msgspec.Struct, frozen=True):
    """Something that waits for a moderator, with all the reasons why."""

    id: uuid.UUID
    part: Part
    product_id: uuid.UUID
    person_id: uuid.UUID | None
    rating: int | None
    title: str
    body: str
    state: State
    created_at: dt.datetime
    signals: list[dict[str, Any]]
    reports: list[dict[str, Any]]


class Verdict(msgspec.Struct, frozen=True):
    """A moderator's word; ``note`` tells the writer why it was rejected."""

    id: uuid.UUID
    publish: bool
    note: Annotated[str, Meta(max_length=500)] = ""


class NothingDelivered(Refusal):
    status = 403
    en = "Only somebody who bought this and has received it can do this here."
    zh = "仅购买并已收到该商品的用户可以进行此操作。"


class AlreadyReviewed(Refusal):
    en = "You have reviewed this product before. Edit that review instead."
    zh = "您已评价过该商品，请直接修改原评价。"


class OwnWords(Refusal):
    en = "You can't do this with what you wrote yourself."
    zh = "不能对自己发布的内容进行此操作。"


class ForeignPicture(Refusal):
    status = 422
    en = "One of these pictures is not yours or is not there. Upload it first."
    zh = "其中有图片不存在或不属于您，请先上传。"


class ReviewPublished(Event, frozen=True, kw_only=True):
    """A review can be read, or reads differently than before (``revision`` above 1)."""

    subject: ClassVar[str] = "review_id"
    review_id: uuid.UUID
    product_id: uuid.UUID
    person_id: uuid.UUID | None
    rating: int
    revision: int
    incentive: str | None


class ReviewWithdrawn(Event, frozen=True, kw_only=True):
    """A review is no longer shown and no longer counts: withdrawn, rejected or doubted."""

    subject: ClassVar[str] = "review_id"
    review_id: uuid.UUID
    product_id: uuid.UUID
    reason: str


class RatingChanged(Event, frozen=True, kw_only=True):
    """The rating of these products is not what it was."""

    product_ids: list[uuid.UUID]


class QuestionAsked(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "question_id"
    question_id: uuid.UUID
    product_id: uuid.UUID


class QuestionAnswered(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "question_id"
    question_id: uuid.UUID
    answer_id: uuid.UUID
    product_id: uuid.UUID
    asker_id: uuid.UUID | None
