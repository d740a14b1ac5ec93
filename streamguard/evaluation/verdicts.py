"""What verdicts would have come of traces, by replay with the bundle's own thresholds: who is accused, who is told and
how soon, who is left without a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, nan

import numpy as np

from ..bundle import Calibration
from ..config import ClipConfig, ScoringConfig
from ..scoring.accumulate import PER_WINDOW
from ..scoring.calibrate import Calibrator, logit, sigmoid
from .budget import SURE, share_bound
from .fitting import shares_of
from .measures import Bootstrap, Estimate, accuracy, ratio
from .replay import Replayed, Track, follow, replay, tracks_of
from .scored import Calibrations
from .traces import Trace

SOON_S = (2.0, 5.0, 10.0, 20.0)
CURVE_S = tuple(i / 2 for i in range(61))
"""Points of the curve of time to detection: half a minute."""
RATES = (0.01, 0.05)
"""False-alarm rates, as shares of real tracks, for which a curve is drawn whatever the bundle's thresholds are."""
FAR = 12.0
"""Evidence that nobody reaches: with this threshold, what is gathered is seen as far as it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How soon fakes are told at one threshold."""

    accused: float
    """Share of real tracks that are accused with it, on these very tracks."""
    evidence: float
    """The threshold; as evidence, so under any prior."""
    within: dict[str, Estimate]
    """Share of fake tracks that were LIKELY_FAKE so many seconds after the face appeared."""
    curve: tuple[float, ...]
    """The same share at each time of CURVE_S. A fake whose track ends before it is told was missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What the thresholds do."""

    accused: Estimate
    """Share of real tracks that became LIKELY_FAKE at any time."""
    accused_tracks: int
    accused_bound: float
    """The most that this share can be: 95%, one-sided (Clopper and Pearson), groups of people counted alike."""
    alarms_an_hour: Estimate
    """Times that a real track became LIKELY_FAKE, by an hour of usable footage."""
    abstained: Estimate
    """Share of real tracks of usable quality that never had a verdict, neither fake nor real."""
    missed: Estimate
    """Share of fake tracks that became LIKELY_REAL and never LIKELY_FAKE."""
    undecided: Estimate
    """Share of fake tracks that never had a verdict."""
    accuracy: Estimate
    """Share of all tracks that were called what they are, and if they are real never LIKELY_FAKE. Who never has a
    verdict counts as wrong."""
    told: Detection
    """At the bundle's thresholds."""
    at_rates: dict[str, Detection]
    """At thresholds that accuse at most such a share of these real tracks. Chosen on them: a little too good."""
    in_view: tuple[float, ...]
    """Share of fake tracks that were in view for so long, at each time of CURVE_S: more cannot be told."""


def verdicts(
    traces: Sequence[Trace], clip: ClipConfig, calibrations: Calibrations, scoring: ScoringConfig
) -> Verdicts | None:
    """None without calibrations: there are no verdicts then."""
    if not calibrations:
        return None
    tracks = tracks_of(traces, clip)
    played = [_played(track, calibrations[track.group], scoring, clip) for track in tracks]
    fake = np.array([one.track.fake for one in played], bool)
    minutes = np.array([one.track.usable_s / 60 for one in played], float)
    people = Bootstrap([one.track.group for one in played])
    alarms = np.array([one.alarms for one in played], float)
    called_fake = alarms > 0
    called_real = np.array([one.real_after_s < inf for one in played], bool)
    hours = minutes / 60

    def share(values: np.ndarray, among: np.ndarray) -> Estimate:
        return people.share(values, among, minutes=minutes)

    called = np.where(called_fake, 1.0, np.where(called_real, 0.0, nan))
    return Verdicts(
        accused=share(called_fake, ~fake),
        accused_tracks=int((called_fake & ~fake).sum()),
        accused_bound=_bound([one for one in played if not one.track.fake]),
        alarms_an_hour=people.estimate(lambda w: ratio(alarms * ~fake, hours * ~fake, w), minutes=minutes, among=~fake),
        abstained=share(~called_fake & ~called_real, ~fake),
        missed=share(called_real & ~called_fake, fake),
        undecided=share(~called_fake & ~called_real, fake),
        accuracy=people.estimate(lambda w: accuracy(fake.astype(float), called, w), minutes=minutes),
        told=_detection(
            np.array([one.fake_after_s for one in played], float),
            fake,
            float(np.mean([_needed(calibrations[track.group]) for track in tracks])) if tracks else nan,
            share,
        ),
        at_rates=_at_rates(tracks, clip, calibrations, scoring, share),
        in_view=_shares(
            np.array([_in_view_s(track) for track in tracks if track.fake], float), lambda values, at_s: values >= at_s
        ),
    )


def _bound(honest: Sequence[Replayed]) -> float:
    """Tracks of one person err alike, so people are counted."""
    shares = shares_of((one.track.group, one.alarms > 0) for one in honest)
    return share_bound(sum(shares.values()), len(shares), SURE) if shares else nan


def _played(track: Track, calibration: Calibration, scoring: ScoringConfig, clip: ClipConfig) -> Replayed:
    return replay(track, Calibrator(calibration, scoring.prior), scoring, clip)


def _needed(calibration: Calibration) -> float:
    """The evidence that LIKELY_FAKE takes."""
    return max(PER_WINDOW, logit(calibration.thresholds.fake_enter) - logit(calibration.prior))


Share = Callable[[np.ndarray, np.ndarray], Estimate]
"""Of values, among some of the tracks."""


def _detection(after_s: np.ndarray, fake: np.ndarray, evidence: float, share: Share) -> Detection:
    """`after_s`: when each track was first accused; infinity if never."""
    real = ~fake
    return Detection(
        accused=float(np.isfinite(after_s[real]).mean()) if real.any() else nan,
        evidence=evidence,
        within={f"{soon:g}": share(after_s <= soon, fake) for soon in SOON_S},
        curve=_shares(after_s[fake], lambda values, at_s: values <= at_s),
    )


def _at_rates(
    tracks: Sequence[Track], clip: ClipConfig, calibrations: Calibrations, scoring: ScoringConfig, share: Share
) -> dict[str, Detection]:
    """The lowest threshold that few enough of the real tracks ever reach, for each of RATES."""
    courses = [_course(track, calibrations[track.group], scoring, clip) for track in tracks]
    fake = np.array([track.fake for track in tracks], bool)
    highest = np.array([course[:, 1].max(initial=0.0) for course in courses])
    accusing = np.sort(highest[~fake])[::-1]
    found = {}
    for rate in RATES if len(accusing) else ():
        one_too_many = accusing[int(rate * len(accusing))]
        evidence = max(PER_WINDOW, float(one_too_many)) + 1e-9
        found[f"{rate:g}"] = _detection(
            np.array([_first_at(course, evidence) for course in courses]), fake, evidence, share
        )
    return found


def _course(track: Track, calibration: Calibration, scoring: ScoringConfig, clip: ClipConfig) -> np.ndarray:
    """(M, 2): seconds since the face appeared, and the evidence then, if no threshold for FAKE is in the way."""
    far = sigmoid(logit(calibration.prior) + FAR)
    thresholds = replace(calibration.thresholds, fake_enter=far, fake_leave=sigmoid(logit(calibration.prior) + FAR / 2))
    calibrator = Calibrator(replace(calibration, thresholds=thresholds), scoring.prior)
    steps = follow(track, calibrator, scoring, clip)
    return np.array([(step.moment.pts_end_s - track.start_s, step.evidence) for step in steps]).reshape(-1, 2)


def _first_at(course: np.ndarray, evidence: float) -> float:
    reached = np.flatnonzero(course[:, 1] >= evidence)
    return float(course[reached[0], 0]) if len(reached) else inf


def _in_view_s(track: Track) -> float:
    return track.moments[-1].pts_end_s - track.start_s


def _shares(values: np.ndarray, holds: Callable[[np.ndarray, float], np.ndarray]) -> tuple[float, ...]:
    """At each time of CURVE_S, the share of the values for which it holds."""
    return tuple(float(holds(values, at_s).mean()) if len(values) else nan for at_s in CURVE_S)
