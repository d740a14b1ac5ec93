"""The asyncio driver: bridges from a detector's threads to an event loop. Engine, sessions and threads are the same.

Nothing of the pipeline runs on the loop: detection would hold it up. What takes long is done beside it, and events that
come from a stream's thread wake it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar

from .events import Event
from .mailbox import Mailbox

T = TypeVar("T", bound=AbstractAsyncContextManager[Any])
R = TypeVar("R")


async def beside_loop(work: Callable[[], R]) -> R:
    """Done on a thread, and to its end: being cancelled meanwhile does not leave it half done."""
    return await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(work)))


@asynccontextmanager
async def opened_beside_loop(make: Callable[[], T], *, close: Callable[[T], object]) -> AsyncIterator[T]:
    """What takes long to make, and closes itself as an async context manager. `close` is for one that nobody waits for
    any more when it is made."""
    making = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        made = await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(lambda making: None if _failed(making) else close(making.result()))
        raise
    async with made:
        yield made


def _failed(future: asyncio.Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


async def iterate(
    mailbox: Mailbox, *, leave: Callable[[], None], raise_failure: Callable[[], None]
) -> AsyncIterator[Event]:
    """A stream's events, as `async for` gets them."""
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
        leave()
    raise_failure()
