"""Time, taken once at the edge. The core never reads a clock: it is handed `now_s`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow. Their zero means nothing; their differences are real time."""

    def now_s(self) -> float: ...


class MonotonicClock:
    """The machine's own monotonic clock."""

    def now_s(self) -> float:
        return time.monotonic()
