"""`python -m streamguard.nets`: what each network costs, what of it is for what, and whether others found the same.

Where another figure differs by more than it was rounded, the difference is explained by amounts that are counted here
too; what then is left is shown as not explained.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

try:
    import torch
    from torch import nn
except ModuleNotFoundError as exc:
    raise SystemExit(f"python -m streamguard.nets needs {exc.name}: pip install 'streamguard[train]'") from exc

from .cost import Cost, cost_of, macs
from .gml import GmlOptions
from .motion import MotionConsistency
from .registry import ENTRIES, options_as_text

IMAGENET_CLASSES = 1000
IMAGE_NETWORK = {"gml": "Xception", "gml-s": "EfficientNet-Lite0"}
"""What sees single crops in the networks that see motion."""


class Unit(NamedTuple):
    words: str
    size: float


SIZE = Unit("M parameters", 1e6)
CROP, CLIP, STEP = (Unit(f"GMAC a {each}", 1e9) for each in ("crop", "clip", "step"))


@dataclass(frozen=True, slots=True)
class Figure:
    """What somebody else found, and what is counted here."""

    of: str
    unit: Unit
    found: str
    """In that unit, as it stands there: the last digit says how it was rounded."""
    source: str
    counted: float
    """In ones, as are the reasons."""
    reasons: Mapping[str, float] = field(default_factory=dict)
    """What makes ours another one, and by how much."""

    @property
    def ours(self) -> float:
        return self.counted / self.unit.size

    @property
    def difference(self) -> float:
        return self.ours - float(self.found)

    @property
    def rest(self) -> float:
        """Of the difference, less what explains it."""
        return self.difference - sum(self.reasons.values()) / self.unit.size

    @property
    def same(self) -> bool:
        return self._is_rounding(self.difference)

    @property
    def explained(self) -> bool:
        return self.same or self._is_rounding(self.rest)

    def _is_rounding(self, difference: float) -> bool:
        decimals = len(self.found.partition(".")[2])
        return abs(difference) <= 0.5 * 10**-decimals + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Of a network, or what it would have more."""

    what: str
    parameters: float
    crop_macs: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m streamguard.nets", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    sys.stdout.write(json.dumps(as_json(), indent=2) + "\n" if args.json else "".join(f"{line}\n" for line in lines()))
    return 0


@cache
def cost(name: str, **options: str) -> Cost:
    return cost_of(ENTRIES[name], options)


def networks() -> Iterator[tuple[str, Cost]]:
    for name in ENTRIES:
        yield name, cost(name)
    yield "gml anomaly=no", cost("gml", anomaly="no")
    yield "gml anomaly=no motion=none", cost("gml", anomaly="no", motion="none")


def parts(name: str) -> list[Part]:
    """What a network that sees motion is made of, found by leaving one thing after another out; last, all of it."""
    plain, taps = cost(name, anomaly="no", motion="none"), cost(name, anomaly="no", motion="cstm")
    bare, branch, whole = cost(name, anomaly="no"), cost(name, anomaly_classifier="no"), cost(name)
    features, classes = _classifier(name)

    def more(what: str, less: Cost, than: Cost) -> Part:
        parameters, crop_macs = than.parameters - less.parameters, than.crop_macs - less.crop_macs
        return Part(what=what, parameters=parameters, crop_macs=crop_macs)

    head = Part(
        what=f"its classifier, {features} x {classes}",
        parameters=(features + 1) * classes,
        crop_macs=features * classes,
    )
    return [
        Part(
            what=f"{IMAGE_NETWORK[name]} without a classifier",
            parameters=plain.parameters - head.parameters,
            crop_macs=plain.crop_macs - head.crop_macs,
        ),
        head,
        more("taps in time (CSTM)", plain, taps),
        more("motion of two orders (MCM)", taps, bare),
        more("anomaly branch", bare, branch),
        more("its classifier", branch, whole),
        Part(what=name, parameters=whole.parameters, crop_macs=whole.crop_macs),
    ]


def imagenet_classes(name: str) -> Part:
    """What the image network has more as it was published."""
    features, classes = _classifier(name)
    more = IMAGENET_CLASSES - classes
    what = f"a classifier for ImageNet's {IMAGENET_CLASSES} classes"
    return Part(what=what, parameters=more * (features + 1), crop_macs=more * features)


def unrounded_channels() -> Part:
    """GML's MCM has a sixteenth of the channels, rounded down; all that works on them grows with their number."""
    net = _on_meta("gml")
    blocks = [each for each in net.modules() if isinstance(each, MotionConsistency) and each.reduce.in_channels % 16]
    channels, reduced = blocks[0].reduce.in_channels, blocks[0].reduce.out_channels
    convolutions = [each for block in blocks for each in block.modules() if isinstance(each, nn.Conv2d)]
    with torch.device("meta"):
        clip = torch.empty(1, net.length, net.size_px, net.size_px, 3, dtype=torch.uint8)
        counted = macs(nn.ModuleList(blocks), lambda: net(clip)) / net.length
    more = channels / 16 / reduced - 1
    return Part(
        what=f"{channels / 16} channels instead of {reduced}, where MCM reduces {channels}",
        parameters=more * sum(each.weight.numel() for each in convolutions),
        crop_macs=more * counted,
    )


def figures() -> list[Figure]:
    """Of papers and published code, derived by hand before anything here was written; and of others."""
    altfreezing, gml, bare = cost("altfreezing"), cost("gml"), cost("gml", anomaly="no")
    every = options_as_text(GmlOptions())["temporal"]
    step_macs = cost("gml-causal", temporal=every).step_macs or 0
    xception = cost("gml", anomaly="no", motion="none")
    lite = cost("gml-s", anomaly="no", motion="none", size_px="224")
    branch, branch_macs = gml.parameters - bare.parameters, gml.clip_macs - bare.clip_macs
    thousand, lite_thousand = imagenet_classes("gml"), imagenet_classes("gml-s")

    no_norms = "scales and shifts of norms, which that figure seems to leave out"
    no_branch = "the anomaly branch, which that figure leaves out"
    as_many = "running means and variances of norms, which that figure contains"
    rounded = {"that figure is 8 times one that was rounded to 5.29": bare.clip_macs - 8 * 5.29e9}
    gml_lite = "gml-s anomaly=no motion=none size_px=224"
    code = "derived from the published code by hand"
    paper = "derived from the paper by hand"
    keras = "Keras' table of applications"
    li14 = "README of d-li14/efficientnet-lite.pytorch"
    return [
        Figure("altfreezing", SIZE, "27.17", code, altfreezing.parameters, {no_norms: altfreezing.norm_parameters}),
        Figure("altfreezing", CLIP, "113.6", code, altfreezing.clip_macs),
        Figure("gml", SIZE, "24.2", paper, gml.parameters, {no_branch: branch, no_norms: bare.norm_parameters}),
        Figure("gml", CROP, "5.29", paper, gml.crop_macs, {no_branch: branch_macs / gml.clip_crops}),
        Figure("gml anomaly=no", SIZE, "24.2", paper, bare.parameters, {no_norms: bare.norm_parameters}),
        Figure("gml anomaly=no", CROP, "5.29", paper, bare.crop_macs),
        Figure("gml anomaly=no", CLIP, "42.3", paper, bare.clip_macs, rounded),
        Figure(
            *("gml-causal, every layer", STEP, "5.3", paper, step_macs),
            {no_branch: branch_macs / gml.clip_crops},
        ),
        Figure("the anomaly branch of gml", SIZE, "5.1", paper, branch),
        Figure("the anomaly branch of gml", CLIP, "7.9", paper, branch_macs),
        Figure("gml anomaly=no motion=none", SIZE, "20.8", paper, xception.parameters),
        Figure("gml anomaly=no motion=none", CROP, "4.55", paper, xception.crop_macs),
        Figure(
            *("gml anomaly=no motion=none", SIZE, "22.910480", keras, xception.parameters),
            {**_lacks(thousand.parameters), as_many: -xception.norm_parameters},
        ),
        Figure(gml_lite, SIZE, "4.652", li14, lite.parameters, _lacks(lite_thousand.parameters)),
        Figure(gml_lite, CROP, "0.385", li14, lite.crop_macs, _lacks(lite_thousand.crop_macs)),
    ]


def _lacks(amount: float) -> dict[str, float]:
    return {f"a classifier for ImageNet's {IMAGENET_CLASSES} classes, which that figure contains": -amount}


def _classifier(name: str) -> tuple[int, int]:
    """Features and classes."""
    classifier = _on_meta(name).classifier
    return classifier.in_features, classifier.out_features


@cache
def _on_meta(name: str) -> Any:
    with torch.device("meta"):
        return ENTRIES[name].build()


def as_json() -> dict[str, Any]:
    return {
        "networks": [
            {"network": name, **dataclasses.asdict(each), "crop_macs": each.crop_macs} for name, each in networks()
        ],
        "parts": {name: [dataclasses.asdict(part) for part in parts(name)] for name in IMAGE_NETWORK},
        "lacking": [dataclasses.asdict(part) for part in _lacking()],
        "figures": [_figure_as_json(figure) for figure in figures()],
    }


def _lacking() -> list[Part]:
    return [imagenet_classes("gml"), unrounded_channels()]


def _figure_as_json(figure: Figure) -> dict[str, Any]:
    return {
        "of": figure.of,
        "unit": figure.unit.words,
        "found": float(figure.found),
        "source": figure.source,
        "ours": figure.ours,
        "same_as_rounded": figure.same,
        "reasons": {reason: amount / figure.unit.size for reason, amount in figure.reasons.items()},
        "rest": figure.rest,
        "explained": figure.explained,
    }


_ROW = "{:<28}{:>8}{:>11}{:>11}{:>11}{:>12}{:>4}{:>4}{:>14}  {}"
_HEADINGS = (
    "network",
    "M param",
    "GMAC/crop",
    "GMAC/clip",
    "GMAC/step",
    "GMAC/score",
    "T",
    "R",
    "look-ahead",
    "causal",
)


def lines() -> Iterator[str]:
    yield _ROW.format(*_HEADINGS)
    for name, each in networks():
        yield _row(name, each)
    yield "A clip is R + T crops. A score costs a clip, or of a causal network the steps since the last score."
    for name in IMAGE_NETWORK:
        yield ""
        yield f"{name} is made of:"
        yield from map(_part_line, parts(name))
    yield ""
    yield "What gml would have more with:"
    yield from map(_part_line, _lacking())
    yield ""
    yield "Against other figures:"
    for figure in figures():
        yield from _figure_lines(figure)


def _row(name: str, each: Cost) -> str:
    return _ROW.format(
        name,
        f"{each.parameters / 1e6:.2f}",
        f"{each.crop_macs / 1e9:.2f}",
        f"{each.clip_macs / 1e9:.1f}",
        "-" if each.step_macs is None else f"{each.step_macs / 1e9:.2f}",
        f"{each.score_macs / 1e9:.1f}",
        each.length,
        each.memory,
        f"{each.look_ahead} ({each.look_ahead_s:g} s)",
        "yes" if each.causal else "no",
    )


def _part_line(part: Part) -> str:
    return f"  {part.what:<62}{part.parameters / 1e6:>9.4f} M parameters{part.crop_macs / 1e6:>11.3f} M MAC a crop"


def _figure_lines(figure: Figure) -> Iterator[str]:
    verdict = "the same, as far as it is rounded" if figure.same else f"{figure.difference:+.4f}"
    yield f"  {figure.of}: {figure.ours:.4f} {figure.unit.words}; {figure.source}: {figure.found}: {verdict}"
    if figure.same:
        return
    for reason, amount in figure.reasons.items():
        yield f"      {amount / figure.unit.size:+.4f}  {reason}"
    yield f"      {figure.rest:+.4f}  {'rest: rounding' if figure.explained else 'NOT EXPLAINED'}"


if __name__ == "__main__":
    sys.exit(main())
