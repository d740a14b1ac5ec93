"""One picture's pixels: 8-bit 4:2:0 planes, as nearly every camera and codec sends them, and the ways out of them.

Sources make Pictures; detectors and crop recipes ask them for RGB of just the region and size they need, so that no
full-size RGB image is ever made. All scaling and colour conversion of the package is here, so training, live and
offline see the same pixels. Coordinates are pixels of the picture: (0, 0) is the outer corner of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from .errors import PictureError

Matrix = Literal["bt601", "bt709", "bt2020"]

MAX_SIDE_PX = 16384
"""Wider or higher than this is refused: no camera sends it, and it would be 400 MB a frame."""

# Luma weights (red, blue) of each standard: ITU-R BT.601-7, BT.709-6, BT.2020-2.
_LUMA_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}

Affine = tuple[float, float, float, float, float, float]
"""Output to picture: x_picture = a*x + b*y + c; y_picture = d*x + e*y + f, both in pixel-corner coordinates."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """One picture: three planes of bytes, and how they mean colours."""

    y: np.ndarray  # (H, W) uint8, rows may be padded
    u: np.ndarray  # (ceil(H/2), ceil(W/2)) uint8
    v: np.ndarray  # (ceil(H/2), ceil(W/2)) uint8
    matrix: Matrix
    full_range: bool
    """True: 0..255 (JPEG, webcams). False: 16..235 (video)."""

    def __post_init__(self) -> None:
        height, width = self.y.shape
        half = ((height + 1) // 2, (width + 1) // 2)
        if self.u.shape != half or self.v.shape != half:
            raise PictureError(f"chroma planes of a {width}x{height} picture must be {half}, not {self.u.shape}")
        if not 0 < width <= MAX_SIDE_PX or not 0 < height <= MAX_SIDE_PX:
            raise PictureError(f"a picture of {width}x{height} pixels: each side must be 1 to {MAX_SIDE_PX}")

    def __repr__(self) -> str:
        return f"Picture({self.width}x{self.height}, {self.matrix}, {'full' if self.full_range else 'video'} range)"

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def nbytes(self) -> int:
        return int(self.y.size + self.u.size + self.v.size)

    @classmethod
    def from_rgb(cls, rgb: np.ndarray) -> Picture:
        """From (H, W, 3) uint8 RGB. Chroma is averaged over 2x2 pixels, as any video encoder would do."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise PictureError(f"RGB must be (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
        if not 0 < rgb.shape[0] <= MAX_SIDE_PX or not 0 < rgb.shape[1] <= MAX_SIDE_PX:
            raise PictureError(f"a picture of shape {rgb.shape}: each side must be 1 to {MAX_SIDE_PX}")
        y, u, v = Image.fromarray(np.ascontiguousarray(rgb)).convert("YCbCr").split()
        return cls(
            y=np.asarray(y), u=np.asarray(u.reduce(2)), v=np.asarray(v.reduce(2)), matrix="bt601", full_range=True
        )

    def rgb(self) -> np.ndarray:
        """The whole picture as (H, W, 3) uint8 RGB. For people to look at; the pipeline never asks for it."""
        return self.rgb_region((0.0, 0.0, float(self.width), float(self.height)), (self.width, self.height))

    def region(self, x0: int, y0: int, x1: int, y1: int) -> Picture:
        """A copy of the pixels in [x0, x1) x [y0, y1), which must lie inside and start on even pixels."""
        assert (x0 % 2, y0 % 2) == (0, 0), "chroma is stored for every second pixel"
        assert 0 <= x0 < x1 <= self.width
        assert 0 <= y0 < y1 <= self.height
        cx1, cy1 = (x1 + 1) // 2, (y1 + 1) // 2
        return Picture(
            y=self.y[y0:y1, x0:x1].copy(),
            u=self.u[y0 // 2 : cy1, x0 // 2 : cx1].copy(),
            v=self.v[y0 // 2 : cy1, x0 // 2 : cx1].copy(),
            matrix=self.matrix,
            full_range=self.full_range,
        )

    def reduced(self, factor: int) -> Picture:
        """Each block of factor x factor pixels becomes their mean."""
        if factor == 1:
            return self
        y = _image(self.y).reduce(factor)
        half = ((y.width + 1) // 2, (y.height + 1) // 2)
        u, v = (_reduced_to(_image(plane), factor, half) for plane in (self.u, self.v))
        return Picture(
            y=np.asarray(y), u=np.asarray(u), v=np.asarray(v), matrix=self.matrix, full_range=self.full_range
        )

    def turned(self, quarter_turns: int) -> Picture:
        """Turned counter-clockwise by 90 degrees, `quarter_turns` times (a phone held upright)."""
        if quarter_turns % 4 == 0:
            return self
        y, u, v = (np.ascontiguousarray(np.rot90(plane, quarter_turns)) for plane in (self.y, self.u, self.v))
        return Picture(y=y, u=u, v=v, matrix=self.matrix, full_range=self.full_range)

    def rgb_region(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
        """The region (x0, y0, x1, y1) as (height, width, 3) uint8 RGB of `size` (width, height), antialiased.

        Beyond the border the edge is replicated.
        """
        planes = [_resized(self.y, box, size)]
        half = (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2)
        planes += [_resized(plane, half, size) for plane in (self.u, self.v)]
        return self._to_rgb(planes)

    def rgb_warped(self, affine: Affine, size: tuple[int, int]) -> np.ndarray:
        """The picture seen through an affine map, as (height, width, 3) uint8 RGB of `size` (width, height).

        Antialiased when it shrinks; beyond the border the edge is replicated.
        """
        a, b, c, d, e, f = affine
        planes = [_warped(self.y, affine, size)]
        half = (a / 2, b / 2, c / 2, d / 2, e / 2, f / 2)
        planes += [_warped(plane, half, size) for plane in (self.u, self.v)]
        return self._to_rgb(planes)

    def _to_rgb(self, planes: list[Image.Image]) -> np.ndarray:
        return np.asarray(Image.merge("RGB", planes).convert("RGB", _rgb_matrix(self.matrix, self.full_range)))


def resize_rgb(rgb: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """A region of (H, W, 3) uint8 RGB at `size` (width, height), by the same resampling as `Picture.rgb_region`.

    For pixels that are RGB already, as the tiles that training alters: another way through 4:2:0 would blur colours.
    """
    return np.stack([np.asarray(_resized(rgb[..., channel], box, size)) for channel in range(3)], axis=-1)


@lru_cache
def _rgb_matrix(matrix: Matrix, full_range: bool) -> tuple[float, ...]:
    """The 3x4 matrix from (Y, Cb, Cr) bytes to (R, G, B) bytes."""
    red, blue = _LUMA_WEIGHTS[matrix]
    green = 1.0 - red - blue
    luma_gain, luma_zero = (1.0, 0.0) if full_range else (255.0 / 219.0, 16.0)
    chroma_gain = 1.0 if full_range else 255.0 / 224.0
    rows = (
        (0.0, 2.0 * (1.0 - red)),
        (-2.0 * blue * (1.0 - blue) / green, -2.0 * red * (1.0 - red) / green),
        (2.0 * (1.0 - blue), 0.0),
    )
    out: list[float] = []
    for cb, cr in rows:
        cb, cr = cb * chroma_gain, cr * chroma_gain
        out += [luma_gain, cb, cr, -luma_gain * luma_zero - 128.0 * (cb + cr)]
    return tuple(out)


def _image(plane: np.ndarray) -> Image.Image:
    """A Pillow view of a plane; copied only if its rows are padded."""
    return Image.fromarray(np.ascontiguousarray(plane))


def _reduced_to(image: Image.Image, factor: int, size: tuple[int, int]) -> Image.Image:
    """Reduced by `factor`; where rounding of odd sizes leaves one row or column too many or few, resized to `size`."""
    reduced = image.reduce(factor)
    return reduced if reduced.size == size else reduced.resize(size, Image.Resampling.BILINEAR)


def _resized(plane: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """A region of one plane at `size`; only the pixels under the region (and its filter's margin) are touched."""
    x0, y0, x1, y1 = box
    assert x1 > x0, "an empty region"
    assert y1 > y0, "an empty region"
    shrink = max(1.0, (x1 - x0) / size[0], (y1 - y0) / size[1])
    # A large shrink first averages whole blocks: cheap, and the filter that follows still spans two of them.
    factor = max(1, int(min((x1 - x0) / size[0], (y1 - y0) / size[1]) / 2))
    margin = 2 * int(np.ceil(shrink)) + 2 * factor
    part, left, top = _padded_part(plane, x0 - margin, y0 - margin, x1 + margin, y1 + margin)
    image = _image(part)
    if factor > 1:
        image = image.reduce(factor)
    inner = ((x0 - left) / factor, (y0 - top) / factor, (x1 - left) / factor, (y1 - top) / factor)
    return image.resize(size, Image.Resampling.BILINEAR, box=inner)


def _warped(plane: np.ndarray, affine: Affine, size: tuple[int, int]) -> Image.Image:
    """One plane through an affine map; shrunk first (antialiased), so that the warp itself hardly shrinks."""
    a, b, c, d, e, f = affine
    width, height = size
    corners_x = [c, c + a * width, c + b * height, c + a * width + b * height]
    corners_y = [f, f + d * width, f + e * height, f + d * width + e * height]
    part, left, top = _padded_part(
        plane, min(corners_x) - 4, min(corners_y) - 4, max(corners_x) + 4, max(corners_y) + 4
    )
    image = _image(part)
    shrink = float(np.sqrt(abs(a * e - b * d)))
    if shrink > 1.0:
        small = (max(1, round(image.width / shrink)), max(1, round(image.height / shrink)))
        scale_x, scale_y = image.width / small[0], image.height / small[1]
        image = image.resize(small, Image.Resampling.BILINEAR, reducing_gap=2.0)
    else:
        scale_x = scale_y = 1.0
    data = (a / scale_x, b / scale_x, (c - left) / scale_x, d / scale_y, e / scale_y, (f - top) / scale_y)
    return image.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)


def _padded_part(plane: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> tuple[np.ndarray, int, int]:
    """The pixels that cover a region, with edges replicated where it leaves the plane, and its left and top."""
    height, width = plane.shape
    left, top = int(np.floor(x0)), int(np.floor(y0))
    right, bottom = int(np.ceil(x1)), int(np.ceil(y1))
    inside = plane[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return inside, left, top
    if inside.size > 0:  # np.pad is many times faster than picking pixels by index, but needs something to repeat
        beyond = ((max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)))
        return np.pad(inside, beyond, mode="edge"), left, top
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    return plane[rows[:, None], columns[None, :]], left, top
