"""The hand-over from one decoder thread to its stream's reader: frames, sound and news, in the order they were put.

Frames and sound each have their own bound, so that neither starves the other; news (up, failed, ended) are few and
never dropped. Each decoder has an outbox of its own: once it is closed, a decoder that wakes up late cannot reach the
stream any more.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

from ..errors import ClosedError
from ..queues import QueueStatistics

T = TypeVar("T")


class Lane(Enum):
    FRAME = "FRAME"
    SOUND = "SOUND"
    NEWS = "NEWS"


class _Count:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.waiting = 0
        self.peak_waiting = 0
        self.put = 0
        self.dropped = 0

    def add(self) -> None:
        self.waiting += 1
        self.put += 1
        self.peak_waiting = min(self.capacity, max(self.peak_waiting, self.waiting))


class Outbox(Generic[T]):
    """Bounded by lane. When a lane is full, `put_nowait` drops its oldest item and counts it; `put_wait` waits.

    `inherit(dropped, heir)` gives what the next item in the lane becomes when the one before it is dropped: a frame
    that says "time broke here" must not take that with it.
    """

    def __init__(self, *, frames: int, sounds: int, inherit: Callable[[T, T], T]) -> None:
        self._inherit = inherit
        self._items: deque[tuple[Lane, T]] = deque()
        self._counts = {Lane.FRAME: _Count(frames), Lane.SOUND: _Count(sounds)}
        self._closed = False
        self._changed = threading.Condition()

    def put_news(self, item: T) -> None:
        with self._changed:
            self._check_open()
            self._items.append((Lane.NEWS, item))
            self._changed.notify_all()

    def put_nowait(self, lane: Lane, item: T) -> bool:
        """False if the oldest item of the lane was dropped for it."""
        with self._changed:
            self._check_open()
            full = self._is_full(lane)
            self._append(lane, item)
            if full:
                self._drop_oldest(lane)
            return not full

    def put_wait(self, lane: Lane, item: T, timeout_s: float) -> bool:
        """False if there was no room in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or not self._is_full(lane), timeout_s):
                return False
            self._check_open()
            self._append(lane, item)
            return True

    def get(self, timeout_s: float) -> T | None:
        """The oldest item, or None if nothing came in time. Raises ClosedError once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            self._check_open()
            if not self._items:
                return None
            lane, item = self._items.popleft()
            if lane is not Lane.NEWS:
                self._counts[lane].waiting -= 1
                self._changed.notify_all()
            return item

    def close(self) -> None:
        """Nothing can be put or got any more; what waits is let go. May be called twice."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def statistics(self, lane: Lane) -> QueueStatistics:
        with self._changed:
            count = self._counts[lane]
            return QueueStatistics(
                capacity=count.capacity,
                waiting=count.waiting,
                peak_waiting=count.peak_waiting,
                put=count.put,
                dropped=count.dropped,
            )

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("source")

    def _is_full(self, lane: Lane) -> bool:
        count = self._counts[lane]
        return count.waiting >= count.capacity

    def _append(self, lane: Lane, item: T) -> None:
        self._items.append((lane, item))
        self._counts[lane].add()
        self._changed.notify_all()

    def _drop_oldest(self, lane: Lane) -> None:
        oldest, heir = [i for i, (there, _) in enumerate(self._items) if there is lane][:2]
        self._items[heir] = lane, self._inherit(self._items[oldest][1], self._items[heir][1])
        del self._items[oldest]
        self._counts[lane].waiting -= 1
        self._counts[lane].dropped += 1
