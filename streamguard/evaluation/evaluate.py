"""Traces in, an Evaluation out: every number with its interval over groups of people, and with what it rests on.

    measure(traces, calibration)              one calibration for all, or none
    measure_cross_fitted(traces, by group)    each group by a calibration that was fitted without it
    compare(before, after)                    the change of AUC between two conditions, or two networks, in pairs

A track's score is the mean of what its usable moments say, as calibrated log-odds under even odds (uncalibrated: the
raw score's logit). A video's score is that of its worst track.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from ..bundle import Calibration
from ..config import ScoringConfig
from ..errors import ConfigError
from .conditions import HARMONISED
from .measures import (
    Bin,
    Bootstrap,
    Estimate,
    Measure,
    Spread,
    auc,
    equal_error_rate,
    roc,
    share_where,
    tpr_at_fpr,
)
from .scored import Calibrations, Scored, TrackScore, scored
from .traces import RAW, Trace, TraceSet
from .verdicts import Verdicts, verdicts

SIZES_PX = (64.0, 96.0, 128.0, 192.0, 256.0)
SHARPNESS = (0.4, 0.5, 0.6)
RATES_FPS = (20.0, 27.0, 40.0)
"""Where bands begin and end."""
MISTAKES = 12
"""Of each kind, the worst."""
LOWEST_FPRS = (0.01, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What there was to look at, of one label."""

    videos: int
    judged: int
    """Videos with at least one track."""
    tracks: int
    too_short: int
    """Faces that could be judged for less than a verdict needs: not counted anywhere else."""
    groups: int
    minutes: float
    """Usable media time of the tracks."""
    watched_minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How well a score tells fakes from real ones."""

    auc: Estimate
    equal_error_rate: Estimate
    tpr: dict[str, Estimate]
    """At so many false positives: share of fakes above a threshold that so many of the real ones pass. Chosen on the
    same data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How true the probabilities are, if the share of fakes is known."""

    brier_skill: Estimate
    calibration_error: Estimate
    reliability: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the tracks."""

    name: str
    real: int
    fake: int
    auc: Estimate
    tpr_at_5: Estimate
    twins: Estimate
    """AUC of the fakes against their own twins only; NaN where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Fakes beside the very footage that they were made from."""

    above: Estimate
    """Share of pairs in which the fake scores higher; equal scores count half."""
    auc: Estimate
    """Of the fakes against the twins, not paired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same videos twice: the difference is of each with itself."""

    before: float
    after: float
    """AUC by video."""
    change: Estimate
    """After less before."""
    real_shift: Estimate
    """How much higher the mean score of real videos is after."""
    fake_shift: Estimate
    lost: int
    """Videos with a track in one of both only, left out."""

    @property
    def distinguishable(self) -> bool:
        """The 95% interval of the change leaves 0 out. False as well where there is no interval."""
        return bool(self.change.low95 > 0 or self.change.high95 < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One of the worst: a real track with a high score, or a fake one with a low."""

    key: str
    label: str
    method: str
    face_id: int
    generation: int
    score: float
    worst_pts_s: float
    """Media time of its most misleading moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """All numbers under one condition."""

    name: str
    real: Exposure
    fake: Exposure
    tracks: Ranking
    videos: Ranking
    moments: Truth | None
    """Of p_fake, moment by moment, each track counting once. None: uncalibrated, so there is none."""
    mean_p: Truth | None
    """Of the tracks' scores, taken as probabilities."""
    methods: tuple[Slice, ...]
    """The fakes of each method against all real tracks."""
    bands: dict[str, tuple[Slice, ...]]
    """By face size, sharpness, frame rate and dataset. Found for raw and harmonised only."""
    bundles: tuple[Slice, ...]
    """Only where there are several: scores of one are then not mixed with another's."""
    pairs: Pairs | None
    """None: there are none."""
    verdicts: Verdicts | None
    """None: uncalibrated."""
    against_raw: Comparison | None
    """None for raw itself."""
    roc: tuple[tuple[float, float], ...]
    """(FPR, TPR) by track."""
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that was measured. `to_json` keeps NaN as null, with the reason beside it."""

    bundles: tuple[str, ...]
    bundle_sha256: tuple[str, ...]
    graph: str
    precision: str
    trained: bool
    held_out: bool
    """Every network says that it never saw the people that it was tested on."""
    cross_fitted: bool
    """And there are several, so that all people could be tested on."""
    calibrated: bool
    calibration: str
    """What made the probabilities, in words."""
    seconds: float
    """The most media time of each footage."""
    notes: tuple[str, ...]
    """What a reader must know first."""
    conditions: tuple[Condition, ...]

    def of(self, condition: str) -> Condition:
        return next(one for one in self.conditions if one.name == condition)

    def to_json(self) -> str:
        return json.dumps(_plain(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def measure(
    traces: TraceSet, calibration: Calibration | None = None, *, scoring: ScoringConfig | None = None
) -> Evaluation:
    """With one calibration for all; None: raw scores are only ranked, and nobody is judged."""
    if calibration is None:
        return _evaluation(traces, {}, "", scoring or ScoringConfig())
    _check_calibration(calibration, traces)
    by_group = {trace.group: calibration for trace in traces.traces}
    return _evaluation(traces, by_group, calibration.fitted_on, scoring or ScoringConfig())


def measure_cross_fitted(
    traces: TraceSet, calibrations: Mapping[str, Calibration], words: str, *, scoring: ScoringConfig | None = None
) -> Evaluation:
    """`calibrations`: for each group one that was fitted without it. `words` say how they came about."""
    missing = sorted({trace.group for trace in traces.traces} - set(calibrations))
    if missing:
        raise ConfigError("calibrations", f"there is none for the group {missing[0]}")
    for calibration in calibrations.values():
        _check_calibration(calibration, traces)
    return _evaluation(traces, calibrations, words, scoring or ScoringConfig())


def compare(
    before: TraceSet, after: TraceSet, *, condition: str | None = None, calibration: Calibration | None = None
) -> Comparison:
    """Of the videos that are in both, under one condition of each set. `condition` None: each set has one only."""
    pair = [_under(one, condition) for one in (before, after)]
    calibrations = {} if calibration is None else {trace.group: calibration for traces in pair for trace in traces}
    mine, theirs = (scored(traces, one.clip, calibrations) for traces, one in zip(pair, (before, after), strict=True))
    return _compared(mine, theirs)


def _under(traces: TraceSet, condition: str | None) -> tuple[Trace, ...]:
    if condition is not None:
        return traces.of(condition)
    if len(traces.conditions) != 1:
        raise ConfigError("condition", f"one is compared with another: name it, of {', '.join(traces.conditions)}")
    return traces.traces


def _check_calibration(calibration: Calibration, traces: TraceSet) -> None:
    mine, theirs = (calibration.graph, calibration.precision), (traces.header.graph, traces.header.precision)
    if mine != theirs:
        raise ConfigError("calibration", f"is of the {' '.join(mine)} graph, and the traces are of {' '.join(theirs)}")


def _evaluation(traces: TraceSet, calibrations: Calibrations, words: str, scoring: ScoringConfig) -> Evaluation:
    header = traces.header
    raw = scored(traces.of(RAW), traces.clip, calibrations) if RAW in traces.conditions else None
    conditions = tuple(
        _condition(name, traces, calibrations, scoring, None if name == RAW else raw) for name in traces.conditions
    )
    return Evaluation(
        bundles=tuple(dict.fromkeys(part.header.bundle for part in traces.parts)),
        bundle_sha256=traces.bundles,
        graph=header.graph,
        precision=header.precision,
        trained=all(part.header.trained for part in traces.parts),
        held_out=traces.held_out,
        cross_fitted=traces.cross_fitted,
        calibrated=bool(calibrations),
        calibration=words,
        seconds=header.seconds,
        notes=tuple(_notes(traces, calibrations)),
        conditions=conditions,
    )


def _notes(traces: TraceSet, calibrations: Calibrations) -> list[str]:
    told = []
    if not all(part.header.trained for part in traces.parts):
        told.append("UNTRAINED: a network that never learned anything made these scores; they mean nothing.")
    if traces.cross_fitted:
        told.append(
            f"Cross-fitted: {len(traces.bundles)} networks, of which each scored only people that it never saw. Scores "
            "of different networks are pooled."
        )
    elif traces.held_out:
        told.append("Held out: the network scored only people that it never saw.")
    else:
        told.append(
            "The bundle does not say which people it was trained on. If these are among them, the numbers are too good."
        )
    if not calibrations:
        told.append("Uncalibrated: scores are ranked only, and nobody is judged.")
    if HARMONISED not in traces.conditions:
        told.append("Not harmonised: part of what is measured may be the files, and not the faces.")
    return told


# One condition.


def _condition(
    name: str, traces: TraceSet, calibrations: Calibrations, scoring: ScoringConfig, raw: Scored | None
) -> Condition:
    some = scored(traces.of(name), traces.clip, calibrations)
    false, true, _ = roc(some.labels, some.scores)
    points = zip(false[0].tolist(), true[0].tolist(), strict=True)
    return Condition(
        name=name,
        real=_exposure(some, "real"),
        fake=_exposure(some, "fake"),
        tracks=_ranking(some.labels, some.scores, some.people, some.minutes),
        videos=_ranking(some.video_labels, some.video_scores, some.video_people, some.video_minutes),
        moments=_truth(some, [one.evidence for one in some.tracks]),
        mean_p=_truth(some, [np.array([one.score]) for one in some.tracks]),
        methods=_methods(some),
        bands=_all_bands(some) if name in (RAW, HARMONISED) else {},
        bundles=_bundles(some, traces),
        pairs=_pairs(some),
        verdicts=verdicts(some.traces, traces.clip, calibrations, scoring),
        against_raw=None if raw is None else _compared(raw, some),
        roc=tuple(points) if np.isfinite(false).all() and np.isfinite(true).all() else (),
        mistakes=_mistakes(some),
    )


def _exposure(some: Scored, label: str) -> Exposure:
    of = [trace for trace in some.traces if trace.label == label]
    tracks = [one for one in some.tracks if one.trace.label == label]
    return Exposure(
        videos=len(of),
        judged=len({one.trace.key for one in tracks}),
        tracks=len(tracks),
        too_short=some.too_short[label],
        groups=len({one.trace.group for one in tracks}),
        minutes=sum(one.face.usable_seconds for one in tracks) / 60,
        watched_minutes=sum(trace.seconds for trace in of) / 60,
    )


def _ranking(labels: np.ndarray, scores: np.ndarray, people: Bootstrap, minutes: np.ndarray) -> Ranking:
    def estimate(of: Measure) -> Estimate:
        return people.estimate(of, minutes=minutes)

    return Ranking(
        auc=estimate(lambda w: auc(labels, scores, w)),
        equal_error_rate=estimate(lambda w: equal_error_rate(labels, scores, w)),
        tpr={f"{fpr:g}": estimate(_tpr(labels, scores, fpr)) for fpr in LOWEST_FPRS},
    )


def _tpr(labels: np.ndarray, scores: np.ndarray, fpr: float) -> Measure:
    return lambda w: tpr_at_fpr(labels, scores, fpr, w)


def _truth(some: Scored, evidence: Sequence[np.ndarray]) -> Truth | None:
    """The probabilities of who knows the share of fakes among these tracks, and nothing else of them."""
    share = float(some.labels.mean()) if len(some.labels) else nan
    if not some.calibrated or not 0 < share < 1:
        return None
    prior = np.log(share / (1 - share))
    spread = Spread.of(some.labels, [1 / (1 + np.exp(-(one + prior))) for one in evidence])
    return Truth(
        brier_skill=some.people.estimate(spread.brier_skill, minutes=some.minutes),
        calibration_error=some.people.estimate(spread.calibration_error, minutes=some.minutes),
        reliability=spread.reliability(some.people),
    )


# Parts of it.


def _methods(some: Scored) -> tuple[Slice, ...]:
    methods = np.array([one.trace.method for one in some.tracks])
    names = sorted({one.trace.method for one in some.tracks if one.trace.is_fake})
    return tuple(_slice(some, name, (methods == name) | (some.labels == 0)) for name in names)


def _named(some: Scored, names: Sequence[str]) -> tuple[Slice, ...]:
    of = np.array(names)
    return tuple(_slice(some, name, of == name) for name in sorted(set(names)))


def _bundles(some: Scored, traces: TraceSet) -> tuple[Slice, ...]:
    if len(traces.bundles) < 2:
        return ()
    made_by = {id(trace): part.header.bundle_sha256 for part in traces.parts for trace in part.traces}
    return _named(some, [made_by[id(one.trace)][:12] for one in some.tracks])


def _all_bands(some: Scored) -> dict[str, tuple[Slice, ...]]:
    def sharpness(one: TrackScore) -> float:
        return nan if one.face.quality is None else one.face.quality.sharpness

    return {
        "face size": _bands(some, SIZES_PX, "px", lambda one: one.face.size_px or nan),
        "sharpness": _bands(some, SHARPNESS, "", sharpness),
        "frame rate": _bands(some, RATES_FPS, "fps", lambda one: one.trace.fps),
        "dataset": _named(some, [one.trace.dataset for one in some.tracks]),
    }


def _bands(some: Scored, limits: Sequence[float], unit: str, value: Callable[[TrackScore], float]) -> tuple[Slice, ...]:
    values = np.array([value(one) for one in some.tracks], float)
    found = []
    for low, high in zip((-inf, *limits), (*limits, inf), strict=True):
        inside = (values >= low) & (values < high)
        if inside.any():
            found.append(_slice(some, f"{_band(low, high)} {unit}".rstrip(), inside))
    return tuple(found)


def _band(low: float, high: float) -> str:
    if low == -inf:
        return f"below {high:g}"
    return f"{low:g} and more" if high == inf else f"{low:g} to {high:g}"


def _slice(some: Scored, name: str, inside: np.ndarray) -> Slice:
    inside = inside.astype(float)
    fakes = {
        one.trace.key: one.trace.twin for one, yes in zip(some.tracks, inside, strict=True) if yes and one.trace.twin
    }
    twins = set(fakes.values())
    paired = np.array([one.trace.key in fakes or one.trace.key in twins for one in some.tracks], float)
    return Slice(
        name=name,
        real=int((inside * (1 - some.labels)).sum()),
        fake=int((inside * some.labels).sum()),
        auc=_among(some, inside, lambda w: auc(some.labels, some.scores, w)),
        tpr_at_5=_among(some, inside, lambda w: tpr_at_fpr(some.labels, some.scores, 0.05, w)),
        twins=_among(some, paired, lambda w: auc(some.labels, some.scores, w)),
    )


def _among(some: Scored, inside: np.ndarray, of: Measure) -> Estimate:
    return some.people.estimate(lambda w: of(w * inside), minutes=some.minutes, among=inside)


def _pairs(some: Scored) -> Pairs | None:
    scores = some.video_score
    fakes = [trace for trace in some.videos if trace.twin in scores]
    if not fakes:
        return None
    twins = np.array([scores[trace.twin] for trace in fakes])
    own = np.array([scores[trace.key] for trace in fakes])
    above = (own > twins) + 0.5 * (own == twins)
    labels = np.repeat([1.0, 0.0], len(fakes))
    both = np.concatenate([own, twins])
    groups = [trace.group for trace in fakes]
    minutes = np.array([trace.usable_seconds / 60 for trace in fakes])
    return Pairs(
        above=Bootstrap(groups).share(above, np.ones(len(fakes)), minutes=minutes),
        auc=Bootstrap(groups * 2).estimate(lambda w: auc(labels, both, w), minutes=np.tile(minutes, 2)),
    )


def _compared(before: Scored, after: Scored) -> Comparison:
    both = [trace for trace in before.videos if trace.key in after.video_score]
    labels = np.array([trace.is_fake for trace in both], float)
    mine, theirs = (np.array([one.video_score[trace.key] for trace in both]) for one in (before, after))
    people = Bootstrap([trace.group for trace in both])
    minutes = np.array([trace.usable_seconds / 60 for trace in both])

    def change(weights: np.ndarray) -> np.ndarray:
        return auc(labels, theirs, weights) - auc(labels, mine, weights)

    def shift(among: np.ndarray) -> Estimate:
        return people.estimate(lambda w: share_where(theirs - mine, among, w), minutes=minutes, among=among)

    ones = np.ones((1, len(both)))
    return Comparison(
        before=float(auc(labels, mine, ones)[0]),
        after=float(auc(labels, theirs, ones)[0]),
        change=people.estimate(change, minutes=minutes),
        real_shift=shift(labels == 0),
        fake_shift=shift(labels == 1),
        lost=len(set(before.video_score) ^ set(after.video_score)),
    )


def _mistakes(some: Scored) -> tuple[Mistake, ...]:
    found = []
    for label, sign in (("real", 1), ("fake", -1)):
        worst = sorted((one for one in some.tracks if one.trace.label == label), key=lambda one: -sign * one.score)
        for one in worst[:MISTAKES]:
            moment = one.face.usable[int(np.argmax(sign * one.evidence))]
            found.append(
                Mistake(
                    key=one.trace.key,
                    label=label,
                    method=one.trace.method,
                    face_id=one.face.face_id,
                    generation=one.face.generation,
                    score=one.score,
                    worst_pts_s=moment.pts_end_s,
                )
            )
    return tuple(found)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
