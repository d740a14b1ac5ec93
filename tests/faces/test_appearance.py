"""How a face looks: the same person near, another person far, light and noise no reason for doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamguard.assets import asset_path
from streamguard.config import FacesConfig
from streamguard.faces.appearance import Appearance, appearance_of
from streamguard.faces.detector import open_detector, open_mesher
from streamguard.picture import Picture
from streamguard.sources.portrait import PEOPLE, Actor, Person, Scene, still
from streamguard.values import Mesh

LIMIT = FacesConfig().most_look_difference


@pytest.fixture(scope="module")
def looks() -> dict[str, list[Appearance]]:
    """Each person's look over ten seconds of movement, blinks and talk."""
    photograph = asset_path("portrait")
    return {person.name: look_over_time(photograph, person) for person in PEOPLE}


def look_over_time(photograph: Path, person: Person, face_px: float = 120.0) -> list[Appearance]:
    actor = Actor(person=person, path=still(320, 180, face_px))
    scene = Scene(photograph=photograph, width=640, height=360, actors=[actor])
    mesher, mesh, found = open_mesher(), None, []
    for pts_s in np.arange(0, 10, 0.4):
        picture = Picture.from_rgb(scene.render(float(pts_s)))
        if mesh is None:
            mesh = mesher.measure(picture, open_detector().detect(picture, None)[0])
        mesh = mesher.follow(picture, mesh, (0.0, 0.0))
        found.append(appearance_of(mesh, picture))
    return found


def test_one_person_never_raises_doubt(looks: dict[str, list[Appearance]]) -> None:
    for name, some in looks.items():
        differences = [one.difference(other) for one in some for other in some]
        assert max(differences) < LIMIT, name


def test_two_people_always_raise_doubt(looks: dict[str, list[Appearance]]) -> None:
    """Mirrored ones: a recoloured copy of one photograph keeps its features, as no second person does."""
    for one in (person for person in PEOPLE if not person.mirrored):
        for other in (person for person in PEOPLE if person.mirrored):
            differences = [a.difference(b) for a in looks[one.name] for b in looks[other.name]]
            assert min(differences) > LIMIT, (one.name, other.name)


def test_light_and_noise_raise_no_doubt() -> None:
    rng = np.random.default_rng(0)
    chip = rng.integers(30, 220, (12, 12, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    darker = (chip * 0.6 + rng.normal(0, 6, chip.shape)).clip(0, 255).astype(np.uint8)
    assert look_of(chip).difference(look_of(darker)) < 0.2


def look_of(chip: np.ndarray) -> Appearance:
    """The chip is the whole picture, and the mesh lies all over it."""
    points = np.random.default_rng(3).uniform(0, 191, (468, 3)).astype(np.float32)
    return appearance_of(Mesh(points_px=points, presence=1.0, chip=chip), Picture.from_rgb(chip))


def test_a_flat_chip_has_a_look_too() -> None:
    flat = look_of(np.full((192, 192, 3), 90, np.uint8))
    assert np.isfinite(flat.difference(flat))


def test_blending_moves_towards_the_newer() -> None:
    rng = np.random.default_rng(1)
    old, new = (look_of(rng.integers(0, 256, (192, 192, 3), dtype=np.uint8)) for _ in range(2))
    before = old.difference(new)
    assert old.blended(new, 0.5).difference(new) < before
    assert old.blended(new, 1.0).difference(new) == pytest.approx(0.0, abs=1e-5)
