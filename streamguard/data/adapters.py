"""From datasets as they lie on disk to an Index: one function a layout, and `read_dataset`, which tells them apart."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .index import LONGEST_KEY, Footage, Index, safe_key

STILL_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What an adapter found."""

    kind: str
    root: Path
    footage: tuple[Footage, ...]
    warnings: tuple[str, ...] = ()

    def index(self, folder: Path) -> Index:
        return Index(folder, self.root, self.footage)


def read_manifest(path: Path) -> Dataset:
    """A table of tab-separated values with a line of names on top, and a file a row."""
    root = path.parent
    rows = _table(path, needed=("file", "label", "group"))
    footage: list[Footage] = []
    for number, row in enumerate(rows, 2):
        label = row["label"]
        if label not in ("real", "fake", "pair", "still"):
            raise DataError(f"{path}:{number}", f"label must be real, fake, pair or still, not {label!r}")
        still = label == "still" or PurePosixPath(row["file"]).suffix.lower() in STILL_SUFFIXES
        one = Footage(
            key=_key_of(row["file"]),
            file=row["file"],
            label="fake" if label == "fake" else "real",
            group=row["group"],
            identity=row.get("identity") or row["group"],
            method=(row.get("method") or "unnamed") if label == "fake" else "",
            dataset=row.get("dataset") or "manifest",
            licence=row.get("licence", ""),
            licence_class=row.get("licence_class", ""),
            split=row.get("split", ""),
            still=still,
        )
        if label == "pair":
            footage += _halves(one, real=row.get("driver") or one.identity, method=row.get("method") or "unnamed")
        else:
            footage.append(one)
    return Dataset(kind="manifest", root=root, footage=_with_unique_keys(footage))


def _halves(pair: Footage, *, real: str, method: str) -> list[Footage]:
    """Left the genuine half, right what was made of it."""
    left = replace(pair, key=f"{pair.key}-left", side="left", label="real", identity=real, method="", twin="")
    right = replace(pair, key=f"{pair.key}-right", side="right", label="fake", method=method, twin=left.key)
    return [left, right]


def _key_of(file: str) -> str:
    path = PurePosixPath(file)
    return safe_key(str(path.with_suffix("")))


def _with_unique_keys(footage: Iterable[Footage]) -> tuple[Footage, ...]:
    """Keys that are the same for two files, or for two names in which only odd characters differ, get the file's hash:
    a file keeps its key whatever else comes to lie beside it."""
    footage = list(footage)
    many = Counter(one.key.casefold() for one in footage)
    renamed: dict[tuple[str, str], str] = {}
    kept = []
    for one in footage:
        if many[one.key.casefold()] > 1:
            mark = sha1(f"{one.file} {one.side}".encode()).hexdigest()[:8]
            renamed[one.file, one.key] = f"{one.key[: LONGEST_KEY - 9]}-{mark}"
            one = replace(one, key=renamed[one.file, one.key])
        kept.append(one)
    return tuple(replace(one, twin=renamed.get((one.file, one.twin), one.twin)) for one in kept)


def _table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(str(path), f"cannot be read ({exc})") from exc
    if not rows:
        raise DataError(str(path), "is empty")
    missing = [name for name in needed if name not in rows[0]]
    if missing:
        raise DataError(str(path), f"has no column {missing[0]!r} (tab-separated, names in the first line)")
    for number, row in enumerate(rows, 2):
        empty = [name for name in needed if not row[name]]
        if empty:
            raise DataError(f"{path}:{number}", f"{empty[0]} is empty")
    return [{name: value or "" for name, value in row.items() if name is not None} for row in rows]
