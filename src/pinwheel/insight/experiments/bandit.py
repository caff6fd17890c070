"""Thompson sampling by batches: more of those who come get what earns more, and every arm keeps a
floor, so that it can still be found to be better."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pinwheel.insight.experiments.model import WHOLE
from pinwheel.insight.experiments.statistics import Sample

DRAWS = 20_000


def best_odds(arms: Mapping[str, Sample], seed: int, draws: int = DRAWS) -> dict[str, float]:
    """How probable it is that each arm's mean is the highest: draws from the normal posterior of
    each mean (flat prior). An arm of fewer than two units, or without variance, is drawn with the
    spread of all of them together, so that it's tried and not written off."""
    rng = np.random.default_rng(seed)
    wide = max((s.variance for s in arms.values()), default=0.0) or 1.0
    draw = np.stack(
        [rng.normal(s.mean, s.error or (wide / max(s.n, 1)) ** 0.5, draws) for s in arms.values()]
    )
    wins = np.bincount(draw.argmax(axis=0), minlength=len(arms)) / draws
    return {key: float(share) for key, share in zip(arms, wins, strict=True)}


def weights(odds: Mapping[str, float], floor: int) -> dict[str, int]:
    """Shares in basis points that sum to 10,000: the floor for each, the rest by the odds. What
    rounding leaves goes to the likeliest arm."""
    free = WHOLE - floor * len(odds)
    total = sum(odds.values())
    shares = {key: floor + int(free * one / total) for key, one in odds.items()}
    likeliest = max(odds, key=lambda key: odds[key])
    shares[likeliest] += WHOLE - sum(shares.values())
    return shares
