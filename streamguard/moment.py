"""Something that happens once: any thread may wait for it, and whoever must not wait is told."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Moment:
    """Listeners are called on the thread that it happens on, or at once if it has happened, and must not raise."""

    def __init__(self) -> None:
        self._happened = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def happen(self) -> None:
        """May be called again."""
        with self._lock:
            self._happened.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    @property
    def has_happened(self) -> bool:
        return self._happened.is_set()

    def wait(self, timeout_s: float) -> bool:
        """False if it takes longer. Infinity is a time too."""
        return self._happened.wait(max(0.0, min(timeout_s, threading.TIMEOUT_MAX)))

    def listen(self, listener: Callable[[], None]) -> None:
        with self._lock:
            if not self._happened.is_set():
                self._listeners.append(listener)
                return
        listener()

    def forget(self, listener: Callable[[], None]) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
