"""Each network can be trained at all: sixteen clips that differ in how they move, learned by heart on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from streamguard.nets.altfreezing import AltFreezing, AltFreezingOptions
from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.motion_net import MotionNet
from streamguard.nets.past import Past
from streamguard.training.alternate import AlternatingSchedule, AlternatingSgd
from streamguard.training.losses import logit_loss, motion_loss

CLIPS, SIZE_PX = 16, 32


def clips(length: int) -> tuple[Tensor, Tensor]:
    """(N, L, H, W, 3) uint8 and labels (N,). Real: the picture drifts. Fake: its middle flickers as well."""
    random = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(CLIPS, 3, 5, 5, generator=random)
    pictures = nn.functional.interpolate(coarse, size=(SIZE_PX, SIZE_PX), mode="bilinear")  # (N, 3, H, W)
    crops = torch.stack([torch.roll(pictures, (t, t), dims=(2, 3)) for t in range(length)], dim=1)
    labels = torch.arange(CLIPS) % 2
    middle = slice(SIZE_PX // 4, 3 * SIZE_PX // 4)
    flicker = 60 * (torch.rand(CLIPS, length, 1, 1, 1, generator=random) - 0.5)
    crops[:, :, :, middle, middle] += flicker * labels[:, None, None, None, None]
    return crops.clamp(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous(), labels


def causal_gml() -> Gml:
    return Gml(GmlOptions(form="causal", temporal=(6, 12, 18), width=0.08, size_px=SIZE_PX, length=3))


NETWORKS: dict[str, Callable[[], MotionNet]] = {
    "gml": lambda: Gml(GmlOptions(width=0.08, size_px=SIZE_PX, length=4)),
    "gml-causal": causal_gml,
    "gml-s": lambda: GmlS(GmlSOptions(temporal=(4, 6, 9), width=0.3, size_px=SIZE_PX, length=3)),
}


def learned(step: Callable[[], float], most: int) -> bool:
    """Whether the loss that each step gives falls to a tenth of the first within so many."""
    first = step()
    return any(step() < first / 10 for _ in range(1, most))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_see_motion_learn_sixteen_clips(name: str) -> None:
    torch.manual_seed(0)
    net = NETWORKS[name]().train()
    crops, labels = clips(5)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    before = real_map(net, crops, labels)

    def step() -> float:
        loss = motion_loss(net.answers(crops, Past.of_clips(crops)), labels)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        return loss.total.item()

    assert learned(step, 60)
    assert real_map(net, crops, labels) < before / 5


@torch.no_grad()
def real_map(net: MotionNet, crops: Tensor, labels: Tensor) -> float:
    """How bright the anomaly map of the real clips is."""
    anomaly = net.answers(crops, Past.of_clips(crops)).anomaly
    assert anomaly is not None
    return anomaly[labels == 0].abs().mean().item()


def test_altfreezing_learns_sixteen_clips_with_kernels_frozen_in_turn() -> None:
    torch.manual_seed(0)
    net = AltFreezing(AltFreezingOptions(width=0.125, size_px=SIZE_PX, length=6)).train()
    crops, labels = clips(6)
    optimizer = AlternatingSgd(net, AlternatingSchedule(spatial_frozen=4, temporal_frozen=1), lr=0.1)
    groups = {"spatial": optimizer.groups.spatial, "temporal": optimizer.groups.temporal}

    def step() -> float:
        frozen = optimizer.frozen_group
        held = {name: each.detach().clone() for name, each in groups[frozen].items()}
        with optimizer.frozen():
            loss = logit_loss(net(crops), labels)
            loss.backward()
        optimizer.step()
        assert all(torch.equal(held[name], each) for name, each in groups[frozen].items())
        return loss.item()

    assert learned(step, 100)
    assert optimizer.iteration > 5, "both kinds of kernels had their turn"
