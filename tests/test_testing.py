"""The public fakes do what they promise: other tests lean on them."""

from __future__ import annotations

import itertools

import pytest

from streamguard.errors import ClosedError
from streamguard.events import EndOfStream, Event, StreamUp
from streamguard.faces.mesh import face_box, five_points
from streamguard.testing import (
    BACKGROUND,
    EventRecorder,
    ManualClock,
    PaintedFaces,
    ScriptedSource,
    painted,
)
from streamguard.values import Box, Detection, StreamState

FACE = (60.0, 80.0)
HERE = Box(100, 50, 160, 130)


def test_a_manual_clock_moves_when_told() -> None:
    clock = ManualClock(5.0)
    assert clock.advance(1.5) == clock.now_s() == 6.5


UP = StreamUp(url="scripted:", width=1, height=1, codec="c")
END = EndOfStream(frames=0)


def test_a_scripted_source_plays_items_silence_and_failure() -> None:
    clock = ManualClock()
    source = ScriptedSource([UP, 1.5, ValueError("as scripted"), END], clock)
    assert source.read(1.0) is UP
    assert source.read(1.0) is None
    assert clock.now_s() == 1.0
    assert source.read(1.0) is None
    assert clock.now_s() == 1.5
    with pytest.raises(ValueError, match="as scripted"):
        source.read(1.0)
    assert source.read(1.0) is END


def test_a_scripted_source_is_over_after_its_end_or_close() -> None:
    ended, closed = ScriptedSource([END, UP]), ScriptedSource([UP])
    ended.read(0.0)
    closed.close()
    for source in (ended, closed):
        for _ in range(2):
            with pytest.raises(ClosedError):
                source.read(0.0)


def test_a_script_without_an_end_says_so() -> None:
    source = ScriptedSource([UP])
    source.read(0.0)
    with pytest.raises(ClosedError, match="did not say EndOfStream"):
        source.read(0.0)


def test_iterating_a_script_passes_over_silence() -> None:
    clock = ManualClock()
    with ScriptedSource([UP, 2.5, END], clock) as source:
        assert list(itertools.islice(source, 2)) == [UP, END]
    assert clock.now_s() == 2.5
    assert list(ScriptedSource([UP])) == [UP]


def test_painted_people_stand_where_they_are_put_and_later_ones_in_front() -> None:
    picture = painted(200, 150, {64: HERE, 128: Box(130, 60, 190, 140), 200: Box(-90, 0, -20, 60)})
    assert picture.y[60, 105] == 64
    assert picture.y[100, 150] == 128
    assert picture.y[5, 5] == BACKGROUND
    assert not (picture.y == 200).any()


def test_painted_faces_are_found_measured_and_followed() -> None:
    finder = PaintedFaces(FACE)
    detections = finder.detect(painted(320, 180, {64: HERE}))
    assert [detection.box_px for detection in detections] == [HERE]
    mesh = finder.measure(painted(320, 180, {64: HERE}), detections[0])
    assert face_box(mesh) == pytest.approx(HERE, abs=0.01)
    moved = HERE.moved(12, 5)
    again = finder.follow(painted(320, 180, {64: moved}), mesh, (0.0, 0.0))
    assert face_box(again) == pytest.approx(moved, abs=0.01)
    left, right, nose, mouth_left, mouth_right = five_points(mesh)
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < mouth_left[1]
    assert mouth_left[0] < mouth_right[0]


def test_a_painted_face_looks_like_itself_and_like_nobody_else() -> None:
    finder = PaintedFaces(FACE)
    chips = [
        finder.measure(painted(320, 180, {who: box}), Detection(box_px=box, score=1, eyes_px=((0, 0), (1, 0)))).chip
        for who, box in [(64, HERE), (64, HERE.moved(40, 20)), (128, HERE)]
    ]
    assert (chips[0] == chips[1]).all()
    assert (chips[0] != chips[2]).mean() > 0.5


def test_presence_is_the_share_that_can_be_seen() -> None:
    finder = PaintedFaces(FACE)
    half_hidden = painted(320, 180, {64: HERE, 128: Box(100, 50, 130, 130)})
    mesh = finder.measure(half_hidden, Detection(box_px=HERE, score=1, eyes_px=((0, 0), (1, 0))))
    assert mesh.presence == pytest.approx(0.5)


def test_following_takes_whoever_is_there() -> None:
    """As the real mesh network does: it is the tracker that must notice."""
    finder = PaintedFaces(FACE)
    mesh = finder.measure(painted(320, 180, {64: HERE}), Detection(box_px=HERE, score=1, eyes_px=((0, 0), (1, 0))))
    other = finder.follow(painted(320, 180, {128: HERE.moved(6, 0)}), mesh, (0.0, 0.0))
    assert other.presence == 1.0
    assert (other.chip != mesh.chip).any()


def test_a_recorder_finds_events_by_kind() -> None:
    heard = EventRecorder()
    up = StreamUp(url="x", width=1, height=1, codec="c")
    heard(Event(stream_id="s", epoch="e", seq=1, pts_s=0.0, stream_state=StreamState.LIVE, kind=up))
    assert heard.of(StreamUp) == [up]
    assert heard.of(EndOfStream) == []
    assert heard.kinds() == [StreamUp]
