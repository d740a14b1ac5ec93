"""`streamguard faces`, run as people run it, on a small video made by code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image

from streamguard.cli.main import main
from streamguard.wire import event_from_json
from tests.clips import one_person, pictures_of, write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of one person, 320x180."""
    return write_video(tmp_path_factory.mktemp("clip") / "one.mp4", pictures_of(one_person(), 2.0))


def test_each_event_is_a_line_and_a_summary_ends_it(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", str(clip)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "stream up: 320x180 h264" in lines[0]
    assert "face 1.1 appeared" in lines[1]
    assert "end of stream after 50 frames" in lines[-2]
    assert lines[-1].startswith("50 frames, 1 face generations, 3 windows, 0 gaps, 0 resets")


def test_out_writes_a_video_a_picture_and_the_events(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faces", str(clip), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for name in ("annotated.mp4", "tracks.png", "events.jsonl"):
        assert f"wrote {tmp_path / 'out' / name}" in said
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 50
    assert abs(frames[20].to_ndarray(format="rgb24").astype(int) - first_pictures(clip, 21)[20]).max() > 80
    with Image.open(tmp_path / "out" / "tracks.png") as picture:
        assert picture.width > 800
    events = [event_from_json(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {type(event.kind).__name__ for event in events} >= {"StreamUp", "FaceAppeared", "FaceLost", "EndOfStream"}


def first_pictures(path: Path, count: int) -> list[object]:
    with av.open(str(path)) as container:
        frames = [frame for _, frame in zip(range(count), container.decode(video=0), strict=False)]
    return [frame.to_ndarray(format="rgb24").astype(int) for frame in frames]


def test_no_video_leaves_out_the_costly_one(clip: Path, tmp_path: Path) -> None:
    assert main(["faces", str(clip), "--out", str(tmp_path), "--no-video"]) == 0
    assert not (tmp_path / "annotated.mp4").exists()
    assert (tmp_path / "tracks.png").exists()


def test_seconds_stop_it_early(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", str(clip), "--seconds", "1"]) == 0
    assert "26 frames, 1 face generations" in capsys.readouterr().out


def test_altfreezing_windows_are_counted_on_their_own_grid(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", str(clip), "--clip", "altfreezing"]) == 0
    assert "2 windows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["faces", "no/such/file.mp4"], 3, "does not exist"),
        (["faces", "x.mp4", "--seconds", "-1"], 2, "--seconds"),
        (["faces", "x.mp4", "--seconds", "nan"], 2, "--seconds"),
        (["faces", "x.mp4", "--seconds", "inf"], 2, "--seconds"),
        (["faces"], 2, "TARGET"),
        (["faces", "x.mp4", "--clip", "mover"], 2, "mover"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    url = "rtsp://user:hunter2@127.0.0.1:9/live?token=hunter3"
    done = subprocess.Popen(
        [sys.executable, "-m", "streamguard", "-vv", "faces", url, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert done.stdout is not None
    said = ""
    while "UNREACHABLE" not in said:
        line = done.stdout.readline()
        assert line, said
        said += line
    done.send_signal(signal.SIGINT)
    said += done.communicate(timeout=60)[0]
    assert done.returncode == 130, said
    written = said + (tmp_path / "events.jsonl").read_text()
    assert "UNREACHABLE" in written
    assert "hunter" not in written


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_finishes_the_files_and_is_told_in_the_exit_code(
    name: str, code: int, clip: Path, tmp_path: Path
) -> None:
    script = (
        "import sys, os, signal; from streamguard.cli import faces, main\n"
        "from streamguard.cli.record import Recording\n"
        "take = Recording.take\n"
        "def interrupting(self, turn):\n"
        "    take(self, turn)\n"
        "    if turn.item is not None and getattr(turn.item, 'pts_s', 0) > 1.0: os.kill(os.getpid(), signal.NAME)\n"
        "Recording.take = interrupting\n"
        "sys.exit(main.main(sys.argv[1:]))\n"
    ).replace("NAME", name)
    done = subprocess.run(
        [sys.executable, "-c", script, "faces", str(clip), "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert "face generations" in done.stdout
    assert f"wrote {tmp_path / 'annotated.mp4'}" in done.stdout
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert 20 <= sum(1 for _ in container.decode(video=0)) <= 30
    assert (tmp_path / "tracks.png").exists()


@pytest.mark.parametrize("name", ["annotated.mp4", "tracks.png", "events.jsonl"])
def test_a_file_that_would_be_overwritten_while_it_is_read_is_refused(
    name: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(clip.read_bytes())
    (tmp_path / "link").symlink_to(tmp_path)
    for target in (tmp_path / name, tmp_path / "link" / name):
        assert main(["faces", str(target), "--out", str(tmp_path)]) == 2
        assert "--out" in capsys.readouterr().err
    assert (tmp_path / name).read_bytes() == clip.read_bytes()


def test_without_the_video_its_name_is_free_to_be_watched(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "annotated.mp4").write_bytes(clip.read_bytes())
    assert main(["faces", str(tmp_path / "annotated.mp4"), "--out", str(tmp_path), "--no-video"]) == 0
    assert (tmp_path / "annotated.mp4").read_bytes() == clip.read_bytes()


def test_only_what_this_run_wrote_is_claimed(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "annotated.mp4").write_bytes(b"of an earlier run")
    assert main(["faces", str(clip), "--out", str(tmp_path), "--no-video"]) == 0
    lines = capsys.readouterr().out.splitlines()
    claimed = [Path(line.split(maxsplit=1)[1]).name for line in lines if line.startswith("wrote ")]
    assert claimed == ["tracks.png", "events.jsonl"]
    assert lines[-1] == f"older, of another run: {tmp_path / 'annotated.mp4'}"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that can close a stream")
def test_a_closed_standard_output_is_no_error(clip: Path, tmp_path: Path) -> None:
    line = '"$0" -m streamguard faces "$1" --out "$2" >&-'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, str(clip), str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "endOfStream" in (tmp_path / "events.jsonl").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any bytes as a name")
def test_a_file_name_that_is_no_text_is_escaped(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    named.write_bytes(clip.read_bytes())
    assert main(["faces", str(named), "--out", str(tmp_path / os.fsdecode(b"out\xe9"))]) == 0
    assert "wrote " in capsys.readouterr().out
    events = (tmp_path / os.fsdecode(b"out\xe9") / "events.jsonl").read_text().splitlines()
    assert event_from_json(events[0]).stream_id.endswith("caf\\udce9.mp4")


def test_a_file_is_looked_for_before_models_are_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetching(*_: object) -> None:
        raise AssertionError("too early")

    monkeypatch.setattr("streamguard.cli.finders.finders", fetching)
    assert main(["faces", "no/such/file.mp4"]) == 3
    assert "does not exist" in capsys.readouterr().err


def test_a_still_picture_is_told_why_it_has_no_face(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with av.open(str(clip)) as container:
        next(container.decode(video=0)).to_image().save(tmp_path / "still.png")
    assert main(["faces", str(tmp_path / "still.png")]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("1 frame, 0 face generations")
    assert "seen in 2 frames" in said


def test_an_error_stays_one_line_whatever_a_file_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", "two\nlines\x1b[2J.mp4"]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
