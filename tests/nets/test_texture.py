"""The classifier of surfaces: its numbers are those of numpy in each ring; training it changes no layer before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.texture import RINGS, TextureHead, _rings_of

from .shaken import moving


def test_rings_have_the_means_and_spreads_that_numpy_finds() -> None:
    features = 50 + 3 * torch.randn(2, 4, 20, 20, generator=torch.Generator().manual_seed(1))
    at = (np.arange(20) + 0.5) / 10 - 1
    radius = np.hypot(*np.meshgrid(at, at, indexing="ij"))
    inner, outer = RINGS
    rings = [radius < inner, (radius >= inner) & (radius < outer)]
    values = features.double().numpy()
    for found, measure in zip(_rings_of(features), ("mean", "std"), strict=True):
        wanted = [[[getattr(channel[ring], measure)() for ring in rings] for channel in face] for face in values]
        np.testing.assert_allclose(found.numpy(), np.array(wanted), rtol=1e-4)


ROUGHER = slice(6, 9)
"""Of three channels."""


def textured() -> torch.Tensor:
    """Fine detail on an even surface, finer in the middle."""
    noise = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(4))
    noise[..., 6:14, 6:14] *= 3
    return 2 + noise


def test_detail_that_grows_everywhere_changes_hardly_a_number() -> None:
    coarse = textured()
    fine = 2 + 1.5 * (coarse - 2)
    one, other = (TextureHead.numbers([x]) for x in (coarse, fine))
    torch.testing.assert_close(one[:, :9], other[:, :9], atol=1e-5, rtol=0)
    assert one[:, ROUGHER].min() > 0.5, "the middle is rougher"


def test_detail_that_grows_in_the_face_alone_is_seen() -> None:
    coarse = textured()
    face = coarse.clone()
    face[..., 6:14, 6:14] = 2 + 1.5 * (coarse[..., 6:14, 6:14] - 2)
    one, other = (TextureHead.numbers([x])[:, ROUGHER] for x in (coarse, face))
    assert (other - one).min() > 0.2


def test_what_lies_behind_the_head_changes_nothing() -> None:
    """Blurred and painted backgrounds are common in calls."""
    features = textured()
    behind = features.clone()
    at = (torch.arange(20) + 0.5) / 10 - 1
    behind[..., torch.hypot(at[:, None], at[None]) >= RINGS[1]] = 9.0
    assert torch.allclose(TextureHead.numbers([behind]), TextureHead.numbers([features]), atol=1e-4)


def test_a_flat_surface_and_a_small_crop_have_numbers() -> None:
    for x in (torch.full((1, 2, 8, 8), 7.0), torch.rand(1, 1, 4, 4)):
        assert torch.isfinite(TextureHead.numbers([x])).all()


def test_training_the_network_does_not_train_it() -> None:
    net = GmlS(GmlSOptions(width=0.2, size_px=64, length=2, temporal=(4,), anomaly=False, texture=(2, 4)))
    crops = moving(2, faces=4, size_px=64)
    net(crops).sum().backward()
    assert {
        name for name, each in net.named_parameters() if name.startswith("texture.") and each.grad is not None
    } == set()


def test_it_adds_nothing_before_it_was_fitted() -> None:
    head = TextureHead([3]).eval()
    assert head([torch.rand(2, 3, 8, 8)]).tolist() == [[0.0, 0.0]] * 2


def test_fitted_its_logit_is_the_weighted_sum_that_was_given() -> None:
    head = TextureHead([1])
    features = [torch.rand(2, 1, 8, 8)]
    numbers = head.numbers(features)
    mean, spread, weight = torch.rand(4), 1 + torch.rand(4), torch.randn(4)
    head.fit(mean, spread, weight, 0.5)
    scores = head(features)
    torch.testing.assert_close(scores[:, 1] - scores[:, 0], ((numbers - mean) / spread) @ weight + 0.5)


def test_blocks_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="texture: blocks are 0 to 15, not 16"):
        GmlS(GmlSOptions(texture=(2, 16)))
