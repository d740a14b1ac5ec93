"""Parity says yes where scores agree, and no as soon as one does not."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from streamguard.bundle import UNTRAINED, Bundle, Graph, GraphSpec, Parity, Precision, open_bundle
from streamguard.engine import parity
from streamguard.engine.backend_openvino import fast_precisions
from streamguard.engine.parity import ParityRow, measure, sample_clips

BUNDLE = open_bundle(UNTRAINED)


def fp32_only(bundle: Bundle, files: dict[Graph, str] | None = None) -> Bundle:
    files = files or {"window": "window.onnx", "step": "step.onnx"}
    graphs: dict[Graph, dict[Precision, GraphSpec]] = {
        graph: {"fp32": GraphSpec(file=file, tolerance=1e-5)} for graph, file in files.items()
    }
    stated = (Parity(precision="fp32", step_to_window=0.0),) if len(files) == 2 else ()
    manifest = dataclasses.replace(bundle.manifest, graphs=graphs, parity=stated)
    return dataclasses.replace(bundle, manifest=manifest)


def test_everything_that_runs_here_agrees() -> None:
    rows = measure(BUNDLE)
    for row in rows:
        print(row)  # noqa: T201
    assert all(row.ok for row in rows)
    compared = {(row.backend, row.graph, row.precision, row.compared_to) for row in rows}
    wanted = {
        ("onnxruntime", "window", "fp32", "openvino window fp32"),
        ("onnxruntime", "step", "fp32", "openvino step fp32"),
        ("openvino", "step", "fp32", "openvino window fp32"),
        ("onnxruntime", "step", "fp32", "onnxruntime window fp32"),
    }
    if "bf16" in fast_precisions()[1]:
        wanted |= {
            ("openvino", "window", "bf16", "openvino window fp32"),
            ("openvino", "step", "bf16", "openvino step fp32"),
            ("openvino", "step", "bf16", "openvino window bf16"),
        }
    assert compared == wanted
    assert len(rows) == len(compared)


def test_only_what_is_installed_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "find_spec", lambda name: None if name == "onnxruntime" else name)
    rows = measure(fp32_only(BUNDLE), clips=1)
    assert [(row.backend, row.compared_to) for row in rows] == [("openvino", "openvino window fp32")]


def test_one_graph_alone_has_no_steps_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = measure(fp32_only(BUNDLE, {"window": "window.onnx"}), clips=1)
    assert [(row.backend, row.graph, row.compared_to) for row in rows] == [
        ("onnxruntime", "window", "openvino window fp32")
    ]


def test_a_step_graph_with_other_weights_is_found(tmp_path: Path) -> None:
    """It agrees with itself in all backends, and not with the window graph."""
    for path in BUNDLE.folder.iterdir():
        shutil.copy(path, tmp_path)
    model = onnx.load(tmp_path / "step.onnx", load_external_data=False)
    (bias,) = [each for each in model.graph.initializer if each.name.endswith("head.bias")]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    (tmp_path / "step.onnx").write_bytes(model.SerializeToString())
    rows = measure(fp32_only(dataclasses.replace(BUNDLE, folder=tmp_path)), clips=2)
    assert {(row.compared_to, row.ok) for row in rows} == {
        ("openvino window fp32", False),
        ("onnxruntime window fp32", False),
        ("openvino step fp32", True),
    } | {("openvino window fp32", True)}


@pytest.mark.parametrize(("difference", "ok"), [(0.0, True), (0.1, True), (0.11, False), (float("nan"), False)])
def test_a_difference_is_fine_up_to_the_tolerance_and_nan_never_is(difference: float, ok: bool) -> None:
    row = ParityRow(backend="b", graph="step", precision="fp32", compared_to="it", difference=difference, tolerance=0.1)
    assert row.ok is ok


def test_sample_clips_are_the_same_each_time_and_differ_from_each_other() -> None:
    clip = BUNDLE.manifest.clip
    clips = sample_clips(clip, 3)
    assert clips.shape == (3, clip.memory + clip.length, clip.size_px, clip.size_px, 3)
    assert clips.dtype == np.uint8
    assert clips.tobytes() == sample_clips(clip, 3).tobytes()
    assert clips.tobytes() != sample_clips(clip, 3, seed=1).tobytes()
    assert np.ptp(clips.mean(axis=(1, 2, 3, 4))) > 10
    assert (clips[:, 1:] != clips[:, :-1]).mean() > 0.5
