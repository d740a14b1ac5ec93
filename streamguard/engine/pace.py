"""How often faces can be scored: measured costs and the number of faces go in, the hop that fits comes out.

When the machine cannot keep up, every face of every stream is scored less often by the same factor. The hop follows
from what is measured, so it needs no probing, and goes back by itself when faces leave or the machine is free again.
"""

from __future__ import annotations

from collections import deque

from ..bundle import ClipSpec, Graph
from .batcher import Face

HEADROOM = 1.15
"""The hop is this much longer than the measured cost asks for: work comes unevenly."""
REMEMBER_S = 3.0
"""A face counts for this long after its last work, or for two hops if that is longer."""
BATCHES = 16
"""The cost is the mean of the middle half of so many batches: one that was held up says nothing about the next. While
there are few, the cheapest counts: the first ones also warm the network up."""
FEW = 8
UP_ABOVE, DOWN_BELOW = 1.05, 0.8
"""The hop changes only if it would be by these factors, so that it does not swing."""


class Pace:
    """Not thread-safe: the engine holds the lock."""

    def __init__(self, *, graph: Graph, clip: ClipSpec, at_once: int) -> None:
        self._usual_s = clip.hop_s if graph == "window" else clip.grid_s
        self._steps_a_clip = clip.memory + clip.length if graph == "step" else 1
        self._at_once = at_once
        self._asked_s: dict[Face, float] = {}
        self._costs_s: deque[float] = deque(maxlen=BATCHES)
        self._hop_s = self._usual_s

    @property
    def usual_s(self) -> float:
        """The hop that the bundle asks for."""
        return self._usual_s

    def ask(self, face: Face, now_s: float) -> None:
        """Live work of this face was handed in."""
        self._asked_s[face] = now_s

    def forget(self, stream: int, face: tuple[int, int] | None = None) -> None:
        for key in [key for key in self._asked_s if key[0] == stream and face in (None, key[1:])]:
            del self._asked_s[key]

    def measure(self, seconds: float, *, items: int, runs: int, side_by_side: int) -> None:
        """A batch of so many items took so long for so many runs of the network (windows, or crops of steps), while so
        many items in all were being worked on: where they are more than fit side by side, each had only a share."""
        share = min(1.0, self._at_once / side_by_side)
        self._costs_s.append(items * share * seconds / runs)

    def hop_s(self, now_s: float) -> float:
        """Media time between two scores of one face that this machine can keep up with."""
        keep_s = max(REMEMBER_S, 2 * self._hop_s)
        self._asked_s = {face: at_s for face, at_s in self._asked_s.items() if now_s - at_s <= keep_s}
        fits_s = self._fitting(len(self._asked_s))
        if fits_s == self._usual_s or not DOWN_BELOW * self._hop_s <= fits_s <= UP_ABOVE * self._hop_s:
            self._hop_s = fits_s
        return self._hop_s

    def _fitting(self, faces: int) -> float:
        """A face that is fed by steps costs one run a grid point, or, scored more rarely than it remembers, all the
        crops that it remembers at each hop: stretching helps only from there on."""
        busy_s = HEADROOM * faces * self._cost_s() / self._at_once
        if busy_s <= self._usual_s:
            return self._usual_s
        return busy_s * self._steps_a_clip

    def _cost_s(self) -> float:
        """Of one run, with all lanes of the device at work side by side."""
        costs_s = sorted(self._costs_s)
        if len(costs_s) < FEW:
            return costs_s[0] if costs_s else 0.0
        middle = costs_s[len(costs_s) // 4 : len(costs_s) - len(costs_s) // 4]
        return sum(middle) / len(middle)
