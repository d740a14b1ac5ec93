"""AltFreezing (CVPR 2023): a 3D ResNet-50 of the I3D kind that looks at 32 crops of one face at once, one logit out.

The shapes are those of the published checkpoint, so that its weights fit (weights/altfreezing.py maps their names).
All kernels larger than 1x1x1, but the stem's, see either one moment (1x3x3) or one point over time (3x1x1). That is
what the paper's training rests on: it holds still now the ones, now the others (training/alternate.py), so that the
network cannot live on either alone.

Shapes: N faces, T crops each, H x W pixels. Numbers of channels are those of width 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .contract import check_bounds

STEM_CHANNELS = 64
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
"""Of ImageNet, RGB, for pixels from 0 to 1."""

STAGES = ((3, 3, 3), (3, 1, 3, 1), (3, 1, 3, 1, 3, 1), (1, 3, 1))
"""For each stage its blocks, by how many moments their first convolution sees."""
EXPANSION = 4
"""A block gives this many times the channels that it works on inside."""
DROPOUT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AltFreezingOptions:
    """The published network, unless told otherwise."""

    size_px: int = 224
    """Side of a crop."""
    length: int = 32
    """T: crops that an answer is of."""
    width: float = 1.0
    """Factor on all numbers of channels. Published weights fit 1 only; tests take less."""

    def __post_init__(self) -> None:
        check_bounds(size_px=self.size_px, length=self.length, width=self.width, least_length=2)  # halved once inside


class AltFreezing(nn.Module):
    """Crops (N, T, H, W, 3) uint8 RGB give logits (N, 1), positive = FAKE."""

    DECISIONS: ClassVar[dict[str, str]] = {
        "head": "mean over all moments and places: at 32x224x224 the published pool of 16x7x7, and any size will do",
        "start.convolutions": "He, normal, by the number of outputs",
        "start.norms": "the last of each block begins at 0: an untrained block hands on its input",
        "start.head": "normal with deviation 0.01, bias 0",
    }

    mean: Tensor
    std: Tensor

    def __init__(self, options: AltFreezingOptions | None = None) -> None:
        super().__init__()
        self.options = options or AltFreezingOptions()
        self.size_px = self.options.size_px
        self.length = self.options.length
        self.memory = 0
        self.causal = False
        self.look_ahead = self.length - 1

        self.register_buffer("mean", 255 * torch.tensor(PIXEL_MEAN), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(PIXEL_STD), persistent=False)
        channels = max(1, round(STEM_CHANNELS * self.options.width))
        self.stem = Stem(channels)
        self.stages = nn.ModuleList()
        inner = channels
        for i, moments in enumerate(STAGES):
            self.stages.append(_stage(channels, inner, moments, stride=1 if i == 0 else 2))
            channels, inner = EXPANSION * inner, 2 * inner
        self.head = nn.Linear(channels, 1)
        _initialise(self)

    def forward(self, crops: Tensor) -> Tensor:
        x = (crops.float() - self.mean) / self.std
        x = x.permute(0, 4, 1, 2, 3)  # (N, 3, T, H, W)
        x = self.stem(x)  # (N, 64, T, H/4, W/4)
        x = self.stages[0](x)  # (N, 256, T, H/4, W/4)
        x = functional.max_pool3d(x, (2, 1, 1))  # (N, 256, T/2, H/4, W/4)
        x = self.stages[1](x)  # (N, 512, T/2, H/8, W/8)
        x = self.stages[2](x)  # (N, 1024, T/2, H/16, W/16)
        x = self.stages[3](x)  # (N, 2048, T/2, H/32, W/32)
        x = x.mean(dim=(2, 3, 4))  # (N, 2048)
        x = functional.dropout(x, DROPOUT, self.training)
        logits: Tensor = self.head(x)  # (N, 1)
        return logits


class Stem(nn.Module):
    """The only kernel that sees both space and time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, channels, (5, 7, 7), stride=(1, 2, 2), padding=(2, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x)), inplace=True)  # (N, 64, T, H/2, W/2)
        return functional.max_pool3d(x, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))  # (N, 64, T, H/4, W/4)


class Block(nn.Module):
    """Bottleneck: over time (a), over space (b), back to many channels (c), and the input on top."""

    def __init__(self, channels: int, inner: int, moments: int, stride: int) -> None:
        super().__init__()
        out = EXPANSION * inner
        self.a = nn.Conv3d(channels, inner, (moments, 1, 1), padding=(moments // 2, 0, 0), bias=False)
        self.a_norm = nn.BatchNorm3d(inner)
        self.b = nn.Conv3d(inner, inner, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
        self.b_norm = nn.BatchNorm3d(inner)
        self.c = nn.Conv3d(inner, out, 1, bias=False)
        self.c_norm = nn.BatchNorm3d(out)
        if channels != out or stride != 1:
            self.shortcut: nn.Module = nn.Conv3d(channels, out, 1, stride=(1, stride, stride), bias=False)
            self.shortcut_norm: nn.Module = nn.BatchNorm3d(out)
        else:
            self.shortcut = nn.Identity()
            self.shortcut_norm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.a_norm(self.a(x)), inplace=True)  # (N, inner, T, H, W)
        y = functional.relu(self.b_norm(self.b(y)), inplace=True)  # (N, inner, T, H/stride, W/stride)
        y = self.c_norm(self.c(y))  # (N, 4 inner, T, H/stride, W/stride)
        return functional.relu(y + self.shortcut_norm(self.shortcut(x)), inplace=True)


def _stage(channels: int, inner: int, moments: tuple[int, ...], stride: int) -> nn.Sequential:
    """The first block widens, and takes the stride."""
    first = Block(channels, inner, moments[0], stride)
    return nn.Sequential(first, *(Block(EXPANSION * inner, inner, each, 1) for each in moments[1:]))


def _initialise(net: AltFreezing) -> None:
    """Norms begin as PyTorch makes them (1 and 0), but for those that end a block."""
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, Block):
            nn.init.zeros_(module.c_norm.weight)
    nn.init.normal_(net.head.weight, std=0.01)
    nn.init.zeros_(net.head.bias)
