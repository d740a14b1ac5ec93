"""Which of GML's choices help here: the same small budget for each variant, with two seeds, tested on people unseen.

    python benchmarks/development.py --data PREPARED

Each variant is trained on pseudo-fakes of real people only (export/recipes/reduced.toml), never on anyone of whom there
is a genuine fake, nor on a quarter of the other real people; then the runtime traces it on those. What it says is about
the choices, at this budget; the bundle that is shipped is trained longer and tested by its own folds.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import command, save

from streamguard.data.index import Index

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "export" / "recipes" / "reduced.toml"
VARIANTS: dict[str, tuple[str, ...]] = {
    "GML-S": (),
    "frames only": ("net.options.motion=none",),
    "STM for MCB": ("net.options.motion=stm",),
    "without AD": ("net.options.anomaly=no",),
    "self-blending only": ("stages.*.kinds={ self_blend = 1.0 }",),
}
SEEDS = (0, 1)
SECONDS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="what `streamguard data prepare` made")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "development", help="what is there is used")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe, for a trial"
    )
    parser.add_argument("--out", type=Path, help="instead of benchmarks/results/development.json")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    held_out = args.work / "held-out.txt"
    held_out.write_text("".join(f"{group}\n" for group in unseen(Index.open(args.data))))
    runs = [(name, seed) for seed in SEEDS for name in VARIANTS]
    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(pool.map(lambda run: measured(*run, args, held_out), runs))
    results = {
        "seconds": SECONDS,
        "held_out_groups": len(held_out.read_text().split()),
        "variants": {
            name: [evaluation for (other, _), evaluation in zip(runs, found, strict=True) if other == name]
            for name in VARIANTS
        },
    }
    save("development", results, args.out)


def unseen(index: Index) -> list[str]:
    """Everyone of whom there is a fake, and a quarter of the others."""
    faked = {footage.group for footage in index.footage if footage.label == "fake"}
    others = {footage.group for footage in index.footage if not footage.still and footage.group in index.folds(4)[0]}
    return sorted(faked | others)


def measured(name: str, seed: int, args: argparse.Namespace, held_out: Path) -> dict[str, Any]:
    place = args.work / f"{name.replace(' ', '-')}-{seed}"
    run, bundle, out = place / "run", place / "bundle", place / "evaluation"
    changes = [*VARIANTS[name], *args.set]
    weights = run / "weights.safetensors"
    if not weights.exists():
        if (run / "recipe.toml").exists():
            how = ["--resume"]
        else:
            how = [str(RECIPE), f"--seed={seed}", f"--groups-out={held_out}"]
            how += [part for change in changes for part in ("--set", change)]
        command("train", *how, "--data", args.data, "--out", run, "--threads", 1)
    if not (bundle / "bundle.json").exists():
        command("bundle", "trained", run, bundle, "--store", "fp16")
    evaluation = out / "evaluation.json"
    if not evaluation.exists():
        command(
            *("evaluate", bundle, "--data", args.data, "--out", out, "--conditions", "raw,harmonised"),
            *("--seconds", SECONDS, "--precision", "fp32", "--no-pictures"),
        )
    return {"seed": seed, "changes": changes, **summary(json.loads(evaluation.read_text()))}


def summary(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Of each condition: the AUC of all tracks and of each method, with intervals, and of fakes against their twins."""
    return {
        condition["name"]: {
            "real": condition["real"],
            "fake": condition["fake"],
            "auc": condition["tracks"]["auc"],
            "methods": {
                one["name"]: {key: one[key] for key in ("real", "fake", "auc", "twins")} for one in condition["methods"]
            },
            "pairs": condition["pairs"],
        }
        for condition in evaluation["conditions"]
    }


if __name__ == "__main__":
    main()
