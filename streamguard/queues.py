"""A queue that can be full: a bounded hand-over between two threads, which drops its oldest item and counts it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import ClosedError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    capacity: int
    waiting: int
    peak_waiting: int
    """Most items that ever waited: size the queue by this."""
    put: int
    dropped: int
    """Items pushed out by newer ones because the reader was too slow."""

    @classmethod
    def unused(cls) -> QueueStatistics:
        return cls(capacity=0, waiting=0, peak_waiting=0, put=0, dropped=0)


class DroppingQueue(Generic[T]):
    """For live data. `put_nowait` never blocks: when full, the oldest item goes and is counted.

    Items put with `control=True` (end of stream, a change of state) are never dropped: they are few, and losing
    one would be losing it in silence.
    """

    def __init__(self, capacity: int) -> None:
        assert capacity >= 1
        self._capacity = capacity
        self._items: deque[tuple[bool, T]] = deque()
        self._data_waiting = 0
        self._peak = 0
        self._put = 0
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()

    def put_nowait(self, item: T, *, control: bool = False) -> T | None:
        """Put an item; returns the one that was dropped to make room, if any."""
        with self._changed:
            if self._closed:
                raise ClosedError("queue")
            dropped = self._drop_oldest() if not control and self._data_waiting == self._capacity else None
            self._append(item, control)
            return dropped

    def put_wait(self, item: T, timeout_s: float) -> bool:
        """For files: wait until there is room. False if there was none in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._data_waiting < self._capacity, timeout_s):
                return False
            if self._closed:
                raise ClosedError("queue")
            self._append(item, False)
            return True

    def get(self, timeout_s: float | None) -> T | None:
        """The oldest item, or None if nothing came in time. Raises ClosedError once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if not self._items:
                if self._closed:
                    raise ClosedError("queue")
                return None
            control, item = self._items.popleft()
            self._data_waiting -= not control
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Nothing more can be put; what waits can still be read. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def statistics(self) -> QueueStatistics:
        with self._changed:
            return QueueStatistics(
                capacity=self._capacity,
                waiting=self._data_waiting,
                peak_waiting=self._peak,
                put=self._put,
                dropped=self._dropped,
            )

    def _append(self, item: T, control: bool) -> None:
        self._items.append((control, item))
        if not control:
            self._data_waiting += 1
            self._put += 1
            self._peak = max(self._peak, self._data_waiting)
        self._changed.notify_all()

    def _drop_oldest(self) -> T:
        index = next(i for i, (control, _) in enumerate(self._items) if not control)
        _, item = self._items[index]
        del self._items[index]
        self._data_waiting -= 1
        self._dropped += 1
        return item
