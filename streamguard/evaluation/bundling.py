"""Which traces may calibrate a bundle, and the bundle with its calibrations: files of traces in, a folder out."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np

from ..bundle import Bundle, Calibration, Graph, Precision, Temperature, manifest_text, seal
from ..errors import BundleError, CalibrationError, TraceError
from ..sealed_files import replacing
from .calibrate import Calibrated
from .curves import probabilities
from .replay import Track, tracks_of
from .traces import Part, TraceSet, network_of, pooled, read_traces

PREFIX = "calibration."
"""Of the metrics that are written here."""
MOST_OFF = 0.25
"""Evidence that scores of another graph or precision may be off on average, for it to take over a calibration."""

Key = tuple[Graph, Precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Of one graph at one precision: what it is calibrated with."""

    traces: TraceSet
    tracks: tuple[Track, ...]
    source: str
    """In words."""
    cautions: tuple[str, ...]

    @property
    def key(self) -> Key:
        return self.traces.header.graph, self.traces.header.precision


def materials(
    bundle: Bundle, paths: Iterable[str | Path], *, condition: str, cross_fitted: bool
) -> tuple[Material, ...]:
    """The traces of these files, a Material for each graph and precision. TraceError for what is of another network, or
    of other weights where `cross_fitted` does not allow them."""
    assert bundle.manifest.trained, "who calls has asked"
    parts: dict[Key, list[Part]] = defaultdict(list)
    own = {bundle.sha256, uncalibrated_sha256(bundle)}
    for path in paths:
        [part] = read_traces([path]).parts
        _check_part(part, bundle, own, cross_fitted)
        parts[part.header.graph, part.header.precision].append(part)
    return tuple(_material(pooled(some), bundle, own, condition) for some in parts.values())


def uncalibrated_sha256(bundle: Bundle) -> str:
    """Of the bundle that this one was before it was calibrated: the same scores, so its traces are this one's too."""
    metrics = bundle.manifest.provenance.metrics
    before = replace(
        bundle.manifest,
        calibrations=(),
        provenance=replace(
            bundle.manifest.provenance,
            metrics={name: value for name, value in metrics.items() if not name.startswith(PREFIX)},
        ),
    )
    return hashlib.sha256(manifest_text(before).encode()).hexdigest()


def _check_part(part: Part, bundle: Bundle, own: set[str], cross_fitted: bool) -> None:
    header = part.header
    manifest = bundle.manifest

    def refused(where: str, problem: str) -> TraceError:
        return TraceError(part.path, f"header.{where}", problem)

    if header.precision not in manifest.graphs.get(header.graph, {}):
        raise refused("precision", f"{bundle.name} has no {header.graph} graph in {header.precision}")
    if header.clip != manifest.clip.config(header.graph):
        raise refused("clip", f"is not how {bundle.name} has its clips made: it was made with another network")
    if header.bundle_sha256 in own:
        return
    if not cross_fitted:
        raise refused(
            "bundle_sha256",
            f"was made with another bundle ({header.bundle}, {header.bundle_sha256[:12]}), and can calibrate only that "
            "one. If it is one of several that were trained as this one, each without the people that it traced, say "
            "--cross-fitted",
        )
    if not network_of(manifest) or header.network != network_of(manifest):
        raise refused("network", f"is {header.network or 'not said'}, and {bundle.name} is {network_of(manifest)}")
    if header.held_out is None:
        raise refused("held_out", f"{header.bundle} does not say which groups its training never saw")


def _material(traces: TraceSet, bundle: Bundle, own: set[str], condition: str) -> Material:
    if condition not in traces.conditions:
        there = ", ".join(traces.conditions) or "none"
        raise TraceError(traces.parts[0].path, "", f"nothing in it is {condition}; there is: {there}")
    some = traces.of(condition)
    datasets = sorted({trace.dataset for trace in some})
    words = [f"{condition} footage of {', '.join(datasets)}"]
    cautions = []
    foreign = {sha256 for sha256 in traces.bundles if sha256 not in own}
    if foreign:
        words.append(
            f"scored by {len(foreign)} bundles of the same network and options, each trained without the groups that "
            "it scored"
        )
        cautions.append("these weights scored none of it: their scores may lie otherwise than those of the others")
    if any(part.header.held_out is None for part in traces.parts):
        cautions.append(
            "the bundle does not say which groups its training never saw: if these are among them, all numbers flatter"
        )
    elif not foreign:
        words.append("of groups that training never saw")
    return Material(
        traces=traces,
        tracks=tuple(tracks_of(some, traces.clip)),
        source=", ".join(words),
        cautions=tuple(cautions),
    )


# Another graph or precision.


def taken_over(bundle: Bundle, found: Mapping[Key, Calibrated], key: Key) -> Calibration:
    """The calibration for a graph and precision without traces, from that of another, if by what the bundle promises
    their scores are near enough. CalibrationError if they are not."""
    graph, precision = key
    if precision not in bundle.manifest.graphs.get(graph, {}):
        raise BundleError(bundle.name, f"graphs.{graph}.{precision}", "is not in it")
    nearest = min(found, key=lambda other: (other[0] != graph, _off(bundle, other, key)))
    off = _off(bundle, nearest, key)
    source = found[nearest]
    moved = _moved(source, off)
    told = f"{' '.join(nearest)} to {' '.join(key)}: raw scores may differ by {off:g}"
    if moved > MOST_OFF:
        raise CalibrationError(
            f"--also {graph}:{precision}",
            f"{told}, which is {moved:.2f} of evidence on average, and at most {MOST_OFF:g} is taken over. Trace it: "
            f"streamguard evaluate --graph {graph} --precision {precision}",
        )
    curve = source.calibration.curve
    if isinstance(curve, Temperature):
        curve = replace(curve, stderr=float(np.hypot(curve.stderr, moved)))
    return replace(
        source.calibration,
        graph=graph,
        precision=precision,
        curve=curve,
        fitted_on=f"taken over from {told} by the bundle's own measure, {moved:.2f} of evidence on average; "
        f"{source.calibration.fitted_on}",
    )


def _off(bundle: Bundle, one: Key, other: Key) -> float:
    """How far their raw scores may be apart: each from PyTorch's, and step from window."""
    manifest = bundle.manifest
    off = sum(manifest.graphs[graph][precision].tolerance for graph, precision in (one, other))
    if one[0] != other[0]:
        off += max((each.step_to_window for each in manifest.parity), default=float("inf"))
    return off


def _moved(found: Calibrated, off: float) -> float:
    """By how much evidence, on average over its samples, if each score were off by so much toward the worse side."""
    samples = found.samples
    curve = found.calibration.curve

    def log_odds(raw: np.ndarray) -> np.ndarray:
        p = np.clip(probabilities(curve, np.clip(raw, 0, 1)), 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    middle = log_odds(samples.raw)
    worst = np.maximum(log_odds(samples.raw + off) - middle, middle - log_odds(samples.raw - off))
    return float(samples.weight @ worst)


# The bundle.


def metrics_of(found: Calibrated) -> dict[str, float]:
    """For the bundle's account; what is not defined is left out."""
    after, exposure = found.after, found.exposure
    verdicts = after.verdicts
    assert verdicts is not None
    told = {f"fakes_told_within_{soon:g}_s": share.value for soon, share in verdicts.told.items()}
    values = {
        "brier_skill": after.brier_skill.value,
        "calibration_error": after.calibration_error.value,
        "face_brier_skill": verdicts.brier_skill.value,
        "face_calibration_error": verdicts.calibration_error.value,
        "real_accused": verdicts.accused.value,
        "real_accused_bound": verdicts.accused_bound,
        "real_abstained": verdicts.abstained.value,
        "fakes_called_real": verdicts.called_real.value,
        "real_groups": exposure.real_groups,
        "fake_groups": exposure.fake_groups,
        "real_hours": exposure.real_hours,
        **told,
    }
    key = f"{PREFIX}{found.calibration.graph}.{found.calibration.precision}"
    return {f"{key}.{name}": float(value) for name, value in values.items() if isfinite(value)}


def write_calibrated(
    bundle: Bundle, out: Path, calibrations: Sequence[Calibration], metrics: Mapping[str, float]
) -> Bundle:
    """The same bundle with these calibrations, each in the place of an older one. `out` is a folder; it is whole or not
    there, and may be the bundle's own."""
    keys = {(each.graph, each.precision) for each in calibrations}
    kept = [each for each in bundle.manifest.calibrations if (each.graph, each.precision) not in keys]
    replaced = tuple(f"{PREFIX}{graph}.{precision}." for graph, precision in keys)
    provenance = bundle.manifest.provenance
    older = {name: value for name, value in provenance.metrics.items() if not name.startswith(replaced)}
    manifest = replace(
        bundle.manifest,
        calibrations=(*kept, *calibrations),
        provenance=replace(provenance, metrics={**older, **metrics}),
    )
    fields = dataclasses.asdict(manifest)
    del fields["files"]
    with replacing(out) as folder:
        for name in bundle.manifest.files:
            shutil.copyfile(bundle.folder / name, folder / name)
        try:
            sealed = seal(folder, fields)
        except BundleError as exc:
            raise BundleError(str(out), exc.where, exc.problem) from exc
    return replace(sealed, folder=out)
