"""Completion: what a buyer is probably typing, in Chinese, pinyin or Latin letters."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from pinwheel.discovery.search import finding
from pinwheel.discovery.search.analysis import fold, pinyin, words_of_han
from pinwheel.discovery.search.index import SearchIndex
from pinwheel.discovery.search.model import (
    MAX_QUERY_CHARACTERS,
    Query,
    Spoken,
    Suggestion,
)
from pinwheel.kernel.words import said

LOOKED_AT = 40
EACH = 3
ASKED_AT_LEAST = 3  # a query that few have asked may tell who asked it


class Phrases:
    """Queries that buyers ask, ready to be completed by spelling, pinyin or initials."""

    def __init__(self, spoken: Iterable[Spoken] = ()) -> None:
        rows: list[tuple[str, Spoken]] = []
        for query in spoken:
            if query.asked >= ASKED_AT_LEAST:
                rows += [(key, query) for key in keys_of(query.text)]
        rows.sort(key=lambda row: (row[0], -row[1].asked, row[1].text))
        self._keys = [key for key, _ in rows]
        self._queries = [query for _, query in rows]

    def starting(self, prefix: str, language: str, limit: int) -> list[str]:
        """The most asked queries that begin like this, in the reader's language first."""
        found: dict[str, tuple[bool, int]] = {}
        for at in range(bisect_left(self._keys, prefix), len(self._keys)):
            if not self._keys[at].startswith(prefix):
                break
            query = self._queries[at]
            found[query.text] = (query.language[:2] == language[:2], query.asked)
        best = sorted(found, key=lambda t: (not found[t][0], -found[t][1], t))
        return best[:limit]


def keys_of(text: str) -> list[str]:
    """The ways a phrase may begin to be typed: as it is, in full pinyin, by its initials."""
    plain = squeezed(text)
    full, initials = pinyin(plain)
    return [k for k in dict.fromkeys((plain, full, initials)) if k]


def squeezed(text: str) -> str:
    """Folded, with single spaces."""
    return " ".join(fold(text[:MAX_QUERY_CHARACTERS]).split())


def suggest(
    index: SearchIndex,
    prefix: str,
    language: str,
    *,
    channel: str = "web",
    region: str = "",
    phrases: Phrases | None = None,
    limit: int = 10,
) -> list[Suggestion]:
    """At most `limit` completions: asked queries, categories, brands, products. Never raises."""
    typed = squeezed(prefix)
    if not typed or limit <= 0:
        return []
    queries = phrases.starting(typed, language, limit) if phrases else []
    found = [Suggestion(text, "query") for text in queries]
    found += _from_products(index, typed, language, channel, region)
    unique = {suggestion.text: suggestion for suggestion in reversed(found)}
    return [s for s in found if unique[s.text] is s][:limit]


def _from_products(
    index: SearchIndex, typed: str, language: str, channel: str, region: str
) -> list[Suggestion]:
    query = Query(
        text=typed,
        language=language,
        channel=channel,
        region=region,
        limit=LOOKED_AT,
        as_typed=True,
        with_facets=False,
    )
    snapshot = index.snapshot()
    _, filters, ask, total = finding.asked(snapshot, query, finding.NO_SYNONYMS)
    if ask.widening == "popular":
        return []
    rows = finding.ranked(snapshot, query, ask, filters, total)
    documents = [snapshot.card(address) for _, address in rows]
    kinds: Counter[str] = Counter()
    brands: Counter[str] = Counter()
    for document in documents:
        for category in document.categories:
            name = said(category.names, language)
            if name and any(_begins(n, typed) for n in category.names.values()):
                kinds[name] += 1
        brands.update(b for b in document.brands if _begins(b, typed))
    found = [Suggestion(name, "category") for name, _ in _commonest(kinds)]
    found += [Suggestion(name, "brand") for name, _ in _commonest(brands)]
    return found + [
        Suggestion(finding.title_in(d, language), "product", d.product_id) for d in documents
    ]


def _commonest(names: Counter[str]) -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda row: (-row[1], row[0]))[:EACH]


def _begins(name: str, typed: str) -> bool:
    """Does a name, one of its words, or their pinyin begin like this?"""
    plain = squeezed(name)
    words = [plain, *plain.split(), *words_of_han(plain)]
    return any(key.startswith(typed) for word in words for key in keys_of(word))
