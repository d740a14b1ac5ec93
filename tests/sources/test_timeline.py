"""Media time from counters that wrap, stop, jump and lie."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from streamguard.sources.timeline import (
    DEFAULT_PERIOD_S,
    JUMP_FRAMES,
    MOST_DUPLICATES,
    MOST_LATE,
    LastFrame,
    Placed,
    Timeline,
)
from streamguard.values import GapCause

RTP = Fraction(1, 90000)
TICKS = 3600  # 40 ms


def place_all(timeline: Timeline, ticks: list[int | None], time_base: Fraction = RTP) -> list[Placed | None]:
    return [timeline.place(tick, time_base, 100.0 + 0.04 * index) for index, tick in enumerate(ticks)]


def times(placed: list[Placed | None]) -> list[float | None]:
    return [None if p is None else round(p.pts_s, 6) for p in placed]


def test_file_keeps_its_own_times() -> None:
    placed = place_all(Timeline(keeps_own_times=True), [126000, 129600, 133200])
    assert times(placed) == [1.4, 1.44, 1.48]
    assert all(p is not None and p.gap is None and not p.guessed for p in placed)


def test_live_stream_starts_at_zero() -> None:
    assert times(place_all(Timeline(keeps_own_times=False), [987654, 987654 + TICKS])) == [0.0, 0.04]


@pytest.mark.parametrize("bits", [32, 33])
def test_counter_that_wraps_goes_on(bits: int) -> None:
    top = 1 << bits
    ticks = [(top - 2 * TICKS + index * TICKS) % top for index in range(5)]
    placed = place_all(Timeline(keeps_own_times=False), list(ticks))
    assert times(placed) == [0.0, 0.04, 0.08, 0.12, 0.16]
    assert all(p is not None and p.gap is None for p in placed)


def test_counter_may_wrap_again_and_again() -> None:
    top, step = 1 << 32, 1 << 30
    ticks = [index * step % top for index in range(13)]
    placed = place_all(Timeline(keeps_own_times=False), list(ticks), Fraction(1, 25_000_000))
    assert times(placed) == [pytest.approx(index * step / 25e6, abs=1e-5) for index in range(13)]


def test_late_frame_at_a_wrap_does_not_turn_the_counter_twice() -> None:
    top = 1 << 32
    ticks = [top - TICKS, TICKS, top - 1, 2 * TICKS]  # the third is from before the wrap
    assert times(place_all(Timeline(keeps_own_times=False), list(ticks))) == [0.0, 0.08, None, 0.12]


def test_missing_time_is_one_period_after_the_frame_before() -> None:
    placed = place_all(Timeline(keeps_own_times=True), [0, TICKS, None, None, 4 * TICKS])
    assert times(placed) == [0.0, 0.04, 0.08, 0.12, 0.16]
    assert [p.guessed for p in placed if p] == [False, False, True, True, False]


def test_stream_without_any_times_runs_at_the_rate_it_states() -> None:
    timeline = Timeline(keeps_own_times=False)
    timeline.expect_period(0.1)
    placed = [timeline.place(None, None, 5.0 + index) for index in range(3)]
    assert times(placed) == [0.0, 0.1, 0.2]


def test_first_real_time_after_guesses_goes_on_from_them() -> None:
    placed = place_all(Timeline(keeps_own_times=False), [None, None, 5_000_000, 5_000_000 + TICKS])
    assert times(placed) == [0.0, 0.04, 0.08, 0.12]


def test_duplicate_is_skipped_and_counted() -> None:
    timeline = Timeline(keeps_own_times=True)
    assert times(place_all(timeline, [0, TICKS, TICKS, 2 * TICKS])) == [0.0, 0.04, None, 0.08]
    assert timeline.skipped_duplicates == 1


def test_stream_whose_time_stands_still_is_taken_as_without_time() -> None:
    placed = place_all(Timeline(keeps_own_times=True), [0] * (MOST_DUPLICATES + 4))
    assert times(placed)[: MOST_DUPLICATES + 1] == [0.0] + [None] * MOST_DUPLICATES
    assert times(placed)[MOST_DUPLICATES + 1 :] == [0.04, 0.08, 0.12]
    assert all(p.gap is None for p in placed if p)


def test_small_step_back_is_late_not_a_jump() -> None:
    timeline = Timeline(keeps_own_times=True)
    placed = place_all(timeline, [0, 4 * TICKS, 2 * TICKS, 3 * TICKS, 5 * TICKS])
    assert times(placed) == [0.0, 0.16, None, None, 0.2]
    assert timeline.skipped_late == 2


def test_clock_set_back_a_little_is_a_jump_once_it_lasts() -> None:
    timeline = Timeline(keeps_own_times=True)
    ticks = [100 * TICKS, *[99 * TICKS - MOST_LATE + index for index in range(MOST_LATE + 1)]]
    placed = place_all(timeline, list(ticks))
    assert times(placed)[1:-1] == [None] * MOST_LATE
    assert placed[-1] is not None
    assert placed[-1].gap is GapCause.BACKWARD_JUMP


def test_jump_back_goes_on_one_period_later_and_says_so() -> None:
    timeline = Timeline(keeps_own_times=True)
    placed = place_all(timeline, [900_000, 903_600, 0, TICKS, 2 * TICKS, 3 * TICKS])
    assert times(placed) == [10.0, 10.04, None, None, 10.08, 10.12]
    assert [p.gap for p in placed if p] == [None, None, GapCause.BACKWARD_JUMP, None]
    assert timeline.skipped_late == JUMP_FRAMES - 1


@pytest.mark.parametrize("keeps_own_times", [True, False])
def test_stray_from_long_ago_shifts_nothing(keeps_own_times: bool) -> None:
    timeline = Timeline(keeps_own_times=keeps_own_times)
    frames = [0, 44, 14, 46, 47, 16, 48, 15, 14, 49, 17, 18, 50]
    placed = place_all(timeline, [frame * TICKS for frame in frames])
    assert [p and round(p.pts_s / 0.04) for p in placed] == [
        0,
        44,
        None,
        46,
        47,
        None,
        48,
        None,
        None,
        49,
        None,
        None,
        50,
    ]
    assert all(p.gap is None for p in placed if p)
    assert timeline.skipped_late == 6


def test_stream_of_strays_is_taken_in_the_end() -> None:
    ticks = [1000 * TICKS, *[(500 - index) * TICKS for index in range(MOST_LATE + 1)]]
    placed = place_all(Timeline(keeps_own_times=True), list(ticks))
    assert times(placed)[1:-1] == [None] * MOST_LATE
    assert placed[-1] is not None
    assert placed[-1].gap is GapCause.BACKWARD_JUMP


def test_forward_jump_is_kept_as_it_is() -> None:
    assert times(place_all(Timeline(keeps_own_times=True), [0, TICKS, 90_000_000])) == [0.0, 0.04, 1000.0]


def test_variable_frame_rate_is_kept() -> None:
    assert times(place_all(Timeline(keeps_own_times=True), [0, 10, 250, 251], Fraction(1, 1000))) == [
        0.0,
        0.01,
        0.25,
        0.251,
    ]


def test_reconnected_stream_goes_on_after_the_outage() -> None:
    timeline = Timeline(keeps_own_times=False, after=LastFrame(pts_s=20.0, arrival_s=100.0))
    first = timeline.place(777, RTP, 107.5)
    second = timeline.place(777 + TICKS, RTP, 107.54)
    assert first is not None
    assert second is not None
    assert (first.pts_s, first.gap) == (27.5, GapCause.RECONNECTED)
    assert (round(second.pts_s, 6), second.gap) == (27.54, None)


def test_reconnected_stream_without_times_says_so_too() -> None:
    first = Timeline(keeps_own_times=False, after=LastFrame(pts_s=20.0, arrival_s=100.0)).place(None, None, 103.0)
    assert first is not None
    assert (first.pts_s, first.gap, first.guessed) == (23.0, GapCause.RECONNECTED, True)


def test_reconnect_within_a_frame_still_grows() -> None:
    first = Timeline(keeps_own_times=False, after=LastFrame(pts_s=20.0, arrival_s=100.0)).place(0, RTP, 100.0)
    assert first is not None
    assert first.pts_s == 20.0 + DEFAULT_PERIOD_S


def test_sound_is_on_the_clock_of_the_picture() -> None:
    timeline = Timeline(keeps_own_times=False)
    assert timeline.place_sound(8000, Fraction(1, 16000)) is None  # no picture yet: its zero is not known
    timeline.place(90_000, RTP, 0.0)  # sender's second 1.0 is media time 0
    assert timeline.place_sound(24000, Fraction(1, 16000)) == pytest.approx(0.5)


def test_sound_never_goes_backwards() -> None:
    timeline = Timeline(keeps_own_times=True)
    assert timeline.place_sound(16000, Fraction(1, 16000)) == 1.0
    assert timeline.place_sound(15000, Fraction(1, 16000)) is None


def test_sender_time_is_unwrapped_for_the_wall_clock() -> None:
    top = 1 << 32
    placed = place_all(Timeline(keeps_own_times=False), [top - TICKS, 0])
    assert placed[1] is not None
    assert placed[1].sender_s == pytest.approx(top / 90000)


def test_times_strictly_increase_whatever_comes() -> None:
    ticks = [0, 7, 7, 3, None, 900_000_000, 5, None, (1 << 33) - 1, 1, 1, 1, 1, 1, 1, None, 2, 1 << 32, 0, 8]
    kept = [p.pts_s for p in place_all(Timeline(keeps_own_times=False), list(ticks)) if p is not None]
    assert len(kept) > 8
    assert all(later > earlier for earlier, later in pairwise(kept))


@pytest.mark.parametrize(
    ("ticks", "time_base"),
    [
        (10**320, RTP),
        (-(10**320), RTP),
        (1, Fraction(10**320)),
        (2**63, Fraction(1, 1000)),
        (7, Fraction(0)),
        (7, Fraction(-1, 25)),
    ],
    ids=["huge", "huge and negative", "huge unit", "all bits", "no unit", "negative unit"],
)
def test_time_that_no_clock_shows_is_taken_as_missing(ticks: int, time_base: Fraction) -> None:
    timeline = Timeline(keeps_own_times=True)
    place_all(timeline, [90000, 90000 + TICKS])
    odd = timeline.place(ticks, time_base, 100.0)
    assert odd is not None
    assert (round(odd.pts_s, 6), odd.guessed, odd.gap) == (1.08, True, None)
    assert timeline.place_sound(ticks, time_base) is None
    after = timeline.place(90000 + 3 * TICKS, RTP, 100.04)
    assert after is not None
    assert round(after.pts_s, 6) == 1.12


def test_finest_time_base_does_not_overflow() -> None:
    finest = Fraction(1, 10**400)
    placed = place_all(Timeline(keeps_own_times=True), [10**400, 2 * 10**400], finest)
    assert times(placed) == [1.0, 2.0]
