"""Words that are nowhere in the catalogue, and what was probably meant."""

from math import log

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from pinwheel.discovery.search.analysis import Token, stem
from pinwheel.discovery.search.plan import Lookup

CONSIDERED = 40
FREQUENCY_NATS_PER_EDIT = 6.0


def correction(word: Token, lookup: Lookup) -> str | None:
    """The known word most likely meant: few edits (a swap is one), and common in this market.

    Words of up to three letters and those with digits are left alone; four to six letters may be
    one edit away, longer ones two. The first letter is seldom wrong: another costs half an edit.
    """
    typed = word.surface
    if word.han or not typed.isalpha() or not 4 <= len(typed) <= 40:
        return None
    most = 1 if len(typed) <= 6 else 2
    near = extract(
        typed, lookup.snapshot.vocabulary(), scorer=OSA.distance, score_cutoff=most, limit=None
    )
    shortlist = sorted((edits + _first(typed, to), to) for to, edits, _ in near if to != typed)
    best: tuple[float, str] | None = None
    considered = 0
    for cost, to in shortlist:
        common = lookup.has(stem(to))
        considered += bool(common)
        if common:
            rank = (cost * FREQUENCY_NATS_PER_EDIT - log(1 + common), to)
            best = min(best, rank) if best else rank
        if considered == CONSIDERED:
            break
    return best[1] if best else None


def _first(typed: str, to: str) -> float:
    return 0.0 if typed[0] == to[0] else 0.5
