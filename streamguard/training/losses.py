"""What training minimises, of what the networks answer. Labels are 1 for FAKE and 0 for real, everywhere."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..nets.motion_net import Answers


class MotionLoss(NamedTuple):
    """GML's three terms, weighted, and their sum."""

    total: Tensor
    first: Tensor
    """Cross-entropy of the main classifier."""
    anomaly: Tensor
    """Mean of |F*| over real clips; 0 where there is no real clip, or no branch."""
    second: Tensor
    """Cross-entropy of the branch's own classifier; 0 where there is none."""


def motion_loss(answers: Answers, labels: Tensor, *, anomaly: float = 1.0, second: float = 1.0) -> MotionLoss:
    """CE1 + L1 + CE2 of N clips with labels (N,). `anomaly` and `second` are weights; the paper's are 1.

    A causal network answers after each crop, and all of its answers count: also the first, when nothing was before.
    """
    terms = (
        _cross_entropy(answers.scores, labels),
        anomaly * _size_on_reals(answers.anomaly, labels),
        second * _cross_entropy(answers.anomaly_scores, labels),
    )
    return MotionLoss(sum(terms, start=torch.zeros(())), *terms)


def logit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of logits (N, 1), which say FAKE where they are high, with labels (N,). AltFreezing's."""
    return functional.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))


def _cross_entropy(scores: Tensor | None, labels: Tensor) -> Tensor:
    """Of scores (N, A, 2) with labels (N,): the mean over clips and answers."""
    if scores is None:
        return torch.zeros(())
    return functional.cross_entropy(scores.flatten(0, 1), labels.long().repeat_interleave(scores.shape[1]))


def _size_on_reals(features: Tensor | None, labels: Tensor) -> Tensor:
    """Of F* (N, L, C, h, w)."""
    if features is None or not bool((labels == 0).any()):
        return torch.zeros(())
    return features[labels == 0].abs().mean()
