"""A network in PyTorch -> window.onnx and, where it has them, step.onnx and maps.onnx.

Their numbers lie beside them, each once: in the file of the network's parameters, where there is one, so that the
graphs refer to places in it. What is not there, because the exporter worked it out, is in weights.bin. On request
weights that 16 bits hold exactly are stored so, with a Cast behind them, which engines take away when they compile.

The files hold the network and nothing else: no paths, line numbers or versions of tools. The same network always gives
the same bytes.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxscript import rewriter
from torch import Tensor, nn

from streamguard.weights.load import is_exact_in_half

OPSET = 18
"""OpenVINO, ONNX Runtime and TensorRT 10 all take it."""
IR_VERSION = 10
WEIGHTS = "weights.bin"
ALIGNED_BYTES = 64
LEAST_SHARED_BYTES = 64
"""Smaller tensors, and those that are shapes and axes, stay in the graph."""
LEFT_OUT = ("SlicesSplit", "FuseBatchNormIntoConv", "FuseBatchNormIntoConvTranspose", "FuseBatchNormIntoGemm")
"""Rewritings of onnxscript. The first has two outputs, so it is tried on each pair of a graph's nodes: half a minute
for a large network, to write two slices as one split. The others make new numbers of a norm's and a layer's, as engines
do when they compile; without them the graphs hold the network's own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's bytes are."""

    file: str
    offset: int


class Weights:
    """Where tensors are: every one once, whichever graphs use it. Those that are in no file yet become weights.bin."""

    def __init__(self, parameters: Path | None, *, halves: bool) -> None:
        self.halves = halves
        self.data = bytearray()
        self._places = {} if parameters is None else _places_in(parameters)

    def place(self, data: bytes) -> Place:
        if data not in self._places:
            self.data.extend(bytes(-len(self.data) % ALIGNED_BYTES))
            self._places[data] = Place(WEIGHTS, len(self.data))
            self.data.extend(data)
        return self._places[data]


def _places_in(path: Path) -> dict[bytes, Place]:
    """Of a safetensors file: after eight bytes of length and a table, the tensors."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    table = json.loads(content[8:begin])
    spans = [(begin + entry["data_offsets"][0], begin + entry["data_offsets"][1]) for entry in table.values()]
    return {content[first:last]: Place(path.name, first) for first, last in spans}


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
    maps: tuple[str, nn.Module, list[str]] | None = None,
    parameters: Path | None = None,
    halves: bool = False,
    progress: Callable[[str], object] = lambda line: None,
) -> None:
    """`window` and `step`: the inputs by name, with N = 2. `next_states` follow the output of `step`. `maps`: another
    file of the same inputs as `window`, its module and its outputs. `parameters`: a safetensors file of the network's,
    in the same folder. `halves`: as `save_weights` has it."""
    weights = Weights(parameters, halves=halves)
    graphs: list[tuple[str, nn.Module, dict[str, Tensor], list[str]]] = [("window.onnx", net, window, [output])]
    if step is not None:
        graphs.append(("step.onnx", StepOf(net), step, [output, *next_states]))
    if maps is not None:
        graphs.append((maps[0], maps[1], window, maps[2]))
    for name, module, inputs, outputs in graphs:
        progress(f"tracing the network: {name}")
        model = _cleaned(_exported(module, inputs, outputs), weights)
        (folder / name).write_bytes(model.SerializeToString(deterministic=True))
    if weights.data:
        (folder / WEIGHTS).write_bytes(weights.data)
    for name, *_ in graphs:
        onnx.checker.check_model(str(folder / name), full_check=True)


def _exported(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    count = {0: torch.export.Dim.DYNAMIC}
    each = tuple(count for _ in inputs)
    # What a module takes as *state is one argument.
    shapes = (*each[:2], each[2:]) if isinstance(module, StepOf) else each
    with _quiet(), _without_rules():
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
def _without_rules() -> Iterator[None]:
    """Without those that are LEFT_OUT. Where another version has no such list or rule, this changes nothing, and what
    is made is larger."""
    rules = getattr(rewriter, "_DEFAULT_REWRITE_RULES", None)
    if rules is None:
        yield
        return
    rewriter._DEFAULT_REWRITE_RULES = tuple(rule for rule in rules if getattr(rule, "name", "") not in LEFT_OUT)
    try:
        yield
    finally:
        rewriter._DEFAULT_REWRITE_RULES = rules


def _cleaned(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    graph = model.graph
    casts: list[onnx.NodeProto] = []
    tensors = [_stored(tensor, weights, casts) for tensor in graph.initializer]
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    return helper.make_model(
        helper.make_graph(
            [*casts, *graph.node],
            "network",
            [_signature(value) for value in graph.input],
            [_signature(value) for value in graph.output],
            tensors,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="streamguard",
    )


def _signature(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    tensor = value.type.tensor_type
    lengths = [length.dim_value for length in tensor.shape.dim]
    return helper.make_tensor_value_info(value.name, tensor.elem_type, ["N", *lengths[1:]])


def _stored(tensor: onnx.TensorProto, weights: Weights, casts: list[onnx.NodeProto]) -> onnx.TensorProto:
    """The tensor, outside or inside the graph; `casts` gets the node that makes fp32 of it, if it needs one."""
    array = numpy_helper.to_array(tensor)
    if array.dtype != np.float32 or array.nbytes < LEAST_SHARED_BYTES:
        return numpy_helper.from_array(array, tensor.name)
    stored = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    if weights.halves and is_exact_in_half(array):
        array = array.astype(np.float16)
        stored.name, stored.data_type = f"{tensor.name}.fp16", onnx.TensorProto.FLOAT16
        casts.append(helper.make_node("Cast", [stored.name], [tensor.name], to=onnx.TensorProto.FLOAT))
    place = weights.place(array.tobytes())
    stored.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": place.file, "offset": place.offset, "length": array.nbytes}.items():
        stored.external_data.add(key=key, value=str(value))
    return stored
