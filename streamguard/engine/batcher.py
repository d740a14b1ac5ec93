"""Whose turn it is: windows of all streams go in, batches come out. Plain and synchronous; the engine holds the lock.

A face has at most one whole clip waiting: a newer one takes its place, so that nobody is judged by an old picture while
a new one lies there. Steps of a face all count and wait in order; a face is in one batch at a time. The next batch goes
round the streams, and within a stream to the faces that were served longest ago, so a crowd slows everybody in it
evenly and no other stream. Live work that waited too long is dropped and told; files' work never is.

Live work comes first. Files get what it leaves, and a small share at least, in batches of their own: while there are
live streams, only as many items as the device works on side by side, so that live work never waits for long.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from ..bundle import Graph
from ..queues import QueueStatistics
from ..values import Window

MOST_STEPS_WAITING = 64
"""Of one face: a bound for when nothing takes work at all, and staleness is therefore never asked about."""

FILES_SHARE = 0.1
"""Where live work leaves nothing, files still get so many runs of the network for each of its own."""
LIVE_FOR_S = 10.0
"""There are live streams if work of theirs came in so long."""

Face = tuple[int, int, int]
"""Stream, face id, generation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """A window that waits for the network."""

    stream: int
    window: Window
    taken_s: float
    """When it was handed in: wall clock."""
    live: bool
    """False: it comes from a file, and is worth as much later."""

    @property
    def face(self) -> Face:
        return self.stream, self.window.face_id, self.window.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class BatcherStatistics:
    queue: QueueStatistics
    batches: int
    dropped: dict[str, int]
    """Work that was not done, by cause: `replaced` by a newer clip of that face, `stale`, or its face `gone`."""


class Batcher:
    def __init__(
        self, *, graph: Graph, most_batch: int, at_once: int, stale_after_s: float, most_waiting: int = 4096
    ) -> None:
        """`at_once`: so many items are worked on side by side by the device."""
        self._graph = graph
        self._most_batch = most_batch
        self._at_once = at_once
        self._stale_after_s = stale_after_s
        self._most_waiting = most_waiting
        self._waiting: dict[Face, deque[Work]] = {}
        self._working: set[Face] = set()
        self._served: dict[Face, int] = {}
        self._stream_served: dict[int, int] = {}
        self._turn = 0
        self._live_s = -inf
        """When live work last came."""
        self._owed_to_files = 0.0
        """Runs of the network that files should have had by now."""
        self._count = self._peak = self._put = self._batches = 0
        self._dropped: Counter[str] = Counter()

    def add(self, work: Work) -> list[Work]:
        """Let it wait. Returns what had to go for it: its owner must be told."""
        self._put += 1
        if work.live:
            self._live_s = work.taken_s
        queue = self._waiting.setdefault(work.face, deque())
        gone: list[Work] = []
        if self._graph == "window" and work.live:
            gone = self._drop(queue, "replaced")
        elif work.live and len(queue) >= MOST_STEPS_WAITING:
            gone = self._drop(queue, "stale")
        queue.append(work)
        self._count += 1
        self._peak = max(self._peak, self._count)
        if self._count > self._most_waiting:
            gone += self._drop_oldest_face()
        return gone

    def take(self, now_s: float) -> tuple[list[Work], list[Work]]:
        """The next batch, and what was dropped because it waited too long. No two items are of one face. The batch is
        empty if nothing can be worked on now; give it back with `done`."""
        stale = self._drop_stale(now_s)
        ready = [face for face in self._waiting if face not in self._working]
        live = [face for face in ready if self._waiting[face][0].live]
        files = [face for face in ready if not self._waiting[face][0].live]
        if files and self._owed_to_files >= 1:
            batch = self._round(files, 1)
            self._owed_to_files -= self._runs(batch)
        elif live:
            batch = self._round(live, self._most_batch)
            self._owed_to_files += FILES_SHARE * self._runs(batch) if files else 0
        elif now_s - self._live_s <= LIVE_FOR_S:
            batch = self._round(files, min(self._most_batch, self._at_once - len(self._working)))
        else:
            batch = self._round(files, self._most_batch)
        self._batches += bool(batch)
        return batch, stale

    def done(self, batch: Iterable[Work]) -> None:
        """Their faces may be in a batch again."""
        self._working.difference_update(work.face for work in batch)

    def forget(self, stream: int, face: tuple[int, int] | None = None) -> list[Work]:
        """A face generation is over, or the whole stream: what waits of it is dropped, and given back."""
        gone: list[Work] = []
        for key in [key for key in self._waiting if key[0] == stream and face in (None, key[1:])]:
            gone += self._drop(self._waiting.pop(key), "gone")
        for key in [key for key in self._served if key[0] == stream and face in (None, key[1:])]:
            del self._served[key]
        if face is None:
            self._stream_served.pop(stream, None)
        return gone

    def statistics(self) -> BatcherStatistics:
        queue = QueueStatistics(
            capacity=self._most_waiting,
            waiting=self._count,
            peak_waiting=self._peak,
            put=self._put,
            dropped=self._dropped.total(),
        )
        return BatcherStatistics(queue=queue, batches=self._batches, dropped=dict(self._dropped))

    def _round(self, faces: Iterable[Face], most: int) -> list[Work]:
        """Once round the streams, and again, until there is nothing more or it is enough."""
        ready: dict[int, deque[Face]] = {}
        for face in sorted(faces, key=self._last_served):
            ready.setdefault(face[0], deque()).append(face)
        streams = deque(sorted(ready, key=lambda stream: self._stream_served.get(stream, -1)))
        batch: list[Work] = []
        while streams and len(batch) < most:
            stream = streams.popleft()
            batch.append(self._serve(ready[stream].popleft()))
            if ready[stream]:
                streams.append(stream)
        return batch

    def _runs(self, batch: list[Work]) -> int:
        return sum(len(work.window.crops) for work in batch) if self._graph == "step" else len(batch)

    def _last_served(self, face: Face) -> tuple[int, float]:
        return self._served.get(face, -1), self._waiting[face][0].taken_s

    def _serve(self, face: Face) -> Work:
        queue = self._waiting[face]
        work = queue.popleft()
        if not queue:
            del self._waiting[face]
        self._count -= 1
        self._turn += 1
        self._served[face] = self._stream_served[face[0]] = self._turn
        self._working.add(face)
        return work

    def _drop_stale(self, now_s: float) -> list[Work]:
        """A step that is dropped takes those after it along: their slot has missed it."""
        stale: list[Work] = []
        for face in list(self._waiting):
            queue = self._waiting[face]
            if queue[0].live and now_s - queue[0].taken_s > self._stale_after_s:
                stale += self._drop(queue, "stale")
                del self._waiting[face]
        return stale

    def _drop_oldest_face(self) -> list[Work]:
        live = [face for face, queue in self._waiting.items() if queue[0].live]
        if not live:
            return []
        oldest = min(live, key=lambda face: self._waiting[face][0].taken_s)
        return self._drop(self._waiting.pop(oldest), "stale")

    def _drop(self, queue: deque[Work], cause: str) -> list[Work]:
        gone = list(queue)
        queue.clear()
        self._count -= len(gone)
        if gone:
            self._dropped[cause] += len(gone)
        return gone
