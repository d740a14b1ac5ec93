"""What the real tests wait with: a crash is told to whoever waits, at once. Needs no server."""

from __future__ import annotations

import threading

import pytest

from streamguard.events import EndOfStream, StreamDown, StreamUp
from streamguard.picture import Picture
from streamguard.testing import PaintedFaces, ScriptedSource, painted
from streamguard.values import Box, Detection, Frame

from . import watching
from .driving import Driven
from .watching import Watched

UP = StreamUp(url="scripted:", width=320, height=180, codec="painted")
END = EndOfStream(frames=0)
FRAME = Frame(pts_s=0.0, picture=painted(320, 180, {}), arrival_s=0.0)
FINDER = PaintedFaces((60.0, 80.0))


class Crashing(PaintedFaces):
    def __init__(self) -> None:
        super().__init__((60.0, 80.0))
        self.crashed = threading.Event()

    def detect(self, picture: Picture, region_px: Box | None = None) -> list[Detection]:
        self.crashed.set()
        raise ZeroDivisionError("as scripted")


@pytest.fixture(autouse=True)
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait here may last to its deadline: it would be noticed."""
    monkeypatch.setattr(watching, "DEADLINE_S", 600.0)


def test_crash_of_the_driver_is_raised_by_whoever_waits() -> None:
    finder = (Crashing(), FINDER)
    with Driven(ScriptedSource([UP, FRAME, END]), finder) as one, pytest.raises(ZeroDivisionError, match="as scripted"):
        one.wait(EndOfStream)


def test_crash_that_nobody_waited_for_is_raised_at_the_end() -> None:
    crashing = Crashing()
    with (
        pytest.raises(ZeroDivisionError, match="as scripted"),
        Driven(ScriptedSource([UP, FRAME, END]), (crashing, FINDER)),
    ):
        assert crashing.crashed.wait(watching.DEADLINE_S)


def test_end_without_what_was_waited_for_is_told_at_once() -> None:
    with Watched(ScriptedSource([UP, END])) as one, pytest.raises(AssertionError, match="no StreamDown"):
        one.wait(StreamDown)


def test_what_came_before_a_crash_is_still_found() -> None:
    with Watched(ScriptedSource([UP, ValueError("as scripted")])) as one:
        assert one.wait(StreamUp) is UP
        with pytest.raises(ValueError, match="as scripted"):
            one.wait_frames(1)


def test_source_that_is_over_is_no_crash() -> None:
    with Watched(ScriptedSource([UP, END])) as one:
        one.wait(EndOfStream)
        assert one.items[0] is UP
