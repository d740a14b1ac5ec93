"""Patches and the two recipes: where the pixels come from, when the square moves, one similarity a window."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.crop import (
    PATCH_SPAN,
    RESCALE,
    TEMPLATE_224,
    Square,
    crop_similarity,
    crop_square,
    cut_patch,
    fit_similarity,
    follow_square,
    padded_share,
    square_round,
)
from streamguard.picture import Picture
from streamguard.values import Box, Face, Patch, Quality
from tests.reference import as_matrix, reference_rgb, reference_sample, smooth

QUALITY = Quality(
    size_px=80, sharpness=1, luma=0.5, clipped=0, yaw_deg=0, pitch_deg=0, roll_deg=0, presence=1, padded=0
)
TOLERANCE_MEAN, TOLERANCE_P99 = 2.5, 10.0
"""Levels of 255 against a float reference straight from the frame: 8-bit rounding, and for large faces two
antialiasing filters (whole-factor mean, then triangle) instead of one."""


def face(x: float, y: float, side: float, points: np.ndarray | None = None) -> Face:
    box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return Face(
        face_id=1,
        generation=1,
        box_px=box,
        points_px=np.zeros((5, 2), np.float32) if points is None else points,
        quality=QUALITY,
    )


def patch_of(picture: Picture, who: Face, size_px: int = 224, span: float = 2.0) -> Patch:
    return cut_patch(picture, who, pts_s=0.0, grid_index=0, size_px=size_px, arrival_s=0.0, span=span)


def template_points(affine: tuple[float, float, float, float, float, float]) -> np.ndarray:
    a, b, c, d, e, f = affine
    x, y = TEMPLATE_224[:, 0], TEMPLATE_224[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], 1).astype(np.float32)


@pytest.mark.parametrize(("side", "size_px"), [(40.0, 112), (90.0, 224), (200.0, 64), (200.0, 112), (260.0, 96)])
@pytest.mark.parametrize("shift", [0.0, 13.3])
def test_a_square_crop_equals_the_reference_from_the_whole_frame(side: float, size_px: int, shift: float) -> None:
    picture = as_matrix(smooth(1280, 720), "bt709", False)
    who = face(620.0, 350.0, side)
    square = Square(centre_px=(620.0 + shift, 350.0 - shift / 2), side_px=2 * side)
    scale = square.side_px / size_px
    expected = reference_sample(reference_rgb(picture), (scale, 0, square.box.x0, 0, scale, square.box.y0), size_px)
    difference = np.abs(crop_square(patch_of(picture, who, size_px), square, size_px) - expected)
    assert difference.mean() < TOLERANCE_MEAN
    assert np.percentile(difference, 99) < TOLERANCE_P99


@pytest.mark.parametrize(("side", "size_px"), [(40.0, 112), (200.0, 64), (260.0, 96), (300.0, 112)])
@pytest.mark.parametrize("span", [1.0, 1.4])
def test_so_does_one_of_a_narrower_square(side: float, size_px: int, span: float) -> None:
    picture = as_matrix(smooth(1280, 720), "bt709", False)
    who = face(633.3, 343.4, side)
    square = follow_square(None, who.box_px, span)
    assert square.side_px == pytest.approx(span * side)
    scale = square.side_px / size_px
    expected = reference_sample(reference_rgb(picture), (scale, 0, square.box.x0, 0, scale, square.box.y0), size_px)
    difference = np.abs(crop_square(patch_of(picture, who, size_px, span), square, size_px) - expected)
    assert difference.mean() < TOLERANCE_MEAN
    assert np.percentile(difference, 99) < TOLERANCE_P99


@pytest.mark.parametrize("side", [40.0, 150.0, 350.0])
def test_a_narrower_crop_is_the_middle_of_a_wide_one(side: float) -> None:
    """Training cuts its crops from wider tiles; 160 pixels of two face scales show 1.4 of them in the inner 112."""
    picture = as_matrix(smooth(1280, 720), "bt709", False)
    who = face(633.3, 343.4, side)
    wide = crop_square(patch_of(picture, who, 160), follow_square(None, who.box_px), 160).astype(int)
    narrow = crop_square(patch_of(picture, who, 112, 1.4), follow_square(None, who.box_px, 1.4), 112).astype(int)
    assert np.abs(wide[24:-24, 24:-24] - narrow).max() <= 4  # a level of luma and one of chroma
    assert np.abs(wide[23:-25, 24:-24] - narrow).max() > 8, "the picture is so smooth that any place would do"


@pytest.mark.parametrize("side", [60.0, 180.0])
def test_a_similarity_crop_equals_the_reference_from_the_whole_frame(side: float) -> None:
    picture = as_matrix(smooth(1280, 720), "bt709", False)
    scale = 1.45 * side / 112
    c, s = scale * np.cos(0.3), scale * np.sin(0.3)
    affine = (c, -s, 600 - 112 * (c - s) / 2, s, c, 340 - 112 * (s + c) / 2)
    expected = reference_sample(reference_rgb(picture), affine, 112)
    patch = patch_of(picture, face(600.0, 340.0, side), 112)
    difference = np.abs(crop_similarity(patch, affine, 112) - expected)
    assert difference.mean() < TOLERANCE_MEAN
    assert np.percentile(difference, 99) < TOLERANCE_P99


@pytest.mark.parametrize("side", [20.0, 100.0, 230.0, 700.0])
@pytest.mark.parametrize("span", [1.0, 1.4, 2.0])
def test_a_patch_holds_every_pixel_its_square_may_need(side: float, span: float) -> None:
    """The square that is kept longest: its face is as small as it may be, or as large, and as far off its middle."""
    picture = Picture.from_rgb(np.zeros((4000, 4000, 3), np.uint8))
    who = face(2001.3, 1999.6, side)
    patch = patch_of(picture, who, span=span)
    for ratio in (1.001 / RESCALE, 0.999 * RESCALE):
        square_px = span * side * ratio
        for sign in (-1, 1):
            kept = Square(centre_px=(2001.3 + sign * 0.999 * square_px / 6, 1999.6), side_px=square_px)
            assert follow_square(kept, who.box_px, span) is kept
            assert padded_share(patch, kept) == 0.0


def test_a_large_face_is_reduced_but_never_below_the_crops_own_detail() -> None:
    picture = Picture.from_rgb(np.zeros((2160, 3840, 3), np.uint8))
    for side in (50.0, 111.0, 223.0, 230.0, 340.0, 447.0, 600.0):
        patch = patch_of(picture, face(1900.0, 1000.0, side))
        assert 2 * side / patch.reduction >= min(448.0, 2 * side)
        assert patch.picture.width <= 2 * PATCH_SPAN * 224 + 8


def test_of_a_narrower_square_a_face_is_reduced_later() -> None:
    picture = Picture.from_rgb(np.zeros((2160, 3840, 3), np.uint8))
    for side in (223.0, 447.0, 630.0, 650.0):
        patch = patch_of(picture, face(1900.0, 1000.0, side), 224, 1.4)
        assert 1.4 * side / patch.reduction >= min(448.0, 1.4 * side)
    assert patch.reduction == 2
    assert patch_of(picture, face(1900.0, 1000.0, 650.0), 224, 1.0).reduction == 1


def test_the_square_stays_while_the_face_stays_in_its_middle_third() -> None:
    first = follow_square(None, Box(100, 100, 200, 200))
    assert first == Square(centre_px=(150.0, 150.0), side_px=200.0)
    assert follow_square(first, Box(133, 100, 233, 200)) is first
    moved = follow_square(first, Box(134, 100, 234, 200))
    assert moved.centre_px == (184.0, 150.0)
    assert follow_square(first, Box(100, 134, 200, 234)).centre_px == (150.0, 184.0)


def test_the_square_changes_when_the_face_grows_or_shrinks_by_a_quarter() -> None:
    first = follow_square(None, Box(100, 100, 200, 200))
    for side, stays in [(124, True), (126, False), (81, True), (79, False)]:
        box = Box(150 - side / 2, 150 - side / 2, 150 + side / 2, 150 + side / 2)
        assert (follow_square(first, box) is first) == stays, side


def test_a_narrower_square_is_left_sooner_and_outgrown_alike() -> None:
    """The middle third is that of the square, and a quarter larger is so in every span."""
    first = follow_square(None, Box(100, 100, 200, 200), 1.4)  # 140 wide: 23.3 to each side
    assert follow_square(first, Box(123, 100, 223, 200), 1.4) is first
    assert follow_square(first, Box(124, 100, 224, 200), 1.4) == square_round(Box(124, 100, 224, 200), 1.4)
    for side, stays in [(124, True), (126, False), (81, True), (79, False)]:
        box = Box(150 - side / 2, 150 - side / 2, 150 + side / 2, 150 + side / 2)
        assert (follow_square(first, box, 1.4) is first) == stays, side


def test_side_is_the_span_times_the_root_of_the_area() -> None:
    assert follow_square(None, Box(0, 0, 50, 200)).side_px == pytest.approx(200.0)
    assert follow_square(None, Box(0, 0, 50, 200), 1.4).side_px == pytest.approx(140.0)


def test_the_padded_share_is_what_lies_outside_the_picture() -> None:
    picture = Picture.from_rgb(np.zeros((400, 400, 3), np.uint8))
    who = face(0.0, 200.0, 100.0)
    patch = patch_of(picture, who)
    assert padded_share(patch, follow_square(None, who.box_px)) == pytest.approx(0.5, abs=0.01)


def test_a_similarity_is_found_exactly_from_points_that_fit() -> None:
    affine = (0.9, -0.3, 120.0, 0.3, 0.9, 60.0)
    assert fit_similarity([template_points(affine)] * 3, 224) == pytest.approx(affine, abs=1e-4)


def test_one_similarity_serves_the_whole_window() -> None:
    """Head motion must survive inside the clip: the fit is the mean place, not each frame's own."""
    sets = [template_points((1.0, 0.0, 100.0 + dx, 0.0, 1.0, 50.0)) for dx in (-6.0, 0.0, 6.0)]
    assert fit_similarity(sets, 224) == pytest.approx((1.0, 0.0, 100.0, 0.0, 1.0, 50.0), abs=1e-4)


def test_the_fit_runs_from_template_to_picture() -> None:
    """On noisy points the other direction gives another scale; this is the one that AltFreezing was trained with."""
    rng = np.random.default_rng(3)
    noisy = template_points((2.0, 0.0, 0.0, 0.0, 2.0, 0.0)) + rng.normal(0, 12, (5, 2)).astype(np.float32)
    a, *_ = fit_similarity([noisy], 224)
    source, target = TEMPLATE_224, noisy.astype(np.float64)
    centred, aimed = source - source.mean(0), target - target.mean(0)
    # Umeyama's closed form for the same direction.
    expected = (centred * aimed).sum() / (centred**2).sum()
    assert a == pytest.approx(expected, rel=1e-4)
    inverse_scale = (aimed**2).sum() / (centred * aimed).sum()
    assert abs(a - inverse_scale) > 1e-3


def test_a_smaller_crop_uses_the_same_template_scaled() -> None:
    points = template_points((1.0, 0.0, 10.0, 0.0, 1.0, 20.0))
    assert fit_similarity([points], 112) == pytest.approx((2.0, 0.0, 10.0, 0.0, 2.0, 20.0), abs=1e-4)
