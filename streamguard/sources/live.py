"""A live URL or webcam as a source: goes on trying until it is closed, and tells what happens on the way.

There is one decoder thread at a time. Its watchdog is `read` itself: whoever wants frames notices that none come.
A decoder that fails is replaced after a pause; one that hangs is left behind, up to a cap. A stream that left too many
is given up; while the whole process has too many, streams wait with opening again.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque

from ..clock import Clock
from ..config import SourceConfig
from ..errors import (
    ClosedError,
    SourceAbandoned,
    SourceAuthFailed,
    SourceDisconnected,
    SourceError,
    SourceHeldBack,
    SourceTimeout,
)
from ..events import EndOfStream, StreamDown, StreamUp
from ..queues import QueueStatistics
from ..values import AudioChunk, Frame
from .hanging import OF_THIS_PROCESS, HangingThreads
from .reader import SOUND_CHUNKS, Ended, Failed, Opened, OpenMedia, Reader, Report
from .retry import Backoff
from .source import Counters, Item, SourceBase, SourceStatistics
from .timeline import LastFrame, Timeline

log = logging.getLogger(__name__)

_JOIN_S = 0.2
"""How long `close` waits for the decoder. A healthy one ends with its next packet; a hanging one is not waited for."""


class LiveSource(SourceBase):
    """See the module. `open_media` opens once and may hang."""

    live = True

    def __init__(
        self,
        url: str,
        open_media: OpenMedia,
        config: SourceConfig,
        clock: Clock,
        *,
        rng: random.Random | None = None,
        process: HangingThreads = OF_THIS_PROCESS,
    ) -> None:
        self.url = url
        self._open_media = open_media
        self._config = config
        self._clock = clock
        self._backoff = Backoff(
            first_s=config.first_retry_s,
            longest_s=config.longest_retry_s,
            healthy_after_s=config.healthy_after_s,
            rng=rng or random.Random(),
        )
        self._hanging = HangingThreads(config.abandoned_per_stream, within=process)
        self._reader: Reader | None = None
        self._next_try_s = clock.now_s()
        self._waiting: deque[Item] = deque()
        self._up_since_s: float | None = None
        self._last: LastFrame | None = None
        self._error: SourceError | None = None
        self._closing: list[tuple[threading.Thread, float]] = []
        self._over = threading.Event()
        self._tally = Tally(config.queue_frames)

    def read(self, timeout_s: float) -> Item | None:
        if not self._waiting:
            self._start_if_due()
            report = self._wait(timeout_s)
            if report is not None:
                self._tell(report)
            elif self._reader is not None and self._hangs_at_s(self._reader) <= self._clock.now_s():
                self._leave_behind(self._reader)
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        self._over.set()
        reader = self._reader
        if reader is not None:
            reader.close()
            reader.thread.join(_JOIN_S)

    def statistics(self) -> SourceStatistics:
        return self._tally.statistics(self._reader)

    def _start_if_due(self) -> None:
        if self._over.is_set():
            raise ClosedError("source")
        if self._error is not None:
            raise self._error
        if self._reader is not None or self._clock.now_s() < self._next_try_s:
            return
        self._count_stuck_goodbyes()
        refusal = self._refusal()
        if refusal is not None:
            self._fail(refusal)
            return
        timeline = Timeline(keeps_own_times=False, after=self._last)
        self._reader = Reader(
            self._open_media,
            timeline,
            url=self.url,
            queue_frames=self._config.queue_frames,
            clock=self._clock,
            owner=self,
        )
        # Whoever closed in the meantime saw no reader; whoever closes from here on sees it.
        if self._over.is_set():
            self._reader.close()
            raise ClosedError("source")

    def _refusal(self) -> SourceError | None:
        """Why no further decoder may be started; None if one may."""
        if self._hanging.count() >= self._config.abandoned_per_stream:
            return SourceAbandoned(self.url)
        return SourceHeldBack(self.url) if self._hanging.is_full() else None

    def _wait(self, timeout_s: float) -> Report | None:
        now_s = self._clock.now_s()
        if self._waiting:
            return None
        if self._reader is not None:
            return self._reader.get(max(0.0, min(timeout_s, self._hangs_at_s(self._reader) - now_s)))
        if self._over.wait(max(0.0, min(timeout_s, self._next_try_s - now_s))):
            raise ClosedError("source")
        return None

    def _hangs_at_s(self, reader: Reader) -> float:
        """When a decoder that shows no sign of life has outlived FFmpeg's own limits."""
        config, sign = self._config, reader.sign
        # Opening has two parts, connecting and looking at what is sent, each with the whole limit.
        limit_s = max(2 * config.open_timeout_s, config.read_timeout_s) if sign.opening else config.read_timeout_s
        return sign.at_s + limit_s + config.watchdog_grace_s

    def _tell(self, report: Report) -> None:
        if isinstance(report, Frame):
            self._last = LastFrame(pts_s=report.pts_s, arrival_s=report.arrival_s)
            self._tally.frames_read += 1
            self._waiting.append(report)
        elif isinstance(report, AudioChunk):
            self._waiting.append(report)
        elif isinstance(report, Opened):
            self._waiting.append(self._up(report))
        elif isinstance(report, Failed):
            self._fail(report.error)
        elif isinstance(report, Ended):
            self._end(report)

    def _up(self, opened: Opened) -> StreamUp:
        self._up_since_s = opened.arrival_s
        outage_s = None
        if self._last is not None:
            outage_s = opened.arrival_s - self._last.arrival_s
            self._tally.reconnects += 1
        return StreamUp(url=self.url, width=opened.width, height=opened.height, codec=opened.codec, outage_s=outage_s)

    def _end(self, ended: Ended) -> None:
        if ended.endless:
            self._fail(SourceDisconnected(self.url))
            return
        self._retire()
        self._over.set()
        self._waiting.append(EndOfStream(frames=self._tally.frames_read))

    def _fail(self, error: SourceError) -> None:
        wait_s = self._backoff.failed(up_s=self._was_up_s(), slow_end=isinstance(error, SourceAuthFailed))
        self._retire()
        self._tally.failures += 1
        self._next_try_s = self._clock.now_s() + wait_s
        if error.permanent:
            self._error = error
        log.warning("%s", error)
        self._waiting.append(
            StreamDown(
                url=self.url,
                code=error.code,
                message=str(error),
                attempt=self._backoff.failures,
                retry_in_s=None if error.permanent else wait_s,
            )
        )

    def _was_up_s(self) -> float:
        if self._up_since_s is None or self._last is None:
            return 0.0
        return self._last.arrival_s - self._up_since_s

    def _retire(self) -> None:
        """Forget the decoder. If it is still busy saying goodbye, remember since when."""
        self._up_since_s = None
        if self._reader is not None:
            self._reader.close()
            self._closing.append((self._reader.thread, self._clock.now_s()))
            self._tally.add(self._reader)
            self._reader = None

    def _leave_behind(self, reader: Reader) -> None:
        self._tally.abandoned_threads += 1
        self._hanging.add(reader.thread)
        self._fail(self._refusal() or SourceTimeout(self.url, "the decoder hangs and was left behind"))
        self._closing.pop()  # it is counted already

    def _count_stuck_goodbyes(self) -> None:
        """A decoder that hangs in closing the connection is as lost as one that hangs in reading."""
        limit_s = self._clock.now_s() - self._config.read_timeout_s - self._config.watchdog_grace_s
        still = [(thread, since_s) for thread, since_s in self._closing if thread.is_alive()]
        self._closing = [(thread, since_s) for thread, since_s in still if since_s > limit_s]
        for thread, since_s in still:
            if since_s <= limit_s:
                self._tally.abandoned_threads += 1
                self._hanging.add(thread)


class Tally:
    """What happened over all connections of a stream."""

    def __init__(self, queue_frames: int) -> None:
        self.frames_read = 0
        self.reconnects = 0
        self.failures = 0
        self.abandoned_threads = 0
        self._decoded = Counters()
        self._frames = QueueStatistics(capacity=queue_frames)
        self._sounds = QueueStatistics(capacity=SOUND_CHUNKS)

    def add(self, reader: Reader) -> None:
        """Keep the numbers of a decoder that is done."""
        self._decoded += reader.counters
        self._frames = _sum(self._frames, reader.frame_queue())
        self._sounds = _sum(self._sounds, reader.sound_queue())

    def statistics(self, reader: Reader | None) -> SourceStatistics:
        return SourceStatistics(
            frames_read=self.frames_read,
            decoded=self._decoded + (reader.counters if reader else Counters()),
            frame_queue=_sum(self._frames, reader.frame_queue()) if reader else self._frames,
            sound_queue=_sum(self._sounds, reader.sound_queue()) if reader else self._sounds,
            reconnects=self.reconnects,
            failures=self.failures,
            abandoned_threads=self.abandoned_threads,
        )


def _sum(before: QueueStatistics, now: QueueStatistics) -> QueueStatistics:
    return QueueStatistics(
        capacity=now.capacity,
        waiting=now.waiting,
        peak_waiting=max(before.peak_waiting, now.peak_waiting),
        put=before.put + now.put,
        dropped=before.dropped + now.dropped,
    )
