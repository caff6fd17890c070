"""Filters, and facets counted under them."""

from collections import defaultdict
from typing import Any

import tantivy

from pinwheel.discovery.search.index import SCHEMA, Snapshot, exact, facet_term
from pinwheel.discovery.search.model import Facet, FacetValue, Query

_Q = tantivy.Query
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should
MOST_FACET_VALUES = 2_000
FACETS_SHOWN, VALUES_SHOWN = 20, 30


class Filters:
    """The conditions of a query that give no points."""

    def __init__(self, query: Query, market: str) -> None:
        self.always = [exact("market", market)]
        if query.buyable_only:
            self.always.append(exact("flag", "buyable"))
        self._given = list(self.always)
        low, high = query.price_min_minor, query.price_max_minor
        if low is not None or high is not None:
            low, high = _bounded(low), _bounded(high)
            kind = tantivy.FieldType.Integer
            self.always.append(_Q.range_query(SCHEMA, "price", kind, low, high))
        self.by_facet = {
            code: _any_of([facet_term(code, v) for v in values[:100]])
            for code, values in list(query.facets.items())[:30]
            if values
        }

        self.chosen = bool(self.by_facet) or len(self.always) > len(self._given)

    def unfiltered(self, matching: tantivy.Query) -> tantivy.Query:
        """The match in this market, without facets and prices."""
        return _Q.boolean_query([(_MUST, matching), *((_MUST, q) for q in self._given)])

    def narrowed(self, matching: tantivy.Query, *, without: str = "") -> tantivy.Query:
        """The match under all filters, or all but one facet's own."""
        held = self.always + [q for code, q in self.by_facet.items() if code != without]
        quiet = [(_MUST, _Q.const_score_query(q, 0.0)) for q in held]
        return _Q.boolean_query([(_MUST, matching), *quiet])


def _bounded(minor: int | None) -> int | None:
    return None if minor is None else max(-(1 << 62), min(minor, 1 << 62))


def _any_of(terms: list[str]) -> tantivy.Query:
    return _Q.boolean_query([(_SHOULD, exact("facet", t)) for t in terms])


def facets_of(
    snapshot: Snapshot, query: Query, matching: tantivy.Query, filters: Filters
) -> tuple[list[Facet], int | None, int | None]:
    """The facets with their counts, and the lowest and highest price of what is listed."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    listed, price = _counted(snapshot, filters.narrowed(matching))
    for (code, value), count in listed.items():
        counts[code][value] = count
    for code in filters.by_facet:
        own, _ = _counted(snapshot, filters.narrowed(matching, without=code))
        counts[code] = {value: count for (c, value), count in own.items() if c == code}
        for value in query.facets[code]:
            counts[code].setdefault(value, 0)
    facets = [_facet(code, values, query.facets.get(code, [])) for code, values in counts.items()]
    facets.sort(
        key=lambda f: (not query.facets.get(f.code), -sum(v.count for v in f.values), f.code)
    )
    if not price["count"]:
        return facets[:FACETS_SHOWN], None, None
    return facets[:FACETS_SHOWN], int(price["min"]), int(price["max"])


def _counted(
    snapshot: Snapshot, query: tantivy.Query
) -> tuple[dict[tuple[str, str], int], dict[str, Any]]:
    """How many matches carry each value: the commonest 2,000 values, a tie at the end left out."""
    wanted = {
        "facet": {"terms": {"field": "facet", "size": MOST_FACET_VALUES, "segment_size": 65_000}},
        "price": {"stats": {"field": "price"}},
    }
    found: dict[str, Any] = snapshot.searcher.aggregate(query, wanted)
    buckets = found["facet"]["buckets"]
    least = buckets[-1]["doc_count"] if len(buckets) == MOST_FACET_VALUES else 0
    counts: dict[tuple[str, str], int] = {}
    for bucket in buckets:
        if bucket["doc_count"] > least:
            code, _, value = bucket["key"].partition("\x1f")
            counts[code, value] = bucket["doc_count"]
    return counts, found["price"]


def _facet(code: str, values: dict[str, int], selected: list[str]) -> Facet:
    rows = [FacetValue(value, count, value in selected) for value, count in values.items()]
    rows.sort(key=lambda v: (not v.selected, -v.count, v.value))
    return Facet(code, rows[:VALUES_SHOWN])
