"""`streamguard calibrate`: traces in, a calibrated bundle out, or a refusal that says what would do."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from streamguard.bundle import Bundle, Isotonic, open_bundle, seal
from streamguard.cli import evaluate
from streamguard.cli.main import main
from streamguard.evaluation.traces import write_traces
from tests.evaluation.test_bundling import folds, header, toy, toy_traces, write
from tests.test_bundle import toy_fields, write_files

LOOSE = ("--false-positive-rate", "0.2")
"""Fourteen groups of honest people can show that, and there are sixteen."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy(tmp_path / "toy")


@pytest.fixture
def traces(bundle: Bundle, tmp_path: Path) -> Path:
    return write(tmp_path / "traces.jsonl", bundle)


def ask(*words: str | Path, bundle: str = "toy", out: str = "new") -> int:
    return main(["calibrate", bundle, "--out", out, *map(str, words)])


def test_bundle_is_calibrated_and_all_is_told(
    bundle: Bundle, traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--report", "picture.svg", "--evaluation", "numbers", *LOOSE)
    assert ask("--traces", traces, *given) == 0
    told, errors = capsys.readouterr()
    new = open_bundle("new")
    found = new.calibration("window", "fp32")
    assert found is not None
    assert (found.prior, new.calibration("step", "fp32")) == (0.5, None)
    lines = told.splitlines()
    assert lines[0] == "window fp32: 24 real tracks of 16 groups (0.03 h) and 15 fake ones of 10 (0.02 h)"
    rows = {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line) for line in lines[2:14])}
    assert rows["p_fake of a window: Brier skill"][0].startswith("0.")
    assert re.fullmatch(r"\d\.\d% \[.*%, .*%\], at most \d+\.\d%", rows["real tracks accused"][1])
    assert rows["real tracks accused"][0] == "nobody is judged"
    assert {f"fakes told within {soon} s" for soon in (2, 5, 10)} <= rows.keys()
    assert {"real tracks never called real", "fakes called real"} <= rows.keys()
    assert "Before: raw scores taken as if they were probabilities." in lines
    assert any(line.startswith("CAUTION: few honest groups (16)") for line in lines)
    assert any(line.startswith("CAUTION: the bundle does not say which groups") for line in lines)
    assert "step bf16: not calibrated: it judges nobody. Trace it, or --also step:bf16" in lines
    assert f"wrote new: toy 1.0, sha256 {new.sha256}" in lines
    assert "  streamguard scan VIDEO --bundle new" in lines
    assert "error" not in errors
    # What is asked for beside it.
    root = ET.parse("picture.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = [text.text for text in root.iter() if text.tag.endswith("text")]
    assert "window fp32: raw scores" in words
    assert len([circle for circle in root.iter() if circle.tag.endswith("circle")]) >= 4
    numbers = json.loads((tmp_path / "numbers" / "evaluation.json").read_text())
    assert numbers["calibration"].startswith("cross-fitted: each group by one that was fitted without it. ")
    assert (tmp_path / "numbers" / "report.html").exists()


def test_same_traces_give_the_same_bundle(traces: Path) -> None:
    assert ask("--traces", traces, *LOOSE) == 0
    assert ask("--traces", traces, *LOOSE, out="again") == 0
    assert open_bundle("new").sha256 == open_bundle("again").sha256


def test_method_prior_and_what_may_be_missed_are_as_told(traces: Path) -> None:
    given = (
        "--report",
        "page.html",
        "--method",
        "isotonic",
        "--prior",
        "0.1",
        "--fakes-called-real",
        "0.3",
        "--confidence",
        "0.9",
    )
    assert ask("--traces", traces, *LOOSE, *given) == 0
    found = open_bundle("new").calibration("window", "fp32")
    assert found is not None
    assert isinstance(found.curve, Isotonic)
    assert found.prior == 0.1
    assert Path("page.html").read_text().startswith("<!DOCTYPE html>\n")
    assert "at most 20% of honest faces accused, with 90% confidence" in found.fitted_on


def test_budget_in_hours_is_kept_or_refused(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--traces", traces, "--false-alarms", "1 per 10 hours") == 1
    assert "needs 30 hours of honest footage without a single false alarm" in capsys.readouterr().err
    assert not Path("new").exists()


def test_usual_budget_needs_a_hundred_and_forty_nine_groups(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--traces", traces) == 1
    told = capsys.readouterr().err
    assert told.startswith("streamguard: error: at most 2% of honest faces accused, with 95% confidence: needs 149 ")
    assert "--false-positive-rate 0.18, or 0.02 with --confidence 0.27" in told


def test_labels_the_wrong_way_round_are_refused(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels: Any = {"real": "fake", "fake": "real"}
    swapped = [dataclasses.replace(trace, label=labels[trace.label]) for trace in toy_traces(real=16, fake=16)]
    assert ask("--traces", write(tmp_path / "swapped", bundle, swapped), *LOOSE) == 1
    assert "scores: are the wrong way round, or tell nothing" in capsys.readouterr().err


def test_traces_of_another_bundle_are_refused(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("--traces", write(tmp_path / "foreign", bundle, bundle_sha256="f" * 64), *LOOSE) == 3
    assert "can calibrate only that one" in capsys.readouterr().err


def test_folds_of_a_network_calibrate_the_one_that_is_shipped(bundle: Bundle, tmp_path: Path) -> None:
    files = folds(bundle, tmp_path)
    assert ask("--traces", *files, "--cross-fitted", *LOOSE) == 0
    found = open_bundle("new").calibration("window", "fp32")
    assert found is not None
    assert "by 2 bundles of the same network and options, each trained without the groups" in found.fitted_on


def test_bundle_that_is_calibrated_already_needs_a_word(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--traces", traces, *LOOSE) == 0
    assert ask("--traces", traces, *LOOSE, bundle="new", out="newer") == 2
    assert "BUNDLE: is calibrated for window fp32 already: with --replace it is done anew" in capsys.readouterr().err
    assert ask("--traces", traces, *LOOSE, "--replace", bundle="new", out="new") == 0
    told = capsys.readouterr().out
    assert "Before: the older calibration, which may have been fitted on these very people." in told
    assert "nobody is judged" not in told


def test_every_graph_with_traces_is_calibrated_and_others_are_taken_over_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = toy_fields()
    fields["graphs"]["step"]["bf16"]["tolerance"] = 0.001
    bundle = toy(tmp_path / "toy", graphs=fields["graphs"])
    files = [write(tmp_path / "a", bundle), write(tmp_path / "b", bundle, graph="step")]
    assert ask("--traces", *files, *LOOSE, "--also", "step:bf16") == 0
    told = capsys.readouterr().out
    new = open_bundle("new")
    assert [(each.graph, each.precision) for each in new.manifest.calibrations] == [
        ("window", "fp32"),
        ("step", "fp32"),
        ("step", "bf16"),
    ]
    assert "step bf16: taken over from step fp32 to step bf16: raw scores may differ by 0.002" in told
    assert "not calibrated" not in told


def test_calibration_that_stays_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = seal(write_files(tmp_path / "toy"), toy_fields())
    path = tmp_path / "traces"
    write_traces(path, header(older, graph="step"), toy_traces())
    assert ask("--traces", path, *LOOSE) == 0
    told = capsys.readouterr().out
    assert "window fp32: its older calibration was kept" in told
    assert "step bf16: its older calibration was kept" in told


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--also", "step"), "--also: must be GRAPH:PRECISION, such as step:bf16, not step"),
        (("--also", "maps:fp32"), "--also: must be GRAPH:PRECISION"),
        (("--also", "window:fp32"), "--also: window:fp32 is calibrated by its own traces, or named twice"),
        (("--prior", "1"), "--prior: must be between 0 and 1"),
        (("--confidence", "95"), "--confidence: must be between 0 and 1"),
        (("--false-positive-rate", "0"), "--false-positive-rate: must be between 0 and 1"),
        (("--false-alarms", "few"), "--false-alarms: must be as in '1 per 10 hours'"),
        (("--report", "picture.png"), "--report: must end in .svg or .html"),
        (("--out", "new.zip"), "--out: new.zip would be a folder"),
        (("--jobs", "0"), "--jobs: must be at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    traces: Path, words: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("--traces", traces, *words) == 2
    assert capsys.readouterr().err.startswith(f"streamguard: error: {problem}")
    assert not Path("new").exists()


def test_untrained_bundle_is_refused_before_anything_is_traced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy(tmp_path / "toy", trained=False)
    assert ask("--data", "nowhere") == 2
    assert "BUNDLE: toy 1.0 is not trained: its scores mean nothing" in capsys.readouterr().err


def test_what_is_at_out_stays_if_it_is_no_bundle(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new").mkdir()
    Path("new", "mine.txt").write_text("x")
    assert ask("--traces", traces, *LOOSE) == 2
    assert "is there and is no bundle" in capsys.readouterr().err
    assert Path("new", "mine.txt").read_text() == "x"


def test_footage_is_traced_first_and_its_traces_kept_beside_the_bundle(
    bundle: Bundle, traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def trace_footage(args: Any, conditions: tuple[str, ...], out: Path) -> tuple[Bundle, list[Path], int]:
        asked.append((args.data, args.precision, conditions, out))
        return bundle, [traces], 3

    monkeypatch.setattr(evaluate, "trace_footage", trace_footage)
    assert ask("--data", "footage", "--precision", "fp32,bf16", *LOOSE) == 3
    assert asked == [(Path("footage"), "fp32,bf16", ("raw",), Path("new-traces"))]
    assert open_bundle("new").calibration("window", "fp32") is not None


def test_tracing_that_was_stopped_calibrates_nothing(
    bundle: Bundle, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "trace_footage", lambda *_: (bundle, [traces], 130))
    assert ask("--data", "footage", *LOOSE) == 130
    assert not Path("new").exists()
