"""Opens live URLs: what `LiveSource` runs on its decoder threads."""

from __future__ import annotations

import av

from ..clock import Clock
from ..config import SourceConfig
from ..errors import SourceError
from .address import Address
from .decoding import Decoding, Media
from .failure import source_error
from .options import live_options
from .reach import better_told
from .reader import OpenMedia
from .source import Counters
from .timeline import Timeline


def url_opener(address: Address, config: SourceConfig, clock: Clock) -> OpenMedia:
    """One connection to a URL each time it is called."""

    def open_url(timeline: Timeline, counters: Counters) -> Media:
        try:
            # PyAV's limit for opening only: FFmpeg polls it, and each poll takes the GIL. While reading, FFmpeg's own
            # limits (see options.py) cost nothing.
            container = av.open(
                address.location,
                options=live_options(address.scheme, config),
                timeout=(config.open_timeout_s, None),
                metadata_errors="replace",
            )
        except av.error.FFmpegError as error:
            raise better_told(source_error(address.url, error), address, config) from error
        # A recording behind a URL can wait and has an end; so does a list of segments that says so.
        recording = container.duration is not None
        try:
            return Decoding(
                container,
                url=address.url,
                paced=recording,
                endless=not recording and container.format.name != "hls",
                audio=config.audio,
                threads=config.decoder_threads,
                silence_s=None if recording else config.read_timeout_s,
                timeline=timeline,
                counters=counters,
                clock=clock,
            )
        except SourceError:
            container.close()
            raise

    return open_url
