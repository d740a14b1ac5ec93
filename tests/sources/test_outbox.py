"""Bounded by lane, in order, and deaf once it is closed."""

from __future__ import annotations

import threading

import pytest

from streamguard.errors import ClosedError
from streamguard.sources.outbox import Lane, Outbox

from .scripted import PATIENCE_S


def outbox(frames: int = 2, sounds: int = 2) -> Outbox[str]:
    return Outbox(frames=frames, sounds=sounds, inherit=lambda dropped, heir: heir + dropped[1:])


def drain(box: Outbox[str]) -> list[str]:
    items = []
    while (item := box.get(0.0)) is not None:
        items.append(item)
    return items


def test_items_come_in_the_order_they_were_put() -> None:
    box = outbox()
    box.put_news("up")
    assert box.put_nowait(Lane.FRAME, "f1")
    assert box.put_nowait(Lane.SOUND, "s1")
    assert drain(box) == ["up", "f1", "s1"]


def test_full_lane_drops_its_oldest_and_nothing_else() -> None:
    box = outbox()
    for item in ("a", "b"):
        box.put_nowait(Lane.SOUND, item)
    box.put_news("n")
    for item in ("1", "2"):
        assert box.put_nowait(Lane.FRAME, item)
    assert not box.put_nowait(Lane.FRAME, "3")
    assert drain(box) == ["a", "b", "n", "2", "3"]
    assert box.statistics(Lane.FRAME).dropped == 1
    assert box.statistics(Lane.SOUND).dropped == 0
    assert box.statistics(Lane.FRAME).peak_waiting == 2


def test_dropped_item_leaves_its_mark_on_the_next() -> None:
    box = outbox(frames=1)
    for item in ("1!", "2", "3"):
        box.put_nowait(Lane.FRAME, item)
    assert drain(box) == ["3!"]


def test_put_wait_waits_for_the_reader() -> None:
    box = outbox(frames=1)
    assert box.put_wait(Lane.FRAME, "1", 0.0)
    assert not box.put_wait(Lane.FRAME, "2", 0.0)
    waiter = threading.Thread(target=lambda: box.put_wait(Lane.FRAME, "2", PATIENCE_S))
    waiter.start()
    assert box.get(PATIENCE_S) == "1"
    assert box.get(PATIENCE_S) == "2"
    waiter.join(PATIENCE_S)
    assert not waiter.is_alive()


def test_closed_box_takes_and_gives_nothing() -> None:
    box = outbox()
    box.put_nowait(Lane.FRAME, "1")
    box.close()
    box.close()
    with pytest.raises(ClosedError):
        box.get(0.0)
    with pytest.raises(ClosedError):
        box.put_nowait(Lane.FRAME, "2")
    with pytest.raises(ClosedError):
        box.put_news("n")


def test_close_wakes_whoever_waits() -> None:
    box = outbox(frames=1)
    box.put_nowait(Lane.FRAME, "1")
    ended: list[type[BaseException]] = []

    def wait() -> None:
        try:
            box.put_wait(Lane.FRAME, "2", PATIENCE_S)
        except ClosedError as error:
            ended.append(type(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    box.close()
    waiter.join(PATIENCE_S)
    assert ended == [ClosedError]
