"""The whole way with the real networks on moving portraits: everybody is found, and no window mixes two people.

The truth comes from the scene that draws the people: each crop's face must stand where one and the same person stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from streamguard.assets import asset_path
from streamguard.config import SessionConfig
from streamguard.events import FaceAppeared, FaceLost, MediaGap
from streamguard.faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from streamguard.picture import Picture
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources.portrait import PEOPLE, Actor, Cover, Path2D, PortraitSource, Scene, gallery, still, walk
from streamguard.testing import EventRecorder
from streamguard.values import Box, Face, Frame, GapCause, LostCause, Window

ADA, BEN, CEM, DIA = PEOPLE


@pytest.fixture(scope="module")
def photograph() -> Path:
    return asset_path("portrait")


@pytest.fixture(scope="module")
def finder() -> tuple[FaceDetector, FaceMesher]:
    return open_detector(), open_mesher()


class Watched:
    """What a session made of a scene."""

    def __init__(self, scene: Scene, seconds: float, finder: tuple[FaceDetector, FaceMesher]) -> None:
        self.scene = scene
        self.windows: list[Window] = []
        self.heard = EventRecorder()
        self.first_seen_s: dict[str, float] = {}
        self.owners: dict[tuple[int, int], set[str]] = {}
        self.session = Session(SessionConfig(), detector=finder[0], mesher=finder[1])
        for turn in drive(PortraitSource(scene, seconds=seconds), self.session):
            self.windows += turn.windows
            self.heard.add(turn.events)
            if isinstance(turn.item, Frame):
                self._note(self.session.faces(), turn.item.pts_s)

    def _note(self, faces: Sequence[Face], pts_s: float) -> None:
        """Whose face is it, by the scene's own truth?"""
        for face in faces:
            (x, y), names = face.box_px.centre, self.scene.truth(pts_s)
            here = [
                name
                for name, box in names.items()
                if abs(x - box.centre[0]) < box.width / 3 and abs(y - box.centre[1]) < box.height / 3
            ]
            for name in here[-1:]:  # whoever comes later in the scene stands in front
                self.first_seen_s.setdefault(name, pts_s)
                self.owners.setdefault((face.face_id, face.generation), set()).add(name)

    @property
    def mixed(self) -> dict[tuple[int, int], set[str]]:
        return {key: names for key, names in self.owners.items() if len(names) > 1}


def room(photograph: Path, *actors: tuple[int, Path2D], covers: Sequence[Cover] = ()) -> Scene:
    cast = [Actor(person=PEOPLE[who], path=path) for who, path in actors]
    return Scene(photograph=photograph, width=1280, height=720, actors=cast, covers=covers)


def test_a_gallery_of_25_faces_in_720p_is_found_within_a_second(
    photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    scene = gallery(photograph, width=1280, height=720, rows=5, columns=5, face_px=80)
    watched = Watched(scene, 1.04, finder)
    assert set(watched.first_seen_s) == set(scene.truth(0.0))
    assert max(watched.first_seen_s.values()) <= 1.0
    assert watched.mixed == {}
    assert len({event.face_id for event in watched.heard.of(FaceAppeared)}) == 25


@pytest.mark.parametrize("place", [(1500.0, 800.0), (120.0, 90.0), (960.0, 540.0), (482.0, 601.0)])
def test_one_small_face_in_1080p_is_found_within_a_second(
    place: tuple[float, float], photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    actor = Actor(person=ADA, path=still(*place, 48))
    scene = Scene(photograph=photograph, width=1920, height=1080, actors=[actor])
    watched = Watched(scene, 1.04, finder)
    assert watched.first_seen_s["ada"] <= 1.0


def test_a_small_face_that_comes_later_is_found_within_a_second(
    photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    path = walk([(0.52, 1500, 800, 48), (9, 1500, 800, 48)])
    scene = Scene(photograph=photograph, width=1920, height=1080, actors=[Actor(person=ADA, path=path)])
    watched = Watched(scene, 1.6, finder)
    assert watched.first_seen_s["ada"] <= 1.52


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_static_room_makes_no_face_events(
    number: int, photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    scene = Scene(photograph=photograph, width=1280, height=720, actors=[], background=number)
    assert Watched(scene, 3.0, finder).heard.of(FaceAppeared) == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_screen_share_makes_no_face_events(seed: int, finder: tuple[FaceDetector, FaceMesher]) -> None:
    """Windows, text, icons, a chart, a moving pointer; scrolling now and then."""
    session = Session(SessionConfig(), detector=finder[0], mesher=finder[1])
    heard = EventRecorder()
    for index in range(100):
        picture = Picture.from_rgb(screen(seed, scroll=index // 25, pointer=index))
        session.feed(Frame(pts_s=index / 25, picture=picture, arrival_s=0.0), 0.0)
        heard.add(session.events())
    assert heard.of(FaceAppeared) == []


def screen(seed: int, scroll: int, pointer: int) -> np.ndarray:
    """(720, 1280, 3) uint8: a desktop made by code."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (1280, 720), (245, 246, 248) if seed % 2 else (24, 26, 32))
    draw = ImageDraw.Draw(image)
    ink = (40, 44, 52) if seed % 2 else (210, 214, 220)
    draw.rectangle((0, 0, 1280, 36), fill=(60, 90, 160))
    words = ["media", "time", "jumps", "over", "a", "lazy", "frame", "and", "lands", "on", "the", "grid"]
    for line in range(34):
        text = " ".join(rng.choice(words, 12))
        draw.text((60, 50 + 19 * line - 7 * scroll % 19), text, fill=ink)
    for _ in range(24):
        x, y = int(rng.integers(760, 1200)), int(rng.integers(60, 640))
        colour = tuple(int(v) for v in rng.integers(40, 240, 3))
        draw.ellipse((x, y, x + 48, y + 48), fill=colour)
        draw.ellipse((x + 10, y + 14, x + 18, y + 22), fill=(255, 255, 255))
        draw.ellipse((x + 30, y + 14, x + 38, y + 22), fill=(255, 255, 255))
    for bar in range(12):
        height = int(rng.integers(20, 160))
        draw.rectangle((780 + 30 * bar, 700 - height, 802 + 30 * bar, 700), fill=(90, 160, 120))
    x, y = 200 + 9 * pointer, 300 + 2 * pointer
    draw.polygon([(x, y), (x + 12, y + 14), (x, y + 18)], fill=(255, 80, 40))
    return np.asarray(image)


def test_two_people_who_cross_share_no_window(photograph: Path, finder: tuple[FaceDetector, FaceMesher]) -> None:
    there = walk([(0, 300, 360, 120), (1, 300, 360, 120), (4, 900, 360, 120), (9, 900, 360, 120)])
    back = walk([(0, 900, 360, 140), (1, 900, 360, 140), (4, 300, 360, 140), (9, 300, 360, 140)])
    watched = Watched(room(photograph, (0, there), (1, back)), 6.0, finder)
    assert watched.mixed == {}
    assert {name for names in watched.owners.values() for name in names} == {"ada", "ben"}
    assert LostCause.CONTACT in [lost.cause for lost in watched.heard.of(FaceLost)]
    after = [window for window in watched.windows if window.pts_start_s > 4.2]
    assert len({window.face_id for window in after}) == 2


def test_one_leaves_and_another_comes_to_the_same_place(
    photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    for pause_s in (0.0, 0.2, 1.0):
        first = walk([(0, 640, 360, 150), (2.0, 640, 360, 150)])
        second = walk([(2.01 + pause_s, 640, 360, 150), (9, 640, 360, 150)])
        watched = Watched(room(photograph, (0, first), (2, second)), 4.5, finder)
        assert watched.mixed == {}, pause_s
        assert len(watched.heard.of(FaceAppeared)) == 2, pause_s


def test_a_scene_cut_to_another_person_starts_anew(photograph: Path, finder: tuple[FaceDetector, FaceMesher]) -> None:
    first = room(photograph, (0, still(640, 360, 200)))
    other_room = Scene(
        photograph=photograph,
        width=1280,
        height=720,
        actors=[Actor(person=DIA, path=still(640, 360, 200))],
        background=5,
    )
    session = Session(SessionConfig(), detector=finder[0], mesher=finder[1])
    heard, windows = EventRecorder(), []
    for index in range(100):
        shown = first if index < 50 else other_room
        picture = Picture.from_rgb(shown.render(index / 25))
        session.feed(Frame(pts_s=index / 25, picture=picture, arrival_s=0.0), 0.0)
        heard.add(session.events())
        windows += session.take_work()
    assert [gap.cause for gap in heard.of(MediaGap)] == [GapCause.SCENE_CUT]
    assert len(heard.of(FaceAppeared)) == 2
    assert not any(window.pts_start_s < 2.0 <= window.pts_end_s for window in windows)


@pytest.mark.parametrize(("hidden_s", "generations"), [(0.3, 1), (3.0, 2)])
def test_a_covered_face_keeps_its_generation_only_for_a_moment(
    hidden_s: float, generations: int, photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    cover = Cover(box_px=lambda t: Box(500, 200, 800, 600) if 1.5 <= t < 1.5 + hidden_s else None)
    watched = Watched(room(photograph, (0, still(640, 360, 150)), covers=[cover]), 3.5 + hidden_s, finder)
    assert len(watched.heard.of(FaceAppeared)) == generations
    assert not any(window.pts_start_s < 1.5 and window.pts_end_s >= 1.5 + hidden_s for window in watched.windows)
    assert any(window.pts_start_s >= 1.5 + hidden_s for window in watched.windows)


def test_a_person_who_moves_and_grows_is_one_generation(
    photograph: Path, finder: tuple[FaceDetector, FaceMesher]
) -> None:
    way = walk([(0, 300, 300, 110), (5, 900, 420, 190), (10, 500, 360, 140), (15, 300, 300, 110)])
    watched = Watched(room(photograph, (3, way)), 15.0, finder)
    assert len(watched.heard.of(FaceAppeared)) == 1
    assert len(watched.windows) >= 22
