"""The whole way: a network is exported, calibrated so that it suspects everybody, and scanned with heat maps."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamguard.bundle import Bundle, Calibration, MapRange, Temperature, seal
from streamguard.cli.main import main
from streamguard.cli.record import EVENTS, REPORT, VIDEO
from streamguard.events import Event, Score
from streamguard.testing import CALIBRATION
from streamguard.wire import event_from_json
from tests.clips import one_person, pictures_of, write_video

SECONDS = 3.0
FACE = (160.0, 90.0)
"""Where the person stands."""


@pytest.fixture(scope="module")
def suspecting(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GML-S for which everybody is likely fake, and whose maps were held against something."""
    made = bundles["gml-s"]
    manifest = made.manifest
    folder = tmp_path_factory.mktemp("suspecting")
    for name in manifest.files:
        shutil.copyfile(made.folder / name, folder / name)
    calibrations: list[Calibration] = [
        replace(CALIBRATION, graph="step", precision=precision, curve=Temperature(scale=0.1, offset=9.0, stderr=0.2))
        for precision in manifest.graphs["step"]
    ]
    assert manifest.maps is not None
    fields = {name: getattr(manifest, name) for name in manifest.__dataclass_fields__ if name != "files"}
    ranges = {kind: MapRange(low=0.0, high=5.0) for kind in manifest.maps.kinds}
    maps = replace(manifest.maps, ranges=ranges, measured_on="nothing: a test")
    return seal(folder, fields | {"trained": True, "calibrations": calibrations, "maps": maps}).folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "one.mp4", pictures_of(one_person(), SECONDS))


def scan(bundle: Path, clip: Path, out: Path, *options: str) -> tuple[Path, list[Event]]:
    assert main(["scan", str(clip), "--bundle", str(bundle), "--out", str(out), *options]) == 10
    lines = (out / "one" / EVENTS).read_text().splitlines()
    return out / "one", [event_from_json(line) for line in lines]


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def greyness(rgb: np.ndarray) -> float:
    """Mean distance of a region's colours from grey."""
    return float(np.ptp(rgb.astype(int), axis=2).mean())


def test_maps_are_in_the_video_the_report_and_on_request_in_events(
    suspecting: Path, clip: Path, tmp_path: Path
) -> None:
    folder, events = scan(suspecting, clip, tmp_path, "--maps-in-events")
    carried = [event.kind for event in events if isinstance(event.kind, Score) and event.kind.maps is not None]
    assert 2 <= len(carried) <= 5, "now and then"
    for score in carried:
        maps = score.maps
        assert maps is not None
        assert (maps.width, maps.height, maps.comparable) == (4, 4, True)
        assert len({*(maps.motion or b""), *(maps.anomaly or b"")}) > 4
        assert maps.square_px.share_inside(320, 180) > 0.5
        assert abs(maps.square_px.centre[0] - FACE[0]) < 25
        assert abs(maps.square_px.centre[1] - FACE[1]) < 25
        assert 0 <= score.pts_end_s - maps.pts_end_s < 0.1, "its own, or that of the window that made a verdict before"
    starts = [score.pts_end_s for score in carried]
    assert all(later > earlier for earlier, later in pairwise(starts))
    html = (folder / REPORT).read_text()
    assert html.count("data:image/png;base64,") in (3, 6)
    assert "Strongest moments" in html
    assert "UNMAPPED" not in html
    shown = frames(folder / VIDEO)
    # Beside the face, inside the square: coloured at first, and grey once the face is suspect.
    x0, y0 = int(FACE[0]) - 50, int(FACE[1]) - 40
    before, after = shown[0][y0 : y0 + 20, x0 : x0 + 12], shown[-1][y0 : y0 + 20, x0 : x0 + 12]
    assert before.shape == after.shape == (20, 12, 3)
    assert np.abs(before.astype(int) - after).mean() > 15


def test_none_is_none_and_scores_are_the_same(suspecting: Path, clip: Path, tmp_path: Path) -> None:
    folder, events = scan(suspecting, clip, tmp_path / "none", "--maps", "none")
    assert all(event.kind.maps is None for event in events if isinstance(event.kind, Score))
    assert "data:image/png" not in (folder / REPORT).read_text()
    _, others = scan(suspecting, clip, tmp_path / "drawn", "--no-video")
    scores, same = (
        [event.kind.raw_score for event in each if isinstance(event.kind, Score)] for each in (events, others)
    )
    assert scores == same
    assert all(event.kind.maps is None for event in others if isinstance(event.kind, Score)), "not on request"


def test_inspect_tells_of_the_maps(suspecting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "inspect", str(suspecting)]) == 0
    assert re.search(
        r"^  maps +fp32 maps\.onnx .*anomaly and motion, 4 x 4; measured on nothing", capsys.readouterr().out, re.M
    )
