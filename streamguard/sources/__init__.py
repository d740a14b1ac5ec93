"""Where pictures come from: a path, a URL, a webcam, or the caller's own frames; out come Frames in media time.

`open_source` is called by the drivers and by anybody who wants frames. Packets, FFmpeg and decoding stay inside.
"""

from __future__ import annotations

import os

from ..clock import Clock, MonotonicClock
from ..config import SourceConfig
from .address import address_of, redacted
from .file import FileSource
from .source import Counters, Item, Source, SourceStatistics

__all__ = ["Counters", "Item", "Source", "SourceStatistics", "open_source", "redacted"]


def open_source(
    target: str | os.PathLike[str], config: SourceConfig | None = None, *, clock: Clock | None = None
) -> Source:
    """A path, a URL that FFmpeg knows (rtsp, rtsps, rtmp, http, hls, udp, ...), or `webcam[:which]`.

    Nothing is connected before the first `read`. A live source that is dead at the start is no error: it says
    StreamDown and goes on trying. A path that does not exist raises SourceNotFound here.
    """
    config = config or SourceConfig()
    clock = clock or MonotonicClock()
    address = address_of(target)
    return FileSource(address, config, clock)
