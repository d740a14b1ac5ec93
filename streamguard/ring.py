"""One face generation's patches on its grid of media time: patches in, runs of consecutive patches out.

The grid is anchored at the generation's first patch. Grid point n takes the first frame in
[point - tolerance, point + grid - tolerance), so a frame counts for the point it comes just before or after.
One missing point repeats the patch before it and counts as a gap; two or more start the run anew. Nothing is painted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import floor

from .values import Patch

TOLERANCE = 0.25
"""Share of the grid step by which a frame may come before its point. At a quarter, a source of at least twice the
grid's rate stays within a quarter step on both sides."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridPatch:
    """A patch where the grid wants one."""

    grid_index: int
    patch: Patch
    repeated: bool
    """True: no frame came for this point, and the patch is the one of the point before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingStatistics:
    put: int
    gaps: int
    """Points filled by repeating."""
    resets: int
    """Times when two or more points were missing."""


class PatchRing:
    """Holds the newest `capacity` grid patches. Older ones fall out; that is its bound."""

    def __init__(self, *, anchor_pts_s: float, grid_s: float, capacity: int) -> None:
        assert capacity >= 1
        assert grid_s > 0
        self.anchor_pts_s = anchor_pts_s
        self.grid_s = grid_s
        self._run: deque[GridPatch] = deque(maxlen=capacity)
        self._newest_index = -1
        self._put = self._gaps = self._resets = 0

    def index_of(self, pts_s: float) -> int:
        """The grid point that a frame of this time counts for."""
        # The small addition keeps a frame exactly on the border from falling to either side by rounding, also where
        # media time is a Unix time and floats are half a microsecond apart.
        return floor((pts_s - self.anchor_pts_s) / self.grid_s + TOLERANCE + 1e-4)

    def wants(self, pts_s: float) -> bool:
        """True if a frame of this time would be the first for its point."""
        return self.index_of(pts_s) > self._newest_index

    def point_s(self, grid_index: int) -> float:
        return self.anchor_pts_s + grid_index * self.grid_s

    def put(self, patch: Patch) -> None:
        """Take a patch for a point that is still wanted."""
        index = patch.grid_index
        assert index > self._newest_index, "a grid point takes its first frame only"
        missing = index - self._newest_index - 1
        if self._run and missing == 1:
            before = self._run[-1].patch
            self._run.append(GridPatch(grid_index=index - 1, patch=before, repeated=True))
            self._gaps += 1
        elif self._run and missing > 1:
            self._run.clear()
            self._resets += 1
        self._run.append(GridPatch(grid_index=index, patch=patch, repeated=False))
        self._newest_index = index
        self._put += 1

    @property
    def newest_index(self) -> int:
        """The last grid point that was filled; -1 before the first."""
        return self._newest_index

    def newest(self, count: int) -> list[GridPatch]:
        """Up to `count` patches of consecutive points, oldest first."""
        return list(self._run)[-count:] if count else []

    @property
    def nbytes(self) -> int:
        return sum(item.patch.picture.nbytes for item in self._run if not item.repeated)

    def statistics(self) -> RingStatistics:
        return RingStatistics(put=self._put, gaps=self._gaps, resets=self._resets)
