"""`streamguard faces`: watch a video or stream and print what happens to each face."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..config import ClipConfig, ScoringConfig, SessionConfig
from .main import COMMANDS, Subparsers
from .options import add_seconds, add_source_options, add_target, check_seconds, source_config

SHOWS_EVENTS = True

DESCRIPTION = """\
Watches a video file, a live URL or a webcam, finds and follows every face, and prints what happens: faces appear and
are lost, media time breaks, the source fails and comes back. No network judges anything here: this shows what a
detector would be given.

  streamguard faces call.mp4
  streamguard faces rtsp://user:password@camera/stream --seconds 60
  streamguard faces webcam --out out/webcam
"""
EPILOG = """\
A face is named ID.GENERATION. The generation counts up whenever it may be somebody else: after hiding for long,
touching another face, a cut, or a change of looks. Nothing that is measured ever crosses a generation.

With --out: annotated.mp4 (boxes, names, quality), tracks.png (who was there when), events.jsonl (one event a line).
On a terminal a live table is shown; otherwise one line an event. Ctrl-C or SIGTERM ends it and finishes the files.
"""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "faces",
        help=COMMANDS["faces"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write annotated.mp4, tracks.png and events.jsonl")
    parser.add_argument("--no-video", action="store_true", help="with --out: leave out annotated.mp4, the costly one")
    add_seconds(parser, "stop after so much media time")
    parser.add_argument(
        "--detector", type=Path, metavar="FILE.onnx", help="a YuNet or SCRFD network instead of the built-in one"
    )
    parser.add_argument(
        "--clip",
        choices=["gml", "altfreezing"],
        default="gml",
        help="whose windows to count: gml (8 crops, 80 ms apart) or altfreezing (32 crops, 40 ms apart)",
    )
    add_source_options(parser)


CLIPS = {
    "gml": ClipConfig(),
    "altfreezing": ClipConfig(grid_s=0.04, length=32, hop_s=0.64, recipe="similarity"),
}


def run(args: argparse.Namespace) -> int:
    from ..session import Session
    from ..sources import open_source
    from .finders import finders
    from .follow import show_and_record
    from .record import TRACKS, Files, refuse_inputs
    from .view import FaceView

    check_seconds(args.seconds)
    files = None
    if args.out is not None:
        files = Files(folder=args.out, video=not args.no_video, picture=TRACKS)
        refuse_inputs([files], [args.target])
    with open_source(args.target, source_config(args)) as source:
        detector, mesher = finders(args.detector)  # after a look whether there is such a file
        # Nothing is judged here, so nothing is missed.
        settings = SessionConfig(clip=CLIPS[args.clip], scoring=ScoringConfig(cannot_judge_after_s=None))
        # The source's own name for itself is without credentials.
        session = Session(settings, detector=detector, mesher=mesher, stream_id=source.url)
        view = FaceView(sys.stdout, session, source)
        return show_and_record(view, files, seconds=args.seconds)
