"""The simplest driver: one source through one session, on the caller's thread. Used by the command line.

The session's deadlines are kept here, so that a source which has gone silent still makes events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .clock import Clock, MonotonicClock
from .events import EndOfStream, Event
from .session import Session
from .sources.source import Item, Source
from .values import AudioChunk, Frame, Window

LONGEST_WAIT_S = 1.0
"""Control comes back to the caller at least this often, frame or no frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one reading of the source brought."""

    item: Item | None
    """None: nothing came in time."""
    events: list[Event]
    windows: list[Window]


def drive(source: Source, session: Session, clock: Clock | None = None) -> Iterator[Turn]:
    """Read until the source says that it is over. A source that fails for good raises its typed error here."""
    clock = clock or MonotonicClock()
    item: Item | None = None
    while not isinstance(item, EndOfStream):
        item = source.read(_wait_s(session, clock.now_s()))
        now_s = clock.now_s()
        if isinstance(item, Frame):
            session.feed(item, now_s)
        elif item is not None and not isinstance(item, AudioChunk):
            session.source_event(item, now_s)
        session.tick(now_s)  # sound alone is no sign of life
        yield Turn(item=item, events=session.events(), windows=session.take_work())


def _wait_s(session: Session, now_s: float) -> float:
    deadline_s = session.next_deadline_s()
    if deadline_s is None:
        return LONGEST_WAIT_S
    return min(LONGEST_WAIT_S, max(0.0, deadline_s - now_s))
