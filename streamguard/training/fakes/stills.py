"""Stills as clips: one picture held before a camera that is not quite steady. Real, and the twin of what is forged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..tiles import Tiles
from .inset import as_bytes, as_floats
from .looks import grain
from .warp import Similarity, similarity_field, warp


def shaken(tiles: Tiles, length: int, rng: np.random.Generator) -> Tiles:
    """`length` frames of the first one, moved by a few hundredths of the face, with a camera's noise."""
    path = _drift(rng, length, 4) * rng.uniform(0.2, 1.0)
    shifts = tiles.face_px * 0.02 * path[:2].T
    scales, turns = np.exp(0.008 * path[2]), 0.008 * path[3]
    side = tiles.side_px
    centres = np.full((length, 2), side / 2)
    field = similarity_field(centres, (side, side), scales=scales, turns_rad=turns, shifts=shifts)
    source = as_floats(tiles.pixels[:1]).expand(length, -1, -1, -1)
    pixels = warp(source, field, (side, side), sharp=True)
    pixels += grain(rng, length, (side, side)) * rng.uniform(0.3, 2.0)
    levels = np.empty((length, side, side, 3), np.uint8)
    as_bytes(pixels, levels)
    a = scales * np.exp(1j * turns)
    middle = complex(side / 2, side / 2)
    moved = Similarity(a=a, b=middle - a * middle + shifts[:, 0] + 1j * shifts[:, 1])
    points = moved(np.broadcast_to(tiles.points[:1], (length, *tiles.points.shape[1:])))
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float32)
    moved_by = moved(np.broadcast_to(corners, (length, 4, 2))) - corners
    return replace(
        tiles,
        pixels=levels,
        points=points,
        still=True,
        inside=None if tiles.inside is None else _within(tiles.inside, side, math.ceil(np.abs(moved_by).max())),
    )


def _within(inside: tuple[int, int, int, int], side: int, margin: int) -> tuple[int, int, int, int]:
    """What stays inside when it moves by up to `margin`; sides on the tile's own border stay there."""
    x0, y0, x1, y1 = inside
    x0, y0 = (min(v + margin, side // 2) if v else 0 for v in (x0, y0))
    x1, y1 = (max(v - margin, side // 2 + 1) if v < side else side for v in (x1, y1))
    return x0, y0, x1, y1


def _drift(rng: np.random.Generator, length: int, count: int) -> np.ndarray:
    """(count, L): slow waves of about 1, as a hand makes them."""
    time = np.arange(length)[None, None]
    pace = rng.uniform(0.02, 0.25, (count, 3, 1))
    waves = np.sin(2 * np.pi * (pace * time + rng.random((count, 3, 1))))
    drift: np.ndarray = (waves * rng.uniform(0.2, 0.8, (count, 3, 1))).sum(axis=1)
    return drift
