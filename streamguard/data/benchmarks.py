"""The published benchmarks as their authors lay them out: FaceForensics++, Celeb-DF v2, DFDC, DeeperForensics-1.0.

Each reader decides what is real by what the authors say of a file, and ties people into groups by the pairs of them
that the file names tell. Files that a list names and that are not there are left out, and counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..errors import DataError
from ..strict import read_json
from .datasets import Dataset, dataset, files_below, key_of, relative, subfolder, tied
from .files import read_bytes
from .index import Footage

MP4 = frozenset({".mp4"})
COMPRESSIONS = ("c23", "c40", "raw")
"""Of FaceForensics++, the usual one first."""
SPLITS = ("train", "val", "test")

FFPP_SWAPS = ("Deepfakes", "FaceSwap", "FaceShifter")
"""In these the face is the source's; in the others it stays the target's, and only moves otherwise."""
FFPP_METHODS = (*FFPP_SWAPS, "Face2Face", "NeuralTextures")
ACTORS_METHOD = "DeepFakeDetection"


def read_ffpp(root: Path, compression: str | None = None) -> Dataset:
    """FaceForensics++ with, where it is there, DeepFakeDetection and its actors."""
    compression = compression or _compression_of(root)
    splits, warnings = _ffpp_splits(root)
    youtube = {path.stem: path for path in _videos(root / "original_sequences" / "youtube" / compression)}
    actors = {path.stem: path for path in _videos(root / "original_sequences" / "actors" / compression)}
    fakes = {
        method: _videos(root / "manipulated_sequences" / method / compression)
        for method in (*FFPP_METHODS, ACTORS_METHOD)
    }
    # Each name's own people, tied to those with whom they were mixed.
    ties = [(name, name) for name in youtube] + [(f"actor {_actor(name)}",) * 2 for name in actors]
    for method, paths in fakes.items():
        for path in paths:
            target, source = _ffpp_pair(path, method)
            ties.append((target, source) if method != ACTORS_METHOD else (f"actor {target}", f"actor {source}"))
    ties += [pair for pairs in splits.values() for pair in pairs if set(pair) & set(youtube)]
    groups = tied(ties)
    split_of = {name: split for split, pairs in splits.items() for pair in pairs for name in pair}

    def footage(path: Path, label: Literal["real", "fake"], person: str, identity: str, **told: str) -> Footage:
        file = relative(path, root)
        return _footage(
            file, label, group=_ffpp_group(groups[person]), identity=identity, dataset="ffpp", licence=_FFPP, **told
        )

    found = [
        footage(path, "real", name, f"ffpp-{name}", split=split_of.get(name, "")) for name, path in youtube.items()
    ]
    found += [
        footage(path, "real", f"actor {_actor(name)}", f"ffpp-actor-{_actor(name)}") for name, path in actors.items()
    ]
    for method, paths in fakes.items():
        for path in paths:
            target, source = _ffpp_pair(path, method)
            if method == ACTORS_METHOD:
                twin = actors.get(_actors_twin(path.stem))
                person, identity, split = f"actor {target}", f"ffpp-actor-{source}", ""
            else:
                twin = youtube.get(target)
                person, split = target, split_of.get(target, "")
                identity = f"ffpp-{source if method in FFPP_SWAPS else target}"
            found.append(
                footage(
                    path,
                    "fake",
                    person,
                    identity,
                    method=method,
                    split=split,
                    twin="" if twin is None else relative(twin, root),
                )
            )
    if not found:
        raise DataError(str(root), f"holds no video of compression {compression}: */*/{compression}/videos/*.mp4")
    return dataset("ffpp", root, found, warnings)


def _compression_of(root: Path) -> str:
    there = {path.name for path in root.glob("*_sequences/*/*") if path.is_dir()}
    for compression in COMPRESSIONS:
        if compression in there:
            return compression
    raise DataError(str(root), f"holds none of */*/{{{','.join(COMPRESSIONS)}}}/videos (FaceForensics++)")


def _videos(folder: Path) -> list[Path]:
    return files_below(folder / "videos", MP4) if folder.is_dir() else []


def _ffpp_pair(path: Path, method: str) -> tuple[str, str]:
    """Target and source: 000_003, or 01_02__walking_outside__ABCDEFGH of actors."""
    pattern = r"(\d+)_(\d+)__.+" if method == ACTORS_METHOD else r"(\d+)_(\d+)"
    match = re.fullmatch(pattern, path.stem)
    if match is None:
        raise DataError(str(path), "is not named TARGET_SOURCE.mp4, as FaceForensics++ names its fakes")
    return match[1], match[2]


def _actor(stem: str) -> str:
    """01__walking_outside is actor 01's."""
    return stem.split("__")[0]


def _actors_twin(stem: str) -> str:
    """01_02__walking_outside__ABCDEFGH was made from 01__walking_outside."""
    people, _, scene = stem.partition("__")
    return f"{people.split('_')[0]}__{scene.rpartition('__')[0]}"


def _ffpp_group(name: str) -> str:
    return f"ffpp-{name.replace(' ', '-')}"


def _ffpp_splits(root: Path) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """train.json, val.json and test.json, lists of pairs, wherever people put them."""
    for folder in (root / "splits", root / "dataset" / "splits", root):
        paths = {split: folder / f"{split}.json" for split in SPLITS}
        if all(path.is_file() for path in paths.values()):
            return {split: _ffpp_pairs(path) for split, path in paths.items()}, []
    return {}, [
        "no official splits: put train.json, val.json and test.json of the FaceForensics repository into splits/"
    ]


def _ffpp_pairs(path: Path) -> list[tuple[str, str]]:
    value = _json(path)
    good = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair) for pair in value
    )
    if not good:
        raise DataError(str(path), 'must be a list of pairs such as ["000", "003"]')
    return [(one, other) for one, other in value]


def read_celebdf2(root: Path) -> Dataset:
    """Celeb-DF v2. What is real is said by the folder; the digit in the list of test videos is not looked at."""
    paths: dict[str, list[Path]] = {}
    for name in ("Celeb-real", "YouTube-real", "Celeb-synthesis"):
        folder = subfolder(root, name)  # written in other cases too, and with a level videos/ below
        paths[name] = files_below(folder, MP4) if folder is not None else []
    test, warnings = _celebdf_test(root)
    people = {path: _celebdf_people(path) for name in ("Celeb-real", "Celeb-synthesis") for path in paths[name]}
    groups = tied((names[0], names[-1]) for names in people.values())
    genuine = {path.stem: path for path in paths["Celeb-real"]}
    missing = test - {(name.casefold(), path.stem) for name, some in paths.items() for path in some}
    if missing:
        warnings.append(f"{len(missing)} of {len(test)} test videos are not here, such as {'/'.join(min(missing))}")
    found = []
    for name, some in paths.items():
        for path in some:
            fake = name == "Celeb-synthesis"
            names = people.get(path, ())
            twin = genuine.get(f"{names[0]}_{path.stem.rpartition('_')[2]}") if fake else None
            found.append(
                _footage(
                    relative(path, root),
                    "fake" if fake else "real",
                    group=f"celebdf-{groups[names[0]]}" if names else f"celebdf-youtube-{path.stem}",
                    identity=f"celebdf-{names[-1]}" if names else f"celebdf-youtube-{path.stem}",
                    method="Celeb-DF v2" if fake else "",
                    dataset="celebdf2",
                    licence="Terms to Use Celeb-DF",
                    split="" if not test else "test" if (name.casefold(), path.stem) in test else "train",
                    twin="" if twin is None else relative(twin, root),
                )
            )
    return dataset("celebdf2", root, found, warnings)


def _celebdf_people(path: Path) -> tuple[str, ...]:
    """id0_0002 shows id0; id0_id1_0002 is made from id0_0002, with the face of id1."""
    match = re.fullmatch(r"(id\d+)_(?:(id\d+)_)?\d+", path.stem)
    if match is None:
        raise DataError(str(path), "is not named idN_NNNN.mp4 or idN_idM_NNNN.mp4, as Celeb-DF names its videos")
    return tuple(name for name in match.groups() if name is not None)


def _celebdf_test(root: Path) -> tuple[set[tuple[str, str]], list[str]]:
    """Folder (in small letters) and stem of each official test video."""
    path = root / "List_of_testing_videos.txt"
    if not path.is_file():
        return set(), [f"no official split: {path.name} is not here"]
    test = set()
    for number, line in enumerate(_lines(path), 1):
        match = re.fullmatch(r"\d\s+([^/\s]+)/(?:videos/)?([^/\s]+)\.mp4", line)
        if match is None:
            raise DataError(f"{path}, line {number}", f"must be DIGIT FOLDER/NAME.mp4, not {line!r}")
        test.add((match[1].casefold(), match[2]))
    return test, []


def read_dfdc(root: Path) -> Dataset:
    """DFDC: a metadata.json here or in each part. A fake's original is its twin."""
    metadata = sorted(root.glob("*/metadata.json")) or [root / "metadata.json"]
    if (root / "metadata.json").is_file() and metadata[0].parent != root:
        metadata.insert(0, root / "metadata.json")
    found, missing = [], 0
    for path in metadata:
        if not path.is_file():
            raise DataError(str(path), "does not exist (DFDC)")
        entries = _json(path)
        if not isinstance(entries, dict):
            raise DataError(str(path), "must be an object with an entry for each video")
        for name, entry in sorted(entries.items()):
            label, original, split = _dfdc_entry(f"{path}, {name}", entry)
            video = path.parent / name
            if Path(name).name != name or not video.is_file():
                missing += 1
                continue
            tie = Path(original or name).stem
            twin = path.parent / original if original else None
            found.append(
                _footage(
                    relative(video, root),
                    label,
                    group=f"dfdc-{tie}",
                    identity=f"dfdc-{Path(name).stem}" if label == "fake" else f"dfdc-{tie}",
                    method="DFDC" if label == "fake" else "",
                    dataset="dfdc",
                    licence="DFDC competition rules",
                    split=split,
                    twin="" if twin is None else relative(twin, root),
                )
            )
    warnings = ["DFDC does not tell who its actors are: one actor may be in several groups, and in several splits"]
    if missing:
        warnings.append(f"{missing} videos that metadata.json names are not here")
    return dataset("dfdc", root, found, warnings)


def _dfdc_entry(where: str, entry: Any) -> tuple[Literal["real", "fake"], str, str]:
    """Label, original and split."""
    if not isinstance(entry, dict):
        raise DataError(where, "must be an object")
    label = entry.get("label")
    if label is None and "is_fake" in entry:
        label = {0: "REAL", 1: "FAKE"}.get(entry["is_fake"])
    if label not in ("REAL", "FAKE"):
        raise DataError(where, "has neither label (REAL or FAKE) nor is_fake (0 or 1)")
    split, original = entry.get("split") or "", entry.get("original") or ""
    if not isinstance(split, str) or not isinstance(original, str) or Path(original).name != original:
        raise DataError(where, "split and original must be text, and original a file's name")
    split = {"validate": "val", "validation": "val"}.get(split, split)
    return ("fake" if label == "FAKE" else "real"), original if label == "FAKE" else "", split


def read_deeperforensics(root: Path, reals: Path | None = None, compression: str | None = None) -> Dataset:
    """DeeperForensics-1.0. Its reals are FaceForensics++'s originals: `reals` is where that dataset lies."""
    folders = sorted(path for path in (root / "manipulated_videos").glob("end_to_end*") if path.is_dir())
    if not folders:
        raise DataError(str(root), "holds no manipulated_videos/end_to_end* (DeeperForensics-1.0)")
    splits, warnings = _deeper_splits(root)
    top, originals = root.resolve(), {}
    if reals is None:
        warnings.append("without real footage: name a FaceForensics++ folder with --reals to take its originals")
    else:
        wanted = reals / "original_sequences" / "youtube" / (compression or "c23")
        originals = {path.stem: path for path in _videos(wanted.resolve())}
        if not originals:
            raise DataError(str(wanted / "videos"), "holds no .mp4 (FaceForensics++ originals)")
        top = Path(os.path.commonpath([top, reals.resolve()]))
    fakes = [(folder.name, path, *_deeper_pair(path)) for folder in folders for path in files_below(folder, MP4)]
    groups = tied((f"target {target}", f"actor {source}") for _, _, target, source in fakes)
    split_of = {target: splits.get(f"{target}_{source}", "") for _, _, target, source in fakes}
    found = [
        _footage(
            relative(path.resolve(), top),
            "fake",
            group=_deeper_group(groups[f"target {target}"]),
            identity=f"deeper-{source}",
            method=method,
            dataset="deeperforensics",
            licence="DeeperForensics-1.0 terms of use",
            split=split_of[target],
            twin=relative(originals[target], top) if target in originals else "",
        )
        for method, path, target, source in fakes
    ]
    found += [
        _footage(
            relative(path, top),
            "real",
            group=_deeper_group(groups[f"target {target}"]),
            identity=f"ffpp-{target}",
            dataset="deeperforensics",
            licence=_FFPP,
            split=split_of[target],
        )
        for target, path in originals.items()
        if target in split_of
    ]
    return dataset("deeperforensics", top, found, warnings)


def _deeper_pair(path: Path) -> tuple[str, str]:
    match = re.fullmatch(r"(\d{3})_([MW]\d{3})", path.stem)
    if match is None:
        raise DataError(str(path), "is not named TTT_MSSS.mp4, as DeeperForensics names its fakes")
    return match[1], match[2]


def _deeper_group(name: str) -> str:
    return f"deeper-{name.replace(' ', '-')}"


def _deeper_splits(root: Path) -> tuple[dict[str, str], list[str]]:
    """Stem of each fake to its split."""
    splits = {}
    for split in SPLITS:
        path = root / "lists" / "splits" / f"{split}.txt"
        if not path.is_file():
            return {}, [f"no official splits: lists/splits/{split}.txt is not here"]
        for line in _lines(path):
            splits[Path(line.split()[0]).stem] = split
    return splits, []


_FFPP = "FaceForensics++ terms of use"


def _footage(file: str, label: Literal["real", "fake"], **told: str) -> Footage:
    told = {"method": "", "licence_class": "", **told}
    return Footage(key=key_of(file), file=file, label=label, **told)  # type: ignore[arg-type]


def _json(path: Path) -> Any:
    return read_json(read_bytes(path), "", lambda where, problem: DataError(str(path), problem))


def _lines(path: Path) -> Iterator[str]:
    """Without empty ones."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DataError(str(path), "is not UTF-8") from exc
    yield from (line.strip() for line in text.splitlines() if line.strip())
