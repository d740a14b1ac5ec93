"""The caller's own frames as a source: `push` from any thread, `read` from the pipeline's.

`push` never blocks and never keeps the caller's memory: arrays are copied before it returns, an av.VideoFrame is kept
by reference. Turning them into Pictures happens on the reading thread.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from ..clock import Clock, MonotonicClock
from ..config import SourceConfig
from ..errors import ClosedError, PictureError
from ..events import EndOfStream, StreamUp
from ..picture import Picture
from ..queues import QueueStatistics
from ..values import Frame, GapCause
from .outbox import Lane, Outbox
from .pixels import ArrayFormat, PictureMaker, check_array, check_size, picture_from_array
from .reader import SOUND_CHUNKS
from .source import Counters, Item, SourceBase, SourceStatistics
from .timeline import LONGEST_S, Placed, Timeline

PushedFrame = VideoFrame | np.ndarray
"""What may be pushed."""

_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pushed:
    pixels: VideoFrame | np.ndarray
    format: ArrayFormat
    placed: Placed
    arrival_s: float


class _End:
    """What `end` puts."""


class PushSource(SourceBase):
    """Frames that the caller hands in, e.g. from a call it already decodes.

    Its queue holds `config.queue_frames`; when it is full the oldest frame goes and is counted.
    """

    live = True

    def __init__(self, stream_id: str, config: SourceConfig | None = None, *, clock: Clock | None = None) -> None:
        self.url = f"push:{stream_id}"
        self._config = config or SourceConfig()
        self._clock = clock or MonotonicClock()
        self._opened_s = self._clock.now_s()
        self._timeline = Timeline(keeps_own_times=True)
        self._outbox: Outbox[_Pushed | _End] = Outbox(
            frames=self._config.queue_frames, sounds=SOUND_CHUNKS, inherit=_inherit_gap
        )
        self._pushing = threading.Lock()
        self._ended = False
        self._pictures = PictureMaker()
        self._counters = Counters()
        self._up = False
        self._waiting: deque[Item] = deque()
        self._frames_read = 0
        self._broken: GapCause | None = None
        """Of a frame that could not be shown: the next one tells it."""

    def push(self, frame: PushedFrame, pts_s: float | None = None, *, format: ArrayFormat = "rgb") -> bool:
        """Hand in a frame; False if an older one that still waited had to go for it.

        `pts_s`: its media time; without it an av.VideoFrame's own time counts, and for an array the time since this
        source was made. Arrays are uint8: rgb and bgr (H, W, 3), i420 and nv12 (H * 3 / 2, W); `format` is for them.
        A frame whose time does not grow is skipped and counted (True: nothing else had to go).
        Raises PictureError for what is no picture, and for a time that is none.
        """
        arrival_s = self._clock.now_s()
        _check(frame, format)
        _check_time(pts_s)
        with self._pushing:
            if self._ended:
                raise ClosedError("source")
            placed = self._place(frame, pts_s, arrival_s)
            if placed is None:
                return True
            pixels = np.array(frame) if isinstance(frame, np.ndarray) else frame
            return self._outbox.put_nowait(
                Lane.FRAME, _Pushed(pixels=pixels, format=format, placed=placed, arrival_s=arrival_s)
            )

    def end(self) -> None:
        """No more frames come. What waits is still read, then EndOfStream. May be called twice."""
        with self._pushing:
            if not self._ended:
                self._ended = True
                self._outbox.put_news(_End())

    def read(self, timeout_s: float) -> Item | None:
        if not self._waiting:
            pushed = self._outbox.get(timeout_s)
            if pushed is None:
                return None
            self._tell(pushed)
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        with self._pushing:
            self._ended = True
        self._outbox.close()

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            frames_read=self._frames_read,
            decoded=self._counters + Counters(),
            frame_queue=self._outbox.statistics(Lane.FRAME),
            sound_queue=QueueStatistics(capacity=SOUND_CHUNKS),
        )

    def _place(self, frame: VideoFrame | np.ndarray, pts_s: float | None, arrival_s: float) -> Placed | None:
        if pts_s is None and isinstance(frame, VideoFrame):
            placed = self._timeline.place(frame.pts, frame.time_base, arrival_s)
        else:
            own_s = arrival_s - self._opened_s if pts_s is None else pts_s
            placed = self._timeline.place(round(own_s / _MICROSECOND), _MICROSECOND, arrival_s)
        self._counters.frames_decoded += 1
        self._counters.duplicate_frames = self._timeline.skipped_duplicates
        self._counters.late_frames = self._timeline.skipped_late
        self._counters.guessed_pts += placed is not None and placed.guessed
        return placed

    def _tell(self, pushed: _Pushed | _End) -> None:
        if isinstance(pushed, _End):
            self._outbox.close()
            self._waiting.append(EndOfStream(frames=self._frames_read))
            return
        gap = pushed.placed.gap or self._broken
        try:
            picture = self._picture(pushed)
        except PictureError:
            self._counters.corrupt_frames += 1
            self._broken = gap
            return
        self._broken = None
        if not self._up:
            self._up = True
            self._waiting.append(StreamUp(url=self.url, width=picture.width, height=picture.height, codec="raw"))
        self._frames_read += 1
        self._waiting.append(
            Frame(
                pts_s=pushed.placed.pts_s,
                picture=picture,
                arrival_s=pushed.arrival_s,
                gap=gap,
                pts_guessed=pushed.placed.guessed,
            )
        )

    def _picture(self, pushed: _Pushed) -> Picture:
        if isinstance(pushed.pixels, np.ndarray):
            return picture_from_array(pushed.pixels, pushed.format)
        return self._pictures.picture(pushed.pixels)


def _check(frame: object, format: ArrayFormat) -> None:
    if isinstance(frame, np.ndarray):
        check_array(frame, format)
    elif isinstance(frame, VideoFrame):
        check_size(frame.width, frame.height)
    else:
        raise PictureError(f"a frame is a numpy array or an av.VideoFrame, not {type(frame).__name__}")


def _check_time(pts_s: float | None) -> None:
    if pts_s is not None and not abs(pts_s) <= LONGEST_S:  # not: so that nan is refused as well
        raise PictureError(f"pts_s must be media time in seconds, at most {LONGEST_S:g} from 0, not {pts_s}")


def _inherit_gap(dropped: _Pushed | _End, heir: _Pushed | _End) -> _Pushed | _End:
    if isinstance(dropped, _Pushed) and isinstance(heir, _Pushed) and dropped.placed.gap and not heir.placed.gap:
        return replace(heir, placed=replace(heir.placed, gap=dropped.placed.gap))
    return heir
