"""The classifier of surfaces: its numbers are those of numpy in each ring; training it changes no layer before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.past import Past
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


def test_training_it_changes_no_layer_before_it() -> None:
    net = GmlS(GmlSOptions(width=0.2, size_px=64, length=2, temporal=(4,), anomaly=False, texture=(2, 4)))
    crops = moving(2, faces=4, size_px=64)
    net.answers(crops, Past.of_clips(crops)).texture_scores.sum().backward()  # type: ignore[union-attr]
    gradients = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    touched = {name for name, gradient in gradients.items() if gradient.any()}
    assert touched == {"texture.classifier.weight", "texture.classifier.bias"}


def test_it_says_nothing_before_training() -> None:
    head = TextureHead([3]).eval()
    assert head([torch.rand(2, 3, 8, 8)]).tolist() == [[0.0, 0.0]] * 2


def test_blocks_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="texture: blocks are 0 to 15, not 16"):
        GmlS(GmlSOptions(texture=(2, 16)))
