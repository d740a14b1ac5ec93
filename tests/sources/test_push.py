"""Pushed frames: never blocking, never keeping the caller's memory, wrong ones refused at the call."""

from __future__ import annotations

import re
import threading
from fractions import Fraction
from typing import cast

import av
import numpy as np
import pytest

from streamguard.config import SourceConfig
from streamguard.errors import ClosedError, PictureError
from streamguard.events import EndOfStream, StreamUp
from streamguard.picture import Picture
from streamguard.sources import Item, PushSource
from streamguard.sources.pixels import ArrayFormat
from streamguard.sources.push import _Copies
from streamguard.testing import ManualClock
from streamguard.values import Frame, GapCause

from .scripted import PATIENCE_S, rgb_picture


def pushed(source: PushSource) -> list[Frame]:
    """What waits, without the news that it is up."""
    source.end()
    return [item for item in source if isinstance(item, Frame)]


def roomy() -> PushSource:
    return PushSource("call-1", SourceConfig(queue_frames=100), clock=ManualClock(500.0))


def test_array_comes_out_as_a_frame() -> None:
    source = roomy()
    rgb = rgb_picture(64, 48, 0)
    assert source.push(rgb, 1.5)
    up, frame = source.read(0.0), source.read(0.0)
    assert up == StreamUp(url="push:call-1", width=64, height=48, codec="raw")
    assert isinstance(frame, Frame)
    assert (frame.pts_s, frame.arrival_s) == (1.5, 500.0)
    assert np.abs(frame.picture.rgb().astype(int) - rgb).mean() < 2


@pytest.mark.parametrize(
    ("format", "shape"), [("rgb", (48, 64, 3)), ("bgr", (48, 64, 3)), ("i420", (72, 64)), ("nv12", (72, 64))]
)
def test_array_is_copied_before_push_returns(format: ArrayFormat, shape: tuple[int, ...]) -> None:
    source = roomy()
    array = np.full(shape, 90, np.uint8)
    source.push(array, 0.0, format=format)
    array[:] = 255
    (frame,) = pushed(source)
    assert frame.picture.y.max() < 150


def test_video_frame_is_kept_by_reference_with_its_own_time() -> None:
    source = roomy()
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.pts, frame.time_base = 180_000, Fraction(1, 90_000)
    source.push(frame)
    (out,) = pushed(source)
    assert out.pts_s == 2.0
    assert np.shares_memory(out.picture.y, np.frombuffer(memoryview(frame.planes[0]), np.uint8))


def test_given_time_counts_more_than_the_frames_own() -> None:
    source = roomy()
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.pts, frame.time_base = 180_000, Fraction(1, 90_000)
    source.push(frame, 7.0)
    assert [out.pts_s for out in pushed(source)] == [7.0]


def test_array_without_time_has_the_time_since_the_start() -> None:
    clock = ManualClock(500.0)
    source = PushSource("x", clock=clock)
    clock.advance(0.25)
    source.push(rgb_picture(64, 48, 0))
    clock.advance(0.5)
    source.push(rgb_picture(64, 48, 0))
    assert [frame.pts_s for frame in pushed(source)] == [0.25, 0.75]


def test_full_queue_drops_the_oldest_and_says_so() -> None:
    source = PushSource("x", SourceConfig(queue_frames=2))
    answers = [source.push(rgb_picture(16, 16, i), float(i)) for i in range(4)]
    assert answers == [True, True, False, False]
    assert [frame.pts_s for frame in pushed(source)] == [2.0, 3.0]
    assert source.statistics().frame_queue.dropped == 2


def test_times_that_do_not_grow_are_handled() -> None:
    source = roomy()
    for pts_s in (10.0, 10.04, 10.04, 10.02, 3.0, 3.04, 3.08, 3.12):
        source.push(rgb_picture(16, 16, 0), pts_s)
    frames = pushed(source)
    assert [round(frame.pts_s, 3) for frame in frames] == [10.0, 10.04, 10.08, 10.12]
    assert [frame.gap for frame in frames] == [None, None, GapCause.BACKWARD_JUMP, None]
    decoded = source.statistics().decoded
    assert (decoded.duplicate_frames, decoded.late_frames) == (1, 3)  # two were needed to believe the jump


def test_broken_time_survives_the_drop_of_its_frame() -> None:
    source = PushSource("x", SourceConfig(queue_frames=1))
    for pts_s in (10.0, 3.0, 3.04, 3.08, 3.12):
        source.push(rgb_picture(16, 16, 0), pts_s)
    assert [frame.gap for frame in pushed(source)] == [GapCause.BACKWARD_JUMP]


@pytest.mark.parametrize(
    "frame",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float64), "a path", None, av.VideoFrame(0, 0, "yuv420p")],
)
def test_wrong_frame_is_refused_at_the_call(frame: object) -> None:
    source = roomy()
    with pytest.raises(PictureError):
        source.push(cast(np.ndarray, frame), 0.0)
    assert source.read(0.0) is None


@pytest.mark.parametrize("pts_s", [float("nan"), float("inf"), float("-inf"), 1e300, -1e12, 10**30])
def test_time_that_is_none_is_refused_at_the_call(pts_s: float) -> None:
    source = roomy()
    with pytest.raises(PictureError, match=re.escape(f"not {pts_s}")):
        source.push(rgb_picture(16, 16, 0), pts_s)
    assert source.push(rgb_picture(16, 16, 0), 1_700_000_000.0)
    assert [frame.pts_s for frame in pushed(source)] == [1_700_000_000.0]


@pytest.mark.parametrize("pts_s", ["x", "1.5", 10**400, pytest.param(10**5000, id="5000 digits"), 1j, object()])
def test_what_is_no_time_at_all_is_refused_as_well(pts_s: object) -> None:
    with pytest.raises(PictureError, match="pts_s must be media time in seconds"):
        roomy().push(rgb_picture(16, 16, 0), cast(float, pts_s))


@pytest.mark.parametrize("pts_s", [2, np.float32(2), np.int64(2), Fraction(2)])
def test_any_real_number_is_a_time(pts_s: object) -> None:
    source = roomy()
    source.push(rgb_picture(16, 16, 0), cast(float, pts_s))
    assert [frame.pts_s for frame in pushed(source)] == [2.0]


@pytest.mark.parametrize("counter_s", [2**32 / 1e6, 2**33 / 1e6])
def test_a_given_time_is_no_counter_that_starts_over(counter_s: float) -> None:
    source = roomy()
    for pts_s in (0.5, counter_s + 0.54, 0.58, 0.62, 0.66):
        source.push(rgb_picture(16, 16, 0), pts_s)
    frames = pushed(source)
    assert [round(frame.pts_s, 3) for frame in frames] == [0.5, round(counter_s + 0.54, 3), round(counter_s + 0.58, 3)]
    assert [frame.gap for frame in frames] == [None, None, GapCause.BACKWARD_JUMP]


def test_an_array_is_copied_while_others_may_push(monkeypatch: pytest.MonkeyPatch) -> None:
    source = roomy()
    copy = _Copies.copy

    def other(copies: _Copies, array: np.ndarray) -> np.ndarray:
        assert not source._pushing.locked()
        return copy(copies, array)

    monkeypatch.setattr(_Copies, "copy", other)
    assert source.push(rgb_picture(16, 16, 0), 0.0)


@pytest.mark.parametrize("format", ["rgb", "bgr", "i420", "nv12"])
def test_memory_is_used_again_only_when_no_picture_looks_at_it(format: ArrayFormat) -> None:
    source = PushSource("x", SourceConfig(queue_frames=2))
    shape = (48, 64, 3) if format in ("rgb", "bgr") else (72, 64)
    kept = []
    for value in range(20, 60):
        source.push(np.full(shape, value, np.uint8), value / 25, format=format)
        if value % 4 == 0:  # the others push each other out
            item = source.read(0.0)
            while not isinstance(item, Frame):
                item = source.read(0.0)
            kept.append((round(item.pts_s * 25), item.picture))
    assert len(kept) == 10
    for value, picture in kept:  # the next one in the same memory would be 3 or 4 away
        assert value - 1 <= picture.y.min() <= picture.y.max() <= value + 1


def test_pictures_in_any_memory_order_and_of_changing_size_are_copied() -> None:
    source = roomy()
    for index, size in enumerate([(64, 48), (64, 48), (32, 24), (64, 48)]):
        rgb = rgb_picture(*size, index)
        source.push(rgb if index % 2 else np.asfortranarray(rgb)[::-1], index / 25)
        item = source.read(0.0)
        frame = item if isinstance(item, Frame) else source.read(0.0)
        assert isinstance(frame, Frame)
        expected = rgb if index % 2 else rgb[::-1]
        assert np.abs(frame.picture.rgb().astype(int) - expected).mean() < 2


def test_broken_time_survives_a_frame_that_cannot_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    source = roomy()
    for pts_s in (10.0, 3.0, 3.04, 3.08, 3.12, 3.16):
        source.push(rgb_picture(16, 16, 0), pts_s)
    source.read(0.0)
    source.read(0.0)

    def corrupt(array: np.ndarray, format: str) -> Picture:
        raise PictureError("as scripted")

    with monkeypatch.context() as patched:
        patched.setattr("streamguard.sources.push.picture_from_array", corrupt)
        assert source.read(0.0) is None
    assert [frame.gap for frame in pushed(source)] == [GapCause.BACKWARD_JUMP, None]
    assert source.statistics().decoded.corrupt_frames == 1


def test_end_is_the_last_item_after_what_waits() -> None:
    source = roomy()
    source.push(rgb_picture(16, 16, 0), 0.0)
    source.end()
    source.end()
    items: list[Item] = list(source)
    assert [type(item) for item in items] == [StreamUp, Frame, EndOfStream]
    assert items[-1] == EndOfStream(frames=1)
    with pytest.raises(ClosedError):
        source.read(0.0)


def test_push_after_end_or_close_is_an_error() -> None:
    for stop in (PushSource.end, PushSource.close):
        source = roomy()
        stop(source)
        with pytest.raises(ClosedError):
            source.push(rgb_picture(16, 16, 0), 0.0)


def test_close_lets_go_of_what_waits_and_wakes_the_reader() -> None:
    source = roomy()
    ended = threading.Event()

    def read_on() -> None:
        list(source)
        ended.set()

    reader = threading.Thread(target=read_on)
    reader.start()
    source.close()
    assert ended.wait(PATIENCE_S)
    reader.join()


def test_many_threads_may_push() -> None:
    source = PushSource("x", SourceConfig(queue_frames=1000))

    def push_some(start: int) -> None:
        for index in range(50):
            source.push(rgb_picture(16, 16, 0), start + index * 0.001)

    threads = [threading.Thread(target=push_some, args=(0,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [frame.pts_s for frame in pushed(source)]
    assert times == sorted(set(times))
    assert source.statistics().decoded.frames_decoded == 200
