"""Footage brought to the same face size, frame rate and codec, or coded as the other class is: sources around a source.

Genuine and faked files come from different encoders, at different sizes and rates. A network that learned the file
instead of the face looks good on raw footage and falls here. So the harmonised score stands beside the raw one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

import numpy as np
from PIL import Image

from ..events import EndOfStream
from ..picture import MAX_SIDE_PX, Picture
from ..sources import Item, Source, SourceStatistics
from ..sources.source import SourceBase
from ..values import Frame
from .coding import Coded, Coding
from .distortions import Changed

FACE_PX = 120.0
"""Median size of the face after harmonising. Most footage has larger ones: shrinking loses what was there, while
enlarging leaves a mark of its own."""
FPS = 25.0
CRF = 25
"""H.264, well visible, so that what earlier encoders left matters less."""
LONGEST_HOLD_S = 0.5
"""A picture is repeated for no longer than this: a hole in the footage stays one."""
EARLY = 0.25
"""A frame stands for a grid point that it comes this share of a step after: times are rounded in files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What is known of one footage before it is changed, from its raw trace and its file."""

    face_px: float
    """Median size of the face that is longest in view."""
    width: int
    height: int
    fps: float
    codec: str
    bits_a_pixel: float
    """Bytes of the whole file, its sound too, by its pixels: an order of magnitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the files of one class are, in the middle."""

    short_px: int
    """The shorter side of the picture."""
    fps: float
    encoder: Literal["libx264", "libx265"]
    bits_a_pixel: float


def style_of(files: Sequence[FileFacts]) -> Style:
    """Medians; H.265 if most are, else H.264, which stands in for what nobody makes any more."""
    assert files, "no footage, no style"
    hevc = sum(file.codec in ("hevc", "h265") for file in files)
    return Style(
        short_px=round(median(min(file.width, file.height) for file in files)),
        fps=median(file.fps for file in files),
        encoder="libx265" if 2 * hevc > len(files) else "libx264",
        bits_a_pixel=median(file.bits_a_pixel for file in files),
    )


def harmonised(source: Source, facts: FileFacts) -> Source:
    """The face at FACE_PX, at FPS by its times, coded once more."""
    scaled = Scaled(AtRate(source, FPS), FACE_PX / facts.face_px)
    return Coded(scaled, Coding(crf=CRF, fps=FPS))


def recoded(source: Source, facts: FileFacts, style: Style) -> Source:
    """As files of the other class are: size, frame rate, codec and bits."""
    scaled = Scaled(AtRate(source, style.fps), style.short_px / min(facts.width, facts.height))
    return Coded(scaled, Coding(encoder=style.encoder, bits_a_pixel=style.bits_a_pixel, fps=style.fps))


class AtRate(SourceBase):
    """Frames at equal steps from the first one's time: each the newest that there is by then, dropped or repeated as
    need be. After a hole the steps begin anew."""

    def __init__(self, source: Source, fps: float) -> None:
        self.url = source.url
        self.live = source.live
        self._source = source
        self._step_s = 1 / fps
        self._newest: Frame | None = None
        self._start_s = 0.0
        self._step = 0
        """The next one's number since the start."""
        self._ready: deque[Item] = deque()

    def read(self, timeout_s: float) -> Item | None:
        while not self._ready:
            item = self._source.read(timeout_s)
            if item is None:
                return None
            if isinstance(item, Frame):
                self._take(item)
                continue
            if isinstance(item, EndOfStream):
                self._give_until(float("inf"), at_most=1)
            self._ready.append(item)
        return self._ready.popleft()

    def close(self) -> None:
        self._source.close()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()

    def _take(self, frame: Frame) -> None:
        before = self._newest
        if before is None or frame.gap is not None or frame.pts_s - before.pts_s > LONGEST_HOLD_S:
            self._give_until(float("inf"), at_most=1)
            self._start_s, self._step = frame.pts_s, 0
        else:
            self._give_until(frame.pts_s - EARLY * self._step_s)
        self._newest = frame

    def _give_until(self, pts_s: float, *, at_most: int | None = None) -> None:
        """The newest frame for each step before this time."""
        given = 0
        while self._newest is not None and given != at_most:
            at_s = self._start_s + self._step * self._step_s
            if at_s >= pts_s or (at_most is not None and at_s > self._newest.pts_s + EARLY * self._step_s):
                return
            gap = self._newest.gap if self._step == 0 else None
            self._ready.append(replace(self._newest, pts_s=at_s, gap=gap))
            self._step += 1
            given += 1


class Scaled(Changed):
    """Every picture larger or smaller by one factor, to even sides."""

    def __init__(self, source: Source, factor: float) -> None:
        super().__init__(source, lambda picture: scaled(picture, factor))


def scaled(picture: Picture, factor: float) -> Picture:
    width, height = (_even(side * factor) for side in (picture.width, picture.height))

    def resized(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        image = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.uint8)

    half = (width // 2, height // 2)
    return replace(
        picture, y=resized(picture.y, (width, height)), u=resized(picture.u, half), v=resized(picture.v, half)
    )


def _even(side: float) -> int:
    return min(max(2, round(side / 2) * 2), MAX_SIDE_PX)
