"""Faces that nobody touched, in a fake of somebody else: they are left out of its trace, for its label is not theirs.

`streamguard data prepare` finds them, by comparing a fake with its twin. What was observed here is matched with what
was prepared by place and time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..config import ClipConfig
from ..data.index import Footage, Index
from ..data.tracks import Done, Track
from ..values import Box
from .observe import Observed
from .traces import FaceTrace, usable_spans

NEAR_S = 0.5
SAME_PLACE = 0.4
"""Overlap of the two boxes."""


def without_untouched(index: Index, footage: Footage, condition: str, observed: Observed, clip: ClipConfig) -> Observed:
    done = Done.open(index.tracks_folder(footage)) if footage.label == "fake" else None
    if done is None or not any(found.untouched for found in done.tracks):
        return observed
    folder = index.tracks_folder(footage)
    tracks = [Track.open(folder / found.name) for found in done.tracks if found.untouched]
    raw_size, size = (done.width, done.height), (observed.width, observed.height)

    def is_untouched(face: FaceTrace) -> bool:
        """In most of the places where it was seen, an untouched face was prepared."""
        same = sum(
            place.box_px.overlap(box_under(condition, box, raw_size, size)) > SAME_PLACE
            for place in face.places
            for box in _boxes_at(tracks, place.pts_s)
        )
        return 2 * same > len(face.places)

    faces = tuple(face for face in observed.faces if not is_untouched(face))
    return replace(observed, faces=faces, usable_seconds=usable_spans(clip, [face.moments for face in faces]))


def box_under(condition: str, box: Box, raw_size: tuple[int, int], size: tuple[int, int]) -> Box:
    """Where what was at `box` is, in pictures of another size under this condition."""
    if condition == "pad-border":
        return box.moved((size[0] - raw_size[0]) / 2, (size[1] - raw_size[1]) / 2)
    x, y = size[0] / raw_size[0], size[1] / raw_size[1]
    box = Box(box.x0 * x, box.y0 * y, box.x1 * x, box.y1 * y)
    if condition == "mirror":
        return Box(size[0] - box.x1, box.y0, size[0] - box.x0, box.y1)
    return box


def _boxes_at(tracks: list[Track], pts_s: float) -> Iterator[Box]:
    """Of the untouched faces that were there about then."""
    for track in tracks:
        i = int(np.argmin(np.abs(track.pts_s - pts_s)))
        if abs(track.pts_s[i] - pts_s) <= NEAR_S:
            yield track.box(i)
