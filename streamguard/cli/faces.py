"""`streamguard faces`: watch a video or stream and print what happens to each face."""

from __future__ import annotations

import argparse
import sys
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import ClipConfig, SessionConfig, SourceConfig
from ..errors import ConfigError
from .main import COMMANDS, Subparsers

if TYPE_CHECKING:
    from ..faces.detector import FaceDetector, FaceMesher
    from ..session import Session
    from ..sources import Source

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
    parser.add_argument(
        "target", metavar="TARGET", help="file, URL (rtsp, rtsps, rtmp, srt, http, hls, udp) or webcam[:N]"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write annotated.mp4, tracks.png and events.jsonl")
    parser.add_argument("--no-video", action="store_true", help="with --out: leave out annotated.mp4, the costly one")
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after so much media time")
    parser.add_argument(
        "--detector", type=Path, metavar="FILE.onnx", help="a YuNet or SCRFD network instead of the built-in one"
    )
    parser.add_argument(
        "--clip",
        choices=["gml", "altfreezing"],
        default="gml",
        help="whose windows to count: gml (8 crops, 80 ms apart) or altfreezing (32 crops, 40 ms apart)",
    )
    parser.add_argument("--udp", action="store_true", help="RTSP over UDP instead of TCP")
    parser.add_argument("--ca-file", metavar="FILE.pem", help="trust these CA certificates for rtsps and https")
    parser.add_argument("--insecure", action="store_true", help="accept any TLS certificate")


CLIPS = {
    "gml": ClipConfig(),
    "altfreezing": ClipConfig(grid_s=0.04, length=32, hop_s=0.64, recipe="similarity"),
}


def run(args: argparse.Namespace) -> int:
    from ..session import Session
    from ..sources import open_source
    from .record import refuse_own_input

    check_seconds(args.seconds)
    if args.out is not None:
        refuse_own_input(args.out, args.target, video=not args.no_video)
    config = SourceConfig(
        rtsp_transport="udp" if args.udp else "tcp", tls_ca_file=args.ca_file, tls_verify=not args.insecure
    )
    with open_source(args.target, config) as source:
        detector, mesher = finders(args.detector)  # after a look whether there is such a file
        settings = SessionConfig(clip=CLIPS[args.clip])
        # The source's own name for itself is without credentials.
        session = Session(settings, detector=detector, mesher=mesher, stream_id=source.url)
        return watch(source, session, out=args.out, video=not args.no_video, seconds=args.seconds)


def check_seconds(seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds < inf:  # not: so that nan is refused as well
        raise ConfigError("--seconds", f"must be more than 0, not {seconds:g}")


def finders(path: Path | None = None) -> tuple[FaceDetector, FaceMesher]:
    """The detector and the mesher; model files that are missing are fetched, with a progress bar."""
    from ..assets import pull
    from ..faces.detector import open_detector, open_mesher
    from .models import ProgressBar

    progress = ProgressBar() if sys.stderr.isatty() else None
    try:
        pull(progress=progress)
    finally:
        if progress is not None:
            progress.close()
    return open_detector(path), open_mesher()


def watch(
    source: Source, session: Session, *, out: Path | None, video: bool = True, seconds: float | None = None
) -> int:
    """Drive the session to its end, showing and recording what happens; returns the exit code.

    Ctrl-C and SIGTERM are ends like any other: the files are finished and named. Only their exit codes differ.
    """
    from ..run import drive
    from ..values import Frame
    from .record import Recording
    from .stop import StopSignals
    from .view import FaceView

    first_pts_s: float | None = None
    with (
        StopSignals() as stop,
        FaceView(sys.stdout, session, source) as view,
        Recording(out, session, video=video) as recording,
    ):
        for turn in drive(source, session):
            view.show(turn)
            recording.take(turn)
            if stop.came:
                break
            if seconds is not None and isinstance(turn.item, Frame):
                first_pts_s = turn.item.pts_s if first_pts_s is None else first_pts_s
                if turn.item.pts_s - first_pts_s >= seconds:
                    break
    for path in recording.files:
        print(f"wrote {path}")
    return stop.exit_code
