"""Files that are whole or not there, and errors that name them. Used by all of `data`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise DataError(str(path), f"cannot be read ({exc.strerror or exc})") from exc


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at once: who reads it sees the old or the new one."""
    part = path.with_name(f"{path.name}.part")
    with writing(path):
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong inside is a DataError about this path."""
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = "no space is left there" if full else f"cannot be written ({exc.strerror or exc})"
        raise DataError(str(path), problem) from exc
