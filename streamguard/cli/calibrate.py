"""`streamguard calibrate`: a bundle whose scores mean something, from what it said of footage with known labels."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..errors import ConfigError
from ..sealed_files import check_replaceable
from .account import table
from .event_words import printable
from .main import COMMANDS, DATA_FAILED, Subparsers
from .stop import ended_by_sigterm

if TYPE_CHECKING:
    from ..bundle import Bundle, Calibration
    from ..evaluation.bundling import Key, Material
    from ..evaluation.calibrate import Account, Calibrated
    from ..evaluation.fitting import Settings
    from ..evaluation.measures import Estimate

DESCRIPTION = """\
Makes a new bundle whose raw scores have become probabilities, and whose thresholds keep to a budget of false alarms
that you state. It learns both from traces: what the network said of footage whose labels are known.

  streamguard evaluate my-bundle --data data/own --precision fp32,bf16 --out results
  streamguard calibrate my-bundle --traces results/*/traces.jsonl --out calibrated --false-positive-rate 0.04
  streamguard calibrate my-bundle --data data/own --out calibrated --false-alarms '1 per 10 hours'

Each graph and precision that there are traces of is calibrated. All numbers that are told are cross-fitted: everybody
is judged by curves and thresholds that were fitted on other people.

A budget holds with --confidence, so it takes people (or hours) to show that it is kept: none of 149 groups of honest
people accused shows 2% with 95% confidence, none of 59 shows 5%; 30 hours without a false alarm show 1 per 10 hours. A
budget that the data cannot show is refused, with how much would do.

The people in the traces must be none that the network was trained on. Of K networks, each trained on all but one fold
of the people, the traces calibrate one that is trained on everybody: --traces of all K, with --cross-fitted.
"""
EPILOG = """\
More: docs/calibration.md. Exit codes: 0 done, 1 the data cannot carry it (what would do is told), 2 wrong usage or
setting, 3 some footage could not be read, or traces are of another bundle, 4 the bundle is not what it must be, 130
Ctrl-C and 143 SIGTERM: with --data run it again to go on.
"""
HEAD = ("", "before", "now, on people left out")


def add_parser(subparsers: Subparsers) -> None:
    from ..evaluation.fitting import Method
    from .evaluate import add_tracing

    parser = subparsers.add_parser(
        "calibrate",
        help=COMMANDS["calibrate"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle_place", type=Path, metavar="BUNDLE", help="a folder or a zip; it stays as it is")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--traces", type=Path, nargs="+", metavar="FILE", help="what `streamguard evaluate` kept")
    source.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="footage that `streamguard data prepare` has prepared; its traces are kept beside NEW, in NEW-traces",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="NEW", help="folder of the new bundle")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--false-positive-rate",
        type=float,
        metavar="P",
        help="share of honest faces that may be called LIKELY_FAKE at any time; default: 0.02",
    )
    budget.add_argument(
        "--false-alarms", metavar="TEXT", help="instead, how often that may happen: '1 per 10 hours', '2 per day'"
    )
    parser.add_argument(
        "--confidence", type=float, default=0.95, metavar="C", help="with which the budget holds; default: 0.95"
    )
    parser.add_argument(
        "--fakes-called-real",
        type=float,
        default=0.05,
        metavar="P",
        help="share of fakes that may be called LIKELY_REAL; default: 0.05",
    )
    parser.add_argument(
        "--method",
        choices=get_args(Method),
        default="auto",
        help="of the curve; auto: the one with the smaller log loss on people left out",
    )
    parser.add_argument(
        "--prior", type=float, default=0.5, metavar="P", help="share of fakes that p_fake assumes; default: 0.5"
    )
    parser.add_argument("--condition", default="raw", metavar="NAME", help="of the traces; default: raw")
    parser.add_argument(
        "--cross-fitted",
        action="store_true",
        help="take traces of other bundles too, if they are this network and never saw the people that they traced",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="GRAPH:PRECISION",
        help="without traces: take over the nearest calibration, such as for step:bf16, if by what the bundle promises "
        "its scores are near enough; repeatable",
    )
    parser.add_argument("--replace", action="store_true", help="BUNDLE is calibrated already: calibrate it anew")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.svg", help="picture of how true probabilities are; or .html"
    )
    parser.add_argument(
        "--evaluation",
        type=Path,
        metavar="FOLDER",
        help="evaluation.json and report.html of the traces, as `evaluate` writes them, with cross-fitted calibrations",
    )
    add_tracing(parser.add_argument_group("with --data"))


def run(args: argparse.Namespace) -> int:
    from ..bundle import open_bundle

    _check(args)
    settings = _settings(args)
    bundle = open_bundle(args.bundle_place)
    if not bundle.manifest.trained:
        raise ConfigError(
            "BUNDLE", f"{bundle.name} is not trained: its scores mean nothing, whatever is fitted to them"
        )
    code = 0
    if args.data is not None:
        from .evaluate import trace_footage

        _, args.traces, code = trace_footage(args, (args.condition,), args.out.with_name(f"{args.out.name}-traces"))
        if code not in (0, DATA_FAILED):
            return code
    with ended_by_sigterm():
        _calibrate(args, bundle, settings)
    return code


def _check(args: argparse.Namespace) -> None:
    """All that would be a pity to find out after hours."""
    from .evaluate import check_tracing

    check_tracing(args)
    if args.out.suffix.lower() == ".zip":
        raise ConfigError("--out", f"{args.out} would be a folder; `streamguard bundle pack` makes a zip of one")
    if args.report is not None and args.report.suffix.lower() not in (".svg", ".html"):
        raise ConfigError("--report", f"must end in .svg or .html, and {args.report} does not")
    if args.data is not None and args.cross_fitted:
        raise ConfigError("--cross-fitted", "is said of --traces: with --data the bundle traces for itself")
    if args.data is not None and args.condition != "raw":
        raise ConfigError("--condition", "is chosen of --traces: with --data footage is taken as it is")
    check_replaceable(args.out)


def _settings(args: argparse.Namespace) -> Settings:
    from ..evaluation.budget import Budget, ShareBudget, rate_budget
    from ..evaluation.fitting import Settings

    share = 0.02 if args.false_positive_rate is None else args.false_positive_rate
    budget: Budget = ShareBudget(share=share, confidence=args.confidence)
    if args.false_alarms is not None:
        budget = rate_budget(args.false_alarms, args.confidence)
    return Settings(budget=budget, method=args.method, prior=args.prior, fakes_called_real=args.fakes_called_real)


def _calibrate(args: argparse.Namespace, bundle: Bundle, settings: Settings) -> None:
    from ..evaluation.bundling import materials, metrics_of, taken_over, write_calibrated

    some = materials(bundle, args.traces, condition=args.condition, cross_fitted=args.cross_fitted)
    also = [_key(text) for text in args.also]
    wanted = [material.key for material in some] + also
    for key in wanted:
        if wanted.count(key) > 1:
            raise ConfigError("--also", f"{':'.join(key)} is calibrated by its own traces, or named twice")
        if bundle.calibration(*key) is not None and not args.replace:
            raise ConfigError("BUNDLE", f"is calibrated for {' '.join(key)} already: with --replace it is done anew")
    found = {material.key: _fitted(bundle, material, settings) for material in some}
    calibrations = [one.calibration for one in found.values()]
    calibrations += [taken_over(bundle, found, key) for key in also]
    metrics = {name: value for one in found.values() for name, value in metrics_of(one).items()}
    written = write_calibrated(bundle, args.out, calibrations, metrics)
    for line in _account(written, list(found.values()), calibrations[len(found) :]):
        print(printable(line))
    if args.report is not None:
        from ..evaluation.calibration_chart import calibration_svg
        from ..sinks.sink import write_text

        drawing = calibration_svg(list(found.values()))
        page = f"<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Calibration</title>\n{drawing}"
        write_text(args.report, drawing if args.report.suffix.lower() == ".svg" else page)
        print(f"picture: {printable(str(args.report))}")
    if args.evaluation is not None:
        for material, one in zip(some, found.values(), strict=True):
            _evaluate(material, one, args.evaluation if len(some) == 1 else args.evaluation / "-".join(material.key))
    _tell_next(args.out)


def _key(text: str) -> Key:
    from ..bundle import Graph, Precision

    graph, _, precision = text.partition(":")
    for one in get_args(Graph):
        for other in get_args(Precision):
            if (graph, precision) == (one, other):
                return one, other
    raise ConfigError("--also", f"must be GRAPH:PRECISION, such as step:bf16, not {text}")


def _fitted(bundle: Bundle, material: Material, settings: Settings) -> Calibrated:
    from ..evaluation.calibrate import calibrate
    from ..evaluation.fitting import FOLDS, Fitter
    from .progress import Count

    graph, precision = material.key
    with Count(sys.stderr, f"{graph} {precision}", (FOLDS + 1) * Fitter.steps) as count:
        return calibrate(
            material.tracks,
            material.traces.clip,
            settings,
            graph=graph,
            precision=precision,
            source=material.source,
            cautions=material.cautions,
            older=bundle.calibration(graph, precision),
            progress=lambda done, of: count.show(done),
        )


def _evaluate(material: Material, found: Calibrated, out: Path) -> None:
    from ..evaluation.evaluate import measure_cross_fitted
    from ..evaluation.report import write_report
    from ..sinks.sink import write_text

    groups = {trace.group for trace in material.traces.traces}
    words = f"cross-fitted: each group by one that was fitted without it. {found.calibration.fitted_on}"
    evaluation = measure_cross_fitted(material.traces, found.cross_fitted(groups), words)
    write_text(out / "evaluation.json", evaluation.to_json())
    write_report(
        out / "report.html", evaluation, material.traces, title=f"{', '.join(evaluation.bundles)}, cross-fitted"
    )
    print(f"numbers: {printable(str(out / 'evaluation.json'))}\nreport:  {printable(str(out / 'report.html'))}")


# In words.


def _account(written: Bundle, found: Sequence[Calibrated], also: Sequence[Calibration]) -> Iterator[str]:
    for one in found:
        yield from _lines(one)
        yield ""
    for each in also:
        yield f"{each.graph} {each.precision}: {each.fitted_on.split('; ')[0]}"
    new = {(each.graph, each.precision) for each in (*(one.calibration for one in found), *also)}
    for each in written.manifest.calibrations:
        if (each.graph, each.precision) not in new:
            yield f"{each.graph} {each.precision}: its older calibration was kept"
    for graph, specs in written.manifest.graphs.items():
        for precision in specs:
            if written.calibration(graph, precision) is None:
                yield f"{graph} {precision}: not calibrated: it judges nobody. Trace it, or --also {graph}:{precision}"
    yield f"wrote {written.folder}: {written.name}, sha256 {written.sha256}"


def _lines(found: Calibrated) -> Iterator[str]:
    calibration, levels = found.calibration, found.calibration.thresholds
    yield f"{calibration.graph} {calibration.precision}: {found.exposure}"
    yield from table(HEAD, list(_rows(found)))
    yield "Shares count groups of people alike, with 90% intervals over groups; `at most` is with 95% confidence."
    if found.before.verdicts is None:
        yield "Before: raw scores taken as if they were probabilities."
    else:
        yield "Before: the older calibration, which may have been fitted on these very people."
    yield f"curve: {calibration.curve.kind}; a face's scores are added up at {calibration.evidence_scale:g} of each"
    yield f"LIKELY_FAKE from p = {levels.fake_enter:.6g}, LIKELY_REAL up to p = {levels.real_enter:.3g}"
    for caution in found.cautions:
        yield f"CAUTION: {caution}"


def _rows(found: Calibrated) -> Iterator[tuple[str, str, str]]:
    before, after = (_cells(account, found) for account in (found.before, found.after))
    for name, cell in after.items():
        yield name, before.get(name, "nobody is judged"), cell


def _cells(account: Account, found: Calibrated) -> dict[str, str]:
    cells = {
        "p_fake of a window: Brier skill": str(account.brier_skill),
        "p_fake of a window: calibration error": str(account.calibration_error),
    }
    verdicts = account.verdicts
    if verdicts is None:
        return cells
    hours = found.exposure.real_hours
    return {
        **cells,
        "p_face in the end: Brier skill": str(verdicts.brier_skill),
        "p_face in the end: calibration error": str(verdicts.calibration_error),
        "real tracks accused": f"{_share(verdicts.accused)}, at most {verdicts.accused_bound:.1%}",
        "times that happened": f"{verdicts.alarms} in {hours:.2f} h, at most {verdicts.alarms_bound:.2g} an hour",
        **{f"fakes told within {soon:g} s": _share(share) for soon, share in verdicts.told.items()},
        "real tracks never called real": _share(verdicts.abstained),
        "fakes called real": _share(verdicts.called_real),
    }


def _share(estimate: Estimate) -> str:
    if isnan(estimate.low90):
        return f"{estimate.value:.1%}"
    return f"{estimate.value:.1%} [{estimate.low90:.1%}, {estimate.high90:.1%}]"


def _tell_next(out: Path) -> None:
    print("\nNext:")
    print(f"  streamguard bundle inspect {shlex.quote(str(out))}")
    print(f"  streamguard scan VIDEO --bundle {shlex.quote(str(out))}")
