"""What a command writes while it watches: an annotated video, a picture of the whole time, the events, a report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ..engine.engine import Seat
from ..errors import ConfigError
from ..events import FaceAppeared, FaceLost, ParticipantVerdictChanged, Score, VerdictChanged
from ..run import Turn
from ..session import Session
from ..sinks.annotate import AnnotatedVideo, face_label
from ..sinks.heat import HeatKind, Overlay, overlay_of
from ..sinks.jsonl import JsonLines
from ..sinks.report import Report
from ..sinks.report_page import is_warning
from ..sinks.sink import Sink
from ..sinks.timeline import TracksPicture
from ..sources import Source
from ..sources.address import address_of
from ..values import Box, Face, FaceState, Frame
from .course import Course

VIDEO, TRACKS, TIMELINE, EVENTS, REPORT = "annotated.mp4", "tracks.png", "timeline.png", "events.jsonl", "report.html"

Key = tuple[int, int]
"""Face id and generation."""

SUSPECT = (FaceState.LIKELY_FAKE, FaceState.UNCERTAIN)
"""Faces in other states are shown without a heat map: it would look like evidence."""
MAP_SHOWN_S = 3.0
"""A map is drawn for so long at most: in a crowd each face has a new one only now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What a report says above all."""

    title: str
    notes: Sequence[str] = ()
    warning: str = ""
    """In a few words, for pictures."""
    trained: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Which files are written, and where."""

    folder: Path
    video: bool = True
    picture: str = TIMELINE
    """Name of the picture of the whole time."""
    report: Heading | None = None
    maps: HeatKind | None = None
    """Which heat map is drawn into the video; with any, the report shows all."""

    @property
    def names(self) -> list[str]:
        """In the order in which people look at them."""
        wanted = {REPORT: self.report is not None, VIDEO: self.video, self.picture: True, EVENTS: True}
        return [name for name, is_wanted in wanted.items() if is_wanted]


def refuse_inputs(outputs: Iterable[Files], targets: Iterable[str | Path]) -> None:
    """No file that is watched may be written, by its own recording or another's, whatever name leads to it."""
    inputs = {identity(address.location) for address in map(address_of, targets) if address.kind == "file"} - {None}
    for files in outputs:
        for name in files.names:
            for path in (files.folder / name, files.folder / f"{name}.part"):
                if identity(path) in inputs:
                    problem = f"{path} is a file to watch and would be overwritten: name another folder"
                    raise ConfigError("--out", problem)


def identity(path: str | Path) -> tuple[int, int] | None:
    """What all names of one file have in common; None if there is none, or it cannot be asked."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


class Recording:
    """Nothing is written if `files` is None. Closing finishes the files, also after an error, and notes in the report
    what is missing. `length_s` is how long the source says that it is.
    """

    def __init__(
        self,
        files: Files | None,
        session: Session,
        source: Source | None = None,
        *,
        seat: Seat | None = None,
        length_s: float | None = None,
    ) -> None:
        self.course = Course()
        self.notes: list[str] = []
        """Once closed: what the report says besides, for who prints."""
        self._source = source
        self._seat = seat
        self._length_s = length_s
        self._events: JsonLines | None = None
        self._files = files
        self._session = session
        self._stack = ExitStack()
        self._sinks: list[Sink] = []
        self._tracks: TracksPicture | None = None
        self._report: Report | None = None
        self._video: AnnotatedVideo | None = None
        # The newest frame, the faces in it, and their newest scores: an answer may come when the frame is over.
        self._frame: Frame | None = None
        self._boxes: dict[Key, Box] = {}
        self._scores: dict[Key, Score] = {}

    def __enter__(self) -> Self:
        if self._files is None:
            return self
        folder = self._files.folder
        with ExitStack() as opened:
            self._events = opened.enter_context(JsonLines.create(folder / EVENTS))
            warning = "" if self._files.report is None else self._files.report.warning
            self._tracks = TracksPicture(folder / self._files.picture, warning=warning)
            opened.callback(self._tracks.close)
            self._sinks.append(self._tracks)
            if self._files.report is not None:
                heading = self._files.report
                self._report = Report(folder / REPORT, title=heading.title, notes=heading.notes)
                self._sinks.append(opened.enter_context(self._report))
            if self._files.video:
                self._video = opened.enter_context(AnnotatedVideo(folder / VIDEO))
            self._stack = opened.pop_all()  # nothing failed: they stay open
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.notes = self.course.notes(self._session, self._source, length_s=self._length_s, failure=error)
        maps = self._seat.maps if self._seat is not None else None
        if maps is not None and (why := maps.failure()) is not None:
            self.notes.append(f"UNMAPPED: heat maps ended, scores did not: {why}")
        for note in self.notes:
            if self._report is not None:
                self._report.note(note)
            if self._tracks is not None and is_warning(note):
                self._tracks.warn(note.partition(":")[0].lower())
        self._stack.close()

    @property
    def written(self) -> list[Path]:
        """What was written, once closed. Files of an earlier run do not count."""
        if self._files is None:
            return []
        no_picture = self._video is None or self._video.pictures == 0
        return [self._files.folder / name for name in self._files.names if not (name == VIDEO and no_picture)]

    @property
    def stale(self) -> list[Path]:
        """What lies beside it and tells of an earlier run, once closed."""
        if self._files is None:
            return []
        places = (self._files.folder / name for name in (REPORT, VIDEO, self._files.picture, EVENTS))
        return [path for path in places if path not in self.written and os.path.exists(path)]

    def lines(self) -> Iterator[str]:
        """What is said of the files, once closed."""
        yield from self.notes
        yield from (f"wrote {path}" for path in self.written)
        yield from (f"older, of another run: {path}" for path in self.stale)

    def take(self, turn: Turn) -> None:
        self.course.take(turn)
        if isinstance(turn.item, Frame):
            self._frame = turn.item
            self._boxes = {(face.face_id, face.generation): face.box_px for face in self._session.faces()}
        for event in turn.events:
            if self._events is not None:
                self._events.send(event)  # with the source's own times, as they are in its file
            for sink in self._sinks:
                sink.send(self.course.relative(event))
            self._note(event.kind)
        if self._report is not None and self._files is not None and self._files.maps is not None:
            for mapped in turn.maps:
                self._report.see_maps(mapped.maps.pts_end_s - (self.course.first_s or 0.0), mapped)
        if self._video is not None and isinstance(turn.item, Frame):
            self._draw(self._video, turn.item)

    def _note(self, kind: object) -> None:
        """Right after the sinks took the event: what they show of it."""
        match kind:
            case FaceAppeared(face_id=face_id, generation=generation, box_px=box_px):
                self._see((face_id, generation), box_px)
            case VerdictChanged() | ParticipantVerdictChanged():
                key = kind.face_id, kind.generation
                self._see(key, self._boxes.get(key))
            case Score():
                self._scores[kind.face_id, kind.generation] = kind
            case FaceLost():
                self._scores.pop((kind.face_id, kind.generation), None)

    def _see(self, key: Key, box_px: Box | None) -> None:
        if self._frame is None or box_px is None:
            return
        if self._tracks is not None:
            self._tracks.see(*key, self._frame.picture, box_px)
        if self._report is not None:
            self._report.see(self._frame.pts_s - (self.course.first_s or 0.0), *key, self._frame.picture, box_px)

    def _draw(self, video: AnnotatedVideo, frame: Frame) -> None:
        trained = self._files is None or self._files.report is None or self._files.report.trained
        labels = [
            face_label(
                face,
                self._session.face_state(face),
                score=self._scores.get((face.face_id, face.generation)),
                trained=trained,
            )
            for face in self._session.faces()
        ]
        overlays = [self._overlay(face, frame) for face in self._session.faces()]
        video.add(frame.picture, frame.pts_s, labels, [overlay for overlay in overlays if overlay is not None])

    def _overlay(self, face: Face, frame: Frame) -> Overlay | None:
        """The newest heat map of a suspect face, if a calibrated score is there as well."""
        mapped, score = self._session.mapped(face), self._scores.get((face.face_id, face.generation))
        if mapped is None or score is None or score.p_fake is None or self._files is None or self._files.maps is None:
            return None
        if self._session.face_state(face) not in SUSPECT or frame.pts_s - mapped.maps.pts_end_s > MAP_SHOWN_S:
            return None
        return overlay_of(mapped.maps, self._files.maps, then=mapped.clip.box_px, now=face.box_px)
