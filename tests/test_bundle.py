"""Bundles: a sound one opens, as folder and as zip; anything else is refused, and what is wrong is named."""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamguard import bundle as bundle_module
from streamguard import sealed_files
from streamguard.bundle import (
    UNTRAINED,
    Bundle,
    FileSpec,
    MapRange,
    NetSpec,
    Provenance,
    Temperature,
    open_bundle,
    pack_bundle,
    seal,
)
from streamguard.errors import BundleError, ConfigError, SinkError, SinkFullError

onnx = pytest.importorskip("onnx", reason="pip install 'streamguard[test]'")
from onnx import TensorProto, helper  # noqa: E402

INF = float("inf")

# A toy network with everything that a bundle may have. R + T = 5, pictures of 16 x 16, one state of shape (2, 3).

Tensor = tuple[str, int, list[Any]]
NET = "network.safetensors"
WINDOW: tuple[list[Tensor], list[Tensor]] = (
    [("crops", TensorProto.UINT8, ["N", 5, 16, 16, 3])],
    [("logit", TensorProto.FLOAT, ["N", 1])],
)
STEP: tuple[list[Tensor], list[Tensor]] = (
    [
        ("crops", TensorProto.UINT8, ["N", 16, 16, 3]),
        ("age", TensorProto.INT64, ["N"]),
        ("state_0", TensorProto.FLOAT, ["N", 2, 3]),
    ],
    [("logit", TensorProto.FLOAT, ["N", 1]), ("next_0", TensorProto.FLOAT, ["N", 2, 3])],
)

MAPS: tuple[list[Tensor], list[Tensor]] = (
    WINDOW[0],
    [("anomaly", TensorProto.FLOAT, ["N", 4, 5]), ("motion", TensorProto.FLOAT, ["N", 4, 5])],
)


def onnx_bytes(tensors: tuple[list[Tensor], list[Tensor]], **external: str) -> bytes:
    """A graph with these inputs and outputs, and a weight of 16 bytes in another file."""
    given, gives = ([helper.make_tensor_value_info(*tensor) for tensor in side] for side in tensors)
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "weights.bin", "offset": "0", "length": "16", **external}.items():
        weight.external_data.add(key=key, value=value)
    content: bytes = helper.make_model(helper.make_graph([], "toy", given, gives, [weight])).SerializeToString()
    return content


def toy_fields() -> dict[str, Any]:
    curve = {
        "kind": "isotonic",
        "raw": [0, 0.5, 1],
        "p": [0, 0.4, 0.9],
        "p_low": [0, 0.3, 0.8],
        "p_high": [0.1, 0.5, 1],
    }
    thresholds = {
        "fake_enter": 0.9,
        "fake_leave": 0.7,
        "real_leave": 0.3,
        "real_enter": 0.1,
        "false_positive_rate": 0.01,
    }
    calibration = {"prior": 0.1, "thresholds": thresholds, "fitted_on": "toys"}
    return {
        "network": "toy",
        "version": "1.0",
        "trained": True,
        "clip": {"size_px": 16, "grid_s": 0.08, "length": 3, "memory": 2, "hop_s": 0.24, "recipe": "square"},
        "output": {"tensor": "logit", "kind": "logit"},
        "graphs": {
            "window": {"fp32": {"file": "window.onnx", "tolerance": 0.001}},
            "step": {
                "fp32": {"file": "step.onnx", "tolerance": 0.001},
                "bf16": {"file": "step.onnx", "tolerance": 0.02},
            },
        },
        "states": [{"input": "state_0", "output": "next_0", "shape": [2, 3]}],
        "parity": [{"precision": "fp32", "step_to_window": 0.0001}],
        "calibrations": [
            {
                "graph": "window",
                "precision": "fp32",
                "curve": {"kind": "temperature", "scale": 1.5, "offset": -0.2, "stderr": 0.1},
                **calibration,
            },
            {"graph": "step", "precision": "bf16", "curve": curve, **calibration},
        ],
        "maps": {
            "file": "maps.onnx",
            "height": 4,
            "width": 5,
            "kinds": ["anomaly", "motion"],
            "ranges": {"anomaly": {"low": 0.5, "high": 2}, "motion": {"low": 0, "high": 0.25}},
            "measured_on": "toys",
        },
        "net": {"name": "toy", "options": {"width": "0.5"}, "decisions": {"order": "old first"}, "weights": NET},
        "provenance": {"data": "toys", "commit": "abc", "licence": "Apache-2.0", "metrics": {"auc": 0.5}},
    }


def write_files(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "window.onnx").write_bytes(onnx_bytes(WINDOW))
    (folder / "step.onnx").write_bytes(onnx_bytes(STEP))
    (folder / "maps.onnx").write_bytes(onnx_bytes(MAPS))
    (folder / "weights.bin").write_bytes(bytes(range(16)))
    (folder / NET).write_bytes(b"")
    return folder


def make_toy(folder: Path) -> Bundle:
    return seal(write_files(folder), toy_fields())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMGUARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def toy(tmp_path: Path) -> Bundle:
    return make_toy(tmp_path / "toy")


def rewrite(folder: Path, change: Callable[[Any], object]) -> None:
    """Another bundle.json, as an attacker or a newer StreamGuard would write it."""
    manifest = json.loads((folder / "bundle.json").read_text())
    change(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Another file, of which bundle.json tells the truth."""
    (folder / name).write_bytes(content)
    spec = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    rewrite(folder, lambda manifest: manifest["files"].update({name: spec}))


def refusal(path: Path, **trust: str) -> BundleError:
    with pytest.raises(BundleError) as refused:
        open_bundle(path, **trust)
    assert refused.value.bundle == str(path)
    return refused.value


# What a sound bundle gives.


def test_a_sealed_folder_opens_as_what_was_sealed(toy: Bundle) -> None:
    opened = open_bundle(toy.folder)
    assert opened == toy
    assert opened.name == "toy 1.0"
    assert opened.manifest.files.keys() == {"window.onnx", "step.onnx", "maps.onnx", "weights.bin", NET}
    assert opened.manifest.net == NetSpec(
        name="toy", options={"width": "0.5"}, decisions={"order": "old first"}, weights=NET
    )
    assert opened.sha256 == hashlib.sha256((toy.folder / "bundle.json").read_bytes()).hexdigest()


def test_every_graph_has_its_file_and_perhaps_its_calibration(toy: Bundle) -> None:
    assert toy.path_of("window", "fp32") == toy.folder / "window.onnx"
    assert toy.path_of("step", "bf16") == toy.folder / "step.onnx"
    found = toy.calibration("window", "fp32")
    assert found is not None
    assert found.curve == Temperature(scale=1.5, offset=-0.2, stderr=0.1)
    found = toy.calibration("step", "bf16")
    assert found is not None
    assert found.curve.kind == "isotonic"
    assert toy.calibration("step", "fp32") is None
    assert toy.calibration("window", "bf16") is None


def test_a_graph_that_is_not_there_is_told_with_those_that_are(toy: Bundle) -> None:
    with pytest.raises(BundleError, match=r"graphs\.window\.int8: .* there is step bf16, step fp32, window fp32"):
        toy.path_of("window", "int8")


def test_a_graph_at_one_precision_may_be_all_there_is(tmp_path: Path) -> None:
    fields = toy_fields() | {"states": [], "parity": [], "calibrations": [], "trained": False}
    del fields["graphs"]["step"]
    opened = seal(write_files(tmp_path / "toy"), fields)
    with pytest.raises(BundleError, match=r"graphs\.step\.fp32"):
        opened.path_of("step", "fp32")


def test_the_maps_graph_is_beside_those_that_score(toy: Bundle) -> None:
    maps = toy.manifest.maps
    assert maps is not None
    assert (maps.height, maps.width, maps.kinds, maps.measured_on) == (4, 5, ("anomaly", "motion"), "toys")
    assert maps.ranges == {"anomaly": MapRange(low=0.5, high=2.0), "motion": MapRange(low=0.0, high=0.25)}
    assert toy.path_of("maps", "fp32") == toy.folder / "maps.onnx"


def test_a_bundle_from_before_there_were_maps_has_none(toy: Bundle) -> None:
    def change(manifest: Any) -> None:
        del manifest["maps"]
        del manifest["files"]["maps.onnx"]

    rewrite(toy.folder, change)
    (toy.folder / "maps.onnx").unlink()
    opened = open_bundle(toy.folder)
    assert opened.manifest.maps is None
    with pytest.raises(BundleError, match="maps: is null: it has no maps graph"):
        opened.path_of("maps", "fp32")


def test_a_bundle_from_before_there_were_spans_looks_at_two_face_scales(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "toy")
    fields = toy_fields()
    narrow = seal(folder, fields | {"clip": fields["clip"] | {"span": 1.4}})
    assert narrow.manifest.clip.config("step").span == 1.4
    rewrite(folder, lambda manifest: manifest["clip"].pop("span"))
    assert open_bundle(folder).manifest.clip.config("step").span == 2.0


def test_without_a_path_it_is_the_one_of_the_package(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT", toy.folder)
    assert open_bundle() == toy


def test_the_untrained_one_is_known_by_its_name_unless_something_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_bundle("untrained") == open_bundle(Path("untrained")) == open_bundle(UNTRAINED)
    with pytest.raises(BundleError, match="there is no such folder"):
        open_bundle(tmp_path / "untrained")
    toy = make_toy(tmp_path / "untrained")
    assert open_bundle("untrained").sha256 == toy.sha256


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nothing")
    assert (error.where, error.problem) == ("", "there is no such folder or zip file")


def test_what_is_neither_folder_nor_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").problem == "there is no such folder or zip file"


def test_only_the_trusted_bundle_is_opened(toy: Bundle, tmp_path: Path) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    for path in (toy.folder, packed):
        assert open_bundle(path, trusted_sha256=toy.sha256).manifest == toy.manifest
        error = refusal(path, trusted_sha256="0" * 64)
        assert error.where == "bundle.json"
        assert toy.sha256 in error.problem


def test_an_untrusted_manifest_is_not_even_parsed(toy: Bundle) -> None:
    (toy.folder / "bundle.json").write_text("{")
    assert "is trusted" in refusal(toy.folder, trusted_sha256="0" * 64).problem


def test_a_bundle_from_before_evidence_was_scaled_counts_all_of_it(toy: Bundle) -> None:
    rewrite(toy.folder, lambda manifest: set_at(manifest, "calibrations.0.evidence_scale", 0.25))
    assert open_bundle(toy.folder).manifest.calibrations[0].evidence_scale == 0.25
    rewrite(toy.folder, lambda manifest: manifest["calibrations"][0].pop("evidence_scale"))
    assert open_bundle(toy.folder).manifest.calibrations[0].evidence_scale == 1.0


# Sealing.


def test_sealing_twice_gives_the_same_bytes(toy: Bundle, tmp_path: Path) -> None:
    before = (toy.folder / "bundle.json").read_bytes()
    assert seal(toy.folder, toy_fields()).sha256 == toy.sha256
    assert (toy.folder / "bundle.json").read_bytes() == before
    assert before.endswith(b"}\n")
    assert b"\r" not in before


def test_dataclasses_seal_as_well_as_plain_values(toy: Bundle) -> None:
    fields = toy_fields()
    fields["provenance"] = Provenance(data="toys", commit="abc", licence="Apache-2.0", metrics={"auc": 0.5})
    fields["calibrations"][0]["curve"] = Temperature(scale=1.5, offset=-0.2, stderr=0.1)
    assert seal(toy.folder, fields).sha256 == toy.sha256


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"files": {}}, "files"),
        ({"trained": "yes"}, "trained"),
        ({"extra": 1}, "extra"),
        ({"network": b"toy"}, "bundle.json"),
        ({"network": float("nan")}, "bundle.json"),
        ({"network": Provenance}, "bundle.json"),
        ({"network": {1, 2}}, "bundle.json"),
        ({"network": ""}, "network"),
    ],
)
def test_sealing_is_as_strict_as_opening(tmp_path: Path, changes: dict[str, Any], where: str) -> None:
    folder = write_files(tmp_path / "toy")
    with pytest.raises(BundleError) as refused:
        seal(folder, toy_fields() | changes)
    assert refused.value.where == where


def test_sealing_where_nothing_can_be_written_or_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot be read \(No such file"):
        seal(tmp_path / "nothing", toy_fields())
    folder = write_files(tmp_path / "toy")
    (folder / "bundle.json").mkdir()
    with pytest.raises(BundleError, match=r"bundle\.json: is no file"):
        seal(folder, toy_fields())


def test_sealing_a_folder_that_is_full_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    folder = write_files(tmp_path / "toy")
    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(BundleError, match=r"bundle\.json: cannot be written \(No space left on device\)"):
        seal(folder, toy_fields())


# The manifest: what must not be, at which path, and how that is named.

ABSENT = object()
CALIBRATION = toy_fields()["calibrations"][0]
TEMPERATURE, ISOTONIC = "calibrations.0.curve", "calibrations.1.curve"
REFUSED: list[tuple[str, Any, str]] = [
    # (path that is changed, new value, path that is named if it is another)
    ("extra", 1, ""),
    ("format", 2, ""),
    ("format", ABSENT, ""),
    ("network", "", ""),
    ("network", "x" * 1001, ""),
    ("version", "x" * 1001, ""),
    ("version", "", ""),
    ("trained", 1, ""),
    ("trained", False, "calibrations"),
    ("colour", "bgr", ""),
    ("clip.grid_s", "0.08", ""),
    ("clip.grid_s", 0.001, ""),
    ("clip.hop_s", 0, ""),
    ("clip.hop_s", 61, ""),
    ("clip.length", 0, ""),
    ("clip.memory", -1, ""),
    ("clip.size_px", 8, ""),
    ("clip.recipe", "round", ""),
    ("clip.span", 0.9, ""),
    ("clip.span", 2.1, ""),
    ("clip.span", None, ""),
    ("clip.recipe", "similarity", ""),
    ("clip.feed", "window", ""),
    ("output.kind", "sigmoid", ""),
    ("output.kind", "softmax", "output.width"),
    ("output.width", 0, ""),
    ("output.fake_index", 1, ""),
    ("output.fake_index", -1, ""),
    ("graphs", {}, ""),
    ("graphs.both", {}, ""),
    ("graphs.window", {}, ""),
    ("graphs.step.fp8", {}, ""),
    ("graphs.step.fp32.tolerance", -0.1, ""),
    ("graphs.step.fp32.file", "other.onnx", ""),
    ("graphs.step.fp32.file", "bundle.json", ""),
    ("states", [], ""),
    ("states.0.input", "crops", ""),
    ("states.0.input", "age", ""),
    ("states.0.output", "logit", ""),
    ("states.0.shape", [2, 0], ""),
    ("states.0.shape", [1 << 26, 2], ""),
    ("parity", [], ""),
    ("parity.0.precision", "int8", "parity.0"),
    ("parity.0.step_to_window", -0.1, ""),
    ("calibrations.0.precision", "int8", "calibrations.0"),
    ("calibrations.0.prior", 0, ""),
    ("calibrations.0.prior", 1, ""),
    ("calibrations.0.evidence_scale", 0, ""),
    ("calibrations.0.evidence_scale", 1.01, ""),
    ("calibrations.0.evidence_scale", None, ""),
    ("calibrations.0.thresholds.real_enter", -0.1, "calibrations.0.thresholds"),
    ("calibrations.0.thresholds.real_enter", 0.3, "calibrations.0.thresholds"),
    ("calibrations.0.thresholds.real_leave", 0.7, "calibrations.0.thresholds"),
    ("calibrations.0.thresholds.fake_leave", 0.9, "calibrations.0.thresholds"),
    ("calibrations.0.thresholds.fake_enter", 1.1, "calibrations.0.thresholds"),
    ("calibrations.0.thresholds.false_positive_rate", -0.1, ""),
    ("calibrations.0.thresholds.false_positive_rate", 1.1, ""),
    (f"{TEMPERATURE}.kind", "isotonic", f"{TEMPERATURE}.offset"),
    (f"{TEMPERATURE}.scale", 0, ""),
    (f"{TEMPERATURE}.stderr", -0.1, ""),
    (f"{ISOTONIC}.raw", [0, 0.5], f"{ISOTONIC}.p"),
    (f"{ISOTONIC}.raw", [0, 0.5, 0.5], ""),
    (f"{ISOTONIC}.p", [0, 0.4], ""),
    (f"{ISOTONIC}.p", [0.1, 0.4, 0.35], f"{ISOTONIC}.p"),
    (f"{ISOTONIC}.p", [-0.1, 0.4, 0.9], ""),
    (f"{ISOTONIC}.p", [0, 0.4, 1.1], ""),
    (f"{ISOTONIC}.p_low", [0, 0.3], ""),
    (f"{ISOTONIC}.p_low", [0, 0.41, 0.8], ""),
    (f"{ISOTONIC}.p_low", [-0.1, 0.3, 0.8], ""),
    (f"{ISOTONIC}.p_high", [0.1, 0.5], ""),
    (f"{ISOTONIC}.p_high", [0.1, 0.39, 1], ""),
    (f"{ISOTONIC}.p_high", [0.1, 0.5, 1.1], ""),
    ("maps.file", "other.onnx", ""),
    ("maps.height", 0, ""),
    ("maps.width", 257, ""),
    ("maps.kinds", [], ""),
    ("maps.kinds", ["motion", "motion"], ""),
    ("maps.kinds", ["motion"], "maps.ranges"),
    ("maps.kinds", ["depth"], "maps.kinds.0"),
    ("maps.ranges.anomaly", ABSENT, "maps.ranges"),
    ("maps.ranges.anomaly.low", -0.1, "maps.ranges.anomaly"),
    ("maps.ranges.anomaly.high", 0.5, "maps.ranges.anomaly"),
    ("maps.ranges", {}, "maps.measured_on"),
    ("maps.measured_on", "", ""),
    ("maps.measured_on", "x" * 1001, ""),
    ("net", ABSENT, ""),
    ("net.name", "", ""),
    ("net.name", "x" * 1001, ""),
    ("net.options", ABSENT, ""),
    ("net.options", {str(i): "" for i in range(65)}, ""),
    ("net.options", {"x" * 1001: ""}, f"net.options.{'x' * 77}..."),
    ("net.options.width", "x" * 1001, ""),
    ("net.options.width", 0.5, ""),
    ("net.decisions", {str(i): "" for i in range(65)}, ""),
    ("net.decisions.order", "x" * 1001, ""),
    ("net.decisions.order", "old\nfirst", ""),
    ("net.weights", "other.safetensors", ""),
    ("net.weights", "weights.bin", ""),
    ("net.weights", 1, ""),
    ("provenance.licence", ABSENT, ""),
    ("files.weights*bin.size_bytes", -1, ""),
    ("files.weights*bin.size_bytes", (2 << 30) + 1, ""),
    ("files.weights*bin.sha256", "0" * 63, ""),
    ("files.weights*bin.sha256", "A" * 64, ""),
]


def set_at(values: Any, path: str, value: Any) -> None:
    *way, last = path.split(".")
    for name in way:
        values = values[int(name) if isinstance(values, list) else name.replace("*", ".")]
    if value is ABSENT:
        del values[last]
    else:
        values[last] = value


@pytest.mark.parametrize(
    ("path", "value", "named"), REFUSED, ids=[f"{path}={value}"[:60] for path, value, _ in REFUSED]
)
def test_a_manifest_that_cannot_be_is_refused_by_its_field(toy: Bundle, path: str, value: Any, named: str) -> None:
    rewrite(toy.folder, lambda manifest: set_at(manifest, path, value))
    assert refusal(toy.folder).where == (named or path.replace("*", "."))


@pytest.mark.parametrize(
    "changes",
    [
        {"output.kind": "softmax", "output.width": 2, "output.fake_index": 1},
        {"graphs.window.fp32.tolerance": 0, "parity.0.step_to_window": 0},
        {"states.0.shape": []},
        {"states.0.shape": [1]},
        {"states.0.shape": [1 << 26]},
        {"calibrations.0.thresholds.real_enter": 0, "calibrations.0.thresholds.fake_enter": 1},
        {"calibrations.0.thresholds.false_positive_rate": 0, f"{TEMPERATURE}.stderr": 0},
        {"calibrations.0.thresholds.false_positive_rate": 1},
        {f"{ISOTONIC}.p": [0, 0, 1], f"{ISOTONIC}.p_low": [0, 0, 1], f"{ISOTONIC}.p_high": [0, 0, 1]},
        {"calibrations": [], "trained": False},
        {"maps.ranges": {}, "maps.measured_on": ""},
        {"maps.height": 256, "maps.width": 1, "maps.kinds": ["motion", "anomaly"], "maps.ranges.motion.high": 1e9},
        {"net": None},
        {"net.weights": None, "net.options": {}, "net.decisions": {}},
        {"net.options": {"x" * 1000: "x" * 1000}, "net.name": "x" * 1000},
        {"net.decisions": {str(i): "" for i in range(64)}},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_manifest_at_the_edge_of_what_can_be_is_accepted(
    toy: Bundle, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "_check_tensors", lambda *_: None)
    for path, value in changes.items():
        rewrite(toy.folder, partial(set_at, path=path, value=value))
    open_bundle(toy.folder)


def test_as_many_files_as_may_be_are_opened(toy: Bundle) -> None:
    for i in range(59):
        (toy.folder / f"{i}.bin").write_bytes(bytes(i))  # the first is empty
    assert len(seal(toy.folder, toy_fields()).manifest.files) == 64
    assert pack_bundle(toy.folder, toy.folder.parent / "toy.zip").exists()
    open_bundle(toy.folder.parent / "toy.zip")


def test_states_without_a_step_graph_are_refused(toy: Bundle) -> None:
    def change(manifest: Any) -> None:
        del manifest["graphs"]["step"]
        del manifest["calibrations"][1]
        manifest["parity"] = []

    rewrite(toy.folder, change)
    assert refusal(toy.folder).where == "states"


def test_parity_without_a_window_graph_is_refused(toy: Bundle) -> None:
    def change(manifest: Any) -> None:
        del manifest["graphs"]["window"]
        del manifest["calibrations"][0]

    rewrite(toy.folder, change)
    assert refusal(toy.folder).where == "parity.0"


@pytest.mark.parametrize(("several", "where"), [("parity", "parity.1"), ("calibrations", "calibrations.2")])
def test_saying_it_twice_is_refused(toy: Bundle, several: str, where: str) -> None:
    rewrite(toy.folder, lambda manifest: manifest[several].append(copy.deepcopy(manifest[several][0])))
    assert refusal(toy.folder).where == where


@pytest.mark.parametrize("side", ["input", "output"])
def test_two_states_of_one_name_are_refused(toy: Bundle, side: str) -> None:
    state = {"input": "state_1", "output": "next_1", "shape": [1], side: toy_fields()["states"][0][side]}
    rewrite(toy.folder, lambda manifest: manifest["states"].append(state))
    assert refusal(toy.folder).where == f"states.1.{side}"


def test_one_point_makes_no_curve(toy: Bundle) -> None:
    point = {"kind": "isotonic", "raw": [0.5], "p": [0.5], "p_low": [0.4], "p_high": [0.6]}
    rewrite(toy.folder, lambda manifest: manifest["calibrations"][0].update(curve=point))
    assert refusal(toy.folder).where == f"{TEMPERATURE}.raw"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b" " * ((1 << 20) + 1), "more than 1048576 bytes"),
    ],
)
def test_bundle_json_that_is_none_is_refused(toy: Bundle, content: bytes, problem: str) -> None:
    (toy.folder / "bundle.json").write_bytes(content)
    error = refusal(toy.folder)
    assert error.where == "bundle.json"
    assert problem in error.problem


def test_a_damaged_bundle_json_is_opened_or_refused_and_nothing_else(toy: Bundle) -> None:
    sound = (toy.folder / "bundle.json").read_bytes()
    chance = random.Random(11)
    refused = 0
    for turn in range(300):
        damaged = bytearray(sound[: chance.randrange(len(sound))] if turn % 2 else sound)
        if turn % 2 == 0:
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (toy.folder / "bundle.json").write_bytes(damaged)
        try:
            open_bundle(toy.folder)
        except BundleError:
            refused += 1
    assert refused > 150


# Files.


@pytest.mark.parametrize(
    "name",
    [
        *("../weights.bin", "a/b.bin", "/etc/passwd", "a\\b.bin", "..", ".", ".hidden", "ends.", "", "a b", "c:x", "é"),
        *("bundle.json", "Bundle.JSON", "WINDOW.onnx", "nul\0", "x" * 129),
    ],
)
def test_names_that_are_not_plain_are_refused(toy: Bundle, name: str) -> None:
    spec = {"sha256": "0" * 64, "size_bytes": 0}
    rewrite(toy.folder, lambda manifest: manifest["files"].update({name: spec}))
    error = refusal(toy.folder)
    assert error.where.startswith("files.")
    assert error.where.isprintable()


def test_too_many_files_are_refused(toy: Bundle) -> None:
    spec = {"sha256": "0" * 64, "size_bytes": 0}
    rewrite(toy.folder, lambda manifest: manifest["files"].update({f"{i}.bin": spec for i in range(60)}))
    error = refusal(toy.folder)
    assert (error.where, error.problem) == ("files", "has 65 files; at most 64 may be in a bundle")


def test_a_folder_of_too_many_files_is_not_read_to_its_end(toy: Bundle) -> None:
    for i in range(62):
        (toy.folder / f"{i}.bin").touch()
    assert refusal(toy.folder).problem == "has more than 64 files"


def test_files_that_are_too_large_together_are_refused(toy: Bundle) -> None:
    spec = {"sha256": "0" * 64, "size_bytes": 2 << 30}
    rewrite(toy.folder, lambda manifest: manifest["files"].update(a=spec, b=spec))
    error = refusal(toy.folder)
    assert error.where == "files"
    assert "at most 4294967296" in error.problem


def test_files_as_large_as_may_be_are_possible() -> None:
    spec = FileSpec(sha256="0" * 64, size_bytes=2 << 30)
    sealed_files.check_specs({"a": spec, "b": spec}, partial(BundleError, "toy"))


def test_a_bundle_json_as_large_as_may_be_is_read(toy: Bundle) -> None:
    content = (toy.folder / "bundle.json").read_bytes()
    (toy.folder / "bundle.json").write_bytes(content.ljust(1 << 20))
    assert open_bundle(toy.folder).manifest == toy.manifest


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    error = refusal(write_files(tmp_path / "bare"))
    assert (error.where, error.problem) == ("bundle.json", "is not in this folder: it is no bundle")


def test_a_file_that_is_missing_is_named(toy: Bundle) -> None:
    (toy.folder / "weights.bin").unlink()
    error = refusal(toy.folder)
    assert (error.where, error.problem) == ("weights.bin", "is missing")


def test_a_file_that_nobody_named_is_named(toy: Bundle) -> None:
    (toy.folder / "notes.txt").touch()
    error = refusal(toy.folder)
    assert (error.where, error.problem) == ("notes.txt", "is not named in bundle.json")


def test_a_file_of_another_size_is_named(toy: Bundle) -> None:
    (toy.folder / "weights.bin").write_bytes(bytes(17))
    error = refusal(toy.folder)
    assert (error.where, error.problem) == ("weights.bin", "has 17 bytes, not 16 as bundle.json says")


def test_a_file_of_another_content_is_named(toy: Bundle) -> None:
    (toy.folder / "weights.bin").write_bytes(bytes(16))
    error = refusal(toy.folder)
    assert (error.where, error.problem) == ("weights.bin", "its sha256 is not the one in bundle.json")


def test_a_file_that_grows_while_it_is_read_is_refused(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {path.name: path.stat().st_size for path in toy.folder.iterdir()}
    (toy.folder / "weights.bin").write_bytes(bytes(17))
    monkeypatch.setattr(sealed_files, "_names_in", lambda folder, refuse: sizes)
    assert refusal(toy.folder).problem == "has more than the 16 bytes that bundle.json says"


@pytest.mark.parametrize("name", ["weights.bin", "bundle.json"])
def test_links_are_refused_even_to_the_same_content(toy: Bundle, tmp_path: Path, name: str) -> None:
    os.rename(toy.folder / name, tmp_path / "elsewhere")
    (toy.folder / name).symlink_to(tmp_path / "elsewhere")
    error = refusal(toy.folder)
    assert (error.where, error.problem) == (name, "is a link: only plain files may be in a bundle")


def test_folders_and_devices_are_refused(toy: Bundle) -> None:
    (toy.folder / "more").mkdir()
    assert refusal(toy.folder).problem == "is no file: only plain files may be in a bundle"
    (toy.folder / "more").rmdir()
    os.mkfifo(toy.folder / "weights2.bin")
    assert refusal(toy.folder).where == "weights2.bin"


def test_what_cannot_be_read_is_refused(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sealed_files, "_check_content", fails)
    error = refusal(toy.folder)
    assert error.where in toy.manifest.files
    assert error.problem == "cannot be read (Input/output error)"
    monkeypatch.setattr(os, "scandir", fails)
    assert refusal(toy.folder).problem == "cannot be read (Input/output error)"


# Graphs.

TENSORS: list[tuple[str, Callable[[Any], object], str]] = [
    ("window.onnx", lambda t: t[0].clear(), "input crops is missing"),
    ("window.onnx", lambda t: t[1].clear(), "output logit is missing"),
    ("window.onnx", lambda t: t[0].append(("age", 7, ["N"])), "input age is one too many"),
    ("window.onnx", lambda t: t[1].append(("more", 1, ["N"])), "output more is one too many"),
    (
        "window.onnx",
        lambda t: t[0].__setitem__(0, ("crops", 2, [1, 5, 16, 16, 3])),
        "input crops is uint8 (1, 5, 16, 16, 3), not uint8 (any, 5, 16, 16, 3)",
    ),
    ("window.onnx", lambda t: t[0].__setitem__(0, ("crops", 2, ["N", 3, 16, 16, 3])), "not uint8 (any, 5, 16, 16, 3)"),
    ("window.onnx", lambda t: t[0].__setitem__(0, ("crops", 2, ["N", "T", 16, 16, 3])), "is uint8 (any, any, 16"),
    ("window.onnx", lambda t: t[0].__setitem__(0, ("crops", 1, ["N", 5, 16, 16, 3])), "is float32 (any, 5"),
    ("window.onnx", lambda t: t[0].__setitem__(0, ("crops", 2, None)), "is uint8 of unknown shape"),
    ("window.onnx", lambda t: t[1].__setitem__(0, ("logit", 1, ["N", 2])), "not float32 (any, 1)"),
    ("window.onnx", lambda t: t[1].__setitem__(0, ("logit", 1, ["N"])), "output logit is float32 (any), not"),
    ("window.onnx", lambda t: t[1].__setitem__(0, ("logit", 10, ["N", 1])), "is float16 (any, 1)"),
    ("step.onnx", lambda t: t[0].__setitem__(0, ("crops", 2, ["N", 5, 16, 16, 3])), "not uint8 (any, 16, 16, 3)"),
    ("step.onnx", lambda t: t[0].pop(1), "input age is missing"),
    ("step.onnx", lambda t: t[0].__setitem__(1, ("age", 6, ["N"])), "input age is int32 (any), not int64 (any)"),
    ("step.onnx", lambda t: t[0].__setitem__(1, ("age", 7, ["N", 1])), "input age is int64 (any, 1), not"),
    ("step.onnx", lambda t: t[0].pop(2), "input state_0 is missing"),
    ("step.onnx", lambda t: t[0].__setitem__(2, ("state_0", 1, ["N", 3, 2])), "not float32 (any, 2, 3)"),
    ("step.onnx", lambda t: t[1].pop(1), "output next_0 is missing"),
    ("step.onnx", lambda t: t[1].__setitem__(1, ("next_0", 1, ["N", 3, 2])), "output next_0 is float32 (any, 3, 2)"),
    ("maps.onnx", lambda t: t[0].__setitem__(0, ("crops", 2, ["N", 16, 16, 3])), "not uint8 (any, 5, 16, 16, 3)"),
    ("maps.onnx", lambda t: t[1].pop(0), "output anomaly is missing"),
    ("maps.onnx", lambda t: t[1].append(("logit", 1, ["N", 1])), "output logit is one too many"),
    ("maps.onnx", lambda t: t[1].__setitem__(1, ("motion", 1, ["N", 5, 4])), "not float32 (any, 4, 5)"),
]


@pytest.mark.parametrize(("name", "change", "problem"), TENSORS, ids=[problem for _, _, problem in TENSORS])
def test_tensors_must_be_exactly_those_of_the_contract(
    toy: Bundle, name: str, change: Callable[[Any], object], problem: str
) -> None:
    tensors = copy.deepcopy({"window.onnx": WINDOW, "step.onnx": STEP, "maps.onnx": MAPS}[name])
    change(tensors)
    replace_file(toy.folder, name, onnx_bytes(tensors))
    error = refusal(toy.folder)
    assert error.where == name
    assert problem in error.problem


@pytest.mark.parametrize(
    ("external", "problem"),
    [
        ({"location": "../weights.bin"}, "are in ../weights.bin, which is not among the bundle's files"),
        ({"location": "/etc/passwd"}, "are in /etc/passwd, which"),
        ({"location": "other.bin"}, "are in other.bin, which"),
        ({"location": "./weights.bin"}, "are in ./weights.bin, which"),
        ({"location": "*/_ORT_MEM_ADDR_/*"}, "are in */_ORT_MEM_ADDR_/*, which"),
        ({"location": "bundle.json"}, "are in bundle.json, which"),
        ({"location": ""}, "are in '', which"),
        ({"length": "17"}, "end at byte 17 of weights.bin, which has 16"),
        ({"offset": "1"}, "end at byte 17 of weights.bin, which has 16"),
        ({"offset": "999999999999999999"}, "end at byte 1000000000000000015"),
    ],
)
def test_values_come_from_the_bundles_own_files_only(toy: Bundle, external: dict[str, str], problem: str) -> None:
    (toy.folder.parent / "weights.bin").write_bytes(bytes(16))
    replace_file(toy.folder, "step.onnx", onnx_bytes(STEP, **external))
    error = refusal(toy.folder)
    assert error.where == "step.onnx"
    assert error.problem.startswith(f"the values of tensor w {problem}")


def test_a_file_that_is_no_onnx_is_refused(toy: Bundle) -> None:
    replace_file(toy.folder, "step.onnx", b"not a network")
    assert refusal(toy.folder).where == "step.onnx"


# Zips.


def write_zip(path: Path, folder: Path, *, extra: tuple[tuple[zipfile.ZipInfo | str, bytes], ...] = ()) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
        for name, content in extra:
            archive.writestr(name, content)
    return path


def test_a_zip_opens_as_its_folder_does(toy: Bundle, tmp_path: Path, home: Path) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    opened = open_bundle(packed)
    assert (opened.manifest, opened.sha256) == (toy.manifest, toy.sha256)
    assert opened.folder == home / "bundles" / toy.sha256
    assert [path.name for path in (home / "bundles").iterdir()] == [toy.sha256]
    assert open_bundle(opened.folder) == opened


def test_packing_twice_gives_the_same_bytes(toy: Bundle, tmp_path: Path) -> None:
    first = pack_bundle(toy.folder, tmp_path / "first.zip").read_bytes()
    for path in toy.folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o600)
    assert pack_bundle(toy.folder, tmp_path / "second.zip").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.zip", "second.zip", "toy"]


def test_packing_opens_strictly_first(toy: Bundle, tmp_path: Path) -> None:
    (toy.folder / "notes.txt").touch()
    with pytest.raises(BundleError, match=r"notes\.txt"):
        pack_bundle(toy.folder, tmp_path / "toy.zip")
    assert not (tmp_path / "toy.zip").exists()


def test_a_zip_is_never_packed_into_the_folder_itself(toy: Bundle) -> None:
    with pytest.raises(BundleError, match="would be inside it"):
        pack_bundle(toy.folder, toy.folder / "toy.zip")
    assert open_bundle(toy.folder) == toy


def test_packing_where_it_cannot_be_is_refused_and_leaves_nothing(toy: Bundle, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"toy\.zip: No such file"):
        pack_bundle(toy.folder, tmp_path / "nowhere" / "toy.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("what", ["a folder", "a file", "a link", "a dangling link", "another zip"])
def test_packing_overwrites_nothing_but_an_older_bundle(toy: Bundle, tmp_path: Path, what: str) -> None:
    out = tmp_path / "taken.zip"
    match what:
        case "a folder":
            out.mkdir()
        case "a file":
            out.write_text("a year's work")
        case "a link":
            out.symlink_to(pack_bundle(toy.folder, tmp_path / "real.zip"))
        case "a dangling link":
            out.symlink_to(tmp_path / "nowhere")
        case "another zip":
            with zipfile.ZipFile(out, "w") as archive:
                archive.writestr("letters.txt", "a year's work")
    before = out.lstat()
    with pytest.raises(ConfigError, match="it is not overwritten"):
        pack_bundle(toy.folder, out)
    assert (out.lstat().st_ino, out.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_packing_replaces_an_older_bundle_and_writes_through_no_link(toy: Bundle, tmp_path: Path) -> None:
    first = pack_bundle(toy.folder, tmp_path / "toy.zip").read_bytes()
    letters = tmp_path / "letters.txt"
    letters.write_text("a year's work")
    (tmp_path / "toy.zip.part").symlink_to(letters)
    assert pack_bundle(toy.folder, tmp_path / "toy.zip").read_bytes() == first
    assert letters.read_text() == "a year's work"


def test_a_disk_that_is_full_while_packing_is_told_as_such(
    toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealed_files, "_write_zip", full)
    with pytest.raises(SinkFullError, match="no space is left"):
        pack_bundle(toy.folder, tmp_path / "toy.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_zip_that_was_changed_is_refused_though_it_was_unpacked_before(toy: Bundle, tmp_path: Path) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    open_bundle(packed)
    weights = (toy.folder / "weights.bin").read_bytes()
    data = packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        others = {info: archive.read(info) for info in archive.infolist() if info.filename != "weights.bin"}
    assert data.count(weights)
    with zipfile.ZipFile(packed, "w") as archive:
        for info, content in others.items():
            archive.writestr(info.filename, content)
        archive.writestr("weights.bin", bytes(len(weights)))
    assert "sha256 is not the one" in refusal(packed).problem


def test_a_zip_is_unpacked_once(toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    first = open_bundle(packed)
    monkeypatch.setattr(sealed_files, "unpack", None)
    assert open_bundle(packed) == first


@pytest.mark.parametrize("damage", ["changed", "missing", "extra", "no folder", "manifest"])
def test_what_was_unpacked_and_then_changed_is_unpacked_again(toy: Bundle, tmp_path: Path, damage: str) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    folder = open_bundle(packed).folder
    match damage:
        case "changed":
            (folder / "weights.bin").write_bytes(bytes(16))
        case "missing":
            (folder / "weights.bin").unlink()
        case "extra":
            (folder / "notes.txt").touch()
        case "manifest":
            rewrite(folder, lambda manifest: manifest.update(version="2"))
        case "no folder":
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
            folder.touch()
    opened = open_bundle(packed)
    assert opened.folder == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in toy.folder.iterdir()
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_who_comes_second_leaves_what_the_first_unpacked(
    toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finishes between our look and our move: its folder may be in use, so it stays."""
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    theirs = open_bundle(packed).folder
    before = theirs.stat().st_ino
    really, looks = sealed_files.is_unpacked, iter([False])
    monkeypatch.setattr(sealed_files, "is_unpacked", lambda *given: next(looks, None) is None and really(*given))
    assert open_bundle(packed).folder == theirs
    assert theirs.stat().st_ino == before
    assert [path.name for path in theirs.parent.iterdir()] == [theirs.name]


def test_where_nothing_can_be_unpacked_is_told_with_the_remedy(toy: Bundle, tmp_path: Path, home: Path) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    home.touch()
    assert "Set STREAMGUARD_HOME to a writable folder" in refusal(packed).problem


def test_a_disk_that_is_full_while_unpacking_is_told_and_nothing_is_left(
    toy: Bundle, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    monkeypatch.setattr(Path, "write_bytes", fails)
    assert refusal(packed).problem.startswith("cannot be unpacked to ")
    assert list((home / "bundles").iterdir()) == []


@pytest.mark.parametrize("name", ["notes.txt", "../notes.txt", "folder/", "/notes.txt", "a\\b", "folder/notes.txt"])
def test_a_zip_with_more_in_it_is_refused_and_nothing_is_written(
    toy: Bundle, tmp_path: Path, home: Path, name: str
) -> None:
    packed = write_zip(tmp_path / "toy.zip", toy.folder, extra=((name, b"x"),))
    error = refusal(packed)
    assert error.where.replace("'", "").replace("\\\\", "\\") == name
    known = {"notes.txt": "is not named in bundle.json", "folder/": "is a link or no file"}
    assert error.problem.startswith(known.get(name, "is no plain file name"))
    assert not home.exists()


def test_a_zip_that_lacks_a_file_is_refused(toy: Bundle, tmp_path: Path) -> None:
    (toy.folder / "weights.bin").unlink()
    assert refusal(write_zip(tmp_path / "toy.zip", toy.folder)).where == "weights.bin"
    (toy.folder / "bundle.json").unlink()
    assert refusal(write_zip(tmp_path / "bare.zip", toy.folder)).where == "bundle.json"


def test_a_link_in_a_zip_is_refused(toy: Bundle, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("weights.bin")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    (toy.folder / "weights.bin").unlink()
    error = refusal(write_zip(tmp_path / "toy.zip", toy.folder, extra=((link, b"/etc/passwd"),)))
    assert (error.where, error.problem) == (
        "weights.bin",
        "is a link or no file: only plain files may be in a bundle",
    )


def test_a_name_twice_in_a_zip_is_refused(toy: Bundle, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed = write_zip(tmp_path / "toy.zip", toy.folder, extra=(("weights.bin", bytes(16)),))
    error = refusal(packed)
    assert (error.where, error.problem) == ("weights.bin", "is there twice")


def test_too_many_files_in_a_zip_are_refused(toy: Bundle, tmp_path: Path) -> None:
    extra = tuple((f"{i}.bin", b"") for i in range(62))
    assert refusal(write_zip(tmp_path / "toy.zip", toy.folder, extra=extra)).problem == "has more than 64 files"


def test_a_member_of_another_content_is_named(toy: Bundle, tmp_path: Path, home: Path) -> None:
    (toy.folder / "weights.bin").write_bytes(bytes(16))
    error = refusal(write_zip(tmp_path / "toy.zip", toy.folder))
    assert (error.where, error.problem) == ("weights.bin", "its sha256 is not the one in bundle.json")
    assert list((home / "bundles").iterdir()) == []


@pytest.mark.parametrize("liar", ["the manifest", "the zip as well"])
@pytest.mark.parametrize(("name", "most"), [("weights.bin", 16), ("bundle.json", 1 << 20)])
def test_a_bomb_is_not_unpacked_further_than_it_may_be_large(
    toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int, liar: str
) -> None:
    bomb = (toy.folder / name).read_bytes() + b" " * 50_000_000
    (toy.folder / name).unlink()
    packed = write_zip(tmp_path / "toy.zip", toy.folder)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bomb)
    if liar == "the zip as well":
        packed.write_bytes(packed.read_bytes().replace(struct.pack("<L", len(bomb)), struct.pack("<L", most)))
    unpacked: list[int] = []
    really_read = zipfile.ZipExtFile.read

    def counting_read(member: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = really_read(member, n)
        if member.name == name:
            unpacked.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting_read)
    error = refusal(packed)
    assert error.where == (name if liar == "the manifest" else "")
    assert sum(unpacked) <= most + 1


def test_a_member_that_is_smaller_than_the_manifest_says_is_refused(toy: Bundle, tmp_path: Path) -> None:
    (toy.folder / "weights.bin").write_bytes(bytes(range(15)))
    error = refusal(write_zip(tmp_path / "toy.zip", toy.folder))
    assert (error.where, error.problem) == ("weights.bin", "has 15 bytes, not 16 as bundle.json says")


def test_a_table_of_contents_of_any_size_is_not_read(tmp_path: Path) -> None:
    packed = tmp_path / "toy.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(40):
            info = zipfile.ZipInfo(f"{i}")
            info.comment = b"x" * 65_000
            archive.writestr(info, b"")
    assert refusal(packed).problem == "is no sound zip file (its table of contents is too large)"


def test_a_compression_that_costs_memory_is_refused(toy: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "toy.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.write(toy.folder / "bundle.json", "bundle.json")
    assert refusal(tmp_path / "toy.zip").problem == "is compressed in a way other than deflate"


def test_a_deflated_zip_opens(toy: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "toy.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in toy.folder.iterdir():
            archive.write(file, file.name)
    assert open_bundle(tmp_path / "toy.zip").manifest == toy.manifest


def test_an_encrypted_zip_is_refused(toy: Bundle, tmp_path: Path) -> None:
    packed = write_zip(tmp_path / "toy.zip", toy.folder)
    data = bytearray(packed.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    packed.write_bytes(data)
    assert refusal(packed).problem == "is encrypted"


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(b"no zip")
    assert refusal(tmp_path / "toy.zip").problem == "is no sound zip file (File is not a zip file)"


def test_a_damaged_zip_is_opened_or_refused_and_nothing_else(toy: Bundle, tmp_path: Path) -> None:
    packed = pack_bundle(toy.folder, tmp_path / "toy.zip")
    sound = packed.read_bytes()
    chance = random.Random(13)
    refused = 0
    for turn in range(300):
        damaged = bytearray(sound[: chance.randrange(len(sound))] if turn % 3 == 0 else sound)
        for _ in range(0 if turn % 3 == 0 else 2):
            at = chance.randrange(len(damaged))
            # Mostly the table of contents: what zipfile itself has to understand.
            at = at if turn % 3 == 1 else len(damaged) - 1 - at % 400
            damaged[at] = chance.randrange(256)
        packed.write_bytes(damaged)
        try:
            open_bundle(packed)
        except BundleError:
            refused += 1
    assert refused > 150
