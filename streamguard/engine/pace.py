"""How often faces can be scored: measured costs and the number of faces go in, the hop that fits comes out.

When the machine cannot keep up, every face of every stream is scored less often by the same factor. The hop follows
from what is measured, so it needs no probing, and goes back by itself when faces leave or the machine is free again.

Each change costs (steps are shown again, people are told), so the hop does not follow every breath of the machine: it
is stretched only when next to nothing is left, at once; and shortened only when there was clearly room for a while.
"""

from __future__ import annotations

from collections import deque
from math import inf
from statistics import fmean, median

from ..bundle import ClipSpec, Graph
from .batcher import FILES_SHARE, Face

HEADROOM = 1.15
"""A stretched hop is this much longer than the measured cost asks for: work comes unevenly."""
REMEMBER_S = 3.0
"""A face counts for this long after its last work, or for two hops if that is longer; so do files."""
SMOOTH_S = 5.0
"""The cost is the mean over the batches of so long (or the newest FEW, if those are more). One that took longer than
HELD_UP times the usual was held up by something else, and counts as that."""
FEW = 16
"""While there are fewer, the cheapest counts: the first ones also warm the network up."""
HELD_UP = 3.0
FULL, EASED = 1.0, 0.8
"""The usual hop is left when the faces ask for more than the first share of what the machine can do, and taken up again
when they would ask for less than the second."""
UP_ABOVE, DOWN_BELOW = 1.05, 0.8
"""A stretched hop changes only if it would be by these factors."""
SURE_AFTER_S = 4.0
"""It is shortened only if it could have been all this time."""


class Pace:
    """Not thread-safe: the engine holds the lock."""

    def __init__(self, *, graph: Graph, clip: ClipSpec, at_once: int) -> None:
        self._usual_s = clip.hop_s if graph == "window" else clip.grid_s
        self._steps_a_clip = clip.memory + clip.length if graph == "step" else 1
        self._at_once = at_once
        self._asked_s: dict[Face, float] = {}
        self._files_asked_s = -inf
        self._costs: deque[tuple[float, float]] = deque()
        """When it was measured, and what one run took."""
        self._hop_s = self._usual_s
        self._room_since_s: float | None = None

    @property
    def usual_s(self) -> float:
        """The hop that the bundle asks for."""
        return self._usual_s

    def ask(self, face: Face, now_s: float) -> None:
        """Live work of this face was handed in."""
        self._asked_s[face] = now_s

    def ask_for_file(self, now_s: float) -> None:
        """Work of a file was handed in. It takes what is left, and counts only as far as its share is sure."""
        self._files_asked_s = now_s

    def forget(self, stream: int, face: tuple[int, int] | None = None) -> None:
        for key in [key for key in self._asked_s if key[0] == stream and face in (None, key[1:])]:
            del self._asked_s[key]

    def measure(self, seconds: float, *, items: int, runs: int, side_by_side: int, now_s: float) -> None:
        """A batch of so many items took so long for so many runs of the network (windows, or crops of steps), while so
        many items in all were being worked on: where they are more than fit side by side, each had only a share."""
        share = min(1.0, self._at_once / side_by_side)
        self._costs.append((now_s, items * share * seconds / runs))
        while len(self._costs) > FEW and now_s - self._costs[0][0] > SMOOTH_S:
            self._costs.popleft()

    def hop_s(self, now_s: float) -> float:
        """Media time between two scores of one face that this machine can keep up with."""
        fits_s = self.fitting_s(now_s)
        if fits_s > UP_ABOVE * self._hop_s:
            self._hop_s, self._room_since_s = fits_s, None
        elif fits_s == self._hop_s or (fits_s > DOWN_BELOW * self._hop_s and fits_s != self._usual_s):
            self._room_since_s = None
        elif self._room_since_s is None:
            self._room_since_s = now_s
        elif now_s - self._room_since_s >= SURE_AFTER_S:
            self._hop_s, self._room_since_s = max(fits_s, self._usual_s), None
        return self._hop_s

    def fitting_s(self, now_s: float) -> float:
        """The hop that would fit just now. It may be somewhat less than the usual one if that is not in use.

        A face that is fed by steps costs one run a grid point, or, scored more rarely than it remembers, all the crops
        that it remembers at each hop: stretching helps only from there on.
        """
        keep_s = max(REMEMBER_S, 2 * self._hop_s)
        self._asked_s = {face: at_s for face, at_s in self._asked_s.items() if now_s - at_s <= keep_s}
        busy_s = len(self._asked_s) * self._cost_s() / self._at_once
        if now_s - self._files_asked_s <= keep_s:
            busy_s *= 1 + FILES_SHARE
        most = FULL if self._hop_s == self._usual_s else EASED
        if busy_s <= most * self._usual_s:
            return self._usual_s
        return HEADROOM * busy_s * self._steps_a_clip

    def _cost_s(self) -> float:
        """Of one run, with all lanes of the device at work side by side."""
        costs_s = [cost_s for _, cost_s in self._costs]
        if len(costs_s) < FEW:
            return min(costs_s, default=0.0)
        most_s = HELD_UP * median(costs_s)
        return fmean(min(cost_s, most_s) for cost_s in costs_s)
