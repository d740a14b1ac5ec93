"""Clips of the moving portrait with its measured mesh, as the trainer's tiles are: what the tests forge and degrade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from streamguard.assets import asset_path
from streamguard.crop import cut_patch
from streamguard.faces.detector import open_detector, open_mesher
from streamguard.faces.mesh import face_box, five_points
from streamguard.picture import Picture
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still
from streamguard.training.tiles import Tiles, tiles_of
from streamguard.values import Face, Patch, Quality

_UNASKED = Quality(
    size_px=0, sharpness=0, luma=0, clipped=0, yaw_deg=0, pitch_deg=0, roll_deg=0, presence=1, padded=0
)  # fmt: skip


@dataclass(frozen=True)
class Portrait:
    """A track as the cache would hold it."""

    patches: tuple[Patch, ...]
    meshes: tuple[np.ndarray, ...]

    def patch(self, index: int) -> Patch:
        return self.patches[index]

    def mesh(self, index: int) -> np.ndarray:
        return self.meshes[index]


@lru_cache(maxsize=4)
def portrait_track(
    person: int = 0,
    length: int = 8,
    face_px: float = 110.0,
    step_s: float = 0.08,
    at: tuple[float, float] = (0.5, 0.5),
) -> Portrait:
    side = int(4 * face_px) // 2 * 2
    actor = Actor(person=PEOPLE[person], path=still(at[0] * side, at[1] * side, face_px))
    scene = Scene(photograph=asset_path("portrait"), width=side, height=side, actors=[actor], background=person)
    detector, mesher = open_detector(), open_mesher()
    patches, meshes = [], []
    mesh = None
    for index in range(length):
        picture = Picture.from_rgb(scene.render(index * step_s))
        if mesh is None:
            mesh = mesher.measure(picture, detector.detect(picture, None)[0])
        mesh = mesher.follow(picture, mesh, (0.0, 0.0))
        box = face_box(mesh)
        face = Face(face_id=0, generation=0, box_px=box, points_px=five_points(mesh), quality=_UNASKED)
        patches.append(cut_patch(picture, face, pts_s=index * step_s, grid_index=index, size_px=112, arrival_s=0.0))
        meshes.append(mesh.points_px[:, :2].copy())
    return Portrait(patches=tuple(patches), meshes=tuple(meshes))


def portrait_tiles(person: int = 0, length: int = 8, face_px: float = 110.0) -> Tiles:
    track = portrait_track(person, length, face_px)
    return tiles_of(track, 0, length, 1, key=f"portrait{person}", group=f"portrait{person}")
