"""Events as JSON, one a line, to a file or to standard output. Each line is there, whole, when `send` returns."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ..errors import ClosedError
from ..events import Event
from ..wire import event_to_json
from .sink import sink_error


class ByteFile(Protocol):
    """The part of a binary file that is used here."""

    def write(self, data: bytes, /) -> int | None: ...
    def flush(self) -> None: ...
    def tell(self) -> int: ...
    def seek(self, offset: int, /) -> int: ...
    def truncate(self, size: int, /) -> int: ...
    def close(self) -> None: ...


class JsonLines:
    """A Sink. A reader that leaves standard output is a BrokenPipeError, as everywhere in Python."""

    def __init__(self, file: ByteFile, name: str, *, owned: bool) -> None:
        self._file = file
        self._name = name
        self._owned = owned
        self._closed = False

    @classmethod
    def create(cls, path: Path) -> Self:
        """Write to a new file; one that is there already is replaced."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(path.open("wb", buffering=0), str(path), owned=True)
        except OSError as exc:
            raise sink_error(str(path), exc) from exc

    @classmethod
    def stdout(cls) -> Self:
        """Write to standard output, which stays open."""
        return cls(sys.stdout.buffer, "standard output", owned=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, event: Event) -> None:
        if self._closed:
            raise ClosedError(self._name)
        line = event_to_json(event).encode() + b"\n"
        start = self._file.tell() if self._owned else 0
        try:
            self._write_all(line)
        except BrokenPipeError:
            raise
        except OSError as exc:
            self._take_back(start)
            raise sink_error(self._name, exc) from exc

    def close(self) -> None:
        if self._owned and not self._closed:
            self._file.close()
        self._closed = True

    def _write_all(self, line: bytes) -> None:
        while line:  # an unbuffered file may take only a part, as it does when the disk is nearly full
            line = line[self._file.write(line) or 0 :]
        self._file.flush()

    def _take_back(self, start: int) -> None:
        """Half a line would spoil the next one too."""
        if self._owned:
            with suppress(OSError):
                self._file.truncate(start)
                self._file.seek(start)
