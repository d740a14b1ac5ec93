"""One decoder thread over one opening of a source: opens, decodes, puts into an outbox of its own, closes.

Nothing here waits for the thread: it may hang in open, in read, or in close, and then its owner walks away. Whatever it
does afterwards ends in a closed outbox.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..clock import Clock
from ..errors import ClosedError, SourceError
from ..queues import QueueStatistics
from ..values import AudioChunk, Frame
from .decoding import Media
from .failure import source_error
from .outbox import Lane, Outbox
from .source import Counters
from .timeline import Timeline

log = logging.getLogger(__name__)

SOUND_CHUNKS = 100
"""About two seconds, since a chunk is about 20 ms."""
_LOOK_UP_EVERY_S = 0.5
"""While it waits for room, a decoder shows a sign of life this often."""

OpenMedia = Callable[[Timeline, Counters], Media]
"""Opens once. Runs on the decoder thread; raises SourceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The first whole picture is there; it follows."""

    width: int
    height: int
    codec: str
    arrival_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    error: SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    endless: bool
    """True: it should not have."""


Report = Frame | AudioChunk | Opened | Failed | Ended


class Sign(NamedTuple):
    """The newest sign of life of a decoder thread."""

    at_s: float
    opening: bool


class Reader:
    """A started decoder thread. `get` what it reports; `close` and forget it.

    It ends with its owner too: nobody else reads what a decoder puts, and one that waits for room would wait for ever.
    """

    def __init__(
        self,
        open_media: OpenMedia,
        timeline: Timeline,
        *,
        url: str,
        queue_frames: int,
        clock: Clock,
        owner: object,
    ) -> None:
        self._open_media = open_media
        self._timeline = timeline
        self._url = url
        self._clock = clock
        self._outbox: Outbox[Report] = Outbox(frames=queue_frames, sounds=SOUND_CHUNKS, inherit=_inherit_gap)
        self._up = False
        self.counters = Counters()
        self.sign = Sign(clock.now_s(), opening=True)
        self._forgotten = weakref.finalize(owner, self._outbox.close)
        self.thread = threading.Thread(target=self._run, name=f"streamguard-decode {url}", daemon=True)
        self.thread.start()

    def get(self, timeout_s: float) -> Report | None:
        return self._outbox.get(timeout_s)

    def close(self) -> None:
        self._forgotten.detach()
        self._outbox.close()

    def frame_queue(self) -> QueueStatistics:
        return self._outbox.statistics(Lane.FRAME)

    def sound_queue(self) -> QueueStatistics:
        return self._outbox.statistics(Lane.SOUND)

    def _run(self) -> None:
        media: Media | None = None
        try:
            media = self._open_media(self._timeline, self.counters)
            self._deliver(media)
            self._outbox.put_news(Ended(endless=media.endless))
        except ClosedError:
            pass  # nobody listens any more
        except Exception as error:
            self._report(source_error(self._url, error))
        # Last, when nobody waits for it: saying goodbye to a dead camera may take long.
        if media is not None:
            _close(media, self._url)

    def _deliver(self, media: Media) -> None:
        for item in media.items():
            self._sign()
            if isinstance(item, Frame):
                self._announce(item, media.codec)
                self._put(Lane.FRAME, item, media.paced)
            elif item is not None:
                self._put(Lane.SOUND, item, media.paced)
            elif self._outbox.is_closed:
                return

    def _announce(self, first: Frame, codec: str) -> None:
        if not self._up:
            self._up = True
            picture = first.picture
            self._outbox.put_news(
                Opened(width=picture.width, height=picture.height, codec=codec, arrival_s=first.arrival_s)
            )

    def _put(self, lane: Lane, item: Frame | AudioChunk, paced: bool) -> None:
        if not paced:
            self._outbox.put_nowait(lane, item)
            return
        while not self._outbox.put_wait(lane, item, _LOOK_UP_EVERY_S):
            self._sign()
        self._sign()

    def _sign(self) -> None:
        self.sign = Sign(self._clock.now_s(), opening=False)

    def _report(self, error: SourceError) -> None:
        try:
            self._outbox.put_news(Failed(error=error))
        except ClosedError:
            log.debug("%s: failed after it was given up: %s", self._url, error.code)


def _close(media: Media, url: str) -> None:
    try:
        media.close()
    except Exception as error:
        log.debug("%s: close failed: %s", url, type(error).__name__)


def _inherit_gap(dropped: Report, heir: Report) -> Report:
    """A dropped frame's broken time is still broken at the frame that comes next."""
    if isinstance(dropped, Frame) and isinstance(heir, Frame) and dropped.gap is not None and heir.gap is None:
        return replace(heir, gap=dropped.gap)
    return heir
