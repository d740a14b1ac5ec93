"""Pictures with boxes, text and heat maps on them, written as an .mp4 that keeps every picture's own time.

Takes Pictures, Labels and Overlays, not events: who draws knows which face goes with which picture. For people to
look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import ClosedError, SinkError
from ..events import Score
from ..picture import Picture
from ..values import Box, Face, FaceState
from .heat import AGAINST_ITSELF, CAUTION, KIND_WORDS, Overlay, colours, lay_over
from .sink import discard, part_path, put_in_place, sink_error

Colour = tuple[int, int, int]

STATE_COLOURS: dict[FaceState, Colour] = {
    FaceState.WARMING_UP: (148, 163, 184),
    FaceState.LIKELY_REAL: (52, 199, 123),
    FaceState.UNCERTAIN: (250, 190, 60),
    FaceState.LIKELY_FAKE: (244, 80, 80),
    FaceState.LOW_QUALITY: (150, 130, 220),
}
PANEL: Colour = (17, 24, 39)
"""Behind text, so that it can be read on any picture."""
TEXT: Colour = (241, 245, 249)

TICKS_PER_SECOND = 60_000
"""Time base of the file: exact for all usual frame rates, and as fine as MPEG-4 (at most 65535) allows."""

# Without B-pictures: with them and uneven times the file would claim to end before its last picture.
ENCODERS = {"libx264": {"preset": "veryfast", "crf": "23", "bf": "0"}, "mpeg4": {"qscale": "4", "bf": "0"}}
"""Each with its options; the first that this build of FFmpeg has is taken."""

# Numbers of ISO/IEC 23091-2, so that players show the colours that were drawn.
BT709 = 1
VIDEO_RANGE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One box with its text, in pixels of the source picture."""

    box_px: Box
    lines: tuple[str, ...]
    """The first is written larger than the rest."""
    colour: Colour


def face_label(
    face: Face, state: FaceState = FaceState.WARMING_UP, *, score: Score | None = None, trained: bool = True
) -> Label:
    """What people want to see of a face: who (id.generation), its state, its newest score if there is one, and what the
    picture allows."""
    quality = face.quality
    return Label(
        box_px=face.box_px,
        lines=(
            f"face {face.face_id}.{face.generation}  {state.replace('_', ' ').lower()}",
            *(() if score is None else (score_line(score, trained=trained),)),
            f"{quality.size_px:.0f} px  sharp {quality.sharpness:.2f}  light {quality.luma:.2f}",
            f"yaw {quality.yaw_deg:+.0f}  pitch {quality.pitch_deg:+.0f}  whole {quality.presence:.2f}",
        ),
        colour=STATE_COLOURS[state],
    )


def score_line(score: Score, *, trained: bool = True) -> str:
    """`p(fake) 0.93, window 0.85 [0.60 to 0.97]`: what the state rests on, and the newest window. Or the raw score,
    which is no probability and says so."""
    if score.p_fake is None:
        return f"raw {score.raw_score:.2f}, {'uncalibrated' if trained else 'untrained'}"
    window = f"{score.p_fake:.2f}"
    if score.p_fake_low is not None and score.p_fake_high is not None:
        window += f" [{score.p_fake_low:.2f} to {score.p_fake_high:.2f}]"
    return f"p(fake) {window}" if score.p_face is None else f"p(fake) {score.p_face:.2f}, window {window}"


class AnnotatedVideo:
    """An .mp4 file in the making. The first picture fixes its size; others are fitted into that, with black bars.

    Written as `NAME.part` and moved into place when it is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path
        self._closed = False
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._first_pts_s = 0.0
        self._last_ticks = -1
        self._pictures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pictures(self) -> int:
        """How many were added."""
        return self._pictures

    def add(
        self, picture: Picture, pts_s: float, labels: Sequence[Label] = (), overlays: Sequence[Overlay] = ()
    ) -> None:
        """Write one picture; labels stand above heat maps, and a legend says what these show. Times must grow; one that
        does not is placed right after the picture before."""
        if self._closed:
            raise ClosedError(str(self._path))
        try:
            if self._stream is None:
                self._open(picture, pts_s)
            self._encode(picture, pts_s, labels, overlays)
        except (OSError, av.FFmpegError) as exc:
            self._abandon()
            raise sink_error(str(self._path), exc) from exc

    def close(self) -> None:
        """Finish the file; without this no player opens it. May be called twice. No picture, no file."""
        if self._closed:
            return
        self._closed = True
        if self._container is None or self._stream is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            put_in_place(self._part, self._path)
        except (OSError, av.FFmpegError) as exc:
            self._abandon()
            raise sink_error(str(self._path), exc) from exc

    def _abandon(self) -> None:
        """After a failure: what is half written cannot be finished, and closing must not hide the first error."""
        self._closed = True
        if self._container is not None:
            with suppress(OSError, av.FFmpegError):
                self._container.close()
            discard(self._part, self._path)

    def _open(self, picture: Picture, pts_s: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._part = part_path(self._path)
        self._container = av.open(str(self._part), "w", format="mp4")
        self._stream = _video_stream(self._container, str(self._path))
        self._stream.width, self._stream.height = even_size(picture)
        self._first_pts_s = pts_s

    def _encode(self, picture: Picture, pts_s: float, labels: Sequence[Label], overlays: Sequence[Overlay]) -> None:
        assert self._container is not None
        assert self._stream is not None
        image, scale, left, top = fitted(picture, (self._stream.width, self._stream.height))
        draw_overlays(image, [replace(one, square_px=_moved(one.square_px, scale, left, top)) for one in overlays])
        draw_labels(image, [replace(one, box_px=_moved(one.box_px, scale, left, top)) for one in labels])
        frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        self._last_ticks = max(self._last_ticks + 1, round((pts_s - self._first_pts_s) * TICKS_PER_SECOND))
        frame.pts = self._last_ticks
        frame.time_base = Fraction(1, TICKS_PER_SECOND)
        self._container.mux(self._stream.encode(frame))
        self._pictures += 1


def _video_stream(container: av.container.OutputContainer, target: str) -> av.VideoStream:
    """H.264 where FFmpeg can make it, else MPEG-4, which every build can."""
    for codec, options in ENCODERS.items():
        if codec not in av.codecs_available:
            continue
        stream = container.add_stream(codec, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = BT709
        stream.codec_context.color_range = VIDEO_RANGE
        return stream
    raise SinkError(target, "this build of FFmpeg can encode neither H.264 nor MPEG-4")


def even_size(picture: Picture) -> tuple[int, int]:
    """Encoders of 4:2:0 want even sides; a last odd row or column is given up."""
    return max(16, picture.width // 2 * 2), max(16, picture.height // 2 * 2)


def fitted(picture: Picture, size: tuple[int, int]) -> tuple[Image.Image, float, int, int]:
    """The picture in a frame of `size`, and how it got there: its scale and the place of its corner."""
    if even_size(picture) == size and min(picture.width, picture.height) >= 16:
        return Image.fromarray(picture.rgb()).crop((0, 0, *size)), 1.0, 0, 0
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    whole = (0.0, 0.0, float(picture.width), float(picture.height))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    image = Image.new("RGB", size)
    image.paste(Image.fromarray(picture.rgb_region(whole, inner)), (left, top))
    return image, scale, left, top


def _moved(box: Box, scale: float, left: int, top: int) -> Box:
    return Box(box.x0 * scale + left, box.y0 * scale + top, box.x1 * scale + left, box.y1 * scale + top)


def draw_overlays(image: Image.Image, overlays: Sequence[Overlay]) -> None:
    """Draw onto `image`: each heat map over its square, and at the lower left what their colours mean."""
    for overlay in overlays:
        lay_over(image, overlay.square_px, overlay.cells)
    told = dict.fromkeys(_legend_line(overlay) for overlay in overlays)
    if told:
        _draw_legend(image, [*told, CAUTION])


def _legend_line(overlay: Overlay) -> str:
    words = KIND_WORDS[overlay.kind]
    return words if overlay.comparable else f"{words}, {AGAINST_ITSELF}"


def _draw_legend(image: Image.Image, lines: Sequence[str]) -> None:
    draw = ImageDraw.Draw(image)
    one = font(max(9, round(0.78 * text_size(image.size))))
    height = sum(one.getmetrics())
    pad = max(2, height // 3)
    scale = 5 * height
    left, bottom = pad, image.height - pad
    top = bottom - height * len(lines) - 2 * pad
    text_left = left + scale + 3 * pad
    width = max(draw.textlength(line, one) for line in lines)
    draw.rectangle((left, top, text_left + width + pad, bottom), fill=PANEL)
    strip = Image.fromarray(colours()[None]).resize((scale, max(2, height // 2)))
    image.paste(strip, (left + pad, top + pad + height // 4))
    for i, line in enumerate(lines):
        draw.text((text_left, top + pad + i * height), line, font=one, fill=TEXT)
    if len(lines) > 1:
        draw.text((left + pad, top + pad + height), "little", font=one, fill=TEXT)
        draw.text((left + pad + scale, top + pad + height), "much", font=one, fill=TEXT, anchor="ra")


def draw_labels(image: Image.Image, labels: Sequence[Label]) -> None:
    """Draw onto `image`: all boxes, then each text beside its box, where it covers no other text if there is room."""
    draw = ImageDraw.Draw(image)
    for label in labels:
        _draw_box(draw, label, image.size)
    taken: list[Box] = []
    for label in labels:
        if label.lines:
            taken.append(_draw_text(draw, label, image.size, taken))


def _draw_box(draw: ImageDraw.ImageDraw, label: Label, size: tuple[int, int]) -> None:
    """A thin frame with thick corners, so that the face stays visible; a dark rim, so that it shows on any ground."""
    x0, y0, x1, y1 = (round(side) for side in label.box_px)
    if x1 <= x0 or y1 <= y0:
        return
    line = max(1, round(min(size) / 480))
    draw.rectangle((x0 - line, y0 - line, x1 + line, y1 + line), outline=PANEL, width=line)
    draw.rectangle((x0, y0, x1, y1), outline=label.colour, width=line)
    reach, thick = max(4, min(x1 - x0, y1 - y0) // 5), 3 * line
    for x, inward in ((x0, 1), (x1, -1)):
        for y, down in ((y0, 1), (y1, -1)):
            _bar(draw, x, y, x + inward * reach, y + down * thick, label.colour)
            _bar(draw, x, y, x + inward * thick, y + down * reach, label.colour)


def _bar(draw: ImageDraw.ImageDraw, x0: int, y0: int, x1: int, y1: int, colour: Colour) -> None:
    draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=colour)


def _draw_text(draw: ImageDraw.ImageDraw, label: Label, size: tuple[int, int], taken: Sequence[Box]) -> Box:
    """A panel with the label's lines; returns where it lies."""
    large = text_size(size)
    fonts = [font(large)] + [font(max(9, round(large * 0.78)))] * (len(label.lines) - 1)
    heights = [sum(one.getmetrics()) for one in fonts]
    pad = max(2, large // 4)
    width = max(draw.textlength(line, one) for line, one in zip(label.lines, fonts, strict=True)) + 3 * pad
    panel = _panel(label.box_px, width, sum(heights) + pad, size, taken)
    draw.rectangle(panel, fill=PANEL)
    draw.rectangle((panel.x0, panel.y0, panel.x0 + pad // 2, panel.y1), fill=label.colour)
    y = panel.y0 + pad / 2
    for i, (line, one, height) in enumerate(zip(label.lines, fonts, heights, strict=True)):
        draw.text((panel.x0 + 1.5 * pad, y), line, font=one, fill=TEXT if i else label.colour)
        y += height
    return panel


def _panel(box: Box, width: float, height: float, size: tuple[int, int], taken: Sequence[Box]) -> Box:
    """Above the box, or below it, or beside it: the first place inside the picture that covers no other panel."""
    gap = 4
    places = (
        (box.x0, box.y0 - height - gap),
        (box.x0, box.y1 + gap),
        (box.x1 + gap, box.y0),
        (box.x0 - width - gap, box.y0),
    )
    panels = [Box(x, y, x + width, y + height) for x, y in places]
    free = [panel for panel in panels if all(panel.overlap(other) == 0 for other in taken)]
    inside = [panel for panel in free if panel.share_inside(*size) == 1]
    panel = (inside or free or panels)[0]
    dx = min(0.0, size[0] - panel.x1) or max(0.0, -panel.x0)
    dy = min(0.0, size[1] - panel.y1) or max(0.0, -panel.y0)
    return panel.moved(dx, dy)


def text_size(size: tuple[int, int]) -> int:
    """Of a label's first line: 20 pixels in a picture of 1280x720."""
    return max(10, round(min(size) / 36))


@lru_cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """Pillow's own, so that no font file is needed."""
    found = ImageFont.load_default(size_px)
    assert isinstance(found, ImageFont.FreeTypeFont), "Pillow wheels come with FreeType"
    return found
