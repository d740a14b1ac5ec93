"""From a frame and a face to a patch, and from patches to the pixels that a network sees.

Two recipes. `square` (GML): a square of side span*sqrt(w*h) that stays put while the face stays near its middle.
`similarity` (AltFreezing): one similarity transform for the whole window, fitted to all its five-point sets at once.
Training uses this very code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .picture import Affine, Picture
from .values import Box, Face, Patch

PATCH_SPAN = 3.4
"""A patch's side in face scales. The square is at most 2 wide; its face may be 1.25 times smaller or larger and a sixth
of the square's side off centre: 2 * 1.25 + 2 * 1.25 / 3 = 3.33. Of a narrower square, more of what is round it is kept:
so what was cut for one span serves every other."""

SQUARE_SPAN = 2.0
"""The widest square, and GML's."""
RESCALE = 1.25

# AltFreezing's template for a 224 px crop: left eye, right eye, nose, left and right mouth corner, as in the picture.
TEMPLATE_224 = np.array(
    [[75.101, 75.057], [147.922, 73.796], [111.627, 119.876], [79.359, 152.864], [146.394, 151.702]], np.float64
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Where the `square` recipe looks, in pixels of the source picture."""

    centre_px: tuple[float, float]
    side_px: float

    @property
    def box(self) -> Box:
        (x, y), half = self.centre_px, self.side_px / 2
        return Box(x - half, y - half, x + half, y + half)


def cut_patch(
    picture: Picture,
    face: Face,
    *,
    pts_s: float,
    grid_index: int,
    size_px: int,
    arrival_s: float,
    span: float = SQUARE_SPAN,
) -> Patch:
    """Copy the pixels around a face; a very large face is reduced by a whole factor first, to bound memory.

    The reduced patch still has at least twice the crop's resolution, so that the blur of averaging whole blocks hardly
    adds to the crop's own antialiasing. No patch is larger than 13.6 / span crops on a side.
    """
    reduction = max(1, int(span * face.box_px.scale / (2 * size_px)))
    half = face.box_px.scale * PATCH_SPAN / 2
    x, y = face.box_px.centre
    x0, x1 = _aligned(x - half, x + half, picture.width, 2 * reduction)
    y0, y1 = _aligned(y - half, y + half, picture.height, 2 * reduction)
    return Patch(
        face=face,
        pts_s=pts_s,
        grid_index=grid_index,
        picture=picture.region(x0, y0, x1, y1).reduced(reduction),
        origin_px=(x0, y0),
        reduction=reduction,
        arrival_s=arrival_s,
    )


def _aligned(low: float, high: float, limit: int, step: int) -> tuple[int, int]:
    """Whole, even ends inside 0..limit, a multiple of `step` apart wherever the border allows it."""
    start = max(0, min(int(low) // 2 * 2, (limit - 1) // 2 * 2))
    length = -(-max(2, int(np.ceil(high)) - start) // step) * step
    return start, min(limit, start + length)


def square_round(box_px: Box, span: float = SQUARE_SPAN) -> Square:
    """The face in its middle."""
    return Square(centre_px=box_px.centre, side_px=span * box_px.scale)


def follow_square(square: Square | None, box_px: Box, span: float = SQUARE_SPAN) -> Square:
    """The same square as long as the face stays in its middle third and near its size; else a new one."""
    if square is not None and _still_fits(square, box_px, span):
        return square
    return square_round(box_px, span)


def _still_fits(square: Square, box_px: Box, span: float) -> bool:
    third = square.side_px / 6
    x, y = box_px.centre
    near = abs(x - square.centre_px[0]) <= third and abs(y - square.centre_px[1]) <= third
    ratio = span * box_px.scale / square.side_px
    return near and 1 / RESCALE <= ratio <= RESCALE


def crop_square(patch: Patch, square: Square, size_px: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB of the square."""
    x0, y0 = patch.origin_px
    moved = square.box.moved(-x0, -y0)
    region = tuple(side / patch.reduction for side in moved)
    return patch.picture.rgb_region((region[0], region[1], region[2], region[3]), (size_px, size_px))


def padded_share(patch: Patch, square: Square) -> float:
    """The share of the square for which the patch has no pixels (beyond the picture's border, mostly)."""
    x0, y0 = patch.origin_px
    width, height = patch.picture.width * patch.reduction, patch.picture.height * patch.reduction
    return 1.0 - square.box.moved(-x0, -y0).share_inside(width, height)


def fit_similarity(points_px: Sequence[np.ndarray], size_px: int) -> Affine:
    """Crop to picture: the similarity that takes the template nearest to all the point sets, in least squares.

    The direction matters: fitting picture to template and inverting gives another scale on noisy points
    (AltFreezing solves template to picture; ours is the map that a warp needs, so nothing is inverted).
    """
    template = np.tile(TEMPLATE_224 * (size_px / 224.0), (len(points_px), 1))
    target = np.concatenate([np.asarray(points, np.float64) for points in points_px])
    x, y = template[:, 0], template[:, 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    # u = a*x - b*y + c and v = b*x + a*y + d, stacked for all points.
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, c, d), *_ = np.linalg.lstsq(rows, np.concatenate([target[:, 0], target[:, 1]]), rcond=None)
    return float(a), float(-b), float(c), float(b), float(a), float(d)


def square_of(affine: Affine, size_px: int) -> Square:
    """The upright square of the size and at the place that a similarity looks at."""
    a, b, c, d, e, f = affine
    half = size_px / 2
    side_px = size_px * float(np.hypot(a, d))
    return Square(centre_px=(a * half + b * half + c, d * half + e * half + f), side_px=side_px)


def crop_similarity(patch: Patch, affine: Affine, size_px: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB through a crop-to-picture similarity."""
    a, b, c, d, e, f = affine
    x0, y0 = patch.origin_px
    scale = 1.0 / patch.reduction
    inner = (a * scale, b * scale, (c - x0) * scale, d * scale, e * scale, (f - y0) * scale)
    return patch.picture.rgb_warped(inner, (size_px, size_px))
