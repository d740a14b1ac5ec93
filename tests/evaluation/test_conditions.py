"""Conditions by their names, and what each makes of footage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from streamguard.data.index import Index
from streamguard.errors import ConfigError, CorruptMedia
from streamguard.evaluation.conditions import (
    ROBUSTNESS,
    SHORTCUTS,
    Facts,
    facts_of,
    leaves_alone,
    open_under,
    parse_conditions,
)
from streamguard.evaluation.harmonise import FACE_PX
from streamguard.values import Frame
from tests.evaluation import made
from tests.evaluation.videos import HEIGHT, WIDTH

NOTHING = Facts(files={}, fake=None, real=None)


def test_raw_is_always_first() -> None:
    assert parse_conditions("") == ("raw",)
    assert parse_conditions("harmonised, raw,harmonised") == ("raw", "harmonised")
    assert parse_conditions("noise/3,mirror") == ("raw", "noise/3", "mirror")
    assert parse_conditions("blur") == ("raw", *(f"blur/{level}" for level in range(1, 6)))
    assert parse_conditions("robustness") == ("raw", *ROBUSTNESS)
    assert parse_conditions("shortcuts") == ("raw", *SHORTCUTS)
    assert len(ROBUSTNESS) == 35


@pytest.mark.parametrize("text", ["nose", "noise/9", "raw,robust", "mirror/1"])
def test_condition_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--conditions"):
        parse_conditions(text)


def test_each_class_is_recoded_as_the_other_and_not_as_itself() -> None:
    assert leaves_alone("raw", "real")
    assert leaves_alone("reencode-as-fake", "fake")
    assert leaves_alone("reencode-as-real", "real")
    assert not leaves_alone("reencode-as-fake", "real")
    assert not leaves_alone("mirror", "real")


def frames(index: Index, key: str, condition: str, facts: Facts, folder: Path) -> list[Frame]:
    footage = next(one for one in index.footage if one.key == key)
    source = open_under(index, footage, condition, facts, folder)
    assert source is not None
    with source:
        return [item for item in source if isinstance(item, Frame)]


def facts(index: Index) -> Facts:
    traces = [
        made.trace("ada", "real", [made.face(made.moments([0.5] * 4), size_px=60.0)], group="ada"),
        made.trace("ada-fake", "fake", [made.face(made.moments([0.5] * 4), size_px=90.0)], twin="ada", group="ada"),
        made.trace("ben", "real", []),
    ]
    return facts_of(index, traces)


def test_fake_is_brought_to_size_as_its_twin_is(portraits: Index) -> None:
    found = facts(portraits)
    assert set(found.files) == {"ada", "ada-fake"}, "without a face nothing is known"
    assert found.files["ada-fake"].face_px == found.files["ada"].face_px == 60.0
    assert 0.01 < found.files["ada"].bits_a_pixel < 10
    assert found.fake is not None
    assert found.fake.short_px == 480


def test_harmonised_footage_is_scaled_to_the_face(portraits: Index, tmp_path: Path) -> None:
    given = facts(portraits)
    found = frames(portraits, "ada", "harmonised", given, tmp_path)
    assert found[0].picture.width == WIDTH * FACE_PX / 60
    ben = next(one for one in portraits.footage if one.key == "ben")
    assert open_under(portraits, ben, "harmonised", given, tmp_path) is None
    assert open_under(portraits, ben, "reencode-as-fake", NOTHING, tmp_path) is None


def test_recoded_footage_has_the_size_of_the_other_class(portraits: Index, tmp_path: Path) -> None:
    found = frames(portraits, "ada", "reencode-as-fake", facts(portraits), tmp_path)
    assert (found[0].picture.width, found[0].picture.height) == (WIDTH, HEIGHT), "the traces say that both are alike"
    alone = frames(portraits, "ada-fake", "reencode-as-fake", NOTHING, tmp_path)
    assert alone[0].picture.width == WIDTH


def test_other_container_holds_the_very_same_pictures(portraits: Index, tmp_path: Path) -> None:
    before = frames(portraits, "ada", "raw", NOTHING, tmp_path)
    after = frames(portraits, "ada", "container", NOTHING, tmp_path)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert (one.picture.y == other.picture.y).all()
        assert one.pts_s == pytest.approx(other.pts_s, abs=1e-3), "Matroska knows milliseconds"
    with av.open(str(tmp_path / "ada.mkv")) as container:
        assert "matroska" in container.format.name


def test_matroska_without_decoding_times_becomes_an_mp4_that_has_them(portraits: Index, tmp_path: Path) -> None:
    """As x264 makes it, with pictures that are decoded before they are shown."""
    with av.open(str(tmp_path / "ada.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "3", "b-pyramid": "normal"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames(portraits, "ada", "raw", NOTHING, tmp_path)[:20]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame.picture.rgb(), format="rgb24")))
        out.mux(stream.encode(None))
    with av.open(str(tmp_path / "ada.mkv")) as given:
        assert next(given.demux(video=0)).dts is None, "or this shows nothing"
    index = Index(tmp_path / "index", tmp_path, [replace(portraits.footage[0], file="ada.mkv")])
    before = frames(index, "ada", "raw", NOTHING, tmp_path)
    after = frames(index, "ada", "container", NOTHING, tmp_path)
    assert (tmp_path / "ada.mp4").exists()
    assert len(before) == len(after) == 20
    assert all((one.picture.y == other.picture.y).all() for one, other in zip(before, after, strict=True))


def test_picture_that_is_stored_turned_comes_upright_from_either_container(portraits: Index, tmp_path: Path) -> None:
    turned = tmp_path / "media"
    turned.mkdir()
    data = bytearray(portraits.path(portraits.footage[0]).read_bytes())
    matrix = (0, 0x00010000, 0, -0x00010000, 0, 0, 0, 0, 0x40000000)  # 90 degrees clockwise, in the track header
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    (turned / "ada.mp4").write_bytes(data)
    index = Index(tmp_path / "index", turned, [portraits.footage[0]])
    before = frames(index, "ada", "raw", NOTHING, tmp_path)
    after = frames(index, "ada", "container", NOTHING, tmp_path)
    assert (before[0].picture.width, before[0].picture.height) == (HEIGHT, WIDTH)
    assert (after[0].picture.width, after[0].picture.height) == (HEIGHT, WIDTH)
    assert (before[3].picture.y == after[3].picture.y).all()


def test_file_that_is_none_is_told(portraits: Index, tmp_path: Path) -> None:
    (tmp_path / "ada.mp4").write_bytes(b"no video")
    index = Index(tmp_path / "index", tmp_path, [portraits.footage[0]])
    with pytest.raises(CorruptMedia):
        open_under(index, index.footage[0], "container", NOTHING, tmp_path)


@pytest.mark.parametrize("condition", ["mirror", "blur-border", "pad-border", "noise/1", "compression/5"])
def test_changed_footage_keeps_its_frames_and_times(portraits: Index, tmp_path: Path, condition: str) -> None:
    before = frames(portraits, "ada", "raw", NOTHING, tmp_path)
    after = frames(portraits, "ada", condition, NOTHING, tmp_path)
    assert [one.pts_s for one in after] == [one.pts_s for one in before]
    assert not np.array_equal(after[5].picture.y, before[5].picture.y)
