"""Writes the numbers of benchmarks/results into README.md and docs/networks.md, where they stand, and beside them in
docs/networks.md what the networks' code says of itself, and in README.md and docs/cli.md which network comes along. Run
it after the benchmarks, and after a change to a network or to the bundle that comes along.

python benchmarks/readme.py           # write
python benchmarks/readme.py --check   # exit code 1 if the pages say anything else
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from networks import COSTLY_EVERY, COSTLY_MACS

from streamguard.bundle import open_bundle
from streamguard.nets.altfreezing import AltFreezing, AltFreezingOptions
from streamguard.nets.cost import cost_of
from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.registry import ENTRIES

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CLI = ROOT / "docs" / "cli.md"
NETWORKS = ROOT / "docs" / "networks.md"
CARD = ROOT / "docs" / "model_card.md"
WIDTH = 120


def measured(name: str) -> dict[str, Any]:
    """A results file, with what it says of machine and versions."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"{path.relative_to(ROOT)} is missing: python benchmarks/{name}.py")
    return dict(json.loads(path.read_text()))


def results(name: str) -> dict[str, Any]:
    return dict(measured(name)["results"])


# README.md: sentences.


def sentences() -> dict[str, str]:
    """Each sentence with numbers in it, by its first words."""
    pipeline, soak, push = results("pipeline"), results("soak"), results("push")
    time, cpu = pipeline["ratio_of_time"], pipeline["ratio_of_cpu"]
    with_network = pipeline["with_network"]
    scored_time, scored_cpu = with_network["ratio_of_time"], with_network["ratio_of_cpu"]
    ways = [soak[name] for name in ("push", "decode", "detector")]
    frames = ", ".join(f"{way['frames']:,}" for way in ways)
    slopes = ", ".join(str(way["slope_kib_per_1000_frames"]) for way in ways)
    stalled, to_copy = push["call_ms"]["stalled"], push["ratio_of_p99_stalled_to_copy"]
    return {
        "- **Cost.**": (
            f"Following one face in 720p takes {time['median']:.2f} times as long as a bare loop with the\n"
            "  same decoding, detector calls and crops (worst round"
            f" {time['worst']:.2f}), and {cpu['median']:.2f} times its CPU (worst {cpu['worst']:.2f}).\n"
            "  With the untrained network, small and run as often on both sides: "
            f"{scored_time['median']:.2f} times as long (worst\n"
            f"  {scored_time['worst']:.2f}), {scored_cpu['median']:.2f} times the CPU"
            f" (worst {scored_cpu['worst']:.2f})\n"
            "  ([pipeline.json](benchmarks/results/pipeline.json))."
        ),
        "- **Push.**": (
            f"With the network stalled, handing in a 720p array takes {stalled['p99']:.2f} ms at p99 and\n"
            f"  {stalled['p50']:.2f} ms in the median, {to_copy:.2f} times the p99 of the copy that it must make\n"
            "  ([push.json](benchmarks/results/push.json))."
        ),
        "- **Memory.**": (
            f"Over {frames} frames pushed, decoded, and scored by a StreamDetector, resident\n"
            f"  memory grows by {slopes} KiB per 1,000 frames after warm-up\n"
            "  ([soak.json](benchmarks/results/soak.json))."
        ),
    }


def with_sentences(text: str) -> str:
    for start, sentence in sentences().items():
        pattern = re.escape(start) + r" .*?\.json\)\)\."
        text, count = re.subn(pattern, lambda _, line=f"{start} {sentence}": line, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"README.md has {count} paragraphs that begin with {start!r}; one is needed")
    return text


# README.md and docs/cli.md: the network that comes along.


def comes_along(page: Path) -> dict[str, str]:
    manifest = open_bundle().manifest
    if not manifest.trained:
        words = (
            "**What does not exist yet: a trained network.** The one that comes along is untrained: its scores mean "
            "nothing, no face is ever called real or fake (each that is scored stays `UNCERTAIN`, `UNCALIBRATED`), and "
            "every output says so."
        )
    else:
        found = [one["verdicts"] for one in measured("default_evaluation")["verdicts"].values()]
        accused = max(one["accused"]["value"] for one in found)
        told = min(one["told"]["within"]["10"]["value"] for one in found)
        left = max(one["abstained"]["value"] for one in found)
        card = CARD.relative_to(page.parent).as_posix()
        words = (
            f"**The network that comes along** is `{open_bundle().name}`, trained and calibrated on few people. Of "
            f"people left out, it called {told:.0%} of the fakes `LIKELY_FAKE` within 8 s, and {accused:.0%} of the "
            f"real faces; {left:.0%} of the real ones it left undecided (of fp32 and bf16 the worse each time). What "
            "it was trained on, what it was measured to find and to miss, and what it must not be used for: "
            f"[{CARD.name}]({card})."
        )
    return {"comes along": textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False)}


# Blocks between marks.


def of_networks() -> dict[str, str]:
    """What stands between the marks of docs/networks.md, by their name."""
    shared = {key: words for key, words in Gml.DECISIONS.items() if GmlS.DECISIONS.get(key) == words}
    return {
        "costs": costs(),
        "times": times(),
        "options of gml": options(GmlOptions, ("gml", "gml-causal")),
        "options of gml-s": options(GmlSOptions, ("gml-s",)),
        "options of altfreezing": options(AltFreezingOptions, ("altfreezing",)),
        "decisions of gml and gml-s": decisions(shared),
        "decisions of gml": decisions(Gml.DECISIONS, less=shared),
        "decisions of gml-s": decisions(GmlS.DECISIONS, less=shared),
        "decisions of altfreezing": decisions(AltFreezing.DECISIONS),
    }


def with_blocks(page: Path, text: str, blocks: Mapping[str, str]) -> str:
    for name, block in blocks.items():
        begin, end = f"<!-- {name}: written by benchmarks/readme.py -->", f"<!-- end of {name} -->"
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        text, count = re.subn(pattern, lambda _, all=f"{begin}\n\n{block}\n\n{end}": all, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{page.relative_to(ROOT)} has {count} places between {begin} and {end}; one is needed")
    return text


@cache
def networks() -> dict[str, dict[str, Any]]:
    """What was measured, if it was of the networks that there are."""
    found = results("networks")
    again = "python benchmarks/networks.py"
    if found["quick"]:
        raise SystemExit(f"benchmarks/results/networks.json is of tiny networks: {again}")
    if list(found["networks"]) != list(ENTRIES):
        raise SystemExit(f"benchmarks/results/networks.json is of other networks than there are: {again}")
    for name, entry in ENTRIES.items():
        now = dataclasses.asdict(cost_of(entry))
        if changed := [each for each, value in now.items() if found["networks"][name][each] != value]:
            raise SystemExit(f"{name} was measured with another {changed[0]} than it has: {again}")
    return dict(found["networks"])


def costs() -> str:
    def row(words: str, cell: Callable[[dict[str, Any]], str]) -> tuple[str, ...]:
        return words, *(cell(each) for each in networks().values())

    def macs(key: str) -> Callable[[dict[str, Any]], str]:
        return lambda each: "–" if each[key] is None else f"{each[key] / 1e9:.2f}"

    def span(each: dict[str, Any]) -> str:
        return f"{(each['memory'] + each['length'] - 1) * each['grid_s']:.2f} s"

    return table(
        ("", *(f"`{name}`" for name in networks())),
        [
            row("sees", lambda each: "back only (causal)" if each["causal"] else "its whole clip at once"),
            row("crops", lambda each: f"{each['size_px']} px, `{each['recipe']}`"),
            row(
                "one crop every, one score every (live by steps: with each crop)",
                lambda each: f"{each['grid_s']:g} s, {each['hop_s']:g} s",
            ),
            row("T, crops that a score is of", lambda each: str(each["length"])),
            row("R, crops before them that matter", lambda each: str(each["memory"])),
            row("from its first crop to its last", span),
            row("look-ahead", lambda each: f"{each['look_ahead']} crops, {each['look_ahead_s']:g} s"),
            row("parameters", lambda each: f"{each['parameters'] / 1e6:.2f} M"),
            row("GMAC a crop of a clip", macs("crop_macs")),
            row("GMAC a clip (R + T)", macs("clip_macs")),
            row("GMAC a step", macs("step_macs")),
            row("GMAC a score", macs("score_macs")),
        ],
    )


def times() -> str:
    file = measured("networks")
    machine, rounds, openvino = file["machine"], file["results"]["rounds"], file["versions"]["openvino"]
    precisions = list(next(iter(networks().values()))["times"])
    about = (
        f"[networks.json](../benchmarks/results/networks.json): {rounds} rounds through all networks on\n"
        f"{machine['cpu']}, {machine['cores']} cores, OpenVINO {openvino}, commit {file['commit']}.\n"
        "One face, one core a call. Times are p99 / median in milliseconds, ratios are medians of rounds.\n"
        f"Windows of more than {COSTLY_MACS / 1e9:g} GMAC ran in one of {COSTLY_EVERY} rounds only: "
        "the p99 of so few runs is nearly their worst."
    )
    runs = [(f"runs of a {each}", *_runs(f"{each}_ms", precisions[0])) for each in ("window", "step", "score")]
    rows = runs + [row for precision in precisions for row in _times_in(precision)]
    return f"{about}\n\n{table(('', *(f'`{name}`' for name in networks())), rows)}"


def _runs(key: str, precision: str) -> Iterator[str]:
    """The same at each precision."""
    for each in networks().values():
        found = each["times"][precision]
        yield str(found[key]["runs"]) if key in found else "–"


def _times_in(precision: str) -> Iterator[tuple[str, ...]]:
    found = [each["times"][precision] for each in networks().values()]

    def ms(key: str) -> Iterator[str]:
        for each in found:
            yield f"{_short(each[key]['p99'])} / {_short(each[key]['p50'])}" if key in each else "–"

    def ratio(key: str) -> Iterator[str]:
        for each in found:
            yield _short(each[key]["median"]) if key in each else "–"

    yield f"{precision}: a window", *ms("window_ms")
    yield f"{precision}: a step", *ms("step_ms")
    yield f"{precision}: a score", *ms("score_ms")
    yield f"{precision}: a score, to one of `gml-s`", *ratio("score_to_gml-s")
    yield f"{precision}: a score by steps, to one by windows", *ratio("steps_to_window")
    yield f"{precision}: share of a core, for one face", *(f"{each['share_of_a_core']:.0%}" for each in found)


def _short(value: float) -> str:
    """About three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def options(cls: type[Any], names: Sequence[str]) -> str:
    """What each of these networks, of one class, has where nothing else is told."""
    words = _words_of(cls)
    given = [ENTRIES[name].options() for name in names]
    hints = get_type_hints(cls)
    rows = [
        (f"`{each}`", *(_shortened(texts[each]) for texts in given), _with_choices(words[each], hints[each]))
        for each in given[0]
    ]
    return table(("option", *(f"`{name}`" for name in names), "what it is"), rows)


def _words_of(cls: type[Any]) -> dict[str, str]:
    """The strings under a class' fields."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for one, other in pairwise(tree.body):
        match one, other:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as words)):
                found[name] = " ".join(words.split())
    return found


def _with_choices(words: str, hint: Any) -> str:
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    return words if all(each in words for each in choices) else f"{words} One of {', '.join(choices)}."


def _shortened(text: str) -> str:
    """Many numbers from 0 on: their ends only."""
    numbers = text.split(",")
    if len(numbers) < 9 or numbers != [str(i) for i in range(len(numbers))]:
        return f"`{text}`"
    return f"all {len(numbers)}: `0,1,...,{numbers[-1]}`"


def decisions(every: Mapping[str, str], less: Iterable[str] = ()) -> str:
    rows = [(f"`{key}`", words) for key, words in every.items() if key not in less]
    return table(("about", "what was decided"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(each.replace('|', chr(92) + '|').replace('*', chr(92) + '*') for each in cells)} |"

    return "\n".join([line(heads), f"|{'---|' * len(heads)}", *map(line, rows)])


PAGES: dict[Path, Callable[[str], str]] = {
    README: lambda text: with_blocks(README, with_sentences(text), comes_along(README)),
    CLI: lambda text: with_blocks(CLI, text, comes_along(CLI)),
    NETWORKS: lambda text: with_blocks(NETWORKS, text, of_networks()),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    stale = False
    for page, filled in PAGES.items():
        before = page.read_text()
        after = filled(before)
        if before == after:
            continue
        stale = True
        if args.check:
            sys.stderr.write(f"{page.relative_to(ROOT)} differs from what it is made of: python benchmarks/readme.py\n")
        else:
            page.write_text(after)
    return int(stale and args.check)


if __name__ == "__main__":
    sys.exit(main())
