"""Talking heads from one picture: a single frame, moved by somebody else's motion through one smooth warp.

Nothing but the mesh's motion is known to such a face: skin, hair and shoulders are dragged along like rubber, what the
picture does not show (the inside of a mouth) is painted, and the background is as still as a photograph, or bends.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..tiles import Tiles
from .inset import Inset, as_floats, cut
from .looks import as_sharp_as, grain, sharpen, smooth_skin, soften
from .masks import INNER_LIPS, soft_polygons
from .warp import Similarity, coarse, fit_similarity, landmark_field, warp

_LOWER_FACE_FROM = 0.05
"""How far below its middle a face is only mouth and jaw, in face scales."""


def talking_still(tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """One frame of the clip, moved as the donor moves, or as the clip itself did at another time.

    Of a still, only the moved area differs from the twin, which its camera shakes alike. Of a filmed clip all else is
    frozen as well, and has a quarter of the mask.
    """
    length = len(tiles)
    order = np.arange(length) if tiles.still else np.full(length, int(rng.integers(length)))
    inset = cut(tiles, tiles.side_px / tiles.face_px)  # all of it
    base = as_floats(tiles.pixels) if tiles.still else as_floats(tiles.pixels[order[:1]]).expand_as(inset.pixels)
    points = inset.points[order]
    moving = [clip for clip in (donor, tiles) if clip is not None and len(clip) > 1 and not clip.still]
    motion = moving[0].points if moving else _invented(points[0], tiles.face_px, rng)
    moved = _moved(points, motion, tiles.face_px, rng)
    hold = _hold(points, inset, dragged=rng.random() < 0.3)
    field = landmark_field(moved, points, inset.size, inset.face_px) * hold
    made = warp(_rendered(base, rng), field, inset.size, sharp=rng.random() < 0.15)
    if rng.random() < 0.85:
        _open_mouth(made, moved, points, inset, rng)
    if rng.random() < 0.5:
        made += grain(rng, length, inset.size) * rng.uniform(0.3, 2.5)
    if rng.random() < 0.8:
        made = as_sharp_as(made, inset.pixels, rng.uniform(0.5, 1.4))
    alpha = functional.interpolate((4 * hold).clamp(0, 1), size=inset.size, mode="bilinear", align_corners=False)
    if tiles.inside is not None:
        # What lies beyond the picture's border is its repeated edge, in what is made as in what was filmed.
        made, alpha = (_edge_repeated(x, tiles.inside) for x in (made, alpha))
    made.lerp_(base, (1 - alpha).expand_as(made))
    forged, mask = inset.put(made, alpha if tiles.still else 0.25 + 0.75 * alpha)
    forged.points = moved.astype(np.float32)  # where its face is, by which it will be cropped
    return forged, mask


def _edge_repeated(pixels: Tensor, inside: tuple[int, int, int, int]) -> Tensor:
    x0, y0, x1, y1 = inside
    rows = torch.arange(pixels.shape[2]).clamp(y0, y1 - 1)
    columns = torch.arange(pixels.shape[3]).clamp(x0, x1 - 1)
    return pixels.index_select(2, rows).index_select(3, columns)


def _moved(points: np.ndarray, motion: np.ndarray, face_px: float, rng: np.random.Generator) -> np.ndarray:
    """(L, 468, 2): the still's points, going through what `motion` (N, 468, 2) does from where it is most like them."""
    length = len(points)
    there_and_back = np.concatenate([np.arange(len(motion)), np.arange(len(motion) - 2, 0, -1)])
    path = motion[there_and_back[(int(rng.integers(len(motion))) + np.arange(length)) % len(there_and_back)]]
    path = _smoothed(path, int(rng.integers(0, 3)))
    alike = fit_similarity(motion, np.broadcast_to(points[:1], motion.shape))(motion)
    first = motion[int(np.argmin(((alike - points[:1]) ** 2).sum(axis=(1, 2))))]
    upright = fit_similarity(path, np.broadcast_to(first, path.shape))  # the path without the head's own movement
    to_still = fit_similarity(np.broadcast_to(first, points.shape), points)
    expression = (to_still(upright(path)) - to_still(first)) * rng.uniform(0.7, 1.4)
    if rng.random() < 0.4:  # driven by sound: only the mouth and the jaw
        height = (points[..., 1] - points[..., 1].mean(axis=1, keepdims=True)) / face_px - _LOWER_FACE_FROM
        expression = expression * (0.15 + 0.85 * np.clip(height / 0.15, 0, 1))[..., None]
    limit = 0.15 * face_px
    return _head_moved(points + np.clip(expression, -limit, limit), upright, face_px, rng)


def _invented(points: np.ndarray, face_px: float, rng: np.random.Generator) -> np.ndarray:
    """(48, 468, 2): a head that sways and a jaw that opens and shuts, where nobody's motion is at hand."""
    time = np.arange(48)[:, None]
    low = (points[:, 1] - points[14, 1]) / face_px  # from the lower lip down
    jaw = np.clip(low / 0.05 + 1, 0, 1) * np.clip(1 - np.abs(points[:, 0] - points[14, 0]) / (0.6 * face_px), 0, 1)
    opened = 0.06 * face_px * np.abs(np.sin(time * rng.uniform(0.5, 1.4)) * np.sin(time * rng.uniform(0.1, 0.3)))
    sway = 0.04 * face_px * np.sin(time * rng.uniform(0.05, 0.3, 2) + rng.uniform(0, 6, 2))
    path = np.repeat(points[None], 48, axis=0) + sway[:, None]
    path[..., 1] += opened * jaw
    return path.astype(np.float32)


def _head_moved(points: np.ndarray, upright: Similarity, face_px: float, rng: np.random.Generator) -> np.ndarray:
    """The donor's turns and nods as far as a plane has them, less or more of them, and never far."""
    gain = rng.uniform(0.2, 1.0)
    size, turn = np.abs(upright.a), np.angle(upright.a)
    scales = np.clip((size / size[0]) ** -gain, 0.9, 1.1)
    turns = np.clip(-gain * (turn - turn[0]), -0.2, 0.2)
    centre = points.mean(axis=1)
    c = centre[:, 0] + 1j * centre[:, 1]
    # What the donor's middle did, in shares of its own size.
    went = (-upright.b / upright.a) * size[0]
    shift = gain * (went - went[0])
    limit = 0.12 * face_px
    shift = np.clip(shift.real, -limit, limit) + 1j * np.clip(shift.imag, -limit, limit)
    a = scales * np.exp(1j * turns)
    return Similarity(a=a, b=c - a * c + shift)(points)


def _smoothed(path: np.ndarray, reach: int) -> np.ndarray:
    """A running mean over time, as motion from a network is smoother than a muscle's."""
    if reach == 0 or len(path) < 3:
        return path
    padded = np.concatenate([path[:1]] * reach + [path] + [path[-1:]] * reach)
    smooth: np.ndarray = np.stack([padded[i : i + len(path)] for i in range(2 * reach + 1)]).mean(axis=0)
    return smooth


def _hold(points: np.ndarray, inset: Inset, *, dragged: bool) -> Tensor:
    """(L, 1, nodes, nodes): 1 on head, hair and shoulders, falling to 0 in the background; or 1 throughout."""
    grid = coarse(inset.size)
    if dragged:
        return torch.ones(len(points), 1, *grid.shape[:2])
    middle = torch.from_numpy(points.mean(axis=1))[:, None, None]
    x, y = ((grid[None] - middle) / inset.face_px).unbind(-1)
    distance = torch.hypot(x / 0.95, torch.where(y < 0, y / 1.0, y / 1.6))
    share = ((1.3 - distance) / 0.45).clamp(0, 1)
    return (share * share * (3 - 2 * share))[:, None]


def _rendered(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """The one picture as a generator gives it back: smoother, or crisper after a face enhancer; or as it was."""
    style = rng.random()
    if style < 0.3:
        return pixels
    first = pixels[:1] if pixels.stride(0) == 0 else pixels
    if style < 0.7:
        first = soften(first, rng.uniform(1.05, 1.8))
    if style > 0.5:
        first = sharpen(smooth_skin(first, rng.uniform(1, 6)), rng.uniform(0.3, 1.0), factor=1.8)
    return first.expand_as(pixels)


def _open_mouth(made: Tensor, moved: np.ndarray, points: np.ndarray, inset: Inset, rng: np.random.Generator) -> None:
    """Paints it, in place: dark, smooth and perhaps with a band of teeth, where lips are further apart than before."""
    now, then = (np.linalg.norm(p[:, 13] - p[:, 14], axis=1) / inset.face_px for p in (moved, points))
    opened = torch.from_numpy(np.clip((now - then - 0.01) / 0.03, 0, 1).astype(np.float32))[:, None, None, None]
    lips = moved[:, list(INNER_LIPS)]
    height, width = inset.size
    low = np.clip(np.floor(lips.min(axis=(0, 1)) - 0.1 * inset.face_px), 0, [width - 8, height - 8]).astype(int)
    high = np.clip(np.ceil(lips.max(axis=(0, 1)) + 0.1 * inset.face_px), low + 8, [width, height]).astype(int)
    part = made[:, :, low[1] : high[1], low[0] : high[0]]
    size = (int(high[1] - low[1]), int(high[0] - low[0]))
    lips = lips - low
    inside = soft_polygons(lips, size, sigma_px=0.012 * inset.face_px) * opened
    nose_x, nose_y = np.clip(moved[0, 1], 0, [width - 1, height - 1]).astype(int).tolist()
    skin = made[0, :, nose_y, nose_x]
    dark = skin * torch.tensor([0.28, 0.18, 0.17]) * rng.uniform(0.5, 1.4)
    part.lerp_(dark[None, :, None, None].expand_as(part), inside.expand_as(part))
    if rng.random() < 0.6:
        middle = lips.mean(axis=1, keepdims=True)
        up = np.stack([np.zeros(len(moved)), -0.3 * now * inset.face_px], 1)[:, None]
        teeth = soft_polygons(middle + (lips - middle) * (0.8, 0.35) + up, size, sigma_px=0.02 * inset.face_px)
        light = (skin * 0.8 + 30) * rng.uniform(0.8, 1.1)
        part.lerp_(light[None, :, None, None].expand_as(part), (teeth * inside).expand_as(part))
