"""Which backend, graph and precision are chosen, and why not what cannot be had."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from streamguard.bundle import (
    UNTRAINED,
    Bundle,
    Calibration,
    Graph,
    GraphSpec,
    Precision,
    Temperature,
    Thresholds,
    open_bundle,
)
from streamguard.config import EngineConfig
from streamguard.engine import backend_onnxruntime, backend_openvino, open_backend
from streamguard.engine.backend import Backend
from streamguard.errors import EngineError

BUNDLE = open_bundle(UNTRAINED)
ALL: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")


class Opened:
    """What stands for a backend here: only what it was opened with."""

    def __init__(self, name: str, bundle: Bundle, graph: Graph, precision: Precision) -> None:
        self.name, self.graph, self.precision = name, graph, precision


@pytest.fixture(autouse=True)
def _no_real_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_openvino, "OpenVinoBackend", lambda *given: Opened("openvino", *given))
    monkeypatch.setattr(backend_onnxruntime, "OnnxRuntimeBackend", lambda *given: Opened("onnxruntime", *given))


def processor_for(monkeypatch: pytest.MonkeyPatch, *precisions: Precision) -> None:
    """OpenVINO says so of this machine; ONNX Runtime sees its 8-bit instructions."""
    monkeypatch.setattr(backend_openvino, "fast_precisions", lambda: ("Fake CPU", frozenset(precisions)))
    monkeypatch.setattr(open_backend, "has_fast_int8", lambda: "int8" in precisions)


def bundle_with(
    *precisions: Precision, graphs: tuple[Graph, ...] = ("window", "step"), calibrated: tuple[Precision, ...] = ()
) -> Bundle:
    specs = {graph: {each: GraphSpec(file=f"{graph}.onnx", tolerance=0.1) for each in precisions} for graph in graphs}
    calibrations = tuple(
        Calibration(
            graph=graph,
            precision=precision,
            prior=0.1,
            curve=Temperature(scale=1, offset=0, stderr=0),
            thresholds=Thresholds(
                fake_enter=0.9, fake_leave=0.7, real_leave=0.3, real_enter=0.1, false_positive_rate=0.01
            ),
            fitted_on="nothing",
        )
        for graph in graphs
        for precision in calibrated
    )
    manifest = dataclasses.replace(BUNDLE.manifest, trained=True, graphs=specs, calibrations=calibrations)
    return dataclasses.replace(BUNDLE, manifest=manifest)


def opened(bundle: Bundle, **config: Any) -> tuple[str, Graph, Precision]:
    backend: Backend = open_backend.open_backend(bundle, EngineConfig(**config))
    return backend.name, backend.graph, backend.precision


def test_the_bundle_of_the_package_opens_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_for(monkeypatch, "fp32")
    backend = open_backend.open_backend(BUNDLE)
    assert (backend.name, backend.graph, backend.precision) == ("openvino", "step", "fp32")


@pytest.mark.parametrize(
    ("able", "there", "calibrated", "expected"),
    [
        (("fp32",), ALL, (), "fp32"),
        (("fp32", "bf16"), ALL, (), "bf16"),
        (("fp32", "bf16"), ("fp32",), (), "fp32"),
        (("fp32", "bf16", "fp16"), ("fp32", "fp16"), (), "fp16"),
        (("fp32", "bf16", "int8"), ALL, (), "int8"),
        (("fp32", "bf16", "int8"), ("fp32", "bf16"), (), "bf16"),
        (("fp32", "bf16", "int8"), ALL, ("fp32",), "fp32"),
        (("fp32", "bf16", "int8"), ALL, ("fp32", "bf16"), "bf16"),
        (("fp32", "bf16"), ALL, ("fp32", "int8"), "fp32"),
        (("fp32",), ALL, ("int8",), "fp32"),
    ],
)
def test_the_fastest_precision_is_chosen_and_calibrated_ones_first(
    able: tuple[Precision, ...],
    there: tuple[Precision, ...],
    calibrated: tuple[Precision, ...],
    expected: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processor_for(monkeypatch, *able)
    assert opened(bundle_with(*there, calibrated=calibrated)) == ("openvino", "step", expected)


def test_the_graph_that_is_calibrated_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_for(monkeypatch, "fp32")
    both = bundle_with("fp32", calibrated=("fp32",))
    assert opened(both)[1] == "step"
    of_window = tuple(each for each in both.manifest.calibrations if each.graph == "window")
    assert opened(dataclasses.replace(both, manifest=dataclasses.replace(both.manifest, calibrations=of_window)))[
        1
    ] == ("window")


def test_a_calibration_of_the_other_graph_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_for(monkeypatch, "fp32", "bf16")
    both = bundle_with("fp32", "bf16", calibrated=("fp32",))
    of_window = tuple(each for each in both.manifest.calibrations if each.graph == "window")
    bundle = dataclasses.replace(both, manifest=dataclasses.replace(both.manifest, calibrations=of_window))
    assert opened(bundle, graph="step")[2] == "bf16"
    assert opened(bundle, graph="window")[2] == "fp32"


def test_no_p_fake_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    processor_for(monkeypatch, "fp32")
    opened(bundle_with(*ALL, calibrated=("int8",)))
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "calibrated in int8 only" in warning.getMessage()


def test_window_where_there_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_for(monkeypatch, "fp32")
    assert opened(bundle_with("fp32", graphs=("window",)))[1] == "window"
    assert opened(bundle_with("fp32"), graph="window")[1] == "window"


def test_onnxruntime_when_told_and_when_openvino_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_for(monkeypatch, "fp32", "bf16", "int8")
    assert opened(bundle_with(*ALL), backend="onnxruntime") == ("onnxruntime", "step", "int8")
    assert opened(bundle_with("fp32", "bf16"), backend="onnxruntime") == ("onnxruntime", "step", "fp32")
    monkeypatch.setattr(open_backend, "find_spec", lambda name: None)
    assert opened(bundle_with("fp32", "bf16")) == ("onnxruntime", "step", "fp32")
    assert opened(bundle_with("fp32", "bf16"), backend="openvino")[0] == "openvino"


def test_what_is_told_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_for(monkeypatch, "fp32", "bf16")
    bundle = bundle_with(*ALL, calibrated=("fp32",))
    assert opened(bundle, precision="bf16")[2] == "bf16"
    assert opened(bundle, precision="int8")[2] == "int8", "right everywhere, only slow"


@pytest.mark.parametrize(
    ("bundle", "config", "text"),
    [
        (
            bundle_with("fp32", graphs=("window",)),
            {"graph": "step"},
            r"untrained 1 has no step graph \(engine.graph\); there is window",
        ),
        (
            bundle_with("fp32", "bf16"),
            {"precision": "int8"},
            r"has no int8 for its step graph \(engine.precision\); there is bf16, fp32",
        ),
        (bundle_with(*ALL), {"precision": "fp16"}, r"fp16 cannot be had .*; there is bf16, fp32"),
        (bundle_with(*ALL), {"precision": "bf16", "backend": "onnxruntime"}, r"onnxruntime: bf16 .*; there is fp32"),
        (bundle_with("fp16", "int8"), {}, "comes in int8, fp16, and here only bf16, fp32 can be used"),
        (bundle_with("bf16"), {"backend": "onnxruntime"}, "comes in bf16, and here only fp32 can be used"),
    ],
)
def test_what_cannot_be_had_is_an_engine_error_that_names_what_there_is(
    bundle: Bundle, config: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor_for(monkeypatch, "fp32", "bf16")
    with pytest.raises(EngineError, match=text):
        opened(bundle, **config)


@pytest.fixture
def infos(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


def test_one_line_says_what_was_chosen_and_why(
    infos: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor_for(monkeypatch, "fp32", "bf16")
    opened(bundle_with("fp32", "bf16"))
    assert infos.messages == [
        "untrained 1: step graph in bf16 (the fastest of bf16, fp32 that this processor is made for; none is "
        "calibrated), run by openvino on Fake CPU"
    ]


def test_this_machine_is_asked_when_nobody_fakes_it() -> None:
    name, precisions = open_backend.processor("openvino")
    assert name
    assert "fp32" in precisions
    assert open_backend.processor("onnxruntime")[1] <= {"fp32", "int8"}
