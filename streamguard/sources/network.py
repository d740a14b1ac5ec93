"""Opens live URLs: what `LiveSource` runs on its decoder threads."""

from __future__ import annotations

import av

from ..clock import Clock
from ..config import SourceConfig
from ..errors import CorruptMedia, SourceError, SourceTimeout
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
        started_s = clock.now_s()
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
            took_s = clock.now_s() - started_s
            raise better_told(_timed(source_error(address.url, error), took_s, config), address, config) from error
        # A recording behind a URL can wait and has an end; so does a list of segments that says so.
        recording = container.duration is not None
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

    return open_url


def _timed(error: SourceError, took_s: float, config: SourceConfig) -> SourceError:
    """FFmpeg's RTSP calls it invalid data, or an I/O error, when no answer came in time."""
    limit_s = min(config.open_timeout_s, config.read_timeout_s)
    if type(error) in (CorruptMedia, SourceError) and took_s > 0.9 * limit_s:
        return SourceTimeout(error.url, f"no answer for {took_s:.0f} s")
    return error
