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

from PIL import Image

from ..errors import ClosedError
from ..events import Event
from ..picture import Picture
from ..values import Box
from .report_page import THUMBNAIL_PX, page
from .report_story import Story
from .sink import discard, part_path, put_in_place, sink_error
from .timeline import cut_thumbnail

JPEG_QUALITY = 78


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
