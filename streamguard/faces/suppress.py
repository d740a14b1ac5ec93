"""Many answers of a detector for one face become one. Called by the detectors.

An answer is (K, 2): its box's centre, its box's size, then points, in any unit.
"""

from __future__ import annotations

import numpy as np

SAME_ANSWER_OVERLAP = 0.3
"""Answers whose boxes overlap by more (intersection over union) are one face."""


def blended(answers: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """One averaged answer per face, weighted by score, with the best score; best first. `answers`: (N, K, 2).

    As BlazeFace wants it (Bazarevsky et al., section 4.2): faces jitter less than with the best answer alone.
    """
    order = np.argsort(-scores, kind="stable")
    faces = []
    while order.size:
        overlaps = _overlaps(answers[order[0]], answers[order])
        # The best answer always counts as itself, even if its box is empty.
        same = overlaps > SAME_ANSWER_OVERLAP
        same[0] = True
        group = order[same]
        mean = np.average(answers[group], axis=0, weights=scores[group])
        faces.append((mean, float(scores[order[0]])))
        order = order[~same]
    return faces


def strongest(answers: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """The best answer per face, with its score; best first."""
    order = np.argsort(-scores, kind="stable")
    faces = []
    while order.size:
        best, others = order[0], order[1:]
        faces.append((answers[best], float(scores[best])))
        order = others[_overlaps(answers[best], answers[others]) <= SAME_ANSWER_OVERLAP]
    return faces


def _overlaps(one: np.ndarray, all_answers: np.ndarray) -> np.ndarray:
    """Intersection over union of one answer's box with each of the others'."""
    low = np.maximum(one[0] - one[1] / 2, all_answers[:, 0] - all_answers[:, 1] / 2)
    high = np.minimum(one[0] + one[1] / 2, all_answers[:, 0] + all_answers[:, 1] / 2)
    shared = np.clip(high - low, 0.0, None).prod(axis=1)
    either = one[1].prod() + all_answers[:, 1].prod(axis=1) - shared
    return shared / np.maximum(either, 1e-9)
