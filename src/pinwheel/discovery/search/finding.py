"""The search itself: filters, attempts, ranking, facets and reasons."""

from typing import Any

import msgspec
import tantivy

from pinwheel.discovery.search import plan
from pinwheel.discovery.search.analysis import Token, identifier
from pinwheel.discovery.search.index import (
    SearchIndex,
    Snapshot,
    exact,
    market_term,
)
from pinwheel.discovery.search.model import (
    MAX_DEPTH,
    MAX_PAGE,
    Document,
    Hit,
    Query,
    Results,
    Widening,
)
from pinwheel.discovery.search.narrowing import Filters, facets_of
from pinwheel.discovery.search.reasons import Ask, reasons
from pinwheel.discovery.search.spelling import correction

_Q = tantivy.Query
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should
_ORDERS = {
    "price_asc": ("by_price", tantivy.Order.Asc),
    "price_desc": ("by_price", tantivy.Order.Desc),
    "popular": ("by_popularity", tantivy.Order.Desc),
    "newest": ("by_age", tantivy.Order.Desc),
    "rating": ("by_rating", tantivy.Order.Desc),
}
NO_SYNONYMS = plan.Thesaurus([])


def search(
    index: SearchIndex, query: Query, *, synonyms: plan.Thesaurus = NO_SYNONYMS, why: bool = True
) -> Results:
    """Answer a query from the newest committed state. Any text is accepted; none raises.

    `why` fills each hit's `because`. The answer is the same for the same documents whatever the
    history of the index.
    """
    snapshot = index.snapshot()
    lookup, filters, ask, total = asked(snapshot, query, synonyms)
    addresses = ranked(snapshot, query, ask, filters, total)
    hits = [_hit(snapshot, query, ask, lookup, score, at, why) for score, at in addresses]
    facets, low, high = (
        facets_of(snapshot, query, ask.matching, filters)
        if query.with_facets and (total or ask.outside)
        else ([], None, None)
    )
    corrected = ask.corrected if ask.corrected else _rare(ask, lookup, total)
    complete = total if ask.complete is None else ask.complete
    return Results(
        hits,
        total,
        complete,
        facets,
        low,
        high,
        ask.widening,
        corrected,
        ask.ignored,
        ask.outside,
    )


def asked(
    snapshot: Snapshot, query: Query, synonyms: plan.Thesaurus
) -> tuple[plan.Lookup, Filters, Ask, int]:
    """How a query is asked in the end, and how many documents that lists."""
    market = market_term(query.channel, query.region)
    lookup = plan.Lookup(snapshot, market, query.language.startswith("zh"))
    filters = Filters(query, market)
    ask, total = _first_that_finds(query, lookup, filters, synonyms)
    if 0 < total < plan.ENOUGH and query.sort == "relevance":
        ask, total = _filled_up(ask, total, lookup, filters)
    return lookup, filters, ask, total


def _first_that_finds(
    query: Query, lookup: plan.Lookup, filters: Filters, synonyms: plan.Thesaurus
) -> tuple[Ask, int]:
    """As typed; else with unknown words corrected; else with fewer words; else what is popular.

    Words that match only outside the filters have found something: those filters are the buyer's.
    """
    words = plan.words_of(query.text)
    if not words:
        ask = _browse("none" if not query.text.strip() else "popular")
        return ask, lookup.snapshot.count(filters.narrowed(ask.matching))
    units = plan.units_of(words, lookup, synonyms, as_typed=query.as_typed)
    ask, total = _tried(_ask(words, units, lookup, query.text), lookup, filters)
    if total or ask.outside:
        return ask, total
    corrected = _corrected(words, units, lookup)
    text = None
    if corrected is not None:
        words, text = corrected
        units = plan.units_of(words, lookup, synonyms)
        again = _ask(words, units, lookup, "", "corrected", text)
        ask, total = _tried(again, lookup, filters)
        if total or ask.outside:
            return ask, total
    known = [u for u in units if u.known]
    ignored = [u.text for u in units if not u.known]
    for needed in range(len(known), 0, -1):
        ask = _relaxed(words, known, lookup, needed, text, ignored)
        total = lookup.snapshot.count(filters.narrowed(ask.matching))
        if total:
            return ask, total
    ask = _browse("popular")
    return ask, lookup.snapshot.count(filters.narrowed(ask.matching))


def _tried(ask: Ask, lookup: plan.Lookup, filters: Filters) -> tuple[Ask, int]:
    total = lookup.snapshot.count(filters.narrowed(ask.matching))
    if total or not filters.chosen:
        return ask, total
    outside = lookup.snapshot.count(filters.unfiltered(ask.matching))
    return msgspec.structs.replace(ask, outside=outside), 0


def _ask(
    words: list[Token],
    units: list[plan.Unit],
    lookup: plan.Lookup,
    typed: str,
    widening: Widening = "none",
    corrected: str | None = None,
) -> Ask:
    """All units must match (words like "for" needn't); an identifier is an answer by itself."""
    needed = [u for u in units if not u.optional]
    matching = (
        _Q.boolean_query([(_MUST, plan.unit_query(u)) for u in needed])
        if needed and all(u.known for u in needed)
        else _Q.empty_query()
    )
    key = identifier(typed)
    telling = len(key) >= 4 or (len(key) >= 2 and any(c.isdigit() for c in key))
    if telling and lookup.snapshot.documents_with(key, lookup.market, "identifier"):
        first = _Q.const_score_query(exact("identifier", key), float(plan.IDENTIFIER_TIER))
        matching = _Q.boolean_query([(_SHOULD, first), (_SHOULD, matching)])
    else:
        key = ""
    optional = [plan.unit_query(u) for u in units if u.optional and u.known]
    boosts = optional + _boosts(words, lookup)
    return Ask(matching, boosts, units, words, key, widening, corrected)


def _boosts(words: list[Token], lookup: plan.Lookup) -> list[tantivy.Query]:
    kinds = [
        _Q.const_score_query(exact("kind", kind), float(points))
        for kind, points in plan.kind_alternatives(words, lookup)
    ]
    close = [query for _, _, query in plan.closeness_queries(words, lookup)]
    together = [_Q.disjunction_max_query(kinds)] if kinds else []
    return [*together, *close, *plan.popularity_queries()]


def _relaxed(
    words: list[Token],
    known: list[plan.Unit],
    lookup: plan.Lookup,
    needed: int,
    corrected: str | None,
    ignored: list[str],
) -> Ask:
    ways = [(_SHOULD, plan.unit_query(u)) for u in known]
    matching = _Q.boolean_query(ways, minimum_number_should_match=needed)
    boosts = _boosts(words, lookup)
    return Ask(matching, boosts, known, words, "", "fewer_terms", corrected, ignored)


def _filled_up(ask: Ask, complete: int, lookup: plan.Lookup, filters: Filters) -> tuple[Ask, int]:
    """Few match every word: those that miss one follow behind them."""
    needed = [u for u in ask.units if not u.optional]
    if ask.key or ask.widening not in ("none", "corrected") or len(needed) < 2:
        return ask, complete
    wide = _relaxed(ask.words, needed, lookup, len(needed) - 1, ask.corrected, [])
    first = _Q.const_score_query(ask.matching, float(plan.COMPLETE_TIER))
    wide = msgspec.structs.replace(
        wide, boosts=[*wide.boosts, first], widening=ask.widening, complete=complete
    )
    return wide, lookup.snapshot.count(filters.narrowed(wide.matching))


def _browse(widening: Widening) -> Ask:
    return Ask(
        _Q.const_score_query(_Q.all_query(), 0.0), plan.popularity_queries(), [], [], "", widening
    )


def _corrected(
    words: list[Token], units: list[plan.Unit], lookup: plan.Lookup
) -> tuple[list[Token], str] | None:
    """The query with each unknown word replaced, or None when nothing better is known."""
    changed: dict[int, str] = {}
    at = 0
    for unit in units:
        if not unit.known and (better := correction(unit.words[0], lookup)):
            changed[at] = better
        at += len(unit.words)
    if not changed:
        return None
    text = ""
    for position, word in enumerate(words):
        spaced = text and not (word.han and words[position - 1].han)
        text += (" " if spaced else "") + changed.get(position, word.surface)
    return plan.words_of(text), text


def _rare(ask: Ask, lookup: plan.Lookup, total: int) -> str | None:
    """A far commoner word next to a very rare one is offered, but not applied."""
    if ask.key or ask.widening != "none" or not 0 < total <= 2 or len(ask.words) > 4:
        return None
    for position, word in enumerate(ask.words):
        better = correction(word, lookup)
        if better is None:
            continue
        common = lookup.has(plan.words_of(better)[0].term)
        if common >= 20 * max(1, lookup.has(word.term)):
            return " ".join(better if i == position else w.surface for i, w in enumerate(ask.words))
    return None


def ranked(
    snapshot: Snapshot, query: Query, ask: Ask, filters: Filters, total: int
) -> list[tuple[int, tantivy.DocAddress]]:
    """The page asked for: by score (or the chosen order), then by product id."""
    offset = max(0, min(query.offset, MAX_DEPTH))
    end = min(offset + max(0, min(query.limit, MAX_PAGE)), total)
    if end <= offset:
        return []
    order = _ORDERS.get(query.sort)
    if order is None and not ask.words:
        order = _ORDERS["popular"]
    full = scored = filters.narrowed(ask.matching)
    if order is None:
        tier = _Q.const_score_query(exact("flag", "buyable"), float(plan.BUYABLE_TIER))
        boosts = [(_SHOULD, q) for q in [*ask.boosts, *([] if query.buyable_only else [tier])]]
        scored = _Q.boolean_query([(_MUST, full), *boosts])
    found = _window(snapshot, scored, end, total, order)
    rows = [
        (value, *key, at) for (value, at), key in zip(found, _ids(snapshot, found), strict=True)
    ]
    down = order is None or order[1] == tantivy.Order.Desc
    rows.sort(key=lambda row: (-row[0] if down else row[0], row[1], row[2]))
    return [(int(row[0]) if order is None else 0, row[3]) for row in rows[offset:end]]


def _window(
    snapshot: Snapshot, query: tantivy.Query, end: int, total: int, order: Any
) -> list[tuple[Any, tantivy.DocAddress]]:
    """At least the first `end` hits and every hit that ties with the last of them.

    The engine breaks ties by where a document happens to lie, so a tie must never be cut.
    """
    limit = min(end + 32, total)
    while True:
        if order is None:
            hits = snapshot.searcher.search(query, limit, count=False).hits
        else:
            hits = snapshot.searcher.search(
                query, limit, count=False, order_by_field=order[0], order=order[1]
            ).hits
        if len(hits) < limit or limit >= total or hits[end - 1][0] != hits[-1][0]:
            return list(hits)
        limit = min(limit * 4, total)


def _ids(snapshot: Snapshot, found: list[tuple[Any, tantivy.DocAddress]]) -> list[tuple[int, int]]:
    addresses = [at for _, at in found]
    high: list[Any] = snapshot.searcher.fast_field_values("id_high", addresses)
    low: list[Any] = snapshot.searcher.fast_field_values("id_low", addresses)
    return list(zip(high, low, strict=True))


def _hit(
    snapshot: Snapshot,
    query: Query,
    ask: Ask,
    lookup: plan.Lookup,
    score: int,
    address: tantivy.DocAddress,
    why: bool,
) -> Hit:
    document = snapshot.card(address)
    because = reasons(ask, lookup, document, score) if why and score else []
    return Hit(
        document.product_id,
        document.slug,
        title_in(document, query.language),
        document.price_minor,
        document.currency,
        document.buyable,
        score,
        because,
    )


def title_in(document: Document, language: str) -> str:
    """The title in a language, or in the first one there is."""
    for key in (language, language.split("-")[0], "en", *document.titles):
        if key in document.titles:
            return document.titles[key]
    return ""
