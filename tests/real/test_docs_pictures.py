"""The pictures in docs/: what `streamguard demo` writes, looked at in a real browser. `make docs` writes them anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamguard.bundle import open_bundle
from streamguard.cli.main import main
from streamguard.events import FaceAppeared, Score, VerdictChanged
from streamguard.sinks.annotate import STATE_COLOURS, Colour
from streamguard.values import FaceState
from streamguard.wire import event_from_json
from tests.real.conftest import cannot
from tests.real.test_report_picture import BROWSERS, CARD, LEGEND_PX, pixels, screenshot

pytestmark = pytest.mark.real

DOCS = Path(__file__).parents[2] / "docs"
WRITE = os.environ.get("STREAMGUARD_WRITE_DOCS") == "1"
LARGEST_BYTES = 250_000
REPORT_PX = (1100, 2600)
"""Down to somewhere below the first face."""
FRAME = 190
"""Of the annotated video: late enough for a verdict."""
WARNING: Colour = (0xE0, 0xA0, 0x00)
JUDGES = bool(open_bundle().manifest.calibrations)
VERDICTS = (FaceState.LIKELY_FAKE, FaceState.LIKELY_REAL)
NEVER = () if JUDGES else VERDICTS
"""What no picture of a network that judges nobody may suggest."""
SCORED = (FaceState.UNCERTAIN, *(VERDICTS if JUDGES else ()))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the demo writes, as everybody runs it."""
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(folder)]) == 0
    return folder


def skin(shown: np.ndarray) -> int:
    """Pixels of about the colour that the portrait's face has."""
    red, green, blue = (shown[..., i].astype(int) for i in range(3))
    return int(((red > 150) & (red - blue > 40) & (red - green > 20)).sum())


def stripes(shown: np.ndarray) -> np.ndarray:
    """(H,) pixels of each row that have the colour of a scored face's state."""
    alike = [np.abs(shown.astype(int) - STATE_COLOURS[each]).max(axis=2) <= 3 for each in SCORED]
    return np.asarray(np.any(alike, axis=0).sum(axis=1))


def to_the_end_of_the_first_face(shown: np.ndarray) -> np.ndarray:
    """Its cards are white as far as their right edge: the participant's, if any is judged, the table, the face's."""
    white = (shown[:, shown.shape[1] - 64] == CARD["light"]).all(axis=1)
    ends = np.flatnonzero(white[:-1] & ~white[1:])
    return shown[: int(ends[2 if JUDGES else 1]) + 12]


def last_thoughts(folder: Path) -> list[tuple[FaceState, float]]:
    """State and p_face of each face, from left to right."""
    kinds = [event_from_json(line).kind for line in (folder / "events.jsonl").read_text().splitlines()]
    places = {kind.face_id: kind.box_px.x0 for kind in kinds if isinstance(kind, FaceAppeared)}
    states = {kind.face_id: kind.state for kind in kinds if isinstance(kind, VerdictChanged)}
    p_face = {kind.face_id: kind.p_face for kind in kinds if isinstance(kind, Score) and kind.p_face is not None}
    return [(states[face], p_face[face]) for face in sorted(places, key=lambda face: places[face])]


def write(image: Image.Image, name: str) -> None:
    """Into docs/, if that is asked for; not larger than a page should load."""
    if not WRITE:
        return
    path = DOCS / name
    image.save(path, optimize=True, quality=85)  # the quality of a JPEG; a PNG has none
    assert path.stat().st_size < LARGEST_BYTES


def test_the_report_warns_and_shows_scores_states_and_faces(demo: Path, tmp_path: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        cannot("no Chromium is installed")
    width, height = REPORT_PX
    shown = to_the_end_of_the_first_face(
        screenshot(browser, tmp_path, demo / "report.html", width=width, height=height)
    )
    warnings = 1 if JUDGES else 2
    assert pixels(shown[:430], WARNING, tolerance=12) > warnings * 3 * 40, "the warnings' edges"
    assert stripes(shown).sum() > 10 * LEGEND_PX, "a face's strip of states"
    assert pixels(shown, STATE_COLOURS[FaceState.WARMING_UP]) > LEGEND_PX
    assert [state for state in NEVER if pixels(shown, STATE_COLOURS[state]) > 0] == []
    assert skin(shown) > 2 * 88 * 88 / 8, "the first face at two turning points"
    write(Image.fromarray(shown).quantize(256, Image.Quantize.MAXCOVERAGE), "demo-report.png")  # heat maps are large


def test_the_timeline_shows_two_faces_and_what_is_thought_of_them(demo: Path) -> None:
    with Image.open(demo / "timeline.png") as image:
        shown = np.asarray(image.convert("RGB"))
        write(image.convert("RGB"), "demo-timeline.png")
    width = shown.shape[1]
    assert width == 1400
    striped = stripes(shown) > width / 2
    rows = 3 if JUDGES else 2  # the participant has one as soon as anybody is judged
    assert int((striped[1:] & ~striped[:-1]).sum()) == rows, "one stripe a face, nearly as long as the video"
    assert [state for state in NEVER if pixels(shown, STATE_COLOURS[state]) > 0] == []
    assert skin(shown[:, :90]) > 2 * 52 * 52 / 8, "two thumbnails"
    ink = (shown[:, 300:1280].max(axis=2) < 80).sum()
    assert ink > 2 * 900, "two lines of scores"


def test_a_frame_of_the_video_shows_both_faces_in_boxes(demo: Path) -> None:
    with av.open(str(demo / "annotated.mp4")) as container:
        frames = [frame for _, frame in zip(range(FRAME + 1), container.decode(video=0), strict=False)]
    assert len(frames) == FRAME + 1
    shown = frames[-1].to_ndarray(format="rgb24")
    for half in (shown[:, :640], shown[:, 640:]):
        assert skin(half) > 5_000
        assert max(pixels(half, STATE_COLOURS[each], tolerance=60) for each in SCORED) > 1_000, "a box and a name"
        assert [each for each in NEVER if pixels(half, STATE_COLOURS[each], tolerance=20) >= 100] == []
    write(Image.fromarray(shown).resize((960, 540), Image.Resampling.LANCZOS), "demo-frame.jpg")


@pytest.mark.skipif(not JUDGES, reason="the network that comes along judges nobody")
def test_the_two_sides_get_different_verdicts(demo: Path) -> None:
    """The left is not asked to be LIKELY_REAL: it is a still that code moves, so it is no real video either."""
    (left, left_p), (right, right_p) = last_thoughts(demo)
    assert left is not FaceState.LIKELY_FAKE
    assert right is FaceState.LIKELY_FAKE, "its inner face is faked"
    assert left_p < right_p


def test_the_docs_pictures_are_of_this_demo(demo: Path) -> None:
    """They may be some commits old, not of another scene: the timeline is drawn without a browser or a codec."""
    with Image.open(demo / "timeline.png") as now, Image.open(DOCS / "demo-timeline.png") as told:
        assert now.size == told.size, "of another network, or another scene: make docs"
        difference = np.abs(np.asarray(now.convert("RGB")).astype(int) - np.asarray(told.convert("RGB")))
    assert (difference.max(axis=2) > 60).mean() < 0.02
