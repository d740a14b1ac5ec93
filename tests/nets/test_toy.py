"""The toy network: what it remembers, exactly, and that both ways of running it are one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from streamguard.nets.toy import LENGTH, MEMORY, SIZE_PX, ToyClipNet, motion

CLIP = MEMORY + LENGTH


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def net() -> ToyClipNet:
    return ToyClipNet().eval()


def moving(length: int, *, faces: int = 1, seed: int = 0) -> Tensor:
    """Random smooth pictures that drift: (N, L, H, W, 3) uint8."""
    random = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(faces, 3, 9, 9, generator=random)
    pictures = torch.nn.functional.interpolate(coarse, size=(SIZE_PX, SIZE_PX), mode="bilinear")
    drifting = [torch.roll(pictures, (2 * t, 3 * t), dims=(2, 3)) for t in range(length)]
    noise = 20 * torch.rand(faces, length, 3, SIZE_PX, SIZE_PX, generator=random)
    return (torch.stack(drifting, dim=1) * 0.9 + noise).to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous()


def cleared(net: ToyClipNet, faces: int) -> list[Tensor]:
    return [torch.zeros(faces, *shape) for shape in net.state_shapes.values()]


def step_through(net: ToyClipNet, crops: Tensor) -> list[Tensor]:
    """Logits after each crop of (N, L, H, W, 3), from a cleared state."""
    state, logits = cleared(net, len(crops)), []
    for t in range(crops.shape[1]):
        out, state = net.step(crops[:, t], state, torch.full((len(crops),), t))
        logits.append(out)
    return logits


def test_steps_from_a_cleared_state_equal_the_clip_at_every_age(net: ToyClipNet) -> None:
    crops = moving(CLIP, faces=2)
    for t, logits in enumerate(step_through(net, crops)):
        assert logits.shape == (2, 1)
        torch.testing.assert_close(logits, net(crops[:, : t + 1]), rtol=0, atol=1e-5)


def test_an_old_state_equals_the_clip_of_the_last_crops(net: ToyClipNet) -> None:
    crops = moving(60)
    torch.testing.assert_close(step_through(net, crops)[-1], net(crops[:, -CLIP:]), rtol=0, atol=1e-5)


def test_faces_of_different_ages_share_a_batch(net: ToyClipNet) -> None:
    crops = moving(CLIP, faces=2)
    _, old = net.step(crops[:1, 0], cleared(net, 1), torch.tensor([0]))
    state = [torch.cat(pair) for pair in zip(old, cleared(net, 1), strict=True)]
    both, _ = net.step(crops[:, 1], state, torch.tensor([1, 0]))
    torch.testing.assert_close(both[:1], net(crops[:1, :2]), rtol=0, atol=1e-5)
    torch.testing.assert_close(both[1:], net(crops[1:, 1:2]), rtol=0, atol=1e-5)


def test_crops_before_the_last_do_not_matter_at_all(net: ToyClipNet) -> None:
    crops, others = moving(CLIP + 12), moving(CLIP + 12, seed=1)
    mixed = torch.cat([others[:, :12], crops[:, 12:]], dim=1)
    assert torch.equal(step_through(net, crops)[-1], step_through(net, mixed)[-1])


def test_the_first_of_the_last_crops_matters(net: ToyClipNet) -> None:
    """R is not more than what the network really remembers."""
    crops, others = moving(CLIP), moving(CLIP, seed=1)
    mixed = torch.cat([others[:, :1], crops[:, 1:]], dim=1)
    assert (net(crops) - net(mixed)).abs().item() > 1e-4


def test_what_was_before_the_clip_does_not_matter(net: ToyClipNet) -> None:
    """The last T steps of a clip are the same, whether its first crops are the first ever or not."""
    crops = moving(CLIP + 5)
    torch.testing.assert_close(net(crops), net(crops[:, 5:]), rtol=0, atol=1e-5)


def test_a_face_that_keeps_still_shows_no_motion_from_its_first_crop_on() -> None:
    """Else its looks would pass as motion: the difference to the zeros of a cleared state."""
    net = ToyClipNet().eval()
    still = moving(1).expand(1, CLIP, SIZE_PX, SIZE_PX, 3)
    with_motion = step_through(net, still)
    looks = net.join.weight.shape[1] // 3
    net.join.weight[:, looks:] = 0
    for t, (with_it, without) in enumerate(zip(with_motion, step_through(net, still), strict=True)):
        assert torch.equal(with_it, without), f"motion matters at age {t}"


def test_motion_matters_to_a_face_that_moves() -> None:
    net = ToyClipNet().eval()
    crops = moving(CLIP)
    before = net(crops)
    net.join.weight[:, net.join.weight.shape[1] // 3 :] = 0
    assert (net(crops) - before).abs().item() > 1e-3


def test_motion_begins_with_the_second_crop_and_its_change_with_the_third() -> None:
    taps = [torch.full((1, 1, 1, 1, 1), value) for value in (1.0, 3.0, 9.0)]
    found = [tuple(part.item() for part in motion(taps, torch.tensor([[age]]))) for age in (0, 1, 2, 50)]
    assert found == [(0, 0), (6, 0), (6, 4), (6, 4)]


def test_the_head_averages_no_more_than_was_seen() -> None:
    """Without a look back, a still face has the same score at all ages; divided by T, its first would be an eighth."""
    net = ToyClipNet().eval()
    mix = net.get_parameter("layers.0.mix.weight")  # (C, 3 C, 1, 1)
    mix[:, : 2 * len(mix)] = 0
    for name in ("layers.1.taps", "layers.2.taps"):
        net.get_parameter(name)[:2] = 0
    logits = torch.cat(step_through(net, moving(1).expand(1, CLIP, SIZE_PX, SIZE_PX, 3)))
    torch.testing.assert_close(logits, logits[-1:].expand_as(logits), rtol=0, atol=1e-5)


def test_scores_differ_with_the_picture_and_look_like_no_verdict(net: ToyClipNet) -> None:
    scores = torch.sigmoid(net(moving(CLIP, faces=8))).flatten()
    assert 0.2 < scores.min() < scores.max() < 0.8
    assert scores.std() > 0.01


def test_same_seed_same_weights() -> None:
    first, second, other = (ToyClipNet(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
