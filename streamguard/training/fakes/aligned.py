"""The square in which face models work: the face upright and at one size, whatever it does in the picture.

Swapping programs cut it out of each frame, render another face in it, and lay that back. What they render has the
square's resolution, and where the alignment is a little off, so is the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .inset import Inset
from .warp import Pushes, Similarity, affine_view, coarse, fit_similarity, landmark_field, warp

_COVERS = 1.5
"""The square's side in face scales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """For each frame, where the square's pixels lie in the inset."""

    side_px: int
    to_inset: Similarity

    @property
    def face_px(self) -> float:
        return self.side_px / _COVERS

    def render(self, source: Tensor, source_points: np.ndarray, target_points: np.ndarray, *, sharp: bool) -> Tensor:
        """(L, 3, side, side): the source's face, its points where the target's (L, 468, 2, inset) are."""
        inside = self.to_inset.inverse(target_points)
        size = (self.side_px, self.side_px)
        return warp(source, landmark_field(inside, source_points, size, self.face_px), size, sharp=sharp)

    def view(self, source: Tensor, *, pushes: Pushes | None, points: np.ndarray, sharp: bool) -> Tensor:
        """(L, 3, side, side): the inset's own pixels, pushed aside or not."""
        size = (self.side_px, self.side_px)
        grid = coarse(size)
        nodes = grid.shape[0]
        places = np.broadcast_to(grid.reshape(1, -1, 2).numpy(), (len(points), nodes * nodes, 2))
        if pushes is not None:
            pushed = pushes.field(self.to_inset.inverse(points), size, self.face_px, np.ones(len(points)))
            places = places + pushed.permute(0, 2, 3, 1).reshape(places.shape).numpy()
        found = torch.from_numpy(self.to_inset(places)).reshape(-1, nodes, nodes, 2)
        return warp(source, (found - grid).permute(0, 3, 1, 2).contiguous(), size, sharp=sharp)

    def lay_back(self, face: Tensor, size: tuple[int, int], *, placed: Similarity, sharp: bool) -> Tensor:
        """(L, 3, h, w): the square's pixels where `placed` says they belong in the inset."""
        back = placed.inverse
        affine = np.stack([back.a.real, -back.a.imag, back.b.real, back.a.imag, back.a.real, back.b.imag], axis=1)
        return affine_view(face, affine.reshape(-1, 2, 3), size, sharp=sharp)


def align(inset: Inset, side_px: int) -> Alignment:
    """By all points, nearest to how they lie in the middle frame made upright."""
    model = inset.points[len(inset.points) // 2]
    across = model[454] - model[234]
    roll = np.arctan2(across[1], across[0])
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    upright = model @ turn
    middle = (upright.min(axis=0) + upright.max(axis=0)) / 2
    template = (upright - middle) * (side_px / (_COVERS * inset.face_px)) + side_px / 2
    return Alignment(
        side_px=side_px, to_inset=fit_similarity(np.broadcast_to(template, inset.points.shape), inset.points)
    )


def misplaced(
    similarity: Similarity, points: np.ndarray, *, scales: np.ndarray, turns_rad: np.ndarray, shifts: np.ndarray
) -> Similarity:
    """The same, then scaled and turned about the face's middle and shifted by (L, 2) pixels."""
    centre = points.mean(axis=1)
    c = centre[:, 0] + 1j * centre[:, 1]
    factor = scales * np.exp(1j * turns_rad)
    shift = shifts[:, 0] + 1j * shifts[:, 1]
    return Similarity(a=factor * similarity.a, b=factor * (similarity.b - c) + c + shift)
