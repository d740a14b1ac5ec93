"""Simulated calls for tests of calibration: people whom a network gets wrong in the same way all along.

A score's logit is the label's, plus an error of the person, one of the track, and one that drifts. So moments of a face
are far from independent, as they are in life.
"""

from __future__ import annotations

import numpy as np

from streamguard.config import ClipConfig
from streamguard.evaluation.replay import Track
from streamguard.evaluation.traces import Moment

CLIP = ClipConfig()
"""Windows of 0.64 s side by side."""


def track(
    rng: np.random.Generator,
    group: str,
    fake: bool,
    person: float,
    *,
    number: int = 0,
    apart: float = 2.0,
    windows: int = 24,
    steep: float = 1.0,
) -> Track:
    drift = np.zeros(windows)
    error = rng.normal()
    for i in range(windows):
        error = 0.8 * error + 0.6 * rng.normal()
        drift[i] = error
    logits = (apart if fake else -apart) / 2 + person + 0.3 * rng.normal() + 0.7 * drift
    raw = 1 / (1 + np.exp(-steep * logits))
    moments = tuple(
        Moment(i * CLIP.hop_s + CLIP.grid_s, (i + 1) * CLIP.hop_s, float(score), True) for i, score in enumerate(raw)
    )
    return Track(
        key=f"{group}/{number}",
        group=group,
        fake=fake,
        start_s=0.0,
        usable_s=windows * CLIP.hop_s,
        moments=moments,
    )


def calls(
    seed: int,
    *,
    real: int,
    fake: int,
    apart: float = 2.0,
    windows: int = 24,
    steep: float = 1.0,
    person: float = 0.5,
    first: int = 0,
) -> list[Track]:
    """So many groups of people of each label, one or two tracks each."""
    rng = np.random.default_rng(seed)
    made = []
    for name, groups, is_fake in (("real", real, False), ("fake", fake, True)):
        for i in range(first, first + groups):
            error = person * rng.normal()
            made += [
                track(rng, f"{name} {i}", is_fake, error, number=number, apart=apart, windows=windows, steep=steep)
                for number in range(1 + i % 2)
            ]
    return made
