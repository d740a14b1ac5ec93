"""`streamguard train`: what it refuses, what it says, and that it can be stopped and gone on with."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamguard.cli.main import main
from streamguard.training import fakes
from streamguard.training.checkpoint import checkpoints
from streamguard.training.memory import keep_freed_memory
from streamguard.training.tiles import Tiles
from streamguard.weights.read import read_safetensors
from tests.one_thread import one_thread as one_thread
from tests.training.prepared import blue, people, prepared

RECIPE = """
[net]
name = "gml-s"
span = 1.5
[net.options]
size_px = 32
width = 0.1
motion = "none"
[data]
workers = 0
bank = 2
degraded = 0.0
monitor_groups = 0.25
monitor_pairs = 2
[run]
log_every = 1
[[stages]]
steps = 4
lr = 1e-3
pairs = 2
length = 1
kinds = { blue = 1 }
"""
Train = Callable[..., int]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"), people(8), frames=2).folder


@pytest.fixture
def train(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """The command on made-up people, with a recipe of four steps, into tmp_path / "out"."""
    monkeypatch.setitem(fakes.KINDS, "blue", blue)
    monkeypatch.setattr("streamguard.training.memory.keep_freed_memory", lambda: None)  # it is for a whole process
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)

    def run(*arguments: str, recipe: str = str(recipe)) -> int:
        given = [recipe] if recipe else []
        return main(["train", *given, "--data", str(data), "--out", str(tmp_path / "out"), *arguments])

    return run


def test_training_leaves_weights_and_says_what_is_next(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--held-out", "1/4", "--seed", "3") == 0
    out, errors = capsys.readouterr()
    weights = tmp_path / "out" / "weights.safetensors"
    assert "stem.weight" in read_safetensors(weights)
    assert f"wrote {weights}: 4 steps" in out
    assert "no measure of a detector" in out
    assert out.endswith(f"\nNext:\n  streamguard bundle trained {tmp_path / 'out'} BUNDLE\n")
    assert "4 groups to train on, 2 to look at meanwhile, 2 held out; 4 steps in 1 stages on cpu" in errors
    assert "step      4" in errors
    assert "seed = 3" in (tmp_path / "out" / "recipe.toml").read_text()


def test_groups_of_a_file_are_held_out(train: Train, tmp_path: Path) -> None:
    (tmp_path / "groups").write_text("p01\np03\n\n")
    assert train("--groups-out", str(tmp_path / "groups"), "--steps", "1") == 0
    assert '"held_out": [\n  "p01",\n  "p03"\n ]' in (tmp_path / "out" / "groups.json").read_text()


def test_weights_that_saw_who_shall_be_held_out_are_refused_before_anything_is_written(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    (before / "groups.json").write_text('{"trained": ["p01", "p02"], "monitored": [], "held_out": ["p03"]}')
    (tmp_path / "groups").write_text("p01\np03\n")
    weights = before / "weights.safetensors"
    given = ["--set", "init.kind=weights", "--set", f"init.file={weights}", "--groups-out", str(tmp_path / "groups")]
    assert train(*given) == 2
    told = capsys.readouterr().err
    assert f"recipe: init.file: {weights} was trained on 1 of the 2 groups that shall be held out (p01)" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("known", "whose"), [(True, "not trained on:"), (False, "not trained on in this training:")])
def test_training_that_begins_from_weights_says_whom_it_knows_of(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], known: bool, whose: str
) -> None:
    assert train("--steps", "1", "--held-out", "1/4") == 0
    before = (tmp_path / "out").rename(tmp_path / "before")
    if not known:
        (before / "groups.json").unlink()
    capsys.readouterr()
    given = ["--set", "init.kind=weights", "--set", f"init.file={before / 'weights.safetensors'}"]
    assert train("--steps", "1", "--held-out", "1/4", *given) == 0
    told = capsys.readouterr()
    assert f"AUC of pseudo-fakes of people who were {whose}" in told.out
    assert ("nobody counts as held out" in told.err) is not known
    assert ("2 held out" in told.err) is known


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_with_a_checkpoint_that_is_gone_on_from(
    train: Train,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    made = 0

    def interrupted(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
        """The first two pairs are looked at, the next two fill the bank."""
        nonlocal made
        made += 1
        if made == 5:
            signal.raise_signal(number)
        return blue(tiles, donor, rng)

    monkeypatch.setitem(fakes.KINDS, "blue", interrupted)
    assert train("--set", "data.reuse=1") == code
    assert "stopped at step 2; to go on: streamguard train --data" in capsys.readouterr().err
    assert [path.name for path in checkpoints(tmp_path / "out")] == ["checkpoint-2.pt"]
    assert train("--resume", recipe="") == 0
    assert (tmp_path / "out" / "weights.safetensors").is_file()
    assert checkpoints(tmp_path / "out")[-1].name == "checkpoint-4.pt"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--held-out", "3/3"], "--held-out: must be I/K"),
        (["--held-out", "one"], "--held-out: must be I/K"),
        (["--groups-out", "none.txt"], "--groups-out: none.txt cannot be read"),
        (["--set", "net.colour=1"], "recipe: net.colour: there is no such key"),
        (["--minutes", "0"], "--minutes: must be more than 0"),
        (["--steps", "0"], "--steps: must be at least 1"),
        (["--steps", "9" * 400], "--steps: must be at most 1000000000"),
        (["--seed", "-1"], "recipe: seed: must be 0 to"),
        (["--seed", "9" * 23], "recipe: seed: must be 0 to"),
        (["--set", "seed=2020-01-01"], "recipe: seed: must be a whole number, not a date"),
        (["--set", "stages.*.kinds={blue=1e308, green=1e308}"], "recipe: stages.0.kinds.blue: must be 0 to"),
        (["--threads", "0"], "--threads: must be at least 1"),
        (["--workers", "-1"], "--workers: must be 0 to 256"),
        (["--resume"], "RECIPE: is that of the training in OUT already"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert train(*arguments) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_resume_needs_a_checkpoint_and_no_recipe(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--resume", recipe="") == 2
    assert "--resume: there is no checkpoint in" in capsys.readouterr().err
    assert train(recipe="") == 2
    assert "RECIPE: is needed" in capsys.readouterr().err


def test_folder_with_another_training_is_left_alone(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert train() == 2
    assert "is not empty: name another folder, or go on with --resume" in capsys.readouterr().err


def test_help_names_our_recipes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["train", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "altfreezing, gml, gml-causal, gml-s" in told
    assert "stages.*.pairs=4" in told


def test_freed_memory_can_be_kept() -> None:
    keep_freed_memory()
