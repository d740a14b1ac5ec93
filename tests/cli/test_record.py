"""What `--out` writes: files that are closed whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streamguard.cli import record
from streamguard.cli.record import Files, Heading, Recording
from streamguard.config import SessionConfig
from streamguard.errors import SinkError
from streamguard.events import Event, FaceLost, Kind, Score, VerdictChanged
from streamguard.picture import Picture
from streamguard.run import Turn, drive
from streamguard.session import Session
from streamguard.sinks.annotate import Label
from streamguard.sinks.jsonl import JsonLines
from streamguard.sources import Item
from streamguard.testing import ManualClock, PaintedFaces, ScriptedSource, painted
from streamguard.values import Box, FaceState, Frame, LostCause, StreamState
from tests.sample_events import KINDS
from tests.sessions import ANYTHING_GOES


def new_session() -> Session:
    finder = PaintedFaces((60.0, 80.0))
    return Session(SessionConfig(), detector=finder, mesher=finder)


def test_files_that_were_opened_are_closed_if_a_later_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[JsonLines] = []
    close = JsonLines.close

    def noting(self: JsonLines) -> None:
        closed.append(self)
        close(self)

    def failing(path: Path) -> None:
        raise SinkError(str(path), "as scripted")

    monkeypatch.setattr(JsonLines, "close", noting)
    monkeypatch.setattr(record, "AnnotatedVideo", failing)
    with pytest.raises(SinkError, match="as scripted"), Recording(Files(folder=tmp_path), new_session()):
        pytest.fail("it did not open")
    assert len(closed) == 1


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Recording(None, new_session()) as recording:
        pass
    assert recording.written == []
    assert list(tmp_path.iterdir()) == []


FACE = (60.0, 80.0)


def faces_session() -> Session:
    finder = PaintedFaces(FACE)
    return Session(SessionConfig(), detector=finder, mesher=finder, limits=ANYTHING_GOES)


def frames(count: int) -> list[Item | Exception | float]:
    picture = painted(320, 180, {240: Box(130, 50, 190, 130)})
    return [Frame(pts_s=i / 25, picture=picture, arrival_s=0.0) for i in range(count)]


def turn_of(kind: Kind) -> Turn:
    event = Event(stream_id="s", epoch="e", seq=1, pts_s=1.0, stream_state=StreamState.LIVE, kind=kind)
    return Turn(item=None, events=[event], windows=[])


class Labelled:
    """An AnnotatedVideo that keeps its labels' lines."""

    pictures = 1

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        made.append(self)

    def __enter__(self) -> Labelled:
        return self

    def __exit__(self, *_: object) -> None: ...

    def add(self, picture: Picture, pts_s: float, labels: Sequence[Label]) -> None:
        self.lines = [line for label in labels for line in label.lines]


made: list[Labelled] = []


def test_labels_show_a_faces_newest_score_until_it_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "AnnotatedVideo", Labelled)
    (score,) = (kind for kind in KINDS if isinstance(kind, Score))
    session = faces_session()
    turns = drive(ScriptedSource(frames(20)), session, ManualClock())
    with Recording(Files(folder=tmp_path), session) as recording:
        for _ in range(5):
            recording.take(next(turns))
        assert not any("raw" in line for line in made[-1].lines)
        mine = replace(score, face_id=1, generation=1, p_fake=None, raw_score=0.25)
        recording.take(turn_of(mine))
        recording.take(turn_of(replace(mine, raw_score=0.75)))
        recording.take(next(turns))
        assert "raw 0.75, uncalibrated" in made[-1].lines
        recording.take(turn_of(FaceLost(face_id=1, generation=1, cause=LostCause.GONE, last_seen_pts_s=0.2)))
        recording.take(next(turns))
        assert not any("raw" in line for line in made[-1].lines)


def test_a_turning_point_between_two_frames_is_shown_with_the_newest(tmp_path: Path) -> None:
    """A live network's answers come when they come, also after the last frame."""
    session = faces_session()
    turns = drive(ScriptedSource(frames(20)), session, ManualClock())
    with Recording(Files(folder=tmp_path, report=Heading(title="t")), session) as recording:
        for _ in range(5):
            recording.take(next(turns))
        changed = VerdictChanged(
            face_id=1, generation=1, state=FaceState.UNCERTAIN, previous=FaceState.WARMING_UP, reasons=()
        )
        recording.take(turn_of(changed))
    assert (tmp_path / "report.html").read_text().count("data:image/jpeg;base64,") == 2


def test_files_are_named_in_the_order_in_which_people_look_at_them(tmp_path: Path) -> None:
    everything = Files(folder=tmp_path, report=Heading(title="t"))
    assert everything.names == ["report.html", "annotated.mp4", "timeline.png", "events.jsonl"]
    assert Files(folder=tmp_path, video=False, picture="tracks.png").names == ["tracks.png", "events.jsonl"]
