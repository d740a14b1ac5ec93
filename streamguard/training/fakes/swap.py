"""A face swap by landmarks: another person's face, warped onto each frame's mesh, recoloured and blended in.

Its texture moves with the mesh of the person it is laid on. Their own open mouth or eyes may show through it, as
swapping programs let them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..tiles import Tiles
from .inset import Inset, cut
from .looks import colour_transfer, mix_maps, recolour, sharpen
from .masks import INNER_LIPS, LEFT_EYE, RIGHT_EYE, draw_shape, soft_polygons
from .rhythm import draw_strength
from .warp import fit_similarity, landmark_field, warp


def swap(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    assert donor is not None, "a swap takes another person's tiles"
    inset = cut(tiles, 0.3)
    face = like(donor, tiles, rng)
    source = cut(face, 0.3)
    geometry = rng.uniform(0, 0.6) if rng.random() < 0.5 else 0.0
    field = landmark_field(
        inset.points + geometry * shape_difference(source, inset), source.points, inset.size, inset.face_px
    )
    inner = warp(source.pixels, field, inset.size, sharp=rng.random() < 0.35)
    shape = draw_shape(rng, regions=("face", "face", "inner"), feather=(0.015, 0.1), opacity=(0.9, 1.0))
    alpha = shape.draw(inset.points, inset.size, inset.face_px)
    fit = colour_transfer(inner, inset.pixels, alpha, per_frame=rng.random() < 0.5)
    inner = recolour(inner, mix_maps(fit, rng.uniform(0.75, 1.0)))
    if rng.random() < 0.3:
        inner = sharpen(inner, 0.6 * draw_strength(rng))
    return inset.paste(inner, alpha * own_openings(inset, source, rng))


def like(donor: Tiles, tiles: Tiles, rng: np.random.Generator) -> Tiles:
    """The donor's face as many frames long and as large as the clip's.

    Either the frame in which it looks most like the clip's usual face, throughout; or as it moves, to and fro.
    """
    if len(donor) == 1 or rng.random() < 0.5:
        order = np.array([_nearest_frame(donor, tiles)])
    else:
        there_and_back = np.concatenate([np.arange(len(donor)), np.arange(len(donor) - 2, 0, -1)])
        order = there_and_back[(int(rng.integers(len(donor))) + np.arange(len(tiles))) % len(there_and_back)]
    face = resized(donor.frames(order), tiles.face_px)
    return face if len(face) == len(tiles) else face.frames(np.zeros(len(tiles), np.intp))


def _nearest_frame(donor: Tiles, tiles: Tiles) -> int:
    usual = tiles.points[len(tiles) // 2]
    moved = fit_similarity(donor.points, np.broadcast_to(usual, donor.points.shape))(donor.points)
    return int(np.argmin(((moved - usual) ** 2).sum(axis=(1, 2))))


def resized(tiles: Tiles, face_px: float) -> Tiles:
    """Reduced, antialiased, if its face is more than a third larger than `face_px`; a warp would alias."""
    ratio = face_px / tiles.face_px
    if ratio > 0.75:
        return tiles
    side = 2 * max(8, round(tiles.side_px * ratio / 2))  # even, as tiles are
    levels = torch.from_numpy(tiles.pixels).permute(0, 3, 1, 2)
    small = functional.interpolate(levels, size=(side, side), mode="bilinear", antialias=True)
    ratio = side / tiles.side_px
    return replace(
        tiles,
        pixels=small.permute(0, 2, 3, 1).contiguous().numpy(),
        points=(tiles.points * ratio).astype(np.float32),
        face_px=tiles.face_px * ratio,
        inside=None if tiles.inside is None else _scaled(tiles.inside, ratio, side),
    )


def _scaled(inside: tuple[int, int, int, int], ratio: float, side: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = inside
    return math.ceil(x0 * ratio), math.ceil(y0 * ratio), min(side, int(x1 * ratio)), min(side, int(y1 * ratio))


def shape_difference(source: Inset, target: Inset) -> np.ndarray:
    """(L, 468, 2): how the donor's face is shaped otherwise, in pixels of the target; what turned heads add is limited.

    Means over both clips, so that expressions do not count.
    """
    usual = target.points.mean(axis=0)
    moved = fit_similarity(source.points, np.broadcast_to(usual, source.points.shape))(source.points).mean(axis=0)
    limit = 0.08 * target.face_px
    difference = np.clip(moved - usual, -limit, limit)
    return np.broadcast_to(difference[None], target.points.shape)


def own_openings(inset: Inset, source: Inset, rng: np.random.Generator) -> Tensor:
    """(L, 1, h, w) factors for a mask: 0 where the clip's own mouth, and perhaps eyes, shall show; often nowhere."""
    keep = torch.ones(len(inset.points), 1, *inset.size)
    differs = float(np.abs(_openness(inset) - _openness(source)).mean())
    if rng.random() < (0.7 if differs > 0.04 else 0.15):
        keep = keep * (1 - _opening(inset, INNER_LIPS))
    if rng.random() < 0.25:
        keep = keep * (1 - _opening(inset, LEFT_EYE)) * (1 - _opening(inset, RIGHT_EYE))
    return keep


def _openness(inset: Inset) -> np.ndarray:
    """(L,): how far the lips are apart, in face scales."""
    return np.linalg.norm(inset.points[:, 13] - inset.points[:, 14], axis=1) / inset.face_px


def _opening(inset: Inset, ring: tuple[int, ...]) -> Tensor:
    return soft_polygons(inset.points[:, list(ring)], inset.size, sigma_px=0.02 * inset.face_px)
