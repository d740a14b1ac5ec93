"""`streamguard data`: make an index of footage for training and evaluation, and cut its faces once for all."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..errors import ConfigError, DataError
from .account import table
from .event_words import printable
from .main import COMMANDS, DATA_FAILED, Subparsers
from .options import check_seconds

if TYPE_CHECKING:
    from ..data.datasets import Dataset
    from ..data.index import Footage, Index
    from ..data.prepare import Plan
    from ..data.tracks import Done, Settings

DESCRIPTION = """\
Training and evaluation look at faces that were cut once, by the same code that cuts them from live video. prepare finds
out which footage there is, what is true of it and whose it is, and keeps its faces in a folder; show tells what is in
such a folder.

  streamguard data prepare recordings --out data/own
  streamguard data prepare FaceForensics++ --out data/ffpp --jobs 8
  streamguard data show data/own --pictures faces.html
"""
PREPARE = """\
Finds footage in SOURCE, and cuts its faces into DIR. Run it again to go on where it was stopped: only what is missing
is done, what was made with other settings, or of a file that changed, and what was damaged.

SOURCE is told by its layout, or by --kind:
{kinds}

A file that cannot be read is told, and the others are done. Where people are in the footage of several files, those
must be in one group: no measurement is worth anything whose people the network was trained on. Groups come from what
the files are named, or from a table of yours. More: docs/data.md.

About 5 MB are kept for each second of a large face.
"""
EXITS = """\
Exit codes: 0 done, 3 some footage could not be read, or SOURCE is nothing that is known, 1 failed in another way, such
as a full disk, 2 wrong usage or setting, 4 a model file is missing, 130 Ctrl-C and 143 SIGTERM: run it again to go on.
"""
HEAD = ("label", "method", "clips", "groups", "tracks", "minutes", "failed", "no face")
MOST_TOLD = 20
"""Failures that are told one by one."""


def add_parser(subparsers: Subparsers) -> None:
    from ..data.adapters import LOOKED_FOR, Kind
    from ..data.benchmarks import COMPRESSIONS

    parser = subparsers.add_parser(
        "data",
        help=COMMANDS["data"],
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    kinds = "\n".join(f"  {kind:<16} {what}" for kind, what in LOOKED_FOR.items())
    prepare = actions.add_parser(
        "prepare",
        help="find footage, and cut its faces",
        description=PREPARE.format(kinds=kinds),
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.add_argument("source", type=Path, metavar="SOURCE", help="a folder, or a table of files (.tsv)")
    prepare.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the index and the faces go")
    prepare.add_argument("--kind", choices=("auto", *get_args(Kind)), default="auto", help="the layout of SOURCE")
    prepare.add_argument(
        "--seconds", type=float, default=20.0, metavar="N", help="of each footage, with a face in view; default: 20"
    )
    prepare.add_argument(
        "--grid",
        type=float,
        default=0.04,
        metavar="S",
        help="seconds between two pictures of a face; default: 0.04, which networks on grids of 0.04 and 0.08 take",
    )
    prepare.add_argument("--jobs", type=int, metavar="N", help="processes; default: one a core")
    prepare.add_argument("--limit", type=int, metavar="N", help="only so many, from all over SOURCE: for a trial")
    prepare.add_argument(
        "--compression", choices=COMPRESSIONS, help="of FaceForensics++; default: the first of these that is there"
    )
    prepare.add_argument(
        "--reals",
        type=Path,
        metavar="FOLDER",
        help="FaceForensics++, whose originals are DeeperForensics' real footage",
    )
    prepare.add_argument(
        "--groups",
        type=Path,
        metavar="FILE.tsv",
        help="columns file and group: where the layout of SOURCE is wrong about who is who",
    )
    show = actions.add_parser("show", help="tell what was prepared")
    show.add_argument("folder", type=Path, metavar="DIR", help="what `prepare` wrote")
    show.add_argument(
        "--pictures", type=Path, metavar="FILE.html", help="write a page with the first picture of each face"
    )


def run(args: argparse.Namespace) -> int:
    return _prepare(args) if args.action == "prepare" else _show(args)


def _prepare(args: argparse.Namespace) -> int:
    from ..cores import usable_cores
    from ..data.adapters import read_dataset, regrouped
    from ..data.prepare import plan
    from ..data.tracks import Settings

    check_seconds(args.seconds)
    if not 0.005 <= args.grid < inf:
        raise ConfigError("--grid", f"must be at least 0.005 seconds, not {args.grid:g}")
    for name in ("jobs", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name}", f"must be at least 1, not {value}")
    found = read_dataset(args.source, args.kind, compression=args.compression, reals=args.reals)
    index = found.index(args.out.resolve())
    if args.groups is not None:
        index = regrouped(index, args.groups)
    if args.limit is not None:
        index = index.limited(args.limit)
    _check_folder(index)
    index.save()
    settings = Settings(seconds=args.seconds, grid_s=args.grid)
    plan_ = plan(index, settings)
    _tell(found, index, plan_)
    stopped = _work(index, plan_, settings, args.jobs or usable_cores())
    return stopped or _tell_all(index)


def _check_folder(index: Index) -> None:
    """Other footage in the same folder would lose its index. Media that were moved are the same footage."""
    from ..data.index import Index

    if not (index.folder / "index.json").is_file():
        return
    before = Index.open(index.folder)
    files = {footage.file for footage in before.footage}
    if before.root != index.root and not any(footage.file in files for footage in index.footage):
        raise DataError(str(index.folder), f"holds the index of other footage ({before.root}). Name another --out")


def _tell(found: Dataset, index: Index, plan: Plan) -> None:
    count = len(index.footage)
    print(f"{printable(str(index.root))}: {found.kind}, {count} clips of {len(index.groups)} groups", file=sys.stderr)
    warnings = list(found.warnings)
    torn = index.torn_groups()
    if torn:
        warnings.append(
            f"{len(torn)} of {len(index.groups)} groups are in more than one official split (such as {torn[0]}): "
            "results on those splits are about people whom the network was trained on"
        )
    people = index.torn_identities()
    if people:
        warnings.append(
            f"{len(people)} identities are in more than one group (such as {people[0]}): a network is tested on people "
            "whom it was trained on. Give all their footage one group"
        )
    for warning in warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    if plan.kept:
        print(f"{plan.kept} were done before", file=sys.stderr)
    if plan.remade:
        print(f"{plan.remade} are made anew: with other settings, of files that changed, or damaged", file=sys.stderr)


def _work(index: Index, plan: Plan, settings: Settings, jobs: int) -> int:
    """0, or the exit code of a signal that came."""
    from ..data.prepare import prepare
    from ..data.twins import compare
    from .progress import Count
    from .stop import StopSignals

    failed = 0
    with StopSignals() as stop, Count(sys.stderr, index.folder.name, len(plan.todo)) as count:
        ready = prepare(index, plan.todo, settings, jobs=min(jobs, max(1, len(plan.todo))), stopped=lambda: stop.came)
        for number, (_, done) in enumerate(ready, 1):
            if done.failure:
                failed += 1
                if failed <= MOST_TOLD:
                    count.clear()
                    print(f"streamguard: error: {printable(done.failure)}", file=sys.stderr)
            count.show(number, f"{failed} failed" if failed else "")
        if stop.came:
            count.clear()
            print("stopped: run the same command again to go on", file=sys.stderr)
        else:
            for _ in compare(index):
                pass  # what it finds is in the account
        return stop.exit_code


def _tell_all(index: Index) -> int:
    account = _account(index)
    for line in account.lines():
        print(line)
    return DATA_FAILED if account.failures else 0


def _show(args: argparse.Namespace) -> int:
    from ..data.index import Index

    index = Index.open(args.folder)
    account = _account(index)
    print(f"{printable(str(index.root))}: {len(index.footage)} clips of {len(index.groups)} groups")
    for line in account.lines():
        print(line)
    if args.pictures is not None:
        from .data_pictures import write_pictures
        from .progress import Count

        with Count(sys.stderr, args.pictures.name, len(index.footage)) as count:
            pictures = write_pictures(index, args.pictures, count.show)
        print(f"{pictures} faces: {printable(str(args.pictures))}")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """What is in an index, and what became of it."""

    done: dict[str, Done | None]
    index: Index

    @property
    def failures(self) -> list[str]:
        return [one.failure for one in self.done.values() if one is not None and one.failure]

    def lines(self) -> Iterator[str]:
        kinds = sorted({_kind(footage) for footage in self.index.footage}, reverse=True)
        rows = [self._row(kind, [one for one in self.index.footage if _kind(one) == kind]) for kind in kinds]
        if len(rows) > 1:
            rows.append(self._row(("all", ""), self.index.footage))
        for line in table(HEAD, rows):
            yield printable(line)
        splits = sorted({footage.split for footage in self.index.footage} - {""})
        for split in splits:
            some = [footage for footage in self.index.footage if footage.split == split]
            yield f"official split {printable(split)}: {len(some)} clips of {len({one.group for one in some})} groups"
        untouched = sum(found.untouched for one in self.done.values() if one is not None for found in one.tracks)
        if untouched:
            yield f"{untouched} faces were left as they are in a fake of somebody else: they are not counted, nor used"
        waiting = sum(one is None for one in self.done.values())
        if waiting:
            yield f"{waiting} are not prepared yet: streamguard data prepare"
        strangers = _strangers(self.index)
        if strangers:
            yield f"{strangers} folders in {printable(str(self.index.folder / 'tracks'))} belong to no footage here"
        for failure in self.failures[:MOST_TOLD]:
            yield f"failed: {printable(failure)}"
        if len(self.failures) > MOST_TOLD:
            yield f"and {len(self.failures) - MOST_TOLD} more"

    def _row(self, kind: tuple[str, str], some: Sequence[Footage]) -> tuple[str, ...]:
        done = [one for footage in some if (one := self.done[footage.key]) is not None]
        tracks = sum(len(one.kept) for one in done)
        return (
            *kind,
            str(len(some)),
            str(len({footage.group for footage in some})),
            str(tracks),
            f"{sum(one.kept_s for one in done) / 60:.1f}",
            str(sum(bool(one.failure) for one in done)),
            str(sum(not one.failure and not one.tracks for one in done)),
        )


def _account(index: Index) -> _Account:
    from ..data.tracks import Done

    return _Account(
        index=index, done={footage.key: Done.open(index.tracks_folder(footage)) for footage in index.footage}
    )


def _kind(footage: Footage) -> tuple[str, str]:
    """Stills are told apart: they hold no minutes."""
    stills = "stills" if footage.still else ""
    return footage.label, ", ".join(word for word in (footage.method, stills) if word)


def _strangers(index: Index) -> int:
    folder = index.folder / "tracks"
    keys = {footage.key for footage in index.footage}
    return sum(entry.name not in keys for entry in os.scandir(folder)) if folder.is_dir() else 0
