"""The lexical ranking: how much a term says about a document, as a small whole number.

BM25F (Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", §3.5)
with two differences: a field's length is weighed against a fixed usual length instead of the
collection's average, and the saturated weight is rounded to `LEVELS` steps. So a document's numbers
depend on the document alone, and a score is an exact whole number: the same documents give the same
scores, however they came into the index.
"""

from collections import Counter, defaultdict
from functools import lru_cache
from math import log

import msgspec

from pinwheel.discovery.search.analysis import Token, index_terms, stem, tokens
from pinwheel.discovery.search.model import Document

BITS = 5
LEVELS = (1 << BITS) - 1
POINTS_PER_NAT = 32  # resolution of the idf in a score
POPULARITY_BITS = 4
PRODUCTS_KEPT = 16


class Field(msgspec.Struct, frozen=True):
    """A part of a document: its weight, how much length counts, its usual length in words."""

    name: str
    weight: float
    length_share: float
    usual_words: int
    pinyin: bool


FIELDS = (
    Field("title", 3.0, 0.6, 9, True),
    Field("kind", 2.0, 0.3, 2, True),
    Field("brand", 1.0, 0.0, 1, True),
    Field("facet", 0.5, 0.5, 12, False),
    Field("description", 1.0, 0.8, 20, False),
)
SATURATION = 3.0
MASK = {field.name: 1 << i for i, field in enumerate(FIELDS)}
FULL_WEIGHT = 12.0 / (12.0 + SATURATION)


class Terms(msgspec.Struct, frozen=True):
    """What a document is found by: each term's level (1..31) and the fields it is in (a mask)."""

    levels: dict[str, tuple[int, int]]
    titles: list[list[str]]
    kinds: list[str]


Texts = tuple[tuple[str, tuple[str, ...]], ...]
"""A document's texts by field; the languages of a title are instances of one field."""


def texts(document: Document) -> Texts:
    """What is read of a document: the same for every market it is sold in."""
    names = [n for c in document.categories for n in (c.names.values() or [c.id])]
    values = [v for vs in document.facets.values() for v in vs if not _is_flag(v)]
    values = list(dict.fromkeys([*values, *document.words]))
    return (
        ("title", tuple(document.titles.values())),
        ("kind", tuple(names)),
        ("brand", tuple(document.brands)),
        ("facet", (" ; ".join(values),) if values else ()),
        ("description", (document.description,) if document.description else ()),
    )


def _is_flag(value: str) -> bool:
    return value.casefold() in {"true", "false", "yes", "no", "是", "否"}


@lru_cache(maxsize=PRODUCTS_KEPT)
def terms_of(written: Texts) -> Terms:
    """The terms of a document's texts with their levels. Kept for the next ones: its other markets
    come right after it."""
    weights: dict[str, float] = defaultdict(float)
    masks: dict[str, int] = defaultdict(int)
    titles: list[list[str]] = []
    kinds: set[str] = set()
    by_field = dict(written)
    for field in FIELDS:
        best: dict[str, float] = {}
        for text in by_field[field.name]:
            words = tokens(text)
            if field.name == "title":
                titles.append([w.term for w in words])
            elif field.name == "kind":
                kinds.add(kind_term(words))
            length = 1 - field.length_share + field.length_share * len(words) / field.usual_words
            for term, count in Counter(index_terms(words, with_pinyin=field.pinyin)).items():
                best[term] = max(best.get(term, 0.0), count / length)
        for term, count_weighed in best.items():
            weights[term] += field.weight * count_weighed
            masks[term] |= MASK[field.name]
    return Terms(
        {t: (level(w), masks[t]) for t, w in weights.items()},
        titles,
        sorted(k for k in kinds if k),
    )


def kind_term(words: list[Token]) -> str:
    """A category's name as one term, to be compared with the whole of a query's words."""
    return "_".join(w.term for w in words)[:100]


def level(weight: float) -> int:
    """The saturated BM25F weight in steps 1..31."""
    return max(1, min(LEVELS, round(LEVELS * weight / (weight + SATURATION) / FULL_WEIGHT)))


def idf_points(documents: int, with_term: int) -> int:
    """The inverse document frequency in points (1/32 nat), at least 1."""
    return max(
        1, round(POINTS_PER_NAT * log(1 + (documents - with_term + 0.5) / (with_term + 0.5)))
    )


def popularity(document: Document) -> int:
    """0..15 from units sold (logarithmic) and rating; a tie-breaker's weight, never more."""
    sold = min(1.0, log(1 + max(0, document.sold_units)) / log(10_001))
    rating = min(5.0, max(0.0, document.rating)) / 5
    return round(((1 << POPULARITY_BITS) - 1) * (0.75 * sold + 0.25 * rating))


def folded_phrase(phrase: str) -> tuple[str, ...]:
    """A phrase as its terms, to match synonyms whatever their spelling or number."""
    return tuple(stem(w.term) if not w.han else w.term for w in tokens(phrase))
