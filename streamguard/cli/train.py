"""`streamguard train`: prepared footage and a recipe into weights."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, MissingPackageError
from .main import COMMANDS, Subparsers
from .stop import StopSignals

if TYPE_CHECKING:
    from ..data.index import Index
    from ..training.recipe import Recipe
    from ..training.train import Groups

LINE_EVERY_S = 10.0
MOST_STEPS = 1_000_000_000
"""What a recipe takes for one stage: it must be read again to resume."""


def add_parser(subparsers: Subparsers) -> None:
    from ..training.recipe import own_recipes

    names = ", ".join(own_recipes())
    parser = subparsers.add_parser(
        "train",
        help=COMMANDS["train"],
        description="Trains a network on what `streamguard data prepare` has made of footage; its weights lie in OUT.",
        epilog="OUT gets recipe.toml (as it was used), groups.json (who was trained on), log.jsonl, loss.png, "
        "checkpoint-STEP.pt, stage-N.safetensors and, at the end, weights.safetensors. Ctrl-C or SIGTERM writes a "
        "checkpoint and ends; --resume goes on from it. On several GPUs: torchrun --nproc-per-node N -m streamguard "
        "train ... . Example: streamguard train gml-s --data DATA --held-out 0/3 --out OUT --minutes 60",
    )
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help=f"a TOML file, or one of our own: {names}")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="what `data prepare` made")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for all that comes of it")
    held = parser.add_mutually_exclusive_group()
    held.add_argument("--held-out", metavar="I/K", help="do not touch fold I (from 0) of K; folds are of whole groups")
    held.add_argument("--groups-out", type=Path, metavar="FILE", help="do not touch the groups in it, a line each")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="KEY=VALUE",
        help="change the recipe: net.options.motion=none, optimizer.ema=0, stages.0.lr=1e-4, stages.*.pairs=4",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in OUT")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--minutes", type=float, metavar="M", help="be done by then, resumed or not: stages are cut short"
    )
    limit.add_argument("--steps", type=int, metavar="N", help="so many in all: stages keep their shares")
    parser.add_argument("--threads", type=int, metavar="N", help="for computing (PyTorch's own choice by default)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that make pairs (the recipe's by default)")
    parser.add_argument("--seed", type=int, metavar="S", help="the recipe's by default")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU, if there is one"
    )


def run(args: argparse.Namespace) -> int:
    if find_spec("torch") is None:
        raise MissingPackageError("torch", "train", "training")
    from ..data.index import Index
    from ..training.memory import keep_freed_memory
    from ..training.ranks import open_ranks, use_threads
    from ..training.train import Training

    _check_limits(args)
    _check_out(args)
    keep_freed_memory()
    if args.threads:
        use_threads(args.threads)
    index = Index.open(args.data)
    recipe, groups = _begin(args, index)
    args.out.mkdir(parents=True, exist_ok=True)
    with StopSignals() as signals, open_ranks(args.device) as ranks:
        tell = _teller() if ranks.first else (lambda line: None)
        if ranks.first:
            sys.stderr.write(
                f"{len(groups.trained)} groups to train on, {len(groups.monitored)} to look at meanwhile, "
                f"{len(groups.held_out)} held out; {recipe.steps} steps in {len(recipe.stages)} stages on "
                f"{ranks.device}\n"
            )
        training = Training(recipe, index, args.out, groups, ranks, minutes=args.minutes, resume=args.resume, tell=tell)
        outcome = training.run(lambda: signals.came)
        if not ranks.first:
            return signals.exit_code
    if not outcome.finished:
        again = f"streamguard train --data {shlex.quote(str(args.data))} --out {shlex.quote(str(args.out))} --resume"
        sys.stderr.write(f"stopped at step {outcome.step}; to go on: {again}\n")
        return signals.exit_code
    auc = outcome.monitored.get("auc", math.nan)
    print(f"wrote {args.out / 'weights.safetensors'}: {outcome.step} steps in {outcome.seconds / 60:.1f} minutes")
    if math.isfinite(auc):
        # The weights that it began from may have been trained on them.
        fresh = groups.seen_before is not None and not set(groups.monitored) & set(groups.seen_before)
        whose = "people who were not trained on" if fresh else "people who were not trained on in this training"
        print(f"AUC of pseudo-fakes of {whose}: {auc:.3f} (no measure of a detector)")
    print("\nNext:")
    print(f"  {_bundle_command(args.out)}")
    return 0


def _begin(args: argparse.Namespace, index: Index) -> tuple[Recipe, Groups]:
    """What is trained, and on whom: as told, or as the training in OUT was begun."""
    from ..training.recipe import read_recipe, with_steps
    from ..training.train import begun, groups_for

    if args.resume:
        given = {"RECIPE": args.recipe, "--set": args.changes, "--seed": args.seed, "--steps": args.steps}
        given |= {"--held-out": args.held_out, "--groups-out": args.groups_out}
        for name, value in given.items():
            if value not in (None, []):
                raise ConfigError(name, "is that of the training in OUT already: leave it out to resume")
        recipe, groups = begun(args.out)
        return _with_workers(recipe, args), groups
    if args.recipe is None:
        raise ConfigError("RECIPE", "is needed, unless a training is resumed")
    # As a change of the recipe, which checks it.
    seed = [] if args.seed is None else [f"seed={args.seed}"]
    recipe = read_recipe(args.recipe, [*args.changes, *seed])
    if args.steps is not None:
        if args.steps < len(recipe.stages):
            raise ConfigError("--steps", f"must be at least 1 for each of the {len(recipe.stages)} stages")
        if args.steps > MOST_STEPS:
            raise ConfigError("--steps", f"must be at most {MOST_STEPS}")
        recipe = with_steps(recipe, args.steps)
    return _with_workers(recipe, args), groups_for(index, recipe, _held_out(args, index))


def _with_workers(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    if args.workers is None:
        return recipe
    if not 0 <= args.workers <= 256:
        raise ConfigError("--workers", f"must be 0 to 256, not {args.workers}")
    return replace(recipe, data=replace(recipe.data, workers=args.workers))


def _check_limits(args: argparse.Namespace) -> None:
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise ConfigError("--minutes", f"must be more than 0, not {args.minutes:g}")
    if args.threads is not None and args.threads < 1:
        raise ConfigError("--threads", f"must be at least 1, not {args.threads}")


def _check_out(args: argparse.Namespace) -> None:
    """A folder with another training in it is not written into."""
    if os.environ.get("RANK", "0") != "0":
        return  # the first process looks, and may have begun to write by now
    out: Path = args.out
    if out.exists() and not out.is_dir():
        raise ConfigError("--out", f"{out} is a file; a folder is made")
    if not args.resume and out.is_dir() and any(out.iterdir()):
        raise ConfigError("--out", f"{out} is not empty: name another folder, or go on with --resume")


def _held_out(args: argparse.Namespace, index: Index) -> set[str]:
    if args.groups_out is not None:
        try:
            return {line.strip() for line in args.groups_out.read_text(encoding="utf-8").splitlines() if line.strip()}
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError("--groups-out", f"{args.groups_out} cannot be read") from exc
    if args.held_out is None:
        return set()
    number, slash, count = args.held_out.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and int(number) < int(count) and int(count) > 1):
        raise ConfigError("--held-out", f"must be I/K, as in 0/3 for the first of three folds, not {args.held_out}")
    return set(index.folds(int(count))[int(number)])


def _teller() -> Callable[[dict[str, Any]], None]:
    """Lines on stderr: every look at the monitored people, and some of the others."""
    last_s = -math.inf

    def tell(line: dict[str, Any]) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if "auc" not in line and now_s - last_s < LINE_EVERY_S:
            return
        last_s = now_s
        heard = f"  AUC {line['auc']:.3f}, ranked {line['ranked']:.3f}" if "auc" in line else ""
        sys.stderr.write(
            f"{line['seconds']:7.0f} s  stage {line['stage'] + 1}  step {line['step']:6}  loss {line['loss']:.4f}  "
            f"{line['crops_s']:.0f} crops/s{heard}\n"
        )
        sys.stderr.flush()

    return tell


def _bundle_command(out: Path) -> str:
    """`bundle new` would lose who was held out."""
    return f"streamguard bundle trained {shlex.quote(str(out))} BUNDLE"
