"""The moving portrait: it repeats exactly, it moves, and its own truth is where the faces really are."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamguard.assets import asset_path
from streamguard.errors import AssetError, ClosedError
from streamguard.events import EndOfStream, StreamUp
from streamguard.faces.detector import open_detector, open_mesher
from streamguard.faces.mesh import face_box
from streamguard.picture import Picture
from streamguard.sources.portrait import (
    PEOPLE,
    Actor,
    Cover,
    PortraitSource,
    Scene,
    gallery,
    room,
    still,
    two_people,
    walk,
)
from streamguard.sources.source import SourceBase
from streamguard.values import Box, Frame


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
    assert repr(source) == "PortraitSource(portrait:)"


def test_the_demo_has_two_people_a_crossing_and_covers(photograph: Path) -> None:
    scene = two_people(photograph)
    before, after = scene.truth(1.0), scene.truth(6.0)
    assert before["ada"].x0 < before["ben"].x0
    assert after["ada"].x0 > after["ben"].x0
    assert scene.covers[0].box_px(7.1) is not None
    assert scene.covers[0].box_px(7.5) is None


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
