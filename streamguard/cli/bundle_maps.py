"""`streamguard bundle maps`: what a network's heat maps are on real faces, measured and written into its bundle."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BundleError, ConfigError
from ..sealed_files import check_replaceable
from .main import Subparsers

if TYPE_CHECKING:
    import numpy as np

    from ..bundle import Bundle, MapsSpec

CLIPS = 300
TELL_EVERY = 50

_MAPS = """\
Measures what a network's heat maps are on real faces, and writes that into a copy of its bundle. Only then the same
colour means the same in every clip; else each clip is shown against itself, and has a hottest place, whoever it is of.

  streamguard data prepare FOOTAGE --out DIR
  streamguard bundle maps trained --data DIR --out trained-with-maps

Scores, calibrations and verdicts stay as they are: none of them rests on a map.
"""


def add_maps(actions: Subparsers) -> None:
    maps = actions.add_parser(
        "maps",
        help="measure its heat maps on real faces",
        description=_MAPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    maps.add_argument("path", type=Path, metavar="BUNDLE", help="a folder or a zip")
    maps.add_argument("--data", type=Path, required=True, metavar="DIR", help="footage that `data prepare` prepared")
    maps.add_argument("--out", type=Path, required=True, metavar="NEW", help="folder; may be BUNDLE itself")
    maps.add_argument("--groups", nargs="+", metavar="GROUP", help="only these people; default: all of DIR")
    maps.add_argument("--clips", type=int, default=CLIPS, metavar="N", help=f"at most so many; default {CLIPS}")


def measure(args: argparse.Namespace) -> None:
    from ..bundle import open_bundle
    from ..data.index import Index
    from ..evaluation.real_clips import real_clips

    if args.clips < 1:
        raise ConfigError("--clips", f"must be at least 1, not {args.clips}")
    check_replaceable(args.out)
    bundle = open_bundle(args.path)
    index = Index.open(args.data)
    groups = sorted(set(args.groups)) if args.groups else list(index.groups)
    spec = _measured(bundle, real_clips(index, bundle.manifest.clip, groups, most=args.clips), args.data.name)
    _write(args.out, bundle, spec)
    print(f"on {spec.measured_on}:")
    for kind, limits in spec.ranges.items():
        print(f"  {kind}: {limits.low:.3g} in the middle; one place in a thousand has more than {limits.high:.3g}")
    print(f"wrote {args.out}")


def _measured(bundle: Bundle, clips: Iterable[tuple[str, np.ndarray]], name: str) -> MapsSpec:
    from ..engine.map_ranges import with_ranges
    from ..engine.open_backend import open_maps

    spec = bundle.manifest.maps
    if spec is None:
        raise BundleError(bundle.name, "maps", "is null: it has no maps graph, so there is nothing to measure")
    groups: set[str] = set()

    def told() -> Iterator[np.ndarray]:
        for number, (group, crops) in enumerate(clips, start=1):
            groups.add(group)
            if number % TELL_EVERY == 0:
                print(f"{number} clips", file=sys.stderr)
            yield crops

    with closing(open_maps(bundle, "auto")) as backend:
        spec = with_ranges(spec, backend, told(), measured_on="real faces")
    return dataclasses.replace(spec, measured_on=f"{spec.measured_on}, of {len(groups)} groups of people in {name}")


def _write(out: Path, bundle: Bundle, maps: MapsSpec) -> None:
    from ..bundle import seal
    from ..sealed_files import replacing

    manifest = dataclasses.replace(bundle.manifest, maps=maps)
    fields = {each.name: getattr(manifest, each.name) for each in dataclasses.fields(manifest)}
    with replacing(out) as folder:
        for name in fields.pop("files"):
            shutil.copyfile(bundle.folder / name, folder / name)
        seal(folder, fields)
