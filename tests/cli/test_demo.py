"""`streamguard demo`: two faces, one of them faked, and nobody judged."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest

from streamguard.cli.main import main
from tests.cli.networks import calibrated, use


def test_the_demo_scans_the_portrait_beside_its_fake_and_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--seconds", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0].startswith("SYNTHETIC: ")
    assert lines[1].startswith("UNTRAINED: ")
    assert [line[:3] for line in lines if re.match(r"  [12] +0\.", line)] == ["  1", "  2"]
    assert said.count("uncertain") == 2
    assert lines[-1] == f"Now open {tmp_path / 'report.html'}"
    assert lines[-3] == lines[1], "said again at the end"
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    html = (tmp_path / "report.html").read_text()
    assert "SYNTHETIC" in html
    assert "UNTRAINED" in html


def test_what_is_thought_of_a_synthetic_face_is_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: 0.99))
    assert main(["demo", "--seconds", "1.5", "--out", str(tmp_path)]) == 0
    assert "participant: likely fake" in capsys.readouterr().out


def test_without_a_webcam_it_ends_at_once_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--webcam=/dev/no-such-webcam", "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert "cannot be watched" in said.err
    assert "without --webcam" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_a_length_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", f"--seconds={seconds}"]) == 2
    assert "--seconds" in capsys.readouterr().err


def test_what_failed_is_not_to_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, lambda: calibrated(lambda crops: float("nan")))
    assert main(["demo", "--seconds", "1.5", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "Now open" not in said.out
    assert "nobody could be judged" in said.err
