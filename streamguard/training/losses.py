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


def motion_loss(
    answers: Answers, labels: Tensor, *, anomaly: float = 1.0, second: float = 1.0, smoothing: float = 0.0
) -> MotionLoss:
    """CE1 + L1 + CE2 of N clips with labels (N,). `anomaly` and `second` are weights; the paper's are 1.

    A causal network answers after each crop, and all of its answers count: also the first, when nothing was before.
    With `smoothing` labels are that far, over 2, from 0 and 1.
    """
    terms = (
        _cross_entropy(answers.scores, labels, smoothing),
        anomaly * _size_on_reals(answers.anomaly, labels),
        second * _cross_entropy(answers.anomaly_scores, labels, smoothing),
    )
    return MotionLoss(sum(terms, start=torch.zeros((), device=labels.device)), *terms)


def logit_loss(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy of logits (N, 1), which say FAKE where they are high, with labels (N,). AltFreezing's."""
    wanted = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits[:, 0], wanted)


def ranking_loss(logits: Tensor, twins: Tensor, *, margin: float = 1.0) -> Tensor:
    """Of pairs that show the same moments: the fake's logit should lie `margin` above the real one's.

    Logits (N,) of a real clip and its fake, again and again; `twins` (N / 2,) says which pairs count.
    """
    apart = logits[1::2] - logits[0::2]
    return _mean_where(functional.softplus(margin - apart), twins)


def difference_loss(found: Tensor, masks: Tensor, masked: Tensor) -> Tensor:
    """Binary cross-entropy of logits (N, L, h, w) with the share of each place that was altered (N, L, H, W).

    `masked` (N,): of which clips that is known.
    """
    height, width = found.shape[2:]
    shares = functional.adaptive_avg_pool2d(masks, (height, width))  # (N, L, h, w)
    each = functional.binary_cross_entropy_with_logits(found, shares, reduction="none").mean(dim=(1, 2, 3))
    return _mean_where(each, masked)


def _mean_where(values: Tensor, which: Tensor) -> Tensor:
    """0 where there are none."""
    weights = which.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp(min=1)


def _cross_entropy(scores: Tensor | None, labels: Tensor, smoothing: float) -> Tensor:
    """Of scores (N, A, 2) with labels (N,): the mean over clips and answers."""
    if scores is None:
        return torch.zeros((), device=labels.device)
    each = labels.long().repeat_interleave(scores.shape[1])
    return functional.cross_entropy(scores.flatten(0, 1), each, label_smoothing=smoothing)


def _size_on_reals(features: Tensor | None, labels: Tensor) -> Tensor:
    """Of F* (N, L, C, h, w)."""
    if features is None or not bool((labels == 0).any()):
        return torch.zeros((), device=labels.device)
    return features[labels == 0].abs().mean()
