"""The asyncio driver: a StreamDetector for programs that live on an event loop. The same engine, sessions and threads.

Nothing of the pipeline runs on the loop: detection would hold it up. Here are only the bridges: opening and closing
beside the loop, and events that wake it.

    async with open_stream_detector() as detector:
        async for event in detector.watch("rtsp://camera/1"): ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from .detector import Stream, StreamDetector
from .events import Event
from .mailbox import Mailbox


@asynccontextmanager
async def open_stream_detector(**options: Any) -> AsyncIterator[StreamDetector]:
    """A StreamDetector, made and closed without holding up the loop. Takes what its constructor takes."""
    making = asyncio.ensure_future(asyncio.to_thread(lambda: StreamDetector(**options)))
    try:
        detector = await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_close)
        raise
    async with detector:
        yield detector


def _close(made: asyncio.Future[StreamDetector]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()


async def iterate(stream: Stream, mailbox: Mailbox) -> AsyncIterator[Event]:
    """A stream's events, as `async for` gets them. Leaving the loop closes the stream."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(ready.set)

    mailbox.on_ready = wake
    try:
        while not mailbox.over:
            ready.clear()
            while (event := mailbox.get(0)) is not None:
                yield event
            if not mailbox.over:
                await ready.wait()
    finally:
        stream.begin_close()
    stream.raise_failure()
