"""Where to search for faces, and when: the cadence depends on content and media time only, so that a replay repeats it.

Asked once a frame by the tracker.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..config import FacesConfig
from ..picture import Picture
from ..values import Box


class LookPlan:
    """The whole picture at a fixed cadence, and the tiles of a large picture in turn, some at each look."""

    def __init__(self, config: FacesConfig) -> None:
        self._config = config
        self._next_pts_s = float("-inf")
        self._size = (0, 0)
        self._waiting: deque[Box] = deque()
        self._tiles: list[Box] = []

    def regions(self, pts_s: float, picture: Picture, *, everything: bool) -> list[Box | None]:
        """The regions to search in this frame; None stands for the whole picture. Empty: not yet.

        `everything`: search the whole picture and all tiles now (a new stream, a cut).
        """
        if (picture.width, picture.height) != self._size:
            self._size = (picture.width, picture.height)
            self._tiles = tiles(picture.width, picture.height, self._config.tile_px)
            everything = True
        if not everything and pts_s < self._next_pts_s:
            return []
        self._next_pts_s = pts_s + self._config.detect_every_s
        if everything:
            self._waiting = deque(self._tiles)
            return [None, *self._tiles]
        return [None, *self._next_tiles()]

    def _next_tiles(self) -> list[Box]:
        looks = max(1, int(self._config.tile_round_s / self._config.detect_every_s))
        count = -(-len(self._tiles) // looks)
        turn = [self._waiting[i] for i in range(count)]
        self._waiting.rotate(-count)
        return turn


def tiles(width: int, height: int, tile_px: int) -> list[Box]:
    """Squares that cover the picture, overlapping by at least a quarter so that no small face is always cut in two.

    A picture hardly larger than one tile needs none: the look at the whole picture covers it.
    """
    if max(width, height) <= tile_px * 1.25:
        return []
    side = min(tile_px, width, height)
    return [Box(x, y, x + side, y + side) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: int, side: int) -> list[float]:
    if length <= side:
        return [0.0]
    count = int(np.ceil((length - side) / (side * 0.75))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


class CutWatch:
    """Notices when the whole picture becomes another one, from a coarse grid of brightness samples per frame.

    The limits: of 300 pairs of unrelated videos all are cuts by them; within 25 videos of people and hand-held cameras
    no step is (the nearest: 38% changed, and 0.76 correlated).
    """

    ROWS, COLUMNS = 18, 32
    CHANGED_LEVELS = 12.0
    """A sample counts as changed if it moved by more than this after the common change of light is taken out."""
    CHANGED_SHARE = 0.4
    LEAST_CORRELATION = 0.8

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def is_cut(self, picture: Picture) -> bool:
        """True if this picture shows another scene than the one before."""
        now = self._samples(picture)
        before, self._before = self._before, now
        if before is None or before.shape != now.shape:
            return False
        changed = float(np.mean(np.abs(now - before) > self.CHANGED_LEVELS))
        if changed < self.CHANGED_SHARE:
            return False
        return self._correlation(before, now) < self.LEAST_CORRELATION

    def _samples(self, picture: Picture) -> np.ndarray:
        """Pixels at even distances, as (about 18, about 32) float32 of zero mean."""
        down, right = max(1, picture.height // self.ROWS), max(1, picture.width // self.COLUMNS)
        samples = picture.y[down // 2 :: down, right // 2 :: right].astype(np.float32)
        return samples - samples.mean()

    @staticmethod
    def _correlation(before: np.ndarray, now: np.ndarray) -> float:
        norm = float(np.linalg.norm(before) * np.linalg.norm(now))
        return float((before * now).sum()) / norm if norm > 0 else 1.0
