"""Networks that are as small as can be, and all that a network is: one looks back, one needs its whole clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyOptions:
    size_px: int = 32
    length: int = 3
    width: float = 1.0


class TinyWindow(nn.Module):
    """A convolution over space and time."""

    DECISIONS: ClassVar[dict[str, str]] = {"pool": "mean over everything"}
    memory, causal = 0, False

    def __init__(self, options: TinyOptions | None = None) -> None:
        super().__init__()
        self.options = options or TinyOptions()
        self.size_px, self.length = self.options.size_px, self.options.length
        self.look_ahead = self.length - 1
        self.conv = nn.Conv3d(3, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm3d(16)
        self.head = nn.Linear(16, 1)

    def forward(self, crops: Tensor) -> Tensor:
        x = self.conv(crops.permute(0, 4, 1, 2, 3).float() / 64 - 2)  # (N, 16, T', h, w)
        logits: Tensor = self.head(functional.relu(self.norm(x)).mean(dim=(2, 3, 4)))
        return logits


class TinyCausal(nn.Module):
    """A convolution over a crop and the one before; the mean of the last T. So R = 1."""

    DECISIONS: ClassVar[dict[str, str]] = {}
    memory, causal, look_ahead = 1, True, 0

    def __init__(self, options: TinyOptions | None = None) -> None:
        super().__init__()
        self.options = options or TinyOptions()
        self.size_px, self.length = self.options.size_px, self.options.length
        self.conv = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.mix = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(16, 1)

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        side = self.size_px // 2
        return {"last": (1, 16, side, side), "recent": (self.length - 1, 16)}

    def forward(self, crops: Tensor) -> Tensor:
        age = torch.arange(crops.shape[1])[None]
        return self._run(crops, [torch.zeros(len(crops), *shape) for shape in self.state_shapes.values()], age)[0]

    def step(self, crops: Tensor, state: list[Tensor], age: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self._run(crops[:, None], state, age[:, None])

    def _run(self, crops: Tensor, state: list[Tensor], age: Tensor) -> tuple[Tensor, list[Tensor]]:
        length = crops.shape[1]
        x = crops.flatten(0, 1).permute(0, 3, 1, 2).float() / 64 - 2
        steps = torch.cat([state[0], self.conv(x).unflatten(0, (-1, length))], dim=1)  # (N, 1 + L, 16, h, w)
        both = torch.cat([steps[:, :-1], steps[:, 1:]], dim=2).flatten(0, 1)
        now = functional.relu(self.mix(both)).mean(dim=(2, 3)).unflatten(0, (-1, length))  # (N, L, 16)
        recent = torch.cat([state[1], now], dim=1)
        seen = (age[:, -1:] + 1).clamp(max=self.length)
        logits: Tensor = self.head(recent[:, -self.length :].sum(dim=1) / seen)
        return logits, [steps[:, -1:], recent[:, 1 - self.length :]]
