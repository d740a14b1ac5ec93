"""Which of a step backend's slots holds whose state. A face generation has one, and nobody else ever writes to it.

A slot is cleared when it is given out, and when its face starts afresh (age 0). A step that does not continue exactly
what its slot has seen is stale: it gets no slot, and so cannot write.

Here it is only decided; whoever does the work opens, clears and closes, because a backend may take long or hang.
"""

from __future__ import annotations

from dataclasses import dataclass

from .batcher import Face, Work


@dataclass(slots=True, eq=False)
class Held:
    """A face generation's state in the backend."""

    crop_epoch: int
    age: int
    """So many crops were seen in this epoch; 0: it must be cleared, or opened, before anything is done."""
    slot: int | None = None
    """None: still to be opened, by whoever got it from `begin`."""
    working: bool = False
    over: bool = False
    """Its face is gone: `end` gives it up."""


class Slots:
    """Not thread-safe: the engine holds the lock."""

    def __init__(self) -> None:
        self._held: dict[Face, Held] = {}
        self._over = 0
        self._unused: list[int] = []
        self._stale = 0

    def begin(self, work: Work) -> Held | None:
        """What this work may write to, until `end`. None if it is stale; then it must not be done."""
        held = self._held.get(work.face)
        window = work.window
        assert held is None or not held.working, "a face is in one batch at a time"
        if window.age == 0:
            if held is None:
                held = self._held[work.face] = Held(window.crop_epoch, 0)
            held.crop_epoch, held.age = window.crop_epoch, 0
        elif held is None or (held.crop_epoch, held.age) != (window.crop_epoch, window.age):
            self._stale += 1
            return None
        held.working = True
        return held

    def end(self, work: Work, held: Held) -> None:
        """The work is done, well or not."""
        held.working = False
        held.age += len(work.window.crops)
        if held.over:
            self._over -= 1
            self._leave(held)
        elif held.slot is None:  # it could not be opened
            del self._held[work.face]

    def forget(self, stream: int, face: tuple[int, int] | None = None) -> None:
        """A face generation is over, or the whole stream."""
        for key in [key for key in self._held if key[0] == stream and face in (None, key[1:])]:
            held = self._held.pop(key)
            if held.working:
                held.over = True
                self._over += 1
            else:
                self._leave(held)

    def take_unused(self) -> list[int]:
        """Slots that nobody writes to any more: they must be closed."""
        unused, self._unused = self._unused, []
        return unused

    def __len__(self) -> int:
        """Slots that belong to faces, or are still written to."""
        return len(self._held) + self._over

    @property
    def stale(self) -> int:
        """Steps that were refused because they did not continue what their slot had seen."""
        return self._stale

    def _leave(self, held: Held) -> None:
        if held.slot is not None:
            self._unused.append(held.slot)
