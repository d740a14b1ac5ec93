"""Traces as arrays, ready to be measured: one score for each track, one for each footage, and who they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..bundle import Calibration
from ..config import ClipConfig
from ..scoring.calibrate import EPSILON, logit
from .curves import probabilities
from .measures import Bootstrap
from .traces import FaceTrace, Trace, least_seconds

Calibrations = Mapping[str, Calibration]
"""By group: what each group's scores are calibrated with. Empty: nothing is calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackScore:
    """One track: a face generation that could be judged for two windows' time at least."""

    trace: Trace
    face: FaceTrace
    evidence: np.ndarray
    """(M,) of its usable moments: calibrated log-odds under even odds, or the raw score's logit."""

    @property
    def score(self) -> float:
        return float(self.evidence.mean())


@dataclass(frozen=True, eq=False)
class Scored:
    """What can be measured of some traces under one condition."""

    traces: tuple[Trace, ...]
    tracks: tuple[TrackScore, ...]
    calibrated: bool

    # Of tracks.

    @cached_property
    def labels(self) -> np.ndarray:
        return np.array([one.trace.is_fake for one in self.tracks], float)

    @cached_property
    def scores(self) -> np.ndarray:
        return np.array([one.score for one in self.tracks], float)

    @cached_property
    def minutes(self) -> np.ndarray:
        return np.array([one.face.usable_seconds / 60 for one in self.tracks], float)

    @cached_property
    def people(self) -> Bootstrap:
        return Bootstrap([one.trace.group for one in self.tracks])

    # Of footage: its worst track.

    @cached_property
    def videos(self) -> tuple[Trace, ...]:
        """Those with a track."""
        return tuple(trace for trace in self.traces if trace.key in self.video_score)

    @cached_property
    def video_score(self) -> dict[str, float]:
        worst: dict[str, float] = {}
        for one in self.tracks:
            worst[one.trace.key] = max(one.score, worst.get(one.trace.key, -np.inf))
        return worst

    @cached_property
    def video_labels(self) -> np.ndarray:
        return np.array([trace.is_fake for trace in self.videos], float)

    @cached_property
    def video_scores(self) -> np.ndarray:
        return np.array([self.video_score[trace.key] for trace in self.videos], float)

    @cached_property
    def video_minutes(self) -> np.ndarray:
        return np.array([trace.usable_seconds / 60 for trace in self.videos], float)

    @cached_property
    def video_people(self) -> Bootstrap:
        return Bootstrap([trace.group for trace in self.videos])

    @cached_property
    def too_short(self) -> Counter[str]:
        """Faces that could be judged for a while, and not for long enough, by label."""
        counted = {(id(one.trace), id(one.face)) for one in self.tracks}
        return Counter(
            trace.label
            for trace in self.traces
            for face in trace.faces
            if face.usable_seconds > 0 and (id(trace), id(face)) not in counted
        )


def scored(traces: Iterable[Trace], clip: ClipConfig, calibrations: Calibrations) -> Scored:
    traces = tuple(traces)
    least_s = least_seconds(clip)
    return Scored(
        traces=traces,
        tracks=tuple(
            TrackScore(trace=trace, face=face, evidence=_evidence(face, calibrations.get(trace.group)))
            for trace in traces
            for face in trace.faces
            if face.usable_seconds >= least_s
        ),
        calibrated=bool(calibrations),
    )


def _evidence(face: FaceTrace, calibration: Calibration | None) -> np.ndarray:
    raw = np.array([moment.raw_score for moment in face.usable])
    if calibration is None:
        return _logits(raw)
    return _logits(probabilities(calibration.curve, raw)) - logit(calibration.prior)


def _logits(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return np.log(p / (1 - p))
