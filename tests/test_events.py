"""The Python events and proto/streamguard/v1/events.proto are the same, field for field, and the proto is well kept."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from streamguard import events, values
from streamguard.events import Event, Kind
from streamguard.v1 import events_pb2
from tests.sample_events import EVENTS, KINDS

MESSAGES: list[Any] = list(events_pb2.DESCRIPTOR.message_types_by_name.values())
ENUMS: list[Any] = list(events_pb2.DESCRIPTOR.enum_types_by_name.values())
PROTO = Path(__file__).parent.parent / "proto"
SCALARS = {
    FieldDescriptor.TYPE_DOUBLE: "float",
    FieldDescriptor.TYPE_STRING: "str",
    FieldDescriptor.TYPE_UINT32: "int",
    FieldDescriptor.TYPE_UINT64: "int",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
}


def python_class(name: str) -> Any:
    cls = getattr(events, name, None) or getattr(values, name, None)
    assert cls is not None, f"events.proto has {name}; streamguard/events.py and streamguard/values.py do not"
    return cls


def described_by_proto(message: Descriptor) -> dict[str, str]:
    """Each field's name and, in words, its type. A oneof is one field under its own name."""
    described = {field.name: proto_type(field) for field in message.fields if not in_oneof(field)}
    for oneof in message.oneofs:
        if not oneof.name.startswith("_"):
            described[oneof.name] = one_of(proto_type(field) for field in oneof.fields)
    return described


def in_oneof(field: FieldDescriptor) -> bool:
    """Not so for `optional`, which protobuf keeps as a oneof of its own whose name begins with an underscore."""
    return field.containing_oneof is not None and not field.containing_oneof.name.startswith("_")


def proto_type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    name = named.name if named else SCALARS[field.type]
    if field.is_repeated:
        return f"repeated {name}"
    return f"optional {name}" if field.containing_oneof is not None and not in_oneof(field) else name


def described_by_python(cls: type) -> dict[str, str]:
    return {name: python_type(hint) for name, hint in get_type_hints(cls).items()}


def python_type(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"repeated {get_args(hint)[0].__name__}"
    arms = [arm for arm in get_args(hint) if arm is not NoneType]
    if len(arms) > 1:
        return one_of(arm.__name__ for arm in arms)
    return f"optional {arms[0].__name__}" if arms else str(hint.__name__)


def one_of(names: Any) -> str:
    return "one of " + ", ".join(sorted(names))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_each_message_has_the_fields_of_its_python_class(message: Descriptor) -> None:
    assert described_by_python(python_class(message.name)) == described_by_proto(message)


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.name)
def test_each_enum_has_the_members_of_its_python_class(enum: EnumDescriptor) -> None:
    prefix = prefix_of(enum)
    members = [value.name.removeprefix(prefix) for value in enum.values if value.number != 0]
    assert [member.name for member in python_class(enum.name)] == members
    assert [member.value for member in python_class(enum.name)] == members


def test_every_python_class_of_the_events_is_in_the_proto() -> None:
    reachable = {"Event", *(kind.__name__ for kind in get_args(Kind))}
    defined = {
        name for name, item in vars(events).items() if isinstance(item, type) and item.__module__ == events.__name__
    }
    assert defined - {message.name for message in MESSAGES} == set()
    assert reachable <= defined


def test_every_enum_of_the_values_is_in_the_proto() -> None:
    defined = {name for name, item in vars(values).items() if isinstance(item, type) and issubclass(item, StrEnum)}
    assert defined - {"StrEnum"} == {enum.name for enum in ENUMS}


def test_optional_fields_are_none_by_default_and_the_rest_must_be_given() -> None:
    for message in MESSAGES:
        cls = python_class(message.name)
        for name, field in getattr(cls, "__dataclass_fields__", {}).items():
            described = described_by_proto(message)[name]
            has_default = field.default is None or field.default == ()
            assert has_default == described.startswith(("optional", "repeated")), f"{cls.__name__}.{name}"


def test_the_samples_cover_every_kind_and_every_field() -> None:
    assert [type(kind) for kind in KINDS] == list(get_args(Kind))
    for event in EVENTS:
        for value in (event, event.kind):
            for name in get_type_hints(type(value)):
                assert getattr(value, name) not in (None, (), 0), f"{type(value).__name__}.{name}"


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EVENTS[0].seq = 2  # type: ignore[misc]
    assert Event.__slots__


# How the .proto files are written: what a linter of protobuf would hold, as far as we use it.


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.name)
def test_enum_values_carry_the_prefix_of_their_enum_and_zero_is_unspecified(enum: EnumDescriptor) -> None:
    assert [value.name for value in enum.values if not value.name.startswith(prefix_of(enum))] == []
    assert enum.values_by_number[0].name == prefix_of(enum) + "UNSPECIFIED"


def test_names_are_in_the_case_of_protobuf() -> None:
    wrong = [
        f.full_name for message in MESSAGES for f in message.fields if not re.fullmatch(r"[a-z][a-z0-9_]*", f.name)
    ]
    wrong += [item.full_name for item in MESSAGES + ENUMS if not re.fullmatch(r"([A-Z][a-z0-9]*)+", item.name)]
    assert wrong == []


@pytest.mark.parametrize("path", sorted(PROTO.rglob("*.proto")), ids=lambda path: path.name)
def test_package_is_the_folder(path: Path) -> None:
    package = re.search(r"^package ([\w.]+);", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert package is not None
    assert package[1].split(".") == list(path.parent.relative_to(PROTO).parts)


@pytest.mark.parametrize("path", sorted(PROTO.rglob("*.proto")), ids=lambda path: path.name)
def test_every_enum_and_message_says_what_it_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = {
        line.split()[1]
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"(message|enum) ", line) and not before.startswith("//")
    }
    assert bare == set()


FIELD_NUMBERS = Path(__file__).parent / "proto_numbers.txt"


def test_numbers_are_never_given_to_another_name() -> None:
    """tests/proto_numbers.txt remembers every number ever used; a field that goes must be `reserved` in the proto."""
    remembered = dict(line.split() for line in FIELD_NUMBERS.read_text(encoding="utf-8").splitlines())
    used = {f"{m.name}.{f.number}": f"{f.name}" for m in MESSAGES for f in m.fields}
    used |= {f"{enum.name}.{value.number}": value.name for enum in ENUMS for value in enum.values}
    missing = [f"{number} {name}" for number, name in used.items() if number not in remembered]
    assert missing == [], f"add to {FIELD_NUMBERS.name}"
    assert {number: name for number, name in used.items() if remembered[number] != name} == {}


def prefix_of(enum: EnumDescriptor) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
