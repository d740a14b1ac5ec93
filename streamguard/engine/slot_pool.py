"""Numbered slots that are used again: what all step backends share. Any thread may call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ..errors import ClosedError, EngineError

T = TypeVar("T")


class SlotPool(Generic[T]):
    """Holds one T for each slot. A closed slot keeps its T, for the next who opens one."""

    def __init__(self, backend: str, make: Callable[[], T]) -> None:
        self._backend = backend
        self._make = make
        self._made: list[T] = []
        self._free: list[int] = []
        self._open: set[int] = set()
        self._shut = False
        self._lock = threading.Lock()

    @property
    def made(self) -> int:
        """So many exist, open or not."""
        return len(self._made)

    def open(self) -> int:
        """Its T is as the last user left it."""
        with self._lock:
            self._need_alive()
            if not self._free:
                self._made.append(self._make())
                self._free.append(len(self._made) - 1)
            slot = self._free.pop()
            self._open.add(slot)
            return slot

    def of(self, slots: Sequence[int]) -> list[T]:
        """What open slots hold; EngineError if one is not open, or named twice."""
        with self._lock:
            self._need_alive()
            for slot in slots:
                if slot not in self._open:
                    raise EngineError(self._backend, f"slot {slot} is not open")
            if len(set(slots)) < len(slots):
                raise EngineError(self._backend, f"slots {list(slots)} are not all different")
            return [self._made[slot] for slot in slots]

    def close(self, slot: int) -> None:
        with self._lock:
            if self._shut:
                return
            if slot not in self._open:
                raise EngineError(self._backend, f"slot {slot} is not open")
            self._open.remove(slot)
            self._free.append(slot)

    def shut(self) -> None:
        """Let go of everything. May be called twice."""
        with self._lock:
            self._shut = True
            self._made.clear()

    def _need_alive(self) -> None:
        if self._shut:
            raise ClosedError(f"{self._backend} backend")
