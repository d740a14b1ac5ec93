"""Runs the small face networks: pixels in, named arrays out. Called by the detectors and the mesher.

Compiled once per process and file, however many streams use it. One call runs on one core, in the caller's own thread,
so that many streams share a machine evenly; calls from several threads run side by side.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cores import load_openvino, openvino_settings
from ..errors import AssetError

if TYPE_CHECKING:
    import openvino


class Network:
    """A compiled network whose only input is one picture's pixels. Any thread may call `run`."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._compiled = compiled
        # Those that no call is using. One for each thread would grow with the threads that come and go.
        self._idle: deque[openvino.InferRequest] = deque()
        self._names = [port.any_name for port in compiled.outputs]

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes."""
        return {name: tuple(port.shape) for name, port in zip(self._names, self._compiled.outputs, strict=True)}

    def run(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        """(1, H, W, 3) uint8 in, float32 outputs by name."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.infer({0: pixels}, share_inputs=True)
        given = {name: np.array(request.get_output_tensor(i).data) for i, name in enumerate(self._names)}
        self._idle.append(request)
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """How a network wants to see the bytes of an RGB picture: as (value - mean) / scale."""

    mean: float
    scale: float
    planar_side_px: int | None = None
    """The network's input is (1, 3, side, side); None: it is (1, H, W, 3)."""
    bgr: bool = False


def open_network(path: Path, pixels: Pixels) -> Network:
    """The network of a file, made to take (1, H, W, 3) uint8 RGB. One for all who open the same file."""
    with _compiling:
        return _open_network(path, path.stat().st_mtime_ns, pixels)


def output_shapes(path: Path, side_px: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a network with a (1, 3, side, side) input gives, without compiling it."""
    model = _read(path, side_px)
    return {port.any_name: tuple(port.shape) for port in model.outputs}


# lru_cache would let two threads compile the same file at once.
_compiling = threading.Lock()


@lru_cache(maxsize=16)
def _open_network(path: Path, changed_ns: int, pixels: Pixels) -> Network:
    ov = load_openvino()

    model = _taking_bytes(_read(path, pixels.planar_side_px), pixels)
    try:
        return Network(ov.Core().compile_model(model, "CPU", openvino_settings()))
    except RuntimeError as exc:
        raise _unusable(path, exc) from exc


def _read(path: Path, planar_side_px: int | None) -> openvino.Model:
    ov = load_openvino()

    try:
        model = ov.Core().read_model(str(path))
        if planar_side_px is not None:
            model.reshape([1, 3, planar_side_px, planar_side_px])
    except RuntimeError as exc:
        raise _unusable(path, exc) from exc
    return model


def _taking_bytes(model: openvino.Model, pixels: Pixels) -> openvino.Model:
    ov = load_openvino()
    from openvino.preprocess import ColorFormat, PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.RGB)
    steps.input().model().set_layout(ov.Layout("NHWC" if pixels.planar_side_px is None else "NCHW"))
    change = steps.input().preprocess().convert_element_type(ov.Type.f32)
    if pixels.bgr:
        change.convert_color(ColorFormat.BGR)
    change.mean(pixels.mean).scale(pixels.scale)
    return steps.build()


def _unusable(path: Path, exc: RuntimeError) -> AssetError:
    first_line = next((line for line in str(exc).splitlines() if line.strip()), "no reason given")
    remedy = (
        "If it is one of StreamGuard's own, run: streamguard models verify. Else convert it to ONNX opset 11 or later"
    )
    return AssetError(path.name, f"OpenVINO cannot run it ({first_line})", remedy)
