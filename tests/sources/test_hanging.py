"""Threads that hang are counted as long as they hang."""

from __future__ import annotations

from streamguard.sources.hanging import OF_THIS_PROCESS, HangingThreads


class Hung:
    def __init__(self) -> None:
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive


def test_full_at_its_own_cap() -> None:
    hanging = HangingThreads(2)
    first = Hung()
    hanging.add(first)
    assert not hanging.is_full()
    hanging.add(Hung())
    assert hanging.is_full()
    first.alive = False
    assert (hanging.is_full(), hanging.count()) == (False, 1)


def test_full_when_the_process_is_full() -> None:
    process = HangingThreads(3)
    streams = [HangingThreads(2, within=process) for _ in range(3)]
    for stream in streams:
        assert not process.is_full()
        stream.add(Hung())
    assert all(stream.is_full() for stream in streams)


def test_process_leaves_sixteen() -> None:
    assert OF_THIS_PROCESS.count() == 0
    hanging = HangingThreads(100, within=HangingThreads(16))
    for _ in range(15):
        hanging.add(Hung())
    assert not hanging.is_full()
    hanging.add(Hung())
    assert hanging.is_full()
