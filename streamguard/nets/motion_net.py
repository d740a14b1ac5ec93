"""What GML and GML-S share: how what they see in single crops becomes one answer for a clip, or for each new crop.

    forward    a clip of any length, nothing before it -> one logit
    step       the next crop, the state, the age -> one logit, the next state
    answers    what training needs: the averaged scores of each head (at every crop, if causal), and F*
    maps       what people look at: where the anomaly branch and the motion blocks found something

`step` after any crops equals `forward` of those crops: both are `answers` of a Past.

Shapes: N faces, L crops each, H x W pixels.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .anomaly import CLASSES, Anomaly
from .motion import LOOKS_BACK, Form, mean_energy
from .past import Past

HEAD_DECISIONS = {
    "head.classes": "0 is real, 1 is fake",
    "head.time": "each classifier's scores are averaged over the last T crops; never over more",
    "head.score": "the logit of the mean of both heads' probabilities",
}


class Seen(NamedTuple):
    """What a network makes of each crop, before anything is averaged over time."""

    scores: Tensor  # (N L, 2): of real and fake
    anomaly: Anomaly | None
    texture: Tensor | None = None  # (N L, 2)


class Answers(NamedTuple):
    """Averaged over the last T crops. A answers for each clip: one, or of a causal network one after each crop."""

    scores: Tensor  # (N, A, 2): of real and fake
    anomaly_scores: Tensor | None  # (N, A, 2)
    anomaly: Tensor | None  # F* (N, L, C, h, w)
    texture_scores: Tensor | None = None  # (N, A, 2)


class Maps(NamedTuple):
    anomaly: Tensor | None  # (N, L, h, w): mean of |F*|
    motion: Tensor | None  # (N, L, h, w): what motion adds, as a share of what is seen without it


class MotionNet(nn.Module, ABC):
    def __init__(self, *, size_px: int, length: int, form: Form, temporal: int) -> None:
        """`temporal`: how many layers look back."""
        super().__init__()
        self.size_px = size_px
        self.length = length
        self.causal = form == "causal"
        self.memory = LOOKS_BACK * temporal if self.causal else 0
        self.look_ahead = 0 if self.causal else length - 1

    @abstractmethod
    def look(self, crops: Tensor, past: Past, energies: list[Tensor] | None = None) -> Seen:
        """At crops (N L, H, W, 3) uint8 RGB. `energies`: see MotionConsistencyBlock."""

    def forward(self, crops: Tensor) -> Tensor:
        """Crops (N, L, H, W, 3) uint8 RGB give logits (N, 1), positive for FAKE."""
        return logit(self.answers(crops, Past.of_clips(crops)))

    def step(self, crops: Tensor, state: list[Tensor], age: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The next crop (N, H, W, 3) uint8 of each face, its state, and how many crops it was given before (N,) int64.

        Gives logits (N, 1) and the next state. A state begins as zeros: `state_shapes`.
        """
        if not self.causal:
            raise TypeError(f"this {type(self).__name__} is centred: it sees whole clips, and takes no steps")
        past = Past(age[:, None], state)
        answers = self.answers(crops[:, None], past)
        past.check_used_up()
        return logit(answers), past.kept

    def answers(self, crops: Tensor, past: Past) -> Answers:
        """Of crops (N, L, H, W, 3) after a past."""
        seen = self.look(crops.flatten(0, 1), past)
        features = None if seen.anomaly is None else seen.anomaly.features.unflatten(0, (-1, past.length))
        second = None if seen.anomaly is None else seen.anomaly.scores
        heads = [scores for scores in (seen.scores, second, seen.texture) if scores is not None]
        averaged = iter(self._averaged(torch.cat(heads, dim=1), past).split(CLASSES, dim=-1))  # (N, A, 2) each
        return Answers(
            next(averaged),
            None if second is None else next(averaged),
            features,  # (N, L, C, h, w)
            None if seen.texture is None else next(averaged),
        )

    def maps(self, crops: Tensor) -> Maps:
        """Of clips (N, L, H, W, 3), in eval mode. Both are of one size."""
        energies: list[Tensor] = []
        seen = self.look(crops.flatten(0, 1), Past.of_clips(crops), energies)
        length = crops.shape[1]
        anomaly = None if seen.anomaly is None else seen.anomaly.features.abs().mean(dim=1).unflatten(0, (-1, length))
        size = None if anomaly is None else anomaly.shape[2:]
        motion = mean_energy(energies, size).unflatten(0, (-1, length)) if energies else None
        return Maps(anomaly, motion)

    @cached_property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without N, in the order of `step`."""
        net = copy.deepcopy(self).to("meta").eval()  # shapes only: nothing is computed
        crops = torch.zeros(1, 1, self.size_px, self.size_px, 3, dtype=torch.uint8, device="meta")
        past = Past.of_clips(crops)
        net.answers(crops, past)
        return {f"state_{i:03}": tuple(kept.shape[1:]) for i, kept in enumerate(past.kept)}

    def _averaged(self, scores: Tensor, past: Past) -> Tensor:
        """Scores (N L, K) over time: (N, A, K). The same as classifying mean features: both are linear."""
        each = scores.unflatten(0, (-1, past.length))  # (N, L, K)
        if not self.causal:
            return each.mean(dim=1, keepdim=True)
        if self.length == 1:
            return each
        steps = past.with_recent(scores, self.length - 1).transpose(1, 2)  # (N, K, T - 1 + L)
        total = functional.avg_pool1d(steps, self.length, stride=1) * self.length  # (N, K, L)
        seen = (past.age + 1).clamp(max=self.length)  # (N, L): crops before the first are zeros, and are not counted
        return (total / seen[:, None]).transpose(1, 2)


def logit(answers: Answers) -> Tensor:
    """The last answer (N, 1): the mean of both heads' probabilities, as a logit, and what surfaces add to it."""
    found = _fake_logit(answers.scores[:, -1])
    if answers.anomaly_scores is not None:
        found = _mean_of_two(found, _fake_logit(answers.anomaly_scores[:, -1]))
    return found if answers.texture_scores is None else found + _fake_logit(answers.texture_scores[:, -1])


def _fake_logit(scores: Tensor) -> Tensor:
    """Of a softmax over (N, 2): (N, 1)."""
    return scores[:, 1:2] - scores[:, 0:1]


def _mean_of_two(first: Tensor, second: Tensor) -> Tensor:
    """The logit of the mean of two probabilities that are given as logits; sure ones do not overflow."""
    fake = _log_sum(-functional.softplus(-first), -functional.softplus(-second))
    real = _log_sum(-functional.softplus(first), -functional.softplus(second))
    return fake - real


def _log_sum(a: Tensor, b: Tensor) -> Tensor:
    """log(exp a + exp b). Not torch.logaddexp: engines write it out as exp and log, which overflow."""
    return torch.maximum(a, b) + functional.softplus(-(a - b).abs())
