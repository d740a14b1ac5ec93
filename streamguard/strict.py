"""JSON from strangers to frozen dataclasses, or a refusal that names the field. Used for what a bundle says of itself,
and for what an evaluation kept.

A dataclass is its own schema: every field must be there (but those that were `added` later), nothing else may be, and
each must have exactly its type.
Supported: str, int, float, bool, Literal, dataclass, tuple[X, ...], dict[str or Literal, X], a union of dataclasses
that are told apart by a field `kind`, and X | None, which is null. Numbers are finite and text is one printable line,
so that neither a comparison nor a terminal can be fooled.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import StreamGuardError

Refuse: TypeAlias = Callable[[str, str], StreamGuardError]
"""(where, problem) to the error that is raised: who calls knows which bundle it is."""

T = TypeVar("T")

_ADDED = "added"


def read_json(data: bytes, where: str, refuse: Refuse) -> Any:
    """Plain JSON in UTF-8: no key twice, no NaN or infinity, no nesting that no honest writer needs."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise refuse(where, f"the key {shown(name)} is there twice")
            found[name] = value
        return found

    def no_constant(word: str) -> Any:
        raise refuse(where, f"{word} is no number")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    except UnicodeDecodeError as exc:
        raise refuse(where, f"not UTF-8 (at byte {exc.start})") from exc
    except RecursionError as exc:
        raise refuse(where, "nested too deeply") from exc
    except ValueError as exc:  # JSONDecodeError, and a whole number of thousands of digits
        raise refuse(where, f"not JSON ({exc})") from exc


def build(cls: type[T], value: Any, refuse: Refuse, *, fill_defaults: bool = False) -> T:
    """The dataclass that plain JSON values describe.

    `fill_defaults` is for makers, who may leave out what has a default. What is read must say everything: a default
    that changed between two versions would silently change what the same file means.
    """
    made: T = _Builder(refuse, fill_defaults).build(cls, value, "")
    return made


def added(default: Any) -> Any:
    """A field that came to a format which was already in use: a file without it means this default, which therefore
    never changes."""
    return dataclasses.field(default=default, metadata={_ADDED: True})


def shown(text: str) -> str:
    """A name from a stranger, fit to be printed."""
    short = text if len(text) <= 80 else f"{text[:77]}..."
    return short if short and short.isprintable() else ascii(short)


@dataclasses.dataclass(frozen=True, slots=True)
class _Builder:
    refuse: Refuse
    fill_defaults: bool

    def build(self, hint: Any, value: Any, where: str) -> Any:
        origin = get_origin(hint)
        if origin is Literal:
            return self._choice(get_args(hint), value, where)
        if origin is tuple:
            return self._several(get_args(hint)[0], value, where)
        if origin is dict:
            key, item = get_args(hint)
            return self._named(key, item, value, where)
        if origin in (Union, UnionType):
            return self._one_of(get_args(hint), value, where)
        if dataclasses.is_dataclass(hint):
            return self._fields(hint, value, where)
        return self._plain(hint, value, where)

    def _fields(self, cls: Any, value: Any, where: str) -> Any:
        given = self._object(value, where)
        hints = get_type_hints(cls)
        for name in given:
            if name not in hints:
                raise self.refuse(_join(where, shown(name)), "unknown field; is the bundle for a newer StreamGuard?")
        made: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name in given:
                made[field.name] = self.build(hints[field.name], given[field.name], _join(where, field.name))
            elif not (field.metadata.get(_ADDED) or (self.fill_defaults and _has_default(field))):
                raise self.refuse(_join(where, field.name), "missing")
        return cls(**made)

    def _named(self, key: Any, item: Any, value: Any, where: str) -> dict[Any, Any]:
        found = {}
        for name, each in self._object(value, where).items():
            inner = _join(where, shown(name))
            key_there = self.build(key, name, inner)
            found[key_there] = self.build(item, each, inner)
        return found

    def _several(self, item: Any, value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise self._wrong("a list", value, where)
        return tuple(self.build(item, each, _join(where, str(i))) for i, each in enumerate(value))

    def _one_of(self, hints: tuple[Any, ...], value: Any, where: str) -> Any:
        if value is None and NoneType in hints:
            return None
        classes = [hint for hint in hints if hint is not NoneType]
        if len(classes) == 1:
            return self.build(classes[0], value, where)
        kinds = {get_args(get_type_hints(cls)["kind"])[0]: cls for cls in classes}
        given = self._object(value, where)
        if "kind" not in given:
            raise self.refuse(_join(where, "kind"), "missing")
        return self.build(kinds[self._choice(tuple(kinds), given["kind"], _join(where, "kind"))], given, where)

    def _choice(self, choices: tuple[Any, ...], value: Any, where: str) -> Any:
        # True == 1 and 1.0 == 1: the type has to be the same as well.
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise self._wrong(" or ".join(str(choice) for choice in choices), value, where)
        return value

    def _plain(self, cls: Any, value: Any, where: str) -> Any:
        if cls is float and type(value) is int:
            try:
                value = float(value)
            except OverflowError:
                raise self.refuse(where, "must be a finite number") from None
        if type(value) is not cls:
            raise self._wrong(_WORDS[cls], value, where)
        if cls is float and not math.isfinite(value):
            raise self.refuse(where, "must be a finite number")
        if cls is str and not value.isprintable():
            raise self.refuse(where, "must be one line of printable text")
        return value

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong("an object", value, where)
        return value

    def _wrong(self, wanted: str, value: Any, where: str) -> StreamGuardError:
        """Scalars are shown; of what may be large only the kind is told."""
        kind = {dict: "an object", list: "a list", type(None): "null"}.get(type(value))
        if kind is None and not isinstance(value, str | int | float):  # TOML has dates and times as well
            kind = f"a {type(value).__name__}"
        return self.refuse(where, f"must be {wanted}, not {kind or shown(json.dumps(value))}")


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
