"""A replay says of kept scores what a live session said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from streamguard.bundle import Calibration, Temperature, Thresholds
from streamguard.config import ClipConfig, ScoringConfig, SessionConfig
from streamguard.evaluation.replay import Replayed, Track, follow, replay, tracks_of
from streamguard.evaluation.traces import Moment
from streamguard.events import Score
from streamguard.scoring.calibrate import Calibrator
from streamguard.values import Box, FaceState
from tests.evaluation.made import face, moments, trace
from tests.sessions import ANYTHING_GOES, Run, box_at, scored, times

CLIP = ClipConfig()
SCORING = ScoringConfig()
CALIBRATION = Calibration(
    graph="window",
    precision="fp32",
    prior=0.5,
    curve=Temperature(scale=1.0, offset=0.0, stderr=0.0),
    thresholds=Thresholds(fake_enter=0.95, fake_leave=0.75, real_leave=0.3, real_enter=0.05, false_positive_rate=0.0),
    fitted_on="tests",
    evidence_scale=0.6,
)
FAKE, REAL, UNCERTAIN = FaceState.LIKELY_FAKE, FaceState.LIKELY_REAL, FaceState.UNCERTAIN


def track_of(*scores: float, usable: bool = True, fake: bool = True, start_s: float = 0.0) -> Track:
    made = moments(scores, usable=usable)
    return Track(key="x/1.1", group="x", fake=fake, start_s=start_s, usable_s=5.0, moments=made)


def played(track: Track, calibration: Calibration = CALIBRATION) -> Replayed:
    return replay(track, Calibrator(calibration), SCORING, CLIP)


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("feed", ["window", "step"])
def test_the_states_are_those_of_a_live_session_that_was_given_the_same_scores(seed: int, feed: str) -> None:
    """The face goes to the border and comes back: these windows are no evidence, and time passes meanwhile."""
    clip = ClipConfig(feed=feed, memory=4 if feed == "step" else 0, size_px=32)  # type: ignore[arg-type]

    def people(pts_s: float) -> Mapping[int, Box]:
        return {64: box_at(float(np.interp(pts_s, [4, 6, 8, 10], [100, 40, 40, 100])), 180)}

    limits = replace(ANYTHING_GOES, max_padded=0.15)
    run = Run(SessionConfig(clip=clip), limits=limits, calibration=CALIBRATION)
    rng = np.random.default_rng(seed)
    level = 0.0
    for pts_s in times(0, 15, 12.5):
        run.feed([pts_s], people)
        for window in run.windows:
            level = 0.9 * level + 0.9 * rng.normal()
            run.session.put_scores([scored(window, 1 / (1 + float(np.exp(-level))))])
        run.windows.clear()
        run.collect()
    said = run.heard.of(Score)
    assert len({(one.face_id, one.generation) for one in said}) == 1
    track = Track(
        key="live",
        group="live",
        fake=True,
        start_s=0.0,
        usable_s=1.0,
        moments=tuple(Moment(one.pts_start_s, one.pts_end_s, one.raw_score, not one.reasons) for one in said),
    )
    steps = list(follow(track, Calibrator(CALIBRATION), SCORING, clip))
    usable = [(one, step) for one, step in zip(said, steps, strict=True) if not one.reasons]
    assert len(usable) < len(said)
    assert [step.state for _, step in usable] == [one.state for one, _ in usable]
    assert [Calibrator(CALIBRATION).p_of(step.evidence) for _, step in usable] == [one.p_face for one, _ in usable]


def test_the_live_sessions_of_the_test_above_see_every_state() -> None:
    """Else it would compare nothing."""
    rng = np.random.default_rng(0)
    level, scores = 0.0, []
    for _ in range(200):
        level = 0.9 * level + 0.9 * rng.normal()
        scores.append(1 / (1 + float(np.exp(-level))))
    steps = follow(track_of(*scores), Calibrator(CALIBRATION), SCORING, CLIP)
    assert {step.state for step in steps} == {FAKE, REAL, UNCERTAIN}


def test_a_fake_is_told_so_long_after_its_face_appeared() -> None:
    sure = track_of(*[0.99] * 10)
    assert played(sure).fake_after_s == pytest.approx(2 * 0.64)
    assert played(replace(sure, start_s=-3.0)).fake_after_s == pytest.approx(2 * 0.64 + 3.0)
    assert played(sure).alarms == 1
    assert played(sure).real_after_s == inf
    assert played(track_of(*[0.01] * 10)).real_after_s == pytest.approx(2 * 0.64)


def test_what_is_not_usable_is_no_evidence_and_time_passes_all_the_same() -> None:
    unusable = played(track_of(*[0.99] * 10, usable=False))
    assert (unusable.alarms, unusable.highest, unusable.last) == (0, 0.0, 0.0)
    first, later = moments([0.99] * 3), moments([0.99] * 10, start_s=3 * 0.64, usable=False)
    forgotten = played(replace(track_of(0.5), moments=(*first, *later)))
    assert 0 < forgotten.last < forgotten.highest


def test_every_alarm_is_counted_and_the_first_one_dated() -> None:
    twice = played(track_of(*[0.99] * 4, *[0.01] * 6, *[0.99] * 8, fake=False))
    assert twice.alarms == 2
    assert twice.fake_after_s == pytest.approx(2 * 0.64)
    assert twice.real_after_s < inf


def test_how_far_evidence_went_decides_which_thresholds_are_reached() -> None:
    """Thresholds are chosen by `highest` and `lowest`, replayed with others that are out of reach."""
    rng = np.random.default_rng(1)
    track = track_of(*(1 / (1 + np.exp(-rng.normal(0.3, 1.5, 60)))).tolist())
    highest = played(track, with_fake_enter(1 - 1e-6)).highest
    for above, accused in ((-0.01, True), (0.01, False)):
        enter = 1 / (1 + float(np.exp(-(highest + above))))
        assert (played(track, with_fake_enter(enter)).alarms > 0) == accused


def test_soon_is_within_ten_seconds_of_the_faces_appearance() -> None:
    late = track_of(*[0.6] * 15, *[0.99] * 10)  # 9.6 s, then more
    assert 0 < played(late).highest_soon < played(late).highest
    assert played(replace(late, start_s=10.0)).highest_soon == played(late).highest
    assert played(replace(late, start_s=-10.0)).highest_soon == 0.0


def with_fake_enter(p: float) -> Calibration:
    return replace(CALIBRATION, thresholds=replace(CALIBRATION.thresholds, fake_enter=p))


def test_a_face_with_less_than_two_windows_of_usable_time_is_no_track() -> None:
    faces = [face(moments([0.5] * 2), face_id=1), face(moments([0.5]), face_id=2), face([], face_id=3)]
    unusable = face(moments([0.5] * 9, usable=False), face_id=4)
    [track] = tracks_of([trace("a", "fake", [*faces, unusable], group="g")], CLIP)
    assert (track.key, track.group, track.fake, len(track.moments)) == ("a/1.1", "g", True, 2)
    assert track.usable_s == pytest.approx(1.28)
