"""A bundle: everything that decides a score, in one folder or zip. Opened here, strictly; used by engine and session.

    bundle.json     the manifest: this module's dataclasses, field for field
    *.onnx          one file a graph and precision; they may share weights files

A graph takes `crops` as uint8 RGB and normalises them itself, so that no backend can do it differently:

    window   crops (N, R + T, H, W, 3) uint8                                -> the output tensor
    step     crops (N, H, W, 3) uint8, age (N,) int64, the state tensors    -> the output tensor, the next state tensors

N is dynamic. State begins as zeros; `age` counts the crops that this slot was given before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .config import ClipConfig, CropRecipe

Graph = Literal["window", "step"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]


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

    def config(self, graph: Graph) -> ClipConfig:
        """How a session makes clips for one of the graphs."""
        return ClipConfig(
            size_px=self.size_px,
            grid_s=self.grid_s,
            length=self.length,
            memory=self.memory,
            hop_s=self.hop_s,
            recipe=self.recipe,
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
    """Share of real faces that became LIKELY_FAKE with these on the data named in `fitted_on`."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    data: str
    """What it was trained on, in words; `none` if it is untrained."""
    commit: str
    licence: str
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    sha256: str
    size_bytes: int


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
    provenance: Provenance
    files: dict[str, FileSpec]
    """Every other file of the bundle, by its name."""
