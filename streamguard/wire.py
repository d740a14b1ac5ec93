"""Event to protobuf and back, and to JSON (proto3 JSON, one line) and back. Sinks, server and client call it.

One converter for every kind: the Python classes' fields and types say what the message has (tests/test_events.py holds
the two together). What does not fit raises EventFormatError with the field's path: a number that is not finite or not
in range, and in what is read an unknown kind, field or enum member. Nothing is guessed and nothing is skipped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from .errors import EventFormatError
from .events import Event
from .v1 import events_pb2


def event_to_proto(event: Event) -> events_pb2.Event:
    """The same event as a protobuf message."""
    message = events_pb2.Event()
    _fill(message, event, "")
    return message


def event_from_proto(message: events_pb2.Event) -> Event:
    """The event that a protobuf message carries."""
    return _read(Event, message, "")


def event_to_bytes(event: Event) -> bytes:
    """Protobuf's binary form; the same event always gives the same bytes."""
    return event_to_proto(event).SerializeToString(deterministic=True)


def event_from_bytes(data: bytes) -> Event:
    """The event in protobuf's binary form."""
    try:
        message = events_pb2.Event.FromString(data)
    except DecodeError as exc:
        raise EventFormatError("", f"not a protobuf event ({exc})") from exc
    return event_from_proto(message)


def event_to_json(event: Event) -> str:
    """One line without its newline. Zeros are written; only what is absent (None) is left out."""
    return json_format.MessageToJson(
        event_to_proto(event), indent=None, always_print_fields_with_no_presence=True, ensure_ascii=False
    )


def event_from_json(text: str | bytes) -> Event:
    """The event on one line of JSON; fields may be left out where zero or absent, as proto3 JSON allows."""
    message = events_pb2.Event()
    try:
        json_format.Parse(text, message)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as exc:
        raise EventFormatError("", f"not a JSON event ({exc})") from exc
    return event_from_proto(message)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a Python value, as the message must have it."""

    name: str
    type: Any
    """`int`, `float`, `str`, a StrEnum, a class with fields, or, for a oneof, the tuple of its classes."""
    optional: bool = False
    repeated: bool = False


@lru_cache
def fields_of(cls: Any) -> tuple[Field, ...]:
    """The fields of a dataclass or a NamedTuple, read from its annotations."""
    hints = get_type_hints(cls)
    names = hints if issubclass(cls, tuple) else (field.name for field in dataclasses.fields(cls))
    return tuple(_field(name, hints[name]) for name in names)


def _field(name: str, hint: Any) -> Field:
    if get_origin(hint) in (Union, UnionType):
        members = tuple(arm for arm in get_args(hint) if arm is not NoneType)
        if len(members) == 1:
            return Field(name=name, type=members[0], optional=True)
        return Field(name=name, type=members)
    if get_origin(hint) is tuple:
        element, ellipsis = get_args(hint)
        assert ellipsis is Ellipsis, "a repeated field is tuple[X, ...]"
        return Field(name=name, type=element, repeated=True)
    return Field(name=name, type=hint)


def _fill(message: Message, value: Any, path: str) -> None:
    """Write `value` into `message`."""
    cls: Any = type(value)
    for field in fields_of(cls):
        item = getattr(value, field.name)
        where = f"{path}{field.name}"
        if isinstance(field.type, tuple):
            _fill_oneof(message, field, item, where)
        elif field.repeated:
            getattr(message, field.name).extend([_number(field.type, element, where) for element in item])
        elif item is None and field.optional:
            continue
        elif _has_fields(field.type):
            if type(item) is not field.type:
                raise EventFormatError(where, f"must be a {field.type.__name__}, not {item!r}")
            _fill(getattr(message, field.name), item, f"{where}.")
        else:
            _set(message, field, item, where)


def _fill_oneof(message: Message, field: Field, item: Any, where: str) -> None:
    arm = _arms(message, field).get(type(item))
    if arm is None:
        raise EventFormatError(where, f"{type(item).__name__} is no kind of event")
    _fill(getattr(message, arm), item, f"{where}.{arm}.")


def _set(message: Message, field: Field, item: Any, where: str) -> None:
    """Write a number, a text or an enum member."""
    if issubclass(field.type, StrEnum):
        item = _number(field.type, item, where)
    elif field.type is float and isinstance(item, (int, float)) and not math.isfinite(item):
        raise EventFormatError(where, f"must be finite, not {item}")
    try:
        setattr(message, field.name, item)
    except (TypeError, ValueError) as exc:
        raise EventFormatError(where, f"cannot be {item!r} ({exc})") from exc


def _number(enum: type[StrEnum], member: Any, where: str) -> int:
    """The number of an enum member in the proto: its name there starts with the enum's own."""
    if type(member) is not enum:
        raise EventFormatError(where, f"must be a {enum.__name__}, not {member!r}")
    return int(_enum_descriptor(enum).values_by_name[enum_prefix(enum.__name__) + member.name].number)


def _read(cls: type, message: Message, path: str) -> Any:
    """Make a `cls` of `message`."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        raise EventFormatError(f"{path}{unknown[0].field_number}", "unknown field number; is the sender newer?")
    fields = {field.name: _read_field(field, message, f"{path}{field.name}") for field in fields_of(cls)}
    try:
        return cls(**fields)
    except EventFormatError as exc:  # its fields do not fit together
        raise EventFormatError(f"{path}{exc.field}", exc.problem) from exc


def _read_field(field: Field, message: Message, where: str) -> Any:
    if isinstance(field.type, tuple):
        return _read_oneof(field, message, where)
    if field.repeated:
        return tuple(_member(field.type, number, where) for number in getattr(message, field.name))
    if field.optional and not message.HasField(field.name):
        return None
    item = getattr(message, field.name)
    if _has_fields(field.type):
        if not message.HasField(field.name):
            raise EventFormatError(where, "missing")
        return _read(field.type, item, f"{where}.")
    if issubclass(field.type, StrEnum):
        return _member(field.type, item, where)
    if field.type is float and not math.isfinite(item):
        raise EventFormatError(where, f"must be finite, not {item}")
    return item


def _read_oneof(field: Field, message: Message, where: str) -> Any:
    chosen = message.WhichOneof(field.name)
    if chosen is None:
        raise EventFormatError(where, "missing, or of a kind that this version does not know")
    cls = next(cls for cls, arm in _arms(message, field).items() if arm == chosen)
    return _read(cls, getattr(message, chosen), f"{where}.{chosen}.")


def _member(enum: type[StrEnum], number: int, where: str) -> StrEnum:
    value = _enum_descriptor(enum).values_by_number.get(number)
    if value is None or number == 0:
        raise EventFormatError(where, f"{number} is no {enum.__name__} of this version")
    return enum[value.name.removeprefix(enum_prefix(enum.__name__))]


def _arms(message: Message, field: Field) -> Mapping[type, str]:
    """For a oneof: Python class to the field that carries it, by the message type's name."""
    oneof = message.DESCRIPTOR.oneofs_by_name[field.name]
    carriers = {carrier.message_type.name: carrier.name for carrier in oneof.fields if carrier.message_type}
    return {cls: carriers[cls.__name__] for cls in field.type}


def enum_prefix(name: str) -> str:
    """`StreamState` to `STREAM_STATE_`: how the proto begins each member of that enum."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).strip("_").upper() + "_"


def _enum_descriptor(enum: type[StrEnum]) -> Any:
    return events_pb2.DESCRIPTOR.enum_types_by_name[enum.__name__]


def _has_fields(cls: type) -> bool:
    return dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")
