"""A live source goes on trying, tells what happens, and is never held up by a decoder that hangs."""

from __future__ import annotations

import gc
import random
import threading

import numpy as np
import pytest

from streamguard.config import SourceConfig
from streamguard.errors import (
    ClosedError,
    CodecUnsupported,
    SourceAbandoned,
    SourceAuthFailed,
    SourceUnreachable,
)
from streamguard.events import EndOfStream, StreamDown, StreamUp
from streamguard.sources.hanging import HangingThreads
from streamguard.sources.live import LiveSource
from streamguard.sources.source import Item
from streamguard.sources.timeline import Timeline
from streamguard.testing import ManualClock
from streamguard.values import AudioChunk, Frame, GapCause

from .scripted import PATIENCE_S, ScriptedMedia, ScriptedOpener, gray_frame

URL = "rtsp://***@cam/live"
CONFIG = SourceConfig(open_timeout_s=10.0, read_timeout_s=8.0, watchdog_grace_s=5.0, queue_frames=4)
OPEN_LIMIT_S = 2 * 10.0 + 5.0
READ_LIMIT_S = 8.0 + 5.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


def live(
    opener: ScriptedOpener, clock: ManualClock, config: SourceConfig = CONFIG, process: HangingThreads | None = None
) -> LiveSource:
    return LiveSource(URL, opener, config, clock, rng=random.Random(1), process=process or HangingThreads(16))


def next_item(source: LiveSource, clock: ManualClock | None = None) -> Item:
    """The next item; with a clock, waiting for a retry is skipped over."""
    for _ in range(100):
        item = source.read(PATIENCE_S if clock is None else 0.02)
        if item is not None:
            return item
        if clock is not None:
            clock.advance(1.0)
    raise AssertionError("nothing came")


def unreachable() -> SourceUnreachable:
    return SourceUnreachable(URL, "Connection refused")


def test_up_comes_before_the_first_frame(clock: ManualClock) -> None:
    hang = threading.Event()
    with live(ScriptedOpener(ScriptedMedia([gray_frame(0.0, 1000.0), hang])), clock) as source:
        assert next_item(source) == StreamUp(url=URL, width=16, height=16, codec="scripted")
        assert isinstance(next_item(source), Frame)
        hang.set()


def test_decoder_ends_with_a_source_that_nobody_closed(clock: ManualClock) -> None:
    hang, still_read = threading.Event(), threading.Event()
    media = ScriptedMedia([gray_frame(0.0, 1000.0), hang, None, still_read])
    source = live(ScriptedOpener(media), clock)
    assert isinstance(next_item(source), StreamUp)
    del source
    gc.collect()
    hang.set()
    assert media.closed.wait(PATIENCE_S / 2)


def test_nothing_in_time_is_none(clock: ManualClock) -> None:
    hang = threading.Event()
    with live(ScriptedOpener(ScriptedMedia([hang])), clock) as source:
        assert source.read(0.01) is None
        hang.set()


def test_dead_at_the_start_is_told_and_tried_again(clock: ManualClock) -> None:
    hang = threading.Event()
    opener = ScriptedOpener(unreachable(), unreachable(), ScriptedMedia([gray_frame(0.0, 1000.0), hang]))
    with live(opener, clock) as source:
        first = next_item(source)
        second = next_item(source, clock)
        assert isinstance(first, StreamDown)
        assert isinstance(second, StreamDown)
        assert (first.code, first.attempt, second.attempt) == ("UNREACHABLE", 1, 2)
        assert first.retry_in_s is not None
        assert 0.0 <= first.retry_in_s <= 0.5
        up = next_item(source, clock)
        assert isinstance(up, StreamUp)
        assert up.outage_s is None
        assert source.statistics().failures == 2
        hang.set()


def test_it_is_not_tried_again_before_its_time(clock: ManualClock) -> None:
    opener = ScriptedOpener(unreachable(), unreachable())
    with live(opener, clock) as source:
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.retry_in_s is not None
        assert source.read(0.0) is None
        clock.advance(down.retry_in_s - 0.001)
        assert source.read(0.0) is None
        assert len(opener.openings) == 1
        clock.advance(0.002)
        assert isinstance(next_item(source), StreamDown)


def test_hang_up_is_down_then_up_with_its_outage(clock: ManualClock) -> None:
    hang = threading.Event()
    opener = ScriptedOpener(
        ScriptedMedia([gray_frame(0.0, 1000.0), gray_frame(0.04, 1000.0)]),
        ScriptedMedia([gray_frame(7.0, 1007.0), hang]),
    )
    with live(opener, clock) as source:
        kinds = [type(next_item(source)) for _ in range(3)]
        down = next_item(source)
        assert kinds == [StreamUp, Frame, Frame]
        assert isinstance(down, StreamDown)
        assert down.code == "DISCONNECTED"
        up = next_item(source, clock)
        assert isinstance(up, StreamUp)
        assert up.outage_s == pytest.approx(7.0)
        assert source.statistics().reconnects == 1
        hang.set()


def test_next_connection_goes_on_in_media_time(clock: ManualClock) -> None:
    opener = ScriptedOpener(ScriptedMedia([gray_frame(3.0, 1000.0)]), ScriptedMedia([]))
    with live(opener, clock) as source:
        for _ in range(3):
            next_item(source)
        assert isinstance(next_item(source, clock), StreamDown)
    placed = opener.timelines[1].place(12345, None, 1005.0)
    assert placed is not None
    assert (placed.pts_s, placed.gap) == (8.0, GapCause.RECONNECTED)


def test_hang_in_open_is_left_behind_and_tried_again(clock: ManualClock) -> None:
    hang, more = threading.Event(), threading.Event()
    opener = ScriptedOpener(hang, ScriptedMedia([gray_frame(0.0, 1000.0), more]))
    with live(opener, clock) as source:
        assert source.read(0.01) is None
        clock.advance(OPEN_LIMIT_S - 0.1)
        assert source.read(0.01) is None
        clock.advance(0.1)
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.code == "TIMEOUT"
        assert isinstance(next_item(source, clock), StreamUp)
        assert source.statistics().abandoned_threads == 1
        hang.set()
        more.set()


def test_hang_in_read_is_left_behind_sooner(clock: ManualClock) -> None:
    hang = threading.Event()
    with live(ScriptedOpener(ScriptedMedia([gray_frame(0.0, 1000.0), hang])), clock) as source:
        next_item(source)
        next_item(source)
        clock.advance(READ_LIMIT_S)
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.code == "TIMEOUT"
        hang.set()


def test_thread_left_behind_never_reaches_the_stream_again_and_cleans_up(clock: ManualClock) -> None:
    hang, more = threading.Event(), threading.Event()
    late = ScriptedMedia([gray_frame(0.0, 1000.0), hang, gray_frame(666.0, 1000.0)])
    opener = ScriptedOpener(late, ScriptedMedia([gray_frame(30.0, 1030.0), more]))
    with live(opener, clock) as source:
        next_item(source)
        next_item(source)
        clock.advance(READ_LIMIT_S)
        assert isinstance(next_item(source), StreamDown)
        hang.set()
        assert late.closed.wait(PATIENCE_S)
        assert isinstance(next_item(source, clock), StreamUp)
        frame = next_item(source)
        assert isinstance(frame, Frame)
        assert frame.pts_s == 30.0
        more.set()


def test_frames_that_wait_are_read_before_a_hang_is_seen(clock: ManualClock) -> None:
    hang = threading.Event()
    frames = [gray_frame(i * 0.04, 1000.0) for i in range(3)]
    ready = ScriptedMedia([*frames, None, hang])
    with live(ScriptedOpener(ready), clock) as source:
        next_item(source)
        clock.advance(READ_LIMIT_S + 100)
        assert [type(next_item(source)) for _ in range(4)] == [Frame, Frame, Frame, StreamDown]
        hang.set()


def test_second_hanging_thread_is_the_last(clock: ManualClock) -> None:
    hang = threading.Event()
    with live(ScriptedOpener(hang, hang), clock) as source:
        source.read(0.0)
        clock.advance(OPEN_LIMIT_S)
        first = next_item(source)
        clock.advance(30.0)
        source.read(0.0)
        clock.advance(OPEN_LIMIT_S)
        second = next_item(source)
        assert isinstance(first, StreamDown)
        assert isinstance(second, StreamDown)
        assert first.retry_in_s is not None
        assert (second.code, second.retry_in_s) == ("ABANDONED", None)
        for _ in range(2):
            with pytest.raises(SourceAbandoned):
                source.read(0.0)
        assert source.statistics().abandoned_threads == 2
        hang.set()


def test_thread_that_woke_up_does_not_count(clock: ManualClock) -> None:
    hangs = [threading.Event() for _ in range(4)]
    hanging = HangingThreads(16)
    with live(ScriptedOpener(*hangs), clock, process=hanging) as source:
        for hang in hangs:
            source.read(0.0)
            clock.advance(OPEN_LIMIT_S)
            down = next_item(source)
            assert isinstance(down, StreamDown)
            assert down.code == "TIMEOUT"
            hang.set()
            for thread in threading.enumerate():
                if thread.name.startswith("streamguard-decode"):
                    thread.join(PATIENCE_S)
            assert hanging.count() == 0
            clock.advance(30.0)


def test_process_has_a_cap_of_its_own(clock: ManualClock) -> None:
    hang = threading.Event()
    process = HangingThreads(1)
    with live(ScriptedOpener(hang), clock, process=process) as source:
        source.read(0.0)
        clock.advance(OPEN_LIMIT_S)
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.code == "ABANDONED"
        assert down.retry_in_s is not None
        hang.set()


def test_full_process_starts_no_more_decoders_until_one_wakes_up(clock: ManualClock) -> None:
    hang, more = threading.Event(), threading.Event()
    process = HangingThreads(1)
    opener = ScriptedOpener(ScriptedMedia([gray_frame(0.0, 1000.0), more]))
    with live(ScriptedOpener(hang), clock, process=process) as first, live(opener, clock, process=process) as second:
        first.read(0.0)
        clock.advance(OPEN_LIMIT_S)
        next_item(first)
        for attempt in (1, 2):
            down = second.read(0.0)
            assert isinstance(down, StreamDown)
            assert (down.code, down.attempt) == ("ABANDONED", attempt)
            assert down.retry_in_s is not None
            assert "this process" in down.message
            clock.advance(down.retry_in_s)
        assert opener.timelines == []
        hang.set()
        for thread in threading.enumerate():
            if thread.name.startswith("streamguard-decode"):
                thread.join(PATIENCE_S)
        assert isinstance(next_item(second, clock), StreamUp)
        more.set()


def test_hang_in_goodbye_delays_nobody_but_counts(clock: ManualClock) -> None:
    goodbye = threading.Event()
    openings = [ScriptedMedia([gray_frame(0.0, 1000.0)], goodbye=goodbye) for _ in range(2)]
    with live(ScriptedOpener(*openings), clock) as source:
        for _ in range(2):
            assert isinstance(next_item(source, clock), StreamUp)
            assert isinstance(next_item(source), Frame)
            down = next_item(source)
            assert isinstance(down, StreamDown)
            assert down.code == "DISCONNECTED"
        clock.advance(60.0)
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.code == "ABANDONED"
        goodbye.set()


def test_close_is_prompt_while_the_decoder_hangs(clock: ManualClock) -> None:
    hang = threading.Event()
    source = live(ScriptedOpener(hang), clock)
    source.read(0.0)
    source.close()
    source.close()
    with pytest.raises(ClosedError):
        source.read(PATIENCE_S)
    hang.set()


def test_close_while_a_decoder_is_being_started_stops_it(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    media = ScriptedMedia([gate, None])
    source = live(ScriptedOpener(media), clock)

    def closing(**options: bool) -> Timeline:
        closer = threading.Thread(target=source.close)
        closer.start()
        closer.join(PATIENCE_S)
        return Timeline(keeps_own_times=False)

    monkeypatch.setattr("streamguard.sources.live.Timeline", closing)
    with pytest.raises(ClosedError):
        source.read(0.0)
    gate.set()
    assert media.closed.wait(PATIENCE_S)
    decoders = [thread for thread in threading.enumerate() if thread.name.startswith("streamguard-decode")]
    for thread in decoders:
        thread.join(PATIENCE_S)
    with pytest.raises(ClosedError):
        source.read(0.0)


@pytest.mark.parametrize("opening", [threading.Event(), SourceUnreachable(URL)])
def test_close_wakes_a_reader(clock: ManualClock, opening: threading.Event | SourceUnreachable) -> None:
    source = live(ScriptedOpener(opening), clock)
    ended = threading.Event()

    def read_on() -> None:
        for _ in source:
            pass
        ended.set()

    reader = threading.Thread(target=read_on)
    reader.start()
    source.close()
    assert ended.wait(PATIENCE_S)
    reader.join()
    if isinstance(opening, threading.Event):
        opening.set()


def test_permanent_failure_is_told_then_raised(clock: ManualClock) -> None:
    with live(ScriptedOpener(CodecUnsupported(URL, "no decoder")), clock) as source:
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert (down.code, down.retry_in_s) == ("CODEC_UNSUPPORTED", None)
        for _ in range(2):
            with pytest.raises(CodecUnsupported):
                source.read(0.0)


def test_refused_password_is_tried_again_at_the_slow_end(clock: ManualClock) -> None:
    with live(ScriptedOpener(SourceAuthFailed(URL), unreachable()), clock) as source:
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.retry_in_s is not None
        assert down.retry_in_s >= 15.0


def test_healthy_minute_resets_the_attempts(clock: ManualClock) -> None:
    healthy = ScriptedMedia([gray_frame(0.0, 1000.0), gray_frame(60.0, 1060.0)])
    with live(ScriptedOpener(unreachable(), unreachable(), healthy), clock) as source:
        attempts: list[int] = []
        while len(attempts) < 3:
            item = next_item(source, clock)
            if isinstance(item, StreamDown):
                attempts.append(item.attempt)
        assert attempts == [1, 2, 1]


def test_short_lived_connections_keep_backing_off(clock: ManualClock) -> None:
    flapping = [ScriptedMedia([gray_frame(0.0, 1000.0 + i)]) for i in range(4)]
    with live(ScriptedOpener(*flapping), clock) as source:
        attempts: list[int] = []
        while len(attempts) < 4:
            item = next_item(source, clock)
            if isinstance(item, StreamDown):
                attempts.append(item.attempt)
        assert attempts == [1, 2, 3, 4]


def test_slow_reader_loses_the_oldest_frames_but_no_news(clock: ManualClock) -> None:
    frames = [gray_frame(i * 0.04, 1000.0) for i in range(10)]
    done = threading.Event()
    media = ScriptedMedia([*frames])
    media.close = done.set  # type: ignore[method-assign]
    with live(ScriptedOpener(media), clock) as source:
        source.read(0.0)  # starts the decoder
        assert done.wait(PATIENCE_S)
        items = [next_item(source) for _ in range(5)]
        times = [round(item.pts_s, 2) for item in items if isinstance(item, Frame)]
        statistics = source.statistics()
    assert times[-3:] == [0.28, 0.32, 0.36]
    assert statistics.frame_queue.dropped >= 5


def test_broken_time_survives_the_drop_of_its_frame(clock: ManualClock) -> None:
    done = threading.Event()
    gate = threading.Event()
    frames = [gray_frame(i * 0.04, 1000.0) for i in range(8)]
    broken = Frame(pts_s=0.5, picture=frames[0].picture, arrival_s=1000.0, gap=GapCause.BACKWARD_JUMP)
    after = [gray_frame(1.0 + i * 0.04, 1000.0) for i in range(6)]
    media = ScriptedMedia([frames[0], gate, broken, *after])
    media.close = done.set  # type: ignore[method-assign]
    with live(ScriptedOpener(media), clock) as source:
        next_item(source)
        next_item(source)
        gate.set()
        assert done.wait(PATIENCE_S)
        first = next_item(source)
    assert isinstance(first, Frame)
    assert first.pts_s > 1.0
    assert first.gap is GapCause.BACKWARD_JUMP


def test_sound_never_starves_the_picture(clock: ManualClock) -> None:
    sound = [AudioChunk(pts_s=i * 0.02, samples=np.zeros(320, np.int16)) for i in range(500)]
    done = threading.Event()
    gate = threading.Event()
    media = ScriptedMedia([gray_frame(0.0, 1000.0), gate, gray_frame(0.04, 1000.0), *sound])
    media.close = done.set  # type: ignore[method-assign]
    with live(ScriptedOpener(media), clock) as source:
        next_item(source)
        next_item(source)
        gate.set()
        assert done.wait(PATIENCE_S)
        assert isinstance(next_item(source), Frame)
        statistics = source.statistics()
    assert statistics.frame_queue.dropped == 0
    assert statistics.sound_queue.dropped == 400


def test_recording_behind_a_url_waits_and_ends(clock: ManualClock) -> None:
    frames = [gray_frame(i * 0.04, 1000.0) for i in range(20)]
    with live(ScriptedOpener(ScriptedMedia([*frames], paced=True, endless=False)), clock) as source:
        items = [next_item(source) for _ in range(22)]
        assert items[-1] == EndOfStream(frames=20)
        with pytest.raises(ClosedError):
            source.read(0.0)


def test_bug_in_a_decoder_thread_is_told_not_lost(clock: ManualClock) -> None:
    with live(ScriptedOpener(ScriptedMedia([ZeroDivisionError("secret")])), clock) as source:
        down = next_item(source)
        assert isinstance(down, StreamDown)
        assert down.code == "SOURCE"
        assert "secret" not in down.message


def test_statistics_add_up_over_connections(clock: ManualClock) -> None:
    opener = ScriptedOpener(*[ScriptedMedia([gray_frame(float(i), 1000.0 + i)]) for i in range(3)])
    with live(opener, clock) as source:
        for _ in range(9):
            next_item(source, clock)
        statistics = source.statistics()
    assert statistics.frame_queue.put == statistics.frames_read == 3
    assert (statistics.failures, statistics.reconnects) == (3, 2)
