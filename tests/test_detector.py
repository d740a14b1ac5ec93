"""`StreamDetector` as programs embed it, with real faces: it never holds up its host and loses no failure."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamguard
import streamguard.detector
from streamguard import run
from streamguard.callback import Callback
from streamguard.config import DetectorConfig, SourceConfig
from streamguard.detector import StreamDetector
from streamguard.engine.engine import Engine, Seat
from streamguard.errors import ClosedError, ConfigError, CorruptMedia, EngineError, PictureError, SourceNotFound
from streamguard.events import EndOfStream, Event, EventsLost, FaceAppeared, Score, StreamDown, StreamUp
from streamguard.mailbox import Mailbox
from streamguard.session import Session
from streamguard.stream import CLOSE_S, PushStream, Stream
from streamguard.testing import EventRecorder, FakeBackend, ManualClock, fake_bundle
from streamguard.values import FaceState
from tests.clips import one_person, pictures_of, write_video
from tests.sample_events import KINDS, event_of

ALL_WAIT = DetectorConfig(source=SourceConfig(queue_frames=1000))
"""Frames are pushed as fast as they go, and none is dropped."""


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return pictures_of(one_person(), seconds=3)


@pytest.fixture(scope="module")
def clip(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "one.mp4", pictures)


def push_all(stream: PushStream, pictures: list[np.ndarray]) -> None:
    for index, picture in enumerate(pictures):
        stream.push(picture, pts_s=index / 25)
    stream.end()


def detector(backend: FakeBackend | None = None, **options: object) -> StreamDetector:
    return StreamDetector(bundle=fake_bundle(), backend=backend or FakeBackend(), **options)  # type: ignore[arg-type]


def read(events: Iterator[Event], heard: list[Event]) -> None:
    """What comes before a failure counts too."""
    for event in events:
        heard.append(event)


def test_pushed_frames_become_events(pictures: list[np.ndarray]) -> None:
    heard = EventRecorder()
    with detector(on_event=heard, config=ALL_WAIT) as watching:
        call = watching.open_stream("room-7", participant_id="alice")
        push_all(call, pictures)
        assert call.wait(60)
    assert heard.kinds()[0] is StreamUp
    assert heard.kinds()[-1] is EndOfStream
    assert [one.face_id for one in heard.of(FaceAppeared)] == [1]
    assert len(heard.of(Score)) >= 1
    assert {(event.stream_id, event.participant_id) for event in heard.events} == {("room-7", "alice")}
    assert [event.seq for event in heard.events] == list(range(1, len(heard.events) + 1))


def test_a_file_is_iterated_to_its_end(clip: Path) -> None:
    with detector() as watching:
        events = list(watching.watch(clip))
    assert isinstance(events[-1].kind, EndOfStream)
    assert len([event for event in events if isinstance(event.kind, Score)]) >= 3


def test_a_file_gives_the_same_events_each_time(clip: Path) -> None:
    def seen() -> list[tuple[object, ...]]:
        with detector() as watching:
            events = list(watching.watch(clip))
        return [
            (
                event.seq,
                event.pts_s,
                (event.kind.pts_end_s, event.kind.raw_score, event.kind.p_face)
                if isinstance(event.kind, Score)
                else event.kind,
            )
            for event in events
        ]

    assert seen() == seen()


def test_async_iteration_inside_a_running_loop(clip: Path) -> None:
    async def watch() -> tuple[list[Event], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with streamguard.open_stream_detector(bundle=fake_bundle(), backend=FakeBackend()) as watching:
            events = [event async for event in watching.watch(clip)]
        ticking.cancel()
        return events, ticks

    events, ticks = asyncio.run(watch())
    assert isinstance(events[-1].kind, EndOfStream)
    assert ticks > 100, "the loop was held up"


def test_a_stream_detector_can_be_used_directly_in_a_loop_too(clip: Path) -> None:
    async def watch() -> list[Event]:
        async with detector() as watching:
            return [event async for event in watching.watch(clip)]

    assert isinstance(asyncio.run(watch())[-1].kind, EndOfStream)


def test_leaving_an_async_loop_ends_the_stream(clip: Path) -> None:
    async def watch() -> bool:
        async with detector() as watching:
            stream = watching.watch(clip)
            events = stream.__aiter__()
            await anext(events)
            await events.aclose()  # type: ignore[attr-defined]
            return await asyncio.to_thread(stream.wait, 60)

    assert asyncio.run(watch())


def test_leaving_the_loop_ends_the_stream(clip: Path) -> None:
    with detector() as watching:
        stream = watching.watch(clip)
        for _ in stream:
            break
        assert stream.wait(60)
        assert not stream.statistics().alive
        with pytest.raises(ClosedError):
            iter(stream)


def test_a_callback_that_hangs_loses_only_its_own_events(pictures: list[np.ndarray]) -> None:
    """The stream keeps its pace: every frame is looked at while the callback is stuck on its first event."""
    gate, entered = threading.Event(), threading.Event()
    heard = EventRecorder()

    def slow(event: Event) -> None:
        entered.set()
        gate.wait(60)
        heard(event)

    config = DetectorConfig(source=SourceConfig(queue_frames=1000), events_waiting=4)
    with detector(on_event=slow, config=config) as watching:
        call = watching.open_stream("call")
        events = iter(call)
        push_all(call, pictures)
        seen = list(events)
        assert entered.is_set()
        statistics = call.statistics()
        assert statistics.session.frames == len(pictures)
        lost = statistics.callback_events.dropped
        assert lost > 0
        assert watching.statistics().callback.lost == lost
        gate.set()
    assert len(seen) > 4
    told = [kind.last_seq + 1 - kind.first_seq for kind in heard.of(EventsLost)]
    assert sum(told) == lost
    assert len(heard.events) - len(told) + lost == statistics.callback_events.put


def test_a_file_waits_for_who_reads_it(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the reader is, nothing is lost."""
    waits = threading.Event()
    put_waiting = Mailbox.put_waiting

    def put(mailbox: Mailbox, event: Event) -> bool:
        if len(mailbox) == 2:
            waits.set()
        return put_waiting(mailbox, event)

    monkeypatch.setattr(Mailbox, "put_waiting", put)
    with detector(config=DetectorConfig(events_waiting=2)) as watching:
        events = iter(watching.watch(clip))
        heard = [next(events)]
        assert waits.wait(60), "the file never waited"
        heard.extend(events)
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
    assert not [event for event in heard if isinstance(event.kind, EventsLost)]


def test_a_call_that_ends_still_gets_its_last_scores(
    pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is stuck until the stream has reached its end."""
    waits = threading.Event()
    seat_wait = Seat.wait

    def wait(seat: Seat, timeout_s: float | None = None) -> None:
        waits.set()
        seat_wait(seat, timeout_s)

    monkeypatch.setattr(Seat, "wait", wait)
    monkeypatch.setattr(run, "LAST_ANSWERS_S", 60.0)
    backend, heard = FakeBackend(), EventRecorder()
    backend.gate.clear()
    with detector(backend, on_event=heard, config=ALL_WAIT) as watching:
        call = watching.open_stream("call")
        push_all(call, pictures)
        assert waits.wait(60)
        backend.gate.set()
        assert call.wait(60)
    assert len(heard.of(Score)) >= 1
    assert heard.kinds()[-1] is EndOfStream


def test_pushing_is_not_held_up_by_an_engine_that_hangs(pictures: list[np.ndarray]) -> None:
    """Every frame is taken in while the backend is stuck: pushing waits for nobody, and closing gets through."""
    backend = FakeBackend()
    backend.gate.clear()
    with detector(backend, config=ALL_WAIT) as watching:
        call = watching.open_stream("call")
        for index, picture in enumerate(pictures):
            assert call.push(picture, pts_s=index / 25)
        assert backend.entered.wait(60)
        for index in range(200):
            call.push(pictures[index % len(pictures)], pts_s=10 + index / 25)
        assert call.statistics().source.decoded.frames_decoded == len(pictures) + 200
        call.close()
        backend.gate.set()


def test_a_full_queue_drops_its_oldest_frame_says_so_and_counts_it(pictures: list[np.ndarray]) -> None:
    with detector() as watching:
        call = watching.open_stream("call")
        pushed = [call.push(pictures[0], pts_s=index / 25) for index in range(500)]
        statistics = call.statistics().source.frame_queue
        assert pushed.count(False) == statistics.dropped > 0
        assert statistics.peak_waiting == statistics.capacity


def test_a_callback_that_raises_is_called_again_and_told_at_the_end(clip: Path) -> None:
    heard = EventRecorder()

    def bad(event: Event) -> None:
        heard(event)
        raise KeyError("my own mistake")

    watching = detector(on_event=bad)
    watching.watch(clip).wait(60)
    with pytest.raises(KeyError, match="my own mistake"):
        watching.close()
    watching.close()
    assert heard.kinds()[-1] is EndOfStream
    assert watching.statistics().callback.failed == len(heard.events) == watching.statistics().callback.called


def test_closing_from_the_callback_works(clip: Path) -> None:
    closed = threading.Event()

    def close(event: Event) -> None:
        if isinstance(event.kind, FaceAppeared):
            watching.close()
            closed.set()

    watching = detector(on_event=close)
    watching.watch(clip)
    assert closed.wait(60)
    watching.close()


@pytest.fixture
def broken_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(Session, "feed", fail)


@pytest.mark.usefixtures("broken_session")
def test_a_bug_on_a_streams_thread_is_raised_to_who_iterates(clip: Path) -> None:
    with detector() as watching:
        heard: list[Event] = []
        events = iter(watching.watch(clip))
        with pytest.raises(ZeroDivisionError, match="a bug of ours"):
            read(events, heard)
    assert isinstance(heard[-1].kind, StreamDown)


@pytest.mark.usefixtures("broken_session")
def test_and_to_who_pushes(pictures: list[np.ndarray]) -> None:
    with detector() as watching:
        call = watching.open_stream("call")
        call.push(pictures[0])
        assert call.wait(60)
        with pytest.raises(ZeroDivisionError):
            call.push(pictures[1])
        assert call.statistics().failure == "a bug of ours"


@pytest.mark.usefixtures("broken_session")
def test_and_at_the_latest_by_close(clip: Path) -> None:
    heard = EventRecorder()
    watching = detector(on_event=heard)
    watching.watch(clip).wait(60)
    with pytest.raises(ZeroDivisionError):
        watching.close()
    watching.close()
    assert [(down.code, down.retry_in_s) for down in heard.of(StreamDown)] == [("INTERNAL", None)]


@pytest.mark.usefixtures("broken_session")
def test_it_does_not_hide_the_error_that_ended_the_with_block(clip: Path) -> None:
    def use() -> None:
        with detector() as watching:
            watching.watch(clip).wait(60)
            raise ValueError("the caller's own")

    with pytest.raises(ValueError, match="the caller's own"):
        use()


def test_a_backend_that_fails_ends_the_stream_with_its_reason(clip: Path) -> None:
    backend = FakeBackend()
    backend.error = RuntimeError("device lost")
    heard: list[Event] = []
    with detector(backend) as watching:
        events = iter(watching.watch(clip))
        with pytest.raises(EngineError, match="device lost"):
            read(events, heard)
    downs = [event.kind for event in heard if isinstance(event.kind, StreamDown)]
    assert [down.code for down in downs] == ["ENGINE"]


def test_a_path_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    with detector() as watching:
        with pytest.raises(SourceNotFound):
            watching.watch(tmp_path / "none.mp4")
        assert watching.statistics().streams == {}


def test_a_broken_file_is_told_as_an_event_and_raised(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video" * 1000)
    heard: list[Event] = []
    with detector() as watching:
        events = iter(watching.watch(path))
        with pytest.raises(CorruptMedia):
            read(events, heard)
    assert [event.kind.code for event in heard if isinstance(event.kind, StreamDown)] == ["CORRUPT"]


def test_names_are_given_once_at_a_time_and_free_again_afterwards(pictures: list[np.ndarray]) -> None:
    with detector() as watching:
        call = watching.open_stream("call")
        with pytest.raises(ConfigError, match="'call' is open already"):
            watching.open_stream("call")
        call.close()
        watching.open_stream("call").close()


def test_what_is_no_picture_is_refused_where_it_is_pushed() -> None:
    with detector() as watching:
        call = watching.open_stream("call")
        with pytest.raises(PictureError):
            call.push(np.zeros((4, 4), np.float32))


def test_nothing_is_opened_after_close(clip: Path) -> None:
    watching = detector()
    call = watching.open_stream("call")
    watching.close()
    watching.close()
    with pytest.raises(ClosedError):
        watching.open_stream("x")
    with pytest.raises(ClosedError):
        watching.watch(clip)
    with pytest.raises(ClosedError):
        call.push(np.zeros((64, 64, 3), np.uint8))


def test_two_detectors_in_one_process_do_not_know_each_other(clip: Path) -> None:
    heard = EventRecorder(), EventRecorder()
    bright = FakeBackend(score=lambda crops: 1.0)
    dark = FakeBackend(score=lambda crops: 0.0)
    with detector(bright, on_event=heard[0]) as one, detector(dark, on_event=heard[1]) as two:
        for stream in (one.watch(clip), two.watch(clip)):
            assert stream.wait(60)
    assert {score.raw_score for score in heard[0].of(Score)} == {1.0}
    assert {score.raw_score for score in heard[1].of(Score)} == {0.0}


def test_statistics_tell_peaks_drops_and_latency(clip: Path) -> None:
    with detector() as watching:
        stream = watching.watch(clip)
        list(stream)
        of_stream, of_engine = stream.statistics(), watching.statistics().engine
    assert of_stream.session.windows == of_engine.scored >= 3
    assert set(of_stream.latency_s) == {"wait", "queue", "infer", "total"}
    assert of_stream.latency_s["total"].most >= of_stream.latency_s["wait"].most > 0
    assert of_engine.batcher.queue.peak_waiting >= 1
    assert (of_engine.backend, of_engine.graph, of_engine.precision) == ("fake", "window", "fp32")
    assert of_engine.dropped == {}


def test_no_thread_is_left_behind(clip: Path) -> None:
    before = set(threading.enumerate())
    with detector(on_event=lambda event: None) as watching:
        for name in ("a", "b"):
            watching.open_stream(name)
        list(watching.watch(clip))
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("streamguard")]
    assert left == []


def test_an_untrained_bundle_says_so_in_every_score(clip: Path) -> None:
    with StreamDetector(bundle="untrained") as watching:
        assert not watching.trained
        scores = [event.kind for event in watching.watch(clip) if isinstance(event.kind, Score)]
    assert len(scores) > 5
    assert {(score.state, score.reasons) for score in scores} == {
        (FaceState.UNCERTAIN, (streamguard.Reason.UNCALIBRATED,))
    }
    assert {score.p_fake for score in scores} == {None}


def program(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_program_that_forgets_to_close_still_ends(clip: Path) -> None:
    done = program(
        """
        import sys, streamguard as sg
        detector = sg.StreamDetector(on_event=lambda event: None, bundle='untrained')
        call = detector.open_stream('call')
        for event in detector.watch(sys.argv[1]): break
        print('done')
        """,
        clip,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


ENDS_AT_WORK = """
    import sys, time, streamguard as sg
    detector = sg.StreamDetector(on_event=lambda event: None, bundle='untrained')
    streams = [detector.watch(sys.argv[1], stream_id=str(index)) for index in range(3)]
    until = int(sys.argv[2])
    while streams[0].statistics().session.frames < until and streams[0].statistics().alive:
        time.sleep(0.01)
    """


@pytest.mark.parametrize("frames", [1, 3, 5, 8, 12, 20])
def test_a_program_may_end_while_its_streams_are_at_work(clip: Path, frames: int) -> None:
    """A thread that the interpreter ends inside of OpenVINO would take the process down with SIGABRT."""
    done = program(ENDS_AT_WORK, clip, frames)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.full
@pytest.mark.parametrize("frames", range(30))
def test_and_so_it_is_every_time(clip: Path, frames: int) -> None:
    done = program(ENDS_AT_WORK, clip, frames)
    assert (done.returncode, done.stderr) == (0, "")


def test_detectors_that_nobody_closed_are_closed_at_exit_and_not_kept_for_that() -> None:
    watching = detector()
    call = watching.open_stream("call")
    streamguard.detector._close_open()
    with pytest.raises(ClosedError):
        call.push(np.zeros((64, 64, 3), np.uint8))
    forgotten = weakref.ref(detector())
    gc.collect()
    assert forgotten() is None


def test_a_forked_child_is_told_to_make_its_own() -> None:
    """No thread comes along: waiting for one would be for ever."""
    done = program(
        """
        import os, sys, numpy as np, streamguard as sg
        from streamguard.testing import FakeBackend, fake_bundle
        with sg.StreamDetector(bundle=fake_bundle(), backend=FakeBackend(), on_event=lambda event: None) as detector:
            call = detector.open_stream('call')
            child = os.fork()
            if child == 0:
                frame = np.zeros((64, 64, 3), np.uint8)
                for use in (lambda: call.push(frame), call.wait, call.end, call.statistics, lambda: list(call),
                            lambda: detector.open_stream('more'), detector.statistics):
                    try:
                        use()
                        os._exit(1)
                    except sg.ClosedError as error:
                        assert 'fork' in str(error)
                call.close()
                detector.close()
                detector.__exit__(None, None, None)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert call.push(np.zeros((64, 64, 3), np.uint8))
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("broken_session")
def test_a_failure_that_is_raised_again_and_again_keeps_nothing_of_who_was_told(pictures: list[np.ndarray]) -> None:
    class Local:
        """Something in the frame of who pushes."""

    def told() -> tuple[weakref.ref[Local], int]:
        local = Local()
        try:
            call.push(pictures[0])
        except ZeroDivisionError as failure:
            depth, trace = 0, failure.__traceback__
            while trace is not None:
                depth, trace = depth + 1, trace.tb_next
            return weakref.ref(local), depth
        raise AssertionError("nobody was told")

    with detector() as watching:
        call = watching.open_stream("call")
        call.push(pictures[0])
        assert call.wait(60)
        times = [told() for _ in range(20)]
    assert len({depth for _, depth in times}) == 1
    assert sum(local() is not None for local, _ in times) <= 1


def test_closing_does_not_wait_for_a_backend_that_hangs(clip: Path) -> None:
    backend = FakeBackend()
    backend.gate.clear()
    with detector(backend) as watching:
        streams = [watching.watch(clip, stream_id=name) for name in ("a", "b", "c")]
        assert backend.entered.wait(60)
        for stream in streams:
            stream.close()
            assert not stream.statistics().alive
        backend.gate.set()


def test_closing_has_one_deadline_for_all_that_hangs(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    join, close_callback, close_engine = Stream.join, Callback.close, Engine.close

    def hang_stream(stream: Stream, timeout_s: float) -> bool:
        clock.advance(timeout_s)
        return join(stream, 60)

    def hang_callback(callback: Callback, timeout_s: float) -> None:
        clock.advance(timeout_s)
        close_callback(callback, 60)

    def hang_engine(engine: Engine, timeout_s: float) -> None:
        assert timeout_s > 0, "nothing is left to end it properly"
        clock.advance(timeout_s)
        close_engine(engine, 60)

    monkeypatch.setattr(streamguard.detector, "MonotonicClock", lambda: clock)
    monkeypatch.setattr(Stream, "join", hang_stream)
    monkeypatch.setattr(Callback, "close", hang_callback)
    monkeypatch.setattr(Engine, "close", hang_engine)
    watching = detector(on_event=lambda event: None)
    for name in ("a", "b", "c"):
        watching.watch(clip, stream_id=name)
    watching.close()
    assert clock.now_s() == pytest.approx(CLOSE_S)


def test_leaving_async_with_needs_no_place_in_the_loops_executor() -> None:
    """Calls that wait for a stream may fill it."""
    end = threading.Event()

    async def use() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        blocked = loop.run_in_executor(None, end.wait)
        async with detector() as watching:
            call = watching.open_stream("call")
            assert not await call.wait_async(0)
            call.end()
            assert await call.wait_async(60)
            await watching.open_stream("another").aclose()
        end.set()
        await blocked

    asyncio.run(asyncio.wait_for(use(), 60))


def test_who_waits_in_a_coroutine_may_be_cancelled_and_leaves_nothing(pictures: list[np.ndarray]) -> None:
    async def use() -> None:
        async with detector(on_event=lambda event: None) as watching:
            call = watching.open_stream("call")
            for _ in range(3):
                waiting = asyncio.ensure_future(call.wait_async())
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert waiting.cancelled()
            assert call._over._listeners == []
            push_all(call, pictures[:10])
            assert await call.wait_async(inf)

    asyncio.run(use())


def test_stop_iteration_from_the_callback_leaves_async_with_as_a_runtime_error() -> None:
    def bad(event: Event) -> None:
        raise StopIteration

    async def use() -> None:
        async with detector(on_event=bad) as watching:
            call = watching.open_stream("call")
            call.push(np.zeros((64, 64, 3), np.uint8))
            call.end()
            await call.wait_async()

    with pytest.raises(RuntimeError) as raised:
        asyncio.run(asyncio.wait_for(use(), 60))
    assert isinstance(raised.value.__cause__, StopIteration)


def test_a_failure_while_closing_is_raised_though_there_is_a_callback(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback takes no more events by then: it was never told."""
    entered, gate = threading.Event(), threading.Event()

    def fail(*_: object) -> None:
        entered.set()
        gate.wait(60)
        raise EngineError("fake", "device lost")

    monkeypatch.setattr(Session, "feed", fail)
    heard = EventRecorder()
    watching = detector(on_event=heard)
    stream = watching.watch(clip)
    assert entered.wait(60)
    stream.begin_close()
    gate.set()
    with pytest.raises(EngineError, match="device lost"):
        watching.close()
    watching.close()
    assert heard.of(StreamDown) == []


def test_a_failure_that_the_callback_was_told_is_not_raised_by_close_too(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video" * 1000)
    heard = EventRecorder()
    with detector(on_event=heard) as watching:
        assert watching.watch(path).wait(60)
    assert [down.code for down in heard.of(StreamDown)] == ["CORRUPT"]


def test_what_the_callback_raises_after_closing_is_raised_by_the_next_close(clip: Path) -> None:
    closed = threading.Event()

    def close(event: Event) -> None:
        if isinstance(event.kind, FaceAppeared):
            watching.close()
            closed.set()
            raise KeyError("after closing")

    watching = detector(on_event=close)
    watching.watch(clip)
    assert closed.wait(60)
    with pytest.raises(KeyError, match="after closing"):
        watching.close()
    watching.close()


def test_a_second_close_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, gate = threading.Event(), threading.Event()
    order: list[str] = []
    close_engine = Engine.close

    def slow(engine: Engine, timeout_s: float) -> None:
        entered.set()
        gate.wait(60)
        order.append("engine")
        close_engine(engine, timeout_s)

    class Closing:
        """Opens the gate once the second one stands before it."""

        def __init__(self) -> None:
            self._lock = threading.RLock()

        def acquire(self, timeout: float) -> bool:
            if entered.is_set():
                gate.set()
            return self._lock.acquire(timeout=60)

        def release(self) -> None:
            self._lock.release()

    monkeypatch.setattr(Engine, "close", slow)
    watching = detector()
    watching._closing = Closing()  # type: ignore[assignment]
    first = threading.Thread(target=watching.close)
    first.start()
    assert entered.wait(60)
    watching.close()
    assert order[:1] == ["engine"]
    gate.set()
    first.join(60)


def test_sys_exit_in_the_callback_does_not_hide_the_callers_own_error() -> None:
    def leave(event: Event) -> None:
        sys.exit(3)

    def use() -> None:
        with detector(on_event=leave) as watching:
            call = watching.open_stream("call")
            call.push(np.zeros((64, 64, 3), np.uint8))
            call.end()
            call.wait(60)
            raise ValueError("the caller's own")

    with pytest.raises(ValueError, match="the caller's own"):
        use()


@pytest.mark.usefixtures("broken_session")
def test_a_failure_that_cannot_even_be_told_still_ends_the_stream_as_it_should(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_event = Session.source_event

    def fail(session: Session, event: Any, now_s: float) -> None:
        if isinstance(event, StreamDown):
            raise KeyError("while telling")
        source_event(session, event, now_s)

    monkeypatch.setattr(Session, "source_event", fail)
    with detector() as watching:
        stream = watching.watch(clip)
        assert stream.wait(60)
        with pytest.raises(ZeroDivisionError):
            list(stream)


def test_a_file_without_a_callback_waits_from_the_start_for_who_will_read_it(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Event()
    put_waiting = Mailbox.put_waiting

    def put(mailbox: Mailbox, event: Event) -> bool:
        if len(mailbox) == 2:
            waits.set()
        return put_waiting(mailbox, event)

    monkeypatch.setattr(Mailbox, "put_waiting", put)
    with detector(config=DetectorConfig(events_waiting=2)) as watching:
        stream = watching.watch(clip)
        assert waits.wait(60), "nobody waited for the reader"
        heard = list(stream)
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
    assert not [event for event in heard if isinstance(event.kind, EventsLost)]


def test_a_file_that_nobody_reads_can_be_waited_for(clip: Path) -> None:
    with detector(config=DetectorConfig(events_waiting=2)) as watching:
        stream = watching.watch(clip)
        assert stream.wait(inf)
        assert stream.statistics().events.dropped == 0


def test_what_nobody_reads_is_no_loss_until_somebody_does(pictures: list[np.ndarray]) -> None:
    config = DetectorConfig(source=SourceConfig(queue_frames=1000), events_waiting=2)
    with detector(config=config) as watching:
        call = watching.open_stream("call")
        push_all(call, pictures)
        assert call.wait(60)
        assert call.statistics().events.dropped == 0
        lost = [event.kind for event in call if isinstance(event.kind, EventsLost)]
        assert call.statistics().events.dropped == sum(one.last_seq + 1 - one.first_seq for one in lost) > 0


@pytest.mark.usefixtures("broken_session")
def test_failures_that_nobody_met_are_counted_when_there_are_too_many(
    clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streamguard.detector, "FAILURES_KEPT", 1)
    watching = detector()
    for name in ("first", "second", "third"):
        watching.watch(clip, stream_id=name).wait(60)
    assert watching.statistics().failures_forgotten == 2
    assert "Stream('second') failed, and nobody met it" in caplog.text
    with pytest.raises(ZeroDivisionError):
        watching.close()


def test_a_stream_that_cannot_be_started_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with detector(on_event=lambda event: None) as watching:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fail)
            with pytest.raises(RuntimeError):
                watching.open_stream("call")
        assert watching._engine._seats == {}
        assert watching._callback is not None
        assert watching._callback._mailboxes == {}
        watching.open_stream("call").close()


def test_events_that_a_slow_callback_never_gets_are_logged_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    entered, gate = threading.Event(), threading.Event()

    def hang(event: Event) -> None:
        entered.set()
        gate.wait(60)

    callback, mailbox = Callback(hang), Mailbox(10)
    has_all = callback.add(mailbox)
    for seq in (1, 2, 3):
        mailbox.put(event_of(KINDS[0], seq=seq))
    assert entered.wait(60)
    with caplog.at_level(logging.ERROR):
        callback.close(0.0)
    assert "the 2 events that wait for it are dropped" in caplog.text
    assert has_all.wait(60)
    gate.set()


@pytest.fixture(autouse=True)
def unhandled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An exception that leaves any thread fails the test."""
    left: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", left.append)
    yield
    assert left == []
