"""How many decoder threads hang, for one stream and for the process. They cannot be killed, only counted and capped."""

from __future__ import annotations

import threading
from typing import Protocol


class Thread(Protocol):
    def is_alive(self) -> bool: ...


class HangingThreads:
    """Threads that were left behind. One that wakes up, ends, and counts no more."""

    def __init__(self, most: int, within: HangingThreads | None = None) -> None:
        self._most = most
        self._within = within
        self._threads: list[Thread] = []
        self._lock = threading.Lock()

    def add(self, thread: Thread) -> None:
        with self._lock:
            self._threads.append(thread)
        if self._within is not None:
            self._within.add(thread)

    def count(self) -> int:
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            return len(self._threads)

    def is_full(self) -> bool:
        return self.count() >= self._most or (self._within is not None and self._within.is_full())


OF_THIS_PROCESS = HangingThreads(16)
