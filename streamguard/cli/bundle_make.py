"""`streamguard bundle new` and `bundle import`: from a registered network to a bundle that `scan` can run."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import ClipConfig
from ..errors import ConfigError, MissingPackageError
from ..sealed_files import check_replaceable
from .main import Subparsers

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..nets.registry import Entry

_NEW = """\
Makes a bundle of one of StreamGuard's networks, to try it, measure it, or look at what it answers.

  streamguard bundle new gml-s small
  streamguard bundle new gml-causal tiny --option width=0.25 --option temporal=4,7
  streamguard bundle new gml trained --weights gml.safetensors --data 'FaceForensics++ c23' --licence MIT

Without --weights it is UNTRAINED: its weights are random, its scores mean nothing, and nobody is judged by them.
`streamguard models nets` lists the networks with their options. How far its graphs are from PyTorch is measured on this
machine: that takes from seconds to minutes. OUT is a folder; an older bundle there is replaced, anything else refused.
"""
_IMPORT = """\
Makes a bundle of weights that others published. Today that is AltFreezing's model.pth (CVPR 2023):

  streamguard bundle import altfreezing model.pth altfreezing
  streamguard scan VIDEO --bundle altfreezing

Every tensor of the file must be the network's, and every one of the network in the file. Nothing in it is executed.
The bundle is UNCALIBRATED: its scores rank faces, and say of none how likely it is fake. So there is no p_fake, and no
face is called real or fake, until it is calibrated.
"""
_TRAINED = """\
Makes a bundle of what `streamguard train` left in a folder: its network, its weights, the span of its crops, and whom
it never saw, so that `evaluate` tests it on nobody else.

  streamguard train gml-s --data DIR --held-out 0/3 --out run
  streamguard bundle trained run fold-0 --store fp16
  streamguard evaluate fold-0 --data DIR --out results
"""
IMPORTS = ("altfreezing",)
PACKAGES = ("torch", "safetensors", "onnx", "onnxscript")


def add_new(actions: Subparsers) -> None:
    new = actions.add_parser(
        "new",
        help="make one of a network, untrained or with weights",
        description=_NEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("network", metavar="NETWORK", help="as `streamguard models nets` calls it")
    new.add_argument("out", type=Path, metavar="OUT", help="folder")
    new.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="another value than its own; repeatable"
    )
    new.add_argument(
        "--span",
        type=float,
        default=2.0,
        metavar="SCALES",
        help="side of the square that its crops show, in sizes of the face: 1 to 2; default: 2",
    )
    _add_store(new)
    new.add_argument("--seed", type=int, metavar="N", help="of the random weights; default: 0")
    new.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="trained weights instead: .safetensors, or what torch.save wrote",
    )
    _add_account(new)


def add_trained(actions: Subparsers) -> None:
    trained = actions.add_parser(
        "trained",
        help="make one of what was trained",
        description=_TRAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    trained.add_argument("run", type=Path, metavar="RUN", help="folder that `streamguard train` wrote")
    trained.add_argument("out", type=Path, metavar="OUT", help="folder")
    trained.add_argument("--stage", type=int, metavar="N", help="the weights at the end of stage N; default: the last")
    _add_store(trained)
    _add_account(trained)
    trained.add_argument("--commit", type=_commit, metavar="HEX", help="of the code that trained it")


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        choices=["fp32", "fp16"],
        default="fp32",
        help="what a weight takes on the disk; fp16 halves the bundle and rounds the weights; default: fp32",
    )


def _add_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="TEXT", help="what these were trained on, for the bundle's account")
    parser.add_argument("--licence", metavar="TEXT", help="what these may be used for, likewise")


def add_import(actions: Subparsers) -> None:
    importing = actions.add_parser(
        "import",
        help="make one of weights that others published",
        description=_IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    importing.add_argument("network", metavar="NETWORK", help=" or ".join(IMPORTS))
    importing.add_argument("file", type=Path, metavar="FILE", help="the checkpoint, as published")
    importing.add_argument("out", type=Path, metavar="OUT", help="folder")


def new(args: argparse.Namespace) -> None:
    entry = _entry(args.network)
    options = _options(args.option)
    seed = 0 if args.seed is None else args.seed
    if not 0 <= seed < 1 << 63:
        raise ConfigError("--seed", f"must be 0 to {(1 << 63) - 1}, not {seed}")
    if args.seed is not None and args.weights is not None:
        raise ConfigError("--seed", "is of random weights, and --weights are not")
    for name in ("data", "licence"):
        said = getattr(args, name)
        if args.weights is None and said is not None:
            raise ConfigError(f"--{name}", "is said of --weights, and there are none")
    _check_account(args)
    _check_span(args.span, entry)
    _check_out(args.out)
    _need_packages("`streamguard bundle new`")
    from streamguard_export.registered import Making, bundle_of_weights, new_bundle

    making = Making(span=args.span, store=args.store)
    if args.weights is None:
        bundle = new_bundle(args.out, entry, options, seed=seed, making=making, progress=_progress())
    else:
        bundle = bundle_of_weights(
            args.out,
            entry,
            options,
            args.weights,
            data=args.data or "not said",
            licence=args.licence or "not said",
            making=making,
            progress=_progress(),
        )
    _tell(bundle, args.out)


def trained(args: argparse.Namespace) -> None:
    from ..training.recipe import read_recipe
    from ..training.train import GROUPS, RECIPE, WEIGHTS, read_groups

    _check_account(args)
    _check_out(args.out)
    _need_packages("`streamguard bundle trained`")
    from streamguard_export.registered import Making, bundle_of_weights

    if not (args.run / RECIPE).is_file():
        raise ConfigError(
            "RUN", f"{args.run} is no folder of a training: it has no {RECIPE}. It is the --out of `streamguard train`"
        )
    recipe = read_recipe(str(args.run / RECIPE))
    file = args.run / (WEIGHTS if args.stage is None else f"stage-{args.stage}.safetensors")
    if not file.is_file():
        there = ", ".join(sorted(path.name for path in args.run.glob("*.safetensors"))) or "no weights yet"
        raise ConfigError("RUN", f"{file} does not exist; there is {there}")
    bundle = bundle_of_weights(
        args.out,
        recipe.entry,
        recipe.options,
        file,
        data=args.data or "not said",
        licence=args.licence or "not said",
        commit=args.commit or "none",
        held_out=read_groups(args.run / GROUPS, "RUN").held_out,
        making=Making(span=recipe.net.span if recipe.entry.recipe == "square" else 2.0, store=args.store),
        progress=_progress(),
    )
    _tell(bundle, args.out)


def import_published(args: argparse.Namespace) -> None:
    if args.network not in IMPORTS:
        raise ConfigError(
            "NETWORK", f"no published weights of {args.network} are known; there are: {', '.join(IMPORTS)}"
        )
    _check_out(args.out)
    _need_packages("`streamguard bundle import`")
    from streamguard_export.registered import bundle_of_altfreezing

    _tell(bundle_of_altfreezing(args.out, args.file, progress=_progress()), args.out)


def _entry(name: str) -> Entry:
    from ..nets.registry import ENTRIES

    if name not in ENTRIES:
        raise ConfigError("NETWORK", f"there is no network {name}; there are: {', '.join(ENTRIES)}")
    return ENTRIES[name]


def _options(given: list[str]) -> Mapping[str, str]:
    options = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise ConfigError("--option", f"must be NAME=VALUE, not {each}")
        options[name] = value
    return options


def _commit(text: str) -> str:
    if re.fullmatch("[0-9a-f]{7,40}", text) is None:
        raise argparse.ArgumentTypeError(f"must be 7 to 40 hexadecimal digits, not {text!r}")
    return text


def _check_account(args: argparse.Namespace) -> None:
    for name in ("data", "licence"):
        said = getattr(args, name)
        if said is not None and not said.isprintable():  # no bundle would take it, minutes later
            raise ConfigError(f"--{name}", "must be one line of printable text")


def _check_span(span: float, entry: Entry) -> None:
    """As the bundle would, minutes later."""
    try:
        ClipConfig(recipe=entry.recipe, span=span)
    except ConfigError as exc:
        raise ConfigError("--span", exc.problem) from exc


def _check_out(out: Path) -> None:
    if out.suffix.lower() == ".zip":
        raise ConfigError("OUT", f"{out} would be a folder; `streamguard bundle pack` makes a zip of one afterwards")
    check_replaceable(out)


def _need_packages(what: str) -> None:
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingPackageError(package, "export", what)


def _progress() -> Callable[[str], None]:
    """Lines on stderr with the time since the start: some of them stay for minutes."""
    start_s = time.monotonic()

    def tell(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - start_s:5.0f} s  {line}\n")
        sys.stderr.flush()

    return tell


def _tell(bundle: Bundle, out: Path) -> None:
    total_bytes = sum(spec.size_bytes for spec in bundle.manifest.files.values())
    print(f"wrote {out}: {bundle.name}, {total_bytes / 1e6:.1f} MB")
    for graph, specs in bundle.manifest.graphs.items():
        for precision, spec in specs.items():
            print(f"  {graph:<6} {precision:<4} raw scores within {spec.tolerance:g} of PyTorch's")
    print()
    if bundle.manifest.trained:
        print("UNCALIBRATED: its scores are no probabilities. There is no p_fake, and no face is called real or fake,")
        print("until it is calibrated.")
    else:
        print("UNTRAINED: its weights are random, its scores mean nothing, and nobody is judged by them.")
    print("\nNext:")
    print(f"  streamguard bundle inspect {shlex.quote(str(out))}")
    print(f"  streamguard scan VIDEO --bundle {shlex.quote(str(out))}")
