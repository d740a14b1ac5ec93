"""Preparing: what is recorded, what is done again and what is not, and files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamguard.assets import asset_path
from streamguard.data.index import Index
from streamguard.data.prepare import LIMIT, plan, prepare, prepare_one
from streamguard.data.tracks import Done, Settings, Track, open_tracks
from streamguard.errors import DataError
from streamguard.sources.portrait import PEOPLE, Actor, Scene, walk
from tests.clips import pictures_of, write_video
from tests.data.made import Trying, footage, pair_video, portrait_still, portrait_video
from tests.faces.people import detector, mesher


def prepared(index: Index, settings: Settings | None = None) -> dict[str, Done]:
    """In this process."""
    todo = plan(index, settings or Settings()).todo
    return {one.key: prepare_one(index, one, settings or Settings(), detector(), mesher()) for one in todo}


def test_a_video_is_recorded_with_what_was_seen_of_it(tmp_path: Path) -> None:
    portrait_video(tmp_path / "a.mp4", seconds=0.48)
    index = Index(tmp_path, tmp_path, [footage("a")])
    done = prepared(index)["a"]
    assert Done.open(index.tracks_folder(index.footage[0])) == done
    assert (done.codec, done.width, done.height) == ("h264", 320, 180)
    assert done.fps == pytest.approx(25.0)
    assert (done.frames, done.failure) == (12, "")
    assert done.seconds == pytest.approx(0.44)
    (found,) = done.tracks
    assert (found.name, found.face_id, found.generation, found.ended) == ("0", 1, 1, "STREAM_ENDED")
    assert found.patches == 11, "a face appears with its second sighting"
    assert found.seconds == done.kept_s == pytest.approx(0.4)
    assert 60 < found.size_px < 90
    (track,) = open_tracks(index.tracks_folder(index.footage[0]))
    assert [patch.grid_index for patch in map(track.patch, range(len(track)))] == list(range(11))


def test_reading_stops_when_faces_were_seen_long_enough(tmp_path: Path) -> None:
    portrait_video(tmp_path / "a.mp4", seconds=1.2)
    done = prepared(Index(tmp_path, tmp_path, [footage("a")]), Settings(seconds=0.4))["a"]
    (found,) = done.tracks
    assert found.ended == LIMIT
    assert found.seconds == pytest.approx(0.4, abs=0.05)
    assert done.frames < 15


def test_time_without_a_face_does_not_count(tmp_path: Path) -> None:
    """Half a second of an empty room, then somebody comes."""
    comes = Actor(person=PEOPLE[0], path=walk([(0.5, 160, 90, 70), (9, 160, 90, 70)]))
    scene = Scene(photograph=asset_path("portrait"), width=320, height=180, actors=[comes])
    write_video(tmp_path / "a.mp4", pictures_of(scene, 1.4))
    done = prepared(Index(tmp_path, tmp_path, [footage("a")]), Settings(seconds=0.4))["a"]
    assert [found.ended for found in done.tracks] == [LIMIT]
    assert done.tracks[0].seconds == pytest.approx(0.4, abs=0.05)
    assert done.seconds > 0.9


def test_of_a_still_one_patch_is_kept(tmp_path: Path) -> None:
    portrait_still(tmp_path / "still.jpg")
    index = Index(tmp_path, tmp_path, [footage("still", file="still.jpg", still=True)])
    done = prepared(index)["still"]
    assert [found.patches for found in done.tracks] == [1]
    assert (done.frames, done.seconds, done.fps, done.kept_s) == (1, 0.0, 0.0, 0.0)
    (track,) = open_tracks(index.tracks_folder(index.footage[0]))
    assert track.mesh(0).shape == (468, 2)


def test_both_halves_of_a_pair_show_their_faces(tmp_path: Path) -> None:
    pair_video(tmp_path / "pair.mp4", seconds=0.2)
    left = footage("l", file="pair.mp4", side="left", group="g")
    right = footage("r", file="pair.mp4", side="right", group="g", label="fake", twin="l")
    index = Index(tmp_path, tmp_path, [left, right])
    done = prepared(index)
    for one in done.values():
        assert (one.width, one.height) == (360, 200)
        assert len(one.tracks) == 2
    boxes = [sorted(track.box(0).centre for track in open_tracks(index.tracks_folder(half))) for half in index.footage]
    for one, other in zip(*boxes, strict=True):
        assert one == pytest.approx(other, abs=6), "the same places in both halves"


# Again.


def three(tmp_path: Path) -> Index:
    portrait_video(tmp_path / "a.mp4", seconds=0.12)
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    (tmp_path / "c.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    return Index(tmp_path / "data", tmp_path, [footage(key) for key in "abc"])


def todo(index: Index, settings: Settings | None = None) -> tuple[list[str], int, int]:
    made = plan(index, settings or Settings())
    return [one.key for one in made.todo], made.kept, made.remade


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    index = three(tmp_path)
    assert todo(index) == (["a", "b", "c"], 0, 0)
    prepared(index)
    assert todo(index) == ([], 3, 0)


def test_other_settings_are_told_and_done_anew(tmp_path: Path) -> None:
    index = three(tmp_path)
    prepared(index)
    assert todo(index, Settings(grid_s=0.08)) == (["a", "b", "c"], 0, 3)
    prepared(index, Settings(grid_s=0.08))
    assert todo(index) == (["a", "b", "c"], 0, 3)
    assert Track.open(index.tracks_folder(index.footage[0]) / "0").grid_s == 0.08


def test_a_file_that_changed_is_done_anew(tmp_path: Path) -> None:
    index = three(tmp_path)
    prepared(index)
    portrait_video(tmp_path / "b.mp4", seconds=0.2)
    assert todo(index) == (["b"], 2, 1)
    (tmp_path / "c.mp4").unlink()
    assert todo(index) == (["b"], 2, 1), "faces of a file that is away are as good as ever"


@pytest.mark.parametrize("name", ["planes.bin", "mesh.npy", "track.json"])
@pytest.mark.parametrize("left", [0, 500])
def test_a_damaged_track_is_cut_anew(name: str, left: int, tmp_path: Path) -> None:
    """Whoever reads it says to prepare its footage again."""
    portrait_video(tmp_path / "a.mp4", seconds=0.12)
    index = Index(tmp_path / "data", tmp_path, [footage("a")])
    prepared(index)
    path = index.tracks_folder(index.footage[0]) / "0" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    assert todo(index) == (["a"], 0, 1)
    prepared(index)
    assert path.read_bytes() == whole
    path.unlink()
    assert todo(index) == (["a"], 0, 1)


def test_killed_half_way_only_the_rest_is_done(tmp_path: Path) -> None:
    index = three(tmp_path)
    before = prepared(Index(index.folder, index.root, index.footage[:2]))
    # What a kill leaves of the third: a folder with a track that has no end.
    torn = index.tracks_folder(index.footage[2]) / "0"
    torn.mkdir(parents=True)
    (torn / "planes.bin").write_bytes(b"half a patch")
    assert todo(index) == (["c"], 2, 0)
    assert list(prepared(index)) == ["c"]
    (track,) = open_tracks(index.tracks_folder(index.footage[2]))
    assert track.patch(0).picture.width > 50
    assert Done.open(index.tracks_folder(index.footage[0])) == before["a"]


def test_damaged_records_say_how_to_mend_them(tmp_path: Path) -> None:
    index = three(tmp_path)
    prepared(index)
    path = index.tracks_folder(index.footage[0]) / "done.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"frames": "many"}))
    with pytest.raises(DataError, match=r"frames: must be a whole number.*Delete it, and prepare again"):
        plan(index, Settings())


# Failures.


def test_a_file_that_cannot_be_read_is_recorded_and_tried_again(tmp_path: Path) -> None:
    index = three(tmp_path)
    whole = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    (tmp_path / "c.mp4").unlink()
    done = prepared(index)
    assert done["a"].failure == ""
    assert "b.mp4" in done["b"].failure
    assert "does not exist" in done["c"].failure
    assert list(open_tracks(index.tracks_folder(index.footage[1]))) == []
    assert todo(index) == (["b", "c"], 1, 0)
    (tmp_path / "b.mp4").write_bytes(whole)
    assert prepared(index)["b"].failure == ""


def test_a_folder_that_cannot_be_written_ends_it(tmp_path: Path) -> None:
    """It is no fault of the footage, and must not be recorded as one."""
    index = three(tmp_path)
    index.folder.mkdir()
    (index.folder / "tracks").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        prepared(index)


@pytest.mark.full  # three processes, one after the other, each with the face models
def test_a_process_that_dies_over_a_file_is_no_end(tmp_path: Path) -> None:
    portrait_video(tmp_path / "a.mp4", seconds=0.12)
    index = Trying(tmp_path / "data", tmp_path, [footage("deadly"), footage("a")])
    done = {one.key: result for one, result in prepare(index, index.footage, Settings(), jobs=1)}
    assert {key: len(result.tracks) for key, result in done.items()} == {"deadly": 0, "a": 1}
    assert "ends the whole process" in done["deadly"].failure
    assert Done.open(index.tracks_folder(index.footage[0])) == done["deadly"]


@pytest.mark.full
def test_who_stops_listening_waits_for_nobody(tmp_path: Path) -> None:
    """A second Ctrl-C, say, while a long video is read."""
    portrait_video(tmp_path / "a.mp4", seconds=0.12)
    index = Trying(tmp_path / "data", tmp_path, [footage("a"), footage("endless")])
    ready = prepare(index, index.footage, Settings(seconds=1e6), jobs=2)
    assert next(ready)[0].key == "a"
    ready.close()
    assert Done.open(index.tracks_folder(index.footage[1])) is None
    assert todo(index, Settings(seconds=1e6)) == (["endless"], 1, 0)


def test_once_stopped_nothing_is_begun(tmp_path: Path) -> None:
    index = three(tmp_path)
    assert list(prepare(index, index.footage, Settings(), stopped=lambda: True)) == []
    assert todo(index) == (["a", "b", "c"], 0, 0)
