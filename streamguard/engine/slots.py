"""Which of a step backend's slots holds whose state. A face generation has one, and nobody else ever writes to it.

A slot is cleared when it is given out, and when its face starts afresh (age 0). A step that does not continue exactly
what its slot has seen is stale: it gets no slot, and so cannot write.
"""

from __future__ import annotations

from dataclasses import dataclass

from .backend import Backend
from .batcher import Face, Work


@dataclass(slots=True)
class _Held:
    slot: int
    crop_epoch: int
    age: int
    working: bool = False


class Slots:
    """Not thread-safe: the engine holds the lock."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._held: dict[Face, _Held] = {}
        self._over: list[_Held] = []
        self._stale = 0

    def begin(self, work: Work) -> int | None:
        """The slot for this work, until `end`. None if it is stale; then it must not be done."""
        held = self._held.get(work.face)
        window = work.window
        if held is not None:
            assert not held.working, "a face is in one batch at a time"
        if window.age == 0:
            if held is None:
                held = self._held[work.face] = _Held(self._backend.open_slot(), window.crop_epoch, 0)
            else:
                self._backend.clear(held.slot)
                held.crop_epoch, held.age = window.crop_epoch, 0
        elif held is None or (held.crop_epoch, held.age) != (window.crop_epoch, window.age):
            self._stale += 1
            return None
        held.working = True
        return held.slot

    def end(self, work: Work, slot: int) -> None:
        """The work is done, well or not."""
        held = self._held.get(work.face)
        if held is not None and held.slot == slot:
            held.working = False
            held.age += len(work.window.crops)
            return
        for one in [one for one in self._over if one.slot == slot]:
            self._over.remove(one)
            self._backend.close_slot(slot)

    def forget(self, stream: int, face: tuple[int, int] | None = None) -> None:
        """A face generation is over, or the whole stream."""
        for key in [key for key in self._held if key[0] == stream and face in (None, key[1:])]:
            held = self._held.pop(key)
            if held.working:
                self._over.append(held)
            else:
                self._backend.close_slot(held.slot)

    def __len__(self) -> int:
        """Slots that are open."""
        return len(self._held) + len(self._over)

    @property
    def stale(self) -> int:
        """Steps that were refused because they did not continue what their slot had seen."""
        return self._stale
