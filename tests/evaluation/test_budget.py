"""Budgets of false alarms: how much footage shows them, and what is said where there is less."""

from __future__ import annotations

import re
from math import comb, exp, factorial

import pytest

from streamguard.errors import BudgetError, ConfigError
from streamguard.evaluation.budget import (
    FEWEST_GROUPS,
    RateBudget,
    ShareBudget,
    count_bound,
    rate_budget,
    share_bound,
)


def test_rule_of_three() -> None:
    """None of n: at most 3 in n with 95% confidence, nearly."""
    assert share_bound(0, 300, 0.95) == pytest.approx(3 / 300, rel=0.01)
    assert count_bound(0, 0.95) == pytest.approx(2.9957, abs=1e-4)
    assert ShareBudget(share=0.02).groups_needed == 149
    assert ShareBudget(share=0.01).groups_needed == 299
    assert rate_budget("1 per 10 hours").hours_needed == pytest.approx(29.957, abs=1e-3)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 5), (3, 40), (39, 40)])
def test_share_bound_is_where_so_few_would_hardly_come(k: int, n: int) -> None:
    p = share_bound(k, n, 0.9)
    assert sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("k", [0, 1, 7, 60])
def test_count_bound_is_where_so_few_would_hardly_come(k: int) -> None:
    mean = count_bound(k, 0.9)
    assert sum(exp(-mean) * mean**i / factorial(i) for i in range(k + 1)) == pytest.approx(0.1, abs=1e-6)


def test_share_bound_grows_between_whole_numbers_and_knows_its_ends() -> None:
    low, middle, high = (share_bound(k, 60, 0.95) for k in (0, 0.5, 1))
    assert middle == pytest.approx((low + high) / 2)
    assert share_bound(60, 60, 0.95) == share_bound(0, 0, 0.95) == 1.0


@pytest.mark.parametrize(
    ("text", "count", "hours"),
    [
        ("1 per 10 hours", 1, 10),
        ("0.5 per hour", 0.5, 1),
        (" 2  per day ", 2, 24),
        ("3 in 2 weeks", 3, 336),
        ("1 per 1.5 hours", 1, 1.5),
    ],
)
def test_rates_are_read_as_people_say_them(text: str, count: float, hours: float) -> None:
    budget = rate_budget(text)
    assert (budget.count, budget.hours) == (count, hours)
    assert budget.per_hour == pytest.approx(count / hours)
    assert f"{budget}".startswith(f"at most {' '.join(text.split())} of honest footage")


@pytest.mark.parametrize("text", ["", "1", "one per hour", "1 per 0 hours", "0 per day", "-1 per hour", "1 per month"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--false-alarms: "):
        rate_budget(text)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=r"^--false-positive-rate: "):
        ShareBudget(share=share)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_what_is_no_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ConfigError, match=r"^--confidence: "):
        ShareBudget(share=0.02, confidence=confidence)
    with pytest.raises(ConfigError, match=r"^--confidence: "):
        rate_budget("1 per hour", confidence)


def test_too_few_groups_are_told_with_what_would_do_and_what_they_can_show() -> None:
    budget = ShareBudget(share=0.02)
    budget.check(149, 0.1)
    with pytest.raises(BudgetError) as refused:
        budget.check(75, 0.2)
    told = str(refused.value)
    assert "needs 149 groups of honest people, none of them accused, and there are 75 (0.2 hours)" in told
    share, confidence = re.findall(r"--false-positive-rate ([\d.]+), or 0.02 with --confidence ([\d.]+)", told)[0]
    assert (share, confidence) == ("0.04", "0.78")
    ShareBudget(share=float(share)).check(75, 0.2)
    ShareBudget(share=0.02, confidence=float(confidence)).check(75, 0.2)


def test_too_few_hours_are_told_with_what_would_do_and_what_they_can_show() -> None:
    budget = rate_budget("1 per 10 hours")
    budget.check(100, 30.0)
    with pytest.raises(BudgetError) as refused:
        budget.check(75, 0.22)
    told = str(refused.value)
    assert "needs 30 hours of honest footage without a single false alarm, and there are 0.22 (of 75 groups)" in told
    [possible] = re.findall(r"--false-alarms '(.+)'", told)
    assert possible == "14 per hour"
    rate_budget(possible).check(75, 0.22)
    with pytest.raises(BudgetError, match=r"'1 per 1\.6 hours'"):
        budget.check(75, 5.0)
    rate_budget("1 per 1.6 hours").check(75, 5.0)


def test_many_hours_of_few_people_show_no_rate() -> None:
    with pytest.raises(BudgetError, match=f"needs honest footage of {FEWEST_GROUPS} groups of people, and .* are of 3"):
        rate_budget("1 per 10 hours").check(3, 500.0)


def test_what_was_counted_may_not_be_the_budget_but_what_it_leaves_possible() -> None:
    share = ShareBudget(share=0.05)
    assert share.allows(0, 60)
    assert not share.allows(1, 60)
    assert share.allows(1, 95)
    rate = RateBudget(count=1, hours=1)
    assert rate.allows(0, 3.0)
    assert not rate.allows(1, 3.0)
    assert rate.allows(1, 4.8)
