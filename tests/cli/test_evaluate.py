"""`streamguard evaluate`: portraits made by code, judged by the untrained bundle, measured and told."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamguard.bundle import open_bundle
from streamguard.cli.evaluate import _calibration_for
from streamguard.cli.main import main
from streamguard.data.index import Index
from streamguard.engine.open_backend import processor
from streamguard.evaluation import tracing
from streamguard.evaluation.traces import read_traces, write_traces
from streamguard.evaluation.tracing import Plan, Traced
from tests.data.made import footage
from tests.evaluation import made
from tests.evaluation.test_evaluate import people, whole
from tests.evaluation.videos import made_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Of one person, and a fake made of her."""
    return made_index(tmp_path_factory.mktemp("portraits"), ("ada",))


@pytest.fixture(scope="module")
def evaluated(index: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    code = main(["evaluate", "--data", str(index.folder), "--out", str(out), "--graph", "step", "--precision", "fp32",
                 "--seconds", "2"])  # fmt: skip
    assert code == 0
    return out


def test_portraits_are_traced_measured_and_told(evaluated: Path) -> None:
    traces = read_traces([evaluated / "traces.jsonl"])
    assert traces.conditions == ("raw", "harmonised")
    assert (traces.header.bundle, traces.header.precision, traces.header.seconds) == ("untrained 1", "fp32", 2.0)
    for condition in traces.conditions:
        assert [(one.key, one.label) for one in traces.of(condition)] == [("ada", "real"), ("ada-fake", "fake")]
        assert all(len(one.faces) == 1 and len(one.faces[0].usable) >= 10 for one in traces.of(condition))
    numbers = json.loads((evaluated / "evaluation.json").read_text())
    assert numbers["trained"] is False
    assert numbers["notes"][0].startswith("UNTRAINED")
    raw = numbers["conditions"][0]
    assert (raw["name"], raw["real"]["tracks"], raw["fake"]["tracks"]) == ("raw", 1, 1)
    assert raw["tracks"]["auc"]["value"] in (0.0, 1.0)
    assert raw["tracks"]["auc"]["why"] == "one group alone gives no interval"
    assert raw["pairs"]["above"]["value"] == raw["tracks"]["auc"]["value"]
    page = (evaluated / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert "do not publish it" in page


def test_second_run_makes_nothing_anew_and_measures_the_same(
    evaluated: Path, index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in evaluated.iterdir()}
    args = ["evaluate", "--data", str(index.folder), "--out", str(evaluated), "--graph", "step", "--precision", "fp32"]
    assert main([*args, "--seconds", "2"]) == 0
    said = capsys.readouterr()
    assert "4 traces are there already" in said.err
    assert {path.name: path.read_bytes() for path in evaluated.iterdir()} == before
    lines = said.out.splitlines()
    assert lines[0].startswith("UNTRAINED")
    assert any(line.startswith("raw ") and " 1+1 " in line for line in lines)
    assert "keep it to yourself" in lines[-1]
    assert main([*args, "--seconds", "1"]) == 3, "other settings are not mixed in"
    assert "another seconds" in capsys.readouterr().err


def test_kept_traces_are_measured_without_any_media(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--traces", str(evaluated / "traces.jsonl"), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "evaluation.json").read_bytes() == (evaluated / "evaluation.json").read_bytes()
    assert "data:image" not in (tmp_path / "report.html").read_text()
    assert "faces" not in capsys.readouterr().out.splitlines()[-1]
    assert not (tmp_path / "traces.jsonl").exists()


def test_faces_can_be_left_out(evaluated: Path, index: Index, tmp_path: Path) -> None:
    args = [
        "evaluate",
        "--traces",
        str(evaluated / "traces.jsonl"),
        "--out",
        str(tmp_path),
        "--data",
        str(index.folder),
    ]
    assert main([*args, "--no-pictures"]) == 0
    assert "data:image" not in (tmp_path / "report.html").read_text()
    assert main(args) == 0
    assert "data:image" in (tmp_path / "report.html").read_text()


def test_folds_are_measured_together_and_called_cross_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not before every group was scored by one of them only."""
    everybody = people(6)
    files = []
    for fold in range(2):
        groups = tuple(f"group-{i}" for i in range(6) if i % 2 == fold)
        header = made.header(held_out=groups, bundle_sha256=str(fold) * 64, fold=f"{fold}/2")
        files.append(tmp_path / f"{fold}.jsonl")
        write_traces(files[-1], header, [one for one in everybody if one.group in groups])
    assert main(["evaluate", "--traces", *map(str, files), "--out", str(tmp_path / "out")]) == 0
    assert "Cross-fitted: 2 networks" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["cross_fitted"] is True
    write_traces(files[1], made.header(bundle_sha256="1" * 64), everybody)
    assert main(["evaluate", "--traces", *map(str, files), "--out", str(tmp_path / "out")]) == 3
    assert "is in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "--data: is needed"),
        (["--data", "x", "--conditions", "nose"], "--conditions: 'nose' is none"),
        (["--data", "x", "--precision", "fp31"], "--precision: fp31: each must be auto, fp32"),
        (["--data", "x", "--jobs", "0"], "--jobs: must be at least 1"),
        (["--data", "x", "--limit", "0"], "--limit: must be at least 1"),
        (["--data", "x", "--seconds", "nan"], "--seconds: must be more than 0"),
        (["--traces", "x", "--held-out", "0/3"], "--held-out: chooses what is traced"),
    ],
)
def test_wrong_usage_is_told(args: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *args, "--out", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_traces_that_are_none_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.jsonl").write_text("hello\n")
    assert main(["evaluate", "--traces", str(tmp_path / "t.jsonl"), "--out", str(tmp_path)]) == 3
    assert "line 1: not JSON" in capsys.readouterr().err


def test_footage_that_cannot_be_read_is_told_and_the_rest_is_measured(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Index(tmp_path / "index", index.root, [footage("gone"), index.footage[0]])
    broken.save()
    args = ["evaluate", "--data", str(broken.folder), "--out", str(tmp_path / "out"), "--conditions", "raw"]
    assert main([*args, "--seconds", "0.5"]) == 3
    said = capsys.readouterr()
    assert "gone: " in said.err
    assert (tmp_path / "out" / "report.html").exists()
    assert "raw" in said.out


def test_ctrl_c_keeps_what_is_done(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_all = tracing.trace

    def interrupted(plan: Plan, files: object) -> Iterator[Traced]:
        for one in made_all(plan, files):  # type: ignore[arg-type]  # handed on
            signal.raise_signal(signal.SIGINT)
            yield one

    monkeypatch.setattr(tracing, "trace", interrupted)
    args = ["evaluate", "--data", str(index.folder), "--out", str(tmp_path), "--conditions", "raw", "--seconds", "0.3"]
    assert main(args) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert len(read_traces([tmp_path / "traces.jsonl"]).traces) == 1
    assert not (tmp_path / "evaluation.json").exists()


def test_index_that_was_corrected_asks_for_another_out(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["evaluate", "--data", str(tmp_path / "index"), "--out", str(tmp_path), "--conditions", "raw"]
    args += ["--seconds", "0.3", "--no-pictures"]
    Index(tmp_path / "index", index.root, index.footage).save()
    assert main(args) == 0
    before = (tmp_path / "evaluation.json").read_bytes()
    corrected = [replace(one, group="together") for one in index.footage]
    Index(tmp_path / "index", index.root, corrected).save()
    assert main(args) == 3
    assert "group 'ada', now 'together'. Choose another --out" in capsys.readouterr().err
    assert (tmp_path / "evaluation.json").read_bytes() == before


def test_each_precision_has_a_folder(index: Index, tmp_path: Path) -> None:
    if "bf16" not in processor("openvino")[1]:
        pytest.skip("this processor has no bf16")
    args = ["evaluate", "--data", str(index.folder), "--out", str(tmp_path), "--conditions", "raw", "--seconds", "1"]
    assert main([*args, "--precision", "fp32,bf16", "--no-pictures"]) == 0
    both = [read_traces([tmp_path / precision / "traces.jsonl"]) for precision in ("fp32", "bf16")]
    assert [one.header.precision for one in both] == ["fp32", "bf16"]
    first, second = ([moment[:2] for moment in one.traces[0].faces[0].moments] for one in both)
    assert first == second
    assert (tmp_path / "bf16" / "report.html").exists()


def test_calibration_is_of_the_bundle_that_is_named_or_of_none(tmp_path: Path) -> None:
    ours = open_bundle()
    traces = whole(people(2), bundle_sha256=ours.sha256, trained=False)
    assert _calibration_for(None, traces) is None, "the untrained bundle has none"
    assert _calibration_for(None, whole(people(2))) is None, "they are of another bundle"
    assert _calibration_for(ours.folder, replace(traces)) is None
