"""The seam: what takes events. Drivers call it from one thread at a time, never from the pipeline's own."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import SinkError, SinkFullError
from ..events import Event

if TYPE_CHECKING:
    import av


@runtime_checkable
class Sink(Protocol):
    def send(self, event: Event) -> None:
        """Take one event. Raises SinkError if it cannot be written; what was written before stays whole."""

    def close(self) -> None:
        """Write what is left. May be called twice."""


def part_path(path: Path) -> Path:
    """Where to write what becomes `path` when it is finished: beside it, so that an older file stays until then."""
    if path.exists() and not path.is_file():
        return path  # a device or a pipe cannot be replaced
    return path.with_name(path.name + ".part")


def put_in_place(part: Path, path: Path) -> None:
    if part != path:
        os.replace(part, path)


def discard(part: Path, path: Path) -> None:
    """What cannot be finished is of no use to anybody."""
    if part != path:
        with suppress(OSError):
            part.unlink()


def write_text(path: Path, text: str) -> None:
    """A whole file or none; its folder comes along."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part_path(path).write_text(text, encoding="utf-8")
        put_in_place(part_path(path), path)
    except OSError as exc:
        raise sink_error(str(path), exc) from exc


def sink_error(target: str, error: OSError | av.FFmpegError) -> SinkError:
    """The typed error for what the system or FFmpeg said about writing to `target`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SinkFullError(target, "no space is left there")
    return SinkError(target, error.strerror or str(error))
