"""Where pictures come from: a path, a URL, a webcam, or the caller's own frames; out come Frames in media time.

`open_source` is called by the drivers and by anybody who wants frames. Packets, FFmpeg and decoding stay inside.
Read on in the order in which data flows: address, options, network (or file, webcam), decoding (timeline, pixels,
sound), reader, outbox, live.
"""

from __future__ import annotations

import os

from ..clock import Clock, MonotonicClock
from ..config import SourceConfig
from .address import address_of, redacted
from .file import FileSource
from .live import LiveSource
from .network import url_opener
from .push import PushSource
from .source import Counters, Item, Source, SourceStatistics
from .webcam import webcam_opener

__all__ = ["Counters", "Item", "PushSource", "Source", "SourceStatistics", "open_source", "redacted"]


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
    if address.kind == "file":
        return FileSource(address, config, clock)
    opener = webcam_opener if address.kind == "webcam" else url_opener
    return LiveSource(address.url, opener(address, config, clock), config, clock)
