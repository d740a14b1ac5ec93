"""What `watch` shows: each face with its state, score and latency; as a log, scores only now and then."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Self, TextIO

from ..events import Event, FaceLost, Overload, ParticipantVerdictChanged, Score, VerdictChanged
from ..run import Turn
from ..session import Session
from ..sources import Source
from ..values import Face, FaceState, Reason
from .event_words import code_words, event_line, score_words
from .network import Network
from .view import View

TELL_SCORE_EVERY_S = 5.0
"""Media time between two scores of one face in a log, if its state stays as it is."""
LATENCIES_KEPT = 32

Key = tuple[int, int]
"""Face id and generation."""


class ScoreView(View):
    """Faces and what the network says of them."""

    columns = (("face", -8), ("state", -14), ("score", -28), ("since", 8), ("latency", 9), ("  reasons", -9))

    def __init__(
        self, file: TextIO, session: Session, source: Source, network: Network, *, all_scores: bool = False
    ) -> None:
        super().__init__(file, session, source)
        self._network = network
        self._all_scores = all_scores
        clip = network.engine.clip
        self._hop_s = clip.grid_s if clip.feed == "step" else clip.hop_s
        self.scores = 0
        """So many came."""
        self._scores: dict[Key, Score] = {}
        self._reasons: dict[Key, tuple[Reason, ...]] = {}
        self._since_s: dict[Key, float] = {}
        self._latencies: dict[Key, deque[float]] = {}
        self.alarmed = False
        """The participant was LIKELY_FAKE at some time."""
        self._told: dict[Key, tuple[float, FaceState]] = {}
        """When the newest score in the log was, and under which state."""

    def __enter__(self) -> Self:
        if self._network.warning:
            self._file.write(self._network.warning + "\n")
        return self

    def note(self, turn: Turn) -> None:
        for event in turn.events:
            match event.kind:
                case Score() as score:
                    key = score.face_id, score.generation
                    latency = score.latency
                    self._scores[key] = score
                    self.scores += 1
                    kept = self._latencies.setdefault(key, deque(maxlen=LATENCIES_KEPT))
                    kept.append(latency.wait_s + latency.queue_s + latency.infer_s)
                case VerdictChanged() as verdict:
                    key = verdict.face_id, verdict.generation
                    self._reasons[key] = verdict.reasons
                    if verdict.state is not verdict.previous or key not in self._since_s:
                        self._since_s[key] = event.pts_s
                case FaceLost() as lost:
                    for kept_by_face in (self._scores, self._reasons, self._since_s, self._latencies):
                        kept_by_face.pop((lost.face_id, lost.generation), None)
                case ParticipantVerdictChanged(state=FaceState.LIKELY_FAKE):
                    self.alarmed = True
                case Overload(effective_hop_s=hop_s):
                    self._hop_s = hop_s

    def lines(self, turn: Turn) -> list[str]:
        return [event_line(event) for event in turn.events if self._is_told(event)]

    def _is_told(self, event: Event) -> bool:
        kind = event.kind
        if isinstance(kind, FaceLost):
            self._told.pop((kind.face_id, kind.generation), None)
        if not isinstance(kind, Score) or self._all_scores:
            return True
        if self._live:
            return False  # the table has them
        key = kind.face_id, kind.generation
        told = self._told.get(key)
        if told is not None and told[1] is kind.state and kind.pts_end_s - told[0] < TELL_SCORE_EVERY_S:
            return False
        self._told[key] = kind.pts_end_s, kind.state
        return True

    def row(self, face: Face) -> str:
        key = face.face_id, face.generation
        since_s = self._since_s.get(key)
        latencies = self._latencies.get(key)
        since = "" if since_s is None else f"{since_s:.1f} s"
        latency = f"{1000 * median(latencies):.0f} ms" if latencies else ""
        reasons = ", ".join(code_words(reason) for reason in self._reasons.get(key, ()))
        return (
            f"{f'{key[0]}.{key[1]}':<8}{code_words(self.session.face_state(face)):<14}"
            f"{self._score_words(key):<28}{since:>8} {latency:>8}  {reasons}"
        )

    def _score_words(self, key: Key) -> str:
        score = self._scores.get(key)
        if score is None:
            return ""
        if score.p_face is not None or score.p_fake_low is None or score.p_fake_high is None:
            return score_words(score)
        return f"{score_words(score)} [{score.p_fake_low:.2f} to {score.p_fake_high:.2f}]"

    def status(self) -> list[str]:
        trained = "NOT TRAINED" if not self._network.engine.bundle.manifest.trained else "trained"
        dropped = self.session.statistics().work_dropped
        told = f"{self._network.running}, {trained}; a score each {self._hop_s:.2f} s; {dropped} windows dropped"
        return [*super().status(), told]

    def summary(self) -> list[str]:
        warning = self._network.warning
        return [*super().summary(), *([warning] if warning else [])]
