"""JSON to dataclasses: everything is there, nothing else is, and each has its type; else the field is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Literal

import pytest

from streamguard.errors import BundleError
from streamguard.strict import added, build, read_json, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    kind: Literal["round"] = "round"
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Corners:
    kind: Literal["corners"] = "corners"
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    name: str
    format: Literal[1] = 1
    colour: Literal["red", "blue"] = "red"
    count: int = 0
    open: bool = False
    shape: Round | Corners
    parts: dict[Literal["left", "right"], Round] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)
    nick: str | None = None
    hole: Round | None = None
    edge: Round | Corners | None = None


def refuse(where: str, problem: str) -> BundleError:
    return BundleError("toy", where, problem)


def values(**changes: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "format": 1,
        "colour": "blue",
        "count": 3,
        "open": True,
        "shape": {"kind": "corners", "points": [1, 2]},
        "parts": {"left": {"kind": "round", "radius": 1}},
        "notes": {"any name": 0.5},
        "nick": None,
        "hole": None,
        "edge": None,
        **changes,
    }


def test_everything_is_built_as_its_type() -> None:
    toy = build(Toy, values(), refuse)
    assert toy == Toy(
        name="toy",
        colour="blue",
        count=3,
        open=True,
        shape=Corners(points=(1, 2)),
        parts={"left": Round(radius=1.0)},
        notes={"any name": 0.5},
    )
    assert type(toy.parts["left"].radius) is float


@pytest.mark.parametrize(
    ("changes", "where", "problem"),
    [
        ({"extra": 1}, "extra", "unknown field"),
        ({"\x1b[31mred": 1}, "'\\x1b[31mred'", "unknown field"),
        ({"name": 1}, "name", "must be text, not 1"),
        ({"name": None}, "name", "must be text, not null"),
        ({"name": "a\nb"}, "name", "must be one line of printable text"),
        ({"name": "\x1b[2J"}, "name", "must be one line of printable text"),
        ({"name": "\ud800"}, "name", "must be one line of printable text"),
        ({"format": 2}, "format", "must be 1, not 2"),
        ({"format": True}, "format", "must be 1, not true"),
        ({"format": 1.0}, "format", "must be 1, not 1.0"),
        ({"colour": "green"}, "colour", 'must be red or blue, not "green"'),
        ({"colour": ["red"]}, "colour", "must be red or blue, not a list"),
        ({"count": 1.0}, "count", "must be a whole number, not 1.0"),
        ({"count": True}, "count", "must be a whole number, not true"),
        ({"count": "1"}, "count", 'must be a whole number, not "1"'),
        ({"count": date(2020, 1, 1)}, "count", "must be a whole number, not a date"),  # as TOML has them
        ({"name": time(12)}, "name", "must be text, not a time"),
        ({"colour": datetime(2020, 1, 1)}, "colour", "must be red or blue, not a datetime"),
        ({"open": 1}, "open", "must be true or false, not 1"),
        ({"open": {}}, "open", "must be true or false, not an object"),
        ({"notes": {"x": float("inf")}}, "notes.x", "must be a finite number"),
        ({"notes": {"x": float("nan")}}, "notes.x", "must be a finite number"),
        ({"notes": {"x": 10**400}}, "notes.x", "must be a finite number"),
        ({"notes": {"x": False}}, "notes.x", "must be a number, not false"),
        ({"notes": {"a\nb": 1}}, "notes.'a\\nb'", "must be one line of printable text"),
        ({"notes": []}, "notes", "must be an object, not a list"),
        ({"parts": {"up": {}}}, "parts.up", 'must be left or right, not "up"'),
        ({"parts": {"left": 1}}, "parts.left", "must be an object, not 1"),
        ({"parts": {"left": {"kind": "round"}}}, "parts.left.radius", "missing"),
        ({"parts": {"left": {"radius": 1}}}, "parts.left.kind", "missing"),
        ({"shape": {"points": []}}, "shape.kind", "missing"),
        ({"shape": {"kind": "flat"}}, "shape.kind", 'must be round or corners, not "flat"'),
        ({"shape": {"kind": ["round"]}}, "shape.kind", "must be round or corners, not a list"),
        ({"shape": 1}, "shape", "must be an object, not 1"),
        ({"shape": {"kind": "round", "points": []}}, "shape.points", "unknown field"),
        ({"shape": None}, "shape", "must be an object, not null"),
        ({"nick": 1}, "nick", "must be text, not 1"),
        ({"hole": []}, "hole", "must be an object, not a list"),
        ({"hole": {"kind": "corners", "points": []}}, "hole.points", "unknown field"),
        ({"edge": {"kind": "flat"}}, "edge.kind", 'must be round or corners, not "flat"'),
        ({"shape": {"kind": "corners", "points": [1, "2"]}}, "shape.points.1", 'must be a whole number, not "2"'),
        ({"shape": {"kind": "corners", "points": "12"}}, "shape.points", 'must be a list, not "12"'),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(changes: dict[str, Any], where: str, problem: str) -> None:
    with pytest.raises(BundleError) as refused:
        build(Toy, values(**changes), refuse)
    assert refused.value.where == where
    assert refused.value.problem.startswith(problem)


def test_what_may_be_null_is_null_or_as_its_type() -> None:
    toy = build(Toy, values(nick="x", hole={"kind": "round", "radius": 1}), refuse)
    assert (toy.nick, toy.hole, toy.edge) == ("x", Round(radius=1.0), None)
    toy = build(Toy, values(edge={"kind": "corners", "points": [1]}), refuse)
    assert (toy.nick, toy.hole, toy.edge) == (None, None, Corners(points=(1,)))


def test_the_whole_must_be_an_object() -> None:
    with pytest.raises(BundleError, match=r"^bundle toy: must be an object, not a list$"):
        build(Toy, [], refuse)


@pytest.mark.parametrize("name", ["name", "format", "colour", "count", "open", "shape", "parts", "notes", "nick"])
def test_what_is_read_says_everything_even_what_has_a_default(name: str) -> None:
    given = values()
    del given[name]
    with pytest.raises(BundleError, match=rf"^bundle toy, {name}: missing$"):
        build(Toy, given, refuse)


def test_makers_may_leave_out_what_has_a_default_and_nothing_else() -> None:
    built = build(Toy, {"name": "x", "shape": {"kind": "round", "radius": 2.5}}, refuse, fill_defaults=True)
    assert built == Toy(name="x", shape=Round(radius=2.5))
    with pytest.raises(BundleError, match=r"^bundle toy, name: missing$"):
        build(Toy, {"shape": {"kind": "round", "radius": 2.5}}, refuse, fill_defaults=True)


def test_only_what_was_added_to_a_format_may_be_missing_from_a_file() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Grown:
        name: str = "before"
        span: float = added(2.0)

    assert build(Grown, {"name": "x"}, refuse) == Grown(name="x", span=2.0)
    assert build(Grown, {"name": "x", "span": 1.4}, refuse) == Grown(name="x", span=1.4)
    with pytest.raises(BundleError, match=r"^bundle toy, span: must be a number, not null$"):
        build(Grown, {"name": "x", "span": None}, refuse)
    with pytest.raises(BundleError, match=r"^bundle toy, name: missing$"):
        build(Grown, {"span": 1.4}, refuse)


def test_json_is_read() -> None:
    assert read_json('{"é": [1, 2.5, null, "x"]}'.encode(), "toy.json", refuse) == {"é": [1, 2.5, None, "x"]}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"{} {}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', "not UTF-8 (at byte 1)"),
        ("{}".encode("utf-16"), "not UTF-8 (at byte 0)"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[Infinity]", "Infinity is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "the key c is there twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_what_is_no_plain_json_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(BundleError) as refused:
        read_json(data, "toy.json", refuse)
    assert refused.value.where == "toy.json"
    assert refused.value.problem.startswith(problem)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.onnx", "a.onnx"),
        ("", "''"),
        ("\x1b[2J", "'\\x1b[2J'"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 77 + "..."),
        ("\ud800", "'\\ud800'"),
    ],
)
def test_strangers_names_are_fit_to_be_printed(text: str, expected: str) -> None:
    assert shown(text) == expected
