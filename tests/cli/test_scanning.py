"""Scanning one source: what is left of one that fails on the way, and what is never left."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from streamguard.cli.scanning import Scanned, Scanner
from streamguard.cli.stop import StopSignals
from streamguard.errors import CorruptMedia
from streamguard.events import EndOfStream, StreamUp
from streamguard.picture import Picture
from streamguard.sources import Item
from streamguard.testing import EventRecorder, ManualClock, ScriptedSource
from streamguard.values import Frame
from tests.cli.networks import untrained

PICTURE = Picture.from_rgb(np.full((180, 320, 3), 90, np.uint8))
UP = StreamUp(url="scripted:", width=320, height=180, codec="painted")
BROKEN = CorruptMedia("scripted:", "as scripted")


class File(ScriptedSource):
    live = False


class Recorder(EventRecorder):
    def send(self, event: object) -> None:
        self.add([event])  # type: ignore[list-item]

    def close(self) -> None: ...


def frames(count: int) -> list[Item | Exception | float]:
    return [Frame(pts_s=i / 25, picture=PICTURE, arrival_s=0.0) for i in range(count)]


def scan(script: list[Item | Exception | float], folder: Path, **options: object) -> tuple[Scanned, str]:
    said = io.StringIO()
    with untrained() as network, StopSignals() as stop:
        scanner = Scanner(network, stop, said, **options)  # type: ignore[arg-type]
        scanned = scanner.scan(File(script), folder, name="scripted")
        scanner.tell_all([scanned], 2)
    return scanned, said.getvalue()


def test_what_fails_on_the_way_leaves_what_was_seen_until_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scanned, said = scan([UP, *frames(30), BROKEN], tmp_path / "out")
    assert scanned.failure is BROKEN
    assert {path.name for path in scanned.written} == {path.name for path in (tmp_path / "out").iterdir()}
    assert len(scanned.written) == 4
    assert f"  PARTIAL: only until 1.16 s, then it failed: {BROKEN}\n" in said
    assert "PARTIAL: only until 1.16 s, then it failed" in (tmp_path / "out" / "report.html").read_text()
    assert "(partial)" in said
    assert capsys.readouterr().err == f"streamguard: error: {BROKEN}\n"


def test_what_cannot_be_opened_leaves_nothing(tmp_path: Path) -> None:
    scanned, said = scan([BROKEN], tmp_path / "out")
    assert (scanned.failure, scanned.written) == (BROKEN, [])
    assert not (tmp_path / "out").exists()
    assert "cannot be read" in said


def test_without_any_face_it_says_so(tmp_path: Path) -> None:
    scanned, said = scan([UP, *frames(3), EndOfStream(frames=3)], tmp_path)
    assert scanned.failure is None
    assert "No face was seen" in said
    assert "participant: not judged" in said
    assert "PARTIAL: 1 of 2 were not looked at" in said


def test_events_go_where_they_are_asked_for_instead_of_a_table(tmp_path: Path) -> None:
    recorder = Recorder()
    _, said = scan([UP, *frames(3), EndOfStream(frames=3)], tmp_path, events=recorder, video=False)
    assert recorder.kinds() == [StreamUp, EndOfStream]
    assert "No face was seen" not in said
    assert "wrote" in said


def test_a_disk_that_is_slow_is_no_blinded_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr("streamguard.run.MonotonicClock", lambda: clock)
    recorder = Recorder()
    source = File([UP, *frames(2), 1800.0, EndOfStream(frames=2)], clock)
    with untrained() as network, StopSignals() as stop:
        Scanner(network, stop, io.StringIO(), events=recorder).scan(source, tmp_path, name="scripted")
    assert clock.now_s() >= 1800
    assert recorder.kinds() == [StreamUp, EndOfStream]


def test_a_long_name_does_not_widen_the_table(tmp_path: Path) -> None:
    said = io.StringIO()
    with untrained() as network, StopSignals() as stop:
        Scanner(network, stop, said).tell_all([Scanned(name="x" * 300 + "/call.mp4", failure=BROKEN)], 2)
    row = next(line for line in said.getvalue().splitlines() if "cannot be read" in line)
    assert row.startswith("...x")
    assert "x/call.mp4  " in row
    assert len(row) < 120
