"""Evidence adds up: every moment once, forgotten by half-lives, bounded both ways, and hard to corrupt."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan

import numpy as np
import pytest

from streamguard.scoring.accumulate import CEILING, FLOOR, PER_WINDOW, SHORTEST_WINDOW_S, Evidence

WINDOW_S = 0.64
FORGET_S = 8.0
LEVELS: dict[str, Callable[[float], float]] = {
    "steady": lambda _: 0.3,
    "honest": lambda _: -0.2,
    "growing": lambda t: 0.02 * t,
    "waves": lambda t: 0.3 + 0.2 * float(np.sin(t)),
}


def accumulated(
    hop_s: float, until_s: float, level: Callable[[float], float], window_s: float = WINDOW_S, start_s: float = 0.0
) -> Evidence:
    """Windows every hop, each saying the mean of `level` over its time."""
    total = Evidence(forget_after_s=FORGET_S)
    for i in range(round((until_s - window_s) / hop_s) + 1):
        end = window_s + i * hop_s
        says = float(np.mean([level(end - window_s + (k + 0.5) * window_s / 32) for k in range(32)]))
        assert total.add(says, pts_start_s=start_s + end - window_s, pts_end_s=start_s + end)
    return total


def add(total: Evidence, evidence: float, end_s: float, window_s: float = WINDOW_S) -> bool:
    return total.add(evidence, pts_start_s=end_s - window_s, pts_end_s=end_s)


@pytest.mark.parametrize("hop_s", [0.08, 0.16, 0.32, 0.48, 0.64])
@pytest.mark.parametrize("start_s", [0.0, 1.7e9])
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS.keys())
def test_any_hop_adds_up_to_the_same(hop_s: float, start_s: float, level: Callable[[float], float]) -> None:
    until_s = 0.64 + 15 * 1.92
    whole = accumulated(0.64, until_s, level).at(until_s)
    stepped = accumulated(hop_s, until_s, level, start_s=start_s)
    assert stepped.at(start_s + until_s) == pytest.approx(whole, rel=0.05)
    assert stepped.windows == pytest.approx(until_s / WINDOW_S, rel=1e-3)


def test_scaled_evidence_adds_up_more_slowly_and_the_limit_of_a_window_stays_what_it_is() -> None:
    total = Evidence(forget_after_s=1e9, scale=0.25)
    add(total, 2.0, 0.64)
    assert total.at(0.64) == pytest.approx(0.5)
    add(total, 100.0, 1.28)
    assert total.at(1.28) == pytest.approx(0.5 + PER_WINDOW)
    assert total.windows == pytest.approx(2.0)


def test_overlapping_windows_only_say_what_is_new() -> None:
    total = Evidence(forget_after_s=1e9)
    add(total, 1.0, 0.64)
    add(total, 1.0, 0.72)
    assert total.at(0.72) == pytest.approx(1.0 + 0.08 / 0.64)
    assert total.windows == pytest.approx(1.125)


def test_time_between_windows_counts_for_nothing() -> None:
    total = Evidence(forget_after_s=1e9)
    add(total, 1.0, 1.0)
    add(total, 1.0, 100.0)
    assert total.at(100.0) == pytest.approx(2.0)
    assert total.windows == pytest.approx(2.0)


def test_one_window_says_no_more_than_its_limit() -> None:
    for evidence in (13.8, 1e300):
        total = Evidence(forget_after_s=FORGET_S)
        add(total, evidence, 1.0)
        assert total.at(1.0) == PER_WINDOW
        total = Evidence(forget_after_s=FORGET_S)
        add(total, -evidence, 1.0)
        assert total.at(1.0) == -PER_WINDOW


def test_certain_steps_within_one_window_of_time_say_no_more_than_one_window() -> None:
    total = Evidence(forget_after_s=1e9)
    add(total, 0.0, 0.64)
    for i in range(1, 9):
        add(total, 13.8, 0.64 + 0.08 * i)
    assert total.at(1.28) == pytest.approx(PER_WINDOW)


def test_crops_of_one_moment_are_no_window() -> None:
    total = Evidence(forget_after_s=1e9)
    for i in range(1, 6):
        total.add(2.0, pts_start_s=0.04 * i - 0.04, pts_end_s=0.04 * i)
    assert total.at(0.2) == pytest.approx(2.0 * 0.2 / SHORTEST_WINDOW_S)


@pytest.mark.parametrize("forget_after_s", [0.5, 8.0, 60.0])
def test_half_is_forgotten_after_the_half_life_exactly(forget_after_s: float) -> None:
    total = Evidence(forget_after_s=forget_after_s)
    add(total, 1.6, 10.0)
    assert total.at(10.0) == 1.6
    assert total.at(10.0 + forget_after_s) == pytest.approx(0.8, rel=1e-12)
    assert total.at(10.0 + 3 * forget_after_s) == pytest.approx(0.2, rel=1e-12)


def test_new_evidence_is_added_to_what_is_left() -> None:
    total = Evidence(forget_after_s=FORGET_S)
    add(total, 1.6, 1.0)
    add(total, -0.5, 9.0)
    assert total.at(9.0) == pytest.approx(0.8 - 0.5)


def test_looking_does_not_forget() -> None:
    total = Evidence(forget_after_s=FORGET_S)
    add(total, 1.6, 1.0)
    assert [total.at(9.0), total.at(1.0)] == pytest.approx([0.8, 1.6])


def test_before_the_newest_window_it_is_as_it_was_there() -> None:
    total = Evidence(forget_after_s=FORGET_S)
    assert total.at(5.0) == 0.0
    add(total, 1.6, 10.0)
    assert total.at(0.0) == total.at(nan) == 1.6


def test_sum_stays_between_floor_and_ceiling() -> None:
    for evidence, bound in ((2.0, CEILING), (-2.0, FLOOR)):
        total = Evidence(forget_after_s=FORGET_S)
        for i in range(200):
            add(total, evidence, 0.64 * (i + 1))
        assert total.at(128.0) == bound


def test_an_honest_hour_is_worth_no_more_than_two_windows() -> None:
    total = Evidence(forget_after_s=FORGET_S)
    for i in range(5625):
        add(total, -2.0, 0.64 * (i + 1))
    add(total, 2.0, 3600.64)
    assert total.at(3600.64) < 0
    add(total, 2.0, 3601.28)
    assert total.at(3601.28) > 0


@pytest.mark.parametrize(
    ("evidence", "start_s", "end_s"),
    [
        (nan, 10.0, 10.64),
        (inf, 10.0, 10.64),
        (1.0, nan, 10.64),
        (1.0, 10.0, nan),
        (1.0, -inf, 10.64),
        (1.0, 10.0, inf),
        (1.0, -1e308, 1e308),
        (1.0, 10.64, 10.0),
        (1.0, 11.0, 11.0),
        (1.0, 4.0, 4.64),
        (1.0, 4.5, 5.0),
    ],
)
def test_what_is_no_news_changes_nothing(evidence: float, start_s: float, end_s: float) -> None:
    total = Evidence(forget_after_s=FORGET_S)
    add(total, 1.0, 5.0)
    assert total.add(evidence, pts_start_s=start_s, pts_end_s=end_s) is False
    assert (total.at(5.0), total.windows, total.newest_pts_s) == (1.0, 1.0, 5.0)
    assert add(total, 1.0, 5.64) is True


def test_late_window_still_says_what_is_new_in_it() -> None:
    total = Evidence(forget_after_s=1e9)
    add(total, 1.0, 5.0)
    assert total.add(1.0, pts_start_s=4.0, pts_end_s=6.0)
    assert total.at(6.0) == pytest.approx(1.5)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_random_breaks_the_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    total = Evidence(forget_after_s=float(rng.choice([0.01, 8.0, 1e6])))
    strange = [nan, inf, -inf, 1e308, -1e308, 0.0]
    newest = -inf
    for _ in range(500):
        evidence, start_s, length_s = rng.normal(0, 4), rng.normal(50, 30), rng.normal(0.4, 0.4)
        numbers = [evidence, start_s, start_s + length_s]
        if rng.random() < 0.05:
            numbers[rng.integers(3)] = strange[rng.integers(len(strange))]
        before, windows = total.at(newest), total.windows
        if total.add(numbers[0], pts_start_s=numbers[1], pts_end_s=numbers[2]):
            assert numbers[2] > newest
            newest = numbers[2]
            assert windows < total.windows <= windows + 1
        else:
            assert (total.at(newest), total.windows) == (before, windows)
        assert FLOOR <= total.at(newest) <= CEILING
        assert isfinite(total.at(newest + rng.exponential(100)))
