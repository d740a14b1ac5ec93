"""Footage, spoilt in a stated way: sources around a source, whose frames are changed before any face is looked for.

Seven distortions at five levels each, as DeeperForensics-1.0 has them (Jiang et al., CVPR 2020; parameters of its
public `perturbation` code), applied to whole frames. What is mended, so that results can be repeated and mean what they
say:

    saturation    clipped instead of wrapping round
    contrast      about the mean brightness; there the picture is multiplied, which darkens it
    blocks        as many as the picture is large; there, none on a picture below 256 px. Placed by a seed
    noise         by a seed; colour gets half of it, which is what 4:2:0 leaves of noise on every pixel
    pixelation    called JPEG there, which it is not: shrunk and enlarged. Blocks are averaged, not sampled
    compression   frame by frame in memory: no file, no frame lost, times are kept

and four changes that a verdict should not depend on: mirror, blur-border, pad-border, and coding anew (harmonise.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import numpy as np
from PIL import Image, ImageFilter

from ..errors import ConfigError
from ..events import StreamUp
from ..picture import Picture
from ..sources import Item, Source, SourceStatistics
from ..sources.source import SourceBase
from ..values import Frame
from .coding import Coded, Coding

LEVELS = 5
_AMOUNTS: dict[str, tuple[float, ...]] = {
    "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
    "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
    "blocks": (16, 32, 48, 64, 80),
    "noise": (0.001, 0.002, 0.005, 0.01, 0.05),
    "blur": (7, 9, 13, 17, 21),
    "pixelation": (2, 3, 4, 5, 6),
    "compression": (30, 32, 35, 38, 40),
}
"""Of levels 1 to 5. saturation, contrast: what is left of it. blocks: 8x8 grey ones for each 256 px of the shorter
side. noise: variance, white being 1. blur: width of the Gaussian's window in pixels, six deviations. pixelation: pixels
a side. compression: H.264's CRF."""

DISTORTIONS = tuple(_AMOUNTS)
BORDER = 0.08
"""Of the shorter side: how wide a border is blurred, or put around."""
BLOCK_PX = 8
_ROOM = 64
"""Noise is drawn once, this much larger than the picture, and moved about from frame to frame."""

Change = Callable[[Picture], Picture]


class Changed(SourceBase):
    """A source whose pictures are changed, one by one and in order."""

    def __init__(self, source: Source, change: Change) -> None:
        self.url = source.url
        self.live = source.live
        self._source = source
        self._change = change

    def read(self, timeout_s: float) -> Item | None:
        item = self._source.read(timeout_s)
        if isinstance(item, Frame):
            return replace(item, picture=self._change(item.picture))
        if isinstance(item, StreamUp):
            return replace(item, width=0, height=0)  # not known before the first frame
        return item

    def close(self) -> None:
        self._source.close()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()


def distorted(source: Source, condition: str, *, seed: str) -> Source:
    """The source under a distortion such as `noise/3`. `seed`: equal ones give equal pictures; the footage's key."""
    name, level = parse_distortion(condition)
    amount = _AMOUNTS[name][level - 1]
    if name == "compression":
        return Coded(source, Coding(crf=int(amount)))
    random = np.random.default_rng(crc32(f"{seed} {condition}".encode()))
    changes: dict[str, Callable[[], Change]] = {
        "saturation": lambda: lambda picture: with_saturation(picture, amount),
        "contrast": lambda: lambda picture: with_contrast(picture, amount),
        "blocks": lambda: lambda picture: with_blocks(picture, amount, random),
        "noise": lambda: Noise(amount, random),
        "blur": lambda: lambda picture: blurred(picture, amount / 6),
        "pixelation": lambda: lambda picture: pixelated(picture, int(amount)),
    }
    return Changed(source, changes[name]())


def parse_distortion(condition: str) -> tuple[str, int]:
    """Name and level. ConfigError if there is none like it."""
    name, _, level = condition.partition("/")
    if name not in _AMOUNTS or level not in [str(i) for i in range(1, LEVELS + 1)]:
        raise ConfigError("--conditions", f"{condition} is none; distortions are {', '.join(DISTORTIONS)}, /1 to /5")
    return name, int(level)


def with_saturation(picture: Picture, share: float) -> Picture:
    return replace(picture, u=_scaled(picture.u, share, 128.0), v=_scaled(picture.v, share, 128.0))


def with_contrast(picture: Picture, share: float) -> Picture:
    spread = _scaled(picture.y, share, float(picture.y.mean()))
    return replace(with_saturation(picture, share), y=spread)


def with_blocks(picture: Picture, for_256_px: float, random: np.random.Generator) -> Picture:
    """Grey squares here and there, in other places in every frame."""
    y, u, v = picture.y.copy(), picture.u.copy(), picture.v.copy()
    count = max(1, round(min(picture.width, picture.height) / 256 * for_256_px))
    half = BLOCK_PX // 2
    lefts = random.integers(0, max(1, (picture.width - BLOCK_PX) // 2 + 1), count)
    tops = random.integers(0, max(1, (picture.height - BLOCK_PX) // 2 + 1), count)
    for left, top in zip(lefts, tops, strict=True):
        y[2 * top : 2 * top + BLOCK_PX, 2 * left : 2 * left + BLOCK_PX] = 128
        u[top : top + half, left : left + half] = 128
        v[top : top + half, left : left + half] = 128
    return replace(picture, y=y, u=u, v=v)


class Noise:
    """Gaussian noise on every plane, another in every frame."""

    def __init__(self, variance: float, random: np.random.Generator) -> None:
        self._deviation = variance**0.5
        self._random = random
        self._drawn: dict[tuple[tuple[int, ...], float], np.ndarray] = {}

    def __call__(self, picture: Picture) -> Picture:
        white, colour = (255.0, 255.0) if picture.full_range else (219.0, 224.0)
        return replace(
            picture,
            y=self._on(picture.y, white),
            u=self._on(picture.u, colour / 2),
            v=self._on(picture.v, colour / 2),
        )

    def _on(self, plane: np.ndarray, scale: float) -> np.ndarray:
        key = (plane.shape, scale)
        if key not in self._drawn:
            shape = [side + _ROOM for side in plane.shape]
            drawn = self._random.normal(0.0, self._deviation * scale, shape)
            self._drawn[key] = np.rint(np.clip(drawn, -255, 255)).astype(np.int16)
        top, left = self._random.integers(0, _ROOM, 2)
        noise = self._drawn[key][top : top + plane.shape[0], left : left + plane.shape[1]]
        return np.clip(plane.astype(np.int16) + noise, 0, 255).astype(np.uint8)


def blurred(picture: Picture, deviation_px: float) -> Picture:
    def blur(plane: np.ndarray, deviation: float) -> np.ndarray:
        return np.asarray(_image(plane).filter(ImageFilter.GaussianBlur(deviation)))

    return replace(
        picture,
        y=blur(picture.y, deviation_px),
        u=blur(picture.u, deviation_px / 2),
        v=blur(picture.v, deviation_px / 2),
    )


def pixelated(picture: Picture, pixels: int) -> Picture:
    small = (max(1, round(picture.width / pixels)), max(1, round(picture.height / pixels)))

    def coarse(plane: np.ndarray) -> np.ndarray:
        image = _image(plane)
        return np.asarray(
            image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR), np.uint8
        )

    return replace(picture, y=coarse(picture.y), u=coarse(picture.u), v=coarse(picture.v))


# What a verdict should not depend on.


def mirrored(picture: Picture) -> Picture:
    """Left for right; an odd last column is left out, so that colour stays where it was."""
    picture = even(picture)
    y, u, v = (np.ascontiguousarray(plane[:, ::-1]) for plane in (picture.y, picture.u, picture.v))
    return replace(picture, y=y, u=u, v=v)


def with_blurred_border(picture: Picture) -> Picture:
    """A frame around the picture is so blurred that nothing is seen in it; the inside is untouched."""
    wide = _border_px(picture)
    soft = blurred(picture, wide / 2)
    planes = []
    for sharp, plane, part in ((picture.y, soft.y, 1), (picture.u, soft.u, 2), (picture.v, soft.v, 2)):
        made, rim = plane.copy(), wide // part
        made[rim:-rim, rim:-rim] = sharp[rim:-rim, rim:-rim]
        planes.append(made)
    return replace(picture, y=planes[0], u=planes[1], v=planes[2])


def with_padded_border(picture: Picture) -> Picture:
    """A black frame is put around the picture, which becomes that much larger."""
    wide = _border_px(picture)
    black = 0 if picture.full_range else 16
    picture = even(picture)
    return replace(
        picture,
        y=np.pad(picture.y, wide, constant_values=black),
        u=np.pad(picture.u, wide // 2, constant_values=128),
        v=np.pad(picture.v, wide // 2, constant_values=128),
    )


def even(picture: Picture) -> Picture:
    """Without an odd last column or row, which encoders of 4:2:0 refuse."""
    width, height = max(2, picture.width // 2 * 2), max(2, picture.height // 2 * 2)
    if (width, height) == (picture.width, picture.height):
        return picture
    return picture.region(0, 0, min(width, picture.width), min(height, picture.height))


def _border_px(picture: Picture) -> int:
    return max(2, round(BORDER * min(picture.width, picture.height) / 2) * 2)


def _scaled(plane: np.ndarray, share: float, about: float) -> np.ndarray:
    table = np.clip(np.rint(about + share * (np.arange(256) - about)), 0, 255).astype(np.uint8)
    return table[plane]


def _image(plane: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(plane))
