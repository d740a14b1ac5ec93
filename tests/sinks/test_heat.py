"""Heat maps are drawn where they belong, in colours whose order can be seen, and say what they show."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamguard.picture import Picture
from streamguard.sinks.annotate import AnnotatedVideo, Label, draw_overlays
from streamguard.sinks.heat import CAUTION, KIND_WORDS, Overlay, cells_of, colours, lay_over, overlay_of
from streamguard.values import Box, HeatMaps

GREY = (120, 120, 120)
COLD = np.zeros((4, 4), np.uint8)


def hot_at(row: int, column: int, cells: int = 4) -> np.ndarray:
    values = np.zeros((cells, cells), np.uint8)
    values[row, column] = 255
    return values


def drawn(square: Box, cells: np.ndarray, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """(H, W, 3) uint8"""
    image = Image.new("RGB", size, GREY)
    lay_over(image, square, cells)
    return np.asarray(image)


def glowing(rgb: np.ndarray) -> Box:
    """Around everything that is clearly coloured."""
    ys, xs = np.nonzero(np.ptp(rgb.astype(int), axis=2) > 40)
    assert len(xs), "nothing glows"
    return Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)


def changed(rgb: np.ndarray) -> Box:
    ys, xs = np.nonzero((rgb != GREY).any(axis=2))
    return Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)


def test_colours_grow_lighter_from_byte_to_byte() -> None:
    light = (colours() / 255.0) ** 2.2 @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > -1e-3).all()
    assert (np.diff(light[::8]) > 0.002).all()
    assert light[-1] > 0.8
    assert light[0] < 0.05


def test_a_map_covers_its_square_and_nothing_else() -> None:
    assert changed(drawn(Box(100, 60, 180, 140), COLD)) == Box(100, 60, 180, 140)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (2, 1), (3, 3)])
def test_what_is_hot_glows_in_its_own_cell(row: int, column: int) -> None:
    glow = glowing(drawn(Box(100, 60, 180, 140), hot_at(row, column)))
    x, y = glow.centre
    assert x == pytest.approx(100 + 20 * column + 10, abs=6)
    assert y == pytest.approx(60 + 20 * row + 10, abs=6)


@pytest.mark.parametrize("square", [Box(-40, -40, 40, 40), Box(280, 200, 360, 280), Box(-40, 200, 40, 280)])
def test_beyond_the_border_what_is_left_of_a_map_lies_as_it_would(square: Box) -> None:
    """The same square further inside, cut where the border would be, shows the same."""
    cells = np.random.default_rng(0).integers(0, 256, (10, 10), dtype=np.uint8)
    whole = drawn(square.moved(100, 100), cells, (520, 440))[100:340, 100:420]
    found = drawn(square, cells)
    visible = changed(found)
    assert visible == Box(max(0, square.x0), max(0, square.y0), min(320, square.x1), min(240, square.y1))
    assert np.abs(found.astype(int) - whole).max() <= 3


def test_a_square_outside_or_smaller_than_a_pixel_draws_nothing() -> None:
    for square in (Box(-90, 0, -10, 80), Box(400, 300, 480, 380), Box(50, 50, 50.2, 50.2)):
        assert (drawn(square, hot_at(1, 1)) == GREY).all()


def test_the_face_remains_visible_where_it_is_hottest() -> None:
    image = Image.new("RGB", (80, 80), GREY)
    image.paste((230, 230, 230), (38, 0, 42, 80))
    lay_over(image, Box(0, 0, 80, 80), np.full((4, 4), 255, np.uint8))
    rgb = np.asarray(image).astype(int)
    assert np.abs(rgb[40, 40] - rgb[40, 20]).sum() > 20


def maps(**changes: object) -> HeatMaps:
    fields: dict[str, object] = {
        "pts_start_s": 0.0,
        "pts_end_s": 0.56,
        "square_px": Box(100.0, 100.0, 200.0, 200.0),
        "width": 2,
        "height": 1,
        "anomaly": b"\x01\x02",
        "motion": b"\x03\x04",
        "comparable": True,
    }
    return HeatMaps(**{**fields, **changes})  # type: ignore[arg-type]


def test_rows_are_read_from_the_top_left() -> None:
    cells = cells_of(maps(width=3, height=2, motion=bytes(range(6)), anomaly=None), "motion")
    assert cells is not None
    assert cells.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_map_follows_its_face_and_grows_with_it() -> None:
    then, now = Box(130, 120, 170, 180), Box(240, 100, 320, 220)
    still = overlay_of(maps(), "motion", then=then, now=then)
    moved = overlay_of(maps(), "motion", then=then, now=now)
    assert still is not None
    assert moved is not None
    assert still.square_px == Box(100, 100, 200, 200)
    assert moved.square_px == Box(180, 60, 380, 260), "twice the size, and as far from its centre"


def test_the_map_that_is_wished_for_is_shown_or_the_one_that_there_is() -> None:
    box = Box(0, 0, 10, 10)
    for wish, made, kind in (
        ("both", maps(), "both"),
        ("both", maps(motion=None), "anomaly"),
        ("motion", maps(), "motion"),
        ("anomaly", maps(), "anomaly"),
        ("motion", maps(motion=None), "anomaly"),
        ("anomaly", maps(anomaly=None), "motion"),
    ):
        found = overlay_of(made, wish, then=box, now=box)  # type: ignore[arg-type]
        assert found is not None
        assert found.kind == kind
    assert overlay_of(maps(anomaly=None, motion=None), "motion", then=box, now=box) is None


def test_both_in_one_show_of_each_place_the_map_that_says_more() -> None:
    box = Box(0, 0, 10, 10)
    found = overlay_of(maps(motion=b"\x03\xf0", anomaly=b"\x80\x04"), "both", then=box, now=box)
    assert found is not None
    assert found.cells.tolist() == [[0x80, 0xF0]]


# In the video.


def overlay(square: Box, cells: np.ndarray = COLD, **changes: object) -> Overlay:
    fields: dict[str, object] = {"kind": "motion", "comparable": True, **changes}
    return Overlay(square_px=square, cells=cells, **fields)  # type: ignore[arg-type]


def said(monkeypatch: pytest.MonkeyPatch, overlays: list[Overlay]) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("streamguard.sinks.annotate._draw_legend", lambda image, told: lines.extend(told))
    draw_overlays(Image.new("RGB", (320, 240)), overlays)
    return lines


def test_the_legend_says_what_is_shown_and_that_it_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(10, 10, 90, 90)
    assert said(monkeypatch, []) == []
    assert said(monkeypatch, [overlay(box), overlay(box)]) == [KIND_WORDS["motion"], CAUTION]
    assert said(monkeypatch, [overlay(box, kind="anomaly", comparable=False)]) == [
        "where the network finds an anomaly, each clip against itself",
        CAUTION,
    ]


def test_the_legend_is_at_the_lower_left_and_only_where_there_is_a_map() -> None:
    picture = Picture.from_rgb(np.full((360, 640, 3), GREY, np.uint8))
    image = Image.fromarray(picture.rgb())
    before = np.asarray(image)
    draw_overlays(image, [])
    assert (np.asarray(image) == before).all()
    draw_overlays(image, [overlay(Box(400, 20, 500, 120))])
    ys, xs = np.nonzero((np.asarray(image)[130:] != before[130:]).any(axis=2))
    assert xs.min() < 20
    assert xs.max() < 400
    assert ys.max() + 130 > 340


def test_the_video_shows_maps_below_labels_and_moves_both_with_the_picture(tmp_path: Path) -> None:
    red = (250, 20, 20)
    square, box = Box(100, 100, 300, 300), Box(150, 150, 250, 250)
    with AnnotatedVideo(tmp_path / "video.mp4") as video:
        video.add(Picture.from_rgb(np.full((480, 640, 3), GREY, np.uint8)), 0.0)
        small = Picture.from_rgb(np.full((480, 320, 3), GREY, np.uint8))  # shown with black bars of 160 pixels
        label = Label(box_px=box, lines=(), colour=red)
        video.add(small, 0.1, [label], [overlay(square, np.full((2, 2), 255, np.uint8))])
    with av.open(str(tmp_path / "video.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][1].astype(int)
    hot = colours()[-1].astype(int)
    assert np.abs(shown[130, 160 + 120] - hot).sum() < np.abs(shown[130, 160 + 80] - hot).sum()
    assert np.ptp(shown[130, 160 + 120]) > 40
    assert np.ptp(shown[80, 160 + 120]) < 20, "above the square nothing glows"
    assert np.abs(shown[150, 160 + 160] - red).max() < 60, "the box is drawn over it"
