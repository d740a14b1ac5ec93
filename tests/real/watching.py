"""Reads a source on a thread of its own, and waits for what a test expects."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from streamguard.errors import ClosedError
from streamguard.events import StreamDown, StreamUp
from streamguard.sources import Item, Source
from streamguard.values import Frame

T = TypeVar("T", bound=Item)

DEADLINE_S = 45.0
"""No expected item takes longer, on a machine that is busy with other tests."""


class Follower(ABC):
    """A source and the thread that uses it. Who waits for what it brings is told at once if it failed or ended."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.failed: BaseException | None = None
        self._over = False
        self._told = False
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.source.close()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), f"{self._thread.name} does not end after close"
        if error is None and self.failed is not None and not self._told:
            raise self.failed

    @abstractmethod
    def follow(self) -> None:
        """Use the source until it is over, or `_stop` is set. Runs on the thread."""

    @abstractmethod
    def news(self) -> object:
        """What to tell of a wait that came to nothing."""

    def _wait(self, look: Callable[[], bool], otherwise: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: look() or self._over, DEADLINE_S)
            if look():
                return
            if self.failed is not None:
                self._told = True
                raise self.failed
            raise AssertionError(f"{otherwise}: {self.news()}")

    def _run(self) -> None:
        try:
            self.follow()
        except ClosedError:
            pass
        except BaseException as error:  # told to whoever waits, and by __exit__
            self.failed = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()


class Watched(Follower):
    """All that a source said, in order. `after` is how many items to leave out, from the start."""

    def __init__(self, source: Source) -> None:
        self.items: list[Item] = []
        super().__init__(source)

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

        self._wait(look, f"no {kind.__name__}")
        return found[0]

    def wait_frames(self, count: int) -> None:
        """So many frames from now on."""
        start = len(self.items)

        def enough() -> bool:
            return sum(isinstance(item, Frame) for item in self.items[start:]) >= count

        self._wait(enough, f"fewer than {count} frames")

    def news(self) -> object:
        return [item for item in list(self.items) if isinstance(item, StreamUp | StreamDown)]

    def follow(self) -> None:
        while not self._stop.is_set():
            item = self.source.read(0.2)
            if item is not None:
                with self._changed:
                    self.items.append(item)
                    self._changed.notify_all()


def pace(frames: list[Frame]) -> float:
    """Media seconds per second on the wall, over these frames."""
    return (frames[-1].pts_s - frames[0].pts_s) / (frames[-1].arrival_s - frames[0].arrival_s)
