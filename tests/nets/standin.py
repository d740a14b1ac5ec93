"""A network small enough to count by hand, with all that a registered network has; and its entry."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from streamguard.nets import registry
from streamguard.nets.registry import Entry

STANDIN = Entry(
    name="standin",
    summary="counted by hand",
    module="standin",
    network="Standin",
    options_class="StandinOptions",
    preset={"head": "wide"},
    grid_s=0.1,
    hop_s=0.3,
    recipe="square",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandinOptions:
    causal: bool = True
    head: Literal["wide", "narrow"] = "narrow"
    extra: tuple[int, ...] = ()
    note: str = ""
    size_px: int = 8
    length: int = 4
    width: float = 1.0


class Standin(nn.Module):
    DECISIONS: ClassVar[dict[str, str]] = {"sum": "the channels are averaged"}

    def __init__(self, options: StandinOptions) -> None:
        super().__init__()
        self.options = options
        self.size_px, self.length = options.size_px, options.length
        self.causal, self.memory = options.causal, 2
        self.look_ahead = 0 if options.causal else options.length - 1
        channels = round(6 * options.width)
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.taps = Taps(channels)
        self.head = nn.Sequential(
            nn.Linear(channels, 10 if options.head == "wide" else 2), nn.Linear(10 if options.head == "wide" else 2, 1)
        )

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Found by running, as real ones are."""
        with torch.device("meta"):
            crops = torch.zeros(1, 1, self.size_px, self.size_px, 3, dtype=torch.uint8)
            return {"past": tuple(copy.deepcopy(self).to("meta")(crops).shape)}

    def forward(self, crops: Tensor) -> Tensor:
        length = crops.shape[1]
        x = self.stem(crops.flatten(0, 1).permute(0, 3, 1, 2).float() / 255)  # (N L, C, H, W)
        logits: Tensor = self.head(self.taps(self.norm(x)).mean(dim=(2, 3))).unflatten(0, (-1, length)).mean(dim=1)
        return logits

    def step(self, crops: Tensor, state: list[Tensor], age: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self(crops[:, None]), state


class Taps(nn.Module):
    """Multiplies without being a convolution, and says so."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.taps

    def macs_of(self, output: Tensor) -> int:
        return output.numel()


def register(monkeypatch: pytest.MonkeyPatch, *, alone: bool = False) -> Entry:
    """Among the networks, or instead of them, until the test is over."""
    module = ModuleType(f"{registry.__package__}.{STANDIN.module}")
    vars(module).update(Standin=Standin, StandinOptions=StandinOptions)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = {} if alone else registry.ENTRIES
    monkeypatch.setattr(registry, "ENTRIES", {**entries, STANDIN.name: STANDIN})
    return STANDIN
