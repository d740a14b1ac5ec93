"""One network for all streams: every window is answered or told as lost, a failure is never silence, nothing waits."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from streamguard.config import EngineConfig
from streamguard.engine.backend import Arrays
from streamguard.engine.engine import Engine
from streamguard.errors import ClosedError, EngineError, OverloadedError
from streamguard.testing import FakeBackend, ManualClock, fake_bundle
from streamguard.values import Window
from tests.engine.windows import plain, window


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    with Engine(fake_bundle(), EngineConfig(most_batch=4), backend=backend, clock=ManualClock()) as engine:
        yield engine
        backend.gate.set()


def faces(count: int, brightness: int = 100) -> list[Window]:
    return [window(face_id, crops=plain(brightness)) for face_id in range(count)]


def test_each_window_gets_its_own_score(engine: Engine) -> None:
    seat = engine.join(live=False)
    windows = [window(face_id, crops=plain(20 * face_id)) for face_id in range(12)]
    seat.submit(windows)
    seat.wait()
    answers = seat.collect()
    assert answers.lost == []
    assert {id(one.window): one.raw_score for one in answers.scored} == {
        id(window): pytest.approx(20 * face_id / 255) for face_id, window in enumerate(windows)
    }
    assert seat.collect().scored == []


def test_streams_get_their_own_answers_only(engine: Engine) -> None:
    one, two = engine.join(live=False), engine.join(live=False)
    one.submit(faces(3, 50))
    two.submit(faces(3, 200))
    one.wait()
    two.wait()
    assert {round(each.raw_score * 255) for each in one.collect().scored} == {50}
    assert {round(each.raw_score * 255) for each in two.collect().scored} == {200}


def test_handing_in_never_waits_though_the_backend_hangs(engine: Engine, backend: FakeBackend) -> None:
    backend.gate.clear()
    seat = engine.join(live=True)
    for i in range(50):
        seat.submit([window(face_id, end_s=float(i)) for face_id in range(10)])
    before = seat.collect()
    assert before.scored == []
    assert engine.statistics().batcher.queue.waiting <= 10
    backend.gate.set()
    seat.wait()
    after = seat.collect()
    assert len(after.scored) + len(before.lost) + len(after.lost) == 500
    assert seat.outstanding == 0


def test_every_window_is_answered_or_told_as_lost(engine: Engine, backend: FakeBackend) -> None:
    backend.gate.clear()
    seat = engine.join(live=True)
    windows = [window(face_id, end_s=float(i)) for i in range(20) for face_id in range(7)]
    for one in windows:
        seat.submit([one])
    backend.gate.set()
    seat.wait()
    answers = seat.collect()
    told = [*(one.window for one in answers.scored), *answers.lost]
    assert sorted(map(id, told)) == sorted(map(id, windows))
    assert engine.statistics().dropped == {"replaced": len(answers.lost)}
    assert engine.statistics().scored == len(answers.scored)


def test_a_backend_that_fails_is_told_to_the_streams_it_failed(engine: Engine, backend: FakeBackend) -> None:
    seat, other = engine.join(live=False), engine.join(live=False)
    backend.error = RuntimeError("out of memory")
    seat.submit(faces(1))
    seat.wait()
    with pytest.raises(EngineError, match=r"fake: failed.*out of memory") as raised:
        seat.collect()
    assert raised.value.__cause__ is backend.error
    backend.error = None
    other.submit(faces(2))
    other.wait()
    assert len(other.collect().scored) == 2, "the engine goes on"


def test_what_waits_of_a_face_that_is_gone_is_not_scored(engine: Engine, backend: FakeBackend) -> None:
    backend.gate.clear()
    seat = engine.join(live=False)
    seat.submit(faces(12))
    assert backend.entered.wait(60)
    for face_id in range(12):
        seat.forget(face_id, 1)
    backend.gate.set()
    seat.wait()
    assert len(seat.collect().scored) <= 8, "two batches of four were under way"
    assert engine.statistics().dropped["gone"] >= 4


def test_a_stream_that_left_is_forgotten(engine: Engine, backend: FakeBackend) -> None:
    with engine.join(live=False) as seat:
        seat.submit(faces(2))
        seat.wait()
    with pytest.raises(ClosedError):
        seat.submit(faces(1))
    seat.leave()


def test_steps_keep_a_state_for_each_face() -> None:
    backend = FakeBackend("step")
    with Engine(fake_bundle(graph="step"), EngineConfig(), backend=backend, clock=ManualClock()) as engine:
        seat = engine.join(live=False)
        for age in range(6):
            seat.submit([window(face, age=age, crops=plain(40 * face + 10 * age, 1)) for face in range(3)])
            seat.wait()
        last = {one.window.face_id: one.raw_score for one in seat.collect().scored if one.window.age == 5}
        assert last == {face: pytest.approx((40 * face + 25) / 255) for face in range(3)}
        assert engine.statistics().slots == 3
        seat.forget(0, 1)
        assert engine.statistics().slots == 2
        seat.leave()
        assert engine.statistics().slots == 0


def test_crops_of_one_step_are_shown_one_after_the_other() -> None:
    with Engine(fake_bundle(graph="step"), backend=FakeBackend("step"), clock=ManualClock()) as engine:
        seat = engine.join(live=False)
        seat.submit([window(0, crops=plain(100, 24)), window(1, crops=plain(200, 1))])
        seat.wait()
        assert {one.window.face_id: round(one.raw_score * 255) for one in seat.collect().scored} == {0: 100, 1: 200}


def test_a_stale_step_is_told_as_lost_and_changes_nothing() -> None:
    with Engine(fake_bundle(graph="step"), backend=FakeBackend("step"), clock=ManualClock()) as engine:
        seat = engine.join(live=False)
        steps = [
            window(age=0, crops=plain(100, 1)),
            window(age=5, crops=plain(250, 1)),
            window(age=1, crops=plain(100, 1)),
        ]
        for step in steps:
            seat.submit([step])
            seat.wait()
        answers = seat.collect()
        assert answers.lost == [steps[1]]
        assert [round(one.raw_score * 255) for one in answers.scored] == [100, 100]
        assert engine.statistics().dropped == {"no_state": 1}


def test_closing_twice_ends_threads_and_backend(backend: FakeBackend) -> None:
    engine = Engine(fake_bundle(), backend=backend)
    engine.close()
    engine.close()
    assert backend.closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("streamguard-engine")]
    with pytest.raises(ClosedError):
        engine.join(live=True)


def test_a_stream_that_waits_is_let_go_when_the_engine_closes(backend: FakeBackend) -> None:
    engine = Engine(fake_bundle(), EngineConfig(in_flight=1, most_batch=1), backend=backend)
    seat = engine.join(live=False)
    backend.gate.clear()
    seat.submit(faces(5))
    assert backend.entered.wait(60)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            seat.wait()
        except ClosedError as exc:
            raised.append(exc)

    waiting = threading.Thread(target=wait)
    closing = threading.Thread(target=engine.close)
    waiting.start()
    closing.start()
    waiting.join(60)
    backend.gate.set()
    closing.join(60)
    assert len(raised) == 1


def test_no_further_stream_is_taken_when_faces_are_scored_too_rarely() -> None:
    clock, backend = ManualClock(), FakeBackend()
    with Engine(fake_bundle(), EngineConfig(most_hop_s=2.0), backend=backend, clock=clock) as engine:
        seat = engine.join(live=True)
        engine._pace.measure(0.5, items=1, runs=1, side_by_side=1, now_s=0.0)
        backend.gate.clear()
        seat.submit(faces(6))
        with pytest.raises(OverloadedError, match=r"each face is scored only every 3\.\d s.*most_hop_s"):
            engine.join(live=True)
        engine.join(live=False)  # a file takes as long as it takes
        seat.leave()
        engine.join(live=True)
        backend.gate.set()


class StuckSlots(FakeBackend):
    """Hangs when it is to open, clear or close a slot, while the gate for it is not set."""

    def __init__(self, stuck: str) -> None:
        super().__init__("step")
        self.stuck = stuck
        self.slot_gate = threading.Event()
        self.reached = threading.Event()

    def _pass(self, what: str) -> None:
        if what == self.stuck:
            self.reached.set()
            self.slot_gate.wait()

    def open_slot(self) -> int:
        self._pass("open_slot")
        return super().open_slot()

    def clear(self, slot: int) -> None:
        self._pass("clear")
        super().clear(slot)

    def close_slot(self, slot: int) -> None:
        self._pass("close_slot")
        super().close_slot(slot)


def in_time(what: Callable[[], object]) -> None:
    """It comes back, though the backend hangs."""
    done = threading.Event()

    def run() -> None:
        what()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    assert done.wait(60), "it hangs"


@pytest.mark.parametrize("stuck", ["open_slot", "clear", "close_slot"])
def test_a_backend_that_hangs_over_a_slot_holds_up_nobody(stuck: str) -> None:
    backend = StuckSlots(stuck)
    engine = Engine(fake_bundle(graph="step"), EngineConfig(in_flight=1), backend=backend, clock=ManualClock())
    seat = engine.join(live=True)
    if stuck != "open_slot":
        seat.submit([window(0, crops=plain(100, 1))])
        seat.wait(60)
    if stuck == "close_slot":
        in_time(lambda: seat.forget(0, 1))
    else:
        seat.submit([window(0, epoch=2, crops=plain(100, 1))])
    assert backend.reached.wait(60)
    in_time(engine.statistics)
    in_time(lambda: engine.join(live=True))
    in_time(lambda: seat.submit([window(1, crops=plain(50, 1))]))
    in_time(seat.collect)
    in_time(seat.hop_s)
    in_time(lambda: seat.forget(0, 1))
    in_time(lambda: engine.close(0.0))
    assert not backend.closed, "it is still in there"
    backend.slot_gate.set()
    engine.close(60)
    assert backend.closed
    assert stuck == "close_slot" or engine.statistics().slots == 0, "what was forgotten meanwhile is given back"


def test_a_wait_is_cancelled_from_another_thread_and_ever_after(engine: Engine, backend: FakeBackend) -> None:
    backend.gate.clear()
    seat, other = engine.join(live=False), engine.join(live=False)
    seat.submit(faces(1))
    other.submit(faces(1))
    assert backend.entered.wait(60)
    raised: list[ClosedError] = []

    def wait() -> None:
        try:
            seat.wait(None)
        except ClosedError as exc:
            raised.append(exc)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    seat.cancel()
    waiting.join(60)
    assert [str(each) for each in raised] == ["stream is closed"]
    with pytest.raises(ClosedError, match="stream"):
        seat.wait(None)
    backend.gate.set()
    other.wait(60)
    assert len(other.collect().scored) == 1


def test_closing_has_one_deadline_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()

    class Hanging:
        def join(self, timeout_s: float) -> None:
            clock.advance(timeout_s)

        def is_alive(self) -> bool:
            return True

    engine = Engine(fake_bundle(), EngineConfig(in_flight=1), backend=FakeBackend())
    threads, engine._threads = engine._threads, [Hanging()] * 8  # type: ignore[list-item]
    monkeypatch.setattr("streamguard.engine.engine.MonotonicClock", lambda: clock)
    engine.close(3.0)
    assert clock.now_s() == 3.0
    engine._threads = threads
    engine.close()


class Panic(BaseException):
    """No Exception."""


def test_whatever_a_backend_raises_its_worker_goes_on() -> None:
    backend = FakeBackend()
    with Engine(fake_bundle(), EngineConfig(in_flight=1), backend=backend, clock=ManualClock()) as engine:
        seat, other = engine.join(live=False), engine.join(live=False)
        backend.error = Panic("lost")  # type: ignore[assignment]
        seat.submit(faces(1))
        seat.wait(60)
        with pytest.raises(EngineError, match=r"failed.*Panic"):
            seat.collect()
        backend.error = None
        other.submit(faces(1))
        other.wait(60)
        assert len(other.collect().scored) == 1


def test_each_failure_is_an_error_of_its_own_and_does_not_grow() -> None:
    backend = FakeBackend()
    backend.gate.clear()
    with Engine(fake_bundle(), EngineConfig(in_flight=1), backend=backend, clock=ManualClock()) as engine:
        first, *seats = [engine.join(live=False) for _ in range(3)]
        first.submit(faces(1))
        assert backend.entered.wait(60)
        for seat in seats:
            seat.submit(faces(1))
        backend.error = EngineError("fake", "out of memory")
        backend.gate.set()
        errors = []
        for seat in seats:
            seat.wait(60)
            for _ in range(3):
                with pytest.raises(EngineError, match="out of memory") as raised:
                    seat.collect()
                assert raised.value.__cause__ is backend.error
                errors.append(raised.value)
    assert len(set(map(id, errors))) == 6
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in errors}) == 1


def test_what_a_seat_gives_up_is_lost_and_answers_that_come_later_are_ignored(
    engine: Engine, backend: FakeBackend
) -> None:
    backend.gate.clear()
    seat = engine.join(live=True)
    windows = faces(12)
    seat.submit(windows)
    assert backend.entered.wait(60)
    assert sorted(map(id, seat.give_up())) == sorted(map(id, windows))
    assert seat.outstanding == 0
    assert seat.give_up() == []
    backend.gate.set()
    seat.submit([window(50)])
    seat.wait(60)
    answers = seat.collect()
    assert [one.window.face_id for one in answers.scored] == [50]
    assert answers.lost == []
    statistics = engine.statistics()
    assert statistics.scored == 1
    assert statistics.dropped == {"gone": 12}


class Wrong(FakeBackend):
    def __init__(self, given: object) -> None:
        super().__init__()
        self.given = given

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return self.given  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "it must give 'score', (N, 1) float32 with N = 1, and gave NoneType"),
        ({}, "it must give 'score', (N, 1) float32 with N = 1, and gave nothing"),
        ({"other": np.zeros((1, 1), np.float32)}, "'score', (N, 1) float32 with N = 1, and gave other"),
        ({"score": np.zeros((2, 1), np.float32)}, "'score' is (2, 1) float32, and must be (N, 1) float32 with N = 1"),
        ({"score": np.zeros(1, np.float32)}, "'score' is (1,) float32, and must be"),
        ({"score": np.zeros((1, 2))}, "'score' is (1, 2) float64, and must be"),
        ({"score": np.full((1, 1), 0.5 + 1j)}, "'score' is (1, 1) complex128, and must be"),
        ({"score": np.array([["x"]])}, "'score' is (1, 1) <U1, and must be"),
        ({"score": [[0.5]]}, "'score' is list, and must be"),
    ],
)
def test_what_a_backend_gives_wrongly_is_named(given: object, told: str) -> None:
    with Engine(fake_bundle(), backend=Wrong(given), clock=ManualClock()) as engine:
        seat = engine.join(live=False)
        seat.submit(faces(1))
        seat.wait(60)
        with pytest.raises(EngineError, match=re.escape(told)):
            seat.collect()


def test_the_first_inference_which_warms_the_network_up_causes_no_overload() -> None:
    clock, took_s = ManualClock(), iter((2.0, 0.01, 0.01))
    network = FakeBackend(score=lambda crops: clock.advance(next(took_s)) * 0)
    with Engine(fake_bundle(), EngineConfig(in_flight=1), backend=network, clock=clock) as engine:
        seat = engine.join(live=True)
        for _ in range(3):
            seat.submit([window(0)])
            seat.wait(60)
            assert engine.statistics().effective_hop_s == 0.64


def test_an_answer_wakes_its_own_stream_only(engine: Engine) -> None:
    """Hundreds of files wait at once: they must not all wake for each other's answers."""
    seats = [engine.join(live=False) for _ in range(3)]
    assert len({id(seat.changed) for seat in seats}) == 3
    assert engine._work_waits not in [seat.changed for seat in seats]
