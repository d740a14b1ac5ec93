"""The evidence about one face, added up: log likelihood ratios of windows in, one bounded sum out.

A sum with forgetting, not an average: a swap that starts mid-call must not be averaged away by an honest hour before.
The small floor does that: however long a face was honest, its credit is spent by a window or two.

Every moment counts once. A window has a say in proportion to the share of its media time that is new to this face, so
steps of 80 ms, windows that overlap, and windows side by side add up to the same. Time between windows counts for
nothing.

Windows of one face are not independent, and a sum takes them as if they were: a network that is a little wrong about a
face, in the same way all along, adds that up. Hence the limits here; hence `scale`, by which a calibration says how
much less each window tells than it would alone (Calibration.evidence_scale); and hence thresholds must be fitted on
this sum over whole calls (Thresholds.false_positive_rate), not on single windows.
"""

from __future__ import annotations

from math import isfinite

PER_WINDOW = 2.0
"""The most that one window's worth of media time may say, either way: odds of 7 to 1, however sure the network is. So
no single window decides, and what a burst of noise or an attack can do in that time is known."""

FLOOR = -3.0
"""Odds of 20 to 1 for real. Lower would be more credit for a swap that starts mid-call: two windows use this one up."""

CEILING = 5.0
"""Odds of 150 to 1 for fake. Higher than the floor is low, so that an accusation outlasts a few windows that see
nothing; low enough that an honest face comes back within seconds."""

SHORTEST_WINDOW_S = 0.5
"""A window of less media time counts as a part of one: a few crops of the same moment are the same evidence."""


class Evidence:
    """The sum for one face generation. Media time only runs forward here."""

    def __init__(
        self, *, forget_after_s: float, floor: float = FLOOR, ceiling: float = CEILING, scale: float = 1.0
    ) -> None:
        assert forget_after_s > 0
        assert floor < 0 < ceiling
        assert 0 < scale <= 1
        self._forget_after_s = forget_after_s
        self._scale = scale
        self._floor, self._ceiling = floor, ceiling
        self._sum = 0.0
        self._newest_pts_s: float | None = None
        self._windows = 0.0

    def add(self, evidence: float, *, pts_start_s: float, pts_end_s: float) -> bool:
        """Take what a window from start to end says. False, and nothing changes, if it holds no new moment (older than
        what was added, or empty) or if a number is not finite."""
        length_s = pts_end_s - pts_start_s
        if not (isfinite(evidence) and isfinite(length_s)):
            return False
        new_s = pts_end_s - (pts_start_s if self._newest_pts_s is None else max(pts_start_s, self._newest_pts_s))
        if new_s <= 0:
            return False
        share = new_s / max(length_s, SHORTEST_WINDOW_S)
        limited = min(max(self._scale * evidence, -PER_WINDOW), PER_WINDOW)
        self._sum = min(max(self.at(pts_end_s) + share * limited, self._floor), self._ceiling)
        self._newest_pts_s = pts_end_s
        self._windows += share
        return True

    def at(self, pts_s: float) -> float:
        """The sum after forgetting until then. Before the newest window's end: as it was there."""
        if self._newest_pts_s is None or not pts_s > self._newest_pts_s:
            return self._sum
        return self._sum * 2 ** -((pts_s - self._newest_pts_s) / self._forget_after_s)

    @property
    def windows(self) -> float:
        """How many windows' worth of media time was seen. Nothing of this is forgotten."""
        return self._windows

    @property
    def newest_pts_s(self) -> float | None:
        """Where the newest window ended; None before the first."""
        return self._newest_pts_s
