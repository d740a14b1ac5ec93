"""Which of GML's choices help here: the same small budget for each variant, with two seeds, tested on people unseen.

    python benchmarks/development.py --data PREPARED

Each variant is trained on pseudo-fakes of real people only (export/recipes/reduced.toml), never on anyone of whom there
is a genuine fake, nor on a quarter of the other real people; then the runtime traces it on those. Beside that, how well
it tells pseudo-fakes of these same people, the very thing that it was trained for: the same pairs for all variants.
What it says is about the choices, at this budget; the bundle that is shipped is trained longer and tested by its folds.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT, command, save
from safetensors.torch import load_file

from streamguard.data.index import Index
from streamguard.evaluation.measures import Bootstrap, Estimate, auc
from streamguard.training.batches import Batch
from streamguard.training.monitor import logits_of, monitor_batches, monitor_pairs
from streamguard.training.recipe import read_recipe

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
PAIRS = 48
"""Of pseudo-fakes and the clips that they were made of."""


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
    pairs = pseudo_pairs(Index.open(args.data), held_out.read_text().split())
    for (name, seed), evaluation in zip(runs, found, strict=True):
        evaluation["pseudo"] = on_pseudo(place_of(args.work, name, seed) / "run", *pairs)
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
    place = place_of(args.work, name, seed)
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


def place_of(work: Path, name: str, seed: int) -> Path:
    return work / f"{name.replace(' ', '-')}-{seed}"


def pseudo_pairs(index: Index, groups: list[str]) -> tuple[list[Batch], list[str]]:
    """Of the reduced recipe's own kinds, whatever a variant was trained on; and whom each pair is of."""
    recipe = read_recipe(str(RECIPE), [f"data.monitor_pairs={PAIRS}"])
    print(f"{PAIRS} pseudo-fakes of {len(groups)} groups left out", flush=True)
    pairs = monitor_pairs(index, groups, recipe)
    return monitor_batches(pairs, recipe, recipe.stages[-1].length), [pair.real.group for pair in pairs]


def on_pseudo(run: Path, batches: list[Batch], groups: list[str]) -> dict[str, Any]:
    """AUC, and the share of pseudo-fakes that score above what they were made of."""
    recipe = read_recipe(str(run / "recipe.toml"))
    net = recipe.entry.build(recipe.net.options).eval()
    net.load_state_dict(load_file(run / "weights.safetensors"))
    real, fake = logits_of(net, batches, torch.device("cpu"), torch.float32)
    both = Bootstrap([*groups, *groups])
    labels, scores = np.repeat([0, 1], len(groups)), np.concatenate([real, fake])
    none, above = np.zeros(len(labels)), (fake > real).astype(float)
    ranked = Bootstrap(groups).share(above, np.ones(len(above), bool), minutes=np.zeros(len(above)))
    found = {"auc": both.estimate(lambda w: auc(labels, scores, w), minutes=none), "above": ranked}
    print(f"{run.parent.name}: {found['auc'].value:.3f}, {ranked.value:.3f}", flush=True)
    return {name: told(each) for name, each in found.items()}


def told(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "low90": estimate.low90,
        "high90": estimate.high90,
        "count": estimate.count,
        "groups": estimate.groups,
    }


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
