"""Self-blending: a face, slightly altered, blended into itself. Teaches the traces of blending and nothing of identity.

The idea is that of Shiohara and Yamasaki (Detecting Deepfakes with Self-Blended Images, 2022), carried to clips: with
one draw for the whole clip the trace is spatial, with parameters that change from frame to frame also temporal.
"""

from __future__ import annotations

import numpy as np

from ..tiles import Tiles
from .inset import cut
from .looks import draw_tint, mix_maps, recolour, sharpen, soften
from .masks import FEATURES, draw_shape
from .rhythm import draw_series, draw_strength, steady
from .warp import draw_pushes, similarity_field, warp


def self_blend(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """One draw for the whole clip."""
    return _blend(tiles, rng, np.stack([steady(len(tiles))] * 6))


def self_blend_frames(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """What differs, changes over the clip: each of place, size, turn, colour, sharpness and geometry in its own way."""
    return _blend(tiles, rng, np.concatenate([draw_series(rng, len(tiles), 3), draw_series(rng, len(tiles), 3)]))


def _blend(tiles: Tiles, rng: np.random.Generator, series: np.ndarray) -> tuple[Tiles, np.ndarray]:
    strength = draw_strength(rng)
    inset = cut(tiles, 0.3)
    moves = rng.random() < 0.8
    geometry = strength if moves else 0.0
    angle = rng.uniform(0, 2 * np.pi)
    shift = geometry * 0.035 * inset.face_px * rng.uniform(0.3, 1.0) * np.array([np.cos(angle), np.sin(angle)])
    field = similarity_field(
        inset.points.mean(axis=1),
        inset.size,
        scales=np.exp(geometry * rng.uniform(-0.05, 0.05) * series[1]),
        turns_rad=geometry * rng.uniform(-0.04, 0.04) * series[2],
        shifts=series[0][:, None] * shift,
    )
    if rng.random() < 0.5:
        pushes = draw_pushes(rng, FEATURES, most=0.05 * geometry)
        field += pushes.field(inset.points, inset.size, inset.face_px, series[5])
    inner = warp(inset.pixels, field, inset.size, sharp=rng.random() < 0.3) if moves else inset.pixels
    if rng.random() < 0.8 or not moves:
        inner = recolour(inner, mix_maps(draw_tint(rng, strength), np.clip(series[3], -1.3, 1.3)))
    texture = rng.random()
    if texture < 0.35:
        inner = soften(inner, 1.15 + 1.2 * strength * rng.random())
    elif texture < 0.65:
        inner = sharpen(inner, 1.2 * strength * rng.random())
    shape = draw_shape(
        rng, regions=("face", "face", "inner", "lower", "middle", "mouth", "eyes"), opacity=(0.6, 1.0), bulge=0.07
    )
    return inset.paste(inner, shape.draw(inset.points, inset.size, inset.face_px))
