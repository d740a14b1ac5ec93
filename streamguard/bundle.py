"""A bundle: everything that decides a score, in one folder or zip. Opened here, strictly; used by engine and session.

    bundle.json     the manifest: this module's dataclasses, field for field
    *.onnx          one file a graph and precision; they may share weights files

A graph takes `crops` as uint8 RGB and normalises them itself, so that no backend can do it differently:

    window   crops (N, R + T, H, W, 3) uint8                                -> the output tensor
    step     crops (N, H, W, 3) uint8, age (N,) int64, the state tensors    -> the output tensor, the next state tensors
    maps     crops as window takes them                                     -> anomaly, motion: (N, h, w) each

N is dynamic. State begins as zeros; `age` counts the crops that this slot was given before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from . import sealed_files
from .config import ClipConfig, CropRecipe, home_folder
from .errors import BundleError, ConfigError
from .onnx_file import OnnxFile, TensorInfo, read_onnx
from .sealed_files import MANIFEST
from .sealed_files import FileSpec as FileSpec
from .strict import Refuse, added, build, read_json, shown

Graph = Literal["window", "step"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
MapKind = Literal["anomaly", "motion"]
AnyGraph = Graph | Literal["maps"]
"""Scores come from the first two. Maps are for people to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSpec:
    """What the network wants to see: a ClipConfig, less how it is fed."""

    size_px: int
    grid_s: float
    length: int
    """T: crops that the head averages."""
    memory: int = 0
    """R: crops before those that still matter."""
    hop_s: float
    recipe: CropRecipe
    span: float = added(2.0)
    """Side of the `square` recipe in face scales."""

    def config(self, graph: Graph) -> ClipConfig:
        """How a session makes clips for one of the graphs."""
        return ClipConfig(
            size_px=self.size_px,
            grid_s=self.grid_s,
            length=self.length,
            memory=self.memory,
            hop_s=self.hop_s,
            recipe=self.recipe,
            span=self.span,
            feed=graph,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """How the output tensor (N, K) becomes a raw score from 0 (real) to 1 (fake)."""

    tensor: str
    kind: Literal["logit", "probability", "softmax"]
    """logit: sigmoid of column `fake_index`. probability: that column as it is. softmax: its share over all columns."""
    width: int = 1
    """K."""
    fake_index: int = 0
    """The column that speaks of FAKE."""
    high_means_fake: bool = True
    """False: the column speaks of REAL, and the raw score is one minus it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpec:
    """One state tensor of the step graph."""

    input: str
    output: str
    shape: tuple[int, ...]
    """Without N. float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """One graph at one precision."""

    file: str
    tolerance: float
    """The largest difference of a raw score from PyTorch's in fp32 that a backend may show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What was measured when the bundle was made: the largest difference of raw scores over the last R + T crops."""

    precision: Precision
    step_to_window: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """The probability's logit is `scale` times the raw score's, plus `offset`."""

    kind: Literal["temperature"] = "temperature"
    scale: float
    """More than 0: a higher raw score is never less fake."""
    offset: float
    stderr: float
    """Standard error of the calibrated logit, as far as the calibration data can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """Straight lines between points of (raw score, probability); flat before the first and after the last."""

    kind: Literal["isotonic"] = "isotonic"
    raw: tuple[float, ...]
    """Growing."""
    p: tuple[float, ...]
    """Never falling, within 0 and 1."""
    p_low: tuple[float, ...]
    """Bounds of the 90% interval at each point."""
    p_high: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """On the accumulated probability of a face, under the assumed prior. real_enter < real_leave < fake_leave <
    fake_enter."""

    fake_enter: float
    """At or above it a face becomes LIKELY_FAKE."""
    fake_leave: float
    """Below it, it is that no more."""
    real_leave: float
    real_enter: float
    false_positive_rate: float
    """Share of real faces that became LIKELY_FAKE with these on the data named in `fitted_on`: of faces that had no
    part in choosing them, where it says cross-fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What makes a probability of one graph's raw score at one precision."""

    graph: Graph
    precision: Precision
    prior: float
    """Share of fakes that p_fake assumes, between 0 and 1. Users may shift it."""
    curve: Temperature | Isotonic
    thresholds: Thresholds
    fitted_on: str
    """Which data, in words."""
    evidence_scale: float = added(1.0)
    """What a score says is multiplied by this where it is added up over a face: more than 0, at most 1. Windows of one
    face err alike, so each says less than it would alone. p_fake, which is of one score, is untouched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    data: str
    """What it was trained on, in words; `none` if it is untrained."""
    commit: str
    licence: str
    metrics: dict[str, float] = field(default_factory=dict)
    held_out: tuple[str, ...] = added(())
    """Groups of its data that training never saw, by name, so that it may be tested on them; empty: nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetSpec:
    """Which registered network it is (`streamguard models nets`), so that it can be exported or trained again."""

    name: str
    options: dict[str, str]
    """All of them, as text."""
    decisions: dict[str, str] = field(default_factory=dict)
    """Where its paper is silent: a short key, and what was decided."""
    weights: str | None = None
    """Its parameters as PyTorch names them: a safetensors file of this bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRange:
    """What stands for nothing and for everything in a map, the same in every clip: the median of the values on clips of
    real faces, and what one in a thousand of them exceeds."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapsSpec:
    """The maps graph: where in a face's square the network finds how much. A map is the mean of those of the last T
    crops; its values are at least 0. No score rests on it, and it runs in fp32."""

    file: str
    height: int
    """h and w: cells of a map."""
    width: int
    kinds: tuple[MapKind, ...]
    """Its output tensors. anomaly: what the branch finds that is trained to find nothing on real faces. motion: how far
    what is seen is not what the crop before foretells."""
    ranges: dict[MapKind, MapRange] = field(default_factory=dict)
    """Of all kinds, or of none: then maps of different clips cannot be compared, and each is shown against itself."""
    measured_on: str = ""
    """Which clips the ranges are of, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """bundle.json."""

    format: Literal[1] = 1
    network: str
    version: str
    trained: bool
    """False: its scores mean nothing, and everything that shows them says so."""
    clip: ClipSpec
    colour: Literal["rgb"] = "rgb"
    output: OutputSpec
    graphs: dict[Graph, dict[Precision, GraphSpec]]
    states: tuple[StateSpec, ...] = ()
    """Of the step graph."""
    parity: tuple[Parity, ...] = ()
    """One for each precision of the step graph, where there is a window graph to compare with."""
    calibrations: tuple[Calibration, ...] = ()
    maps: MapsSpec | None = added(None)  # noqa: RUF009  # of a frozen class
    """None: it has no maps graph."""
    net: NetSpec | None = None
    """None: it was made elsewhere."""
    provenance: Provenance
    files: dict[str, FileSpec]
    """Every other file of the bundle, by its name."""


PACKAGED = Path(__file__).parent / "bundles"
UNTRAINED = PACKAGED / "untrained"
"""So that everything can be tried and tested: it runs, and its scores mean nothing. Opened by the name `untrained` too,
unless something else lies there."""
TRAINED = PACKAGED / "default"
DEFAULT = TRAINED if (TRAINED / MANIFEST).is_file() else UNTRAINED
"""What opens without a path: the trained one, where the package has it."""

MOST_HOP_S = 60.0
MOST_NAME = 1000
"""Characters of the network's name and version, which end in every output, and of what it says of itself."""
MOST_WORDS = 64
"""Options of a network, and its decisions."""
MOST_STATE_BYTES = 1 << 28
"""Of one face, all state tensors together."""
MOST_MAP_CELLS = 256
"""On a side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle: every file was checked."""

    folder: Path
    manifest: Manifest
    sha256: str
    """Of bundle.json, which holds those of all other files."""

    @property
    def name(self) -> str:
        """Network and version."""
        return f"{self.manifest.network} {self.manifest.version}"

    def path_of(self, graph: AnyGraph, precision: Precision) -> Path:
        """The ONNX file of one graph at one precision; BundleError if the bundle has none."""
        if graph == "maps":
            if self.manifest.maps is None:
                raise BundleError(self.name, "maps", "is null: it has no maps graph")
            return self.folder / self.manifest.maps.file
        spec = self.manifest.graphs.get(graph, {}).get(precision)
        if spec is None:
            there = [f"{graph} {precision}" for graph, specs in self.manifest.graphs.items() for precision in specs]
            raise BundleError(self.name, f"graphs.{graph}.{precision}", f"is not in it; there is {', '.join(there)}")
        return self.folder / spec.file

    def calibration(self, graph: Graph, precision: Precision) -> Calibration | None:
        """What makes a probability of this graph's raw score at this precision; None: nothing does."""
        for each in self.manifest.calibrations:
            if (each.graph, each.precision) == (graph, precision):
                return each
        return None


def open_bundle(path: str | os.PathLike[str] | None = None, *, trusted_sha256: str | None = None) -> Bundle:
    """Open a folder or a zip, and check all of it; None: the package's DEFAULT; `untrained`: its UNTRAINED.

    With `trusted_sha256` no other bundle.json is even parsed. A zip is unpacked below config.home_folder(), once; what
    it holds is checked each time.
    Anything that is not as it must be is a BundleError which names the file or the field.
    """
    place = DEFAULT if path is None else Path(path)
    if place == Path(UNTRAINED.name) and not os.path.lexists(place):
        place = UNTRAINED
    refuse = partial(BundleError, str(place))
    if os.path.isdir(place):
        data = sealed_files.read_manifest(place, refuse)
        manifest = _manifest_from(data, trusted_sha256, refuse)
        sealed_files.check_folder(place, manifest.files, refuse)
        return _bundle(place, manifest, data, refuse)
    if not os.path.isfile(place):
        raise refuse("", "there is no such folder or zip file")
    with sealed_files.opened_zip(place, refuse) as archive:
        data = sealed_files.read_zip_manifest(archive, refuse)
        manifest = _manifest_from(data, trusted_sha256, refuse)
        sealed_files.check_zip_names(archive, manifest.files, refuse)
        folder = home_folder() / "bundles" / hashlib.sha256(data).hexdigest()
        if sealed_files.is_unpacked(folder, data, manifest.files):
            sealed_files.check_zip(archive, manifest.files, refuse)
        else:
            sealed_files.unpack(archive, data, manifest.files, folder, refuse)
    return _bundle(folder, manifest, data, refuse)


def seal(folder: Path, manifest_fields: Mapping[str, Any]) -> Bundle:
    """For makers of bundles: write bundle.json for what is in the folder, then open it as strictly as anybody would.

    `manifest_fields` are the manifest's, less `files`, as plain JSON values or as this module's dataclasses; what has a
    default may be left out. The same fields and files always give the same bytes.
    """
    refuse = partial(BundleError, str(folder))
    if "files" in manifest_fields:
        raise refuse("files", "is found out here: leave it out")
    files = sealed_files.describe_folder(folder, refuse)
    try:
        plain = json.loads(json.dumps({**manifest_fields, "files": files}, allow_nan=False, default=dataclasses.asdict))
    except (TypeError, ValueError) as exc:
        raise refuse(MANIFEST, f"cannot be written as JSON ({exc})") from exc
    manifest = build(Manifest, plain, refuse, fill_defaults=True)
    try:
        (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8", newline="\n")
    except OSError as exc:
        raise refuse(MANIFEST, f"cannot be written ({exc.strerror})") from exc
    return open_bundle(folder)


def manifest_text(manifest: Manifest) -> str:
    """bundle.json of a sealed bundle."""
    text = json.dumps(dataclasses.asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


def pack_bundle(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """A folder as a zip, after checking all of it. The same folder always gives the same bytes. An older bundle is
    replaced; anything else at `out` is refused. SinkError if it cannot be written."""
    bundle = open_bundle(folder)
    refuse = partial(BundleError, str(folder))
    if Path(out).resolve().is_relative_to(Path(folder).resolve()):
        raise refuse("", f"{out} would be inside it: only what bundle.json names may be there")
    sealed_files.pack(bundle.folder, bundle.manifest.files, Path(out))
    return Path(out)


def _bundle(folder: Path, manifest: Manifest, data: bytes, refuse: Refuse) -> Bundle:
    graphs: list[tuple[AnyGraph, str]] = [
        (graph, file)
        for graph, specs in manifest.graphs.items()
        for file in sorted({spec.file for spec in specs.values()})
    ]
    if manifest.maps is not None:
        graphs.append(("maps", manifest.maps.file))
    for graph, file in graphs:
        onnx_file = read_onnx(folder / file, refuse)
        _check_external(file, onnx_file, manifest.files, refuse)
        _check_tensors(file, graph, onnx_file, manifest, refuse)
    return Bundle(folder=folder, manifest=manifest, sha256=hashlib.sha256(data).hexdigest())


def _manifest_from(data: bytes, trusted_sha256: str | None, refuse: Refuse) -> Manifest:
    found = hashlib.sha256(data).hexdigest()
    if trusted_sha256 is not None and found != trusted_sha256:
        raise refuse(MANIFEST, f"its sha256 is {found}, and only {trusted_sha256} is trusted")
    manifest = build(Manifest, read_json(data, MANIFEST, refuse), refuse)
    _check(manifest, refuse)
    return manifest


# What the ONNX files must be.


def _check_external(file: str, onnx_file: OnnxFile, files: Mapping[str, FileSpec], refuse: Refuse) -> None:
    """Names in `files` are plain, so what is among them is in the folder."""
    for each in onnx_file.external:
        of = f"the values of tensor {shown(each.tensor)}"
        if each.location not in files:
            raise refuse(file, f"{of} are in {shown(each.location)}, which is not among the bundle's files")
        size = files[each.location].size_bytes
        if each.offset + each.length > size:
            raise refuse(file, f"{of} end at byte {each.offset + each.length} of {each.location}, which has {size}")


def _check_tensors(file: str, graph: AnyGraph, onnx_file: OnnxFile, manifest: Manifest, refuse: Refuse) -> None:
    inputs, outputs = tensors_of(graph, manifest)
    for what, found, wanted in (("input", onnx_file.inputs, inputs), ("output", onnx_file.outputs, outputs)):
        by_name = {info.name: info for info in found}
        for info in wanted:
            if info.name not in by_name:
                raise refuse(file, f"{what} {shown(info.name)} is missing")
            if by_name[info.name] != info:
                raise refuse(file, f"{what} {shown(info.name)} is {by_name[info.name]}, not {info}")
        for name in by_name.keys() - {info.name for info in wanted}:
            raise refuse(file, f"{what} {shown(name)} is one too many")


def tensors_of(graph: AnyGraph, manifest: Manifest) -> tuple[list[TensorInfo], list[TensorInfo]]:
    """Inputs and outputs that a graph must have. The first dimension of each is N, which is dynamic."""
    clip, output = manifest.clip, manifest.output
    picture = (clip.size_px, clip.size_px, 3)
    given = [TensorInfo(name=output.tensor, element_type="float32", shape=(None, output.width))]
    if graph != "step":
        if graph == "maps":
            given = _maps_of(manifest)
        shape = (None, clip.memory + clip.length, *picture)
        return [TensorInfo(name="crops", element_type="uint8", shape=shape)], given
    taken = [
        TensorInfo(name="crops", element_type="uint8", shape=(None, *picture)),
        TensorInfo(name="age", element_type="int64", shape=(None,)),
    ]
    for state in manifest.states:
        taken.append(TensorInfo(name=state.input, element_type="float32", shape=(None, *state.shape)))
        given.append(TensorInfo(name=state.output, element_type="float32", shape=(None, *state.shape)))
    return taken, given


def _maps_of(manifest: Manifest) -> list[TensorInfo]:
    maps = manifest.maps
    assert maps is not None, "who asks has looked"
    shape = (None, maps.height, maps.width)
    return [TensorInfo(name=kind, element_type="float32", shape=shape) for kind in maps.kinds]


# What no single field's type can say.

Need = Callable[[bool, str, str], None]
"""(what must be true, where, what is wrong otherwise)."""


def _check(manifest: Manifest, refuse: Refuse) -> None:
    def need(ok: bool, where: str, problem: str) -> None:
        if not ok:
            raise refuse(where, problem)

    need(manifest.network != "", "network", "must not be empty")
    need(manifest.version != "", "version", "must not be empty")
    need(len(manifest.network) <= MOST_NAME, "network", f"has more than {MOST_NAME} characters")
    need(len(manifest.version) <= MOST_NAME, "version", f"has more than {MOST_NAME} characters")
    sealed_files.check_specs(manifest.files, refuse)
    _check_graphs(manifest, need)
    _check_clip(manifest, refuse)
    _check_output(manifest.output, need)
    _check_states(manifest, need)
    _check_parity(manifest, need)
    if manifest.maps is not None:
        _check_maps(manifest.maps, manifest, need)
    if manifest.net is not None:
        _check_net(manifest.net, manifest.files, need)
    need(manifest.trained or not manifest.calibrations, "calibrations", "must be empty: the network is not trained")
    seen: set[tuple[Graph, Precision]] = set()
    for i, each in enumerate(manifest.calibrations):
        where = f"calibrations.{i}"
        key = (each.graph, each.precision)
        need(each.precision in manifest.graphs.get(each.graph, {}), where, f"there is no {' '.join(key)} graph")
        need(key not in seen, where, f"there is another calibration of the {' '.join(key)} graph")
        seen.add(key)
        _check_calibration(each, where, need)


def _check_graphs(manifest: Manifest, need: Need) -> None:
    need(bool(manifest.graphs), "graphs", "must not be empty")
    for graph, specs in manifest.graphs.items():
        need(bool(specs), f"graphs.{graph}", "must not be empty")
        for precision, spec in specs.items():
            where = f"graphs.{graph}.{precision}"
            need(spec.file in manifest.files, f"{where}.file", f"{shown(spec.file)} is not among the files")
            need(spec.tolerance >= 0, f"{where}.tolerance", "must be at least 0")


def _check_clip(manifest: Manifest, refuse: Refuse) -> None:
    if manifest.clip.hop_s > MOST_HOP_S:
        raise refuse("clip.hop_s", f"must be at most {MOST_HOP_S:g} seconds: a face would hardly ever be judged")
    if "step" in manifest.graphs and manifest.clip.recipe != "square":
        raise refuse("clip.recipe", "must be square: crops of a step graph lie on a square that stays")
    for graph in manifest.graphs:
        try:
            manifest.clip.config(graph)
        except ConfigError as exc:
            raise refuse(exc.key, exc.problem) from exc


def _check_output(output: OutputSpec, need: Need) -> None:
    need(output.width >= 1, "output.width", "must be at least 1")
    need(output.kind != "softmax" or output.width >= 2, "output.width", "must be at least 2 for a softmax")
    need(0 <= output.fake_index < output.width, "output.fake_index", f"must be 0 to {output.width - 1}")


def _check_states(manifest: Manifest, need: Need) -> None:
    if "step" in manifest.graphs:
        need(bool(manifest.states), "states", "must not be empty: there is a step graph")
    else:
        need(not manifest.states, "states", "must be empty: there is no step graph")
    inputs, outputs, size_bytes = {"crops", "age"}, {manifest.output.tensor}, 0
    for i, state in enumerate(manifest.states):
        need(state.input not in inputs, f"states.{i}.input", f"{state.input!r} is the name of another input")
        need(state.output not in outputs, f"states.{i}.output", f"{state.output!r} is the name of another output")
        need(all(n >= 1 for n in state.shape), f"states.{i}.shape", "must be of numbers of at least 1")
        inputs.add(state.input)
        outputs.add(state.output)
        size_bytes += 4 * math.prod(state.shape)
        need(
            size_bytes <= MOST_STATE_BYTES, f"states.{i}.shape", f"makes the state larger than {MOST_STATE_BYTES} bytes"
        )


def _check_parity(manifest: Manifest, need: Need) -> None:
    step, window = manifest.graphs.get("step", {}), manifest.graphs.get("window", {})
    measured: set[Precision] = set()
    for i, each in enumerate(manifest.parity):
        there = each.precision in step and bool(window)
        need(there, f"parity.{i}", f"there are no {each.precision} step graph and window graph to compare")
        need(each.precision not in measured, f"parity.{i}", f"{each.precision} is there twice")
        need(each.step_to_window >= 0, f"parity.{i}.step_to_window", "must be at least 0")
        measured.add(each.precision)
    for precision in step:
        need(precision in measured or precision not in window, "parity", f"{precision} is missing")


def _check_maps(maps: MapsSpec, manifest: Manifest, need: Need) -> None:
    need(maps.file in manifest.files, "maps.file", f"{shown(maps.file)} is not among the files")
    need(manifest.clip.recipe == "square", "maps", "must be null: only the square recipe says where a map lies")
    for name, cells in (("height", maps.height), ("width", maps.width)):
        need(1 <= cells <= MOST_MAP_CELLS, f"maps.{name}", f"must be 1 to {MOST_MAP_CELLS}")
    need(bool(maps.kinds), "maps.kinds", "must not be empty")
    need(len(set(maps.kinds)) == len(maps.kinds), "maps.kinds", "names a map twice")
    need(not maps.ranges or maps.ranges.keys() == set(maps.kinds), "maps.ranges", "must be of all kinds, or of none")
    for kind, limits in maps.ranges.items():
        need(0 <= limits.low < limits.high, f"maps.ranges.{kind}", "must be 0 <= low < high")
    need(bool(maps.ranges) == bool(maps.measured_on), "maps.measured_on", "must be said where there are ranges only")
    need(len(maps.measured_on) <= MOST_NAME, "maps.measured_on", f"has more than {MOST_NAME} characters")


def _check_net(net: NetSpec, files: Mapping[str, FileSpec], need: Need) -> None:
    need(net.name != "", "net.name", "must not be empty")
    need(len(net.name) <= MOST_NAME, "net.name", f"has more than {MOST_NAME} characters")
    for where, words in (("net.options", net.options), ("net.decisions", net.decisions)):
        need(len(words) <= MOST_WORDS, where, f"are more than {MOST_WORDS}")
        for name, text in words.items():
            short = max(len(name), len(text)) <= MOST_NAME
            need(short, f"{where}.{shown(name)}", f"has more than {MOST_NAME} characters")
    if net.weights is not None:
        need(net.weights in files, "net.weights", f"{shown(net.weights)} is not among the files")
        need(net.weights.endswith(".safetensors"), "net.weights", f"{shown(net.weights)} is no .safetensors file")


def _check_calibration(calibration: Calibration, where: str, need: Need) -> None:
    need(0 < calibration.prior < 1, f"{where}.prior", "must be between 0 and 1, without these")
    match calibration.curve:
        case Temperature() as curve:
            need(curve.scale > 0, f"{where}.curve.scale", "must be more than 0")
            need(curve.stderr >= 0, f"{where}.curve.stderr", "must be at least 0")
        case Isotonic() as curve:
            _check_isotonic(curve, f"{where}.curve", need)
    levels = calibration.thresholds
    order = (0.0, levels.real_enter, levels.real_leave, levels.fake_leave, levels.fake_enter, 1.0)
    within = order[0] <= order[1] < order[2] < order[3] < order[4] <= order[5]
    need(within, f"{where}.thresholds", "must be 0 <= real_enter < real_leave < fake_leave < fake_enter <= 1")
    need(0 < calibration.evidence_scale <= 1, f"{where}.evidence_scale", "must be more than 0 and at most 1")
    rate = levels.false_positive_rate
    need(0 <= rate <= 1, f"{where}.thresholds.false_positive_rate", "must be 0 to 1")


def _check_isotonic(curve: Isotonic, where: str, need: Need) -> None:
    need(len(curve.raw) >= 2, f"{where}.raw", "must have at least 2 points")
    for name, values in (("p", curve.p), ("p_low", curve.p_low), ("p_high", curve.p_high)):
        need(len(values) == len(curve.raw), f"{where}.{name}", f"must have {len(curve.raw)} points, as raw has")
        need(all(0 <= value <= 1 for value in values), f"{where}.{name}", "must be within 0 and 1")
    raw_grows = all(a < b for a, b in zip(curve.raw, curve.raw[1:], strict=False))
    need(raw_grows, f"{where}.raw", "must grow from point to point")
    need(all(a <= b for a, b in zip(curve.p, curve.p[1:], strict=False)), f"{where}.p", "must never fall")
    below = all(low <= p for low, p in zip(curve.p_low, curve.p, strict=True))
    need(below, f"{where}.p_low", "must not be above p")
    above = all(p <= high for p, high in zip(curve.p, curve.p_high, strict=True))
    need(above, f"{where}.p_high", "must not be below p")
