"""The part of a clip that a forgery changes: cut out of the tiles as floats, and laid back over them through a mask.

Working on the face's surroundings only, instead of whole tiles, is what makes pseudo-fakes cheap enough to be made
beside training. Outside the mask the pixels that come back are the very ones that went in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..tiles import Tiles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inset:
    """A rectangle of all frames of a clip, wide enough for the face wherever it goes."""

    tiles: Tiles
    left: int
    top: int
    pixels: Tensor  # (L, 3, h, w) float32, 0 to 255
    points: np.ndarray  # (L, 468, 2) float32, pixels of the inset
    face_px: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.pixels.shape[2]), int(self.pixels.shape[3])

    def paste(self, changed: Tensor, alpha: Tensor) -> tuple[Tiles, np.ndarray]:
        """The clip with `changed` (L, 3, h, w), which is used up, laid over it as `alpha` (L, 1, h, w), 0 to 1, says.

        Also gives the mask of whole tiles, (L, P, P) float32.
        """
        return self.put(self.blended(changed, alpha), alpha)

    def blended(self, changed: Tensor, alpha: Tensor) -> Tensor:
        """`changed` over the inset's pixels, as much as `alpha` says; in place of `changed`."""
        return changed.lerp_(self.pixels, (1 - alpha).expand_as(changed))

    def put(self, blended: Tensor, mask: Tensor) -> tuple[Tiles, np.ndarray]:
        """The clip with `blended` in its place, which is the inset's own pixels wherever `mask` is 0."""
        height, width = self.size
        part = np.s_[:, self.top : self.top + height, self.left : self.left + width]
        pixels = self.tiles.pixels.copy()
        as_bytes(blended, pixels[part])
        whole = np.zeros(pixels.shape[:3], np.float32)
        whole[part] = mask[:, 0].numpy()
        return replace(self.tiles, pixels=pixels, label="fake"), whole


def cut(tiles: Tiles, margin: float) -> Inset:
    """Everything within `margin` face scales of the face's points in any frame, as far as the tile reaches."""
    reach = margin * tiles.face_px
    low = np.floor(tiles.points.min(axis=(0, 1)) - reach)
    high = np.ceil(tiles.points.max(axis=(0, 1)) + reach)
    side = tiles.side_px
    # A face may leave its tile; an inset always has some pixels.
    left, top = (int(np.clip(v, 0, side - 16)) for v in low)
    right, bottom = (int(np.clip(v, start + 16, side)) for v, start in zip(high, (left, top), strict=True))
    return Inset(
        tiles=tiles,
        left=left,
        top=top,
        pixels=as_floats(tiles.pixels[:, top:bottom, left:right]),
        points=tiles.points - np.array([left, top], np.float32),
        face_px=tiles.face_px,
    )


def as_floats(pixels: np.ndarray) -> Tensor:
    """(L, h, w, 3) uint8 to (L, 3, h, w) float32, 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()


def as_bytes(pixels: Tensor, out: np.ndarray) -> None:
    """(L, 3, h, w) float32, which is used up, rounded into (L, h, w, 3) uint8."""
    for frame, levels in zip(pixels, out, strict=True):
        levels[:] = frame.add_(0.5).clamp_(0, 255).byte().permute(1, 2, 0).numpy()
