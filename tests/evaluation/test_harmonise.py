"""Footage is brought to one face size and rate by its own times; holes stay holes."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.evaluation.harmonise import (
    CRF,
    FACE_PX,
    AtRate,
    FileFacts,
    Style,
    harmonised,
    recoded,
    scaled,
    style_of,
)
from streamguard.events import EndOfStream, StreamUp
from streamguard.picture import Picture
from streamguard.testing import ScriptedSource
from streamguard.values import Frame, GapCause


def picture(brightness: int = 100, width: int = 64, height: int = 48) -> Picture:
    half = np.full((height // 2, width // 2), 128, np.uint8)
    y = np.full((height, width), brightness, np.uint8)
    return Picture(y=y, u=half, v=half, matrix="bt601", full_range=True)


def at_rate(times_s: list[float], fps: float, *, gaps: dict[int, GapCause] | None = None) -> list[tuple[float, int]]:
    """(time, number of the frame that is shown then)."""
    frames = [
        Frame(pts_s=pts_s, picture=picture(i), arrival_s=0.0, gap=(gaps or {}).get(i))
        for i, pts_s in enumerate(times_s)
    ]
    source = ScriptedSource([*frames, EndOfStream(frames=len(frames))])
    items = list(AtRate(source, fps))
    assert isinstance(items[-1], EndOfStream)
    return [(round(item.pts_s, 6), int(item.picture.y[0, 0])) for item in items if isinstance(item, Frame)]


def test_frames_at_the_rate_pass_as_they_are() -> None:
    found = at_rate([1.0 + i / 25 for i in range(50)], 25.0)
    assert found == [(round(1.0 + i / 25, 6), i) for i in range(50)]


def test_times_that_were_rounded_in_a_file_lose_and_repeat_nothing() -> None:
    """Matroska knows milliseconds."""
    found = at_rate([round(i / 29.97, 3) for i in range(60)], 29.97)
    assert [number for _, number in found] == list(range(60))


def test_more_frames_are_dropped_and_fewer_repeated_by_time() -> None:
    fast = at_rate([i / 50 for i in range(50)], 25.0)
    assert fast == [(round(i / 25, 6), 2 * i) for i in range(25)]
    slow = at_rate([i / 12.5 for i in range(10)], 25.0)
    assert [number for _, number in slow] == [i // 2 for i in range(19)]
    thirty = at_rate([i / 30 for i in range(31)], 25.0)
    for pts_s, number in thirty:
        assert number / 30 <= pts_s + 0.25 / 25 + 1e-6, "no frame is shown before its time"
        assert pts_s - number / 30 < 1 / 30 + 0.01


def test_hole_stays_a_hole_and_the_grid_begins_anew_behind_it() -> None:
    found = at_rate([0.0, 0.04, 2.01, 2.05], 25.0, gaps={2: GapCause.LONG_GAP})
    assert found == [(0.0, 0), (0.04, 1), (2.01, 2), (2.05, 3)]


def test_break_is_told_once() -> None:
    frames = [
        Frame(pts_s=pts_s, picture=picture(), arrival_s=0.0, gap=gap)
        for pts_s, gap in ((0.0, None), (0.1, GapCause.BACKWARD_JUMP), (0.2, None))
    ]
    items = list(AtRate(ScriptedSource([*frames, EndOfStream(frames=3)]), 25.0))
    gaps = [(round(item.pts_s, 3), item.gap) for item in items if isinstance(item, Frame) and item.gap]
    assert gaps == [(0.1, GapCause.BACKWARD_JUMP)]


def test_scaled_to_even_sides() -> None:
    found = scaled(picture(90, 64, 48), 0.7)
    assert (found.width, found.height) == (44, 34)
    assert (found.y == 90).all()
    assert scaled(picture(), 0.001).width == 2


def facts(**fields: object) -> FileFacts:
    usual: dict[str, object] = {
        "face_px": 60.0, "width": 64, "height": 48, "fps": 30.0, "codec": "h264", "bits_a_pixel": 0.2
    }  # fmt: skip
    return FileFacts(**{**usual, **fields})  # type: ignore[arg-type]  # fields of many types


def test_harmonised_has_the_face_at_its_size_and_the_rate() -> None:
    frames = [Frame(pts_s=i / 30, picture=picture(), arrival_s=0.0) for i in range(60)]
    up = StreamUp(url="x", width=64, height=48, codec="mpeg4")
    items = list(harmonised(ScriptedSource([up, *frames, EndOfStream(frames=60)]), facts()))
    found = [item for item in items if isinstance(item, Frame)]
    factor = FACE_PX / 60
    assert {(one.picture.width, one.picture.height) for one in found} == {(64 * factor, 48 * factor)}
    assert np.diff([one.pts_s for one in found]) == pytest.approx(1 / 25)
    assert isinstance(items[0], StreamUp)
    assert items[0].codec == "h264"
    assert CRF == 25


def test_style_of_a_class_is_its_middle() -> None:
    files = [
        facts(width=100, height=200, fps=25.0),
        facts(width=300, height=200, fps=30.0, bits_a_pixel=0.1),
        facts(width=400, height=300, fps=30.0, codec="hevc", bits_a_pixel=0.5),
    ]
    assert style_of(files) == Style(short_px=200, fps=30.0, encoder="libx264", bits_a_pixel=0.2)
    assert style_of([facts(codec="hevc")]).encoder == "libx265"


def test_recoded_has_the_other_class_size_rate_and_codec() -> None:
    frames = [Frame(pts_s=i / 30, picture=picture(), arrival_s=0.0) for i in range(30)]
    up = StreamUp(url="x", width=64, height=48, codec="mpeg4")
    style = Style(short_px=96, fps=15.0, encoder="libx265", bits_a_pixel=0.2)
    items = list(recoded(ScriptedSource([up, *frames, EndOfStream(frames=30)]), facts(), style))
    found = [item for item in items if isinstance(item, Frame)]
    assert {(one.picture.width, one.picture.height) for one in found} == {(128, 96)}
    assert np.diff([one.pts_s for one in found]) == pytest.approx(1 / 15)
    assert isinstance(items[0], StreamUp)
    assert items[0].codec == "hevc"
