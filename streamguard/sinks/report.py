"""A report of one stream for people: one HTML file that needs nothing else, from any browser, from disk or mail.

`Report` is a Sink that gathers while events come and writes when it is closed. `report_story` holds what is kept,
`report_page` says it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from ..errors import ClosedError
from ..events import Event
from ..picture import Picture
from ..values import Box, Mapped
from .heat import HeatKind, cells_of, lay_over
from .report_moments import HeatPictures
from .report_page import HEAT_PX, THUMBNAIL_PX, page
from .report_story import Story
from .sink import discard, part_path, put_in_place, sink_error
from .timeline import cut_thumbnail

JPEG_QUALITY = 78
HEAT_COLOURS = 128
"""Of a picture with a heat map: a palette of so many bounds its bytes."""


class Report:
    """Writes `path` when closed; an older file stays until then, and if the new one cannot be written.

    `notes` are shown at the top, each as a line; one whose first word is in capitals (UNTRAINED ...) as a warning. Say
    there which version and which network made the scores.
    """

    def __init__(self, path: Path, *, title: str, notes: Sequence[str] = ()) -> None:
        self._path = path
        self._title = title
        self._notes = list(notes)
        self._story = Story()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, event: Event) -> None:
        if self._closed:
            raise ClosedError(str(self._path))
        self._story.add(event)

    def note(self, text: str) -> None:
        """One more note, of what became known on the way."""
        if self._closed:
            raise ClosedError(str(self._path))
        self._notes.append(text)

    def see(self, pts_s: float, face_id: int, generation: int, picture: Picture, box_px: Box) -> None:
        """The picture of the newest frame, right after an event that is a turning point of this face was sent:
        FaceAppeared, VerdictChanged, ParticipantVerdictChanged. It becomes the thumbnail of that turning point; for
        any other face, or a second time, it is ignored.
        """
        if self._closed:
            raise ClosedError(str(self._path))
        self._story.see((face_id, generation), lambda: thumbnail(picture, box_px))

    def see_maps(self, pts_s: float, mapped: Mapped) -> None:
        """Heat maps of a window that ends at `pts_s`, on the clock of the events. They are shown if its score is among
        the highest of its face; before that or after it comes to the same."""
        if self._closed:
            raise ClosedError(str(self._path))
        key = mapped.clip.face_id, mapped.clip.generation
        self._story.see_maps(key, pts_s, lambda: heat_pictures(mapped))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        part = part_path(self._path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(page(self._story, title=self._title, notes=self._notes), encoding="utf-8")
            put_in_place(part, self._path)
        except OSError as exc:
            discard(part, self._path)
            raise sink_error(str(self._path), exc) from exc


def thumbnail(picture: Picture, box_px: Box) -> bytes:
    """The face with a little of its surroundings, as a small JPEG."""
    file = io.BytesIO()
    Image.fromarray(cut_thumbnail(picture, box_px, 2 * THUMBNAIL_PX)).save(
        file, format="JPEG", quality=JPEG_QUALITY, optimize=True
    )
    return file.getvalue()


def heat_pictures(mapped: Mapped) -> HeatPictures:
    """The newest crop as the network saw it, and each map over it."""
    crop, maps = mapped.clip.crops[-1], mapped.maps
    return HeatPictures(
        crop=_png(_tile(crop)),
        motion=_heat(crop, mapped, "motion"),
        anomaly=_heat(crop, mapped, "anomaly"),
        comparable=maps.comparable,
    )


def _heat(crop: np.ndarray, mapped: Mapped, kind: HeatKind) -> bytes | None:
    cells = cells_of(mapped.maps, kind)
    if cells is None:
        return None
    image = _tile(crop)
    lay_over(image, Box(0.0, 0.0, float(image.width), float(image.height)), cells)
    return _png(image)


def _tile(crop: np.ndarray) -> Image.Image:
    return Image.fromarray(crop).resize((HEAT_PX, HEAT_PX), Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.quantize(HEAT_COLOURS, dither=Image.Dither.NONE).save(file, format="PNG", optimize=True)
    return file.getvalue()
