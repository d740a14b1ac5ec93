"""`streamguard bundle maps`: what heat maps are on real faces, written into a copy of the bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamguard.bundle import Bundle, ClipSpec, open_bundle, seal
from streamguard.cli.main import main
from streamguard.data.index import Index
from streamguard.data.prepare import prepare_one
from streamguard.data.tracks import Settings
from streamguard.engine import map_ranges
from streamguard.evaluation.real_clips import CLIPS_A_TRACK, real_clips
from tests.data.made import footage, portrait_still, portrait_video
from tests.faces.people import detector, mesher
from tests.test_bundle import toy_fields, write_files

SPEC = ClipSpec(size_px=16, grid_s=0.08, length=3, memory=2, hop_s=0.24, recipe="square")
PEOPLE = ("ada", "ben")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people's videos of two seconds, a fake and a still."""
    folder = tmp_path_factory.mktemp("data")
    for name in (*PEOPLE, "fake"):
        portrait_video(folder / "media" / f"{name}.mp4", seconds=2.0)
    portrait_still(folder / "media" / "still.jpg")
    items = [footage(name) for name in PEOPLE]
    items += [footage("fake", label="fake", group="ada"), footage("still", still=True, file="still.jpg", group="ben")]
    index = Index(folder / "index", folder / "media", items)
    index.save()
    for item in items:
        assert prepare_one(index, item, Settings(), detector(), mesher()).tracks or item.still
    return folder / "index"


@pytest.fixture
def toy(tmp_path: Path) -> Bundle:
    return seal(
        write_files(tmp_path / "toy"),
        toy_fields() | {"maps": {**toy_fields()["maps"], "ranges": {}, "measured_on": ""}},
    )


class Brightness:
    """A maps graph: as bright as the crop, somewhat more to the right."""

    name = "fake"

    def run(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        values = crops.mean() + np.arange(20, dtype=np.float32).reshape(4, 5)
        return {"anomaly": values, "motion": 2 * values}

    def close(self) -> None: ...


def test_clips_are_of_real_moving_people_and_as_the_network_sees_them(data: Path) -> None:
    index = Index.open(data)
    found = list(real_clips(index, SPEC, index.groups, most=100))
    clips = [crops for _, crops in found]
    assert [group for group, _ in found] == list(PEOPLE) * CLIPS_A_TRACK, "in turns"
    assert len(clips) == CLIPS_A_TRACK * len(PEOPLE)
    assert {clip.shape for clip in clips} == {(5, 16, 16, 3)}
    assert {clip.dtype for clip in clips} == {np.dtype(np.uint8)}
    assert all(np.ptp(clip, axis=0).any() for clip in clips), "they move"
    assert len({clip.tobytes() for clip in clips}) >= CLIPS_A_TRACK


def test_groups_share_what_may_be_taken(data: Path) -> None:
    index = Index.open(data)
    assert len(list(real_clips(index, SPEC, index.groups, most=4))) == 4
    assert len(list(real_clips(index, SPEC, ["ben"], most=100))) == CLIPS_A_TRACK


def test_ranges_are_written_into_a_copy_and_nothing_else_changes(
    data: Path, toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamguard.engine.open_backend.open_maps", lambda *_: Brightness())
    monkeypatch.setattr(map_ranges, "LEAST_VALUES", 100)
    new = tmp_path / "new"
    assert main(["bundle", "maps", str(toy.folder), "--data", str(data), "--out", str(new)]) == 0
    made = open_bundle(new).manifest
    assert made.maps is not None
    assert made.maps.measured_on == "6 clips of real faces, of 2 groups of people in index"
    anomaly, motion = made.maps.ranges["anomaly"], made.maps.ranges["motion"]
    assert anomaly.low < anomaly.high
    assert (motion.low, motion.high) == pytest.approx((2 * anomaly.low, 2 * anomaly.high))
    assert made.files == toy.manifest.files
    assert made.calibrations == toy.manifest.calibrations
    told = capsys.readouterr().out
    assert "on 6 clips of real faces, of 2 groups of people in index:" in told
    assert f"wrote {new}" in told


def test_what_cannot_be_measured_is_refused_and_nothing_is_written(
    data: Path, toy: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamguard.engine.open_backend.open_maps", lambda *_: Brightness())
    new = tmp_path / "new"
    command = ["bundle", "maps", str(toy.folder), "--data", str(data), "--out", str(new)]
    assert main(command) == 1
    assert "6 clips are too few to say what the anomaly map is on real faces" in capsys.readouterr().err
    assert main([*command, "--clips", "0"]) == 2
    assert "--clips: must be at least 1" in capsys.readouterr().err
    (toy.folder / "maps.onnx").unlink()
    without = seal(toy.folder, toy_fields() | {"maps": None})
    assert main(["bundle", "maps", str(without.folder), "--data", str(data), "--out", str(new)]) == 4
    assert "maps: is null" in capsys.readouterr().err
    assert not new.exists()
