"""Frames through a video encoder and back, in memory: the same times, what the codec leaves of the pictures."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from ..errors import ConfigError
from ..events import EndOfStream, StreamUp
from ..picture import Picture
from ..sources import Item, Source, SourceStatistics
from ..sources.source import SourceBase
from ..values import Frame

TICKS = 90_000
"""A second, for the encoder: as fine as any container that people send."""
DECODERS = {"libx264": "h264", "libx265": "hevc"}
"""Each encoder's decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How to encode. Either a quality (`crf`), or a number of bits."""

    encoder: Literal["libx264", "libx265"] = "libx264"
    crf: int | None = None
    bits_a_pixel: float | None = None
    fps: float = 25.0
    """What the encoder is told; the frames keep their own times."""

    def __post_init__(self) -> None:
        assert (self.crf is None) != (self.bits_a_pixel is None)


class Coded(SourceBase):
    """A source whose frames were encoded and decoded again. An odd last column or row is lost on the way."""

    def __init__(self, source: Source, coding: Coding) -> None:
        self.url = source.url
        self.live = source.live
        self._source = source
        self._coding = coding
        self._coder: _Coder | None = None
        self._ready: deque[Item] = deque()

    def read(self, timeout_s: float) -> Item | None:
        while not self._ready:
            item = self._source.read(timeout_s)
            if item is None:
                return None
            self._take(item)
        return self._ready.popleft()

    def close(self) -> None:
        self._source.close()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()

    def _take(self, item: Item) -> None:
        if isinstance(item, Frame):
            picture = item.picture.region(0, 0, item.picture.width // 2 * 2, item.picture.height // 2 * 2)
            size = (picture.width, picture.height)
            if self._coder is not None and self._coder.size != size:
                self._flush()
            if self._coder is None:
                self._coder = _Coder(self._coding, size)
            self._ready.extend(self._coder.take(replace(item, picture=picture)))
            return
        if isinstance(item, EndOfStream):
            self._flush()
        if isinstance(item, StreamUp):
            item = replace(item, codec=DECODERS[self._coding.encoder])
        self._ready.append(item)

    def _flush(self) -> None:
        if self._coder is not None:
            self._ready.extend(self._coder.flush())
            self._coder = None


class _Coder:
    """An encoder and a decoder for pictures of one size."""

    def __init__(self, coding: Coding, size: tuple[int, int]) -> None:
        self.size = size
        # FFmpeg's classes are not typed.
        self._encoder: Any = _encoder(coding, size)
        self._decoder: Any = av.CodecContext.create(DECODERS[coding.encoder], "r")
        self._decoder.thread_count = 1
        self._waiting: dict[int, Frame] = {}
        self._last = -1

    def take(self, frame: Frame) -> list[Frame]:
        pts = max(self._last + 1, round(frame.pts_s * TICKS))
        self._last = pts
        self._waiting[pts] = frame
        given = _video_frame(frame.picture)
        given.pts, given.time_base = pts, Fraction(1, TICKS)
        return [out for packet in self._encoder.encode(given) for out in self._decoded(packet)]

    def flush(self) -> list[Frame]:
        left = [out for packet in self._encoder.encode(None) for out in self._decoded(packet)]
        return left + self._decoded(None)

    def _decoded(self, packet: Any) -> list[Frame]:
        found = []
        for decoded in self._decoder.decode(packet):
            frame = self._waiting.pop(decoded.pts, None)
            if frame is not None:
                planes = [_plane(plane) for plane in decoded.planes]
                picture = replace(frame.picture, y=planes[0], u=planes[1], v=planes[2])
                found.append(replace(frame, picture=picture))
        return found


def _encoder(coding: Coding, size: tuple[int, int]) -> Any:
    try:
        made: Any = av.CodecContext.create(coding.encoder, "w")
    except av.codec.codec.UnknownCodecError as exc:
        raise ConfigError(
            "--conditions",
            f"encoding footage anew needs an FFmpeg with {coding.encoder}, which this PyAV has not; the wheels of PyAV "
            "on PyPI have it",
        ) from exc
    made.width, made.height = size
    made.pix_fmt = "yuv420p"
    made.time_base = Fraction(1, TICKS)
    made.framerate = Fraction(coding.fps).limit_denominator(1001)
    made.thread_count = 1
    options = {"preset": "veryfast"}
    if coding.encoder == "libx265":
        options["x265-params"] = "log-level=error:pools=1:frame-threads=1"
    if coding.crf is not None:
        options["crf"] = str(coding.crf)
    else:
        assert coding.bits_a_pixel is not None
        made.bit_rate = max(20_000, round(coding.bits_a_pixel * size[0] * size[1] * coding.fps))
    made.options = options
    return made


def _video_frame(picture: Picture) -> Any:
    frame: Any = av.VideoFrame(picture.width, picture.height, "yuv420p")
    for plane, given in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
        room = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        room[:, : plane.width] = given
    return frame


def _plane(plane: Any) -> np.ndarray:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width].copy()
