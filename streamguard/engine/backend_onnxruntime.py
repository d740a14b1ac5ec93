"""ONNX Runtime on the CPU, in fp32 or int8. A row of a batch is a run of its own, so it never depends on the others.

A slot holds its state twice. A step reads one half and writes the other, then they change places: nothing is copied.
Rows run side by side on a few threads of the backend's own, one core each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bundle import AnyGraph, Bundle, Graph, Manifest, Precision
from ..cores import calls_at_once
from ..errors import ClosedError, EngineError, MissingPackageError
from .arrays import Tensor, callers_inputs, check_arrays, check_graph, graph_inputs, graph_outputs, state_bytes
from .backend import Arrays
from .slot_pool import SlotPool

if TYPE_CHECKING:
    import onnxruntime

NAME = "onnxruntime"
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")

DTYPES = {"tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(float)": "float32"}


@dataclass(slots=True)
class _Slot:
    """`halves` are arrays by state input; what `bindings[i]` reads is halves[i], what it writes is the other."""

    halves: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    bindings: tuple[Any, Any]
    inputs: dict[str, np.ndarray]
    output: np.ndarray
    current: int = 0


class OnnxRuntimeBackend:
    """One graph of a bundle at one precision. See backend.py for the contract."""

    def __init__(self, bundle: Bundle, graph: Graph, precision: Precision) -> None:
        if precision not in PRECISIONS:
            raise EngineError(NAME, f"it cannot run {precision} on a CPU; there is {', '.join(PRECISIONS)}")
        self._graph = graph
        self._precision = precision
        self._manifest: Manifest = bundle.manifest
        self._inputs = callers_inputs(bundle.manifest, graph)
        self._output = bundle.manifest.output.tensor
        self._session: onnxruntime.InferenceSession | None = _open_session(bundle, graph, precision)
        self._threads = ThreadPoolExecutor(calls_at_once(), thread_name_prefix="streamguard-onnxruntime")
        self._pool = SlotPool(NAME, self._new_slot)

    @property
    def name(self) -> str:
        return NAME

    @property
    def device(self) -> str:
        return "CPU"

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
        """Slots that exist, open or waiting to be used again."""
        return self._pool.made

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        if self._graph != "window":
            raise EngineError(NAME, "it was opened for the step graph, which has no run")
        session = self._alive()
        crops = check_arrays(NAME, arrays, self._inputs)["crops"]
        return self._side_by_side(lambda i: session.run([self._output], {"crops": crops[i : i + 1]})[0], len(crops))

    def open_slot(self) -> int:
        self._need_step()
        slot = self._pool.open()
        self.clear(slot)
        return slot

    def step(self, slots: Sequence[int], arrays: Arrays) -> dict[str, np.ndarray]:
        self._need_step()
        session = self._alive()
        held = self._pool.of(slots)
        checked = check_arrays(NAME, arrays, self._inputs, count=len(slots))

        def step_one(i: int) -> np.ndarray:
            slot = held[i]
            for name, array in checked.items():
                slot.inputs[name][0] = array[i]
            session.run_with_iobinding(slot.bindings[slot.current])
            slot.current = 1 - slot.current
            return slot.output

        return self._side_by_side(step_one, len(slots))

    def clear(self, slot: int) -> None:
        self.fill(slot, 0.0)

    def fill(self, slot: int, value: float) -> None:
        self._need_step()
        (held,) = self._pool.of([slot])
        for half in held.halves:
            for array in half.values():
                array.fill(value)

    def close_slot(self, slot: int) -> None:
        self._need_step()
        self._pool.close(slot)

    @property
    def bytes_per_slot(self) -> int:
        """State, twice, and the slot's own input."""
        return 2 * state_bytes(self._manifest) + self._manifest.clip.size_px**2 * 3

    def close(self) -> None:
        self._pool.shut()
        self._threads.shutdown()
        self._session = None

    def _need_step(self) -> None:
        if self._graph != "step":
            raise EngineError(NAME, "it was opened for the window graph, which has no slots")

    def _alive(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise ClosedError(f"{NAME} backend")
        return self._session

    def _side_by_side(self, one: Callable[[int], np.ndarray], count: int) -> dict[str, np.ndarray]:
        """Nothing runs any more when it returns or raises."""
        scores = np.empty((count, self._manifest.output.width), np.float32)

        def into_row(i: int) -> None:
            scores[i] = one(i)[0]

        futures = [self._threads.submit(into_row, i) for i in range(count)]
        failures = [exc for exc in (future.exception() for future in futures) if exc is not None]
        if failures:
            raise EngineError(NAME, f"the {self._graph} graph failed ({_first_line(failures[0])})") from failures[0]
        return {self._output: scores}

    def _new_slot(self) -> _Slot:
        """All memory is ours, in numpy arrays that the bindings point at."""
        inputs = {name: np.empty((1, *tensor.shape), tensor.dtype) for name, tensor in self._inputs.items()}
        output = np.empty((1, self._manifest.output.width), np.float32)
        halves = (self._new_states(), self._new_states())
        bindings = []
        for read, write in (halves, halves[::-1]):
            binding = self._alive().io_binding()
            for name, array in (*inputs.items(), *read.items()):
                binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            outputs = {self._output: output, **{state.output: write[state.input] for state in self._manifest.states}}
            for name, array in outputs.items():
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            bindings.append(binding)
        return _Slot(halves, (bindings[0], bindings[1]), inputs, output)

    def _new_states(self) -> dict[str, np.ndarray]:
        return {state.input: np.empty((1, *state.shape), np.float32) for state in self._manifest.states}


class OnnxRuntimeMaps:
    """The maps graph of a bundle. See backend.py for the contract."""

    name = NAME

    def __init__(self, bundle: Bundle) -> None:
        self._inputs = graph_inputs(bundle.manifest, "maps")
        self._kinds = list(graph_outputs(bundle.manifest, "maps"))
        self._session: onnxruntime.InferenceSession | None = _open_session(bundle, "maps", "fp32")

    def run(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        if self._session is None:
            raise ClosedError(f"{NAME} maps")
        checked = check_arrays(NAME, {"crops": crops[None]}, self._inputs)
        try:
            given = self._session.run(self._kinds, checked)
        except Exception as exc:  # its errors have no common root
            raise EngineError(NAME, f"the maps graph failed ({_first_line(exc)})") from exc
        return {kind: maps[0] for kind, maps in zip(self._kinds, given, strict=True)}

    def close(self) -> None:
        self._session = None


def _open_session(bundle: Bundle, graph: AnyGraph, precision: Precision) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime as ort
    except ImportError as exc:
        raise MissingPackageError("onnxruntime", "onnxruntime", "the onnxruntime backend") from exc
    path = bundle.path_of(graph, precision)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors have no common root
        raise EngineError(NAME, f"{path.name} cannot be run ({_first_line(exc)})") from exc
    inputs, outputs = _tensors(session.get_inputs()), _tensors(session.get_outputs())
    check_graph(NAME, path.name, "input", inputs, graph_inputs(bundle.manifest, graph))
    check_graph(NAME, path.name, "output", outputs, graph_outputs(bundle.manifest, graph))
    return session


def _tensors(ports: Iterable[Any]) -> dict[str, Tensor]:
    """A length that is not fixed is -1."""
    return {
        port.name: Tensor(
            DTYPES.get(port.type, port.type),
            tuple(length if isinstance(length, int) else -1 for length in port.shape[1:]),
        )
        for port in ports
    }


def _first_line(exc: BaseException) -> str:
    return next((line for line in str(exc).splitlines() if line.strip()), "no reason given")
