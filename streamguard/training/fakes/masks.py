"""Masks: which part of a face a forgery covers, and how softly. Drawn as polygons of mesh points, then blurred.

The regions are lists of the mesh's points in MediaPipe's numbering; "left" is left in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The outline of the face, clockwise from the forehead's middle."""
LEFT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
RIGHT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LEFT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
RIGHT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358, 48, 278)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
CHEEKS = (50, 101, 118, 205, 280, 330, 347, 425)
_FOREHEAD = (10, 338, 297, 332, 284, 251, 389, 162, 21, 54, 103, 67, 109)

REGIONS: dict[str, tuple[int, ...]] = {
    "face": OVAL,
    "inner": (*LEFT_BROW, *RIGHT_BROW, *LIPS, *CHEEKS, 199, 200),
    "lower": (*JAW, *NOSE[3:], *LIPS, 93, 323),
    "middle": (*LEFT_BROW, *RIGHT_BROW, *NOSE, *LEFT_EYE, *RIGHT_EYE),
    "mouth": (*LIPS, 164, 200, 57, 287),
    "eyes": (*LEFT_BROW, *RIGHT_BROW, *LEFT_EYE, *RIGHT_EYE),
}
FEATURES = (*LEFT_BROW, *RIGHT_BROW, *LEFT_EYE, *RIGHT_EYE, *NOSE, *LIPS, *JAW, *CHEEKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskShape:
    """How a region becomes a mask; one draw holds for a whole clip. Lengths are in face scales."""

    region: tuple[int, ...] = OVAL
    feather: float = 0.06
    """Standard deviation of the blur."""
    inside: float = 0.0
    """0: the soft edge lies about the outline, half of it outside. 1: all of it inside."""
    bulge: tuple[float, ...] = (0.0,)
    """Deforms the outline: waves round it, each a share of its radius."""
    forehead: float = 0.0
    """Raises the upper edge towards the hair line, a share of the face's height."""
    opacity: float = 1.0

    def draw(self, points: np.ndarray, size: tuple[int, int], face_px: float) -> Tensor:
        """(L, 1, height, width) float32, 0 to 1, for the points (L, 468, 2) of each frame."""
        outline = self.outline(points, face_px)
        sigma = self.feather * face_px
        low, high = 0.02 + 0.48 * self.inside, 0.98
        return soft_polygons(outline, size, sigma_px=sigma, low=low, high=high) * self.opacity

    def outline(self, points: np.ndarray, face_px: float) -> np.ndarray:
        """(L, N, 2): the polygon of each frame."""
        order = hull_order(points[len(points) // 2][list(self.region)])
        region = np.array(self.region)[order]
        outline = points[:, region].astype(np.float32)
        if self.forehead:
            up = points[:, 10] - points[:, 152]  # chin to forehead
            raised = np.isin(region, _FOREHEAD).astype(np.float32)
            outline = outline + self.forehead * raised[None, :, None] * up[:, None]
        middle = outline.mean(axis=1, keepdims=True)
        angle = np.linspace(0, 2 * np.pi, len(region), endpoint=False)
        waves = sum(
            (size * np.cos((k + 1) * angle + 7 * size * (k + 1)) for k, size in enumerate(self.bulge)),
            start=np.zeros(len(region)),
        )
        return middle + (outline - middle) * (1 + waves[None, :, None]).astype(np.float32)


def draw_shape(
    rng: np.random.Generator,
    *,
    regions: tuple[str, ...] = ("face",),
    feather: tuple[float, float] = (0.02, 0.12),
    inside: tuple[float, float] = (0.0, 1.0),
    bulge: float = 0.04,
    opacity: tuple[float, float] = (1.0, 1.0),
) -> MaskShape:
    region = REGIONS[regions[int(rng.integers(len(regions)))]]
    return MaskShape(
        region=region,
        feather=float(np.exp(rng.uniform(*np.log(feather)))),
        inside=float(rng.uniform(*inside)),
        bulge=tuple((bulge * rng.uniform(-1, 1, 4) / (1 + np.arange(4))).tolist()),
        forehead=float(rng.uniform(0, 0.15)) if region is OVAL and rng.random() < 0.4 else 0.0,
        opacity=float(rng.uniform(*opacity)),
    )


def hull_order(points: np.ndarray) -> np.ndarray:
    """Which of the points (N, 2) lie on their convex hull, in order round it (Andrew's monotone chain)."""
    order = np.lexsort((points[:, 1], points[:, 0])).tolist()

    def chain(indices: list[int]) -> list[int]:
        kept: list[int] = []
        for i in indices:
            while len(kept) > 1:
                (ax, ay), (bx, by), (cx, cy) = points[kept[-2]], points[kept[-1]], points[i]
                if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0:
                    break
                kept.pop()
            kept.append(i)
        return kept[:-1]

    return np.array(chain(order) + chain(order[::-1]))


def soft_polygons(
    outlines: np.ndarray, size: tuple[int, int], *, sigma_px: float, low: float = 0.02, high: float = 0.98
) -> Tensor:
    """Filled polygons (L, N, 2), blurred, and stretched so that `low` becomes 0 and `high` 1: (L, 1, height, width)."""
    reach = 3 * sigma_px + 2
    limit = np.array([size[1], size[0]])
    start = np.clip(np.floor(outlines.min(axis=(0, 1)) - reach), 0, limit - 8).astype(int)
    end = np.clip(np.ceil(outlines.max(axis=(0, 1)) + reach), start + 8, limit).astype(int)
    (left, top), (right, bottom) = start.tolist(), end.tolist()
    mask = torch.zeros(len(outlines), 1, *size)
    mask[:, :, top:bottom, left:right] = _soft(outlines - start, (bottom - top, right - left), sigma_px, low, high)
    return mask


def _soft(outlines: np.ndarray, size: tuple[int, int], sigma_px: float, low: float, high: float) -> Tensor:
    """(L, 1, height, width). A wide blur needs few pixels: it is drawn small and enlarged."""
    height, width = size
    shrink = max(1.0, sigma_px / 2)
    small = (max(8, round(height / shrink)), max(8, round(width / shrink)))
    scale = np.array([small[1] / width, small[0] / height])
    drawn = np.stack([_polygon(outline * scale, small) for outline in outlines])
    filled = torch.from_numpy(drawn)[:, None].float() / 255
    down, across = (_blur(side, sigma_px * side / whole) for side, whole in zip(small, size, strict=True))
    soft = down @ filled @ across.T
    # A small region blurred widely has no place that is wholly inside: then its middle counts as that.
    share = min(high, float(soft.max())) / high
    soft.sub_(share * low).div_(share * (high - low)).clamp_(0, 1)
    if small == size:
        return soft
    return functional.interpolate(soft, size=size, mode="bilinear", align_corners=False)


def _polygon(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(height, width) uint8, drawn at twice the size and averaged, so that its edge moves by less than a pixel."""
    image = Image.new("L", (2 * size[1], 2 * size[0]))
    ImageDraw.Draw(image).polygon([(2 * x - 0.5, 2 * y - 0.5) for x, y in outline.tolist()], fill=255)
    return np.asarray(image.reduce(2))


def _blur(side: int, sigma: float) -> Tensor:
    """(side, side): a Gaussian blur as a matrix; nothing is beyond the border."""
    i = torch.arange(side, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((i[:, None] - i[None]) / max(sigma, 0.3)) ** 2)
    return weights / weights[side // 2].sum()
