"""The moving portrait: it repeats exactly, it moves, and its own truth is where the faces really are."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamguard.assets import asset_path
from streamguard.config import SessionConfig
from streamguard.errors import AssetError, ClosedError
from streamguard.events import EndOfStream, FaceAppeared, FaceLost, StreamUp
from streamguard.faces.detector import open_detector, open_mesher
from streamguard.faces.mesh import face_box
from streamguard.picture import Picture
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources.portrait import (
    PEOPLE,
    Actor,
    Cover,
    PortraitSource,
    Scene,
    faked_beside,
    gallery,
    room,
    still,
    two_people,
    walk,
)
from streamguard.sources.source import SourceBase
from streamguard.testing import EventRecorder
from streamguard.values import Box, Frame, LostCause


@pytest.fixture(scope="module")
def photograph() -> Path:
    return asset_path("portrait")


def one(photograph: Path, who: int = 0, face_px: float = 100.0, **more: object) -> Scene:
    actor = Actor(person=PEOPLE[who], path=still(200, 150, face_px))
    return Scene(photograph=photograph, width=400, height=300, actors=[actor], **more)  # type: ignore[arg-type]


def test_the_same_moment_is_the_same_picture(photograph: Path) -> None:
    assert (one(photograph).render(1.24) == one(photograph).render(1.24)).all()


def test_it_moves_blinks_and_changes_its_light(photograph: Path) -> None:
    scene = one(photograph)
    pictures = [scene.render(t).astype(int) for t in (0.5, 0.9, 3.22, 5.0)]
    for earlier, later in pairwise(pictures):
        assert np.abs(earlier - later)[60:240, 120:280].mean() > 1.0


@pytest.mark.parametrize("who", range(len(PEOPLE)))
def test_the_truth_is_where_the_mesh_network_finds_the_face(photograph: Path, who: int) -> None:
    scene = one(photograph, who)
    for pts_s in (0.4, 2.0, 3.7):
        picture = Picture.from_rgb(scene.render(pts_s))
        found = open_mesher().measure(picture, open_detector().detect(picture, None)[0])
        (truth,) = scene.truth(pts_s).values()
        assert face_box(found).overlap(truth) > 0.55


def test_who_is_away_is_not_in_the_truth(photograph: Path) -> None:
    actor = Actor(person=PEOPLE[0], path=walk([(1.0, 50, 150, 90), (2.0, 350, 150, 90)]))
    scene = Scene(photograph=photograph, width=400, height=300, actors=[actor])
    assert scene.truth(0.5) == {}
    assert scene.truth(2.5) == {}
    box = scene.truth(1.5)["ada"]
    assert box.centre == pytest.approx((200, 150), abs=10)


def test_a_cover_hides_what_is_behind_it_also_half_outside(photograph: Path) -> None:
    cover = Cover(box_px=lambda t: Box(-50, -50, 100, 100) if t < 1 else None, colour=(1, 2, 3))
    scene = one(photograph, covers=[cover], noise=0.0, light=0.0)
    assert (scene.render(0.5)[:100, :100] == (1, 2, 3)).all()
    assert not (scene.render(1.5)[:100, :100] == (1, 2, 3)).all()


def test_a_gallery_has_one_person_in_each_tile(photograph: Path) -> None:
    scene = gallery(photograph, width=1280, height=720, rows=5, columns=5, face_px=80)
    centres = [box.centre for box in scene.truth(0.0).values()]
    tiles = {(int(x // (1280 / 5)), int(y // (720 / 5))) for x, y in centres}
    assert len(centres) == len(tiles) == 25


def test_rooms_differ_and_repeat() -> None:
    assert (room(160, 90, 3) == room(160, 90, 3)).all()
    assert not (room(160, 90, 3) == room(160, 90, 4)).all()


def test_the_source_says_up_then_frames_on_pace_then_the_end(photograph: Path) -> None:
    with PortraitSource(one(photograph), rate_hz=20, seconds=0.5) as source:
        items = list(source)
    assert isinstance(items[0], StreamUp)
    frames = [item for item in items if isinstance(item, Frame)]
    assert [frame.pts_s for frame in frames] == pytest.approx([i / 20 for i in range(10)])
    assert items[-1] == EndOfStream(frames=10)
    assert source.statistics().frames_read == 10
    with pytest.raises(ClosedError):
        source.read(0.0)


def test_the_source_is_read_and_left_like_any_other(photograph: Path) -> None:
    source = PortraitSource(one(photograph), seconds=1.0)
    assert isinstance(source, SourceBase)
    with source:
        assert isinstance(next(iter(source)), StreamUp)
    assert list(source) == []
    assert repr(source) == "PortraitSource(portrait)"


def test_the_demo_has_two_people_a_crossing_and_covers(photograph: Path) -> None:
    scene = two_people(photograph)
    before, after = scene.truth(1.0), scene.truth(6.0)
    assert before["ada"].x0 < before["ben"].x0
    assert after["ada"].x0 > after["ben"].x0
    assert scene.covers[0].box_px(7.1) is not None
    assert scene.covers[0].box_px(7.5) is None


def close_up(photograph: Path, who: int = 0, *, faked: bool) -> Scene:
    """One large face without noise, so that pictures can be compared pixel by pixel."""
    actor = Actor(person=PEOPLE[who], path=still(200, 150, 100), faked=faked)
    return Scene(photograph=photograph, width=400, height=300, actors=[actor], noise=0.0)


@pytest.mark.parametrize("who", range(len(PEOPLE)))
def test_a_faked_face_is_another_one_inside_and_the_same_around(photograph: Path, who: int) -> None:
    for pts_s in (0.5, 2.0, 3.7):
        original = close_up(photograph, who, faked=False).render(pts_s).astype(int)
        faked = close_up(photograph, who, faked=True).render(pts_s).astype(int)
        (box,) = close_up(photograph, who, faked=True).truth(pts_s).values()
        (x, y), third = box.centre, box.width / 3
        inner = np.s_[int(y - third) : int(y + third), int(x - third) : int(x + third)]
        changed = np.abs(original - faked).max(axis=2)
        assert changed[inner].mean() > 4
        outside = np.ones(changed.shape, bool)
        spare = round(0.25 * box.height)
        outside[int(box.y0) - spare : int(box.y1) + spare, int(box.x0) - spare : int(box.x1) + spare] = False
        assert changed[outside].max() == 0, "hair and background stay"


def test_a_faked_face_is_sharper_inside_and_softer_in_the_band_round_it(photograph: Path) -> None:
    (box,) = close_up(photograph, faked=True).truth(2.0).values()
    (x, y), width, height = box.centre, box.width, box.height

    def detail(faked: bool, centre: tuple[float, float]) -> float:
        """At a place, in shares of the box from its middle."""
        rgb = close_up(photograph, faked=faked).render(2.0)
        column, row = int(x + centre[0] * width), int(y + centre[1] * height)
        reach = int(0.15 * width)
        near = rgb[row - reach : row + reach, column - reach : column + reach].mean(axis=2)
        return float(np.abs(np.diff(near, 2, axis=0)).mean())

    eyes, forehead = (0.0, -0.1), (0.0, -0.5)
    assert detail(True, eyes) > 1.15 * detail(False, eyes)
    assert detail(True, forehead) < detail(False, forehead)


def test_a_fake_repeats_exactly_and_flickers_from_frame_to_frame(photograph: Path) -> None:
    def tint(faked: bool, pts_s: float) -> float:
        return float(close_up(photograph, faked=faked).render(pts_s)[140:170, 185:215].mean())

    assert (close_up(photograph, faked=True).render(1.2) == close_up(photograph, faked=True).render(1.2)).all()
    times = [1.0 + i / 25 for i in range(8)]
    flicker = [np.std(np.diff([tint(faked, t) for t in times])) for faked in (False, True)]
    assert flicker[1] > 3 * flicker[0]


def test_a_fake_slips_a_little_from_frame_to_frame(photograph: Path) -> None:
    """Where its mouth and eyes are, against where they belong, in steps of a pixel of a large face."""

    def large(faked: bool, pts_s: float) -> np.ndarray:
        actor = Actor(person=PEOPLE[0], path=still(300, 300, 330), faked=faked)
        scene = Scene(photograph=photograph, width=600, height=600, actors=[actor], noise=0.0)
        grey: np.ndarray = scene.render(pts_s).mean(axis=2)
        return grey

    def slip(pts_s: float) -> int:
        original, faked = large(False, pts_s), large(True, pts_s)[220:400, 230:370]
        shifts = range(-12, 13)
        return min(shifts, key=lambda dx: np.abs(original[220:400, 230 + dx : 370 + dx] - faked).mean().item())

    slips = [slip(1.0 + i / 25) for i in range(6)]
    assert len(set(slips)) >= 3
    assert max(np.abs(slips)) <= 9


def test_the_faked_one_stands_beside_the_original_and_moves_in_the_same_rhythm(photograph: Path) -> None:
    scene = faked_beside(photograph)
    assert [actor.faked for actor in scene.actors] == [False, True]
    for pts_s in np.arange(0.0, 60.0, 0.5):
        left, right = scene.truth(float(pts_s)).values()
        assert right.x0 - left.x1 > left.width
        assert right.centre[0] - left.centre[0] == pytest.approx(600)
        assert right.centre[1] == pytest.approx(left.centre[1])


def test_the_original_and_the_faked_one_are_found_and_followed_as_one_generation_each(photograph: Path) -> None:
    scene = faked_beside(photograph)
    session = Session(SessionConfig(), detector=open_detector(), mesher=open_mesher())
    heard = EventRecorder()
    scored = []
    for turn in drive(PortraitSource(scene, seconds=12.0), session):
        heard.add(turn.events)
        scored += [(window.face_id, window.generation) for window in turn.windows]
        if isinstance(turn.item, Frame) and turn.item.pts_s > 0.5:
            found = sorted(session.faces(), key=lambda face: face.box_px.x0)
            for face, truth in zip(found, scene.truth(turn.item.pts_s).values(), strict=True):
                assert face.box_px.overlap(truth) > 0.55
    assert [(one.face_id, one.generation) for one in heard.of(FaceAppeared)] == [(1, 1), (2, 1)]
    assert [one.cause for one in heard.of(FaceLost)] == [LostCause.STREAM_ENDED] * 2
    assert scored.count((1, 1)) == scored.count((2, 1)) >= 15


def test_a_broken_photograph_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(AssetError, match=r"broken\.png"):
        one(path).render(0.0)


def test_rendering_from_two_threads_gives_the_same(photograph: Path) -> None:
    scene = one(photograph)
    made: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: made.append(scene.render(2.0))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made[0] == made[1]).all()
