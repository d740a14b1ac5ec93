"""How far a scan is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import av

from ..run import Turn
from ..values import Frame
from .event_words import printable
from .view import CLEAR_LINE, is_terminal

REFRESH_S = 0.2
LINE_EVERY_S = 5.0
"""Without a terminal."""
BAR_WIDTH = 20


def length_of(path: Path) -> float | None:
    """How long a video file says that it is, in seconds; None if it does not say, or cannot be asked."""
    if not os.path.isfile(path):
        return None
    try:
        with av.open(f"file:{path}", options={"pattern_type": "none"}, metadata_errors="replace") as container:
            return container.duration / av.time_base if container.duration else None
    except (OSError, av.FFmpegError):
        return None  # who reads it will say what is wrong


class Progress:
    """One file's. Closing takes the bar away."""

    def __init__(
        self, file: TextIO, name: str, length_s: float | None, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._name = printable(name)
        self._length_s = length_s
        self._now_s = now_s
        self._live = is_terminal(file)
        self._started_s = now_s()
        self._next_s = self._started_s + (0.0 if self._live else LINE_EVERY_S)
        self._first_pts_s: float | None = None
        self._done_s = 0.0
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn and self._live:
            self._file.write(f"\r{CLEAR_LINE}")
            self._file.flush()

    def show(self, turn: Turn) -> None:
        if isinstance(turn.item, Frame):
            self._first_pts_s = turn.item.pts_s if self._first_pts_s is None else self._first_pts_s
            self._done_s = turn.item.pts_s - self._first_pts_s
        now_s = self._now_s()
        if now_s < self._next_s:
            return
        self._next_s = now_s + (REFRESH_S if self._live else LINE_EVERY_S)
        self._drawn = True
        if self._live:
            room = shutil.get_terminal_size().columns - 1
            self._file.write(f"\r{self._bar(room)}{CLEAR_LINE}")
        else:
            self._file.write(f"{self._name}: {self._words()}\n")
        self._file.flush()

    def _share(self) -> float | None:
        return min(1.0, self._done_s / self._length_s) if self._length_s else None

    def _bar(self, room: int) -> str:
        """The name gives way first, then the bar: how far it is matters more."""
        share, words = self._share(), self._words()
        bar = "" if share is None else f"[{'#' * int(BAR_WIDTH * share):<{BAR_WIDTH}}] "
        if len(bar) + len(words) > room:
            return words.lstrip()[:room]
        name = self._name[: max(0, room - len(bar) - len(words) - 1)]
        return f"{name} {bar}{words}"[:room]

    def _words(self) -> str:
        speed = self._done_s / max(1e-9, self._now_s() - self._started_s)
        share = self._share()
        if share is None or self._length_s is None:
            return f"{self._done_s:.1f} s seen, {speed:.1f}x real time"
        left = f", {(1 - share) * self._length_s / speed:.0f} s left" if speed > 0 else ""
        return f"{share:4.0%}, {speed:.1f}x real time{left}"


class Count:
    """Things done of so many, for work that is no video: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, file: TextIO, name: str, total: int, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._name = printable(name)
        self._total = total
        self._now_s = now_s
        self._live = is_terminal(file)
        self._started_s = now_s()
        self._next_s = self._started_s + (0.0 if self._live else LINE_EVERY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the bar away, so that something else can be said; `show` draws it again."""
        if self._live:
            self._file.write(f"\r{CLEAR_LINE}")
            self._file.flush()

    def show(self, done: int, note: str = "") -> None:
        """`note` is said behind the numbers."""
        now_s = self._now_s()
        if now_s < self._next_s:
            return
        self._next_s = now_s + (REFRESH_S if self._live else LINE_EVERY_S)
        rate = done / max(1e-9, now_s - self._started_s)
        words = f"{done} of {self._total}"
        if done:
            speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
            words += f", {speed}, {_duration((self._total - done) / rate)} left"
        words += f", {note}" if note else ""
        if self._live:
            bar = f"[{'#' * int(BAR_WIDTH * done / max(1, self._total)):<{BAR_WIDTH}}] "
            room = shutil.get_terminal_size().columns - 1
            line = f"{self._name} {bar}{words}" if len(self._name) + len(bar) + len(words) < room else words
            self._file.write(f"\r{line[:room]}{CLEAR_LINE}")
        else:
            self._file.write(f"{self._name}: {words}\n")
        self._file.flush()


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
