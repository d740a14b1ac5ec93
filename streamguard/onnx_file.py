"""What an ONNX file takes, gives and pulls in from beside it, read without running it. Called by bundle.py.

An ONNX file is one protobuf message. Only its skeleton is walked here; weights are stepped over and stay on the disk.
The walk has a budget and no recursion, so a hostile file costs a moment and ends as a BundleError.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .strict import Refuse, shown

MOST_FIELDS = 2_000_000
"""Protobuf fields that are looked at. A network of a thousand layers has about fifty thousand."""
MOST_NAME_BYTES = 1000

# The messages that lead from the model to its tensors: field number to what is in it. Names as in onnx.proto.
CHILDREN: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
}
_GRAPH, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE_INITIALIZER = 7, 5, 11, 12, 15
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION, _IS_EXTERNAL = 8, 13, 14, 1

_ELEMENT_TYPES = dict(
    enumerate(
        (
            *("float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool"),
            *("float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
        ),
        start=1,
    )
)

Data: TypeAlias = "bytes | mmap.mmap"
Span: TypeAlias = tuple[int, int]
"""Where a nested message or a text begins and ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """An input or output."""

    name: str
    element_type: str
    """As numpy says it, such as `uint8`; else what it is instead."""
    shape: tuple[int | None, ...] | None
    """None for a dimension that is dynamic, and for a shape that is not told at all."""

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.element_type} of unknown shape"
        return f"{self.element_type} ({', '.join('any' if n is None else str(n) for n in self.shape)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalData:
    """Where the values of one tensor are."""

    tensor: str
    location: str
    """As it stands in the file: may be anything."""
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    inputs: tuple[TensorInfo, ...]
    """Those to be fed: one that has an initializer is none of them."""
    outputs: tuple[TensorInfo, ...]
    external: tuple[ExternalData, ...]
    """Of every tensor, however deep it is nested."""


def read_onnx(path: Path, refuse: Refuse) -> OnnxFile:
    """What a file on disk holds; BundleError if it is no sound ONNX file."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return parse_onnx(b"", path.name, refuse)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return parse_onnx(data, path.name, refuse)
    except OSError as exc:
        raise refuse(path.name, f"cannot be read ({exc.strerror})") from exc


def parse_onnx(data: Data, where: str, refuse: Refuse) -> OnnxFile:
    """The same for bytes. `where` names them in a refusal."""
    reader = _Reader(data, where, refuse)
    model = (0, len(data))
    graph = reader.only(model, _GRAPH)
    if graph is None:
        raise reader.wrong("it has no graph")
    fed = reader.infos(graph, _INPUT)
    given = reader.initializers(graph)
    return OnnxFile(
        inputs=tuple(info for info in fed if info.name not in given),
        outputs=reader.infos(graph, _OUTPUT),
        external=tuple(each for tensor in reader.tensors(model) for each in reader.external(tensor)),
    )


class _Reader:
    def __init__(self, data: Data, where: str, refuse: Refuse) -> None:
        self._data = data
        self._where = where
        self._refuse = refuse
        self._fields_left = MOST_FIELDS

    def wrong(self, problem: str) -> Exception:
        return self._refuse(self._where, f"no sound ONNX file: {problem}")

    # What ONNX means.

    def tensors(self, model: Span) -> Iterator[Span]:
        """Every tensor, wherever it is."""
        waiting = [("ModelProto", model)]
        while waiting:
            kind, span = waiting.pop()
            if kind == "TensorProto":
                yield span
                continue
            children = CHILDREN[kind]
            for number, value in self.fields(span):
                if number in children:
                    waiting.append((children[number], self.message(value)))

    def external(self, tensor: Span) -> Iterator[ExternalData]:
        """Where the tensor's values are, if they are outside."""
        entries: dict[str, str] = {}
        is_external = False
        name = ""
        for number, value in self.fields(tensor):
            if number == _TENSOR_NAME:
                name = self.text(value)
            elif number == _DATA_LOCATION:
                is_external = value == _IS_EXTERNAL
            elif number == _EXTERNAL_DATA:
                key, text = self.entry(self.message(value))
                if key in entries:
                    raise self.wrong(f"tensor {shown(name)} says {shown(key)} of its external data twice")
                entries[key] = text
        if entries or is_external:
            yield self._external(name, entries)

    def _external(self, name: str, entries: dict[str, str]) -> ExternalData:
        for key in entries:
            if key not in ("location", "offset", "length", "checksum"):
                raise self.wrong(f"tensor {shown(name)} says {shown(key)} of its external data, which nobody knows")
        for key in ("location", "length"):
            if key not in entries:
                raise self.wrong(f"tensor {shown(name)} does not say the {key} of its external data")
        for key in ("offset", "length"):
            if re.fullmatch("[0-9]{1,18}", entries.get(key, "0")) is None:
                raise self.wrong(f"tensor {shown(name)} says {shown(entries[key])} for the {key} of its external data")
        return ExternalData(
            tensor=name,
            location=entries["location"],
            offset=int(entries.get("offset", "0")),
            length=int(entries["length"]),
        )

    def entry(self, span: Span) -> tuple[str, str]:
        """A StringStringEntryProto."""
        texts = {1: "", 2: ""}
        for number, value in self.fields(span):
            if number in texts:
                texts[number] = self.text(value)
        return texts[1], texts[2]

    def initializers(self, graph: Span) -> set[str]:
        """Names of values that the graph itself holds."""
        names: set[str] = set()
        for number, value in self.fields(graph):
            tensor = None
            if number == _INITIALIZER:
                tensor = self.message(value)
            elif number == _SPARSE_INITIALIZER:
                tensor = self.only(self.message(value), 1)
            if tensor is not None:
                names.update(self.text(value) for number, value in self.fields(tensor) if number == _TENSOR_NAME)
        return names

    def infos(self, graph: Span, which: int) -> tuple[TensorInfo, ...]:
        """The graph's inputs or outputs."""
        found: dict[str, TensorInfo] = {}
        for number, value in self.fields(graph):
            if number == which:
                info = self.info(self.message(value))
                if info.name in found:
                    raise self.wrong(f"two of its inputs or outputs are named {shown(info.name)}")
                found[info.name] = info
        return tuple(found.values())

    def info(self, span: Span) -> TensorInfo:
        """A ValueInfoProto."""
        name = ""
        for number, value in self.fields(span):
            if number == 1:
                name = self.text(value)
        kind = self.only(span, 2)
        tensor = None if kind is None else self.only(kind, 1)
        if tensor is None:
            return TensorInfo(name=name, element_type="not a tensor", shape=None)
        element = 0
        for number, value in self.fields(tensor):
            if number == 1 and isinstance(value, int):
                element = value
        shape = self.only(tensor, 2)
        return TensorInfo(
            name=name,
            element_type=_ELEMENT_TYPES.get(element, f"element type {element}"),
            shape=None if shape is None else self.shape(shape),
        )

    def shape(self, span: Span) -> tuple[int | None, ...]:
        """A TensorShapeProto."""
        sizes: list[int | None] = []
        for number, value in self.fields(span):
            if number == 1:
                size: int | None = None
                for inner, content in self.fields(self.message(value)):
                    if inner == 1 and isinstance(content, int):
                        size = content if content < 1 << 63 else content - (1 << 64)
                    elif inner == 2:
                        size = None
                sizes.append(size)
                if len(sizes) > 32:
                    raise self.wrong("an input or output has more than 32 dimensions")
        return tuple(sizes)

    # What protobuf means.

    def only(self, span: Span, number: int) -> Span | None:
        """The one nested message of that number. Protobuf would merge two; no honest writer makes them."""
        found = [self.message(value) for each, value in self.fields(span) if each == number]
        if len(found) > 1:
            raise self.wrong(f"field {number} is there twice")
        return found[0] if found else None

    def fields(self, span: Span) -> Iterator[tuple[int, int | Span]]:
        """Number and value: a whole number, or where the value lies."""
        at, end = span
        while at < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise self.wrong(f"it has more than {MOST_FIELDS} parts")
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if not 1 <= number < 1 << 29:
                raise self.wrong(f"field number {number} at byte {at}")
            if wire == 0:
                value, at = self._varint(at, end)
                yield number, value
                continue
            if wire == 2:
                size, at = self._varint(at, end)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise self.wrong(f"wire type {wire} at byte {at}")
            if size > end - at:
                raise self.wrong(f"it is cut off at byte {at}")
            yield number, (at, at + size)
            at += size

    def message(self, value: int | Span) -> Span:
        if isinstance(value, int):
            raise self.wrong("a number stands where a message should be")
        return value

    def text(self, value: int | Span) -> str:
        first, last = self.message(value)
        if last - first > MOST_NAME_BYTES:
            raise self.wrong(f"a name is longer than {MOST_NAME_BYTES} bytes")
        try:
            return bytes(self._data[first:last]).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise self.wrong(f"a name at byte {first} is not UTF-8") from exc

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise self.wrong(f"it is cut off at byte {at}")
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
        raise self.wrong(f"a number at byte {at} does not end")
