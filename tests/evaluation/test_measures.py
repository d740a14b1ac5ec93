"""Every measure is held against a value worked out by hand, or against the definition spelt out in loops."""

from __future__ import annotations

from math import comb, inf, isnan, nan

import numpy as np
import pytest

from streamguard.evaluation import measures
from streamguard.evaluation.measures import Bootstrap, Spread


def samples(seed: int, count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with many ties, weights of a few draws."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.4).astype(float)
    scores = np.round(rng.normal(labels, 1.0), 1)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=5).astype(float)
    return labels, scores, weights


def repeated(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each as often as its weight says: what a weighted measure must equal."""
    return np.repeat(values, weights.astype(int))


def auc_by_pairs(labels: np.ndarray, scores: np.ndarray) -> float:
    wins = [
        1.0 if fake > real else 0.5 if fake == real else 0.0
        for fake in scores[labels == 1]
        for real in scores[labels == 0]
    ]
    return float(np.mean(wins))


def test_auc_counts_pairs_and_halves_ties() -> None:
    labels, scores = np.array([1, 1, 0, 0.0]), np.array([3, 1, 1, 0.0])
    assert measures.auc(labels, scores)[0] == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_share_of_pairs_won(seed: int) -> None:
    labels, scores, weights = samples(seed)
    assert measures.auc(labels, scores)[0] == pytest.approx(auc_by_pairs(labels, scores))
    for row, found in zip(weights, measures.auc(labels, scores, weights), strict=True):
        assert found == pytest.approx(auc_by_pairs(repeated(labels, row), repeated(scores, row)))


def test_score_that_is_the_label_has_auc_one_and_swapped_labels_turn_it_round() -> None:
    labels, scores, _ = samples(1)
    assert measures.auc(labels, labels)[0] == 1.0
    assert measures.auc(1 - labels, scores)[0] == pytest.approx(1 - measures.auc(labels, scores)[0])
    assert measures.auc(labels, -scores)[0] == pytest.approx(1 - measures.auc(labels, scores)[0])


def test_without_a_class_ranking_is_not_defined() -> None:
    ones, scores = np.ones(3), np.array([1.0, 2, 3])
    assert isnan(measures.auc(ones, scores)[0])
    assert isnan(measures.equal_error_rate(ones, scores)[0])
    assert isnan(measures.tpr_at_fpr(ones, scores, 0.05)[0])
    assert isnan(measures.auc(np.zeros(0), np.zeros(0))[0])
    assert isnan(measures.tpr_at_fpr(np.zeros(0), np.zeros(0), 0.05)[0])


def test_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        measures.auc(np.array([0.0, 1]), np.array([0.0, nan]))


@pytest.mark.parametrize("seed", range(5))
def test_roc_counts_who_is_called_fake_at_each_threshold(seed: int) -> None:
    labels, scores, _ = samples(seed)
    false, true, thresholds = measures.roc(labels, scores)
    assert thresholds[0] == inf
    for fpr, tpr, threshold in zip(false[0], true[0], thresholds, strict=True):
        called = scores >= threshold
        assert fpr == pytest.approx(called[labels == 0].mean())
        assert tpr == pytest.approx(called[labels == 1].mean())


@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.05, 0.2, 1.0])
def test_tpr_at_fpr_is_that_of_the_best_allowed_threshold(fpr: float) -> None:
    for seed in range(5):
        labels, scores, weights = samples(seed)
        for row, found in zip(weights, measures.tpr_at_fpr(labels, scores, fpr, weights), strict=True):
            drawn, given = repeated(labels, row), repeated(scores, row)
            allowed = [
                (given[drawn == 1] >= threshold).mean()
                for threshold in [inf, *given]
                if (given[drawn == 0] >= threshold).mean() <= fpr
            ]
            assert found == pytest.approx(max(allowed))


def test_equal_error_rate_lies_where_the_roc_meets_the_diagonal() -> None:
    # Thresholds give (FPR, 1 - TPR): (0, 1), (0, .5), (.5, .5) ...: both are 0.5 there.
    assert measures.equal_error_rate(np.array([1, 1, 0, 0.0]), np.array([4, 1, 3, 0.0]))[0] == pytest.approx(0.5)
    # (0, 1), (0, 2/3), (1/3, 1/3): met at 1/3.
    labels, scores = np.array([1, 1, 1, 0, 0, 0.0]), np.array([6, 5, 2, 5, 1, 0.0])
    assert measures.equal_error_rate(labels, scores)[0] == pytest.approx(1 / 3)
    # Between (0, 1) and (1, 0) of one single threshold: half way.
    assert measures.equal_error_rate(np.array([1, 0.0]), np.array([1.0, 1]))[0] == pytest.approx(0.5)
    assert measures.equal_error_rate(labels, labels)[0] == 0.0


def test_accuracy_counts_the_undecided_as_wrong() -> None:
    labels, called = np.array([1, 1, 0, 0.0]), np.array([1, nan, 0, 1])
    assert measures.accuracy(labels, called)[0] == 0.5
    assert measures.accuracy(labels, called, np.array([[3.0, 1, 0, 0]]))[0] == 0.75


def test_brier_skill_is_against_always_saying_the_share_of_fakes() -> None:
    labels = np.array([1, 1, 0, 0, 0.0])
    assert measures.brier_skill(labels, labels)[0] == 1.0
    assert measures.brier_skill(labels, np.full(5, 0.4))[0] == pytest.approx(0.0)
    p = np.array([0.9, 0.6, 0.3, 0.1, 0.2])
    error = (0.01 + 0.16 + 0.09 + 0.01 + 0.04) / 5
    assert measures.brier_skill(labels, p)[0] == pytest.approx(1 - error / (0.4 * 0.6))
    assert measures.brier_skill(labels, 1 - labels)[0] < 0
    assert isnan(measures.brier_skill(np.ones(3), np.ones(3))[0])


def test_calibration_error_weighs_bins_by_what_is_in_them() -> None:
    labels = np.array([0, 0, 1, 1, 0, 1.0])
    p = np.array([0.05, 0.05, 0.05, 0.95, 0.95, 1.0])  # 1.0 is in the last bin
    expected = (3 * abs(1 / 3 - 0.05) + 3 * abs(2 / 3 - 2.9 / 3)) / 6
    assert measures.calibration_error(labels, p)[0] == pytest.approx(expected)
    weights = np.array([[2.0, 0, 0, 1, 1, 0]])
    assert measures.calibration_error(labels, p, weights)[0] == pytest.approx((2 * 0.05 + 2 * abs(0.5 - 0.95)) / 4)


def test_calibration_error_of_probabilities_that_are_true_is_small() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    labels = (rng.random(20_000) < p).astype(float)
    assert measures.calibration_error(labels, p)[0] < 0.02
    assert measures.calibration_error(labels, 1 - p)[0] > 0.4


def test_spread_probabilities_count_once_for_each_sample() -> None:
    """One sample of many moments weighs as much as one of a single moment; with one each it is as without."""
    labels, p = np.array([1, 0, 0.0, 1]), np.array([0.9, 0.31, 0.39, 0.2])
    spread = Spread.of(labels, [np.full(1 + i, value) for i, value in enumerate(p)])
    ones = np.ones((1, 4))
    assert spread.brier_skill(ones)[0] == pytest.approx(measures.brier_skill(labels, p)[0])
    assert spread.calibration_error(ones)[0] == pytest.approx(measures.calibration_error(labels, p)[0])
    two = Spread.of(np.array([1.0, 0]), [np.array([0.9, 0.5, 0.9, 0.5]), np.array([0.1])])
    assert two.brier_skill(ones[:, :2])[0] == pytest.approx(1 - ((0.01 + 0.25) / 2 + 0.01) / 2 / 0.25)
    # Bins .1 (one real), .5 and .9 (half a fake each).
    assert two.calibration_error(ones[:, :2])[0] == pytest.approx((0.1 + 0.5 * 0.5 + 0.5 * 0.1) / 2)


def test_reliability_bins_hold_all_samples_and_their_shares() -> None:
    labels = np.array([0, 1, 1.0])
    spread = Spread.of(labels, [np.array([0.31]), np.array([0.39, 1.0]), np.array([1.0])])
    bins = spread.reliability(Bootstrap(["a", "b", "c"]))
    assert [one.count for one in bins] == [0, 0, 0, 1.5, 0, 0, 0, 0, 0, 1.5]
    assert bins[3].p == pytest.approx((0.31 + 0.5 * 0.39) / 1.5)
    assert bins[3].share == pytest.approx(0.5 / 1.5)
    assert bins[9].share == 1.0
    assert isnan(bins[0].share)


def test_ratio_is_of_the_sums() -> None:
    alarms, hours = np.array([2, 0, 1]), np.array([1.0, 3.0, 0.5])
    assert measures.ratio(alarms, hours)[0] == pytest.approx(3 / 4.5)
    assert measures.ratio(alarms, hours, np.array([[0.0, 0, 2]]))[0] == pytest.approx(2.0)
    assert isnan(measures.ratio(alarms, np.zeros(3))[0])


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 10), (3, 7), (10, 10), (2, 300)])
def test_clopper_pearson_is_where_the_binomial_tails_are(hits: int, count: int) -> None:
    def at_most(k: int, p: float) -> float:
        return sum(comb(count, i) * p**i * (1 - p) ** (count - i) for i in range(k + 1))

    low, high = measures.clopper_pearson(hits, count)
    assert low == 0.0 if hits == 0 else 1 - at_most(hits - 1, low) == pytest.approx(0.025)
    assert high == 1.0 if hits == count else at_most(hits, high) == pytest.approx(0.025)


def test_upper_bound_is_the_rule_of_three() -> None:
    assert measures.upper_bound(0, 60) == pytest.approx(1 - 0.05 ** (1 / 60))
    assert measures.upper_bound(5, 5) == 1.0
    assert isnan(measures.upper_bound(0, 0))


# Intervals.


def test_bootstrap_draws_whole_groups() -> None:
    groups = ["a", "a", "b", "c", "c", "c"]
    weights = Bootstrap(groups, draws=50).weights
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all(), "as many groups as there are"


def test_bootstrap_is_the_same_each_time_and_another_with_another_seed() -> None:
    groups = list("aabbcd")
    assert (Bootstrap(groups).weights == Bootstrap(groups).weights).all()
    assert (Bootstrap(groups).weights != Bootstrap(groups, seed=1).weights).any()


def test_interval_of_a_mean_is_as_wide_as_its_groups_are_few() -> None:
    """100 groups of 10 equal samples say as much as 100 samples."""
    rng = np.random.default_rng(0)
    per_group = rng.random(100)
    values = np.repeat(per_group, 10)
    groups = [f"{i // 10}" for i in range(1000)]
    low90, high90, low95, high95 = Bootstrap(groups).interval(lambda weights: measures.mean(values, weights))
    expected = 1.645 * per_group.std() / 10
    assert (high90 - low90) / 2 == pytest.approx(expected, rel=0.15)
    assert low95 < low90 < per_group.mean() < high90 < high95


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Groups that differ, several samples each: 90% intervals of the AUC hold the true one in about 90 of 100 cases,
    and those of a bootstrap over samples would not."""
    rng = np.random.default_rng(3)
    covered = blind = 0
    for _ in range(200):
        labels = np.repeat(np.arange(40) % 2, 5).astype(float)
        scores = labels + np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 0.3, 200)
        truth = 0.7510  # P(N(1, 2 * 1.09) > 0)
        for names, counts in ((np.repeat(np.arange(40), 5), True), (np.arange(200), False)):
            drawn = Bootstrap([f"{name:03}" for name in names], draws=200)
            low, high, _, _ = drawn.interval(lambda w: measures.auc(labels, scores, w))  # noqa: B023
            if counts:
                covered += low <= truth <= high
            else:
                blind += low <= truth <= high
    assert covered >= 165
    assert blind < 130


def test_estimate_tells_what_it_rests_on() -> None:
    labels = np.array([0, 0, 1, 1, 0, 1.0])
    scores = np.array([0, 1, 2, 3, 0, 1.0])
    minutes = np.full(6, 0.5)
    drawn = Bootstrap(list("aabbcd"))
    found = drawn.estimate(lambda w: measures.auc(labels, scores, w), minutes=minutes)
    assert (found.count, found.groups, found.minutes, found.why) == (
        6,
        4,
        3.0,
        "no interval: too few groups of one class",
    )
    assert found.value == measures.auc(labels, scores)[0]
    real = drawn.estimate(lambda w: measures.share_where(scores, labels == 0, w), minutes=minutes, among=labels == 0)
    assert (real.count, real.groups, real.minutes) == (3, 2, 1.5)
    assert real.value == pytest.approx(1 / 3)


def test_estimate_says_why_there_is_no_number() -> None:
    drawn = Bootstrap(list("ab"))
    scores, minutes = np.array([0.0, 1]), np.ones(2)
    lone = drawn.estimate(lambda w: measures.auc(np.ones(2), scores, w), minutes=minutes)
    assert isnan(lone.value)
    assert lone.why == "not defined: a class is missing"
    nobody = drawn.estimate(lambda w: measures.share_where(scores, scores > 5, w), minutes=minutes, among=scores > 5)
    assert isnan(nobody.value)
    assert nobody.why == "nothing to measure"
    one = Bootstrap(["a", "a"]).estimate(lambda w: measures.mean(scores, w), minutes=minutes)
    assert (one.value, one.why) == (0.5, "one group alone gives no interval")
    assert isnan(one.low90)
    assert str(lone) == "n/a"
    none = Bootstrap([]).estimate(lambda w: measures.mean(np.zeros(0), w), minutes=np.zeros(0))
    assert isnan(none.value)


def test_share_of_none_is_not_surely_none() -> None:
    """Drawn anew, nothing but zeros comes of zeros: the interval counts groups then."""
    people = Bootstrap([f"{i // 3}" for i in range(60)])
    everyone, minutes = np.ones(60), np.ones(60)
    none = people.share(np.zeros(60), everyone, minutes=minutes)
    assert (none.value, none.low90) == (0.0, 0.0)
    assert none.high90 == pytest.approx(1 - 0.05 ** (1 / 20))
    assert none.high95 == pytest.approx(1 - 0.025 ** (1 / 20))
    some = people.share((np.arange(60) % 4 == 0).astype(float), everyone, minutes=minutes)
    assert 0.1 < some.low90 < some.value == 0.25 < some.high90 < 0.4
