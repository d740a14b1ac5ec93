"""Training that holds still now the spatial kernels of a network, now its temporal ones (AltFreezing, CVPR 2023).

The trainer makes an `AlternatingSgd` and goes round like this:

    with optimizer.frozen():
        loss_of(net(crops)).backward()
    optimizer.step()

Spatial cues are learnt more easily than temporal ones, so the spatial kernels are held still most of the time. The
authors' own trainer was never released; which kernels belong together follows from their published code.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from torch import nn
from torch.nn import Parameter
from torch.optim import SGD

Group: TypeAlias = Literal["spatial", "temporal"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternatingSchedule:
    """Which kernels are held still at which iteration. For the other direction, exchange the two numbers."""

    spatial_frozen: int = 20
    """Iterations in a row in which spatial kernels do not move: I_s."""
    temporal_frozen: int = 1
    """Iterations in a row in which temporal kernels do not move: I_t."""
    first: Group = "spatial"
    """Which are held still at iteration 0."""

    def __post_init__(self) -> None:
        for name in ("spatial_frozen", "temporal_frozen"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.first not in ("spatial", "temporal"):
            raise ValueError(f"first is {self.first!r}; it must be 'spatial' or 'temporal'")

    def frozen_at(self, iteration: int) -> Group:
        """Iterations are counted from 0."""
        second: Group = "temporal" if self.first == "spatial" else "spatial"
        length_first = self.spatial_frozen if self.first == "spatial" else self.temporal_frozen
        place = iteration % (self.spatial_frozen + self.temporal_frozen)
        return self.first if place < length_first else second


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelGroups:
    """The parameters of a network that are trained at all, by name. A convolution's bias goes with its kernel."""

    spatial: dict[str, Parameter]
    """Of convolutions that see one moment and more than one place."""
    temporal: dict[str, Parameter]
    """Of convolutions that see one place and more than one moment."""
    shared: dict[str, Parameter]
    """All others: 1x1x1 kernels, kernels over both space and time, norms, heads. Trained at every iteration."""


def kernel_groups(net: nn.Module) -> KernelGroups:
    """By the shapes of kernels, not by names. Parameters that do not require gradients are left alone.

    A network without kernels of either kind cannot be trained in this way: ValueError.
    """
    of_kind: dict[Group, set[int]] = {"spatial": set(), "temporal": set()}
    for module in net.modules():
        if isinstance(module, nn.Conv3d) and (kind := _kind(module.kernel_size)) is not None:
            of_kind[kind].update(id(each) for each in module.parameters(recurse=False))
    groups = KernelGroups(spatial={}, temporal={}, shared={})
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in of_kind["spatial"]:
            groups.spatial[name] = parameter
        elif id(parameter) in of_kind["temporal"]:
            groups.temporal[name] = parameter
        else:
            groups.shared[name] = parameter
    for what, kernel, group in (("spatial", "1x3x3", groups.spatial), ("temporal", "3x1x1", groups.temporal)):
        if not group:
            raise ValueError(
                f"{type(net).__name__} has no {what} kernels to train (Conv3d such as {kernel}): "
                "there is nothing to alternate between"
            )
    return groups


def _kind(kernel: tuple[int, ...]) -> Group | None:
    moments, height, width = kernel
    if moments == 1 and (height > 1 or width > 1):
        return "spatial"
    if moments > 1 and height == 1 and width == 1:
        return "temporal"
    return None


class AlternatingSgd:
    """Two SGD optimisers, one for each group and both for what is shared. One of them steps at each iteration.

    What is held still does not move by a bit: the optimiser that steps does not know it, so neither weight decay nor
    old momentum can reach it, and it has no gradient. Each optimiser has a momentum of its own for shared tensors.

    Vectors (norms and biases) do not decay. The published code means this for norms too, but it looks for "norm" in
    names that say "bn", so there they decayed after all.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: AlternatingSchedule,
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
    ) -> None:
        self.schedule = schedule
        self.iteration = 0
        """Steps made so far."""
        self.groups = kernel_groups(net)
        self._held: dict[Group, dict[str, Parameter]] = {
            "spatial": self.groups.spatial,
            "temporal": self.groups.temporal,
        }
        # Keyed by what is held still while it steps.
        self._optimizers: dict[Group, SGD] = {
            "spatial": _sgd(self.groups.temporal | self.groups.shared, lr, momentum, weight_decay),
            "temporal": _sgd(self.groups.spatial | self.groups.shared, lr, momentum, weight_decay),
        }
        _log.info(
            "spatial kernels (%d tensors) frozen for %d iterations, then temporal ones (%d tensors) for %d; %s first",
            len(self.groups.spatial),
            schedule.spatial_frozen,
            len(self.groups.temporal),
            schedule.temporal_frozen,
            schedule.first,
        )

    @property
    def frozen_group(self) -> Group:
        """What is held still at this iteration."""
        return self.schedule.frozen_at(self.iteration)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Forward and backward belong in here: no gradients are computed for what is held still.

        Without it the result is the same, only slower, if `forget_held` is called before gradients are looked at.
        """
        held = [each for each in self._held[self.frozen_group].values() if each.requires_grad]
        for parameter in held:
            parameter.grad = None
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in held:
                parameter.requires_grad_(True)

    def forget_held(self) -> None:
        """After a backward pass outside of `frozen`, as several processes do it: what is held still has no say in the
        norm that gradients are cut by."""
        for parameter in self._held[self.frozen_group].values():
            parameter.grad = None

    def step(self) -> None:
        """One iteration is over. No gradient is left, of either group."""
        self._optimizers[self.frozen_group].step()
        self.zero_grad()
        self.iteration += 1

    def zero_grad(self) -> None:
        """Also where an iteration is given up, for a loss that is no number."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def set_lr(self, lr: float) -> None:
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors, enough to go on exactly as if training had not stopped."""
        return {
            "iteration": self.iteration,
            "schedule": asdict(self.schedule),
            "shapes": self._shapes(),
            **{f"{group}_frozen": optimizer.state_dict() for group, optimizer in self._optimizers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Of the same network and the same schedule: anything else is a ValueError, and nothing changes."""
        if state["schedule"] != asdict(self.schedule):
            raise ValueError(f"training was begun with another schedule: {state['schedule']}")
        if state["shapes"] != self._shapes():
            raise ValueError("training was begun with another network: its parameters are others")
        before = {group: copy.deepcopy(optimizer.state_dict()) for group, optimizer in self._optimizers.items()}
        try:
            for group, optimizer in self._optimizers.items():
                optimizer.load_state_dict(state[f"{group}_frozen"])
        except Exception:
            for group, optimizer in self._optimizers.items():
                optimizer.load_state_dict(before[group])
            raise
        self.iteration = state["iteration"]

    def _shapes(self) -> dict[str, list[list[Any]]]:
        """In order: an optimiser knows its parameters by their place."""
        return {
            name: [[each, list(parameter.shape)] for each, parameter in group.items()]
            for name, group in (
                ("spatial", self.groups.spatial),
                ("temporal", self.groups.temporal),
                ("shared", self.groups.shared),
            )
        }


def _sgd(parameters: Mapping[str, Parameter], lr: float, momentum: float, weight_decay: float) -> SGD:
    matrices = [each for each in parameters.values() if each.ndim > 1]
    vectors = [each for each in parameters.values() if each.ndim <= 1]
    return SGD(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=lr,
        momentum=momentum,
    )
