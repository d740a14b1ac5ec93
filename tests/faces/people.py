"""Pictures with one real face in them, made from the portrait (NASA, public domain)."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from streamguard.assets import asset_path
from streamguard.faces.blazeface import BlazeFacePair
from streamguard.faces.mesh import MeshNetwork
from streamguard.picture import Picture
from streamguard.values import Box, Mesh

FACE = Box(177.0, 70.0, 273.0, 178.0)
"""Where the face is in the portrait, in pixels of its 512."""


@cache
def portrait() -> Image.Image:
    return Image.open(asset_path("portrait")).convert("RGB")


def picture_of(image: Image.Image) -> Picture:
    return Picture.from_rgb(np.asarray(image))


@cache
def detector() -> BlazeFacePair:
    return BlazeFacePair()


@cache
def mesher() -> MeshNetwork:
    return MeshNetwork()


def mesh_of(image: Image.Image) -> Mesh:
    """Measured, and once more from its own place, as a tracker does."""
    picture = picture_of(image)
    found = detector().detect(picture, None)
    assert found, "the detector finds the face"
    return mesher().follow(picture, mesher().measure(picture, found[0]), (0.0, 0.0))


def scene(width: int, height: int, face_px: float, place: tuple[float, float]) -> tuple[Image.Image, Box]:
    """The portrait's head before a grey wall, its face of this size centred at this place."""
    scale = face_px / FACE.scale
    head = portrait().crop((130, 20, 320, 230))
    head = head.resize((round(head.width * scale), round(head.height * scale)), Image.Resampling.LANCZOS)
    centre = (FACE.centre[0] - 130) * scale, (FACE.centre[1] - 20) * scale
    left, top = round(place[0] - centre[0]), round(place[1] - centre[1])
    image = Image.new("RGB", (width, height), (120, 130, 125))
    image.paste(head, (left, top))
    x, y = left + centre[0], top + centre[1]
    half = FACE.width * scale / 2, FACE.height * scale / 2
    return image, Box(x - half[0], y - half[1], x + half[0], y + half[1])
