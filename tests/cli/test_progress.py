"""How far a scan is: a bar that never overruns its terminal, and a line now and then in a log."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from streamguard.cli.progress import Count, Progress, length_of
from streamguard.picture import Picture
from streamguard.run import Turn
from streamguard.testing import ManualClock
from streamguard.values import Frame
from tests.clips import one_person, pictures_of, write_video

PICTURE = Picture.from_rgb(np.zeros((16, 16, 3), np.uint8))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def frame(pts_s: float) -> Turn:
    return Turn(item=Frame(pts_s=pts_s, picture=PICTURE, arrival_s=0.0), events=[], windows=[])


def watch(file: io.StringIO, length_s: float | None, *, name: str = "call.mp4", start_s: float = 0.0) -> str:
    """Ten seconds of media in five of time."""
    clock = ManualClock()
    with Progress(file, name, length_s, now_s=clock.now_s) as progress:
        for second in range(11):
            progress.show(frame(start_s + second))
            clock.advance(0.5)
    return file.getvalue()


@pytest.mark.parametrize("start_s", [0.0, 5000.0])
def test_bar_tells_share_speed_and_time_left(start_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((100, 30)))
    drawn = watch(Terminal(), 40.0, start_s=start_s).split("\r")
    assert drawn[1] == "call.mp4 [                    ]   0%, 0.0x real time\x1b[K"
    assert drawn[-2] == "call.mp4 [#####               ]  25%, 2.0x real time, 15 s left\x1b[K"
    assert drawn[-1] == "\x1b[K", "it is taken away"


def test_of_unknown_length_what_was_seen_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((100, 30)))
    assert watch(Terminal(), None).split("\r")[-2] == "call.mp4 10.0 s seen, 2.0x real time\x1b[K"


@pytest.mark.parametrize("columns", [1, 8, 20, 45, 80])
def test_a_narrow_terminal_is_never_overrun(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((columns, 30)))
    drawn = watch(Terminal(), 40.0, name="a very long name of a video that nobody would type.mp4")
    lines = [line.removesuffix("\x1b[K") for line in drawn.split("\r")]
    assert max(len(line) for line in lines) < columns
    if columns >= 20:
        assert "25%" in lines[-2]
    if columns >= 80:
        assert "a very long" in lines[-2]


def test_a_terminal_that_obeys_nothing_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in watch(Terminal(), 40.0)


def test_a_longer_file_than_it_said_stays_at_100_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((100, 30)))
    assert "100%, 2.0x real time, 0 s left" in watch(Terminal(), 5.0).split("\r")[-2]


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    assert watch(io.StringIO(), 40.0) == "call.mp4:  25%, 2.0x real time, 15 s left\n"


def test_length_is_the_files_own_word(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a:b%d.mp4", pictures_of(one_person(64, 48, 20), 1.0))
    assert length_of(video) == pytest.approx(1.0, abs=0.05)


def test_who_cannot_be_asked_has_no_length(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("text.mp4", "pipe.mp4", "missing.mp4", "."):
        assert length_of(tmp_path / name) is None


def count(file: io.StringIO, step_s: float, *, name: str = "data") -> str:
    """Four of 200 things, one failed."""
    clock = ManualClock()
    with Count(file, name, 200, now_s=clock.now_s) as progress:
        for done in range(5):
            progress.show(done, "1 failed" if done > 2 else "")
            clock.advance(step_s)
    return file.getvalue()


@pytest.mark.parametrize(
    ("step_s", "told"),
    [
        (0.25, "4 of 200, 4.0/s, 49 s left, 1 failed"),
        (1.0, "4 of 200, 1.0/s, 3 min left, 1 failed"),
        (40.0, "4 of 200, 40.0 s each, 2 h 11 min left, 1 failed"),
    ],
)
def test_a_count_tells_rate_time_left_and_what_went_wrong(
    step_s: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((100, 30)))
    drawn = count(Terminal(), step_s).split("\r")
    assert drawn[1] == "data [                    ] 0 of 200\x1b[K"
    assert drawn[-2] == f"data [                    ] {told}\x1b[K"
    assert drawn[-1] == "\x1b[K", "it is taken away"


def test_a_count_in_a_log_is_a_line_now_and_then() -> None:
    lines = count(io.StringIO(), 2.0).splitlines()
    assert lines == ["data: 3 of 200, 2.0 s each, 7 min left, 1 failed"]


@pytest.mark.parametrize("columns", [1, 8, 20, 45])
def test_a_count_never_overruns_a_narrow_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((columns, 30)))
    lines = [line.removesuffix("\x1b[K") for line in count(Terminal(), 1.0, name="a long name of a folder").split("\r")]
    assert max(len(line) for line in lines) < columns
