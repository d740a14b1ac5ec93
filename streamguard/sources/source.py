"""What a source is: the one seam between where pictures come from and the drivers that feed a Session.

A driver calls `read` in a loop and ticks its session whenever that returns None. Every source says StreamUp before its
first frame, EndOfStream as its last item, and raises a SourceError if it failed for good: an end and a failure never
look alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Protocol, Self

from ..errors import ClosedError
from ..events import EndOfStream, StreamDown, StreamUp
from ..queues import QueueStatistics
from ..values import AudioChunk, Frame

_ITERATION_S = 1.0

Item = Frame | AudioChunk | StreamUp | StreamDown | EndOfStream


@dataclass(slots=True, kw_only=True)
class Counters:
    """What happened to frames inside one decoder. Written by its thread only; read by anybody."""

    frames_decoded: int = 0
    """Pictures that came out of the decoder, whatever became of them."""
    corrupt_packets: int = 0
    """The decoder refused them. Skipped."""
    corrupt_frames: int = 0
    """The decoder said that they are damaged. Dropped: nothing is painted."""
    frames_before_keyframe: int = 0
    """Came before the first whole picture of a connection. Dropped."""
    duplicate_frames: int = 0
    """Had the time of the frame before. Dropped."""
    late_frames: int = 0
    """Were older than the frame before. Dropped."""
    guessed_pts: int = 0
    """Had no time of their own, and were placed one frame period after the previous one."""
    sound_skipped: int = 0
    """Sound that could not be decoded or placed."""

    def __add__(self, other: Counters) -> Counters:
        names = [field.name for field in fields(Counters)]
        return Counters(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatistics:
    """Where this source's frames went, since it was opened."""

    frames_read: int
    """Handed out by `read`."""
    decoded: Counters
    frame_queue: QueueStatistics
    """`dropped` counts the frames that went because the reader was too slow."""
    sound_queue: QueueStatistics
    reconnects: int = 0
    failures: int = 0
    """Connections that could not be made or broke."""
    abandoned_threads: int = 0
    """Decoder threads that hung and were left behind. They end by themselves if they ever wake up."""


class Source(Protocol):
    """One video stream. Used by one thread at a time; `close` and `statistics` may be called from any."""

    @property
    def url(self) -> str:
        """Where from, without credentials."""
        ...

    @property
    def live(self) -> bool:
        """True: frames come when they come, and the oldest are dropped. False: frames wait to be read."""
        ...

    def read(self, timeout_s: float) -> Item | None:
        """The next item, or None if nothing came in (about) this time.

        Raises a SourceError if the source failed for good, ClosedError after `close` or after EndOfStream was read.
        """
        ...

    def close(self) -> None:
        """Stop. Prompt even if the decoder hangs; may be called twice."""
        ...

    def statistics(self) -> SourceStatistics: ...

    def __iter__(self) -> Iterator[Item]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SourceBase(ABC):
    """What all sources have in common: `with` closes, `for` reads until the end."""

    url: str

    @abstractmethod
    def read(self, timeout_s: float) -> Item | None: ...

    @abstractmethod
    def close(self) -> None: ...

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url})"

    def __iter__(self) -> Iterator[Item]:
        """Items until EndOfStream was given, or the source was closed. A failure is raised."""
        while True:
            try:
                item = self.read(_ITERATION_S)
            except ClosedError:
                return
            if item is not None:
                yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
