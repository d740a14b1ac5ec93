"""One face generation's way from frames to what a clip network sees: faces and frames in, Windows out.

Joins the ring and the crop recipes for the session, which holds one FaceClips for each face generation it follows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .config import ClipConfig
from .crop import (
    crop_similarity,
    crop_square,
    cut_patch,
    fit_similarity,
    follow_square,
    padded_share,
    square_of,
    square_round,
)
from .faces.quality import worst_quality
from .ring import GridPatch, PatchRing, RingStatistics
from .values import Face, Frame, MapClip, Window


class FaceClips:
    """Give it the face in every frame that it `wants`."""

    def __init__(self, config: ClipConfig, face: Face, anchor_pts_s: float) -> None:
        self._config = config
        self._ring = PatchRing(anchor_pts_s=anchor_pts_s, grid_s=config.grid_s, capacity=config.crops)
        self.face = face
        """As last measured."""
        self._square = follow_square(None, face.box_px, config.span)
        self._crop_epoch = 1
        self._hop_points = self._points(config.hop_s if config.feed == "window" else config.grid_s)
        self._next_index = 0
        """The grid point at which the next clip or step is due."""
        # With steps: epoch and grid point of the newest crop that was given, and how many were given in that epoch.
        self._given_epoch, self._given_index, self._age = 0, -1, 0

    def wants(self, pts_s: float) -> bool:
        return self._ring.wants(pts_s)

    def take(self, face: Face, frame: Frame) -> Window | None:
        """Keep what this frame shows of the face; returns the clip or the step that it completes."""
        self.face = face
        if not self._ring.wants(frame.pts_s):
            return None
        self._ring.put(
            cut_patch(
                frame.picture,
                face,
                pts_s=frame.pts_s,
                grid_index=self._ring.index_of(frame.pts_s),
                size_px=self._config.size_px,
                arrival_s=frame.arrival_s,
                span=self._config.span,
            )
        )
        square = follow_square(self._square, face.box_px, self._config.span)
        if square is not self._square:
            self._square = square
            self._crop_epoch += 1
        if self._ring.newest_index < self._next_index:
            return None
        return self._step() if self._config.feed == "step" else self._clip()

    def map_clip(self) -> MapClip | None:
        """The newest whole clip, through the square as it is now; None while there is none. Cutting it costs."""
        run = self._ring.newest(self._config.crops)
        if len(run) < self._config.crops:
            return None
        crops, _ = self._crops(run)
        return MapClip(
            face_id=self.face.face_id,
            generation=self.face.generation,
            crops=crops,
            pts_start_s=run[-self._config.length].patch.pts_s,
            pts_end_s=run[-1].patch.pts_s,
            square_px=self._square.box,
            box_px=run[-1].patch.face.box_px,
        )

    def stretch(self, hop_s: float, wait_share: float) -> None:
        """From now on make a clip or step only so often, the next one later by this share of the new hop: when many
        faces are stretched at once, they must not all be due at once."""
        self._hop_points = self._points(hop_s)
        if self._ring.newest_index >= 0:
            latest = self._ring.newest_index + self._hop_points
            self._next_index = min(latest, max(self._next_index, 0) + round(wait_share * self._hop_points))

    def start_afresh(self, lost: Window) -> None:
        """A step was lost on its way to the network: if it belonged to the present slot, that slot is of no use."""
        if lost.crop_epoch == self._crop_epoch:
            self._crop_epoch += 1

    @property
    def nbytes(self) -> int:
        return self._ring.nbytes

    def statistics(self) -> RingStatistics:
        return self._ring.statistics()

    def _points(self, hop_s: float) -> int:
        return max(1, round(hop_s / self._config.grid_s))

    def _clip(self) -> Window | None:
        """The whole clip, if it is complete."""
        run = self._ring.newest(self._config.crops)
        if len(run) < self._config.crops:
            return None
        return self._window(run, run, age=0)

    def _step(self) -> Window:
        """The crops that are new; after a new square or missing crops all that the ring holds, for a fresh slot."""
        seen = run = self._ring.newest(self._config.crops)
        if self._given_epoch == self._crop_epoch and run[0].grid_index > self._given_index + 1:
            self._crop_epoch += 1
        if self._given_epoch != self._crop_epoch:
            self._given_epoch, self._age = self._crop_epoch, 0
        else:
            run = [item for item in run if item.grid_index > self._given_index]
        window = self._window(run, seen, age=self._age)
        self._given_index = run[-1].grid_index
        self._age += len(run)
        return window

    def _window(self, run: list[GridPatch], seen: list[GridPatch], *, age: int) -> Window:
        """`run` is what the network is given now; `seen` what its score will rest on."""
        crops, padded = self._crops(run)
        worst = worst_quality([item.patch.face.quality for item in seen])
        # Of what this network looks at, not of twice the face's size.
        around = max(padded_share(item.patch, square_round(item.patch.face.box_px, self._config.span)) for item in seen)
        self._next_index = self._ring.newest_index + self._hop_points
        return Window(
            face_id=self.face.face_id,
            generation=self.face.generation,
            crop_epoch=self._crop_epoch,
            age=age,
            crops=crops,
            pts_s=tuple(item.patch.pts_s for item in run),
            grid_s=tuple(self._ring.point_s(item.grid_index) for item in run),
            pts_start_s=seen[0].patch.pts_s,
            crops_real=sum(not item.repeated for item in seen),
            crops_expected=self._config.crops,
            gaps=sum(item.repeated for item in seen),
            quality=replace(worst, padded=max(around, padded)),
            arrival_s=run[-1].patch.arrival_s,
        )

    def _crops(self, run: list[GridPatch]) -> tuple[np.ndarray, float]:
        """(T, H, W, 3) uint8 through one square or one similarity for all, and the largest share padded."""
        size_px = self._config.size_px
        if self._config.recipe == "square":
            crops = [crop_square(item.patch, self._square, size_px) for item in run]
            return np.stack(crops), max(padded_share(item.patch, self._square) for item in run)
        affine = fit_similarity([item.patch.face.points_px for item in run], size_px)
        looked_at = square_of(affine, size_px)
        padded = max(padded_share(item.patch, looked_at) for item in run)
        return np.stack([crop_similarity(item.patch, affine, size_px) for item in run]), padded
