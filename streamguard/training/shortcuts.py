"""What a pair may not be told apart by: the file, the picture's border, or how one frame looks as a whole.

A network that can tell a fake by these has learnt how fakes were made here, not what a forged face looks like. A
logistic regression on such numbers has to stay near chance on the pairs that training is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.tracks import Done

RING = 0.08
"""Width of the border, a share of the crop's side."""
_STEPS = 30
_LUMA = np.array([0.299, 0.587, 0.114])


def shortcut_features(crops: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of one clip of crops (L, S, S, 3) uint8, by family: `border` of all frames, `frame` of the middle one."""
    side = crops.shape[1]
    width = max(1, round(RING * side))
    ring = np.ones((side, side), bool)
    ring[width:-width, width:-width] = False
    border = crops[:, ring].astype(np.float64)  # (L, N, 3)
    frame = crops[len(crops) // 2].astype(np.float64)
    return {
        "border": np.concatenate([border.mean(axis=(0, 1)), border.std(axis=(0, 1))]),
        "frame": np.concatenate([frame.mean(axis=(0, 1)), frame.std(axis=(0, 1)), _sharpness(frame)]),
    }


def _sharpness(frame: np.ndarray) -> np.ndarray:
    """(2,): mean size of the finest detail and of the gradient, as logarithms."""
    luma = frame @ _LUMA
    neighbours = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    detail = np.abs(4 * luma[1:-1, 1:-1] - neighbours).mean()
    gradient = np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()
    return np.log(np.array([detail, gradient]) + 0.1)


def file_features(done: Done, codecs: Sequence[str]) -> np.ndarray:
    """Numbers of a footage's file: size, shape, rate, length, and which of `codecs` it is."""
    seconds = max(done.seconds, 0.04)
    shape = [np.log(done.width), np.log(done.height), done.fps, np.log(seconds), np.log(done.file_bytes / seconds)]
    return np.array([*shape, *(float(done.codec == codec) for codec in codecs)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well numbers tell labels apart, on groups that the classifier did not see."""

    auc: float
    """0.5 is chance."""
    low: float
    high: float
    """90% interval by bootstrap over groups."""


def separation(features: np.ndarray, labels: np.ndarray, groups: Sequence[str], *, folds: int = 5) -> Separation:
    """Of features (N, K), labels (N,) of 0 and 1, and the group of each: cross-fitted logistic regression."""
    names = np.array(groups)
    people = np.unique(names)
    rng = np.random.default_rng(0)
    fold_of = dict(zip(rng.permutation(people).tolist(), np.arange(len(people)) % folds, strict=True))
    fold = np.array([fold_of[name] for name in names.tolist()])
    scores = np.zeros(len(labels))
    for k in np.unique(fold).tolist():
        held_out = fold == k
        scores[held_out] = _scores(features[~held_out], labels[~held_out], features[held_out])
    samples = [np.flatnonzero(names == name) for name in people.tolist()]
    drawn = [np.concatenate([samples[i] for i in rng.integers(len(people), size=len(people))]) for _ in range(200)]
    aucs = [auc(scores[rows], labels[rows]) for rows in drawn if 0 < labels[rows].sum() < len(rows)]
    low, high = np.percentile(aucs, [5, 95]).tolist() if aucs else (float("nan"), float("nan"))
    return Separation(auc=auc(scores, labels), low=low, high=high)


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The share of pairs of a 1 and a 0 in which the 1 scores higher; ties count half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    ones = labels == 1
    some = int(ones.sum())
    others = len(labels) - some
    return float((ranks[ones].sum() - some * (some + 1) / 2) / (some * others))


def _scores(features: np.ndarray, labels: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Logits of `unseen` by a ridge logistic regression (Newton's method)."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9

    def design(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([(rows - mean) / spread, np.ones((len(rows), 1))], axis=1)

    x, weights = design(features), np.zeros(features.shape[1] + 1)
    ridge = np.eye(len(weights)) * 1.0
    ridge[-1, -1] = 1e-6
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - labels) + ridge @ weights
        step = np.linalg.solve(x.T @ (x * (p * (1 - p) + 1e-6)[:, None]) + ridge, gradient)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    scores: np.ndarray = design(unseen) @ weights
    return scores
