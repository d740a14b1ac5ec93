"""Scans one source after another with one network, and tells of each what was seen. Used by `scan` and `demo`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ..errors import SourceError
from ..sinks.heat import HeatKind
from ..sinks.report_words import seconds
from ..sinks.sink import Sink
from ..sources import Source, open_source
from ..sources.address import redacted
from .account import Account, table
from .event_words import printable
from .find_videos import Video
from .follow import follow, opened
from .network import Network, Unscored
from .progress import Progress, length_of
from .record import Files, Recording
from .stop import StopSignals

MOST_NAME = 60
"""Characters of a file's name in the table; in full it stands above its own results."""
HEAD = ("video", "seen", "faces", "windows", "participant")


@dataclass(slots=True, kw_only=True)
class Scanned:
    """What became of one source."""

    name: str
    account: Account = field(default_factory=Account)
    written: list[Path] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What is missing, and what was written."""
    partial: bool = False
    failure: SourceError | Unscored | None = None
    """Unscored: it was seen to its end, and not one score could be used."""


class Scanner:
    """One network for all. What is `said` is for people; `events` get every event as well."""

    def __init__(
        self,
        network: Network,
        stop: StopSignals,
        said: TextIO,
        *,
        events: Sink | None = None,
        seconds: float | None = None,
        video: bool = True,
        maps: HeatKind | None = "both",
    ) -> None:
        self._network = network
        self._stop = stop
        self._said = said
        self._events = events
        self._seconds = seconds
        self._video = video
        self._maps = maps

    def scan_file(self, video: Video) -> Scanned:
        """A file that cannot be read is told, and no reason to stop."""
        name = str(video.path)
        try:
            _ask(video.path)
            source = open_source(video.path)
        except SourceError as exc:
            return self._told(Scanned(name=name, failure=exc))
        return self.scan(source, video.folder, name=name, length_s=length_of(video.path))

    def scan(
        self, source: Source, folder: Path, *, name: str, length_s: float | None = None, notes: Sequence[str] = ()
    ) -> Scanned:
        """Watch it to its end, and leave the results in `folder`. What cannot even be opened leaves nothing there."""
        title = Path(name).name
        files = self._network.files(folder, title=title, notes=notes, video=self._video, maps=self._maps)
        scanned = Scanned(name=name)
        try:
            with source, Progress(sys.stderr, title, _least(length_s, self._seconds)) as progress:
                self._watch(source, files, scanned, progress, length_s)
        except (SourceError, Unscored) as exc:
            scanned.failure = exc
        return self._told(scanned)

    def tell_warning(self) -> None:
        if self._network.warning:
            print(self._network.warning, file=self._said)

    def tell_all(self, results: Sequence[Scanned], wanted: int) -> None:
        """What is said when all is done."""
        if wanted > 1:
            self._say("")
            for line in table(HEAD, [_row(scanned) for scanned in results]):
                self._say(line)
        if len(results) < wanted:
            self._say(f"PARTIAL: {wanted - len(results)} of {wanted} were not looked at")
        if self._network.warning:
            self._say("")
            self._say(self._network.warning)

    def _watch(
        self, source: Source, files: Files, scanned: Scanned, progress: Progress, length_s: float | None
    ) -> None:
        session, seat = self._network.join(source)
        with seat:
            turns = opened(follow(source, session, self._stop, seat=seat, seconds=self._seconds))
            recording = Recording(files, session, source, seat=seat, length_s=length_s)
            try:
                with recording:
                    for turn in turns:
                        recording.take(turn)
                        scanned.account.take([recording.course.relative(event) for event in turn.events])
                        progress.show(turn)
                        if self._events is not None:
                            for event in turn.events:
                                self._events.send(event)
            finally:
                scanned.written, scanned.said = recording.written, list(recording.lines())
                scanned.partial = any(note.startswith("PARTIAL") for note in recording.notes)
            self._network.check_scores(session, recording.course.scores)

    def _told(self, scanned: Scanned) -> Scanned:
        """Say what came out of it, and what went wrong."""
        if scanned.failure is not None:
            print(f"streamguard: error: {printable(str(scanned.failure))}", file=sys.stderr)
        if scanned.written:
            self._say("")
            self._say(scanned.name)
            for line in scanned.account.lines() if self._events is None else ():
                self._say(f"  {line}")
            for line in scanned.said:
                self._say(f"  {line}")
        self._said.flush()
        return scanned

    def _say(self, line: str) -> None:
        print(printable(line), file=self._said)


class NoAccess(SourceError):
    """It may be there, and the system does not let us look."""

    code = "NOT_FOUND"
    what = "cannot be looked at"
    remedy = "Check the path, and who may read it"


def _ask(path: Path) -> None:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return  # whoever opens it says so
    except OSError as exc:
        raise NoAccess(redacted(str(path)), exc.strerror or str(exc)) from exc


def _least(*times_s: float | None) -> float | None:
    return min((time_s for time_s in times_s if time_s is not None), default=None)


def _row(scanned: Scanned) -> tuple[str, ...]:
    story = scanned.account.story
    name = printable(scanned.name)
    if len(name) > MOST_NAME:
        name = f"...{name[3 - MOST_NAME :]}"  # its end tells more
    if scanned.failure is not None and not scanned.written:
        return name, "", "", "", "cannot be read"
    partial = " (partial)" if scanned.partial else ""
    return (
        name,
        seconds(story.end_s - story.start_s) + partial,
        str(len(story.faces)),
        str(story.scores),
        scanned.account.verdict(),
    )
