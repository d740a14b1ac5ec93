"""What `scan` is to look at: files and folders as they were named, out come videos and where their results go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import NoVideo
from .record import EVENTS, REPORT, TIMELINE, TRACKS, VIDEO

SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".divx", ".flv", ".h264", ".h265", ".hevc", ".ivf", ".m2ts", ".m4v", ".mjpeg", ".mkv"),
    *(".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)
OURS = {VIDEO, TRACKS, TIMELINE, EVENTS, REPORT}


class NoVideoFound(NoVideo):
    """Nothing in the folders is named like a video."""

    what = "holds no file that is named like a video"
    remedy = f"A file that is named itself is read whatever it is called; in folders these are: {' '.join(SUFFIXES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One file to scan."""

    path: Path
    folder: Path
    """Where its results go, below the folder for all."""


@dataclass(slots=True, kw_only=True)
class Found:
    videos: list[Video]
    unlisted: list[OSError] = field(default_factory=list)
    """Folders that could not be looked into."""


def find_videos(targets: Sequence[Path], out: Path) -> Found:
    """A file always counts; of a folder all below it that is named like a video, in order, less what is hidden and what
    `scan` itself wrote. Raises NoVideoFound if that is nothing at all."""
    found = Found(videos=[])
    paths: dict[Path, Path] = {}  # each once, with its name below the folder that it was found in
    for target in targets:
        if os.path.isdir(target):  # False also where that cannot be asked: who reads it says why
            for path in _below(target, out, found.unlisted):
                paths.setdefault(path, path.relative_to(target))
        else:
            paths.setdefault(target, Path(target.name))
    if not paths and not found.unlisted:
        raise NoVideoFound(", ".join(str(target) for target in targets))
    found.videos = [Video(path=path, folder=out / folder) for path, folder in zip(paths, _folders(paths), strict=True)]
    return found


def _below(target: Path, out: Path, unlisted: list[OSError]) -> Iterator[Path]:
    own = out.resolve()
    for folder, folders, files in os.walk(target, onerror=unlisted.append):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name[0] != "." and (here / name).resolve() != own)
        for name in sorted(files):
            path = here / name
            is_own = name == VIDEO and EVENTS in files
            if name[0] != "." and path.suffix.lower() in SUFFIXES and not is_own and os.path.isfile(path):
                yield path


def _folders(names: dict[Path, Path]) -> Iterator[Path]:
    """The name without suffix; with it where two would be the same, or nothing else is left; and numbered where that
    is not enough. Always below the folder for all."""
    stems = [_folded(_stem(name)) for name in names.values()]
    taken: set[str] = set()
    for name, stem in zip(names.values(), stems, strict=True):
        alone = stems.count(stem) == 1 and name.stem not in {*OURS, "", ".", ".."}
        folder = wanted = _stem(name) if alone else name
        number = 1
        while _folded(folder) in taken:
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        assert folder.name not in ("", "..")
        assert ".." not in folder.parts
        assert not folder.is_absolute()
        taken.add(_folded(folder))
        yield folder


def _stem(name: Path) -> Path:
    """`with_suffix` refuses names of dots alone."""
    return name.parent / name.stem


def _folded(path: Path) -> str:
    """As a file system sees it that takes A for a."""
    return str(path).casefold()
