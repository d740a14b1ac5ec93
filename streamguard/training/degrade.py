"""What cameras, networks and codecs do to a clip, drawn once and done to the real side and the forged side alike.

In the order in which it happens on the way: the light and the lens, the sensor's noise, another size, the encoder, and
frames that never came. Labels do not change. Whatever is random while it is applied comes from the draw's own seed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from .tiles import Tiles

_RATE_HZ = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """H.264 as x264 makes it."""

    crf: int
    preset: str
    keyframes: int
    """The most frames from one keyframe to the next."""
    b_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """One draw. Every part that is left at its default leaves the clip alone."""

    colours: tuple[float, ...] = ()
    """12 numbers: the rows of a 3 x 4 matrix on RGB; empty for none."""
    gamma: float = 1.0
    blur: float = 0.0
    """Standard deviation in pixels of the tile, about."""
    noise: float = 0.0
    """Standard deviation in levels."""
    noise_coloured: bool = False
    scale: float = 1.0
    """Reduced to this share of its size, and enlarged again."""
    codec: Codec | None = None
    lost: float = 0.0
    """The share of frames in whose place the one before is shown again."""
    burst: int = 1
    """How many of them are lost at once."""
    stutter: int = 1
    """Only every so many frames are new: a sender at half or a third of the rate."""
    seed: int = 0

    def order(self, length: int) -> np.ndarray:
        """(L,): which frame is shown at each moment. The first is always its own."""
        order = np.arange(length) // self.stutter * self.stutter
        rng = np.random.default_rng(self.seed)
        starts = np.flatnonzero(rng.random(length) < self.lost / self.burst)
        for start in starts[starts > 0]:
            order[start : start + self.burst] = order[start - 1]
        return order

    def apply(self, tiles: Tiles) -> Tiles:
        """The clip after all of it. Points follow the frames; nothing here moves anything within a frame."""
        pixels = tiles.pixels
        if self.colours or self.gamma != 1.0:
            pixels = _recoloured(pixels, self.colours, self.gamma)
        if self.blur:
            pixels = _blurred(pixels, self.blur)
        if self.noise:
            pixels = _noisy(pixels, self.noise, self.noise_coloured, np.random.default_rng(self.seed + 1))
        if self.scale < 1.0:
            small = max(16, round(self.scale * tiles.side_px / 2) * 2)
            pixels = _resized(pixels, small)
        if self.codec is not None:
            pixels = through_codec(pixels, self.codec)
        if pixels.shape[1] != tiles.side_px:
            pixels = _resized(pixels, tiles.side_px)
        return replace(tiles, pixels=pixels).frames(self.order(len(tiles)))

    def apply_to_mask(self, mask: np.ndarray) -> np.ndarray:
        """(L, P, P): the mask of the frames that are shown."""
        return mask[self.order(len(mask))]


def draw(rng: np.random.Generator, *, codec: float = 0.7) -> Degradation:
    """At random. `codec` is how often it is encoded, which costs most of the time."""
    return Degradation(
        colours=_draw_colours(rng) if rng.random() < 0.35 else (),
        gamma=float(np.exp(rng.uniform(-0.4, 0.4))) if rng.random() < 0.25 else 1.0,
        blur=float(rng.uniform(0.4, 1.6)) if rng.random() < 0.2 else 0.0,
        noise=float(np.exp(rng.uniform(np.log(0.7), np.log(8)))) if rng.random() < 0.3 else 0.0,
        noise_coloured=bool(rng.random() < 0.4),
        scale=float(rng.uniform(0.45, 0.95)) if rng.random() < 0.35 else 1.0,
        codec=_draw_codec(rng) if rng.random() < codec else None,
        lost=float(rng.uniform(0.03, 0.25)) if rng.random() < 0.2 else 0.0,
        burst=int(rng.integers(1, 5)),
        stutter=int(rng.integers(2, 4)) if rng.random() < 0.06 else 1,
        seed=int(rng.integers(2**31)),
    )


def _draw_colours(rng: np.random.Generator) -> tuple[float, ...]:
    exposure = np.exp(rng.uniform(-0.35, 0.25))
    contrast = rng.uniform(0.75, 1.15)
    saturation = rng.uniform(0.5, 1.3)
    gains = exposure * contrast * (1 + 0.08 * rng.uniform(-1, 1, 3))
    luma = np.array([0.299, 0.587, 0.114])
    matrix = gains[:, None] * (saturation * np.eye(3) + (1 - saturation) * luma[None])
    offset = np.full((3, 1), 110 * (1 - contrast) + rng.uniform(-10, 10))
    return tuple(np.concatenate([matrix, offset], axis=1).ravel().tolist())


def _draw_codec(rng: np.random.Generator) -> Codec:
    return Codec(
        crf=int(rng.integers(18, 41)),
        preset=str(rng.choice(["ultrafast", "superfast", "veryfast"], p=[0.5, 0.25, 0.25])),
        keyframes=int(rng.choice([4, 12, 25, 250])),
        b_frames=int(rng.choice([0, 0, 2])),
    )


def through_codec(pixels: np.ndarray, codec: Codec) -> np.ndarray:
    """(L, h, w, 3) uint8 RGB of even sides, encoded and decoded in memory."""
    options = {
        "crf": str(codec.crf),
        "preset": codec.preset,
        "g": str(codec.keyframes),
        "bf": str(codec.b_frames),
        "x264-params": "scenecut=0",
    }
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="nut") as container:
        stream = container.add_stream("libx264", rate=_RATE_HZ, options=options)
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, _RATE_HZ)
        for index, rgb in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    decoded = np.empty_like(pixels)
    with av.open(buffer) as container:
        container.streams.video[0].thread_count = 1
        count = 0
        for frame in container.decode(video=0):
            decoded[count] = frame.to_ndarray(format="rgb24")
            count += 1
    assert count == len(pixels), "an encoder gives back as many frames as it was given"
    return decoded


def _recoloured(pixels: np.ndarray, colours: tuple[float, ...], gamma: float) -> np.ndarray:
    # Pillow's tables and matrices on bytes are several times faster than floats of whole tiles.
    table = [round(255 * (level / 255) ** gamma) for level in range(256)] * 3 if gamma != 1.0 else None
    out = np.empty_like(pixels)
    for index, rgb in enumerate(pixels):
        image = Image.fromarray(rgb)
        image = image.convert("RGB", colours) if colours else image
        out[index] = np.asarray(image.point(table) if table else image)
    return out


def _resized(pixels: np.ndarray, side_px: int) -> np.ndarray:
    """(L, side, side, 3), antialiased."""
    levels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    resized = functional.interpolate(levels, size=(side_px, side_px), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())


def _blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Reducing and enlarging with triangle filters blurs about as a Gaussian of `sigma` does."""
    small = _resized(pixels, max(8, round(pixels.shape[1] / (1 + 1.2 * sigma))))
    return _resized(small, pixels.shape[1])


def _noisy(pixels: np.ndarray, sigma: float, coloured: bool, rng: np.random.Generator) -> np.ndarray:
    side, channels = pixels.shape[1], 3 if coloured else 1
    # One field larger than a tile, of which each frame takes its own part, some turned: drawing costs more than adding.
    field = np.round(rng.standard_normal((side + 64, side + 64, channels), np.float32) * sigma).astype(np.int16)
    out = np.empty_like(pixels)
    for index, rgb in enumerate(pixels):
        y, x = rng.integers(0, 65, 2).tolist()
        part = field[y : y + side, x : x + side]
        part = part[:: rng.choice([1, -1]), :: rng.choice([1, -1])]
        np.clip(rgb + part, 0, 255, out=out[index], casting="unsafe")
    return out
