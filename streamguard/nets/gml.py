"""GML (arXiv 2403.05172): Xception whose depthwise convolutions see motion, with an anomaly-detection branch.

    crops -> stem -> blocks 1 to 12 -> two separable convolutions -> classifier ------------\\
                      \\-- after block 5: anomaly branch -> classifier of its own -----------> the mean of both

Two temporal forms. `centred` is the paper's: T crops, and each is seen with the one after it. `causal` looks back only,
so it also runs crop by crop (`step`), remembers two crops for each layer that sees motion (R), and averages its answers
over the last T.

No code of GML was ever published. Where the paper is silent, see DECISIONS, which are written into bundles too. The
layers of Xception are those of the well-known ImageNet weights (weights/imagenet.py).

Shapes: N faces, L crops each, inside the network one after the other. Sizes beside layers: at 224 px and full width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from .anomaly import ANOMALY_DECISIONS, CLASSES, AnomalyBranch
from .contract import check_bounds
from .motion import MOTION_DECISIONS, Form, Motion, MotionConsistencyBlock, chosen_layers, fill_convolutions
from .motion_net import HEAD_DECISIONS, MotionNet, Seen
from .past import Past

DEPTHWISE = 34
"""Depthwise convolutions of Xception: two in each of blocks 1 to 3 and 12, three in each of 4 to 11, two at the end."""
PIXEL_MEAN = PIXEL_STD = 127.5
"""As Xception's ImageNet weights were trained."""
ANOMALY_AFTER = 5
"""Which block's features the anomaly branch reads, of 1 to 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GmlOptions:
    form: Form = "centred"
    """How it looks at time: centred, the paper's way, or causal, so that crops can come one by one."""
    motion: Motion = "mcb"
    """none: plain Xception. cstm: taps in time only. stm: and CMM, as in the paper's ablation. mcb: GML's own."""
    temporal: tuple[int, ...] = tuple(range(DEPTHWISE))
    """Which of the depthwise convolutions see motion, 0 to 33 in the network's order."""
    anomaly: bool = True
    """With the anomaly branch."""
    anomaly_classifier: bool = True
    """With a classifier of the branch's own; without it, the branch does nothing but be trained."""
    size_px: int = 224
    """Side of a crop."""
    length: int = 8
    """T: crops that an answer is averaged over."""
    width: float = 1.0
    """Factor on all numbers of channels, for experiments and tests."""

    def __post_init__(self) -> None:
        check_bounds(size_px=self.size_px, length=self.length, width=self.width)


class Gml(MotionNet):
    DECISIONS: ClassVar[dict[str, str]] = {
        **MOTION_DECISIONS,
        **ANOMALY_DECISIONS,
        **HEAD_DECISIONS,
        "layers": "all depthwise convolutions of Xception may see motion; its two stem convolutions see single crops",
        "start.blocks": "without ImageNet weights blocks 4 to 11 and the branch's begin as their shortcuts, K as above",
        "anomaly.past": "the branch knows only the past that blocks 1 to 5 see: in gml-causal two layers' of eight",
        "pixels": "RGB, (x - 127.5) / 127.5, as Xception's ImageNet weights were trained",
    }

    def __init__(self, options: GmlOptions | None = None) -> None:
        options = options or GmlOptions()
        temporal = chosen_layers(options.temporal, DEPTHWISE, options.motion)
        super().__init__(size_px=options.size_px, length=options.length, form=options.form, temporal=len(temporal))
        self.options = options

        def wide(channels: int) -> int:
            return max(4, round(channels * options.width))

        layer = iter(range(DEPTHWISE))

        def separable(inside: int, out: int) -> SeparableConv:
            motion: Motion = options.motion if next(layer) in temporal else "none"
            return SeparableConv(wide(inside), wide(out), motion, options.form)

        self.conv1 = nn.Conv2d(3, wide(32), 3, stride=2, bias=False)  # (N L, 32, 111, 111)
        self.bn1 = nn.BatchNorm2d(wide(32))
        self.conv2 = nn.Conv2d(wide(32), wide(64), 3, bias=False)  # (N L, 64, 109, 109)
        self.bn2 = nn.BatchNorm2d(wide(64))
        self.blocks = nn.ModuleList(
            [
                Block([separable(64, 128), separable(128, 128)], stride=2),  # (N L, 128, 55, 55)
                Block([separable(128, 256), separable(256, 256)], stride=2),  # (N L, 256, 28, 28)
                Block([separable(256, 728), separable(728, 728)], stride=2),  # (N L, 728, 14, 14)
                *(Block([separable(728, 728) for _ in range(3)], stride=1) for _ in range(8)),
                Block([separable(728, 728), separable(728, 1024)], stride=2),  # (N L, 1024, 7, 7)
            ]
        )
        self.conv3 = separable(1024, 1536)
        self.conv4 = separable(1536, 2048)  # (N L, 2048, 7, 7)
        self.classifier = nn.Linear(wide(2048), CLASSES)
        self.anomaly = AnomalyBranch(wide(728), classifier=options.anomaly_classifier) if options.anomaly else None
        fill_convolutions(self, depthwise="linear")

    def look(self, crops: Tensor, past: Past, energies: list[Tensor] | None = None) -> Seen:
        x = (crops.permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_STD  # (N L, 3, H, W)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        anomaly = None
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, past, energies)
            if number == ANOMALY_AFTER and self.anomaly is not None:
                anomaly = self.anomaly(x)
        x = functional.relu(self.conv3(x, past, energies))
        x = functional.relu(self.conv4(x, past, energies))
        return Seen(self.classifier(x.mean(dim=(2, 3))), anomaly)


class Block(nn.Module):
    """Xception's: separable convolutions, each after a ReLU, pooling where it strides, and a way past all this.

    The first block has no ReLU of its own before it, but the stem's."""

    def __init__(self, units: Sequence[SeparableConv], *, stride: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.stride = stride
        self.skip: nn.Conv2d | None = None
        if stride != 1:
            self.skip = nn.Conv2d(units[0].channels_in, units[-1].channels_out, 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(units[-1].channels_out)
        else:
            nn.init.zeros_(units[-1].bn.weight)  # begins as its shortcut: signals do not grow from block to block

    def forward(self, x: Tensor, past: Past, energies: list[Tensor] | None) -> Tensor:
        beside = x if self.skip is None else self.skipbn(self.skip(x))
        for unit in self.units:
            x = unit(functional.relu(x), past, energies)
        if self.stride != 1:
            x = functional.max_pool2d(x, 3, stride=self.stride, padding=1)
        return x + beside


class SeparableConv(nn.Module):
    """Within channels, in space and maybe in time; then across channels; and the norm that follows it everywhere."""

    def __init__(self, channels_in: int, channels_out: int, motion: Motion, form: Form) -> None:
        super().__init__()
        self.channels_in = channels_in
        self.channels_out = channels_out
        space = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
        self.depthwise = MotionConsistencyBlock(space, motion, form)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor, past: Past, energies: list[Tensor] | None) -> Tensor:
        return self.bn(self.pointwise(self.depthwise(x, past, energies)))
