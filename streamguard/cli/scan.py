"""`streamguard scan`: judge video files, and write for each a report, an annotated video, a timeline and the events."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, SourceError, SourceNotFound
from .main import COMMANDS, LIKELY_FAKE, Subparsers, exit_code
from .options import (
    add_engine_options,
    add_maps_options,
    add_seconds,
    check_seconds,
    engine_config,
    maps_config,
    scoring_config,
)

if TYPE_CHECKING:
    from .find_videos import Found
    from .scanning import Scanned

SHOWS_EVENTS = True

DESCRIPTION = """\
Judges every face in video files, with the same code that watches live streams, as fast as this machine can.

  streamguard scan call.mp4
  streamguard scan recordings --out results
  streamguard scan call.mp4 --json | jq -c 'select(.verdictChanged)'

Of a folder all videos below it are scanned, less hidden ones and what scan itself wrote. Each gets a folder of its own
below OUT: report.html (open this one first), annotated.mp4, timeline.png and events.jsonl. The same file gives the same
results, but for the latencies and the epoch in its events.
"""
EPILOG = """\
Exit codes:
  0    scanned, and nobody was LIKELY_FAKE at any time
  10   scanned, and somebody was LIKELY_FAKE at some time; also if another file could not be read
  1    failed in another way, such as a full disk
  2    wrong usage or setting
  3    a file could not be read (the others were scanned), or there is no video
  4    a model file or package is missing, or the bundle is not what it must be
  130  interrupted (Ctrl-C), 143 by SIGTERM: the files of what was seen until then are finished
  141  whoever read the output has left

Which network judges: --bundle; `streamguard bundle inspect` tells what the one is that comes with StreamGuard. With one
that is not trained, or not calibrated, nobody is judged, and every output says so.
"""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "scan",
        help=COMMANDS["scan"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="+", metavar="FILE|DIR", help="video files, or folders with some")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("streamguard-scan"),
        metavar="FOLDER",
        help="default: streamguard-scan in this folder",
    )
    parser.add_argument("--json", action="store_true", help="print the events as JSON lines instead of tables")
    parser.add_argument("--no-video", action="store_true", help="leave out annotated.mp4, the costly one")
    add_seconds(parser, "look only at so much media time of each file")
    add_maps_options(parser)
    add_engine_options(parser)


def run(args: argparse.Namespace) -> int:
    from ..sinks.jsonl import JsonLines
    from .event_words import printable
    from .find_videos import find_videos
    from .network import Network
    from .record import refuse_inputs
    from .scanning import Scanner
    from .stop import StopSignals

    check_seconds(args.seconds)
    settings = maps_config(engine_config(args), args, drawn=True), scoring_config(args)
    maps = None if args.maps == "none" else args.maps
    found = find_videos([_path(target) for target in args.targets], args.out)
    with Network.open(args.bundle, *settings) as network, StopSignals() as stop:
        outputs = [network.files(video.folder, title="") for video in found.videos]
        refuse_inputs(outputs, [video.path for video in found.videos])
        said = sys.stderr if args.json else sys.stdout  # the events are alone on standard output
        events = JsonLines.stdout() if args.json else None
        scanner = Scanner(network, stop, said, events=events, seconds=args.seconds, video=not args.no_video, maps=maps)
        many = "1 video" if len(found.videos) == 1 else f"{len(found.videos)} videos"
        print(f"{many}; results go to {printable(str(args.out))}", file=said)
        scanner.tell_warning()
        for error in found.unlisted:
            print(f"streamguard: error: {printable(str(error))}", file=sys.stderr)
        results: list[Scanned] = []
        for video in found.videos:
            results.append(scanner.scan_file(video))
            if stop.came:
                break
        scanner.tell_all(results, len(found.videos))
        return stop.exit_code or _code(results, found)


def _path(target: str) -> Path:
    if not target:
        raise ConfigError("FILE|DIR", "must not be empty")
    if "://" in target and not os.path.exists(target):
        raise ConfigError("FILE|DIR", "scan reads files; live streams are for: streamguard watch URL")
    return Path(target)


def _code(results: Sequence[Scanned], found: Found) -> int:
    """An alarm is never hidden by another file that could not be read."""
    if any(result.account.alarmed for result in results):
        return LIKELY_FAKE
    failures = [result.failure for result in results if result.failure is not None]
    unscored = [failure for failure in failures if not isinstance(failure, SourceError)]
    if unscored:
        return exit_code(unscored[0])
    unreadable = found.unlisted or failures
    return exit_code(SourceNotFound("")) if unreadable else 0
