"""A network in PyTorch -> a sealed bundle. What its manifest promises of graphs and precisions is measured here.

Graphs and weights are written into a folder beside OUT, run on this processor, and moved to OUT when all is well: a
bundle is there whole, or not at all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from streamguard.bundle import (
    Bundle,
    Graph,
    GraphSpec,
    Manifest,
    MapsSpec,
    NetSpec,
    OutputSpec,
    Parity,
    Precision,
    Provenance,
    StateSpec,
    open_bundle,
    seal,
)
from streamguard.engine.backend import Backend
from streamguard.engine.backend_openvino import OpenVinoBackend, fast_precisions
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.output import raw_scores
from streamguard.engine.parity import graph_outputs, sample_clips
from streamguard.errors import BundleError, CheckpointError
from streamguard.nets.contract import CausalNet, ClipNet
from streamguard.sealed_files import replacing
from streamguard.weights.load import rounded_to_halves, save_weights

from .map_graph import MapsOf, check_maps, maps_spec
from .onnx_files import export_graphs

PARAMETERS = "network.safetensors"
CLIPS = 16
"""What tolerance and parity are measured on, where a clip costs little."""
MAP_CLIPS = 2
"""What heat maps are compared on: nobody computes with them."""
MARGIN = 2
"""Other processors add up in other orders than the one that made the bundle."""
MARGIN_OF_FEW = 4
"""On fewer clips: the largest difference of two or three says little of the next one."""
LEAST_TOLERANCE = {"fp32": 1e-5, "bf16": 0.01}
"""Bits of rounding that no score tells of. An untrained network may answer everything alike, and so hide its own."""
MOST_APART = 1e-3
"""Of raw scores, between step and window in PyTorch. More is no rounding: the network's R is not what it remembers."""

NOT_TRAINED = Provenance(data="none", commit="none", licence="Apache-2.0")

Store = Literal["fp32", "fp16"]
"""What weights take in the files. The engines compute as they would with either."""

Progress = Callable[[str], object]
Specs = dict[Graph, dict[Precision, GraphSpec]]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a network cannot say of itself."""

    network: str
    version: str
    trained: bool
    grid_s: float
    hop_s: float
    recipe: Literal["square", "similarity"]
    span: float = 2.0
    """Side of the `square` recipe in face scales, 1 to 2."""
    provenance: Provenance
    net: NetSpec | None = None
    """Of a registered network, less `weights`: its graphs then refer to a file of its parameters."""


def make_bundle(
    out: Path,
    module: nn.Module,
    about: About,
    *,
    precisions: Sequence[Precision] | None = None,
    store: Store = "fp32",
    clips: int = CLIPS,
    progress: Progress = lambda line: None,
) -> Bundle:
    """Write the bundle of a network to the folder `out`. An older bundle is replaced, anything else there is refused.
    The network is in eval mode afterwards.

    `precisions`: None are those that this processor is made for, of fp32 and bf16. `store`: fp16 halves the files. The
    weights are rounded first, and everything is measured against PyTorch with these; how far that is from the network
    as it was is told. BundleError if the network gives what is no number, or something else by steps than by whole
    clips.
    """
    names = usable_precisions() if precisions is None else precisions
    module.eval()
    kept = rounded_to_halves(module) if store == "fp16" else module
    with replacing(out) as folder:
        try:
            loose = unmeasured_bundle(folder, kept, about, precisions=names, store=store, progress=progress)
            specs, parity = _measured(kept, loose, clips, progress)
            if kept is not module:
                _tell_rounding(module, kept, loose.manifest, clips, progress)
            if loose.manifest.maps is not None:
                progress(f"comparing heat maps on {_clips(MAP_CLIPS)}")
                check_maps(kept, loose, sample_clips(loose.manifest.clip, MAP_CLIPS))
            seal(folder, _fields(kept, about, specs, parity, loose.manifest.maps))
        except BundleError as exc:
            raise BundleError(str(out), exc.where, exc.problem) from exc
        except CheckpointError as exc:
            raise BundleError(str(out), PARAMETERS, f"{exc.where}: {exc.problem}") from exc
    return open_bundle(out)


def tolerance_for(difference: float, precision: Precision, clips: int) -> float:
    """What a graph promises, if it was so far from PyTorch on so many clips."""
    margin = MARGIN if clips >= CLIPS else MARGIN_OF_FEW
    return max(LEAST_TOLERANCE[precision], rounded_up(margin * difference))


def unmeasured_bundle(
    folder: Path,
    module: nn.Module,
    about: About,
    *,
    precisions: Sequence[Precision],
    store: Store = "fp32",
    progress: Progress = lambda line: None,
) -> Bundle:
    """In an empty folder: one that opens and runs, and promises nothing of how near to PyTorch its scores are. Here
    nothing is rounded: fp16 are those weights that it holds exactly."""
    module.eval()
    parameters = None if about.net is None else folder / PARAMETERS
    if parameters is not None:
        save_weights(module, parameters, halves=store == "fp16")
    maps = maps_spec(module, about.recipe)
    _export(folder, module, parameters, store, maps, progress)
    return seal(folder, _fields(module, about, *_unmeasured(module, precisions), maps))


def usable_precisions() -> tuple[Precision, ...]:
    """bf16 only where it is fast: elsewhere nobody could measure it in good time, or would run it."""
    _, fast = fast_precisions()
    return ("fp32", "bf16") if "bf16" in fast else ("fp32",)


def rounded_up(value: float) -> float:
    """To one digit: what is measured again elsewhere is a little different."""
    if value == 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.0e}")


def _export(
    folder: Path, module: nn.Module, parameters: Path | None, store: Store, maps: MapsSpec | None, progress: Progress
) -> None:
    net = cast(ClipNet, module)
    frame = (net.size_px, net.size_px, 3)
    states = _zeros(net)
    step = {"crops": torch.zeros(2, *frame, dtype=torch.uint8), "age": torch.zeros(2, dtype=torch.int64), **states}
    export_graphs(
        folder,
        module,
        window={"crops": torch.zeros(2, net.memory + net.length, *frame, dtype=torch.uint8)},
        step=step if net.causal else None,
        output="logits",
        next_states=[f"next_{name}" for name in states],
        maps=None if maps is None else (maps.file, MapsOf(module, maps.kinds), list(maps.kinds)),
        parameters=parameters,
        halves=store == "fp16",
        progress=progress,
    )


def _zeros(net: ClipNet) -> dict[str, Tensor]:
    return {name: torch.zeros(2, *shape) for name, shape in _state_shapes(net).items()}


def _state_shapes(net: ClipNet) -> dict[str, tuple[int, ...]]:
    return cast(CausalNet, net).state_shapes if net.causal else {}


def _fields(
    module: nn.Module, about: About, specs: Specs, parity: Sequence[Parity], maps: MapsSpec | None
) -> dict[str, Any]:
    net = cast(ClipNet, module)
    states = _state_shapes(net)
    return {
        "network": about.network,
        "version": about.version,
        "trained": about.trained,
        "clip": {
            "size_px": net.size_px,
            "grid_s": about.grid_s,
            "length": net.length,
            "memory": net.memory,
            "hop_s": about.hop_s,
            "recipe": about.recipe,
            "span": about.span,
        },
        "output": OutputSpec(tensor="logits", kind="logit"),
        "graphs": specs,
        "states": [StateSpec(input=name, output=f"next_{name}", shape=shape) for name, shape in states.items()],
        "parity": list(parity),
        "maps": maps,
        "net": None if about.net is None else dataclasses.replace(about.net, weights=PARAMETERS),
        "provenance": about.provenance,
    }


# What is promised, and what is measured.


def _unmeasured(module: nn.Module, precisions: Sequence[Precision]) -> tuple[Specs, list[Parity]]:
    """A bundle that opens, so that it can be run: no score is further off than 1."""
    causal = cast(ClipNet, module).causal
    graphs: tuple[Graph, ...] = ("window", "step") if causal else ("window",)
    specs: Specs = {
        graph: {each: GraphSpec(file=f"{graph}.onnx", tolerance=1.0) for each in precisions} for graph in graphs
    }
    return specs, [Parity(precision=each, step_to_window=1.0) for each in precisions] if causal else []


def _measured(module: nn.Module, bundle: Bundle, clips: int, progress: Progress) -> tuple[Specs, list[Parity]]:
    """Differences of raw scores to PyTorch, and between the graphs, of this processor at each precision."""
    manifest = bundle.manifest
    crops = sample_clips(manifest.clip, clips)
    reference: dict[Graph, np.ndarray] = {}
    for graph in manifest.graphs:
        progress(f"measuring on {_clips(clips)}: PyTorch {graph}")
        reference[graph] = _scores(TorchBackend(module, manifest, graph), manifest, crops)
    if "step" in reference:
        _check_memory(module, manifest, crops[:1], reference["window"][:1])
    specs: Specs = {graph: {} for graph in manifest.graphs}
    found: dict[tuple[Graph, Precision], np.ndarray] = {}
    for graph, precision, spec in _in_turn(manifest):
        progress(f"measuring on {_clips(clips)}: OpenVINO {graph} {precision}")
        with closing(OpenVinoBackend(bundle, graph, precision)) as backend:
            found[graph, precision] = _scores(backend, manifest, crops)
        difference = _largest(found[graph, precision], reference[graph])
        tolerance = tolerance_for(difference, precision, clips)
        specs[graph][precision] = dataclasses.replace(spec, tolerance=tolerance)
    parity = [
        Parity(
            precision=each.precision,
            step_to_window=rounded_up(_largest(found["step", each.precision], found["window", each.precision])),
        )
        for each in manifest.parity
    ]
    return specs, parity


def _tell_rounding(before: nn.Module, after: nn.Module, manifest: Manifest, clips: int, progress: Progress) -> None:
    crops = sample_clips(manifest.clip, clips)
    some, others = (_scores(TorchBackend(net, manifest, "window"), manifest, crops) for net in (before, after))
    progress(f"in 16 bits the weights give raw scores that are up to {_largest(some, others):.1g} off")


def _in_turn(manifest: Manifest) -> Iterator[tuple[Graph, Precision, GraphSpec]]:
    for graph, specs in manifest.graphs.items():
        for precision, spec in specs.items():
            yield graph, precision, spec


def _scores(backend: Backend, manifest: Manifest, crops: np.ndarray) -> np.ndarray:
    """Raw scores (N,); BundleError if an answer is no finite number, also where sigmoid would hide that."""
    outputs = graph_outputs(backend, manifest, crops)
    if not np.isfinite(outputs).all():
        where = f"graphs.{backend.graph}.{backend.precision}"
        raise BundleError("", where, f"{backend.name} gives scores that are no numbers: {outputs.ravel()[:4].tolist()}")
    return raw_scores(manifest.output, outputs)


def _check_memory(module: nn.Module, manifest: Manifest, clip: np.ndarray, as_clip: np.ndarray) -> None:
    """Steps give what the clip (1, R + T, ...) gives, whatever was before: here the same backwards."""
    longer = np.concatenate([clip[:, ::-1], clip], axis=1)
    apart = _largest(_scores(TorchBackend(module, manifest, "step"), manifest, longer), as_clip)
    if not apart <= MOST_APART:
        crops = f"{manifest.clip.memory} + {manifest.clip.length} crops"
        problem = f"a score by steps is {apart:.1g} off that of the last {crops} as a clip"
        raise BundleError("", "clip.memory", f"{problem}: the network does not remember what it says")


def _largest(some: np.ndarray, others: np.ndarray) -> float:
    return float(np.abs(some - others).max())


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"
