"""`streamguard bundle`: what it tells of a bundle, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from streamguard import bundle as bundle_module
from streamguard.bundle import Bundle, open_bundle, seal
from streamguard.cli.bundle import _size
from streamguard.cli.main import main
from streamguard.engine import parity
from tests.test_bundle import make_toy, toy_fields, write_files


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("STREAMGUARD_HOME", str(tmp_path / "home"))
    bundle = make_toy(tmp_path / "toy")
    monkeypatch.setattr(bundle_module, "DEFAULT", bundle.folder)
    return bundle


def test_inspect_tells_people_everything(toy: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "inspect", str(toy.folder)]) == 0
    sizes = {name: f"{spec.size_bytes} B" for name, spec in toy.manifest.files.items()}
    hashes = {name: spec.sha256[:12] for name, spec in toy.manifest.files.items()}
    assert (
        capsys.readouterr().out
        == f"""\
toy 1.0: trained

Graphs
  step   bf16 step.onnx ({sizes["step.onnx"]}); raw scores within 0.02 of PyTorch's
  step   fp32 step.onnx ({sizes["step.onnx"]}); raw scores within 0.001 of PyTorch's
  window fp32 window.onnx ({sizes["window.onnx"]}); raw scores within 0.001 of PyTorch's
  step keeps 1 state tensor for each face: 24 B
  maps   fp32 maps.onnx ({sizes["maps.onnx"]}); anomaly and motion, 5 x 4; measured on toys
  step and window differ by at most 0.0001 at fp32

What it looks at
  square crops of 16 x 16 pixels and 2 face scales, one each 80 ms
  T = 3 crops are judged, R = 2 before them still matter: 0.4 s in all
  a score each 0.24 s; by steps, with each crop

What it answers
  logit: column 0 of 1, a logit; high means fake

Calibration
  window fp32, fitted on toys
    temperature: logit(p) = 1.5 * logit(raw) - 0.2, standard error 0.1
    p_fake assumes that 10% of all faces are fake
    LIKELY_FAKE from p = 0.9, until it is below 0.7
    LIKELY_REAL up to p = 0.1, until it is above 0.3
    1% of the real faces in that data became LIKELY_FAKE
  step bf16, fitted on toys
    isotonic: 3 points from raw 0 to 1
    p_fake assumes that 10% of all faces are fake
    LIKELY_FAKE from p = 0.9, until it is below 0.7
    LIKELY_REAL up to p = 0.1, until it is above 0.3
    1% of the real faces in that data became LIKELY_FAKE
  step fp32: none, so no p_fake

Network
  toy; its parameters are network.safetensors
  option   width = 0.5
  where its paper is silent:
    order: old first

Where it comes from
  data     toys
  commit   abc
  licence  Apache-2.0
  metric   auc = 0.5

Files
  {hashes["maps.onnx"]}  {sizes["maps.onnx"]:>9}  maps.onnx
  {hashes["network.safetensors"]}  {sizes["network.safetensors"]:>9}  network.safetensors
  {hashes["step.onnx"]}  {sizes["step.onnx"]:>9}  step.onnx
  {hashes["weights.bin"]}  {sizes["weights.bin"]:>9}  weights.bin
  {hashes["window.onnx"]}  {sizes["window.onnx"]:>9}  window.onnx
  in {toy.folder}
  sha256 of the bundle: {toy.sha256}
"""
    )


def test_inspect_tells_how_much_scores_of_one_face_count_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = toy_fields()
    fields["calibrations"][0]["evidence_scale"] = 0.35
    seal(write_files(tmp_path / "toy"), fields)
    assert main(["bundle", "inspect", str(tmp_path / "toy")]) == 0
    told = capsys.readouterr().out
    assert told.count("    a face's scores are added up at 0.35 of what each says alone\n") == 1


def test_inspect_says_first_that_a_network_is_not_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = toy_fields() | {"trained": False, "calibrations": []}
    fields["output"]["high_means_fake"] = False
    seal(write_files(tmp_path / "toy"), fields)
    assert main(["bundle", "inspect", str(tmp_path / "toy")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("toy 1.0: NOT TRAINED, its scores mean nothing\n")
    assert "  none: there is no p_fake, and no face becomes LIKELY_FAKE or LIKELY_REAL\n" in told
    assert "; high means real\n" in told


def test_inspect_tells_that_a_network_was_made_elsewhere_or_that_its_parameters_are_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for net in (None, {"name": "gml", "options": {}}):
        seal(write_files(tmp_path / "toy"), toy_fields() | {"net": net})
        assert main(["bundle", "inspect", str(tmp_path / "toy")]) == 0
    told = capsys.readouterr().out
    assert "Network\n  made elsewhere: it can be run, and not trained or exported again\n\n" in told
    assert "Network\n  gml; its parameters are not here\n\n" in told


def test_inspect_without_a_path_tells_of_the_one_of_the_package(
    toy: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "inspect"]) == 0
    assert toy.sha256 in capsys.readouterr().out


def test_inspect_tells_programs_the_manifest(toy: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "inspect", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"folder", "sha256", "manifest"}
    assert (told["folder"], told["sha256"]) == (str(toy.folder), toy.sha256)
    assert told["manifest"] == json.loads((toy.folder / "bundle.json").read_text())


def test_verify_is_content_with_a_sound_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    sha256 = open_bundle().sha256
    assert main(["bundle", "verify", "--sha256", sha256.upper()]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("untrained 1: bundle.json, 3 files (")
    assert second == f"sha256 {sha256}"


def test_the_untrained_one_is_known_by_name(toy: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "inspect", "untrained"]) == 0
    assert capsys.readouterr().out.startswith("untrained 1: NOT TRAINED, its scores mean nothing\n")


def test_verify_refuses_a_graph_that_nothing_can_run(toy: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what tensors it has, and computes none of them."""
    assert main(["bundle", "verify", str(toy.folder)]) == 1
    assert "openvino: step.onnx cannot be run" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["inspect", "verify"])
def test_what_is_wrong_is_named_and_ends_with_4(toy: Bundle, capsys: pytest.CaptureFixture[str], action: str) -> None:
    (toy.folder / "weights.bin").write_bytes(bytes(16))
    assert main(["bundle", action, str(toy.folder)]) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("toy, weights.bin: its sha256 is not the one in bundle.json\n")


def test_verify_refuses_a_bundle_that_is_not_the_trusted_one(toy: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", "--sha256", "0" * 64]) == 4
    assert toy.sha256 in capsys.readouterr().err


@pytest.mark.parametrize("sha256", ["0" * 63, "g" * 64, ""])
def test_a_hash_that_is_none_is_wrong_usage(toy: Bundle, capsys: pytest.CaptureFixture[str], sha256: str) -> None:
    assert main(["bundle", "verify", "--sha256", sha256]) == 2
    assert "must be 64 hexadecimal digits" in capsys.readouterr().err


def test_pack_makes_a_zip_that_opens(toy: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "toy.zip"
    assert main(["bundle", "pack", str(toy.folder), str(out)]) == 0
    assert f"packed {out} (" in capsys.readouterr().out
    assert open_bundle(out).sha256 == toy.sha256


def test_sizes_are_told_as_people_say_them() -> None:
    assert [_size(size) for size in (24, 99_999, 100_000, 12_345_678)] == ["24 B", "100.0 kB", "0.1 MB", "12.3 MB"]


def test_verify_runs_the_graphs_and_tells_how_far_they_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"openvino step fp32 +to openvino window fp32 .* allowed  ok", said)
    assert re.search(r"onnxruntime window fp32 +to openvino window fp32 .* allowed  ok", said)


def test_verify_refuses_a_bundle_whose_backends_disagree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = parity.ParityRow(
        backend="openvino",
        graph="step",
        precision="bf16",
        compared_to="openvino step fp32",
        difference=0.3,
        tolerance=0.1,
    )
    monkeypatch.setattr(parity, "measure", lambda bundle: [row])
    assert main(["bundle", "verify"]) == 4
    assert (
        "graphs.step.bf16: openvino is 3.0e-01 off openvino step fp32, and 1.0e-01 is allowed"
        in capsys.readouterr().err
    )
