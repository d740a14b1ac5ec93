"""Ctrl-C and SIGTERM as a wish to stop: what is under way is finished, and the exit code tells who wished it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class StopSignals:
    """While entered, the first signal is only remembered. A second one does what it did before: it does not wait."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python takes signals there only
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored as under nohup: stays so
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @property
    def came(self) -> bool:
        return self._number is not None

    @property
    def exit_code(self) -> int:
        """0 if none came, else as shells count: 130 for Ctrl-C, 143 for SIGTERM."""
        return 0 if self._number is None else 128 + self._number

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """While entered, SIGTERM ends the program as Ctrl-C does: what is half made is taken away, children are ended."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
