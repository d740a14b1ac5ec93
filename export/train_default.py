"""Makes the bundle that comes with StreamGuard: `make train-default`, or `python export/train_default.py --help`.

Every step is a command of streamguard that anyone can run; this file only says in which order, and with what.

    prepare      footage -> faces, once
    train        one network for each fold of people, which never sees them, and one that sees all of them; two versions
                 come of each run: "pseudo" (pseudo-fakes only) and "genuine" (then genuine fakes as well)
    bundle       each version of each run as a bundle, not calibrated
    trace        each fold's network looks at the people whom it never saw; merged, this is what is known of a version
    choose       the better version, by these cross-fitted numbers
    calibrate    by the chosen version's traces, for the network that was trained on all
    evaluate     the numbers of the model card, by the same traces

What is done is not done again: it can be stopped and started at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamguard.data.index import Footage, Index
from streamguard.data.tracks import Done
from streamguard.evaluation.conditions import HARMONISED
from streamguard.evaluation.evaluate import measure
from streamguard.evaluation.traces import RAW, TraceSet, read_traces

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "export" / "recipes" / "default.toml"
GROUPS = ROOT / "export" / "recipes" / "development_groups.tsv"
SHIPPED = ROOT / "streamguard" / "bundles" / "default"
RESULTS = ROOT / "benchmarks" / "results"
FOLDS = 3
WHOLE = "all"
VERSIONS = {"pseudo": 2, "genuine": 4}
"""Each version, and after which of the recipe's stages its weights are taken."""
SEEN = {"pseudo": "pseudo-fakes of real footage", "genuine": "pseudo-fakes of real footage, then genuine fakes"}
FALSE_POSITIVES = "0.08"
"""Share of real faces that may be accused. On people left out it is about half of that. With a budget of 0.02 no honest
outlier is allowed at all among as few people as the development set has, and then not one fake is told."""
CONFIDENCE = "0.7"
"""With which that holds."""
MISSED = "0.2"
"""Share of fakes that may be called real. With less, hardly anybody is called real, honest people included."""
CURVE = "isotonic"
"""Of probabilities: on people left out it was the better calibrated one."""
SECONDS = 8
"""Of each footage: what is said soon is what counts, and longer calls are few."""
SWAPS, HEADS = "face swap", "talking head"
"""In the names of methods."""
PRECISION = "bf16"
"""That ranking is told of: what runs where the processor has it."""
PRECISIONS = ("fp32", "bf16")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Two networks are trained at a time: two threads that wait for each other are slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Where everything lies while it is made, and how much may run at a time."""

    data: Path
    folder: Path
    jobs: int
    settings: tuple[str, ...]
    """Changes to the recipe, KEY=VALUE."""

    @property
    def prepared(self) -> Path:
        return self.folder / "data"

    def run(self, fold: str) -> Path:
        return self.folder / "runs" / fold

    def bundle(self, version: str, fold: str) -> Path:
        return self.folder / "bundles" / f"{version}-{fold}"

    def traced(self, version: str, fold: str) -> Path:
        return self.folder / "traces" / f"{version}-{fold}"

    def traces(self, version: str, precision: str) -> list[Path]:
        return [self.traced(version, fold) / precision / "traces.jsonl" for fold in folds()]

    @property
    def made(self) -> Path:
        return self.folder / "default"


def folds() -> list[str]:
    return [f"fold-{i}" for i in range(FOLDS)]


def main() -> None:
    work = _arguments()
    began_s = time.monotonic()

    def told(step: str) -> None:
        print(f"[{(time.monotonic() - began_s) / 60:5.1f} min] {step}", flush=True)

    work.folder.mkdir(parents=True, exist_ok=True)
    told(f"prepare {work.data}")
    _command("data", "prepare", work.data, "--out", work.prepared, "--groups", GROUPS, "--jobs", work.jobs)
    _commit(work)
    told(f"train {FOLDS} folds and the whole")
    with ThreadPoolExecutor(work.jobs) as pool:
        list(pool.map(lambda number: _train(work, number), range(FOLDS + 1)))
    told("bundles")
    for version in VERSIONS:
        for fold in folds():
            _bundle(work, version, fold)
    for version in VERSIONS:
        told(f"trace version {version}")
        for fold in folds():
            _trace(work, version, fold)
    chosen, numbers = _choose(work)
    told(f"calibrate version {chosen}: {numbers}")
    _bundle(work, chosen, WHOLE)
    _calibrate(work, chosen)
    told("evaluate")
    _evaluate(work, chosen)
    told(f"done: {work.made}")
    print(f"to ship it: python export/train_default.py --data {work.data} --work {work.folder} --install")


def _train(work: Work, number: int) -> None:
    fold = [*folds(), WHOLE][number]
    run = work.run(fold)
    if (run / "weights.safetensors").exists():
        return
    if (run / "recipe.toml").exists():
        how: list[object] = ["--resume"]
    else:
        how = [RECIPE, *(part for change in work.settings for part in ("--set", change))]
        how += [] if fold == WHOLE else ["--held-out", f"{number}/{FOLDS}"]
    _command("train", *how, "--data", work.prepared, "--out", run, "--threads", 1)


def _bundle(work: Work, version: str, fold: str) -> None:
    out = work.bundle(version, fold)
    if (out / "bundle.json").exists():
        return
    about = f"StreamGuard's development set, {SEEN[version]}; started from EfficientNet-Lite0's ImageNet weights"
    _command(
        *("bundle", "trained", work.run(fold), out, "--stage", VERSIONS[version], "--store", "fp16"),
        *("--data", about, "--licence", "Apache-2.0", "--commit", _commit(work)),
    )


def _commit(work: Work) -> str:
    """Of the code, when the first network was trained with it."""
    kept = work.folder / "commit"
    if not kept.exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        kept.write_text(head.stdout.strip()[:12])
    return kept.read_text()


def _trace(work: Work, version: str, fold: str) -> None:
    out = work.traced(version, fold)
    if (out / "done").exists():
        return
    _command(
        *("evaluate", work.bundle(version, fold), "--data", work.prepared, "--out", out, "--seconds", SECONDS),
        *("--conditions", "raw,harmonised", "--precision", "fp32,bf16", "--jobs", work.jobs, "--no-pictures"),
    )
    (out / "done").touch()


def _choose(work: Work) -> tuple[str, str]:
    """The version that ranks better: live swaps against their twins, and talking heads harmonised, counted alike."""
    found = {}
    for version in VERSIONS:
        traces = read_traces(work.traces(version, "fp32"))
        swaps = measure(_only(traces, SWAPS)).of(RAW).pairs
        assert swaps is not None, "the development set has live swaps beside their twins"
        heads = measure(_only(traces, HEADS)).of(HARMONISED).tracks
        found[version] = (swaps.auc.value + heads.auc.value) / 2
    chosen = max(found, key=lambda version: found[version])
    return chosen, ", ".join(f"{version} {value:.3f}" for version, value in found.items())


def _only(traces: TraceSet, kind: str) -> TraceSet:
    """All real footage, and fakes of methods with this in their name."""
    return TraceSet(
        parts=tuple(
            replace(part, traces=tuple(one for one in part.traces if not one.is_fake or kind in one.method))
            for part in traces.parts
        )
    )


def _calibrate(work: Work, version: str) -> None:
    traces = [path for precision in PRECISIONS for path in work.traces(version, precision)]
    _command(
        *("calibrate", work.bundle(version, WHOLE), "--cross-fitted", "--out", work.made, "--replace"),
        *("--false-positive-rate", FALSE_POSITIVES, "--confidence", CONFIDENCE, "--fakes-called-real", MISSED),
        *("--method", CURVE),
        *("--report", work.folder / "calibration.html", "--evaluation", work.folder / "evaluation"),
        *("--also", "window:fp32"),
        *("--traces", *traces),
    )
    groups = json.loads((work.run(WHOLE) / "groups.json").read_text())["trained"]
    _command("bundle", "maps", work.made, "--data", work.prepared, "--out", work.made, "--groups", *groups)


def _evaluate(work: Work, version: str) -> None:
    """What the model card says, of the folds' networks: both versions ranked alike, by raw scores; the chosen one's
    verdicts and probabilities, with cross-fitted calibrations, in each precision."""
    for name in VERSIONS:
        traces = read_traces(work.traces(name, PRECISION))
        found: dict[str, Any] = {
            "ranked": {
                words: _conditions(_only(traces, kind))
                for words, kind in (("all fakes", ""), ("live swaps", SWAPS), ("talking heads", HEADS))
            }
        }
        if name == version:
            found["verdicts"] = {precision: _verdicts(work, precision) for precision in PRECISIONS}
        _write(work, "default_evaluation" if name == version else "default_other", found)
    _write(work, "default_data", {"version": version, "footage": _footage(Index.open(work.prepared))})


def _conditions(traces: TraceSet) -> list[dict[str, Any]]:
    """Without curves, and without the names of files."""
    conditions = json.loads(measure(traces).to_json())["conditions"]
    return [{key: value for key, value in one.items() if key not in ("roc", "mistakes")} for one in conditions]


def _verdicts(work: Work, precision: str) -> dict[str, Any]:
    evaluation = json.loads((work.folder / "evaluation" / f"step-{precision}" / "evaluation.json").read_text())
    raw = next(one for one in evaluation["conditions"] if one["name"] == RAW)
    return {name: raw[name] for name in ("moments", "mean_p", "verdicts")}


def _write(work: Work, name: str, found: dict[str, Any]) -> None:
    (work.folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def _footage(index: Index) -> list[dict[str, Any]]:
    """How much there is of each kind and licence class."""
    kinds: dict[tuple[str, str], list[Footage]] = {}
    for footage in index.footage:
        kind = f"fake, {footage.method}" if footage.label == "fake" else "portraits" if footage.still else "real video"
        kinds.setdefault((kind, footage.licence_class), []).append(footage)
    return [
        {
            "kind": kind,
            "licence_class": licence,
            "clips": len(found),
            "groups": len({one.group for one in found}),
            "minutes": sum(done.seconds for one in found if (done := Done.open(index.tracks_folder(one)))) / 60,
        }
        for (kind, licence), found in sorted(kinds.items())
    ]


def _arguments() -> Work:
    parser = argparse.ArgumentParser(
        description="Trains, tests and calibrates the bundle that comes with StreamGuard.",
        epilog="Run it again to go on where it was stopped. It takes about two hours on two cores.",
    )
    parser.add_argument("--data", type=Path, required=True, help="footage, as `streamguard data prepare` takes it")
    parser.add_argument("--work", type=Path, default=Path("out/default"), help="folder for everything that is made")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe, for a trial"
    )
    parser.add_argument("--install", action="store_true", help="put what was made into the package, with its numbers")
    args = parser.parse_args()
    work = Work(data=args.data.resolve(), folder=args.work.resolve(), jobs=args.jobs, settings=tuple(args.set))
    if args.install:
        _install(work)
        raise SystemExit
    return work


def _install(work: Work) -> None:
    shutil.rmtree(SHIPPED, ignore_errors=True)
    shutil.copytree(work.made, SHIPPED)
    for name in ("default_data", "default_evaluation", "default_other"):
        shutil.copy(work.folder / f"{name}.json", RESULTS)
    print("Next: python benchmarks/model_card.py && python benchmarks/readme.py && make docs")


def _command(*words: object) -> None:
    """One of streamguard's. Its own words stand on the terminal, and if it fails this ends as well."""
    print("$ streamguard", *words, flush=True)
    done = subprocess.run([sys.executable, "-m", "streamguard", *map(str, words)], env={**os.environ, **ONE_THREAD})
    if done.returncode:
        raise SystemExit(f"`streamguard {words[0]}` ended with {done.returncode}; what was done before it is kept")


if __name__ == "__main__":
    main()
