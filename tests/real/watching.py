"""Reads a source on a thread of its own, and waits for what a test expects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from streamguard.errors import ClosedError, SourceError
from streamguard.events import StreamDown, StreamUp
from streamguard.sources import Item, Source
from streamguard.values import Frame

T = TypeVar("T", bound=Item)

DEADLINE_S = 45.0
"""No expected item takes longer, on a machine that is busy with other tests."""


class Watched:
    """All that a source said, in order. `after` is how many items to leave out, from the start."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.items: list[Item] = []
        self.error: SourceError | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="watched")
        self._thread.start()

    def __enter__(self) -> Watched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.source.close()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "read does not return after close"

    @property
    def frames(self) -> list[Frame]:
        return [item for item in list(self.items) if isinstance(item, Frame)]

    @property
    def downs(self) -> list[StreamDown]:
        return [item for item in list(self.items) if isinstance(item, StreamDown)]

    def wait(self, kind: type[T], fits: Callable[[T], bool] = lambda item: True, *, after: int = 0) -> T:
        """The first such item, waiting for it if need be."""
        found: list[T] = []

        def look() -> bool:
            found[:] = [item for item in self.items[after:] if isinstance(item, kind) and fits(item)][:1]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, DEADLINE_S), f"no {kind.__name__} among {self.news()}"
        return found[0]

    def wait_frames(self, count: int) -> None:
        """So many frames from now on."""
        start = len(self.items)

        def enough() -> bool:
            return sum(isinstance(item, Frame) for item in self.items[start:]) >= count

        with self._changed:
            assert self._changed.wait_for(enough, DEADLINE_S), f"fewer than {count} frames, and {self.news()}"

    def news(self) -> list[Item | SourceError | None]:
        return [*(item for item in list(self.items) if isinstance(item, StreamUp | StreamDown)), self.error]

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                item = self.source.read(0.2)
            except ClosedError:
                return
            except SourceError as error:
                self.error = error
                return
            if item is not None:
                with self._changed:
                    self.items.append(item)
                    self._changed.notify_all()


def pace(frames: list[Frame]) -> float:
    """Media seconds per second on the wall, over these frames."""
    return (frames[-1].pts_s - frames[0].pts_s) / (frames[-1].arrival_s - frames[0].arrival_s)


def now_s() -> float:
    return time.monotonic()
