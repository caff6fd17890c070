"""Attribution, pure: who is credited with a new buyer, by seven rules side by side.

All of them only share out what happened; none of them knows what would have happened without a
channel. That is what a holdout measures (``holdouts``)."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Model = Literal["first", "last", "linear", "decay", "position", "markov", "shapley"]
MODELS: tuple[Model, ...] = (
    "first",
    "last",
    "linear",
    "decay",
    "position",
    "markov",
    "shapley",
)
HALF_LIFE_DAYS = 7.0
ENDS = 0.4  # position-based: the first and the last touch have so much each
UNKNOWN, DIRECT = "unknown", "direct"
MOST_PLAYERS = 10  # Shapley over 2^n sets: more channels than that are put together as "other"

Path = tuple[str, ...]


class Touch(msgspec.Struct, frozen=True):
    channel: str
    at: dt.datetime
    campaign: str = ""


MEDIA: Mapping[str, str] = {
    **dict.fromkeys(("cpc", "ppc", "paidsearch", "sem", "search-ads"), "search-ads"),
    **dict.fromkeys(("paid", "paidsocial", "paid-social", "social-ads"), "social-ads"),
    **dict.fromkeys(("display", "banner", "cpm", "retargeting"), "display"),
    **dict.fromkeys(("email", "newsletter", "mail"), "email"),
    **dict.fromkeys(("affiliate", "cps"), "affiliate"),
    **dict.fromkeys(("agent", "assistant"), "agent"),
    **dict.fromkeys(("social", "organic-social"), "social"),
    **dict.fromkeys(("video", "live"), "video"),
    "organic": "organic",
    "sms": "sms",
    "kol": "creators",
    "influencer": "creators",
}
"""``utm_medium`` as it is usual, to a channel."""


def channel_of(name: str, source: str, medium: str, referrer: str, order_channel: str = "") -> str:
    """The channel of one touch: a share link before everything, then what the address said
    (``utm_medium``, else ``utm_source``), then another site, else direct."""
    if name.startswith("share:"):
        return name.removeprefix("share:")
    if name == "share_opened":
        return "referral"
    if order_channel in ("agent", "affiliate"):
        return order_channel
    said = medium.strip().lower().replace("_", "-")
    if said:
        return MEDIA.get(said) or _slug(said)
    if source.strip():
        return _slug(source)
    return "organic" if referrer else DIRECT


def _slug(text: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.strip().lower())
    return "-".join(part for part in plain.split("-") if part)[:40] or "other"


def path_of(touches: Sequence[Touch]) -> list[Touch]:
    """Touches in order; the same channel twice in a row is one, and direct ones count only where
    there is nothing else."""
    ordered = sorted(touches, key=lambda t: (t.at, t.channel))
    named = [t for t in ordered if t.channel != DIRECT] or ordered
    return [t for n, t in enumerate(named) if not n or t.channel != named[n - 1].channel]


def credits(touches: Sequence[Touch], bought_at: dt.datetime, model: Model) -> dict[str, float]:
    """The share of each channel in one buyer, together 1; ``markov`` and ``shapley`` are reckoned
    over all paths (``weights_of``). Somebody of whom nothing is known is ``unknown``: they said no
    to being counted, or nobody asked."""
    path = path_of(touches)
    if not path:
        return {UNKNOWN: 1.0}
    weights: list[float]
    if model == "first":
        weights = [1.0] + [0.0] * (len(path) - 1)
    elif model == "last":
        weights = [0.0] * (len(path) - 1) + [1.0]
    elif model == "decay":
        weights = [
            2 ** (-(bought_at - t.at).total_seconds() / 86_400 / HALF_LIFE_DAYS) for t in path
        ]
    elif model == "position" and len(path) > 2:
        inner = (1 - 2 * ENDS) / (len(path) - 2)
        weights = [ENDS] + [inner] * (len(path) - 2) + [ENDS]
    else:
        weights = [1.0] * len(path)
    return _shared(path, weights)


def _shared(path: Sequence[Touch], weights: Sequence[float]) -> dict[str, float]:
    whole = math.fsum(weights)
    shares: dict[str, float] = defaultdict(float)
    for touch, weight in zip(path, weights, strict=True):
        shares[touch.channel] += weight / whole
    return {c: s for c, s in shares.items() if s > 0}


def removal_effects(won: Counter[Path], lost: Counter[Path]) -> dict[str, float]:
    """By how much the chance of a new buyer falls when a channel is taken out of the first-order
    Markov chain of all paths (Anderl et al. 2016), 0 to 1."""
    moves: dict[str, Counter[str]] = defaultdict(Counter)
    for paths, end in ((won, "(won)"), (lost, "(lost)")):
        for path, people in paths.items():
            for a, b in itertools.pairwise(("(start)", *path, end)):
                moves[a][b] += people
    whole = _chance(moves, "")
    channels = sorted(set(moves) - {"(start)"})
    if whole <= 0:
        return dict.fromkeys(channels, 0.0)
    return {c: max(0.0, 1 - _chance(moves, c) / whole) for c in channels}


def _chance(moves: Mapping[str, Counter[str]], without: str) -> float:
    """The chance to get from the start to a purchase, ``without`` one channel (which leads
    nowhere): fixed-point iteration, which converges because every path ends."""
    states = [s for s in moves if s != without]
    chance = dict.fromkeys(states, 0.0)
    for _ in range(500):
        change = 0.0
        for state in states:
            to = moves[state]
            total = sum(to.values())
            value = (
                sum(n * (1.0 if t == "(won)" else chance.get(t, 0.0)) for t, n in to.items())
                / total
            )
            change = max(change, abs(value - chance[state]))
            chance[state] = value
        if change < 1e-12:
            break
    return chance.get("(start)", 0.0)


def shapley_values(won: Counter[Path], lost: Counter[Path]) -> dict[str, float]:
    """The Shapley value of each channel (1953) in the game whose worth of a set of channels is the
    share of buyers among all whose path is exactly within that set; the most used ten channels."""
    use: Counter[str] = Counter()
    for paths in (won, lost):
        for path, people in paths.items():
            for channel in set(path):
                use[channel] += people
    players = sorted(c for c, _ in use.most_common(MOST_PLAYERS))
    worth: dict[frozenset[str], float] = {}
    won_in, all_in = _within(won, players), _within(lost, players)
    for size in range(len(players) + 1):
        for chosen in itertools.combinations(players, size):
            some = frozenset(chosen)
            good = sum(n for s, n in won_in.items() if s <= some)
            bad = sum(n for s, n in all_in.items() if s <= some)
            worth[some] = good / (good + bad) if good + bad else 0.0
    values = dict.fromkeys(players, 0.0)
    n = len(players)
    for some, value in worth.items():
        for player in players:
            if player not in some:
                weight = 1 / (n * math.comb(n - 1, len(some)))
                values[player] += weight * (worth[some | {player}] - value)
    return {c: max(0.0, v) for c, v in values.items()}


def _within(paths: Counter[Path], players: Sequence[str]) -> Counter[frozenset[str]]:
    known = set(players)
    sets: Counter[frozenset[str]] = Counter()
    for path, people in paths.items():
        some = frozenset(path) & known
        if some:
            sets[some] += people
    return sets


def weights_of(model: Model, won: Counter[Path], lost: Counter[Path]) -> dict[str, float]:
    """The weight of each channel for ``markov`` and ``shapley``."""
    return removal_effects(won, lost) if model == "markov" else shapley_values(won, lost)


def weighted(touches: Sequence[Touch], weights: Mapping[str, float]) -> dict[str, float]:
    """One buyer shared out by the weights of the channels on their path, equally where none of
    them has any."""
    path = path_of(touches)
    if not path:
        return {UNKNOWN: 1.0}
    channels = sorted({t.channel for t in path})
    each = [weights.get(c, 0.0) for c in channels]
    whole = math.fsum(each)
    if whole <= 0:
        return dict.fromkeys(channels, 1 / len(channels))
    return {c: w / whole for c, w in zip(channels, each, strict=True) if w > 0}


def whole_cents(shares: Mapping[str, float], amount_minor: int) -> dict[str, int]:
    """``amount_minor`` by shares in whole minor units that add up to it exactly (largest
    remainder)."""
    if not shares:
        return {}
    sign = -1 if amount_minor < 0 else 1
    total = math.fsum(shares.values())
    exact = {c: abs(amount_minor) * s / total for c, s in shares.items()}
    parts = {c: int(e) for c, e in exact.items()}
    left = abs(amount_minor) - sum(parts.values())
    for channel in sorted(exact, key=lambda c: (parts[c] - exact[c], c))[:left]:
        parts[channel] += 1
    return {c: sign * p for c, p in parts.items()}
