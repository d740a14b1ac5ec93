"""Short videos of moving portraits, as files: what the tests of detectors and of the command line look at."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from streamguard.assets import asset_path
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still


def one_person(width: int = 320, height: int = 180, face_px: float = 70) -> Scene:
    actor = Actor(person=PEOPLE[0], path=still(width / 2, height / 2, face_px))
    return Scene(photograph=asset_path("portrait"), width=width, height=height, actors=[actor])


def pictures_of(scene: Scene, seconds: float, rate_hz: int = 25) -> list[np.ndarray]:
    """Each (H, W, 3) uint8 RGB."""
    return [scene.render(index / rate_hz) for index in range(round(seconds * rate_hz))]


def write_video(path: Path, pictures: list[np.ndarray], rate_hz: int = 25) -> Path:
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
