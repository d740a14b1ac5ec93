"""How weights are moved: what decays, what a learning rate does over a stage, and the mean that is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.motion import Motion
from streamguard.training.objective import Objective, image_names
from streamguard.training.optimize import RunningMean, learning_rate, parameter_groups
from streamguard.training.recipe import LossPart, OptimizerPart, Stage


def stage(**more: float) -> Stage:
    return Stage(steps=100, lr=1.0, warmup=10, final=0.1, kinds={"swap": 1.0}, **more)  # type: ignore[arg-type]


def test_learning_rate_rises_then_falls_to_its_end() -> None:
    rates = [learning_rate(stage(), step, step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11, rel=0.01)
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)
    assert max(rates) > 0.95
    assert rates[-1] == pytest.approx(0.1)


def test_warm_up_is_a_fifth_of_a_stage_at_most() -> None:
    short = Stage(steps=20, lr=1.0, warmup=1000, kinds={"swap": 1.0})
    assert learning_rate(short, 4, 0.0) == 1.0


def test_matrices_decay_and_layers_of_the_image_network_have_a_factor() -> None:
    objective = Objective(GmlS(GmlSOptions(width=0.1, size_px=32)), LossPart(difference=1.0))
    groups = parameter_groups(objective, OptimizerPart(weight_decay=0.3), 0.25)
    found = {id(each): group for group in groups for each in group["params"]}
    named = dict(objective.named_parameters())
    told = {
        name: (found[id(named[name])]["weight_decay"], found[id(named[name])]["factor"])
        for name in ("net.stem.weight", "net.stem_bn.weight", "net.classifier.weight", "net.classifier.bias")
    }
    assert told == {
        "net.stem.weight": (0.3, 0.25),
        "net.stem_bn.weight": (0.0, 0.25),
        "net.classifier.weight": (0.3, 1.0),
        "net.classifier.bias": (0.0, 1.0),
    }
    assert len(found) == len(named)
    motion = [name for name in named if ".motion." in name or ".time." in name]
    assert motion
    assert all(found[id(named[name])]["factor"] == 1.0 for name in [*motion, "difference.weight"])


@pytest.mark.parametrize("motion", ["mcb", "stm", "none"])
def test_image_names_are_those_of_the_plain_network_without_its_classifier(motion: Motion) -> None:
    small = GmlSOptions(width=0.1, size_px=32, motion=motion)
    plain = GmlS(replace(small, motion="none", anomaly=False)).state_dict()
    assert image_names(GmlS(small)) == {name for name in plain if not name.startswith("classifier.")}


def test_running_mean_forgets_the_start_and_is_put_back() -> None:
    net = nn.Linear(1, 1)
    with torch.no_grad():
        net.weight.fill_(100.0)
        mean = RunningMean(net, 0.9)
        for _ in range(200):
            net.weight.fill_(1.0)
            mean.update()
        net.weight.fill_(5.0)
    with mean.applied():
        assert net.weight.item() == pytest.approx(1.0, abs=1e-3)
    assert net.weight.item() == 5.0
