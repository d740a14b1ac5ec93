"""A small causal clip network: crops of one face in, one logit out. Big enough to try everything on, never trained.

It shows what a network must do to be run in both ways, and tests and benchmarks run on it:

- `forward` sees a clip, `step` sees the crops one by one and is given what it kept of the past. Both are the same code:
  a clip is many crops after an empty past.
- Each temporal layer looks two crops back and no further, so that what a score depends on is known: the crops of the
  last T steps, which the head averages, and R before them.
- Before the first crop there are zeros of features, not of pixels, and no motion: the difference to an empty past would
  be the face's looks.

Shapes: N faces, L crops each, H x W pixels, C channels at h x w positions (an eighth of H x W).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE_PX = 112
LENGTH = 8
"""T: steps that the head averages."""
LAYERS = 3
MEMORY = 2 + 2 * LAYERS
"""R: two crops back for motion, and two more for each temporal layer."""

CHANNELS = 32
GAIN, BIAS = 2.0, 0.7
"""Of the head: see `_fill_weights`."""
PIXEL_MEAN, PIXEL_STD = 127.5, 64.0


class ToyClipNet(nn.Module):
    """The same weights for the same seed, on any machine."""

    size_px, length, memory = SIZE_PX, LENGTH, MEMORY
    causal, look_ahead = True, 0

    def __init__(self, seed: int = 9) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),  # (N L, 16, H/2, W/2)
            nn.ReLU(),
            nn.Conv2d(16, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1),  # (N L, C, H/4, W/4)
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1),  # (N L, C, h, w)
            nn.ReLU(),
        )
        self.join = nn.Conv2d(3 * CHANNELS, CHANNELS, 1)
        self.layers = nn.ModuleList([FullTaps(CHANNELS), DepthwiseTaps(CHANNELS), DepthwiseTaps(CHANNELS)])
        self.head = nn.Linear(CHANNELS, 1)
        _fill_weights(self, seed)

    def forward(self, crops: Tensor) -> Tensor:
        """Crops (N, L, H, W, 3) uint8 give logits (N, 1). For L = R + T, what came before the clip does not matter."""
        age = torch.arange(crops.shape[1], device=crops.device)[None]  # (1, L)
        logits, _ = self._run(crops, age, [None] * (2 + LAYERS))
        return logits

    def step(self, crops: Tensor, state: list[Tensor], age: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The next crop (N, H, W, 3) uint8 of each face, its state, and how many it was given before (N,) int64.

        Gives the logits (N, 1) and the next state. It begins as zeros: `state_shapes`.
        """
        return self._run(crops[:, None], age[:, None], state)

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without N, in the order of `step`."""
        side = SIZE_PX // 8
        past = (2, CHANNELS, side, side)
        return {"frames": past, **{f"layer_{i}": past for i in range(LAYERS)}, "recent": (LENGTH - 1, CHANNELS)}

    def _run(self, crops: Tensor, age: Tensor, states: list[Tensor] | list[None]) -> tuple[Tensor, list[Tensor]]:
        length = crops.shape[1]
        pixels = crops.flatten(0, 1).permute(0, 3, 1, 2)  # (N L, 3, H, W)
        x = self.stem((pixels.float() - PIXEL_MEAN) / PIXEL_STD).unflatten(0, (-1, length))  # (N, L, C, h, w)

        taps, past = _two_back(x, states[0])
        x = torch.cat([x, *motion(taps, age)], dim=2).flatten(0, 1)  # (N L, 3 C, h, w)
        x = functional.relu(self.join(x)).unflatten(0, (-1, length))  # (N, L, C, h, w)

        states_next = [past]
        for layer, state in zip(self.layers, states[1:-1], strict=True):
            taps, past = _two_back(x, state)
            x = functional.relu(x + layer(taps))
            states_next.append(past)

        steps, recent = _with_past(x.mean(dim=(3, 4)), states[-1], LENGTH - 1)  # (N, T - 1 + L, C), (N, T - 1, C)
        seen = (age[:, -1:] + 1).clamp(max=LENGTH)  # (N, 1)
        mean = steps[:, -LENGTH:].sum(dim=1) / seen  # (N, C): steps before the first are zeros
        return self.head(mean), [*states_next, recent]


class FullTaps(nn.Module):
    """Every channel from every channel of the last three steps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, taps: list[Tensor]) -> Tensor:
        length = taps[0].shape[1]
        x = torch.cat(taps, dim=2).flatten(0, 1)  # (N L, 3 C, h, w)
        return self.mix(x).unflatten(0, (-1, length))  # (N, L, C, h, w)


class DepthwiseTaps(nn.Module):
    """Each channel from its own last three steps; then the channels are mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.empty(3, channels, 1, 1))
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, taps: list[Tensor]) -> Tensor:
        length = taps[0].shape[1]
        x = taps[0] * self.taps[0] + taps[1] * self.taps[1] + taps[2] * self.taps[2]  # (N, L, C, h, w)
        return self.mix(x.flatten(0, 1)).unflatten(0, (-1, length))


def motion(taps: list[Tensor], age: Tensor) -> tuple[Tensor, Tensor]:
    """First and second difference of the last three steps (N, L, C, h, w), zero where the past is not that long."""
    before_last, last, now = taps
    age = age[:, :, None, None, None]
    first = (now - last) * (age >= 1)
    second = (now - 2 * last + before_last) * (age >= 2)
    return first, second


def _two_back(x: Tensor, past: Tensor | None) -> tuple[list[Tensor], Tensor]:
    """For steps (N, L, ...): those two before, one before, and themselves; and the last two, for the next time."""
    length = x.shape[1]
    steps, last_two = _with_past(x, past, 2)  # (N, 2 + L, ...)
    return [steps[:, i : i + length] for i in range(3)], last_two


def _with_past(x: Tensor, past: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """The steps (N, L, ...) after the `count` before them (zeros, if there is no past), and the new last `count`."""
    if past is None:
        steps = functional.pad(x, (0, 0) * (x.dim() - 2) + (count, 0))
    else:
        steps = torch.cat([past, x], dim=1)
    return steps, steps[:, -count:]


def _fill_weights(net: ToyClipNet, seed: int) -> None:
    """Uniform and scaled by the number of inputs, so that signals neither fade nor grow from layer to layer.

    torch.rand is exact arithmetic: no processor gives other bits, as one could with a normal distribution.
    """
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in net.named_parameters():
            inputs = 3 if name.endswith("taps") else weights[0].numel()
            bound = 0.05 if name.endswith("bias") else math.sqrt(6 / inputs)
            weights.copy_((2 * torch.rand(weights.shape, generator=random) - 1) * bound)
        # Two halves against each other, and loud: else all scores would be about the same. With the default seed and
        # this bias those of ordinary faces lie on both sides of one half, so that no curve looks like a verdict.
        half = GAIN * net.head.weight[:, : CHANNELS // 2]
        net.head.weight.copy_(torch.cat([half, -half], dim=1))
        net.head.bias.fill_(BIAS)
