"""What can be said of the faces of one stream: windows, scores and media time in, states with reasons out.

The session holds one Judge and turns what changes into events. This is the one place that decides a face's state:
LOW_QUALITY if its newest window does not allow a judgement, WARMING_UP until it was scored, UNCERTAIN with the reason
UNCALIBRATED if no calibration fits the graph and precision in use, and else what the accumulated evidence says.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from .bundle import Calibration
from .config import SessionConfig
from .faces.quality import QualityLimits, quality_reasons
from .scoring.calibrate import Calibrator, Estimate
from .scoring.verdict import FaceVerdict, ParticipantVerdict
from .values import FaceState, Reason, Scored, Window

MOST_GAPS_SHARE = 0.25
"""More repeated crops than this share of a window make it LOW_QUALITY."""
RECENT_S = 2.0
"""A face counts for the participant's verdict until so long after its last usable score, or for two hops."""

LONGEST_SILENCE_S = 600.0
"""While nobody can be judged, that is told at least so often."""

Key = tuple[int, int]
"""Face id and generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """Of one face generation, now."""

    state: FaceState
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Of one scored window."""

    opinion: Opinion
    estimate: Estimate | None
    """None: not calibrated, or the picture does not allow one."""
    p_face: float | None


@dataclass(slots=True)
class _Judged:
    verdict: FaceVerdict | None
    window_reasons: tuple[Reason, ...] = ()
    """Against its newest window."""
    scored: bool = False
    usable_pts_s: float | None = None
    """End of the newest window whose score counted."""
    unanswered: bool = False
    """Its newest window would do, and was not scored (yet)."""


class Judge:
    def __init__(self, config: SessionConfig, limits: QualityLimits, calibration: Calibration | None) -> None:
        self._config = config
        self._limits = limits
        self._calibrator = None if calibration is None else Calibrator(calibration, config.scoring.prior)
        self._faces: dict[Key, _Judged] = {}
        self._participant = (
            None if self._calibrator is None else ParticipantVerdict(self._calibrator, config.scoring, clip=config.clip)
        )
        self.too_slow = False
        """The source is too slow for the grid: the session tells."""
        self.hop_s = config.clip.hop_s
        """The effective one: the session tells."""
        # Until when somebody could be judged, in media time and on the wall; at first: since when it is tried.
        self._judged_pts_s: float | None = None
        self._judged_now_s: float | None = None
        self._alarm_after_s = config.scoring.cannot_judge_after_s or inf
        self._now_s: float | None = None
        """The wall clock, as last told."""

    def begin(self, key: Key) -> None:
        verdict = (
            None
            if self._calibrator is None
            else FaceVerdict(self._calibrator, self._config.scoring, clip=self._config.clip)
        )
        self._faces[key] = _Judged(verdict)

    def end(self, key: Key) -> None:
        del self._faces[key]

    def see(self, window: Window) -> None:
        """A window was made."""
        face = self._faces[window.face_id, window.generation]
        face.window_reasons = self._window_reasons(window)
        face.unanswered = True

    def is_warm(self, window: Window) -> bool:
        """A network that is fed by steps has then seen as many crops as it averages over."""
        return window.age + len(window.crops) >= self._config.clip.length

    def score(self, scored: Scored) -> Judgement:
        """A window of a living generation was scored."""
        window = scored.window
        face = self._faces[window.face_id, window.generation]
        face.scored, face.unanswered = True, False
        reasons = self._all_reasons(self._window_reasons(window))
        if reasons:
            return Judgement(opinion=self._opinion(face, reasons), estimate=None, p_face=None)
        if face.verdict is None:
            self._note_judged(scored)
            return Judgement(opinion=self._opinion(face, ()), estimate=None, p_face=None)
        estimate = face.verdict.add(scored.raw_score, pts_start_s=window.pts_start_s, pts_end_s=window.pts_end_s)
        face.usable_pts_s = window.pts_end_s
        if self._participant is not None and len(self._faces) == 1:
            self._participant.add(estimate, pts_start_s=window.pts_start_s, pts_end_s=window.pts_end_s)
        if face.verdict.is_judged:
            self._note_judged(scored)
        return Judgement(opinion=self._opinion(face, ()), estimate=estimate, p_face=face.verdict.p_face)

    def opinion(self, key: Key) -> Opinion:
        face = self._faces[key]
        return self._opinion(face, self._all_reasons(face.window_reasons))

    def pass_time(self, pts_s: float) -> None:
        """Evidence is forgotten, also of faces that nothing is heard of."""
        for face in self._faces.values():
            if face.verdict is not None:
                face.verdict.at(pts_s)

    def participant(self, pts_s: float) -> ParticipantVerdict | None:
        """The participant's (or the stream's) verdict at a time that `pass_time` was told of; None if nothing is
        calibrated."""
        if self._participant is None:
            return None
        recent_s = max(RECENT_S, 2 * self.hop_s)
        evidence = {
            key: face.verdict.evidence
            for key, face in self._faces.items()
            if face.verdict is not None and face.usable_pts_s is not None and pts_s - face.usable_pts_s <= recent_s
        }
        self._participant.update(pts_s, evidence)
        return self._participant

    def missing(self, *, pts_s: float | None = None, now_s: float | None = None) -> float | None:
        """For how long nobody could be judged, whenever that is to be told (again): after the stated time, and each
        time that it has lasted twice as long. By media time, or by the wall clock: a sender may slow its clock down."""
        missing_s = 0.0
        if pts_s is not None:
            if self._judged_pts_s is None or pts_s < self._judged_pts_s:
                self._judged_pts_s = pts_s
            missing_s = pts_s - self._judged_pts_s
        if now_s is not None:
            if self._judged_now_s is None:
                self._judged_now_s = now_s
            self._now_s = now_s
            missing_s = max(missing_s, now_s - self._judged_now_s)
        if missing_s < self._alarm_after_s:
            return None
        while self._alarm_after_s <= missing_s:
            self._alarm_after_s += min(self._alarm_after_s, LONGEST_SILENCE_S)
        return missing_s

    @property
    def next_alarm_s(self) -> float:
        """When, on the wall clock, the next alarm is due if nobody can be judged until then."""
        return inf if self._judged_now_s is None else self._judged_now_s + self._alarm_after_s

    def why_missing(self) -> tuple[Reason, ...]:
        """What keeps the faces that are there from being judged; nothing if there is none, or none for long enough."""
        against = {reason for face in self._faces.values() for reason in self._all_reasons(face.window_reasons)}
        if any(face.unanswered and not face.window_reasons for face in self._faces.values()):
            against.add(Reason.NOT_SCORED)
        return tuple(reason for reason in Reason if reason in against)

    def _note_judged(self, scored: Scored) -> None:
        """Somebody could be judged."""
        self._judged_pts_s = scored.window.pts_end_s
        self._judged_now_s = self._now_s
        self._alarm_after_s = self._config.scoring.cannot_judge_after_s or inf

    def _window_reasons(self, window: Window) -> tuple[Reason, ...]:
        gaps = (Reason.GAPS,) if window.gaps > MOST_GAPS_SHARE * window.crops_expected else ()
        return (*quality_reasons(window.quality, self._limits), *gaps)

    def _all_reasons(self, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
        if not self.too_slow:
            return reasons
        # Gaps are then only what follows from it.
        return (*(reason for reason in reasons if reason is not Reason.GAPS), Reason.TOO_SLOW)

    def _opinion(self, face: _Judged, reasons: tuple[Reason, ...]) -> Opinion:
        if reasons:
            state = FaceState.LOW_QUALITY
        elif not face.scored:
            state = FaceState.WARMING_UP
        else:
            state = FaceState.UNCERTAIN if face.verdict is None else face.verdict.state
        if face.scored and face.verdict is None:
            reasons = (*reasons, Reason.UNCALIBRATED)
        return Opinion(state=state, reasons=reasons)
