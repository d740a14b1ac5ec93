"""OpenVINO on the CPU. Each row of a batch is an inference of its own, so a row never depends on the others.

A slot is an infer request that keeps its state inside, in place: nothing is copied between steps. Rows run side by
side, one core each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bundle import AnyGraph, Bundle, Graph, Precision
from ..cores import calls_at_once, has_fast_int8, load_openvino, openvino_settings
from ..errors import ClosedError, EngineError
from .arrays import Tensor, callers_inputs, check_arrays, check_graph, graph_inputs, graph_outputs, state_bytes
from .backend import Arrays
from .slot_pool import SlotPool

if TYPE_CHECKING:
    import openvino

NAME = "openvino"

# int8 is in the file itself; what it leaves in floating point stays fp32.
INFERENCE_PRECISION: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Slot:
    request: openvino.InferRequest
    states: list[tuple[Any, tuple[int, ...]]]
    """Its VariableStates with their shapes."""


class OpenVinoBackend:
    """One graph of a bundle at one precision. See backend.py for the contract."""

    def __init__(self, bundle: Bundle, graph: Graph, precision: Precision) -> None:
        self._graph = graph
        self._precision = precision
        self._inputs = callers_inputs(bundle.manifest, graph)
        self._output = bundle.manifest.output.tensor
        self._width = bundle.manifest.output.width
        self._bytes_per_slot = _bytes_per_slot(bundle)
        self._compiled: openvino.CompiledModel | None
        self._compiled, self._device = _compile(bundle, graph, precision)
        self._pool = SlotPool(NAME, self._new_slot)
        # Requests that no call of `run` is using: never more than calls at a time times cores.
        self._idle: deque[openvino.InferRequest] = deque()

    @property
    def name(self) -> str:
        return NAME

    @property
    def device(self) -> str:
        return self._device

    @property
    def graph(self) -> Graph:
        return self._graph

    @property
    def precision(self) -> Precision:
        return self._precision

    @property
    def at_once(self) -> int:
        return calls_at_once()

    @property
    def slots_made(self) -> int:
        """Infer requests that exist for slots, open or waiting to be used again."""
        return self._pool.made

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        if self._graph != "window":
            raise EngineError(NAME, "it was opened for the step graph, which has no run")
        compiled = self._alive()
        crops = check_arrays(NAME, arrays, self._inputs)["crops"]
        scores = np.empty((len(crops), self._width), np.float32)
        requests = [self._idle_request(compiled) for _ in range(min(self.at_once, len(crops)))]
        try:
            for start in range(0, len(crops), self.at_once):
                rows = range(start, min(start + self.at_once, len(crops)))
                self._infer(requests[: len(rows)], [{"crops": crops[i : i + 1]} for i in rows], scores[start:])
        finally:
            self._idle.extend(requests)
        return {self._output: scores}

    def open_slot(self) -> int:
        self._need_step()
        slot = self._pool.open()
        self.clear(slot)
        return slot

    def step(self, slots: Sequence[int], arrays: Arrays) -> dict[str, np.ndarray]:
        self._need_step()
        held = self._pool.of(slots)
        checked = check_arrays(NAME, arrays, self._inputs, count=len(slots))
        scores = np.empty((len(slots), self._width), np.float32)
        feeds = [{name: array[i : i + 1] for name, array in checked.items()} for i in range(len(slots))]
        self._infer([slot.request for slot in held], feeds, scores)
        return {self._output: scores}

    def clear(self, slot: int) -> None:
        self.fill(slot, 0.0)

    def fill(self, slot: int, value: float) -> None:
        ov = load_openvino()

        self._need_step()
        (held,) = self._pool.of([slot])
        for state, shape in held.states:
            state.state = ov.Tensor(np.full(shape, value, np.float32))

    def close_slot(self, slot: int) -> None:
        self._need_step()
        self._pool.close(slot)

    @property
    def bytes_per_slot(self) -> int:
        """State, twice (OpenVINO reads one half while it writes the other), and the request's own copy of its input.

        Less in bf16 and fp16, where OpenVINO may keep states in half the bytes.
        """
        return self._bytes_per_slot

    def close(self) -> None:
        self._pool.shut()
        self._idle.clear()
        self._compiled = None

    def _need_step(self) -> None:
        if self._graph != "step":
            raise EngineError(NAME, "it was opened for the window graph, which has no slots")

    def _alive(self) -> openvino.CompiledModel:
        if self._compiled is None:
            raise ClosedError(f"{NAME} backend")
        return self._compiled

    def _new_slot(self) -> _Slot:
        request = self._alive().create_infer_request()
        return _Slot(request, [(state, tuple(state.state.shape)) for state in request.query_state()])

    def _idle_request(self, compiled: openvino.CompiledModel) -> openvino.InferRequest:
        try:
            return self._idle.pop()
        except IndexError:
            return compiled.create_infer_request()

    def _infer(self, requests: Sequence[openvino.InferRequest], feeds: Sequence[Feed], scores: np.ndarray) -> None:
        """Side by side, into the rows of `scores`. Nothing runs any more when it returns or raises."""
        started: list[openvino.InferRequest] = []
        failure: RuntimeError | None = None
        for request, feed in zip(requests, feeds, strict=True):
            try:
                request.start_async(dict(feed))  # copies what it is fed
            except RuntimeError as exc:
                failure = exc
                break
            started.append(request)
        for row, request in enumerate(started):
            try:
                request.wait()
                scores[row] = request.get_tensor(self._output).data[0]
            except RuntimeError as exc:
                failure = failure or exc
        if failure is not None:
            raise EngineError(NAME, f"the {self._graph} graph failed ({_reason(failure)})") from failure


class OpenVinoMaps:
    """The maps graph of a bundle. See backend.py for the contract."""

    name = NAME

    def __init__(self, bundle: Bundle) -> None:
        self._inputs = graph_inputs(bundle.manifest, "maps")
        self._kinds = list(graph_outputs(bundle.manifest, "maps"))
        compiled, _ = _compile(bundle, "maps", "fp32")
        self._request: openvino.InferRequest | None = compiled.create_infer_request()

    def run(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        if self._request is None:
            raise ClosedError(f"{NAME} maps")
        try:
            self._request.infer(check_arrays(NAME, {"crops": crops[None]}, self._inputs))
        except RuntimeError as exc:
            raise EngineError(NAME, f"the maps graph failed ({_reason(exc)})") from exc
        return {kind: self._request.get_tensor(kind).data[0].copy() for kind in self._kinds}

    def close(self) -> None:
        self._request = None


def fast_precisions() -> tuple[str, frozenset[Precision]]:
    """The CPU's name, and what it is made for as OpenVINO tells; other precisions would be slow, or not be what they
    say."""
    core = _openvino().Core()
    capabilities = set(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip(), precisions_of(capabilities)


def precisions_of(capabilities: set[str]) -> frozenset[Precision]:
    """OpenVINO says INT8 of every processor, so the processor is asked itself."""
    found: set[Precision] = {"fp32"}
    if "BF16" in capabilities:
        found.add("bf16")
    if "FP16" in capabilities:
        found.add("fp16")
    if "INT8" in capabilities and has_fast_int8():
        found.add("int8")
    return frozenset(found)


def _compile(bundle: Bundle, graph: AnyGraph, precision: Precision) -> tuple[openvino.CompiledModel, str]:
    ov = _openvino()
    path = bundle.path_of(graph, precision)
    core = ov.Core()
    try:
        model = core.read_model(str(path))
        _check(model, bundle, graph, path)
        model.reshape({name: [1, *tensor.shape] for name, tensor in graph_inputs(bundle.manifest, graph).items()})
        if graph == "step":
            from openvino.passes import MakeStateful, Manager

            passes = Manager()
            passes.register_pass(MakeStateful(_state_pairs(model, bundle)))
            passes.run_passes(model)
        compiled = core.compile_model(model, "CPU", openvino_settings(INFERENCE_PRECISION[precision]))
        device = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
    except RuntimeError as exc:
        raise EngineError(NAME, f"{path.name} cannot be run ({_reason(exc)})") from exc
    return compiled, device


def _state_pairs(model: openvino.Model, bundle: Bundle) -> list[tuple[Any, Any]]:
    """The state inputs, each with the output that is its next value."""
    parameters = {port.any_name: port.node for port in model.inputs}
    results = {port.any_name: port.node for port in model.outputs}
    return [(parameters[state.input], results[state.output]) for state in bundle.manifest.states]


def _check(model: openvino.Model, bundle: Bundle, graph: AnyGraph, path: Path) -> None:
    inputs = {port.any_name: _tensor(port) for port in model.inputs}
    outputs = {port.any_name: _tensor(port) for port in model.outputs}
    check_graph(NAME, path.name, "input", inputs, graph_inputs(bundle.manifest, graph))
    check_graph(NAME, path.name, "output", outputs, graph_outputs(bundle.manifest, graph))


def _tensor(port: Any) -> Tensor:
    """A length that is not fixed is -1."""
    lengths = [length.get_length() if length.is_static else -1 for length in port.partial_shape]
    return Tensor(np.dtype(port.element_type.to_dtype()).name, tuple(lengths[1:]))


def _bytes_per_slot(bundle: Bundle) -> int:
    return 2 * state_bytes(bundle.manifest) + bundle.manifest.clip.size_px**2 * 3


def _openvino() -> Any:
    try:
        ov = load_openvino()
    except ImportError as exc:
        raise EngineError(NAME, "the package is missing: pip install openvino") from exc
    return ov


def _reason(exc: RuntimeError) -> str:
    """Without the lines that say where in OpenVINO's own sources it failed."""
    lines = [line.strip() for line in str(exc).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    return "; ".join(told)[:400] or "no reason given"
