"""The classifier of surfaces: its numbers are those of numpy in each ring; training it changes no layer before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.texture import LEAST_VARIANCE, RINGS, TextureHead, _spread

from .shaken import moving


def test_numbers_are_means_and_spreads_of_each_ring() -> None:
    features = 50 + 3 * torch.randn(2, 4, 20, 20, generator=torch.Generator().manual_seed(1))
    found = _spread(features).numpy()
    at = (np.arange(20) + 0.5) / 10 - 1
    radius = np.hypot(*np.meshgrid(at, at, indexing="ij"))
    inner, outer = RINGS
    rings = [radius < inner, (radius >= inner) & (radius < outer), radius >= outer]
    wanted = np.array(
        [
            [
                getattr(face[channel][ring], measure)()
                for measure in ("mean", "std")
                for channel in range(4)
                for ring in rings
            ]
            for face in features.double().numpy()
        ]
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_a_flat_surface_has_a_spread_that_can_be_divided_by() -> None:
    assert _spread(torch.full((1, 2, 8, 8), 7.0))[0, 6:].tolist() == pytest.approx([LEAST_VARIANCE**0.5] * 6)


def test_a_small_crop_has_all_rings() -> None:
    assert torch.isfinite(_spread(torch.rand(1, 1, 4, 4))).all()


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
    mean, spread, weight = torch.rand(6), 1 + torch.rand(6), torch.randn(6)
    head.fit(mean, spread, weight, 0.5)
    scores = head(features)
    torch.testing.assert_close(scores[:, 1] - scores[:, 0], ((numbers - mean) / spread) @ weight + 0.5)


def test_blocks_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="texture: blocks are 0 to 15, not 16"):
        GmlS(GmlSOptions(texture=(2, 16)))
