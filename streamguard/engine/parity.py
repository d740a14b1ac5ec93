"""Do all backends and precisions that run here give the scores that they should? For `streamguard bundle verify`.

Everything is compared on the same made-up clips: each backend, graph and precision with OpenVINO's fp32 of that graph,
within the tolerance that the bundle states; and steps with whole windows, where the bundle has both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from ..bundle import Bundle, ClipSpec, Graph, Manifest, Precision
from ..config import BackendName, EngineConfig
from .backend import Backend
from .open_backend import FASTEST_FIRST, open_backend, processor
from .output import raw_scores

BACKENDS: tuple[BackendName, ...] = ("openvino", "onnxruntime")
"""The first is the reference."""

Key = tuple[BackendName, Graph, Precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRow:
    """One comparison of raw scores."""

    backend: str
    graph: Graph
    precision: Precision
    compared_to: str
    """In words."""
    difference: float
    """The largest one. NaN if a score is."""
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance  # False for NaN


def measure(bundle: Bundle, *, clips: int = 4, seed: int = 0) -> list[ParityRow]:
    """Every backend that is installed, with every graph and precision that it can run on this processor."""
    manifest = bundle.manifest
    crops = sample_clips(manifest.clip, clips, seed)
    scores: dict[Key, np.ndarray] = {}
    for name, graph, precision in _combinations(manifest):
        with closing(open_backend(bundle, EngineConfig(backend=name, graph=graph, precision=precision))) as backend:
            scores[name, graph, precision] = graph_scores(backend, manifest, crops)
    return [*_against_the_reference(manifest, scores), *_steps_against_windows(manifest, scores)]


def sample_clips(clip: ClipSpec, count: int, seed: int = 0) -> np.ndarray:
    """(N, R + T, H, W, 3) uint8: smooth pictures that differ in brightness and contrast, drift, and are a bit noisy."""
    random = np.random.default_rng(seed)
    length, size_px = clip.memory + clip.length, clip.size_px
    clips = np.empty((count, length, size_px, size_px, 3), np.uint8)
    for one in clips:
        coarse = random.uniform(0, 1, (8, 8, 3)) * random.uniform(60, 250) + random.uniform(-30, 60)
        picture = _enlarged(coarse, size_px)
        shift = random.integers(-3, 4, 2)
        for t in range(length):
            moved = np.roll(picture, tuple(t * shift), axis=(0, 1))
            one[t] = np.clip(moved + random.normal(0, 4, moved.shape), 0, 255)
    return clips


def window_scores(backend: Backend, manifest: Manifest, clips: np.ndarray) -> np.ndarray:
    """Raw scores (N,) of whole clips."""
    return raw_scores(manifest.output, _window_outputs(backend, manifest, clips))


def step_scores(backend: Backend, manifest: Manifest, clips: np.ndarray) -> np.ndarray:
    """Raw scores (N,) after the last crop of each clip, from cleared slots."""
    return raw_scores(manifest.output, _step_outputs(backend, manifest, clips))


def graph_scores(backend: Backend, manifest: Manifest, clips: np.ndarray) -> np.ndarray:
    return raw_scores(manifest.output, graph_outputs(backend, manifest, clips))


def graph_outputs(backend: Backend, manifest: Manifest, clips: np.ndarray) -> np.ndarray:
    """What raw scores are made of: the output tensor (N, K) of whole clips, or after the last crop of each."""
    return (_window_outputs if backend.graph == "window" else _step_outputs)(backend, manifest, clips)


def _window_outputs(backend: Backend, manifest: Manifest, clips: np.ndarray) -> np.ndarray:
    return backend.run({"crops": clips})[manifest.output.tensor]


def _step_outputs(backend: Backend, manifest: Manifest, clips: np.ndarray) -> np.ndarray:
    slots = [backend.open_slot() for _ in clips]
    try:
        for t in range(clips.shape[1]):
            age = np.full(len(slots), t, np.int64)
            outputs = backend.step(slots, {"crops": clips[:, t], "age": age})
    finally:
        for slot in slots:
            backend.close_slot(slot)
    return outputs[manifest.output.tensor]


def _enlarged(coarse: np.ndarray, size_px: int) -> np.ndarray:
    """Straight lines between the values of a small picture (h, w, 3)."""
    at = np.linspace(0, len(coarse) - 1.001, size_px)
    first, share = at.astype(int), at % 1
    rows = coarse[first] * (1 - share)[:, None, None] + coarse[first + 1] * share[:, None, None]
    return rows[:, first] * (1 - share)[:, None] + rows[:, first + 1] * share[:, None]


def _combinations(manifest: Manifest) -> Iterator[Key]:
    for name in BACKENDS:
        if find_spec(name) is not None:
            _, able = processor(name)
            for graph, specs in manifest.graphs.items():
                yield from ((name, graph, each) for each in specs if each in able or each == "int8")


def _against_the_reference(manifest: Manifest, scores: Mapping[Key, np.ndarray]) -> Iterator[ParityRow]:
    for (name, graph, precision), found in scores.items():
        specs = manifest.graphs[graph]
        exact = next(each for each in reversed(FASTEST_FIRST) if (BACKENDS[0], graph, each) in scores)
        if (name, precision) != (BACKENDS[0], exact):
            yield ParityRow(
                backend=name,
                graph=graph,
                precision=precision,
                compared_to=f"{BACKENDS[0]} {graph} {exact}",
                difference=_largest(found - scores[BACKENDS[0], graph, exact]),
                # Both may be so far from PyTorch, in opposite directions.
                tolerance=specs[precision].tolerance + specs[exact].tolerance,
            )


def _steps_against_windows(manifest: Manifest, scores: Mapping[Key, np.ndarray]) -> Iterator[ParityRow]:
    apart = {each.precision: each.step_to_window for each in manifest.parity}
    for (name, graph, precision), found in scores.items():
        if graph == "step" and (name, "window", precision) in scores:
            tolerances = [manifest.graphs[each][precision].tolerance for each in ("step", "window")]
            yield ParityRow(
                backend=name,
                graph=graph,
                precision=precision,
                compared_to=f"{name} window {precision}",
                difference=_largest(found - scores[name, "window", precision]),
                tolerance=apart[precision] + sum(tolerances),
            )


def _largest(differences: np.ndarray) -> float:
    return float(np.abs(differences).max())
