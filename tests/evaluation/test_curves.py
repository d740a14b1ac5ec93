"""Curves: known ones are found again, PAV is the best there is, and every group of people has the same say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from streamguard.bundle import Calibration, Isotonic, Temperature, Thresholds
from streamguard.evaluation.curves import (
    MOST_MOMENTS,
    MOST_POINTS,
    Curve,
    at_prior,
    fit_curve,
    fit_isotonic,
    fit_temperature,
    fit_whole,
    log_loss,
    pool_adjacent_violators,
    probabilities,
    samples_of,
)
from streamguard.evaluation.replay import Track
from streamguard.evaluation.traces import Moment
from streamguard.scoring.calibrate import Calibrator, logit
from tests.evaluation.calls import calls


def of(group: str, fake: bool, scores: Sequence[float], usable: bool = True) -> Track:
    moments = tuple(Moment(i, i + 1, score, usable) for i, score in enumerate(scores))
    return Track(key=group, group=group, fake=fake, start_s=0.0, usable_s=60.0, moments=moments)


def drawn(scale: float, offset: float, *, people: int = 4000, seed: int = 0) -> list[Track]:
    """Everybody a group with one score, and the label drawn with the probability of the curve."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, people)
    fake = rng.random(people) < 1 / (1 + np.exp(-(scale * logits + offset)))
    return [of(str(i), bool(fake[i]), [1 / (1 + float(np.exp(-logits[i])))]) for i in range(people)]


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.4, 0.0), (2.0, 0.0), (0.7, 0.8)])
def test_known_temperature_is_recovered(scale: float, offset: float) -> None:
    """With an offset there are more of one label; both classes count alike, so it comes back less their log odds."""
    tracks = drawn(scale, offset)
    fakes = sum(track.fake for track in tracks)
    found = fit_temperature(samples_of(tracks))
    assert found.scale == pytest.approx(scale, rel=0.08)
    assert found.offset == pytest.approx(offset - np.log(fakes / (len(tracks) - fakes)), abs=0.12)


def test_scores_far_from_even_are_met_as_well() -> None:
    """Where a full step of Newton overshoots, and the next one back again."""
    rng = np.random.default_rng(3)
    logits = np.concatenate([rng.normal(-7, 5, 130), rng.normal(-0.5, 3.5, 45)])
    fake = np.arange(len(logits)) >= 130
    tracks = [of(str(i), bool(fake[i]), [1 / (1 + float(np.exp(-x)))]) for i, x in enumerate(logits)]
    samples = samples_of(tracks)
    found = fit_temperature(samples)
    best = log_loss(samples, probabilities(found, samples.raw))
    for scale in (0.8, 1.0, 1.25):
        for offset in (-0.3, 0.0, 0.3):
            other = Temperature(scale=found.scale * scale, offset=found.offset + offset, stderr=0.0)
            assert best <= log_loss(samples, probabilities(other, samples.raw)) + 2e-3, (scale, offset)
    assert 0.2 < found.scale < 0.6
    assert found.offset > 0.5


def test_standard_error_is_how_far_curves_are_from_the_true_one() -> None:
    errors, stderr = [], []
    for seed in range(25):
        samples = samples_of(drawn(0.8, 0.0, people=200, seed=seed))
        curve = fit_whole("temperature", samples)
        assert isinstance(curve, Temperature)
        off = (curve.scale - 0.8) * samples.logits + curve.offset
        errors.append(samples.weight @ off**2)
        stderr.append(curve.stderr)
    assert np.mean(stderr) == pytest.approx(np.sqrt(np.mean(errors)), rel=0.3)


def test_swapped_labels_give_a_falling_curve() -> None:
    swapped = [of(track.group, not track.fake, [track.moments[0].raw_score]) for track in drawn(1.0, 0.0)]
    assert fit_temperature(samples_of(swapped)).scale == pytest.approx(-1.0, rel=0.1)


def test_a_curve_for_a_part_of_the_data_never_falls() -> None:
    swapped = samples_of([of(track.group, not track.fake, [track.moments[0].raw_score]) for track in drawn(1.0, 0.0)])
    for method in ("temperature", "isotonic"):
        p = probabilities(fit_curve(method, swapped), np.array([0.1, 0.9]))
        assert 0 <= p[1] - p[0] < 0.01


def test_classes_wholly_apart_make_no_curve_steeper_than_the_people_allow() -> None:
    for people in (5, 50):
        tracks = [of(f"{fake} {i}", fake, [0.9 if fake else 0.1]) for i in range(people) for fake in (False, True)]
        p = probabilities(fit_temperature(samples_of(tracks)), np.array([0.1, 0.9]))
        assert p == pytest.approx([1 / (people + 2), (people + 1) / (people + 2)])
        assert probabilities(fit_curve("isotonic", samples_of(tracks)), np.array([0.1, 0.9])) == pytest.approx(p)


# PAV.


def best_by_brute_force(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Every way to cut the sequence into blocks; of those whose means rise, the one with the least squares."""
    n, best, least = len(values), None, np.inf
    for cuts in range(1 << (n - 1)):
        borders = [0, *(i + 1 for i in range(n - 1) if cuts >> i & 1), n]
        means = [np.average(values[a:b], weights=weights[a:b]) for a, b in pairwise(borders)]
        if any(a > b for a, b in pairwise(means)):
            continue
        fitted = np.repeat(means, np.diff(borders))
        squares = float((weights * (values - fitted) ** 2).sum())
        if squares < least - 1e-12:
            best, least = fitted, squares
    assert best is not None
    return best


@pytest.mark.parametrize("seed", range(12))
def test_pav_is_the_best_of_all_that_never_fall(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random(9) + 0.1 * np.arange(9) if seed % 2 else rng.integers(0, 2, 9).astype(float)
    weights = rng.random(9) + 0.01
    assert pool_adjacent_violators(values, weights) == pytest.approx(best_by_brute_force(values, weights))


def test_isotonic_finds_a_step_that_no_temperature_can() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(3000)
    fake = rng.random(3000) < np.where(scores < 0.5, 0.2, 0.8)
    tracks = [of(str(i), bool(fake[i]), [float(scores[i])]) for i in range(3000)]
    samples = samples_of(tracks)
    isotonic, temperature = fit_curve("isotonic", samples), fit_curve("temperature", samples)
    assert probabilities(isotonic, np.array([0.25, 0.75])) == pytest.approx([0.2, 0.8], abs=0.05)
    assert log_loss(samples, probabilities(isotonic, samples.raw)) < log_loss(
        samples, probabilities(temperature, samples.raw)
    )


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
@pytest.mark.parametrize("prior", [0.01, 0.5, 0.9])
def test_what_is_fitted_is_fit_for_a_bundle_and_means_the_same_to_a_calibrator(method: str, prior: float) -> None:
    samples = samples_of(calls(0, real=30, fake=20, apart=1.0))
    curve = at_prior(fit_whole(method, samples), prior)
    check(curve)
    calibration = Calibration(
        graph="window",
        precision="fp32",
        prior=prior,
        curve=curve,
        thresholds=Thresholds(fake_enter=0.9, fake_leave=0.8, real_leave=0.2, real_enter=0.1, false_positive_rate=0.0),
        fitted_on="",
    )
    calibrator = Calibrator(calibration)
    raw = np.linspace(0, 1, 41)
    estimates = [calibrator.estimate(float(one)) for one in raw]
    assert [one.p_fake for one in estimates] == pytest.approx(probabilities(curve, raw), abs=2e-6)
    assert estimates[20].p_low < estimates[20].p_fake < estimates[20].p_high


def check(curve: Curve) -> None:
    """As opening a bundle does."""
    if isinstance(curve, Temperature):
        assert curve.scale > 0
        assert curve.stderr > 0
        return
    assert 2 <= len(curve.raw) <= MOST_POINTS
    assert (np.diff(curve.raw) > 0).all()
    assert (np.diff(curve.p) >= 0).all()
    assert all(0 <= low <= p <= high <= 1 for low, p, high in zip(curve.p_low, curve.p, curve.p_high, strict=True))


def test_prior_moves_a_curve_and_not_its_evidence() -> None:
    samples = samples_of(calls(0, real=20, fake=20))
    for curve in (fit_curve("temperature", samples), fit_curve("isotonic", samples)):
        moved = at_prior(curve, 0.1)
        at = np.array(curve.raw) if isinstance(curve, Isotonic) else np.array([0.2, 0.5, 0.9])
        before, after = probabilities(curve, at), probabilities(moved, at)
        assert np.log(after / (1 - after)) - np.log(before / (1 - before)) == pytest.approx(logit(0.1))


def test_scores_that_tell_nothing_give_no_isotonic_curve() -> None:
    tracks = [of(f"{fake} {i}", fake, [0.5]) for i in range(9) for fake in (False, True)]
    assert fit_isotonic(samples_of(tracks)) is None
    assert isinstance(fit_curve("isotonic", samples_of(tracks)), Temperature)


# Who has a say.


def test_classes_groups_tracks_and_moments_count_alike() -> None:
    tracks = [
        of("a", False, [0.1] * 1000),
        of("a", False, [0.2] * 3),
        of("b", False, [0.3]),
        of("b", True, [0.4]),
    ]
    samples = samples_of(tracks)
    weight = {score: samples.weight[samples.raw == score].sum() for score in (0.1, 0.2, 0.3, 0.4)}
    assert weight == pytest.approx({0.1: 0.125, 0.2: 0.125, 0.3: 0.25, 0.4: 0.5})
    assert (samples.raw == 0.1).sum() == MOST_MOMENTS
    assert samples.people == (2, 1)
    assert samples.minutes.sum() == pytest.approx(4.0)
    prior = samples.weight_at(0.1)
    assert (prior[samples.fake == 1].sum(), prior.sum()) == pytest.approx((0.1, 1.0))


def test_moments_are_spread_over_the_track_and_only_usable_ones_are_taken() -> None:
    long = of("a", False, [i / 1000 for i in range(1000)])
    assert np.diff(samples_of([long]).raw) == pytest.approx([999 / 31 / 1000] * 31, abs=0.0011)
    spoilt = Track(
        key="b",
        group="b",
        fake=True,
        start_s=0.0,
        usable_s=1.0,
        moments=(Moment(0, 1, 0.9, False), Moment(1, 2, 0.7, True)),
    )
    assert samples_of([spoilt]).raw.tolist() == [0.7]
