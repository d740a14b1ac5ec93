"""The faces of one footage, cut once: patches as a Session cuts them, with their meshes. `prepare` writes them.

Each face generation has a folder: track.json (numbers, a list for each quantity), planes.bin (the I420 planes of all
patches) and mesh.npy. Files are opened for each read and closed again, so that thousands of tracks can be open at a
time, in several processes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import floor, inf
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np

from ..errors import DataError
from ..picture import Matrix, Picture
from ..ring import TOLERANCE
from ..strict import added, build, read_json
from ..values import Box, Face, Patch, Quality
from .files import read_bytes, write_whole, writing

FORMAT = 1
MESH_POINTS = 468
PATCH_FOR_PX = 160
"""Patches keep at least twice the resolution of crops of this size (crop.cut_patch)."""

QUALITY_NAMES = tuple(field.name for field in fields(Quality))
_MATRICES: tuple[Matrix, ...] = ("bt601", "bt709", "bt2020")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What tracks depend on besides the footage: other settings, other tracks."""

    seconds: float = 20.0
    """Media time with a face in view; after that the footage is not read on."""
    grid_s: float = 0.04
    size_px: int = PATCH_FOR_PX
    format: int = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One track, in short."""

    name: str
    """Its folder."""
    face_id: int
    generation: int
    patches: int
    seconds: float
    """From its first patch to its last."""
    size_px: float
    """Median of the face's scale."""
    ended: str
    """Why no more followed: a LostCause, or LIMIT where `seconds` were full."""
    difference: float | None = added(None)
    """Of a fake: how far its pixels are from its twin's (twins.difference); None where nobody has compared them."""
    untouched: bool = added(False)
    """A face that was left as it is, in a fake of somebody else. The footage's label is wrong for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one footage: done.json, written last."""

    settings: Settings
    file: str
    side: Literal["whole", "left", "right"]
    file_bytes: int
    failure: str
    """Why it could not be read; empty if it could."""
    codec: str
    width: int
    height: int
    fps: float
    """Frames a second of media time, over what was read."""
    frames: int
    """Pictures that were read."""
    seconds: float
    """Media time that was read."""
    tracks: tuple[Found, ...]

    @classmethod
    def open(cls, folder: Path) -> Done | None:
        """None where it is not there yet."""
        path = folder / "done.json"
        if not path.is_file():
            return None

        def refuse(where: str, problem: str) -> DataError:
            return DataError(str(path), f"{where}: {problem}. Delete it, and prepare again")

        return build(cls, read_json(read_bytes(path), "", refuse), refuse)

    def save(self, folder: Path) -> None:
        write_whole(folder / "done.json", json.dumps(asdict(self), indent=1, ensure_ascii=False).encode())

    @property
    def kept(self) -> tuple[Found, ...]:
        """The faces for which the footage's label holds: one that nobody touched, in a fake of somebody else, is no
        fake, nor is it real footage as its camera gave it."""
        return tuple(found for found in self.tracks if not found.untouched)

    @property
    def kept_s(self) -> float:
        return sum(found.seconds for found in self.kept)


class Track:
    """The patches of one face generation, in order of time."""

    def __init__(self, folder: Path, grid_s: float, values: dict[str, np.ndarray]) -> None:
        self.folder = folder
        self.grid_s = grid_s
        self.face_id = int(values["face_id"])
        self.generation = int(values["generation"])
        self.pts_s = values["pts_s"]  # (N,) float64
        self.grid_index = values["grid_index"]  # (N,) int64
        self.boxes_px = values["box_px"]  # (N, 4) float64: x0, y0, x1, y1
        self.points_px = values["points_px"]  # (N, 5, 2) float32
        self.qualities = values["quality"]  # (N, 9) float64, as `QUALITY_NAMES`
        self._origin_px = values["origin_px"]  # (N, 2) int64
        self._reduction = values["reduction"]
        self._size = values["size"]  # (N, 2): width, height of the patch's own picture
        self._offset = values["offset"]
        self._matrix = values["matrix"]
        self._full_range = values["full_range"]

    @classmethod
    def open(cls, folder: Path) -> Track:
        """DataError if its files are not what `TrackWriter` left."""
        path = Path(folder) / "track.json"

        def refuse(where: str, problem: str) -> DataError:
            return DataError(str(path), f"{where}: {problem}" if where else problem)

        value = read_json(read_bytes(path), "", refuse)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise refuse("", f"this is no track of format {FORMAT}. Prepare its footage again")
        try:
            count = len(value["pts_s"])
            arrays = {name: _array(value[name], count, *shape) for name, shape in _COLUMNS.items()}
            arrays |= {name: np.array(value[name], np.int64) for name in ("face_id", "generation")}
            grid_s = float(value["grid_s"])
            _check_numbers(grid_s, arrays)
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise refuse("", f"damaged ({exc}). Prepare its footage again") from exc
        return cls(Path(folder), grid_s, arrays)

    def __len__(self) -> int:
        return len(self.pts_s)

    def __repr__(self) -> str:
        return f"Track({self.folder.parent.name}/{self.folder.name}, {len(self)} patches)"

    @property
    def face_px(self) -> float:
        """The median of the face's scale."""
        sides = self.boxes_px[:, 2:] - self.boxes_px[:, :2]
        return float(np.median(np.sqrt(sides[:, 0] * sides[:, 1])))

    def box(self, i: int) -> Box:
        x0, y0, x1, y1 = self.boxes_px[i].tolist()
        return Box(x0, y0, x1, y1)

    def face(self, i: int) -> Face:
        return Face(
            face_id=self.face_id,
            generation=self.generation,
            box_px=self.box(i),
            points_px=self.points_px[i],
            quality=Quality(**dict(zip(QUALITY_NAMES, self.qualities[i].tolist(), strict=True))),
        )

    def patch(self, i: int) -> Patch:
        """What `cut_patch` gave. (`arrival_s` is 0: nobody waits for it.)"""
        x, y = self._origin_px[i].tolist()
        return Patch(
            face=self.face(i),
            pts_s=float(self.pts_s[i]),
            grid_index=int(self.grid_index[i]),
            picture=self._picture(i),
            origin_px=(x, y),
            reduction=int(self._reduction[i]),
            arrival_s=0.0,
        )

    def mesh(self, i: int) -> np.ndarray:
        """(468, 2) float32: the mesh's points in pixels of the footage's picture."""
        return self.meshes(i, i + 1)[0]

    def meshes(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, 468, 2) float32."""
        path = self.folder / "mesh.npy"
        try:
            meshes = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as exc:
            raise DataError(str(path), f"cannot be read ({exc}). Prepare its footage again") from exc
        if meshes.shape != (len(self), MESH_POINTS, 2):
            raise DataError(str(path), f"has shape {meshes.shape} for {len(self)} patches. Prepare its footage again")
        return np.array(meshes[start:stop])

    def runs(self) -> list[range]:
        """Patches of consecutive grid points, as ranges of their numbers."""
        breaks = np.flatnonzero(np.diff(self.grid_index) != 1) + 1
        ends = [0, *breaks.tolist(), len(self)]
        return [range(start, stop) for start, stop in pairwise(ends) if stop > start]

    def on_grid(self, step: int = 1) -> list[list[int]]:
        """Numbers of the patches that a grid `step` times as coarse would take, in runs as `PatchRing` makes them.

        A missing point repeats the patch before it, two end the run: for sources of 24 frames a second, say.
        """
        runs: list[list[int]] = []
        newest = -2
        for i, pts_s in enumerate((self.pts_s - self.pts_s[0]).tolist() if len(self) else []):
            index = floor(pts_s / (step * self.grid_s) + TOLERANCE + 1e-4)
            if index <= newest:
                continue
            missing = index - newest - 1
            if missing > 1 or not runs:
                runs.append([])
            elif missing == 1:
                runs[-1].append(runs[-1][-1])
            runs[-1].append(i)
            newest = index
        return runs

    def check_files(self) -> None:
        """DataError if a file is not of the size that track.json tells."""
        path = self.folder / "planes.bin"
        told = max((self._end(i) for i in range(len(self))), default=0)
        try:
            size = path.stat().st_size
        except OSError as exc:
            raise DataError(str(path), f"cannot be read ({exc.strerror or exc}). Prepare its footage again") from exc
        if size != told:
            raise DataError(str(path), f"has {size} bytes, not {told}. Prepare its footage again")
        self.meshes(0, 0)

    def _end(self, i: int) -> int:
        """Where its planes end in planes.bin."""
        return int(self._offset[i]) + sum(rows * columns for rows, columns in self._plane_sizes(i))

    def _plane_sizes(self, i: int) -> list[tuple[int, int]]:
        width, height = self._size[i].tolist()
        half_width, half_height = (width + 1) // 2, (height + 1) // 2
        return [(height, width), (half_height, half_width), (half_height, half_width)]

    def _picture(self, i: int) -> Picture:
        sizes = self._plane_sizes(i)
        data = self._bytes(int(self._offset[i]), sum(rows * columns for rows, columns in sizes))
        planes, start = [], 0
        for rows, columns in sizes:
            planes.append(data[start : start + rows * columns].reshape(rows, columns))
            start += rows * columns
        return Picture(
            y=planes[0],
            u=planes[1],
            v=planes[2],
            matrix=_MATRICES[int(self._matrix[i])],
            full_range=bool(self._full_range[i]),
        )

    def _bytes(self, offset: int, count: int) -> np.ndarray:
        path = self.folder / "planes.bin"
        try:
            data = np.fromfile(path, np.uint8, count, offset=offset)
        except OSError as exc:
            raise DataError(str(path), f"cannot be read ({exc.strerror or exc}). Prepare its footage again") from exc
        if len(data) != count:
            raise DataError(str(path), "is shorter than track.json says. Prepare its footage again")
        return data


_COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "pts_s": (np.float64, ()),
    "grid_index": (np.int64, ()),
    "box_px": (np.float64, (4,)),
    "points_px": (np.float32, (5, 2)),
    "quality": (np.float64, (len(QUALITY_NAMES),)),
    "origin_px": (np.int64, (2,)),
    "reduction": (np.int64, ()),
    "size": (np.int64, (2,)),
    "offset": (np.int64, ()),
    "matrix": (np.int64, ()),
    "full_range": (np.bool_, ()),
}
"""What track.json tells of each patch: kind of number, and its shape."""
_RANGES: dict[str, tuple[float, float]] = {
    "reduction": (1, 2**15),
    "size": (1, 2**15),
    "offset": (0, 2**62),
    "matrix": (0, len(_MATRICES) - 1),
}


def _array(value: Any, count: int, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(value, kind).reshape((-1, *shape)) if value else np.zeros((0, *shape), kind)
    if len(array) != count:
        raise ValueError("its lists differ in length")
    return array


def _check_numbers(grid_s: float, arrays: dict[str, np.ndarray]) -> None:
    """Numbers that no track has, and whose reading would go wrong later."""
    if not 0 < grid_s < inf:
        raise ValueError(f"grid_s is {grid_s:g}")
    for name in ("face_id", "generation"):
        if arrays[name].ndim:
            raise ValueError(f"{name} is no single number")
    for name, array in arrays.items():
        low, high = _RANGES.get(name, (-inf, inf))
        wrong = array[~(np.isfinite(array) & (array >= low) & (array <= high))]
        if wrong.size:
            raise ValueError(f"{name} is {wrong[0]}")


class TrackWriter:
    """Writes one track as its patches come. Nothing counts before `close`: until then there is no track.json."""

    def __init__(self, folder: Path, grid_s: float) -> None:
        self._folder = folder
        self._grid_s = grid_s
        self._columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self._meshes: list[np.ndarray] = []
        self._face: Face | None = None
        self._offset = 0
        with writing(folder):
            folder.mkdir(parents=True)
            self._planes: BinaryIO = open(folder / "planes.bin", "wb")  # noqa: SIM115

    def put(self, patch: Patch, mesh: np.ndarray) -> None:
        """`mesh`: (468, 2), in pixels of the footage's picture."""
        picture, self._face = patch.picture, patch.face
        with writing(self._folder / "planes.bin"):
            for plane in (picture.y, picture.u, picture.v):
                self._planes.write(np.ascontiguousarray(plane).data)
        row = {
            "pts_s": patch.pts_s,
            "grid_index": patch.grid_index,
            "box_px": [float(side) for side in patch.face.box_px],
            "points_px": patch.face.points_px.tolist(),
            "quality": [float(getattr(patch.face.quality, name)) for name in QUALITY_NAMES],
            "origin_px": list(patch.origin_px),
            "reduction": patch.reduction,
            "size": [picture.width, picture.height],
            "offset": self._offset,
            "matrix": _MATRICES.index(picture.matrix),
            "full_range": int(picture.full_range),
        }
        for name, value in row.items():
            self._columns[name].append(value)
        self._meshes.append(np.asarray(mesh, np.float32))
        self._offset += picture.nbytes

    def close(self, ended: str) -> Found:
        """The track is whole now."""
        face = cast(Face, self._face)
        assert face is not None, "a track has at least one patch"
        with writing(self._folder):
            # On the disk before track.json and done.json are, which say that they are whole.
            _sync(self._planes)
            self._planes.close()
            with open(self._folder / "mesh.npy", "wb") as file:
                np.save(file, np.stack(self._meshes))
                _sync(file)
        told = {
            "format": FORMAT,
            "face_id": face.face_id,
            "generation": face.generation,
            "grid_s": self._grid_s,
            **self._columns,
        }
        write_whole(self._folder / "track.json", json.dumps(told).encode())
        pts_s, boxes = self._columns["pts_s"], self._columns["box_px"]
        return Found(
            name=self._folder.name,
            face_id=face.face_id,
            generation=face.generation,
            patches=len(pts_s),
            seconds=pts_s[-1] - pts_s[0],
            size_px=float(np.median([Box(*box).scale for box in boxes])),
            ended=ended,
        )

    def abandon(self) -> None:
        self._planes.close()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def open_tracks(folder: Path) -> Iterator[Track]:
    """The tracks of one footage for which its label holds, in order of appearance; none where it was not prepared, or
    could not be read."""
    done = Done.open(folder)
    for found in done.kept if done is not None else ():
        yield Track.open(folder / found.name)
