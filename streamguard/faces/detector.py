"""The seams of face finding: what a detector and a mesher do, and `open_detector`, which gives one that works here.

A detector gets a picture and says where faces are; a mesher measures one face. The tracker calls both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..picture import Picture
from ..values import Box, Detection, Mesh


class FaceDetector(Protocol):
    """Finds faces. Any thread may call it, several at once."""

    def detect(self, picture: Picture, region_px: Box | None) -> list[Detection]:
        """The faces in that region (None: the whole picture), in pixels of the picture, best first."""
        ...


class FaceMesher(Protocol):
    """Measures a face. Any thread may call it, several at once."""

    def measure(self, picture: Picture, detection: Detection) -> Mesh:
        """The face that a detector found. `Mesh.presence` says whether there is one."""
        ...

    def follow(self, picture: Picture, before: Mesh, shift_px: tuple[float, float]) -> Mesh:
        """The same face in a later picture, looked for where it was, moved by `shift_px`: no detector is needed."""
        ...


def open_detector(path: str | Path | None = None) -> FaceDetector:
    """The built-in BlazeFace pair, or a YuNet or SCRFD file (.onnx) that the user names. Fetches models if needed."""
    if path is None:
        from .blazeface import BlazeFacePair

        return BlazeFacePair()
    from .onnx_detectors import open_onnx_detector

    return open_onnx_detector(Path(path))


def open_mesher() -> FaceMesher:
    """The built-in face mesh. Fetches the model if needed."""
    from .mesh import MeshNetwork

    return MeshNetwork()
