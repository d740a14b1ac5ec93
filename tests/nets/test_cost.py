"""Counting: by hand on small networks, and by torch's own counter, which watches the operations and not the modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from streamguard.nets.cost import cost_of, macs
from streamguard.nets.motion import ChannelTaps
from streamguard.nets.registry import ENTRIES, Entry
from tests.nets.standin import Taps, register

STEM = 8 * 8 * 6 * 3 * 3 * 3  # of one crop of the stand-in: its positions, channels out, and filters
TAPS = 8 * 8 * 6
HEAD = 6 * 10 + 10 * 1


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Linear(5, 7), (2, 5), 2 * 5 * 7),
        (nn.Conv1d(4, 6, 3), (1, 4, 10), 6 * 8 * 4 * 3),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 8, 6), 2 * 8 * (4 * 3) * 27),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 5, 5), 8 * 25 * 9),
        (nn.Conv3d(2, 4, (3, 1, 1), padding=(1, 0, 0)), (1, 2, 6, 5, 5), 4 * 6 * 25 * 2 * 3),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), (1, 3, 8, 8), 0),
        (Taps(4), (1, 4, 5, 5), 100),
        (nn.Sequential(nn.Conv2d(3, 4, 1), Taps(4)), (1, 3, 5, 5), 25 * 4 * 3 + 100),
    ],
    ids=str,
)
def test_a_module_costs_what_a_pencil_says(module: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert macs(module.to("meta"), lambda: module(torch.empty(shape, device="meta"))) == expected


def test_a_module_that_is_called_twice_counts_twice_and_one_that_is_not_counts_nothing() -> None:
    net = nn.ModuleList([nn.Linear(5, 7), nn.Linear(5, 11)])
    x = torch.zeros(1, 5)
    assert macs(net, lambda: [net[0](x), net[0](x)]) == 2 * 35


def test_counting_leaves_no_hooks_behind_also_when_the_network_fails() -> None:
    net = nn.Linear(5, 7)
    with pytest.raises(RuntimeError):
        macs(net, lambda: net(torch.zeros(1, 6)))
    macs(net, lambda: net(torch.zeros(1, 5)))
    assert not net._forward_hooks


def test_a_causal_network_costs_its_steps_since_the_last_score(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cost_of(register(monkeypatch))
    assert found.parameters == 6 * 27 + 2 * 6 + 6 + (6 * 10 + 10) + (10 + 1)
    assert found.norm_parameters == 2 * 6
    assert found.clip_crops == 2 + 4
    assert found.clip_macs == 6 * (STEM + TAPS + HEAD)
    assert found.crop_macs == found.step_macs == STEM + TAPS + HEAD
    assert found.score_macs == 3 * found.step_macs
    assert (found.causal, found.look_ahead, found.look_ahead_s) == (True, 0, 0)


def test_another_network_costs_its_whole_clip_and_looks_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cost_of(register(monkeypatch), {"causal": "no", "head": "narrow"})
    assert found.step_macs is None
    assert found.score_macs == found.clip_macs == 6 * (STEM + TAPS + 6 * 2 + 2)
    assert (found.causal, found.look_ahead, found.look_ahead_s) == (False, 3, 0.3)


def test_counting_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand million parameters, and pictures of a terabyte."""
    found = cost_of(register(monkeypatch), {"width": "6e6", "size_px": "1000"})
    assert found.parameters > 1_000_000_000
    assert found.clip_macs > 1e15


def test_torch_counts_the_same_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = register(monkeypatch)
    monkeypatch.setattr(Taps, "macs_of", lambda self, output: 0)
    assert macs_by_operation(entry) == cost_of(entry).clip_macs == 6 * (STEM + HEAD)


@pytest.mark.parametrize("name", ["gml", "gml-s", "altfreezing"])
def test_torch_counts_the_same_of_every_kind_of_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelTaps, "macs_of", lambda self, output: 0)
    assert macs_by_operation(ENTRIES[name]) == cost_of(ENTRIES[name]).clip_macs


def test_altfreezing_costs_what_is_known_of_it() -> None:
    found = cost_of(ENTRIES["altfreezing"])
    assert found.parameters - found.norm_parameters == pytest.approx(27.17e6, abs=0.005e6)
    assert found.clip_macs == pytest.approx(113.6e9, abs=0.05e9)


def macs_by_operation(entry: Entry) -> int:
    """By torch: it sees each convolution and matrix product that runs, whoever asked for it, and nothing else."""
    net: Any = entry.build().to("meta")
    clip = torch.empty(1, net.memory + net.length, net.size_px, net.size_px, 3, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        net(clip)
    return int(counted.get_total_flops()) // 2
