"""What a terminal shows while a command watches: a table redrawn in place, and words for every event."""

from __future__ import annotations

import io
import os
import re

import pytest

from streamguard.cli.event_words import event_line
from streamguard.cli.score_view import ScoreView
from streamguard.cli.view import FaceView, head
from streamguard.config import SessionConfig
from streamguard.events import EndOfStream, Event, Kind, StreamDown, StreamUp
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources import Item
from streamguard.testing import ManualClock, PaintedFaces, ScriptedSource, painted
from streamguard.values import Box, FaceState, Frame, StreamState
from tests.sample_events import KINDS

FACE = (60.0, 80.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def script() -> list[Item | Exception | float]:
    picture = painted(320, 180, {64: Box(130, 50, 190, 130)})
    return [
        StreamUp(url="scripted:", width=320, height=180, codec="painted"),
        *(Frame(pts_s=i / 25, picture=picture, arrival_s=0.0) for i in range(30)),
        EndOfStream(frames=30),
    ]


def play(file: io.StringIO) -> str:
    source = ScriptedSource(script())
    session = Session(SessionConfig(), detector=PaintedFaces(FACE), mesher=PaintedFaces(FACE))
    with FaceView(file, session, source) as view:
        for turn in drive(source, session, ManualClock()):
            view.show(turn)
    return file.getvalue()


def test_without_a_terminal_there_is_no_control_code() -> None:
    said = play(io.StringIO())
    assert "\x1b" not in said
    assert said.count("\n") == 6  # up, appeared, low quality, lost, end, summary


def test_a_generation_that_ended_is_counted_no_more() -> None:
    """A stream of weeks has many: nothing of them is kept."""
    source = ScriptedSource([])
    session = Session(SessionConfig(), detector=PaintedFaces(FACE), mesher=PaintedFaces(FACE))
    view = FaceView(io.StringIO(), session, source)
    for turn in drive(ScriptedSource(script()), session, ManualClock()):
        view.show(turn)
        if turn.windows:
            assert view.windows_of(1, 1) > 0
    assert session.statistics().windows > 0
    assert view.windows_of(1, 1) == 0


def test_on_a_terminal_the_table_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((100, 30)))
    monkeypatch.setattr("streamguard.cli.view.REFRESH_S", 0.0)
    said = play(Terminal())
    assert "\x1b[" in said
    assert "face    state" in said
    assert "1.1     " in said
    assert screen(said, 100, 30).count("face    state") == 1


def test_a_narrow_low_terminal_is_never_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((40, 8)))
    monkeypatch.setattr("streamguard.cli.view.REFRESH_S", 0.0)
    said = play(Terminal())
    table, _, _ = said.rpartition("\n30 frames")
    drawn = [line for line in table.replace("\x1b[K", "").split("\n") if not line.startswith("\x1b")]
    assert max(len(line) for line in drawn) < 40


def pages(said: str) -> list[list[str]]:
    """The lines of every drawing."""
    return [[line for line in page.split("\n") if "\x1b[K" in line] for page in re.split(r"\x1b\[\d+A", said)]


@pytest.mark.parametrize("rows", range(1, 13))
def test_the_table_comes_first_and_a_low_terminal_is_never_overrun(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((80, rows)))
    monkeypatch.setattr("streamguard.cli.view.REFRESH_S", 0.0)
    drawn = pages(play(Terminal()))
    assert max(len(page) for page in drawn) <= rows - 1
    if rows >= 4:
        with_face = next(page for page in drawn if any(line.startswith("1.1 ") for line in page))
        assert any(line.startswith("face    state") for line in with_face)
    if rows >= 6:
        assert any("appeared" in line for page in drawn for line in page)


def test_the_table_fits_80_columns() -> None:
    for view in (FaceView, ScoreView):
        assert len(head(view.columns)) < 80
        assert max(len(state) for state in FaceState) < -dict(view.columns)["state"]


def screen(said: str, columns: int, rows: int) -> str:
    """What a terminal would show in the end: enough of one for line feeds, erase-line and cursor-up."""
    lines, row = [""] * 500, 0
    for part in said.replace("\x1b[K", "\x00").split("\n"):
        while part.startswith("\x1b["):
            count, _, part = part[2:].partition("A")
            row -= int(count)
        if "\x00" in part:
            lines[row] = ""
        lines[row] = part.replace("\x00", "") or lines[row]
        row += 1
    return "\n".join(lines)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_every_kind_of_event_has_words_of_its_own(kind: Kind) -> None:
    event = Event(stream_id="s", epoch="e", seq=1, pts_s=12.345, stream_state=StreamState.LIVE, kind=kind)
    line = event_line(event)
    assert line.startswith("    12.3")
    assert len(line) > 14
    assert "<" not in line


def test_a_failure_tells_what_why_and_when_next() -> None:
    down = StreamDown(url="u", code="TIMEOUT", message="u accepted and sent nothing", attempt=3, retry_in_s=1.25)
    event = Event(stream_id="s", epoch="e", seq=1, pts_s=0.0, stream_state=StreamState.STALLED, kind=down)
    line = event_line(event)
    for word in ("TIMEOUT", "failure 3", "1.2 s", "sent nothing"):
        assert word in line
