"""The caller's own frames as a source: `push` from any thread, `read` from the pipeline's.

`push` waits for nobody and never keeps the caller's memory: arrays are copied before it returns, an av.VideoFrame is
kept by reference. Turning them into Pictures happens on the reading thread.
"""

from __future__ import annotations

import queue
import reprlib
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from math import inf, nan
from numbers import Real

import numpy as np
from av.video.frame import VideoFrame

from ..clock import Clock, MonotonicClock
from ..config import SourceConfig
from ..errors import ClosedError, PictureError
from ..events import EndOfStream, StreamUp
from ..picture import Picture
from ..queues import QueueStatistics
from ..values import Frame, GapCause
from .pixels import ArrayFormat, PictureMaker, check_array, check_size, picture_from_array
from .reader import SOUND_CHUNKS
from .source import Counters, Item, SourceBase, SourceStatistics
from .timeline import LONGEST_S, Placed, Timeline

PushedFrame = VideoFrame | np.ndarray
"""What may be pushed."""

_BUFFERS_KEPT = 4
"""A frame or two wait at a time; when more do, each new one takes the buffer of the one that goes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pushed:
    pixels: VideoFrame | np.ndarray
    format: ArrayFormat
    placed: Placed
    arrival_s: float
    breaks: int
    """How often media time had broken by then. So whichever frame is seen next after a break can tell it: those before
    it may have been dropped."""
    last_break: GapCause | None


class _Copies:
    """Copies of the caller's arrays, into buffers that are used again: a fresh one of some megabytes costs page faults.

    The copy is made with the GIL held. numpy would let go of it, which is meant kindly, and then wait for it until
    other threads give it back: 5 ms each, where the copy takes 0.2 ms (measured in benchmarks/push.py).
    """

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def copy(self, array: np.ndarray) -> np.ndarray:
        copy = self._buffer(array.shape)
        if array.flags.c_contiguous:
            copy.data.cast("B")[:] = array.data.cast("B")
        else:
            np.copyto(copy, array)
        return copy

    def give_back(self, copy: np.ndarray) -> None:
        """Nobody looks at it any more."""
        if len(self._free) < _BUFFERS_KEPT:
            self._free.append(copy)

    def _buffer(self, shape: tuple[int, ...]) -> np.ndarray:
        while self._free:
            try:
                free = self._free.pop()
            except IndexError:  # another thread took it
                break
            if free.shape == shape:
                return free
        return np.empty(shape, np.uint8)


class _End:
    """What `end` puts, and `close`."""


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
        # Not a Condition: the reader would take its lock and then wait for the GIL, and `push` for the reader.
        self._queue: queue.SimpleQueue[_Pushed | _End] = queue.SimpleQueue()
        self._put = self._dropped = self._taken = self._peak = 0
        self._copies = _Copies()
        self._pushing = threading.Lock()
        self._ended = self._closed = False
        self._breaks = 0
        self._last_break: GapCause | None = None
        self._pictures = PictureMaker()
        self._counters = Counters()
        self._up = False
        self._waiting: deque[Item] = deque()
        self._frames_read = 0
        self._breaks_told = 0

    def push(self, frame: PushedFrame, pts_s: float | None = None, *, format: ArrayFormat = "rgb") -> bool:
        """Hand in a frame; False if an older one that still waited had to go for it.

        `pts_s`: its media time; without it an av.VideoFrame's own time counts, and for an array the time since this
        source was made. Arrays are uint8: rgb and bgr (H, W, 3), i420 and nv12 (H * 3 / 2, W); `format` is for them.
        A frame whose time does not grow is skipped and counted (True: nothing else had to go).
        Raises PictureError for what is no picture, and for a time that is none.
        """
        arrival_s = self._clock.now_s()
        _check(frame, format)
        given_s = _checked_time(pts_s)
        if self._ended:
            raise ClosedError("source")
        pixels = self._copies.copy(frame) if isinstance(frame, np.ndarray) else frame
        with self._pushing:
            if self._ended:
                raise ClosedError("source")
            placed = self._place(frame, given_s, arrival_s)
            if placed is None:
                return True
            return self._hand_over(pixels, format, placed, arrival_s)

    def end(self) -> None:
        """No more frames come. What waits is still read, then EndOfStream. May be called twice."""
        with self._pushing:
            if not self._ended:
                self._ended = True
                self._queue.put(_End())

    def read(self, timeout_s: float) -> Item | None:
        if not self._waiting:
            self._check_open()
            try:
                pushed = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                pushed = None
            self._check_open()
            if pushed is None:
                return None
            self._tell(pushed)
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        with self._pushing:
            self._ended = self._closed = True
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._queue.put(_End())  # for who waits

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            frames_read=self._frames_read,
            decoded=self._counters + Counters(),
            frame_queue=QueueStatistics(
                capacity=self._config.queue_frames,
                waiting=0 if self._closed else self._put - self._dropped - self._taken,
                peak_waiting=self._peak,
                put=self._put,
                dropped=self._dropped,
            ),
            sound_queue=QueueStatistics(capacity=SOUND_CHUNKS),
        )

    def _place(self, frame: VideoFrame | np.ndarray, given_s: float | None, arrival_s: float) -> Placed | None:
        if given_s is None and isinstance(frame, VideoFrame):
            placed = self._timeline.place(frame.pts, frame.time_base, arrival_s)
        else:
            own_s = arrival_s - self._opened_s if given_s is None else given_s
            placed = self._timeline.place_at(round(own_s, 6), arrival_s)
        self._counters.frames_decoded += 1
        self._counters.duplicate_frames = self._timeline.skipped_duplicates
        self._counters.late_frames = self._timeline.skipped_late
        self._counters.guessed_pts += placed is not None and placed.guessed
        return placed

    def _hand_over(
        self, pixels: VideoFrame | np.ndarray, format: ArrayFormat, placed: Placed, arrival_s: float
    ) -> bool:
        """False if the oldest frame was dropped for it."""
        if placed.gap is not None:
            self._breaks, self._last_break = self._breaks + 1, placed.gap
        self._queue.put(
            _Pushed(
                pixels=pixels,
                format=format,
                placed=placed,
                arrival_s=arrival_s,
                breaks=self._breaks,
                last_break=self._last_break,
            )
        )
        self._put += 1
        waiting = self._queue.qsize()
        self._peak = max(self._peak, min(waiting, self._config.queue_frames))
        if waiting <= self._config.queue_frames:
            return True
        try:
            dropped = self._queue.get_nowait()
        except queue.Empty:  # the reader was faster
            return True
        self._dropped += 1
        if isinstance(dropped, _Pushed) and isinstance(dropped.pixels, np.ndarray):
            self._copies.give_back(dropped.pixels)
        return False

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("source")

    def _tell(self, pushed: _Pushed | _End) -> None:
        if isinstance(pushed, _End):
            self._closed = True
            self._waiting.append(EndOfStream(frames=self._frames_read))
            return
        self._taken += 1
        try:
            picture = self._picture(pushed)
        except PictureError:
            self._counters.corrupt_frames += 1
            return
        gap = pushed.last_break if pushed.breaks > self._breaks_told else None
        self._breaks_told = pushed.breaks
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
        if not isinstance(pushed.pixels, np.ndarray):
            return self._pictures.picture(pushed.pixels)
        picture = picture_from_array(pushed.pixels, pushed.format)
        if pushed.format in ("rgb", "bgr"):  # else the picture looks at this very memory
            self._copies.give_back(pushed.pixels)
        return picture


def _check(frame: object, format: ArrayFormat) -> None:
    if isinstance(frame, np.ndarray):
        check_array(frame, format)
    elif isinstance(frame, VideoFrame):
        check_size(frame.width, frame.height)
    else:
        raise PictureError(f"a frame is a numpy array or an av.VideoFrame, not {type(frame).__name__}")


def _checked_time(pts_s: object) -> float | None:
    if pts_s is None:
        return None
    try:
        given_s, told = float(pts_s) if isinstance(pts_s, Real) else nan, reprlib.repr(pts_s)
    except (OverflowError, ValueError):  # an int of hundreds or thousands of digits
        given_s, told = inf, "a number that large"
    if not abs(given_s) <= LONGEST_S:  # not: so that nan is refused as well
        raise PictureError(f"pts_s must be media time in seconds, at most {LONGEST_S:g} from 0, not {told}")
    return given_s
