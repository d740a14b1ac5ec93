"""The driver: every item reaches the session, silence still makes events, an end and a failure never look alike."""

from __future__ import annotations

from itertools import count

import pytest

from streamguard.config import SessionConfig
from streamguard.engine.engine import Engine
from streamguard.errors import SourceTimeout
from streamguard.events import Blinded, EndOfStream, FaceAppeared, StreamDown, StreamUp
from streamguard.run import LONGEST_WAIT_S, Turn, drive
from streamguard.session import Session
from streamguard.sources import Item
from streamguard.testing import (
    EventRecorder,
    FakeBackend,
    ManualClock,
    PaintedFaces,
    ScriptedSource,
    fake_bundle,
    painted,
)
from streamguard.values import Box, Frame, StreamState

FACE = (60.0, 80.0)
UP = StreamUp(url="scripted:", width=320, height=180, codec="painted")


def frame(pts_s: float) -> Frame:
    picture = painted(320, 180, {64: Box(130, 50, 190, 130)})
    return Frame(pts_s=pts_s, picture=picture, arrival_s=pts_s)


def new_session() -> Session:
    return Session(SessionConfig(), detector=PaintedFaces(FACE), mesher=PaintedFaces(FACE))


def run(items: list[Item | Exception | float], clock: ManualClock | None = None) -> tuple[list[Turn], EventRecorder]:
    clock = clock or ManualClock()
    turns = list(drive(ScriptedSource(items, clock), new_session(), clock))
    heard = EventRecorder()
    for turn in turns:
        heard.add(turn.events)
    return turns, heard


def test_it_ends_after_the_end_of_stream_and_not_before() -> None:
    turns, heard = run([UP, frame(0.0), frame(0.04), EndOfStream(frames=2)])
    assert isinstance(turns[-1].item, EndOfStream)
    assert heard.kinds()[0] is StreamUp
    assert heard.kinds()[-1] is EndOfStream
    assert heard.of(FaceAppeared) != []


def test_a_source_that_fails_for_good_raises_its_own_error() -> None:
    clock = ManualClock()
    turns = drive(ScriptedSource([UP, frame(0.0), SourceTimeout("rtsp://camera")], clock), new_session(), clock)
    with pytest.raises(SourceTimeout, match="rtsp://camera"):
        list(turns)


def test_silence_alarms_though_no_item_comes() -> None:
    _, heard = run([UP, frame(0.0), 7.0, frame(7.0), EndOfStream(frames=2)])
    assert [round(one.silent_s, 3) for one in heard.of(Blinded)] == [2.0]


def test_control_comes_back_during_silence() -> None:
    turns, _ = run([UP, frame(0.0), 10.0, EndOfStream(frames=1)])
    waits = [turn for turn in turns if turn.item is None]
    assert len(waits) >= 10.0 / LONGEST_WAIT_S - 1


def test_a_source_that_is_down_does_not_alarm_for_silence() -> None:
    down = StreamDown(url="x", code="TIMEOUT", message="m", attempt=1, retry_in_s=9.0)
    _, heard = run([down, 9.0, EndOfStream(frames=0)])
    assert heard.of(Blinded) == []


def test_windows_come_with_the_turn_that_made_them() -> None:
    frames = [frame(i * 0.04) for i in range(50)]
    turns, _ = run([UP, *frames, EndOfStream(frames=50)])
    for turn in turns:
        for window in turn.windows:
            assert isinstance(turn.item, Frame)
            assert window.pts_end_s == turn.item.pts_s
    assert sum(len(turn.windows) for turn in turns) >= 2


def test_a_driver_that_is_left_half_way_leaves_a_usable_session() -> None:
    clock, session = ManualClock(), new_session()
    turns = drive(ScriptedSource([UP, frame(0.0), frame(0.04)], clock), session, clock)
    next(turns)
    next(turns)
    turns.close()  # type: ignore[attr-defined]
    assert session.state is StreamState.NO_FACE


class Stuck:
    """A live stream whose last windows are never answered: its wait at the end takes no time."""

    def __init__(self, *, stretched: bool) -> None:
        self.backend, self.clock = FakeBackend(), ManualClock()
        self.backend.gate.clear()
        self.bundle = fake_bundle()
        self.session = Session(
            SessionConfig(clip=self.bundle.manifest.clip.config("window")),
            detector=PaintedFaces(FACE),
            mesher=PaintedFaces(FACE),
        )
        self.heard = EventRecorder()
        self.made = self.outstanding = 0
        self.stretched = stretched

    def run(self, monkeypatch: pytest.MonkeyPatch, last: Item | Exception) -> None:
        monkeypatch.setattr("streamguard.run.LAST_ANSWERS_S", 0.0)
        source = ScriptedSource([UP, *(frame(i * 0.04) for i in range(80)), last], self.clock)
        with Engine(self.bundle, backend=self.backend, clock=self.clock) as engine:
            try:
                with engine.join(live=True) as seat:
                    if self.stretched:
                        hops = count(1)
                        seat.hop_s = lambda: float(next(hops))  # type: ignore[method-assign]
                    for turn in drive(source, self.session, self.clock, seat=seat):
                        self.made += len(turn.windows)
                        self.heard.add(turn.events)
                        self.outstanding = max(self.outstanding, seat.outstanding)
            finally:
                self.backend.gate.set()


def test_what_a_live_stream_leaves_behind_is_lost_and_nothing_follows_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for stretched in (False, True):
        stuck = Stuck(stretched=stretched)
        stuck.run(monkeypatch, EndOfStream(frames=80))
        statistics = stuck.session.statistics()
        assert statistics.windows == statistics.work_dropped == stuck.made >= 1
        assert stuck.outstanding > 0
        assert stuck.heard.kinds()[-1] is EndOfStream
        assert stuck.session.events() == []


def test_what_a_stream_that_fails_leaves_behind_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(stretched=False)
    with pytest.raises(SourceTimeout):
        stuck.run(monkeypatch, SourceTimeout("rtsp://camera"))
    statistics = stuck.session.statistics()
    assert statistics.windows == statistics.work_dropped == stuck.made > 1
