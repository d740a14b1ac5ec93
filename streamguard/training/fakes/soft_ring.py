"""Live autoencoder swaps (DeepFaceLive, DeepFaceLab): a sharp inner face of another geometry, and a soft ring about it.

The model renders the aligned face at 128 to 320 px, smooths skin and keeps eyes and mouth; the program gives it the
target's colours and blends it through an eroded, widely blurred mask up to the hair line. What remains to be seen is
the band round the outline, where two faces are averaged, and a face that sits a little wrong.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..tiles import Tiles
from .aligned import Alignment, align, misplaced
from .inset import Inset, cut
from .looks import colour_transfer, draw_tint, mix_maps, recolour, sharpen, smooth_skin, soften
from .masks import FEATURES, MaskShape, soft_polygons
from .rhythm import draw_series, draw_strength
from .swap import like, own_openings, shape_difference
from .warp import draw_pushes, landmark_field, similarity_field, warp


def soft_ring(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    strength = draw_strength(rng, 0.3)
    inset = cut(tiles, 0.4)
    offset = _Offset.draw(inset, strength, rng)
    source = cut(like(donor, tiles, rng), 0.3) if donor is not None and rng.random() < 0.5 else None
    inner = (_rendered if rng.random() < 0.5 else _moved)(inset, source, offset, strength, rng)
    if rng.random() < 0.5:
        inner = smooth_skin(inner, strength * rng.uniform(0.5, 6), factor=rng.uniform(1.8, 3))
    if rng.random() < 0.5:
        inner = sharpen(inner, rng.uniform(0.1, 0.8), factor=rng.uniform(1.3, 2))
    shape = MaskShape(
        feather=rng.uniform(0.03, 0.12),
        inside=rng.uniform(0.0, 1.0),
        bulge=tuple((0.03 * rng.uniform(-1, 1, 3)).tolist()),
        forehead=rng.uniform(0, 0.3) if rng.random() < 0.6 else 0.0,
    )
    alpha = shape.draw(inset.points, inset.size, inset.face_px)
    fit = colour_transfer(inner, inset.pixels, alpha, per_frame=rng.random() < 0.5)
    inner = recolour(inner, mix_maps(fit, rng.uniform(0.6, 1.0)))
    if rng.random() < 0.4:
        inner = recolour(inner, draw_tint(rng, 0.4 * strength))
    if source is not None:
        alpha = alpha * own_openings(inset, source, rng)
    if rng.random() < 0.7:
        return _with_ring(inset, inner, alpha, shape, strength, rng)
    return inset.paste(inner, alpha)


class _Offset:
    """How the inner face sits: a little off, a little too large or small, and sometimes trembling."""

    def __init__(self, scales: np.ndarray, turns_rad: np.ndarray, shifts: np.ndarray) -> None:
        self.scales = scales  # (L,)
        self.turns_rad = turns_rad  # (L,)
        self.shifts = shifts  # (L, 2) px

    @classmethod
    def draw(cls, inset: Inset, strength: float, rng: np.random.Generator) -> _Offset:
        length = len(inset.points)
        trembling = np.zeros((4, length))
        if rng.random() < 0.4:
            trembling = draw_series(rng, length, 4) * rng.uniform(0.1, 0.5)
        return cls(
            scales=np.exp(strength * (rng.uniform(-0.05, 0.03) + 0.01 * trembling[2])),
            turns_rad=strength * (rng.uniform(-0.015, 0.015) + 0.01 * trembling[3]),
            shifts=(strength * inset.face_px * 0.012 * (rng.uniform(-1, 1, (2, 1)) + trembling[:2])).T,
        )


def _moved(inset: Inset, source: Inset | None, offset: _Offset, strength: float, rng: np.random.Generator) -> Tensor:
    """The other face at the picture's own resolution: as sharp as the real one."""
    sits = similarity_field(
        inset.points.mean(axis=1),
        inset.size,
        scales=offset.scales,
        turns_rad=offset.turns_rad,
        shifts=offset.shifts,
    )
    if source is None:
        pushes = draw_pushes(rng, FEATURES, most=0.03 + 0.07 * strength)
        field = sits + pushes.field(inset.points, inset.size, inset.face_px, np.ones(len(inset.points)))
    else:
        target = inset.points + rng.uniform(0, 0.8) * shape_difference(source, inset)
        field = sits + landmark_field(target, source.points, inset.size, inset.face_px)
    pixels = (source or inset).pixels
    if rng.random() < 0.2:
        return warp(pixels, field, inset.size, sharp=True)
    # Half the time of a sharp warp: what interpolation softens, sharpening gives back, or a part of it.
    return sharpen(warp(pixels, field, inset.size), rng.uniform(0.3, 0.9), factor=1.5)


def _rendered(inset: Inset, source: Inset | None, offset: _Offset, strength: float, rng: np.random.Generator) -> Tensor:
    """The other face rendered in its aligned square, and laid back."""
    alignment: Alignment = align(inset, int(np.clip(inset.face_px * rng.uniform(1.5, 2.2), 96, 256)))
    if source is None:
        pushes = draw_pushes(rng, FEATURES, most=0.03 + 0.07 * strength)
        face = alignment.view(inset.pixels, pushes=pushes, points=inset.points, sharp=False)
    else:
        target = inset.points + rng.uniform(0, 0.8) * shape_difference(source, inset)
        face = alignment.render(source.pixels, source.points, target, sharp=False)
    # Two interpolations soften by what this amount of sharpening gives back, or half of it.
    face = sharpen(face, rng.uniform(0.4, 1.0), factor=alignment.face_px / inset.face_px * 1.5)
    placed = misplaced(
        alignment.to_inset,
        inset.points,
        scales=offset.scales,
        turns_rad=offset.turns_rad,
        shifts=offset.shifts,
    )
    return alignment.lay_back(face, inset.size, placed=placed, sharp=rng.random() < 0.3)


def _with_ring(
    inset: Inset, inner: Tensor, alpha: Tensor, shape: MaskShape, strength: float, rng: np.random.Generator
) -> tuple[Tiles, np.ndarray]:
    """Blended, and then partly blurred where the mask's edge is."""
    blended = inset.blended(inner, alpha)
    outline = shape.outline(inset.points, inset.face_px)
    filled = soft_polygons(outline, inset.size, sigma_px=inset.face_px * rng.uniform(0.03, 0.09))
    # Wide and faint: real ones take nearly as much from coarse detail as from fine.
    ring = (4 * filled * (1 - filled)) * rng.uniform(0.12, 0.65)
    blurred = soften(blended, 2 + 6 * strength * rng.random())
    return inset.put(blended.lerp_(blurred, ring.expand_as(blended)), 1 - (1 - alpha) * (1 - ring))
