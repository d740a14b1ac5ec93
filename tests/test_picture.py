"""Pixels: colour in and out, scaling, padding, turning; against plain float arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.errors import PictureError
from streamguard.picture import Matrix, Picture
from tests.reference import as_matrix, reference_rgb, reference_sample, smooth

MEAN_TOLERANCE = 2.0
"""Levels of 255: 8-bit rounding of three planes, and Pillow's warp rounding down (0.5 of a level of luma)."""


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [True, False])
def test_the_same_colours_come_out_whatever_the_standard(matrix: Matrix, full_range: bool) -> None:
    rgb = smooth(96, 64)
    out = as_matrix(rgb, matrix, full_range).rgb()
    assert np.abs(out.astype(int) - rgb).mean() < MEAN_TOLERANCE


def test_primaries_are_right_to_a_level() -> None:
    for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)]:
        rgb = np.full((8, 8, 3), colour, np.uint8)
        assert np.abs(Picture.from_rgb(rgb).rgb().astype(int) - rgb).max() <= 2, colour
        assert np.abs(as_matrix(rgb, "bt709", False).rgb().astype(int) - rgb).max() <= 2, colour


@pytest.mark.parametrize("full_range", [True, False])
def test_a_whole_picture_equals_the_reference(full_range: bool) -> None:
    picture = as_matrix(smooth(121, 79), "bt709", full_range)
    assert np.abs(picture.rgb() - reference_rgb(picture)).mean() < MEAN_TOLERANCE


@pytest.mark.parametrize(
    "box",
    [(10.0, 8.0, 90.0, 88.0), (3.3, 5.7, 203.3, 205.7), (-40.0, -20.0, 160.0, 180.0), (150.0, 100.0, 380.0, 330.0)],
)
def test_a_region_equals_the_reference(box: tuple[float, float, float, float]) -> None:
    picture = as_matrix(smooth(300, 240), "bt601", False)
    size = 64
    scale = (box[2] - box[0]) / size
    expected = reference_sample(reference_rgb(picture), (scale, 0, box[0], 0, scale, box[1]), size)
    difference = np.abs(picture.rgb_region(box, (size, size)) - expected)
    assert difference.mean() < MEAN_TOLERANCE
    assert np.percentile(difference, 99) < 8


@pytest.mark.parametrize("degrees", [0.0, 17.0, -40.0, 90.0])
@pytest.mark.parametrize("scale", [0.6, 1.0, 2.7])
def test_a_warp_equals_the_reference(degrees: float, scale: float) -> None:
    picture = as_matrix(smooth(400, 400), "bt601", False)
    size = 64
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    affine = (c, -s, 200 - (c - s) * size / 2, s, c, 190 - (s + c) * size / 2)
    expected = reference_sample(reference_rgb(picture), affine, size)
    difference = np.abs(picture.rgb_warped(affine, (size, size)) - expected)
    assert difference.mean() < MEAN_TOLERANCE
    assert np.percentile(difference, 99) < 8


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    picture = Picture.from_rgb(stripes)
    for out in (
        picture.rgb_region((0, 0, 256, 256), (32, 32)),
        picture.rgb_warped((8, 0, 0, 0, 8, 0), (32, 32)),
    ):
        assert np.abs(out[2:-2, 2:-2].astype(int) - 127).max() <= 4  # the replicated edge is a real stripe


def test_beyond_the_border_the_edge_is_replicated() -> None:
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[:, :20] = (200, 0, 0)
    rgb[:, 20:] = (0, 0, 200)
    out = Picture.from_rgb(rgb).rgb_region((-80.0, 0.0, 120.0, 40.0), (200, 40))
    assert (out[:, :60, 0] > 180).all()
    assert (out[:, 140:, 2] > 180).all()


def test_a_region_wholly_outside_is_the_nearest_edge() -> None:
    rgb = np.full((40, 40, 3), (10, 200, 30), np.uint8)
    out = Picture.from_rgb(rgb).rgb_region((100.0, 100.0, 140.0, 140.0), (8, 8))
    assert np.abs(out.astype(int) - (10, 200, 30)).max() <= 3


def test_turning_moves_the_corner_counter_clockwise() -> None:
    rgb = np.zeros((20, 40, 3), np.uint8)
    rgb[:8, -8:] = 255  # top right
    turned = Picture.from_rgb(rgb).turned(1)
    assert (turned.width, turned.height) == (20, 40)
    assert turned.rgb()[:6, :6].mean() > 200  # a quarter turn to the left brings it to the top left


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 5), (641, 479), (2, 2)])
def test_odd_sizes_work_everywhere(width: int, height: int) -> None:
    picture = Picture.from_rgb(smooth(width, height))
    assert picture.rgb().shape == (height, width, 3)
    for factor in (2, 3):
        small = picture.reduced(factor)
        assert small.y.shape == (-(-height // factor), -(-width // factor))
    assert picture.turned(3).rgb().shape == (width, height, 3)
    assert picture.region(0, 0, width, height).rgb().shape == (height, width, 3)


def test_a_region_is_a_copy() -> None:
    y = np.full((8, 8), 100, np.uint8)
    chroma = np.full((4, 4), 128, np.uint8)
    part = Picture(y=y, u=chroma, v=chroma, matrix="bt601", full_range=True).region(0, 0, 4, 4)
    y[:] = 0
    assert (part.y == 100).all()


def test_padded_rows_are_read_rightly() -> None:
    rgb = smooth(50, 30)
    tight = Picture.from_rgb(rgb)
    y = np.zeros((30, 64), np.uint8)
    y[:, :50] = tight.y
    padded = Picture(y=y[:, :50], u=tight.u, v=tight.v, matrix="bt601", full_range=True)
    assert (padded.rgb() == tight.rgb()).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_cannot_be_a_picture_is_refused_with_what_was_given(wrong: np.ndarray) -> None:
    with pytest.raises(PictureError, match=str(wrong.shape[0])):
        Picture.from_rgb(wrong)


def test_absurd_sizes_are_refused_before_memory_is_taken() -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (20000, 20000), (0, 0))
    with pytest.raises(PictureError, match="20000"):
        Picture(y=huge, u=huge[:10000, :10000], v=huge[:10000, :10000], matrix="bt601", full_range=True)


def test_repr_shows_size_and_no_pixels() -> None:
    assert repr(Picture.from_rgb(smooth(32, 16))) == "Picture(32x16, bt601, full range)"
