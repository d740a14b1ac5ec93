"""Evaluations of traces made by hand: labels the right way round, every number against what it must be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import isnan, log

import numpy as np
import pytest

from streamguard.bundle import Calibration, Temperature, Thresholds
from streamguard.config import ScoringConfig
from streamguard.errors import ConfigError
from streamguard.evaluation import measures
from streamguard.evaluation.evaluate import Slice, compare, measure, measure_cross_fitted
from streamguard.evaluation.scored import scored
from streamguard.evaluation.traces import RAW, Part, Trace, TraceSet, pooled
from streamguard.evaluation.verdicts import CURVE_S, verdicts
from tests.evaluation import made

CALIBRATION = Calibration(
    graph="window",
    precision="fp32",
    prior=0.5,
    curve=Temperature(scale=1.0, offset=0.0, stderr=0.1),
    thresholds=Thresholds(fake_enter=0.95, fake_leave=0.8, real_leave=0.2, real_enter=0.05, false_positive_rate=0.01),
    fitted_on="nothing: a test",
)


def whole(traces: Sequence[Trace], **fields: object) -> TraceSet:
    return pooled([Part(path="made", header=made.header(**fields), traces=tuple(traces))])


def people(count: int = 12, *, windows: int = 6, seed: int = 0) -> list[Trace]:
    """As many groups, each with a real and a fake video; fakes score higher, not always."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        for label, middle in (("real", -1.0), ("fake", 1.0)):
            raw = 1 / (1 + np.exp(-(middle + rng.normal(0, 1.5) + rng.normal(0, 0.3, windows))))
            twin = f"real-{i}" if label == "fake" else ""
            found.append(made.trace(f"{label}-{i}", label, raw.tolist(), group=f"group-{i}", twin=twin))  # type: ignore[arg-type]
    return found


def relabelled(traces: Sequence[Trace]) -> list[Trace]:
    return [
        made.trace(trace.key, "fake" if trace.label == "real" else "real", trace.faces, group=trace.group)
        for trace in traces
    ]


# Which way round.


def test_score_of_one_for_fakes_is_perfect_and_of_zero_is_the_worst() -> None:
    right = [made.trace(f"r{i}", "real", [0.0] * 4) for i in range(4)] + [
        made.trace(f"f{i}", "fake", [1.0] * 4) for i in range(4)
    ]
    found = measure(whole(right)).of(RAW)
    assert found.tracks.auc.value == found.videos.auc.value == 1.0
    assert found.tracks.equal_error_rate.value == 0.0
    assert found.tracks.tpr["0.01"].value == 1.0
    wrong = measure(whole(relabelled(right))).of(RAW)
    assert wrong.tracks.auc.value == wrong.videos.auc.value == 0.0


def test_swapped_labels_turn_auc_round() -> None:
    traces = people()
    found, swapped = measure(whole(traces)).of(RAW), measure(whole(relabelled(traces))).of(RAW)
    assert 0.5 < found.tracks.auc.value < 1.0
    assert swapped.tracks.auc.value == pytest.approx(1 - found.tracks.auc.value)
    assert swapped.videos.auc.value == pytest.approx(1 - found.videos.auc.value)


# Scores.


def test_track_scores_the_mean_logit_of_its_usable_moments() -> None:
    moments = (*made.moments([0.2, 0.4]), *made.moments([0.99], start_s=1.28, usable=False))
    found = scored([made.trace("a", "real", [made.face(moments)])], made.CLIP, {})
    assert found.scores[0] == pytest.approx((log(0.2 / 0.8) + log(0.4 / 0.6)) / 2)


def test_calibrated_track_scores_evidence_whatever_the_calibrations_prior() -> None:
    """Log-odds under even odds: a logit of 0 is no evidence, also where the calibration assumed one fake in ten."""
    curve = Temperature(scale=2.0, offset=log(1 / 9), stderr=0.1)
    calibration = Calibration(
        graph="window", precision="fp32", prior=0.1, curve=curve, thresholds=CALIBRATION.thresholds, fitted_on=""
    )
    found = scored([made.trace("a", "real", [0.5, 0.5])], made.CLIP, {"a": calibration})
    assert found.scores[0] == pytest.approx(0.0)
    other = scored([made.trace("a", "real", [0.8, 0.8])], made.CLIP, {"a": calibration})
    assert other.scores[0] == pytest.approx(2 * log(4))


def test_video_scores_its_worst_track_and_short_faces_are_no_tracks() -> None:
    faces = [
        made.face(made.moments([0.3, 0.3])),
        made.face(made.moments([0.6, 0.6]), face_id=2),
        made.face(made.moments([0.99]), face_id=3),
        made.face([], face_id=4),
    ]
    found = scored([made.trace("a", "real", faces), made.trace("b", "fake", [0.9])], made.CLIP, {})
    assert found.video_score == {"a": pytest.approx(log(0.6 / 0.4))}
    assert found.too_short == {"real": 1, "fake": 1}
    both = measure(whole([made.trace("a", "real", faces), made.trace("b", "fake", [0.9])])).of(RAW)
    assert (both.real.videos, both.real.judged, both.real.tracks, both.real.too_short) == (1, 1, 2, 1)
    assert (both.fake.videos, both.fake.judged, both.fake.tracks, both.fake.too_short) == (1, 0, 0, 1)
    assert isnan(both.tracks.auc.value)
    assert both.tracks.auc.why == "not defined: a class is missing"


# What is beside the numbers.


def test_numbers_are_those_of_the_measures_with_what_they_rest_on() -> None:
    traces = people()
    found = measure(whole(traces)).of(RAW)
    some = scored(traces, made.CLIP, {})
    assert found.tracks.auc.value == measures.auc(some.labels, some.scores)[0]
    assert found.tracks.auc.low95 < found.tracks.auc.low90 < found.tracks.auc.value < found.tracks.auc.high90
    assert (found.tracks.auc.count, found.tracks.auc.groups) == (24, 12)
    assert found.tracks.auc.minutes == pytest.approx(24 * 6 * 0.64 / 60)
    assert found.videos.auc.groups == 12
    assert found.real.groups == 12


def test_each_method_is_held_against_all_real_tracks() -> None:
    traces = [made.trace(f"r{i}", "real", [0.2 + i / 20] * 4) for i in range(4)]
    traces += [made.trace(f"a{i}", "fake", [0.9] * 4, method="a") for i in range(3)]
    traces += [made.trace(f"b{i}", "fake", [0.26] * 4, method="b") for i in range(3)]
    found = {one.name: one for one in measure(whole(traces)).of(RAW).methods}
    assert (found["a"].real, found["a"].fake, found["a"].auc.value) == (4, 3, 1.0)
    assert found["b"].auc.value == pytest.approx(0.5)
    assert isnan(found["a"].twins.value)


def test_bands_hold_tracks_by_size_sharpness_and_rate() -> None:
    small = made.face(made.moments([0.4, 0.4]), size_px=63.0, sharpness=0.2)
    large = made.face(made.moments([0.6, 0.6]), size_px=64.0, sharpness=0.9)
    traces = [made.trace("a", "real", [small], fps=15.0), made.trace("b", "fake", [large], fps=30.0)]
    found = measure(whole(traces)).of(RAW)
    assert counts(found.bands["face size"]) == [("below 64 px", 1, 0), ("64 to 96 px", 0, 1)]
    assert counts(found.bands["sharpness"]) == [("below 0.4", 1, 0), ("0.6 and more", 0, 1)]
    assert counts(found.bands["frame rate"]) == [("below 20 fps", 1, 0), ("27 to 40 fps", 0, 1)]
    assert counts(found.bands["dataset"]) == [("made", 1, 1)]


def test_other_conditions_are_not_cut_into_bands() -> None:
    traces = [made.trace("a", "real", [0.4, 0.4], condition="mirror")]
    assert measure(whole(traces)).of("mirror").bands == {}


def counts(slices: Sequence[Slice]) -> list[tuple[str, int, int]]:
    return [(one.name, one.real, one.fake) for one in slices]


def test_pairs_are_counted_by_who_is_above() -> None:
    traces = [made.trace(f"r{i}", "real", [0.1 * (i + 1)] * 4, group=f"g{i}") for i in range(4)]
    scores = (0.15, 0.2, 0.2, 0.9)  # above, equal, below, above
    traces += [made.trace(f"f{i}", "fake", [score] * 4, group=f"g{i}", twin=f"r{i}") for i, score in enumerate(scores)]
    traces.append(made.trace("alone", "fake", [0.9] * 4, twin="not here"))
    pairs = measure(whole(traces)).of(RAW).pairs
    assert pairs is not None
    assert pairs.above.value == pytest.approx(2.5 / 4)
    assert (pairs.above.count, pairs.above.groups) == (4, 4)
    wins = [1.0 if own > r / 10 else 0.5 if own == r / 10 else 0.0 for own in scores for r in (1, 2, 3, 4)]
    assert pairs.auc.value == pytest.approx(np.mean(wins))
    assert measure(whole([made.trace("a", "real", [0.1] * 4)])).of(RAW).pairs is None


def test_probabilities_are_those_under_the_share_of_fakes() -> None:
    """Three real tracks and one fake: no evidence is then a probability of a quarter, and has no skill."""
    traces = [made.trace(f"r{i}", "real", [0.5] * 4) for i in range(3)] + [made.trace("f", "fake", [0.5] * 4)]
    found = measure(whole(traces), CALIBRATION).of(RAW)
    assert found.moments is not None
    assert found.moments.brier_skill.value == pytest.approx(0.0)
    assert found.moments.calibration_error.value == pytest.approx(0.0)
    assert [one.count for one in found.moments.reliability] == [0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
    assert measure(whole(traces)).of(RAW).moments is None, "uncalibrated"


def test_worst_mistakes_come_first() -> None:
    traces = [made.trace(f"r{i}", "real", [0.1, score, 0.1]) for i, score in enumerate((0.2, 0.9, 0.5))]
    traces += [made.trace(f"f{i}", "fake", [0.9, score, 0.9]) for i, score in enumerate((0.2, 0.8))]
    found = measure(whole(traces)).of(RAW).mistakes
    assert [one.key for one in found] == ["r1", "r2", "r0", "f0", "f1"]
    assert {one.worst_pts_s for one in found} == {1.28}


# Changes.


def test_change_between_conditions_is_paired() -> None:
    """Every fake falls by a little, the reals stay: the interval is of differences, and much narrower than that of
    either AUC."""
    before = people(30)
    after = [
        made.trace(t.key, t.label, [m.raw_score * (0.8 if t.is_fake else 1) for m in t.faces[0].moments],
                   group=t.group, condition="mirror")
        for t in before
    ]  # fmt: skip
    both = whole([*before, *after])
    found = compare(whole(before), whole(after))
    condition = measure(both).of("mirror")
    assert condition.against_raw == found
    assert found.before == measure(both).of(RAW).videos.auc.value
    assert found.change.value == pytest.approx(found.after - found.before)
    assert found.change.value < 0
    assert found.distinguishable
    assert found.change.high90 - found.change.low90 < 0.5 * (condition.videos.auc.high90 - condition.videos.auc.low90)
    assert found.real_shift.value == 0.0
    assert found.fake_shift.value < 0
    assert compare(both, both, condition=RAW).change.value == 0.0
    assert not compare(both, both, condition=RAW).distinguishable


def test_videos_without_a_track_after_the_change_are_left_out_and_counted() -> None:
    before = people(4)
    after = [made.trace(t.key, t.label, t.faces if i else [], group=t.group) for i, t in enumerate(before)]
    found = compare(whole(before), whole(after))
    assert (found.lost, found.change.count) == (1, 7)


# Who made them.


def test_evaluation_says_whether_people_were_held_out() -> None:
    traces = people(4)
    assert not measure(whole(traces)).held_out
    assert "does not say which people" in " ".join(measure(whole(traces)).notes)
    groups = tuple(f"group-{i}" for i in range(4))
    alone = measure(whole(traces, held_out=groups))
    assert alone.held_out
    assert not alone.cross_fitted
    parts = [
        Part(path=f"{i}", header=made.header(held_out=groups[2 * i : 2 * i + 2], bundle_sha256=str(i) * 64),
             traces=tuple(traces[4 * i : 4 * i + 4]))
        for i in range(2)
    ]  # fmt: skip
    both = measure(pooled(parts))
    assert both.cross_fitted
    assert any(note.startswith("Cross-fitted: 2 networks") for note in both.notes)
    assert counts(both.of(RAW).bundles) == [("0" * 12, 2, 2), ("1" * 12, 2, 2)]


def test_untrained_network_is_told_first() -> None:
    assert measure(whole(people(2), trained=False)).notes[0].startswith("UNTRAINED")


def test_json_has_null_and_a_reason_where_there_is_no_number() -> None:
    found = json.loads(measure(whole([made.trace("a", "real", [0.1] * 4)])).to_json())
    auc = found["conditions"][0]["tracks"]["auc"]
    assert (auc["value"], auc["why"]) == (None, "not defined: a class is missing")
    assert found["conditions"][0]["verdicts"] is None
    assert json.loads(measure(whole(people(6)), CALIBRATION).to_json())["calibrated"]


# Verdicts.

SURE_FAKE, SURE_REAL, NOTHING = [0.99] * 12, [0.01] * 12, [0.5] * 12


def test_verdicts_are_what_a_replay_says() -> None:
    """Windows of 0.64 s at two nats each, forgetting half in 8 s: the second passes what 0.95 asks for (2.94)."""
    traces = [
        made.trace("accused", "real", SURE_FAKE),
        made.trace("cleared", "real", SURE_REAL),
        made.trace("unknown", "real", NOTHING),
        made.trace("told", "fake", SURE_FAKE),
        made.trace("missed", "fake", SURE_REAL),
        made.trace("undecided", "fake", NOTHING),
        made.trace("late", "fake", NOTHING + SURE_FAKE),
    ]
    found = verdicts(traces, made.CLIP, dict.fromkeys([t.group for t in traces], CALIBRATION), ScoringConfig())
    assert found is not None
    third = pytest.approx(1 / 3)
    assert found.accused.value == found.abstained.value == third
    assert found.accused_tracks == 1
    assert found.accused_bound == pytest.approx(measures.upper_bound(1, 3))
    one = dict.fromkeys([t.group for t in traces], "one")
    alike = [replace(trace, group=one[trace.group]) for trace in traces]
    people = verdicts(alike, made.CLIP, {"one": CALIBRATION}, ScoringConfig())
    assert people is not None
    assert people.accused_bound > measures.upper_bound(1, 3), "three tracks of one person are one person"
    assert found.alarms_an_hour.value == pytest.approx(1 / (3 * 12 * 0.64 / 3600))
    assert (found.missed.value, found.undecided.value) == (0.25, 0.25)
    assert found.accuracy.value == pytest.approx(3 / 7)
    assert found.told.evidence == pytest.approx(log(19))
    assert [found.told.within[soon].value for soon in ("2", "5", "10")] == [0.25, 0.25, 0.5]
    curve = dict(zip(CURVE_S, found.told.curve, strict=True))
    assert (curve[1.0], curve[1.5], curve[8.5], curve[9.0]) == (0.0, 0.25, 0.25, 0.5)
    in_view = dict(zip(CURVE_S, found.in_view, strict=True))
    assert (in_view[7.5], in_view[8.0], in_view[15.5]) == (1.0, 0.25, 0.0)


def test_threshold_at_a_rate_accuses_no_more_than_that() -> None:
    """Twenty real tracks, of which one gathers as much as any fake: at 5% it may be accused, at 1% it may not."""
    traces = [made.trace(f"r{i}", "real", NOTHING) for i in range(19)]
    traces += [made.trace("loud", "real", [0.88] * 12), made.trace("f", "fake", SURE_FAKE)]
    calibrations = dict.fromkeys([t.group for t in traces], CALIBRATION)
    found = verdicts(traces, made.CLIP, calibrations, ScoringConfig())
    assert found is not None
    assert found.at_rates["0.05"].accused <= 0.05
    assert found.at_rates["0.05"].within["2"].value == 1.0
    assert found.at_rates["0.01"].accused == 0.0
    assert found.at_rates["0.01"].evidence > found.at_rates["0.05"].evidence
    assert verdicts(traces, made.CLIP, {}, ScoringConfig()) is None


def test_verdicts_of_one_class_leave_the_other_undefined() -> None:
    traces = [made.trace("f", "fake", SURE_FAKE)]
    found = verdicts(traces, made.CLIP, {"f": CALIBRATION}, ScoringConfig())
    assert found is not None
    assert isnan(found.accused.value)
    assert isnan(found.accused_bound)
    assert found.at_rates == {}
    assert found.told.within["10"].value == 1.0
    nobody = verdicts([], made.CLIP, {"f": CALIBRATION}, ScoringConfig())
    assert nobody is not None
    assert isnan(nobody.told.evidence)


def test_each_group_is_judged_by_the_calibration_that_was_fitted_without_it() -> None:
    """One that turns nothing into a verdict, and one that does."""
    deaf = Calibration(
        graph="window", precision="fp32", prior=0.5, curve=Temperature(scale=0.01, offset=0.0, stderr=0.1),
        thresholds=CALIBRATION.thresholds, fitted_on="",
    )  # fmt: skip
    traces = [made.trace(key, "fake", SURE_FAKE) for key in "ab"] + [made.trace("c", "real", SURE_REAL)]
    found = measure_cross_fitted(whole(traces), {"a": CALIBRATION, "b": deaf, "c": CALIBRATION}, "two folds").of(RAW)
    assert found.verdicts is not None
    assert found.verdicts.told.within["10"].value == 0.5


def test_calibration_of_something_else_is_refused() -> None:
    traces = whole(people(2))
    with pytest.raises(ConfigError, match="is of the step fp32 graph, and the traces are of window fp32"):
        measure(traces, replace(CALIBRATION, graph="step"))
    with pytest.raises(ConfigError, match="there is none for the group group-1"):
        measure_cross_fitted(traces, {"group-0": CALIBRATION}, "")
    mixed = whole([*people(2), made.trace("x", "real", [0.1] * 4, condition="mirror")])
    with pytest.raises(ConfigError, match="name it, of raw, mirror"):
        compare(mixed, mixed)
