"""Frames through an encoder and back: every one, at its own time, a little worse."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.evaluation.coding import Coded, Coding
from streamguard.events import EndOfStream, StreamUp
from streamguard.picture import Picture
from streamguard.testing import ScriptedSource
from streamguard.values import Frame, GapCause


def moving(i: int, width: int = 161, height: int = 121) -> Picture:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    rgb[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    rgb[20:50, 10 + 3 * i : 40 + 3 * i] = 250
    return Picture.from_rgb(rgb)


def frames(count: int, **fields: int) -> list[Frame]:
    """At uneven times."""
    return [
        Frame(pts_s=7.0 + i / 29.97 + 0.004 * (i % 3), picture=moving(i, **fields), arrival_s=float(i))
        for i in range(count)
    ]


def through(given: list[Frame], coding: Coding) -> tuple[list[Frame], list[object]]:
    up, end = StreamUp(url="x", width=161, height=121, codec="vp9"), EndOfStream(frames=len(given))
    items = list(Coded(ScriptedSource([up, *given, end]), coding))
    return [item for item in items if isinstance(item, Frame)], list(items)


@pytest.mark.parametrize(
    "coding", [Coding(crf=28), Coding(bits_a_pixel=0.2, fps=30), Coding(encoder="libx265", crf=28)], ids=str
)
def test_every_frame_comes_back_at_its_time_and_nearly_as_it_was(coding: Coding) -> None:
    given = frames(20)
    found, items = through(given, coding)
    assert [one.pts_s for one in found] == [one.pts_s for one in given]
    assert [one.arrival_s for one in found] == [one.arrival_s for one in given]
    for one, before in zip(found, given, strict=True):
        assert (one.picture.width, one.picture.height) == (160, 120), "an odd column and row are left out"
        off = np.abs(one.picture.y.astype(float) - before.picture.y[:120, :160]).mean()
        assert 0 < off < 6
        assert one.picture.matrix == before.picture.matrix
    assert isinstance(items[0], StreamUp)
    assert items[0].codec == ("hevc" if coding.encoder == "libx265" else "h264")
    assert isinstance(items[-1], EndOfStream)


def test_coarser_quality_is_further_off() -> None:
    def off(crf: int) -> float:
        found, _ = through(frames(12), Coding(crf=crf))
        pairs = zip(found, frames(12), strict=True)
        return float(np.mean([np.abs(a.picture.y.astype(float) - b.picture.y[:120, :160]).mean() for a, b in pairs]))

    assert off(20) < off(45)


def test_fewer_bits_are_further_off() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 120, 160), np.uint8)
    given = [
        Frame(pts_s=i / 25, picture=Picture.from_rgb(np.repeat(one[..., None], 3, axis=2)), arrival_s=0.0)
        for i, one in enumerate(noise)
    ]

    def off(bits: float) -> float:
        found, _ = through(given, Coding(bits_a_pixel=bits))
        return float(
            np.mean([np.abs(a.picture.y.astype(float) - b.picture.y).mean() for a, b in zip(found, given, strict=True)])
        )

    assert off(4.0) < off(0.1)


def test_size_that_changes_begins_anew_and_loses_nothing() -> None:
    small, large = frames(5), frames(5, width=200, height=160)
    later = [Frame(pts_s=one.pts_s + 1, picture=one.picture, arrival_s=0.0, gap=GapCause.SIZE_CHANGED) for one in large]
    found, _ = through([*small, *later], Coding(crf=30))
    assert [(one.picture.width, one.picture.height) for one in found] == [(160, 120)] * 5 + [(200, 160)] * 5
    assert [one.pts_s for one in found] == [one.pts_s for one in (*small, *later)]


def test_source_that_is_silent_for_a_while_is_not_over() -> None:
    up = StreamUp(url="x", width=161, height=121, codec="h264")
    source = Coded(ScriptedSource([up, 5.0, *frames(3), EndOfStream(frames=3)]), Coding(crf=30))
    assert isinstance(source.read(1.0), StreamUp)
    assert source.read(1.0) is None
