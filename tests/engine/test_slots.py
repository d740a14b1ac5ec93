"""Which slot holds whose state: cleared when given out, refused to what does not continue it, closed when idle."""

from __future__ import annotations

from streamguard.engine.batcher import Work
from streamguard.engine.slots import Slots
from streamguard.testing import FakeBackend
from streamguard.values import Window
from tests.engine.windows import plain, window


class Watched(FakeBackend):
    """Remembers what was done to slots."""

    def __init__(self) -> None:
        super().__init__("step")
        self.done: list[tuple[str, int]] = []

    def open_slot(self) -> int:
        slot = super().open_slot()
        self.done.append(("open", slot))
        return slot

    def clear(self, slot: int) -> None:
        super().clear(slot)
        self.done.append(("clear", slot))

    def close_slot(self, slot: int) -> None:
        super().close_slot(slot)
        self.done.append(("close", slot))


def step(generation: int = 1, *, epoch: int = 1, age: int = 0, count: int = 1, stream: int = 1) -> Work:
    shown: Window = window(0, generation, epoch=epoch, age=age, crops=plain(9, count))
    return Work(stream=stream, window=shown, taken_s=0.0, live=True)


def do(slots: Slots, work: Work) -> int | None:
    slot = slots.begin(work)
    if slot is not None:
        slots.end(work, slot)
    return slot


def test_steps_that_follow_each_other_get_the_same_slot() -> None:
    slots = Slots(Watched())
    assert do(slots, step(age=0, count=3)) == do(slots, step(age=3)) == do(slots, step(age=4, count=2)) == 0
    assert slots.stale == 0


def test_a_step_that_was_missed_gives_no_slot_until_the_face_starts_afresh() -> None:
    slots = Slots(Watched())
    do(slots, step(age=0))
    assert do(slots, step(age=2)) is None
    assert do(slots, step(age=3)) is None
    assert do(slots, step(epoch=2, age=0)) == 0
    assert do(slots, step(epoch=1, age=1)) is None, "of the epoch before"
    assert do(slots, step(epoch=2, age=1)) == 0
    assert slots.stale == 3


def test_a_face_that_starts_afresh_gets_its_slot_cleared() -> None:
    backend = Watched()
    slots = Slots(backend)
    do(slots, step(age=0))
    do(slots, step(epoch=2, age=0))
    assert backend.done == [("open", 0), ("clear", 0)]


def test_generations_and_streams_never_share_a_slot() -> None:
    slots = Slots(Watched())
    given = [do(slots, step(generation, stream=stream)) for generation in (1, 2) for stream in (1, 2)]
    assert sorted(slot for slot in given if slot is not None) == [0, 1, 2, 3]


def test_a_generation_that_is_over_cannot_write_any_more() -> None:
    slots = Slots(Watched())
    do(slots, step(generation=1, age=0))
    slots.forget(1, (0, 1))
    assert do(slots, step(generation=2, age=0)) == 0, "the slot is given to the next one"
    assert do(slots, step(generation=1, age=1)) is None
    assert len(slots) == 1


def test_a_slot_at_work_is_closed_only_afterwards() -> None:
    backend = Watched()
    slots = Slots(backend)
    work = step(age=0)
    slot = slots.begin(work)
    assert slot is not None
    slots.forget(1)
    other = slots.begin(step(generation=2))
    assert other != slot, "it is not given out while something still writes to it"
    assert ("close", slot) not in backend.done
    slots.end(work, slot)
    assert ("close", slot) in backend.done
    assert len(slots) == 1
