"""An inner face out of step with its head: late, frozen for a while, or played at another pace.

Each frame's face comes from another frame of the same clip, warped to where the head is now.
"""

from __future__ import annotations

import numpy as np
import torch

from ..tiles import Tiles
from .inset import cut
from .looks import colour_transfer, mix_maps, recolour
from .masks import draw_shape
from .warp import fit_similarity, landmark_field, warp


def delay(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """One to eight frames late."""
    late = int(rng.integers(1, 9))
    return _from_frames(tiles, np.arange(len(tiles)) - late, rng)


def freeze(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """Still for two to twelve frames, then going on, again and again."""
    order = np.arange(len(tiles))
    at = int(rng.integers(0, 3))
    while at < len(tiles):
        hold = int(rng.integers(2, 13))
        order[at : at + hold] = at
        at += hold + int(rng.integers(0, 5))
    return _from_frames(tiles, order, rng)


def retime(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """At half to twice the pace, backwards, or in a random order of short pieces."""
    length = len(tiles)
    time = np.arange(length)
    way = rng.choice(["pace", "backwards", "pieces"])
    if way == "pace":
        pace = float(rng.choice([0.5, 0.65, 1.5, 2.0]))
        order = np.round(length / 2 + (time - length / 2) * pace).astype(np.intp)
    elif way == "backwards":
        order = time[::-1] + int(rng.integers(-3, 4))
    else:
        piece = int(rng.integers(2, 6))
        order = np.concatenate([p + int(rng.integers(-6, 7)) for p in np.array_split(time, max(1, length // piece))])
    return _from_frames(tiles, order, rng)


def _from_frames(tiles: Tiles, order: np.ndarray, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """Frame i's inner face is that of frame order[i], reflected at both ends of the clip."""
    length = len(tiles)
    period = max(1, 2 * (length - 1))
    order = np.abs((order + length - 1) % period - (length - 1)) if length > 1 else np.zeros(1, np.intp)
    if (order == np.arange(length)).all():  # may come of short clips
        order = np.roll(order, 1)
    inset = cut(tiles, 0.3)
    pixels, points = inset.pixels[order], inset.points[order]
    # The head's place is the present one. The expression stays that of the other frame, or gives way a little.
    stays = fit_similarity(points, inset.points)(points)
    target = stays + rng.uniform(0, 0.35) * (inset.points - stays)
    inner = warp(
        pixels, landmark_field(target, points, inset.size, inset.face_px), inset.size, sharp=rng.random() < 0.25
    )
    regions = ("face", "inner", "inner", "lower", "mouth", "middle")
    shape = draw_shape(rng, regions=regions, feather=(0.02, 0.1), opacity=(0.9, 1.0))
    # A frame that shows itself is not forged.
    forged = torch.from_numpy(order != np.arange(length)).float()[:, None, None, None]
    alpha = shape.draw(inset.points, inset.size, inset.face_px) * forged
    if rng.random() < 0.6:
        fit = colour_transfer(inner, inset.pixels, alpha, per_frame=True)
        inner = recolour(inner, mix_maps(fit, rng.uniform(0.5, 1.0)))
    return inset.paste(inner, alpha)
