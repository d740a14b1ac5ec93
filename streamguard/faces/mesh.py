"""Measures a face: a picture and where the face is in, 468 points and an upright chip out. Called by the tracker.

The network is MediaPipe's face mesh (Kartynnik et al., 2019; Apache-2.0). The other functions here read a Mesh: its
box, its five points, its pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..assets import asset_path
from ..picture import Affine, Picture
from ..values import Box, Detection, Mesh
from .network import Pixels, open_network

CHIP_PX = 192
ROI_SHARE = 1.5
"""Side of the square that the network sees, in sides of the face's box."""

# Points of the mesh, by MediaPipe's numbering. "Left" is left in the picture of an upright face: the person's right.
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
_LEFT_EYE_CORNER, _RIGHT_EYE_CORNER = 33, 263
_NOSE_TIP = 4
_LEFT_MOUTH, _RIGHT_MOUTH = 61, 291
_FOREHEAD, _CHIN = 10, 152
FIVE_POINT_INDICES = (LEFT_EYE, RIGHT_EYE, (_NOSE_TIP,), (_LEFT_MOUTH,), (_RIGHT_MOUTH,))
"""Which mesh points make the five points: each is the mean of a few."""
_LEFT_EDGE, _RIGHT_EDGE = 234, 454

_NEUTRAL_PITCH_DEG = -3.6
"""How the line from forehead to chin leans in people who look straight ahead: the median of 63 studio portraits."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A square of the picture, turned so that the face in it is upright."""

    x_px: float
    y_px: float
    side_px: float
    roll_rad: float
    """Clockwise in the picture."""

    @property
    def affine(self) -> Affine:
        """From pixels of the chip to pixels of the picture."""
        scale = self.side_px / CHIP_PX
        a, d = scale * float(np.cos(self.roll_rad)), scale * float(np.sin(self.roll_rad))
        half = CHIP_PX / 2
        return a, -d, self.x_px - (a - d) * half, d, a, self.y_px - (d + a) * half


class MeshNetwork:
    """The built-in FaceMesher."""

    def __init__(self) -> None:
        self._network = open_network(asset_path("face-mesh"), Pixels(mean=0.0, scale=255.0))
        shapes = self._network.outputs
        self._points_name, self._flag_name = sorted(shapes, key=lambda name: shapes[name][-1], reverse=True)

    def measure(self, picture: Picture, detection: Detection) -> Mesh:
        return self._see(picture, roi_of_detection(detection))

    def follow(self, picture: Picture, before: Mesh, shift_px: tuple[float, float]) -> Mesh:
        return self._see(picture, roi_of_mesh(before, shift_px))

    def _see(self, picture: Picture, roi: Roi) -> Mesh:
        affine = roi.affine
        chip = picture.rgb_warped(affine, (CHIP_PX, CHIP_PX))
        outputs = self._network.run(chip[None])
        flag = float(np.clip(outputs[self._flag_name].flat[0], -100.0, 100.0))
        return Mesh(
            points_px=_in_picture(outputs[self._points_name].reshape(-1, 3), affine),
            presence=float(1.0 / (1.0 + np.exp(-flag))),
            chip=chip,
        )


def _in_picture(points: np.ndarray, affine: Affine) -> np.ndarray:
    """(468, 3) chip pixels to (468, 3) picture pixels; depth is scaled alike."""
    a, b, c, d, e, f = affine
    x, y, z = points.T
    scale = float(np.hypot(a, d))
    return np.stack([a * x + b * y + c, d * x + e * y + f, scale * z], axis=1).astype(np.float32)


def roi_of_detection(detection: Detection) -> Roi:
    """As MediaPipe does: round the box's centre, upright by the eyes."""
    x, y = detection.box_px.centre
    side = max(detection.box_px.width, detection.box_px.height, 1.0)
    left, right = detection.eyes_px
    return Roi(x, y, ROI_SHARE * side, float(np.arctan2(right[1] - left[1], right[0] - left[0])))


def roi_of_mesh(mesh: Mesh, shift_px: tuple[float, float] = (0.0, 0.0)) -> Roi:
    """Round the points' own upright bounding box, so that a tilted face fills its chip like an upright one."""
    points = mesh.points_px[:, :2].astype(np.float64)
    across = points[_RIGHT_EYE_CORNER] - points[_LEFT_EYE_CORNER]
    roll = float(np.arctan2(across[1], across[0]))
    cos, sin = np.cos(roll), np.sin(roll)
    upright = points @ np.array([[cos, -sin], [sin, cos]])
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
    return Roi(float(x) + shift_px[0], float(y) + shift_px[1], ROI_SHARE * max(float((high - low).max()), 1.0), roll)


def face_box(mesh: Mesh) -> Box:
    """The bounding box of all points."""
    low, high = mesh.points_px[:, :2].min(axis=0), mesh.points_px[:, :2].max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def samples_under(mesh: Mesh, picture: Picture) -> np.ndarray:
    """(468, 3) float32: Y, U, V of the picture under each point of the mesh."""
    x = np.clip(mesh.points_px[:, 0], 0, picture.width - 1).astype(np.intp)
    y = np.clip(mesh.points_px[:, 1], 0, picture.height - 1).astype(np.intp)
    planes = picture.y[y, x], picture.u[y // 2, x // 2], picture.v[y // 2, x // 2]
    return np.stack(planes, axis=1).astype(np.float32)


def five_points(mesh: Mesh) -> np.ndarray:
    """(5, 2) float32: left eye, right eye, nose tip, left and right mouth corner, as they stand in the picture.

    The points and their order are those of AltFreezing's alignment template.
    """
    points = mesh.points_px[:, :2]
    return np.stack([points[list(some)].mean(axis=0) for some in FIVE_POINT_INDICES]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where a face looks, in degrees; all 0 for a face that looks straight at the camera."""

    yaw_deg: float
    """Positive: towards the right edge of the picture."""
    pitch_deg: float
    """Positive: up."""
    roll_deg: float
    """Positive: tilted clockwise in the picture."""


def head_pose(mesh: Mesh) -> HeadPose:
    """From two lines across the face: its width, and from forehead to chin."""
    points = mesh.points_px.astype(np.float64)  # x right, y down, z away from the camera: a right-handed frame
    right = points[_RIGHT_EDGE] - points[_LEFT_EDGE] + points[_RIGHT_EYE_CORNER] - points[_LEFT_EYE_CORNER]
    right /= max(float(np.linalg.norm(right)), 1e-9)
    down = points[_CHIN] - points[_FOREHEAD]
    down = down - (down @ right) * right
    down /= max(float(np.linalg.norm(down)), 1e-9)
    (rx, ry, rz), (dx, dy, dz) = right.tolist(), down.tolist()
    looks = -(ry * dz - rz * dy), -(rz * dx - rx * dz), -(rx * dy - ry * dx)
    pitch = float(np.degrees(np.arcsin(np.clip(-looks[1], -1.0, 1.0)))) - _NEUTRAL_PITCH_DEG
    return HeadPose(
        yaw_deg=float(np.degrees(np.arctan2(looks[0], -looks[2]))),
        pitch_deg=pitch,
        roll_deg=float(np.degrees(np.arctan2(right[1], right[0]))),
    )
