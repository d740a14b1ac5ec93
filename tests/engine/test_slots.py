"""Which slot holds whose state: refused to what does not continue it, unused when its face is gone."""

from __future__ import annotations

from streamguard.engine.batcher import Work
from streamguard.engine.slots import Held, Slots
from streamguard.values import Window
from tests.engine.windows import plain, window


class Worker:
    """What the engine's workers do with slots."""

    def __init__(self) -> None:
        self.slots = Slots()
        self.made = 0

    def begin(self, work: Work) -> Held | None:
        held = self.slots.begin(work)
        if held is not None and held.slot is None:
            held.slot = self.made
            self.made += 1
        return held

    def do(self, work: Work) -> int | None:
        held = self.begin(work)
        if held is None:
            return None
        self.slots.end(work, held)
        return held.slot


def step(generation: int = 1, *, epoch: int = 1, age: int = 0, count: int = 1, stream: int = 1) -> Work:
    shown: Window = window(0, generation, epoch=epoch, age=age, crops=plain(9, count))
    return Work(stream=stream, window=shown, taken_s=0.0, live=True)


def test_steps_that_follow_each_other_get_the_same_slot() -> None:
    worker = Worker()
    assert worker.do(step(age=0, count=3)) == worker.do(step(age=3)) == worker.do(step(age=4, count=2)) == 0
    assert worker.slots.stale == 0


def test_a_step_that_was_missed_gives_no_slot_until_the_face_starts_afresh() -> None:
    worker = Worker()
    worker.do(step(age=0))
    assert worker.do(step(age=2)) is None
    assert worker.do(step(age=3)) is None
    assert worker.do(step(epoch=2, age=0)) == 0
    assert worker.do(step(epoch=1, age=1)) is None, "of the epoch before"
    assert worker.do(step(epoch=2, age=1)) == 0
    assert worker.slots.stale == 3


def test_a_face_that_starts_afresh_keeps_its_slot_and_has_seen_nothing() -> None:
    worker = Worker()
    worker.do(step(age=0))
    held = worker.begin(step(epoch=2, age=0))
    assert held is not None
    assert (held.slot, held.age) == (0, 0), "which says that it must be cleared"


def test_generations_and_streams_never_share_a_slot() -> None:
    worker = Worker()
    given = [worker.do(step(generation, stream=stream)) for generation in (1, 2) for stream in (1, 2)]
    assert sorted(slot for slot in given if slot is not None) == [0, 1, 2, 3]


def test_a_generation_that_is_over_cannot_write_any_more() -> None:
    worker = Worker()
    worker.do(step(generation=1, age=0))
    worker.slots.forget(1, (0, 1))
    assert worker.slots.take_unused() == [0]
    assert worker.slots.take_unused() == []
    assert worker.do(step(generation=2, age=0)) == 1
    assert worker.do(step(generation=1, age=1)) is None
    assert len(worker.slots) == 1


def test_a_slot_at_work_is_unused_only_afterwards() -> None:
    worker = Worker()
    work = step(age=0)
    held = worker.begin(work)
    assert held is not None
    worker.slots.forget(1)
    assert worker.begin(step(generation=2)) is not held
    assert worker.slots.take_unused() == [], "something still writes to it"
    assert len(worker.slots) == 2
    worker.slots.end(work, held)
    assert worker.slots.take_unused() == [held.slot]
    assert len(worker.slots) == 1


def test_a_slot_that_could_not_be_opened_is_none() -> None:
    slots = Slots()
    for over in (False, True):
        work = step(age=0)
        held = slots.begin(work)
        assert held is not None
        if over:
            slots.forget(1)
        slots.end(work, held)
        assert slots.begin(step(age=1)) is None, "there is nothing that it could continue"
        assert slots.take_unused() == []
        assert len(slots) == 0
