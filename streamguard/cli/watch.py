"""`streamguard watch`: judge every face of a live stream while it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .main import COMMANDS, LIKELY_FAKE, Subparsers
from .options import (
    add_engine_options,
    add_maps_options,
    add_seconds,
    add_source_options,
    add_target,
    check_seconds,
    engine_config,
    maps_config,
    scoring_config,
    source_config,
)

if TYPE_CHECKING:
    from ..errors import SourceError
    from ..sources import Source
    from .network import Network
    from .record import Files

SHOWS_EVENTS = True

DESCRIPTION = """\
Watches a live URL, a webcam or a file, and tells of each face whether it is being faked: its state, the probability
with its interval, since when, and what keeps it from being judged.

  streamguard watch rtsp://user:password@camera/stream
  streamguard watch webcam --seconds 60 --out out/webcam
  streamguard watch rtsp://camera/stream >> faces.log
"""
EPILOG = """\
On a terminal a live table is shown. Otherwise one line an event; a face's score then at each change of its state, and
else every 5 seconds of media time: a log stays readable. --all-scores prints each.

With --out: report.html, annotated.mp4 (boxes, names, scores), timeline.png and events.jsonl (one event a line, each
score). Ctrl-C or SIGTERM ends it and finishes the files.

Exit codes are those of scan: 10 if somebody was LIKELY_FAKE at some time, 0 if nobody was, 130 after Ctrl-C.
Which network judges: --bundle; `streamguard bundle inspect` tells what the one is that comes with StreamGuard. With one
that is not trained, or not calibrated, nobody is judged, and every output says so.
"""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "watch",
        help=COMMANDS["watch"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write report, video, timeline and events there")
    parser.add_argument("--no-video", action="store_true", help="with --out: leave out annotated.mp4, the costly one")
    add_seconds(parser, "stop after so much media time")
    parser.add_argument("--all-scores", action="store_true", help="print every score, several a second for each face")
    add_maps_options(parser)
    add_engine_options(parser)
    add_source_options(parser)


def run(args: argparse.Namespace) -> int:
    from ..sources import open_source
    from .network import Network
    from .record import refuse_inputs

    check_seconds(args.seconds)
    settings = maps_config(engine_config(args), args, drawn=args.out is not None), scoring_config(args)
    with (
        open_source(args.target, source_config(args)) as source,  # before models are fetched: there may be no such file
        Network.open(args.bundle, *settings) as network,
    ):
        files = None
        if args.out is not None:
            maps = None if args.maps == "none" else args.maps
            files = network.files(args.out, title=source.url, video=not args.no_video, maps=maps)
            refuse_inputs([files], [args.target])
        return watch(source, network, files, seconds=args.seconds, all_scores=args.all_scores)


def watch(
    source: Source,
    network: Network,
    files: Files | None,
    *,
    seconds: float | None = None,
    all_scores: bool = False,
    must_open: type[SourceError] | None = None,
) -> int:
    """Judge a source until it ends; returns the exit code. `must_open` as in `show_and_record`."""
    from .follow import show_and_record
    from .score_view import ScoreView

    session, seat = network.join(source)
    with seat:
        view = ScoreView(sys.stdout, session, source, network, all_scores=all_scores)
        code = show_and_record(view, files, seat=seat, seconds=seconds, must_open=must_open)
        network.check_scores(session, view.scores)
    return code or (LIKELY_FAKE if view.alarmed else 0)
