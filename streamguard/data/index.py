"""Which footage there is, whose it is, and what is true of it: adapters make an index, everything else reads it.

It lies in a folder of its own as index.json, beside the faces that `prepare` cuts (tracks/<key>). Footage that shows
the same people has the same group, and whatever is split is split by group: what a network says of people whom it was
trained on tells nothing.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from ..errors import DataError
from ..sources.source import Source
from ..strict import build, read_json
from .files import read_bytes, write_whole
from .reading import open_footage
from .tracks import Done

FORMAT = 1
LONGEST_KEY = 150
"""Characters: as folder names they have to fit beside everything else in a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One video, one half of a side-by-side video, or one still picture."""

    key: str
    """Unique in its index, and fit to be a folder's name."""
    file: str
    """Relative to the index's root, with forward slashes."""
    side: Literal["whole", "left", "right"] = "whole"
    """Which half of the picture, where two stand side by side."""
    label: Literal["real", "fake"]
    group: str
    """People who are tied together. Split and resample by this, never by clip."""
    identity: str
    """Whose face is seen."""
    method: str
    """How a fake was made; empty for real footage."""
    dataset: str
    licence: str
    """Empty where unknown, as is its class."""
    licence_class: str
    split: str = ""
    """The official one: train, val or test."""
    twin: str = ""
    """Key of the genuine footage that it was made from, frame by frame."""
    still: bool = False
    """One picture, no video."""


_Stratum: TypeAlias = tuple[str, str, bool]
"""Label, method, and whether it is a still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What index.json holds."""

    format: int
    root: str
    footage: tuple[Footage, ...]


class Index:
    """Footage and where it lies. `folder` is where the index is kept, `root` where the media are."""

    def __init__(self, folder: Path, root: Path, footage: Iterable[Footage]) -> None:
        self.folder = Path(folder)
        self.root = Path(root)
        self.footage = tuple(footage)
        self._check()

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Read what `save` wrote. DataError if it is not there, or not an index."""
        path = Path(folder) / "index.json"

        def refuse(where: str, problem: str) -> DataError:
            return DataError(str(path), f"{where}: {problem}" if where else problem)

        if not path.is_file():
            raise DataError(str(path), "does not exist. Make it with: streamguard data prepare SOURCE --out DIR")
        value = read_json(read_bytes(path), "", refuse)
        if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
            raise DataError(str(path), f"format {value['format']!r}; this version reads format {FORMAT}")
        written = build(_Written, value, refuse)
        return cls(Path(folder), Path(written.root), written.footage)

    def save(self) -> None:
        written = {
            "format": FORMAT,
            "root": str(self.root),
            "footage": [dataclasses.asdict(footage) for footage in self.footage],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "index.json", json.dumps(written, indent=1, ensure_ascii=False).encode())

    def path(self, footage: Footage) -> Path:
        return self.root / PurePosixPath(footage.file)

    def source(self, footage: Footage) -> Source:
        """Its frames as the runtime sees them: upright, of a pair only its half, of a still its one picture."""
        return open_footage(self.path(footage), side=footage.side)

    def tracks_folder(self, footage: Footage) -> Path:
        """Where its faces are kept, one folder each."""
        return self.folder / "tracks" / footage.key

    @property
    def groups(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted({footage.group for footage in self.footage}))

    def of_groups(self, names: Iterable[str]) -> tuple[Footage, ...]:
        """The footage of these groups. DataError for a group that is not there."""
        wanted = set(names)
        unknown = sorted(wanted - set(self.groups))
        if unknown:
            raise DataError(str(self.folder), f"has no group {unknown[0]!r} (of {len(self.groups)} groups)")
        return tuple(footage for footage in self.footage if footage.group in wanted)

    def limited(self, count: int) -> Index:
        """About so many clips from all over it, fakes together with their twins."""
        step = max(1.0, len(self.footage) / count)
        chosen = {self.footage[int(i * step)].key for i in range(min(count, len(self.footage)))}
        chosen |= {footage.twin for footage in self.footage if footage.key in chosen}
        return Index(self.folder, self.root, [footage for footage in self.footage if footage.key in chosen])

    def groups_of_split(self, split: str) -> tuple[str, ...]:
        """The groups with footage in this official split."""
        return tuple(sorted({footage.group for footage in self.footage if footage.split == split}))

    def torn_groups(self) -> tuple[str, ...]:
        """Groups that the official splits tear apart: some of their footage is in one split, some in another."""
        splits = defaultdict(set)
        for footage in self.footage:
            splits[footage.group].add(footage.split)
        return tuple(sorted(group for group, names in splits.items() if len(names) > 1))

    def torn_identities(self) -> tuple[str, ...]:
        """Whose face is seen in footage of several groups. Such groups should be one."""
        groups = defaultdict(set)
        for footage in self.footage:
            groups[footage.identity].add(footage.group)
        return tuple(sorted(identity for identity, names in groups.items() if identity and len(names) > 1))

    def folds(self, count: int, seed: int = 0) -> list[set[str]]:
        """All groups in `count` sets that are about equally rich in each label, method and kind of footage.

        Footage weighs as much as there is of its faces. The same index and seed give the same folds, which is why an
        index that is half prepared gives none.
        """
        if not 2 <= count <= len(self.groups):
            raise DataError(str(self.folder), f"{len(self.groups)} groups cannot make {count} folds")
        share = self._shares()
        order = list(self.groups)
        random.Random(seed).shuffle(order)
        order.sort(key=lambda group: -sum(share[group].values()))  # the largest first, equals as they were shuffled
        folds: list[set[str]] = [set() for _ in range(count)]
        filled: list[dict[_Stratum, float]] = [defaultdict(float) for _ in range(count)]
        for group in order:
            # Where it adds least to the sum of squares, which is smallest when all folds are alike.
            best = min(
                range(count),
                key=lambda i: (
                    sum(part * (2 * filled[i][kind] + part) for kind, part in share[group].items()),
                    len(folds[i]),
                    i,
                ),
            )
            folds[best].add(group)
            for kind, part in share[group].items():
                filled[best][kind] += part
        return folds

    def _shares(self) -> dict[str, dict[_Stratum, float]]:
        """Of each group: which share of all footage of each kind it has."""
        seconds = self._seconds()
        weight: dict[str, dict[_Stratum, float]] = {group: defaultdict(float) for group in self.groups}
        total: dict[_Stratum, float] = defaultdict(float)
        for footage in self.footage:
            kind = footage.label, footage.method, footage.still
            weight[footage.group][kind] += seconds[footage.key]
            total[kind] += seconds[footage.key]
        return {
            group: {kind: amount / total[kind] for kind, amount in kinds.items()} for group, kinds in weight.items()
        }

    def _seconds(self) -> dict[str, float]:
        """How much each footage weighs: the time of its faces, one second at least; all alike if nothing is cut yet."""
        done = {footage.key: Done.open(self.tracks_folder(footage)) for footage in self.footage}
        cut = sum(one is not None for one in done.values())
        if cut not in (0, len(done)):
            raise DataError(
                str(self.folder),
                f"only {cut} of {len(done)} are prepared, and with the rest the folds would change. "
                "Finish first: streamguard data prepare",
            )
        return {key: 1.0 if one is None else max(1.0, one.kept_s) for key, one in done.items()}

    def _check(self) -> None:
        """What no reader should have to ask: keys are unique folder names, files stay below root and are there once,
        or as two halves, twins exist."""
        seen: dict[str, Footage] = {}
        sides: dict[PurePosixPath, list[Footage]] = defaultdict(list)
        for footage in self.footage:
            key, path = footage.key, PurePosixPath(footage.file)
            if key != safe_key(key):
                raise DataError(str(self.folder), f"key {key!r} is no safe folder name")
            if key.casefold() in seen:
                raise DataError(str(self.folder), f"key {key!r} is there twice")
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise DataError(str(self.folder), f"{key}: file {footage.file!r} must lie below the root")
            for name, value in dataclasses.asdict(footage).items():
                if isinstance(value, str) and not value.isprintable():
                    raise DataError(str(self.folder), f"{key}: {name} {value!a} cannot be printed on one line")
            if not footage.group:
                raise DataError(str(self.folder), f"{key}: no group")
            if (footage.method == "") != (footage.label == "real"):
                raise DataError(str(self.folder), f"{key}: a fake has a method, and real footage has none")
            seen[key.casefold()] = footage
            for other in sides[path]:
                if footage.side == other.side or "whole" in (footage.side, other.side):
                    raise DataError(
                        str(self.folder), f"{other.key} and {key} are one file, {footage.file!r}: it belongs there once"
                    )
            sides[path].append(footage)
        for footage in self.footage:
            if not footage.twin:
                continue
            twin = seen.get(footage.twin.casefold())
            if twin is None or twin.label != "real":
                raise DataError(str(self.folder), f"{footage.key}: its twin {footage.twin!r} is no real footage here")
            if twin.group != footage.group:
                raise DataError(str(self.folder), f"{footage.key}: its twin {footage.twin!r} is in another group")


def safe_key(text: str) -> str:
    """A folder name, near to this text, that every file system takes."""
    key = re.sub(r"[^A-Za-z0-9._+-]+", "_", text.replace("/", "--")).strip("._")
    return key[:LONGEST_KEY] or "footage"
