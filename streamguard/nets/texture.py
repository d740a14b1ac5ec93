"""A classifier of GML-S that reads how surfaces look early in the network: their mean and their spread, in three rings.

A forged face is laid over the real one, so what gives it away is often a difference between the face, the band round
it and its surroundings: in sharpness, noise, compression. The first layers of a network that has seen ImageNet measure
such things well, and few people are enough to learn from so few numbers. So it is not trained with the rest, which
would learn these people by heart, but fitted to the finished network (training/surfaces.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .anomaly import CLASSES

RINGS = (0.44, 0.78)
"""Where the face ends, and the band round it; as shares of half the crop's side. At a span of 1.6 face scales."""
LEAST_VARIANCE = 1e-4
TEXTURE_DECISIONS = {
    "texture": "not the paper's: a third classifier, of means and spreads of early features in three rings of a crop",
    "texture.score": "its logit is added to that of the other two; it adds nothing until it was fitted",
}


class TextureHead(nn.Module):
    mean: Tensor
    spread: Tensor

    def __init__(self, channels: list[int]) -> None:
        """`channels`: of each of the features that it is given."""
        super().__init__()
        numbers = 2 * (len(RINGS) + 1) * sum(channels)
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
        return torch.cat([_spread(x) for x in features], dim=1)

    @torch.no_grad()
    def fit(self, mean: Tensor, spread: Tensor, weight: Tensor, bias: float) -> None:
        """The logit shall be `weight` (D,) times the numbers, less `mean` and over `spread`, plus `bias`."""
        self.mean.copy_(mean)
        self.spread.copy_(spread)
        self.classifier.weight.copy_(torch.stack([-weight / 2, weight / 2]))
        self.classifier.bias.copy_(torch.tensor([-bias / 2, bias / 2]))


def _spread(x: Tensor) -> Tensor:
    """Features (n, C, h, w): mean and standard deviation in each ring, (n, 6 C)."""
    rings = _rings(x.shape[2], x.shape[3]).to(x)  # (h w, 3)
    level = x.mean(dim=(2, 3))[..., None]  # taken off first, so that little is lost where bf16 squares it
    centred = x.flatten(2) - level  # (n, C, h w)
    mean = centred @ rings  # (n, C, 3)
    variance = (centred * centred) @ rings - mean * mean
    return torch.cat([(level + mean).flatten(1), variance.clamp(min=LEAST_VARIANCE).sqrt().flatten(1)], dim=1)


def _rings(height: int, width: int) -> Tensor:
    """(h w, 3): each column sums to 1 over the places of its ring."""
    y, x = (((torch.arange(side) + 0.5) / side * 2 - 1) for side in (height, width))
    radius = (y[:, None] ** 2 + x[None] ** 2).sqrt().flatten()
    inner, outer = RINGS
    member = torch.stack([radius < inner, (radius >= inner) & (radius < outer), radius >= outer], dim=1).float()
    return member / member.sum(dim=0).clamp(min=1)
