"""What a command shows while it watches: a live table on a terminal, one line an event otherwise."""

from __future__ import annotations

import os
import shutil
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from ..config import FacesConfig
from ..events import FaceLost
from ..run import Turn
from ..session import Session
from ..sources import Source
from ..values import Face, Frame
from .event_words import code_words, event_line, printable

REFRESH_S = 0.2
RECENT_LINES = 8
CLEAR_LINE, UP = "\x1b[K", "\x1b[{}A"

Columns = Sequence[tuple[str, int]]
"""Each column's title and width; less than 0: aligned to the left."""


def head(columns: Columns) -> str:
    return "".join(name.ljust(-width) if width < 0 else name.rjust(width) for name, width in columns)


def is_terminal(file: TextIO) -> bool:
    """It shows a person what is written, and obeys what moves its cursor."""
    return file.isatty() and os.environ.get("TERM") != "dumb"


class View(ABC):
    """Shows every turn. On a terminal the table is redrawn in place, a few times a second, below the recent events."""

    columns: Columns
    """All of them fit a terminal of 80 columns."""

    def __init__(self, file: TextIO, session: Session, source: Source) -> None:
        self._file = file
        self.session = session
        self.source = source
        self._live = is_terminal(file)
        self._recent: list[str] = []
        self._drawn_lines = 0
        self._next_draw_s = 0.0
        self._pts_s = 0.0
        self._started_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._draw()
        self._file.writelines(line + "\n" for line in self.summary())

    def show(self, turn: Turn) -> None:
        if isinstance(turn.item, Frame):
            self._pts_s = turn.item.pts_s
        self.note(turn)
        lines = self.lines(turn)
        if not self._live:
            self._file.writelines(line + "\n" for line in lines)
            self._file.flush()
            return
        self._recent = [*self._recent, *lines][-RECENT_LINES:]
        now_s = time.monotonic()
        if now_s >= self._next_draw_s:
            self._next_draw_s = now_s + REFRESH_S
            self._draw()

    # What one kind of view says.

    def note(self, turn: Turn) -> None:  # noqa: B027  # nothing, if a view remembers nothing
        """Remember what the table will need."""

    def lines(self, turn: Turn) -> list[str]:
        """What is told once, as it happens."""
        return [event_line(event) for event in turn.events]

    @abstractmethod
    def row(self, face: Face) -> str: ...

    def status(self) -> list[str]:
        """What stands above the table."""
        statistics = self.source.statistics()
        elapsed_s = max(1e-9, time.monotonic() - self._started_s)
        return [
            f"{printable(self.source.url)}  {code_words(self.session.state)}  {self._pts_s:.1f} s  "
            f"{statistics.frames_read} frames, {statistics.frames_read / elapsed_s:.0f} a second, "
            f"{statistics.frame_queue.dropped} dropped"
        ]

    def summary(self) -> list[str]:
        """What is said in the end."""
        statistics = self.session.statistics()
        plural, hint = "s", ""
        if statistics.frames == 1:
            plural, hint = "", f"; a face appears once it was seen in {FacesConfig().looks_to_confirm} frames"
        return [
            f"{statistics.frames} frame{plural}, {statistics.tracker.generations} face generations, "
            f"{statistics.windows} windows, {statistics.gaps} gaps, {statistics.resets} resets; "
            f"{self.source.statistics().frame_queue.dropped} frames dropped{hint}"
        ]

    def _draw(self) -> None:
        columns, rows = shutil.get_terminal_size()
        room = max(0, rows - 1)  # the cursor stands below
        table = [*self.status(), head(self.columns), *(self.row(face) for face in self.session.faces())][:room]
        events = self._recent[-(room - len(table) - 1) :] if room - len(table) > 1 else []
        lines = [line[: columns - 1] for line in ([*events, "", *table] if events else table)]
        back = min(self._drawn_lines, room)  # the terminal may have become lower
        blank = max(0, back - len(lines))
        start = UP.format(back) if back else ""
        self._file.write(start + "".join(f"{line}{CLEAR_LINE}\n" for line in [*lines, *[""] * blank]))
        self._file.flush()
        self._drawn_lines = len(lines) + blank


class FaceView(View):
    """Faces and what the picture allows, without any network."""

    columns = (
        ("face", -8),
        ("state", -12),
        ("at", 9),
        ("size", 8),
        ("sharp", 6),
        ("light", 6),
        ("yaw", 5),
        ("pitch", 6),
        ("whole", 6),
        ("windows", 8),
    )

    def __init__(self, file: TextIO, session: Session, source: Source) -> None:
        super().__init__(file, session, source)
        self._windows: Counter[tuple[int, int]] = Counter()

    def note(self, turn: Turn) -> None:
        for window in turn.windows:
            self._windows[window.face_id, window.generation] += 1
        for event in turn.events:
            if isinstance(event.kind, FaceLost):
                self._windows.pop((event.kind.face_id, event.kind.generation), None)

    def windows_of(self, face_id: int, generation: int) -> int:
        """So many came of a generation that is still there."""
        return self._windows[face_id, generation]

    def row(self, face: Face) -> str:
        quality = face.quality
        name = f"{face.face_id}.{face.generation}"
        x, y = face.box_px.centre
        return (
            f"{name:<8}{code_words(self.session.face_state(face)):<12}"
            f"{f'{x:.0f},{y:.0f}':>9}{quality.size_px:>5.0f} px{quality.sharpness:>6.2f}{quality.luma:>6.2f}"
            f"{quality.yaw_deg:>+5.0f}{quality.pitch_deg:>+6.0f}{quality.presence:>6.2f}"
            f"{self.windows_of(face.face_id, face.generation):>8}"
        )
