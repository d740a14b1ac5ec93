"""Motion Consistency Blocks: the paper's two equations, what begins at zero, and that looking back is all they do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.motion import (
    ChannelTaps,
    ChannelwiseMotion,
    Form,
    Motion,
    MotionConsistency,
    MotionConsistencyBlock,
    chosen_layers,
    mean_energy,
    reduced_channels,
)
from streamguard.nets.past import Past

from .shaken import shaken

CHANNELS, SIDE, LENGTH = 32, 5, 6


def features(faces: int = 2, length: int = LENGTH, seed: int = 0) -> Tensor:
    """(N, L, C, h, w)"""
    return torch.randn(faces, length, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def orders(consistency: MotionConsistency, x: Tensor) -> tuple[Tensor, Tensor]:
    """M and MM of clips (N, L, C, h, w): (N, L, C / 16, h, w) each."""
    first, second = consistency.orders(x.flatten(0, 1), Past.of_clips(x))
    return first.unflatten(0, x.shape[:2]), second.unflatten(0, x.shape[:2])


def convolved(kernel: Tensor, x: Tensor) -> Tensor:
    """The literal sum: each channel of x (C, h, w) with its own 3 x 3 of the kernel (C, 1, 3, 3), zeros around it."""
    out = torch.zeros_like(x)
    channels, height, width = x.shape
    for c in range(channels):
        for row in range(height):
            for column in range(width):
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        if 0 <= row + down < height and 0 <= column + right < width:
                            weight = kernel[c, 0, down + 1, right + 1]
                            out[c, row, column] += weight * x[c, row + down, column + right]
    return out


def identity(kernel: nn.Conv2d) -> None:
    with torch.no_grad():
        kernel.weight.zero_()
        kernel.weight[:, :, 1, 1] = 1


def test_both_orders_are_the_papers_equations() -> None:
    """In their values, and in what they teach: D and K learn from every place where they stand."""
    consistency = shaken(MotionConsistency(CHANNELS))
    x = features()
    first, second = orders(consistency, x)
    kernel = consistency.foretell.weight
    wanted = []
    for n in range(len(x)):
        reduced = consistency.reduce(x[n])  # D (L, C / 16, h, w)
        one = [torch.zeros_like(reduced[0])] + [
            reduced[t] - convolved(kernel, reduced[t - 1]) for t in range(1, LENGTH)
        ]  # (1)
        two = [torch.zeros_like(reduced[0])] * 2 + [
            one[t] - convolved(kernel, one[t - 1]) for t in range(2, LENGTH)
        ]  # (2)
        torch.testing.assert_close(first[n], torch.stack(one), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(second[n], torch.stack(two), rtol=1e-5, atol=1e-5)
        wanted.append(torch.stack(one).square().sum() + torch.stack(two).square().sum())
    assert first[:, 1:].abs().amax(dim=(2, 3, 4)).min() > 0.1
    assert second[:, 2:].abs().amax(dim=(2, 3, 4)).min() > 0.1
    learned = [consistency.reduce.weight, kernel]
    by_hand = torch.autograd.grad(torch.stack(wanted).sum(), learned)
    found = torch.autograd.grad(first.square().sum() + second.square().sum(), learned)
    torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_a_still_clip_has_no_motion() -> None:
    consistency = MotionConsistency(CHANNELS)
    identity(consistency.foretell)
    first, second = orders(consistency, features(length=1).expand(2, LENGTH, CHANNELS, SIDE, SIDE))
    torch.testing.assert_close(first, torch.zeros_like(first), rtol=0, atol=1e-6)
    torch.testing.assert_close(second, torch.zeros_like(second), rtol=0, atol=1e-6)


@torch.no_grad()
def test_steady_change_is_of_the_first_order_only() -> None:
    consistency = MotionConsistency(CHANNELS)
    identity(consistency.foretell)
    step = torch.arange(LENGTH)[None, :, None, None, None]
    first, second = orders(consistency, features(length=1) + features(length=1, seed=1) * step)
    assert first[:, 1:].abs().amax(dim=(2, 3, 4)).min() > 0.1
    torch.testing.assert_close(second, torch.zeros_like(second), rtol=0, atol=1e-5)


@torch.no_grad()
def test_nothing_moved_before_there_was_a_past() -> None:
    first, second = orders(MotionConsistency(CHANNELS), features())
    assert not first[:, 0].any()
    assert not second[:, :2].any()
    assert first[:, 1].any()
    assert second[:, 2].any()


@torch.no_grad()
def test_what_a_young_slot_holds_is_not_looked_at() -> None:
    """Whatever is in a slot at age 0: what the first crops differ from must not be the leftovers of another face."""
    consistency = MotionConsistency(CHANNELS)
    x = features(faces=1, length=1)[:, 0]
    states = [torch.full((1, 2, SIDE, SIDE), 7.0) for _ in range(2)]
    first, second = consistency.orders(x, Past(torch.tensor([[0]]), states))
    assert not first.any()
    assert not second.any()
    _, second = consistency.orders(x, Past(torch.tensor([[1]]), states))
    assert not second.any()


@torch.no_grad()
def test_ablations_motion_subtracts_the_crop_before_from_the_transformed_one() -> None:
    cmm = ChannelwiseMotion(CHANNELS)
    shaken(cmm)
    x = features(faces=1)
    moved = cmm(x.flatten(0, 1), Past.of_clips(x))
    reduced = cmm.reduce(x[0])
    wanted = torch.zeros_like(reduced)
    for t in range(1, LENGTH):
        wanted[t] = convolved(cmm.transform.weight, reduced[t]) - reduced[t - 1]
    torch.testing.assert_close(moved, cmm.expand(wanted), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["centred", "causal"])
@pytest.mark.parametrize("motion", ["none", "cstm", "stm", "mcb"])
@torch.no_grad()
def test_a_block_begins_as_the_convolution_that_it_replaces(form: Form, motion: Motion) -> None:
    space = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False)
    block = MotionConsistencyBlock(space, motion, form).eval()
    x = features()
    found = block(x.flatten(0, 1), Past.of_clips(x))
    torch.testing.assert_close(found, space(x.flatten(0, 1)), rtol=0, atol=0)


@pytest.mark.parametrize("motion", ["stm", "mcb"])
def test_motion_paths_learn_from_the_first_step_on(motion: Motion) -> None:
    """Beginning at zero must not mean staying there."""
    space = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False)
    block = MotionConsistencyBlock(space, motion, "causal")
    x = features()
    (block(x.flatten(0, 1), Past.of_clips(x)) * features(seed=1).flatten(0, 1)).sum().backward()
    scales = [module.weight for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(scales) == (2 if motion == "mcb" else 1)
    for scale in scales:
        assert scale.grad is not None
        assert scale.grad.abs().max() > 0


@torch.no_grad()
def test_a_block_adds_its_three_parts() -> None:
    space = nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2, groups=CHANNELS, bias=False)
    block = shaken(MotionConsistencyBlock(space, "mcb", "causal"))
    assert block.time is not None
    assert isinstance(block.motion, MotionConsistency)
    x = features()
    flat = x.flatten(0, 1)
    still = block.space(block.time(flat, Past.of_clips(x)))
    first, second = block.motion.orders(flat, Past.of_clips(x))
    wanted = still + block.motion.expand_first(first) + block.motion.expand_second(second)
    energies: list[Tensor] = []
    torch.testing.assert_close(block(flat, Past.of_clips(x), energies), wanted)
    nothing = torch.zeros_like(first)
    rest = block.motion.expand_first(nothing) + block.motion.expand_second(nothing)
    added = (wanted - still - rest).abs().mean(dim=1)
    torch.testing.assert_close(
        energies[0], added / still.abs().mean(dim=(1, 2, 3))[:, None, None], rtol=1e-4, atol=1e-5
    )
    for part in (still, block.motion.expand_first(first), block.motion.expand_second(second)):
        assert (block(flat, Past.of_clips(x)) - part).abs().max() > 0.1


@pytest.mark.parametrize(("form", "crops_back"), [("centred", (1, 0, -1)), ("causal", (2, 1, 0))])
@torch.no_grad()
def test_taps_are_the_crops_that_the_form_says(form: Form, crops_back: tuple[int, ...]) -> None:
    taps = ChannelTaps(CHANNELS, form)
    x = features()
    for tap, back in enumerate(crops_back):
        taps.weight.zero_()
        taps.weight[tap] = 1
        found = taps(x.flatten(0, 1), Past.of_clips(x)).unflatten(0, x.shape[:2])
        for t in range(LENGTH):
            wanted = x[:, t - back] if 0 <= t - back < LENGTH else torch.zeros_like(x[:, t])
            torch.testing.assert_close(found[:, t], wanted, rtol=0, atol=0)


@pytest.mark.parametrize("motion", ["none", "cstm", "stm", "mcb"])
@torch.no_grad()
def test_one_by_one_equals_all_at_once(motion: Motion) -> None:
    space = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False)
    block = shaken(MotionConsistencyBlock(space, motion, "causal"))
    x = features()
    whole = Past.of_clips(x)
    wanted = block(x.flatten(0, 1), whole, []).unflatten(0, x.shape[:2])
    state = [torch.zeros_like(each) for each in whole.kept]
    for t in range(LENGTH):
        past = Past(torch.full((2, 1), t), state)
        torch.testing.assert_close(block(x[:, t], past), wanted[:, t], rtol=1e-5, atol=1e-5)
        state = past.kept
    for found, kept in zip(state, whole.kept, strict=True):
        torch.testing.assert_close(found, kept, rtol=1e-5, atol=1e-5)
    assert len(state) == {"none": 0, "cstm": 2, "stm": 3, "mcb": 4}[motion]


@torch.no_grad()
def test_both_orders_use_one_kernel() -> None:
    consistency = MotionConsistency(CHANNELS)
    depthwise = [each for each in consistency.modules() if isinstance(each, nn.Conv2d) and each.groups > 1]
    assert depthwise == [consistency.foretell]


@torch.no_grad()
def test_before_training_a_still_clip_shows_no_motion() -> None:
    """K begins as the identity, in a network as well: looks are no motion, not even at the start."""
    for net in (GmlS(GmlSOptions(width=0.2, size_px=64)), Gml(GmlOptions(motion="stm", width=0.06, size_px=64))):
        kernels = [each for each in net.modules() if isinstance(each, MotionConsistency | ChannelwiseMotion)]
        assert kernels
        for each in kernels:
            kernel = (each.foretell if isinstance(each, MotionConsistency) else each.transform).weight
            x = torch.rand(1, len(kernel), 5, 5)
            same = torch.nn.functional.conv2d(x, kernel, padding=1, groups=len(kernel))
            torch.testing.assert_close(same, x)


def test_a_sixteenth_is_rounded_down_and_at_least_one() -> None:
    assert [reduced_channels(channels) for channels in (8, 16, 64, 728, 1024)] == [1, 1, 4, 45, 64]


def test_layers_that_there_are_not_are_refused() -> None:
    assert chosen_layers((3, 1), 4, "mcb") == {1, 3}
    assert chosen_layers((3, 1), 4, "none") == frozenset()
    with pytest.raises(ValueError, match="temporal: 4 is no layer; there are 0 to 3"):
        chosen_layers((1, 4), 4, "mcb")
    with pytest.raises(ValueError, match="twice"):
        chosen_layers((1, 1), 4, "mcb")


def test_heat_map_of_blocks_of_all_sizes_has_the_middle_ones() -> None:
    maps = [torch.full((2, side, side), float(side)) for side in (8, 4, 2)]
    found = mean_energy(maps)
    torch.testing.assert_close(found, torch.full((2, 4, 4), 14 / 3))
