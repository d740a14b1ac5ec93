"""Verdicts: how soon a fake is told, what never tells one, who is named, and how a participant gets rid of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import exp, inf, isfinite, nan

import numpy as np
import pytest

from streamguard.bundle import Calibration, Temperature, Thresholds
from streamguard.config import ClipConfig, ScoringConfig
from streamguard.scoring.accumulate import PER_WINDOW
from streamguard.scoring.calibrate import Calibrator
from streamguard.scoring.verdict import LONGEST_STEP_S, FaceVerdict, Levels, ParticipantVerdict
from streamguard.values import FaceState

REAL, UNCERTAIN, FAKE = FaceState.LIKELY_REAL, FaceState.UNCERTAIN, FaceState.LIKELY_FAKE
WINDOW_S = 0.64
CONFIG = ScoringConfig()
A, B, C = (1, 1), (2, 1), (1, 2)
"""Faces: one, another, and the first one's second generation."""


def calibrator(
    prior: float | None = None,
    *,
    assumed: float = 0.5,
    scale: float = 1.0,
    thresholds: tuple[float, float, float, float] = (0.9, 0.7, 0.35, 0.2),
) -> Calibrator:
    """One whose evidence under a prior of one half is the raw score's logit."""
    fake_enter, fake_leave, real_leave, real_enter = thresholds
    calibration = Calibration(
        graph="window",
        precision="fp32",
        prior=assumed,
        curve=Temperature(scale=1.0, offset=float(np.log(assumed / (1 - assumed))), stderr=0.1),
        thresholds=Thresholds(
            fake_enter=fake_enter,
            fake_leave=fake_leave,
            real_leave=real_leave,
            real_enter=real_enter,
            false_positive_rate=0.01,
        ),
        fitted_on="tests",
        evidence_scale=scale,
    )
    return Calibrator(calibration, prior)


def raw(evidence: float) -> float:
    return 1 / (1 + exp(-evidence))


def play(face: FaceVerdict, *evidence: float, start_s: float = 0.0) -> list[FaceState]:
    """Windows side by side from then on; the state after each."""
    states = []
    for i, each in enumerate(evidence):
        end_s = start_s + (i + 1) * WINDOW_S
        face.add(raw(each), pts_start_s=end_s - WINDOW_S, pts_end_s=end_s)
        states.append(face.state)
    return states


def steps_of(face: FaceVerdict, evidence: float, until_s: float) -> Iterator[float]:
    """A score every 80 ms of the window before it; yields the media time since the first window's start."""
    for i in range(round((until_s - WINDOW_S) / 0.08) + 1):
        end_s = WINDOW_S + i * 0.08
        face.add(raw(evidence), pts_start_s=end_s - WINDOW_S, pts_end_s=end_s)
        yield end_s


def windows_until_fake(evidence: float, *, after_honest: int = 0) -> int:
    face = FaceVerdict(calibrator(), CONFIG)
    play(face, *[-2.0] * after_honest)
    assert face.state is not FAKE
    states = play(face, *[evidence] * 50, start_s=after_honest * WINDOW_S)
    return states.index(FAKE) + 1


def seconds(
    participant: ParticipantVerdict, start_s: float, count: int, faces: dict[tuple[int, int], float]
) -> list[FaceState]:
    """An update each second, from the second after `start_s` on."""
    return [participant.update(start_s + i + 1, faces) for i in range(count)]


def accused(prior: float | None = None) -> ParticipantVerdict:
    """At pts 0, LIKELY_FAKE for face A's 5.0."""
    participant = ParticipantVerdict(calibrator(prior), CONFIG)
    assert participant.update(0.0, {A: 5.0}) is FAKE
    return participant


# One face: which way, and how soon.


def test_high_scores_make_a_face_likely_fake_and_low_ones_likely_real() -> None:
    fake, real = FaceVerdict(calibrator(), CONFIG), FaceVerdict(calibrator(), CONFIG)
    assert play(fake, *[4.0] * 5)[-1] is FAKE
    assert fake.p_face > 0.9
    assert play(real, *[-4.0] * 5)[-1] is REAL
    assert real.p_face < 0.2


def test_score_is_given_back_as_calibrated_by_itself() -> None:
    face = FaceVerdict(calibrator(), CONFIG)
    play(face, 2.0, 2.0)
    estimate = face.add(raw(-1.0), pts_start_s=1.28, pts_end_s=1.92)
    assert estimate == calibrator().estimate(raw(-1.0))
    assert face.p_face > 0.5 > estimate.p_fake


def test_scaled_evidence_takes_longer_and_leaves_what_a_score_says_alone() -> None:
    plain, scaled = FaceVerdict(calibrator(), CONFIG), FaceVerdict(calibrator(scale=0.25), CONFIG)
    assert play(plain, *[2.0] * 9).index(FAKE) == 1
    assert play(scaled, *[2.0] * 9).index(FAKE) == 4
    for face in (plain, scaled):
        estimate = face.add(raw(1.0), pts_start_s=9.0, pts_end_s=9.64)
        assert estimate == calibrator().estimate(raw(1.0))


def test_evidence_of_a_participant_who_never_stays_is_scaled_too() -> None:
    evidence = []
    for scale in (1.0, 0.25):
        participant = ParticipantVerdict(calibrator(scale=scale), CONFIG)
        participant.update(0.0, {A: 0.0})
        for i in range(4):
            end_s = (i + 1) * WINDOW_S
            participant.add(calibrator().estimate(raw(1.0)), pts_start_s=end_s - WINDOW_S, pts_end_s=end_s)
            participant.update(end_s, {(1, i + 1): 0.0})
        evidence.append(participant.evidence)
    assert evidence[1] == pytest.approx(0.25 * evidence[0])
    assert evidence[0] > 1.0


def test_swap_after_an_honest_minute_is_told_in_three_windows_and_a_swap_from_the_start_in_two() -> None:
    assert windows_until_fake(2.0) == 2
    assert windows_until_fake(2.0, after_honest=94) == 3


@pytest.mark.parametrize("honest", [94, 5625])
@pytest.mark.parametrize(("evidence", "late"), [(2.0, 1), (1.0, 2), (0.5, 5)])
def test_honest_time_before_delays_a_swap_by_so_many_windows_and_no_more(
    honest: int, evidence: float, late: int
) -> None:
    assert windows_until_fake(evidence, after_honest=honest) - windows_until_fake(evidence) <= late


def test_from_likely_fake_straight_to_likely_real_if_the_evidence_says_so() -> None:
    levels = Levels.of(calibrator())
    assert levels.follow(FAKE, levels.real_enter - 0.1) is REAL
    assert levels.follow(REAL, levels.fake_enter + 0.1) is FAKE


def test_states_are_entered_and_left_at_the_bundles_thresholds() -> None:
    """Odds of 9, 7/3, 7/13 and 1/4; the last asks for less than more than one window, so that decides."""
    levels = Levels.of(calibrator())
    assert (levels.fake_enter, levels.fake_leave, levels.real_leave) == pytest.approx(
        (np.log(9), np.log(7 / 3), np.log(7 / 13))
    )
    assert levels.real_enter == -PER_WINDOW
    walk = [(2.1, UNCERTAIN), (2.2, FAKE), (0.9, FAKE), (0.8, UNCERTAIN), (2.1, UNCERTAIN), (-2.0, UNCERTAIN)]
    walk += [(-2.01, REAL), (-0.7, REAL), (-0.6, UNCERTAIN), (-1.9, UNCERTAIN), (3.0, FAKE)]
    state = UNCERTAIN
    for evidence, expected in walk:
        state = levels.follow(state, evidence)
        assert (evidence, state) == (evidence, expected)


# One face: what never accuses.


@pytest.mark.parametrize("prior", [None, 0.01, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize("assumed", [0.05, 0.5, 0.95])
def test_no_prior_accuses_or_clears_without_evidence(prior: float | None, assumed: float) -> None:
    face = FaceVerdict(calibrator(prior, assumed=assumed), CONFIG)
    assert face.state is UNCERTAIN
    assert face.at(1.0) is UNCERTAIN
    assert set(play(face, *[0.0] * 20)) == {UNCERTAIN}
    assert face.p_face == pytest.approx(assumed if prior is None else prior)


@pytest.mark.parametrize("prior", [None, 0.01, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize("fake_enter", [0.55, 0.9])
def test_no_single_window_accuses_or_clears_under_any_prior(prior: float | None, fake_enter: float) -> None:
    bold = calibrator(prior, thresholds=(fake_enter, 0.52, 0.48, 0.45))
    for evidence in (13.8, -13.8):
        face = FaceVerdict(bold, CONFIG)
        assert play(face, evidence, 0.0, 0.0) == [UNCERTAIN] * 3


@pytest.mark.parametrize("prior", [None, 0.95])
def test_two_windows_of_media_time_are_needed_however_many_scores_there_are(prior: float | None) -> None:
    face = FaceVerdict(calibrator(prior), CONFIG)
    told_s = next(t for t in steps_of(face, 13.8, until_s=5.0) if face.state is FAKE)
    assert told_s == pytest.approx(2 * WINDOW_S, abs=0.08)


def test_two_windows_suffice_though_frames_come_unevenly() -> None:
    face = FaceVerdict(calibrator(), CONFIG)
    face.add(raw(4.0), pts_start_s=0.0, pts_end_s=0.64)
    face.add(raw(4.0), pts_start_s=0.62, pts_end_s=1.26)
    assert face.state is FAKE


def test_an_outlier_among_honest_windows_never_accuses() -> None:
    for honest in (-2.0, -0.5, -0.1, 0.0):
        for place in range(12):
            face = FaceVerdict(calibrator(0.95), CONFIG)
            evidence = [honest] * 12
            evidence[place] = 13.8
            assert FAKE not in play(face, *evidence)


def test_back_and_forth_stays_uncertain_without_flapping() -> None:
    for first in (2.0, -2.0):
        face = FaceVerdict(calibrator(), CONFIG)
        states = play(face, *[first, -first] * 500)
        assert changes(states) == 0
        assert states[-1] is UNCERTAIN


def test_noise_around_a_threshold_does_not_flap() -> None:
    """Held near where LIKELY_FAKE begins, plus and minus 0.5: without hysteresis this changes a few hundred times."""
    rng = np.random.default_rng(1)
    levels, state, states = Levels.of(calibrator()), UNCERTAIN, []
    for noise in rng.uniform(-0.5, 0.5, 1000):
        state = levels.follow(state, levels.fake_enter + float(noise))
        states.append(state)
    assert changes(states) <= 1


def test_thresholds_must_be_fitted_on_whole_calls() -> None:
    """Every window of a call is one more chance to be accused. Honest windows, two standard deviations from faked
    ones (an AUC of 0.92) and independent: of 100 honest faces in ten minutes, how many are accused."""
    windows = np.random.default_rng(3).normal(-2.0, 2.0, (100, 937))

    def accused_at(fake_enter: float) -> int:
        strict = calibrator(thresholds=(fake_enter, 0.7, 0.35, 0.2))
        return sum(FAKE in play(FaceVerdict(strict, CONFIG), *call) for call in windows)

    assert accused_at(0.9) > 10
    assert accused_at(0.995) <= 1


# One face: priors, limits and forgetting.


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("prior", [0.001, 0.1, 0.3, 0.8, 0.99])
def test_a_users_prior_makes_no_verdict_bolder(seed: int, prior: float) -> None:
    rng = np.random.default_rng(seed)
    mine, plain = FaceVerdict(calibrator(prior), CONFIG), FaceVerdict(calibrator(), CONFIG)
    evidence = np.repeat(rng.normal(0, 1.5, 60), rng.integers(1, 12, 60)) + rng.normal(0, 0.5)
    states = list(zip(play(mine, *evidence), play(plain, *evidence), strict=True))
    assert {FAKE, REAL} <= {bolder for _, bolder in states}
    for careful, bolder in states:
        assert careful in (UNCERTAIN, bolder)


@pytest.mark.parametrize("prior", [0.001, 0.01, 0.5, 0.95])
@pytest.mark.parametrize("thresholds", [(0.9, 0.7, 0.35, 0.2), (0.999, 0.99, 0.01, 0.001)])
def test_every_verdict_can_be_reached_and_agrees_with_its_number(
    prior: float, thresholds: tuple[float, float, float, float]
) -> None:
    for evidence, state in ((2.0, FAKE), (-2.0, REAL)):
        face = FaceVerdict(calibrator(prior, thresholds=thresholds), CONFIG)
        assert play(face, *[evidence] * 30)[-1] is state
        assert face.p_face >= thresholds[0] if state is FAKE else face.p_face <= thresholds[3]


@pytest.mark.parametrize("seed", range(200))
def test_levels_are_ordered_and_within_the_sums_limits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real_enter, real_leave, fake_leave, fake_enter = np.sort(rng.uniform(0.0001, 0.9999, 4)).tolist()
    levels = Levels.of(
        calibrator(
            prior=float(rng.uniform(1e-4, 1 - 1e-4)),
            assumed=float(rng.uniform(1e-4, 1 - 1e-4)),
            thresholds=(fake_enter, fake_leave, real_leave, real_enter),
        )
    )
    assert levels.floor < levels.real_enter < levels.real_leave < 0
    assert 0 < levels.fake_leave < levels.fake_enter < levels.ceiling


@pytest.mark.parametrize("prior", [None, 0.05, 0.95])
@pytest.mark.parametrize("assumed", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("evidence", [2.0, -2.0])
def test_every_state_is_forgotten(prior: float | None, assumed: float, evidence: float) -> None:
    face = FaceVerdict(calibrator(prior, assumed=assumed, thresholds=(0.95, 0.6, 0.5, 0.05)), CONFIG)
    assert play(face, *[evidence] * 30)[-1] in (FAKE, REAL)
    assert face.at(30 * WINDOW_S + 60.0) is UNCERTAIN


def test_accusation_outlasts_its_evidence_and_ends_at_its_threshold() -> None:
    """From 5 down to the log odds of 0.7 by a half-life of 8 s: 8 * log2(5 / 0.847) = 20.5 s."""
    face = FaceVerdict(calibrator(), CONFIG)
    play(face, *[2.0] * 20)
    assert face.at(12.8 + 20.4) is FAKE
    assert face.at(12.8 + 20.6) is UNCERTAIN


def test_time_does_not_run_backward() -> None:
    face = FaceVerdict(calibrator(), CONFIG)
    play(face, *[2.0] * 20)
    face.at(40.0)
    before = (face.state, face.evidence, face.p_face)
    face.at(12.8)
    face.at(nan)
    face.add(raw(2.0), pts_start_s=1.0, pts_end_s=1.64)
    assert (face.state, face.evidence, face.p_face) == before


def test_time_that_is_no_number_is_passed_over() -> None:
    for pts_s in (nan, inf, -inf):
        face = FaceVerdict(calibrator(), CONFIG)
        assert face.at(pts_s) is UNCERTAIN
        assert play(face, *[2.0] * 5)[-1] is FAKE
        assert face.at(pts_s) is FAKE
        assert face.at(120.0) is UNCERTAIN


def test_score_that_comes_late_is_taken_at_its_own_time() -> None:
    prompt, late = FaceVerdict(calibrator(), CONFIG), FaceVerdict(calibrator(), CONFIG)
    play(prompt, 1.0, 1.0)
    prompt.at(3.0)
    play(late, 1.0)
    late.at(3.0)
    play(late, 1.0, start_s=WINDOW_S)
    assert late.evidence == pytest.approx(prompt.evidence)


@pytest.mark.parametrize(("length", "memory"), [(8, 0), (8, 16), (4, 4)])
def test_score_judges_its_last_crops_and_the_step_before_the_first(length: int, memory: int) -> None:
    """At any hop, and whatever the network remembers: a steady 0.3 a window adds up to the same."""
    clip = ClipConfig(grid_s=0.16, length=length, memory=memory, hop_s=0.16)
    sums = []
    for hop in (1, 2, length):
        face = FaceVerdict(calibrator(), CONFIG, clip=clip)
        for newest in range(length + memory - 1, 10 * (length + memory) * length, hop):
            oldest = newest - (length + memory - 1)
            face.add(raw(0.3 * length / 8), pts_start_s=0.16 * oldest, pts_end_s=0.16 * newest)
        sums.append(face.evidence)
    assert sums == pytest.approx([0.3 / (1 - 2 ** (-8 * 0.16 / 8))] * 3, rel=0.06)


# A participant.


def test_warming_up_until_a_face_was_scored() -> None:
    participant = ParticipantVerdict(calibrator(0.2), CONFIG)
    assert set(seconds(participant, 0.0, 100, {})) == {FaceState.WARMING_UP}
    assert participant.face is None
    assert participant.p_fake == pytest.approx(0.2)
    assert participant.update(101.0, {A: 0.5}) is UNCERTAIN
    assert participant.face == A


def test_worst_face_counts_at_once_and_is_named() -> None:
    participant = ParticipantVerdict(calibrator(), CONFIG)
    participant.update(0.0, {A: -3.0, B: 1.0})
    assert (participant.face, participant.evidence) == (B, 1.0)
    assert participant.update(0.04, {A: 4.0, B: 1.0}) is FAKE
    assert (participant.face, participant.evidence) == (A, 4.0)
    assert participant.p_fake == pytest.approx(raw(4.0))


def test_likely_fake_as_long_as_the_faked_one_of_two_is_there() -> None:
    participant = ParticipantVerdict(calibrator(), CONFIG)
    assert set(seconds(participant, 0.0, 3600, {A: 4.0, B: -3.0})) == {FAKE}
    assert participant.face == A


def test_hiding_for_a_moment_and_coming_back_as_a_new_generation_sheds_nothing() -> None:
    participant = accused()
    assert set(seconds(participant, 0.0, 5, {})) == {FAKE}
    assert participant.evidence == pytest.approx(5 * 2 ** (-5 / 120))
    assert participant.update(6.0, {C: 0.0}) is FAKE
    assert participant.face == A


def test_an_honest_minute_later_it_is_no_more() -> None:
    """Half of the way from 5 to -3 every 30 s."""
    participant = accused()
    states = seconds(participant, 0.0, 60, {A: -3.0})
    assert states[29] is FAKE
    assert states[-1] is UNCERTAIN
    assert participant.evidence == pytest.approx(-3 + 8 / 4)
    assert seconds(participant, 60.0, 60, {A: -3.0})[-1] is REAL


def test_who_hides_is_accused_for_five_minutes_and_forgotten_after_ten() -> None:
    """Half every two minutes: 5 becomes 5 / 32 in ten, which is a p_fake of 0.54."""
    participant = accused()
    states = seconds(participant, 0.0, 600, {})
    assert states[300] is FAKE
    assert states[310] is UNCERTAIN
    assert participant.evidence == pytest.approx(5 / 32)
    assert participant.p_fake < 0.54
    assert participant.face == A


@pytest.mark.parametrize("honest", [{B: -3.0}, {B: -3.0, C: -3.0, (3, 1): -3.0, (4, 9): -3.0}])
def test_bystanders_clear_no_faster_than_the_half_life_however_many_they_are(
    honest: dict[tuple[int, int], float],
) -> None:
    participant = accused()
    seconds(participant, 0.0, 30, honest)
    assert participant.evidence == pytest.approx(-3 + 8 / 2)


def test_generations_in_turn_clear_like_one() -> None:
    participant = accused()
    for i in range(30):
        participant.update(i + 1.0, {(1, i + 2): -3.0})
    assert participant.evidence == pytest.approx(-3 + 8 / 2)


@pytest.mark.parametrize("step_s", [0.04, 1.0, 5.0])
def test_how_often_it_is_asked_makes_no_difference(step_s: float) -> None:
    participant = accused()
    for i in range(round(30 / step_s)):
        participant.update((i + 1) * step_s, {A: -3.0})
    assert participant.evidence == pytest.approx(-3 + 8 / 2)


def test_a_faces_own_forgetting_does_not_carry_the_participants() -> None:
    """The face's evidence fades by a half-life of 8 s, frame by frame; what is held falls by 30 s toward it."""
    participant = accused()
    for i in range(1, 201):
        participant.update(i * 0.04, {A: 5 * 2 ** (-i * 0.04 / 8)})
    assert participant.evidence > 4.4


def test_time_without_a_face_clears_nothing_when_one_comes_back() -> None:
    participant = accused()
    participant.update(1.0, {})
    participant.update(11.0, {B: -3.0})
    assert participant.evidence == pytest.approx(5 * 2 ** (-11 / 120))


def test_name_goes_over_to_the_face_that_is_worst_by_itself() -> None:
    participant = accused()
    seconds(participant, 0.0, 20, {B: 4.0})
    assert participant.face == A
    seconds(participant, 20.0, 200, {B: 4.0})
    assert participant.face == B
    assert participant.evidence == pytest.approx(4.0, abs=0.05)


def test_new_face_ends_earned_credit_at_once() -> None:
    participant = ParticipantVerdict(calibrator(), CONFIG)
    assert seconds(participant, 0.0, 60, {A: -3.0})[-1] is REAL
    assert participant.update(61.0, {A: -3.0, B: 0.0}) is UNCERTAIN


def test_credit_is_forgotten_as_fast_as_a_face_forgets() -> None:
    participant = ParticipantVerdict(calibrator(), CONFIG)
    participant.update(0.0, {A: -2.8})
    seconds(participant, 0.0, 8, {})
    assert participant.evidence == pytest.approx(-1.4)


def test_jump_of_hours_forgets_and_clears_like_the_longest_step() -> None:
    hidden, watched = accused(), accused()
    hidden.update(36_000.0, {})
    watched.update(36_000.0, {A: -3.0})
    assert hidden.evidence == pytest.approx(5 * 2 ** (-LONGEST_STEP_S / 120))
    assert watched.evidence == pytest.approx(-3 + 8 * 2 ** (-LONGEST_STEP_S / 30))


def test_backward_time_neither_forgets_nor_stops_the_clock() -> None:
    participant = accused()
    participant.update(1000.0, {A: 5.0})
    participant.update(10.0, {})
    assert participant.evidence == 5.0
    seconds(participant, 10.0, 120, {})
    assert participant.evidence == pytest.approx(2.5)


def test_evidence_or_time_that_is_no_number_is_passed_over() -> None:
    participant = accused()
    participant.update(1.0, {A: nan, B: inf, C: -inf})
    assert participant.evidence == pytest.approx(5 * 2 ** (-1 / 120))
    before = participant.evidence
    participant.update(nan, {})
    participant.update(inf, {A: -3.0})
    assert participant.evidence == before
    warming = ParticipantVerdict(calibrator(), CONFIG)
    assert warming.update(0.0, {A: nan}) is FaceState.WARMING_UP


def test_no_prior_accuses_a_participant_without_evidence() -> None:
    participant = ParticipantVerdict(calibrator(0.95), CONFIG)
    assert set(seconds(participant, 0.0, 60, {A: 0.0})) == {UNCERTAIN}
    assert participant.update(61.0, {A: PER_WINDOW}) is UNCERTAIN


# Both, by chance.


@pytest.mark.parametrize("seed", range(30))
def test_nothing_random_breaks_the_invariants(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = None if seed % 3 == 0 else float(rng.uniform(0.001, 0.999))
    shared = calibrator(prior, assumed=float(rng.uniform(0.05, 0.95)))
    levels = Levels.of(shared)
    participant = ParticipantVerdict(shared, CONFIG)
    faces: dict[tuple[int, int], FaceVerdict] = {}
    pts_s = float(rng.choice([0.0, 1.7e9]))
    for _ in range(600):
        pts_s += float(rng.choice([0.04, 0.64, -3.0, 1e5], p=[0.6, 0.38, 0.01, 0.01]))
        key = (int(rng.integers(3)), int(rng.integers(2)))
        face = faces.setdefault(key, FaceVerdict(shared, CONFIG))
        face.add(float(rng.beta(0.3, 0.3)), pts_start_s=pts_s - WINDOW_S, pts_end_s=pts_s)
        seen = {key: face.evidence for key, face in faces.items() if rng.random() < 0.5}
        before = participant.evidence
        state = participant.update(pts_s, seen)
        for each in faces.values():
            assert levels.floor <= each.evidence <= levels.ceiling
            assert 0 <= each.p_face <= 1
            assert (each.state is not FAKE) or each.evidence >= levels.fake_leave
            assert (each.state is not REAL) or each.evidence <= levels.real_leave
        assert isfinite(participant.evidence)
        assert levels.floor <= participant.evidence <= levels.ceiling
        assert 0 <= participant.p_fake <= 1
        assert participant.evidence >= max(seen.values(), default=-inf)
        assert participant.evidence <= max([before, 0.0, *seen.values()])
        assert (state is FaceState.WARMING_UP) == (participant.face is None)


def changes(states: list[FaceState]) -> int:
    return sum(before is not after for before, after in pairwise(states))
