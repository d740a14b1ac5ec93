"""One network for all streams of a process: windows in, raw scores out, on threads of its own.

Each stream takes a Seat, hands in windows, and collects answers when it likes: nothing here ever waits for a stream.

    with Engine(bundle) as engine, engine.join(live=True) as seat:
        seat.submit(session.take_work())
        answers = seat.collect()

If a backend fails, every stream that had work in that batch is told by an EngineError: a failure is never just silence.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from ..bundle import Bundle, Calibration
from ..clock import Clock, MonotonicClock
from ..config import ClipConfig, EngineConfig
from ..errors import ClosedError, EngineError, OverloadedError
from ..values import Scored, Window
from .backend import Backend
from .batcher import Batcher, BatcherStatistics, Work
from .open_backend import open_backend
from .output import raw_scores
from .pace import Pace
from .slots import Slots

logger = logging.getLogger(__name__)

LATENCIES_KEPT = 2048
PACE_EVERY_S = 0.25
CLOSE_S = 10.0
"""A backend that hangs holds up closing for no longer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What became of windows that were handed in."""

    scored: list[Scored]
    lost: list[Window]
    """Never scored: replaced by a newer one, too old, or without the state that they were to continue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    p99: float
    p50: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatistics:
    """What runs the network, and what became of the windows that it was given."""

    backend: str
    device: str
    graph: str
    precision: str
    batcher: BatcherStatistics
    dropped: dict[str, int]
    """Windows that were never scored, by cause: `replaced`, `stale`, `gone`, `no_state`."""
    scored: int
    effective_hop_s: float
    slots: int
    bytes_per_slot: int
    queue_s: Percentiles
    """Latency by stage, of the newest scores: how long windows waited for the network, and how long it took."""
    infer_s: Percentiles


class Engine:
    """Safe to use from any thread, and to close twice."""

    def __init__(
        self,
        bundle: Bundle,
        config: EngineConfig | None = None,
        *,
        backend: Backend | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.bundle = bundle
        self._config = config or EngineConfig()
        self._clock = clock or MonotonicClock()
        self._backend = backend or open_backend(bundle, self._config)
        self._changed = threading.Condition()
        clip = bundle.manifest.clip
        self._batcher = Batcher(
            graph=self._backend.graph, most_batch=self._config.most_batch, stale_after_s=self._config.stale_after_s
        )
        self._slots = Slots(self._backend)
        self._pace = Pace(graph=self._backend.graph, clip=clip, at_once=self._backend.at_once)
        self._last_hop_s = self._pace.usual_s
        self._pace_again_s = 0.0
        self._seats: dict[int, Seat] = {}
        self._next_seat = 0
        self._closed = False
        self._working = 0
        self._scored = 0
        self._latencies: deque[tuple[float, float]] = deque(maxlen=LATENCIES_KEPT)
        self._threads = [
            threading.Thread(target=self._work, name=f"streamguard-engine-{i}", daemon=True)
            for i in range(self._config.in_flight)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def backend(self) -> Backend:
        return self._backend

    @property
    def clip(self) -> ClipConfig:
        """What sessions must hand in."""
        return self.bundle.manifest.clip.config(self._backend.graph)

    @property
    def calibration(self) -> Calibration | None:
        """Of the graph and precision in use; None: there is no p_fake."""
        return self.bundle.calibration(self._backend.graph, self._backend.precision)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def join(self, *, live: bool) -> Seat:
        """A place for one stream. `live`: its work may be replaced or dropped when it is late; else it waits.

        Raises OverloadedError if faces are scored too rarely already.
        """
        with self._changed:
            if self._closed:
                raise ClosedError("engine")
            hop_s = self._pace.hop_s(self._clock.now_s())
            if live and hop_s > max(self._config.most_hop_s, self._pace.usual_s):
                raise OverloadedError(
                    self._backend.name,
                    f"no room for another stream: each face is scored only every {hop_s:.1f} s already "
                    f"(engine.most_hop_s is {self._config.most_hop_s:g}); end other streams, or use a faster machine",
                )
            self._next_seat += 1
            seat = Seat(self, self._next_seat, live=live)
            self._seats[seat.number] = seat
            return seat

    def close(self) -> None:
        """Work that is under way is finished, what waits is not. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSE_S)
        if any(thread.is_alive() for thread in self._threads):
            logger.error("%s does not come back from its work: it is left behind", self._backend.name)
        else:
            self._backend.close()

    def statistics(self) -> EngineStatistics:
        with self._changed:
            batcher = self._batcher.statistics()
            latencies = np.array(self._latencies or [(0.0, 0.0)])
            return EngineStatistics(
                backend=self._backend.name,
                device=self._backend.device,
                graph=self._backend.graph,
                precision=self._backend.precision,
                batcher=batcher,
                dropped={**batcher.dropped, **({"no_state": self._slots.stale} if self._slots.stale else {})},
                scored=self._scored,
                effective_hop_s=self._pace.hop_s(self._clock.now_s()),
                slots=len(self._slots),
                bytes_per_slot=self._backend.bytes_per_slot if self._backend.graph == "step" else 0,
                queue_s=percentiles(latencies[:, 0]),
                infer_s=percentiles(latencies[:, 1]),
            )

    # Called by seats.

    def _submit(self, seat: Seat, windows: Sequence[Window]) -> None:
        now_s = self._clock.now_s()
        with self._changed:
            if self._closed or seat.number not in self._seats:
                raise ClosedError("engine")
            for window in windows:
                work = Work(stream=seat.number, window=window, taken_s=now_s, live=seat.live)
                seat.outstanding += 1
                if seat.live:
                    self._pace.ask(work.face, now_s)
                self._lose(self._batcher.add(work))
            self._changed.notify_all()

    def _collect(self, seat: Seat) -> Answers:
        with self._changed:
            if seat.failure is not None:
                raise seat.failure
            answers = Answers(scored=seat.scored, lost=seat.lost)
            seat.scored, seat.lost = [], []
            return answers

    def _wait(self, seat: Seat, timeout_s: float | None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: seat.outstanding == 0 or seat.failure or self._closed, timeout_s)
            if self._closed and seat.outstanding:
                raise ClosedError("engine")

    def _forget(self, seat: Seat, face: tuple[int, int] | None = None) -> None:
        with self._changed:
            gone = self._batcher.forget(seat.number, face)
            seat.outstanding -= len(gone)
            self._slots.forget(seat.number, face)
            self._pace.forget(seat.number, face)
            if face is None:
                self._seats.pop(seat.number, None)
            self._changed.notify_all()

    def _hop_s(self) -> float:
        """Asked by every stream at every frame, and worked out a few times a second."""
        now_s = self._clock.now_s()
        if now_s >= self._pace_again_s:
            with self._changed:
                self._pace_again_s = now_s + PACE_EVERY_S
                self._last_hop_s = self._pace.hop_s(now_s)
        return self._last_hop_s

    # The workers.

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._score(batch)
            except Exception as exc:
                self._fail(batch, exc)
            finally:
                with self._changed:
                    self._working -= len(batch)
                    self._batcher.done(batch)
                    self._changed.notify_all()

    def _next_batch(self) -> list[Work]:
        """Waits for work. Empty only when the engine is closed."""
        with self._changed:
            while not self._closed:
                batch, stale = self._batcher.take(self._clock.now_s())
                self._lose(stale)
                if batch:
                    self._working += len(batch)
                    return batch
                self._changed.wait()
            return []

    def _score(self, batch: list[Work]) -> None:
        with self._changed:
            side_by_side = self._working
        begun_s = self._clock.now_s()
        runs = self._score_windows(batch, begun_s) if self._backend.graph == "window" else self._step(batch, begun_s)
        seconds = self._clock.now_s() - begun_s
        with self._changed:
            if runs:
                self._pace.measure(seconds, items=len(batch), runs=runs, side_by_side=side_by_side)

    def _score_windows(self, batch: list[Work], begun_s: float) -> int:
        """Returns how often the network ran."""
        given = self._backend.run({"crops": np.stack([work.window.crops for work in batch])})
        self._answer(batch, given, begun_s)
        return len(batch)

    def _step(self, batch: list[Work], begun_s: float) -> int:
        """One new crop of each face at a time, until none has more. Returns how often the network ran."""
        going: list[tuple[Work, int]] = []
        try:
            with self._changed:
                for work in batch:
                    slot = self._slots.begin(work)
                    if slot is None:
                        self._lose([work])
                    else:
                        going.append((work, slot))
            for index in range(max((len(work.window.crops) for work, _ in going), default=0)):
                now = [(work, slot) for work, slot in going if index < len(work.window.crops)]
                crops = np.stack([work.window.crops[index] for work, _ in now])
                age = np.array([work.window.age + index for work, _ in now], np.int64)
                given = self._backend.step([slot for _, slot in now], {"crops": crops, "age": age})
                last = [i for i, (work, _) in enumerate(now) if index == len(work.window.crops) - 1]
                self._answer([now[i][0] for i in last], {name: array[last] for name, array in given.items()}, begun_s)
        finally:
            with self._changed:
                for work, slot in going:
                    self._slots.end(work, slot)
        return sum(len(work.window.crops) for work, _ in going)

    def _answer(self, works: list[Work], given: dict[str, np.ndarray], begun_s: float) -> None:
        spec = self.bundle.manifest.output
        raw = raw_scores(spec, given[spec.tensor])
        ended_s = self._clock.now_s()
        with self._changed:
            for work, raw_score in zip(works, raw, strict=True):
                seat = self._seats.get(work.stream)
                self._scored += 1
                self._latencies.append((begun_s - work.taken_s, ended_s - begun_s))
                if seat is None:
                    continue
                seat.outstanding -= 1
                seat.scored.append(
                    Scored(
                        window=work.window,
                        raw_score=float(raw_score),
                        taken_s=work.taken_s,
                        begun_s=begun_s,
                        ended_s=ended_s,
                    )
                )
            self._changed.notify_all()

    def _lose(self, works: Sequence[Work]) -> None:
        for work in works:
            seat = self._seats.get(work.stream)
            if seat is not None:
                seat.outstanding -= 1
                seat.lost.append(work.window)

    def _fail(self, batch: list[Work], error: Exception) -> None:
        failure = error if isinstance(error, EngineError) else EngineError(self._backend.name, f"failed: {error!r}")
        if failure is not error:
            failure.__cause__ = error
        logger.error("a batch of %d could not be scored: %s", len(batch), failure, exc_info=error)
        with self._changed:
            for work in batch:
                seat = self._seats.get(work.stream)
                if seat is not None:
                    seat.failure = failure


class Seat:
    """One stream's place at the engine. Used by one thread at a time; never blocks but in `wait`."""

    def __init__(self, engine: Engine, number: int, *, live: bool) -> None:
        self._engine = engine
        self.number = number
        self.live = live
        # Written by the engine, under its lock.
        self.outstanding = 0
        self.scored: list[Scored] = []
        self.lost: list[Window] = []
        self.failure: EngineError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def submit(self, windows: Sequence[Window]) -> None:
        """Hand in windows."""
        if windows:
            self._engine._submit(self, windows)

    def collect(self) -> Answers:
        """What is known since the last call. Raises EngineError if the backend failed on this stream's work."""
        return self._engine._collect(self)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until every window that was handed in is scored or lost, or the time is over."""
        self._engine._wait(self, timeout_s)

    def forget(self, face_id: int, generation: int) -> None:
        """This face generation is over: what waits of it is dropped, its state is given back."""
        self._engine._forget(self, (face_id, generation))

    def hop_s(self) -> float:
        """Media time between two scores of one face that the engine can keep up with now."""
        return self._engine._hop_s()

    def leave(self) -> None:
        """The stream is over. May be called twice."""
        self._engine._forget(self)


def percentiles(values: np.ndarray) -> Percentiles:
    p99, p50 = (float(np.percentile(values, share)) for share in (99, 50))
    return Percentiles(p99=p99, p50=p50, most=float(values.max()))
