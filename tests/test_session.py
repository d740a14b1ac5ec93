"""One stream's core, driven by hand: windows belong to one person and to media time, whatever the stream does.

People are rectangles of their own brightness, so every crop tells whose pixels it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest

from streamguard.config import ClipConfig, FacesConfig, SessionConfig
from streamguard.events import (
    Blinded,
    EndOfStream,
    EventsLost,
    FaceAppeared,
    FaceLost,
    MediaGap,
    Score,
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from streamguard.picture import Picture
from streamguard.session import Session
from streamguard.testing import PaintedFaces, painted
from streamguard.values import Box, Face, FaceState, Frame, GapCause, LostCause, Reason, Scored, StreamState, Window
from tests.sessions import ANYTHING_GOES, FACE, HEIGHT, WIDTH, Run, box_at, frame_at, still, times


def owners(window: Window) -> set[int]:
    """Whose pixels the crops hold, by brightness: each crop counts for the person who fills most of it."""
    crops = window.crops @ np.array([0.299, 0.587, 0.114])
    shares = np.stack([(abs(crops - one) <= 3).mean((1, 2)) for one in PALETTE])
    assert (shares.max(0) > 0.05).all(), "nobody is in the crop"
    return {PALETTE[i] for i in shares.argmax(0)}


ADA, BEN = 64, 128
CROWD = (48, 80, 112, 144, 176, 208)
PALETTE = (ADA, BEN, *CROWD)


def test_a_still_face_gives_windows_on_the_grid_at_each_hop() -> None:
    run = Run().feed(times(10.0, 14.0), still({ADA: box_at(300, 180)}))
    first = run.windows[0]
    assert first.crops.shape == (8, 224, 224, 3)
    assert first.pts_s == pytest.approx([10.04 + 0.08 * i for i in range(8)])
    assert first.grid_s == pytest.approx(first.pts_s)
    assert [w.pts_end_s - v.pts_end_s for v, w in zip(run.windows, run.windows[1:], strict=False)] == pytest.approx(
        [0.64] * (len(run.windows) - 1)
    )
    assert all(owners(window) == {ADA} for window in run.windows)
    assert run.heard.kinds() == [FaceAppeared]


def test_events_count_up_by_one_and_carry_the_streams_name() -> None:
    run = Run().feed(times(0, 3), lambda t: {ADA: box_at(300, 180)} if t < 1 else {})
    run.session.source_event(EndOfStream(frames=75), 3.0)
    run.collect()
    assert [event.seq for event in run.heard.events] == [1, 2, 3]
    assert {event.stream_id for event in run.heard.events} == {"s"}
    assert {event.epoch for event in run.heard.events} == {run.session.epoch}


def test_a_face_hidden_for_a_moment_keeps_its_generation_and_starts_a_new_run() -> None:
    run = Run().feed(times(0, 4), lambda t: {} if 2.0 <= t < 2.3 else {ADA: box_at(300, 180)})
    assert run.heard.kinds() == [FaceAppeared]
    assert {window.generation for window in run.windows} == {1}
    assert not any(window.pts_start_s < 2.0 and window.pts_end_s > 2.3 for window in run.windows)
    assert run.session.statistics().resets == 1


def test_a_face_hidden_for_long_is_a_new_generation() -> None:
    run = Run().feed(times(0, 8), lambda t: {} if 2.0 <= t < 5.0 else {ADA: box_at(300, 180)})
    lost = run.heard.of(FaceLost)
    assert [one.cause for one in lost] == [LostCause.GONE]
    assert lost[0].last_seen_pts_s == pytest.approx(1.96, abs=0.09)
    first, second = run.heard.of(FaceAppeared)
    assert (first.face_id, first.generation) != (second.face_id, second.generation)


def test_somebody_else_in_the_same_place_is_a_new_generation() -> None:
    run = Run().feed(times(0, 5), lambda t: {ADA if t < 2.0 else BEN: box_at(300, 180)})
    assert [one.cause for one in run.heard.of(FaceLost)] == [LostCause.DOUBT]
    assert [one.generation for one in run.heard.of(FaceAppeared)] == [1, 2]
    assert [owners(window) for window in run.windows].count({ADA}) > 1
    assert all(len(owners(window)) == 1 for window in run.windows)


def test_one_leaves_and_another_comes_to_the_same_place() -> None:
    def people(t: float) -> Mapping[int, Box]:
        if t < 2.0:
            return {ADA: box_at(300, 180)}
        return {} if t < 2.2 else {BEN: box_at(305, 182)}

    run = Run().feed(times(0, 5), people)
    assert all(len(owners(window)) == 1 for window in run.windows)
    assert len(run.heard.of(FaceAppeared)) == 2


def test_two_faces_that_cross_share_no_window() -> None:
    def people(t: float) -> Mapping[int, Box]:
        x = float(np.interp(t, [1, 4], [100, 540]))
        return {ADA: box_at(x, 180), BEN: box_at(640 - x, 184)}

    run = Run().feed(times(0, 6), people)
    assert all(len(owners(window)) == 1 for window in run.windows)
    causes = [one.cause for one in run.heard.of(FaceLost)]
    assert len(causes) >= 2
    assert set(causes) <= {LostCause.CONTACT, LostCause.DOUBT}
    by_face: dict[tuple[int, int], set[int]] = {}
    for window in run.windows:
        by_face.setdefault((window.face_id, window.generation), set()).update(owners(window))
    assert all(len(whose) == 1 for whose in by_face.values())


@pytest.mark.parametrize("seed", range(3))
def test_no_generation_ever_holds_two_people(seed: int) -> None:
    crowd(seed, seconds=30.0)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 112))
def test_no_generation_ever_holds_two_people_long(seed: int) -> None:
    crowd(seed, seconds=120.0)


def crowd(seed: int, seconds: float) -> None:
    """Six people walk at random, cross, hide, leave, and change places."""
    rng = np.random.default_rng(seed)
    knots = np.arange(0, seconds + 2, 1.5)
    xs = rng.uniform(-60, WIDTH + 60, (6, len(knots)))
    ys = rng.uniform(60, HEIGHT - 60, (6, len(knots)))
    away = rng.uniform(0, 1, (6, int(seconds * 4) + 8)) < 0.08

    def people(t: float) -> Mapping[int, Box]:
        return {
            CROWD[i]: box_at(float(np.interp(t, knots, xs[i])), float(np.interp(t, knots, ys[i])))
            for i in range(6)
            if not away[i, int(t * 4)]
        }

    run = Run(SessionConfig(clip=ClipConfig(hop_s=0.08, size_px=64)))
    whose: dict[tuple[int, int], set[int]] = {}
    measured: dict[tuple[int, int], Face] = {}
    for pts_s in times(0, seconds):
        run.feed([pts_s], people)
        picture = painted(WIDTH, HEIGHT, people(pts_s))
        for face in run.session.faces():
            key = face.face_id, face.generation
            if measured.get(key) is not face:  # measured in this very frame: here is where its patch comes from
                measured[key] = face
                whose.setdefault(key, set()).add(most_of(picture, face.box_px))
    assert len(run.windows) > 50
    assert {key: held for key, held in whose.items() if len(held) > 1} == {}


def most_of(picture: Picture, box: Box) -> int:
    """Who fills most of a box."""
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    return int(np.bincount(picture.y[y0:y1, x0:x1].ravel()).argmax())


def test_a_scene_cut_ends_every_generation_and_says_so() -> None:
    # One huge face on the left, then another on the right: nearly every pixel changes.
    run = Run(face=(320.0, 360.0))
    run.feed(times(0, 4), lambda t: {231: Box(0, 0, 320, 360)} if t < 2.0 else {230: Box(320, 0, 640, 360)})
    assert [gap.cause for gap in run.heard.of(MediaGap)] == [GapCause.SCENE_CUT]
    assert [one.cause for one in run.heard.of(FaceLost)] == [LostCause.MEDIA_GAP]
    assert not any(window.pts_start_s < 2.0 <= window.pts_end_s for window in run.windows)


def test_a_long_gap_in_media_time_ends_every_generation() -> None:
    run = Run().feed([*times(0, 2), *times(5, 7)], still({ADA: box_at(300, 180)}))
    gap = run.heard.of(MediaGap)[0]
    assert gap.cause is GapCause.LONG_GAP
    assert gap.gap_s == pytest.approx(3.04)
    assert [one.cause for one in run.heard.of(FaceLost)] == [LostCause.MEDIA_GAP]
    assert len(run.heard.of(FaceAppeared)) == 2
    assert not any(window.pts_start_s < 2.0 < window.pts_end_s for window in run.windows)


def test_a_short_outage_keeps_the_generation_even_across_a_reconnect() -> None:
    run = Run().feed(times(0, 2), still({ADA: box_at(300, 180)}))
    run.session.feed(frame_at(2.4, {ADA: box_at(300, 180)}, gap=GapCause.RECONNECTED), 2.4)
    run.feed(times(2.44, 4), still({ADA: box_at(300, 180)}))
    assert run.heard.kinds() == [FaceAppeared]


def test_a_backward_jump_ends_every_generation_however_small() -> None:
    run = Run().feed(times(0, 2), still({ADA: box_at(300, 180)}))
    run.session.feed(frame_at(2.0, {ADA: box_at(300, 180)}, gap=GapCause.BACKWARD_JUMP), 2.0)
    run.collect()
    assert [gap.cause for gap in run.heard.of(MediaGap)] == [GapCause.BACKWARD_JUMP]
    assert [one.cause for one in run.heard.of(FaceLost)] == [LostCause.MEDIA_GAP]


def test_another_size_ends_every_generation() -> None:
    run = Run().feed(times(0, 2), still({ADA: box_at(300, 180)}))
    small = painted(320, 180, {ADA: Box(120, 50, 180, 130)})
    for pts_s in times(2, 4):
        run.session.feed(Frame(pts_s=pts_s, picture=small, arrival_s=pts_s), pts_s)
        run.collect()
    assert [gap.cause for gap in run.heard.of(MediaGap)] == [GapCause.SIZE_CHANGED]
    assert len(run.heard.of(FaceAppeared)) == 2


def test_a_frame_that_is_not_later_is_refused_and_counted() -> None:
    run = Run().feed([0.0, 0.04, 0.04, 0.02, 0.08], still({ADA: box_at(300, 180)}))
    assert run.session.statistics().frames == 3
    assert run.session.statistics().late_frames == 2


def state_of(run: Run) -> StreamState:
    return run.session.state


def test_silence_alarms_once_and_life_returns() -> None:
    run = Run()
    run.session.source_event(StreamUp(url="x", width=1, height=1, codec="h264"), 0.0)
    run.feed(times(0, 1), still({}))
    deadline = run.session.next_deadline_s()
    assert deadline is not None
    assert deadline == pytest.approx(0.96 + 2.0)
    run.session.tick(deadline - 0.01)
    run.collect()
    assert run.heard.of(Blinded) == []
    run.session.tick(deadline)
    run.session.tick(deadline + 1)
    run.collect()
    assert [one.silent_s for one in run.heard.of(Blinded)] == pytest.approx([2.0])
    assert state_of(run) == StreamState.STALLED
    assert run.session.next_deadline_s() == pytest.approx(2.95 + 10.0), "until nobody could be judged for long"
    run.feed(times(5, 6), still({ADA: box_at(300, 180)}))
    assert state_of(run) == StreamState.LIVE


def test_a_stream_that_is_known_to_be_down_does_not_alarm_for_silence() -> None:
    run = Run()
    run.session.source_event(StreamDown(url="x", code="TIMEOUT", message="", attempt=1, retry_in_s=1.0), 0.0)
    assert run.session.next_deadline_s() is None
    assert run.session.state is StreamState.CONNECTING


def test_the_end_ends_every_face_and_nothing_follows() -> None:
    run = Run().feed(times(0, 1), still({ADA: box_at(300, 180)}))
    run.session.source_event(EndOfStream(frames=25), 1.0)
    run.session.source_event(EndOfStream(frames=25), 1.0)
    run.feed(times(1, 2), still({ADA: box_at(300, 180)}))
    assert run.heard.kinds() == [FaceAppeared, FaceLost, EndOfStream]
    assert run.session.state is StreamState.ENDED


def test_a_picture_without_faces_is_no_face_and_never_makes_events() -> None:
    run = Run().feed(times(0, 10), still({}))
    assert run.session.state is StreamState.NO_FACE
    assert run.heard.events == []


def test_a_source_too_slow_for_the_grid_is_low_quality_with_that_reason() -> None:
    run = Run().feed(times(0, 6, rate_hz=5.0), still({ADA: box_at(300, 180)}))
    assert run.windows == []
    assert [(v.state, v.reasons) for v in run.heard.of(VerdictChanged)] == [(FaceState.LOW_QUALITY, (Reason.TOO_SLOW,))]


def test_a_face_that_cannot_be_judged_is_low_quality_and_says_why() -> None:
    run = Run(face=(40.0, 50.0), limits=replace(ANYTHING_GOES, min_size_px=48.0))
    run.feed(times(0, 3), still({ADA: Box(285, 160, 325, 210)}))
    told = run.heard.of(VerdictChanged)
    assert [(one.state, one.previous, one.reasons) for one in told] == [
        (FaceState.LOW_QUALITY, FaceState.WARMING_UP, (Reason.TOO_SMALL,))
    ]


def test_a_missing_frame_repeats_the_crop_and_is_told() -> None:
    run = Run().feed([t for t in times(0, 3, rate_hz=12.5) if abs(t - 0.96) > 0.01], still({ADA: box_at(300, 180)}))
    with_gap = [window for window in run.windows if window.gaps]
    assert len(with_gap) == 1
    window = with_gap[0]
    assert window.crops_real == window.crops_expected - 1
    index = next(i for i in range(1, 8) if window.pts_s[i] == window.pts_s[i - 1])
    assert (window.crops[index] == window.crops[index - 1]).all()


def test_windows_that_nobody_takes_are_bounded_and_counted() -> None:
    config = SessionConfig(most_work=3)
    session = Session(config, detector=PaintedFaces(FACE), mesher=PaintedFaces(FACE))
    for pts_s in times(0, 8):
        session.feed(frame_at(pts_s, {ADA: box_at(300, 180)}), pts_s)
    made = session.statistics().windows
    kept = session.take_work()
    assert len(kept) == 3
    assert session.statistics().work_dropped == made - 3
    assert kept[-1].pts_end_s > 7.0


def scored(window: Window, raw_score: float = 0.4) -> Scored:
    return Scored(
        window=window,
        raw_score=raw_score,
        taken_s=window.arrival_s + 0.1,
        begun_s=window.arrival_s + 0.3,
        ended_s=window.arrival_s + 0.6,
    )


def test_a_score_without_calibration_is_uncertain_and_says_why() -> None:
    run = Run(SessionConfig(faces=FacesConfig(min_face_px=16)))
    run.feed(times(0, 1), still({ADA: box_at(300, 180)}))
    run.session.put_scores([scored(run.windows[0])])
    run.collect()
    score = run.heard.of(Score)[0]
    assert score.p_fake is None
    assert score.raw_score == 0.4
    assert Reason.UNCALIBRATED in score.reasons
    assert score.state in (FaceState.UNCERTAIN, FaceState.LOW_QUALITY)
    assert (score.latency.wait_s, score.latency.queue_s, score.latency.infer_s) == pytest.approx((0.1, 0.2, 0.3))
    assert (score.pts_start_s, score.pts_end_s) == (run.windows[0].pts_start_s, run.windows[0].pts_end_s)


def test_a_score_for_a_generation_that_has_ended_is_refused() -> None:
    run = Run().feed(times(0, 5), lambda t: {ADA if t < 2.0 else BEN: box_at(300, 180)})
    stale = next(window for window in run.windows if owners(window) == {ADA})
    run.session.put_scores([scored(stale)])
    run.collect()
    assert run.heard.of(Score) == []
    assert run.session.statistics().stale_scores == 1


def test_a_moving_face_gets_a_new_square_and_the_whole_window_through_it() -> None:
    def people(t: float) -> Mapping[int, Box]:
        return {ADA: box_at(200 + 60 * t, 180)}

    run = Run(SessionConfig(clip=ClipConfig(hop_s=0.08))).feed(times(0, 4), people)
    epochs = [window.crop_epoch for window in run.windows]
    assert epochs == sorted(epochs)
    assert epochs[-1] > epochs[0]
    for window in run.windows:
        # One square for all: the face moves inside the crops by what it moved in the picture.
        columns = [np.nonzero(crop[112].max(-1) > 60)[0].mean() for crop in window.crops]
        assert np.diff(columns) == pytest.approx([4.8 * 224 / (2 * 69.3)] * 7, abs=1.7)


STEPS = SessionConfig(clip=ClipConfig(feed="step", length=4, memory=6, size_px=64))


class Slots:
    """What a network that keeps its own past would have been shown, slot by slot."""

    def __init__(self) -> None:
        self.shown: dict[tuple[int, int, int], list[np.ndarray]] = {}
        self.times: dict[tuple[int, int, int], list[float]] = {}

    def take(self, windows: Sequence[Window]) -> None:
        for window in windows:
            key = window.face_id, window.generation, window.crop_epoch
            slot = self.shown.setdefault(key, [])
            assert window.age == len(slot), "a step was lost, or shown twice"
            slot.extend(window.crops)
            self.times.setdefault(key, []).extend(window.grid_s)


def test_steps_give_each_crop_once_and_in_order() -> None:
    run = Run(STEPS).feed(times(0, 3), still({ADA: box_at(300, 180)}))
    slots = Slots()
    slots.take(run.windows)
    (given,) = slots.times.values()
    assert np.diff(given) == pytest.approx([0.08] * (len(given) - 1))
    assert len(given) == round(2.96 / 0.08)
    assert [len(window.crops) for window in run.windows] == [1] * len(given)


def test_a_new_square_replays_the_last_crops_into_a_fresh_slot() -> None:
    run = Run(STEPS).feed(times(0, 5), lambda t: {ADA: box_at(120 + 80 * t, 180)})
    slots = Slots()
    slots.take(run.windows)
    assert len(slots.shown) > 3
    epochs = list(slots.times)
    for before, after in pairwise(epochs):
        # What the fresh slot saw first: the last R + T points, up to now, all of them through the new square.
        overlap = [t for t in slots.times[after] if t <= slots.times[before][-1] + 1e-6]
        assert overlap == pytest.approx(slots.times[before][-len(overlap) :])
        assert len(overlap) == min(9, len(slots.times[before]))
    for key, crops in slots.shown.items():
        columns = [np.nonzero(crop[32].max(-1) > 60)[0].mean() for crop in crops]
        steps = np.diff(columns[2:])
        assert (steps > 0).all(), key  # one square a slot: the face only ever moves to the right in it


def test_missing_crops_start_a_fresh_slot_and_a_single_one_is_repeated() -> None:
    kept = [t for t in times(0, 4, rate_hz=12.5) if abs(t - 0.96) > 0.01 and not 1.9 < t < 2.2]
    run = Run(STEPS).feed(kept, still({ADA: box_at(300, 180)}))
    slots = Slots()
    slots.take(run.windows)
    first, second = slots.times.values()
    assert np.diff(first) == pytest.approx([0.08] * (len(first) - 1))
    assert second[0] > 2.1
    assert {window.gaps for window in run.windows} == {0, 1}  # of the crops that a score rests on
    assert run.session.statistics().gaps == 1


def test_a_step_that_nobody_took_in_time_starts_a_fresh_slot() -> None:
    config = replace(STEPS, most_work=5)
    session = Session(config, detector=PaintedFaces(FACE), mesher=PaintedFaces(FACE), limits=ANYTHING_GOES)
    slots = Slots()
    for i, pts_s in enumerate(times(0, 6)):
        session.feed(frame_at(pts_s, {ADA: box_at(300, 180)}), pts_s)
        if not 40 < i < 80:
            slots.take(session.take_work())
    assert session.statistics().work_dropped > 0
    assert len(slots.times) > 1
    last = list(slots.times.values())[-1]
    assert np.diff(last) == pytest.approx([0.08] * (len(last) - 1))
    assert last[-1] > 5.8


def test_similarity_windows_hold_the_face_upright_at_the_template() -> None:
    config = SessionConfig(clip=ClipConfig(recipe="similarity", grid_s=0.04, length=32, hop_s=0.64))
    run = Run(config).feed(times(0, 3), still({ADA: box_at(300, 180)}))
    assert run.windows[0].crops.shape == (32, 224, 224, 3)
    assert all(owners(window) == {ADA} for window in run.windows)


def test_the_ring_is_bounded_whatever_the_length_of_the_stream() -> None:
    run = Run().feed(times(0, 3), still({ADA: box_at(300, 180)}))
    early = run.session.statistics().ring_bytes
    run.feed(times(3, 30), still({ADA: box_at(300, 180)}))
    assert run.session.statistics().ring_bytes == early > 0


def test_the_same_frames_give_the_same_windows_whenever_they_are_fed() -> None:
    def people(t: float) -> Mapping[int, Box]:
        return {ADA: box_at(120 + 90 * t, 150 + 20 * t)}

    live, offline = Run(), Run()
    for pts_s in times(0, 4):
        frame = frame_at(pts_s, people(pts_s))
        live.session.feed(frame, now_s=1000 + pts_s * 1.1)
        live.session.tick(1000 + pts_s * 1.1 + 0.01)
        live.collect()
        offline.session.feed(frame, now_s=0.0)
    offline.collect()
    assert len(live.windows) == len(offline.windows) > 3
    for one, other in zip(live.windows, offline.windows, strict=True):
        assert one.pts_s == other.pts_s
        assert (one.crops == other.crops).all()


@pytest.mark.parametrize("rate_hz", [0.5, 1.0, 1.9, 3.0, 5.0, 6.5, 8.0, 9.0])
def test_any_rate_below_the_grids_is_told_once_as_too_slow(rate_hz: float) -> None:
    run = Run().feed(times(0, 40, rate_hz=rate_hz), still({ADA: box_at(300, 180)}))
    assert len(run.heard.of(FaceAppeared)) - len(run.heard.of(FaceLost)) == 1
    told = run.heard.of(VerdictChanged)
    assert 1 <= len(told) <= 3
    assert told[-1].reasons == (Reason.TOO_SLOW,)
    assert told[-1].state is FaceState.LOW_QUALITY
    assert len(run.heard.of(MediaGap)) <= 1  # a camera of a frame a second has no gaps of a second


def test_a_source_that_becomes_fast_enough_is_no_longer_too_slow() -> None:
    run = Run().feed(times(0, 4, rate_hz=5.0), still({ADA: box_at(300, 180)}))
    run.feed(times(4, 10), still({ADA: box_at(300, 180)}))
    assert run.heard.of(VerdictChanged)[-1].state is FaceState.WARMING_UP
    assert len(run.windows) > 4


@pytest.mark.parametrize("raw_score", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_score_that_is_no_share_is_refused_and_counted(raw_score: float) -> None:
    run = Run().feed(times(0, 1), still({ADA: box_at(300, 180)}))
    run.session.put_scores([scored(run.windows[0], raw_score)])
    run.collect()
    assert run.heard.of(Score) == []
    assert run.session.statistics().bad_scores == 1


@pytest.mark.parametrize("pts_s", [float("nan"), float("inf")])
def test_a_frame_without_a_finite_time_is_refused_and_does_no_harm(pts_s: float) -> None:
    run = Run().feed(times(0, 1), still({ADA: box_at(300, 180)}))
    run.feed([pts_s], still({ADA: box_at(300, 180)}))
    run.feed(times(1, 2), still({ADA: box_at(300, 180)}))
    assert run.session.statistics().late_frames == 1
    assert run.heard.kinds() == [FaceAppeared]


def test_a_source_given_up_for_good_ends_its_faces() -> None:
    run = Run().feed(times(0, 1), still({ADA: box_at(300, 180)}))
    run.session.source_event(StreamDown(url="x", code="ABANDONED", message="", attempt=3), 1.0)
    run.collect()
    assert run.heard.kinds() == [FaceAppeared, FaceLost, StreamDown]
    assert run.session.faces() == []
    assert run.session.statistics().ring_bytes == 0


def test_windows_of_an_ended_generation_are_not_handed_out() -> None:
    session = Run().session
    for pts_s in times(0, 2):
        session.feed(frame_at(pts_s, {ADA: box_at(300, 180)}), pts_s)
    session.feed(frame_at(9.0, {}), 9.0)
    assert session.take_work() == []
    assert session.statistics().work_dropped == session.statistics().windows > 0


def test_events_that_nobody_asks_for_are_bounded_and_their_loss_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamguard.session.MOST_EVENTS", 5)
    session = Run().session
    for attempt in range(1, 21):
        session.source_event(StreamDown(url="x", code="TIMEOUT", message="", attempt=attempt, retry_in_s=1.0), 0.0)
    told = session.events()
    assert len(told) == 5
    assert told[0].kind == EventsLost(first_seq=1, last_seq=16)
    assert [event.seq for event in told[1:]] == [17, 18, 19, 20]


def test_fast_faces_in_similarity_windows_tell_what_is_padded() -> None:
    config = SessionConfig(clip=ClipConfig(recipe="similarity", grid_s=0.04, length=32, hop_s=0.64))
    slow = Run(config).feed(times(0, 2.4), still({ADA: box_at(300, 180)}))
    fast = Run(config).feed(times(0, 2.4), lambda t: {ADA: box_at(100 + 180 * t, 180)})
    assert max(window.quality.padded for window in slow.windows) < 0.1
    assert max(window.quality.padded for window in fast.windows) > 0.15


def test_one_similarity_serves_a_whole_window() -> None:
    """Head motion survives inside the clip: a fit for each frame would hold the face still."""
    config = SessionConfig(clip=ClipConfig(recipe="similarity", grid_s=0.04, length=32, hop_s=0.64))
    run = Run(config).feed(times(0, 2), lambda t: {ADA: box_at(250 + 20 * t, 180)})
    columns = [np.nonzero(crop[112].max(-1) > 60)[0].mean() for crop in run.windows[0].crops]
    assert columns[-1] - columns[0] > 10


@pytest.mark.parametrize("feed", ["window", "step"])
def test_a_narrower_square_shows_more_of_the_face_in_every_crop(feed: Literal["window", "step"]) -> None:
    """Faces are 60 x 80 pixels: of a square of two scales they are a quarter, of 1.4 scales half."""
    shares = {}
    for span in (2.0, 1.4):
        clip = ClipConfig(span=span, feed=feed, length=4, memory=2, size_px=112)
        run = Run(SessionConfig(clip=clip)).feed(times(0, 2), still({ADA: box_at(300, 180)}))
        crop = run.windows[-1].crops[-1]
        shares[span] = float((crop.max(-1) > 60).mean())
    assert shares[2.0] == pytest.approx(1 / 4, abs=0.02)
    assert shares[1.4] == pytest.approx(1 / 1.4**2, abs=0.02)


def test_a_narrower_square_is_left_sooner() -> None:
    """11 pixels off the middle: within a third of 2 scales (23 px), and of 1.4 (16 px); 18 only within the wider."""
    for moved, slots in [(11, {2.0: 1, 1.4: 1}), (18, {2.0: 1, 1.4: 2})]:
        for span, expected in slots.items():
            clip = ClipConfig(span=span, feed="step", length=4, memory=2, size_px=64)
            run = Run(SessionConfig(clip=clip))
            run.feed(times(0, 1.5), still({ADA: box_at(300, 180)}))
            run.feed(times(1.5, 3), still({ADA: box_at(300 + moved, 180)}))
            assert len({window.crop_epoch for window in run.windows}) == expected, (moved, span)


def test_padding_is_of_what_the_network_looks_at() -> None:
    """At the border, where a square of two scales leaves the picture and a narrower one hardly does."""
    padded = {}
    for span in (2.0, 1.4):
        run = Run(SessionConfig(clip=ClipConfig(span=span))).feed(times(0, 1), still({ADA: box_at(40, 180)}))
        padded[span] = run.windows[0].quality.padded
    assert padded[2.0] == pytest.approx(1 - (40 + 69.3) / 138.6, abs=0.01)
    assert padded[1.4] == pytest.approx(1 - (40 + 48.5) / 97.0, abs=0.01)


def test_the_worst_crop_of_a_clip_gives_its_quality() -> None:
    """Away from the border: the newest crop is the best one, and the window must not be told by it."""
    run = Run().feed(times(0, 0.64), lambda t: {ADA: box_at(605 - 100 * t, 180)})
    newest = run.session.faces()[0].quality.padded
    assert run.windows[0].quality.padded > newest + 0.15
