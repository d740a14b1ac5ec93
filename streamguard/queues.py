"""What every bounded queue tells of itself: `statistics()` of sources, and later of engines and subscribers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    capacity: int
    waiting: int = 0
    peak_waiting: int = 0
    """Most items that ever waited: size the queue by this."""
    put: int = 0
    dropped: int = 0
    """Items pushed out by newer ones because the reader was too slow."""
