"""Opens webcams by number or device name: Video4Linux, AVFoundation or DirectShow. What `LiveSource` runs for them."""

from __future__ import annotations

import sys

import av

from ..clock import Clock
from ..config import SourceConfig
from .address import Address
from .decoding import Decoding, Media
from .failure import source_error
from .reader import OpenMedia
from .source import Counters
from .timeline import Timeline


def device_of(which: str, platform: str) -> tuple[str, str]:
    """FFmpeg's name and input format for webcam `which` ("0", "1", ... or the device's own name)."""
    if platform == "darwin":
        return f"{which}:none", "avfoundation"
    if platform == "win32":
        return f"video={which}", "dshow"
    return (f"/dev/video{which}" if which.isdecimal() else which), "v4l2"


def webcam_opener(address: Address, config: SourceConfig, clock: Clock) -> OpenMedia:
    """Opens the device each time it is called: it may have been unplugged."""
    device, format_name = device_of(address.location, sys.platform)

    def open_webcam(timeline: Timeline, counters: Counters) -> Media:
        try:
            container = av.open(device, format=format_name, metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise source_error(address.url, error) from error
        return Decoding(
            container,
            url=address.url,
            paced=False,
            endless=True,
            audio=False,
            threads=config.decoder_threads,
            silence_s=config.read_timeout_s,
            timeline=timeline,
            counters=counters,
            clock=clock,
        )

    return open_webcam
