"""`streamguard demo`: a face that is faked by code beside the one that it was made from, scanned and reported."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from .main import COMMANDS, LIKELY_FAKE, Subparsers, exit_code
from .options import add_seconds, check_seconds

if TYPE_CHECKING:
    from .network import Network

SHOWS_EVENTS = True
PORTRAIT_S, WEBCAM_S = 8.0, 20.0

DESCRIPTION = f"""\
Makes a video by code from one public-domain photograph (NASA, by way of scikit-image): on the left a moving portrait,
on the right the same with its inner face faked, as a face swap does it. Then scans it as `streamguard scan` would.

An animated still is synthetic itself, on both sides. The demo shows the machinery: faces, identities, scores, states
and the report. It proves nothing about detection, whatever is thought of the two faces.

With --webcam it watches you instead, for {WEBCAM_S:g} seconds, as `streamguard watch webcam` would. Nothing leaves this
machine.
"""
EPILOG = """\
Writes report.html (open this one first), annotated.mp4, timeline.png and events.jsonl.

Exit codes: 0 done, 2 wrong usage, 3 there is no such webcam, 4 a model file is missing, 130 interrupted.
"""
SYNTHETIC = (
    "SYNTHETIC: both faces are one photograph, animated by code; of the right one the inner face is faked as well. "
    "This shows the machinery, and proves nothing about detection."
)


class NoWebcam(SourceError):
    """The demo does not wait for one."""

    what = "cannot be watched"
    remedy = "Plug in a webcam, name another one with --webcam=N, or run the demo without --webcam"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "demo",
        help=COMMANDS["demo"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="FOLDER", help="default: out/demo")
    add_seconds(parser, f"length of the video; default {PORTRAIT_S:g}, with --webcam {WEBCAM_S:g}")
    parser.add_argument(
        "--webcam", nargs="?", const="0", metavar="N", help="watch webcam N (default 0) instead of the portrait"
    )


def run(args: argparse.Namespace) -> int:
    from ..config import EngineConfig
    from .network import Network

    check_seconds(args.seconds)
    with Network.open(None, EngineConfig(maps="drawn")) as network:
        if args.webcam is None:
            code = _scan_portrait(network, args.out, args.seconds or PORTRAIT_S)
        else:
            code = _watch_webcam(network, args.webcam, args.out, args.seconds or WEBCAM_S)
    if (args.out / "report.html").exists() and code in (0, 130, 143, LIKELY_FAKE):
        print(f"\nNow open {args.out / 'report.html'}")
    return code


def _scan_portrait(network: Network, out: Path, seconds: float) -> int:
    """The exit code says nothing of verdicts: whatever is thought of a synthetic face is no alarm."""
    from ..assets import asset_path
    from ..sources.portrait import PortraitSource, faked_beside
    from .scanning import Scanner
    from .stop import StopSignals

    print(SYNTHETIC)
    with StopSignals() as stop:
        scanner = Scanner(network, stop, sys.stdout)
        scanner.tell_warning()
        source = PortraitSource(faked_beside(asset_path("portrait")), seconds=seconds)
        scanned = scanner.scan(source, out, name="StreamGuard demo", length_s=seconds, notes=[SYNTHETIC])
        print()
        scanner.tell_warning()
        return stop.exit_code or (exit_code(scanned.failure) if scanned.failure is not None else 0)


def _watch_webcam(network: Network, which: str, out: Path, seconds: float) -> int:
    from ..sources import open_source
    from .watch import watch

    with open_source(f"webcam:{which}") as source:
        files = network.files(out, title=source.url, maps="both")
        return watch(source, network, files, seconds=seconds, must_open=NoWebcam)
