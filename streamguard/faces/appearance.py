"""What a face looks like, coarsely: enough to notice that somebody else stands in the same place. Not recognition.

Made from the mesh network's upright chip; two people in the same light usually differ by far more than one person
does from frame to frame. It can only raise doubt, never remove it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CELLS = 12
_INNER = 0.75
"""Share of the chip's side that is looked at: the face and a little hair."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Appearance:
    luma: np.ndarray  # (12, 12) float32, zero mean, unit norm
    colour: np.ndarray  # (12, 12, 2) float32: red and blue against green, as shares of the brightness

    def difference(self, other: Appearance) -> float:
        """0 for the same picture; tests/faces/test_appearance.py holds what people and time do to it."""
        shape = 1.0 - float((self.luma * other.luma).sum())
        colour = float(np.abs(self.colour - other.colour).mean())
        return shape + 4.0 * colour

    def blended(self, newer: Appearance, share: float) -> Appearance:
        """Moves towards a newer sight of the same face, so that slow change is not taken for another person."""
        luma = self.luma + share * (newer.luma - self.luma)
        norm = float(np.linalg.norm(luma))
        return Appearance(
            luma=luma / norm if norm > 0 else luma, colour=self.colour + share * (newer.colour - self.colour)
        )


def appearance_of(chip: np.ndarray) -> Appearance:
    """From an upright (H, W, 3) uint8 RGB chip."""
    cells = _cells(chip)
    luma = cells @ np.array([0.299, 0.587, 0.114], np.float32)
    light = np.maximum(luma, 8.0)
    colour = np.stack([(cells[..., 0] - cells[..., 1]) / light, (cells[..., 2] - cells[..., 1]) / light], -1)
    luma = luma - luma.mean()
    norm = float(np.linalg.norm(luma))
    return Appearance(luma=luma / norm if norm > 0 else luma, colour=colour)


def _cells(chip: np.ndarray) -> np.ndarray:
    """(12, 12, 3) float32 mean colours of the chip's inner part."""
    half = chip[::2, ::2]  # a quarter of the pixels tells as much
    side = int(half.shape[0] * _INNER) // _CELLS * _CELLS
    start = (half.shape[0] - side) // 2
    inner = half[start : start + side, start : start + side]
    step = side // _CELLS
    return inner.reshape(_CELLS, step, _CELLS, step, 3).mean((1, 3), dtype=np.float32)
