"""Faces that came out of an autoencoder or a diffusion model as a whole, hair and all: texture that is not a camera's.

Fine detail is gone, sticks to the picture while the head moves, is made up anew in each frame, or is crisper than any
lens makes it; and the grid on which such models compute shimmers through.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..tiles import Tiles
from .inset import Inset, cut
from .looks import as_sharp_as, grain, sharpen, smooth_skin, soften, through
from .masks import MaskShape, soft_polygons
from .rhythm import draw_series, draw_strength


def render(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    strength = draw_strength(rng, 0.3)
    whole = rng.random() < 0.3
    inset = cut(tiles, tiles.side_px / tiles.face_px if whole else 0.8)
    steps = ("smooth", "sticking", "made_up", "shimmer", "lattice", "ghost")
    chances = (0.7, 0.3, 0.4, 0.35, 0.15, 0.2)
    drawn = [step for step, chance in zip(steps, chances, strict=True) if rng.random() < chance] or ["smooth"]
    made = inset.pixels
    if rng.random() < 0.5:
        share = rng.uniform(0.5, 0.95)
        made = through(made, (round(inset.size[0] * share), round(inset.size[1] * share)))
    for step in drawn:
        made = _STEPS[step](made, strength, rng)
    finish = rng.random()
    if finish < 0.6:
        made = as_sharp_as(made, inset.pixels, rng.uniform(0.5, 1.5))
    elif finish < 0.8:
        made = sharpen(made, 1.2 * strength * rng.random(), factor=rng.uniform(1.5, 2.5))
    alpha = torch.ones(len(tiles), 1, *inset.size) if whole else _head(inset, rng)
    return inset.paste(made, alpha)


def _head(inset: Inset, rng: np.random.Generator) -> Tensor:
    """(L, 1, h, w): the face's outline grown over hair and neck, or the face alone."""
    outline = MaskShape(forehead=rng.uniform(0, 0.3)).outline(inset.points, inset.face_px)
    middle = outline.mean(axis=1, keepdims=True)
    return soft_polygons(
        middle + (outline - middle) * rng.uniform(1.0, 1.45),
        inset.size,
        sigma_px=inset.face_px * rng.uniform(0.04, 0.12),
    )


def _smooth(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Texture gone, more in some frames than in others."""
    smooth = smooth_skin(pixels, 2 + 8 * strength * rng.random(), factor=rng.uniform(2, 4))
    if rng.random() < 0.5:
        return smooth
    share = torch.from_numpy(np.clip(0.8 + 0.4 * draw_series(rng, len(pixels))[0], 0, 1).astype(np.float32))
    return smooth.lerp_(pixels, (1 - share)[:, None, None, None].expand_as(pixels))


def _sticking(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Fine detail of one frame stays where it is in the picture, and the face moves under it."""
    base = soften(pixels, rng.uniform(1.8, 3.5))
    kept = int(rng.integers(len(pixels)))
    stuck = pixels[kept] - base[kept]
    share = (0.3 + 0.6 * strength) * rng.uniform(0.6, 1.0)
    return base.lerp_(pixels, 1 - share).add_(stuck, alpha=share)


def _made_up(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Synthetic fine detail, strong where the face has detail; the same in all frames, or anew in each."""
    base = soften(pixels, 2.0)
    size = (int(pixels.shape[2]), int(pixels.shape[3]))
    noise = grain(rng, len(pixels), size, cell=rng.uniform(1.2, 3.0), frozen=rng.random() < 0.5)
    contrast = soften((pixels[:, 1:2] - base[:, 1:2]).abs_().mul_(8), 4.0).div_(8).clamp_max_(4)
    return pixels + noise * (0.6 + contrast) * (0.2 + 0.6 * strength * rng.random())


def _shimmer(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Brightness of blobs of 4 to 10 pixels, the model's own grid, wanders from frame to frame."""
    size = (int(pixels.shape[2]), int(pixels.shape[3]))
    return pixels + grain(rng, len(pixels), size, cell=rng.uniform(4, 10)) * (0.5 + 2.5 * strength * rng.random())


def _lattice(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """What enlarging by transposed convolutions leaves: a regular pattern of 2 or 4 pixels, fixed to the picture."""
    period = int(rng.choice([2, 4]))
    cell = torch.from_numpy(rng.standard_normal((period, period)).astype(np.float32))
    height, width = pixels.shape[2:]
    pattern = (cell - cell.mean()).repeat(-(-height // period), -(-width // period))[:height, :width]
    return pixels + pattern * (0.5 + 1.5 * strength * rng.random())


def _ghost(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Some of the frame before is still to be seen, from smoothing over time."""
    before = torch.cat([pixels[:1], pixels[:-1]])
    return torch.lerp(pixels, before, 0.15 + 0.45 * strength * rng.random())


_STEPS = {
    "smooth": _smooth,
    "sticking": _sticking,
    "made_up": _made_up,
    "shimmer": _shimmer,
    "lattice": _lattice,
    "ghost": _ghost,
}
