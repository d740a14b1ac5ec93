"""What a network costs: parameters and multiply-adds (MAC), counted by running it on torch's "meta" device.

There tensors have shapes but no numbers, so counting takes no memory and hardly any time, at full width too. Counted
are convolutions, linear layers, and modules that multiply in their own way and say how often (`macs_of`). Norms,
activations, pooling, resizing and sums are not, as in most papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .contract import ClipNet
from .registry import Entry

META = torch.device("meta")


@runtime_checkable
class CountsItself(Protocol):
    """A module that multiplies without being a convolution or a linear layer."""

    def macs_of(self, output: Tensor) -> int:
        """Multiply-adds that gave this output of `forward`, without those of modules within."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one network, for one face."""

    parameters: int
    norm_parameters: int
    """Those of them that are scales and shifts of norms; some counts leave these out."""
    size_px: int
    length: int
    """T."""
    memory: int
    """R: crops before those T that its answer depends on."""
    causal: bool
    look_ahead: int
    """Crops after a moment that must be seen before its answer on that moment is complete."""
    look_ahead_s: float
    clip_macs: int
    """Of a whole clip, R + T crops."""
    step_macs: int | None
    """Of one more crop, where the network can take them one by one."""
    score_macs: int
    """Of a score in a running stream: of the steps since the last one, else of the whole clip."""

    @property
    def clip_crops(self) -> int:
        return self.memory + self.length

    @property
    def crop_macs(self) -> float:
        """The clip's share: of a causal network a step's."""
        return self.clip_macs / self.clip_crops


def cost_of(entry: Entry, given: Mapping[str, str] = {}) -> Cost:
    """The network of `entry.build(given)`, made and run on the meta device."""
    with META:
        module = entry.build(given)
        net = cast(ClipNet, module)
        clip = _pixels(1, net.memory + net.length, net.size_px)
        clip_macs = macs(module, lambda: module(clip))
        step_macs = _macs_of_step(module) if net.causal else None
    return Cost(
        parameters=_parameters(module.modules()),
        norm_parameters=_parameters(each for each in module.modules() if isinstance(each, _BatchNorm)),
        size_px=net.size_px,
        length=net.length,
        memory=net.memory,
        causal=net.causal,
        look_ahead=net.look_ahead,
        look_ahead_s=round(net.look_ahead * entry.grid_s, 6),
        clip_macs=clip_macs,
        step_macs=step_macs,
        score_macs=clip_macs if step_macs is None else entry.hop_steps * step_macs,
    )


def macs(net: nn.Module, run: Callable[[], object]) -> int:
    """Multiply-adds of everything within `net` that is called while `run` runs."""
    total = 0

    def add(module: nn.Module, _: object, output: Any) -> None:
        nonlocal total
        total += _macs(module, output)

    with _hooked(net, add), torch.no_grad():
        run()
    return total


def _parameters(modules: Iterable[nn.Module]) -> int:
    return sum(each.numel() for module in modules for each in module.parameters(recurse=False))


def _macs(module: nn.Module, output: Any) -> int:
    if isinstance(module, CountsItself):
        return module.macs_of(output)
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)):
        return int(output.numel() * module.weight[0].numel())  # each output is a sum over one filter
    return 0


@contextmanager
def _hooked(net: nn.Module, add: Callable[[nn.Module, Any, Any], None]) -> Iterator[None]:
    hooks = [module.register_forward_hook(add) for module in net.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _macs_of_step(net: Any) -> int:
    # Made before anything is counted: to know its state's shapes a network may run itself.
    state = [torch.empty(1, *shape) for shape in net.state_shapes.values()]
    crop, age = _pixels(1, net.size_px), torch.zeros(1, dtype=torch.int64)
    return macs(net, lambda: net.step(crop, state, age))


def _pixels(*shape: int) -> Tensor:
    """(..., H, W, 3) uint8 of nothing."""
    return torch.empty(*shape, shape[-1], 3, dtype=torch.uint8)
