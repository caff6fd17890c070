"""One way to ask, and why a document answers it as well as it does."""

import msgspec
import tantivy

from pinwheel.discovery.search import plan
from pinwheel.discovery.search.analysis import Token, identifier
from pinwheel.discovery.search.model import Document, ScorePart, Widening
from pinwheel.discovery.search.ranking import FIELDS, MASK, popularity, terms_of, texts


class Ask(msgspec.Struct, frozen=True):
    """One way to ask: what must match, what adds points, and how to name it in the answer."""

    matching: tantivy.Query
    boosts: list[tantivy.Query]
    units: list[plan.Unit]
    words: list[Token]
    key: str
    widening: Widening = "none"
    corrected: str | None = None
    ignored: list[str] = []
    complete: int | None = None
    outside: int = 0


def reasons(ask: Ask, lookup: plan.Lookup, document: Document, score: int) -> list[ScorePart]:
    """The parts of a score, computed again from the document; what is left is closeness."""
    terms = terms_of(texts(document))
    parts: list[ScorePart] = []
    rest = score
    if ask.key and ask.key in {identifier(i) for i in document.identifiers}:
        parts.append(ScorePart("identifier", plan.IDENTIFIER_TIER, ask.key))
    for unit in ask.units:
        best = (0, 0)
        for way in unit.alternatives:
            if way.terms and all(t in terms.levels for t in way.terms):
                each = zip(way.terms, way.points, strict=True)
                points = sum(terms.levels[t][0] * p for t, p in each)
                mask = 0
                for term in way.terms:
                    mask |= terms.levels[term][1]
                best = max(best, (points, mask))
        if best[0]:
            names = [f.name for f in FIELDS if best[1] & MASK[f.name]]
            parts.append(
                ScorePart(
                    "word" if ask.corrected is None else "spelled_like", best[0], unit.text, names
                )
            )
    kinds = [(p, k) for k, p in plan.kind_alternatives(ask.words, lookup) if k in terms.kinds]
    if kinds:
        points, kind = max(kinds)
        parts.append(ScorePart("kind", points, kind.replace("_", " "), ["kind"]))
    if bought := popularity(document):
        parts.append(ScorePart("popularity", bought * plan.POPULARITY_POINTS))
    rest -= sum(p.points for p in parts)
    for tier in (plan.COMPLETE_TIER, plan.BUYABLE_TIER):
        rest -= tier if rest >= tier else 0
    if rest > 0:
        parts.append(ScorePart("closeness", rest))
    return parts
