"""Crops of faces for a report, taken from the media again: the worst mistakes, to look at on this machine only."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from ..data.index import Index
from ..errors import SourceError
from ..picture import Picture
from ..values import Box, Frame
from .evaluate import Mistake
from .traces import Trace

SIDE_PX = 176
JPEG_QUALITY = 80

Pictures = dict[tuple[str, int, int], str]
"""By footage, face and generation: a data URL."""


def take_pictures(index: Index, traces: Iterable[Trace], mistakes: Iterable[Mistake]) -> Iterator[tuple[Mistake, str]]:
    """Each mistake with a picture of its worst moment, as a data URL; empty where the media cannot be read any more.
    The traces are raw ones."""
    by_key = {trace.key: trace for trace in traces}
    footage = {one.key: one for one in index.footage}
    for mistake in mistakes:
        box = _box_at(by_key[mistake.key], mistake)
        if mistake.key not in footage or box is None:
            yield mistake, ""
            continue
        try:
            with index.source(footage[mistake.key]) as source:
                frames = (item for item in source if isinstance(item, Frame))
                frame = next((frame for frame in frames if frame.pts_s >= mistake.worst_pts_s - 1e-4), None)
        except SourceError:
            frame = None
        yield mistake, "" if frame is None else data_url(cut_face(frame.picture, box))


def _box_at(trace: Trace, mistake: Mistake) -> Box | None:
    """Where the face was about then."""
    for face in trace.faces:
        if (face.face_id, face.generation) == (mistake.face_id, mistake.generation) and face.places:
            return min(face.places, key=lambda place: abs(place.pts_s - mistake.worst_pts_s)).box_px
    return None


def cut_face(picture: Picture, box: Box) -> np.ndarray:
    """The face with its surroundings, about as the network sees it."""
    largest = float(max(picture.width, picture.height))
    half = min(max(box.scale, 2.0), largest)
    x, y = (min(max(place, 0.0), largest) for place in box.centre)
    return picture.rgb_region((x - half, y - half, x + half, y + half), (SIDE_PX, SIDE_PX))


def data_url(rgb: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, format="JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
