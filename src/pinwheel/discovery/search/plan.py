"""From what was typed to what is asked of the index: units, their alternatives and their points."""

import re
from itertools import pairwise

import msgspec
import tantivy

from pinwheel.discovery.search.analysis import (
    STOPWORDS,
    Token,
    pairs,
    pinyin,
    stem,
    tokens,
)
from pinwheel.discovery.search.index import SCHEMA, Snapshot, exact
from pinwheel.discovery.search.model import MAX_QUERY_CHARACTERS
from pinwheel.discovery.search.ranking import (
    BITS,
    LEVELS,
    POPULARITY_BITS,
    folded_phrase,
    idf_points,
)

MAX_WORDS = 24
EXACT, PARTS, SYNONYM, PAIRS, SPOKEN, INITIALS, PREFIX = 1.15, 0.8, 0.5, 0.4, 0.6, 0.4, 0.5
CLOSENESS, KIND = 0.3, 0.6
POPULARITY_POINTS = 8
IDENTIFIER_TIER, COMPLETE_TIER, BUYABLE_TIER = 1 << 22, 1 << 21, 1 << 20
ENOUGH = 10  # with fewer complete matches, products that miss one word follow

_Q = tantivy.Query
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should


class Alternative(msgspec.Struct, frozen=True):
    """Terms that must all be there, and the points of each for one level; a prefix stands alone."""

    terms: tuple[str, ...]
    points: tuple[int, ...]
    prefix: str = ""


class Unit(msgspec.Struct, frozen=True):
    """One thing that was asked for, and the ways a document may answer it."""

    words: tuple[Token, ...]
    alternatives: tuple[Alternative, ...]
    optional: bool = False

    @property
    def text(self) -> str:
        """The words as typed."""
        return ("" if self.words[0].han else " ").join(w.surface for w in self.words)

    @property
    def known(self) -> bool:
        """Does any document answer it at all?"""
        return bool(self.alternatives)


class Thesaurus:
    """Synonyms prepared for lookup: a phrase's terms to the other phrases of its groups."""

    def __init__(self, groups: list[list[str]]) -> None:
        self.others: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for group in groups:
            phrases = list(dict.fromkeys(p for p in map(folded_phrase, group) if p))
            for phrase in phrases:
                known = self.others.setdefault(phrase, [])
                known += [p for p in phrases if p != phrase and p not in known]
        self.longest = max(map(len, self.others), default=0)


class Lookup(msgspec.Struct, frozen=True):
    """The numbers a plan needs: one snapshot, one market, one language."""

    snapshot: Snapshot
    market: str
    chinese: bool

    def has(self, term: str) -> int:
        """Live documents of this market with the term."""
        return self.snapshot.documents_with(term, self.market)

    def points(self, term: str) -> int:
        """The idf points of a term here."""
        return idf_points(self.snapshot.documents(self.market), self.has(term))

    def alternative(self, terms: tuple[str, ...], factor: float) -> Alternative | None:
        """All these terms, or None when one of them is nowhere."""
        if not terms or not all(self.has(t) for t in terms):
            return None
        return Alternative(terms, tuple(max(1, round(self.points(t) * factor)) for t in terms))


def words_of(text: str) -> list[Token]:
    """The words of a query: at most 24 of its first 200 characters."""
    return tokens(text[:MAX_QUERY_CHARACTERS], most=MAX_WORDS)


def units_of(
    words: list[Token], lookup: Lookup, thesaurus: Thesaurus, *, as_typed: bool = False
) -> list[Unit]:
    """The units of a query, from left to right: synonym phrases, joined words, single words."""
    units: list[Unit] = []
    at = 0
    meaningful = any(w.term not in STOPWORDS for w in words)
    while at < len(words):
        unit = _synonym_unit(words, at, lookup, thesaurus) or _joined_unit(words, at, lookup)
        if unit is None:
            last = as_typed and at == len(words) - 1
            found = _alternatives(words[at], lookup, unfinished=last)
            optional = meaningful and words[at].term in STOPWORDS
            unit = Unit((words[at],), tuple(found), optional)
        units.append(unit)
        at += len(unit.words)
    return units


def _synonym_unit(words: list[Token], at: int, lookup: Lookup, thesaurus: Thesaurus) -> Unit | None:
    for length in range(min(thesaurus.longest, len(words) - at), 0, -1):
        phrase = tuple(w.term for w in words[at : at + length])
        others = thesaurus.others.get(phrase)
        if not others:
            continue
        own = _alternatives(words[at], lookup) if length == 1 else [lookup.alternative(phrase, 1.0)]
        own += [_like(lookup.alternative(other, 1.0), own, lookup) for other in others]
        found = tuple(a for a in own if a is not None)
        if found:
            return Unit(tuple(words[at : at + length]), found)
    return None


def _like(
    other: Alternative | None, own: list[Alternative | None] | list[Alternative], lookup: Lookup
) -> Alternative | None:
    """A synonym never outweighs the word that was typed because it is rarer."""
    if other is None:
        return None
    most = max((sum(a.points) for a in own if a is not None), default=sum(other.points))
    share = SYNONYM * min(1.0, most / sum(other.points))
    return Alternative(other.terms, tuple(max(1, round(p * share)) for p in other.points))


def _joined_unit(words: list[Token], at: int, lookup: Lookup) -> Unit | None:
    """Two words that the catalogue writes as one ("head set") or that are pinyin ("san ti")."""
    if at + 1 >= len(words) or words[at].han or words[at + 1].han:
        return None
    left, right = words[at], words[at + 1]
    joined = left.surface + right.surface
    apart = lookup.alternative((left.term, right.term), 1.0)
    found = [apart, lookup.alternative((stem(joined),), 1.0)]
    if lookup.chinese or apart is None:
        found.append(lookup.alternative(("p:" + joined,), SPOKEN))
    if not any(found[1:]):
        return None
    return Unit((left, right), tuple(a for a in found if a is not None))


def _alternatives(word: Token, lookup: Lookup, *, unfinished: bool = False) -> list[Alternative]:
    found = _han(word, lookup) if word.han else _latin(word, lookup)
    if unfinished and not word.han and len(word.surface) >= 2:
        found.append(_prefix(word.surface, lookup))
    return [a for a in found if a is not None]


def _han(word: Token, lookup: Lookup) -> list[Alternative | None]:
    found = [lookup.alternative((word.term,), 1.0)]
    near = tuple(pairs(word.surface[:12]))
    found.append(lookup.alternative(near, PAIRS / len(near) ** 0.5))
    if not any(found):
        full, _ = pinyin(word.surface)
        if full:
            found.append(lookup.alternative(("p:" + full,), SPOKEN))
    return found


def _latin(word: Token, lookup: Lookup) -> list[Alternative | None]:
    found = [lookup.alternative((word.term,), 1.0)]
    if found[0] is not None and lookup.has("=" + word.surface):
        found.append(Alternative(("=" + word.surface,), (round(found[0].points[0] * EXACT),)))
    if len(word.parts) > 1:
        found.append(lookup.alternative(word.parts, PARTS / len(word.parts) ** 0.5))
    if lookup.chinese or not any(found):
        found.append(lookup.alternative(("p:" + word.surface,), SPOKEN))
        if 2 <= len(word.surface) <= 8:
            found.append(lookup.alternative(("i:" + word.surface,), INITIALS))
    if not any(found) and word.surface.isalpha():
        found.append(_split(word.surface, lookup))
    return found


def _split(word: str, lookup: Lookup) -> Alternative | None:
    """An unknown word as two known ones ("smartwatch"): the split whose rarer half is commonest."""
    best: tuple[int, Alternative] | None = None
    for cut in range(3, min(len(word), 24) - 2):
        halves = (stem(word[:cut]), stem(word[cut:]))
        common = min(lookup.has(h) for h in halves)
        if common > 1 and (best is None or common > best[0]):
            found = lookup.alternative(halves, PARTS / 2**0.5)
            best = (common, found) if found else best
    return best[1] if best else None


def _prefix(word: str, lookup: Lookup) -> Alternative | None:
    query = prefix_query(word, 1)
    market = exact("market", lookup.market)
    count = lookup.snapshot.count(_Q.boolean_query([(_MUST, query), (_MUST, market)]))
    if not count:
        return None
    points = idf_points(lookup.snapshot.documents(lookup.market), count)
    return Alternative((), (round(points * LEVELS * PREFIX),), word)


def prefix_query(word: str, points: int) -> tantivy.Query:
    """Documents with a word, or a Chinese word's pinyin, that begins like this."""
    safe = re.escape(word)
    return _Q.const_score_query(
        _Q.boolean_query(
            [
                (_SHOULD, _Q.regex_query(SCHEMA, "any", safe + "[^:]*")),
                (_SHOULD, _Q.regex_query(SCHEMA, "any", "p:" + safe + ".*")),
            ]
        ),
        float(points),
    )


def term_query(term: str, points: int) -> tantivy.Query:
    """`points` times the term's level in each document: the levels' bits, added up exactly."""
    return _Q.boolean_query(
        [
            (_SHOULD, _Q.const_score_query(exact(f"level{bit}", term), float(points << bit)))
            for bit in range(BITS)
        ]
    )


def unit_query(unit: Unit) -> tantivy.Query:
    """The best of a unit's alternatives in each document."""
    ways: list[tantivy.Query] = []
    for way in unit.alternatives:
        if way.prefix:
            ways.append(prefix_query(way.prefix, way.points[0]))
        elif len(way.terms) == 1:
            ways.append(term_query(way.terms[0], way.points[0]))
        else:
            each = zip(way.terms, way.points, strict=True)
            ways.append(_Q.boolean_query([(_MUST, term_query(t, p)) for t, p in each]))
    return ways[0] if len(ways) == 1 else _Q.disjunction_max_query(ways)


def closeness_queries(words: list[Token], lookup: Lookup) -> list[tuple[str, int, tantivy.Query]]:
    """Neighbours of the query that are neighbours in a title."""
    found = []
    for left, right in pairwise(words):
        if lookup.has(left.term) and lookup.has(right.term):
            points = round(
                (lookup.points(left.term) + lookup.points(right.term)) * LEVELS * CLOSENESS
            )
            query = _Q.phrase_query(SCHEMA, "title", [left.term, right.term], slop=1)
            text = f"{left.surface} {right.surface}"
            found.append((text, points, _Q.const_score_query(query, float(points))))
    return found


def kind_alternatives(words: list[Token], lookup: Lookup) -> list[tuple[str, int]]:
    """Category names that the query is, or ends with (the head of "gaming laptop" is "laptop")."""
    found = []
    for start in range(max(0, len(words) - 4), len(words)):
        span = words[start:]
        kind = "_".join(w.term for w in span)
        if lookup.snapshot.documents_with(kind, lookup.market, "kind"):
            points = sum(lookup.points(w.term) for w in span)
            found.append((kind, round(points * LEVELS * KIND)))
    return found


def popularity_queries() -> list[tantivy.Query]:
    """A few points for what sells and is liked."""
    return [
        _Q.const_score_query(exact("flag", f"popular{bit}"), float(POPULARITY_POINTS << bit))
        for bit in range(POPULARITY_BITS)
    ]
