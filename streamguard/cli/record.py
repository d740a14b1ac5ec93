"""What `--out FOLDER` writes while a command watches: an annotated video, a picture of the tracks, the events."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import ConfigError
from ..events import FaceAppeared
from ..run import Turn
from ..session import Session
from ..sinks.annotate import AnnotatedVideo, face_label
from ..sinks.jsonl import JsonLines
from ..sinks.timeline import TracksPicture
from ..sources.address import address_of
from ..values import Frame

VIDEO, TRACKS, EVENTS = "annotated.mp4", "tracks.png", "events.jsonl"


def refuse_own_input(out: Path, target: str, *, video: bool) -> None:
    """A file that is watched must not be written meanwhile, whatever name leads to it."""
    address = address_of(target)
    if address.kind != "file":
        return
    source = Path(address.location)
    for name in (VIDEO, TRACKS, EVENTS) if video else (TRACKS, EVENTS):
        for path in (out / name, out / f"{name}.part"):
            if path.exists() and source.exists() and path.samefile(source):
                raise ConfigError("--out", f"{path} is the file to watch and would be overwritten: name another folder")


class Recording:
    """Nothing is written if `out` is None. Closing finishes the files, also after an error."""

    def __init__(self, out: Path | None, session: Session, *, video: bool) -> None:
        self._out = out
        self._session = session
        self._wants_video = video
        self._stack = ExitStack()
        self._events: JsonLines | None = None
        self._tracks: TracksPicture | None = None
        self._video: AnnotatedVideo | None = None

    def __enter__(self) -> Self:
        if self._out is not None:
            with ExitStack() as opened:
                self._events = opened.enter_context(JsonLines.create(self._out / EVENTS))
                self._tracks = TracksPicture(self._out / TRACKS)
                opened.callback(self._tracks.close)
                if self._wants_video:
                    self._video = opened.enter_context(AnnotatedVideo(self._out / VIDEO))
                self._stack = opened.pop_all()  # nothing failed: they stay open
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def files(self) -> list[Path]:
        """What was written, once closed. Files of an earlier run do not count."""
        if self._out is None:
            return []
        made = {
            VIDEO: self._video is not None and self._video.pictures > 0,
            TRACKS: self._tracks is not None,
            EVENTS: self._events is not None,
        }
        return [self._out / name for name, is_new in made.items() if is_new]

    def take(self, turn: Turn) -> None:
        frame = turn.item if isinstance(turn.item, Frame) else None
        for event in turn.events:
            if self._events is not None:
                self._events.send(event)
            if self._tracks is not None:
                self._tracks.send(event)
                if frame is not None and isinstance(event.kind, FaceAppeared):
                    kind = event.kind
                    self._tracks.see(kind.face_id, kind.generation, frame.picture, kind.box_px)
        if self._video is not None and frame is not None:
            labels = [face_label(face, self._session.face_state(face)) for face in self._session.faces()]
            self._video.add(frame.picture, frame.pts_s, labels)
