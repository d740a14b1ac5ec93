"""Only a bundle's own traces calibrate it, or those of its like that never saw whom they scored."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from streamguard.bundle import Bundle, Calibration, Isotonic, Temperature, open_bundle, seal
from streamguard.errors import BundleError, CalibrationError, ConfigError, TraceError
from streamguard.evaluation.budget import ShareBudget
from streamguard.evaluation.bundling import (
    PREFIX,
    Material,
    materials,
    metrics_of,
    taken_over,
    uncalibrated_sha256,
    write_calibrated,
)
from streamguard.evaluation.calibrate import Calibrated, calibrate
from streamguard.evaluation.fitting import Settings
from streamguard.evaluation.traces import FaceTrace, Header, Trace, network_of, write_traces
from tests.evaluation import made
from tests.evaluation.calls import calls
from tests.test_bundle import toy_fields, write_files

STEP_S = 0.24
"""The toy network judges three crops of 80 ms."""


def toy(folder: Path, **fields: Any) -> Bundle:
    """Trained, and not calibrated."""
    return seal(write_files(folder), {**toy_fields(), "calibrations": [], **fields})


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy(tmp_path / "toy")


def header(bundle: Bundle, **fields: Any) -> Header:
    usual = {
        "bundle": bundle.name,
        "bundle_sha256": bundle.sha256,
        "network": network_of(bundle.manifest),
        "graph": "window",
        "clip": bundle.manifest.clip.config(fields.get("graph", "window")),
    }
    return made.header(**{**usual, **fields})


def toy_traces(*, real: int = 16, fake: int = 10, seed: int = 0, first: int = 0) -> list[Trace]:
    """Simulated calls on the toy's clock."""
    found = []
    for one in calls(seed, real=real, fake=fake, apart=4.0, windows=16, first=first):
        moments = tuple(
            moment._replace(pts_start_s=i * STEP_S + 0.08, pts_end_s=(i + 1) * STEP_S)
            for i, moment in enumerate(one.moments)
        )
        face = FaceTrace(
            face_id=1,
            generation=1,
            start_s=0.0,
            end_s=16 * STEP_S,
            quality=made.quality(),
            usable_seconds=16 * STEP_S,
            moments=moments,
        )
        label: Any = "fake" if one.fake else "real"
        found.append(made.trace(one.key, label, [face], group=one.group))
    return found


def write(path: Path, bundle: Bundle, traces: list[Trace] | None = None, **fields: Any) -> Path:
    write_traces(path, header(bundle, **fields), toy_traces() if traces is None else traces)
    return path


def read(bundle: Bundle, *paths: Path, condition: str = "raw", cross_fitted: bool = False) -> tuple[Material, ...]:
    return materials(bundle, paths, condition=condition, cross_fitted=cross_fitted)


def fitted(material: Material, **fields: Any) -> Calibrated:
    graph, precision = material.key
    settings = Settings(budget=ShareBudget(share=0.2), **fields)
    return calibrate(
        material.tracks, material.traces.clip, settings, graph=graph, precision=precision, source=material.source
    )


# Which traces.


def test_own_traces_are_taken_by_graph_and_precision(bundle: Bundle, tmp_path: Path) -> None:
    files = [
        write(tmp_path / "window", bundle),
        write(tmp_path / "fp32", bundle, graph="step"),
        write(tmp_path / "bf16", bundle, graph="step", precision="bf16"),
    ]
    found = read(bundle, *files)
    assert [material.key for material in found] == [("window", "fp32"), ("step", "fp32"), ("step", "bf16")]
    assert all(len(material.tracks) == len(toy_traces()) for material in found)
    assert found[0].source == "raw footage of made"
    assert "does not say which groups its training never saw" in found[0].cautions[0]


def test_traces_of_held_out_groups_say_so(bundle: Bundle, tmp_path: Path) -> None:
    groups = tuple({trace.group for trace in toy_traces()})
    [found] = read(bundle, write(tmp_path / "traces", bundle, held_out=groups))
    assert found.source == "raw footage of made, of groups that training never saw"
    assert found.cautions == ()


def test_traces_stay_a_bundles_own_when_it_is_calibrated(bundle: Bundle, tmp_path: Path) -> None:
    path = write(tmp_path / "traces", bundle)
    found = fitted(read(bundle, path)[0])
    new = write_calibrated(bundle, tmp_path / "new", [found.calibration], metrics_of(found))
    assert new.sha256 != bundle.sha256
    assert uncalibrated_sha256(new) == bundle.sha256
    assert len(read(new, path)) == 1


def test_traces_of_another_bundle_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    path = write(tmp_path / "traces", bundle, bundle_sha256="f" * 64)
    with pytest.raises(TraceError, match=r"header.bundle_sha256: was made with another bundle \(toy 1.0, ffffffffff"):
        read(bundle, path)


def folds(bundle: Bundle, tmp_path: Path, **fields: Any) -> list[Path]:
    """Two bundles of the same network, each of which traced people that it never saw."""
    files = []
    for i in range(2):
        traces = toy_traces(real=8, fake=5, seed=i, first=100 * i)
        held_out = tuple({trace.group for trace in traces})
        usual = {"bundle_sha256": f"{i}" * 64, "held_out": held_out}
        files.append(write(tmp_path / f"fold{i}", bundle, traces, **{**usual, **fields}))
    return files


def test_folds_of_the_same_network_calibrate_it_if_that_is_asked_for(bundle: Bundle, tmp_path: Path) -> None:
    files = folds(bundle, tmp_path)
    [found] = read(bundle, *files, cross_fitted=True)
    assert "scored by 2 bundles of the same network and options, each trained without the groups that it scored" in (
        found.source
    )
    assert "these weights scored none of it" in found.cautions[0]
    assert {track.group for track in found.tracks} >= {"real 0", "real 100"}
    with pytest.raises(TraceError, match="--cross-fitted"):
        read(bundle, *files)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"network": "toy width=1"}, r"header.network: is toy width=1, and toy 1.0 is toy width=0.5"),
        ({"network": ""}, r"header.network: is not said"),
        ({"held_out": None}, r"header.held_out: toy 1.0 does not say which groups its training never saw"),
        ({"precision": "int8"}, r"header.precision: toy 1.0 has no window graph in int8"),
        ({"clip": made.CLIP}, r"header.clip: is not how toy 1.0 has its clips made"),
    ],
)
def test_folds_of_what_is_another_network_are_refused(
    bundle: Bundle, tmp_path: Path, fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TraceError, match=problem):
        read(bundle, *folds(bundle, tmp_path, **fields), cross_fitted=True)


def test_network_that_does_not_say_its_options_has_no_folds(tmp_path: Path) -> None:
    nameless = toy(tmp_path / "toy", net=None)
    with pytest.raises(TraceError, match=r"header.network"):
        read(nameless, *folds(nameless, tmp_path, network=""), cross_fitted=True)


def test_condition_that_is_not_there_is_named_with_those_that_are(bundle: Bundle, tmp_path: Path) -> None:
    path = write(tmp_path / "traces", bundle)
    with pytest.raises(TraceError, match="nothing in it is harmonised; there is: raw"):
        read(bundle, path, condition="harmonised")


# The bundle.


def test_new_bundle_is_the_old_one_with_its_calibration(bundle: Bundle, tmp_path: Path) -> None:
    found = fitted(read(bundle, write(tmp_path / "traces", bundle))[0])
    write_calibrated(bundle, tmp_path / "new", [found.calibration], metrics_of(found))
    new = open_bundle(tmp_path / "new")
    assert new.calibration("window", "fp32") == found.calibration
    assert new.manifest.files == bundle.manifest.files
    metrics = new.manifest.provenance.metrics
    assert metrics["auc"] == 0.5
    assert metrics[f"{PREFIX}window.fp32.brier_skill"] == found.after.brier_skill.value
    assert found.after.verdicts is not None
    assert metrics[f"{PREFIX}window.fp32.real_accused_bound"] == found.after.verdicts.accused_bound
    assert dataclasses.replace(
        new.manifest, calibrations=(), provenance=bundle.manifest.provenance
    ) == dataclasses.replace(bundle.manifest, calibrations=())


def test_calibration_takes_the_place_of_an_older_one_and_leaves_others(tmp_path: Path) -> None:
    older = seal(write_files(tmp_path / "toy"), toy_fields())
    metrics = {f"{PREFIX}step.bf16.auc": 1.0, f"{PREFIX}window.fp32.auc": 0.7}
    provenance = dataclasses.replace(older.manifest.provenance, metrics=metrics)
    fields = dataclasses.asdict(dataclasses.replace(older.manifest, provenance=provenance))
    del fields["files"]
    older = seal(older.folder, fields)
    [kept, replaced] = older.manifest.calibrations[1], older.manifest.calibrations[0]
    new = dataclasses.replace(replaced, fitted_on="anew")
    write_calibrated(older, older.folder, [new], {f"{PREFIX}window.fp32.eer": 0.1})  # in its own place
    found = open_bundle(older.folder).manifest
    assert found.calibrations == (kept, new)
    assert found.provenance.metrics == {f"{PREFIX}step.bf16.auc": 1.0, f"{PREFIX}window.fp32.eer": 0.1}


def test_impossible_calibration_leaves_nothing_behind(bundle: Bundle, tmp_path: Path) -> None:
    found = fitted(read(bundle, write(tmp_path / "traces", bundle))[0])
    broken = dataclasses.replace(found.calibration, prior=2.0)
    with pytest.raises(BundleError, match=r"new, calibrations.0.prior"):
        write_calibrated(bundle, tmp_path / "new", [broken], {})
    assert not (tmp_path / "new").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="is no bundle: it is not overwritten"):
        write_calibrated(bundle, tmp_path / "notes", [found.calibration], {})


# Another graph or precision.


def with_tolerance(bundle: Bundle, tolerance: float, parity: float = 0.0) -> Bundle:
    graphs: Any = {
        graph: {name: dataclasses.replace(spec, tolerance=tolerance) for name, spec in specs.items()}
        for graph, specs in bundle.manifest.graphs.items()
    }
    measured = tuple(dataclasses.replace(each, step_to_window=parity) for each in bundle.manifest.parity)
    manifest = dataclasses.replace(bundle.manifest, graphs=graphs, parity=measured)
    return dataclasses.replace(bundle, manifest=manifest)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Calibrated]:
    folder = tmp_path_factory.mktemp("found")
    bundle = toy(folder / "toy")
    return {
        material.key: fitted(material, method="temperature")
        for material in read(bundle, write(folder / "window", bundle), write(folder / "step", bundle, graph="step"))
    }


def test_near_graph_is_taken_over_and_said(bundle: Bundle, found: dict[Any, Calibrated]) -> None:
    of_step = found["step", "fp32"].calibration
    near = taken_over(with_tolerance(bundle, 0.001), found, ("step", "bf16"))
    assert (near.graph, near.precision) == ("step", "bf16")
    assert near.thresholds == of_step.thresholds
    assert near.fitted_on.startswith("taken over from step fp32 to step bf16: raw scores may differ by 0.002 by the ")
    assert near.fitted_on.endswith(of_step.fitted_on)
    assert stderr(near) > stderr(of_step)


def stderr(calibration: Calibration) -> float:
    assert isinstance(calibration.curve, Temperature)
    return calibration.curve.stderr


def test_graph_that_may_score_otherwise_is_refused(bundle: Bundle, found: dict[Any, Calibrated]) -> None:
    with pytest.raises(CalibrationError, match=r"--also step:bf16: .* evidence on average, and at most 0.25 is taken"):
        taken_over(with_tolerance(bundle, 0.1), found, ("step", "bf16"))


def test_steps_and_windows_that_differ_are_not_taken_for_each_other(
    bundle: Bundle, found: dict[Any, Calibrated]
) -> None:
    only_window: dict[Any, Calibrated] = {("window", "fp32"): found["window", "fp32"]}
    assert taken_over(with_tolerance(bundle, 0.001), only_window, ("step", "fp32")).graph == "step"
    with pytest.raises(CalibrationError, match=r"raw scores may differ by 0.302"):
        taken_over(with_tolerance(bundle, 0.001, parity=0.3), only_window, ("step", "fp32"))
    unmeasured = with_tolerance(bundle, 0.001)
    unmeasured = dataclasses.replace(unmeasured, manifest=dataclasses.replace(unmeasured.manifest, parity=()))
    with pytest.raises(CalibrationError, match=r"raw scores may differ by inf"):
        taken_over(unmeasured, only_window, ("step", "fp32"))


def test_graph_that_is_not_there_cannot_be_taken_over(bundle: Bundle, found: dict[Any, Calibrated]) -> None:
    with pytest.raises(BundleError, match=r"graphs.window.bf16: is not in it"):
        taken_over(bundle, found, ("window", "bf16"))


def test_isotonic_curve_is_taken_over_as_well(bundle: Bundle, tmp_path: Path) -> None:
    [material] = read(bundle, write(tmp_path / "traces", bundle))
    isotonic = {material.key: fitted(material, method="isotonic")}
    taken = taken_over(with_tolerance(bundle, 0.0), isotonic, ("step", "fp32"))
    assert isinstance(taken.curve, Isotonic)
    assert taken.curve == isotonic[material.key].calibration.curve
