"""Training as a whole, on made-up people whose fakes are blue: it learns, goes on exactly, and stops when it must."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from streamguard.data.index import Index
from streamguard.errors import CheckpointError, ConfigError, DataError, TrainingError
from streamguard.nets.registry import ENTRIES
from streamguard.training import fakes
from streamguard.training.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from streamguard.training.ranks import Ranks, open_ranks
from streamguard.training.recipe import Recipe, recipe_from_text
from streamguard.training.train import Outcome, Training, begun, groups_for
from streamguard.weights.load import load_weights, save_weights

from .prepared import Person, blue, people, prepared

SMALL = """
[net]
name = "gml-s"
span = 1.6
[net.options]
size_px = 32
length = 3
width = 0.25
temporal = [4]
[data]
workers = 0
bank = 16
reuse = 4
tile_px = 64
degraded = 0.2
augment = 0.5
monitor_groups = 0.25
monitor_pairs = 8
[loss]
anomaly = 0.1
ranking = 0.5
difference = 0.5
[optimizer]
ema = 0.8
[run]
log_every = 1
evaluate_every = 10
[[stages]]
steps = 12
lr = 1e-2
pairs = 8
length = 1
kinds = { blue = 1 }
[[stages]]
steps = 8
lr = 4e-3
pairs = 3
length = 4
kinds = { blue = 1 }
"""
SHORT = ("stages.0.steps=4", "stages.1.steps=3", "data.bank=8", "data.monitor_pairs=2", "run.evaluate_every=3")
ALONE = Ranks(rank=0, count=1, device=torch.device("cpu"))


def recipe(*changes: str) -> Recipe:
    return recipe_from_text(SMALL, changes)


@pytest.fixture(autouse=True)
def blue_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fakes.KINDS, "blue", blue)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return prepared(tmp_path_factory.mktemp("data"), [*people(10), Person("pairs", videos=0, twins=1)], frames=12)


def training(index: Index, out: Path, *changes: str, **more: Any) -> Training:
    out.mkdir(exist_ok=True)
    made = recipe(*changes)
    return Training(made, index, out, groups_for(index, made, ["p00"]), ALONE, **more)


def run(index: Index, out: Path, *changes: str, **more: Any) -> Outcome:
    return training(index, out, *changes, **more).run()


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def after(count: int) -> Callable[[], bool]:
    """A wish to stop that comes with the step of this number."""
    asked = iter(range(1, 1_000_000))
    return lambda: next(asked) >= count


def test_small_network_learns_blue_faces_of_people_it_has_not_seen(index: Index, tmp_path: Path) -> None:
    outcome = run(index, tmp_path, "stages.0.steps=30", "stages.1.steps=15")
    lines = log(tmp_path)
    assert outcome.finished
    assert lines[-1]["first"] < 0.6 * lines[0]["first"]
    assert outcome.monitored["auc"] > 0.85
    assert outcome.monitored == {name: lines[-1][name] for name in ("auc", "ranked")}


def test_folder_holds_all_that_came_of_it(index: Index, tmp_path: Path) -> None:
    run(index, tmp_path, "stages.0.steps=3", "stages.1.steps=2")
    names = {path.name for path in tmp_path.iterdir()} - {"tensorboard"}
    stages = {"stage-1.safetensors", "stage-2.safetensors"}
    assert names == {
        "checkpoint-5.pt", "groups.json", "log.jsonl", "loss.png", "recipe.toml", "weights.safetensors", *stages
    }  # fmt: skip
    assert recipe_from_text((tmp_path / "recipe.toml").read_text()) == recipe("stages.0.steps=3", "stages.1.steps=2")
    groups = json.loads((tmp_path / "groups.json").read_text())
    assert groups["held_out"] == ["p00"]
    assert groups["seen_before"] == []
    assert sorted(group for names in groups.values() for group in names) == sorted(index.groups)
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3, 4, 5]
    assert [line["stage"] for line in log(tmp_path)] == [0, 0, 0, 1, 1]
    with Image.open(tmp_path / "loss.png") as image:
        assert image.width > 500


def test_weights_fit_the_network_and_are_the_running_mean(index: Index, tmp_path: Path) -> None:
    made = training(index, tmp_path, "stages.0.steps=3", "stages.1.steps=2")
    made.run()
    net = ENTRIES["gml-s"].build(recipe().net.options)
    load_weights(net, tmp_path / "weights.safetensors")
    assert made.mean is not None
    kept = net.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in made.mean.state.items())
    own = made.net.state_dict()
    assert any(not torch.equal(kept[name], own[name]) for name in kept), "the network's own weights are others"
    last = ENTRIES["gml-s"].build(recipe().net.options)
    load_weights(last, tmp_path / "stage-2.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in last.state_dict().items())


def test_two_runs_are_equal_and_another_seed_is_not(index: Index, tmp_path: Path) -> None:
    changes = ["stages.0.steps=4", "stages.1.steps=2"]
    losses = []
    for number, seed in enumerate((0, 0, 1)):
        run(index, tmp_path / str(number), f"seed={seed}", *changes)
        losses.append([line["loss"] for line in log(tmp_path / str(number))])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.fixture(scope="module")
def whole(index: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fakes.KINDS, "blue", blue)
        out = tmp_path_factory.mktemp("whole")
        run(index, out, *SHORT)
        return out


@pytest.mark.parametrize("stop", [4, 6])
def test_resumed_training_equals_one_that_was_never_stopped(
    index: Index, whole: Path, tmp_path: Path, stop: int
) -> None:
    """Also at a stage's last step (4), and in the second stage."""
    parts = tmp_path / "parts"
    first = training(index, parts, *SHORT).run(after(stop))
    assert (first.finished, first.step) == (False, stop)
    assert not (parts / "weights.safetensors").exists()
    second = run(index, parts, *SHORT, resume=True)
    assert (second.finished, second.step) == (True, 7)
    untimed = [
        [{name: value for name, value in line.items() if name not in ("seconds", "crops_s", "made", "seen", "bank")}
         for line in log(out)]
        for out in (whole, parts)
    ]  # fmt: skip
    assert untimed[0] == untimed[1]
    for name in ("weights.safetensors", "stage-1.safetensors"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_lines_after_the_checkpoint_are_dropped_when_resumed(index: Index, tmp_path: Path) -> None:
    training(index, tmp_path, *SHORT).run(after(3))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "stage": 0, "loss": 99.0}\n{"step": 5, "sta')
    run(index, tmp_path, *SHORT, resume=True)
    assert [line["step"] for line in log(tmp_path)] == list(range(1, 8))
    assert all(line["loss"] < 99 for line in log(tmp_path))


def test_recipe_and_groups_come_from_the_checkpoint(index: Index, tmp_path: Path) -> None:
    made = training(index, tmp_path, "stages.0.lr=0.005")
    made.run(after(2))
    assert begun(tmp_path) == (made.recipe, made.groups)


def test_checkpoint_of_another_network_is_refused(index: Index, tmp_path: Path) -> None:
    training(index, tmp_path).run(after(2))
    with pytest.raises(CheckpointError, match=r"checkpoint-2.pt: does not fit this training"):
        training(index, tmp_path, "net.options.width=0.3", resume=True)
    made = recipe()
    with pytest.raises(CheckpointError, match="other groups"):
        Training(made, index, tmp_path, groups_for(index, made, ["p01"]), ALONE, resume=True)


def test_resume_without_a_checkpoint_is_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--resume: there is no checkpoint in"):
        training(index, tmp_path, resume=True)


def test_checkpoints_come_by_the_clock(index: Index, tmp_path: Path) -> None:
    """A clock that is a minute later whenever it is asked."""
    minutes = iter(range(1_000_000))
    made = training(index, tmp_path, *SHORT, "run.checkpoint_every_s=240", clock=lambda: 60.0 * next(minutes))
    steps: list[int] = []

    def stopped() -> bool:
        steps.extend(int(path.stem.partition("-")[2]) for path in checkpoints(tmp_path))
        return False

    made.run(stopped)
    assert len(set(steps)) >= 3


def test_stages_share_the_minutes_by_what_they_compute(index: Index, tmp_path: Path) -> None:
    """Each question to the clock takes 0.1 s: steps alone would never be over."""
    tenths = iter(range(1_000_000))
    changes = ["stages.0.steps=1000000", "stages.1.steps=500000", "data.monitor_groups=0"]
    made = training(index, tmp_path, *changes, minutes=0.2, clock=lambda: 0.1 * next(tenths))
    outcome = made.run()
    stages = [line["stage"] for line in log(tmp_path)]
    assert outcome.finished
    assert stages.count(0) > 3
    assert stages.count(1) > 3
    assert outcome.seconds == pytest.approx(12, rel=0.25)
    crops = {0: 2 * 8 * 1 * 1_000_000, 1: 2 * 3 * 4 * 500_000}
    assert stages.count(0) / stages.count(1) == pytest.approx(crops[0] / crops[1], rel=0.3)
    assert log(tmp_path)[stages.count(0) - 1]["lr"] < 0.1 * recipe().stages[0].lr, "and each cools down in its time"


@pytest.mark.parametrize(("given", "seconds"), [({}, 12), ({"minutes": 0.4}, 24)])
def test_resumed_training_keeps_to_its_minutes_unless_it_is_given_others(
    index: Index, tmp_path: Path, given: dict[str, float], seconds: float
) -> None:
    tenths = iter(range(1_000_000))
    changes = ["stages.0.steps=100", "stages.1.steps=50", "data.monitor_groups=0"]
    clock = lambda: 0.1 * next(tenths)  # noqa: E731
    training(index, tmp_path, *changes, minutes=0.2, clock=clock).run(after(3))
    outcome = training(index, tmp_path, *changes, resume=True, clock=clock, **given).run()
    assert outcome.finished
    assert outcome.seconds == pytest.approx(seconds, rel=0.25)


def test_checkpoint_of_before_minutes_were_kept_is_gone_on_from(index: Index, tmp_path: Path) -> None:
    made = training(index, tmp_path, *SHORT)
    made.run(after(2))
    state = load_checkpoint(tmp_path / "checkpoint-2.pt")
    del state["minutes"]
    groups = json.loads(state["groups"])
    del groups["seen_before"]
    save_checkpoint(tmp_path, 2, {**state, "groups": json.dumps(groups)})
    assert begun(tmp_path) == (made.recipe, made.groups)
    assert run(index, tmp_path, *SHORT, resume=True).step == 7


def test_loss_that_is_no_number_stops_and_names_the_step(index: Index, tmp_path: Path) -> None:
    made = training(index, tmp_path)
    with torch.no_grad():
        next(made.net.parameters()).fill_(math.nan)
    with pytest.raises(TrainingError, match=r"step 1: the loss is nan. Try a lower learning rate"):
        made.run()


def test_held_out_groups_are_named_and_known(index: Index) -> None:
    groups = groups_for(index, recipe(), ["p00", "p05"])
    assert groups.held_out == ("p00", "p05")
    assert "pairs" in groups.trained, "genuine fakes are too few to be only looked at"
    assert len(groups.monitored) == 2
    with pytest.raises(DataError, match="has no group 'nobody'"):
        groups_for(index, recipe(), ["nobody"])
    with pytest.raises(DataError, match="all groups are held out"):
        groups_for(index, recipe(), index.groups)


def from_weights(folder: Path) -> Recipe:
    return recipe("init.kind=weights", f"init.file={folder / 'weights.safetensors'}")


def write_groups(folder: Path, **groups: Any) -> Path:
    folder.mkdir()
    (folder / "groups.json").write_text(json.dumps({"trained": [], "monitored": [], "held_out": [], **groups}))
    return folder


def test_whom_the_weights_to_begin_from_saw_cannot_be_held_out(index: Index, tmp_path: Path) -> None:
    first = write_groups(tmp_path / "first", trained=["p01", "p02", "elsewhere"], monitored=["p03"], held_out=["p00"])
    with pytest.raises(ConfigError, match=r"init.file: .*trained on 2 of the 3 groups .*held out \(p01, p02\)"):
        groups_for(index, from_weights(first), ["p00", "p01", "p02"])
    second = groups_for(index, from_weights(first), ["p00", "p03"])
    assert second.held_out == ("p00", "p03")
    assert second.seen_before == ("elsewhere", "p01", "p02")
    # And so on: what was seen two trainings ago is not forgotten.
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "groups.json").write_text(replace(second, trained=("p04",), monitored=("p02",)).as_text())
    with pytest.raises(ConfigError, match=r"trained on 1 of the 2 groups .*held out \(p02\)"):
        groups_for(index, from_weights(tmp_path / "second"), ["p00", "p02"])


@pytest.mark.parametrize("there", [False, True])
def test_nobody_counts_as_held_out_from_weights_of_which_nobody_knows_whom_they_saw(
    index: Index, tmp_path: Path, caplog: pytest.LogCaptureFixture, there: bool
) -> None:
    """Also if it is told of one training, but not of the one before."""
    before = tmp_path / "before"
    if there:
        write_groups(before, trained=["p01"], seen_before=None)
    else:
        before.mkdir()
    save_weights(ENTRIES["gml-s"].build(recipe().net.options), before / "weights.safetensors")
    made = from_weights(before)
    groups = groups_for(index, made, ["p00"])
    assert (groups.held_out, groups.seen_before) == ((), None)
    assert "p00" not in groups.trained + groups.monitored
    (tmp_path / "out").mkdir()
    Training(made, index, tmp_path / "out", groups, ALONE).run(after(1))
    assert f"nobody knows whom {before / 'weights.safetensors'} was trained on" in caplog.text
    assert begun(tmp_path / "out") == (made, groups)
    if there:
        with pytest.raises(ConfigError, match="trained on 1 of the 1 groups"):
            groups_for(index, made, ["p01"])


def test_damaged_groups_beside_the_weights_are_refused(index: Index, tmp_path: Path) -> None:
    before = write_groups(tmp_path / "before", trained="p01")
    with pytest.raises(
        ConfigError, match=r'init.file: .*groups.json does not say .*trained: must be a list, not "p01"'
    ):
        groups_for(index, from_weights(before), ["p00"])


def test_genuine_twins_can_be_a_stage(index: Index, tmp_path: Path) -> None:
    outcome = run(index, tmp_path, "stages.1.pseudo=0.5", "stages.1.twins=0.5", "stages.0.steps=1", "stages.1.steps=3")
    assert outcome.finished


@pytest.mark.parametrize(
    ("change", "precision"),
    [("net.options.motion=none", "fp32"), ("net.options.anomaly=false", "bf16"), ("optimizer.kind=sgd", "bf16")],
)
def test_variants_of_the_development_table_train(index: Index, tmp_path: Path, change: str, precision: str) -> None:
    """All of their kernels are moved, but those behind a scale that begins at 0 and moves first."""
    changes = [change, f"run.precision={precision}", "stages.0.steps=1", "stages.1.steps=2", "stages.*.lr=1e-2"]
    made = training(index, tmp_path, *changes)
    before = {name: tensor.clone() for name, tensor in made.net.named_parameters() if tensor.ndim > 1}
    made.run()
    after = dict(made.net.named_parameters())
    unmoved = [name for name, tensor in before.items() if torch.equal(tensor, after[name])]
    assert not [name for name in unmoved if ".motion." not in name and ".change." not in name]


def test_held_layers_do_not_move_and_still_norms_keep_their_statistics(index: Index, tmp_path: Path) -> None:
    """Also after a look at the monitored people."""
    steps = ["run.evaluate_every=1", "stages.0.steps=2", "stages.1.steps=1"]

    def moved(out: Path, *changes: str) -> set[str]:
        made = training(index, out, *steps, *changes)
        before = {name: tensor.clone() for name, tensor in made.net.state_dict().items()}
        made.run()
        return {name for name, tensor in made.net.state_dict().items() if not torch.equal(tensor, before[name])}

    held = moved(tmp_path / "held", 'init.held=["stem","blocks.0."]')
    assert not [name for name in held if name.startswith(("stem", "blocks.0."))]
    assert "blocks.5.project_bn.running_mean" in held
    still = moved(tmp_path / "still", "init.freeze_norms=true")
    assert {"stem.weight", "blocks.5.project.weight"} <= still
    assert not {"stem_bn.running_mean", "blocks.5.project_bn.running_var"} & still
    assert "anomaly.blocks.0.change.1.running_mean" in still, "norms that no image network had learn theirs"


def test_altfreezing_trains_by_alternation(index: Index, tmp_path: Path) -> None:
    changes = [
        "net.name=altfreezing", 'net.options={size_px=32, length=4, width=0.1}', "loss.difference=0",
        "optimizer.kind=alternating", "optimizer.spatial_frozen=2", "stages.*.length=4", "stages.0.steps=2",
        "stages.1.steps=2", "stages.*.lr=0.01",
    ]  # fmt: skip
    made = training(index, tmp_path, *changes)
    before = {name: tensor.clone() for name, tensor in made.net.named_parameters()}
    made.run(after(2))
    own = dict(made.net.named_parameters())
    spatial = [name for name, each in own.items() if name.endswith("b.weight") and each.ndim == 5]
    assert spatial
    assert all(torch.equal(own[name], before[name]) for name in spatial), "held still for two steps"
    assert run(index, tmp_path, *changes, resume=True).finished


def test_alternation_needs_a_network_that_alternates(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optimizer.kind: .*no spatial kernels"):
        training(index, tmp_path, "optimizer.kind=alternating")


def test_two_processes_share_a_training_and_keep_equal_weights(index: Index, tmp_path: Path) -> None:
    """By torchrun's environment, over gloo. Each has batches of its own."""
    (tmp_path / "recipe.toml").write_text(SMALL)
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    store = tmp_path / "store"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.two_ranks", str(index.folder), str(tmp_path), str(store)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors
    told = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    assert told[0]["weights"] == told[1]["weights"]
    assert told[0]["seen"] != told[1]["seen"]
    assert (tmp_path / "out" / "weights.safetensors").is_file()
    state = load_checkpoint(checkpoints(tmp_path / "out")[-1])
    assert len(state["random"]) == 2


def test_one_process_is_alone() -> None:
    with open_ranks("cpu") as ranks:
        assert (ranks.first, ranks.count, ranks.any(True), ranks.gathered(3)) == (True, 1, True, [3])
