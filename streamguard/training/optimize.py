"""How weights are moved: the optimiser of a recipe, its learning rate, and the running mean that is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import SGD, AdamW, Optimizer

from ..errors import ConfigError
from .alternate import AlternatingSchedule, AlternatingSgd
from .objective import Objective, image_names
from .recipe import OptimizerPart, Recipe, Stage

EMA_WARMUP = 10
"""At step n the running mean's decay is at most n over n and this: else the untrained start would stay in it."""


MOST_WARMUP = 5
"""The learning rate rises in a fifth of a stage at most: stages are cut short now and then."""


class Descent:
    """One optimiser, whatever its kind."""

    def __init__(self, objective: Objective, recipe: Recipe) -> None:
        self._recipe = recipe.optimizer
        self._parameters = [each for each in objective.parameters() if each.requires_grad]
        self._alternating: AlternatingSgd | None = None
        self._optimizer: Optimizer | None = None
        if recipe.optimizer.kind == "alternating":
            self._alternating = _alternating(objective, recipe)
        else:
            self._optimizer = _optimizer(objective, recipe)

    def frozen(self) -> AbstractContextManager[None]:
        """Forward and backward belong in here: what is held still anyway needs no gradients."""
        return nullcontext() if self._alternating is None else self._alternating.frozen()

    def step(self, lr: float) -> float:
        """After backward. Gives the gradients' norm, before it was cut. Gradients are gone afterwards."""
        if self._alternating is not None:
            self._alternating.forget_held()
        limit = self._recipe.clip_norm or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, limit))
        if self._alternating is not None:
            self._alternating.set_lr(lr)
            self._alternating.step()
        elif self._optimizer is not None:
            for group in self._optimizer.param_groups:
                group["lr"] = lr * group["factor"]
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Any]:
        return self._inner.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._inner.load_state_dict(state)  # type: ignore[arg-type]  # torch wants a dict

    @property
    def _inner(self) -> AlternatingSgd | Optimizer:
        inner = self._alternating or self._optimizer
        assert inner is not None
        return inner


def _alternating(objective: Objective, recipe: Recipe) -> AlternatingSgd:
    part = recipe.optimizer
    if recipe.init.lr_factor != 1:
        raise ConfigError("recipe: init.lr_factor", "alternating has one learning rate for all: must be 1")
    schedule = AlternatingSchedule(spatial_frozen=part.spatial_frozen, temporal_frozen=part.temporal_frozen)
    try:
        return AlternatingSgd(objective, schedule, lr=0.0, momentum=part.momentum, weight_decay=part.weight_decay)
    except ValueError as exc:
        raise ConfigError("recipe: optimizer.kind", str(exc)) from exc


def _optimizer(objective: Objective, recipe: Recipe) -> Optimizer:
    part = recipe.optimizer
    groups = parameter_groups(objective, part, recipe.init.lr_factor)
    if part.kind == "sgd":
        return SGD(groups, lr=0.0, momentum=part.momentum)
    return AdamW(groups, lr=0.0)


def parameter_groups(objective: Objective, part: OptimizerPart, image_factor: float) -> list[dict[str, Any]]:
    """By whether they decay, and whether they had ImageNet weights."""
    image = {f"net.{name}" for name in image_names(objective.net)}
    groups: dict[tuple[bool, bool], list[Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((parameter.ndim > 1, name in image), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": part.weight_decay if decays else 0.0,
            "factor": image_factor if of_image else 1.0,
        }
        for (decays, of_image), parameters in groups.items()
    ]


def learning_rate(stage: Stage, step: int, progress: float) -> float:
    """At a stage's step, from 0; `progress` is how much of the stage is over, 0 to 1."""
    rising = min(1.0, (step + 1) / (min(stage.warmup, stage.steps // MOST_WARMUP) + 1))
    falling = stage.final + (1 - stage.final) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return stage.lr * rising * falling


class RunningMean:
    """Of a network's weights, and of its norms' statistics, over the last steps. It trails behind, and is steadier."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        self._net = net
        self.state = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + EMA_WARMUP))
        for name, tensor in self._net.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)
            else:
                self.state[name].copy_(tensor)

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        self.steps = steps
        for name, tensor in state.items():
            self.state[name].copy_(tensor)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has these weights, and its own again afterwards."""
        own = {name: tensor.detach().clone() for name, tensor in self._net.state_dict().items()}
        self._net.load_state_dict(self.state)
        try:
            yield
        finally:
            self._net.load_state_dict(own)
