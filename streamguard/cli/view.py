"""What a command shows while it watches: a live table on a terminal, one line an event otherwise."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from types import TracebackType
from typing import Self, TextIO

from ..config import FacesConfig
from ..events import (
    Blinded,
    EndOfStream,
    Event,
    FaceAppeared,
    FaceLost,
    MediaGap,
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from ..run import Turn
from ..session import Session
from ..sources import Source
from ..values import Frame

REFRESH_S = 0.2
RECENT_LINES = 8
CLEAR_LINE, UP = "\x1b[K", "\x1b[{}A"
COLUMNS = (
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
"""All of them fit a terminal of 80 columns."""
HEAD = "".join(name.ljust(-width) if width < 0 else name.rjust(width) for name, width in COLUMNS)


class FaceView:
    """Shows every turn. On a terminal the table is redrawn in place, a few times a second, below the recent events."""

    def __init__(self, file: TextIO, session: Session, source: Source) -> None:
        self._file = file
        self._session = session
        self._source = source
        self._live = file.isatty()
        self._windows: Counter[tuple[int, int]] = Counter()
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
        self._file.write(self._summary() + "\n")

    def show(self, turn: Turn) -> None:
        for window in turn.windows:
            self._windows[window.face_id, window.generation] += 1
        for event in turn.events:
            if isinstance(event.kind, FaceLost):
                self._windows.pop((event.kind.face_id, event.kind.generation), None)
        if isinstance(turn.item, Frame):
            self._pts_s = turn.item.pts_s
        lines = [event_line(event) for event in turn.events]
        if not self._live:
            self._file.writelines(line + "\n" for line in lines)
            self._file.flush()
            return
        self._recent = [*self._recent, *lines][-RECENT_LINES:]
        now_s = time.monotonic()
        if now_s >= self._next_draw_s:
            self._next_draw_s = now_s + REFRESH_S
            self._draw()

    def windows_of(self, face_id: int, generation: int) -> int:
        """So many came of a generation that is still there."""
        return self._windows[face_id, generation]

    def _draw(self) -> None:
        columns, rows = shutil.get_terminal_size()
        room = max(0, rows - 1)  # the cursor stands below
        table = [self._status(), HEAD, *self._rows()][:room]
        events = self._recent[-(room - len(table) - 1) :] if room - len(table) > 1 else []
        lines = [line[: columns - 1] for line in ([*events, "", *table] if events else table)]
        back = min(self._drawn_lines, room)  # the terminal may have become lower
        blank = max(0, back - len(lines))
        start = UP.format(back) if back else ""
        self._file.write(start + "".join(f"{line}{CLEAR_LINE}\n" for line in [*lines, *[""] * blank]))
        self._file.flush()
        self._drawn_lines = len(lines) + blank

    def _rows(self) -> list[str]:
        rows = []
        for face in self._session.faces():
            quality = face.quality
            name = f"{face.face_id}.{face.generation}"
            x, y = face.box_px.centre
            rows.append(
                f"{name:<8}{self._session.face_state(face).replace('_', ' ').lower():<12}"
                f"{f'{x:.0f},{y:.0f}':>9}{quality.size_px:>5.0f} px{quality.sharpness:>6.2f}{quality.luma:>6.2f}"
                f"{quality.yaw_deg:>+5.0f}{quality.pitch_deg:>+6.0f}{quality.presence:>6.2f}"
                f"{self.windows_of(face.face_id, face.generation):>8}"
            )
        return rows

    def _status(self) -> str:
        statistics = self._source.statistics()
        elapsed_s = max(1e-9, time.monotonic() - self._started_s)
        return (
            f"{self._source.url}  {self._session.state.replace('_', ' ').lower()}  {self._pts_s:.1f} s  "
            f"{statistics.frames_read} frames, {statistics.frames_read / elapsed_s:.0f} a second, "
            f"{statistics.frame_queue.dropped} dropped"
        )

    def _summary(self) -> str:
        statistics = self._session.statistics()
        plural, hint = "s", ""
        if statistics.frames == 1:
            plural, hint = "", f"; a face appears once it was seen in {FacesConfig().looks_to_confirm} frames"
        return (
            f"{statistics.frames} frame{plural}, {statistics.tracker.generations} face generations, "
            f"{statistics.windows} windows, {statistics.gaps} gaps, {statistics.resets} resets; "
            f"{self._source.statistics().frame_queue.dropped} frames dropped{hint}"
        )


def event_line(event: Event) -> str:
    """One event for people."""
    return f"{event.pts_s:9.2f} s  {_words(event)}"


def _words(event: Event) -> str:
    match event.kind:
        case StreamUp() as up:
            again = "" if up.outage_s is None else f" again after {up.outage_s:.1f} s"
            return f"stream up{again}: {up.width}x{up.height} {up.codec}"
        case StreamDown() as down:
            retry = "not tried again" if down.retry_in_s is None else f"next try in {down.retry_in_s:.1f} s"
            return f"stream down ({down.code}, failure {down.attempt}, {retry}): {down.message}"
        case EndOfStream() as end:
            return f"end of stream after {end.frames} frames"
        case MediaGap() as gap:
            length = f" of {gap.gap_s:.2f} s" if gap.gap_s else ""
            return f"media gap{length}: {_plain(gap.cause)}"
        case FaceAppeared() as new:
            x, y = new.box_px.centre
            return f"face {new.face_id}.{new.generation} appeared at {x:.0f},{y:.0f}, {new.box_px.scale:.0f} px"
        case FaceLost() as lost:
            return f"face {lost.face_id}.{lost.generation} lost: {_plain(lost.cause)}"
        case VerdictChanged() as verdict:
            reasons = ", ".join(_plain(reason) for reason in verdict.reasons)
            because = f" ({reasons})" if reasons else ""
            return f"face {verdict.face_id}.{verdict.generation} is {_plain(verdict.state)}{because}"
        case Blinded() as blinded:
            return f"blinded: nothing to see for {blinded.silent_s:.1f} s"
        case kind:
            return type(kind).__name__


def _plain(code: str) -> str:
    return code.replace("_", " ").lower()
