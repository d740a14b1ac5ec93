"""What StreamGuard thinks: of one face generation (FaceVerdict) and of one participant over all of them
(ParticipantVerdict). Scores and media time in, states and probabilities out; the session calls both.

A state rests on evidence, never on a prior alone:

- Thresholds are met only if the probability passes them under the calibration's prior *and* under the user's. So a
  user's prior can make a verdict more careful and never bolder; the bundle's false-positive rate holds under any.
- LIKELY_FAKE and LIKELY_REAL need more evidence than one window may give, and two windows' worth of media time before.
- With evidence forgotten, every state becomes UNCERTAIN, whatever the prior.

The highest `p_face` of a call means less than it says: each window is another chance to pass a threshold by luck. So
thresholds must be fitted with FaceVerdict itself over whole honest calls. For a network with an AUC of 0.92 on
single windows, 0.9 is far too low and 0.995 is not; tests/scoring/test_verdict.py counts.

The limits of a face's sum follow from the thresholds: where one asks for more than the usual CEILING or FLOOR, they are
moved just beyond it, since no verdict should be out of reach without a word.

A participant's verdict is that of the worst face, taken at once and let go slowly. Hiding does not shed it, an honest
face beside the faked one changes nothing, and one after it clears it by a half-life of its own, however many they are.
Credit is the other way round: it takes long to earn, is forgotten as fast as a face forgets, and ends with the first
face that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from ..config import ClipConfig, ScoringConfig
from ..values import FaceState
from .accumulate import CEILING, FLOOR, PER_WINDOW, Evidence
from .calibrate import Calibrator, Estimate

WINDOWS_NEEDED = 2.0
"""Windows' worth of media time before which a face's sum counts as no more than one window may say."""

WINDOWS_TOLERANCE = 0.1
"""How much may be missing from that: frames do not come exactly on the grid."""

LEAVES = 0.5
"""A state is left at this little evidence at the latest, so that forgetting ends every state under every prior."""

HEADROOM = 1.0
"""How far the ceiling lies above what LIKELY_FAKE needs: an accusation should outlast one window that sees nothing."""

FOOTROOM = 0.25
"""How far the floor lies below what LIKELY_REAL needs. Less than HEADROOM: credit is what a swap would spend."""

LONGEST_STEP_S = 10.0
"""The most media time that one update of a participant may forget or clear. A jump of hours was watched by nobody, and
a sender whose clock jumps must not get rid of a verdict by that."""

SAME = 0.05
"""What is held against a participant names the worst face there is, once it is no more than this above that face's own
evidence. Only the name: the evidence still falls as slowly."""

FaceKey = tuple[int, int]
"""Face id and generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The thresholds in evidence, where priors are no more. real_enter < real_leave < 0 < fake_leave < fake_enter."""

    fake_enter: float
    fake_leave: float
    real_leave: float
    real_enter: float

    @classmethod
    def of(cls, calibrator: Calibrator) -> Levels:
        """The stricter of both priors at each threshold."""
        thresholds = calibrator.thresholds
        return cls(
            fake_enter=max(*calibrator.evidence_for(thresholds.fake_enter), PER_WINDOW),
            fake_leave=max(*calibrator.evidence_for(thresholds.fake_leave), LEAVES),
            real_leave=min(*calibrator.evidence_for(thresholds.real_leave), -LEAVES),
            real_enter=min(*calibrator.evidence_for(thresholds.real_enter), -PER_WINDOW),
        )

    @property
    def ceiling(self) -> float:
        return max(CEILING, self.fake_enter + HEADROOM)

    @property
    def floor(self) -> float:
        return min(FLOOR, self.real_enter - FOOTROOM)

    def follow(self, state: FaceState, evidence: float) -> FaceState:
        """The state after `state`. Both ways across the middle in one step, if the evidence says so."""
        if evidence >= self.fake_enter and evidence > PER_WINDOW:
            return FaceState.LIKELY_FAKE
        if evidence <= self.real_enter and evidence < -PER_WINDOW:
            return FaceState.LIKELY_REAL
        if state is FaceState.LIKELY_FAKE and evidence >= self.fake_leave:
            return state
        if state is FaceState.LIKELY_REAL and evidence <= self.real_leave:
            return state
        return FaceState.UNCERTAIN


class FaceVerdict:
    """One face generation. UNCERTAIN until its evidence says more.

    `clip` says how the times of scores are meant: each crop stands for the grid step before it, and a score judges the
    last T crops, though it may look at R more. Without it a score judges just what lies between its times.
    """

    def __init__(self, calibrator: Calibrator, config: ScoringConfig, *, clip: ClipConfig | None = None) -> None:
        self._calibrator = calibrator
        self._clip = clip
        self._levels = Levels.of(calibrator)
        self._sum = _nothing_yet(calibrator, config, self._levels)
        self._pts_s: float | None = None
        """The newest time known."""
        self.state = FaceState.UNCERTAIN
        self.evidence = 0.0
        """All that was added, less what is forgotten, as of the newest time known. What `state` and `p_face` rest on,
        and what a ParticipantVerdict is given."""

    def add(self, raw_score: float, *, pts_start_s: float, pts_end_s: float) -> Estimate:
        """Take a score of the window between these times. One that holds no new moment changes nothing."""
        estimate = self._calibrator.estimate(raw_score)
        pts_start_s = _judged_from(self._clip, pts_start_s, pts_end_s)
        if self._sum.add(estimate.evidence, pts_start_s=pts_start_s, pts_end_s=pts_end_s):
            self.at(pts_end_s)
        return estimate

    def at(self, pts_s: float) -> FaceState:
        """The state at this time, with what was forgotten since the last score. A time before the newest known is
        taken as that one: a score is always about a past moment, and comes late."""
        if isfinite(pts_s) and (self._pts_s is None or pts_s > self._pts_s):
            self._pts_s = pts_s
        if self._pts_s is None:
            return self.state
        self.evidence = evidence = _at(self._sum, self._pts_s)
        self.state = self._levels.follow(self.state, evidence)
        return self.state

    @property
    def is_judged(self) -> bool:
        """As much of this generation was seen as any state but UNCERTAIN needs."""
        return _enough(self._sum)

    @property
    def p_face(self) -> float:
        """The probability of FAKE after all evidence of this generation, under the prior in use."""
        return self._calibrator.p_of(self.evidence)


def _nothing_yet(calibrator: Calibrator, config: ScoringConfig, levels: Levels) -> Evidence:
    return Evidence(
        forget_after_s=config.forget_after_s,
        floor=levels.floor,
        ceiling=levels.ceiling,
        scale=calibrator.calibration.evidence_scale,
    )


def _judged_from(clip: ClipConfig | None, pts_start_s: float, pts_end_s: float) -> float:
    """Where what a score judges begins: each crop stands for the grid step before it, and the last T are judged."""
    if clip is None:
        return pts_start_s
    return max(pts_start_s - clip.grid_s, pts_end_s - clip.length * clip.grid_s)


def _enough(evidence: Evidence) -> bool:
    return evidence.windows >= WINDOWS_NEEDED - WINDOWS_TOLERANCE


def _at(evidence: Evidence, pts_s: float) -> float:
    """The sum, but while little was seen no more than one window may say."""
    found = evidence.at(pts_s)
    return found if _enough(evidence) else min(max(found, -PER_WINDOW), PER_WINDOW)


class ParticipantVerdict:
    """One participant, or one stream. WARMING_UP until the first usable evidence.

    `add` is told every usable score while only one face is there: its generations are then one person's, whatever
    breaks them up, and their evidence is summed across them. Else who never stays for two windows could not be judged.
    """

    def __init__(self, calibrator: Calibrator, config: ScoringConfig, *, clip: ClipConfig | None = None) -> None:
        self._calibrator = calibrator
        self._config = config
        self._clip = clip
        self._levels = Levels.of(calibrator)
        self._alone = _nothing_yet(calibrator, config, self._levels)
        self._pts_s: float | None = None
        self._watched = False
        """There was a usable face at the last update."""
        self.state = FaceState.WARMING_UP
        self.evidence = 0.0
        """What is held against the participant (or, below 0, for)."""
        self.face: FaceKey | None = None
        """Whose evidence that is; None before the first."""

    def add(self, estimate: Estimate, *, pts_start_s: float, pts_end_s: float) -> None:
        """A usable score of the only face that is there."""
        start_s = _judged_from(self._clip, pts_start_s, pts_end_s)
        self._alone.add(estimate.evidence, pts_start_s=start_s, pts_end_s=pts_end_s)

    def update(self, pts_s: float, faces: Mapping[FaceKey, float]) -> FaceState:
        """Call it at each frame or score with FaceVerdict.evidence of every face that was usably scored in the last
        moment, after its `at` this time; empty while there is none. What is not finite is passed over."""
        usable = {key: evidence for key, evidence in faces.items() if isfinite(evidence)}
        passed_s = self._passed_s(pts_s)
        if usable:
            self._follow(usable, passed_s)
        elif self.face is not None:
            self._forget(passed_s)
        self._watched = bool(usable)
        if self.face is not None:
            self.state = self._levels.follow(self.state, self.evidence)
        return self.state

    @property
    def p_fake(self) -> float:
        return self._calibrator.p_of(self.evidence)

    def _passed_s(self, pts_s: float) -> float:
        """Media time since the last update, 0 if it ran backward (and it is counted from there on)."""
        if not isfinite(pts_s):
            return 0.0
        before, self._pts_s = self._pts_s, pts_s
        return 0.0 if before is None else min(max(pts_s - before, 0.0), LONGEST_STEP_S)

    def _follow(self, usable: Mapping[FaceKey, float], passed_s: float) -> None:
        """The worst face at once; toward it slowly. Time since an update without a face only forgets."""
        worst = max(usable, key=lambda key: (usable[key], key))
        target = usable[worst]
        if len(usable) == 1 and self._pts_s is not None:
            suspicion = _at(self._alone, self._pts_s)
            target = max(target, suspicion) if suspicion > 0 else target
        if self.face is not None:
            if self._watched:
                half_life_s = self._config.clear_participant_after_s
                self.evidence += (target - self.evidence) * (1 - 2 ** (-passed_s / half_life_s))
            else:
                self._forget(passed_s)
        if self.face is None or target >= self.evidence:
            self.evidence, self.face = target, worst
        elif target >= self.evidence - SAME:
            self.face = worst

    def _forget(self, passed_s: float) -> None:
        against = self.evidence > 0
        half_life_s = self._config.forget_participant_after_s if against else self._config.forget_after_s
        self.evidence *= 2 ** (-passed_s / half_life_s)
