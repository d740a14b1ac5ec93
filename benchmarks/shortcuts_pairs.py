"""Do shortcuts tell training pairs apart? Run: python benchmarks/shortcuts_pairs.py --data DIR [--pairs 400].

Makes pairs as the recipe says from prepared footage, cuts them as training does (with its jitter, without its
augmentation), and reports how well a logistic regression on people it has not seen tells fakes from real clips by the
border ring, by one frame's global numbers and by the file. 0.5 is chance. Per kind of pseudo-fake too, where many
enough were drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import save

from streamguard.data.index import Index
from streamguard.data.tracks import Done
from streamguard.training.augment import crop_tiles, draw_jitter
from streamguard.training.memory import keep_freed_memory
from streamguard.training.pairs import PairMaker
from streamguard.training.recipe import read_recipe
from streamguard.training.shortcuts import file_features, separation, shortcut_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the index that `streamguard data prepare` wrote")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--recipe", default="gml-s")
    parser.add_argument("--stage", type=int, default=0, help="which of its stages, from 0")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/shortcuts_pairs.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    index = Index.open(arguments.data)
    recipe = read_recipe(arguments.recipe, arguments.changes)
    maker = PairMaker(index, index.groups, recipe, arguments.stage, seed=1)
    files = {footage.key: Done.open(index.tracks_folder(footage)) for footage in index.footage}
    codecs = sorted({done.codec for done in files.values() if done is not None})
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    groups: list[str] = []
    kinds: list[str] = []
    size_px = int(recipe.options["size_px"])
    for number in range(arguments.pairs):
        pair = maker.make(number)
        jitter = draw_jitter(np.random.default_rng([2, number]))
        for tiles in (pair.real, pair.fake):
            crops = crop_tiles(tiles, size_px, recipe.net.span, jitter)
            done = files[tiles.key]
            assert done is not None, "a pair is made of prepared footage"
            for family, numbers in (shortcut_features(crops) | {"file": file_features(done, codecs)}).items():
                rows[family].append(numbers)
        groups += [pair.real.group, pair.fake.group]  # not the same where a fake stands beside somebody else
        kinds += [pair.kind] * 2
        sys.stderr.write(f"\r{number + 1}/{arguments.pairs} pairs")
    sys.stderr.write("\n")
    save("shortcuts_pairs", _results(rows, groups, np.array(kinds), arguments, recipe.net.span), arguments.out)


def _results(
    rows: dict[str, list[np.ndarray]], groups: list[str], kinds: np.ndarray, arguments: argparse.Namespace, span: float
) -> dict[str, Any]:
    results: dict[str, Any] = {
        "recipe": arguments.recipe,
        "stage": arguments.stage,
        "span": span,
        "pairs": len(kinds) // 2,
        "groups": len(set(groups)),
    }
    for family, numbers in rows.items():
        features, labels = np.stack(numbers), np.tile([0, 1], len(numbers) // 2)
        found = {"all": _told(features, labels, groups)}
        for kind in sorted(set(kinds.tolist())):
            chosen = kinds == kind
            if chosen.sum() >= 60:
                of_kind = [group for group, one in zip(groups, chosen, strict=True) if one]
                found[kind] = _told(features[chosen], labels[chosen], of_kind) | {"pairs": int(chosen.sum()) // 2}
        results[family] = found
    return results


def _told(features: np.ndarray, labels: np.ndarray, groups: list[str]) -> dict[str, Any]:
    return {name: round(value, 3) for name, value in asdict(separation(features, labels, groups)).items()}


if __name__ == "__main__":
    main()
