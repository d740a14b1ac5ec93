"""From tiles to what a network sees, and how its crops are varied: where they are cut, and what happens to them.

A crop is cut by the runtime's own resampling. Augmentations are those of AltFreezing's recipe (colour, blur, noise,
erased parts, frames dropped or repeated) and DeeperForensics' seven distortions. All are label preserving, and one draw
holds for a whole clip and for both sides of a pair; only noise is anew in each frame, and the same on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ..crop import RESCALE, SQUARE_SPAN, Square
from ..picture import resize_rgb
from .degrade import Codec, through_codec
from .tiles import Tiles, box_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """Where the square lies. The default is the runtime's square, chosen at the clip's first frame."""

    chosen_at: float = 0.0
    """At which moment of the clip, 0 to 1: the face is in the square's middle there."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Face scales to the right and down."""
    scale: float = 1.0


def draw_jitter(rng: np.random.Generator, strength: float = 1.0) -> Jitter:
    """What a square that stays put allows: the face a third of the square off, its size 1.25 times another.

    Mostly far less, as in most windows.
    """
    x, y = strength * np.clip(rng.standard_normal(2) * 0.1, -1 / 3, 1 / 3)
    limit = np.log(RESCALE)
    return Jitter(
        chosen_at=float(rng.random()),
        shift=(float(x), float(y)),
        scale=float(np.exp(strength * np.clip(rng.standard_normal() * 0.07, -limit, limit))),
    )


STILL = Jitter()


def square_of(tiles: Tiles, span: float = SQUARE_SPAN, jitter: Jitter = STILL) -> Square:
    """The clip's one square, in pixels of the tile."""
    box = box_of(tiles.points[round(jitter.chosen_at * (len(tiles) - 1))])
    x, y = box.centre
    dx, dy = jitter.shift
    return Square(
        centre_px=(x + dx * box.scale, y + dy * box.scale),
        side_px=span * box.scale * jitter.scale,
    )


def crop_tiles(tiles: Tiles, size_px: int, span: float = SQUARE_SPAN, jitter: Jitter = STILL) -> np.ndarray:
    """(L, size, size, 3) uint8 RGB: the square in each frame. Beyond the tile the edge is repeated."""
    box = square_of(tiles, span, jitter).box
    return np.stack([resize_rgb(rgb, box, (size_px, size_px)) for rgb in tiles.pixels])


def crop_mask(
    mask: np.ndarray, tiles: Tiles, size_px: int, span: float = SQUARE_SPAN, jitter: Jitter = STILL
) -> np.ndarray:
    """(L, size, size) float32: a mask (L, P, P) through the same square as `crop_tiles` of the same tiles."""
    square = square_of(tiles, span, jitter)
    (x, y), side = square.centre_px, square.side_px
    steps = (torch.arange(size_px) + 0.5) / size_px - 0.5
    columns, rows = (2 * (centre + steps * side) / tiles.side_px - 1 for centre in (x, y))
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1).expand(len(mask), -1, -1, -1)
    found = functional.grid_sample(
        torch.from_numpy(mask)[:, None], grid.float(), padding_mode="border", align_corners=False
    )
    return found[:, 0].numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """One draw for a clip of crops. `apply` for both sides of a pair, `apply_to_mask` for the mask."""

    flip: bool = False
    steps: tuple[tuple[str, float], ...] = ()
    """Names of `DISTORTIONS` with how strong each is, 0 to 1, in this order."""
    erased: tuple[float, float, float, float] | None = None
    """A part that is black in all frames: x0, y0, x1, y1 as shares of the crop."""
    dropped: tuple[int, ...] = ()
    """Frames that are black."""
    repeated: tuple[int, ...] = ()
    """Frames that are shown twice; what follows comes later, and the end falls off."""
    seed: int = 0

    def apply(self, crops: np.ndarray) -> np.ndarray:
        """(L, S, S, 3) uint8 to the same."""
        crops = self._ordered(crops)
        for number, (name, strength) in enumerate(self.steps):
            crops = DISTORTIONS[name](crops, strength, np.random.default_rng(self.seed + number))
        if self.erased is not None:
            x0, y0, x1, y1 = (round(share * crops.shape[1]) for share in self.erased)
            crops = crops.copy()
            crops[:, y0:y1, x0:x1] = 0
        if self.dropped:
            crops = crops.copy()
            crops[list(self.dropped)] = 0
        return np.ascontiguousarray(crops)

    def apply_to_mask(self, mask: np.ndarray) -> np.ndarray:
        """(L, S, S): where something forged can still be seen."""
        mask = self._ordered(mask).copy()
        if self.erased is not None:
            x0, y0, x1, y1 = (round(share * mask.shape[1]) for share in self.erased)
            mask[:, y0:y1, x0:x1] = 0
        mask[list(self.dropped)] = 0
        return mask

    def _ordered(self, frames: np.ndarray) -> np.ndarray:
        order = np.arange(len(frames))
        if self.repeated:
            order = np.sort(np.concatenate([order, np.array(self.repeated)]))[: len(frames)]
        frames = frames[order]
        return frames[:, :, ::-1] if self.flip else frames


def draw_augmentation(rng: np.random.Generator, length: int, *, distortions: float = 0.25) -> Augmentation:
    """AltFreezing's recipe, and one of DeeperForensics' distortions as often as `distortions` says.

    Of 32 frames AltFreezing drops and repeats five to ten; here as large a share of `length`, and more rarely, because
    a live network's window with a third of its frames black is judged by nobody.
    """
    steps: list[tuple[str, float]] = []
    if rng.random() < 0.8:
        steps.append(("colour", float(rng.random())))
    if rng.random() < 0.05:
        steps.append(("blur", 0.5 * float(rng.random())))
    if rng.random() < 0.1:
        steps.append(("noise", 0.3 * float(rng.random())))
    if rng.random() < distortions:
        steps.append((str(rng.choice(SEVEN)), float(rng.random())))
    some = max(1, round(length * rng.uniform(5 / 32, 10 / 32)))
    return Augmentation(
        flip=bool(rng.random() < 0.5),
        steps=tuple(steps),
        erased=_draw_part(rng) if rng.random() < 0.1 else None,
        dropped=_draw_frames(rng, length, some) if length > 4 and rng.random() < 0.1 else (),
        repeated=_draw_frames(rng, length, some) if length > 1 and rng.random() < 0.2 else (),
        seed=int(rng.integers(2**31)),
    )


def _draw_frames(rng: np.random.Generator, length: int, count: int) -> tuple[int, ...]:
    return tuple(sorted(rng.choice(length, count, replace=False).tolist()))


def _draw_part(rng: np.random.Generator) -> tuple[float, float, float, float]:
    width, height = rng.uniform(0.1, 0.35, 2)
    x, y = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return float(x), float(y), float(x + width), float(y + height)


# Each takes crops (L, S, S, 3) uint8, a strength from 0 to 1, and random numbers that are the same on both sides.


def _colour(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation by up to 0.4 each, AltFreezing's ranges."""
    brightness, contrast, saturation = 1 + 0.4 * strength * rng.uniform(-1, 1, 3)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    matrix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * luma[None])
    # Contrast is about the clip's own brightness as the first frame has it.
    middle = brightness * (1 - contrast) * float((crops[0].reshape(-1, 3) @ luma).mean())
    return _bytes(crops.astype(np.float32) @ matrix.T.astype(np.float32) + np.float32(middle))


def _saturation(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """To 0.4 of its colour, or to grey."""
    keep = 0.4 * (1 - strength)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    grey = (crops.astype(np.float32) @ luma)[..., None]
    return _bytes(grey + np.float32(keep) * (crops - grey))


def _contrast(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Darker, to 0.85 or 0.35 of all levels."""
    return _bytes(crops * np.float32(0.85 - 0.5 * strength))


def _blocks(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Grey blocks in a 14th of the crop's side, 3 to 16 of them, in the same places throughout."""
    out = crops.copy()
    side = max(2, crops.shape[1] // 14)
    for _ in range(round(3 + 13 * strength)):
        y, x = rng.integers(0, crops.shape[1] - side, 2).tolist()
        out[:, y : y + side, x : x + side] = 128
    return out


def _noise(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Deviation of 4 to 40 levels, strong ones rare."""
    sigma = 4 * 10**strength
    return _bytes(crops + rng.standard_normal(crops.shape, np.float32) * np.float32(sigma))


def _blur(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return _smaller(crops, 1.4 + 2.6 * strength, "bilinear")


def _pixelated(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Reduced 1.5 to 4 times and enlarged again: what DeeperForensics calls JPEG."""
    return _smaller(crops, 1.5 + 2.5 * strength, "nearest")


def _codec(crops: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """H.264 at CRF 30 to 40, on the crop."""
    even = crops.shape[1] // 2 * 2
    codec = Codec(crf=round(30 + 10 * strength), preset="veryfast", keyframes=25, b_frames=0)
    out = crops.copy()
    out[:, :even, :even] = through_codec(np.ascontiguousarray(crops[:, :even, :even]), codec)
    return out


def _smaller(crops: np.ndarray, factor: float, up: str) -> np.ndarray:
    levels = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2)
    side = crops.shape[1]
    small = max(4, round(side / factor))
    reduced = functional.interpolate(levels, size=(small, small), mode="bilinear", antialias=True)
    enlarged = functional.interpolate(reduced, size=(side, side), mode=up)
    return np.ascontiguousarray(enlarged.permute(0, 2, 3, 1).numpy())


def _bytes(levels: np.ndarray) -> np.ndarray:
    return np.clip(levels + np.float32(0.5), 0, 255).astype(np.uint8)


DISTORTIONS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "colour": _colour,
    "saturation": _saturation,
    "contrast": _contrast,
    "blocks": _blocks,
    "noise": _noise,
    "blur": _blur,
    "pixelated": _pixelated,
    "codec": _codec,
}
SEVEN = tuple(name for name in DISTORTIONS if name != "colour")
"""DeeperForensics' types."""
