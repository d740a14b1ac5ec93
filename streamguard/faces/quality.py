"""What the picture allows to be said about a face: a mesh and its picture in, a Quality and reasons for doubt out.

Called by the tracker for each face it measures, and by the session for each window. Nothing here judges the person:
the limits (QualityLimits) were set on real clips so that ordinary faces pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from ..picture import Picture
from ..values import Box, Mesh, Quality, Reason
from .mesh import LEFT_EYE, RIGHT_EYE, face_box, head_pose, roi_of_mesh, samples_under

_GRID_PX = 96
"""Sharpness is measured with the chip at this size: a face is then 64 px wide, about what clip networks are given."""
_RAMP, _CRISP = 0.25, 0.55
"""Fine over coarse detail of a mere brightness ramp, and of a crisp face (the median of 63 studio portraits)."""
_BLACK, _WHITE = 5, 250

# Points of the mesh, by MediaPipe's numbering, on skin above the nose's tip and below it.
_UPPER_SKIN = np.array(
    [10, 151, 9, 67, 109, 108, 69, 338, 337, 297, 299, 50, 101, 118, 117, 123, 36, 280, 330, 347, 346, 352]
)
_LOWER_SKIN = np.array(
    [205, 207, 187, 216, 212, 214, 425, 427, 411, 436, 432, 434, 199, 200, 18, 201, 421, 208, 428, 83, 313]
)
_LEFT_EYE, _RIGHT_EYE = np.array(LEFT_EYE), np.array(RIGHT_EYE)
_OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409)
_INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415)
_LIPS = np.array(_OUTER_LIPS + _INNER_LIPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """Beyond these a face is LOW_QUALITY. Of 670 faces, one a second in real clips, 648 pass: 8 are called OCCLUDED, 11
    PADDED, 3 TURNED_AWAY. (The limits were set on these same clips.)
    """

    min_size_px: float = 48.0
    min_sharpness: float = 0.3
    """Blur by a 40th of the face's width, or more."""
    min_luma: float = 0.15
    max_luma: float = 0.9
    max_clipped: float = 0.35
    max_yaw_deg: float = 40.0
    max_pitch_deg: float = 35.0
    min_presence: float = 0.5
    max_padded: float = 0.5


def measure_quality(mesh: Mesh, picture: Picture) -> Quality:
    box = face_box(mesh)
    pose = head_pose(mesh)
    grey = Image.fromarray(mesh.chip).convert("L")
    luma, clipped = _brightness(grey)
    return Quality(
        size_px=box.scale,
        sharpness=_sharpness(grey, roi_of_mesh(mesh).side_px),
        luma=luma,
        clipped=clipped,
        yaw_deg=pose.yaw_deg,
        pitch_deg=pose.pitch_deg,
        roll_deg=pose.roll_deg,
        presence=mesh.presence * (1.0 - covered(mesh, picture)),
        padded=_padded(box, picture),
    )


def worst_quality(qualities: Sequence[Quality]) -> Quality:
    """The worst of a clip, field by field."""
    return Quality(
        size_px=min(q.size_px for q in qualities),
        sharpness=min(q.sharpness for q in qualities),
        luma=max((q.luma for q in qualities), key=lambda luma: abs(luma - 0.5)),
        clipped=max(q.clipped for q in qualities),
        yaw_deg=max((q.yaw_deg for q in qualities), key=abs),
        pitch_deg=max((q.pitch_deg for q in qualities), key=abs),
        roll_deg=max((q.roll_deg for q in qualities), key=abs),
        presence=min(q.presence for q in qualities),
        padded=max(q.padded for q in qualities),
    )


def quality_reasons(quality: Quality, limits: QualityLimits) -> tuple[Reason, ...]:
    """Why this face cannot be judged; empty if it can. In the order of `Reason`."""
    too_dark = quality.luma < limits.min_luma
    too_bright = quality.luma > limits.max_luma
    turned = abs(quality.yaw_deg) > limits.max_yaw_deg or abs(quality.pitch_deg) > limits.max_pitch_deg
    found = {
        Reason.TOO_SMALL: quality.size_px < limits.min_size_px,
        Reason.BLURRED: quality.sharpness < limits.min_sharpness,
        Reason.DARK: too_dark or (quality.clipped > limits.max_clipped and quality.luma < 0.5),
        Reason.OVEREXPOSED: too_bright or (quality.clipped > limits.max_clipped and quality.luma >= 0.5),
        Reason.TURNED_AWAY: turned,
        Reason.OCCLUDED: quality.presence < limits.min_presence,
        Reason.PADDED: quality.padded > limits.max_padded,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def covered(mesh: Mesh, picture: Picture) -> float:
    """How surely something lies over part of the face, 0 to 1; 0.5 is where it should be believed.

    The mesh network's own presence hardly falls for a mask over half a face, so three things are looked at: the
    colour of the lower face against the upper, their brightness, and whether mouth and eyes are there to be seen.
    A hand, having the colour of skin and lines of its own, is not noticed.
    """
    samples = samples_under(mesh, picture)
    upper, lower = _typical(samples[_UPPER_SKIN]), _typical(samples[_LOWER_SKIN])
    skin = max(20.0, float(upper[0]), float(lower[0]))
    colour = float(np.abs(_chroma(upper) - _chroma(lower)).sum())
    brightness = abs(float(np.log(max(upper[0], 5.0) / max(lower[0], 5.0))))
    return max(
        _rise(colour, 0.16, 0.10),
        _rise(brightness, 0.8, 0.4),
        1.0 - _rise(_relief(mesh, samples, _LIPS) / skin, 0.035, 0.02),
        1.0 - _rise(_relief(mesh, samples, _LEFT_EYE) / skin, 0.012, 0.008),
        1.0 - _rise(_relief(mesh, samples, _RIGHT_EYE) / skin, 0.012, 0.008),
    )


def _typical(samples: np.ndarray) -> np.ndarray:
    """The median of each column. (np.median does the same in ten times the time.)"""
    return np.partition(samples, len(samples) // 2, axis=0)[len(samples) // 2]


def _chroma(yuv: np.ndarray) -> np.ndarray:
    """Colour as a share of brightness, so that shadow does not change it."""
    return (yuv[1:] - 128.0) / max(float(yuv[0]), 30.0)


def _relief(mesh: Mesh, samples: np.ndarray, points: np.ndarray) -> float:
    """How uneven the brightness of these points is, after an even slope of light is taken out."""
    place, grey = mesh.points_px[points, :2], samples[points, 0]
    place = place - place.sum(axis=0) / len(points)
    grey = grey - grey.sum() / len(points)
    # Least squares of a plane, by the 2x2 normal equations.
    (xx, xy), (_, yy) = place.T @ place
    x, y = place.T @ grey
    det = max(float(xx * yy - xy * xy), 1e-6)
    slope = np.array([yy * x - xy * y, xx * y - xy * x]) / det
    rest = grey - place @ slope
    return float(np.sqrt(rest @ rest / len(points)))


def _rise(value: float, middle: float, half_width: float) -> float:
    """0 below, 1 above, 0.5 in the middle."""
    return min(1.0, max(0.0, 0.5 + (value - middle) / (2 * half_width)))


def _brightness(grey: Image.Image) -> tuple[float, float]:
    """Mean brightness and the share that is black or white, both 0 to 1, inside the face."""
    counts = np.array(grey.histogram(_face_image(grey.width)), np.float64)
    total = max(float(counts.sum()), 1.0)
    luma = float(counts @ np.arange(256)) / (255.0 * total)
    return luma, float(counts[:_BLACK].sum() + counts[_WHITE:].sum()) / total


def _sharpness(grey: Image.Image, side_px: float) -> float:
    """Fine detail against detail four times as coarse: 0 for blur, 1 for a crisp portrait.

    A small face was enlarged to make its chip. It is brought back to its own size first: then its finest detail is that
    of its own pixels, and it is not called blurred for being small. Sensor noise counts as detail.
    """
    side = max(16, min(_GRID_PX, int(side_px)) // 8 * 8)
    small = grey.reduce(2) if side == _GRID_PX == grey.width // 2 else grey.resize((side, side), Image.Resampling.BOX)
    detail = []
    level: np.ndarray = np.asarray(small, np.float32)
    for _ in range(3):
        # Of each block of 2 x 2 pixels the variance is this level's detail, and the mean makes the next, coarser level.
        a, b, c, d = level[::2, ::2], level[::2, 1::2], level[1::2, ::2], level[1::2, 1::2]
        level = (a + b + c + d) / 4
        variance = (a * a + b * b + c * c + d * d) / 4 - level * level
        inside = variance[_face_mask(level.shape[0])]
        detail.append(float(np.sqrt(max(0.0, float(inside.sum()) / inside.size))))
    fine, _, coarse = detail
    if coarse < 1.0:  # less than one grey level: there is nothing to be sharp
        return 0.0
    return min(1.0, max(0.0, (fine / coarse - _RAMP) / (_CRISP - _RAMP)))


@lru_cache
def _face_mask(side: int) -> np.ndarray:
    """(side, side) bool: the ellipse of a chip that is face."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    return (x / 0.27) ** 2 + (y / 0.33) ** 2 < 1.0


@lru_cache
def _face_image(side: int) -> Image.Image:
    return Image.fromarray(_face_mask(side))


def _padded(box: Box, picture: Picture) -> float:
    """How much of a square of twice the face's size lies outside the picture."""
    x, y = box.centre
    around = Box(x - box.scale, y - box.scale, x + box.scale, y + box.scale)
    return 1.0 - around.share_inside(picture.width, picture.height)
