"""A small prepared index as `data prepare` leaves one: made-up pictures with the mesh of a real face, in no time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from streamguard.crop import cut_patch
from streamguard.data.index import Footage, Index
from streamguard.data.tracks import Done, Settings, TrackWriter
from streamguard.faces.mesh import FIVE_POINT_INDICES
from streamguard.picture import Picture
from streamguard.training.tiles import Tiles, box_of
from streamguard.values import Face, Quality

from .portraits import portrait_track

SIDE_PX, FACE_PX = 120, 40.0
FPS = 25.0
_QUALITY = Quality(
    size_px=0, sharpness=0, luma=0, clipped=0, yaw_deg=0, pitch_deg=0, roll_deg=0, presence=1, padded=0
)  # fmt: skip


@lru_cache(maxsize=1)
def face_mesh() -> np.ndarray:
    """(468, 2): a real face's, in the middle of the picture."""
    mesh = portrait_track(length=1).mesh(0)
    box = box_of(mesh)
    return ((mesh - box.centre) * (FACE_PX / box.scale) + SIDE_PX / 2).astype(np.float32)


@dataclass(frozen=True)
class Person:
    """Made up: a group with so many videos and stills."""

    name: str
    videos: int = 1
    stills: int = 0
    twins: int = 0
    alone: int = 0
    apart: bool = False
    """The twins' real halves show a face elsewhere in the picture."""


def prepared(folder: Path, people: list[Person], frames: int = 24) -> Index:
    """Index and tracks on the disk."""
    footage: list[Footage] = []
    elsewhere: set[str] = set()
    for person in people:
        footage += [_footage(person, f"{person.name}-video{i}") for i in range(person.videos)]
        footage += [_footage(person, f"{person.name}-still{i}", still=True) for i in range(person.stills)]
        for i in range(person.twins):
            left = f"{person.name}-left{i}"
            footage.append(_footage(person, left))
            elsewhere |= {left} if person.apart else set()
            footage.append(_footage(person, f"{person.name}-right{i}", label="fake", method="swap", twin=left))
        footage += [
            _footage(person, f"{person.name}-alone{i}", label="fake", method="head") for i in range(person.alone)
        ]
    index = Index(folder, folder / "media", footage)
    index.save()
    for number, each in enumerate(footage):
        _write(index, each, number, 1 if each.still else frames, 30.0 if each.key in elsewhere else 0.0)
    return index


def leave_untouched(index: Index, key: str) -> None:
    """As `data prepare` tells of a face that its twin shows just so."""
    (footage,) = (each for each in index.footage if each.key == key)
    folder = index.tracks_folder(footage)
    done = Done.open(folder)
    assert done is not None
    replace(done, tracks=tuple(replace(track, untouched=True) for track in done.tracks)).save(folder)


def people(count: int) -> list[Person]:
    return [Person(f"p{i:02}") for i in range(count)]


def blue(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """A kind of pseudo-fake that any network sees: the face turns blue."""
    box = box_of(tiles.points[0])
    mask = np.zeros(tiles.pixels.shape[:3], np.float32)
    mask[:, round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = 1
    pixels = np.where(mask[..., None] > 0, tiles.pixels // 2 + np.array([0, 0, 127], np.uint8), tiles.pixels)
    fake = Tiles(
        pixels=pixels, points=tiles.points, face_px=tiles.face_px, key=tiles.key, group=tiles.group, label="fake"
    )
    return fake, mask


def _footage(
    person: Person, key: str, *, label: str = "real", method: str = "", twin: str = "", still: bool = False
) -> Footage:
    return Footage(
        key=key, file=f"{key}.mp4", label="fake" if label == "fake" else "real", group=person.name,
        identity=person.name, method=method, dataset="made", licence="", licence_class="", twin=twin, still=still,
    )  # fmt: skip


def _write(index: Index, footage: Footage, seed: int, frames: int, right_px: float) -> None:
    rng = np.random.default_rng(seed)
    scene = _picture(rng)
    mesh = face_mesh() + np.array([right_px, 0], np.float32)
    box = box_of(mesh)
    points = np.stack([mesh[list(some)].mean(axis=0) for some in FIVE_POINT_INDICES]).astype(np.float32)
    folder = index.tracks_folder(footage)
    folder.mkdir(parents=True)
    writer = TrackWriter(folder / "0", Settings().grid_s)
    face = Face(face_id=0, generation=0, box_px=box, points_px=points, quality=_QUALITY)
    for i in range(frames):
        # It drifts slowly, so that frames differ.
        rgb = np.roll(scene, i // 4, axis=1)
        patch = cut_patch(Picture.from_rgb(rgb), face, pts_s=i / FPS, grid_index=i, size_px=160, arrival_s=0.0)
        writer.put(patch, mesh)
    found = writer.close("STREAM_ENDED")
    Done(
        settings=Settings(), file=footage.file, side="whole", file_bytes=0, failure="", codec="h264", width=SIDE_PX,
        height=SIDE_PX, fps=FPS, frames=frames, seconds=frames / FPS, tracks=(found,),
    ).save(folder)  # fmt: skip


def _picture(rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: soft colours."""
    coarse = rng.integers(30, 160, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
