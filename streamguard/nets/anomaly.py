"""GML's anomaly-detection branch (AD).

Nine residual blocks turn an image network's features into F*, of the same size. Training pulls F* towards zero on real
faces only (training/losses.py), so what is left of it is what real faces do not have; a classifier of its own reads it.

"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

BLOCKS = 9
BOTTLENECK = 4
CLASSES = 2
"""0 is real, 1 is fake."""
ANOMALY_DECISIONS = {
    "anomaly.blocks": "bottlenecks of a quarter of the channels: at full width the nine would be 86 M parameters",
    "anomaly.time": "they see single crops, so that each crop has a map of its own to be shown",
    "anomaly.last": "no ReLU after the last, so that F* has both signs and can be zero",
    "anomaly.loss": "the mean of |F*|, not the sum, which would drown the classifiers; left out without real faces",
}


class Anomaly(NamedTuple):
    features: Tensor  # F* (N L, C, h, w)
    scores: Tensor | None  # (N L, 2): of real and fake


class AnomalyBranch(nn.Module):
    def __init__(self, channels: int, *, classifier: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_Bottleneck(channels, last=i == BLOCKS - 1) for i in range(BLOCKS)))
        self.classifier = nn.Linear(channels, CLASSES) if classifier else None

    def forward(self, x: Tensor) -> Anomaly:
        """Features (N L, C, h, w) of the image network."""
        features = self.blocks(x)
        return Anomaly(features, None if self.classifier is None else self.classifier(features.mean(dim=(2, 3))))


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, *, last: bool) -> None:
        super().__init__()
        inner = max(1, channels // BOTTLENECK)
        norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(norm.weight)  # begins as its shortcut
        self.change = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False),
            norm,
        )
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.change(x)
        return x if self.last else functional.relu(x)
