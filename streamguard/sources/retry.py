"""How long to wait before a source is opened again. Pure: the randomness is handed in."""

from __future__ import annotations

import random


class Backoff:
    """Doubles its ceiling with each failure in a row; each wait is drawn evenly from 0 to the ceiling ("full jitter").

    The jitter keeps a hundred streams of one rebooted recorder from calling it in the same instant.
    """

    def __init__(self, *, first_s: float, longest_s: float, healthy_after_s: float, rng: random.Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._healthy_after_s = healthy_after_s
        self._rng = rng
        self.failures = 0
        """In a row, since the last healthy time."""

    @property
    def ceiling_s(self) -> float:
        # Beyond 2**16 the power only overflows.
        return min(self._longest_s, self._first_s * 2.0 ** min(16, max(0, self.failures - 1)))

    def failed(self, *, up_s: float, slow_end: bool = False) -> float:
        """A connection failed after pictures came for `up_s`; how long to wait.

        `slow_end`: trying again soon can only do harm (a refused password locks accounts).
        """
        if up_s >= self._healthy_after_s:
            self.failures = 0
        self.failures += 1
        if slow_end:
            return self._rng.uniform(self._longest_s / 2, self._longest_s)
        return self._rng.uniform(0.0, self.ceiling_s)
