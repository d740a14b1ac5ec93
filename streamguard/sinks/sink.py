"""The seam: what takes events. Drivers call it from one thread at a time, never from the pipeline's own."""

from __future__ import annotations

import errno
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


def sink_error(target: str, error: OSError | av.FFmpegError) -> SinkError:
    """The typed error for what the system or FFmpeg said about writing to `target`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SinkFullError(target, "no space is left there")
    return SinkError(target, error.strerror or str(error))
