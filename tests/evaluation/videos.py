"""A small index of portraits made by code: what traces are made of in tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from streamguard.assets import asset_path
from streamguard.data.index import Footage, Index
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still
from tests.clips import pictures_of, write_video
from tests.data.made import footage

SECONDS = 2.2
WIDTH, HEIGHT = 240, 180


def scene(person: int, *, faked: bool = False) -> Scene:
    actor = Actor(person=PEOPLE[person], path=still(WIDTH / 2, HEIGHT / 2, 72), faked=faked)
    return Scene(photograph=asset_path("portrait"), width=WIDTH, height=HEIGHT, actors=[actor])


def made_index(folder: Path, names: Sequence[str] = ("ada", "ben")) -> Index:
    """These people, and a fake of each, made frame by frame from the other video of the same group."""
    items: list[Footage] = []
    for person, name in enumerate(names):
        for faked in (False, True):
            key = f"{name}-fake" if faked else name
            write_video(folder / f"{key}.mp4", pictures_of(scene(person, faked=faked), SECONDS))
            one = footage(key, label="fake" if faked else "real", group=name)
            items.append(replace(one, twin=name) if faked else one)
    index = Index(folder / "index", folder, items)
    index.save()
    return index
