"""What a session says of faces once they are scored: calibrated or not, usable or not, and across hiding.

Scores are put in by hand, at once, as a file's are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest

from streamguard.bundle import Calibration
from streamguard.config import ClipConfig, ScoringConfig, SessionConfig
from streamguard.events import (
    Blinded,
    CannotJudge,
    EndOfStream,
    FaceAppeared,
    FaceLost,
    Overload,
    ParticipantVerdictChanged,
    Score,
    VerdictChanged,
)
from streamguard.faces.quality import QualityLimits
from streamguard.judge import Judge
from streamguard.testing import CALIBRATION, painted
from streamguard.values import Box, FaceState, Frame, Reason, Window
from tests.engine.windows import QUALITY
from tests.engine.windows import window as window_made
from tests.sessions import ANYTHING_GOES, Run, box_at, frame_at, scored, still
from tests.sessions import times as camera_times

ADA, BEN = 64, 128
HERE = {ADA: box_at(200, 180)}
CLIP = ClipConfig(size_px=32)
STEPS = ClipConfig(size_px=32, feed="step", length=4, memory=6)
TOO_SMALL = replace(ANYTHING_GOES, min_size_px=1000)
FAKE, REAL = 0.97, 0.03

RawScore = Callable[[Window], float]


def times(start_s: float, end_s: float) -> list[float]:
    """Just as many frames as the grid wants: minutes of them must not take minutes."""
    return camera_times(start_s, end_s, rate_hz=12.5)


class Judged(Run):
    """A run whose windows are scored as soon as they are made."""

    def __init__(
        self,
        raw: RawScore | float,
        clip: ClipConfig = CLIP,
        *,
        calibration: Calibration | None = CALIBRATION,
        limits: QualityLimits = ANYTHING_GOES,
        scoring: ScoringConfig | None = None,
    ) -> None:
        config = SessionConfig(clip=clip, scoring=scoring or ScoringConfig())
        super().__init__(config, limits=limits, calibration=calibration)
        self.raw: RawScore = raw if callable(raw) else lambda window: raw
        self.answers = True

    def collect(self) -> None:
        windows = self.session.take_work()
        self.windows += windows
        if self.answers:
            self.session.put_scores([scored(window, self.raw(window)) for window in windows])
        self.heard.add(self.session.events())

    def states(self) -> list[FaceState]:
        return [change.state for change in self.heard.of(VerdictChanged)]

    def participant(self) -> list[FaceState]:
        return [change.state for change in self.heard.of(ParticipantVerdictChanged)]


def test_a_fake_face_becomes_likely_fake_within_a_few_windows_and_says_how_sure() -> None:
    run = Judged(FAKE)
    run.feed(times(0, 4), still(HERE))
    assert run.states() == [FaceState.UNCERTAIN, FaceState.LIKELY_FAKE]
    changed = next(e for e in run.heard.events if getattr(e.kind, "state", None) is FaceState.LIKELY_FAKE)
    assert changed.pts_s <= 4 * 0.64 + 0.1
    scores = run.heard.of(Score)
    assert all(score.p_fake == pytest.approx(FAKE) for score in scores)
    assert all(score.p_fake_low < score.p_fake < score.p_fake_high for score in scores)  # type: ignore[operator]
    assert [score.p_face for score in scores] == sorted(score.p_face for score in scores)  # type: ignore[type-var]
    assert scores[-1].state is FaceState.LIKELY_FAKE


def test_a_real_face_becomes_likely_real() -> None:
    run = Judged(REAL).feed(times(0, 4), still(HERE))
    assert run.states() == [FaceState.UNCERTAIN, FaceState.LIKELY_REAL]
    assert run.participant() == [FaceState.UNCERTAIN], "credit takes longer to earn"
    run.feed(times(4, 45), still(HERE))
    assert run.participant() == [FaceState.UNCERTAIN, FaceState.LIKELY_REAL]


def test_without_calibration_there_is_no_probability_and_no_verdict() -> None:
    run = Judged(FAKE, calibration=None).feed(times(0, 6), still(HERE))
    assert run.states() == [FaceState.UNCERTAIN]
    for score in run.heard.of(Score):
        assert (score.p_fake, score.p_fake_low, score.p_fake_high, score.p_face) == (None, None, None, None)
        assert score.state is FaceState.UNCERTAIN
        assert score.reasons == (Reason.UNCALIBRATED,)
    assert run.participant() == []


def test_two_faces_are_judged_apart() -> None:
    def raw(window: Window) -> float:
        return FAKE if window.crops.max() > 100 else REAL

    run = Judged(raw).feed(times(0, 4), still({ADA: box_at(150, 180), BEN: box_at(480, 180)}))
    last = {score.face_id: score for score in run.heard.of(Score)}
    fake = max(last.values(), key=lambda score: score.raw_score)
    assert {score.state for score in last.values()} == {FaceState.LIKELY_FAKE, FaceState.LIKELY_REAL}
    assert fake.state is FaceState.LIKELY_FAKE
    told = run.heard.of(ParticipantVerdictChanged)[-1]
    assert (told.state, told.face_id) == (FaceState.LIKELY_FAKE, fake.face_id)


def test_a_picture_that_allows_no_judgement_is_no_evidence() -> None:
    run = Judged(FAKE, limits=TOO_SMALL).feed(times(0, 6), still(HERE))
    assert set(run.states()) == {FaceState.LOW_QUALITY}
    assert run.participant() == []
    for score in run.heard.of(Score):
        assert score.p_fake is None
        assert score.state is FaceState.LOW_QUALITY
        assert score.reasons == (Reason.TOO_SMALL,)


def test_a_verdict_survives_hiding_and_is_cleared_by_an_honest_minute() -> None:
    fake_until_s = 4.0
    run = Judged(lambda window: FAKE if window.pts_end_s < fake_until_s else REAL)
    run.feed(times(0, 4), still(HERE))
    assert run.session.participant_state is FaceState.LIKELY_FAKE
    run.feed(times(4, 9), still({}))  # covered for 5 s
    assert run.session.participant_state is FaceState.LIKELY_FAKE
    run.feed(times(9, 14), still(HERE))
    born = run.heard.of(FaceAppeared)
    assert (born[0].face_id, born[0].generation) != (born[1].face_id, born[1].generation)
    assert run.states()[-1] is FaceState.LIKELY_REAL, "the new generation is judged by what it shows"
    assert run.session.participant_state is FaceState.LIKELY_FAKE, "and the participant by what they showed"
    run.feed(times(14, 74), still(HERE))
    assert run.session.participant_state is not FaceState.LIKELY_FAKE


def test_a_swap_in_mid_call_is_not_averaged_away() -> None:
    run = Judged(lambda window: FAKE if window.pts_start_s >= 60.0 else REAL)
    run.feed(times(0, 65), still(HERE))
    fakes = [e.pts_s for e in run.heard.events if getattr(e.kind, "state", None) is FaceState.LIKELY_FAKE]
    assert 60.0 < fakes[0] < 60.64 + 4 * 0.64


def test_cannot_judge_is_raised_after_the_stated_time_and_when_it_has_lasted_twice_as_long() -> None:
    run = Judged(REAL, scoring=ScoringConfig(cannot_judge_after_s=3.0))
    run.feed(times(0, 2), still(HERE)).feed(times(2, 16), still({}))
    alarms = run.heard.of(CannotJudge)
    assert [round(alarm.missing_s, 1) for alarm in alarms] == pytest.approx([3.0, 6.0, 12.0], abs=0.1)
    assert {alarm.reasons for alarm in alarms} == {()}
    run.feed(times(16, 18), still(HERE))
    assert len(run.heard.of(CannotJudge)) == 3, "somebody can be judged again"
    run.feed(times(18, 22), still({}))
    assert len(run.heard.of(CannotJudge)) == 4, "and the count begins anew"


def test_a_face_that_never_allows_a_judgement_is_no_escape() -> None:
    run = Judged(REAL, limits=TOO_SMALL, scoring=ScoringConfig(cannot_judge_after_s=3.0))
    run.feed(times(0, 7), still(HERE))
    assert [alarm.reasons for alarm in run.heard.of(CannotJudge)] == [(Reason.TOO_SMALL,)] * 2


def test_nor_is_one_that_is_gone_before_its_window_is_full() -> None:
    """Half a second here, a second away: never long enough to be looked at."""
    run = Judged(REAL, scoring=ScoringConfig(cannot_judge_after_s=3.0))

    def people(pts_s: float) -> dict[int, Box]:
        return HERE if pts_s % 1.5 < 0.5 else {}

    run.feed(times(0, 7), people)
    assert len(run.heard.of(FaceAppeared)) >= 4
    assert run.heard.of(Score) == []
    assert len(run.heard.of(CannotJudge)) == 2


def test_a_fake_that_never_stays_for_two_windows_is_no_escape() -> None:
    """Each generation is gone before it can be judged. The participant is, by all of them together."""

    def people(pts_s: float) -> dict[int, Box]:
        return HERE if pts_s % 1.9 < 1.2 else {}

    run = Judged(FAKE).feed(times(0, 25), people)
    assert set(run.states()) == {FaceState.UNCERTAIN}
    assert len(run.heard.of(FaceAppeared)) > 8
    assert run.participant() == [FaceState.UNCERTAIN, FaceState.LIKELY_FAKE]
    assert len(run.heard.of(CannotJudge)) >= 1, "and no face could be judged"
    honest = Judged(REAL).feed(times(0, 25), people)
    assert FaceState.LIKELY_FAKE not in honest.participant()


def test_nor_is_a_sender_that_changes_its_size_all_the_time() -> None:
    run = Judged(FAKE)
    for i in range(20):
        start_s = 1.2 * i
        for pts_s in times(start_s, start_s + 1.2):
            picture = painted(640 + 4 * (i % 2), 360, HERE)
            run.session.feed(Frame(pts_s=pts_s, picture=picture, arrival_s=pts_s), now_s=pts_s)
            run.collect()
    assert len(run.heard.of(FaceAppeared)) == 20
    assert run.session.participant_state is FaceState.LIKELY_FAKE
    assert len(run.heard.of(CannotJudge)) >= 1


def test_people_side_by_side_are_not_added_up() -> None:
    """Two faces that look a little fake to the network are not one that looks very fake."""
    both = still({ADA: box_at(150, 180), BEN: box_at(480, 180)})

    def people(pts_s: float) -> dict[int, Box]:
        return dict(both(pts_s)) if pts_s % 1.9 < 1.2 else {}

    run = Judged(0.85).feed(times(0, 25), people)
    assert FaceState.LIKELY_FAKE not in run.participant()


@pytest.mark.parametrize("answer", ["nan", "lost"])
def test_a_network_that_does_not_answer_raises_the_alarm_and_verdicts_fade(answer: str) -> None:
    run = Judged(lambda window: nan if answer == "nan" and window.pts_end_s > 10 else REAL)
    run.feed(times(0, 10), still(HERE))
    assert run.states()[-1] is FaceState.LIKELY_REAL
    if answer == "lost":
        run.answers = False
    run.feed(times(10, 60), still(HERE))
    assert run.states()[-1] is FaceState.UNCERTAIN
    alarms = run.heard.of(CannotJudge)
    assert [round(alarm.missing_s) for alarm in alarms] == [10, 20, 40]
    assert {alarm.reasons for alarm in alarms} == {(Reason.NOT_SCORED,)}


def test_an_old_verdict_does_not_come_back_after_a_bad_picture() -> None:
    """Honest, then too small for a minute, then a good picture: nobody is LIKELY_REAL by what was a minute ago."""
    judge = Judge(SessionConfig(clip=CLIP), QualityLimits(), CALIBRATION)
    judge.begin((0, 1))

    def see(end_s: float, **quality: float) -> FaceState:
        shown = replace(window_made(end_s=end_s), quality=replace(QUALITY, **quality))
        judge.see(shown)
        judge.pass_time(end_s)
        before = judge.opinion((0, 1)).state
        judge.score(scored(shown, REAL))
        return before

    assert [see(0.64 * i) for i in range(1, 20)][-1] is FaceState.LIKELY_REAL
    assert {see(0.64 * i, size_px=10.0) for i in range(20, 120)} == {FaceState.LOW_QUALITY}
    assert see(0.64 * 120) is FaceState.UNCERTAIN


def test_a_sender_whose_clock_crawls_is_found_by_the_wall_clock() -> None:
    """60 s of pictures that claim to be 0.6 s: no window is ever full."""
    run = Judged(FAKE)
    for i in range(1500):
        pts_s, now_s = 0.0004 * i, 0.04 * i
        run.session.feed(frame_at(pts_s, HERE), now_s)
        run.session.tick(now_s)
        run.collect()
    assert [round(alarm.missing_s) for alarm in run.heard.of(CannotJudge)] == [10, 20, 40]


def test_silence_ends_in_the_same_alarm() -> None:
    run = Judged(REAL)
    for pts_s in times(0, 4):
        run.session.feed(frame_at(pts_s, HERE), pts_s)
        run.session.tick(pts_s)
        run.collect()
    for _ in range(3):
        deadline_s = run.session.next_deadline_s()
        assert deadline_s is not None
        run.session.tick(deadline_s)
        run.collect()
    kinds = [type(event.kind) for event in run.heard.events[-3:]]
    assert kinds == [Blinded, CannotJudge, CannotJudge]


def test_it_can_be_told_never_to_alarm() -> None:
    run = Judged(REAL, scoring=ScoringConfig(cannot_judge_after_s=None)).feed(times(0, 30), still({}))
    assert run.heard.of(CannotJudge) == []
    assert run.session.next_deadline_s() == pytest.approx(29.92 + 2.0)


def test_a_usable_face_raises_no_alarm_though_it_is_uncalibrated() -> None:
    run = Judged(FAKE, calibration=None, scoring=ScoringConfig(cannot_judge_after_s=1.0))
    run.feed(times(0, 6), still(HERE))
    assert [alarm.missing_s for alarm in run.heard.of(CannotJudge)] == []


@pytest.mark.parametrize("bad", [nan, inf, -inf, -0.01, 1.01])
def test_a_score_that_is_no_number_from_0_to_1_is_refused_and_counted(bad: float) -> None:
    run = Judged(bad).feed(times(0, 3), still(HERE))
    assert run.heard.of(Score) == []
    assert run.states() == []
    assert run.session.statistics().bad_scores == len(run.windows) > 0


def test_a_step_network_that_gave_no_number_starts_that_face_afresh() -> None:
    """What it remembers of the face may be as bad."""
    run = Judged(lambda window: nan if 1.0 < window.pts_end_s < 1.1 else REAL, STEPS)
    run.feed(times(0, 3), still(HERE))
    ages = [window.age for window in run.windows]
    assert ages.count(0) == 2
    fresh = run.windows[len(ages) - 1 - ages[::-1].index(0)]
    assert len(fresh.crops) == STEPS.crops
    assert fresh.crop_epoch == 2


def test_steps_are_not_told_as_scores_before_the_network_has_seen_enough() -> None:
    run = Judged(FAKE, STEPS).feed(times(0, 2), still(HERE))
    first = run.heard.of(Score)[0]
    assert first.crops_real == STEPS.length
    assert first.crops_expected == STEPS.crops
    assert first.pts_end_s - first.pts_start_s == pytest.approx((STEPS.length - 1) * 0.08)


def test_steps_and_windows_come_to_the_same_verdict_at_the_same_pace() -> None:
    def told_s(clip: ClipConfig) -> float:
        run = Judged(0.85, clip).feed(times(0, 8), still(HERE))
        return next(e.pts_s for e in run.heard.events if getattr(e.kind, "state", None) is FaceState.LIKELY_FAKE)

    clips = ClipConfig(size_px=32, length=4, memory=6, hop_s=0.32)
    assert told_s(STEPS) == pytest.approx(told_s(clips), abs=0.7)


def test_a_stretched_hop_holds_for_all_faces_and_is_told_and_taken_back() -> None:
    run = Judged(REAL)
    people = still({ADA: box_at(150, 180), BEN: box_at(480, 180)})
    run.feed(times(0, 3), people)
    run.session.set_hop(1.9, now_s=3.0)
    run.feed(times(3, 13), people)
    run.session.set_hop(0.64, now_s=13.0)
    run.feed(times(13, 18), people)
    for face_id in {window.face_id for window in run.windows}:
        ends = [window.pts_end_s for window in run.windows if window.face_id == face_id]
        slow = [b - a for a, b in pairwise(ends) if a > 5 and b < 13]
        fast = [b - a for a, b in pairwise(ends) if a > 15]
        assert slow == pytest.approx([1.92] * len(slow))
        assert fast == pytest.approx([0.64] * len(fast))
        assert len(slow) >= 3
    starts = {window.face_id: window.pts_end_s for window in reversed(run.windows) if 4 < window.pts_end_s < 13}
    assert np.ptp(list(starts.values())) > 0.5, "not both at once"
    assert [round(one.effective_hop_s, 2) for one in run.heard.of(Overload)] == [1.92, 0.64]


def test_lost_work_is_counted_and_told() -> None:
    run = Run(SessionConfig(clip=CLIP), calibration=CALIBRATION).feed(times(0, 4), still(HERE))
    run.session.lose_work(run.windows[:3])
    run.session.set_hop(0.64, now_s=4.0)
    run.session.lose_work(run.windows[3:4])
    run.session.set_hop(0.64, now_s=5.0)  # not again so soon
    run.collect()
    assert [(one.effective_hop_s, one.dropped) for one in run.heard.of(Overload)] == [(0.64, 3)]
    run.session.set_hop(0.64, now_s=9.5)
    run.collect()
    assert [one.dropped for one in run.heard.of(Overload)] == [3, 1]
    assert run.session.statistics().work_dropped == 4


def test_what_was_lost_last_is_told_before_the_end() -> None:
    run = Run(SessionConfig(clip=CLIP), calibration=CALIBRATION).feed(times(0, 4), still(HERE))
    run.session.lose_work(run.windows[:2])
    run.session.source_event(EndOfStream(frames=50), 4.0)
    run.collect()
    assert [type(event.kind) for event in run.heard.events[-3:]] == [FaceLost, Overload, EndOfStream]
    assert run.heard.of(Overload)[0].dropped == 2


def test_a_step_that_is_lost_starts_the_face_afresh() -> None:
    run = Run(SessionConfig(clip=STEPS)).feed(times(0, 2), still(HERE))
    run.session.lose_work([run.windows[-1]])
    before = len(run.windows)
    run.feed(times(2, 2.3), still(HERE))
    fresh = run.windows[before]
    assert (fresh.age, fresh.crop_epoch, len(fresh.crops)) == (0, 2, STEPS.crops)
    run.session.lose_work([run.windows[0]])  # of an epoch that is over: nothing to mend
    run.feed(times(2.3, 3), still(HERE))
    assert {window.crop_epoch for window in run.windows[before:]} == {2}
