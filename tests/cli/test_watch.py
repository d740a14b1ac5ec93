"""`streamguard watch`, run as people run it, and what its table and its log show."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from streamguard.cli.main import main
from streamguard.cli.network import Network
from streamguard.cli.score_view import ScoreView
from streamguard.config import SessionConfig
from streamguard.events import EndOfStream, Event, Kind, Overload, Score, StreamUp, VerdictChanged
from streamguard.run import Turn, drive
from streamguard.session import Session
from streamguard.sources import Item
from streamguard.testing import ManualClock, PaintedFaces, ScriptedSource, painted
from streamguard.values import Box, FaceState, Frame, Reason, StreamState
from streamguard.wire import event_from_json
from tests.cli.networks import calibrated, untrained, use
from tests.clips import one_person, pictures_of, write_video
from tests.sample_events import KINDS
from tests.sessions import ANYTHING_GOES

FACE = (60.0, 80.0)
(SCORE,) = [kind for kind in KINDS if isinstance(kind, Score)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of one person, 320x180."""
    return write_video(tmp_path_factory.mktemp("clip") / "one.mp4", pictures_of(one_person(), 2.0))


def scores_in(said: str) -> list[str]:
    return [line for line in said.splitlines() if "face 1.1 scored" in line]


def test_a_log_has_a_line_an_event_and_scores_only_now_and_then(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(clip)]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0] == lines[-1]
    assert lines[0].startswith("UNTRAINED: ")
    assert "stream up: 320x180 h264" in lines[1]
    assert "face 1.1 appeared" in lines[2]
    assert "face 1.1 is uncertain (uncalibrated)" in said
    assert len(scores_in(said)) == 1
    assert "raw 0." in scores_in(said)[0]


def test_all_scores_are_as_many_as_in_the_events(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(clip), "--all-scores", "--out", str(tmp_path), "--no-video"]) == 0
    events = [event_from_json(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    scores = [event for event in events if isinstance(event.kind, Score)]
    assert len(scores) > 5
    assert len(scores_in(capsys.readouterr().out)) == len(scores)


def test_out_has_what_scan_writes(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(clip), "--out", str(tmp_path)]) == 0
    names = {"report.html", "annotated.mp4", "timeline.png", "events.jsonl"}
    assert {path.name for path in tmp_path.iterdir()} == names
    said = capsys.readouterr().out
    assert all(f"wrote {tmp_path / name}" in said for name in names)
    assert "UNTRAINED" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("score", "code"), [(0.99, 10), (0.01, 0)])
def test_somebody_likely_fake_is_told_by_the_exit_code(
    score: float, code: int, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: score))
    assert main(["watch", str(clip)]) == code
    said = capsys.readouterr().out
    assert ("participant is likely fake (p(fake) 0." in said) is (code == 10)
    assert "UNTRAINED" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no/such/file.mp4"], 3, "does not exist"),
        (["x.mp4", "--seconds", "nan"], 2, "--seconds"),
        (["x.mp4", "--prior", "0"], 2, "--prior"),
        ([], 2, "TARGET"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *arguments]) == code
    assert words in capsys.readouterr().err


def test_a_file_that_would_be_overwritten_is_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "annotated.mp4").write_bytes(clip.read_bytes())
    assert main(["watch", str(tmp_path / "annotated.mp4"), "--out", str(tmp_path)]) == 2
    assert "--out" in capsys.readouterr().err
    assert (tmp_path / "annotated.mp4").read_bytes() == clip.read_bytes()


# The table.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def script(seconds: float) -> list[Item | Exception | float]:
    picture = painted(320, 180, {240: Box(130, 50, 190, 130)})
    frames = [Frame(pts_s=i / 25, picture=picture, arrival_s=0.0) for i in range(round(25 * seconds))]
    up = StreamUp(url="scripted:", width=320, height=180, codec="painted")
    return [up, *frames, EndOfStream(frames=len(frames))]


class File(ScriptedSource):
    live = False


def session_for(network: Network) -> Session:
    finder = PaintedFaces(FACE)
    config = SessionConfig(clip=network.engine.clip)
    return Session(config, detector=finder, mesher=finder, limits=ANYTHING_GOES, calibration=network.engine.calibration)


def play(file: io.StringIO, network: Network, *, seconds: float = 2.0, all_scores: bool = False) -> str:
    with network, network.engine.join(live=False) as seat:
        source, session = File(script(seconds)), session_for(network)
        with ScoreView(file, session, source, network, all_scores=all_scores) as view:
            for turn in drive(source, session, ManualClock(), seat=seat):
                view.show(turn)
    return file.getvalue()


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((120, 30)))
    monkeypatch.setattr("streamguard.cli.view.REFRESH_S", 0.0)


def test_the_table_shows_probability_interval_since_and_latency(wide: None) -> None:
    said = play(Terminal(), calibrated(lambda crops: 0.97))
    row = [line for line in said.splitlines() if line.startswith("1.1 ") and "likely fake" in line][-1]
    assert row.split()[:4] == ["1.1", "likely", "fake", "p(fake)"]
    assert ", window 0.97 " in row
    assert " s " in row
    assert " ms" in row
    assert "fake window fp32, trained; a score each 0.64 s; 0 windows dropped" in said
    assert "face 1.1 scored" not in said, "the table has them"


def test_the_table_of_an_untrained_network_shows_raw_scores_and_says_so(wide: None) -> None:
    said = play(Terminal(), untrained())
    row = [line for line in said.splitlines() if line.startswith("1.1 ") and "raw" in line][-1]
    assert row.removesuffix("\x1b[K").endswith("uncalibrated")
    assert "p(fake) 0" not in said
    assert "fake window fp32, NOT TRAINED" in said
    assert said.count("UNTRAINED") == 2


def test_all_scores_are_told_above_the_table_too(wide: None) -> None:
    assert "face 1.1 scored" in play(Terminal(), calibrated(), all_scores=True)


def test_a_log_tells_a_score_every_five_seconds() -> None:
    said = play(io.StringIO(), calibrated(lambda crops: 0.5), seconds=12.0)
    times = [float(line.split()[0]) for line in scores_in(said)]
    assert len(times) == 3
    assert [b - a >= 5 for a, b in pairwise(times)] == [True, True]


def shown(*kinds: Kind) -> tuple[ScoreView, str]:
    network = untrained()
    file = io.StringIO()
    with network:
        view = ScoreView(file, session_for(network), File([]), network)
        for seq, kind in enumerate(kinds, start=1):
            event = Event(stream_id="s", epoch="e", seq=seq, pts_s=1.0 * seq, stream_state=StreamState.LIVE, kind=kind)
            view.show(Turn(item=None, events=[event], windows=[]))
        return view, file.getvalue() + "\n".join(view.status())


def changed(state: FaceState, previous: FaceState, *reasons: Reason) -> VerdictChanged:
    return VerdictChanged(
        face_id=SCORE.face_id, generation=SCORE.generation, state=state, previous=previous, reasons=reasons
    )


def test_a_log_tells_a_score_at_each_change_of_state() -> None:
    states = [FaceState.UNCERTAIN, FaceState.UNCERTAIN, FaceState.LIKELY_FAKE, FaceState.LIKELY_FAKE]
    _, said = shown(*(replace(SCORE, state=state) for state in states))
    assert said.count(" scored ") == 2


def test_the_effective_hop_is_shown() -> None:
    assert "a score each 1.92 s" in shown(Overload(effective_hop_s=1.92, dropped=3))[1]


def test_since_counts_from_the_state_and_not_from_its_reasons() -> None:
    view, _ = shown(
        changed(FaceState.LOW_QUALITY, FaceState.WARMING_UP, Reason.DARK),
        changed(FaceState.LOW_QUALITY, FaceState.LOW_QUALITY, Reason.BLURRED),
    )
    assert view._since_s == {(SCORE.face_id, SCORE.generation): 1.0}
    assert view._reasons == {(SCORE.face_id, SCORE.generation): (Reason.BLURRED,)}


def test_json_of_a_live_stream_is_what_out_holds(clip: Path, tmp_path: Path) -> None:
    assert main(["watch", str(clip), "--out", str(tmp_path), "--no-video", "--seconds", "1"]) == 0
    first = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[0])
    assert first["streamUp"]["codec"] == "h264"


def test_a_network_that_answers_no_number_is_an_error(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: float("nan")))
    assert main(["watch", str(clip), "--out", str(tmp_path), "--no-video"]) == 1
    said = capsys.readouterr()
    assert "nobody could be judged" in said.err
    assert "UNSCORED: " in said.out
