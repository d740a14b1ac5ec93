"""Which part may import which: the table below is the architecture, and every module has its place in it.

A module that no part names fails by name: decide where it belongs, and write it down here and in docs/architecture.md.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"streamguard": ROOT / "streamguard", "streamguard_export": ROOT / "export" / "streamguard_export"}

# Part: its modules (with all below them), under streamguard unless they say otherwise.
PARTS: dict[str, tuple[str, ...]] = {
    "nouns": ("values", "events", "errors", "clock", "queues", "picture", "zip_errors"),
    "config": ("config", "cores"),
    "assets": ("assets", "wheels"),
    "bundle": ("bundle", "sealed_files", "strict", "onnx_file"),
    "v1": ("v1",),
    "wire": ("wire",),
    "sources": ("sources",),
    "faces": ("faces",),
    "ring": ("ring",),
    "crop": ("crop",),
    "engine": ("engine",),
    "scoring": ("scoring",),
    "session": ("clips", "judge", "map_turns", "session"),
    "run": ("run", "mailbox", "moment", "callback", "stream", "detector", "aio"),
    "data": ("data",),
    "evaluation": ("evaluation",),
    "sinks": ("sinks",),
    "client": ("client",),
    "server": ("server",),
    "cli": ("cli", "__main__"),
    "nets": ("nets",),
    "weights": ("weights",),
    "training": ("training",),
    "testing": ("testing",),
    "export": ("/streamguard_export",),
    "door": ("",),  # streamguard/__init__.py itself, and nothing below it
}

BASE = {"nouns", "config", "assets", "bundle"}
STAGES = {"sources", "faces", "ring", "crop", "engine", "scoring"}
ENDS = {"sinks", "wire", "v1"}
BELOW_CLI = BASE | STAGES | ENDS | {"session", "run", "client", "server"}

# Part: what it may import besides itself. Stages never import each other; only the session joins them.
MAY_IMPORT: dict[str, set[str]] = {
    "nouns": set(),
    "config": {"nouns"},
    "assets": {"nouns", "config"},
    "bundle": {"nouns", "config", "assets"},
    "v1": set(),
    "wire": {"nouns", "v1"},
    **dict.fromkeys(STAGES, BASE),
    "session": BASE | STAGES,
    "run": BASE | STAGES | {"session"},
    "data": BASE | STAGES | {"session", "run"},
    "evaluation": BASE | STAGES | ENDS | {"session", "run", "data"},
    "sinks": {"nouns", "config", "wire", "v1"},
    "client": {"nouns", "config", "wire", "v1"},
    "server": BASE | STAGES | ENDS | {"session", "run"},
    # Commands are the outermost room: some of them train and export. Each imports what it calls when it is called.
    "cli": BELOW_CLI | {"door", "data", "nets", "weights", "training", "evaluation", "export"},
    "nets": set(),
    "weights": {"nouns", "config", "assets", "nets"},
    "training": BASE | STAGES | {"session", "run", "data", "nets", "weights"},
    # Its report is built with the sinks' markup, and files are put in place as theirs are.
    "testing": BELOW_CLI,
    "export": {"nouns", "nets", "weights", "bundle", "engine", "crop"},
    "door": BELOW_CLI,
}

# Heavy or foreign package: the parts that may import it at all, even inside a function.
FOREIGN: dict[str, set[str]] = {
    "av": {"sources", "sinks", "cli", "testing", "evaluation", "training"},
    "openvino": {"config", "faces", "engine", "export"},
    "onnxruntime": {"faces", "engine", "export"},
    "tensorrt": {"engine", "export"},
    "tensorrt_rtx": {"engine", "export"},
    "pycuda": {"engine"},
    "torch": {"nets", "weights", "training", "engine", "export"},
    "safetensors": {"weights", "export"},
    "aiortc": {"sources", "server"},
    "google.protobuf": {"v1", "wire", "client", "server"},
    "grpc": {"client", "server"},
}

NOT_AT_IMPORT = (
    *(
        "torch",
        "safetensors",
        "tensorrt",
        "tensorrt_rtx",
        "pycuda",
        "aiortc",
        "openvino",
        "onnxruntime",
        "av",
        "grpc",
        "google.protobuf",
    ),
    *("aiohttp", "fastapi", "flask", "starlette", "uvicorn", "django", "tornado", "asyncio"),
)
"""What `import streamguard` must not pull in: heavy packages, web frameworks, and an event loop."""


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str


def test_every_module_has_its_place() -> None:
    assert [module for module, _ in modules() if part_of(module) is None] == []


def test_no_module_imports_what_its_part_may_not() -> None:
    assert list(violations(imports_of_ours())) == []


def test_foreign_packages_stay_in_their_parts() -> None:
    assert list(foreign_violations(all_imports())) == []


def test_nothing_imports_the_tests_or_the_benchmarks() -> None:
    assert [each for each in all_imports() if each.imported.split(".")[0] in ("tests", "benchmarks")] == []


def test_no_module_takes_part_in_a_circle() -> None:
    """`streamguard` itself stands aside: importing any module runs it first, so it is on every way."""
    graph: dict[str, set[str]] = {}
    for each in imports_of_ours():
        if "streamguard" not in (each.importer, each.imported):
            graph.setdefault(each.importer, set()).add(each.imported)
    assert circle_in(graph) == []


def test_import_streamguard_stays_light() -> None:
    code = "import sys, streamguard; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in NOT_AT_IMPORT if name in imported] == []


@pytest.mark.parametrize("module", ["streamguard.wire", "streamguard.sinks.jsonl", "streamguard.cli.main"])
def test_small_programs_stay_light_too(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"av", "openvino", "torch", "grpc", "asyncio"} & set(imported) == set()


# The checks themselves see what they should.


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("streamguard.faces.track", "streamguard.values", True),
        ("streamguard.faces.track", "streamguard.faces.quality", True),
        ("streamguard.faces.track", "streamguard.ring", False),
        ("streamguard.ring", "streamguard.crop", False),
        ("streamguard.values", "streamguard.config", False),
        ("streamguard.session", "streamguard.faces.track", True),
        ("streamguard.session", "streamguard.run", False),
        ("streamguard.sinks.jsonl", "streamguard.session", False),
        ("streamguard.session", "streamguard.testing", False),
        ("streamguard.run", "streamguard.training.train", False),
        ("streamguard.session", "streamguard.data.tracks", False),
        ("streamguard.data.prepare", "streamguard.session", True),
        ("streamguard.data.prepare", "streamguard.training.train", False),
        ("streamguard.evaluation.traces", "streamguard.training.train", False),
        ("streamguard.nets.gml", "streamguard.values", False),
        ("streamguard.engine.batcher", "streamguard_export.parity", False),
        ("streamguard_export.onnx", "streamguard.bundle", True),
        ("streamguard_export.onnx", "streamguard.session", False),
        ("streamguard.ring", "streamguard", False),
        ("streamguard.cli.doctor", "streamguard", True),
    ],
)
def test_table_says_who_may_import_whom(importer: str, imported: str, allowed: bool) -> None:
    assert (list(violations([Import(importer, imported)])) == []) == allowed


def test_module_without_a_place_is_named() -> None:
    assert part_of("streamguard.manager") is None
    assert part_of("streamguard.valuesque") is None
    assert part_of("streamguard.faces.track") == "faces"


def test_imports_are_found_wherever_they_stand() -> None:
    source = (
        "from ..values import Box\n"
        "from .. import assets, __version__\n"
        "import av.error\n"
        "def later():\n    from .quality import measure_quality\n    import torch\n"
    )
    found = {each.imported for each in imports_in(source, "streamguard.faces.track", is_package=False)}
    assert found == {
        "streamguard.values",
        "streamguard.assets",
        "streamguard",
        "av.error",
        "streamguard.faces.quality",
        "torch",
    }


def test_circle_is_named() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []
    assert circle_in({"a": {"b", "c"}, "b": {"c"}}) == []


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours: its dotted name and its file."""
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(inner[:-1] if inner[-1] == "__init__" else inner)]), path


def part_of(module: str) -> str | None:
    for part, roots in PARTS.items():
        for root in roots:
            name = root[1:] if root.startswith("/") else f"streamguard.{root}".rstrip(".")
            if module == name or (name != "streamguard" and module.startswith(f"{name}.")):
                return part
    return None


def violations(imports: Iterable[Import]) -> Iterator[str]:
    for each in imports:
        importer, imported = part_of(each.importer), part_of(each.imported)
        if importer is None or imported is None:
            yield f"{each.importer} imports {each.imported}: one of them has no place"
        elif importer != imported and imported not in MAY_IMPORT[importer]:
            yield f"{each.importer} imports {each.imported}: {importer} may not see {imported}"


def foreign_violations(imports: Iterable[Import]) -> Iterator[str]:
    for each in imports:
        for package, parts in FOREIGN.items():
            inside = each.imported == package or each.imported.startswith(f"{package}.")
            if inside and part_of(each.importer) not in parts:
                yield f"{each.importer} imports {package}: only {', '.join(sorted(parts))} may"


def all_imports() -> list[Import]:
    return [
        found
        for module, path in modules()
        for found in imports_in(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")
    ]


def imports_of_ours() -> list[Import]:
    return [
        each for each in all_imports() if each.imported.split(".")[0] in PACKAGES and each.importer != each.imported
    ]


def imports_in(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Every import in the source, at whatever depth, as absolute names of modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = imported_from(node, module, is_package)
            for alias in node.names:
                yield Import(module, f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base)


def imported_from(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    keep = len(parts) - node.level + is_package
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def is_module(name: str) -> bool:
    package, _, inner = name.partition(".")
    if package not in PACKAGES:
        return False
    path = PACKAGES[package].joinpath(*inner.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The names along one circle, or nothing."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for following in sorted(graph.get(name, ())):
            found = walk(following, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])
