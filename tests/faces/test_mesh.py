"""The mesh lies on the face, left is left, and the head's pose is what the picture shows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from streamguard.faces.mesh import CHIP_PX, face_box, five_points, head_pose, roi_of_mesh
from streamguard.values import Mesh
from tests.faces.people import FACE, mesh_of, mesher, picture_of, portrait, scene

TEMPLATE = np.array([(75.101, 75.057), (147.922, 73.796), (111.627, 119.876), (79.359, 152.864), (146.394, 151.702)])
"""AltFreezing's five points in its 224 px crop."""

MIRROR = Image.Transpose.FLIP_LEFT_RIGHT


def misfit(points: np.ndarray) -> float:
    """The largest distance, in pixels of the 224 px crop, after the best similarity onto the template."""
    source = (points - points.mean(axis=0)) @ (1, 1j)
    target = (TEMPLATE - TEMPLATE.mean(axis=0)) @ (1, 1j)
    factor = (source.conj() @ target) / (source.conj() @ source)
    return float(np.abs(target - factor * source).max())


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Where points of the portrait lie after `Image.rotate(degrees)`."""
    angle = np.radians(-degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved: np.ndarray = (points - 256) @ turn.T + 256
    return moved


def test_the_face_box_lies_on_the_face() -> None:
    mesh = mesh_of(portrait())
    assert mesh.presence > 0.99
    assert face_box(mesh) == pytest.approx(tuple(FACE), abs=6)
    assert mesh.points_px.shape == (468, 3)
    assert mesh.points_px.dtype == np.float32


def test_the_five_points_are_where_one_would_point() -> None:
    points = five_points(mesh_of(portrait()))
    assert points.dtype == np.float32
    seen = [(204, 102), (247, 104), (223, 127), (201, 139), (246, 142)]  # by hand, on the portrait enlarged
    assert np.abs(points - seen).max() < 5


@pytest.mark.parametrize("degrees", [-90, -30, 30, 90])
def test_the_five_points_turn_with_the_picture(degrees: int) -> None:
    upright = five_points(mesh_of(portrait()))
    # A face on its side is found by where it was, as a tracker would: detectors do not know it.
    before = mesh_of(portrait())
    place = before.points_px.copy()
    place[:, :2] = turned(place[:, :2], degrees)
    picture = picture_of(portrait().rotate(degrees, Image.Resampling.BICUBIC))
    mesh = mesher().follow(picture, Mesh(points_px=place, presence=1.0, chip=before.chip), (0.0, 0.0))
    assert mesh.presence > 0.99
    assert np.abs(five_points(mesh) - turned(upright, degrees)).max() < 4


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_five_points_scale_with_the_picture(scale: float) -> None:
    side = round(512 * scale)
    points = five_points(mesh_of(portrait().resize((side, side), Image.Resampling.LANCZOS)))
    assert np.abs(points / scale - five_points(mesh_of(portrait()))).max() < 2.5


def test_depth_scales_with_the_picture() -> None:
    small = mesh_of(portrait()).points_px
    large = mesh_of(portrait().resize((1024, 1024), Image.Resampling.LANCZOS)).points_px
    assert np.ptp(large[:, 2]) == pytest.approx(2 * np.ptp(small[:, 2]), rel=0.1)
    assert np.ptp(small[:, 2]) == pytest.approx(np.ptp(small[:, 0]), rel=0.4)  # a head is about as deep as it is wide


def test_left_stays_left_in_a_mirrored_picture() -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = five_points(mesh_of(portrait().transpose(MIRROR)))
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize("change", ["none", "mirror", "turn"])
def test_the_five_points_fit_the_published_template(change: str) -> None:
    image = portrait()
    if change == "mirror":
        image = image.transpose(MIRROR)
    elif change == "turn":
        image = image.rotate(20, Image.Resampling.BICUBIC)
    points = five_points(mesh_of(image))
    assert misfit(points) < 12
    # In any other order they do not fit: eyes swapped, mouth corners swapped, all mirrored.
    for order in ([1, 0, 2, 3, 4], [0, 1, 2, 4, 3], [1, 0, 2, 4, 3], [3, 4, 2, 0, 1]):
        assert misfit(points[order]) > 25


def test_a_portrait_looks_about_straight() -> None:
    pose = head_pose(mesh_of(portrait()))
    assert abs(pose.yaw_deg) < 8
    assert abs(pose.pitch_deg) < 10
    assert abs(pose.roll_deg) < 6


def test_mirroring_turns_yaw_and_roll_round() -> None:
    image = portrait().rotate(15, Image.Resampling.BICUBIC)
    pose, mirrored = head_pose(mesh_of(image)), head_pose(mesh_of(image.transpose(MIRROR)))
    assert mirrored.yaw_deg == pytest.approx(-pose.yaw_deg, abs=4)
    assert mirrored.roll_deg == pytest.approx(-pose.roll_deg, abs=4)
    assert mirrored.pitch_deg == pytest.approx(pose.pitch_deg, abs=4)
    assert pose.roll_deg < -8


def rotated_in_space(mesh: Mesh, yaw_deg: float, pitch_deg: float) -> Mesh:
    """A mesh whose head turns: to the right of the picture by yaw, up by pitch."""
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    points = mesh.points_px @ (about_y @ about_x).T
    return Mesh(points_px=points.astype(np.float32), presence=1.0, chip=mesh.chip)


@pytest.mark.parametrize(("yaw", "pitch"), [(30, 0), (-30, 0), (0, 20), (0, -20)])
def test_a_head_that_turns_in_space_changes_yaw_or_pitch(yaw: float, pitch: float) -> None:
    straight = mesh_of(portrait())
    turned_mesh = rotated_in_space(straight, yaw, pitch)
    before, after = head_pose(straight), head_pose(turned_mesh)
    assert after.yaw_deg - before.yaw_deg == pytest.approx(yaw, abs=3)
    assert after.pitch_deg - before.pitch_deg == pytest.approx(pitch, abs=4)

    # The nose, nearest of all, moves that way in the picture: y is down.
    def nose(mesh: Mesh) -> np.ndarray:
        offset: np.ndarray = mesh.points_px[4, :2] - mesh.points_px[[33, 263, 152], :2].mean(axis=0)
        return offset

    moved = nose(turned_mesh) - nose(straight)
    assert np.sign(moved[0] if yaw else -moved[1]) == np.sign(yaw or pitch)


def test_a_face_is_followed_where_it_moved_to() -> None:
    before_image, _ = scene(640, 480, 90, (200, 200))
    after_image, face = scene(640, 480, 90, (260, 190))
    before = mesh_of(before_image)
    after = mesher().follow(picture_of(after_image), before, (60.0, -10.0))
    assert after.presence > 0.99
    assert face_box(after).centre == pytest.approx(face.centre, abs=5)


def test_following_stays_put_on_a_still_picture() -> None:
    picture = picture_of(portrait())
    mesh = first = mesh_of(portrait())
    for _ in range(20):
        mesh = mesher().follow(picture, mesh, (0.0, 0.0))
    assert np.abs(mesh.points_px - first.points_px).max() < 2.5


def test_where_no_face_is_presence_is_low() -> None:
    wall = picture_of(Image.new("RGB", (512, 512), (128, 120, 110)))
    assert mesher().follow(wall, mesh_of(portrait()), (0.0, 0.0)).presence < 0.1


@pytest.mark.parametrize("place", [(-900.0, 0.0), (0.0, 5000.0), (1e5, -1e5)])
def test_a_face_expected_outside_the_picture_is_only_absent(place: tuple[float, float]) -> None:
    mesh = mesher().follow(picture_of(portrait()), mesh_of(portrait()), place)
    assert mesh.presence < 0.5
    assert np.isfinite(mesh.points_px).all()


def test_a_mesh_of_one_point_is_survived() -> None:
    point = Mesh(points_px=np.full((468, 3), 100, np.float32), presence=1.0, chip=np.zeros((1, 1, 3), np.uint8))
    assert roi_of_mesh(point).side_px == 1.5
    assert np.isfinite(mesher().follow(picture_of(portrait()), point, (0.0, 0.0)).points_px).all()
    pose = head_pose(point)
    assert np.isfinite([pose.yaw_deg, pose.pitch_deg, pose.roll_deg]).all()


def test_the_chip_is_upright_and_filled_by_the_face() -> None:
    chips = [mesh_of(image).chip for image in (portrait(), portrait().rotate(25, Image.Resampling.BICUBIC))]
    assert chips[0].shape == (CHIP_PX, CHIP_PX, 3)
    assert chips[0].dtype == np.uint8
    inner = [chip[40:150, 40:150].astype(np.float64) for chip in chips]
    assert np.corrcoef(inner[0].ravel(), inner[1].ravel())[0, 1] > 0.9
