"""What distortions do to the network that comes along, and whether shortcuts tell it anything.

    python benchmarks/default_conditions.py --work out/default

Takes the folds of `make train-default`, so everybody is judged by a network that never saw them. Shortcuts (the file
re-encoded like the other class, its border blurred or padded, mirrored, in another container) are tried on all of them,
the seven distortions at levels 1, 3 and 5 on some of each kind. What was traced is not traced again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from common import command, save

from streamguard.evaluation.distortions import DISTORTIONS
from streamguard.evaluation.evaluate import measure
from streamguard.evaluation.traces import RAW, read_traces

SECONDS = 4
LEVELS = (1, 3, 5)
PRECISION = "bf16"
FOLDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("out/default"), help="of make train-default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=int, default=30, help="footage of each fold that is distorted")
    parser.add_argument("--out", type=Path, help="instead of benchmarks/results/default_conditions.json")
    args = parser.parse_args()
    version = json.loads((args.work / "default_data.json").read_text())["version"]
    levels = ",".join(f"{name}/{level}" for name in DISTORTIONS for level in LEVELS)
    kinds = {"shortcuts": ("shortcuts",), "robustness": (levels, "--limit", args.limit)}
    found = {name: told(traced(args, version, name, how)) for name, how in kinds.items()}
    save("default_conditions", {"version": version, "seconds": SECONDS, **found}, args.out)


def traced(args: argparse.Namespace, version: str, name: str, how: tuple[object, ...]) -> list[Path]:
    """The folds' traces under these conditions."""
    paths = []
    for fold in range(FOLDS):
        out = args.work / "conditions" / f"{name}-{version}-fold-{fold}"
        paths.append(out / "traces.jsonl")
        if not (out / "done").exists():
            command(
                *("evaluate", args.work / "bundles" / f"{version}-fold-{fold}", "--data", args.work / "data"),
                *("--out", out, "--conditions", *how, "--seconds", SECONDS, "--precision", PRECISION),
                *("--jobs", args.jobs, "--no-pictures"),
            )
            (out / "done").touch()
    return paths


def told(paths: list[Path]) -> dict[str, Any]:
    """Of each condition: how many, the AUC of tracks, and by how much that of the same videos changed from raw."""
    evaluation = json.loads(measure(read_traces(paths)).to_json())
    return {
        one["name"]: {
            "real": one["real"],
            "fake": one["fake"],
            "auc": one["tracks"]["auc"],
            "against_raw": None if one["name"] == RAW else one["against_raw"],
        }
        for one in evaluation["conditions"]
    }


if __name__ == "__main__":
    main()
