"""Heat maps beside the scores: whole clips of faces in, maps out, on a thread of its own. The engine opens it.

Nobody waits for a map but files, which wait for everything. Those of live streams take a tenth of one core and no more:
a stream asks whether there is room before it cuts a clip, and what waits too long all the same is dropped and counted.

Maps are an aid for looking. If their graph fails, that is logged and told, there are no more of them, and scores go on.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bundle import Bundle, MapKind, MapRange, MapsSpec
from ..clock import Clock, MonotonicClock
from ..errors import EngineError
from ..values import HeatMaps, MapClip, Mapped
from .backend import MapsBackend

logger = logging.getLogger(__name__)

LIVE_SHARE = 0.1
"""Of the time of one core, for the maps of all live streams together."""
STALE_AFTER_S = 1.0
LATENCIES_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStatistics:
    made: int
    dropped: dict[str, int]
    """Clips that were handed in for nothing, by cause: `stale`, `gone` (their face or stream), `failed`."""
    p50_s: float
    """What one took, in the middle."""
    failure: str | None
    """Why there are no more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    seat: MapSeat
    clip: MapClip
    taken_s: float

    @property
    def face(self) -> tuple[int, int]:
        return self.clip.face_id, self.clip.generation


class MapMaker:
    """Safe to use from any thread, and to close twice."""

    def __init__(self, bundle: Bundle, backend: MapsBackend, *, clock: Clock | None = None) -> None:
        assert bundle.manifest.maps is not None, "who opens it has looked"
        self._spec = bundle.manifest.maps
        self._backend = backend
        self._clock = clock or MonotonicClock()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[_Work] = deque()
        self._working: _Work | None = None
        self._rest_until_s = 0.0
        """Live streams have no more maps before that: their share is used up."""
        self._failure: str | None = None
        self._closed = False
        self._made = 0
        self._dropped: Counter[str] = Counter()
        self._took_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._thread = threading.Thread(target=self._work, name="streamguard-maps", daemon=True)
        self._thread.start()

    def join(self, *, live: bool) -> MapSeat:
        """A place for one stream."""
        return MapSeat(self, live=live)

    def close(self, timeout_s: float) -> None:
        """The clip that is being worked on is finished, what waits is not. Nobody waits any more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("%s does not come back from its maps: it is left behind", self._backend.name)
        else:
            self._backend.close()

    def statistics(self) -> MapStatistics:
        with self._lock:
            took_s = float(np.median(self._took_s)) if self._took_s else 0.0
            return MapStatistics(made=self._made, dropped=dict(self._dropped), p50_s=took_s, failure=self._failure)

    # Called by seats.

    def _has_room(self, seat: MapSeat) -> bool:
        with self._lock:
            if self._failure is not None or self._closed:
                return False
            return not seat.live or (self._clock.now_s() >= self._rest_until_s and not self._is_live_waiting())

    def _submit(self, seat: MapSeat, clips: Sequence[MapClip]) -> None:
        now_s = self._clock.now_s()
        with self._lock:
            if self._failure is not None or self._closed:
                self._dropped["failed"] += len(clips)
                return
            self._waiting.extend(_Work(seat, clip, now_s) for clip in clips)
            self._changed.notify_all()

    def _collect(self, seat: MapSeat) -> list[Mapped]:
        with self._lock:
            mapped, seat.mapped = seat.mapped, []
            return mapped

    def _wait(self, seat: MapSeat) -> None:
        with self._lock:
            self._changed.wait_for(lambda: seat.cancelled or self._closed or not self._has_work(seat))

    def _cancel(self, seat: MapSeat) -> None:
        with self._lock:
            seat.cancelled = True
            self._changed.notify_all()

    def _forget(self, seat: MapSeat, face: tuple[int, int] | None) -> None:
        with self._lock:
            seat.mapped = [one for one in seat.mapped if face not in (None, (one.clip.face_id, one.clip.generation))]
            kept = [work for work in self._waiting if work.seat is not seat or face not in (None, work.face)]
            self._dropped["gone"] += len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            working = self._working
            if working is not None and working.seat is seat and face in (None, working.face):
                self._working = None  # what comes of it is nobody's
                self._dropped["gone"] += 1
            self._changed.notify_all()

    def _has_work(self, seat: MapSeat) -> bool:
        working = self._working
        return (working is not None and working.seat is seat) or any(work.seat is seat for work in self._waiting)

    def _is_live_waiting(self) -> bool:
        working = self._working
        return (working is not None and working.seat.live) or any(work.seat.live for work in self._waiting)

    # The thread.

    def _work(self) -> None:
        while (work := self._next()) is not None:
            begun_s = self._clock.now_s()
            try:
                maps = heat_maps(self._spec, work.clip, self._backend.run(work.clip.crops))
            except BaseException as exc:  # whatever a backend raises, this thread ends well
                self._fail(exc)
                return
            newest = work.clip.crops[-1:].copy()  # what is shown beside a map: whole clips would be kept for long
            self._take(work, Mapped(clip=replace(work.clip, crops=newest), maps=maps), begun_s)

    def _next(self) -> _Work | None:
        """Waits for a clip; those of live streams come first. None when it is closed."""
        with self._lock:
            while True:
                if self._closed:
                    return None
                self._drop_stale()
                work = next((work for work in self._waiting if work.seat.live), None)
                if work is None and self._waiting:
                    work = self._waiting[0]
                if work is not None:
                    self._waiting.remove(work)
                    self._working = work
                    return work
                self._changed.wait()

    def _drop_stale(self) -> None:
        now_s = self._clock.now_s()
        kept = [work for work in self._waiting if not work.seat.live or now_s - work.taken_s <= STALE_AFTER_S]
        self._dropped["stale"] += len(self._waiting) - len(kept)
        self._waiting = deque(kept)

    def _take(self, work: _Work, mapped: Mapped, begun_s: float) -> None:
        ended_s = self._clock.now_s()
        with self._lock:
            self._took_s.append(ended_s - begun_s)
            if work.seat.live:
                self._rest_until_s = begun_s + (ended_s - begun_s) / LIVE_SHARE
            if self._working is work:
                self._working = None
                self._made += 1
                work.seat.mapped.append(mapped)
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        told = str(error) if isinstance(error, EngineError) else f"{self._backend.name}: failed: {error!r}"
        logger.error("there are no more heat maps: %s", told, exc_info=error)
        with self._lock:
            self._failure = told
            self._dropped["failed"] += len(self._waiting) + (self._working is not None)
            self._waiting.clear()
            self._working = None
            self._changed.notify_all()


class MapSeat:
    """One stream's place. Used by one thread at a time, but for `cancel`; never blocks but in `wait`."""

    def __init__(self, maker: MapMaker, *, live: bool) -> None:
        self._maker = maker
        self.live = live
        # Written under the maker's lock.
        self.mapped: list[Mapped] = []
        self.cancelled = False

    def has_room(self) -> bool:
        """Whether a clip would be worked on soon. Ask before one is cut."""
        return self._maker._has_room(self)

    def submit(self, clips: Sequence[MapClip]) -> None:
        if clips:
            self._maker._submit(self, clips)

    def collect(self) -> list[Mapped]:
        """What was made since the last call."""
        return self._maker._collect(self)

    def wait(self) -> None:
        """Until nothing of this stream's is waiting or worked on. At once if it was cancelled, or all is closed."""
        self._maker._wait(self)

    def cancel(self) -> None:
        """From any thread: nobody waits here any more."""
        self._maker._cancel(self)

    def forget(self, face_id: int, generation: int) -> None:
        """This face generation is over: no map of it is given any more."""
        self._maker._forget(self, (face_id, generation))

    def leave(self) -> None:
        """The stream is over. May be called twice."""
        self._maker._forget(self, None)

    def failure(self) -> str | None:
        """Why there are no more maps; None as long as there are."""
        return self._maker.statistics().failure


def heat_maps(spec: MapsSpec, clip: MapClip, values: dict[str, np.ndarray]) -> HeatMaps:
    """What the graph gave for a clip, as bytes; EngineError if that is no number."""
    cells = {kind: _cells(spec.ranges.get(kind), kind, values[kind]) for kind in spec.kinds}
    return HeatMaps(
        pts_start_s=clip.pts_start_s,
        pts_end_s=clip.pts_end_s,
        square_px=clip.square_px,
        width=spec.width,
        height=spec.height,
        anomaly=cells.get("anomaly"),
        motion=cells.get("motion"),
        comparable=bool(spec.ranges),
    )


def _cells(limits: MapRange | None, kind: MapKind, values: np.ndarray) -> bytes:
    """(h, w) to a byte a cell. Without limits: between the least and the most of this very map."""
    if not np.isfinite(values).all():
        raise EngineError("maps", f"the {kind} map holds what is no number")
    low, high = (float(values.min()), float(values.max())) if limits is None else (limits.low, limits.high)
    shares = (values.astype(np.float64) - low) / (high - low) if high > low else np.zeros_like(values)
    return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8).tobytes()
