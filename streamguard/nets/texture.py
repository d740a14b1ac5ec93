"""A classifier of GML-S that reads how surfaces look early in the network: in the inner face, and in the band round it.

A forged face is laid over the real one, so what gives it away is often a difference between these two rings: in
sharpness, noise, compression. The first layers of a network that has seen ImageNet measure such things well, and few
people are enough to learn from so few numbers. All numbers are relative, channel to channel or ring to ring: how sharp
a picture is as a whole tells the camera, and not the face; and what lies behind a head, blurred or blue, is not looked
at. It is not trained with the rest, which would learn these people by heart, but fitted to the finished network
(training/surfaces.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .anomaly import CLASSES

RINGS = (0.44, 0.78)
"""Where the inner face ends, and the band round it; as shares of half the crop's side. At a span of 1.6 face scales."""
PARTS = 4
"""Numbers for each channel."""
LEAST_VARIANCE = 1e-4
LEAST_SPREAD = 0.1
TEXTURE_DECISIONS = {
    "texture": "not the paper's: a third classifier, of early features in the inner face and the band round it",
    "texture.score": "its logit is added to that of the other two; it adds nothing until it was fitted",
}


class TextureHead(nn.Module):
    mean: Tensor
    spread: Tensor

    def __init__(self, channels: list[int]) -> None:
        """`channels`: of each of the features that it is given."""
        super().__init__()
        numbers = PARTS * sum(channels)
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        self.classifier = nn.Linear(numbers, CLASSES)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        self.requires_grad_(False)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features (N L, C, h, w) of single crops give scores (N L, 2), of real and fake."""
        return self.classifier((self.numbers(features) - self.mean) / self.spread)

    @staticmethod
    def numbers(features: list[Tensor]) -> Tensor:
        return torch.cat([_relative(*_rings_of(x)) for x in features], dim=1)

    @torch.no_grad()
    def fit(self, mean: Tensor, spread: Tensor, weight: Tensor, bias: float) -> None:
        """The logit shall be `weight` (D,) times the numbers, less `mean` and over `spread`, plus `bias`."""
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        self.classifier.weight.copy_(torch.stack([-weight / 2, weight / 2]))
        self.classifier.bias.copy_(torch.tensor([-bias / 2, bias / 2]))


def _relative(mean: Tensor, spread: Tensor) -> Tensor:
    """Means and spreads (n, C, 2) of both rings: (n, 4 C) numbers that a gain common to all channels changes little."""
    level = spread.log()
    profile = level - level.mean(dim=1, keepdim=True)  # of a ring, from channel to channel
    rougher = level[..., 0] - level[..., 1]
    brighter = (mean[..., 0] - mean[..., 1]) / (spread.mean(dim=2) + LEAST_SPREAD)
    return torch.cat([profile.flatten(1), rougher, brighter], dim=1)


def _rings_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Features (n, C, h, w): mean and standard deviation in both rings, (n, C, 2)."""
    rings = _rings(x.shape[2], x.shape[3]).to(x)  # (h w, 2)
    level = x.mean(dim=(2, 3))[..., None]  # taken off first, so that little is lost where bf16 squares it
    centred = x.flatten(2) - level  # (n, C, h w)
    mean = centred @ rings  # (n, C, 2)
    variance = (centred * centred) @ rings - mean * mean
    return level + mean, variance.clamp(min=LEAST_VARIANCE).sqrt()


def _rings(height: int, width: int) -> Tensor:
    """(h w, 2): each column sums to 1 over the places of its ring."""
    y, x = (((torch.arange(side) + 0.5) / side * 2 - 1) for side in (height, width))
    radius = (y[:, None] ** 2 + x[None] ** 2).sqrt().flatten()
    inner, outer = RINGS
    member = torch.stack([radius < inner, (radius >= inner) & (radius < outer)], dim=1).float()
    return member / member.sum(dim=0).clamp(min=1)
