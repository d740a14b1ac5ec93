"""Heat maps as people see them: colours whose order the eye knows, laid over the square of the picture that they cover.

The square turns grey; what is little stays so, what is much glows, and the face remains visible. A map shows where a
network found something, and not whether that is a forgery: `CAUTION` stands beside each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from ..values import Box, HeatMaps

HeatKind = Literal["both", "motion", "anomaly"]
"""both: of each place the map that says more."""

KIND_WORDS: dict[HeatKind, str] = {
    "both": "where the network finds motion inconsistent, or an anomaly",
    "motion": "where the network finds motion inconsistent",
    "anomaly": "where the network finds an anomaly",
}
CAUTION = "An aid for looking, no proof."
AGAINST_ITSELF = "each clip against itself"
"""Where maps of different clips cannot be compared."""

_SINGLE: tuple[HeatKind, ...] = ("motion", "anomaly")

OPACITY = 0.7
"""Of the hottest place."""

# From dark violet over red to light yellow, in OKLCH (B. Ottosson, A perceptual color space for image processing,
# 2020): lightness grows evenly, so that it can be seen which is more, on any screen, in grey, and by the colour-blind.
_LIGHTNESS, _HUE_DEG = (0.25, 0.95), (300.0, 465.0)
_CHROMA = (0.09, 0.17, 0.17, 0.12)
"""Along the way."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """A map over the square of the source picture that it covers."""

    square_px: Box
    cells: np.ndarray  # (h, w) uint8
    kind: HeatKind
    comparable: bool


def overlay_of(maps: HeatMaps, kind: HeatKind, *, then: Box, now: Box) -> Overlay | None:
    """That map, or the other if there is only that; it follows the face from its box then to its box now."""
    for each in (kind, *_SINGLE):
        cells = cells_of(maps, each)
        if cells is not None:
            square = _following(maps.square_px, then, now)
            return Overlay(square_px=square, cells=cells, kind=each, comparable=maps.comparable)
    return None


def cells_of(maps: HeatMaps, kind: HeatKind) -> np.ndarray | None:
    """(h, w) uint8; None if the network has no such map, or not both."""
    if kind == "both":
        motion, anomaly = cells_of(maps, "motion"), cells_of(maps, "anomaly")
        return None if motion is None or anomaly is None else np.maximum(motion, anomaly)
    cells = maps.motion if kind == "motion" else maps.anomaly
    return None if cells is None else np.frombuffer(cells, np.uint8).reshape(maps.height, maps.width)


def lay_over(image: Image.Image, square: Box, cells: np.ndarray) -> None:
    """Draw a map (h, w) uint8 onto `image`, over a square of it that may leave it."""
    left, top = max(0, round(square.x0)), max(0, round(square.y0))
    right, bottom = min(image.width, round(square.x1)), min(image.height, round(square.y1))
    if left >= right or top >= bottom:
        return
    height, width = cells.shape
    across, down = width / square.width, height / square.height  # cells a pixel
    inner = (
        max(0.0, (left - square.x0) * across),
        max(0.0, (top - square.y0) * down),
        min(float(width), (right - square.x0) * across),
        min(float(height), (bottom - square.y0) * down),
    )
    smooth = Image.fromarray(cells).resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=inner)
    values = np.asarray(smooth)
    place = (left, top, right, bottom)
    image.paste(_dimmed(image.crop(place)), place)
    opacity = Image.fromarray(np.rint(OPACITY * values).astype(np.uint8))
    image.paste(Image.fromarray(colours()[values]), place, opacity)


def _dimmed(image: Image.Image) -> Image.Image:
    """Nearly grey and darker, so that the map's colours are not mistaken for the picture's."""
    grey = image.convert("L").point(lambda value: round(0.75 * value)).convert("RGB")
    return Image.blend(image, grey, 0.75)


@lru_cache(maxsize=1)
def colours() -> np.ndarray:
    """(256, 3) uint8 RGB: what a byte of a map looks like."""
    share = np.linspace(0, 1, 256)
    lightness = _LIGHTNESS[0] + share * (_LIGHTNESS[1] - _LIGHTNESS[0])
    chroma = np.interp(share, np.linspace(0, 1, len(_CHROMA)), _CHROMA)
    hue = np.radians(_HUE_DEG[0] + share * (_HUE_DEG[1] - _HUE_DEG[0]))
    return _rgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))


def _rgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """OKLab (N,) each to sRGB (N, 3) uint8; what no screen can show is clipped."""
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_linear @ cones**3, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * curved.T).astype(np.uint8)


def _following(square: Box, then: Box, now: Box) -> Box:
    """The square goes where its face went since, and grows with it."""
    if then.scale <= 0:
        return square
    scale = now.scale / then.scale
    (x, y), (then_x, then_y), (now_x, now_y) = square.centre, then.centre, now.centre
    x, y = now_x + scale * (x - then_x), now_y + scale * (y - then_y)
    half_width, half_height = scale * square.width / 2, scale * square.height / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)
