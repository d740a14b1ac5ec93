"""The seam: what runs a bundle's graphs. Named arrays in, named arrays out; state stays inside, in slots.

A backend knows no faces, thresholds or post-processing. Calls may come from several threads at once, but never two for
the same slot. Everything that a graph takes and gives is described in bundle.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ..bundle import Graph, Precision

Arrays = Mapping[str, np.ndarray]


class Backend(Protocol):
    @property
    def name(self) -> str:
        """`openvino`, `onnxruntime`, `torch`, ..."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, for people."""
        ...

    @property
    def graph(self) -> Graph:
        """The one graph that it was opened for: `window` has `run`, `step` has slots."""
        ...

    @property
    def precision(self) -> Precision: ...

    @property
    def at_once(self) -> int:
        """So many items are worked on side by side; a batch of more takes longer."""
        ...

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """A batch of windows: `crops` (N, L, H, W, 3) uint8. Gives copies. Row n never depends on the other rows."""
        ...

    def open_slot(self) -> int:
        """A cleared slot: state for one face."""
        ...

    def step(self, slots: Sequence[int], arrays: Arrays) -> dict[str, np.ndarray]:
        """One new crop for each slot, all different: `crops` (N, H, W, 3) uint8 and `age` (N,) int64. Gives copies."""
        ...

    def clear(self, slot: int) -> None:
        """All state tensors become zeros."""
        ...

    def fill(self, slot: int, value: float) -> None:
        """All state tensors become this value: for poison tests."""
        ...

    def close_slot(self, slot: int) -> None:
        """Its number may be given out again."""
        ...

    @property
    def bytes_per_slot(self) -> int: ...

    def close(self) -> None:
        """Give everything back. May be called twice."""
        ...


class MapsBackend(Protocol):
    """Runs a bundle's maps graph in fp32, for one clip at a time and one thread."""

    @property
    def name(self) -> str: ...

    def run(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """Of one clip (R + T, H, W, 3) uint8: each map (h, w) float32. Gives copies."""
        ...

    def close(self) -> None:
        """Give everything back. May be called twice."""
        ...
