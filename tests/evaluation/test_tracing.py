"""Footage becomes traces: all of it, once, and a second run takes up what is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from streamguard.bundle import UNTRAINED, Bundle, open_bundle
from streamguard.config import EngineConfig
from streamguard.data.index import Footage, Index
from streamguard.engine.engine import Engine
from streamguard.errors import ConfigError, TraceError
from streamguard.evaluation import tracing
from streamguard.evaluation.conditions import Facts, open_under
from streamguard.evaluation.traces import RAW, Header, Trace, TraceFile, network_of, read_traces
from streamguard.evaluation.tracing import Plan, Traced, check_kept, chosen, headers_of, missing, trace
from streamguard.sources import Source
from streamguard.testing import FakeBackend, fake_bundle
from tests.clips import write_video
from tests.data.made import footage
from tests.evaluation import made
from tests.evaluation.videos import scene

ROOT = Path(__file__).parent.parent.parent


def plan(index: Index, *conditions: str, **fields: object) -> Plan:
    usual: dict[str, object] = {
        "index": index, "footage": index.footage, "conditions": conditions or (RAW,), "bundle": UNTRAINED,
        "configs": (EngineConfig(),), "seconds": 0.6,
    }  # fmt: skip
    return Plan(**{**usual, **fields})  # type: ignore[arg-type]  # fields of many types


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """In place of a bundle with files; the engine runs a function."""
    bundle = fake_bundle()
    monkeypatch.setattr(tracing, "open_bundle", lambda place: bundle)
    monkeypatch.setattr(tracing, "Engine", lambda bundle, config: Engine(bundle, backend=FakeBackend()))
    return bundle


def header() -> Header:
    return made.header(bundle="fake 0", clip=fake_bundle().manifest.clip.config("window"))


def traced(plan: Plan, file: TraceFile) -> list[Traced]:
    return list(trace(plan, [file]))


def keys(traces: Sequence[Trace], condition: str = RAW) -> list[str]:
    return sorted(one.key for one in traces if one.condition == condition)


@pytest.mark.usefixtures("fake")
def test_all_footage_is_traced_under_all_conditions_and_only_once(portraits: Index, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    wanted = plan(portraits, RAW, "harmonised", "reencode-as-fake", footage=portraits.footage[:2], seconds=1.0)
    file = TraceFile(path, header())
    assert missing(wanted, [file]) == 6
    done = traced(wanted, file)
    assert [(one.job.condition, one.failure) for one in done] == [
        (RAW, ""), (RAW, ""), ("harmonised", ""), ("harmonised", ""), ("reencode-as-fake", ""), ("reencode-as-fake", "")
    ]  # fmt: skip
    found = read_traces([path])
    for condition in wanted.conditions:
        assert keys(found.traces, condition) == ["ada", "ada-fake"]
    raw = {one.key: one for one in found.of(RAW)}
    assert raw["ada-fake"].twin == "ada"
    assert (raw["ada"].label, raw["ada"].group, raw["ada"].codec) == ("real", "ada", "h264")
    assert raw["ada"].seconds == pytest.approx(1.0)
    assert raw["ada"].faces[0].moments
    as_fake = {one.key: one for one in found.of("reencode-as-fake")}
    assert as_fake["ada-fake"] == replace(raw["ada-fake"], condition="reencode-as-fake"), "it is as it was"
    assert as_fake["ada"].faces[0].moments != raw["ada"].faces[0].moments
    assert {one.faces[0].size_px for one in found.of("harmonised")} != {one.faces[0].size_px for one in found.of(RAW)}

    again = TraceFile(path, header())
    assert missing(wanted, [again]) == 0
    assert traced(wanted, again) == []


@pytest.mark.usefixtures("fake")
def test_run_that_was_ended_goes_on_where_it_stopped(portraits: Index, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    wanted = plan(portraits, footage=portraits.footage[:2])
    run = trace(wanted, [TraceFile(path, header())])
    assert next(run).job.footage.key == "ada"
    run.close()  # type: ignore[attr-defined]  # it is a generator
    path.write_bytes(path.read_bytes() + b'{"key": "ada-fa')  # and the power went
    rest = traced(wanted, TraceFile(path, header()))
    assert [one.job.footage.key for one in rest] == ["ada-fake"]
    assert keys(read_traces([path]).traces) == ["ada", "ada-fake"]


@pytest.mark.usefixtures("fake")
def test_footage_that_cannot_be_read_is_told_and_not_tried_under_every_condition(
    portraits: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(tmp_path / "index", portraits.root, [footage("gone"), portraits.footage[0]])
    opened: list[str] = []

    def noted(index: Index, footage: Footage, condition: str, facts: Facts, folder: Path) -> Source | None:
        opened.append(footage.key)
        return open_under(index, footage, condition, facts, folder)

    monkeypatch.setattr(tracing, "open_under", noted)
    file = TraceFile(tmp_path / "t.jsonl", header())
    done = traced(plan(index, RAW, "mirror"), file)
    failed = [one for one in done if one.failure]
    assert [(one.job.footage.key, one.job.condition) for one in failed] == [("gone", RAW), ("gone", "mirror")]
    assert "does not exist" in failed[0].failure
    assert opened.count("gone") == 1
    assert keys(file.traces) == keys(file.traces, "mirror") == ["ada"]
    assert missing(plan(index, RAW, "mirror"), [file]) == 2, "it is tried again"


@pytest.mark.usefixtures("fake")
def test_footage_without_a_face_cannot_be_harmonised(portraits: Index, tmp_path: Path) -> None:
    write_video(tmp_path / "wall.mp4", [scene(0).render(0.0)[:40, :60]] * 6)
    index = Index(tmp_path / "index", tmp_path, [footage("wall")])
    done = traced(plan(index, RAW, "harmonised"), TraceFile(tmp_path / "t.jsonl", header()))
    assert [one.failure for one in done] == [
        "",
        "no face was found in it as it is, so it cannot be brought to another size",
    ]


@pytest.mark.parametrize(
    ("was", "told"),
    [
        ({"label": "fake", "method": "swap"}, "label 'fake', now 'real', method 'swap', now ''"),
        ({"group": "gone"}, "group 'gone', now 'ada'"),
        ({"twin": "ben"}, "twin 'ben', now ''"),
    ],
)
def test_traces_of_an_index_that_was_corrected_are_not_added_to(
    portraits: Index, tmp_path: Path, was: dict[str, str], told: str
) -> None:
    file = TraceFile(tmp_path / "t.jsonl", header())
    kept = made.trace("ada", "real", [0.1])
    file.add(kept)
    check_kept(plan(portraits), [file])
    file.traces[:] = [replace(kept, **was)]  # type: ignore[arg-type]  # fields of many types
    with pytest.raises(TraceError, match=rf"t\.jsonl, ada: .* was changed: {told}\. Choose another --out"):
        traced(plan(portraits), file)


def test_traces_of_footage_that_is_no_longer_there_are_not_added_to(portraits: Index, tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t.jsonl", header())
    file.add(made.trace("eve", "real", [0.1]))
    with pytest.raises(TraceError, match=r"eve: was traced, and is not in the index .* Choose another --out"):
        traced(plan(portraits), file)


@pytest.mark.full
def test_several_processes_make_the_same_traces(portraits: Index, tmp_path: Path) -> None:
    config = EngineConfig(graph="window", precision="fp32", in_flight=1)
    several: list[TraceFile] = []
    for jobs in (1, 2):
        wanted = plan(portraits, configs=(config,), jobs=jobs, seconds=2.0)
        (head,) = headers_of(open_bundle(UNTRAINED), wanted, fold="", version="0")
        file = TraceFile(tmp_path / f"{jobs}.jsonl", head)
        assert not any(one.failure for one in traced(wanted, file))
        several.append(file)
    one, two = (sorted(file.traces, key=lambda trace: trace.key) for file in several)
    assert one == two


class NoTools:
    def __init__(self, plan: Plan) -> None:
        pass

    def __enter__(self) -> None:
        pass


def worker_at_work(ready: Event) -> None:
    tracing._Tools = NoTools  # type: ignore[assignment, misc]  # its engines are of no account here
    tracing._set_up(None)  # type: ignore[arg-type]
    ready.set()
    time.sleep(20)
    sys.stdout.write("outlived\n")


def killed_parent() -> None:
    """Run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    context.Process(target=worker_at_work, args=(ready,)).start()
    assert ready.wait(120)
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_end_with_the_one_that_started_them() -> None:
    """Or they keep memory and engines until somebody finds them."""
    code = f"from {__name__} import killed_parent; killed_parent()"
    # Its output ends when the last process that holds it does.
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


# What is written above them.


def test_header_says_what_made_the_scores(portraits: Index) -> None:
    bundle = open_bundle(UNTRAINED)
    configs = (EngineConfig(graph="step", precision="fp32"),)
    (found,) = headers_of(bundle, plan(portraits, configs=configs), fold="1/3", version="9")
    assert (found.bundle, found.bundle_sha256, found.trained) == ("untrained 1", bundle.sha256, False)
    assert (found.graph, found.precision, found.backend) == ("step", "fp32", "openvino")
    assert found.clip == bundle.manifest.clip.config("step")
    assert (found.fold, found.version, found.held_out) == ("1/3", "9", None)
    assert found.network == network_of(bundle.manifest)


def test_one_precision_twice_is_refused(portraits: Index) -> None:
    twice = (EngineConfig(precision="fp32", graph="window"), EngineConfig(precision="fp32", graph="window"))
    with pytest.raises(ConfigError, match="these come to window fp32, window fp32"):
        headers_of(open_bundle(UNTRAINED), plan(portraits, configs=twice), fold="", version="0")


def test_file_of_other_settings_is_not_added_to(tmp_path: Path) -> None:
    TraceFile(tmp_path / "t.jsonl", header())
    with pytest.raises(TraceError, match="another seconds"):
        TraceFile(tmp_path / "t.jsonl", replace(header(), seconds=5.0))


# Which footage.


def some(tmp_path: Path) -> Index:
    items = [footage(f"r{i}", group=f"g{i // 4}") for i in range(12)]
    items += [footage(f"a{i}", label="fake", method="a", group=f"g{i}") for i in range(6)]
    items += [footage(f"b{i}", label="fake", method="b", group="g0") for i in range(3)]
    items += [footage("still", still=True, group="g9")]
    return Index(tmp_path, tmp_path, items)


def test_stills_are_no_footage(tmp_path: Path) -> None:
    assert "still" not in {one.key for one in chosen(some(tmp_path), held_out=())}


def test_only_people_that_the_bundle_was_held_out_from_are_chosen(tmp_path: Path) -> None:
    found = chosen(some(tmp_path), held_out=("g1", "g5"))
    assert {one.group for one in found} == {"g1", "g5"}
    with pytest.raises(ConfigError, match="no video of the groups"):
        chosen(some(tmp_path), held_out=("elsewhere",))


def test_fold_is_a_fold_of_the_index_and_must_be_held_out(portraits: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "folds", lambda self, count, seed=0: [{"ada"}, {"ben"}])
    assert {one.group for one in chosen(portraits, held_out=(), fold="1/2")} == {"ben"}
    assert {one.group for one in chosen(portraits, held_out=("ben",), fold="1/2")} == {"ben"}
    with pytest.raises(ConfigError, match="has the group ada, which is not among those"):
        chosen(portraits, held_out=("ben",), fold="0/2")


@pytest.mark.parametrize("fold", ["3/3", "-1/3", "1", "a/b", "1/3/5"])
def test_fold_that_is_none_is_refused(portraits: Index, fold: str) -> None:
    with pytest.raises(ConfigError, match="--held-out"):
        chosen(portraits, held_out=(), fold=fold)


def test_limit_takes_of_all_kinds_alike(tmp_path: Path) -> None:
    found = chosen(some(tmp_path), held_out=(), limit=8)
    assert [one.label for one in found].count("real") == 4
    assert {(one.method, one.group) for one in found if one.label == "fake"} == {
        ("a", "g0"), ("a", "g1"), ("b", "g0")
    }  # fmt: skip
    assert [one.group for one in found if one.label == "real"] == ["g0", "g1", "g2", "g0"]
