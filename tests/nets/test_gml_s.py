"""GML-S: small, causal, and no more memory than it may have."""

from __future__ import annotations

import pytest
import torch

from streamguard.nets.cost import cost_of
from streamguard.nets.gml_s import BLOCKS, STRIDED, GmlS, GmlSOptions
from streamguard.nets.motion import ChannelTaps, MotionConsistencyBlock
from streamguard.nets.past import Past
from streamguard.nets.registry import ENTRIES

from .shaken import moving

ALLOWED = tuple(sorted(set(range(BLOCKS)) - STRIDED))


@pytest.mark.parametrize("temporal", [GmlSOptions().temporal, ALLOWED[:8], ALLOWED[-8:]])
def test_it_costs_no_more_than_it_may_wherever_it_sees_motion(temporal: tuple[int, ...]) -> None:
    cost = cost_of(ENTRIES["gml-s"], {"temporal": ",".join(map(str, temporal))})
    assert cost.parameters <= 5_000_000
    assert cost.step_macs is not None
    assert cost.step_macs <= 350_000_000
    assert cost.memory <= 16


def test_blocks_that_stride_see_no_motion() -> None:
    net = GmlS(GmlSOptions(width=0.1))
    layers = [each for each in net.modules() if isinstance(each, MotionConsistencyBlock)]
    assert {i for i, layer in enumerate(layers) if layer.space.stride != (1, 1)} == STRIDED
    for block in STRIDED:
        with pytest.raises(ValueError, match=f"temporal: block {block} strides"):
            GmlS(GmlSOptions(temporal=(2, block)))


def test_options_beyond_its_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 8 blocks, not 9"):
        GmlS(GmlSOptions(temporal=ALLOWED[:9]))
    with pytest.raises(ValueError, match="size_px: must be a multiple of 32, not 150"):
        GmlS(GmlSOptions(size_px=150))
    with pytest.raises(ValueError, match="16 is no layer; there are 0 to 15"):
        GmlS(GmlSOptions(temporal=(16,)))


@pytest.mark.parametrize("block", ALLOWED)
def test_each_block_that_may_see_motion_can(block: int) -> None:
    net = GmlS(GmlSOptions(width=0.1, size_px=64, temporal=(block,))).eval()
    assert [name for name, each in net.named_modules() if isinstance(each, ChannelTaps)] == [
        f"blocks.{block}.depthwise.time"
    ]
    assert net.memory == 2
    assert net(moving(3)).shape == (1, 1)


def test_at_full_size_it_remembers_a_second_and_looks_at_fields_of_ten_and_five_cells() -> None:
    net = GmlS().eval()
    assert (net.causal, net.look_ahead, net.length, net.memory) == (True, 0, 8, 12)
    last: list[torch.Size] = []
    net.head.register_forward_hook(lambda _, inputs, features: last.append(features.shape[2:]))
    maps = net.maps(torch.zeros(1, 1, 160, 160, 3, dtype=torch.uint8))
    assert maps.anomaly is not None
    assert (maps.anomaly.shape[2:], last) == ((10, 10), [(5, 5)])


@torch.no_grad()
def test_dropout_is_one_draw_for_a_clip_and_only_in_training() -> None:
    """Drawn for each crop, the mean over time would undo most of it."""
    torch.manual_seed(0)
    net = GmlS(GmlSOptions(width=0.1, size_px=64, motion="none", anomaly=False))
    still = moving(1, faces=4).expand(4, 6, 64, 64, 3)
    for training in (True, False):
        net.train(training)
        scores = net.look(still.flatten(0, 1), Past.of_clips(still)).scores.unflatten(0, (4, 6))
        torch.testing.assert_close(scores, scores[:, :1].expand_as(scores), rtol=1e-4, atol=1e-4)
        again = net.look(still.flatten(0, 1), Past.of_clips(still)).scores.unflatten(0, (4, 6))
        assert ((again - scores).abs().max() > 1e-3) == training
