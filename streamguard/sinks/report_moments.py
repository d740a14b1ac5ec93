"""Which moments a report shows in heat maps: scores and maps in, the strongest moments of each face out.

A map and the score of its window find each other whichever comes first. Without a calibrated score a map is not shown:
it would speak of a forgery that nobody claims.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ..events import Score
from ..values import FaceState

MOST_MOMENTS, MOST_MOMENTS_TOGETHER = 3, 60
"""Of one face, and of all."""
APART_S = 2.0
"""Of one face: of neighbours only the stronger is shown."""
SCORES_AWAITED, MAPS_AWAITED = 32, 4
"""Newest ones of a face generation that may still find each other."""

Key = tuple[int, int]
"""Face id and generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatPictures:
    """What the network saw, and where it found how much: PNG."""

    crop: bytes
    anomaly: bytes | None
    motion: bytes | None
    comparable: bool


Painter = Callable[[], HeatPictures]
"""Called only for what is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A scored window of a face, in pictures."""

    pts_s: float
    generation: int
    p_fake: float
    state: FaceState
    pictures: HeatPictures


@dataclass(slots=True)
class _Awaited:
    """Of one face generation."""

    scores: deque[Score] = field(default_factory=lambda: deque(maxlen=SCORES_AWAITED))
    maps: deque[tuple[float, Painter]] = field(default_factory=lambda: deque(maxlen=MAPS_AWAITED))


class Moments:
    def __init__(self) -> None:
        self._faces: dict[int, list[Moment]] = {}
        self._awaited: dict[Key, _Awaited] = {}

    def of(self, face_id: int) -> list[Moment]:
        """The highest p_fake first."""
        return self._faces.get(face_id, [])

    def add_score(self, score: Score) -> None:
        if score.p_fake is None:
            return
        awaited = self._awaited.setdefault((score.face_id, score.generation), _Awaited())
        awaited.scores.append(score)
        for one in awaited.maps:
            if one[0] == score.pts_end_s:
                awaited.maps.remove(one)
                self._add(score, score.p_fake, one[1])
                return

    def add_maps(self, key: Key, pts_s: float, paint: Painter) -> None:
        """Of the window that ends then."""
        awaited = self._awaited.setdefault(key, _Awaited())
        for score in awaited.scores:
            if score.pts_end_s == pts_s and score.p_fake is not None:
                self._add(score, score.p_fake, paint)
                return
        awaited.maps.append((pts_s, paint))

    def end(self, key: Key) -> None:
        """Nothing more comes of this generation."""
        self._awaited.pop(key, None)

    def _add(self, score: Score, p_fake: float, paint: Painter) -> None:
        """If it is stronger than those whose place it would take."""
        rivals = self._rivals(score)
        if any(rival.p_fake >= p_fake for _, rival in rivals):
            return
        for face_id, rival in rivals:
            self._faces[face_id].remove(rival)
        moments = self._faces.setdefault(score.face_id, [])
        moments.append(
            Moment(
                pts_s=score.pts_end_s,
                generation=score.generation,
                p_fake=p_fake,
                state=score.state,
                pictures=paint(),
            )
        )
        moments.sort(key=lambda one: one.p_fake, reverse=True)

    def _rivals(self, score: Score) -> list[tuple[int, Moment]]:
        """Neighbours in time; else, where there are enough, the weakest of its face, or of all."""
        own = self.of(score.face_id)
        near = [(score.face_id, one) for one in own if abs(one.pts_s - score.pts_end_s) < APART_S]
        if near:
            return near
        if len(own) >= MOST_MOMENTS:
            return [(score.face_id, own[-1])]
        every = [(face_id, one) for face_id, moments in self._faces.items() for one in moments]
        return [min(every, key=lambda each: each[1].p_fake)] if len(every) >= MOST_MOMENTS_TOGETHER else []
