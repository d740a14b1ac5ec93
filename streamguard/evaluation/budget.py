"""How many false alarms are allowed, and whether so much honest footage can show that a detector keeps to it.

Two kinds of budget: a share of honest faces that may be accused, and a number of accusations in so many hours of honest
footage. Both hold at a stated confidence: not what was counted must be within the budget, but the most that the counts
leave possible (Clopper and Pearson's bound for shares, the Poisson one for counts). So there is always an amount of
footage below which no detector, however good, could show it; then the budget is refused, with that amount.

People are counted, not clips: ten clips of one person say little more than one, so a share is the mean over groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, exp, floor, inf, lgamma, log, log1p, log10

from ..errors import BudgetError, ConfigError
from .measures import upper_bound

SURE = 0.95
"""With which bounds are told; budgets hold with the confidence that the user states."""
HOURS_OF = {"hour": 1.0, "day": 24.0, "week": 168.0}
FEWEST_GROUPS = 20
"""Of honest people that a budget in hours rests on at least: a hundred hours of one person say nothing of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBudget:
    """At most this share of honest faces is accused, however long they are watched within such footage."""

    share: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ConfigError("--false-positive-rate", f"must be between 0 and 1, not {self.share:g}")
        _check_confidence(self.confidence)

    @property
    def groups_needed(self) -> int:
        """Groups of honest people, none of them accused, that show it."""
        return ceil(log(1 - self.confidence) / log1p(-self.share) - 1e-9)

    def allows(self, accused: float, groups: int) -> bool:
        """`accused`: the sum over groups of the share of each that was."""
        return share_bound(accused, groups, self.confidence) <= self.share

    def check(self, groups: int, hours: float) -> None:
        """BudgetError if no detector could show that it keeps to it on so much."""
        if groups >= self.groups_needed:
            return
        possible = share_bound(0.0, groups, self.confidence)
        confidence = 1 - (1 - self.share) ** groups
        raise BudgetError(
            f"{self}",
            f"needs {self.groups_needed} groups of honest people, none of them accused, and there are {groups} "
            f"({hours:.2g} hours). More clips of the same people do not help. With these groups, what can be shown is "
            f"--false-positive-rate {_up(possible):g}, or {self.share:g} with --confidence {_down(confidence):g}",
        )

    def __str__(self) -> str:
        return f"at most {100 * self.share:g}% of honest faces accused, with {100 * self.confidence:g}% confidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBudget:
    """At most so many accusations an hour of honest footage."""

    count: float
    hours: float
    confidence: float = 0.95
    text: str = ""
    """As the user said it."""

    def __post_init__(self) -> None:
        if not (0 < self.count < inf and 0 < self.hours < inf):
            raise ConfigError("--false-alarms", "must be a number above 0 per a time above 0")
        _check_confidence(self.confidence)

    @property
    def per_hour(self) -> float:
        return self.count / self.hours

    @property
    def hours_needed(self) -> float:
        """Hours of honest footage without a false alarm that show it: the rule of three, at 95%."""
        return -log(1 - self.confidence) / self.per_hour

    def allows(self, alarms: int, hours: float) -> bool:
        return count_bound(alarms, self.confidence) <= self.per_hour * hours * (1 + 1e-12)

    def check(self, groups: int, hours: float) -> None:
        """BudgetError if no detector could show that it keeps to it on so much."""
        if hours < self.hours_needed:
            possible = hours / -log(1 - self.confidence)
            least = f"1 per {_down(possible):g} hours" if possible >= 1 else f"{_up(1 / possible):g} per hour"
            raise BudgetError(
                f"{self}",
                f"needs {self.hours_needed:.3g} hours of honest footage without a single false alarm, and there are "
                f"{hours:.2g} (of {groups} groups). What so much can show is --false-alarms '{least}'",
            )
        if groups < FEWEST_GROUPS:
            raise BudgetError(
                f"{self}",
                f"needs honest footage of {FEWEST_GROUPS} groups of people, and these {hours:.3g} hours are of "
                f"{groups}: more hours of the same people say nothing of others",
            )

    def __str__(self) -> str:
        said = self.text or f"{self.count:g} per {self.hours:g} hours"
        return f"at most {said} of honest footage, with {100 * self.confidence:g}% confidence"


Budget = ShareBudget | RateBudget


def rate_budget(text: str, confidence: float = 0.95) -> RateBudget:
    """`1 per 10 hours`, `0.5 per hour`, `2 per day`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s+(?:per|in)\s+(?:(\d+(?:\.\d+)?)\s+)?(hour|day|week)s?\s*", text)
    if found is None:
        raise ConfigError("--false-alarms", f"must be as in '1 per 10 hours' or '2 per day', not {text!r}")
    count, times, unit = found.groups()
    hours = float(times or 1) * HOURS_OF[unit]
    return RateBudget(count=float(count), hours=hours, confidence=confidence, text=" ".join(text.split()))


def share_bound(k: float, n: int, confidence: float) -> float:
    """The most that a share can be, at this confidence, if k of n were found: Clopper and Pearson's upper bound. k need
    not be whole, as a sum of shares is not: between whole numbers the bound is on a straight line."""
    if n == 0:
        return 1.0
    whole = min(int(k), n)
    least = upper_bound(whole, n, confidence)
    return least + (k - whole) * (upper_bound(min(whole + 1, n), n, confidence) - least)


def count_bound(k: int, confidence: float) -> float:
    """The most that the expected count can be, at this confidence, if k were counted: where so few would still come
    with the probability that is left."""
    low, high = 0.0, k + 1 + 20 * (k + 1) ** 0.5 - log(1 - confidence)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(k, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(k: int, mean: float) -> float:
    """The Poisson probability of at most so many."""
    return sum(exp(i * log(mean) - mean - lgamma(i + 1)) for i in range(k + 1))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ConfigError("--confidence", f"must be between 0 and 1, not {confidence:g}")


def _up(value: float) -> float:
    """To two digits, never less."""
    return _rounded(value, ceil)


def _down(value: float) -> float:
    """To two digits, never more."""
    return _rounded(value, floor)


def _rounded(value: float, whole: Callable[[float], int]) -> float:
    unit = 10.0 ** (floor(log10(value)) - 1) if value > 0 else 1.0
    return float(f"{whole(value / unit) * unit:.2g}")
