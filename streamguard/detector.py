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

import atexit
import logging
import os
import threading
import weakref
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from .bundle import Bundle, open_bundle
from .callback import Callback, CallbackStatistics, OnEvent
from .clock import MonotonicClock
from .config import DetectorConfig
from .engine.backend import Backend
from .engine.engine import Engine, EngineStatistics, Seat
from .errors import ClosedError, ConfigError
from .faces.detector import open_detector, open_mesher
from .run import join
from .session import Session
from .sources import PushSource, open_source
from .stream import CLOSE_S, Host, PushStream, Stream, StreamStatistics

logger = logging.getLogger(__name__)

CLOSE_AT_EXIT_S = 2.0
"""A program that ends without closing is held up no longer than this."""
FAILURES_KEPT = 100
"""Streams that failed and whose failure nobody met yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorStatistics:
    """All that a detector can tell of itself: peaks of queues, drops by cause, latency by stage."""

    streams: dict[str, StreamStatistics]
    engine: EngineStatistics
    callback: CallbackStatistics
    failures_forgotten: int
    """Of streams whose failure nobody met before 100 more had failed: `close` will not raise them. They are logged."""


class StreamDetector:
    """Safe to use from any thread, inside a running event loop, and to close twice. Several may live in one process.

    `bundle`: a folder, a zip, `untrained`, or one that was opened; None: the one that comes with StreamGuard. `backend`
    is for tests and for backends of your own; else `config.engine` says which. Making a detector reads models and
    compiles them, which takes a second or two.
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
        self._failed: list[Stream] = []
        self._failures_forgotten = 0
        self._closed = False
        self._closing = threading.RLock()  # not a Lock: a signal handler may close what is just being closed
        if not isinstance(bundle, Bundle):
            bundle = open_bundle(bundle, trusted_sha256=self._config.engine.bundle_sha256)
        open_detector(), open_mesher()  # what is missing is missed here, and not on some thread later
        self._engine = Engine(bundle, self._config.engine, backend=backend)
        self._callback = None if on_event is None else Callback(on_event)
        self._host = Host(
            join=self._join,
            over=self._forget,
            callback=self._callback,
            events_waiting=self._config.events_waiting,
            pid=os.getpid(),
        )
        _close_at_exit(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = self._shut(CLOSE_S)
        if failure is not None:
            if error is None:
                raise failure
            logger.error("closing after another error: %r", failure, exc_info=failure)

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
        stream = PushStream(self._host, source, stream_id=stream_id, participant_id=participant_id)
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
        stream = Stream(self._host, source, stream_id=stream_id or source.url, participant_id=participant_id)
        self._start(stream)
        return stream

    @property
    def trained(self) -> bool:
        """False: the scores mean nothing."""
        return self._engine.bundle.manifest.trained

    def statistics(self) -> DetectorStatistics:
        self._host.check_is_here()
        with self._lock:
            streams = dict(self._streams)
        callback = self._callback
        return DetectorStatistics(
            streams={name: stream.statistics() for name, stream in streams.items()},
            engine=self._engine.statistics(),
            callback=CallbackStatistics(called=0, failed=0, lost=0) if callback is None else callback.statistics(),
            failures_forgotten=self._failures_forgotten,
        )

    def close(self) -> None:
        """End all streams, let the callback take the events that wait, give everything back, within 10 s whatever
        hangs. Raises the first exception that ended a stream or left the callback and was not met before; others are
        logged. May be called twice, also while it runs: then it waits for the first call, and from the callback
        itself, which is waited for by nobody there: what it raises afterwards is raised by the next call. In a forked
        child it does nothing."""
        failure = self._shut(CLOSE_S)
        if failure is not None:
            raise failure

    def _shut(self, timeout_s: float) -> BaseException | None:
        """Close. Returns what `close` raises."""
        if not self._host.is_here:
            return None
        clock = MonotonicClock()
        begun_s = clock.now_s()

        def left_s(share: float) -> float:
            return max(0.0, begun_s + share * timeout_s - clock.now_s())

        with self._lock:
            self._closed = True
        on_callback = self._callback is not None and self._callback.is_this_thread
        if not self._closing.acquire(timeout=0 if on_callback else timeout_s):
            return None  # who is at it raises
        try:
            with self._lock:
                streams = [*self._failed, *self._streams.values()]
            for stream in streams:
                stream.begin_close()
            # One deadline for all; what hangs leaves some of the time to what comes after it.
            for stream in streams:
                stream.join(left_s(0.8))
            if self._callback is not None:
                self._callback.close(left_s(0.9))
            self._engine.close(left_s(1.0))
            failures = [stream.take_failure() for stream in streams]
            if self._callback is not None:
                failures.append(self._callback.take_failure())
        finally:
            self._closing.release()
        unmet = [failure for failure in failures if failure is not None]
        for failure in unmet[1:]:
            logger.error("another failure: %s", failure, exc_info=failure)
        return unmet[0] if unmet else None

    def _start(self, stream: Stream) -> None:
        try:
            self._host.check_is_here()
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
        forgotten: Stream | None = None
        with self._lock:
            if self._streams.get(stream.stream_id) is stream and not self._closed:
                del self._streams[stream.stream_id]
                if stream.has_unmet_failure:
                    self._failed = [*(failed for failed in self._failed if failed.has_unmet_failure), stream]
                    if len(self._failed) > FAILURES_KEPT:
                        forgotten = self._failed.pop(0)
                        self._failures_forgotten += 1
        if forgotten is not None:
            failure = forgotten.take_failure()
            logger.error("%r failed, and nobody met it: %r", forgotten, failure, exc_info=failure)


def open_stream_detector(**options: Any) -> AbstractAsyncContextManager[StreamDetector]:
    """`async with open_stream_detector(...) as detector`: made and closed without holding up the event loop. Takes what
    StreamDetector takes."""
    from .aio import opened_beside_loop

    return opened_beside_loop(lambda: StreamDetector(**options), close=StreamDetector.close)


# A daemon thread that is ended by the interpreter while it is inside of OpenVINO takes the process down with it
# (std::terminate), so detectors that nobody closed are closed while threads still run.

_open: weakref.WeakSet[StreamDetector] = weakref.WeakSet()
_open_lock = threading.Lock()
_registered = False


def _close_at_exit(detector: StreamDetector) -> None:
    global _registered
    with _open_lock:
        _open.add(detector)
        if not _registered:
            _registered = True
            atexit.register(_close_open)


def _close_open() -> None:
    clock = MonotonicClock()
    until_s = clock.now_s() + CLOSE_AT_EXIT_S
    with _open_lock:
        detectors = list(_open)
    for detector in detectors:
        failure = detector._shut(max(0.0, until_s - clock.now_s()))
        if failure is not None:
            logger.error("closing at exit: %r", failure, exc_info=failure)
