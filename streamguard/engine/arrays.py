"""What a bundle's graphs take and give, and the checks that all backends share. See bundle.py for the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..bundle import AnyGraph, Graph, Manifest, tensors_of
from ..errors import EngineError
from ..onnx_file import TensorInfo
from .backend import Arrays


@dataclass(frozen=True, slots=True)
class Tensor:
    """Element type in numpy's words, and shape without N."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, ('N', *self.shape)))}) {self.dtype}"


Tensors = Mapping[str, Tensor]


def callers_inputs(manifest: Manifest, graph: Graph) -> dict[str, Tensor]:
    """What whoever calls a backend hands in: all but the states, which it keeps."""
    states = {state.input for state in manifest.states}
    return {name: tensor for name, tensor in graph_inputs(manifest, graph).items() if name not in states}


def graph_inputs(manifest: Manifest, graph: AnyGraph) -> dict[str, Tensor]:
    return _tensors(tensors_of(graph, manifest)[0])


def graph_outputs(manifest: Manifest, graph: AnyGraph) -> dict[str, Tensor]:
    return _tensors(tensors_of(graph, manifest)[1])


def _tensors(described: Sequence[TensorInfo]) -> dict[str, Tensor]:
    """As the manifest describes them, less N. Its element types are numpy's words."""
    found = {}
    for info in described:
        assert info.shape is not None
        sides = [side for side in info.shape[1:] if side is not None]
        assert len(sides) == len(info.shape) - 1, "only N is left open"
        found[info.name] = Tensor(info.element_type, tuple(sides))
    return found


def state_bytes(manifest: Manifest) -> int:
    """Of all state tensors of one slot, once."""
    return sum(4 * int(np.prod(state.shape)) for state in manifest.states)


def check_graph(backend: str, file: str, kind: str, found: Tensors, wanted: Tensors) -> None:
    """EngineError that names the first of a file's inputs or outputs (`kind`) that is not as the manifest says."""
    for name in wanted.keys() - found.keys():
        raise EngineError(backend, f"{file}: {kind} {name!r} is missing; there is {', '.join(found) or 'none'}")
    for name in found.keys() - wanted.keys():
        raise EngineError(backend, f"{file}: {kind} {name!r} is not in the bundle's manifest")
    for name, tensor in wanted.items():
        if found[name] != tensor:
            raise EngineError(backend, f"{file}: {kind} {name!r} is {found[name]}, and must be {tensor}")


def check_arrays(backend: str, arrays: Arrays, wanted: Tensors, count: int | None = None) -> dict[str, np.ndarray]:
    """The arrays, contiguous, in the order of `wanted`; EngineError that names the first that is wrong.

    `count`: what N must be; None: the same for all.
    """
    for name in arrays.keys() - wanted.keys():
        raise EngineError(backend, f"{name!r} is no input; there is {', '.join(wanted)}")
    checked: dict[str, np.ndarray] = {}
    for name, tensor in wanted.items():
        array = arrays.get(name)
        if array is None:
            raise EngineError(backend, f"{name!r} is missing")
        count = len(array) if count is None and array.ndim else count
        if str(array.dtype) != tensor.dtype or array.shape != (count, *tensor.shape):
            raise EngineError(
                backend, f"{name!r} is {array.shape} {array.dtype}, and must be {tensor} with N = {count}"
            )
        checked[name] = np.ascontiguousarray(array)
    if "age" in checked and (checked["age"] < 0).any():
        raise EngineError(backend, "'age' is less than 0")
    return checked


def check_output(backend: str, given: object, name: str, tensor: Tensor, count: int) -> np.ndarray:
    """The output tensor of so many rows; EngineError that says what a backend gave instead. Any precision of floats is
    fine."""
    if not isinstance(given, Mapping) or name not in given:
        found = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise EngineError(backend, f"it must give {name!r}, {tensor} with N = {count}, and gave {found or 'nothing'}")
    array = given[name]
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.shape != (count, *tensor.shape):
        found = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise EngineError(backend, f"{name!r} is {found}, and must be {tensor} with N = {count}")
    return array
