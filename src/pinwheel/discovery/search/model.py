"""Nouns of item search: what is indexed, what is asked, what is answered."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

Sort = Literal["relevance", "price_asc", "price_desc", "popular", "newest", "rating"]
Widening = Literal["none", "corrected", "fewer_terms", "popular"]

MAX_QUERY_CHARACTERS = 200
MAX_DEPTH = 1_000
MAX_PAGE = 100


class Category(msgspec.Struct, frozen=True):
    """One step of a category path, named in each language the shop speaks."""

    id: str
    names: dict[str, str] = {}


class Document(msgspec.Struct, frozen=True):
    """A product as one market (channel and region) may buy it.

    A product sold in two markets is two documents with the same `product_id`. `price_minor` is the
    best buyable offer's price in minor units of `currency`; `facets` maps an attribute's code to
    its values; `identifiers` are GTIN, ISBN, SKU or maker's part numbers in any notation; `rating`
    is 0 to 5; `sold_units` is a count; `words` are other texts to be found by (labels of values).
    """

    product_id: UUID
    titles: dict[str, str]
    slug: str = ""
    brands: list[str] = []
    categories: list[Category] = []
    identifiers: list[str] = []
    description: str = ""
    price_minor: int = 0
    currency: str = ""
    buyable: bool = True
    facets: dict[str, list[str]] = {}
    words: list[str] = []
    rating: float = 0.0
    sold_units: int = 0
    listed_at: datetime | None = None
    channel: str = "web"
    region: str = ""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer asks. Values of one facet are alternatives; different facets must all hold.

    `facets` understands the codes `brand` and `category` (its id) beside the attribute codes.
    Prices are minor units, both ends included. `as_typed` lets the last word be unfinished.
    """

    text: str = ""
    language: str = "en"
    channel: str = "web"
    region: str = ""
    facets: dict[str, list[str]] = {}
    price_min_minor: int | None = None
    price_max_minor: int | None = None
    buyable_only: bool = True
    sort: Sort = "relevance"
    offset: int = 0
    limit: int = 24
    as_typed: bool = False
    with_facets: bool = True


class ScorePart(msgspec.Struct, frozen=True):
    """One reason for a hit's rank: what matched, where, and how much it gave."""

    reason: Literal["identifier", "word", "spelled_like", "closeness", "kind", "popularity"]
    points: int
    words: str = ""
    fields: list[str] = []


class Hit(msgspec.Struct, frozen=True):
    """A product found, with what a result list shows and why it stands here."""

    product_id: UUID
    slug: str
    title: str
    price_minor: int
    currency: str
    buyable: bool
    score: int
    because: list[ScorePart]


class FacetValue(msgspec.Struct, frozen=True):
    """One value and how many products carry it under the other filters."""

    value: str
    count: int
    selected: bool


class Facet(msgspec.Struct, frozen=True):
    """The values of one attribute; its own selection doesn't shrink its own counts."""

    code: str
    values: list[FacetValue]


class Results(msgspec.Struct, frozen=True):
    """An answer. `widening` says what was done when the words as typed found nothing.

    `did_you_mean` is the corrected query (already applied when `widening` is `corrected` or
    `fewer_terms`); `ignored` holds the words that had to be dropped; `popular` hits are no matches.
    `total` counts what is listed; the first `complete` of them match every word, and only when
    those are few do products that miss one word follow. When the filters alone leave nothing,
    `outside_filters` says how many products match without facets and prices.
    """

    hits: list[Hit]
    total: int
    complete: int
    facets: list[Facet] = []
    price_min_minor: int | None = None
    price_max_minor: int | None = None
    widening: Widening = "none"
    did_you_mean: str | None = None
    ignored: list[str] = []
    outside_filters: int = 0

    @property
    def found(self) -> int:
        """Products that match what was typed; 0 when only substitutes are shown."""
        return self.complete if self.widening == "none" else 0


class Suggestion(msgspec.Struct, frozen=True):
    """A completion of what has been typed so far; a product also carries its id."""

    text: str
    kind: Literal["query", "category", "brand", "product"]
    product_id: UUID | None = None


class Synonyms(msgspec.Struct, frozen=True):
    """Words that mean the same in this shop: each group is a list of interchangeable phrases."""

    groups: list[list[str]] = []


class Spoken(msgspec.Struct, frozen=True):
    """A query that buyers have asked and that found something, with how often."""

    text: str
    language: str
    asked: int


class Asked(msgspec.Struct, frozen=True):
    """A folded query with how often it was asked, and how often it found nothing."""

    language: str
    channel: str
    region: str
    text: str
    asked: int
    found_nothing: int
    last_found: int
    last_meant: str


class Unfound(msgspec.Struct, frozen=True):
    """Demand without an answer: a query and how often it found nothing."""

    text: str
    language: str
    asked: int
    found_nothing: int
    last_meant: str
    last_at: datetime


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in the feed of facts: the last one that was read."""

    xid: int
    id: UUID


class ProductUnits(msgspec.Struct, frozen=True):
    """How many units of a product."""

    product_id: UUID
    units: int


class PopularityChanged(Event, frozen=True, kw_only=True):
    """These products sell more or less than the index knows."""

    product_ids: list[UUID]


class SynonymInvalid(Refusal):
    """A group of synonyms that says nothing, or too much."""

    status = 422
    en = "Synonyms need 2 to {most} different phrases of at most {characters} characters each."
    zh = "同义词需要 2 到 {most} 个不同的词语，每个不超过 {characters} 个字符。"
