"""The asyncio driver: bridges from a detector's threads to an event loop. Engine, sessions and threads are the same.

Nothing of the pipeline runs on the loop: detection would hold it up. What takes long is done beside it, on a thread of
its own, since the loop's executor may be full of calls that wait for this one; and events that come from a stream's
thread wake the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .events import Event
from .mailbox import Mailbox
from .moment import Moment

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=AbstractAsyncContextManager[Any])
R = TypeVar("R")


async def beside_loop(work: Callable[[], R], *, unwanted: Callable[[R], object] | None = None) -> R:
    """Done on a thread, and to its end. If this is cancelled meanwhile, what `work` gives goes to `unwanted`, on that
    thread, and what it raises to the log."""
    outcome: _Outcome[R] | None = None
    left = False
    handing_over = threading.Lock()
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        nonlocal outcome
        found = _outcome(work)
        with handing_over:
            if not left:
                outcome = found
        if left:
            _let_go(found, unwanted)
        else:
            with suppress(RuntimeError):  # the loop has ended, and with it the coroutine: see below
                loop.call_soon_threadsafe(ready.set)

    # Not a daemon: the interpreter waits for it instead of ending it inside of a foreign library.
    threading.Thread(target=run, name="streamguard-beside-loop", daemon=False).start()
    try:
        await ready.wait()
    except BaseException:  # cancelled, or thrown away with its loop
        with handing_over:
            left = True
        if outcome is not None:  # it came in the same moment
            threading.Thread(target=_let_go, args=(outcome, unwanted), name="streamguard-let-go", daemon=False).start()
        raise
    assert outcome is not None
    return outcome.get()


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[R]):
    """A value, so that any exception can be handed over: a Future, for one, takes no StopIteration."""

    values: list[R]
    error: BaseException | None = None

    def get(self) -> R:
        if self.error is not None:
            raise self.error
        return self.values[0]


def _outcome(work: Callable[[], R]) -> _Outcome[R]:
    try:
        return _Outcome([work()])
    except BaseException as exc:
        return _Outcome([], exc)


def _let_go(outcome: _Outcome[R], unwanted: Callable[[R], object] | None) -> None:
    error = outcome.error
    if error is None and unwanted is not None:
        error = _outcome(lambda: unwanted(outcome.get())).error
    if error is not None:
        logger.error("nobody waits any more for what failed: %r", error, exc_info=error)


@asynccontextmanager
async def opened_beside_loop(make: Callable[[], T], *, close: Callable[[T], object]) -> AsyncIterator[T]:
    """What takes long to make, and closes itself as an async context manager. `close` is for one that nobody waits for
    any more when it is made."""
    async with await beside_loop(make, unwanted=close) as made:
        yield made


async def all_happen(moments: Iterable[Moment], timeout_s: float | None) -> bool:
    """False if it takes longer. Nothing is left behind if it is cancelled."""
    try:
        async with asyncio.timeout(timeout_s):
            for moment in moments:
                await _happens(moment)
    except TimeoutError:
        return False
    return True


async def _happens(moment: Moment) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(ready.set)

    moment.listen(wake)
    try:
        await ready.wait()
    finally:
        moment.forget(wake)


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
