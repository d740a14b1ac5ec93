"""`streamguard demo`: make a moving portrait, watch it, and show what was seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from .main import COMMANDS, Subparsers

SHOWS_EVENTS = True

DESCRIPTION = """\
Makes a video by code from one public-domain photograph (NASA, by way of scikit-image): two people who move, blink and
talk, walk past each other, and are covered for a moment. Then watches it as `streamguard faces` would.

An animated still is synthetic itself. The demo shows the machinery: faces, identities, windows. It judges nobody.
"""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "demo",
        help=COMMANDS["demo"],
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="FOLDER", help="default: out/demo")
    parser.add_argument("--seconds", type=float, default=12.0, metavar="N", help="length of the video; default 12")


def run(args: argparse.Namespace) -> int:
    from ..assets import asset_path
    from ..config import SessionConfig
    from ..session import Session
    from ..sources.portrait import PortraitSource, two_people
    from .faces import check_seconds, finders, watch

    check_seconds(args.seconds)
    print("The people in this demo are one photograph, animated and recoloured by code. Nobody is judged.\n")
    detector, mesher = finders()
    session = Session(SessionConfig(), detector=detector, mesher=mesher, stream_id="demo")
    source = PortraitSource(two_people(asset_path("portrait")), seconds=args.seconds)
    return watch(source, session, out=args.out)
