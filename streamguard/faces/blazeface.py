"""BlazeFace, the detector behind MediaPipe: a picture and a region in, detections in picture pixels out.

Two networks (Apache-2.0, see assets.py): short range (128 px; Bazarevsky et al., 2019) and full range, sparse (192 px).
Which of them looks at what is decided by measurement: see BlazeFacePair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..assets import asset_path
from ..picture import Picture
from ..values import Box, Detection
from .letterbox import letterbox
from .network import Pixels, open_network
from .suppress import blended


@dataclass(frozen=True, slots=True, kw_only=True)
class BlazeFaceKind:
    """One of the published networks."""

    asset: str
    side_px: int
    anchors: tuple[tuple[int, int], ...]
    """(stride, anchors in each cell) of each output map."""


SHORT_RANGE = BlazeFaceKind(asset="face-short-range", side_px=128, anchors=((8, 2), (16, 6)))
FULL_RANGE = BlazeFaceKind(asset="face-full-range", side_px=192, anchors=((4, 1),))


class BlazeFace:
    """One network. Answers below `min_score` are not given."""

    def __init__(self, kind: BlazeFaceKind, *, min_score: float = 0.5) -> None:
        self._network = open_network(asset_path(kind.asset), Pixels(mean=127.5, scale=127.5))
        self._side = kind.side_px
        self._centres = anchor_centres(kind)
        self._min_logit = float(np.log(min_score / (1.0 - min_score)))
        shapes = self._network.outputs
        self._boxes_name, self._scores_name = sorted(shapes, key=lambda name: shapes[name][-1], reverse=True)

    def detect(self, picture: Picture, region_px: Box | None) -> list[Detection]:
        view = letterbox(picture, region_px, self._side)
        if view is None:
            return []
        outputs = self._network.run(view.pixels)
        logits = outputs[self._scores_name][0, :, 0]
        chosen = np.flatnonzero(logits >= self._min_logit)
        # Per answer: box centre, box size, then points of which the first two are the eyes; all but the size are
        # offsets from the anchor's centre, in network pixels.
        answers = outputs[self._boxes_name][0, chosen, :8].reshape(-1, 4, 2).astype(np.float64)
        answers[:, (0, 2, 3)] += self._centres[chosen, None]
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits[chosen].astype(np.float64), -100.0, 100.0)))
        found = []
        for answer, score in blended(answers, scores):
            half = answer[1] / 2
            corners = view.to_picture(np.array([answer[0] - half, answer[0] + half]))
            left_eye, right_eye = view.to_picture(answer[2:4]).tolist()
            box = Box(*corners.ravel().tolist())
            found.append(Detection(box_px=box, score=score, eyes_px=(tuple(left_eye), tuple(right_eye))))
        return found


def anchor_centres(kind: BlazeFaceKind) -> np.ndarray:
    """(N, 2) float64: x, y of each anchor in network pixels, in the order of the outputs: row by row, map by map."""
    maps = []
    for stride, in_each_cell in kind.anchors:
        middles = (np.arange(kind.side_px // stride) + 0.5) * stride
        y, x = np.meshgrid(middles, middles, indexing="ij")
        maps.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), in_each_cell, axis=0))
    return np.concatenate(maps)


class BlazeFacePair:
    """Full range everywhere; where it finds nobody in a whole picture, short range has a second look.

    Measured: full range finds faces half as large as short range does and is fooled less, but misses some that fill the
    picture, which are short range's trade.
    """

    def __init__(self, *, min_score: float = 0.5) -> None:
        self._full = BlazeFace(FULL_RANGE, min_score=min_score)
        self._short = BlazeFace(SHORT_RANGE, min_score=min_score)

    def detect(self, picture: Picture, region_px: Box | None) -> list[Detection]:
        found = self._full.detect(picture, region_px)
        if found or region_px is not None:
            return found
        return self._short.detect(picture, None)
