"""Drives a session from a source on a thread of its own, and waits for the events that a test expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from streamguard.config import SessionConfig
from streamguard.events import Event
from streamguard.faces.detector import FaceDetector, FaceMesher
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources import Source
from streamguard.values import Window

from .watching import Follower

K = TypeVar("K")


class Driven(Follower):
    """Everything that a session said of a source, in order."""

    def __init__(self, source: Source, finder: tuple[FaceDetector, FaceMesher]) -> None:
        self.session = Session(SessionConfig(), detector=finder[0], mesher=finder[1], stream_id=source.url)
        self.events: list[Event] = []
        self.windows: list[Window] = []
        super().__init__(source)

    @property
    def state(self) -> str:
        return self.session.state.value

    def of(self, kind: type[K], after: int = 0) -> list[K]:
        return [event.kind for event in self.events[after:] if isinstance(event.kind, kind)]

    def wait(self, kind: type[K], fits: Callable[[K], bool] = lambda found: True, *, after: int = 0) -> K:
        """The first such event since `after` events ago from the start."""
        found: list[K] = []

        def look() -> bool:
            found[:] = [one for one in self.of(kind, after) if fits(one)][:1]
            return bool(found)

        self._wait(look, f"no {kind.__name__}")
        return found[0]

    def wait_windows(self, count: int) -> None:
        """So many windows from now on."""
        start = len(self.windows)
        self._wait(lambda: len(self.windows) >= start + count, f"fewer than {count} windows")

    def news(self) -> object:
        return self.events[-12:]

    def follow(self) -> None:
        for turn in drive(self.source, self.session):
            with self._changed:
                self.events += turn.events
                self.windows += turn.windows
                self._changed.notify_all()
            if self._stop.is_set():
                return
