"""Backoff grows, has a ceiling, spreads, and forgets after a healthy time."""

from __future__ import annotations

import random

from streamguard.sources.retry import Backoff


def backoff(seed: int = 1) -> Backoff:
    return Backoff(first_s=0.5, longest_s=30.0, healthy_after_s=60.0, rng=random.Random(seed))


def test_ceiling_doubles_to_the_longest() -> None:
    retry = backoff()
    ceilings = []
    for _ in range(9):
        retry.failed(up_s=0.0)
        ceilings.append(retry.ceiling_s)
    assert ceilings == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_waits_are_spread_from_zero_to_the_ceiling() -> None:
    waits = []
    for seed in range(200):
        retry = backoff(seed)
        retry.failed(up_s=0.0)
        waits.append(retry.failed(up_s=0.0))
    assert min(waits) < 0.1
    assert 0.9 < max(waits) <= 1.0


def test_same_seed_gives_same_waits() -> None:
    assert [backoff(7).failed(up_s=0.0) for _ in range(3)] == [backoff(7).failed(up_s=0.0)] * 3


def test_healthy_minute_starts_over() -> None:
    retry = backoff()
    for _ in range(6):
        retry.failed(up_s=0.0)
    retry.failed(up_s=59.9)
    assert retry.failures == 7
    retry.failed(up_s=60.0)
    assert (retry.failures, retry.ceiling_s) == (1, 0.5)


def test_refused_password_waits_long_from_the_start() -> None:
    assert all(15.0 <= backoff(seed).failed(up_s=0.0, slow_end=True) <= 30.0 for seed in range(50))


def test_thousands_of_failures_do_not_overflow() -> None:
    retry = backoff()
    for _ in range(5000):
        assert retry.failed(up_s=0.0) <= 30.0
