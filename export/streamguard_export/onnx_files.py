"""A network in PyTorch -> window.onnx and, where it is causal, step.onnx over one weights.bin, which both refer to.

The files hold the network and nothing else: no paths, line numbers or versions of tools. The same network always gives
the same bytes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxscript import rewriter
from torch import Tensor, nn

OPSET = 18
"""OpenVINO, ONNX Runtime and TensorRT 10 all take it."""
IR_VERSION = 10
WEIGHTS = "weights.bin"
ALIGNED_BYTES = 64
LEAST_SHARED_BYTES = 64
"""Smaller tensors, and those that are shapes and axes, stay in the graph."""


class Weights:
    """What becomes weights.bin: every tensor once, whichever graphs use it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._offsets: dict[bytes, int] = {}

    def place(self, data: bytes) -> int:
        if data not in self._offsets:
            self.data.extend(bytes(-len(self.data) % ALIGNED_BYTES))
            self._offsets[data] = len(self.data)
            self.data.extend(data)
        return self._offsets[data]


class StepOf(nn.Module):
    """torch.onnx exports `forward`, and its graphs take tensors, not lists of them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor, age: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        # Any attribute of a module may be a Tensor, says its type.
        logits, state_next = self.net.step(crops, list(state), age)  # type: ignore[operator]
        return logits, *state_next


def export_graphs(
    folder: Path,
    net: nn.Module,
    *,
    window: dict[str, Tensor],
    step: dict[str, Tensor] | None = None,
    output: str,
    next_states: Sequence[str] = (),
    progress: Callable[[str], object] = lambda line: None,
) -> None:
    """`window` and `step`: the inputs by name, with N = 2. `next_states` follow the output of `step`."""
    weights = Weights()
    graphs: list[tuple[str, nn.Module, dict[str, Tensor], list[str]]] = [("window.onnx", net, window, [output])]
    if step is not None:
        graphs.append(("step.onnx", StepOf(net), step, [output, *next_states]))
    for name, module, inputs, outputs in graphs:
        progress(f"tracing the network: {name}")
        model = _cleaned(_exported(module, inputs, outputs), weights)
        (folder / name).write_bytes(model.SerializeToString(deterministic=True))
    (folder / WEIGHTS).write_bytes(weights.data)
    for name, *_ in graphs:
        onnx.checker.check_model(str(folder / name), full_check=True)


def _exported(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    count = {0: torch.export.Dim.DYNAMIC}
    each = tuple(count for _ in inputs)
    # What a module takes as *state is one argument.
    shapes = (*each[:2], each[2:]) if isinstance(module, StepOf) else each
    with _quiet(), _without_slow_rules():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch tells of itself: deprecations between its own parts, and packages that we do not need."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = registry.level
    registry.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        registry.setLevel(before)


@contextmanager
def _without_slow_rules() -> Iterator[None]:
    """onnxscript tries its one rule with two outputs on each pair of a graph's nodes: half a minute for a large
    network, to write two slices as one split. Where another version has no such list or rule, this changes nothing.
    """
    rules = getattr(rewriter, "_DEFAULT_REWRITE_RULES", None)
    if rules is None:
        yield
        return
    rewriter._DEFAULT_REWRITE_RULES = tuple(rule for rule in rules if getattr(rule, "name", "") != "SlicesSplit")
    try:
        yield
    finally:
        rewriter._DEFAULT_REWRITE_RULES = rules


def _cleaned(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    graph = model.graph
    nodes = []
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
        nodes.append(node)
    return helper.make_model(
        helper.make_graph(
            nodes,
            "network",
            [_signature(value) for value in graph.input],
            [_signature(value) for value in graph.output],
            [_stored(tensor, weights) for tensor in graph.initializer],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="streamguard",
    )


def _signature(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    tensor = value.type.tensor_type
    lengths = [length.dim_value for length in tensor.shape.dim]
    return helper.make_tensor_value_info(value.name, tensor.elem_type, ["N", *lengths[1:]])


def _stored(tensor: onnx.TensorProto, weights: Weights) -> onnx.TensorProto:
    array = numpy_helper.to_array(tensor)
    if array.dtype != np.float32 or array.nbytes < LEAST_SHARED_BYTES:
        return numpy_helper.from_array(array, tensor.name)
    stored = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    stored.data_location = onnx.TensorProto.EXTERNAL
    where = {"location": WEIGHTS, "offset": weights.place(array.tobytes()), "length": array.nbytes}
    for key, value in where.items():
        stored.external_data.add(key=key, value=str(value))
    return stored
