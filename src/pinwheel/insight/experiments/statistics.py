"""The statistics of an experiment, small and pure. Where the GrowthBook statistics engine
(``gbstats``) defines the same figure, ours equals it; the tests prove it to 1e-9.

All functions take moments (counts and sums), never rows, so that a million units cost what ten
cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from scipy import special, stats


class Leverage(msgspec.Struct, frozen=True):
    """Sums over one variation's clusters, each divided by 1 - h, h being its share of d: a large
    cluster pulls the mean to itself, so that its own residual is too small. ``freedom``: of the
    variance that these sums make."""

    yy: float
    yd: float
    dd: float
    freedom: float


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over one variation's units: y the numerator, d the denominator, x the value before
    exposure (the covariate of CUPED). ``n`` units (of cluster experiments: clusters).
    ``leverage``: of clusters alone."""

    n: int
    y: float = 0.0
    yy: float = 0.0
    d: float = 0.0
    dd: float = 0.0
    yd: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    leverage: Leverage | None = None


class Sample(msgspec.Struct, frozen=True):
    """One arm as a test sees it: ``variance`` of one unit, ``plain`` the mean without adjustment
    (what a relative difference is relative to). ``freedom``: of the variance, when it isn't the
    n - 1 of single units."""

    n: int
    mean: float
    variance: float
    plain: float
    freedom: float | None = None

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.variance / self.n) if self.n > 0 and self.variance > 0 else 0.0


class Effect(msgspec.Struct, frozen=True):
    """A difference with its interval; ``low`` and ``high`` are None when there is nothing to say
    (too few units, no variance, a baseline of zero). ``p``: of the null that the difference is
    zero."""

    point: float | None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    p: float | None = None


NOTHING = Effect(None)


def _variance(n: int, total: float, squares: float) -> float:
    return max((squares - total * total / n) / (n - 1), 0.0) if n > 1 else 0.0


def _covariance(n: int, a: float, b: float, ab: float) -> float:
    return (ab - a * b / n) / (n - 1) if n > 1 else 0.0


def mean(m: Moments) -> Sample:
    average = m.y / m.n if m.n else 0.0
    return Sample(m.n, average, _variance(m.n, m.y, m.yy), average)


def proportion(m: Moments) -> Sample:
    """Variance p (1 - p)."""
    share = m.y / m.n if m.n else 0.0
    return Sample(m.n, share, share * (1 - share), share)


def ratio(m: Moments) -> Sample:
    """The sum of y over the sum of d by the delta method (Deng, Knoblich, Lu 2018)."""
    if m.n <= 1 or m.d == 0:
        return Sample(m.n, 0.0, 0.0, 0.0)
    my, md = m.y / m.n, m.d / m.n
    variance = (
        _variance(m.n, m.y, m.yy) / md**2
        - 2 * _covariance(m.n, m.y, m.d, m.yd) * my / md**3
        + my**2 * _variance(m.n, m.d, m.dd) / md**4
    )
    return Sample(m.n, m.y / m.d, max(variance, 0.0), m.y / m.d)


def clustered(m: Moments) -> Sample:
    """The sum of y over the sum of d, of clusters: with d their sizes the mean of all units. The
    variance is CR2 (Bell and McCaffrey 2002: a cluster's residual over the root of 1 - h, which
    makes it unbiased when the units are independent) and its degrees of freedom are theirs too;
    without these few clusters of unequal size are believed too much (Imbens and Kolesár 2016)."""
    if m.n <= 1 or m.d == 0 or m.leverage is None:
        return Sample(m.n, 0.0, 0.0, 0.0)
    mean, of = m.y / m.d, m.leverage
    variance = (of.yy - 2 * mean * of.yd + mean**2 * of.dd) / m.d**2
    return Sample(m.n, mean, max(variance, 0.0) * m.n, mean, of.freedom)


def leverage(y: Sequence[float], d: Sequence[float]) -> Leverage | None:
    """As it is summed in the database, from each cluster's sums. None where one cluster is all."""
    total = math.fsum(d)
    if total <= 0 or max(d) >= total:
        return None
    rest = [1 - one / total for one in d]
    return Leverage(
        yy=math.fsum(a * a / r for a, r in zip(y, rest, strict=True)),
        yd=math.fsum(a * b / r for a, b, r in zip(y, d, rest, strict=True)),
        dd=math.fsum(b * b / r for b, r in zip(d, rest, strict=True)),
        freedom=freedom(
            total,
            math.fsum(b * b for b in d),
            math.fsum(b * b / r for b, r in zip(d, rest, strict=True)),
            math.fsum((b * b / r) ** 2 for b, r in zip(d, rest, strict=True)),
        ),
    )


def freedom(d: float, dd: float, raised: float, raised_squared: float) -> float:
    """Bell and McCaffrey's degrees of freedom of one arm's mean: the trace, squared, over the sum
    of squares of the residuals' covariance when units are independent. ``raised``: the sum of
    d²/(1 - h), ``raised_squared`` that of its squares. With n clusters of one size it is n - 1."""
    return d**2 / (dd + (raised**2 - raised_squared) / d**2)


def theta(a: Moments, b: Moments, *, is_proportion: bool = False) -> float:
    """The pooled regression coefficient of y on x over both arms; 0 without variance."""
    n = a.n + b.n
    y, yy, x, xx = a.y + b.y, a.yy + b.yy, a.x + b.x, a.xx + b.xx
    if n <= 1:
        return 0.0
    if is_proportion:
        spread_y, spread_x = y / n * (1 - y / n), x / n * (1 - x / n)
    else:
        spread_y, spread_x = _variance(n, y, yy), _variance(n, x, xx)
    if spread_x <= 0 or spread_y <= 0:
        return 0.0
    return _covariance(n, x, y, a.xy + b.xy) / spread_x


def cuped(m: Moments, slope: float, *, is_proportion: bool = False) -> Sample:
    """y adjusted by what was known before (Deng, Xu, Kohavi, Walker 2013): mean y - slope x,
    variance var y + slope² var x - 2 slope cov."""
    post = proportion(m) if is_proportion else mean(m)
    before = Moments(n=m.n, y=m.x, yy=m.xx)
    pre = proportion(before) if is_proportion else mean(before)
    covariance = _covariance(m.n, m.y, m.x, m.xy)
    variance = post.variance + slope**2 * pre.variance - 2 * slope * covariance
    return Sample(m.n, post.mean - slope * pre.mean, max(variance, 0.0), post.mean)


def difference(a: Sample, b: Sample, *, relative: bool) -> tuple[float, float] | None:
    """(b - a, its variance), relative to a's plain mean by the delta method; None when there is
    none: an arm of fewer than 2 units or without variance, a relative one on a baseline of 0."""
    if min(a.n, b.n) < 2 or a.variance <= 0 or b.variance <= 0:
        return None
    if not relative:
        return b.mean - a.mean, b.variance / b.n + a.variance / a.n
    if a.plain == 0 or a.mean == 0:
        return None
    variance = b.variance / (a.plain**2 * b.n) + a.variance * b.plain**2 / (a.plain**4 * a.n)
    return (b.mean - a.mean) / a.plain, variance


def fixed(a: Sample, b: Sample, *, relative: bool = True, alpha: float = 0.05) -> Effect:
    """Welch's t-test, two-sided: right when looked at once, at a size fixed before."""
    found = difference(a, b, relative=relative)
    if found is None:
        return NOTHING
    point, variance = found
    welch = _welch(a, b)
    error = math.sqrt(variance)
    reach = float(special.stdtrit(welch, 1 - alpha / 2)) * error
    # The tail itself, not 1 - cdf: that would be 0 below 1e-16.
    p = 2 * float(special.stdtr(welch, -abs(point) / error))
    return Effect(point, point - reach, point + reach, error, p)


def _welch(a: Sample, b: Sample) -> float:
    """Degrees of freedom of the difference (Satterthwaite 1946, Welch 1947)."""
    ea, eb = a.variance / a.n, b.variance / b.n
    fa, fb = a.freedom or a.n - 1, b.freedom or b.n - 1
    return float((ea + eb) ** 2 / (ea**2 / fa + eb**2 / fb))


def tuned(alpha: float, horizon: float) -> float:
    """rho of the mixture: the interval is narrowest at ``horizon`` units (Waudby-Smith, Arbour,
    Sinha, Kennedy, Ramdas 2023, eq. 161)."""
    return math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / horizon)


def always_valid(
    a: Sample, b: Sample, *, relative: bool = True, alpha: float = 0.05, horizon: float = 5000
) -> Effect:
    """An asymptotic confidence sequence (the same paper, eq. 9 and 155): it may be looked at after
    every unit, and all looks together miss the truth in at most ``alpha`` of experiments. ``p`` is
    the always-valid one. Of clusters the variance is taken as much larger as Student's quantile
    is than the normal one: the sequence is of large samples, and clusters may be few."""
    found = difference(a, b, relative=relative)
    if found is None:
        return NOTHING
    point, variance = found
    n = a.n + b.n
    if a.freedom is not None and b.freedom is not None:
        tail = 1 - alpha / 2
        variance *= float(special.stdtrit(_welch(a, b), tail) / special.ndtri(tail)) ** 2
    rho = tuned(alpha, horizon)
    room = n * rho**2 + 1
    reach = math.sqrt(variance * n) * math.sqrt(
        2 * room * math.log(math.sqrt(room) / alpha) / (n * rho) ** 2
    )
    evidence = rho**2 * point**2 * n / variance / (2 * room) - math.log(room) / 2
    p = min(1.0, math.exp(-evidence)) if evidence > -700 else 1.0
    return Effect(point, point - reach, point + reach, math.sqrt(variance), p)


def mismatch(counts: Sequence[int], weights: Sequence[float]) -> float:
    """SRM: the p-value of Pearson's chi-square that units came in the shares of ``weights``; 1
    without units."""
    total, whole = sum(counts), sum(weights)
    if not total or whole <= 0:
        return 1.0
    expected = [w / whole * total for w in weights]
    score = sum((o - e) ** 2 / e for o, e in zip(counts, expected, strict=True) if e > 0)
    return float(stats.chi2.sf(score, len(counts) - 1))


def mismatch_anytime(counts: Sequence[int], weights: Sequence[float]) -> float:
    """SRM that may be looked at all the time: the inverse of the Bayes factor of a Dirichlet prior
    (weights times 100) against the planned shares; a test martingale (Lindon, Malek 2022)."""
    whole = sum(weights)
    shares = [w / whole for w in weights if w > 0]
    seen = [c for c, w in zip(counts, weights, strict=True) if w > 0]
    prior = [100 * share for share in shares]
    total = sum(seen)
    evidence = float(
        special.gammaln(100.0)
        - special.gammaln(100.0 + total)
        + sum(special.gammaln(p + c) - special.gammaln(p) for p, c in zip(prior, seen, strict=True))
        - sum(c * math.log(share) for c, share in zip(seen, shares, strict=True))
    )
    return min(1.0, math.exp(-max(min(evidence, 700.0), -700.0)))


def per_increment(a: Moments, b: Moments, *, alpha: float = 0.05) -> Effect:
    """The difference of mean y over the difference of mean d between the arms: what each additional
    d costs, with Fieller's interval (1954), which admits that it may have no end: without an
    effect on d that is told from zero, ``low`` and ``high`` are None."""
    if min(a.n, b.n) < 2:
        return NOTHING
    cost = b.y / b.n - a.y / a.n
    gain = b.d / b.n - a.d / a.n
    if gain == 0:
        return NOTHING
    of_cost = sum(_variance(m.n, m.y, m.yy) / m.n for m in (a, b))
    of_gain = sum(_variance(m.n, m.d, m.dd) / m.n for m in (a, b))
    of_both = sum(_covariance(m.n, m.y, m.d, m.yd) / m.n for m in (a, b))
    z = float(special.ndtri(1 - alpha / 2))
    quadratic = gain**2 - z**2 * of_gain
    if quadratic <= 0:
        return Effect(cost / gain)
    middle = gain * cost - z**2 * of_both
    inside = middle**2 - quadratic * (cost**2 - z**2 * of_cost)
    reach = math.sqrt(max(inside, 0.0))
    return Effect(cost / gain, (middle - reach) / quadratic, (middle + reach) / quadratic)
