"""Tracks: what a Session cuts is what they hold, to the byte; their grid is the ring's; damage is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from streamguard.assets import asset_path
from streamguard.config import ClipConfig, SessionConfig
from streamguard.crop import Square, crop_similarity, crop_square, cut_patch, fit_similarity, follow_square
from streamguard.data.index import Index
from streamguard.data.prepare import prepare_one
from streamguard.data.tracks import PATCH_FOR_PX, Settings, Track, TrackWriter, open_tracks
from streamguard.errors import DataError
from streamguard.faces.mesh import face_box, five_points
from streamguard.picture import Picture
from streamguard.ring import PatchRing
from streamguard.session import Session
from streamguard.sources.portrait import PEOPLE, Actor, Scene, gallery, walk
from streamguard.values import Box, Face, Frame, Mesh, Patch, Quality, Window
from tests.clips import pictures_of, write_video
from tests.data.made import footage
from tests.faces.people import detector, mesher

QUALITY = Quality(
    size_px=60, sharpness=0.5, luma=0.4, clipped=0.01, yaw_deg=-3, pitch_deg=2, roll_deg=1, presence=0.9, padded=0.1
)
LENGTH = 4


def walking(width: int, height: int, face_px: float) -> Scene:
    """Moves on and comes nearer, so that the square has to follow."""
    path = walk([(0, width * 0.3, height / 2, face_px), (0.7, width * 0.75, height / 2, face_px * 1.2)])
    return Scene(
        photograph=asset_path("portrait"), width=width, height=height, actors=[Actor(person=PEOPLE[0], path=path)]
    )


def windows_of(index: Index, clip: ClipConfig) -> list[Window]:
    session = Session(SessionConfig(clip=clip), detector=detector(), mesher=mesher())
    windows = []
    with index.source(index.footage[0]) as source:
        for item in source:
            if isinstance(item, Frame):
                session.feed(item, item.arrival_s)
                windows += session.take_work()
    return windows


@pytest.mark.parametrize(
    ("size", "reduction"), [((320, 180, 70.0), 1), ((1280, 600, 340.0), 2)], ids=["small face", "reduced"]
)
def test_crops_of_a_track_are_those_of_a_session_to_the_byte(
    size: tuple[int, int, float], reduction: int, tmp_path: Path
) -> None:
    write_video(tmp_path / "a.mp4", pictures_of(walking(*size), 0.64))
    index = Index(tmp_path, tmp_path, [footage("a")])
    prepare_one(index, index.footage[0], Settings(), detector(), mesher())
    (track,) = open_tracks(index.tracks_folder(index.footage[0]))
    assert track.patch(len(track) - 1).reduction == reduction
    number = {round(pts_s, 6): i for i, pts_s in enumerate(track.pts_s.tolist())}

    square: Square | None = None
    squares = [square := follow_square(square, track.box(i)) for i in range(len(track))]
    assert len({one.centre_px for one in squares}) > 1, "the square had to follow"
    clip = ClipConfig(grid_s=0.04, length=LENGTH, hop_s=0.12, size_px=PATCH_FOR_PX)
    windows = windows_of(index, clip)
    assert len(windows) >= 3
    for window in windows:
        run = [number[round(pts_s, 6)] for pts_s in window.pts_s]
        crops = [crop_square(track.patch(i), squares[run[-1]], PATCH_FOR_PX) for i in run]
        np.testing.assert_array_equal(np.stack(crops), window.crops)

    clip = ClipConfig(grid_s=0.04, length=LENGTH, hop_s=0.12, size_px=PATCH_FOR_PX, recipe="similarity")
    for window in windows_of(index, clip):
        run = [number[round(pts_s, 6)] for pts_s in window.pts_s]
        affine = fit_similarity([track.points_px[i] for i in run], PATCH_FOR_PX)
        crops = [crop_similarity(track.patch(i), affine, PATCH_FOR_PX) for i in run]
        np.testing.assert_array_equal(np.stack(crops), window.crops)


def test_the_mesh_of_each_patch_is_that_of_its_face(tmp_path: Path) -> None:
    """Of two people, each has their own."""
    scene = gallery(asset_path("portrait"), width=480, height=200, rows=1, columns=2, face_px=70)
    write_video(tmp_path / "a.mp4", pictures_of(scene, 0.32))
    index = Index(tmp_path, tmp_path, [footage("a")])
    prepare_one(index, index.footage[0], Settings(), detector(), mesher())
    tracks = list(open_tracks(index.tracks_folder(index.footage[0])))
    assert [len(track) > 4 for track in tracks] == [True, True]
    for track in tracks:
        for i in range(len(track)):
            points = np.zeros((468, 3), np.float32)
            points[:, :2] = track.mesh(i)
            mesh = Mesh(points_px=points, presence=1.0, chip=np.zeros((1, 1, 3), np.uint8))
            assert face_box(mesh) == track.box(i)
            np.testing.assert_array_equal(five_points(mesh), track.points_px[i])
        np.testing.assert_array_equal(track.meshes(1, 3), np.stack([track.mesh(1), track.mesh(2)]))


# Tracks made by hand.


def patch_at(pts_s: float, grid_index: int, rng: np.random.Generator, size: tuple[int, int] = (200, 120)) -> Patch:
    width, height = size
    planes = [rng.integers(0, 256, (height, width), np.uint8)]
    planes += [rng.integers(0, 256, ((height + 1) // 2, (width + 1) // 2), np.uint8) for _ in range(2)]
    x, y = rng.uniform(60, 100, 2)
    face = Face(
        face_id=3,
        generation=2,
        box_px=Box(x - 20, y - 25, x + 20, y + 25),
        points_px=rng.uniform(0, 100, (5, 2)).astype(np.float32),
        quality=QUALITY,
    )
    picture = Picture(y=planes[0], u=planes[1], v=planes[2], matrix="bt709", full_range=False)
    return cut_patch(picture, face, pts_s=pts_s, grid_index=grid_index, size_px=PATCH_FOR_PX, arrival_s=0.0)


def track_of(folder: Path, patches: list[Patch], grid_s: float = 0.04) -> Track:
    writer = TrackWriter(folder, grid_s)
    for i, patch in enumerate(patches):
        writer.put(patch, np.full((468, 2), i, np.float32))
    writer.close("GONE")
    return Track.open(folder)


def test_patches_come_back_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    patches = [patch_at(0.04 * i, i, rng, size=(201, 121)) for i in range(3)]
    track = track_of(tmp_path / "0", patches)
    for i, patch in enumerate(patches):
        again = track.patch(i)
        for name in ("y", "u", "v"):
            np.testing.assert_array_equal(getattr(again.picture, name), getattr(patch.picture, name))
        assert (again.picture.matrix, again.picture.full_range) == ("bt709", False)
        assert again.face.box_px == patch.face.box_px
        assert again.face.quality == patch.face.quality
        assert (again.face.face_id, again.face.generation) == (3, 2)
        np.testing.assert_array_equal(again.face.points_px, patch.face.points_px)
        assert again.face.points_px.dtype == np.float32
        assert (again.pts_s, again.grid_index) == (patch.pts_s, patch.grid_index)
        assert (again.origin_px, again.reduction) == (patch.origin_px, patch.reduction)
        assert (track.mesh(i) == i).all()


def test_runs_are_ranges_of_consecutive_grid_points(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    patches = [patch_at(0.04 * index, index, rng) for index in (0, 1, 2, 4, 5, 9)]
    assert track_of(tmp_path / "0", patches).runs() == [range(0, 3), range(3, 5), range(5, 6)]


@pytest.mark.parametrize("rate_hz", [12.5, 15.0, 23.976, 25.0, 29.97])
@pytest.mark.parametrize("step", [1, 2])
def test_on_grid_takes_what_a_ring_takes(rate_hz: float, step: int, tmp_path: Path) -> None:
    """With frames missing here and there. (Each frame of these sources has a grid point of its own.)"""
    rng = np.random.default_rng(3)
    fine = PatchRing(anchor_pts_s=7.3, grid_s=0.04, capacity=99)
    coarse = PatchRing(anchor_pts_s=7.3, grid_s=0.04 * step, capacity=99)
    patches: list[Patch] = []
    expected: list[list[float]] = [[]]
    for i in range(60):
        pts_s = 7.3 + i / rate_hz
        if (i and rng.random() < 0.15) or not fine.wants(pts_s):
            continue
        patches.append(patch_at(pts_s, fine.index_of(pts_s), rng))
        fine.put(patches[-1])
        if coarse.wants(pts_s):
            before = len(coarse.newest(99))
            coarse.put(patch_at(pts_s, coarse.index_of(pts_s), rng))
            run = [item.patch.pts_s for item in coarse.newest(99)]
            if len(run) <= before:
                expected.append([])
            expected[-1] = run
    track = track_of(tmp_path / "0", patches)
    assert [[track.pts_s[i] for i in run] for run in track.on_grid(step)] == expected


def test_many_tracks_hold_no_file_open(tmp_path: Path) -> None:
    track = track_of(tmp_path / "0", [patch_at(0.0, 0, np.random.default_rng(1))])
    track.patch(0), track.mesh(0)
    for name in ("track.json", "planes.bin", "mesh.npy"):
        (tmp_path / "0" / name).unlink()
    with pytest.raises(DataError, match=r"planes\.bin"):
        track.patch(0)


def read_all(folder: Path) -> None:
    track = Track.open(folder)
    track.mesh(0)
    track.patch(0)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("track.json", b"", "not JSON"),
        ("track.json", b"{}", "no track of format 1"),
        ("track.json", b'{"format": 1, "pts_s": [0.0]}', "damaged"),
        ("planes.bin", b"short", "shorter than track.json says"),
        ("mesh.npy", b"no array", "cannot be read"),
        ("mesh.npy", b"", "cannot be read"),
    ],
)
def test_damage_is_told_with_what_to_do(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    track_of(tmp_path / "0", [patch_at(0.0, 0, np.random.default_rng(1))])
    (tmp_path / "0" / name).write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        read_all(tmp_path / "0")
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"grid_index": [10**30]}, "too (large|big)|out of"),
        ({"matrix": [99]}, "matrix is 99"),
        ({"matrix": [-1]}, "matrix is -1"),
        ({"offset": [-1]}, "offset is -1"),
        ({"size": [[10**9, 10**9]]}, "size is 1000000000"),
        ({"reduction": [0]}, "reduction is 0"),
        ({"face_id": [3, 4]}, "face_id is no single number"),
        ({"grid_s": 0}, "grid_s is 0"),
    ],
)
def test_numbers_that_cannot_be_are_damage(change: dict[str, object], problem: str, tmp_path: Path) -> None:
    track_of(tmp_path / "0", [patch_at(0.0, 0, np.random.default_rng(1))])
    path = tmp_path / "0" / "track.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=f"damaged .*({problem}).*Prepare its footage again"):
        read_all(tmp_path / "0")


def test_all_of_a_track_is_on_the_disk_before_anything_says_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a power cut leaves a track.json beside planes of no length."""
    kept: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: kept.append(os.fstat(file).st_ino))
    track_of(tmp_path / "0", [patch_at(0.0, 0, np.random.default_rng(1))])
    order = [(tmp_path / "0" / name).stat().st_ino for name in ("planes.bin", "mesh.npy", "track.json")]
    assert kept == order


def test_lists_of_different_length_are_damage(tmp_path: Path) -> None:
    track_of(tmp_path / "0", [patch_at(0.04 * i, i, np.random.default_rng(1)) for i in range(2)])
    path = tmp_path / "0" / "track.json"
    told = json.loads(path.read_text())
    told["reduction"].pop()
    path.write_text(json.dumps(told))
    with pytest.raises(DataError, match="differ in length"):
        Track.open(tmp_path / "0")
