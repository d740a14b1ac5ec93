"""How a forgery's parameters change over a clip: series of about deviation 1, one value for each frame."""

from __future__ import annotations

import numpy as np


def steady(length: int) -> np.ndarray:
    """(L,): ones. What is wrong is equally wrong in each frame."""
    return np.ones(length)


def draw_series(rng: np.random.Generator, length: int, count: int = 1) -> np.ndarray:
    """(count, L): anew in each frame, a slow walk, steps now and then, or rare bursts."""
    style = rng.choice(["white", "walk", "steps", "bursts"], p=[0.35, 0.35, 0.15, 0.15])
    white = rng.standard_normal((count, length))
    if style == "white":
        return white
    if style == "walk":
        keep = rng.uniform(0.5, 0.95)
        for i in range(1, length):
            white[:, i] = keep * white[:, i - 1] + np.sqrt(1 - keep**2) * white[:, i]
        return white
    if style == "steps":
        segment = np.cumsum(rng.random(length) < rng.uniform(0.1, 0.4))
        return rng.standard_normal((count, int(segment.max()) + 1))[:, segment]
    series: np.ndarray = white * (rng.random(length) < rng.uniform(0.1, 0.4)) * 1.8
    if not series.any():
        series[:, int(rng.integers(length))] = 1.8
    return series


def draw_strength(rng: np.random.Generator, weakest: float = 0.2) -> float:
    """From `weakest` to 1, small ones as often as large ones."""
    return float(np.exp(rng.uniform(np.log(weakest), 0.0)))
