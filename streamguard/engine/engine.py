"""One network for all streams of a process: windows in, raw scores out, on threads of its own.

Each stream takes a Seat, hands in windows, and collects answers when it likes: nothing here ever waits for a stream,
and no stream for the backend: only the workers call it, without the lock, so one that hangs holds up nobody else.

    with Engine(bundle) as engine, engine.join(live=True) as seat:
        seat.submit(session.take_work())
        answers = seat.collect()

If a backend fails, every stream that had work in that batch is told by an EngineError: a failure is never just silence.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
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
from .arrays import check_output, graph_outputs
from .backend import Backend, MapsBackend
from .batcher import Batcher, BatcherStatistics, Work
from .maps import MapMaker, MapSeat, MapStatistics
from .open_backend import open_backend, open_maps
from .output import raw_scores
from .pace import Pace
from .slots import Held, Slots

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
    """Windows that were never scored, by cause: `replaced`, `stale`, `gone` (their face or stream), `no_state`."""
    scored: int
    effective_hop_s: float
    slots: int
    bytes_per_slot: int
    queue_s: Percentiles
    """Latency by stage, of the newest scores: how long windows waited for the network, and how long it took."""
    infer_s: Percentiles
    maps: MapStatistics | None = None
    """None: no heat maps are made."""


class Engine:
    """Safe to use from any thread, and to close twice."""

    def __init__(
        self,
        bundle: Bundle,
        config: EngineConfig | None = None,
        *,
        backend: Backend | None = None,
        maps: MapsBackend | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.bundle = bundle
        self._config = config or EngineConfig()
        self._clock = clock or MonotonicClock()
        self._backend = backend or open_backend(bundle, self._config)
        self._bytes_per_slot = self._backend.bytes_per_slot if self._backend.graph == "step" else 0
        self._output = graph_outputs(bundle.manifest, self._backend.graph)[bundle.manifest.output.tensor]
        self._maps = self._open_maps(maps)
        self._lock = threading.Lock()
        self._work_waits = threading.Condition(self._lock)
        """Only workers wait for it; each seat has a condition of its own."""
        at_once = self._backend.at_once
        self._batcher = Batcher(
            graph=self._backend.graph,
            most_batch=self._config.most_batch,
            at_once=at_once,
            stale_after_s=self._config.stale_after_s,
        )
        self._slots = Slots()
        self._pace = Pace(graph=self._backend.graph, clip=bundle.manifest.clip, at_once=at_once)
        self._last_hop_s = self._pace.usual_s
        self._pace_again_s = 0.0
        self._seats: dict[int, Seat] = {}
        self._next_seat = 0
        self._closed = False
        self._working = 0
        self._scored = 0
        self._gone = 0
        """Windows that were being worked on when their stream gave them up."""
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

    @property
    def has_maps(self) -> bool:
        """Whether seats have a place for heat maps."""
        return self._maps is not None

    @property
    def maps_in_events(self) -> bool:
        return self._maps is not None and self._config.maps == "events"

    def _open_maps(self, backend: MapsBackend | None) -> MapMaker | None:
        wanted = self._config.maps == "events" or (self._config.maps == "drawn" and self.calibration is not None)
        if self.bundle.manifest.maps is None or not wanted:
            return None
        try:
            return MapMaker(self.bundle, backend or open_maps(self.bundle, self._backend.name), clock=self._clock)
        except EngineError as exc:  # they are an aid for looking: nobody is judged less well without
            logger.error("there are no heat maps: %s", exc, exc_info=exc)
            return None

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
        with self._lock:
            if self._closed:
                raise ClosedError("engine")
            hop_s = self._pace.fitting_s(self._clock.now_s())
            if live and hop_s > max(self._config.most_hop_s, self._pace.usual_s):
                raise OverloadedError(
                    self._backend.name,
                    f"no room for another stream: each face is scored only every {hop_s:.1f} s already "
                    f"(engine.most_hop_s is {self._config.most_hop_s:g}); end other streams, or use a faster machine",
                )
            self._next_seat += 1
            maps = None if self._maps is None else self._maps.join(live=live)
            seat = Seat(self, self._next_seat, live=live, maps=maps)
            self._seats[seat.number] = seat
            return seat

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Work that is under way is finished, what waits is not. May be called twice. A backend that does not come back
        in time is left behind."""
        clock = MonotonicClock()
        until_s = clock.now_s() + timeout_s
        with self._lock:
            self._closed = True
            self._work_waits.notify_all()
            for seat in self._seats.values():
                seat.changed.notify_all()
        if self._maps is not None:
            self._maps.close(max(0.0, until_s - clock.now_s()) / 2)
        for thread in self._threads:
            thread.join(max(0.0, until_s - clock.now_s()))
        if any(thread.is_alive() for thread in self._threads):
            logger.error("%s does not come back from its work: it is left behind", self._backend.name)
        else:
            self._backend.close()

    def statistics(self) -> EngineStatistics:
        with self._lock:
            batcher = self._batcher.statistics()
            dropped = Counter(batcher.dropped) + Counter(gone=self._gone, no_state=self._slots.stale)
            latencies = np.array(self._latencies or [(0.0, 0.0)])
            hop_s = self._pace.hop_s(self._clock.now_s())
            scored, slots = self._scored, len(self._slots)
        return EngineStatistics(
            backend=self._backend.name,
            device=self._backend.device,
            graph=self._backend.graph,
            precision=self._backend.precision,
            batcher=batcher,
            dropped=dict(dropped),
            scored=scored,
            effective_hop_s=hop_s,
            slots=slots,
            bytes_per_slot=self._bytes_per_slot,
            queue_s=percentiles(latencies[:, 0]),
            infer_s=percentiles(latencies[:, 1]),
            maps=None if self._maps is None else self._maps.statistics(),
        )

    # Called by seats.

    def _submit(self, seat: Seat, windows: Sequence[Window]) -> None:
        now_s = self._clock.now_s()
        with self._lock:
            if self._closed or seat.number not in self._seats:
                raise ClosedError("engine")
            for window in windows:
                work = Work(stream=seat.number, window=window, taken_s=now_s, live=seat.live)
                seat.works[work] = None
                if seat.live:
                    self._pace.ask(work.face, now_s)
                else:
                    self._pace.ask_for_file(now_s)
                self._lose(self._batcher.add(work))
            self._work_waits.notify_all()

    def _collect(self, seat: Seat) -> Answers:
        with self._lock:
            if seat.failure is not None:  # never raised itself: its traceback would grow with each time
                raise EngineError(seat.failure.backend, seat.failure.problem) from seat.failure.__cause__
            answers = Answers(scored=seat.scored, lost=seat.lost)
            seat.scored, seat.lost = [], []
            return answers

    def _wait(self, seat: Seat, timeout_s: float | None) -> None:
        with self._lock:
            seat.changed.wait_for(
                lambda: not seat.works or seat.failure or seat.cancelled or self._closed,
                timeout_s,
            )
            if seat.cancelled:
                raise ClosedError("stream")
            if self._closed and seat.works:
                raise ClosedError("engine")

    def _cancel(self, seat: Seat) -> None:
        with self._lock:
            seat.cancelled = True
            seat.changed.notify_all()

    def _give_up(self, seat: Seat) -> list[Window]:
        with self._lock:
            windows = [
                *(work.window for work in seat.works),
                *(one.window for one in seat.scored),
                *seat.lost,
            ]
            self._drop_all(seat)
            seat.scored, seat.lost = [], []
            return windows

    def _forget(self, seat: Seat, face_id: int, generation: int) -> None:
        face = face_id, generation
        with self._lock:
            for work in self._batcher.forget(seat.number, face):
                seat.works.pop(work, None)
            self._slots.forget(seat.number, face)
            self._pace.forget(seat.number, face)
            self._work_waits.notify_all()  # a slot may have to be closed
            seat.changed.notify_all()

    def _leave(self, seat: Seat) -> None:
        with self._lock:
            self._seats.pop(seat.number, None)
            self._drop_all(seat)
            self._slots.forget(seat.number)
            self._pace.forget(seat.number)
            self._work_waits.notify_all()

    def _drop_all(self, seat: Seat) -> None:
        """What waits is not done; what is being done is ignored when it comes."""
        waited = self._batcher.forget(seat.number)
        self._gone += len(seat.works) - len(waited)
        seat.works.clear()
        seat.changed.notify_all()

    def _hop_s(self) -> float:
        """Asked by every stream at every frame, and worked out a few times a second."""
        now_s = self._clock.now_s()
        if now_s >= self._pace_again_s:
            with self._lock:
                self._pace_again_s = now_s + PACE_EVERY_S
                self._last_hop_s = self._pace.hop_s(now_s)
        return self._last_hop_s

    # The workers. What they ask of the backend is asked without the lock.

    def _work(self) -> None:
        cold = True
        while True:
            unused, batch = self._next()
            if unused:
                self._close_slots(unused)
            elif batch:
                self._work_on(batch, measured=not cold)
                cold = False
            else:
                return

    def _next(self) -> tuple[list[int], list[Work]]:
        """Waits for slots that nobody uses any more, or for work. Neither only when the engine is closed."""
        with self._lock:
            while True:
                unused = self._slots.take_unused()
                batch: list[Work] = []
                if not unused and not self._closed:
                    batch, stale = self._batcher.take(self._clock.now_s())
                    self._lose(stale)
                if unused or batch or self._closed:
                    self._working += len(batch)
                    return unused, batch
                self._work_waits.wait()

    def _close_slots(self, slots: list[int]) -> None:
        for slot in slots:
            try:
                self._backend.close_slot(slot)
            except BaseException as exc:
                logger.error("%s could not close slot %d: %r", self._backend.name, slot, exc, exc_info=exc)

    def _work_on(self, batch: list[Work], *, measured: bool) -> None:
        """`measured`: what it takes says how fast the network is. The first batch of a worker also warms it up."""
        with self._lock:
            side_by_side = self._working
        begun_s = self._clock.now_s()
        try:
            seconds, runs = (self._run if self._backend.graph == "window" else self._step)(batch, begun_s)
        except BaseException as exc:  # whatever a backend raises, this thread goes on
            self._fail(batch, exc)
            runs = 0
        with self._lock:
            self._working -= len(batch)
            self._batcher.done(batch)
            if runs and measured:
                now_s = self._clock.now_s()
                self._pace.measure(seconds, items=len(batch), runs=runs, side_by_side=side_by_side, now_s=now_s)
            self._work_waits.notify_all()  # for further work of the same faces

    def _run(self, batch: list[Work], begun_s: float) -> tuple[float, int]:
        """Returns how long the network took, and how often it ran."""
        given = self._backend.run({"crops": np.stack([work.window.crops for work in batch])})
        raw = self._raw_scores(given, len(batch))
        seconds = self._clock.now_s() - begun_s
        self._answer(batch, raw, begun_s)
        return seconds, len(batch)

    def _step(self, batch: list[Work], begun_s: float) -> tuple[float, int]:
        """One new crop of each face at a time, until none has more. Returns how long the network took, and how often
        it ran."""
        going: list[tuple[Work, Held]] = []
        try:
            with self._lock:
                for work in batch:
                    held = self._slots.begin(work) if self._is_wanted(work) else None
                    if held is None:
                        self._lose([work])
                    else:
                        going.append((work, held))
            slots = [self._slot(held) for _, held in going]
            first_s = self._clock.now_s()
            for index in range(max((len(work.window.crops) for work, _ in going), default=0)):
                now = [
                    (work, slot) for (work, _), slot in zip(going, slots, strict=True) if index < len(work.window.crops)
                ]
                crops = np.stack([work.window.crops[index] for work, _ in now])
                age = np.array([work.window.age + index for work, _ in now], np.int64)
                given = self._backend.step([slot for _, slot in now], {"crops": crops, "age": age})
                raw = self._raw_scores(given, len(now))
                last = [i for i, (work, _) in enumerate(now) if index == len(work.window.crops) - 1]
                self._answer([now[i][0] for i in last], raw[last], begun_s)
            return self._clock.now_s() - first_s, sum(len(work.window.crops) for work, _ in going)
        finally:
            with self._lock:
                for work, held in going:
                    self._slots.end(work, held)

    def _slot(self, held: Held) -> int:
        """Cleared, if its face starts afresh."""
        if held.slot is None:
            held.slot = self._backend.open_slot()
        elif held.age == 0:
            self._backend.clear(held.slot)
        return held.slot

    def _raw_scores(self, given: object, count: int) -> np.ndarray:
        spec = self.bundle.manifest.output
        return raw_scores(spec, check_output(self._backend.name, given, spec.tensor, self._output, count))

    def _answer(self, works: list[Work], raw: np.ndarray, begun_s: float) -> None:
        ended_s = self._clock.now_s()
        with self._lock:
            for work, raw_score in zip(works, raw, strict=True):
                self._latencies.append((begun_s - work.taken_s, ended_s - begun_s))
                if not self._is_wanted(work):
                    continue
                self._scored += 1
                seat = self._seats[work.stream]
                del seat.works[work]
                seat.scored.append(
                    Scored(
                        window=work.window,
                        raw_score=float(raw_score),
                        taken_s=work.taken_s,
                        begun_s=begun_s,
                        ended_s=ended_s,
                    )
                )
                seat.changed.notify_all()

    def _is_wanted(self, work: Work) -> bool:
        """False if its stream has left, or has given it up."""
        seat = self._seats.get(work.stream)
        return seat is not None and work in seat.works

    def _lose(self, works: Sequence[Work]) -> None:
        for work in works:
            if self._is_wanted(work):
                seat = self._seats[work.stream]
                del seat.works[work]
                seat.lost.append(work.window)
                seat.changed.notify_all()

    def _fail(self, batch: list[Work], error: BaseException) -> None:
        if isinstance(error, EngineError):
            failure = EngineError(error.backend, error.problem)
        else:
            failure = EngineError(self._backend.name, f"failed: {error!r}")
        failure.__cause__ = error
        logger.error("a batch of %d could not be scored: %s", len(batch), failure, exc_info=error)
        with self._lock:
            for work in batch:
                seat = self._seats.get(work.stream)
                if seat is not None:
                    seat.failure = failure
                    seat.changed.notify_all()


class Seat:
    """One stream's place at the engine. Used by one thread at a time, but for `cancel`; never blocks but in `wait`."""

    def __init__(self, engine: Engine, number: int, *, live: bool, maps: MapSeat | None = None) -> None:
        self._engine = engine
        self.number = number
        self.live = live
        self.maps = maps
        """Where it hands in clips for heat maps; None: there are none."""
        # Written by the engine, under its lock.
        self.changed = threading.Condition(engine._lock)
        self.works: dict[Work, None] = {}
        """In order: what was handed in, and is neither scored nor lost yet."""
        self.scored: list[Scored] = []
        self.lost: list[Window] = []
        self.failure: EngineError | None = None
        self.cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    @property
    def outstanding(self) -> int:
        """Windows that were handed in, and are neither scored nor lost yet."""
        return len(self.works)

    def submit(self, windows: Sequence[Window]) -> None:
        """Hand in windows."""
        if windows:
            self._engine._submit(self, windows)

    def collect(self) -> Answers:
        """What is known since the last call. Raises EngineError if the backend failed on this stream's work."""
        return self._engine._collect(self)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until every window that was handed in is scored or lost, or the time is over. ClosedError if the engine is
        closed before that, and at once, and ever after, when the wait is cancelled."""
        self._engine._wait(self, timeout_s)

    def cancel(self) -> None:
        """From any thread: nobody waits here any more."""
        self._engine._cancel(self)
        if self.maps is not None:
            self.maps.cancel()

    def give_up(self) -> list[Window]:
        """All windows of which nothing was collected. They count as lost now: answers that still come are ignored."""
        return self._engine._give_up(self)

    def forget(self, face_id: int, generation: int) -> None:
        """This face generation is over: what waits of it is dropped, its state is given back."""
        self._engine._forget(self, face_id, generation)
        if self.maps is not None:
            self.maps.forget(face_id, generation)

    def hop_s(self) -> float:
        """Media time between two scores of one face that the engine can keep up with now."""
        return self._engine._hop_s()

    def leave(self) -> None:
        """The stream is over. May be called twice."""
        self._engine._leave(self)
        if self.maps is not None:
            self.maps.leave()


def percentiles(values: np.ndarray) -> Percentiles:
    p99, p50 = (float(np.percentile(values, share)) for share in (99, 50))
    return Percentiles(p99=p99, p50=p50, most=float(values.max()))
