"""Footage and indexes as the tests of `data` need them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from streamguard.assets import asset_path
from streamguard.data.index import Footage, Index
from streamguard.sources import Source
from streamguard.sources.portrait import PEOPLE, Actor, PortraitSource, Scene, still
from tests.clips import one_person, pictures_of, write_video

FACE_PX = 70


def footage(key: str, **told: Any) -> Footage:
    usual = {
        "file": f"{key}.mp4",
        "label": "real",
        "group": key,
        "identity": key,
        "method": "swap" if told.get("label") == "fake" else "",
        "dataset": "test",
        "licence": "",
        "licence_class": "",
    }
    return Footage(key=key, **{**usual, **told})


def portrait_video(path: Path, seconds: float = 0.4, rate_hz: int = 25) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, pictures_of(one_person(), seconds, rate_hz), rate_hz)


def portrait_still(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(one_person().render(0.0)).save(path, quality=95)
    return path


def pair_video(path: Path, seconds: float = 0.4) -> Path:
    """Left two people, right the same with one of them faked: the other is left as they are."""

    def side(faked: bool) -> Scene:
        actors = [
            Actor(person=PEOPLE[0], path=still(90, 100, FACE_PX), faked=faked),
            Actor(person=PEOPLE[1], path=still(270, 100, FACE_PX)),
        ]
        return Scene(photograph=asset_path("portrait"), width=360, height=200, actors=actors, noise=0.0)

    halves = zip(pictures_of(side(False), seconds), pictures_of(side(True), seconds), strict=True)
    return write_video(path, [np.hstack(pair) for pair in halves])


class Trying(Index):
    """Reading the footage `deadly` kills the process, as a decoder may, and `endless` has no end."""

    def source(self, footage: Footage) -> Source:
        if footage.key == "deadly":
            os._exit(9)
        if footage.key == "endless":
            return PortraitSource(one_person(), seconds=1e6)
        return super().source(footage)
