"""A file as a source: every frame, in order, as fast as it is read; the decoder waits when nobody reads."""

from __future__ import annotations

import os
import threading

import av

from ..clock import Clock
from ..config import SourceConfig
from ..errors import ClosedError, CorruptMedia, SourceError, SourceNotFound
from ..events import EndOfStream, StreamUp
from ..queues import QueueStatistics
from ..values import AudioChunk, Frame
from .address import Address
from .decoding import Decoding, Media
from .failure import source_error
from .reader import SOUND_CHUNKS, Failed, Opened, OpenMedia, Reader, Report
from .source import Counters, Item, SourceBase, SourceStatistics
from .timeline import Timeline

_JOIN_S = 1.0
"""How long `close` waits for the decoder, so that a file can usually be deleted afterwards."""


class FileSource(SourceBase):
    """Reads one file to its end. The decoder starts with the first `read`, which raises if it cannot be decoded."""

    live = False

    def __init__(self, address: Address, config: SourceConfig, clock: Clock) -> None:
        _check_file(address)
        self.url = address.url
        self._config = config
        self._clock = clock
        self._open = _opener(address, config, clock)
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._frames_read = 0
        self._error: SourceError | None = None
        self._over = False

    def read(self, timeout_s: float) -> Item | None:
        report = self._started().get(timeout_s)
        return None if report is None else self._item(report)

    def close(self) -> None:
        with self._lock:
            self._over = True
            reader = self._reader
        if reader is not None:
            reader.close()
            reader.thread.join(_JOIN_S)

    def statistics(self) -> SourceStatistics:
        reader = self._reader
        return SourceStatistics(
            frames_read=self._frames_read,
            decoded=reader.counters + Counters() if reader else Counters(),
            frame_queue=reader.frame_queue() if reader else QueueStatistics(capacity=self._config.queue_frames),
            sound_queue=reader.sound_queue() if reader else QueueStatistics(capacity=SOUND_CHUNKS),
            failures=int(self._error is not None),
        )

    def _started(self) -> Reader:
        with self._lock:
            if self._over:
                raise ClosedError("source")
            if self._error is not None:
                raise self._error
            if self._reader is None:
                timeline = Timeline(keeps_own_times=True)
                self._reader = Reader(
                    self._open,
                    timeline,
                    url=self.url,
                    queue_frames=self._config.queue_frames,
                    clock=self._clock,
                    owner=self,
                )
            return self._reader

    def _item(self, report: Report) -> Item:
        if isinstance(report, Failed):
            self._error = report.error
            raise report.error
        if isinstance(report, Opened):
            return StreamUp(url=self.url, width=report.width, height=report.height, codec=report.codec)
        if isinstance(report, Frame):
            self._frames_read += 1
            return report
        if isinstance(report, AudioChunk):
            return report
        self._over = True
        return EndOfStream(frames=self._frames_read)


def _check_file(address: Address) -> None:
    """Raise what can be told without opening it."""
    path = address.location
    if not os.path.exists(path):
        raise SourceNotFound(address.url)
    if os.path.isdir(path):
        raise CorruptMedia(address.url, "it is a folder")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise CorruptMedia(address.url, "it is empty")


def _opener(address: Address, config: SourceConfig, clock: Clock) -> OpenMedia:
    def open_file(timeline: Timeline, counters: Counters) -> Media:
        try:
            # The prefix keeps FFmpeg from reading "a:b.mp4" as protocol a; the option keeps image names from being
            # taken as patterns ("a%d.png").
            container = av.open(f"file:{address.location}", options={"pattern_type": "none"}, metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise source_error(address.url, error) from error
        return Decoding(
            container,
            url=address.url,
            paced=True,
            endless=False,
            audio=config.audio,
            threads=config.decoder_threads,
            silence_s=None,
            timeline=timeline,
            counters=counters,
            clock=clock,
        )

    return open_file
