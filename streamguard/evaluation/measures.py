"""Arrays in, numbers out: how well scores rank, how true probabilities are, and how sure either is. Knows no media.

Labels are 1 for FAKE and 0 for real, and a higher score is more fake. Every measure takes weights beside them, one row
for each time that it is asked: `weights` is (B, N), and the answer is (B,). With a row of ones that is the number
itself; with rows that say how often each group was drawn it is the bootstrap. So the interval is of the very number
beside it.

A number that is not defined (no fake, no real, nothing at all) is NaN, never a made-up value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, lgamma, log, log1p, nan

import numpy as np

DRAWS = 1000
BINS = 10
"""Of probabilities, equally wide."""
MOST_UNDEFINED = 0.05
"""If a number is not defined in more than this share of the draws, there is no interval: it would be of other data."""

Measure = Callable[[np.ndarray], np.ndarray]
"""Weights (B, N) to values (B,): a measure with its labels and scores inside."""


# Ranking.


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The chance that a fake scores higher than a real one; ties count half."""
    weights = _weights(labels, weights)
    real, fake = _by_score(labels, scores, weights)  # (B, U): how much of each class at each score
    below = np.cumsum(real, axis=1) - real
    pairs = real.sum(axis=1) * fake.sum(axis=1)
    return _ratio((fake * (below + 0.5 * real)).sum(axis=1), pairs)


def roc(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """FPR and TPR (B, U + 1) when all that scores at least the threshold (U + 1,) is called fake, the strictest first:
    infinity, which calls nobody fake."""
    weights = _weights(labels, weights)
    real, fake = _by_score(labels, scores, weights)
    shares = []
    for each in (real, fake):
        called = np.cumsum(each[:, ::-1], axis=1)
        share = _ratio(called, each.sum(axis=1, keepdims=True))
        nothing = np.where(np.isnan(share[:, :1]), nan, 0.0) if share.shape[1] else np.full((len(weights), 1), nan)
        shares.append(np.concatenate([nothing, share], axis=1))
    return shares[0], shares[1], np.concatenate([[inf], np.unique(scores)[::-1]])


def tpr_at_fpr(labels: np.ndarray, scores: np.ndarray, fpr: float, weights: np.ndarray | None = None) -> np.ndarray:
    """The largest share of fakes that one threshold catches while it calls at most `fpr` of the real ones fake."""
    false, true, _ = roc(labels, scores, weights)
    best = np.where(false <= fpr + 1e-12, true, -inf).max(axis=1)
    return np.where(np.isnan(false[:, 0]) | np.isnan(true[:, 0]), nan, best)


def equal_error_rate(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Where as many fakes are missed as real ones accused, on straight lines between the points of the ROC."""
    false, true, _ = roc(labels, scores, weights)
    gap = (1 - true) - false  # falls from 1 to -1
    after = np.argmax(gap <= 0, axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    gap_before, gap_after = np.take_along_axis(gap, before, 1), np.take_along_axis(gap, after, 1)
    share = np.divide(gap_before, gap_before - gap_after, out=np.zeros_like(gap_before), where=gap_before != gap_after)
    false_before, false_after = np.take_along_axis(false, before, 1), np.take_along_axis(false, after, 1)
    return (false_before + share * (false_after - false_before))[:, 0]


def accuracy(labels: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of which the right thing was called (1 fake, 0 real). NaN in `called` is not decided, and counts as wrong:
    who never decides is not accurate."""
    return mean(called == labels, weights)


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The share for which it is true, or the mean."""
    weights = _weights(values, weights)
    return _ratio(weights @ values.astype(float), weights.sum(axis=1))


def share_where(values: np.ndarray, among: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The mean of the values for which `among` is true."""
    weights = _weights(values, weights)
    return mean(values, weights * among)


def ratio(above: np.ndarray, below: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum by sum: such as alarms by hours."""
    weights = _weights(above, weights)
    return _ratio(weights @ above.astype(float), weights @ below.astype(float))


# Probabilities.


def brier_skill(labels: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """1 less the squared error of the probabilities by that of always saying the share of fakes: 1 is perfect, and
    at or below 0 one would do better to look at nothing."""
    return _skill(labels, (p - labels) ** 2, _weights(labels, weights))


def calibration_error(
    labels: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None, *, bins: int = BINS
) -> np.ndarray:
    """Expected calibration error: in bins of equal width, how far the share of fakes is from the mean probability,
    each by how many are in it. Few samples make it larger than it is."""
    inside = (_bin_of(p, bins)[:, None] == np.arange(bins)).astype(float)
    return _off(labels, inside, inside * p[:, None], _weights(labels, weights))


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Several probabilities of each sample, of which each sample counts once."""

    labels: np.ndarray  # (N,)
    inside: np.ndarray  # (N, BINS): which share of its probabilities is in each bin
    mass: np.ndarray  # (N, BINS): their sum there, by how many it has in all
    error: np.ndarray  # (N,): their mean squared error

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: Sequence[np.ndarray]) -> Spread:
        """At least one probability for each sample."""
        inside, mass = np.zeros((len(labels), BINS)), np.zeros((len(labels), BINS))
        error = np.zeros(len(labels))
        for i, (label, p) in enumerate(zip(labels, probabilities, strict=True)):
            place = _bin_of(p, BINS)
            inside[i] = np.bincount(place, minlength=BINS) / len(p)
            mass[i] = np.bincount(place, p, minlength=BINS) / len(p)
            error[i] = ((p - label) ** 2).mean()
        return cls(labels, inside, mass, error)

    def brier_skill(self, weights: np.ndarray) -> np.ndarray:
        return _skill(self.labels, self.error, weights)

    def calibration_error(self, weights: np.ndarray) -> np.ndarray:
        return _off(self.labels, self.inside, self.mass, weights)

    def reliability(self, people: Bootstrap) -> tuple[Bin, ...]:
        found = []
        for i in range(BINS):
            inside, mass = self.inside[:, i], self.mass[:, i]
            low, high, _, _ = people.interval(lambda w, inside=inside: self._share(inside, w))  # type: ignore[misc]
            found.append(
                Bin(
                    low=i / BINS,
                    high=(i + 1) / BINS,
                    count=float(inside.sum()),
                    p=float(_ratio(mass.sum(), inside.sum())),
                    share=float(self._share(inside, np.ones((1, len(inside))))[0]),
                    share_low=low,
                    share_high=high,
                )
            )
        return tuple(found)

    def _share(self, inside: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return _ratio(weights @ (inside * self.labels), weights @ inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bin of a reliability diagram."""

    low: float
    high: float
    count: float
    """Samples; one whose probabilities are spread counts in parts."""
    p: float
    """Mean probability; NaN in an empty bin, as what follows."""
    share: float
    """Of fakes."""
    share_low: float
    """90%, over groups; NaN where too few groups are in the bin."""
    share_high: float


def _skill(labels: np.ndarray, error: np.ndarray, weights: np.ndarray) -> np.ndarray:
    base = mean(labels, weights)
    return 1 - _ratio(mean(error, weights), base * (1 - base))


def _off(labels: np.ndarray, inside: np.ndarray, mass: np.ndarray, weights: np.ndarray) -> np.ndarray:
    off = np.abs(weights @ (labels[:, None] * inside - mass))
    return _ratio(off.sum(axis=1), weights.sum(axis=1))


def _bin_of(p: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((p * bins).astype(int), bins - 1)


# How sure.


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, between what and what it probably lies, and what that rests on."""

    value: float
    """NaN where it is not defined: `why` says what is missing."""
    low90: float
    high90: float
    low95: float
    high95: float
    count: int
    """Tracks, videos or pairs."""
    groups: int
    """People (or people tied together) behind them: what the intervals are over."""
    minutes: float
    """Usable media time behind it."""
    why: str = ""
    """Why a number or its interval is missing."""

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "n/a"
        if np.isnan(self.low90):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low90:.3f}, {self.high90:.3f}]"


class Bootstrap:
    """Draws of groups with replacement, the same for every measure of the same samples. Seeded: the same data
    give the same intervals."""

    def __init__(self, groups: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> None:
        """`groups`: one for each sample, N of them."""
        names = sorted(set(groups))
        place = {name: i for i, name in enumerate(names)}
        self.member = np.array([place[group] for group in groups], int)  # (N,)
        self.groups = len(names)
        drawn = np.zeros((draws, 0), int)
        if names:
            even = np.full(self.groups, 1 / self.groups)
            drawn = np.random.default_rng(seed).multinomial(self.groups, even, size=draws)
        self.weights = drawn[:, self.member].astype(float)  # (draws, N): how often each sample's group was drawn

    def interval(self, measure: Measure) -> tuple[float, float, float, float]:
        """90% and 95%, by percentiles: (low90, high90, low95, high95). NaN with fewer than two groups, or where the
        measure is too often not defined."""
        if self.groups < 2:
            return nan, nan, nan, nan
        values = measure(self.weights)
        return interval_of(values)

    def estimate(self, measure: Measure, *, minutes: np.ndarray, among: np.ndarray | None = None) -> Estimate:
        """The number with its interval. `among` says which samples it is about, for counting them only."""
        chosen = np.ones(len(self.member), bool) if among is None else among.astype(bool)
        groups = len(np.unique(self.member[chosen]))
        value = float(measure(np.ones((1, len(self.member))))[0]) if len(self.member) else nan
        low90, high90, low95, high95 = self.interval(measure) if groups > 1 else (nan, nan, nan, nan)
        why = ""
        if np.isnan(value):
            why = "nothing to measure" if not chosen.any() else "not defined: a class is missing"
        elif groups < 2:
            why = "one group alone gives no interval"
        elif np.isnan(low90):
            why = "no interval: too few groups of one class"
        return Estimate(
            value=value,
            low90=low90,
            high90=high90,
            low95=low95,
            high95=high95,
            count=int(chosen.sum()),
            groups=groups,
            minutes=float(minutes[chosen].sum()),
            why=why,
        )

    def share(self, values: np.ndarray, among: np.ndarray, *, minutes: np.ndarray) -> Estimate:
        """The share of those in `among` for which it is true. Where that is all or none, drawing them anew says
        nothing: then the interval is the exact one for as many independent cases as there are groups."""
        found = self.estimate(lambda w: share_where(values, among, w), minutes=minutes, among=among)
        if found.groups < 2 or found.value not in (0.0, 1.0):
            return found
        hits = round(found.value * found.groups)
        (low90, high90), (low95, high95) = (clopper_pearson(hits, found.groups, sure) for sure in (0.9, 0.95))
        return replace(found, low90=low90, high90=high90, low95=low95, high95=high95, why="")


def interval_of(values: np.ndarray) -> tuple[float, float, float, float]:
    """90% and 95% by percentiles of the draws; NaN if too many of them are not defined."""
    finite = values[np.isfinite(values)]
    if not len(values) or len(finite) < (1 - MOST_UNDEFINED) * len(values):
        return nan, nan, nan, nan
    low95, low90, high90, high95 = np.percentile(finite, (2.5, 5, 95, 97.5))
    return float(low90), float(high90), float(low95), float(high95)


def clopper_pearson(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a share. Of nothing: NaN."""
    if count == 0:
        return nan, nan
    tail = (1 - confidence) / 2
    return _lower(hits, count, tail), _upper(hits, count, tail)


def upper_bound(hits: int, count: int, confidence: float = 0.95) -> float:
    """The exact one-sided upper bound of a share: with none of 60 it is just below 0.05. Of nothing: NaN."""
    return nan if count == 0 else _upper(hits, count, 1 - confidence)


def _upper(hits: int, count: int, tail: float) -> float:
    """The share at which as few hits as these would still come with the probability `tail`."""
    return 1.0 if hits >= count else _bisected(lambda p: at_most(hits, count, p) - tail)


def _lower(hits: int, count: int, tail: float) -> float:
    return 0.0 if hits <= 0 else _bisected(lambda p: at_most(hits - 1, count, p) - (1 - tail))


def at_most(hits: int, count: int, p: float) -> float:
    """The binomial probability of at most so many."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(hits >= count)
    return sum(
        exp(lgamma(count + 1) - lgamma(k + 1) - lgamma(count - k + 1) + k * log(p) + (count - k) * log1p(-p))
        for k in range(hits + 1)
    )


def _bisected(falling: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


# Inside.


def _weights(samples: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.ones((1, len(samples))) if weights is None else weights


def _by_score(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much real and how much fake there is at each different score, lowest first: two of (B, U)."""
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite numbers")
    values, place = np.unique(scores, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(values)))
    if not len(values):
        return np.zeros((len(weights), 0)), np.zeros((len(weights), 0))
    sorted_weights, sorted_labels = weights[:, order], labels[order]
    real = np.add.reduceat(sorted_weights * (1 - sorted_labels), starts, axis=1)
    fake = np.add.reduceat(sorted_weights * sorted_labels, starts, axis=1)
    return real, fake


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where there is nothing to divide by."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, nan), where=below > 0)
