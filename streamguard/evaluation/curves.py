"""Curves from raw scores to probabilities: a temperature (two numbers) or isotonic (any shape that never falls).

Every sample has a weight (`Samples`): both classes count alike, within a class each group of people, within a group
each track, within a track each of a bounded number of moments. So neither who was filmed most nor how often a second
the network answered has a greater say. Curves are fitted under even odds; `at_prior` moves them to another prior.

How sure a curve is comes from drawing groups anew, since people are what another sample would have others of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bundle import Isotonic, Temperature
from ..scoring.calibrate import EPSILON, logit, sigmoid
from .measures import Bootstrap
from .replay import Track

Curve = Temperature | Isotonic

MOST_MOMENTS = 32
"""Of one track, spread over it: more of the same face at the same time say nothing new."""
MOST_POINTS = 64
"""Of an isotonic curve in a bundle."""
DRAWS = 200
LEAST_SCALE = 1e-3
"""A curve that is fitted on a part of the data may by chance fall; it is then taken as flat."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Single scores, ready to be fitted."""

    raw: np.ndarray  # (N,) 0..1
    fake: np.ndarray  # (N,) 0 or 1
    weight: np.ndarray  # (N,) sums to a half for each class
    groups: tuple[str, ...]  # N of them
    minutes: np.ndarray  # (N,) usable media time, shared out over a track's samples
    people: tuple[int, int]
    """Groups with real tracks, and with fake ones."""

    def weight_at(self, prior: float) -> np.ndarray:
        """The weights with the fakes' share as a prior says."""
        return self.weight * np.where(self.fake == 1, 2 * prior, 2 * (1 - prior))

    @property
    def logits(self) -> np.ndarray:
        raw = np.clip(self.raw, EPSILON, 1 - EPSILON)
        return np.log(raw / (1 - raw))


def samples_of(tracks: Sequence[Track]) -> Samples:
    """A bounded number of usable moments of each track."""
    groups = [Counter(track.group for track in tracks if track.fake == fake) for fake in (False, True)]
    raw: list[float] = []
    columns: list[tuple[bool, float, float]] = []
    names: list[str] = []
    for track in tracks:
        usable = [moment.raw_score for moment in track.moments if moment.usable]
        chosen = np.unique(np.linspace(0, len(usable) - 1, min(len(usable), MOST_MOMENTS)).round().astype(int))
        tracks_of = groups[track.fake]
        weight = 0.5 / len(tracks_of) / tracks_of[track.group] / len(chosen)
        raw += [usable[i] for i in chosen]
        columns += [(track.fake, weight, track.usable_s / 60 / len(chosen))] * len(chosen)
        names += [track.group] * len(chosen)
    fake, weights, minutes = np.array(columns, float).reshape(-1, 3).T
    people = len(groups[0]), len(groups[1])
    return Samples(np.array(raw), fake, weights, tuple(names), minutes, people)


# Temperature.


def fit_temperature(samples: Samples, *, stderr: float = 0.0) -> Temperature:
    """Logistic regression on the logit of the raw score. The slope comes as it is found, also when it is 0 or less:
    who calls decides what that means."""
    scale, offset = _fit_logistic(samples, samples.weight)
    return Temperature(scale=scale, offset=offset, stderr=stderr)


def with_stderr(curve: Temperature, samples: Samples) -> Temperature:
    """How far the calibrated logit of a usual score moves when other people are drawn."""
    x = samples.logits
    fits = np.array([_fit_logistic(samples, weight) for weight in _draws(samples)])  # (B, 2)
    moved = (fits[:, :1] - curve.scale) * x + fits[:, 1:] - curve.offset  # (B, N)
    return Temperature(
        scale=curve.scale, offset=curve.offset, stderr=float(np.sqrt((moved**2 @ samples.weight).mean()))
    )


def _fit_logistic(samples: Samples, weight: np.ndarray) -> tuple[float, float]:
    """Newton's method. What is to be met is drawn in a little from 0 and 1, as Platt did, by the number of groups: so
    classes that are wholly apart make no infinitely steep curve out of a few people."""
    real, fake = samples.people
    target = np.where(samples.fake == 1, (fake + 1) / (fake + 2), 1 / (real + 2))
    design = np.stack([samples.logits, np.ones(len(target))], axis=1)  # (N, 2)

    def loss(beta: np.ndarray) -> float:
        z = design @ beta
        return float(weight @ (np.logaddexp(0, z) - target * z))

    beta = np.zeros(2)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -40, 40)))
        gradient = design.T @ (weight * (target - p))
        hessian = (design * (weight * np.maximum(p * (1 - p), 1e-9))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        now = loss(beta)
        while loss(beta + step) > now and np.abs(step).max() > 1e-12:  # a full step may overshoot, and go on to and fro
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(beta[1])


# Isotonic.


def pool_adjacent_violators(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest sequence, by weighted squares, that never falls."""
    means: list[float] = []
    sums: list[float] = []
    counts: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        means.append(value)
        sums.append(weight)
        counts.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:
            total = sums[-2] + sums[-1]
            means[-2:] = [(means[-2] * sums[-2] + means[-1] * sums[-1]) / total if total else means[-1]]
            sums[-2:] = [total]
            counts[-2:] = [counts[-2] + counts[-1]]
    return np.repeat(means, counts)


def fit_isotonic(samples: Samples) -> Isotonic | None:
    """Blocks of PAV as points in their middle. None if there is but one block: the scores then tell nothing. Nothing is
    called more certain than the number of groups allows."""
    points = _blocks(samples, samples.weight)
    if len(points[0]) < 2:
        return None
    raw, p = points
    return Isotonic(raw=tuple(raw.tolist()), p=tuple(p.tolist()), p_low=tuple(p.tolist()), p_high=tuple(p.tolist()))


def with_bounds(curve: Isotonic, samples: Samples) -> Isotonic:
    """The bounds between which 90% of the curves lie when other people are drawn."""
    drawn = []
    for weight in _draws(samples):
        raw, p = _blocks(samples, weight)
        drawn.append(np.interp(curve.raw, raw, p))
    low, high = np.percentile(np.array(drawn), (5, 95), axis=0)
    return Isotonic(
        raw=curve.raw,
        p=curve.p,
        p_low=tuple(np.minimum(low, curve.p).tolist()),
        p_high=tuple(np.maximum(high, curve.p).tolist()),
    )


def _blocks(samples: Samples, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean raw score and probability of each block, raw scores growing."""
    raw, place = np.unique(samples.raw, return_inverse=True)
    total = np.bincount(place, weight, len(raw))
    there = total > 0
    fakes = np.bincount(place, weight * samples.fake, len(raw))[there]
    raw, total = raw[there], total[there]
    fitted = pool_adjacent_violators(fakes / total, total)
    block = np.concatenate([[0], np.cumsum(np.diff(fitted) > 0)])
    sums = np.bincount(block, total)
    middle, p = np.bincount(block, raw * total) / sums, np.bincount(block, fitted * total) / sums
    least = 1 / (min(samples.people) + 2)
    p = np.clip(p, least, 1 - least)
    if len(middle) > MOST_POINTS:
        keep = np.linspace(0, len(middle) - 1, MOST_POINTS).round().astype(int)
        middle, p = middle[keep], p[keep]
    return middle, p


def _draws(samples: Samples) -> np.ndarray:
    """Weights (B, N) with groups drawn with replacement; draws that lack a class are left out. Each class has its
    share again after drawing."""
    drawn = Bootstrap(samples.groups, draws=DRAWS).weights * samples.weight
    fake = drawn @ samples.fake
    whole = drawn.sum(axis=1)
    usable = (fake > 0) & (fake < whole)
    drawn, fake, whole = drawn[usable], fake[usable, None], whole[usable, None]
    return np.where(samples.fake == 1, 0.5 * drawn / fake, 0.5 * drawn / (whole - fake))


# Either.


def fit_curve(method: str, samples: Samples) -> Curve:
    """For use on other people than it was fitted on: without its uncertainty, and never falling."""
    if method == "isotonic":
        isotonic = fit_isotonic(samples)
        if isotonic is not None:
            return isotonic
    found = fit_temperature(samples)
    if found.scale > LEAST_SCALE:
        return found
    return Temperature(scale=LEAST_SCALE, offset=0.0, stderr=0.0)


def fit_whole(method: str, samples: Samples) -> Curve:
    """For a bundle: with its uncertainty."""
    curve = fit_curve(method, samples)
    return with_stderr(curve, samples) if isinstance(curve, Temperature) else with_bounds(curve, samples)


def at_prior(curve: Curve, prior: float) -> Curve:
    """The same evidence, for who expects another share of fakes than a half."""
    if isinstance(curve, Temperature):
        return replace(curve, offset=curve.offset + logit(prior))

    def moved(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sigmoid(logit(p) + logit(prior)) for p in values)

    return replace(curve, p=moved(curve.p), p_low=moved(curve.p_low), p_high=moved(curve.p_high))


def probabilities(curve: Curve, raw: np.ndarray) -> np.ndarray:
    """What a Calibrator says of each score, for many at once."""
    if isinstance(curve, Isotonic):
        return np.interp(raw, curve.raw, curve.p)
    raw = np.clip(raw, EPSILON, 1 - EPSILON)
    return 1 / (1 + np.exp(-np.clip(curve.scale * np.log(raw / (1 - raw)) + curve.offset, -40, 40)))


def log_loss(samples: Samples, p: np.ndarray) -> float:
    """Under even odds."""
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return float(-(samples.weight * np.log(np.where(samples.fake == 1, p, 1 - p))).sum())
