"""A face that is rendered anew in each frame: its colours, sharpness and geometry flicker inside the mask."""

from __future__ import annotations

import numpy as np
import torch

from ..tiles import Tiles
from .inset import cut
from .looks import draw_tint, mix_maps, recolour, soften
from .masks import FEATURES, draw_shape
from .rhythm import draw_series, draw_strength
from .warp import draw_pushes, similarity_field, warp


def flicker(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """One, two or all three of them. A clip of one frame has nothing to flicker, and only shows the frame's draw."""
    strength = draw_strength(rng)
    length = len(tiles)
    inset = cut(tiles, 0.3)
    flickers = set(rng.choice(["colour", "sharpness", "geometry"], int(rng.integers(1, 4)), replace=False).tolist())
    inner = inset.pixels
    if "geometry" in flickers:
        inner = warp(inner, _trembling(inset.points, inset.size, inset.face_px, strength, rng), inset.size, sharp=True)
    if "colour" in flickers:
        first, second = draw_series(rng, length, 2)
        maps = mix_maps(draw_tint(rng, 0.6 * strength), np.clip(first, -1.5, 1.5))
        inner = recolour(inner, maps + mix_maps(draw_tint(rng, 0.3 * strength), second) - np.eye(3, 4))
    if "sharpness" in flickers:
        blurred = soften(inner, 1.3 + 1.5 * strength)
        share = torch.from_numpy(draw_series(rng, length)[0].astype(np.float32)).clamp(-1, 1.5)[:, None, None, None]
        inner = torch.lerp(inner, blurred, share.expand_as(inner))  # below 0 it sharpens
    shape = draw_shape(
        rng, regions=("face", "face", "inner", "lower", "middle", "mouth"), feather=(0.02, 0.12), opacity=(0.8, 1.0)
    )
    return inset.paste(inner, shape.draw(inset.points, inset.size, inset.face_px))


def _trembling(
    points: np.ndarray, size: tuple[int, int], face_px: float, strength: float, rng: np.random.Generator
) -> torch.Tensor:
    series = draw_series(rng, len(points), 5)
    pushes = draw_pushes(rng, FEATURES, most=0.025 * strength)
    field = similarity_field(
        points.mean(axis=1),
        size,
        scales=np.exp(0.012 * strength * series[0]),
        turns_rad=0.012 * strength * series[1],
        shifts=0.012 * strength * face_px * series[2:4].T,
    )
    return field + pushes.field(points, size, face_px, series[4])
