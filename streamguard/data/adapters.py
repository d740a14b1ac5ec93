"""From footage as it lies on disk to a Dataset: `read_dataset` tells the layouts apart.

Here are the layouts that anybody may have: a manifest, two folders, side-by-side pairs. Those of the published
benchmarks are in benchmarks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal, cast, get_args

from ..errors import DataError
from .benchmarks import read_celebdf2, read_deeperforensics, read_dfdc, read_ffpp
from .datasets import (
    STILL_SUFFIXES,
    VIDEO_SUFFIXES,
    Dataset,
    dataset,
    files_below,
    halves,
    key_of,
    read_table,
    real_path,
    relative,
    subfolder,
)
from .index import Footage, Index

Kind = Literal["manifest", "ffpp", "celebdf2", "dfdc", "deeperforensics", "folders", "pairs"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LOOKED_FOR: dict[Kind, str] = {
    "manifest": "manifest.tsv, or a file .tsv itself, with the columns file, label and group",
    "ffpp": "original_sequences or manipulated_sequences (FaceForensics++)",
    "celebdf2": "Celeb-real or Celeb-synthesis (Celeb-DF v2)",
    "dfdc": "metadata.json, here or in folders right below (DFDC)",
    "deeperforensics": "manipulated_videos/end_to_end* (DeeperForensics-1.0)",
    "folders": "folders named real and fake, at any depth",
    "pairs": "videos of two halves, left real and right fake; never guessed, say --kind pairs",
}
"""Each layout by what it is told from the others by, in the order in which they are looked for."""

UNNAMED = "unnamed"
"""The method of fakes of which nobody says how they were made."""
GROUPS = "groups.tsv"


def read_dataset(
    source: Path, kind: Kind | Literal["auto"] = "auto", *, compression: str | None = None, reals: Path | None = None
) -> Dataset:
    """The footage of a folder. `compression` is for FaceForensics++, `reals` for DeeperForensics."""
    source = Path(source)
    if not source.exists():
        raise DataError(str(source), "does not exist")
    found = _kind_of(source) if kind == "auto" else kind
    if compression is not None and found not in ("ffpp", "deeperforensics"):
        raise DataError(str(source), f"--compression is for FaceForensics++, and this is {found}")
    if reals is not None and found != "deeperforensics":
        raise DataError(str(source), f"--reals is for DeeperForensics, and this is {found}")
    if found == "ffpp":
        return read_ffpp(source, compression)
    if found == "deeperforensics":
        return read_deeperforensics(source, reals, compression)
    if found == "manifest":
        return read_manifest(source if source.is_file() else source / "manifest.tsv")
    return _READERS[found](source)


def _kind_of(source: Path) -> Kind:
    for kind in KINDS:
        if _looks_like(source, kind):
            return kind
    looked_for = "; ".join(f"{kind}: {what}" for kind, what in LOOKED_FOR.items())
    raise DataError(str(source), f"no layout that is known. Looked for {looked_for}. A layout is named with --kind")


def _looks_like(source: Path, kind: Kind) -> bool:
    if kind == "manifest":
        return source.suffix == ".tsv" if source.is_file() else (source / "manifest.tsv").is_file()
    if not source.is_dir():
        return False
    if kind == "ffpp":
        return any((source / name).is_dir() for name in ("original_sequences", "manipulated_sequences"))
    if kind == "celebdf2":
        return any(subfolder(source, name) is not None for name in ("Celeb-real", "Celeb-synthesis"))
    if kind == "dfdc":
        return (source / "metadata.json").is_file() or any(source.glob("*/metadata.json"))
    if kind == "deeperforensics":
        return any(source.glob("manipulated_videos/end_to_end*"))
    if kind == "folders":
        names = {path.name.casefold() for path in source.rglob("*") if path.is_dir()}
        return {"real", "fake"} <= names
    return False


def read_manifest(path: Path) -> Dataset:
    """A table of tab-separated values: a file a row, with at least file, label and group.

    The label is real, fake, pair (left real, right fake) or still (a real picture).
    """
    footage: list[Footage] = []
    lines: dict[str, str] = {}
    twins: list[tuple[str, str]] = []
    for where, row in read_table(path, needed=("file", "label", "group")):
        label, file = row["label"], _file_in(row["file"], where)
        if label not in ("real", "fake", "pair", "still"):
            raise DataError(where, f"label must be real, fake, pair or still, not {label!r}")
        before = lines.setdefault(real_path(path.parent, file), where)
        if before != where:
            raise DataError(where, f"{file!r} is the file of {before} too. A file has one row")
        twin = _file_in(row["twin"], where) if row.get("twin") else ""
        if twin:
            twins.append((where, twin))
        method = row.get("method") or UNNAMED
        one = Footage(
            key=key_of(file),
            file=file,
            label="fake" if label == "fake" else "real",
            group=row["group"],
            identity=row.get("identity") or row["group"],
            method=method if label == "fake" else "",
            dataset=row.get("dataset") or "manifest",
            licence=row.get("licence", ""),
            licence_class=row.get("licence_class", ""),
            split=row.get("split", ""),
            twin=twin,
            still=label == "still" or _is_still(file),
        )
        if label == "pair":
            footage += halves(one, driver=row.get("driver") or one.identity, method=method)
        else:
            footage.append(one)
    _check_twins(twins, footage)
    return dataset("manifest", path.parent, footage)


def read_folders(source: Path) -> Dataset:
    """Whatever lies below a folder named real or fake. Pictures are stills."""
    named = _named_groups(source)
    footage, guessed, twins = [], 0, []
    for path in files_below(source, VIDEO_SUFFIXES | STILL_SUFFIXES):
        file = relative(path, source)
        label, place = _label_of(file)
        if label is None:
            continue
        row = named.get(file, {})
        group = row.get("group") or _guessed_group(place)
        guessed += "group" not in row
        where = f"{source / GROUPS}, {file}"
        twin = _file_in(row["twin"], where) if row.get("twin") else ""
        if twin:
            twins.append((where, twin))
        footage.append(
            Footage(
                key=key_of(file),
                file=file,
                label=label,
                group=group,
                identity=row.get("identity") or group,
                method=(row.get("method") or UNNAMED) if label == "fake" else "",
                dataset="folders",
                licence="",
                licence_class="",
                split=row.get("split", ""),
                twin=twin,
                still=_is_still(file),
            )
        )
    _check_named(source, named, {one.file for one in footage})
    _check_twins(twins, footage)
    return dataset("folders", source, footage, _guess_warnings(guessed, len(footage)))


def read_pairs(source: Path) -> Dataset:
    """Videos of two halves: left real, right the fake that was made of it."""
    named = _named_groups(source)
    footage, guessed, files = [], 0, set()
    for path in files_below(source, VIDEO_SUFFIXES):
        file = relative(path, source)
        row = named.get(file, {})
        group = row.get("group") or _guessed_group(PurePosixPath(file))
        guessed += "group" not in row
        files.add(file)
        whole = Footage(
            key=key_of(file),
            file=file,
            label="real",
            group=group,
            identity=row.get("identity") or group,
            method="",
            dataset="pairs",
            licence="",
            licence_class="",
            split=row.get("split", ""),
        )
        footage += halves(whole, driver=row.get("driver") or group, method=row.get("method") or UNNAMED)
    _check_named(source, named, files)
    return dataset("pairs", source, footage, _guess_warnings(guessed, len(files)))


_READERS: dict[Kind, Callable[[Path], Dataset]] = {
    "celebdf2": read_celebdf2,
    "dfdc": read_dfdc,
    "folders": read_folders,
    "pairs": read_pairs,
}


def _label_of(file: str) -> tuple[Literal["real", "fake"] | None, PurePosixPath]:
    """The label that the nearest folder named real or fake gives, and the path below that folder."""
    parts = PurePosixPath(file).parts
    for i in range(len(parts) - 2, -1, -1):
        name = parts[i].casefold()
        if name in ("real", "fake"):
            return cast(Literal["real", "fake"], name), PurePosixPath(*parts[i + 1 :])
    return None, PurePosixPath(file)


def _guessed_group(place: PurePosixPath) -> str:
    """The folder that the file lies in, below real or fake; without one its name up to the first underscore."""
    return place.parts[0] if len(place.parts) > 1 else place.stem.split("_")[0] or place.stem


def _named_groups(source: Path) -> dict[str, dict[str, str]]:
    path = source / GROUPS
    if not path.is_file():
        return {}
    return _rows_by_file(path)


def _check_named(source: Path, named: dict[str, dict[str, str]], files: set[str]) -> None:
    """A row that fits no file is a typing error, and the file that was meant would get a guessed group."""
    unknown = sorted(set(named) - files)
    if unknown:
        raise DataError(str(source / GROUPS), f"names {unknown[0]!r}, which is not among the {len(files)} files here")


def _file_in(text: str, where: str) -> str:
    """A file that a table names, always written the same way."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise DataError(where, f"{text!r} must be a file below the root, as in videos/a.mp4")
    if not text.isprintable():
        raise DataError(where, f"{text!a} cannot be printed on one line. Rename the file")
    return path.as_posix()


def _check_twins(twins: Iterable[tuple[str, str]], footage: Iterable[Footage]) -> None:
    """Each with the place where it is named. A twin that is lost would be missed by nobody."""
    genuine = {one.file for one in footage if one.label == "real"}
    for where, twin in twins:
        if twin not in genuine:
            raise DataError(where, f"its twin {twin!r} is no real footage here. Name its file as in the column file")


def _rows_by_file(table: Path) -> dict[str, dict[str, str]]:
    """Of a table that says whose the files are. One that is named twice would be in either group."""
    found: dict[str, dict[str, str]] = {}
    for where, row in read_table(table, needed=("file", "group")):
        file = _file_in(row["file"], where)
        if file in found:
            raise DataError(where, f"{file!r} is named above already")
        found[file] = row
    return found


def regrouped(index: Index, table: Path) -> Index:
    """With groups of a table's own (columns: file, group), for footage whose layout says something else."""
    groups = {file: row["group"] for file, row in _rows_by_file(table).items()}
    unknown = sorted(groups.keys() - {footage.file for footage in index.footage})
    if unknown:
        raise DataError(str(table), f"names {unknown[0]!r}, which is no file of this footage")
    footage = (replace(one, group=groups.get(one.file, one.group)) for one in index.footage)
    return Index(index.folder, index.root, footage)


def _guess_warnings(guessed: int, files: int) -> list[str]:
    if not guessed:
        return []
    return [
        f"the groups of {guessed} of {files} files are guessed, from their folders or their names up to the first "
        f"underscore. Footage of one person in two groups makes every measurement too good. Name the groups in "
        f"{GROUPS} (columns: file, group)"
    ]


def _is_still(file: str) -> bool:
    return PurePosixPath(file).suffix.lower() in STILL_SUFFIXES
