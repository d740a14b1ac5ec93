"""Who is who: what ends a generation, what keeps it, and that nobody is ever two people or in two places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from streamguard.config import FacesConfig
from streamguard.faces.track import FaceTracker, Looked
from streamguard.testing import PaintedFaces, painted
from streamguard.values import Box, Detection, Frame, LostCause, Mesh

WIDTH, HEIGHT = 640, 360
FACE = (60.0, 80.0)
ADA, BEN, CEM, DIA = 64, 128, 192, 240


def box_at(x: float, y: float = 180.0, face: tuple[float, float] = FACE) -> Box:
    return Box(x - face[0] / 2, y - face[1] / 2, x + face[0] / 2, y + face[1] / 2)


class Finder(PaintedFaces):
    """Painted faces, with a detector that can be switched off and a mesher that can go wrong."""

    detects = True
    follows = True
    presence: float | None = None

    def detect(self, picture, region_px=None):  # type: ignore[no-untyped-def]
        return super().detect(picture, region_px) if self.detects else []

    def follow(self, picture, mesh, shift_px=(0.0, 0.0)):  # type: ignore[no-untyped-def]
        seen = super().follow(picture, mesh, shift_px)
        presence = seen.presence if self.presence is None else self.presence
        return Mesh(points_px=seen.points_px, presence=presence if self.follows else 0.0, chip=seen.chip)


class Tracked:
    def __init__(self, config: FacesConfig | None = None, face: tuple[float, float] = FACE) -> None:
        self.finder = Finder(face)
        self.tracker = FaceTracker(config or FacesConfig(), self.finder, self.finder)
        self.pts_s = 0.0
        self.appeared: list[tuple[int, int]] = []
        self.lost: list[tuple[int, int, LostCause]] = []

    def see(self, people: Mapping[int, Box], seconds: float = 0.04) -> Looked:
        """So many seconds of the same picture, 25 a second; the last frame's outcome."""
        picture = painted(WIDTH, HEIGHT, people)
        for _ in range(max(1, round(seconds * 25))):
            frame = Frame(pts_s=self.pts_s, picture=picture, arrival_s=self.pts_s)
            looked = self.tracker.update(frame, lambda face_id, generation, pts_s: True)
            self.pts_s += 0.04
            self.note(looked)
        return looked

    def note(self, looked: Looked) -> None:
        faces = [(face.face_id, face.generation) for face in looked.faces]
        assert len(faces) == len(set(faces)), "one generation in two places"
        assert not {(one.face_id, one.generation) for one in looked.lost} & set(faces), "lost and seen at once"
        self.appeared += [(face.face_id, face.generation) for face in looked.appeared]
        self.lost += [(one.face_id, one.generation, one.cause) for one in looked.lost]
        alive = set(self.appeared) - {one[:2] for one in self.lost}
        assert set(faces) <= alive, "seen without having appeared, or after it was lost"
        assert len(self.appeared) == len(set(self.appeared)), "a generation appeared twice"


def test_a_face_is_shown_once_it_was_seen_often_enough() -> None:
    tracked = Tracked(FacesConfig(looks_to_confirm=3))
    assert tracked.see({ADA: box_at(300)}, 0.08).faces == ()
    assert len(tracked.see({ADA: box_at(300)}).appeared) == 1


def test_a_face_seen_only_once_is_never_told() -> None:
    tracked = Tracked(FacesConfig(looks_to_confirm=3))
    tracked.see({ADA: box_at(300)}, 0.04)
    tracked.see({}, 3.0)
    assert tracked.appeared == []
    assert tracked.lost == []


def test_hidden_ada_in_bens_place_and_ben_in_hers_are_both_in_doubt() -> None:
    tracked = Tracked()
    tracked.see({ADA: box_at(250), BEN: box_at(330)}, 1.0)
    tracked.see({BEN: box_at(330)}, 0.4)
    tracked.see({BEN: box_at(250), ADA: box_at(330)}, 1.0)
    assert set(tracked.appeared) >= {(1, 1), (2, 1)}
    assert len(tracked.appeared) == 4


@pytest.mark.parametrize("seed", range(6))
def test_narrow_faces_that_hide_and_change_places_break_nothing(seed: int) -> None:
    face = (44.0, 60.0)
    rng = np.random.default_rng(seed)
    tracked = Tracked(face=face)
    places = {ADA: 240.0, BEN: 290.0, CEM: 342.0, DIA: 392.0}
    whose: dict[tuple[int, int], set[int]] = {}
    for _ in range(80):
        if rng.uniform() < 0.3:
            one, other = rng.choice(list(places), 2, replace=False)
            places[one], places[other] = places[other], places[one]
        present = {who: box_at(x, face=face) for who, x in places.items() if rng.uniform() < 0.7}
        looked = tracked.see(present, float(rng.choice([0.04, 0.12, 0.4])))
        for shown in looked.faces:
            x = shown.box_px.centre[0]
            owner = min(present, key=lambda who: abs(present[who].centre[0] - x))
            whose.setdefault((shown.face_id, shown.generation), set()).add(owner)
    assert all(len(owners) == 1 for owners in whose.values())


def test_two_sightings_that_both_fit_one_hidden_face_are_doubt() -> None:
    """Twins, by a limit at which everybody looks alike: both near where she was, neither is taken for her."""
    face = (40.0, 60.0)
    tracked = Tracked(FacesConfig(most_look_difference=99.0), face=face)
    tracked.see({ADA: box_at(300, face=face)}, 1.0)
    tracked.see({}, 0.2)
    tracked.finder.follows = False  # the mesher finds nobody where she was; the detector finds two
    for _ in range(5):
        looked = tracked.see({BEN: box_at(278, face=face), CEM: box_at(322, face=face)})
        assert looked.faces == ()


def test_contact_ends_both_and_who_is_behind_is_not_born_until_they_part() -> None:
    tracked = Tracked()
    tracked.see({ADA: box_at(240), BEN: box_at(350)}, 0.6)
    tracked.see({ADA: box_at(270), BEN: box_at(300, 200)}, 1.0)  # each is seen on two sides of the other
    assert len(tracked.lost) == 2
    assert {one[2] for one in tracked.lost} <= {LostCause.CONTACT, LostCause.DOUBT}
    assert len(tracked.appeared) <= 3  # whoever stands in front can be seen whole
    tracked.see({ADA: box_at(200), BEN: box_at(400)}, 1.0)
    assert len(tracked.appeared) >= 4
    assert len([one for one in tracked.appeared if one not in {lost[:2] for lost in tracked.lost}]) == 2


def test_a_face_that_the_detector_never_confirms_again_is_let_go() -> None:
    tracked = Tracked()
    tracked.see({ADA: box_at(300)}, 1.0)
    tracked.finder.detects = False
    tracked.see({ADA: box_at(300)}, 2.0)
    assert tracked.lost == []
    tracked.see({ADA: box_at(300)}, 2.0)
    assert tracked.lost[0] == (1, 1, LostCause.DOUBT)


@pytest.mark.parametrize("presence", [float("nan"), 0.0, 0.49])
def test_a_mesh_that_sees_no_face_hides_it(presence: float) -> None:
    tracked = Tracked()
    tracked.see({ADA: box_at(300)}, 1.0)
    tracked.finder.presence = presence
    assert tracked.see({ADA: box_at(300)}).faces == ()


def test_faces_beyond_the_most_are_not_followed_until_one_is_gone() -> None:
    tracked = Tracked(FacesConfig(most_faces=2))
    tracked.see({ADA: box_at(100), BEN: box_at(250), CEM: box_at(400)}, 1.0)
    assert len(tracked.appeared) == 2
    tracked.see({BEN: box_at(250), CEM: box_at(400)}, 4.0)
    tracked.see({CEM: box_at(400)}, 4.0)
    assert len(tracked.appeared) == 3


def test_too_small_a_face_is_not_followed() -> None:
    tracked = Tracked(FacesConfig(min_face_px=32.0), face=(24.0, 30.0))
    tracked.see({ADA: box_at(300, face=(24.0, 30.0))}, 1.0)
    assert tracked.appeared == []


def test_a_face_mostly_outside_the_picture_is_not_followed() -> None:
    class HalfOutside(Finder):
        def _nearest(self, picture, place):  # type: ignore[no-untyped-def]
            mesh = super()._nearest(picture, place)
            points = mesh.points_px - np.array([330.0, 0.0, 0.0], np.float32)
            return Mesh(points_px=points, presence=1.0, chip=mesh.chip)

        def detect(self, picture, region_px=None):  # type: ignore[no-untyped-def]
            return [Detection(box_px=box_at(-15), score=0.9, eyes_px=((-25.0, 160.0), (-5.0, 160.0)))]

    tracked = Tracked()
    finder = HalfOutside(FACE)
    tracked.tracker = FaceTracker(FacesConfig(), finder, finder)
    tracked.see({ADA: box_at(315)}, 1.0)
    assert tracked.appeared == []


def test_a_fast_face_is_followed_by_its_own_movement() -> None:
    """A face that moves by more than half of itself between two looks, steadily."""
    tracked = Tracked()
    for step in range(20):
        x = 60 + 1.0 * step**1.5 * 4
        tracked.see({ADA: box_at(min(x, 580))})
    assert len(tracked.appeared) == 1
    assert tracked.lost == []


def test_a_slow_camera_keeps_its_faces() -> None:
    tracked = Tracked()
    for _ in range(10):
        tracked.see({ADA: box_at(300)})
        tracked.pts_s += 0.9
    assert tracked.appeared == [(1, 1)]
    assert tracked.lost == []


def test_after_a_gap_everything_is_searched_at_once_and_ids_are_kept() -> None:
    tracked = Tracked()
    tracked.see({ADA: box_at(300)}, 1.0)
    looks = tracked.finder.looks
    assert [one.cause for one in tracked.tracker.end_all(LostCause.MEDIA_GAP)] == [LostCause.MEDIA_GAP]
    tracked.lost.append((1, 1, LostCause.MEDIA_GAP))
    tracked.see({ADA: box_at(300)}, 0.08)
    assert tracked.finder.looks > looks + 1
    assert tracked.appeared == [(1, 1), (1, 2)]


def test_a_face_forgotten_for_long_gets_a_new_id() -> None:
    tracked = Tracked(FacesConfig(remember_s=1.0))
    tracked.see({ADA: box_at(300)}, 1.0)
    tracked.see({}, 2.0)
    tracked.see({ADA: box_at(300)}, 1.0)
    assert tracked.appeared == [(1, 1), (2, 1)]


def test_nothing_grows_over_a_day_of_comings_and_goings() -> None:
    tracked = Tracked()
    for turn in range(60):
        tracked.see({ADA: box_at(80 + (turn * 97) % 480)}, 0.2)
        tracked.see({}, 0.2)
        tracked.pts_s += 5.0
    assert len(tracked.tracker._tracks) <= 3
