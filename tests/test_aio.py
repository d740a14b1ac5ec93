"""Bridges to the event loop: work beside it is done to its end, and nothing is lost when nobody waits any more."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import TracebackType
from typing import Self

import pytest

from streamguard.aio import beside_loop, opened_beside_loop
from streamguard.moment import Moment

PATIENCE_S = 60


class Work:
    """Begins when it is called, and ends when it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.begun, self.gate, self.given = threading.Event(), threading.Event(), threading.Event()
        self.error = error

    def __call__(self) -> str:
        self.begun.set()
        self.gate.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return "done"

    async def cancelled(self, unwanted: list[str]) -> None:
        def take(value: str) -> None:
            unwanted.append(value)
            self.given.set()

        waiting = asyncio.ensure_future(beside_loop(self, unwanted=take))
        while not self.begun.is_set():
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()


def test_work_gives_its_value_or_its_error() -> None:
    done, failing = Work(), Work(KeyError("as scripted"))
    done.gate.set()
    failing.gate.set()
    assert asyncio.run(beside_loop(done)) == "done"
    with pytest.raises(KeyError, match="as scripted"):
        asyncio.run(beside_loop(failing))


def test_any_exception_comes_over() -> None:
    work = Work(StopIteration("as scripted"))
    work.gate.set()
    with pytest.raises(RuntimeError):
        asyncio.run(beside_loop(work))


def test_what_nobody_waits_for_any_more_is_let_go_even_when_the_loop_is_gone() -> None:
    work, unwanted = Work(), list[str]()
    asyncio.run(work.cancelled(unwanted))
    work.gate.set()
    assert work.given.wait(PATIENCE_S)
    assert unwanted == ["done"]


def test_an_error_that_nobody_waits_for_any_more_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(KeyError("as scripted"))
    with caplog.at_level(logging.ERROR):
        asyncio.run(work.cancelled([]))
        work.gate.set()
        for thread in threading.enumerate():
            if thread.name == "streamguard-beside-loop":
                thread.join(PATIENCE_S)
    assert "as scripted" in caplog.text


def test_what_comes_in_the_very_moment_of_being_cancelled_is_let_go() -> None:
    work, unwanted = Work(), list[str]()

    def take(value: str) -> None:
        unwanted.append(value)
        work.given.set()

    async def use() -> None:
        waiting = asyncio.ensure_future(beside_loop(work, unwanted=take))
        await asyncio.sleep(0)
        work.gate.set()
        for thread in threading.enumerate():  # the loop stands still until the work is done, and hears of it too late
            if thread.name == "streamguard-beside-loop":
                thread.join(PATIENCE_S)
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(use())
    assert work.given.wait(PATIENCE_S)
    assert unwanted == ["done"]


class Opened:
    def __init__(self) -> None:
        self.closed_on: list[str] = []
        self.closed = threading.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.closed_on.append(threading.current_thread().name)
        self.closed.set()


def test_what_is_opened_too_late_is_closed_though_the_loop_has_ended() -> None:
    made, begun, gate = Opened(), threading.Event(), threading.Event()

    def make() -> Opened:
        begun.set()
        gate.wait(PATIENCE_S)
        return made

    async def use() -> None:
        async def enter() -> None:
            async with opened_beside_loop(make, close=Opened.close):
                raise AssertionError("it was cancelled before")

        entering = asyncio.ensure_future(enter())
        while not begun.is_set():
            await asyncio.sleep(0)
        entering.cancel()
        await asyncio.wait([entering])

    asyncio.run(use())
    gate.set()
    assert made.closed.wait(PATIENCE_S)
    assert made.closed_on == ["streamguard-beside-loop"]


def test_a_moment_tells_listeners_once_even_late_ones() -> None:
    moment, heard = Moment(), list[str]()
    forgotten = lambda: heard.append("forgotten")  # noqa: E731
    moment.listen(lambda: heard.append("early"))
    moment.listen(forgotten)
    moment.forget(forgotten)
    moment.forget(forgotten)
    assert not moment.wait(0)
    moment.happen()
    moment.happen()
    moment.listen(lambda: heard.append("late"))
    assert moment.wait(float("inf"))
    assert heard == ["early", "late"]
