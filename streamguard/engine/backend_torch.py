"""PyTorch: the reference that all other backends must agree with. It opens no files; the network comes from the caller.

Not for live use: it runs in fp32 on the CPU, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ..bundle import Graph, Manifest, Precision
from ..errors import ClosedError, EngineError
from .arrays import callers_inputs, check_arrays, state_bytes
from .backend import Arrays
from .slot_pool import SlotPool

NAME = "torch"


@dataclass(slots=True)
class _Slot:
    state: list[Tensor] = field(default_factory=list)


class TorchBackend:
    """A network of nets/: `forward`, and `step` where it is causal. See backend.py for the contract."""

    def __init__(self, module: nn.Module, manifest: Manifest, graph: Graph) -> None:
        self._module = module.eval()
        self._manifest = manifest
        self._graph = graph
        self._inputs = callers_inputs(manifest, graph)
        self._pool: SlotPool[_Slot] = SlotPool(NAME, _Slot)
        self._closed = False

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
        return "fp32"

    @property
    def at_once(self) -> int:
        return 1

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        if self._graph != "window":
            raise EngineError(NAME, "it was opened for the step graph, which has no run")
        if self._closed:
            raise ClosedError(f"{NAME} backend")
        crops = check_arrays(NAME, arrays, self._inputs)["crops"]
        with torch.inference_mode():
            rows = [self._module(torch.tensor(crops[i : i + 1])) for i in range(len(crops))]
        return self._outputs(rows)

    def open_slot(self) -> int:
        self._need_step()
        slot = self._pool.open()
        self.clear(slot)
        return slot

    def step(self, slots: Sequence[int], arrays: Arrays) -> dict[str, np.ndarray]:
        self._need_step()
        held = self._pool.of(slots)
        checked = check_arrays(NAME, arrays, self._inputs, count=len(slots))
        rows = []
        with torch.inference_mode():
            for i, slot in enumerate(held):
                crop, age = (torch.tensor(checked[name][i : i + 1]) for name in ("crops", "age"))
                row, slot.state = self._module.step(crop, slot.state, age)  # type: ignore[operator]
                rows.append(row)
        return self._outputs(rows)

    def clear(self, slot: int) -> None:
        self.fill(slot, 0.0)

    def fill(self, slot: int, value: float) -> None:
        self._need_step()
        (held,) = self._pool.of([slot])
        held.state = [torch.full((1, *state.shape), value) for state in self._manifest.states]

    def close_slot(self, slot: int) -> None:
        self._need_step()
        self._pool.close(slot)

    @property
    def bytes_per_slot(self) -> int:
        return state_bytes(self._manifest)

    def close(self) -> None:
        self._closed = True
        self._pool.shut()

    def _need_step(self) -> None:
        if self._graph != "step":
            raise EngineError(NAME, "it was opened for the window graph, which has no slots")

    def _outputs(self, rows: list[Tensor]) -> dict[str, np.ndarray]:
        output = self._manifest.output
        scores = torch.cat(rows).numpy() if rows else np.empty((0, output.width), np.float32)
        return {output.tensor: scores}
