"""Face detectors that the user names by file: YuNet and SCRFD in ONNX. The same detections out as from BlazeFace.

StreamGuard ships neither. Which of them a file is, is told by its outputs:

    YuNet (Wu et al., 2023; OpenCV's face_detection_yunet_2023mar.onnx): cls_N, obj_N, bbox_N, kps_N for N = 8, 16, 32
    SCRFD (Guo et al., 2021; InsightFace, with key points): for each of three strides, scores (N, 1), boxes (N, 4) and
    points (N, 10), under any names
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import AssetError
from ..picture import Picture
from ..values import Box, Detection
from .letterbox import letterbox
from .network import Pixels, open_network, output_shapes
from .suppress import strongest

SIDE_PX = 640
"""What both were trained at. Smaller regions are enlarged to it."""
STRIDES = (8, 16, 32)
_SCRFD_ANCHORS = 2

Answers = tuple[np.ndarray, np.ndarray]
"""(N, 4, 2) box centre, box size, left eye, right eye in network pixels; (N,) scores, 0 to 1."""


def open_onnx_detector(path: Path, *, min_score: float = 0.5) -> YuNet | Scrfd:
    """The detector in this file, or an AssetError that says what is accepted."""
    if not path.is_file():
        raise AssetError(str(path), "there is no such file", "Name a YuNet or SCRFD file (.onnx)")
    shapes = output_shapes(path, SIDE_PX)
    for kind in (YuNet, Scrfd):
        if kind.fits(shapes):
            return kind(path, min_score)
    outputs = ", ".join(f"{name}{list(shape)}" for name, shape in sorted(shapes.items()))
    raise AssetError(
        path.name,
        f"is not a face detector that StreamGuard knows; it gives {outputs}",
        "Accepted are YuNet (cls_8, obj_8, bbox_8, kps_8, and the same for 16 and 32) and SCRFD with key points "
        "(nine outputs, the names ending in bnkps); or leave the path out to use the built-in BlazeFace",
    )


class _OnnxDetector:
    """What the two have in common: the way in and the way back."""

    PIXELS: Pixels

    def __init__(self, path: Path, min_score: float) -> None:
        self._network = open_network(path, self.PIXELS)
        self._min_score = min_score

    def detect(self, picture: Picture, region_px: Box | None) -> list[Detection]:
        view = letterbox(picture, region_px, SIDE_PX)
        if view is None:
            return []
        answers, scores = self.decode(self._network.run(view.pixels))
        good = scores >= self._min_score
        found = []
        for answer, score in strongest(answers[good], scores[good]):
            half = answer[1] / 2
            corners = view.to_picture(np.array([answer[0] - half, answer[0] + half]))
            (lx, ly), (rx, ry) = view.to_picture(answer[2:]).tolist()
            found.append(Detection(box_px=Box(*corners.ravel().tolist()), score=score, eyes_px=((lx, ly), (rx, ry))))
        return found

    def decode(self, outputs: Mapping[str, np.ndarray]) -> Answers:
        raise NotImplementedError


class YuNet(_OnnxDetector):
    """Sees BGR, 0 to 255. One answer a cell: offsets in cells, sizes as logarithms."""

    PIXELS = Pixels(mean=0.0, scale=1.0, planar_side_px=SIDE_PX, bgr=True)

    @staticmethod
    def fits(shapes: Mapping[str, tuple[int, ...]]) -> bool:
        wanted = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
        return all(
            shapes.get(f"{name}_{stride}", ())[-2:] == ((SIDE_PX // stride) ** 2, width)
            for stride in STRIDES
            for name, width in wanted.items()
        )

    def decode(self, outputs: Mapping[str, np.ndarray]) -> Answers:
        answers, scores = [], []
        for stride in STRIDES:
            cells = cell_corners(stride)
            box = outputs[f"bbox_{stride}"].reshape(-1, 2, 2).astype(np.float64)
            points = outputs[f"kps_{stride}"].reshape(-1, 5, 2)[:, :2].astype(np.float64)
            centre = box[:, :1] * stride + cells[:, None]
            size = np.exp(np.minimum(box[:, 1:], 10.0)) * stride
            answers.append(np.concatenate([centre, size, points * stride + cells[:, None]], axis=1))
            sure = [np.clip(outputs[f"{name}_{stride}"].reshape(-1), 0.0, 1.0) for name in ("cls", "obj")]
            scores.append(np.sqrt(sure[0] * sure[1]))
        return np.concatenate(answers), np.concatenate(scores)


class Scrfd(_OnnxDetector):
    """Sees RGB, about -1 to 1. Two answers a cell: distances to the box's four sides."""

    PIXELS = Pixels(mean=127.5, scale=128.0, planar_side_px=SIDE_PX)

    def __init__(self, path: Path, min_score: float) -> None:
        super().__init__(path, min_score)
        self._names = {_rows_and_width(shape): name for name, shape in self._network.outputs.items()}

    @staticmethod
    def fits(shapes: Mapping[str, tuple[int, ...]]) -> bool:
        wanted = {(_SCRFD_ANCHORS * (SIDE_PX // stride) ** 2, width) for stride in STRIDES for width in (1, 4, 10)}
        return len(shapes) == len(wanted) and {_rows_and_width(shape) for shape in shapes.values()} == wanted

    def decode(self, outputs: Mapping[str, np.ndarray]) -> Answers:
        answers, scores = [], []
        for stride in STRIDES:
            cells = np.repeat(cell_corners(stride), _SCRFD_ANCHORS, axis=0)
            rows = len(cells)
            sides = outputs[self._names[rows, 4]].reshape(-1, 2, 2).astype(np.float64) * stride
            points = outputs[self._names[rows, 10]].reshape(-1, 5, 2)[:, :2].astype(np.float64) * stride
            low, high = cells - sides[:, 0], cells + sides[:, 1]
            box = np.stack([(low + high) / 2, high - low], axis=1)
            answers.append(np.concatenate([box, points + cells[:, None]], axis=1))
            scores.append(outputs[self._names[rows, 1]].reshape(-1))
        return np.concatenate(answers), np.concatenate(scores)


def cell_corners(stride: int) -> np.ndarray:
    """(N, 2) float64: x, y of each cell's first corner, row by row. Both networks count from there."""
    along = np.arange(0.0, SIDE_PX, stride)
    y, x = np.meshgrid(along, along, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _rows_and_width(shape: tuple[int, ...]) -> tuple[int, int]:
    """(N, K) or (1, N, K)."""
    return (int(shape[-2]), int(shape[-1])) if len(shape) >= 2 else (0, 0)
