"""Writes docs/model_card.md from the numbers in benchmarks/results: what the network that comes along was trained on,
what it was measured to find and to miss, and what it must not be used for.

python benchmarks/model_card.py           # write
python benchmarks/model_card.py --check   # exit code 1 if the page says anything else
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from streamguard.bundle import open_bundle

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "model_card.md"
TEXT = ROOT / "docs" / "model_card.in.md"
"""What people wrote: between the lines `<!-- NAME -->` tables go."""
SHIPPED = "shipped (other budget)"
WORDS = {
    "reencode-as-fake": "real video encoded as fakes are",
    "reencode-as-real": "fakes encoded as real video is",
    "blur-border": "borders blurred",
    "pad-border": "borders padded",
    "mirror": "mirrored",
    "container": "another container",
}


def page() -> str:
    text = TEXT.read_text()
    for name, block in blocks().items():
        mark = f"<!-- {name} -->"
        if text.count(mark) != 1:
            raise SystemExit(f"{TEXT.relative_to(ROOT)} must have the line {mark} once")
        text = text.replace(mark, block)
    return text


def blocks() -> dict[str, str]:
    data, chosen, other = (read(f"default_{name}") for name in ("data", "evaluation", "other"))
    variants, conditions, again = (
        read(name)["results"] for name in ("development", "default_conditions", "default_again")
    )
    return {
        "bundle": about_bundle(data),
        "data": data_table(data["footage"]),
        "methods": methods_table(chosen),
        "versions": versions_table(data["version"], chosen, other),
        "verdicts": verdicts_table(chosen),
        "probabilities": probabilities_table(chosen),
        "again": again_table(again),
        "shortcuts": shortcuts_table(conditions["shortcuts"]),
        "robustness": robustness_table(conditions["robustness"]),
        "development": development_table(variants, chosen),
        "development-methods": development_methods_table(variants, chosen),
    }


def read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"{path.relative_to(ROOT)} is missing: make train-default, or python benchmarks/{name}.py")
    return dict(json.loads(path.read_text()))


def about_bundle(data: dict[str, Any]) -> str:
    bundle = open_bundle()
    manifest = bundle.manifest
    size = sum(spec.size_bytes for spec in manifest.files.values())
    clip = manifest.clip
    crops, step_ms = clip.memory + clip.length, clip.grid_s * 1000
    rows = [
        ("name", f"`{bundle.name}`"),
        ("sha256 of bundle.json", f"`{bundle.sha256}`"),
        ("licence", manifest.provenance.licence),
        ("size", f"{size / 1e6:.1f} MB, weights of 16 bits"),
        (
            "trained from",
            "EfficientNet-Lite0's ImageNet weights (Apache-2.0, Google; as PyTorch tensors by their porter)",
        ),
        (
            "sees",
            f"{clip.size_px} px, a square of {clip.span:g} face scales, every {step_ms:.0f} ms",
        ),
        (
            "remembers",
            f"{crops} crops ({crops * clip.grid_s:.2f} s)",
        ),
        ("version", f"`{data['version']}`, chosen of two by cross-fitted numbers: see below"),
    ]
    return table(("", ""), rows)


def data_table(footage: Sequence[dict[str, Any]]) -> str:
    """A row for each licence class and kind."""
    rows = [
        (one["kind"], one["licence_class"], str(one["clips"]), str(one["groups"]), f"{one['minutes']:.1f}")
        for one in footage
    ]
    return table(("Footage", "Licence class", "Clips", "Groups of people", "Minutes"), rows)


def methods_table(evaluation: dict[str, Any]) -> str:
    raw, harmonised = (ranked(evaluation, "all fakes", name) for name in ("raw", "harmonised"))
    rows = [
        *(
            (
                kind,
                str(ranked(evaluation, kind, "raw")["fake"]["tracks"]),
                *(cell(ranked(evaluation, kind, name)["tracks"]["auc"]) for name in ("raw", "harmonised")),
            )
            for kind in evaluation["ranked"]
        ),
        *(
            (one["name"], str(one["fake"]), cell(one["auc"]), cell(other["auc"]))
            for one, other in zip(raw["methods"], harmonised["methods"], strict=True)
        ),
        (
            "live swaps against their own twins",
            str(raw["pairs"]["auc"]["count"]),
            cell(raw["pairs"]["auc"]),
            cell(harmonised["pairs"]["auc"]),
        ),
        (
            "share of swaps that score above their twin",
            str(raw["pairs"]["above"]["count"]),
            cell(raw["pairs"]["above"]),
            cell(harmonised["pairs"]["above"]),
        ),
    ]
    return table(("", "Tracks", "AUC, raw", "AUC, harmonised"), rows)


def versions_table(version: str, chosen: dict[str, Any], other: dict[str, Any]) -> str:
    rows = []
    for name, evaluation in ((f"{version} (shipped)", chosen), (f"the other: {OTHER[version]}", other)):
        raw = ranked(evaluation, "all fakes", "raw")
        rows.append(
            (
                name,
                cell(raw["pairs"]["auc"]),
                cell(raw["pairs"]["above"]),
                cell(ranked(evaluation, "talking heads", "harmonised")["tracks"]["auc"]),
                cell(raw["tracks"]["auc"]),
            )
        )
    heads = ("Version", "Swaps against twins", "Swaps above their twin", "Talking heads, harmonised", "All tracks, raw")
    return table(heads, rows)


OTHER = {"pseudo": "genuine", "genuine": "pseudo"}


def verdicts_table(evaluation: dict[str, Any]) -> str:
    """A column for each precision."""
    of = {precision: found["verdicts"] for precision, found in evaluation["verdicts"].items()}
    rows = [
        ("real tracks accused", *(cell(found["accused"]) for found in of.values())),
        ("the most that may be, 95%, people counted", *(f"{found['accused_bound']:.3f}" for found in of.values())),
        ("false alarms an hour of usable footage", *(cell(found["alarms_an_hour"]) for found in of.values())),
        *(
            (f"fakes told within {seconds} s", *(cell(found["told"]["within"][seconds]) for found in of.values()))
            for seconds in ("2", "5")
        ),
        ("fakes told at all, within 8 s", *(cell(found["told"]["within"]["10"]) for found in of.values())),
        *(
            (
                f"the same, were {float(rate):.0%} accused, by a threshold chosen on these tracks",
                *(cell(found["at_rates"][rate]["within"]["10"]) for found in of.values()),
            )
            for rate in ("0.01", "0.05")
        ),
        ("real tracks of usable quality without a verdict", *(cell(found["abstained"]) for found in of.values())),
        ("fakes called real", *(cell(found["missed"]) for found in of.values())),
        ("fakes without a verdict", *(cell(found["undecided"]) for found in of.values())),
    ]
    return table(("Share [90%]", *of), rows)


def probabilities_table(evaluation: dict[str, Any]) -> str:
    metrics = open_bundle().manifest.provenance.metrics
    rows = []
    for precision, found in evaluation["verdicts"].items():
        for name, truth in (("p_fake, moment by moment", found["moments"]), ("its mean over a track", found["mean_p"])):
            rows.append((name, precision, cell(truth["brier_skill"]), cell(truth["calibration_error"])))
        of_face = [
            metrics[f"calibration.step.{precision}.face_{name}"] for name in ("brier_skill", "calibration_error")
        ]
        rows.append(("p_face, at a track's end", precision, *(f"{value:.2f}" for value in of_face)))
    return table(("", "Precision", "Brier skill", "Calibration error"), rows)


def again_table(again: dict[str, Any]) -> str:
    rows = [(one["what"], cell(one["shipped"]), cell(one["again"])) for one in again["numbers"]]
    return table(("", "Shipped", "Again, from nothing"), rows)


def shortcuts_table(conditions: dict[str, Any]) -> str:
    """Each video against itself: the change has intervals of its own."""
    rows = []
    for name, found in conditions.items():
        against = found["against_raw"]
        if against is None:
            continue
        low, high = against["change"]["low95"], against["change"]["high95"]
        told = "-" if low is None else "yes" if low <= 0 <= high else "no"
        change = f"{against['change']['value']:+.3f}" + ("" if low is None else f" [{low:+.3f}, {high:+.3f}]")
        rows.append((WORDS[name], f"{against['before']:.2f}", f"{against['after']:.2f}", change, told))
    return table(("", "AUC before", "after", "Change [95%]", "May be 0"), rows)


def robustness_table(conditions: dict[str, Any]) -> str:
    """A row for each distortion, a column for each level."""
    names = {name.partition("/")[0] for name in conditions if "/" in name}
    levels = sorted({name.partition("/")[2] for name in conditions if "/" in name})

    def told(name: str) -> str:
        one = conditions[name]
        return f"{cell(one['auc'])} ({one['real']['tracks']} + {one['fake']['tracks']})"

    rows = [("as it is", told("raw"), *("" for _ in levels[1:]))]
    rows += [(name, *(told(f"{name}/{level}") for level in levels)) for name in sorted(names)]
    return table(("AUC (real + fake tracks)", *(f"level {level}" for level in levels)), rows)


def development_table(results: dict[str, Any], chosen: dict[str, Any]) -> str:
    """What is shipped comes first, of another budget and tested by its own folds."""
    raw, harmonised = (ranked(chosen, "all fakes", name) for name in ("raw", "harmonised"))
    of_shipped = (raw["tracks"]["auc"], harmonised["tracks"]["auc"], raw["pairs"]["auc"], raw["pairs"]["above"])
    rows = [(SHIPPED, "", *map(cell, of_shipped), "", "")]
    rows += [
        (
            name,
            str(run["seed"]),
            cell(run["raw"]["auc"]),
            cell(run["harmonised"]["auc"]),
            cell(run["raw"]["pairs"]["auc"]),
            cell(run["raw"]["pairs"]["above"]),
            cell(run["pseudo"]["auc"]),
            cell(run["pseudo"]["above"]),
        )
        for name, runs in results["variants"].items()
        for run in runs
    ]
    genuine = ("AUC, raw", "AUC, harmonised", "Swaps against twins", "Swaps above their twin")
    return table(("Variant", "Seed", *genuine, "Pseudo-fakes, AUC", "Pseudo-fakes above their clip"), rows)


def development_methods_table(results: dict[str, Any], chosen: dict[str, Any]) -> str:
    """Of each method a row for each variant, and for both seeds a column."""
    runs = results["variants"]
    methods = list(next(iter(runs.values()))[0]["raw"]["methods"])
    shipped = {
        of: {one["name"]: one["auc"] for one in ranked(chosen, "all fakes", of)["methods"]}
        for of in ("raw", "harmonised")
    }
    rows: list[tuple[str, ...]] = []
    for method in methods:
        rows.append((method, SHIPPED, *(each for of in shipped.values() for each in (cell(of[method]), ""))))
        rows += [
            (method, name, *(cell(run[of]["methods"][method]["auc"]) for of in shipped for run in found))
            for name, found in runs.items()
        ]
    seeds = [f"seed {run['seed']}" for run in next(iter(runs.values()))]
    heads = (f"{of}, {seed}" for of in ("Raw", "Harmonised") for seed in seeds)
    return table(("Method", "Variant", *heads), rows)


def ranked(evaluation: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Fakes of a kind against all real tracks by their raw scores, under one condition."""
    return next(one for one in evaluation["ranked"][kind] if one["name"] == name)


def cell(estimate: dict[str, Any]) -> str:
    """0.81 [0.70, 0.88]; without an interval where there is none."""
    value, low, high = (estimate[key] for key in ("value", "low90", "high90"))
    if value is None:
        return "-"
    return f"{value:.2f}" if low is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if not open_bundle().manifest.trained:
        print("The network that comes along is untrained: it needs no card.")
        return 0
    text = page()
    if not args.check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"{PAGE.relative_to(ROOT)} says something else: python benchmarks/model_card.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
