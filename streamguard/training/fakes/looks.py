"""How a rendered face looks unlike a filmed one: colour, sharpness, texture. On (L, 3, h, w) floats, 0 to 255."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_TO_OPPONENT = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
"""Brightness, blue against it, red against it: nearly independent, so that mean and spread can be set one by one."""
_FROM_OPPONENT = np.linalg.inv(_TO_OPPONENT)


def recolour(pixels: Tensor, maps: np.ndarray) -> Tensor:
    """Colours through affine maps (L, 3, 4), or (3, 4) for all frames."""
    maps = np.broadcast_to(maps, (len(pixels), 3, 4)).astype(np.float32)
    matrix, offset = torch.from_numpy(maps[..., :3].copy()), torch.from_numpy(maps[..., 3:].copy())
    return torch.baddbmm(offset, matrix, pixels.flatten(2)).reshape(pixels.shape)


def draw_tint(rng: np.random.Generator, strength: float) -> np.ndarray:
    """(3, 4): another brightness, contrast, saturation and white balance, about mid grey. 1 is plain to see."""
    gains = 1 + 0.12 * strength * rng.uniform(-1, 1, 3)
    contrast = 1 + 0.2 * strength * rng.uniform(-1, 1)
    saturation = 1 + 0.35 * strength * rng.uniform(-1, 1)
    luma = np.array([0.299, 0.587, 0.114])
    matrix = contrast * gains[:, None] * (saturation * np.eye(3) + (1 - saturation) * luma[None])
    offset = 110 * (1 - contrast) + 18 * strength * rng.uniform(-1, 1)
    return np.concatenate([matrix, np.full((3, 1), offset)], axis=1)


def mix_maps(maps: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Between leaving colours as they are (0) and the maps (1)."""
    same = np.eye(3, 4)
    return same + np.asarray(share)[..., None, None] * (maps - same)


def colour_transfer(source: Tensor, target: Tensor, weight: Tensor, *, per_frame: bool) -> np.ndarray:
    """(L, 3, 4): maps that give `source` the mean and spread of `target` where `weight` (L, 1, h, w) says (Reinhard).

    Either frame by frame, which flickers a little, or the same for the whole clip.
    """
    # Every fourth pixel says enough of a mean.
    source, target, weight = (x[..., ::4, ::4] for x in (source, target, weight))
    (mean_s, spread_s), (mean_t, spread_t) = (_moments(x, weight, per_frame) for x in (source, target))
    gain = np.clip(spread_t / np.maximum(spread_s, 1.0), 0.4, 2.5)
    matrix = _FROM_OPPONENT @ (gain[..., None] * _TO_OPPONENT)
    offset = (_FROM_OPPONENT @ (mean_t - gain * mean_s)[..., None])[..., 0]
    maps = np.concatenate([matrix, offset[..., None]], axis=-1)
    return np.broadcast_to(maps, (len(source), 3, 4)).copy()


def _moments(pixels: Tensor, weight: Tensor, per_frame: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the opponent colours, (L or 1, 3) each."""
    colours = _TO_OPPONENT @ pixels.flatten(2).double().numpy()  # (L, 3, N)
    shares = weight.flatten(2).double().numpy() + 1e-9
    shares = shares / (shares.sum(axis=(0, 2) if not per_frame else 2, keepdims=True))
    axes = 2 if per_frame else (0, 2)
    mean = (colours * shares).sum(axis=axes, keepdims=True)
    spread = np.sqrt(((colours - mean) ** 2 * shares).sum(axis=axes, keepdims=True))
    return mean[..., 0].reshape(-1, 3), spread[..., 0].reshape(-1, 3)


def soften(pixels: Tensor, factor: float) -> Tensor:
    """Blurred about as much as reducing by `factor` and enlarging again does; 1 leaves it as it is."""
    height, width = pixels.shape[-2:]
    small = (max(4, round(height / factor)), max(4, round(width / factor)))
    return through(pixels, small)


def through(pixels: Tensor, size: tuple[int, int], *, up: str = "bicubic") -> Tensor:
    """Reduced to `size` (height, width) with antialiasing, and enlarged again. Bytes, because that is fastest."""
    out = torch.empty_like(pixels, memory_format=torch.contiguous_format)
    for frame, result in zip(pixels, out, strict=True):  # one by one, in the processor's cache
        levels = frame[None].clamp(0, 255).byte()
        small = functional.interpolate(levels, size=size, mode="bilinear", antialias=True)
        result.copy_(functional.interpolate(small, size=tuple(pixels.shape[-2:]), mode=up, antialias=True)[0])
    return out


def sharpen(pixels: Tensor, amount: float, factor: float = 2.0) -> Tensor:
    """Unsharp masking: what `soften` would take away is added, `amount` times."""
    return soften(pixels, factor).lerp_(pixels, 1 + amount)


def as_sharp_as(pixels: Tensor, other: Tensor, share: float) -> Tensor:
    """Sharpened, or softened, until fine detail is as strong as in `other` on the whole: `share` of the way, or beyond.

    Models are trained to give back as much detail as they were shown. So how sharp a picture is as a whole does not
    tell that it was made; where it is sharp may.
    """
    middle = len(pixels) // 2
    mine, wanted = (
        float((x - soften(x, 1.8)).abs().mean()) for x in (pixels[middle : middle + 1], other[middle : middle + 1])
    )
    amount = share * float(np.clip(wanted / max(mine, 0.1) - 1, -0.5, 2.0))
    return sharpen(pixels, amount, 1.8)


def smooth_skin(pixels: Tensor, threshold: float, factor: float = 3.0) -> Tensor:
    """Texture weaker than `threshold` levels is gone, and edges of eyes and mouth stay, as autoencoders leave it."""
    out = soften(pixels, factor)
    for frame, base in zip(pixels, out, strict=True):
        detail = frame - base
        base.add_(functional.softshrink(detail, threshold)).add_(detail, alpha=0.1)
    return out


def grain(
    rng: np.random.Generator, length: int, size: tuple[int, int], *, cell: float = 1.0, frozen: bool = False
) -> Tensor:
    """(L, 1, h, w): noise of deviation 1 in blobs of `cell` pixels; anew in each frame, or the same for all."""
    height, width = size
    rows, columns = max(2, round(height / cell)), max(2, round(width / cell))
    # One field, of which each frame sees another part: a third of the time of drawing each frame's own.
    field = torch.from_numpy(rng.standard_normal((rows + 32, columns + 32), np.float32))
    places = np.repeat(rng.integers(0, 33, (1, 2)), length, axis=0) if frozen else rng.integers(0, 33, (length, 2))
    noise = torch.stack([field[y : y + rows, x : x + columns] for y, x in places.tolist()])[:, None]
    if (rows, columns) == (height, width):
        return noise
    return functional.interpolate(noise, size=size, mode="bilinear", align_corners=False) * 1.4
