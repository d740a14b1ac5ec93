"""Does `make train-default` give the shipped bundle's numbers again?

    python export/train_default.py --data DATA --work out/again
    python benchmarks/default_again.py --work out/again

Compares the cross-fitted numbers of a run from nothing with those of the run that is shipped
(benchmarks/results/default_evaluation.json): each must lie in the other's interval.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import RESULTS, save

from streamguard.evaluation.evaluate import measure
from streamguard.evaluation.traces import read_traces

SHIPPED = RESULTS / "default_evaluation.json"
PRECISION = "bf16"
FOLDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="of the other run of make train-default")
    parser.add_argument("--version", choices=("genuine", "pseudo"), default="genuine")
    parser.add_argument("--out", type=Path, help="instead of benchmarks/results/default_again.json")
    args = parser.parse_args()
    traces = [args.work / "traces" / f"{args.version}-fold-{i}" / PRECISION / "traces.jsonl" for i in range(FOLDS)]
    again = numbers(json.loads(measure(read_traces(traces)).to_json())["conditions"])
    shipped = numbers(json.loads(SHIPPED.read_text())["ranked"]["all fakes"])
    rows = [
        {"what": what, "shipped": shipped[what], "again": again[what], "alike": alike(shipped[what], again[what])}
        for what in shipped
    ]
    for row in rows:
        print(f"{row['what']}: {row['shipped']['value']:.3f}, again {row['again']['value']:.3f}: alike {row['alike']}")
    save("default_again", {"version": args.version, "numbers": rows}, args.out)


def numbers(conditions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that need no calibration."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("raw", "harmonised"):
        one = next(each for each in conditions if each["name"] == name)
        found[f"AUC of all tracks, {name}"] = one["tracks"]["auc"]
        found[f"AUC of live swaps against their own twins, {name}"] = one["pairs"]["auc"]
        found[f"share of swaps above their twin, {name}"] = one["pairs"]["above"]
    return found


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return within(one["value"], other) and within(other["value"], one)


def within(value: float, estimate: dict[str, Any]) -> bool:
    return bool(estimate["low90"] <= value <= estimate["high90"])


if __name__ == "__main__":
    main()
