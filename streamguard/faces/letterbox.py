"""A region of a picture fitted into a network's square, undistorted, and the way back. Called by the detectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..picture import Picture
from ..values import Box


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Letterbox:
    """What a network sees. Its pixel (x, y) lies at (x * x_scale + x0_px, y * y_scale + y0_px) of the picture."""

    pixels: np.ndarray  # (1, side, side, 3) uint8 RGB, black beside the region
    x_scale: float
    y_scale: float
    """Equal to `x_scale` but for the rounding to whole pixels."""
    x0_px: float
    y0_px: float

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) network pixels to picture pixels."""
        return points * (self.x_scale, self.y_scale) + (self.x0_px, self.y0_px)


def letterbox(picture: Picture, region_px: Box | None, side: int, *, centred: bool = True) -> Letterbox | None:
    """The region (None: everything) as large as fits into the square. None if nothing of it is inside the picture."""
    whole = Box(0.0, 0.0, float(picture.width), float(picture.height))
    region = whole if region_px is None else _common(region_px, whole)
    if region.width < 1.0 or region.height < 1.0:
        return None
    scale = side / max(region.width, region.height)
    width, height = max(1, round(region.width * scale)), max(1, round(region.height * scale))
    left, top = ((side - width) // 2, (side - height) // 2) if centred else (0, 0)
    pixels = np.zeros((1, side, side, 3), np.uint8)
    pixels[0, top : top + height, left : left + width] = picture.rgb_region(region, (width, height))
    x_scale, y_scale = region.width / width, region.height / height
    return Letterbox(
        pixels=pixels,
        x_scale=x_scale,
        y_scale=y_scale,
        x0_px=region.x0 - left * x_scale,
        y0_px=region.y0 - top * y_scale,
    )


def _common(one: Box, other: Box) -> Box:
    return Box(max(one.x0, other.x0), max(one.y0, other.y0), min(one.x1, other.x1), min(one.y1, other.y1))
