"""Clips of real faces as a network sees them, from footage that was prepared: what its heat maps are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from math import ceil

import numpy as np

from ..bundle import ClipSpec
from ..crop import crop_square, follow_square, square_round
from ..data.index import Index
from ..data.tracks import Track, open_tracks

CLIPS_A_TRACK = 3
"""Spread over it: neighbours are nearly the same."""


def real_clips(index: Index, clip: ClipSpec, groups: Iterable[str], *, most: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each with its group: (R + T, H, W, 3) uint8. At most so many, and of each group alike, of those that have any.
    Only the square recipe. Stills show no motion, and are left out."""
    names = sorted(set(groups))
    share = ceil(most / max(1, len(names)))
    by_group = [_of_group(name, index, clip, share) for name in names]
    return islice((one for turn in zip_longest(*by_group) for one in turn if one is not None), most)


def _of_group(group: str, index: Index, clip: ClipSpec, most: int) -> Iterator[tuple[str, np.ndarray]]:
    real = [one for one in index.of_groups([group]) if one.label == "real" and not one.still]
    tracks = (track for one in real for track in open_tracks(index.tracks_folder(one)))
    return islice(((group, crops) for track in tracks for crops in _of_track(track, clip)), most)


def _of_track(track: Track, clip: ClipSpec) -> Iterator[np.ndarray]:
    count = clip.memory + clip.length
    runs = track.on_grid(max(1, round(clip.grid_s / track.grid_s)))
    starts = [run[i : i + count] for run in runs for i in range(0, len(run) - count + 1, count)]
    step = max(1, len(starts) // CLIPS_A_TRACK)
    for patches in starts[::step][:CLIPS_A_TRACK]:
        crops = _cut(track, patches, clip)
        if crops is not None:
            yield crops


def _cut(track: Track, patches: list[int], clip: ClipSpec) -> np.ndarray | None:
    """Through the square of the first patch; None if the face leaves it, since then the runtime would begin anew."""
    square = square_round(track.box(patches[0]), clip.span)
    if any(follow_square(square, track.box(i), clip.span) is not square for i in patches):
        return None
    return np.stack([crop_square(track.patch(i), square, clip.size_px) for i in patches])
