"""What `--out` writes: files that are closed whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from streamguard.cli import record
from streamguard.cli.course import Course
from streamguard.cli.record import Files, Heading, Recording
from streamguard.config import EngineConfig, SessionConfig
from streamguard.engine.engine import Engine
from streamguard.errors import SinkError
from streamguard.events import EndOfStream, Event, FaceLost, Kind, Score, VerdictChanged
from streamguard.picture import Picture
from streamguard.run import Turn, drive
from streamguard.session import Session
from streamguard.sinks.annotate import Label
from streamguard.sinks.heat import HeatKind, Overlay
from streamguard.sinks.jsonl import JsonLines
from streamguard.sources import Item
from streamguard.testing import (
    FakeBackend,
    FakeMaps,
    ManualClock,
    PaintedFaces,
    ScriptedSource,
    fake_bundle,
    painted,
)
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
    """An AnnotatedVideo that keeps its labels' lines, and all its heat maps."""

    pictures = 1

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self.overlays: list[tuple[float, Overlay]] = []
        made.append(self)

    def __enter__(self) -> Labelled:
        return self

    def __exit__(self, *_: object) -> None: ...

    def add(self, picture: Picture, pts_s: float, labels: Sequence[Label], overlays: Sequence[Overlay]) -> None:
        self.lines = [line for label in labels for line in label.lines]
        self.overlays += [(pts_s, overlay) for overlay in overlays]


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


# Heat maps.


class PaintedFile(ScriptedSource):
    """One painted person who walks to the right, as a file."""

    live = False

    def __init__(self, seconds: float) -> None:
        pictures = [(i / 12.5, 100 + 4 * i / 12.5) for i in range(round(seconds * 12.5))]
        frames = [
            Frame(pts_s=pts_s, picture=painted(480, 240, {240: Box(x, 60, x + 60, 140)}), arrival_s=0.0)
            for pts_s, x in pictures
        ]
        super().__init__([*frames, EndOfStream(frames=len(frames))])


@dataclass
class Recorded:
    video: Labelled
    recording: Recording
    html: str
    states: set[FaceState]
    maps: int


def recorded(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    score: float = 0.99,
    calibrated: bool = True,
    maps: HeatKind | None = "motion",
    backend: FakeMaps | None = None,
    seconds: float = 8.0,
) -> Recorded:
    monkeypatch.setattr(record, "AnnotatedVideo", Labelled)
    bundle = fake_bundle(maps=True, calibrated=calibrated)
    scorer, mapper = FakeBackend(score=lambda crops: score), backend or FakeMaps()
    source = PaintedFile(seconds)
    finder = PaintedFaces(FACE)
    files = Files(folder=folder, report=Heading(title="t"), maps=maps)
    states: set[FaceState] = set()
    count = 0
    with (
        Engine(bundle, EngineConfig(maps="events"), backend=scorer, maps=mapper) as engine,
        engine.join(live=False) as seat,
    ):
        session = Session(
            SessionConfig(clip=engine.clip, maps_every_s=1.0, maps_in_events=True),
            detector=finder,
            mesher=finder,
            limits=ANYTHING_GOES,
            calibration=engine.calibration,
        )
        with Recording(files, session, source, seat=seat) as recording:
            for turn in drive(source, session, seat=seat):
                recording.take(turn)
                count += len(turn.maps)
                states |= {session.face_state(face) for face in session.faces()}
    html = (folder / "report.html").read_text()
    return Recorded(video=made[-1], recording=recording, html=html, states=states, maps=count)


def test_a_face_that_is_likely_fake_glows_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded(tmp_path, monkeypatch)
    assert FaceState.LIKELY_FAKE in found.states
    late = [(pts_s, overlay) for pts_s, overlay in found.video.overlays if pts_s > 4]
    assert len(late) > 40, "in every picture"
    for pts_s, overlay in late:
        square = overlay.square_px
        assert square.centre[0] == pytest.approx(130 + 4 * pts_s, abs=square.width / 6 + 1), "the face is in its middle"
        assert square.centre[1] == pytest.approx(100, abs=1)
        assert overlay.kind == "motion"
    steps = [later[1].square_px.x0 - one[1].square_px.x0 for one, later in pairwise(late)]
    assert sorted(steps)[len(steps) // 2] == pytest.approx(4 / 12.5, abs=0.8), "it walks with the face from map to map"
    assert sum(step > 0 for step in steps) > 10
    assert found.html.count("data:image/png;base64,") == 3 * 3
    assert "UNMAPPED" not in found.html


def test_the_map_of_choice_is_drawn_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anomaly = recorded(tmp_path, monkeypatch, maps="anomaly", seconds=4.0)
    assert {overlay.kind for _, overlay in anomaly.video.overlays} == {"anomaly"}
    none = recorded(tmp_path, monkeypatch, maps=None, seconds=4.0)
    assert none.maps > 0, "events may have them all the same"
    assert none.video.overlays == []
    assert "data:image/png" not in none.html


def test_a_face_that_is_likely_real_never_glows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded(tmp_path, monkeypatch, score=0.01)
    assert FaceState.LIKELY_REAL in found.states
    assert found.maps == 2, "in eight seconds: such a face has its turn every four"
    assert all(pts_s < 4 for pts_s, _ in found.video.overlays), "only before it was called so"
    assert "This face was never likely fake: nothing here speaks against it." in found.html


def test_without_calibration_nothing_glows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded(tmp_path, monkeypatch, calibrated=False)
    assert found.maps >= 5
    assert found.video.overlays == []
    assert "data:image/png" not in found.html


def test_maps_that_end_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = FakeMaps()
    broken.error = RuntimeError("broke")
    found = recorded(tmp_path, monkeypatch, backend=broken)
    assert "UNMAPPED: heat maps ended, scores did not: fake: failed: RuntimeError" in "\n".join(found.recording.notes)
    assert "UNMAPPED" in found.html
    assert found.states >= {FaceState.LIKELY_FAKE}


def test_times_of_maps_in_events_count_from_the_first_picture_as_their_scores_do() -> None:
    course = Course()
    (score,) = (kind for kind in KINDS if isinstance(kind, Score))
    course.take(Turn(item=Frame(pts_s=5.0, picture=painted(64, 64, {}), arrival_s=0.0), events=[], windows=[]))
    moved = course.relative(turn_of(score).events[0]).kind
    assert isinstance(moved, Score)
    assert moved.maps is not None
    assert score.maps is not None
    assert (moved.pts_end_s, moved.maps.pts_end_s) == (score.pts_end_s - 5, score.maps.pts_end_s - 5)
    assert moved.maps.pts_start_s == score.maps.pts_start_s - 5
