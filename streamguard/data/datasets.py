"""What the adapters share: the Dataset that each returns, keys for files, groups from pairs of people, tables."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .index import LONGEST_KEY, Footage, Index, safe_key

VIDEO_SUFFIXES = frozenset(
    (*(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"),)
)
STILL_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What an adapter found."""

    kind: str
    root: Path
    footage: tuple[Footage, ...]
    warnings: tuple[str, ...] = ()
    """What whoever trusts the groups, labels and splits must know."""

    def index(self, folder: Path) -> Index:
        return Index(folder, self.root, self.footage)


def dataset(kind: str, root: Path, footage: Iterable[Footage], warnings: Iterable[str] = ()) -> Dataset:
    """With keys made unique, and in a fixed order. The twins that it is given are files: of those that are not there
    nothing is kept, of the others the key."""
    kept = _unique_keys(sorted(footage, key=lambda one: (one.file, one.side)))
    if not kept:
        raise DataError(str(root), f"holds no footage of the layout {kind}")
    _refuse_links(root, kept)
    genuine = {one.file: one.key for one in kept if one.label == "real"}
    kept = [replace(one, twin=genuine.get(one.twin, "")) for one in kept]
    return Dataset(kind=kind, root=root.resolve(), footage=tuple(kept), warnings=tuple(warnings))


def key_of(file: str) -> str:
    """A key that a file keeps, whatever else comes to lie beside it."""
    return safe_key(str(PurePosixPath(file).with_suffix("")))


def _unique_keys(footage: list[Footage]) -> list[Footage]:
    """Keys that several files would have (a.mp4 and a.mov, say) get a mark of their file."""
    many = Counter(one.key.casefold() for one in footage)
    marked = {
        (one.file, one.key): f"{one.key[: LONGEST_KEY - 9]}-{sha1(f'{one.file} {one.side}'.encode()).hexdigest()[:8]}"
        for one in footage
        if many[one.key.casefold()] > 1
    }
    return [replace(one, key=marked.get((one.file, one.key), one.key)) for one in footage]


def _refuse_links(root: Path, footage: Iterable[Footage]) -> None:
    """One file under two names would be in two groups, or have two labels."""
    seen: dict[str, str] = {}
    for one in footage:
        before = seen.setdefault(real_path(root, one.file), one.file)
        if before != one.file:
            raise DataError(str(root), f"{one.file!r} and {before!r} are one file. Keep one of the two")


def halves(pair: Footage, *, driver: str, method: str) -> list[Footage]:
    """A side-by-side video as two: left the genuine half, right what was made of it."""
    left = replace(
        pair, key=f"{pair.key}-left", side="left", label="real", identity=driver, method="", twin="", still=False
    )
    right = replace(
        pair, key=f"{pair.key}-right", side="right", label="fake", method=method, twin=pair.file, still=False
    )
    return [left, right]


def tied(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Connected components: for each name the first name, in order, of all that it is tied to."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {name: root(name) for name in sorted(parent)}


def read_table(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table of tab-separated values with names on top, each with its place for error messages."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            names, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise DataError(str(path), f"cannot be read ({exc})") from exc
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(str(path), f"has no column {missing[0]!r}: tab-separated, with names in the first line")
    for number, row in enumerate(rows, 2):
        where = f"{path}, line {number}"
        values = {name: (row.get(name) or "").strip() for name in names}
        empty = [name for name in needed if not values[name]]
        if empty:
            raise DataError(where, f"{empty[0]} is empty")
        yield where, values


def files_below(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """In a fixed order, less what is hidden."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def subfolder(folder: Path, name: str) -> Path | None:
    """The folder of this name in whatever case."""
    if not folder.is_dir():
        return None
    found = sorted(path for path in folder.iterdir() if path.name.casefold() == name.casefold() and path.is_dir())
    return found[0] if found else None


def real_path(root: Path, file: str) -> str:
    """Where links lead. Any text will do for a file that is not there."""
    return os.path.realpath(root / file)


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def split_between(groups: dict[str, str]) -> dict[str, list[str]]:
    """Members of each group."""
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    return dict(members)
