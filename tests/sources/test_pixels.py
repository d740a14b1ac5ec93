"""The same colours come out whatever the frame's format, matrix, range, or way up."""

from __future__ import annotations

import resource
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from streamguard.errors import PictureError
from streamguard.picture import MAX_SIDE_PX
from streamguard.sources.pixels import ArrayFormat, PictureMaker, check_array, picture_from_array

from .scripted import rgb_picture, write_video

# Four patches, 32 px each: red, green, blue, and a skin tone.
PATCHES = [(200, 40, 30), (40, 180, 60), (50, 60, 200), (210, 160, 130)]
AV_BT709, AV_BT601 = 1, 5
TOLERANCE = 4
"""Steps of 255: one rounding to YUV, one back, and swscale's own rounding."""


def patches(height: int = 64) -> np.ndarray:
    row = np.repeat(np.array(PATCHES, np.uint8), 32, axis=0)
    return np.broadcast_to(row, (height, 128, 3)).copy()


def frame_of(
    rgb: np.ndarray, format: str, matrix: Colorspace = Colorspace.ITU601, color_range: ColorRange = ColorRange.MPEG
) -> av.VideoFrame:
    source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    frame = source.reformat(
        format=format, dst_colorspace=matrix, src_color_range=ColorRange.JPEG, dst_color_range=color_range
    )
    frame.colorspace = AV_BT709 if matrix is Colorspace.ITU709 else AV_BT601
    frame.color_range = color_range
    return frame


def seen(frame: av.VideoFrame) -> np.ndarray:
    """The colours in the middle of each patch."""
    rgb = PictureMaker().picture(frame).rgb()
    return rgb[rgb.shape[0] // 2, 16::32]


@pytest.mark.parametrize("format", ["yuv420p", "nv12", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_colours_survive(format: str, matrix: Colorspace, color_range: ColorRange) -> None:
    colours = seen(frame_of(patches(), format, matrix, color_range))
    assert np.abs(colours.astype(int) - PATCHES).max() <= TOLERANCE


@pytest.mark.parametrize("format", ["rgb24", "bgr24", "rgba", "bgra", "gbrp", "rgb0"])
def test_colours_of_rgb_frames_survive(format: str) -> None:
    frame = av.VideoFrame.from_ndarray(patches(), format="rgb24").reformat(format=format)
    assert np.abs(seen(frame).astype(int) - PATCHES).max() <= TOLERANCE


def test_rgb_frame_tagged_as_high_definition_keeps_its_colours() -> None:
    frame = frame_from(patches())
    frame.colorspace = AV_BT709
    assert np.abs(seen(frame).astype(int) - PATCHES).max() <= TOLERANCE


def test_wrong_matrix_would_be_noticed() -> None:
    frame = frame_of(patches(), "yuv420p", Colorspace.ITU709)
    frame.colorspace = AV_BT601
    assert np.abs(seen(frame).astype(int) - PATCHES).max() > 3 * TOLERANCE


@pytest.mark.parametrize(("height", "matrix"), [(576, "bt601"), (720, "bt709")])
def test_frame_that_does_not_say_is_bt709_if_high_definition(height: int, matrix: str) -> None:
    frame = av.VideoFrame(64, height, "yuv420p")
    assert PictureMaker().picture(frame).matrix == matrix


def test_jpeg_format_is_full_range_bt601_at_any_size() -> None:
    picture = PictureMaker().picture(av.VideoFrame(64, 1080, "yuvj420p"))
    assert (picture.matrix, picture.full_range) == ("bt601", True)


def test_yuvj422p_keeps_its_full_range_without_a_tag() -> None:
    frame = frame_of(patches(), "yuvj422p", Colorspace.ITU601, ColorRange.JPEG)
    frame.color_range = ColorRange.UNSPECIFIED
    assert np.abs(seen(frame).astype(int) - PATCHES).max() <= TOLERANCE


def test_gray_is_gray() -> None:
    ramp = np.broadcast_to(np.arange(0, 256, 2, dtype=np.uint8), (64, 128)).copy()
    rgb = PictureMaker().picture(av.VideoFrame.from_ndarray(ramp, format="gray")).rgb()
    assert np.abs(rgb.astype(int) - ramp[:, :, None]).max() <= 1


def test_palette_pictures_have_their_colours() -> None:
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(PATCHES), 0] = 255
    palette[: len(PATCHES), 1:] = PATCHES
    indices = np.broadcast_to(np.repeat(np.arange(4, dtype=np.uint8), 32), (64, 128)).copy()
    frame = av.VideoFrame.from_ndarray((indices, palette), format="pal8")
    assert np.abs(seen(frame).astype(int) - PATCHES).max() <= TOLERANCE


@pytest.mark.parametrize("format", ["yuv420p", "nv12"])
def test_planes_of_8_bit_420_are_not_copied_and_not_writable(format: str) -> None:
    frame = frame_of(patches(), format)
    picture = PictureMaker().picture(frame)
    for plane in (picture.y, picture.u, picture.v):
        assert not plane.flags.writeable
    memory = np.frombuffer(memoryview(frame.planes[0]), np.uint8)
    assert np.shares_memory(picture.y, memory)


def test_picture_outlives_its_frame() -> None:
    frame = frame_of(patches(), "yuv420p")
    picture = PictureMaker().picture(frame)
    before = picture.y.copy()
    del frame
    rubbish = [av.VideoFrame(128, 64, "yuv420p") for _ in range(50)]
    assert (picture.y == before).all()
    assert rubbish


@pytest.mark.parametrize("size", [(65, 49), (33, 64), (64, 33)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    rgb = rgb_picture(*size, 0)
    for format in ("yuv420p", "nv12", "yuv444p", "rgb24"):
        picture = PictureMaker().picture(frame_of(rgb, format) if format != "rgb24" else frame_from(rgb))
        assert (picture.width, picture.height) == size
        assert np.abs(picture.rgb().astype(int) - rgb).mean() < 3


def frame_from(rgb: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


def rotated_file(path: Path, degrees_clockwise: int) -> Path:
    """A real MP4 that tells a player to turn it: the display matrix stands in the track header."""
    plain = write_video(path / "plain.mp4", frames=2, picture=corner)
    data = bytearray(plain.read_bytes())
    header = data.index(b"tkhd")
    one = 0x00010000
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees_clockwise]
    matrix = [a, b, 0, c, d, 0, 0, 0, 0x40000000]
    start = header + 4 + 40  # version 0: flags, times, id, duration, reserved, layer, volume come before
    data[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    turned = path / f"turned{degrees_clockwise}.mp4"
    turned.write_bytes(data)
    return turned


def corner(width: int, height: int, index: int) -> np.ndarray:
    """White in the top left quarter, dark elsewhere."""
    rgb = np.full((height, width, 3), 30, np.uint8)
    rgb[: height // 2, : width // 2] = 220
    return rgb


@pytest.mark.parametrize(
    ("degrees_clockwise", "size", "bright"),
    [(90, (48, 64), (0, 1)), (180, (64, 48), (1, 1)), (270, (48, 64), (1, 0))],
)
def test_phone_video_is_turned_upright(
    tmp_path: Path, degrees_clockwise: int, size: tuple[int, int], bright: tuple[int, int]
) -> None:
    with av.open(str(rotated_file(tmp_path, degrees_clockwise))) as container:
        picture = PictureMaker().picture(next(container.decode(video=0)))
    assert (picture.width, picture.height) == size
    quarters = picture.y.reshape(2, size[1] // 2, 2, size[0] // 2).mean(axis=(1, 3))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == bright
    assert sorted(quarters.ravel())[2] < 80


def test_conversion_does_not_grow_memory() -> None:
    maker = PictureMaker()
    frame = frame_of(rgb_picture(640, 360, 0), "yuv422p")
    for _ in range(50):
        maker.picture(frame)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(400):
        maker.picture(frame)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert grown_kb < 20_000  # one kept frame each would be 140 MB


def test_one_converter_serves_until_the_size_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = av.video.reformatter.VideoReformatter

    def counted() -> object:
        made.append(1)
        return real()

    monkeypatch.setattr("streamguard.sources.pixels.VideoReformatter", counted)
    maker = PictureMaker()
    for size in [(64, 48)] * 5 + [(32, 32)] * 5:
        maker.picture(av.VideoFrame(*size, "yuv444p"))
    assert len(made) == 2


def as_array(rgb: np.ndarray, format: ArrayFormat) -> np.ndarray:
    if format == "rgb":
        return rgb
    if format == "bgr":
        return rgb[:, :, ::-1]
    frame = frame_of(rgb, "yuv420p" if format == "i420" else "nv12")
    array: np.ndarray = frame.to_ndarray()
    return array


@pytest.mark.parametrize("format", ["rgb", "bgr", "i420", "nv12"])
def test_colours_of_arrays_survive(format: ArrayFormat) -> None:
    array = as_array(patches(), format)
    check_array(array, format)
    rgb = picture_from_array(array, format).rgb()
    assert np.abs(rgb[32, 16::32].astype(int) - PATCHES).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("array", "format"),
    [
        (np.zeros((4, 4), np.uint8), "rgb"),
        (np.zeros((4, 4, 4), np.uint8), "rgb"),
        (np.zeros((0, 4, 3), np.uint8), "rgb"),
        (np.zeros((4, 4, 3), np.float32), "bgr"),
        (np.zeros((5, 4), np.uint8), "i420"),
        (np.zeros((6, 3), np.uint8), "nv12"),
        (np.zeros((6, 4, 3), np.uint8), "nv12"),
        (np.zeros((2, MAX_SIDE_PX + 1, 3), np.uint8), "rgb"),
        (np.zeros((4, 4, 3), np.uint8), "yuv"),
    ],
)
def test_impossible_arrays_are_refused(array: np.ndarray, format: ArrayFormat) -> None:
    with pytest.raises(PictureError):
        check_array(array, format)
