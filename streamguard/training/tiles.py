"""What training alters and crops: a stretch of one face's patches as pixels of one still square, and its mesh in them.

A tile is wider than the crop and about as sharp as its source, so that forgeries and codecs work as they would on the
video itself. Pseudo-fakes and degradations take Tiles and give Tiles; `augment.crop_tiles` cuts what a network sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from ..values import Box, Patch

TILE_SPAN = 2.6
"""A tile's side in face scales. Crops of up to 2 face scales stay inside while the face is a third of a scale off."""
MOST_TILE_PX = 288
"""Larger tiles are reduced to this: 1.4 times the resolution of a crop of 112 px and 1.4 face scales."""

SPARE = 1.1
"""Share of a tile's side that may be left out so that its pixels are the source's own."""


class FacePatches(Protocol):
    """One face generation on its grid: a cached track (`data.tracks.Track`), or a list of patches in tests."""

    def patch(self, index: int) -> Patch: ...

    def mesh(self, index: int) -> np.ndarray: ...  # (468, 2) float32, pixels of the source picture


@dataclass(slots=True, kw_only=True, eq=False)
class Tiles:
    """A clip of one face. Functions of it never write into its arrays."""

    pixels: np.ndarray  # (L, P, P, 3) uint8 RGB, P even
    points: np.ndarray  # (L, 468, 2) float32, the mesh's points in pixels of the tile
    face_px: float
    """The face's scale, the square root of its box's area, in pixels of the tile."""
    key: str = ""
    """Which footage it is of."""
    group: str = ""
    """People tied together."""
    label: Literal["real", "fake"] = "real"
    still: bool = False
    """All frames are one picture, which only a camera moves (`fakes.shaken`)."""
    inside: tuple[int, int, int, int] | None = None
    """x0, y0, x1, y1: what the source's picture reaches of the tile in all frames, where that is not all of it. Beyond,
    its edge is repeated."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side_px(self) -> int:
        return int(self.pixels.shape[1])

    def frames(self, order: np.ndarray) -> Tiles:
        """These of its frames, in this order; a frame may come again."""
        return replace(self, pixels=self.pixels[order], points=self.points[order])

    def __repr__(self) -> str:
        return f"Tiles({len(self)} x {self.side_px} px of {self.key or 'nobody'}, face {self.face_px:.0f} px)"


def tiles_of(
    track: FacePatches,
    start: int,
    length: int,
    step: int,
    *,
    span: float = TILE_SPAN,
    most_px: int = MOST_TILE_PX,
    key: str = "",
    group: str = "",
    label: Literal["real", "fake"] = "real",
) -> Tiles:
    """`length` patches of a track from `start`, every `step`-th, through one square about where the face was.

    Where patches are not reduced and the tile need not be, its pixels are the source's own.
    """
    indices = range(start, start + length * step, step)
    meshes = [np.asarray(track.mesh(i), np.float32) for i in indices]
    boxes = [box_of(mesh) for mesh in meshes]
    scale = float(np.median([box.scale for box in boxes]))
    patches = [track.patch(i) for i in indices]
    reduction = max(patch.reduction for patch in patches)
    pixels = 2 * max(8, round(span * scale / (2 * reduction)))
    tile_px = most_px // 2 * 2
    if pixels <= SPARE * tile_px:  # a little narrower rather than resampled by a little, which blurs
        pixels = tile_px = min(pixels, tile_px)
    side_px = float(pixels * reduction)  # of the source
    centres = np.array([box.centre for box in boxes])
    middle = (centres.min(axis=0) + centres.max(axis=0)) / 2
    x0, y0 = (2 * np.round((middle - side_px / 2) / 2)).tolist()
    square = Box(x0, y0, x0 + side_px, y0 + side_px)
    ratio = tile_px / side_px
    return Tiles(
        pixels=np.stack([_cut(patch, square, tile_px) for patch in patches]),
        points=np.stack([(mesh[:, :2] - (x0, y0)) * ratio for mesh in meshes]).astype(np.float32),
        face_px=scale * ratio,
        key=key,
        group=group,
        label=label,
        inside=_inside(patches, square, tile_px),
    )


def _inside(patches: list[Patch], square: Box, tile_px: int) -> tuple[int, int, int, int] | None:
    ratio = tile_px / square.width
    starts = np.array([patch.origin_px for patch in patches])
    sizes = np.array(
        [(patch.picture.width * patch.reduction, patch.picture.height * patch.reduction) for patch in patches]
    )
    low = np.ceil((starts.max(axis=0) - (square.x0, square.y0)) * ratio)
    high = np.floor(((starts + sizes).min(axis=0) - (square.x0, square.y0)) * ratio)
    x0, y0 = np.clip(low, 0, tile_px - 1).astype(int).tolist()
    x1, y1 = np.clip(high, (x0 + 1, y0 + 1), tile_px).astype(int).tolist()
    return None if (x0, y0, x1, y1) == (0, 0, tile_px, tile_px) else (x0, y0, x1, y1)


def box_of(points: np.ndarray) -> Box:
    """The bounding box of a mesh (N, 2): what the tracker calls the face's box."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _cut(patch: Patch, square: Box, size_px: int) -> np.ndarray:
    moved = square.moved(-patch.origin_px[0], -patch.origin_px[1])
    region = (
        moved.x0 / patch.reduction,
        moved.y0 / patch.reduction,
        moved.x1 / patch.reduction,
        moved.y1 / patch.reduction,
    )
    return patch.picture.rgb_region(region, (size_px, size_px))
