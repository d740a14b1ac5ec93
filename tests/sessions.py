"""A session fed by hand with painted people: what the tests of sessions, verdicts and overload share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from streamguard.bundle import Calibration
from streamguard.config import SessionConfig
from streamguard.faces.quality import QualityLimits
from streamguard.session import Session
from streamguard.testing import EventRecorder, PaintedFaces, painted
from streamguard.values import Box, Frame, Scored, Window

WIDTH, HEIGHT = 640, 360
FACE = (60.0, 80.0)

People = Callable[[float], Mapping[int, Box]]


def box_at(x: float, y: float) -> Box:
    return Box(x - FACE[0] / 2, y - FACE[1] / 2, x + FACE[0] / 2, y + FACE[1] / 2)


def frame_at(pts_s: float, people: Mapping[int, Box], **more: object) -> Frame:
    picture = painted(WIDTH, HEIGHT, people)
    return Frame(pts_s=pts_s, picture=picture, arrival_s=pts_s, **more)  # type: ignore[arg-type]


def still(people: Mapping[int, Box]) -> People:
    return lambda pts_s: people


# A painted face is a flat rectangle: by any usual measure nobody could be judged from it.
ANYTHING_GOES = QualityLimits(
    min_size_px=0, min_sharpness=0, min_luma=0, max_luma=1, max_clipped=1, max_yaw_deg=180, max_pitch_deg=180,
    min_presence=0, max_padded=1,
)  # fmt: skip


class Run:
    """A session fed by hand; keeps what came out."""

    def __init__(
        self,
        config: SessionConfig | None = None,
        face: tuple[float, float] = FACE,
        limits: QualityLimits = ANYTHING_GOES,
        calibration: Calibration | None = None,
    ) -> None:
        self.session = Session(
            config or SessionConfig(),
            detector=PaintedFaces(face),
            mesher=PaintedFaces(face),
            stream_id="s",
            limits=limits,
            calibration=calibration,
        )
        self.windows: list[Window] = []
        self.heard = EventRecorder()

    def feed(self, times_s: Sequence[float], people: People, **more: object) -> Self:
        for pts_s in times_s:
            self.session.feed(frame_at(pts_s, people(pts_s), **more), now_s=pts_s)
            self.collect()
        return self

    def collect(self) -> None:
        self.windows += self.session.take_work()
        self.heard.add(self.session.events())


def times(start_s: float, end_s: float, rate_hz: float = 25.0) -> list[float]:
    return [start_s + i / rate_hz for i in range(round((end_s - start_s) * rate_hz))]


def scored(window: Window, raw_score: float) -> Scored:
    at_s = window.arrival_s
    return Scored(window=window, raw_score=raw_score, taken_s=at_s, begun_s=at_s, ended_s=at_s)
