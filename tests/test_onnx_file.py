"""Reading ONNX files without the onnx package: whatever the real one would see is seen, and nothing hurts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamguard import onnx_file
from streamguard.errors import BundleError
from streamguard.onnx_file import CHILDREN, ExternalData, TensorInfo, parse_onnx, read_onnx

onnx = pytest.importorskip("onnx", reason="pip install 'streamguard[test]'")
from onnx import TensorProto, helper  # noqa: E402


def refuse(where: str, problem: str) -> BundleError:
    return BundleError("toy", where, problem)


def parse(data: bytes) -> onnx_file.OnnxFile:
    return parse_onnx(data, "toy.onnx", refuse)


def external_tensor(name: str = "w", **entries: str) -> Any:
    """A tensor whose values are in another file, as these entries say."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def toy_model(*, nodes: list[Any] | None = None, initializers: list[Any] | None = None, inputs: Any = None) -> Any:
    given = [helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 3])] if inputs is None else inputs
    gives = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])]
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=1)] if nodes is None else nodes
    return helper.make_model(helper.make_graph(nodes, "toy", given, gives, initializers or []))


def test_inputs_and_outputs_are_told_with_type_and_shape() -> None:
    inputs = [
        helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", 24, 8, 8, 3]),
        helper.make_tensor_value_info("age", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("unknown", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("scalar", TensorProto.BFLOAT16, []),
        helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("negative", TensorProto.FLOAT, [-1]),
        helper.make_tensor_value_info("new", TensorProto.FLOAT8E4M3FN, [1]),
    ]
    found = parse(toy_model(inputs=inputs).SerializeToString())
    assert found.inputs == (
        TensorInfo(name="crops", element_type="uint8", shape=(None, 24, 8, 8, 3)),
        TensorInfo(name="age", element_type="int64", shape=(None,)),
        TensorInfo(name="unknown", element_type="float32", shape=None),
        TensorInfo(name="scalar", element_type="bfloat16", shape=()),
        TensorInfo(name="list", element_type="not a tensor", shape=None),
        TensorInfo(name="negative", element_type="float32", shape=(-1,)),
        TensorInfo(name="new", element_type="element type 17", shape=(1,)),
    )
    assert found.outputs == (TensorInfo(name="y", element_type="float32", shape=(None, 1)),)
    assert found.external == ()


def test_tensors_are_described_for_people() -> None:
    assert str(TensorInfo(name="x", element_type="uint8", shape=(None, 3))) == "uint8 (any, 3)"
    assert str(TensorInfo(name="x", element_type="uint8", shape=None)) == "uint8 of unknown shape"


@pytest.mark.parametrize("sparse", [False, True])
def test_an_input_with_an_initializer_is_none_to_feed(sparse: bool) -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "w")]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    model = toy_model(inputs=inputs, initializers=[] if sparse else [weight])
    if sparse:
        model.graph.sparse_initializer.add(values=weight)
    assert [info.name for info in parse(model.SerializeToString()).inputs] == ["x"]


def test_element_types_have_the_numbers_of_onnx() -> None:
    numbers = {name.lower(): number for name, number in TensorProto.DataType.items()}
    for number, name in onnx_file._ELEMENT_TYPES.items():
        assert numbers[{"float32": "float", "float64": "double"}.get(name, name)] == number


def test_field_numbers_are_those_of_onnx() -> None:
    def number(message: Any, field: str) -> int:
        return int(message.DESCRIPTOR.fields_by_name[field].number)

    assert number(onnx.ModelProto, "graph") == onnx_file._GRAPH
    assert number(onnx.GraphProto, "input") == onnx_file._INPUT
    assert number(onnx.GraphProto, "output") == onnx_file._OUTPUT
    assert number(onnx.GraphProto, "initializer") == onnx_file._INITIALIZER
    assert number(onnx.GraphProto, "sparse_initializer") == onnx_file._SPARSE_INITIALIZER
    assert number(TensorProto, "name") == onnx_file._TENSOR_NAME
    assert number(TensorProto, "external_data") == onnx_file._EXTERNAL_DATA
    assert number(TensorProto, "data_location") == onnx_file._DATA_LOCATION
    assert onnx_file._IS_EXTERNAL == TensorProto.EXTERNAL


def test_every_way_from_a_model_to_a_tensor_is_walked() -> None:
    """Held against onnx's own description: a newer onnx that puts tensors elsewhere fails here."""
    messages: dict[str, Any] = {}
    waiting = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name not in messages:
            messages[message.name] = message
            waiting += [field.message_type for field in message.fields if field.message_type]
    leads = {"TensorProto"}
    while more := {
        name
        for name, message in messages.items()
        if name not in leads
        and any(field.message_type and field.message_type.name in leads for field in message.fields)
    }:
        leads |= more
    ways = {
        name: {
            field.number: field.message_type.name
            for field in messages[name].fields
            if field.message_type and field.message_type.name in leads
        }
        for name in leads - {"TensorProto"}
    }
    assert ways == CHILDREN


def in_initializer(tensor: Any) -> Any:
    return toy_model(initializers=[tensor])


def in_sparse_initializer(tensor: Any, field: str) -> Any:
    model = toy_model()
    model.graph.sparse_initializer.add(**{field: tensor})
    return model


def in_attribute(**content: Any) -> Any:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.add(name="value", **content)
    return toy_model(nodes=[node])


def in_subgraph(tensor: Any) -> Any:
    """If, in If: a tensor of the inner graph."""
    inner = helper.make_graph([], "inner", [], [], [tensor])
    branch = helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
    outer = helper.make_graph([branch], "outer", [], [])
    return toy_model(nodes=[helper.make_node("If", ["c"], ["y"], then_branch=outer)])


def in_function(tensor: Any, *, default: bool) -> Any:
    model = toy_model()
    function = model.functions.add(name="f", domain="toy")
    if default:
        function.attribute_proto.add(name="value", t=tensor)
    else:
        function.node.add(op_type="Constant").attribute.add(name="value", t=tensor)
    return model


def in_training(tensor: Any, field: str) -> Any:
    model = toy_model()
    getattr(model.training_info.add(), field).initializer.append(tensor)
    return model


PLACES: dict[str, Callable[[Any], Any]] = {
    "initializer": in_initializer,
    "sparse values": lambda tensor: in_sparse_initializer(tensor, "values"),
    "sparse indices": lambda tensor: in_sparse_initializer(tensor, "indices"),
    "attribute": lambda tensor: in_attribute(t=tensor),
    "attribute's list": lambda tensor: in_attribute(tensors=[tensor]),
    "attribute's sparse": lambda tensor: in_attribute(sparse_tensor=onnx.SparseTensorProto(values=tensor)),
    "attribute's sparse list": lambda tensor: in_attribute(sparse_tensors=[onnx.SparseTensorProto(values=tensor)]),
    "attribute's graphs": lambda tensor: in_attribute(graphs=[helper.make_graph([], "g", [], [], [tensor])]),
    "subgraph": in_subgraph,
    "function": lambda tensor: in_function(tensor, default=False),
    "function's default": lambda tensor: in_function(tensor, default=True),
    "training, initialization": lambda tensor: in_training(tensor, "initialization"),
    "training, algorithm": lambda tensor: in_training(tensor, "algorithm"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("declared", [True, False])
def test_external_data_is_found_wherever_it_is(place: str, declared: bool) -> None:
    tensor = external_tensor(location="../secret", offset="64", length="16")
    if not declared:
        tensor.ClearField("data_location")  # what some reader might still follow
    found = parse(PLACES[place](tensor).SerializeToString()).external
    assert set(found) == {ExternalData(tensor="w", location="../secret", offset=64, length=16)}


def test_offset_may_be_left_out_and_a_checksum_may_be_there() -> None:
    model = in_initializer(external_tensor(location="w.bin", length="16", checksum="x"))
    assert parse(model.SerializeToString()).external[0].offset == 0


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({}, "does not say the location"),
        ({"location": "w.bin"}, "does not say the length"),
        ({"location": "w.bin", "length": "-1"}, "says -1 for the length"),
        ({"location": "w.bin", "length": "1e3"}, "says 1e3 for the length"),
        ({"location": "w.bin", "length": ""}, "says '' for the length"),
        ({"location": "w.bin", "length": "9" * 19}, "for the length"),
        ({"location": "w.bin", "length": "٣"}, "for the length"),
        ({"location": "w.bin", "length": "4", "offset": "-4"}, "says -4 for the offset"),
        ({"location": "w.bin", "length": "4", "basepath": "/"}, "says basepath of its external data"),
    ],
)
def test_external_data_that_is_half_said_is_refused(entries: dict[str, str], problem: str) -> None:
    with pytest.raises(BundleError, match=r"^bundle toy, toy\.onnx: no sound ONNX file: tensor w ") as refused:
        parse(in_initializer(external_tensor(**entries)).SerializeToString())
    assert problem in str(refused.value)


def test_external_data_said_twice_is_refused() -> None:
    tensor = external_tensor(location="w.bin", length="4")
    tensor.external_data.add(key="location", value="../secret")
    with pytest.raises(BundleError, match="says location of its external data twice"):
        parse(in_initializer(tensor).SerializeToString())


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


GRAPH = message(7, b"")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it has no graph"),
        (b"not onnx at all", "wire type 6"),
        (GRAPH + GRAPH, "field 7 is there twice"),
        (GRAPH + b"\x08", "cut off at byte 3"),
        (GRAPH + b"\x08\x80", "cut off at byte 4"),
        (GRAPH + b"\x0a\x05abc", "cut off at byte 4"),
        (GRAPH + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fabc", "cut off"),
        (GRAPH + b"\x09abc", "cut off at byte 3"),
        (GRAPH + b"\x0dabc", "cut off at byte 3"),
        (GRAPH + b"\x08" + b"\x80" * 10 + b"\x00", "does not end"),
        (GRAPH + b"\x03", "field number 0"),
        (GRAPH + b"\x0b", "wire type 3"),
        (GRAPH + b"\x0c", "wire type 4"),
        (GRAPH + b"\x0f", "wire type 7"),
        (GRAPH + varint(1 << 32) + b"\x00", "field number 536870912"),
        (varint(7 << 3) + b"\x00", "a number stands where a message should be"),
        (GRAPH + varint(25 << 3) + b"\x00", "a number stands where a message should be"),
        (message(7, message(11, message(1, b"x"))) + message(7, b""), "field 7 is there twice"),
        (message(7, message(11, message(1, b"x")) * 2), "two of its inputs or outputs are named x"),
        (message(7, message(11, message(1, b"\xff"))), "is not UTF-8"),
        (message(7, message(11, message(1, b"x" * 1001))), "longer than 1000 bytes"),
        (message(7, message(11, message(2, message(1, message(2, message(1, b"") * 33))))), "more than 32 dimensions"),
        (message(7, message(5, message(13, message(1, b"x" * 1001)))), "longer than 1000 bytes"),
    ],
)
def test_what_is_no_onnx_file_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(BundleError) as refused:
        parse(data)
    assert refused.value.where == "toy.onnx"
    assert refused.value.problem.startswith("no sound ONNX file: ")
    assert problem in refused.value.problem


def test_a_name_as_long_and_a_shape_as_deep_as_may_be_are_read() -> None:
    shape = message(2, message(1, message(2, message(1, b"\x08\x07") * 32)))
    (found,) = parse(message(7, message(11, message(1, b"x" * 1000) + shape))).inputs
    assert (found.name, found.shape) == ("x" * 1000, (7,) * 32)


def test_a_graph_nested_deeper_than_python_calls_is_walked() -> None:
    data = message(5, external_tensor(location="../deep", length="1").SerializeToString())
    for _ in range(2000):
        data = message(1, message(5, message(6, data)))
    assert parse(message(7, data)).external[0].location == "../deep"


def test_a_file_of_endless_parts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MOST_FIELDS", 1000)
    with pytest.raises(BundleError, match="more than 1000 parts"):
        parse(GRAPH + b"\x08\x01" * 1000)


def test_weights_are_stepped_over() -> None:
    """Bytes that look like anything are never read as structure."""
    weight = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[6], raw_data=b"\xff\x07\x0b\x0c\x03\x80")
    assert parse(in_initializer(weight).SerializeToString()).external == ()


def test_a_file_on_disk_is_read_and_an_empty_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    path.write_bytes(toy_model().SerializeToString())
    assert [info.name for info in read_onnx(path, refuse).inputs] == ["x"]
    path.write_bytes(b"")
    with pytest.raises(BundleError, match=r"toy\.onnx: no sound ONNX file: it has no graph"):
        read_onnx(path, refuse)
    path.unlink()
    with pytest.raises(BundleError, match=r"toy\.onnx: cannot be read \(No such file"):
        read_onnx(path, refuse)


def test_damaged_files_are_read_or_refused_and_nothing_else() -> None:
    sound = PLACES["subgraph"](external_tensor(location="w.bin", offset="0", length="16")).SerializeToString()
    chance = random.Random(7)
    refused = 0
    for turn in range(600):
        damaged = bytearray(sound[: chance.randrange(len(sound))] if turn % 2 else sound)
        for _ in range(0 if turn % 2 else chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            parse(bytes(damaged))
        except BundleError:
            refused += 1
    assert refused > 200
