"""What a network's heat maps are on real faces: clips in, the ranges of its maps out. For who makes bundles.

With them 0 and 255 stand for the same in every clip; without, each clip is shown against itself, and every clip, of
whomever, has a hottest place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..bundle import MapKind, MapRange, MapsSpec
from ..errors import EngineError
from .backend import MapsBackend

LOW_PERCENTILE, HIGH_PERCENTILE = 50.0, 99.9
"""See MapRange."""
LEAST_VALUES = 1000
"""Of a map, over all clips: fewer say nothing of one in a thousand."""


def with_ranges(spec: MapsSpec, backend: MapsBackend, clips: Iterable[np.ndarray], *, measured_on: str) -> MapsSpec:
    """The same, with the ranges that clips (R + T, H, W, 3) uint8 of real faces have. `measured_on`: whose, in words.
    EngineError if they are too few, or if a map is the same everywhere, or holds what is no number."""
    found: dict[MapKind, list[np.ndarray]] = {kind: [] for kind in spec.kinds}
    count = 0
    for count, crops in enumerate(clips, start=1):  # noqa: B007  # it is used when all are seen
        given = backend.run(crops)
        for kind in spec.kinds:
            found[kind].append(given[kind].ravel())
    ranges = {kind: _range(backend.name, kind, parts) for kind, parts in found.items()}
    return replace(spec, ranges=ranges, measured_on=f"{count} clips of {measured_on}")


def _range(backend: str, kind: MapKind, parts: list[np.ndarray]) -> MapRange:
    values = np.concatenate([np.empty(0, np.float32), *parts])
    if len(values) < LEAST_VALUES:
        raise EngineError(backend, f"{len(parts)} clips are too few to say what the {kind} map is on real faces")
    low, high = (float(share) for share in np.percentile(values, (LOW_PERCENTILE, HIGH_PERCENTILE)))
    if not low < high:  # also where one is no number
        raise EngineError(backend, f"the {kind} map of real faces is {low:g} to {high:g}: it can show nothing")
    return MapRange(low=low, high=high)
