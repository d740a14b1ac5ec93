"""A look at people who are not trained on while training runs: how well fakes of them are told from themselves.

It shows whether training goes anywhere. It is no measure of a detector: these are pseudo-fakes, and few people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ..data.index import Index
from .batches import Batch, batch_of
from .pairs import PairMaker, material_of
from .recipe import Recipe, Stage

LEAST_GROUPS = 2
CLIPS_AT_ONCE = 16
WINDOWS = 2
SEED = 7919
"""Apart from those that training pairs are made with."""


def monitored_groups(index: Index, groups: Sequence[str], recipe: Recipe) -> list[str]:
    """Some of the groups that have real video and no genuine fakes, which are too few to be spared."""
    share = recipe.data.monitor_groups
    if not share or not any(stage.pseudo for stage in recipe.stages):
        return []
    material = material_of(index, groups)
    able = sorted(material.real.keys() - material.twins.keys() - material.alone.keys())
    count = max(LEAST_GROUPS, round(share * len(able)))
    if count * 2 > len(able):
        return []
    order = np.random.default_rng(recipe.seed).permutation(len(able))
    return sorted(able[i] for i in order[:count].tolist())


def monitor_pairs(index: Index, groups: Sequence[str], recipe: Recipe) -> list:
    """Pseudo pairs of these groups, of all kinds that any stage has: the same in every run."""
    stage = _all_kinds(recipe.stages)
    maker = PairMaker(index, groups, replace(recipe, stages=(stage,)), 0, SEED)
    return [maker.make(number) for number in range(recipe.data.monitor_pairs)]


def monitor_batches(pairs: Sequence, recipe: Recipe, length: int) -> list[Batch]:
    """Cut where the runtime would cut, and not varied."""
    rng = np.random.default_rng(0)
    many = max(1, CLIPS_AT_ONCE // (2 * WINDOWS))
    return [
        batch_of(list(pairs[i : i + many]), recipe, length, WINDOWS, rng, vary=False)
        for i in range(0, len(pairs), many)
    ]


def _all_kinds(stages: Sequence[Stage]) -> Stage:
    kinds: dict[str, float] = {}
    for stage in stages:
        for kind, weight in stage.kinds.items():
            kinds[kind] = max(weight, kinds.get(kind, 0.0))
    length = max(stage.pair_length for stage in stages)
    return replace(stages[0], kinds=kinds, length=length, made_length=0, pseudo=1.0, twins=0.0, alone=0.0, stills=0.0)


def look(net: nn.Module, batches: Sequence[Batch], device: torch.device, precision: torch.dtype) -> dict[str, float]:
    """Of a network in eval mode. `auc`: fakes against all reals. `ranked`: how often a fake scores above its twin."""
    real, fake = logits_of(net, batches, device, precision)
    if not np.isfinite(real).all() or not np.isfinite(fake).all():
        return {"auc": math.nan, "ranked": math.nan}
    return {"auc": area_under_curve(real, fake), "ranked": float(((fake > real) + 0.5 * (fake == real)).mean())}


@torch.inference_mode()
def logits_of(
    net: nn.Module, batches: Sequence[Batch], device: torch.device, precision: torch.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Of both sides, a number for each pair, in the pairs' order."""
    scores: list[float] = []
    for batch in batches:
        crops = torch.from_numpy(batch.crops).to(device)
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            logits = net(crops).float()[:, 0].cpu()
        # Clips of a pair follow each other: windows of real and fake in turn.
        scores += logits.unflatten(0, (-1, WINDOWS, 2)).mean(dim=1).flatten().tolist()
    return np.array(scores[0::2]), np.array(scores[1::2])


def area_under_curve(real: np.ndarray, fake: np.ndarray) -> float:
    """How often a fake scores above a real clip; half, where both score the same."""
    above = (fake[:, None] > real[None]).mean()
    return float(above + (fake[:, None] == real[None]).mean() / 2)
