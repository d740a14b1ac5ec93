"""Events of one stream on their way to one reader, who may be slow. Any thread puts, one reader gets.

When it is full scores go first: they will soon be followed by newer ones, and a verdict or the news that a stream is
down would not. Whatever goes is counted, and its place is taken by an EventsLost that names it exactly.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum, auto

from .events import Event, EventsLost, Score
from .queues import QueueStatistics


class Mailbox:
    """`on_ready` is called, on the putting thread, whenever there is something new to get.

    `reader`: somebody reads already. Else what goes meanwhile is no loss to anybody, and not counted as one until
    `begin_reading`.
    """

    def __init__(self, capacity: int, on_ready: Callable[[], None] | None = None, *, reader: bool = True) -> None:
        assert capacity >= 2
        self._capacity = capacity
        self.on_ready = on_ready
        self._waiting = _Waiting(capacity)
        self._changed = threading.Condition()
        self._closed = False
        self._reader = reader
        self._awaits_reader = True
        self._put = self._dropped = self._peak = 0

    def put(self, event: Event) -> bool:
        """Never waits: if it is full, older events go. False if it is closed, and nobody will ever get this one."""
        with self._changed:
            if self._closed:
                return False
            self._append(event)
        self._ready()
        return True

    def put_waiting(self, event: Event) -> bool:
        """Waits for room, as long as nobody closes it: for streams that can wait too, such as files."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._awaits_reader or len(self._waiting) < self._capacity
            )
            if self._closed:
                return False
            self._append(event)
        self._ready()
        return True

    def get(self, timeout_s: float | None) -> Event | None:
        """The oldest event; None if none came in time, or if it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) or self._closed, timeout_s)
            if not len(self._waiting):
                return None
            self._changed.notify_all()
            return self._waiting.take()

    def begin_reading(self) -> None:
        """From now on what goes is lost to somebody, and so is what went before."""
        with self._changed:
            self._reader = self._awaits_reader = True

    def expect_nobody(self) -> None:
        """`put_waiting` waits no longer for a reader who has not begun."""
        with self._changed:
            self._awaits_reader = self._reader
            self._changed.notify_all()

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
            return self._closed and not len(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def statistics(self) -> QueueStatistics:
        with self._changed:
            return QueueStatistics(
                capacity=self._capacity,
                waiting=len(self._waiting),
                peak_waiting=self._peak,
                put=self._put,
                dropped=self._dropped if self._reader else 0,
            )

    def _append(self, event: Event) -> None:
        self._dropped += self._waiting.add(event)
        self._put += 1
        self._peak = max(self._peak, len(self._waiting))
        self._changed.notify_all()

    def _ready(self) -> None:
        if self.on_ready is not None:
            self.on_ready()


class _Worth(IntEnum):
    """Why a place can be freed, cheapest first. A place is only freed by what merges with its neighbour."""

    SCORE_BY_LOST = auto()
    TWO_SCORES = auto()
    """It and the next one."""
    OTHER_BY_LOST = auto()
    LONE_SCORE = auto()
    """It takes a neighbour with it."""


class _Place:
    """An event among its neighbours."""

    __slots__ = ("after", "before", "event", "worth")

    def __init__(self, event: Event, before: _Place | None) -> None:
        self.event = event
        self.before = before
        self.after: _Place | None = None
        self.worth: _Worth | None = None

    def is_a(self, kind: type[Score] | type[EventsLost]) -> bool:
        return isinstance(self.event.kind, kind)


class _Waiting:
    """Events in order, at most `capacity`. Adding, taking and giving up take the same time however many wait: each
    place is kept in a queue of its kind. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._first: _Place | None = None
        self._last: _Place | None = None
        self._count = 0
        self._worth: dict[_Worth, OrderedDict[_Place, None]] = {worth: OrderedDict() for worth in _Worth}

    def __len__(self) -> int:
        return self._count

    def add(self, event: Event) -> int:
        """Returns how many events went for it."""
        place = _Place(event, self._last)
        if self._last is None:
            self._first = place
        else:
            self._last.after = place
        self._last = place
        self._count += 1
        self._settle(place)
        return self._free_one() if self._count > self._capacity else 0

    def take(self) -> Event:
        place = self._first
        assert place is not None
        self._remove(place)
        self._rate(place.after)
        return place.event

    def _free_one(self) -> int:
        """The cheapest way, and of several the one that was there first. Returns how many events went."""
        place = next((next(iter(queue)) for queue in self._worth.values() if queue), self._first)
        assert place is not None
        if place.worth in (_Worth.SCORE_BY_LOST, _Worth.OTHER_BY_LOST):
            self._lose(place)
            return 1
        other = place.before if place.worth is _Worth.LONE_SCORE and place.before else place.after
        assert other is not None
        self._lose(place)
        self._lose(other)
        return 2

    def _lose(self, place: _Place) -> None:
        place.event = replace(place.event, kind=EventsLost(first_seq=place.event.seq, last_seq=place.event.seq))
        self._settle(place)

    def _settle(self, place: _Place) -> None:
        """Among its neighbours: an EventsLost becomes one with those beside it."""
        if place.is_a(EventsLost):
            for other in (place.before, place.after):
                if other is not None and other.is_a(EventsLost):
                    early, late = (other, place) if other is place.before else (place, other)
                    place.event = _merged(early.event, late.event)
                    self._remove(other)
        self._rate(place, place.before, place.after)

    def _remove(self, place: _Place) -> None:
        if place.before is None:
            self._first = place.after
        else:
            place.before.after = place.after
        if place.after is None:
            self._last = place.before
        else:
            place.after.before = place.before
        self._count -= 1
        if place.worth is not None:
            del self._worth[place.worth][place]

    def _rate(self, *places: _Place | None) -> None:
        """Anew, because they or their neighbours changed."""
        for place in places:
            if place is not None:
                worth = _worth(place)
                if worth is not place.worth:
                    if place.worth is not None:
                        del self._worth[place.worth][place]
                    if worth is not None:
                        self._worth[worth][place] = None
                    place.worth = worth


def _worth(place: _Place) -> _Worth | None:
    if place.is_a(EventsLost):
        return None
    beside = [other for other in (place.before, place.after) if other is not None]
    by_lost = any(other.is_a(EventsLost) for other in beside)
    if not place.is_a(Score):
        return _Worth.OTHER_BY_LOST if by_lost else None
    if by_lost:
        return _Worth.SCORE_BY_LOST
    two = place.after is not None and place.after.is_a(Score)
    return _Worth.TWO_SCORES if two else _Worth.LONE_SCORE


def _merged(first: Event, second: Event) -> Event:
    assert isinstance(first.kind, EventsLost)
    assert isinstance(second.kind, EventsLost)
    return replace(second, kind=EventsLost(first_seq=first.kind.first_seq, last_seq=second.kind.last_seq))
