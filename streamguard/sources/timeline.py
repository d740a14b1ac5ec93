"""From a stream's own counters to media time that only grows.

The decoder hands in what each frame carries (ticks and their unit, or nothing) and when it was decoded; out comes where
that frame stands in media time. Pure: no clock, no thread, no FFmpeg.

Files keep their own times, so that results can be matched with a player. Live streams start at 0, since their counters
start anywhere. A reconnected stream goes on where it was, plus the time that passed on the wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..values import GapCause

JITTER_S = 0.5
"""A frame older than the one before by up to this is late (skipped); by more, it is a stray, or the first of a jump."""
JUMP_FRAMES = 3
"""So many frames in a row from long ago, each newer than the last: the sender's clock was set back. Fewer are strays
that a damaged packet left behind, and the media time must not follow them."""
MOST_LATE = 30
"""So many late frames in a row are no jitter: the sender's clock was set back by less than JITTER_S."""
MOST_DUPLICATES = 3
"""After so many frames with the same time, the time is taken as missing."""
DEFAULT_PERIOD_S = 0.04
LONGEST_S = 1e11
"""No media time is further from 0 than this: 3,000 years, so that seconds since 1970 fit, and milliseconds do not."""

_COUNTER_BITS = (32, 33)
"""RTP, FLV and RTMP count in 32 bits, MPEG-TS in 33."""
_WRAP_WINDOW_S = 60
"""A jump this close to the whole range of a counter is the counter starting over."""
_LONGEST_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a frame stands."""

    pts_s: float
    sender_s: float | None
    """The sender's own time, unwrapped: what its wall clock is counted from. None if it gave none."""
    gap: GapCause | None = None
    guessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFrame:
    """Where a stream was when its connection broke."""

    pts_s: float
    arrival_s: float


class Unwrapper:
    """Ticks of a counter that starts over, made to go on. One for each elementary stream."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._added = 0

    def unwrapped(self, ticks: int, time_base: Fraction) -> int:
        going_on = ticks + self._added
        if self._last is not None:
            turn = _turn(going_on - self._last, int(_WRAP_WINDOW_S / time_base))
            self._added += turn
            going_on += turn
        self._last = going_on
        return going_on


def _turn(step: int, window: int) -> int:
    """What to add so that a step over a counter's end becomes a small step."""
    for bits in _COUNTER_BITS:
        whole = 1 << bits
        if window < whole // 2:
            if abs(step + whole) < window:
                return whole
            if abs(step - whole) < window:
                return -whole
    return 0


def _is_a_time(ticks: int, time_base: Fraction) -> bool:
    """False for what no clock shows: such a frame is placed as if it had no time."""
    return time_base > 0 and abs(ticks * time_base) <= LONGEST_S


class Timeline:
    """Media time of one connection. Not thread-safe: it belongs to the decoder that feeds it."""

    def __init__(self, *, keeps_own_times: bool, after: LastFrame | None = None, period_s: float | None = None) -> None:
        self._keeps_own_times = keeps_own_times
        self._offset_s: float | None = 0.0 if keeps_own_times else None
        self._after = after
        self._period_s = period_s
        self._measured_s: float | None = None
        self._video = Unwrapper()
        self._sound = Unwrapper()
        self._last_s: float | None = None
        self._last_ticks: int | None = None
        self._last_given_s: float | None = None
        self._duplicates = 0
        self._late = 0
        self._strays = 0
        self._stray_s = 0.0
        self._last_sound_s: float | None = None
        self.skipped_duplicates = 0
        self.skipped_late = 0

    def expect_period(self, period_s: float | None) -> None:
        """What the stream says about its frame rate. What is measured counts for more."""
        self._period_s = period_s

    @property
    def period_s(self) -> float:
        return self._measured_s or self._period_s or DEFAULT_PERIOD_S

    def place(self, ticks: int | None, time_base: Fraction | None, arrival_s: float) -> Placed | None:
        """Where this frame stands; None if it must be skipped, because it is no newer than the one before."""
        if ticks is not None and ticks == self._last_ticks:
            return self._again(arrival_s)
        self._duplicates = 0
        if ticks is None or time_base is None or not _is_a_time(ticks, time_base):
            return self._guess(arrival_s)
        self._last_ticks = ticks
        return self._known(float(self._video.unwrapped(ticks, time_base) * time_base), arrival_s)

    def place_at(self, given_s: float, arrival_s: float) -> Placed | None:
        """As `place`, for a time that somebody chose: no counter made it, so none has started over."""
        if given_s == self._last_given_s:
            return self._again(arrival_s)
        self._duplicates = 0
        self._last_given_s = given_s
        return self._known(given_s, arrival_s)

    def place_sound(self, ticks: int | None, time_base: Fraction | None) -> float | None:
        """Media time of a piece of sound; None if it cannot be told yet, or would go backwards."""
        if ticks is None or time_base is None or not _is_a_time(ticks, time_base):
            return None
        if self._offset_s is None or (self._after and self._last_s is None):
            return None
        pts_s = float(self._sound.unwrapped(ticks, time_base) * time_base) + self._offset_s
        if self._last_sound_s is not None and pts_s <= self._last_sound_s:
            return None
        self._last_sound_s = pts_s
        return pts_s

    def _again(self, arrival_s: float) -> Placed | None:
        self._duplicates += 1
        if self._duplicates <= MOST_DUPLICATES:
            self.skipped_duplicates += 1
            return None
        return self._guess(arrival_s)

    def _guess(self, arrival_s: float) -> Placed:
        if self._last_s is None:
            return self._first(None, arrival_s)
        self._last_s += self.period_s
        return Placed(pts_s=self._last_s, sender_s=None, guessed=True)

    def _known(self, sender_s: float, arrival_s: float) -> Placed | None:
        if self._last_s is None:
            return self._first(sender_s, arrival_s)
        if self._offset_s is None:  # only guesses so far: from here on the stream's own times count
            return self._anchored(self._last_s + self.period_s, sender_s, None)
        step_s = sender_s + self._offset_s - self._last_s
        if step_s > 0:
            return self._next(sender_s, step_s)
        if step_s <= -JITTER_S:
            self._strays = self._strays + 1 if self._strays and sender_s > self._stray_s else 1
            self._stray_s = sender_s
        if self._strays >= JUMP_FRAMES or self._late >= MOST_LATE:
            return self._jumped_back(sender_s)
        self._late += 1
        self.skipped_late += 1
        return None

    def _next(self, sender_s: float, step_s: float) -> Placed:
        assert self._offset_s is not None
        self._late = self._strays = 0
        if step_s <= _LONGEST_PERIOD_S:
            self._measured_s = step_s
        self._last_s = sender_s + self._offset_s
        return Placed(pts_s=self._last_s, sender_s=sender_s)

    def _first(self, sender_s: float | None, arrival_s: float) -> Placed:
        if self._after is not None:
            outage_s = max(self.period_s, arrival_s - self._after.arrival_s)
            return self._anchored(self._after.pts_s + outage_s, sender_s, GapCause.RECONNECTED)
        return self._anchored(sender_s if self._keeps_own_times and sender_s is not None else 0.0, sender_s, None)

    def _jumped_back(self, sender_s: float) -> Placed:
        assert self._last_s is not None
        self._late = self._strays = 0
        return self._anchored(self._last_s + self.period_s, sender_s, GapCause.BACKWARD_JUMP)

    def _anchored(self, pts_s: float, sender_s: float | None, gap: GapCause | None) -> Placed:
        """From here on, the sender's time `sender_s` is media time `pts_s`."""
        self._last_s = pts_s
        if sender_s is not None:
            self._offset_s = pts_s - sender_s
        return Placed(pts_s=pts_s, sender_s=sender_s, gap=gap, guessed=sender_s is None)
