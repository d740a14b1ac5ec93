"""One stream of a detector: a thread around the loop of `run.py`, and what its program sees of it."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self

import numpy as np

from .callback import Callback
from .clock import MonotonicClock
from .engine.engine import Percentiles, Seat, percentiles
from .errors import ClosedError, SourceError, StreamGuardError
from .events import Event, Score, StreamDown
from .mailbox import Mailbox
from .moment import Moment
from .queues import QueueStatistics
from .run import drive
from .session import Session, SessionStatistics
from .sources import PushSource, Source, SourceStatistics, redacted
from .sources.pixels import ArrayFormat
from .sources.push import PushedFrame

logger = logging.getLogger(__name__)

CLOSE_S = 10.0
"""Whatever hangs, closing takes no longer than this."""
STATISTICS_EVERY_S = 0.2
LATENCIES_KEPT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics:
    """What became of one stream's frames, windows and events, and how long scores took."""

    alive: bool
    failure: str | None
    """What ended it, if it was no end of stream and no close."""
    source: SourceStatistics
    session: SessionStatistics
    """As of a moment ago."""
    events: QueueStatistics
    """Of whoever iterates over the stream. `dropped`: events that were lost because that was too slow; 0 as long as
    nobody has begun to iterate."""
    callback_events: QueueStatistics
    latency_s: dict[str, Percentiles]
    """Of the newest scores: `wait` (decoded frame to complete window), `queue`, `infer`, and `total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a stream needs of its detector."""

    join: Callable[[Stream], tuple[Session, Seat]]
    """A session and its seat. Raises OverloadedError."""
    over: Callable[[Stream], None]
    """Its thread has ended."""
    callback: Callback | None
    events_waiting: int
    pid: int

    @property
    def is_here(self) -> bool:
        """False in a child that was forked: no thread came along, and locks may be held for ever."""
        return os.getpid() == self.pid

    def check_is_here(self) -> None:
        if not self.is_here:
            raise ClosedError("a StreamDetector cannot be used after a fork (make it in the process that uses it): it")


class Stream:
    """One stream of a detector. Iterate over it for its events, once: `for event in stream` or `async for`.

    A file waits for who iterates, and for the callback. One that is neither iterated over nor has a callback therefore
    stands still once `events_waiting` events wait, until it is closed or `wait` is called. A live stream never waits:
    scores, and then older events, give way, and an EventsLost says which.
    """

    def __init__(self, host: Host, source: Source, *, stream_id: str, participant_id: str | None = None) -> None:
        self.source = source
        self.stream_id = stream_id
        self.participant_id = participant_id
        self._host = host
        self._mailbox = Mailbox(host.events_waiting, reader=False)
        self._callback_mailbox = Mailbox(host.events_waiting)
        self._callback_has_all: Moment | None = None
        self._over = Moment()
        self._iterated = False
        self._failure: BaseException | None = None
        self._failure_trace: TracebackType | None = None
        self._failure_met = False
        self._callback_knows = False
        """It was given the event that says how the stream failed."""
        self._closing = False
        self._latencies: deque[tuple[float, float, float]] = deque(maxlen=LATENCIES_KEPT)
        self._thread = threading.Thread(target=self._run, name=f"streamguard-{redacted(stream_id)}", daemon=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stream_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """Events until the stream is over; what ended it, if that was a failure, is raised."""
        self._begin_iteration()
        return self._events()

    def __aiter__(self) -> AsyncIterator[Event]:
        from .aio import iterate

        self._begin_iteration()
        return iterate(self._mailbox, leave=self.begin_close, raise_failure=self.raise_failure)

    def close(self) -> None:
        """End it. What was pushed and not looked at yet is dropped. May be called twice."""
        if self._host.is_here:
            self.begin_close()
            self.join(CLOSE_S)

    async def aclose(self) -> None:
        """`close`, beside the event loop."""
        from .aio import beside_loop

        await beside_loop(self.close)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until the stream is over and the callback has got its last event. False if that takes longer.

        Who calls this without iterating is taken not to: a file then waits for no reader.
        """
        moments = self._last_moments()
        clock = MonotonicClock()
        until_s = inf if timeout_s is None else clock.now_s() + timeout_s
        return all(moment.wait(until_s - clock.now_s()) for moment in moments)

    async def wait_async(self, timeout_s: float | None = None) -> bool:
        """`wait`, for coroutines. It takes no thread."""
        from .aio import all_happen

        return await all_happen(self._last_moments(), timeout_s)

    def statistics(self) -> StreamStatistics:
        self._host.check_is_here()
        return StreamStatistics(
            alive=not self._over.has_happened,
            failure=None if self._failure is None else str(self._failure),
            source=self.source.statistics(),
            session=self._session_statistics,
            events=self._mailbox.statistics(),
            callback_events=self._callback_mailbox.statistics(),
            latency_s=self._latency(),
        )

    # Used by the detector and by aio.

    def start(self) -> None:
        callback = self._host.callback
        self._session, self._seat = self._host.join(self)
        try:
            self._session_statistics = self._session.statistics()
            if callback is not None:
                self._callback_has_all = callback.add(self._callback_mailbox)
            self._thread.start()
        except BaseException:
            self._seat.leave()
            if callback is not None:
                callback.remove(self._callback_mailbox)
            raise

    def join(self, timeout_s: float) -> bool:
        """Until its thread is over; at once on that thread itself."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def begin_close(self) -> None:
        """End it, without waiting."""
        if self._host.is_here:
            self._closing = True
            self._seat.cancel()
            self.source.close()
            self._mailbox.close()
            self._callback_mailbox.close()

    def raise_failure(self) -> None:
        """What ended the stream, if it was a failure. With the traceback that it came with: else each raising would
        add to it, and keep the frames of all who were told."""
        if self._failure is not None:
            self._failure_met = True
            raise self._failure.with_traceback(self._failure_trace)

    @property
    def has_unmet_failure(self) -> bool:
        return self._failure is not None and not self._failure_met

    def take_failure(self) -> BaseException | None:
        """What ended it and was not met by anybody, once."""
        if not self.has_unmet_failure:
            return None
        self._failure_met = True
        return self._failure

    def _begin_iteration(self) -> None:
        self._host.check_is_here()
        if self._iterated:
            raise ClosedError(f"iteration over {self!r}: a stream's events can be read once, and it")
        self._iterated = True
        self._mailbox.begin_reading()

    def _events(self) -> Iterator[Event]:
        try:
            while not self._mailbox.over:
                event = self._mailbox.get(None)
                if event is not None:
                    yield event
                    self._host.check_is_here()
        finally:
            self.close()
        self.raise_failure()

    def _last_moments(self) -> list[Moment]:
        self._host.check_is_here()
        self._mailbox.expect_nobody()
        callback = self._host.callback
        if callback is None or callback.is_this_thread or self._callback_has_all is None:
            return [self._over]
        return [self._over, self._callback_has_all]

    # The stream's own thread.

    def _run(self) -> None:
        try:
            with self.source, self._seat:
                try:
                    self._drive()
                except BaseException as exc:
                    self._end_by(exc)
        except BaseException as exc:  # leaving failed too
            self._end_by(exc)
        finally:
            self._mailbox.close()
            self._callback_mailbox.close()
            self._host.over(self)
            self._over.happen()

    def _drive(self) -> None:
        clock = MonotonicClock()
        next_s = 0.0
        try:
            for turn in drive(self.source, self._session, clock, seat=self._seat):
                self._deliver(turn.events)
                now_s = clock.now_s()
                if now_s >= next_s:
                    self._session_statistics = self._session.statistics()
                    next_s = now_s + STATISTICS_EVERY_S
        finally:
            self._session_statistics = self._session.statistics()

    def _deliver(self, events: list[Event]) -> None:
        """Live streams never wait for a reader; see the class."""
        callback, patient = self._host.callback, not self.source.live
        for event in events:
            if isinstance(event.kind, Score):
                latency = event.kind.latency
                self._latencies.append((latency.wait_s, latency.queue_s, latency.infer_s))
            if callback is not None and _put(self._callback_mailbox, event, waits=patient):
                self._callback_knows |= isinstance(event.kind, StreamDown) and event.kind.retry_in_s is None
            _put(self._mailbox, event, waits=patient and (self._iterated or callback is None))

    def _end_by(self, exc: BaseException) -> None:
        """Whatever fails while the failure is told, the first one is kept, and the thread ends as it should."""
        if self._closing and isinstance(exc, ClosedError):
            return
        if self._failure is None:
            self._failure, self._failure_trace = exc, exc.__traceback__
        with suppress(BaseException):  # a handler of the program's may raise too
            try:
                self._tell(exc)
            except BaseException:
                logger.exception("telling how stream %s failed", redacted(self.stream_id))

    def _tell(self, exc: BaseException) -> None:
        """As an event too. What is no error of ours, and therefore a bug, is raised by `close` all the same."""
        ours = isinstance(exc, StreamGuardError)
        if not ours:
            logger.error("stream %s ended by an unforeseen error", redacted(self.stream_id), exc_info=exc)
        if not (self.source.live and isinstance(exc, SourceError)):  # live sources tell of their failures themselves
            down = StreamDown(
                url=self.source.url,
                code=exc.code if isinstance(exc, StreamGuardError) else StreamGuardError.code,
                message=str(exc) or repr(exc),
                attempt=1,
            )
            self._session.source_event(down, MonotonicClock().now_s())
        self._deliver(self._session.events())
        self._failure_met = self._failure_met or (ours and exc is self._failure and self._callback_knows)

    def _latency(self) -> dict[str, Percentiles]:
        values = np.array(list(self._latencies) or [(0.0, 0.0, 0.0)])
        stages = {"wait": values[:, 0], "queue": values[:, 1], "infer": values[:, 2], "total": values.sum(1)}
        return {name: percentiles(stage) for name, stage in stages.items()}


class PushStream(Stream):
    """A stream of frames that the program pushes."""

    source: PushSource

    def push(self, frame: PushedFrame, pts_s: float | None = None, *, format: ArrayFormat = "rgb") -> bool:
        """Hand in a frame. False if an older one that still waited had to go for it; that is counted.

        It costs a copy of an array (benchmarks/results/push.json); an av.VideoFrame is kept by reference. Nothing is
        looked at here, and nothing waited for.

        `pts_s`: its media time; without it an av.VideoFrame's own time counts, and for an array the time since the
        stream was opened. Arrays are uint8, (H, W, 3) for rgb and bgr, (H * 3 / 2, W) for i420 and nv12. Raises what
        ended the stream, if it failed, and PictureError for what is no picture.
        """
        self._host.check_is_here()
        self.raise_failure()
        return self.source.push(frame, pts_s, format=format)

    def end(self) -> None:
        """No more frames come: what waits is still looked at, then the stream is over. See `wait`."""
        self._host.check_is_here()
        self.source.end()


def _put(mailbox: Mailbox, event: Event, *, waits: bool) -> bool:
    return mailbox.put_waiting(event) if waits else mailbox.put(event)
