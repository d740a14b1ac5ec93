"""What GML puts in the place of an image network's depthwise convolutions, so that it sees motion between crops.

    MotionConsistencyBlock   MCB    F^S + F^M + F^MM
      ChannelTaps, space     CSTM   F^S: each channel from its own three crops, then from its own 3 x 3 pixels
      MotionConsistency      MCM    F^M, F^MM: what the crop before does not foretell, and how that changes

With D the crop's features at a sixteenth of the channels, and one channel-wise 3 x 3 kernel K for both orders:

    (1)  M_t  = D_t - K * D_{t-1}
    (2)  MM_t = M_t - K * M_{t-1}

M is zero at a face's first crop and MM at its first two: before them there is nothing to differ from, and a difference
to zeros would be the face's looks. The past is always the crop before, also in the centred form.

At the start the block is the image network's depthwise convolution, exactly: see MOTION_DECISIONS.

Shapes: N faces, L crops each; x (N L, C, h, w) as in past.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .past import Past

Form = Literal["centred", "causal"]
"""centred: taps at t - 1, t, t + 1 (the paper's). causal: at t - 2, t - 1, t, so that crops can come one by one."""
Motion = Literal["none", "cstm", "stm", "mcb"]

REDUCTION = 16
LOOKS_BACK = 2
"""Crops that a causal block adds to what a network remembers: both by its taps and by MM."""


MOTION_DECISIONS = {
    "motion.reduction": "C // 16 channels, at least 1: a sixteenth of 728 is no whole number, and is taken as 45",
    "motion.expand": "M and MM come back to C channels by a 1 x 1 convolution and BatchNorm of their own each",
    "motion.start": "the norms' scales begin at 0 and the taps as (this crop only): the image network, exactly",
    "motion.kernel": "K begins as the identity: M is the plain difference until training moves it",
    "motion.norms": "PyTorch's own epsilon and momentum; their statistics include the zeros of the first crops",
    "motion.inside": "no other norm or activation; what follows the depthwise convolution follows the block",
    "motion.first": "M is 0 at the first crop, MM at the first two",
    "motion.causal": "taps at t - 2, t - 1, t instead of t - 1, t, t + 1; zeros beyond the ends in both forms",
    "motion.stm": "ablation only: CMM as K * D(t) - D(t - 1), zero at the first crop instead of at the last",
}


class MotionConsistencyBlock(nn.Module):
    """In the place of `space`, a depthwise convolution; `motion` says with how much of it."""

    def __init__(self, space: nn.Conv2d, motion: Motion, form: Form) -> None:
        super().__init__()
        channels = space.out_channels
        self.space = space
        self.time = None if motion == "none" else ChannelTaps(channels, form)
        self.motion: MotionConsistency | ChannelwiseMotion | None = None
        if motion == "mcb":
            self.motion = MotionConsistency(channels)
        elif motion == "stm":
            self.motion = ChannelwiseMotion(channels)

    def forward(self, x: Tensor, past: Past, energies: list[Tensor] | None = None) -> Tensor:
        """x (N L, C, h, w). With `energies`, for heat maps and in eval mode: what motion adds to this block, as a share
        of what it is added to, is put there: (N L, h, w)."""
        features = self.space(x if self.time is None else self.time(x, past))  # (N L, C, h, w)
        if self.motion is None:
            return features
        moved = self.motion(x, past)
        if energies is not None:
            added = (moved - self.motion.at_rest()).abs().mean(dim=1)  # (N L, h, w)
            energies.append(added / features.abs().mean(dim=(1, 2, 3))[:, None, None].clamp(min=1e-6))
        return features + moved


class ChannelTaps(nn.Module):
    """Each channel from its own three crops; at first from the present one alone."""

    def __init__(self, channels: int, form: Form) -> None:
        super().__init__()
        self.form = form
        self.weight = nn.Parameter(torch.zeros(3, channels, 1, 1))  # earliest crop first
        with torch.no_grad():
            self.weight[1 if form == "centred" else 2] = 1

    def forward(self, x: Tensor, past: Past) -> Tensor:
        one_back = past.one_back(x)
        if self.form == "centred":
            taps = (one_back, x, past.one_ahead(x))
        else:
            taps = (past.one_back(one_back), one_back, x)
        return taps[0] * self.weight[0] + taps[1] * self.weight[1] + taps[2] * self.weight[2]  # (N L, C, h, w)

    def macs_of(self, output: Tensor) -> int:
        """For cost.py: multiplications that no convolution does."""
        return 3 * output.numel()


class MotionConsistency(nn.Module):
    """MCM: the two orders of inconsistency, each back at C channels, and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = reduced_channels(channels)
        self.reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.foretell = _foretelling(reduced)  # K
        self.expand_first = _back_to(channels, reduced)
        self.expand_second = _back_to(channels, reduced)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        first, second = self.orders(x, past)
        return self.expand_first(first) + self.expand_second(second)  # (N L, C, h, w)

    def at_rest(self) -> Tensor:
        """What it gives where nothing moves, in eval mode: (1, C, 1, 1)."""
        return _of_nothing(self.expand_first) + _of_nothing(self.expand_second)

    def orders(self, x: Tensor, past: Past) -> tuple[Tensor, Tensor]:
        """M and MM, equations (1) and (2): (N L, C / 16, h, w) each."""
        now = self.reduce(x)
        first = past.since(now - past.one_back(self.foretell(now)), age=1)
        second = past.since(first - past.one_back(self.foretell(first)), age=2)
        return first, second


class ChannelwiseMotion(nn.Module):
    """CMM, of the ablation's STM: one order only, and the kernel on the later crop."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = reduced_channels(channels)
        self.reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.transform = _foretelling(reduced)
        self.expand = _back_to(channels, reduced)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        now = self.reduce(x)
        change = past.since(self.transform(now) - past.one_back(now), age=1)  # (N L, C / 16, h, w)
        return self.expand(change)  # (N L, C, h, w)

    def at_rest(self) -> Tensor:
        """What it gives where nothing moves, in eval mode: (1, C, 1, 1)."""
        return _of_nothing(self.expand)


def fill_convolutions(net: nn.Module, *, depthwise: Literal["linear", "relu"]) -> None:
    """He's weights, for those who have no ImageNet weights; kernels that foretell stay what they begin as.

    `depthwise`: what comes after depthwise convolutions."""
    foretelling = {each.foretell for each in net.modules() if isinstance(each, MotionConsistency)}
    foretelling |= {each.transform for each in net.modules() if isinstance(each, ChannelwiseMotion)}
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module not in foretelling:
            nn.init.kaiming_normal_(module.weight, nonlinearity=depthwise if module.groups > 1 else "relu")


def chosen_layers(temporal: Sequence[int], layers: int, motion: Motion) -> frozenset[int]:
    """Those that see motion, of so many: none of them where there is no motion to be seen."""
    if wrong := sorted(each for each in temporal if not 0 <= each < layers):
        raise ValueError(f"temporal: {wrong[0]} is no layer; there are 0 to {layers - 1}")
    if len(set(temporal)) < len(temporal):
        raise ValueError("temporal: a layer is named twice")
    return frozenset() if motion == "none" else frozenset(temporal)


def reduced_channels(channels: int) -> int:
    return max(1, channels // REDUCTION)


def mean_energy(energies: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
    """One heat map (N L, h, w) of those of several blocks; at the size of the one in the middle, if none is said."""
    height, width = energies[len(energies) // 2].shape[1:] if size is None else size
    maps = [_between(each, 1, height) @ each @ _between(each, 2, width).T for each in energies]
    return torch.stack(maps).mean(dim=0)


def _between(x: Tensor, side: int, out: int) -> Tensor:
    """(out, in): what takes that side of x to `out` places, smoothly: triangles, as wide as shrinking needs.

    As a product and not by functional.interpolate, whose antialiasing OpenVINO's Resize does not do."""
    inside = x.shape[side]
    wide = max(1.0, inside / out)
    rows = []
    for i in range(out):
        centre = (i + 0.5) * inside / out
        row = [max(0.0, 1 - abs(j + 0.5 - centre) / wide) for j in range(inside)]
        rows.append([each / sum(row) for each in row])
    return x.new_tensor(rows)


def _foretelling(channels: int) -> nn.Conv2d:
    """Channel-wise 3 x 3 that begins as the identity: a random one would pass looks for motion."""
    kernel = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    nn.init.zeros_(kernel.weight)
    nn.init.ones_(kernel.weight[:, :, 1:2, 1:2])
    return kernel


def _back_to(channels: int, reduced: int) -> nn.Sequential:
    """1 x 1 and a norm whose scale begins at zero: no motion is felt until training wants it."""
    norm = nn.BatchNorm2d(channels)
    nn.init.zeros_(norm.weight)
    return nn.Sequential(nn.Conv2d(reduced, channels, 1, bias=False), norm)


def _of_nothing(back: nn.Sequential) -> Tensor:
    """What it makes of zeros, in eval mode: (1, C, 1, 1). Written out: where a graph has convolutions of constants,
    OpenVINO 2026.4 computes something else."""
    norm = back[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    rest = norm.bias - norm.weight * norm.running_mean / (norm.running_var + norm.eps).sqrt()  # (C,)
    return rest[None, :, None, None]
