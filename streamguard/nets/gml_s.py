"""GML-S: GML's blocks on EfficientNet-Lite0, for many faces on a CPU. Causal: it runs crop by crop.

    crops -> stem -> blocks 0 to 15 -> 1 x 1 convolution -> classifier ---------------------\\
                      |-- after block 10: anomaly branch -> classifier of its own -----------> the mean of both
                      \\-- after early blocks: surfaces -> classifier of its own (an option): added

At most eight of the sixteen depthwise convolutions see motion: each adds two crops to what the network remembers, and
to what has to be shown again when a face's square moves. Only those with stride 1 can.

EfficientNet-Lite0 as its published ImageNet weights have it (weights/imagenet.py): no squeeze-and-excitation, ReLU6,
and TensorFlow's padding, which gives an even picture's strided convolutions their extra row and column at the far ends.

Shapes: N faces, L crops each, inside the network one after the other. Sizes beside layers: at 160 px and full width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .anomaly import ANOMALY_DECISIONS, CLASSES, AnomalyBranch
from .contract import check_bounds
from .motion import MOTION_DECISIONS, Form, Motion, MotionConsistencyBlock, chosen_layers, fill_convolutions
from .motion_net import HEAD_DECISIONS, MotionNet, Seen
from .past import Past
from .texture import TEXTURE_DECISIONS, TextureHead

# Blocks in a row, channels after them, stride of the first, kernel, expansion of channels inside.
STAGES = (
    (1, 16, 1, 3, 1),  # (N L, 16, 80, 80)    block 0
    (2, 24, 2, 3, 6),  # (N L, 24, 40, 40)    1, 2
    (2, 40, 2, 5, 6),  # (N L, 40, 20, 20)    3, 4
    (3, 80, 2, 3, 6),  # (N L, 80, 10, 10)    5 to 7
    (3, 112, 1, 5, 6),  # (N L, 112, 10, 10)  8 to 10
    (4, 192, 2, 5, 6),  # (N L, 192, 5, 5)    11 to 14
    (1, 320, 1, 3, 6),  # (N L, 320, 5, 5)    15
)
BLOCKS = 16
STRIDED = frozenset({1, 3, 5, 11})
MOST_TEMPORAL = 8
ANOMALY_AFTER = 10
"""Which block's features the anomaly branch reads, of 0 to 15."""
EPSILON, MOMENTUM = 1e-3, 0.01
"""Of the norms, as published."""
PIXEL_MEAN, PIXEL_STD = 127.0, 128.0
"""As published."""
DROPOUT = 0.2
GRANULE_PX = 32
"""Sizes are multiples of this, so that every strided layer sees an even picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GmlSOptions:
    form: Form = "causal"
    """centred only for comparison."""
    motion: Motion = "mcb"
    """none: plain EfficientNet-Lite0, crop by crop. cstm, stm: as in `gml`, for comparison. mcb: GML's own."""
    temporal: tuple[int, ...] = (2, 4, 6, 7, 9, 10)
    """Blocks whose depthwise convolution sees motion: at most eight, none of 1, 3, 5 and 11, which stride."""
    anomaly: bool = True
    """With the anomaly branch."""
    anomaly_classifier: bool = True
    """With a classifier of the branch's own; without it, the branch does nothing but be trained."""
    texture: tuple[int, ...] = ()
    """Blocks whose features a classifier of surfaces reads (texture.py); none: there is no such classifier."""
    size_px: int = 160
    """Side of a crop; a multiple of 32."""
    length: int = 8
    """T: crops that an answer is averaged over."""
    width: float = 1.0
    """Factor on all numbers of channels, for experiments and tests."""

    def __post_init__(self) -> None:
        check_bounds(size_px=self.size_px, length=self.length, width=self.width)


class GmlS(MotionNet):
    DECISIONS: ClassVar[dict[str, str]] = {
        **MOTION_DECISIONS,
        **ANOMALY_DECISIONS,
        **HEAD_DECISIONS,
        **TEXTURE_DECISIONS,
        "layers": "which blocks see motion is an option: by default six that see a crop as 40 to 10 cells, R = 12",
        "dropout": "0.2 before the classifier, one draw for all crops of a clip; no stochastic depth",
        "norms": "those of EfficientNet-Lite0 as published; motion's and the branch's as PyTorch makes them",
        "pixels": "RGB, (x - 127) / 128, as EfficientNet-Lite0's ImageNet weights were trained",
    }

    def __init__(self, options: GmlSOptions | None = None) -> None:
        options = options or GmlSOptions()
        temporal = chosen_layers(options.temporal, BLOCKS, options.motion)
        if strided := sorted(temporal & STRIDED):
            raise ValueError(f"temporal: block {strided[0]} strides, and cannot see motion")
        if len(temporal) > MOST_TEMPORAL:
            raise ValueError(f"temporal: at most {MOST_TEMPORAL} blocks, not {len(temporal)}")
        if unknown := sorted(set(options.texture) - set(range(BLOCKS))):
            raise ValueError(f"texture: blocks are 0 to {BLOCKS - 1}, not {unknown[0]}")
        if options.size_px % GRANULE_PX:
            raise ValueError(f"size_px: must be a multiple of {GRANULE_PX}, not {options.size_px}")
        super().__init__(size_px=options.size_px, length=options.length, form=options.form, temporal=len(temporal))
        self.options = options

        def wide(channels: int) -> int:
            return max(4, round(channels * options.width))

        self.stem = _conv(3, wide(32), 3, stride=2)  # (N L, 32, 80, 80)
        self.stem_bn = _norm(wide(32))
        self.blocks = nn.ModuleList(
            InvertedBottleneck(
                wide(inside),
                wide(out),
                kernel,
                stride,
                expand,
                options.motion if i in temporal else "none",
                options.form,
            )
            for i, (inside, out, kernel, stride, expand) in enumerate(_blocks())
        )
        self.head = _conv(wide(320), wide(1280), 1)  # (N L, 1280, 5, 5)
        self.head_bn = _norm(wide(1280))
        self.classifier = nn.Linear(wide(1280), CLASSES)
        self.anomaly = AnomalyBranch(wide(112), classifier=options.anomaly_classifier) if options.anomaly else None
        made = [out for _, out, _, _, _ in _blocks()]
        self.texture = TextureHead([wide(made[i]) for i in sorted(set(options.texture))]) if options.texture else None
        fill_convolutions(self, depthwise="relu")

    def look(self, crops: Tensor, past: Past, energies: list[Tensor] | None = None) -> Seen:
        x = (crops.permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_STD  # (N L, 3, H, W)
        x = functional.relu6(self.stem_bn(self.stem(x)))
        anomaly, surfaces = None, []
        for i, block in enumerate(self.blocks):
            x = block(x, past, energies)
            if i in self.options.texture:
                surfaces.append(x)
            if i == ANOMALY_AFTER and self.anomaly is not None:
                anomaly = self.anomaly(x)
        x = functional.relu6(self.head_bn(self.head(x)))
        texture = None if self.texture is None else self.texture(surfaces)
        return Seen(self.classifier(self._dropped(x.mean(dim=(2, 3)), past)), anomaly, texture)

    def _dropped(self, x: Tensor, past: Past) -> Tensor:
        """In training, the same of x (N L, C) for all crops of a clip: else the mean over time would undo it."""
        if not self.training:
            return x
        steps = x.unflatten(0, (-1, past.length))  # (N, L, C)
        return (steps * functional.dropout(torch.ones_like(steps[:, :1]), DROPOUT)).flatten(0, 1)


class InvertedBottleneck(nn.Module):
    """More channels, within channels, fewer channels; and a way past them where the shape stays."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expand: int, motion: Motion, form: Form
    ) -> None:
        super().__init__()
        inner = channels_in * expand
        self.expand = _conv(channels_in, inner, 1) if expand != 1 else None
        self.expand_bn = _norm(inner) if expand != 1 else None
        self.depthwise = MotionConsistencyBlock(_conv(inner, inner, kernel, stride=stride, groups=inner), motion, form)
        self.depthwise_bn = _norm(inner)
        self.project = _conv(inner, channels_out, 1)
        self.project_bn = _norm(channels_out)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor, past: Past, energies: list[Tensor] | None) -> Tensor:
        beside = x
        if self.expand is not None and self.expand_bn is not None:
            x = functional.relu6(self.expand_bn(self.expand(x)))
        x = functional.relu6(self.depthwise_bn(self.depthwise(x, past, energies)))
        x = self.project_bn(self.project(x))
        return x + beside if self.shortcut else x


class _PaddedConv(nn.Conv2d):
    """Of an even picture, strided by two: TensorFlow's padding, one more at the far ends than at the near ones."""

    def forward(self, x: Tensor) -> Tensor:
        near = (self.kernel_size[0] - 2) // 2
        far = self.kernel_size[0] - 2 - near
        return super().forward(functional.pad(x, (near, far, near, far)))


def _conv(channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return _PaddedConv(channels_in, channels_out, kernel, stride=stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


def _blocks() -> Iterator[tuple[int, int, int, int, int]]:
    """Channels in and out, kernel, stride, expansion of each."""
    inside = 32
    for count, out, stride, kernel, expand in STAGES:
        for i in range(count):
            yield inside, out, kernel, stride if i == 0 else 1, expand
            inside = out
