"""`streamguard bundle`: say what a network's bundle is, check all of it, pack it into one file, or make one."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import bundle_make, bundle_maps
from .main import COMMANDS, Subparsers
from .stop import ended_by_sigterm

if TYPE_CHECKING:
    from ..bundle import Bundle, Calibration, Manifest

_DESCRIPTION = """\
A bundle is everything that decides a score: the network's graphs and weights, how faces are cut for it, and how its
answers become probabilities and verdicts. It is a folder or a zip. Whatever reads one checks all of it first, and ends
with code 4 where anything is not as it must be.

inspect  say what it is, for people, or with --json for programs
verify   check, and run every graph on every backend that is installed here: they must give the same scores, within
         the bundle's tolerances; with --sha256 accept no other bundle than that one
pack     write a folder as a zip; the same folder always gives the same bytes
new      make one of a network of StreamGuard's, untrained or with weights of your own
trained  make one of what `streamguard train` made
import   make one of weights that others published
maps     measure what its heat maps are on real faces, so that they can be compared
"""
_DEFAULT = "a folder, a zip, or `untrained`; default: the bundle that comes with StreamGuard"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "bundle",
        help=COMMANDS["bundle"],
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser("inspect", help="say what it is")
    inspect.add_argument("path", nargs="?", type=Path, metavar="PATH", help=_DEFAULT)
    inspect.add_argument("--json", action="store_true", help="print one JSON object: its manifest and its sha256")
    verify = actions.add_parser("verify", help="check all of it")
    verify.add_argument("path", nargs="?", type=Path, metavar="PATH", help=_DEFAULT)
    verify.add_argument(
        "--sha256", type=_sha256, metavar="HEX", help="the bundle that is trusted, as `inspect` says it"
    )
    pack = actions.add_parser("pack", help="write a folder as a zip")
    pack.add_argument("folder", type=Path, metavar="FOLDER")
    pack.add_argument("out", type=Path, metavar="OUT.zip")
    bundle_make.add_new(actions)
    bundle_make.add_trained(actions)
    bundle_make.add_import(actions)
    bundle_maps.add_maps(actions)


def run(args: argparse.Namespace) -> int:
    from ..bundle import open_bundle, pack_bundle

    if args.action == "inspect":
        bundle = open_bundle(args.path)
        print(_as_json(bundle) if args.json else "\n".join(_account(bundle)))
    elif args.action == "verify":
        _verify(open_bundle(args.path, trusted_sha256=args.sha256))
    elif args.action == "new":
        with ended_by_sigterm():
            bundle_make.new(args)
    elif args.action == "trained":
        with ended_by_sigterm():
            bundle_make.trained(args)
    elif args.action == "import":
        with ended_by_sigterm():
            bundle_make.import_published(args)
    elif args.action == "maps":
        with ended_by_sigterm():
            bundle_maps.measure(args)
    else:
        out = pack_bundle(args.folder, args.out)
        print(f"packed {out} ({_size(out.stat().st_size)})")
    return 0


def _verify(bundle: Bundle) -> None:
    """`open_bundle` has checked everything that needs no engine. What runs here is then held against each other."""
    from ..engine.parity import measure
    from ..errors import BundleError

    files = bundle.manifest.files
    total = _size(sum(spec.size_bytes for spec in files.values()))
    print(f"{bundle.name}: bundle.json, {len(files)} files ({total}) and their graphs are as they must be")
    print(f"sha256 {bundle.sha256}")
    print("\nlargest difference of raw scores on made-up clips:")
    rows = measure(bundle)
    for row in rows:
        what = f"{row.backend} {row.graph} {row.precision}"
        verdict = "ok" if row.ok else "TOO MUCH"
        print(f"  {what:<26} to {row.compared_to:<24} {row.difference:.1e} of {row.tolerance:.1e} allowed  {verdict}")
    if not rows:
        print("  nothing to compare: one graph, one precision and one backend run here")
    for row in rows:
        if not row.ok:
            raise BundleError(
                bundle.name,
                f"graphs.{row.graph}.{row.precision}",
                f"{row.backend} is {row.difference:.1e} off {row.compared_to}, and {row.tolerance:.1e} is allowed",
            )


def _sha256(text: str) -> str:
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None:
        raise argparse.ArgumentTypeError("must be 64 hexadecimal digits")
    return text.lower()


def _as_json(bundle: Bundle) -> str:
    told = {"folder": str(bundle.folder), "sha256": bundle.sha256, "manifest": dataclasses.asdict(bundle.manifest)}
    return json.dumps(told, indent=2, ensure_ascii=False)


# The account for people: a heading a paragraph, and below it what there is.


def _account(bundle: Bundle) -> Iterator[str]:
    manifest = bundle.manifest
    yield f"{bundle.name}: {'trained' if manifest.trained else 'NOT TRAINED, its scores mean nothing'}"
    for heading, lines in (
        ("Graphs", _graphs(manifest)),
        ("What it looks at", _clip(manifest)),
        ("What it answers", _answer(manifest)),
        ("Calibration", _calibrations(manifest)),
        ("Network", _network(manifest)),
        ("Where it comes from", _provenance(manifest)),
        ("Files", _files(bundle)),
    ):
        yield ""
        yield heading
        yield from (f"  {line}" for line in lines)


def _graphs(manifest: Manifest) -> Iterator[str]:
    for graph, specs in manifest.graphs.items():
        for precision, spec in specs.items():
            size = _size(manifest.files[spec.file].size_bytes)
            yield f"{graph:<6} {precision:<4} {spec.file} ({size}); raw scores within {spec.tolerance:g} of PyTorch's"
    if manifest.states:
        state_bytes = sum(4 * math.prod(state.shape) for state in manifest.states)
        tensors = "tensor" if len(manifest.states) == 1 else "tensors"
        yield f"step keeps {len(manifest.states)} state {tensors} for each face: {_size(state_bytes)}"
    if manifest.maps is not None:
        maps = manifest.maps
        size = _size(manifest.files[maps.file].size_bytes)
        ranges = f"measured on {maps.measured_on}" if maps.ranges else "not measured on real faces: cannot be compared"
        yield f"maps   fp32 {maps.file} ({size}); {' and '.join(maps.kinds)}, {maps.width} x {maps.height}; {ranges}"
    for parity in manifest.parity:
        yield f"step and window differ by at most {parity.step_to_window:g} at {parity.precision}"


def _clip(manifest: Manifest) -> Iterator[str]:
    clip = manifest.clip
    wide = f" and {clip.span:g} face scales" if clip.recipe == "square" else ""
    yield f"{clip.recipe} crops of {clip.size_px} x {clip.size_px} pixels{wide}, one each {1000 * clip.grid_s:g} ms"
    span_s = (clip.memory + clip.length) * clip.grid_s
    yield f"T = {clip.length} crops are judged, R = {clip.memory} before them still matter: {span_s:g} s in all"
    by_steps = "; by steps, with each crop" if "step" in manifest.graphs else ""
    yield f"a score each {clip.hop_s:g} s{by_steps}"


def _answer(manifest: Manifest) -> Iterator[str]:
    output = manifest.output
    direction = "high means fake" if output.high_means_fake else "high means real"
    yield f"{output.tensor}: column {output.fake_index} of {output.width}, a {output.kind}; {direction}"


def _network(manifest: Manifest) -> Iterator[str]:
    net = manifest.net
    if net is None:
        yield "made elsewhere: it can be run, and not trained or exported again"
        return
    yield f"{net.name}; its parameters {'are not here' if net.weights is None else f'are {net.weights}'}"
    yield from (f"option   {name} = {value}" for name, value in net.options.items())
    if net.decisions:
        yield "where its paper is silent:"
        yield from (f"  {key}: {text}" for key, text in net.decisions.items())


def _calibrations(manifest: Manifest) -> Iterator[str]:
    if not manifest.calibrations:
        yield "none: there is no p_fake, and no face becomes LIKELY_FAKE or LIKELY_REAL"
    for calibration in manifest.calibrations:
        yield f"{calibration.graph} {calibration.precision}, fitted on {calibration.fitted_on}"
        yield from (f"  {line}" for line in _calibration(calibration))
    calibrated = {(each.graph, each.precision) for each in manifest.calibrations}
    for graph, specs in manifest.graphs.items():
        for precision in specs:
            if calibrated and (graph, precision) not in calibrated:
                yield f"{graph} {precision}: none, so no p_fake"


def _calibration(calibration: Calibration) -> Iterator[str]:
    curve, levels = calibration.curve, calibration.thresholds
    if curve.kind == "temperature":
        offset = f"{'-' if curve.offset < 0 else '+'} {abs(curve.offset):g}"
        yield f"temperature: logit(p) = {curve.scale:g} * logit(raw) {offset}, standard error {curve.stderr:g}"
    else:
        yield f"isotonic: {len(curve.raw)} points from raw {curve.raw[0]:g} to {curve.raw[-1]:g}"
    yield f"p_fake assumes that {100 * calibration.prior:g}% of all faces are fake"
    if calibration.evidence_scale != 1:
        yield f"a face's scores are added up at {calibration.evidence_scale:g} of what each says alone"
    yield f"LIKELY_FAKE from p = {levels.fake_enter:g}, until it is below {levels.fake_leave:g}"
    yield f"LIKELY_REAL up to p = {levels.real_enter:g}, until it is above {levels.real_leave:g}"
    yield f"{100 * levels.false_positive_rate:g}% of the real faces in that data became LIKELY_FAKE"


def _provenance(manifest: Manifest) -> Iterator[str]:
    origin = manifest.provenance
    yield f"data     {origin.data}"
    yield f"commit   {origin.commit}"
    yield f"licence  {origin.licence}"
    yield from (f"metric   {name} = {value:g}" for name, value in sorted(origin.metrics.items()))


def _files(bundle: Bundle) -> Iterator[str]:
    for name, spec in sorted(bundle.manifest.files.items()):
        yield f"{spec.sha256[:12]}  {_size(spec.size_bytes):>9}  {name}"
    yield f"in {bundle.folder}"
    yield f"sha256 of the bundle: {bundle.sha256}"


def _size(size_bytes: int) -> str:
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:.1f} kB"
