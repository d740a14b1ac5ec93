"""`streamguard scan`, run as people run it, on small videos made by code."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image

from streamguard.bundle import UNTRAINED
from streamguard.cli import scan
from streamguard.cli.main import main
from streamguard.cli.network import Network
from streamguard.cli.record import EVENTS, REPORT, TIMELINE, VIDEO
from streamguard.config import EngineConfig, ScoringConfig
from streamguard.engine.engine import Engine
from streamguard.events import Event, Score, StreamUp, VerdictChanged
from streamguard.testing import FakeBackend, fake_bundle
from streamguard.values import FaceState, Reason
from streamguard.wire import event_from_json
from tests.cli.networks import calibrated, use
from tests.clips import one_person, pictures_of, write_video

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
ALL = {EVENTS, REPORT, TIMELINE, VIDEO}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of one person, 320x180."""
    return write_video(tmp_path_factory.mktemp("clip") / "one.mp4", pictures_of(one_person(), 2.0))


def events_in(folder: Path) -> list[Event]:
    return [event_from_json(line) for line in (folder / EVENTS).read_text().splitlines()]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_becomes_a_report_a_video_a_timeline_events_and_a_table(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(clip), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "out" / "one"
    assert names_in(folder) == ALL
    for name in ALL:
        assert f"wrote {folder / name}" in said
    assert re.search(r"^  face +seen +generations +windows +last state +score +reasons$", said, re.M)
    assert re.search(r"^  1 +0\.04 s to 1\.96 s +1 +\d+ +uncertain +raw 0\.\d\d to 0\.\d\d, uncalibrated", said, re.M)
    assert "participant: not judged" in said
    with av.open(str(folder / VIDEO)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    with Image.open(folder / TIMELINE) as picture:
        assert picture.width > 800
    assert "data:image/jpeg;base64," in (folder / REPORT).read_text(), "a thumbnail"
    assert [event.seq for event in events_in(folder)] == list(range(1, len(events_in(folder)) + 1))


def test_an_untrained_network_is_told_first_and_last_and_in_the_report_and_judges_nobody(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(clip), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[1] == lines[-1]
    assert lines[1].startswith("UNTRAINED: ")
    html = (tmp_path / "one" / REPORT).read_text()
    assert "UNTRAINED" in html
    assert "Nobody was judged" in html
    events = events_in(tmp_path / "one")
    scores = [event.kind for event in events if isinstance(event.kind, Score)]
    assert scores
    assert {score.state for score in scores} == {FaceState.UNCERTAIN}
    assert all(score.p_fake is None and Reason.UNCALIBRATED in score.reasons for score in scores)
    verdicts = [event.kind for event in events if isinstance(event.kind, VerdictChanged)]
    assert {verdict.state for verdict in verdicts} == {FaceState.UNCERTAIN}
    assert "likely" not in re.sub("likely_", "", said.lower())


def test_json_alone_is_on_standard_output(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(clip), "--json", "--out", str(tmp_path)]) == 0
    said = capfd.readouterr()
    assert [event_from_json(line) for line in said.out.splitlines()] == events_in(tmp_path / "one")
    assert said.err.count("UNTRAINED") == 2
    assert "wrote" in said.err


def test_the_same_file_gives_the_same_results(clip: Path, tmp_path: Path) -> None:
    for out in ("first", "second"):
        assert main(["scan", str(clip), "--out", str(tmp_path / out)]) == 0
    first, second = tmp_path / "first" / "one", tmp_path / "second" / "one"
    for name in (REPORT, TIMELINE, VIDEO):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert [timeless(event) for event in events_in(first)] == [timeless(event) for event in events_in(second)]


def timeless(event: Event) -> Event:
    """Less what is another each time."""
    kind = event.kind
    if isinstance(kind, Score):
        kind = replace(kind, latency=replace(kind.latency, wait_s=0.0, queue_s=0.0, infer_s=0.0))
    return replace(event, epoch="", kind=kind)


@pytest.mark.parametrize(("score", "code", "words"), [(0.99, 10, "likely fake since"), (0.01, 0, "uncertain since")])
def test_somebody_likely_fake_is_told_by_the_exit_code(
    score: float,
    code: int,
    words: str,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: score))
    assert main(["scan", str(clip), "--out", str(tmp_path)]) == code
    said = capsys.readouterr().out
    assert f"participant: {words}" in said
    assert re.search(r"p\(fake\) \d\.\d\d now, \d\.\d\d to \d\.\d\d", said)
    assert "UNTRAINED" not in said


def test_an_alarm_is_not_hidden_by_a_file_that_cannot_be_read(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: 0.99))
    assert main(["scan", str(clip), "no/such.mp4", "--out", str(tmp_path)]) == 10
    said = capsys.readouterr()
    assert "no/such.mp4 does not exist" in said.err
    assert re.search(r"no/such.mp4 +cannot be read", said.out)


def test_a_network_that_fails_ends_it_and_what_was_seen_is_kept(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: 1 / 0))
    assert main(["scan", str(clip), str(clip.with_name("never.mp4")), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "streamguard: error: fake: failed: ZeroDivisionError" in said.err
    assert "never.mp4" not in said.err, "another file would fare no better"
    assert "Traceback" not in said.err, "that is for -vv"
    assert names_in(tmp_path / "one") == ALL


def only_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(32000))


def test_of_a_folder_what_can_be_read_is_scanned_and_the_rest_is_told(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = tmp_path / "in"
    (inside / "sub" / "deeper").mkdir(parents=True)
    (inside / "sub" / "deeper" / "good.mp4").write_bytes(clip.read_bytes())
    (inside / "empty.mp4").write_bytes(b"")
    (inside / "text.mp4").write_text("not a video\n")
    (inside / "notes.txt").write_text("not even named like one\n")
    only_sound(inside / "sound.mp4")
    write_video(inside / "single.mp4", pictures_of(one_person(), 0.04))
    assert main(["scan", str(inside), "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert names_in(tmp_path / "out") == {"single", "sub"}, "what cannot be opened leaves nothing behind"
    assert names_in(tmp_path / "out" / "sub" / "deeper" / "good") == ALL
    errors = [line for line in said.err.splitlines() if line.startswith("streamguard: error: ")]
    assert [Path(line.split()[2]).name for line in errors] == ["empty.mp4", "sound.mp4", "text.mp4"]
    lines = said.out.splitlines()
    rows = lines[next(i for i, line in enumerate(lines) if line.startswith("video  ")) + 1 :][:5]
    assert [Path(row.split("  ")[0]).name for row in rows] == [
        "empty.mp4",
        "single.mp4",
        "sound.mp4",
        "text.mp4",
        "good.mp4",
    ]
    assert "notes.txt" not in said.out + said.err


def test_results_inside_the_folder_are_not_scanned_again(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.mp4").write_bytes(clip.read_bytes())
    for out in (tmp_path / "out", tmp_path, tmp_path / "out"):
        assert main(["scan", str(tmp_path), "--out", str(out), "--seconds", "0.1"]) == 0
        assert capsys.readouterr().out.startswith("1 video; ")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any bytes as a name")
@pytest.mark.parametrize("name", [b"two words.mp4", b'it\'s "q".mp4', b"two\nlines\x1b[2J.mp4", b"caf\xe9.mp4"])
def test_odd_names_are_scanned_and_never_obeyed(
    name: bytes, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(clip.read_bytes())
    assert main(["scan", str(path), "--out", str(tmp_path / "out"), "--seconds", "0.5"]) == 0
    assert names_in(tmp_path / "out" / path.stem) == ALL
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert sum("wrote" in line and line.endswith((*ALL,)) for line in said.out.splitlines()) == 4


def test_no_video_leaves_out_the_costly_one(clip: Path, tmp_path: Path) -> None:
    assert main(["scan", str(clip), "--no-video", "--out", str(tmp_path)]) == 0
    assert names_in(tmp_path / "one") == ALL - {VIDEO}


def test_seconds_are_of_each_file(clip: Path, tmp_path: Path) -> None:
    assert main(["scan", str(clip), "--seconds", "1", "--out", str(tmp_path)]) == 0
    with av.open(str(tmp_path / "one" / VIDEO)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 26


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rtsp://camera/live"], 2, "streamguard watch"),
        (["x.mp4", "--prior", "1"], 2, "--prior"),
        (["x.mp4", "--seconds", "0"], 2, "--seconds"),
        (["x.mp4", "--backend", "abacus"], 2, "abacus"),
        (["no/such/file.mp4"], 3, "does not exist"),
        (["."], 3, "no file that is named like a video"),
        (["x.mp4", "--bundle", "no/such/bundle"], 4, "no/such/bundle"),
        ([], 2, "FILE|DIR"),
        ([""], 2, "FILE|DIR"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["scan", *arguments]) == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_file_that_would_be_overwritten_is_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "annotated" / "annotated.mp4"
    own.parent.mkdir()
    own.write_bytes(clip.read_bytes())
    assert main(["scan", str(own), "--out", str(tmp_path)]) == 2
    assert "--out" in capsys.readouterr().err
    assert own.read_bytes() == clip.read_bytes()


def test_outputs_of_one_video_never_overwrite_another(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call, own = tmp_path / "call.mp4", tmp_path / "call" / "annotated.mp4"
    own.parent.mkdir()
    for path in (call, own):
        path.write_bytes(clip.read_bytes())
    for targets in ([tmp_path], [call, own], [call, own, "--no-video"]):
        assert main(["scan", *map(str, targets), "--out", str(tmp_path)]) == 2
        assert "would be overwritten" in capsys.readouterr().err
    assert own.read_bytes() == clip.read_bytes()
    assert [path.name for path in own.parent.iterdir()] == ["annotated.mp4"]


def test_a_file_that_cannot_be_looked_at_is_told_and_the_rest_is_scanned(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stat = os.stat

    def refusing(path: object, *args: object, **kwargs: object) -> os.stat_result:
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return stat(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("os.stat", refusing)
    targets = ["locked/two.mp4", "y" * 300 + ".mp4", str(clip)]
    assert main(["scan", *targets, "--out", str(tmp_path), "--no-video"]) == 3
    said = capsys.readouterr().err
    assert "locked/two.mp4 cannot be looked at (Permission denied)" in said
    assert "(File name too long)" in said
    assert (tmp_path / "one" / REPORT).exists()


def test_an_out_that_cannot_be_written_is_a_typed_error(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["scan", str(clip), "--out", str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err
    assert re.search(r"^streamguard: error: .*events\.jsonl: Not a directory$", said, re.M)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_typed_error(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / EVENTS).symlink_to("/dev/full")
    assert main(["scan", str(clip), "--out", str(tmp_path)]) == 1
    assert f"streamguard: error: {tmp_path / 'one' / EVENTS}: no space is left there\n" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_finishes_the_files_and_is_told(name: str, code: int, clip: Path, tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from streamguard.cli import main\n"
        "from streamguard.cli.record import Recording\n"
        "take = Recording.take\n"
        "def interrupting(self, turn):\n"
        "    take(self, turn)\n"
        "    if getattr(turn.item, 'pts_s', 0) > 1.0: os.kill(os.getpid(), signal.NAME)\n"
        "Recording.take = interrupting\n"
        "sys.exit(main.main(sys.argv[1:]))\n"
    ).replace("NAME", name)
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    given = [str(clip), str(other), "--bundle", "untrained", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", script, "scan", *given],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert "  PARTIAL: only until 1.04 s\n" in done.stdout
    assert "PARTIAL: only until 1.04 s" in (tmp_path / "out" / "one" / REPORT).read_text()
    assert "PARTIAL: 1 of 2 were not looked at\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("UNTRAINED")
    assert names_in(tmp_path / "out") == {"one"}
    assert names_in(tmp_path / "out" / "one") == ALL
    with av.open(str(tmp_path / "out" / "one" / VIDEO)) as container:
        assert 26 <= sum(1 for _ in container.decode(video=0)) <= 28


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_on_a_terminal_a_bar_shows_how_far_it_is_and_goes_away(clip: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "streamguard", "scan", str(clip), "--bundle", "untrained", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        drawn = read_terminal(ours)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, drawn
    assert re.search(r"\rone\.mp4 \[#* *\] +\d+%, \d+\.\dx real time", drawn)
    assert drawn.endswith("\r\x1b[K"), "it went away"
    assert "\x1b" not in said
    assert "wrote" in said


def read_terminal(number: int) -> str:
    """Until whoever writes there has ended."""
    drawn = b""
    while True:
        try:
            part = os.read(number, 4096)
        except OSError:  # Linux's way to say so
            part = b""
        if not part:
            os.close(number)
            return drawn.decode()
        drawn += part


def test_without_a_terminal_a_short_scan_says_nothing_on_standard_error(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamguard.cli.progress.LINE_EVERY_S", 1e9)
    assert main(["scan", str(clip), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_ends_it(clip: Path, tmp_path: Path) -> None:
    line = '"$0" -m streamguard scan "$1" --bundle untrained --json --out "$2" | head -1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, str(clip), str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    first, code = done.stdout.splitlines()
    assert isinstance(event_from_json(first).kind, StreamUp)
    assert code == "141"
    assert "Traceback" not in done.stderr


def test_help_and_docs_tell_the_same_exit_codes() -> None:
    told = re.findall(r"^  (\d+) +\S", scan.EPILOG, re.M)
    table = re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.M)
    assert set(told) | {"143"} == set(table)


def test_what_runs_the_network_is_as_told(clip: Path, tmp_path: Path) -> None:
    options = ["--backend", "onnxruntime", "--graph", "window", "--precision", "fp32", "--bundle", str(UNTRAINED)]
    assert main(["scan", str(clip), "--out", str(tmp_path), "--no-video", *options]) == 0
    assert "(onnxruntime window fp32)" in (tmp_path / "one" / REPORT).read_text()


def test_the_prior_moves_probabilities(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(bundle: Path | None, config: EngineConfig, scoring: ScoringConfig) -> Network:
        return Network(Engine(fake_bundle(), backend=FakeBackend(score=lambda crops: 0.5)), scoring)

    monkeypatch.setattr(Network, "open", opened)
    for prior in (0.5, 0.1):
        assert main(["scan", str(clip), "--out", str(tmp_path), "--no-video", "--prior", str(prior)]) == 0
        assert re.search(rf"p\(fake\) {prior:.2f} now", capsys.readouterr().out)


def test_a_folder_that_cannot_be_listed_is_told_and_the_rest_is_scanned(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "locked").mkdir(parents=True)
    (tmp_path / "in" / "one.mp4").write_bytes(clip.read_bytes())
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    assert main(["scan", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--no-video"]) == 3
    assert "locked" in capsys.readouterr().err
    assert (tmp_path / "out" / "one" / REPORT).exists()


def with_head_first(clip: Path, path: Path) -> bytearray:
    """The same video with its table of contents in front, as on the web: what is cut off later still opens."""
    with av.open(str(clip)) as given, av.open(str(path), "w", options={"movflags": "faststart"}) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return bytearray(path.read_bytes())


def test_a_file_that_was_cut_off_is_told_on_the_screen_and_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write_video(tmp_path / "whole.mp4", pictures_of(one_person(), 4.0))
    data = with_head_first(whole, tmp_path / "cut.mp4")
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    assert main(["scan", str(tmp_path / "cut.mp4"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  PARTIAL: only until [12]\.\d\d s, though it says that it is 4\.0 s long", said, re.M)
    assert "though it says that it is 4.0 s long" in (tmp_path / "out" / "cut" / REPORT).read_text()


def test_a_damaged_file_is_told_on_the_screen_and_in_the_report(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = with_head_first(clip, tmp_path / "hurt.mp4")
    start, end = data.index(b"mdat") + len(data) // 4, len(data) * 3 // 4
    data[start:end] = bytes(end - start)
    (tmp_path / "hurt.mp4").write_bytes(data)
    main(["scan", str(tmp_path / "hurt.mp4"), "--out", str(tmp_path / "out")])
    assert re.search(r"^  DAMAGED: \d+ (packet|picture)", capsys.readouterr().out, re.M)
    assert "DAMAGED: " in (tmp_path / "out" / "hurt" / REPORT).read_text()


def test_a_whole_file_is_neither(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(clip), "--out", str(tmp_path), "--no-video"]) == 0
    told = capsys.readouterr().out + (tmp_path / "one" / REPORT).read_text()
    assert not re.search("PARTIAL|DAMAGED|UNSCORED|Times count from", told)


def test_a_scan_of_the_first_seconds_says_in_the_report_that_it_is_partial(clip: Path, tmp_path: Path) -> None:
    assert main(["scan", str(clip), "--out", str(tmp_path), "--no-video", "--seconds", "1"]) == 0
    assert "PARTIAL: only until 1.00 s" in (tmp_path / "one" / REPORT).read_text()


def test_a_network_that_answers_no_number_is_an_error_and_the_rest_is_looked_at(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: float("nan")))
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    assert main(["scan", str(clip), str(other), "--out", str(tmp_path), "--no-video"]) == 1
    said = capsys.readouterr()
    assert said.err.count("was a number from 0 to 1, so nobody could be judged") == 2
    assert re.search(r"^  UNSCORED: \d+ scores? w", said.out, re.M)
    for name in ("one", "other"):
        assert "UNSCORED: " in (tmp_path / name / REPORT).read_text()


def test_times_count_from_the_first_picture(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = tmp_path / "late.mkv"
    with av.open(str(clip)) as given, av.open(str(late), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                shift = round(50_000 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                made.mux(packet)
    assert main(["scan", str(late), "--out", str(tmp_path / "out"), "--no-video"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  1 +0\.04 s to 1\.96 s", said, re.M)
    assert "1 face in 2.0 s of video" in said
    assert said.count("which is at 13:53:20 of the source's own clock") == 1
    html = (tmp_path / "out" / "late" / REPORT).read_text()
    assert "in 2.0 s of video" in html
    assert html.count("13:53:20") == 1
    assert events_in(tmp_path / "out" / "late")[-1].pts_s > 50_000, "these match the file"
    assert "PARTIAL" not in said


def test_what_an_earlier_run_left_is_told(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(clip), "--out", str(tmp_path)]) == 0
    assert "older" not in capsys.readouterr().out
    assert main(["scan", str(clip), "--out", str(tmp_path), "--no-video"]) == 0
    assert f"  older, of another run: {tmp_path / 'one' / VIDEO}\n" in capsys.readouterr().out


def test_of_a_single_picture_it_says_why_there_is_no_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(one_person().render(0.0)).save(tmp_path / "one.png")
    assert main(["scan", str(tmp_path / "one.png"), "--out", str(tmp_path / "out")]) == 0
    assert re.search(r"No face was seen\. A face appears once it was seen in \d+ pictures", capsys.readouterr().out)


@pytest.mark.parametrize("option", [["--precision", "bf16"], ["--precision", "fp16"]])
def test_what_is_asked_for_and_cannot_be_had_is_wrong_usage(
    option: list[str], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(clip), "--out", str(tmp_path), "--backend", "onnxruntime", *option]) == 2
    assert "--backend, --precision: onnxruntime: " in capsys.readouterr().err
