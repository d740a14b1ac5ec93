"""Smooth warps: where landmarks, or a few pushes, move a face's pixels. Fields are made on coarse grids and enlarged.

A field says for each place of the picture that is made how far away in the source its pixel is found: a backward warp.
Coordinates are pixels, (0, 0) the outer corner of the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_NODES = 40
"""Nodes of a coarse grid on a side: about 4 px apart in an inset of 160 px."""
_REACHES = ((0.05, 1.0), (0.15, 1e-2), (0.5, 1e-4), (1.5, 1e-8))
"""How far a landmark is heard, in face scales, and how much: the nearest decide, the far ones fill what is between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Turn, scale and move: z -> a z + b in the complex plane, one for each frame."""

    a: np.ndarray  # (L,) complex128
    b: np.ndarray  # (L,) complex128

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(L, N, 2) or (N, 2) to (L, N, 2) float32."""
        moved = self.a[:, None] * _complex(points) + self.b[:, None]
        return np.stack([moved.real, moved.imag], axis=-1).astype(np.float32)

    @property
    def inverse(self) -> Similarity:
        return Similarity(a=1 / self.a, b=-self.b / self.a)


def fit_similarity(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The similarities that take `source` nearest to `target`, frame by frame; (L, N, 2) or (N, 2) each."""
    z, w = np.atleast_2d(_complex(source)), np.atleast_2d(_complex(target))
    z_mean, w_mean = z.mean(axis=1, keepdims=True), w.mean(axis=1, keepdims=True)
    z, w = z - z_mean, w - w_mean
    a = (z.conj() * w).sum(axis=1) / (np.abs(z) ** 2).sum(axis=1)
    return Similarity(a=a, b=w_mean[:, 0] - a * z_mean[:, 0])


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0].astype(np.float64) + 1j * points[..., 1]


def coarse(size: tuple[int, int]) -> Tensor:
    """(nodes, nodes, 2) float32: where the nodes of the coarse grid over a picture of (height, width) lie."""
    steps = (torch.arange(_NODES, dtype=torch.float32) + 0.5) / _NODES
    y, x = torch.meshgrid(steps * size[0], steps * size[1], indexing="ij")
    return torch.stack([x, y], dim=-1)


def landmark_field(target: np.ndarray, source: np.ndarray, size: tuple[int, int], face_px: float) -> Tensor:
    """(L, 2, nodes, nodes): offsets by which the pixels at `target` (L, N, 2) are found at `source` (L, N, 2).

    A similarity is taken out first, so that the field goes on sensibly where there are no landmarks; the rest is spread
    by normalised Gaussians and refined once, which leaves landmarks a fraction of a pixel off.
    """
    similarity = fit_similarity(target, source)
    grid = coarse(size)
    nodes = grid.reshape(1, -1, 2).numpy()
    whole = torch.from_numpy(similarity(np.broadcast_to(nodes, (len(target), *nodes.shape[1:])))) - grid.reshape(
        1, -1, 2
    )
    field = whole.reshape(-1, _NODES, _NODES, 2).permute(0, 3, 1, 2).contiguous()
    at = torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32))
    rest = torch.from_numpy(source - similarity(target))  # (L, N, 2)
    for _ in range(2):
        spread = _spread(at, rest, size, face_px)
        field += spread
        rest = rest - at_points(spread, at, size)
    return field


def _spread(at: Tensor, values: Tensor, size: tuple[int, int], face_px: float) -> Tensor:
    """Values (L, N, 2) at points (L, N, 2) as a field (L, 2, nodes, nodes): a mean weighted by nearness."""
    clips, count = at.shape[:2]
    scale = torch.tensor([_NODES / size[1], _NODES / size[0]])
    place = at * scale - 0.5
    corner = place.floor()
    part = place - corner
    sums = torch.zeros(clips, 3, _NODES * _NODES)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = (corner[..., 0] + dx).long(), (corner[..., 1] + dy).long()
        weight = (part[..., 0] if dx else 1 - part[..., 0]) * (part[..., 1] if dy else 1 - part[..., 1])
        weight = weight * ((x >= 0) & (x < _NODES) & (y >= 0) & (y < _NODES))
        node = (y.clamp(0, _NODES - 1) * _NODES + x.clamp(0, _NODES - 1))[:, None].expand(clips, 3, count)
        sums.scatter_add_(2, node, torch.cat([values * weight[..., None], weight[..., None]], 2).transpose(1, 2))
    sums = sums.reshape(clips, 3, _NODES, _NODES)
    heard = torch.zeros_like(sums)
    for reach, loudness in _REACHES:
        across, down = (_gaussian(_NODES, reach * face_px * _NODES / side) for side in (size[1], size[0]))
        heard += loudness * (down @ sums @ across)
    return heard[:, :2] / heard[:, 2:].clamp_min(1e-12)


def _gaussian(nodes: int, sigma: float) -> Tensor:
    """(nodes, nodes): how much each node hears each other, 1 at itself."""
    i = torch.arange(nodes, dtype=torch.float32)
    return torch.exp(-0.5 * ((i[:, None] - i[None]) / max(sigma, 0.3)) ** 2)


def at_points(field: Tensor, points: Tensor, size: tuple[int, int]) -> Tensor:
    """(L, N, 2): a field (L, 2, nodes, nodes) over a picture of (height, width), read at points (L, N, 2)."""
    scale = torch.tensor([2 / size[1], 2 / size[0]])
    read = functional.grid_sample(field, (points * scale - 1)[:, None], padding_mode="border", align_corners=False)
    return read[:, :, 0].transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushes:
    """A few places of the mesh pushed aside: the geometry of another face. One draw holds for a whole clip."""

    anchors: np.ndarray  # (K,) indices of mesh points
    offsets: np.ndarray  # (K, 2) face scales
    reaches: np.ndarray  # (K,) face scales

    def field(self, points: np.ndarray, size: tuple[int, int], face_px: float, gains: np.ndarray) -> Tensor:
        """(L, 2, nodes, nodes): the offsets, about the anchors wherever they are, times `gains` (L,)."""
        grid = coarse(size)[None, None]  # (1, 1, nodes, nodes, 2)
        centres = torch.from_numpy(points[:, self.anchors])[:, :, None, None]  # (L, K, 1, 1, 2)
        reaches = torch.from_numpy(self.reaches * face_px)[None, :, None, None]
        weight = torch.exp(-((grid - centres) ** 2).sum(-1) / (2 * reaches**2))  # (L, K, nodes, nodes)
        pushed = torch.from_numpy(gains.astype(np.float32)[:, None, None] * self.offsets[None] * face_px)  # (L, K, 2)
        return torch.einsum("lkyx,lkc->lcyx", weight, pushed)


def draw_pushes(rng: np.random.Generator, anchors: tuple[int, ...], *, most: float) -> Pushes:
    """Three to seven pushes of at most `most` face scales, a whole region or a feature each."""
    count = int(rng.integers(3, 8))
    angle, length = rng.uniform(0, 2 * np.pi, count), most * rng.uniform(0.2, 1.0, count)
    return Pushes(
        anchors=rng.choice(np.array(anchors), count),
        offsets=np.stack([length * np.cos(angle), length * np.sin(angle)], 1).astype(np.float32),
        reaches=rng.uniform(0.08, 0.35, count).astype(np.float32),
    )


def similarity_field(
    centres: np.ndarray, size: tuple[int, int], *, scales: np.ndarray, turns_rad: np.ndarray, shifts: np.ndarray
) -> Tensor:
    """(L, 2, nodes, nodes): everything `scales` larger, turned about `centres` (L, 2) and shifted (L, 2) px."""
    a = np.exp(-1j * turns_rad) / scales  # backward: from what is made to the source
    centre = _complex(centres)
    similarity = Similarity(a=a, b=centre - a * (centre + _complex(shifts)))
    grid = coarse(size).reshape(1, -1, 2)
    places = torch.from_numpy(similarity(np.broadcast_to(grid.numpy(), (len(centres), *grid.shape[1:]))))
    return (places - grid).reshape(-1, _NODES, _NODES, 2).permute(0, 3, 1, 2).contiguous()


def warp(source: Tensor, field: Tensor, size: tuple[int, int], *, sharp: bool = False) -> Tensor:
    """Pictures (L, C, h, w) of `size` (height, width), found in `source` (L, C, *, *) where the field says.

    Bilinear, which softens; `sharp` costs four times as much and hardly does. Beyond the border the edge is repeated.
    """
    sampling = _Sampling(source, size, len(field), sharp=sharp)
    # In the sampler's units from here on: from -1 to 1 over the source.
    field = field * torch.tensor([2 / source.shape[3], 2 / source.shape[2]])[:, None, None]
    x, y = sampling.own_places()
    for index in range(len(field)):
        offsets = functional.interpolate(field[index : index + 1], size=size, mode="bilinear", align_corners=False)
        sampling.take(index, offsets[:, 0], x, offsets[:, 1], y)
    return sampling.made


class _Sampling:
    """Pictures taken from a source frame by frame: what a frame needs stays in the processor's cache."""

    def __init__(self, source: Tensor, size: tuple[int, int], length: int, *, sharp: bool) -> None:
        self.made = torch.empty(length, source.shape[1], *size)
        self._source = source
        self._grid = torch.empty(1, *size, 2)
        self._mode = "bicubic" if sharp else "bilinear"

    def own_places(self) -> tuple[Tensor, Tensor]:
        """x (w,) and y (h, 1) of each pixel that is made, in units of the source."""
        height, width = self.made.shape[2:]
        x = (torch.arange(width, dtype=torch.float32) + 0.5) * 2 / self._source.shape[3] - 1
        y = (torch.arange(height, dtype=torch.float32)[:, None] + 0.5) * 2 / self._source.shape[2] - 1
        return x, y

    def take(self, index: int, x: Tensor, more_x: Tensor, y: Tensor, more_y: Tensor) -> None:
        """Frame `index`, found at x + more_x and y + more_y."""
        torch.add(x, more_x, out=self._grid[..., 0])
        torch.add(y, more_y, out=self._grid[..., 1])
        frame = self._source[index : index + 1]
        self.made[index] = functional.grid_sample(
            frame, self._grid, mode=self._mode, padding_mode="border", align_corners=False
        )[0]


def affine_view(source: Tensor, affine: np.ndarray, size: tuple[int, int], *, sharp: bool = False) -> Tensor:
    """Pictures of `size` seen through affine maps (L, 2, 3) from their pixels to those of `source`."""
    sampling = _Sampling(source, size, len(affine), sharp=sharp)
    to_unit = np.array([2 / source.shape[3], 2 / source.shape[2]])
    maps = affine * to_unit[:, None]
    maps[..., 2] -= 1
    x = torch.arange(size[1], dtype=torch.float32) + 0.5
    y = torch.arange(size[0], dtype=torch.float32)[:, None] + 0.5
    for index, ((a, b, c), (d, e, f)) in enumerate(maps.tolist()):
        sampling.take(index, (a * x)[None, None], b * y + c, (d * x)[None, None], e * y + f)
    return sampling.made
