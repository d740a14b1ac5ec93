"""Live autoencoder swaps (DeepFaceLive, DeepFaceLab): a sharp inner face of another geometry, and a soft ring about it.

The model renders the aligned face at 128 to 320 px, smooths skin and keeps eyes and mouth; the program gives it the
target's colours and blends it through an eroded, widely blurred mask. What remains to be seen is the band round the
outline, which is blurrier than both sides of it, and a face that sits a little wrong.
"""

from __future__ import annotations

import numpy as np
import torch

from ..tiles import Tiles
from .aligned import Alignment, align, misplaced
from .inset import Inset, cut
from .looks import colour_transfer, draw_tint, mix_maps, recolour, sharpen, smooth_skin, soften
from .masks import FEATURES, MaskShape, soft_polygons
from .rhythm import draw_series, draw_strength
from .swap import like, own_openings, shape_difference
from .warp import Similarity, draw_pushes


def soft_ring(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    strength = draw_strength(rng, 0.3)
    inset = cut(tiles, 0.4)
    side = int(np.clip(inset.face_px * rng.uniform(1.3, 2.0), 96, 256))
    alignment = align(inset, side)
    openings = torch.ones(1)
    if donor is not None and rng.random() < 0.5:
        source = cut(like(donor, tiles, rng), 0.3)
        target = inset.points + rng.uniform(0, 0.8) * shape_difference(source, inset)
        face = alignment.render(source.pixels, source.points, target, sharp=rng.random() < 0.5)
        openings = own_openings(inset, source, rng)
    else:
        pushes = draw_pushes(rng, FEATURES, most=0.03 + 0.07 * strength)
        face = alignment.view(inset.pixels, pushes=pushes, points=inset.points, sharp=True)
    if rng.random() < 0.6:
        face = smooth_skin(face, strength * rng.uniform(1, 8), factor=rng.uniform(2, 4))
    if rng.random() < 0.5:
        face = sharpen(face, rng.uniform(0.2, 1.0), factor=rng.uniform(1.6, 2.6))
    inner = alignment.lay_back(
        face,
        inset.size,
        placed=_placed(alignment, inset, strength, rng),
        mode="bicubic" if rng.random() < 0.4 else "bilinear",
    )
    shape = MaskShape(
        feather=rng.uniform(0.04, 0.13),
        inside=rng.uniform(0.0, 1.0),
        bulge=tuple((0.03 * rng.uniform(-1, 1, 3)).tolist()),
        forehead=rng.uniform(0, 0.2) if rng.random() < 0.5 else 0.0,
    )
    alpha = shape.draw(inset.points, inset.size, inset.face_px)
    fit = colour_transfer(inner, inset.pixels, alpha, per_frame=rng.random() < 0.5)
    inner = recolour(inner, mix_maps(fit, rng.uniform(0.6, 1.0)))
    if rng.random() < 0.4:
        inner = recolour(inner, draw_tint(rng, 0.4 * strength))
    alpha = alpha * openings
    if rng.random() < 0.6:
        return _with_ring(inset, inner, alpha, shape, strength, rng)
    return inset.paste(inner, alpha)


def _placed(alignment: Alignment, inset: Inset, strength: float, rng: np.random.Generator) -> Similarity:
    """Where the face is laid back: a little off and a little too large or small, and sometimes trembling."""
    length = len(inset.points)
    trembling = draw_series(rng, length, 4) if rng.random() < 0.4 else np.zeros((4, length))
    trembling *= rng.uniform(0.1, 0.5) * strength
    off = strength * inset.face_px * (0.012 * rng.uniform(-1, 1, 2)[:, None] + 0.012 * trembling[:2])
    return misplaced(
        alignment.to_inset,
        inset.points,
        scales=np.exp(strength * (rng.uniform(-0.05, 0.03) + 0.01 * trembling[2])),
        turns_rad=strength * (rng.uniform(-0.015, 0.015) + 0.01 * trembling[3]),
        shifts=off.T,
    )


def _with_ring(
    inset: Inset, inner: torch.Tensor, alpha: torch.Tensor, shape: MaskShape, strength: float, rng: np.random.Generator
) -> tuple[Tiles, np.ndarray]:
    """Blended, and then blurred where the mask's edge is."""
    blended = torch.lerp(inset.pixels, inner, alpha.expand_as(inner))
    outline = shape.outline(inset.points, inset.face_px)
    width = inset.face_px * rng.uniform(0.03, 0.09)
    filled = soft_polygons(outline, inset.size, sigma_px=width)
    ring = (4 * filled * (1 - filled)) * rng.uniform(0.5, 1.0)
    blurred = soften(blended, 1.4 + 2.2 * strength * rng.random())
    changed = torch.lerp(blended, blurred, ring.expand_as(blended))
    return inset.put(changed, 1 - (1 - alpha) * (1 - ring))
