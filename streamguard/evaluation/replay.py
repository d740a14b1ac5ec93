"""Whole tracks through FaceVerdict itself: kept scores in, what the verdicts would have been out.

A threshold is met by luck sooner or later if a face is watched for long enough, and the moments of one face err alike.
So what thresholds do is not computed from single scores: it is replayed, with the class that judges live faces, at the
media time of the traces. Calibration chooses by this, and tests hold it against a live Session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, log
from typing import NamedTuple

from ..config import ClipConfig, ScoringConfig
from ..scoring.calibrate import EPSILON, Calibrator, sigmoid
from ..scoring.verdict import FaceVerdict
from ..values import FaceState
from .traces import Moment, Trace, least_seconds

SOON_S = (2.0, 5.0, 10.0)
"""How soon a fake is to be told: seconds after its face appeared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One face generation of a footage, with enough usable media time for a verdict."""

    key: str
    """Of the footage, and which of its faces."""
    group: str
    fake: bool
    start_s: float
    """When the face appeared."""
    usable_s: float
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of one track."""

    track: Track
    alarms: int
    """How often it became LIKELY_FAKE."""
    fake_after_s: float
    """Media time from the face's appearance until it was first LIKELY_FAKE; infinity if it never was."""
    real_after_s: float
    """The same of LIKELY_REAL."""
    highest: float
    """The most evidence against it that there ever was; 0 before the first score. And `lowest` the most for it."""
    highest_soon: float
    """The most within the last of SOON_S."""
    lowest: float
    last: float
    """The evidence in the end."""
    log_loss: float
    """Mean of -log of the probability that its evidence gave, under even odds, to what it is; over usable moments."""


def tracks_of(traces: Iterable[Trace], clip: ClipConfig) -> list[Track]:
    """The tracks of these footages. A face that could not be judged for two windows' time is none: it cannot be
    accused, and to count it as spared would flatter."""
    least_s = least_seconds(clip)
    return [
        Track(
            key=f"{trace.key}/{face.face_id}.{face.generation}",
            group=trace.group,
            fake=trace.is_fake,
            start_s=face.start_s,
            usable_s=face.usable_seconds,
            moments=face.moments,
        )
        for trace in traces
        for face in trace.faces
        if face.usable_seconds >= least_s
    ]


class Step(NamedTuple):
    """A face after one moment."""

    moment: Moment
    before: FaceState
    """What it was just before the score came."""
    state: FaceState
    evidence: float


def follow(track: Track, calibrator: Calibrator, scoring: ScoringConfig, clip: ClipConfig) -> Iterator[Step]:
    """One track as a Judge follows it: a frame comes, and time passes; then its score, which is added if usable."""
    verdict = FaceVerdict(calibrator, scoring, clip=clip)
    for moment in track.moments:
        before = verdict.at(moment.pts_end_s)
        if moment.usable:
            verdict.add(moment.raw_score, pts_start_s=moment.pts_start_s, pts_end_s=moment.pts_end_s)
        yield Step(moment, before, verdict.state, verdict.evidence)


def replay(track: Track, calibrator: Calibrator, scoring: ScoringConfig, clip: ClipConfig) -> Replayed:
    alarms, fake_after_s, real_after_s = 0, inf, inf
    highest = highest_soon = lowest = last = loss = 0.0
    usable = 0
    for moment, before, state, last in follow(track, calibrator, scoring, clip):
        after_s = moment.pts_end_s - track.start_s
        if state is FaceState.LIKELY_FAKE and before is not state:
            alarms += 1
            fake_after_s = min(fake_after_s, after_s)
        elif state is FaceState.LIKELY_REAL and before is not state:
            real_after_s = min(real_after_s, after_s)
        highest, lowest = max(highest, last), min(lowest, last)
        if after_s <= SOON_S[-1]:
            highest_soon = highest
        if moment.usable:
            usable += 1
            loss -= log(max(sigmoid(last if track.fake else -last), EPSILON))
    return Replayed(
        track=track,
        alarms=alarms,
        fake_after_s=fake_after_s,
        real_after_s=real_after_s,
        highest=highest,
        highest_soon=highest_soon,
        lowest=lowest,
        last=last,
        log_loss=loss / max(1, usable),
    )
