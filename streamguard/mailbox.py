"""Events of one stream on their way to one reader, who may be slow. Any thread puts, one reader gets.

When it is full the oldest Score goes first: it will soon be followed by a newer one, and a verdict or the news that a
stream is down would not. Whatever goes is counted, and its place is taken by an EventsLost that names it exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from .events import Event, EventsLost, Score
from .queues import QueueStatistics


class Mailbox:
    """`on_ready` is called, on the putting thread, whenever there is something new to get."""

    def __init__(self, capacity: int, on_ready: Callable[[], None] | None = None) -> None:
        assert capacity >= 2
        self._capacity = capacity
        self.on_ready = on_ready
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._closed = False
        self._put = self._dropped = self._peak = 0

    def put(self, event: Event) -> None:
        """Never waits: if it is full, an older event goes."""
        with self._changed:
            if self._closed:
                return
            self._append(event)
            while len(self._events) > self._capacity:
                self._give_up_one()
        self._ready()

    def put_waiting(self, event: Event) -> None:
        """Waits for room, as long as nobody closes it: for streams that can wait too, such as files."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._events) < self._capacity)
            if self._closed:
                return
            self._append(event)
        self._ready()

    def get(self, timeout_s: float | None) -> Event | None:
        """The oldest event; None if none came in time, or if it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closed, timeout_s)
            if not self._events:
                return None
            self._changed.notify_all()
            return self._events.pop(0)

    def close(self) -> None:
        """Nothing more comes. What is in it can still be got. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._ready()

    @property
    def over(self) -> bool:
        """Closed, and empty."""
        with self._changed:
            return self._closed and not self._events

    def __len__(self) -> int:
        return len(self._events)

    def statistics(self) -> QueueStatistics:
        with self._changed:
            return QueueStatistics(
                capacity=self._capacity,
                waiting=len(self._events),
                peak_waiting=self._peak,
                put=self._put,
                dropped=self._dropped,
            )

    def _append(self, event: Event) -> None:
        self._events.append(event)
        self._put += 1
        self._peak = max(self._peak, min(len(self._events), self._capacity))
        self._changed.notify_all()

    def _ready(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    def _give_up_one(self) -> None:
        """The oldest Score, else the oldest event of all, becomes an EventsLost; neighbouring ones become one."""
        scores = (i for i, event in enumerate(self._events) if isinstance(event.kind, Score))
        others = (i for i, event in enumerate(self._events) if not isinstance(event.kind, EventsLost))
        index = next(scores, next(others, 0))
        self._dropped += 1
        self._events[index] = _lost(self._events[index])
        for left in (index, index - 1):
            if 0 <= left < len(self._events) - 1:
                pair = self._events[left : left + 2]
                if all(isinstance(event.kind, EventsLost) for event in pair):
                    self._events[left : left + 2] = [_merged(*pair)]


def _lost(event: Event) -> Event:
    if isinstance(event.kind, EventsLost):
        return event
    return replace(event, kind=EventsLost(first_seq=event.seq, last_seq=event.seq))


def _merged(first: Event, second: Event) -> Event:
    assert isinstance(first.kind, EventsLost)
    assert isinstance(second.kind, EventsLost)
    return replace(second, kind=EventsLost(first_seq=first.kind.first_seq, last_seq=second.kind.last_seq))
