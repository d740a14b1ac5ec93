"""Tiles: the source's own pixels where they need not be reduced, and points that lie on them."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.training.tiles import TILE_SPAN, Tiles, box_of, tiles_of

from .portraits import Portrait, portrait_tiles, portrait_track


@pytest.fixture(scope="module")
def track() -> Portrait:
    return portrait_track(length=8)


def test_tile_is_the_sources_own_pixels(track: Portrait) -> None:
    """Where nothing need be reduced, each pixel is one of the patch's, and its colour that of the patch."""
    tiles = tiles_of(track, 0, 4, 2, most_px=1000)
    for index, place in enumerate((0, 2, 4, 6)):
        patch, picture = track.patch(place), track.patch(place).picture
        shift = track.mesh(place)[:, :2] - tiles.points[index]
        assert np.allclose(shift, shift[0])  # one corner for all points
        x, y = np.round(shift[0] - patch.origin_px).astype(int).tolist()
        side = tiles.side_px
        whole = picture.rgb_region((x, y, x + side, y + side), (side, side))
        assert np.array_equal(tiles.pixels[index], whole)


def test_tile_is_as_wide_as_it_says(track: Portrait) -> None:
    tiles = tiles_of(track, 0, 8, 1, most_px=1000)
    assert tiles.side_px / tiles.face_px == pytest.approx(TILE_SPAN, abs=0.03)
    assert tiles.side_px % 2 == 0
    middles = np.array([box_of(points).centre for points in tiles.points])
    reach = (middles.min(axis=0) + middles.max(axis=0)) / 2
    assert reach == pytest.approx((tiles.side_px / 2,) * 2, abs=1.5)


def test_large_face_is_reduced_and_its_points_with_it(track: Portrait) -> None:
    large, small = tiles_of(track, 0, 2, 1, most_px=1000), tiles_of(track, 0, 2, 1, most_px=161)
    assert small.side_px == 160
    ratio = 160 / large.side_px
    assert np.allclose(small.points, large.points * ratio, atol=1e-3)
    assert small.face_px == pytest.approx(large.face_px * ratio)


def test_what_the_picture_does_not_reach_is_told() -> None:
    whole = portrait_tiles(length=2)
    assert whole.inside is None
    near = portrait_track(length=2, at=(0.16, 0.5))
    tiles = tiles_of(near, 0, 2, 1)
    assert tiles.inside is not None
    x0, y0, x1, y1 = tiles.inside
    assert 0 < x0 < tiles.side_px / 3
    assert (y0, x1, y1) == (0, tiles.side_px, tiles.side_px)
    beyond = tiles.pixels[:, :, : x0 - 1].astype(int)
    assert np.abs(np.diff(beyond, axis=2)).max() <= 1  # the edge repeated
    assert np.abs(np.diff(tiles.pixels[:, :, x0 : x0 + 40].astype(int), axis=2)).max() > 10


def test_frames_may_come_in_any_order() -> None:
    tiles = portrait_tiles(length=4)
    again: Tiles = tiles.frames(np.array([2, 2, 0]))
    assert len(again) == 3
    assert np.array_equal(again.pixels[1], tiles.pixels[2])
    assert np.array_equal(again.points[2], tiles.points[0])
    assert repr(again) == f"Tiles(3 x {tiles.side_px} px of portrait0, face {tiles.face_px:.0f} px)"
