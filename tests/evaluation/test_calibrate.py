"""A calibration keeps its budget on people it never saw, says what it does by people it was not fitted on, and refuses
what its data cannot carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from streamguard.bundle import Calibration, Isotonic, Temperature, Thresholds
from streamguard.config import ScoringConfig
from streamguard.errors import BudgetError, CalibrationError, ConfigError
from streamguard.evaluation.budget import Budget, ShareBudget, rate_budget
from streamguard.evaluation.calibrate import Calibrated, Verdicts, calibrate, check_held
from streamguard.evaluation.fitting import CAREFUL, FOLDS, SCALES, Settings, folds_of
from streamguard.evaluation.replay import Replayed, Track, replay
from streamguard.scoring.accumulate import PER_WINDOW
from streamguard.scoring.calibrate import Calibrator, logit
from tests.evaluation.calls import CLIP, calls

BUDGET = ShareBudget(share=0.04)
"""75 groups of people can show that."""
PEOPLE = calls(0, real=80, fake=32, apart=2.5, windows=16)
FRESH = calls(1, real=400, fake=150, apart=2.5, windows=16, first=1000)
LOOSE = ShareBudget(share=0.15)
FEW = calls(0, real=31, fake=31, apart=2.5, windows=12)


def calibrated(tracks: Sequence[Track] = FEW, budget: Budget = LOOSE, **fields: object) -> Calibrated:
    settings = Settings(budget=budget, **fields)  # type: ignore[arg-type]  # fields of many types
    return calibrate(tracks, CLIP, settings, graph="window", precision="fp32", source="made")


@pytest.fixture(scope="module")
def careful() -> Calibrated:
    return calibrated(PEOPLE, BUDGET)


@pytest.fixture(scope="module")
def result() -> Calibrated:
    return calibrated()


def verdicts_of(result: Calibrated) -> Verdicts:
    assert result.after.verdicts is not None
    return result.after.verdicts


def played(tracks: Sequence[Track], calibration: Calibration) -> list[Replayed]:
    return [replay(track, Calibrator(calibration), ScoringConfig(), CLIP) for track in tracks]


def accused_share(tracks: Sequence[Track], calibration: Calibration) -> float:
    return float(np.mean([one.alarms > 0 for one in played([t for t in tracks if not t.fake], calibration)]))


# The budget.


def test_budget_holds_on_fresh_calls_and_fakes_are_told(careful: Calibrated) -> None:
    fresh = played(FRESH, careful.calibration)
    assert np.mean([one.alarms > 0 for one in fresh if not one.track.fake]) <= 0.04
    assert np.mean([one.fake_after_s <= 10 for one in fresh if one.track.fake]) > 0.5
    assert np.mean([one.real_after_s < inf for one in fresh if one.track.fake]) <= 0.06
    assert np.mean([one.real_after_s < inf for one in fresh if not one.track.fake]) > 0.7


def test_the_same_curve_without_scale_and_with_a_usual_threshold_breaks_it(careful: Calibrated) -> None:
    """So the test above can fail: evidence of one face adds up, right or wrong."""
    usual = Thresholds(fake_enter=0.9, fake_leave=0.7, real_leave=0.3, real_enter=0.1, false_positive_rate=0.0)
    assert accused_share(FRESH, replace(careful.calibration, evidence_scale=1.0, thresholds=usual)) > 0.06


def test_budget_in_hours_holds_on_fresh_calls() -> None:
    """Every alarm counts, also the second one of a face."""
    found = calibrated(PEOPLE, rate_budget("12 per hour"))
    honest = [one for one in played(FRESH, found.calibration) if not one.track.fake]
    alarms, hours = sum(one.alarms for one in honest), sum(one.track.usable_s for one in honest) / 3600
    assert 0 < alarms <= 12 * hours
    assert verdicts_of(found).alarms <= 12 * found.exposure.real_hours
    assert "budget: at most 12 per hour of honest footage" in found.calibration.fitted_on


def test_a_tighter_budget_asks_for_more_evidence(result: Calibrated) -> None:
    loose = calibrated(budget=ShareBudget(share=0.5))
    assert loose.calibration.evidence_scale == result.calibration.evidence_scale
    assert loose.calibration.thresholds.fake_enter < result.calibration.thresholds.fake_enter
    assert verdicts_of(loose).told[5.0].value > verdicts_of(result).told[5.0].value


def test_budget_that_so_few_people_cannot_show_is_refused() -> None:
    with pytest.raises(BudgetError, match=r"needs 149 groups of honest people, none of them accused, and there are 80"):
        calibrated(PEOPLE, budget=ShareBudget(share=0.02))


def test_budget_that_so_few_hours_cannot_show_is_refused() -> None:
    with pytest.raises(BudgetError, match=r"needs 30 hours of honest footage .* there are 0\.34 \(of 80 groups\)"):
        calibrated(PEOPLE, budget=rate_budget("1 per 10 hours"))


def test_budget_that_did_not_hold_on_the_people_left_out_is_refused(careful: Calibrated) -> None:
    found = verdicts_of(careful)
    check_held(found, careful.exposure, BUDGET)
    over = replace(found, accused=replace(found.accused, value=0.05), accused_tracks=6, alarms=6)
    with pytest.raises(BudgetError, match=r"does not hold: .* accuse 5% of honest faces \(6 tracks\) of the rest"):
        check_held(over, careful.exposure, BUDGET)
    with pytest.raises(BudgetError, match=r"accuse honest faces 6 times in 0\.341 hours of the rest"):
        check_held(over, careful.exposure, rate_budget("12 per hour"))


# Who decides what.


def test_absurd_scores_of_one_group_do_not_change_what_that_group_is_judged_by(result: Calibrated) -> None:
    poisoned = [
        replace(track, moments=tuple(one._replace(raw_score=0.9999) for one in track.moments))
        if track.group == "real 7"
        else track
        for track in FEW
    ]
    found = calibrated(poisoned)
    fold = found.fold_of["real 7"]
    assert found.fits[fold] == result.fits[fold]
    changed = [other for other in range(FOLDS) if other != fold and found.fits[other] != result.fits[other]]
    assert len(changed) == FOLDS - 1
    assert verdicts_of(found).accused_tracks > verdicts_of(result).accused_tracks


def test_folds_are_of_whole_groups_and_of_their_labels_only() -> None:
    both = [replace(track, group=track.group.replace("fake", "real")) for track in PEOPLE[-10:]]
    folds = folds_of([*PEOPLE, *both])
    assert folds == folds_of([*both, *PEOPLE[::-1]])
    per_fold = Counter(folds.values())
    assert set(per_fold) == set(range(FOLDS))
    assert max(per_fold.values()) - min(per_fold.values()) <= 1
    fakes = Counter(folds[group] for group in {track.group for track in PEOPLE if track.fake})
    assert max(fakes.values()) - min(fakes.values()) <= 2


def test_numbers_are_of_tracks_judged_by_the_fit_that_left_them_out(result: Calibrated) -> None:
    by_group = result.cross_fitted([*{track.group for track in FEW}, "never seen"])
    honest = [played([track], by_group[track.group])[0] for track in FEW if not track.fake]
    assert verdicts_of(result).alarms == sum(one.alarms for one in honest)
    assert by_group["never seen"] == result.calibration
    assert result.calibration.thresholds.false_positive_rate == verdicts_of(result).accused.value
    assert verdicts_of(result).accused_bound > verdicts_of(result).accused.value


def test_progress_comes_to_its_end() -> None:
    told: list[tuple[int, int]] = []
    small = calls(0, real=8, fake=6, apart=4.0, windows=8)
    settings = Settings(budget=ShareBudget(share=0.5))
    calibrate(small, CLIP, settings, graph="window", precision="fp32", source="", progress=lambda *of: told.append(of))
    steps = (FOLDS + 1) * len(SCALES)
    assert told == [(i + 1, steps) for i in range(steps)]


# What is fitted.


def test_curve_is_near_the_true_one(careful: Calibrated) -> None:
    """Logits lie 1.25 to either side; persons, tracks and drift add 0.25 + 0.09 + 0.49: a slope of 2.5 / 0.83."""
    found = careful.calibration.curve
    assert isinstance(found, Temperature)
    assert found.scale == pytest.approx(2.5 / 0.83, rel=0.25)
    assert abs(found.offset) < 0.5
    assert 0.1 < found.stderr < 0.8


def test_method_is_as_told_or_the_better_on_people_left_out() -> None:
    assert isinstance(calibrated(method="isotonic").calibration.curve, Isotonic)
    # A network that is sure of nothing beyond the side: no logistic curve.
    tracks = [
        replace(track, moments=tuple(one._replace(raw_score=blurred(one.raw_score)) for one in track.moments))
        for track in FEW
    ]
    assert {fit.method for fit in calibrated(tracks).fits.values()} == {"isotonic"}


def blurred(raw: float) -> float:
    """High or low as before; how high, as it comes, and more often than not hardly."""
    noise = (raw * 1e4) % 1
    return 0.5 + (0.4999 if raw > 0.5 else -0.4999) * noise**12


def test_scores_of_one_face_that_err_alike_count_less_together() -> None:
    """Without an error of the person, and drift that averages out, more of each is evidence."""
    alone = calibrated(calls(2, real=31, fake=31, apart=1.2, person=0.0, windows=14))
    alike = calibrated(calls(2, real=31, fake=31, apart=1.2, person=0.8, windows=14))
    assert alike.calibration.evidence_scale < alone.calibration.evidence_scale


def test_prior_moves_probabilities_and_no_verdict() -> None:
    result, rare = calibrated(method="temperature"), calibrated(method="temperature", prior=0.05)
    assert rare.calibration.prior == 0.05
    assert rare.calibration.evidence_scale == result.calibration.evidence_scale
    assert [one.alarms for one in played(FEW, rare.calibration)] == [
        one.alarms for one in played(FEW, result.calibration)
    ]
    for name in ("fake_enter", "fake_leave", "real_leave", "real_enter"):
        before, after = (getattr(one.calibration.thresholds, name) for one in (result, rare))
        assert logit(after) - logit(0.05) == pytest.approx(logit(before), abs=1e-6)


def test_thresholds_leave_room_between_entering_and_leaving(result: Calibrated) -> None:
    found = result.calibration.thresholds
    assert 0 < found.real_enter < found.real_leave < 0.5 < found.fake_leave < found.fake_enter < 1
    assert logit(found.fake_enter) >= PER_WINDOW
    assert logit(found.real_enter) <= -PER_WINDOW


def test_few_groups_move_thresholds_outward_and_that_is_said() -> None:
    few = [track for track in FEW if not (track.fake and int(track.group.split()[1]) >= 25)]
    found, plain = calibrated(few), calibrated(few, fakes_called_real=0.5)
    said = f"few fake groups (25): the threshold for LIKELY_REAL was moved outward by at least {CAREFUL:g} of evidence"
    assert said in found.cautions
    assert said in found.calibration.fitted_on
    assert plain.calibration.thresholds.real_enter == pytest.approx(1 / (1 + np.exp(PER_WINDOW + CAREFUL)))
    assert not any("few honest" in one for one in found.cautions)
    assert not any("cannot show" in one for one in found.cautions)


def test_too_few_fakes_to_show_what_is_missed_make_nobody_real_whom_a_fake_resembles() -> None:
    few = [track for track in FEW if not (track.fake and int(track.group.split()[1]) >= 12)]
    found = calibrated(few)
    assert any("12 fake groups cannot show that at most 5% of fakes are called real" in one for one in found.cautions)
    in_sample = played([track for track in few if track.fake], found.calibration)
    assert all(one.real_after_s == inf for one in in_sample)


def test_short_tracks_are_told_of(result: Calibrated) -> None:
    assert any("half of the honest tracks are shorter than 8 s" in one for one in result.cautions)


def test_before_is_what_the_older_calibration_did_or_the_raw_scores(result: Calibrated) -> None:
    assert result.before.verdicts is None
    assert result.before.brier_skill.value < result.after.brier_skill.value
    careless = replace(
        result.calibration,
        thresholds=Thresholds(fake_enter=0.9, fake_leave=0.7, real_leave=0.3, real_enter=0.1, false_positive_rate=0),
        evidence_scale=1.0,
    )
    settings = Settings(budget=LOOSE)
    again = calibrate(FEW, CLIP, settings, graph="window", precision="fp32", source="made", older=careless)
    assert again.before.verdicts is not None
    assert again.before.verdicts.accused.value > 0.05
    assert again.calibration == result.calibration


# What is refused.


def test_swapped_labels_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"^scores: are the wrong way round, or tell nothing: .* in [0-9]% of"):
        calibrated([replace(track, fake=not track.fake) for track in PEOPLE], ShareBudget(share=0.5))


def test_too_few_people_of_a_label_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"fake tracks of at least 5 groups of people, and there are 4"):
        calibrated([track for track in PEOPLE if not (track.fake and int(track.group.split()[1]) >= 4)])
    with pytest.raises(CalibrationError, match=r"real tracks of at least 5 groups of people, and there are 0"):
        calibrated([track for track in PEOPLE if track.fake])


def test_track_that_no_threshold_can_spare_is_named() -> None:
    """The network is wholly sure of an honest one, where it is never that sure of fakes."""
    tracks = calls(3, real=31, fake=31, apart=4.0, person=0.0, windows=30, steep=0.5)
    [wrong] = [track for track in tracks if track.key == "real 8/0"]
    moments = tuple(one._replace(raw_score=1.0) for one in wrong.moments)
    tracks[tracks.index(wrong)] = replace(wrong, moments=moments)
    with pytest.raises(CalibrationError, match=r"^thresholds: .* to spare the honest track real 8/0:"):
        calibrated(tracks, ShareBudget(share=0.1), method="temperature")


@pytest.mark.parametrize(("field", "key"), [("prior", "--prior"), ("fakes_called_real", "--fakes-called-real")])
@pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
def test_impossible_settings_are_refused(field: str, key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: "):
        Settings(budget=BUDGET, **{field: value})  # type: ignore[arg-type]
