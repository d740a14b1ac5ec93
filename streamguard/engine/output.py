"""From a network's output tensor to raw scores: 0 is real, 1 is fake, whatever the network's own way of saying it."""

from __future__ import annotations

import numpy as np

from ..bundle import OutputSpec


def raw_scores(spec: OutputSpec, array: np.ndarray) -> np.ndarray:
    """(N, K) as the backend gave it -> (N,) float64. What is NaN stays NaN: who takes the score refuses it."""
    values = np.asarray(array, np.float64)
    match spec.kind:
        case "logit":
            score = _sigmoid(values[:, spec.fake_index])
        case "probability":
            score = values[:, spec.fake_index]
        case "softmax":
            with np.errstate(invalid="ignore"):  # infinite logits: NaN, and refused as such
                shares = np.exp(values - values.max(axis=1, keepdims=True))
            score = shares[:, spec.fake_index] / shares.sum(axis=1)
    return score if spec.high_means_fake else 1 - score


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Without overflow on either side: only exp of what is not positive is taken."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)
