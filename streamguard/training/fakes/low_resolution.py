"""The inner face of common 128 px swappers: rendered small, and enlarged into the picture."""

from __future__ import annotations

import numpy as np

from ..tiles import Tiles
from .aligned import align, misplaced
from .inset import cut
from .looks import draw_tint, recolour, sharpen, smooth_skin, through
from .masks import draw_shape
from .rhythm import draw_series, draw_strength


def low_resolution(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """Through 64 to 160 px, or through as much fewer as a small face needs for it to be seen at all."""
    inset = cut(tiles, 0.3)
    model_px = int(rng.choice([64, 80, 96, 112, 128, 128, 160]))
    pixels_left = min(model_px / 1.5, inset.face_px * rng.uniform(0.4, 0.95))  # across the face
    if rng.random() < 0.6:
        # As programs do it: cut out along the face without antialiasing, and laid back the same way.
        alignment = align(inset, max(24, round(1.5 * pixels_left)))
        small = alignment.view(inset.pixels, pushes=None, points=inset.points, sharp=rng.random() < 0.3)
        if rng.random() < 0.4:
            small = smooth_skin(small, rng.uniform(1, 5), factor=2.0)
        length = len(tiles)
        wander = draw_series(rng, length, 2) * rng.uniform(0, 0.006) if rng.random() < 0.4 else np.zeros((2, length))
        placed = misplaced(
            alignment.to_inset,
            inset.points,
            scales=np.full(length, np.exp(rng.uniform(-0.015, 0.015))),
            turns_rad=np.zeros(length),
            shifts=(inset.face_px * (wander + rng.uniform(-0.006, 0.006, (2, 1)))).T,
        )
        inner = alignment.lay_back(small, inset.size, placed=placed, sharp=rng.random() < 0.4)
    else:
        ratio = pixels_left / inset.face_px
        size = (round(inset.size[0] * ratio), round(inset.size[1] * ratio))
        inner = through(inset.pixels, size, up="bicubic" if rng.random() < 0.5 else "bilinear")
    if rng.random() < 0.4:
        inner = sharpen(inner, rng.uniform(0.3, 1.5), factor=inset.face_px / pixels_left + 0.5)
    if rng.random() < 0.4:
        inner = recolour(inner, draw_tint(rng, 0.6 * draw_strength(rng)))
    shape = draw_shape(rng, regions=("face", "face", "inner"), feather=(0.015, 0.12), opacity=(0.85, 1.0))
    return inset.paste(inner, shape.draw(inset.points, inset.size, inset.face_px))
