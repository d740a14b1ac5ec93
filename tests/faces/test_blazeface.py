"""BlazeFace finds faces where they are, whatever region it is asked to look at, and nothing where there is none."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest
from PIL import Image

from streamguard.faces.blazeface import (
    FULL_RANGE,
    SHORT_RANGE,
    BlazeFace,
    BlazeFaceKind,
    BlazeFacePair,
    anchor_centres,
)
from streamguard.faces.detector import open_detector
from streamguard.faces.letterbox import letterbox
from streamguard.picture import Picture
from streamguard.values import Box, Detection
from tests.faces.people import FACE, detector, picture_of, portrait, scene

KINDS = pytest.mark.parametrize("kind", [SHORT_RANGE, FULL_RANGE], ids=["short", "full"])


def is_there(found: list[Detection], face: Box) -> bool:
    """One face, whose centre is right to a quarter of its size."""
    if len(found) != 1:
        return False
    (x, y), (fx, fy) = found[0].box_px.centre, face.centre
    return (
        abs(x - fx) < face.scale / 4 and abs(y - fy) < face.scale / 4 and 0.6 < found[0].box_px.scale / face.scale < 1.5
    )


@pytest.mark.parametrize(
    ("kind", "count", "first", "last"),
    [(SHORT_RANGE, 896, (4.0, 4.0), (120.0, 120.0)), (FULL_RANGE, 2304, (2.0, 2.0), (190.0, 190.0))],
)
def test_anchors_are_those_of_the_published_options(
    kind: BlazeFaceKind, count: int, first: tuple[float, float], last: tuple[float, float]
) -> None:
    centres = anchor_centres(kind)
    assert centres.shape == (count, 2)
    assert tuple(centres[0]) == first
    assert tuple(centres[-1]) == last


def test_short_range_anchors_come_in_twos_then_in_sixes() -> None:
    centres = anchor_centres(SHORT_RANGE)
    assert centres[:4].tolist() == [[4, 4], [4, 4], [12, 4], [12, 4]]
    assert centres[512:519].tolist() == [[8, 8]] * 6 + [[24, 8]]


@KINDS
def test_the_portrait_has_one_face_with_two_eyes(kind: BlazeFaceKind) -> None:
    found = BlazeFace(kind).detect(picture_of(portrait()), None)
    assert is_there(found, FACE)
    assert found[0].score > 0.85
    left, right = found[0].eyes_px
    assert left == pytest.approx((204, 102), abs=6)
    assert right == pytest.approx((247, 105), abs=6)


@KINDS
def test_a_wide_picture_is_not_squeezed(kind: BlazeFaceKind) -> None:
    image, face = scene(1280, 720, 220, (900, 300))
    assert is_there(BlazeFace(kind).detect(picture_of(image), None), face)


@pytest.mark.parametrize("face_px", [32, 48, 96, 200, 300])
def test_faces_of_all_sizes_are_found_in_a_tile(face_px: int) -> None:
    image, face = scene(1280, 720, face_px, (700, 350))
    assert is_there(detector().detect(picture_of(image), Box(460, 120, 940, 600)), face)


def test_a_region_partly_outside_the_picture_is_cut_to_it() -> None:
    image, face = scene(640, 480, 100, (100, 100))
    assert is_there(detector().detect(picture_of(image), Box(-300, -300, 300, 300)), face)


@pytest.mark.parametrize("region", [Box(700, 0, 900, 200), Box(10, 10, 10, 50), Box(50, 50, 20, 20), Box(-9, -9, 0, 0)])
def test_a_region_without_pixels_has_no_faces(region: Box) -> None:
    assert detector().detect(picture_of(scene(640, 480, 100, (100, 100))[0]), region) == []


def test_a_face_outside_the_region_is_not_found() -> None:
    image, _ = scene(1280, 720, 100, (200, 300))
    assert detector().detect(picture_of(image), Box(640, 0, 1280, 720)) == []


def test_a_face_filling_the_picture_gets_a_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = BlazeFacePair()
    seen: list[Box | None] = []
    monkeypatch.setattr(pair._full, "detect", lambda picture, region: [])
    short = pair._short.detect

    def remembering(picture: Picture, region: Box | None) -> list[Detection]:
        seen.append(region)
        return short(picture, region)

    monkeypatch.setattr(pair._short, "detect", remembering)
    assert is_there(pair.detect(picture_of(portrait()), None), FACE)
    assert pair.detect(picture_of(portrait()), Box(0, 0, 480, 480)) == []
    assert seen == [None]


def test_pictures_without_faces_have_none() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(128, 40, (360, 640, 3)).clip(0, 255).astype(np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (360, 640, 3))
    for rgb in (noise, ramp, np.zeros_like(noise), np.full_like(noise, 255)):
        assert detector().detect(picture_of(Image.fromarray(rgb)), None) == []


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3000, 2), (33, 17)])
def test_pictures_of_odd_sizes_are_searched(size: tuple[int, int]) -> None:
    assert detector().detect(picture_of(Image.new("RGB", size, (90, 90, 90))), None) == []


def test_two_faces_are_two() -> None:
    image, _ = scene(640, 480, 100, (150, 200))
    other, _ = scene(320, 480, 100, (170, 200))
    image.paste(other, (320, 0))
    found = detector().detect(picture_of(image), None)
    assert sorted(round(one.box_px.centre[0] / 50) for one in found) == [3, 10]


def test_the_letterbox_leads_back_to_the_picture() -> None:
    view = letterbox(picture_of(Image.new("RGB", (200, 100), (255, 255, 255))), Box(40, 0, 140, 50), 128)
    assert view is not None
    rows, columns = np.nonzero(view.pixels[0, :, :, 1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (32, 95, 0, 127)
    assert view.to_picture(np.array([[0.0, 32.0], [128.0, 96.0]])).tolist() == [[40.0, 0.0], [140.0, 50.0]]


def test_the_letterbox_of_a_high_region_leads_back_too() -> None:
    view = letterbox(picture_of(Image.new("RGB", (100, 200), (255, 255, 255))), Box(0, 40, 50, 140), 128)
    assert view is not None
    rows, columns = np.nonzero(view.pixels[0, :, :, 1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 127, 32, 95)
    assert view.to_picture(np.array([[32.0, 0.0], [96.0, 128.0]])).tolist() == [[0.0, 40.0], [50.0, 140.0]]


def test_threads_share_one_detector_and_agree() -> None:
    picture = picture_of(portrait())
    alone = detector().detect(picture, None)[0].box_px
    boxes: list[Box] = []
    work = [
        Thread(target=lambda: boxes.extend(detector().detect(picture, None)[0].box_px for _ in range(5)))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert boxes == [alone] * 20


def test_detectors_share_one_compiled_network() -> None:
    assert BlazeFace(FULL_RANGE)._network is BlazeFace(FULL_RANGE)._network
    assert isinstance(open_detector(), BlazeFacePair)
