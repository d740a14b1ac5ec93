"""Runs the small face networks: pixels in, named arrays out. Called by the detectors and the mesher.

Compiled once per process and file, however many streams use it. One call runs on one core, in the caller's own thread,
so that many streams share a machine evenly; calls from several threads run side by side.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import AssetError

if TYPE_CHECKING:
    import openvino

MOST_CALLS_AT_ONCE = 32


class Network:
    """A compiled network whose only input is one picture's pixels. Any thread may call `run`."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._compiled = compiled
        self._of_thread = threading.local()
        self._names = [port.any_name for port in compiled.outputs]

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes."""
        return {name: tuple(port.shape) for name, port in zip(self._names, self._compiled.outputs, strict=True)}

    def run(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        """(1, H, W, 3) uint8 in, float32 outputs by name: valid until the same thread's next call."""
        request = getattr(self._of_thread, "request", None)
        if request is None:
            request = self._of_thread.request = self._compiled.create_infer_request()
        request.infer({0: pixels}, share_inputs=True)
        return {name: request.get_output_tensor(i).data for i, name in enumerate(self._names)}


def open_network(path: Path, *, mean: float, scale: float) -> Network:
    """The network that sees (value - mean) / scale of each byte. The file's own input is (1, H, W, 3) float RGB."""
    with _compiling:
        return _open_network(path, path.stat().st_mtime_ns, mean, scale)


# lru_cache would let two threads compile the same file at once.
_compiling = threading.Lock()


@lru_cache(maxsize=16)
def _open_network(path: Path, changed_ns: int, mean: float, scale: float) -> Network:
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    try:
        core = ov.Core()
        steps = PrePostProcessor(core.read_model(str(path)))
        steps.input().tensor().set_element_type(ov.Type.u8)
        steps.input().preprocess().convert_element_type(ov.Type.f32).mean(mean).scale(scale)
        return Network(core.compile_model(steps.build(), "CPU", cpu_settings()))
    except RuntimeError as exc:
        raise AssetError(
            path.name, f"OpenVINO cannot run it ({exc})", "Run: streamguard models verify, then streamguard models pull"
        ) from exc


def cpu_settings() -> dict[str, Any]:
    """One core a call, and as many calls at once as there are cores.

    With fewer OpenVINO streams, calls from different threads would wait for each other. Pinning is off, or the
    streams of several networks would all sit on the first cores. f32: the same numbers on every processor.
    """
    at_once = min(_cores(), MOST_CALLS_AT_ONCE)
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": at_once,
        "INFERENCE_NUM_THREADS": at_once,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
