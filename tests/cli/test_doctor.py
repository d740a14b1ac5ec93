"""The doctor finds what is here, names what is not, and never falls over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest

from streamguard import assets, bundle
from streamguard.bundle import Graph
from streamguard.cli import doctor
from streamguard.cli.doctor import Finding, frames_decoded, sample_clip
from streamguard.cli.main import main
from streamguard.errors import BundleError
from streamguard.testing import FakeBackend, fake_bundle


def findings_of(check: str) -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.CHECKS[check]()}


def with_findings(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"things": lambda: findings})


GOOD = Finding(name="av", state="ok", detail="18", required=True)
LACKING = Finding(name="torch", state="missing", detail="training", remedy="pip install torch")
BROKEN = Finding(name="mesh", state="broken", detail="damaged", remedy="streamguard models pull", required=True)


def test_all_well_is_0_and_every_finding_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_findings(monkeypatch, GOOD, LACKING)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  ok       av     18" in lines
    assert "  missing  torch  training (optional)" in lines
    assert lines[lines.index("  missing  torch  training (optional)") + 1].strip() == "-> pip install torch"


@pytest.mark.parametrize("state", ["missing", "broken"])
def test_required_part_that_is_not_well_is_1(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with_findings(monkeypatch, GOOD, Finding(name="mesh", state=state, detail="", required=True))
    assert main(["doctor"]) == 1


def test_json_carries_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with_findings(monkeypatch, GOOD, BROKEN)
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["works"] is False
    assert [finding["state"] for finding in report["findings"]["things"]] == ["ok", "broken"]
    assert report["findings"]["things"][1]["remedy"] == "streamguard models pull"


def test_check_that_falls_over_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def falls_over() -> Iterable[Finding]:
        yield GOOD
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "CHECKS", {"things": falls_over})
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "ok       av" in out
    assert "broken   things  RuntimeError: no such thing" in out


def test_this_machine_has_what_the_tests_need() -> None:
    found = findings_of("machine") | findings_of("video")
    assert {finding.name for finding in found.values() if finding.required and finding.state != "ok"} == set()
    assert {"python", "cores", "memory", "av", "rtsp", "srt", "h264", "test decode", "hardware decoders"} <= set(found)


def test_protocol_that_ffmpeg_does_not_know_is_missing() -> None:
    assert doctor.can_speak("rtsp://127.0.0.1:1/")
    assert not doctor.can_speak("carrierpigeon://127.0.0.1:1")


def test_decoder_that_ffmpeg_does_not_have_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DECODERS", {"h264": (("nonsense",), True)})
    finding = findings_of("video")["h264"]
    assert (finding.state, finding.remedy) == ("missing", doctor.BUILD_AV)


def test_clip_that_does_not_come_back_whole_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frames_decoded(sample_clip()) == doctor.TEST_FRAMES
    monkeypatch.setattr(doctor, "sample_clip", lambda: sample_clip()[:200])
    assert findings_of("video")["test decode"].state == "broken"


def test_absent_package_names_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda module: None)
    found = findings_of("engines")
    assert found["aiortc"].state == "missing"
    assert found["aiortc"].remedy == "pip install 'streamguard[webrtc]'"


def test_every_pip_line_names_an_extra_that_exists() -> None:
    from importlib import metadata

    offered = metadata.metadata("streamguard").get_all("Provides-Extra") or []
    assert {package.extra for package in doctor.OPTIONAL_PACKAGES} <= set(offered)


def test_present_package_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    present = doctor.OptionalPackage(module="pytest", distribution="pytest", extra="test", good_for="tests")
    monkeypatch.setattr(doctor, "OPTIONAL_PACKAGES", (present,))
    assert findings_of("engines")["pytest"].detail == pytest.__version__


def test_openvino_lists_its_devices_and_precisions() -> None:
    found = findings_of("engines")
    assert "CPU" in found["openvino"].detail
    assert "FP32" in found["openvino CPU"].detail


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (FileNotFoundError(), "missing"),
        (subprocess.CalledProcessError(9, "nvidia-smi"), "broken"),
        (subprocess.TimeoutExpired("nvidia-smi", 20), "broken"),
        (subprocess.CompletedProcess([], 0, "NVIDIA H200, 570.1, 143771 MiB\n"), "ok"),
    ],
    ids=["absent", "fails", "hangs", "works"],
)
def test_nvidia_driver(answer: Any, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nvidia_smi(*_: Any, **__: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(subprocess, "run", nvidia_smi)
    assert doctor._nvidia_driver().state == state


@pytest.mark.parametrize(("here", "state"), [("present", "ok"), ("missing", "missing"), ("damaged", "broken")])
def test_face_models_are_required_and_mended_by_pull(here: Any, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [assets.AssetStatus(asset=status.asset, path=status.path, state=here) for status in assets.status()]
    monkeypatch.setattr(assets, "status", lambda: statuses)
    found = findings_of("face models")
    assert {finding.state for finding in found.values()} == {state}
    assert {finding.required for finding in found.values()} == {True}
    assert {finding.remedy for finding in found.values()} == {"" if state == "ok" else "streamguard models pull"}
    assert "portrait" not in found, "a test picture is not needed to look at video"


def test_network_names_the_bundle_and_runs_it() -> None:
    found = findings_of("network")
    assert found["bundle"].detail.startswith("untrained 1, NOT trained")
    assert found["network"].state == "ok"
    assert "by openvino" in found["network"].detail


@pytest.mark.parametrize(
    ("trained", "graph", "worth"),
    [
        (False, "window", "NOT trained: its scores mean nothing, and nobody is judged"),
        (True, "step", "trained, NOT calibrated for its step graph in fp32: nobody is judged"),
        (True, "window", "trained and calibrated"),
    ],
)
def test_what_a_network_is_worth_is_told(trained: bool, graph: Graph, worth: str) -> None:
    assert doctor._worth(fake_bundle(calibrated=trained), FakeBackend(graph)) == worth


def test_network_that_gives_no_number_is_broken() -> None:
    backend = FakeBackend(score=lambda crops: float("nan"))
    assert not doctor.tried(backend, 32, 8)
    assert doctor.tried(FakeBackend(), 32, 8)
    assert doctor.tried(FakeBackend("step"), 32, 8)


def test_bundle_that_cannot_be_opened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BundleError("untrained", "step.onnx", "its sha256 is not the one in bundle.json")

    monkeypatch.setattr(bundle, "open_bundle", refuse)
    assert findings_of("network")["bundle"].state == "broken"
