"""`streamguard evaluate`: what a network is worth on footage whose labels are known, with intervals."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from .. import __version__
from ..config import BackendName, EngineConfig
from ..errors import ConfigError
from .account import table
from .event_words import printable
from .main import COMMANDS, DATA_FAILED, Subparsers
from .options import check_seconds, scoring_config

if TYPE_CHECKING:
    from ..bundle import Bundle, Calibration
    from ..data.index import Index
    from ..evaluation.evaluate import Comparison, Condition, Evaluation, Slice
    from ..evaluation.traces import TraceFile, TraceSet
    from ..evaluation.tracing import Plan

DESCRIPTION = """\
Runs prepared footage through the same code that judges live streams, keeps what the network said (traces), and measures
it: who ranks above whom, what probabilities are worth, who is accused and who is told how soon.

  streamguard evaluate my-bundle --data data/own --out results
  streamguard evaluate my-bundle --data data/own --out results --conditions harmonised,robustness,shortcuts
  streamguard evaluate --traces fold0/traces.jsonl fold1/traces.jsonl fold2/traces.jsonl --out results

OUT gets traces.jsonl, evaluation.json and report.html, which holds pictures of faces: keep it to yourself. Run it again
with the same OUT to go on where it was stopped.

Numbers are worth something only on people whom the network was not trained on. A bundle that says whom it was held out
from is traced on those and no others. Of K networks, each trained on all but one fold of the people, the traces are
measured together (--traces): those numbers are cross-fitted.
"""
EPILOG = """\
Conditions: raw (always), harmonised (both classes at one face size, frame rate and codec), robustness (saturation,
contrast, blocks, noise, blur, pixelation, compression, each at levels 1 to 5; one alone: noise, noise/3), shortcuts
(reencode-as-fake, reencode-as-real, blur-border, pad-border, mirror, container). docs/evaluation.md says what they are.

Exit codes: 0 done, 3 some footage could not be read, or traces must not be pooled, 1 failed in another way, 2 wrong
usage or setting, 4 a model file is missing or the bundle is not what it must be, 130 Ctrl-C and 143 SIGTERM: run it
again to go on.
"""
TRACES = "traces.jsonl"
VERDICTS_OF = ("raw", "harmonised")
MOST_TOLD = 20
"""Failures that are told one by one."""
HEAD = ("condition", "tracks", "groups", "minutes", "AUC by track", "AUC by video", "TPR at FPR 5%", "against raw")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help=COMMANDS["evaluate"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "bundle_place",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="the network: a folder or a zip; default: the one that comes with StreamGuard. With --traces only its "
        "calibration is used",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="footage that `streamguard data prepare` has prepared")
    parser.add_argument(
        "--traces", type=Path, nargs="+", metavar="FILE", help="measure these; with --data only for their pictures"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for all that comes of it")
    parser.add_argument(
        "--conditions", default="raw,harmonised", metavar="A,B", help="see below; default: raw,harmonised"
    )
    add_tracing(parser)
    parser.add_argument("--no-pictures", action="store_true", help="leave faces out of the report")
    parser.add_argument("--prior", type=float, metavar="P", help="judge as for a user who expects this share of fakes")


def add_tracing(parser: argparse._ActionsContainer) -> None:
    """What is traced, and what runs the network."""
    parser.add_argument("--held-out", default="", metavar="I/K", help="only fold I (from 0) of K folds of the people")
    parser.add_argument(
        "--seconds", type=float, default=30.0, metavar="N", help="media time of each footage; default: 30"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only so many, of all kinds alike: for a trial")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; default: 1")
    parser.add_argument("--backend", choices=get_args(BackendName), default="auto", help="as in scan")
    parser.add_argument("--graph", choices=["auto", "window", "step"], default="auto", help="as in scan")
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="P,Q",
        help="as in scan; or several, such as fp32,bf16: each gets a folder of its own in OUT",
    )


def run(args: argparse.Namespace) -> int:
    _check(args)
    return _measure_files(args) if args.traces else _trace(args)


def _check(args: argparse.Namespace) -> None:
    check_tracing(args)
    if (args.traces is None) == (args.data is None) and args.traces is None:
        raise ConfigError("--data", "is needed, or --traces: what is to be measured?")
    if args.traces and args.held_out:
        raise ConfigError("--held-out", "chooses what is traced; with --traces that is done already")


def check_tracing(args: argparse.Namespace) -> None:
    check_seconds(args.seconds)
    for name in ("jobs", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name}", f"must be at least 1, not {value}")


# Tracing.


def _trace(args: argparse.Namespace) -> int:
    from ..data.index import Index
    from ..evaluation.conditions import parse_conditions
    from ..evaluation.traces import read_traces

    bundle, files, code = trace_footage(args, parse_conditions(args.conditions), args.out)
    if code not in (0, DATA_FAILED):
        return code
    index = Index.open(args.data)
    for file in files:
        traces = read_traces([file])
        calibration = bundle.calibration(traces.header.graph, traces.header.precision)
        _tell_measured(args, traces, calibration, file.parent, index)
    return code


def trace_footage(args: argparse.Namespace, conditions: tuple[str, ...], out: Path) -> tuple[Bundle, list[Path], int]:
    """The bundle, a file of traces for each precision, and 0, DATA_FAILED if some footage could not be read, or the
    code of the signal that ended it before it was done."""
    from ..bundle import open_bundle
    from ..data.index import Index
    from ..evaluation.traces import TraceFile
    from ..evaluation.tracing import Plan, check_kept, chosen, headers_of
    from .finders import fetch

    configs = _configs(args)
    bundle = open_bundle(args.bundle_place)
    index = Index.open(args.data)
    fetch()
    held_out = bundle.manifest.provenance.held_out
    plan = Plan(
        index=index,
        footage=chosen(index, held_out=held_out, fold=args.held_out, limit=args.limit),
        conditions=conditions,
        bundle=args.bundle_place,
        configs=configs,
        seconds=args.seconds,
        jobs=args.jobs,
    )
    headers = headers_of(bundle, plan, fold=args.held_out, version=__version__)
    places = [out if len(headers) == 1 else out / header.precision for header in headers]
    files = [TraceFile(place / TRACES, header) for place, header in zip(places, headers, strict=True)]
    check_kept(plan, files)
    _tell_plan(plan, bundle, files)
    stopped, failed = _work(plan, files)
    if stopped:
        print("stopped: run the same command again to go on", file=sys.stderr)
    return bundle, [file.path for file in files], stopped or (DATA_FAILED if failed else 0)


def _configs(args: argparse.Namespace) -> tuple[EngineConfig, ...]:
    wanted = dict.fromkeys(name.strip() for name in args.precision.split(","))
    try:
        return tuple(
            EngineConfig(backend=args.backend, graph=args.graph, precision=precision, in_flight=1)
            for precision in wanted
        )
    except ConfigError as exc:
        raise ConfigError("--precision", f"{args.precision}: each {exc.problem}") from exc


def _tell_plan(plan: Plan, bundle: Bundle, files: Sequence[TraceFile]) -> None:
    groups = len({one.group for one in plan.footage})
    print(
        f"{bundle.name}: {len(plan.footage)} videos of {groups} groups, {len(plan.conditions)} conditions",
        file=sys.stderr,
    )
    if bundle.manifest.provenance.held_out:
        print("only people that the bundle says it was held out from", file=sys.stderr)
    there = min(len(file.traces) for file in files)
    if there:
        print(f"{there} traces are there already", file=sys.stderr)


def _work(plan: Plan, files: Sequence[TraceFile]) -> tuple[int, int]:
    """The exit code of a signal that came, or 0; and how many traces could not be made."""
    from ..evaluation.tracing import missing, trace
    from .progress import Count
    from .stop import StopSignals

    failed = 0
    with StopSignals() as stop, Count(sys.stderr, "traced", missing(plan, files)) as count:
        traced = trace(plan, files)
        for number, one in enumerate(traced, 1):
            if one.failure:
                failed += 1
                if failed <= MOST_TOLD:
                    count.clear()
                    print(f"streamguard: error: {printable(f'{one.job.footage.key}: {one.failure}')}", file=sys.stderr)
            count.show(number, f"{one.job.condition}{f', {failed} failed' if failed else ''}")
            if stop.came:
                break
        return stop.exit_code, failed


# Measuring.


def _measure_files(args: argparse.Namespace) -> int:
    from ..data.index import Index
    from ..evaluation.traces import read_traces

    traces = read_traces(args.traces)
    index = None if args.data is None else Index.open(args.data)
    _tell_measured(args, traces, _calibration_for(args.bundle_place, traces), args.out, index)
    return 0


def _calibration_for(place: Path | None, traces: TraceSet) -> Calibration | None:
    """Of the bundle that is named, or of the one that comes along, if that made the traces."""
    from ..bundle import open_bundle

    bundle = open_bundle(place)
    if place is None and traces.bundles != (bundle.sha256,):
        return None
    calibration = bundle.calibration(traces.header.graph, traces.header.precision)
    if calibration is None and place is not None and bundle.manifest.calibrations:
        raise ConfigError(
            "BUNDLE",
            f"{bundle.name} has no calibration for the {traces.header.graph} graph in {traces.header.precision}",
        )
    return calibration


def _tell_measured(
    args: argparse.Namespace, traces: TraceSet, calibration: Calibration | None, out: Path, index: Index | None
) -> None:
    from ..evaluation.evaluate import measure
    from ..evaluation.report import write_report
    from ..sinks.sink import write_text

    evaluation = measure(traces, calibration, scoring=scoring_config(args))
    write_text(out / "evaluation.json", evaluation.to_json())
    pictures = {} if index is None or args.no_pictures else _pictures(evaluation, traces, index)
    title = f"{', '.join(evaluation.bundles)} on {index.folder.name if index else 'kept traces'}"
    write_report(out / "report.html", evaluation, traces, title=title, pictures=pictures)
    for line in _lines(evaluation):
        print(printable(line))
    print()
    print(f"numbers: {printable(str(out / 'evaluation.json'))}")
    warning = " (holds faces of your footage: keep it to yourself)" if pictures else ""
    print(f"report:  {printable(str(out / 'report.html'))}{warning}")


def _pictures(evaluation: Evaluation, traces: TraceSet, index: Index) -> dict[tuple[str, int, int], str]:
    from ..evaluation.pictures import take_pictures
    from ..evaluation.traces import RAW
    from .progress import Count

    mistakes = evaluation.of(RAW).mistakes if RAW in traces.conditions else ()
    found = {}
    with Count(sys.stderr, "pictures", len(mistakes)) as count:
        for number, (one, url) in enumerate(take_pictures(index, traces.of(RAW), mistakes), 1):
            if url:
                found[one.key, one.face_id, one.generation] = url
            count.show(number)
    return found


# In words.


def _lines(evaluation: Evaluation) -> Iterator[str]:
    yield from evaluation.notes
    yield ""
    yield from table(HEAD, [_row(one) for one in evaluation.conditions])
    yield "AUC and TPR with 90% intervals over groups of people; the change from raw with 95%, of the same videos."
    for one in evaluation.conditions:
        if one.verdicts is not None and one.name in VERDICTS_OF:
            yield ""
            yield from _verdicts(one)
    for one in evaluation.conditions:
        if one.name in VERDICTS_OF and one.methods:
            yield ""
            rows = [(part.name, f"{part.fake}", str(part.auc), _twins(part)) for part in one.methods]
            yield from table((f"method, {one.name}", "fakes", "AUC against all real", "against own twins"), rows)


def _row(one: Condition) -> tuple[str, ...]:
    change = one.against_raw
    against = ""
    if change is not None:
        against = "n/a" if isnan(change.change.low95) else f"{change.change.value:+.3f} {_between(change)}"
    return (
        one.name,
        f"{one.real.tracks}+{one.fake.tracks}",
        f"{one.real.groups}+{one.fake.groups}",
        f"{one.real.minutes:.1f}+{one.fake.minutes:.1f}",
        str(one.tracks.auc),
        str(one.videos.auc),
        str(one.tracks.tpr["0.05"]),
        against,
    )


def _between(change: Comparison) -> str:
    return f"[{change.change.low95:+.3f}, {change.change.high95:+.3f}]"


def _verdicts(one: Condition) -> Iterator[str]:
    found = one.verdicts
    assert found is not None
    yield f"Verdicts, {one.name}, at the bundle's thresholds:"
    yield (
        f"  real tracks accused: {found.accused_tracks} of {found.accused.count}, at most {found.accused_bound:.1%} "
        "with 95% confidence"
    )
    within = ", ".join(f"{soon} s: {share.value:.1%}" for soon, share in found.told.within.items())
    yield f"  fakes told within {within}"
    yield f"  real tracks without a verdict: {found.abstained.value:.1%}"
    if one.moments is not None:
        yield f"  p_fake: Brier skill {one.moments.brier_skill}, calibration error {one.moments.calibration_error}"


def _twins(part: Slice) -> str:
    return str(part.twins) if part.twins.count else ""
