"""Options that several commands share, and the settings that they become."""

from __future__ import annotations

import argparse
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import get_args

from ..config import BackendName, EngineConfig, ScoringConfig, SourceConfig
from ..errors import ConfigError


def add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="TARGET", help="file, URL (rtsp, rtsps, rtmp, srt, http, hls, udp) or webcam[:N]"
    )


def add_source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--udp", action="store_true", help="RTSP over UDP instead of TCP")
    parser.add_argument("--ca-file", metavar="FILE.pem", help="trust these CA certificates for rtsps and https")
    parser.add_argument("--insecure", action="store_true", help="accept any TLS certificate")


def source_config(args: argparse.Namespace) -> SourceConfig:
    return SourceConfig(
        rtsp_transport="udp" if args.udp else "tcp", tls_ca_file=args.ca_file, tls_verify=not args.insecure
    )


def add_seconds(parser: argparse.ArgumentParser, told: str, *, default: float | None = None) -> None:
    parser.add_argument("--seconds", type=float, default=default, metavar="N", help=told)


def check_seconds(seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds < inf:  # not: so that nan is refused as well
        raise ConfigError("--seconds", f"must be more than 0, not {seconds:g}")


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Which network judges, and what runs it."""
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="PATH",
        help="the network: a folder, a zip, or `untrained`, which judges nobody; default: the one that comes with "
        "StreamGuard",
    )
    parser.add_argument(
        "--backend",
        choices=get_args(BackendName),
        default="auto",
        help="what runs it; auto: OpenVINO, else ONNX Runtime",
    )
    parser.add_argument(
        "--graph",
        choices=["auto", "window", "step"],
        default="auto",
        help="step: each new picture once; window: whole clips; auto: step where the bundle has it",
    )
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16", "int8"],
        default="auto",
        help="auto: the fastest calibrated one that this processor is made for",
    )
    parser.add_argument(
        "--prior",
        type=float,
        metavar="P",
        help="share of fakes that you expect, between 0 and 1; default: what the bundle was calibrated under",
    )


def engine_config(args: argparse.Namespace) -> EngineConfig:
    return EngineConfig(backend=args.backend, graph=args.graph, precision=args.precision)


def add_maps_options(parser: argparse.ArgumentParser) -> None:
    """Where the network found something, for people to look at."""
    parser.add_argument(
        "--maps",
        choices=["both", "motion", "anomaly", "none"],
        default="both",
        help="heat map over suspect faces in annotated.mp4: both in one, or one of them; report.html shows each. Only "
        "of calibrated networks that have a graph for it. An aid for looking, no proof. Default: both",
    )
    parser.add_argument(
        "--maps-in-events", action="store_true", help="scores carry the newest heat maps of their face, now and then"
    )


def maps_config(config: EngineConfig, args: argparse.Namespace, *, drawn: bool) -> EngineConfig:
    """`drawn`: there is something to draw them into."""
    if args.maps_in_events:
        return replace(config, maps="events")
    return replace(config, maps="drawn" if drawn and args.maps != "none" else "none")


def scoring_config(args: argparse.Namespace) -> ScoringConfig:
    try:
        return ScoringConfig(prior=args.prior)
    except ConfigError as exc:
        raise ConfigError("--prior", exc.problem) from exc
