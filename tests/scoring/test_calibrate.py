"""Raw scores to probabilities and evidence: direction, known numbers, priors, and what stays finite."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite, log, nan

import numpy as np
import pytest

from streamguard.bundle import Calibration, Isotonic, Temperature, Thresholds
from streamguard.scoring.calibrate import EPSILON, Calibrator, logit, sigmoid

THRESHOLDS = Thresholds(fake_enter=0.9, fake_leave=0.7, real_leave=0.35, real_enter=0.2, false_positive_rate=0.01)
STEPS = Isotonic(
    raw=(0.1, 0.4, 0.6, 0.9), p=(0.02, 0.2, 0.5, 0.96), p_low=(0.0, 0.1, 0.4, 0.9), p_high=(0.1, 0.4, 0.7, 1.0)
)
CERTAIN = Isotonic(raw=(0.3, 0.7), p=(0.0, 1.0), p_low=(0.0, 1.0), p_high=(0.0, 1.0))


def temperature(scale: float = 1.0, offset: float = 0.0, stderr: float = 0.0) -> Temperature:
    return Temperature(scale=scale, offset=offset, stderr=stderr)


def calibration(curve: Temperature | Isotonic, prior: float = 0.5) -> Calibration:
    return Calibration(
        graph="window", precision="fp32", prior=prior, curve=curve, thresholds=THRESHOLDS, fitted_on="tests"
    )


CURVES: list[Temperature | Isotonic] = [
    temperature(),
    temperature(3.0, -1.0, 0.4),
    temperature(0.2, 2.0, 5.0),
    STEPS,
    CERTAIN,
]
PRIORS = [None, 1e-9, 0.01, 0.2, 0.5, 0.95, 1 - 1e-9]


@pytest.mark.parametrize("curve", CURVES)
def test_high_raw_score_speaks_for_fake_and_low_one_for_real(curve: Temperature | Isotonic) -> None:
    calibrator = Calibrator(calibration(curve))
    low, high = calibrator.estimate(0.05), calibrator.estimate(0.95)
    assert low.p_fake < high.p_fake
    assert low.evidence < high.evidence


def test_positive_evidence_is_for_fake() -> None:
    calibrator = Calibrator(calibration(temperature()))
    assert calibrator.estimate(0.8).evidence == pytest.approx(log(4))
    assert calibrator.estimate(0.2).evidence == pytest.approx(-log(4))


def test_temperature_scales_the_logit_and_adds_the_offset() -> None:
    assert Calibrator(calibration(temperature(2.0, 1.0))).estimate(0.5).p_fake == pytest.approx(0.7310586)
    assert Calibrator(calibration(temperature(2.0, 0.0))).estimate(0.8).p_fake == pytest.approx(16 / 17)


def test_interval_is_1_645_standard_errors_to_either_side() -> None:
    estimate = Calibrator(calibration(temperature(stderr=1.0))).estimate(0.5)
    assert (estimate.p_low, estimate.p_high) == pytest.approx((0.161786, 0.838214), abs=1e-6)


def test_isotonic_is_straight_between_points_and_flat_outside() -> None:
    calibrator = Calibrator(calibration(STEPS))
    assert calibrator.estimate(0.4).p_fake == pytest.approx(0.2)
    middle = calibrator.estimate(0.5)
    assert (middle.p_low, middle.p_fake, middle.p_high) == pytest.approx((0.25, 0.35, 0.55))
    assert calibrator.estimate(0.0).p_fake == pytest.approx(0.02)
    assert calibrator.estimate(1.0).p_fake == pytest.approx(0.96)


def test_prior_shift_has_the_numbers_of_bayes() -> None:
    """Odds of 1 to 4 before, evidence of 4 to 1: even odds after. And the other way: 0.5 under a prior of 0.2 is
    evidence of 4 to 1, hence 0.8 under even odds, and 4 * 19 to 1 under 0.95."""
    assert Calibrator(calibration(temperature()), 0.2).estimate(0.8).p_fake == pytest.approx(0.5)
    rare = calibration(temperature(), prior=0.2)
    assert Calibrator(rare).estimate(0.5).p_fake == pytest.approx(0.5)
    assert Calibrator(rare, 0.5).estimate(0.5).p_fake == pytest.approx(0.8)
    assert Calibrator(rare, 0.95).estimate(0.5).p_fake == pytest.approx(76 / 77)


def test_prior_shift_moves_the_bounds_by_the_same_odds() -> None:
    calibrator = Calibrator(calibration(STEPS), 0.2)
    estimate = calibrator.estimate(0.6)
    for shifted, before in ((estimate.p_low, 0.4), (estimate.p_fake, 0.5), (estimate.p_high, 0.7)):
        assert shifted / (1 - shifted) == pytest.approx(before / (1 - before) / 4)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("prior", PRIORS)
def test_evidence_is_the_same_under_every_prior(curve: Temperature | Isotonic, prior: float | None) -> None:
    here, there = Calibrator(calibration(curve, 0.3)), Calibrator(calibration(curve, 0.3), prior)
    for raw in np.linspace(0, 1, 21):
        assert there.estimate(float(raw)).evidence == here.estimate(float(raw)).evidence


def test_shifting_there_and_back_gives_the_same_probability() -> None:
    there = Calibrator(calibration(temperature(2.0, -0.3), prior=0.5), 0.07)
    back = Calibrator(calibration(temperature(), prior=0.07), 0.5)
    for raw in (0.1, 0.5, 0.9):
        expected = Calibrator(calibration(temperature(2.0, -0.3))).estimate(raw).p_fake
        assert back.estimate(there.estimate(raw).p_fake).p_fake == pytest.approx(expected)


def test_no_prior_means_the_calibrations_own() -> None:
    assert Calibrator(calibration(temperature(), 0.2), None).prior == 0.2
    assert Calibrator(calibration(temperature(), 0.2), 0.4).prior == 0.4
    assert Calibrator(calibration(temperature(), 0.2)).p_of(0.0) == pytest.approx(0.2)


def test_thresholds_become_evidence_under_both_priors() -> None:
    calibrator = Calibrator(calibration(temperature(), 0.5), 0.2)
    assert calibrator.evidence_for(0.8) == pytest.approx((log(4), log(16)))
    assert calibrator.p_of(log(16)) == pytest.approx(0.8)
    assert calibrator.thresholds is THRESHOLDS


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("assumed", [1e-9, 0.1, 0.5, 1 - 1e-9])
def test_estimates_are_finite_ordered_and_never_fall(
    curve: Temperature | Isotonic, prior: float | None, assumed: float
) -> None:
    calibrator = Calibrator(calibration(curve, assumed), prior)
    raws = [0.0, 5e-324, EPSILON, *np.linspace(0.001, 0.999, 200).tolist(), 1 - EPSILON, 1 - 1e-16, 1.0]
    estimates = [calibrator.estimate(raw) for raw in raws]
    for each in estimates:
        assert 0 <= each.p_low <= each.p_fake <= each.p_high <= 1
        assert isfinite(each.evidence)
    for name in ("p_low", "p_fake", "p_high", "evidence"):
        assert (np.diff([getattr(each, name) for each in estimates]) >= -1e-12).all()


def test_no_curve_is_steep_enough_to_be_certain() -> None:
    estimate = Calibrator(calibration(temperature(1000.0, stderr=100.0))).estimate(0.9)
    assert (estimate.p_low, estimate.p_fake, estimate.p_high) == pytest.approx((1 - EPSILON,) * 3, abs=1e-12)


def test_bounds_that_rounding_crossed_still_hold_the_probability() -> None:
    crossed = replace(STEPS, p_low=(0.03, 0.21, 0.51, 0.97), p_high=(0.01, 0.19, 0.49, 0.95))
    estimate = Calibrator(calibration(crossed)).estimate(0.4)
    assert estimate.p_low == estimate.p_fake == estimate.p_high


def test_raw_score_a_rounding_beyond_its_range_is_taken_as_its_end() -> None:
    calibrator = Calibrator(calibration(temperature()))
    assert calibrator.estimate(1.0000001) == calibrator.estimate(1.0)
    assert calibrator.estimate(-1e-9) == calibrator.estimate(0.0)


@pytest.mark.parametrize("raw", [nan, inf, -inf])
def test_raw_score_that_is_no_number_is_refused(raw: float) -> None:
    for curve in CURVES:
        with pytest.raises(ValueError, match="finite number"):
            Calibrator(calibration(curve)).estimate(raw)


def test_logit_and_sigmoid_undo_each_other_and_overflow_nowhere() -> None:
    for p in (0.001, 0.3, 0.5, 0.999):
        assert sigmoid(logit(p)) == pytest.approx(p)
    assert (sigmoid(-1e4), sigmoid(1e4)) == (0.0, 1.0)
    assert (logit(0), -logit(1)) == pytest.approx((log(EPSILON), log(EPSILON)), rel=1e-6)
