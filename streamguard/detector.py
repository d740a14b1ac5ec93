"""`StreamDetector`: what a program embeds. Opens streams, each on a thread of its own, around one engine for all.

    with StreamDetector(on_event=print) as detector:
        call = detector.open_stream("room-7", participant_id="alice")
        call.push(frame, pts_s=t)
        for event in detector.watch("rtsp://camera/1"): ...

It never blocks its host: `push` and `open_stream` return at once, and events are handed to `on_event` on a thread of
their own, so a slow one loses only its own events. An exception on any of its threads ends that stream, and is raised
where the program meets the stream next: by iterating, by `push`, or at the latest by `close`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Any, Self

import numpy as np

from .bundle import Bundle, open_bundle
from .clock import MonotonicClock
from .config import DetectorConfig
from .engine.backend import Backend
from .engine.engine import Engine, EngineStatistics, Percentiles, Seat, percentiles
from .errors import ClosedError, ConfigError, SourceError, StreamGuardError
from .events import Event, Score, StreamDown
from .faces.detector import open_detector, open_mesher
from .mailbox import Mailbox
from .queues import QueueStatistics
from .run import drive, join
from .session import Session, SessionStatistics
from .sources import PushSource, Source, SourceStatistics, open_source, redacted
from .sources.pixels import ArrayFormat
from .sources.push import PushedFrame

logger = logging.getLogger(__name__)

CLOSE_S = 10.0
"""A stream or a callback that hangs holds up closing for no longer than this."""
STATISTICS_EVERY_S = 0.2
LATENCIES_KEPT = 1024
FAILURES_KEPT = 100
"""Streams that failed and whose failure nobody met yet."""

OnEvent = Callable[[Event], None]


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
    """Of whoever iterates over the stream. `dropped`: events that were lost because that was too slow."""
    callback_events: QueueStatistics
    latency_s: dict[str, Percentiles]
    """Of the newest scores: `wait` (decoded frame to complete window), `queue`, `infer`, and `total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackStatistics:
    called: int
    failed: int
    """Calls that raised. The first such exception is raised by `close`, all are logged."""
    lost: int
    """Events of all streams that were dropped because the callback was too slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorStatistics:
    """All that a detector can tell of itself: peaks of queues, drops by cause, latency by stage."""

    streams: dict[str, StreamStatistics]
    engine: EngineStatistics
    callback: CallbackStatistics


class StreamDetector:
    """Safe to use from any thread, inside a running event loop, and to close twice. Several may live in one process.

    `bundle`: a folder, a zip, or one that was opened; None: the one that comes with StreamGuard. `backend` is for tests
    and for backends of your own; else `config.engine` says which. Making a detector reads models and compiles them,
    which takes a second or two.
    """

    def __init__(
        self,
        *,
        on_event: OnEvent | None = None,
        bundle: Bundle | str | os.PathLike[str] | None = None,
        config: DetectorConfig | None = None,
        backend: Backend | None = None,
    ) -> None:
        self._config = config or DetectorConfig()
        self._lock = threading.Lock()
        self._streams: dict[str, Stream] = {}
        self._failed: deque[Stream] = deque(maxlen=FAILURES_KEPT)
        self._closed = False
        if not isinstance(bundle, Bundle):
            bundle = open_bundle(bundle, trusted_sha256=self._config.engine.bundle_sha256)
        open_detector(), open_mesher()  # what is missing is missed here, and not on some thread later
        self._engine = Engine(bundle, self._config.engine, backend=backend)
        self._callback = None if on_event is None else _Callback(on_event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise
            logger.exception("closing after another error")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from .aio import beside_loop

        await beside_loop(lambda: self.__exit__(kind, error, trace))

    def open_stream(self, stream_id: str, *, participant_id: str | None = None) -> PushStream:
        """A stream of frames that the program pushes itself."""
        source = PushSource(stream_id, self._config.source)
        stream = PushStream(self, source, stream_id=stream_id, participant_id=participant_id)
        self._start(stream)
        return stream

    def watch(
        self,
        target: str | os.PathLike[str],
        *,
        stream_id: str | None = None,
        participant_id: str | None = None,
    ) -> Stream:
        """A path, a URL or `webcam[:N]`, watched from now on. Iterate over it (`for` or `async for`) for its events;
        leaving the loop ends it. A path that does not exist raises SourceNotFound here; a camera that does not answer
        is tried again, and says so in its events."""
        source = open_source(target, self._config.source)
        stream = Stream(self, source, stream_id=stream_id or source.url, participant_id=participant_id)
        self._start(stream)
        return stream

    @property
    def trained(self) -> bool:
        """False: the scores mean nothing."""
        return self._engine.bundle.manifest.trained

    def statistics(self) -> DetectorStatistics:
        with self._lock:
            streams = dict(self._streams)
        callback = self._callback
        return DetectorStatistics(
            streams={name: stream.statistics() for name, stream in streams.items()},
            engine=self._engine.statistics(),
            callback=CallbackStatistics(called=0, failed=0, lost=0) if callback is None else callback.statistics(),
        )

    def close(self) -> None:
        """End all streams, let the callback take the events that wait, give everything back. May be called twice, and
        from the callback itself. Raises the first exception that ended a stream or left the callback and was not met
        before."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            streams = [*self._failed, *self._streams.values()]
        for stream in streams:
            stream.begin_close()
        for stream in streams:
            stream.join(CLOSE_S)
        failures: list[BaseException | None] = [stream.unmet_failure() for stream in streams]
        if self._callback is not None:
            failures.append(self._callback.close())
        self._engine.close()
        met = [failure for failure in failures if failure is not None]
        for failure in met[1:]:
            logger.error("another failure: %s", failure, exc_info=failure)
        if met:
            raise met[0]

    def _start(self, stream: Stream) -> None:
        try:
            with self._lock:
                if self._closed:
                    raise ClosedError("StreamDetector")
                if stream.stream_id in self._streams:
                    raise ConfigError("stream_id", f"{stream.stream_id!r} is open already")
                stream.start()
                self._streams[stream.stream_id] = stream
        except BaseException:
            stream.source.close()
            raise

    # Used by streams.

    def _join(self, stream: Stream) -> tuple[Session, Seat]:
        """A session and its seat. Raises OverloadedError."""
        return join(
            self._engine,
            stream.source,
            faces=self._config.faces,
            scoring=self._config.scoring,
            stalled_after_s=self._config.stalled_after_s,
            stream_id=stream.stream_id,
            participant_id=stream.participant_id,
        )

    def _forget(self, stream: Stream) -> None:
        """Its name may be used again."""
        with self._lock:
            if self._streams.get(stream.stream_id) is stream and not self._closed:
                del self._streams[stream.stream_id]
                if stream.unmet_failure() is not None:
                    self._failed.append(stream)


def open_stream_detector(**options: Any) -> AbstractAsyncContextManager[StreamDetector]:
    """`async with open_stream_detector(...) as detector`: made and closed without holding up the event loop. Takes what
    StreamDetector takes."""
    from .aio import opened_beside_loop

    return opened_beside_loop(lambda: StreamDetector(**options), close=StreamDetector.close)


class Stream:
    """One stream of a detector. Iterate over it for its events, once: `for event in stream` or `async for`."""

    def __init__(
        self, detector: StreamDetector, source: Source, *, stream_id: str, participant_id: str | None = None
    ) -> None:
        self.source = source
        self.stream_id = stream_id
        self.participant_id = participant_id
        self._detector = detector
        self._mailbox = Mailbox(detector._config.events_waiting)
        self._callback_mailbox = Mailbox(detector._config.events_waiting)
        self._iterated = False
        self._failure: Exception | None = None
        self._failure_met = False
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
        self.begin_close()
        self.join(CLOSE_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until the stream is over and the callback has got its last event. False if that takes longer."""
        clock = MonotonicClock()
        until_s = inf if timeout_s is None else clock.now_s() + timeout_s
        if not self.join(timeout_s):
            return False
        callback = self._detector._callback
        return callback is None or callback.wait(self._callback_mailbox, until_s - clock.now_s())

    def statistics(self) -> StreamStatistics:
        return StreamStatistics(
            alive=self._thread.is_alive(),
            failure=None if self._failure is None else str(self._failure),
            source=self.source.statistics(),
            session=self._session_statistics,
            events=self._mailbox.statistics(),
            callback_events=self._callback_mailbox.statistics(),
            latency_s=self._latency(),
        )

    # Used by the detector and by aio.

    def start(self) -> None:
        self._session, self._seat = self._detector._join(self)
        self._session_statistics = self._session.statistics()
        if self._detector._callback is not None:
            self._detector._callback.add(self._callback_mailbox)
        self._thread.start()

    def join(self, timeout_s: float | None) -> bool:
        """Until its thread is over; at once on that thread itself."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def begin_close(self) -> None:
        """End it, without waiting."""
        self._closing = True
        self.source.close()
        self._mailbox.close()
        self._callback_mailbox.close()

    def raise_failure(self) -> None:
        """What ended the stream, if it was a failure."""
        if self._failure is not None:
            self._failure_met = True
            raise self._failure

    def unmet_failure(self) -> Exception | None:
        return None if self._failure_met else self._failure

    def _begin_iteration(self) -> None:
        if self._iterated:
            raise ClosedError(f"iteration over {self!r}: a stream's events can be read once, and it")
        self._iterated = True

    def _events(self) -> Iterator[Event]:
        try:
            while not self._mailbox.over:
                event = self._mailbox.get(None)
                if event is not None:
                    yield event
        finally:
            self.close()
        self.raise_failure()

    # The stream's own thread.

    def _run(self) -> None:
        try:
            with self.source, self._seat:
                self._drive()
        except Exception as exc:
            if not (self._closing and isinstance(exc, ClosedError)):
                self._fail(exc)
        finally:
            self._session_statistics = self._session.statistics()
            self._mailbox.close()
            self._callback_mailbox.close()
            self._detector._forget(self)

    def _drive(self) -> None:
        clock = MonotonicClock()
        next_s = 0.0
        for turn in drive(self.source, self._session, clock, seat=self._seat):
            self._deliver(turn.events)
            now_s = clock.now_s()
            if now_s >= next_s:
                self._session_statistics = self._session.statistics()
                next_s = now_s + STATISTICS_EVERY_S

    def _deliver(self, events: list[Event]) -> None:
        """Live streams never wait for a reader. A file does, for one who has begun to read, and for the callback."""
        for event in events:
            if isinstance(event.kind, Score):
                latency = event.kind.latency
                self._latencies.append((latency.wait_s, latency.queue_s, latency.infer_s))
            if self._detector._callback is not None:
                _put(self._callback_mailbox, event, waits=not self.source.live)
            _put(self._mailbox, event, waits=not self.source.live and self._iterated)

    def _fail(self, exc: Exception) -> None:
        """Told as an event too. What is no error of ours, and therefore a bug, is raised by `close` all the same."""
        self._failure = exc
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
        self._failure_met = self._failure_met or (ours and self._detector._callback is not None)

    def _latency(self) -> dict[str, Percentiles]:
        values = np.array(list(self._latencies) or [(0.0, 0.0, 0.0)])
        stages = {"wait": values[:, 0], "queue": values[:, 1], "infer": values[:, 2], "total": values.sum(1)}
        return {name: percentiles(stage) for name, stage in stages.items()}


class PushStream(Stream):
    """A stream of frames that the program pushes."""

    source: PushSource

    def push(self, frame: PushedFrame, pts_s: float | None = None, *, format: ArrayFormat = "rgb") -> bool:
        """Hand in a frame, in microseconds: nothing is looked at here. False if an older one that still waited had to
        go for it; that is counted.

        `pts_s`: its media time; without it an av.VideoFrame's own time counts, and for an array the time since the
        stream was opened. Arrays are uint8, (H, W, 3) for rgb and bgr, (H * 3 / 2, W) for i420 and nv12. Raises what
        ended the stream, if it failed, and PictureError for what is no picture.
        """
        self.raise_failure()
        return self.source.push(frame, pts_s, format=format)

    def end(self) -> None:
        """No more frames come: what waits is still looked at, then the stream is over. See `wait`."""
        self.source.end()


def _put(mailbox: Mailbox, event: Event, *, waits: bool) -> None:
    if waits:
        mailbox.put_waiting(event)
    else:
        mailbox.put(event)


class _Callback:
    """Calls the program's function with the events of all streams, in turns, on one thread of its own."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._changed = threading.Condition()
        self._ready: deque[Mailbox] = deque()
        self._mailboxes: set[Mailbox] = set()
        self._closing = self._abandoned = False
        self._called = self._failed = self._lost_before = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="streamguard-callback", daemon=True)
        self._thread.start()

    def add(self, mailbox: Mailbox) -> None:
        with self._changed:
            self._mailboxes.add(mailbox)
        mailbox.on_ready = lambda: self._note(mailbox)

    def wait(self, mailbox: Mailbox, timeout_s: float) -> bool:
        """Until it got the last event of a mailbox that is closed. Not from the callback itself: that is no reason to
        wait for itself."""
        if threading.current_thread() is self._thread:
            return True
        with self._changed:
            return self._changed.wait_for(
                lambda: mailbox not in self._mailboxes or self._abandoned,
                max(0.0, min(timeout_s, threading.TIMEOUT_MAX)),
            )

    def close(self) -> BaseException | None:
        """Once it got what waits. Returns its first exception."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                logger.error("on_event is too slow to take the events that wait: they are dropped")
                self._abandoned = True
        return self._failure

    def statistics(self) -> CallbackStatistics:
        with self._changed:
            lost = self._lost_before + sum(mailbox.statistics().dropped for mailbox in self._mailboxes)
            return CallbackStatistics(called=self._called, failed=self._failed, lost=lost)

    def _note(self, mailbox: Mailbox) -> None:
        with self._changed:
            if mailbox not in self._ready:
                self._ready.append(mailbox)
                self._changed.notify_all()

    def _run(self) -> None:
        while (mailbox := self._next()) is not None:
            event = mailbox.get(0)
            if event is not None:
                self._call(event)
                self._note(mailbox)
            elif mailbox.over:
                with self._changed:
                    if mailbox in self._mailboxes:
                        self._mailboxes.remove(mailbox)
                        self._lost_before += mailbox.statistics().dropped
                        self._changed.notify_all()

    def _next(self) -> Mailbox | None:
        """Waits for a mailbox with something in it. None once all are empty and it is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closing)
            return self._ready.popleft() if self._ready and not self._abandoned else None

    def _call(self, event: Event) -> None:
        self._called += 1
        try:
            self._on_event(event)
        except BaseException as exc:  # sys.exit too must not end this thread: the next event may be an alarm
            self._failed += 1
            self._failure = self._failure or exc
            logger.error("on_event raised on %s", type(event.kind).__name__, exc_info=exc)
