"""Where and when to search: cadence on media time, tiles that leave nothing out, cuts noticed and movement not."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.config import FacesConfig
from streamguard.faces.look import CutWatch, LookPlan, tiles
from streamguard.picture import Picture
from streamguard.values import Box
from tests.reference import smooth


def blank(width: int, height: int) -> Picture:
    return Picture.from_rgb(np.full((height, width, 3), 120, np.uint8))


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (3840, 2160), (720, 1280), (641, 360)])
@pytest.mark.parametrize("face", [16, 48, 100])
def test_every_small_face_lies_whole_in_some_tile(size: tuple[int, int], face: int) -> None:
    cover = tiles(*size, 480)
    for x in np.linspace(0, size[0] - face, 60):
        for y in np.linspace(0, size[1] - face, 40):
            assert any(box.x0 <= x and box.y0 <= y and x + face <= box.x1 and y + face <= box.y1 for box in cover), (
                x,
                y,
            )


def test_tiles_stay_inside_the_picture() -> None:
    for size in [(1280, 720), (1920, 1080), (500, 3000)]:
        for box in tiles(*size, 480):
            assert Box(0, 0, *size).overlap(box) == pytest.approx(box.width * box.height / (size[0] * size[1]))


def test_a_small_picture_needs_no_tiles() -> None:
    assert tiles(600, 400, 480) == []


def test_the_first_look_searches_everything_then_tiles_take_turns() -> None:
    config = FacesConfig(detect_every_s=0.2, tile_round_s=0.8)
    plan, picture = LookPlan(config), blank(1280, 720)
    everything = tiles(1280, 720, 480)
    assert plan.regions(0.0, picture, everything=False) == [None, *everything]
    seen: list[Box | None] = []
    for i in range(1, 25):
        seen += plan.regions(i * 0.04, picture, everything=False)
    assert seen.count(None) == 4  # 0.2, 0.4, 0.6, 0.8 s
    assert set(seen) == {None, *everything}


def test_nothing_is_searched_between_looks() -> None:
    plan, picture = LookPlan(FacesConfig(detect_every_s=0.2)), blank(600, 360)
    plan.regions(1.0, picture, everything=False)
    assert plan.regions(1.19, picture, everything=False) == []
    assert plan.regions(1.2, picture, everything=False) == [None]


def test_another_size_is_searched_at_once() -> None:
    plan = LookPlan(FacesConfig())
    plan.regions(0.0, blank(640, 360), everything=False)
    assert plan.regions(0.04, blank(1280, 720), everything=False) == [None, *tiles(1280, 720, 480)]


def test_a_cut_is_noticed() -> None:
    watch = CutWatch()
    assert not watch.is_cut(Picture.from_rgb(smooth(640, 360, seed=1)))
    assert not watch.is_cut(Picture.from_rgb(smooth(640, 360, seed=1)))
    assert watch.is_cut(Picture.from_rgb(smooth(640, 360, seed=2)))
    assert not watch.is_cut(Picture.from_rgb(smooth(640, 360, seed=2)))


def test_light_and_noise_are_no_cut() -> None:
    watch = CutWatch()
    rng = np.random.default_rng(0)
    picture = smooth(640, 360, seed=1).astype(np.float64)
    for gain in (1.0, 0.6, 1.0, 0.75):
        noisy = picture * gain + rng.normal(0, 6, picture.shape)
        assert not watch.is_cut(Picture.from_rgb(np.clip(noisy, 0, 255).astype(np.uint8)))


def test_a_person_walking_through_half_the_picture_is_no_cut() -> None:
    watch = CutWatch()
    room = smooth(640, 360, seed=1)
    for x in range(0, 320, 20):
        frame = room.copy()
        frame[:, x : x + 260] = 30
        assert not watch.is_cut(Picture.from_rgb(frame))


def test_black_pictures_are_no_cuts() -> None:
    watch = CutWatch()
    for _ in range(3):
        assert not watch.is_cut(blank(64, 64))
