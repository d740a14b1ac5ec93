"""Faces in a fake that nobody touched: of two people in a picture often only one was swapped. Used after `prepare`.

A label belongs to footage, and such a face would be taken for a fake. Where the genuine twin was cut too, both are
compared: a face that differs from its twin far less than another face of the same fake was left alone. Of a fake with
one face that is never said: a small change is a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..crop import Square, crop_square
from .index import Footage, Index
from .tracks import Done, Found, Track

UNTOUCHED_SHARE = 1 / 3
"""Of the largest difference in the same footage. Of 34 faces in side-by-side swaps, 3 are below 0.23 of it, and those
look untouched; all others are above 0.6."""
SAMPLES = 8
"""Pictures of a face that are compared."""
FACE_PX = 64


def compare(index: Index) -> Iterator[tuple[Footage, Done]]:
    """Measure each fake that has a twin and was not measured yet; yields those for which something was found out."""
    footage = {one.key: one for one in index.footage}
    for fake in index.footage:
        done = Done.open(index.tracks_folder(fake)) if fake.twin else None
        if done is None or len(done.tracks) < 2 or all(found.difference is not None for found in done.tracks):
            continue
        twin = Done.open(index.tracks_folder(footage[fake.twin]))
        if twin is None or not twin.tracks:
            continue
        twins = [Track.open(index.tracks_folder(footage[fake.twin]) / found.name) for found in twin.tracks]
        tracks = [Track.open(index.tracks_folder(fake) / found.name) for found in done.tracks]
        compared = replace(done, tracks=_judged(done.tracks, [difference(track, twins) for track in tracks]))
        if compared != done:
            compared.save(index.tracks_folder(fake))
            yield fake, compared


def _judged(tracks: Sequence[Found], differences: Sequence[float | None]) -> tuple[Found, ...]:
    largest = max((value for value in differences if value is not None), default=0.0)
    return tuple(
        replace(found, difference=value, untouched=value is not None and value < UNTOUCHED_SHARE * largest)
        for found, value in zip(tracks, differences, strict=True)
    )


def difference(track: Track, twins: Sequence[Track]) -> float | None:
    """Mean difference of the face's pixels from those in its twin at the same times, 0 to 255; None if no twin shows
    a face there at any of them."""
    pairs = [
        (i, twin, j) for twin in twins for i, j in _same_times(track, twin) if track.box(i).overlap(twin.box(j)) > 0.5
    ]
    found = []
    for i, twin, j in pairs[:: max(1, len(pairs) // SAMPLES)]:
        box = track.box(i)
        square = Square(centre_px=box.centre, side_px=box.scale)
        one, other = (crop_square(each, square, FACE_PX).astype(np.float32) for each in (track.patch(i), twin.patch(j)))
        found.append(float(np.abs(one - other).mean()))
    return float(np.median(found)) if found else None


def _same_times(track: Track, twin: Track) -> list[tuple[int, int]]:
    """Numbers of patches that show the same frame."""
    numbers = {round(pts_s * 1000): j for j, pts_s in enumerate(twin.pts_s.tolist())}
    times = ((i, round(pts_s * 1000)) for i, pts_s in enumerate(track.pts_s.tolist()))
    return [(i, numbers[time]) for i, time in times if time in numbers]
