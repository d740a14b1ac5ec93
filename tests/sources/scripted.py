"""Small media made by code, and a decoder that does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamguard.errors import SourceError
from streamguard.picture import Picture
from streamguard.sources.source import Counters
from streamguard.sources.timeline import Timeline
from streamguard.values import AudioChunk, Frame

PATIENCE_S = 20.0
"""How long a test waits for something that comes at once on any machine."""


def rgb_picture(width: int, height: int, index: int) -> np.ndarray:
    """A picture that differs from frame to frame and in each direction."""
    x = np.linspace(0, 200, width)[None, :, None]
    y = np.linspace(0, 50, height)[:, None, None]
    shade = np.array([1.0, 0.6, 0.3])
    rgb: np.ndarray = ((x + y) * shade + 3 * (index % 20)).clip(0, 255).astype(np.uint8)
    return rgb


Edit = Callable[[av.Packet, int], list[av.Packet]]


def write_video(
    path: Path,
    *,
    frames: int = 10,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    pts: Callable[[int], int] = lambda index: index,
    time_base: Fraction = Fraction(1, 25),
    options: dict[str, str] | None = None,
    sound: bool = False,
    edit: Edit = lambda packet, index: [packet],
    picture: Callable[[int, int, int], np.ndarray] = rgb_picture,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A small video file. `edit` may damage or drop packets on their way into the file."""
    if options is None:
        options = {"preset": "ultrafast", "tune": "zerolatency"} if codec in ("libx264", "libx265") else {}
    if codec == "libx265":
        options = {**options, "x265-params": "log-level=none"}
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        voice = container.add_stream("aac", rate=48000, layout="stereo") if sound else None
        written = 0
        for index in range(frames + 1):
            frame = None
            if index < frames:
                frame = av.VideoFrame.from_ndarray(picture(*size, index), format="rgb24").reformat(format=pixel_format)
                frame.pts, frame.time_base = pts(index), time_base
            for packet in stream.encode(frame):
                for kept in edit(packet, written):
                    container.mux(kept)
                written += 1
            if voice is not None:
                for packet in voice.encode(_beep(index) if index < frames else None):
                    container.mux(packet)
    return path


def _beep(index: int) -> av.AudioFrame:
    """40 ms of a 440 Hz tone."""
    at = np.arange(index * 1920, (index + 1) * 1920)
    tone = (8000 * np.sin(2 * np.pi * 440 * at / 48000)).astype(np.float32) / 32768
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, index * 1920, Fraction(1, 48000)
    return frame


def gray_frame(pts_s: float, arrival_s: float = 0.0, size: tuple[int, int] = (16, 16)) -> Frame:
    width, height = size
    y = np.full((height, width), 100, np.uint8)
    half = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return Frame(
        pts_s=pts_s,
        picture=Picture(y=y, u=half, v=half, matrix="bt601", full_range=False),
        arrival_s=arrival_s,
    )


class ScriptedMedia:
    """A Media that gives what it was given. A threading.Event in the script is waited for (a decoder that hangs)."""

    codec = "scripted"

    def __init__(
        self, script: list[object], *, paced: bool = False, endless: bool = True, goodbye: threading.Event | None = None
    ) -> None:
        self.script = script
        self.paced = paced
        self.endless = endless
        self.goodbye = goodbye
        self.closed = threading.Event()

    def items(self) -> Iterator[Frame | AudioChunk | None]:
        for step in self.script:
            if isinstance(step, threading.Event):
                assert step.wait(PATIENCE_S)
            elif isinstance(step, Exception):
                raise step
            else:
                assert step is None or isinstance(step, Frame | AudioChunk)
                yield step

    def close(self) -> None:
        if self.goodbye is not None:
            assert self.goodbye.wait(PATIENCE_S)
        self.closed.set()


class ScriptedOpener:
    """Opens one scripted media after the other; an error is raised, an Event waited for first (a hanging open)."""

    def __init__(self, *openings: ScriptedMedia | SourceError | threading.Event) -> None:
        self.openings = list(openings)
        self.timelines: list[Timeline] = []

    def __call__(self, timeline: Timeline, counters: Counters) -> ScriptedMedia:
        self.timelines.append(timeline)
        opening = self.openings.pop(0)
        if isinstance(opening, threading.Event):
            assert opening.wait(PATIENCE_S)
            return ScriptedMedia([])
        if isinstance(opening, SourceError):
            raise opening
        return opening
