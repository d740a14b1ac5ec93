"""From FFmpeg's frames and from arrays to Pictures: which matrix, which range, which way up, and nothing copied twice.

8-bit 4:2:0 planes are looked at where the decoder put them (the views keep the frame alive). Everything else goes
through FFmpeg's converter once.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from ..errors import PictureError
from ..picture import MAX_SIDE_PX, Matrix, Picture

ArrayFormat = Literal["rgb", "bgr", "i420", "nv12"]

_PLANAR = frozenset({"yuv420p", "yuvj420p", "yuva420p"})
_GRAY = frozenset({"gray", "gray8"})
_RANGE_VIDEO, _RANGE_FULL = 1, 2

# AVColorSpace (FFmpeg's pixfmt.h) to the matrix that comes nearest.
_MATRICES: dict[int, Matrix] = {
    1: "bt709",
    4: "bt601",
    5: "bt601",
    6: "bt601",
    7: "bt709",
    9: "bt2020",
    10: "bt2020",
}
_HD_HEIGHT_PX = 720


class PictureMaker:
    """Turns one decoder's frames into Pictures. Belongs to that decoder's thread.

    Since FFmpeg 8 a conversion context holds megabytes, and `frame.reformat` makes one for each frame: RSS grows. So
    one context is kept, and made anew only when the size or format changes.
    """

    def __init__(self) -> None:
        self._converter: VideoReformatter | None = None
        self._converts: tuple[int, int, str] | None = None

    def picture(self, frame: VideoFrame) -> Picture:
        """The frame's pixels, the right way up."""
        quarter_turns = round(frame.rotation / 90)
        return self._as_coded(frame).turned(quarter_turns)

    def _as_coded(self, frame: VideoFrame) -> Picture:
        name = frame.format.name
        if name in _PLANAR:
            return _planar(frame, _matrix(frame), _is_full(frame))
        if name == "nv12":
            return _nv12(frame)
        if name in _GRAY:
            return _gray(frame)
        return self._converted(frame)

    def _converted(self, frame: VideoFrame) -> Picture:
        is_rgb = frame.format.is_rgb or frame.format.name == "pal8"
        full = is_rgb or _is_full(frame)
        color_range = ColorRange.JPEG if full else ColorRange.MPEG
        try:
            converted = self._converter_for(frame).reformat(
                frame,
                format="yuv420p",
                src_color_range=color_range,
                dst_color_range=color_range,
                dst_colorspace=Colorspace.ITU601 if is_rgb else None,
                threads=1,
            )
        except (FFmpegError, ValueError) as error:
            raise PictureError(f"{frame.format.name} cannot be converted") from error
        return _planar(converted, "bt601" if is_rgb else _matrix(frame), full)

    def _converter_for(self, frame: VideoFrame) -> VideoReformatter:
        wanted = (frame.width, frame.height, frame.format.name)
        if self._converter is None or wanted != self._converts:
            self._converter, self._converts = VideoReformatter(), wanted
        return self._converter


def check_array(array: np.ndarray, format: ArrayFormat) -> None:
    """Raise PictureError unless `picture_from_array` will take it."""
    if format not in ("rgb", "bgr", "i420", "nv12"):
        raise PictureError(f"format must be rgb, bgr, i420 or nv12, not {format!r}")
    if array.dtype != np.uint8:
        raise PictureError(f"pixels must be uint8, not {array.dtype}")
    if format in ("rgb", "bgr"):
        if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            raise PictureError(f"{format} must be (H, W, 3), not {array.shape}")
    elif array.ndim != 2 or 0 in array.shape or array.shape[0] % 3 or array.shape[1] % 2:
        raise PictureError(f"{format} must be (H * 3 / 2, W) with even H and W, not {array.shape}")

    check_size(array.shape[1], array.shape[0])


def check_size(width: int, height: int) -> None:
    """Raise PictureError unless a Picture can be this large."""
    if not 0 < width <= MAX_SIDE_PX or not 0 < height <= MAX_SIDE_PX:
        raise PictureError(f"a picture of {width}x{height} pixels: each side must be 1 to {MAX_SIDE_PX}")


def picture_from_array(array: np.ndarray, format: ArrayFormat) -> Picture:
    """A Picture of a checked array. YUV arrays are looked at, not copied; they are taken as video range."""
    if format == "rgb":
        return Picture.from_rgb(array)
    if format == "bgr":
        return Picture.from_rgb(array[:, :, ::-1])
    height, width = array.shape[0] * 2 // 3, array.shape[1]
    chroma = array[height:].reshape(-1)
    if format == "i420":
        u, v = chroma.reshape(2, height // 2, width // 2)
    else:
        pairs = chroma.reshape(height // 2, width // 2, 2)
        u, v = pairs[:, :, 0], pairs[:, :, 1]
    return Picture(y=array[:height], u=u, v=v, matrix=_matrix_by_height(height), full_range=False)


def _planar(frame: VideoFrame, matrix: Matrix, full_range: bool) -> Picture:
    y, u, v = (_rows(plane) for plane in frame.planes[:3])
    half_height, half_width = (frame.height + 1) // 2, (frame.width + 1) // 2
    return Picture(
        y=y[: frame.height, : frame.width],
        u=u[:half_height, :half_width],
        v=v[:half_height, :half_width],
        matrix=matrix,
        full_range=full_range,
    )


def _nv12(frame: VideoFrame) -> Picture:
    y, pairs = (_rows(plane) for plane in frame.planes)
    half_height, half_width = (frame.height + 1) // 2, (frame.width + 1) // 2
    return Picture(
        y=y[: frame.height, : frame.width],
        u=pairs[:half_height, 0 : 2 * half_width : 2],
        v=pairs[:half_height, 1 : 2 * half_width : 2],
        matrix=_matrix(frame),
        full_range=_is_full(frame),
    )


def _gray(frame: VideoFrame) -> Picture:
    y = _rows(frame.planes[0])[: frame.height, : frame.width]
    neutral = np.full(((frame.height + 1) // 2, (frame.width + 1) // 2), 128, np.uint8)
    full = frame.color_range != _RANGE_VIDEO
    return Picture(y=y, u=neutral, v=neutral, matrix=_matrix(frame), full_range=full)


def _rows(plane: VideoPlane) -> np.ndarray:
    """A read-only view of a plane's bytes, (rows, bytes a row); the view keeps the frame alive."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, abs(plane.line_size))
    rows.flags.writeable = False  # the decoder still predicts later frames from these pixels
    return rows[::-1] if plane.line_size < 0 else rows


def _is_full(frame: VideoFrame) -> bool:
    if frame.color_range == _RANGE_FULL:
        return True
    return frame.color_range != _RANGE_VIDEO and frame.format.name.startswith("yuvj")


def _matrix(frame: VideoFrame) -> Matrix:
    told = _MATRICES.get(frame.colorspace)
    if told is not None:
        return told
    # JPEG is always BT.601 (JFIF), whatever its size.
    return "bt601" if frame.format.name.startswith("yuvj") else _matrix_by_height(frame.height)


def _matrix_by_height(height: int) -> Matrix:
    """What senders mean who do not say: high definition is BT.709."""
    return "bt709" if height >= _HD_HEIGHT_PX else "bt601"
