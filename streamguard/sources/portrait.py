"""Moving portraits made by code from one public-domain photograph: a source without a camera, for demos and tests.

The photograph is scikit-image's astronaut (NASA). Heads move, blink, talk and change their light; a second and further
people come from mirroring, reshaping and recolouring. All of it is a function of media time, so it repeats exactly.
A face can be faked: its inner part is then another rendition, laid over each picture anew as a face swap does it.
An animated still is synthetic itself: it exercises the machinery, it proves nothing about detection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi, sin
from pathlib import Path
from time import monotonic

import numpy as np
from PIL import Image, ImageFilter

from ..errors import AssetError, ClosedError
from ..events import EndOfStream, StreamUp
from ..picture import Picture
from ..queues import QueueStatistics
from ..values import Box, Frame
from .source import Counters, Item, SourceBase, SourceStatistics

# Where things are in the photograph, in its own pixels.
_CUT = (105, 0, 345, 250)
_FACE = Box(183.0, 66.0, 265.0, 178.0)
_EYES = ((203.0, 101.0), (247.0, 103.0))
_MOUTH = (225.0, 143.0)
_INNER = Box(178.0, 73.0, 272.0, 181.0)
"""Brows to chin, without ears and hair: what a face swap replaces."""
FACE_SCALE = _FACE.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody made from the photograph. Equal values are the same person."""

    name: str
    mirrored: bool = False
    width: float = 1.0
    """Stretches the head sideways."""
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Multiplies red, green and blue: another skin, hair and light."""
    phase: float = 0.0
    """Shifts the rhythm of movement."""


PEOPLE = (
    Person(name="ada"),
    Person(name="ben", mirrored=True, width=1.14, gains=(0.62, 0.50, 0.44), phase=1.7),
    Person(name="cem", mirrored=True, width=0.9, gains=(0.95, 0.78, 0.60), phase=3.1),
    Person(name="dia", width=1.1, gains=(0.80, 0.72, 0.78), phase=4.6),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a person's face is at one moment."""

    centre_px: tuple[float, float]
    face_px: float
    """Side of the square with the face's area."""


Path2D = Callable[[float], Place | None]
"""Media time to place; None while the person is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person and their way through the scene."""

    person: Person
    path: Path2D
    faked: bool = False
    """The inner face is another rendition, which sits a little wrong; hair, outline and background stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Something plain held before the camera at `box_px(t)`; None while it is away."""

    box_px: Callable[[float], Box | None]
    colour: tuple[int, int, int] = (90, 96, 104)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A room with people in it. Later actors stand in front of earlier ones, covers before all."""

    photograph: Path
    """The portrait's file: `assets.asset_path("portrait")`."""
    width: int
    height: int
    actors: Sequence[Actor]
    covers: Sequence[Cover] = ()
    background: int = 0
    """Another number, another room."""
    light: float = 0.05
    """How much the light breathes."""
    noise: float = 1.5
    """Sensor noise, standard deviation in levels."""

    def truth(self, pts_s: float) -> dict[str, Box]:
        """Each present person's face box at a time: what a tracker should find."""
        boxes: dict[str, Box] = {}
        for actor in self.actors:
            place = actor.path(pts_s)
            if place is not None:
                boxes[actor.person.name] = _face_box(actor.person, place, pts_s)
        return boxes

    def render(self, pts_s: float) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        canvas = room(self.width, self.height, self.background).copy()
        for actor in self.actors:
            place = actor.path(pts_s)
            if place is not None:
                _paste(canvas, *_head(self.photograph, actor, place, pts_s))
        for cover in self.covers:
            box = cover.box_px(pts_s)
            if box is not None:
                left, top, right, bottom = (max(0, int(side)) for side in box)
                canvas[top:bottom, left:right] = cover.colour
        gain = 1.0 + self.light * sin(2 * pi * 0.11 * pts_s)
        seed = np.random.default_rng(round(pts_s * 1e6) % 2**32)
        grain = seed.standard_normal((64, 64), np.float32) * self.noise
        rows, columns = -(-self.height // 64), -(-self.width // 64)
        lit = canvas * np.float32(gain) + np.tile(grain, (rows, columns))[: self.height, : self.width, None]
        return np.clip(lit, 0, 255).astype(np.uint8)


def still(x: float, y: float, face_px: float) -> Path2D:
    """A person who stays at one place (and moves their head as people do)."""
    place = Place(centre_px=(x, y), face_px=face_px)
    return lambda pts_s: place


def walk(points: Sequence[tuple[float, float, float, float]]) -> Path2D:
    """Straight lines between (time, x, y, face_px); away before the first and after the last."""
    times = np.array([point[0] for point in points])

    def path(pts_s: float) -> Place | None:
        if not times[0] <= pts_s <= times[-1]:
            return None
        x, y, face_px = (float(np.interp(pts_s, times, [point[i] for point in points])) for i in (1, 2, 3))
        return Place(centre_px=(x, y), face_px=face_px)

    return path


def two_people(photograph: Path) -> Scene:
    """The demo: two people who walk past each other; one is covered for a moment, the other for long."""
    ada = walk([(0, 330, 380, 150), (2, 330, 380, 150), (5, 930, 360, 150), (99, 930, 360, 150)])
    ben = walk([(0, 930, 360, 170), (2, 930, 360, 170), (5, 330, 380, 170), (99, 330, 380, 170)])

    def hand(t: float) -> Box | None:
        if 7.0 <= t < 7.3:
            return Box(180, 200, 500, 600)
        return Box(780, 180, 1080, 580) if 8.0 <= t < 10.0 else None

    actors = [Actor(person=PEOPLE[0], path=ada), Actor(person=PEOPLE[1], path=ben)]
    return Scene(photograph=photograph, width=1280, height=720, actors=actors, covers=[Cover(box_px=hand)])


def faked_beside(photograph: Path) -> Scene:
    """The moving portrait on the left, and on the right the same person in the same rhythm with a faked inner face.

    They never meet. The right one is a little narrower and warmer, as another camera would show her.
    """
    ada = PEOPLE[0]
    copy = Person(name="ada faked", width=0.97, gains=(1.0, 0.96, 0.92), phase=ada.phase)
    actors = [
        Actor(person=ada, path=still(340, 350, 190)),
        Actor(person=copy, path=still(940, 350, 190), faked=True),
    ]
    return Scene(photograph=photograph, width=1280, height=720, actors=actors, background=7)


def gallery(photograph: Path, *, width: int, height: int, rows: int, columns: int, face_px: float) -> Scene:
    """A video call's gallery view: rows x columns of people, each in their own tile."""
    actors = []
    for i in range(rows * columns):
        row, column = divmod(i, columns)
        base = PEOPLE[i % len(PEOPLE)]
        person = Person(
            name=f"{base.name}{i}", mirrored=base.mirrored, width=base.width, gains=base.gains, phase=base.phase + i
        )
        x, y = (column + 0.5) * width / columns, (row + 0.55) * height / rows
        actors.append(Actor(person=person, path=still(x, y, face_px)))
    return Scene(photograph=photograph, width=width, height=height, actors=actors)


class PortraitSource(SourceBase):
    """A scene as a source: `seconds` of frames at `rate_hz`, made as fast as they are read."""

    live = False
    url = "portrait"

    def __init__(self, scene: Scene, *, rate_hz: float = 25.0, seconds: float = 10.0) -> None:
        self._scene = scene
        self._rate_hz = rate_hz
        self._frames = max(1, round(seconds * rate_hz))
        self._read = 0
        self._items = self._script()

    def read(self, timeout_s: float) -> Item | None:
        item = next(self._items, None)
        if item is None:
            raise ClosedError("portrait source")
        return item

    def close(self) -> None:
        self._items = iter(())

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            frames_read=self._read,
            decoded=Counters(frames_decoded=self._read),
            frame_queue=QueueStatistics(capacity=0),
            sound_queue=QueueStatistics(capacity=0),
        )

    def __len__(self) -> int:
        return self._frames

    def _script(self) -> Iterator[Item]:
        yield StreamUp(url=self.url, width=self._scene.width, height=self._scene.height, codec="made by code")
        for index in range(self._frames):
            pts_s = index / self._rate_hz
            picture = Picture.from_rgb(self._scene.render(pts_s))
            self._read += 1
            yield Frame(pts_s=pts_s, picture=picture, arrival_s=monotonic())
        yield EndOfStream(frames=self._frames)


@lru_cache(maxsize=4)
def _load(photograph: Path) -> np.ndarray:
    try:
        return np.asarray(Image.open(photograph).convert("RGB"))
    except OSError as error:
        raise AssetError(
            str(photograph), f"not a readable picture ({error})", "Run: streamguard models pull"
        ) from error


@lru_cache(maxsize=16)
def room(width: int, height: int, number: int) -> np.ndarray:
    """A wall, a window, a shelf: (H, W, 3) uint8, nothing in it that looks like a face."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = rng.uniform(110, 190, 3).astype(np.float32)
    picture = wall * (0.75 + 0.35 * (1 - y / height) + 0.1 * x / width)[..., None]
    for _ in range(6):
        left, top = rng.uniform(0, width * 0.9), rng.uniform(0, height * 0.8)
        wide, high = rng.uniform(0.05, 0.25) * width, rng.uniform(0.05, 0.3) * height
        inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
        picture[inside] = rng.uniform(40, 220, 3)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))
    return np.asarray(image)


def _sway(person: Person, pts_s: float) -> tuple[float, float, float]:
    """Head movement: x and y in face scales, roll in degrees."""
    t = pts_s + person.phase * 5
    return 0.05 * sin(2 * pi * 0.31 * t), 0.03 * sin(2 * pi * 0.23 * t + 1), 5.0 * sin(2 * pi * 0.17 * t + 2)


def _face_box(person: Person, place: Place, pts_s: float) -> Box:
    dx, dy, _ = _sway(person, pts_s)
    scale = place.face_px / FACE_SCALE
    half_width, half_height = _FACE.width / 2 * scale * person.width, _FACE.height / 2 * scale
    x, y = place.centre_px[0] + dx * place.face_px, place.centre_px[1] + dy * place.face_px
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def _head(photograph: Path, actor: Actor, place: Place, pts_s: float) -> tuple[np.ndarray, np.ndarray, int, int]:
    """A person's head at a moment: RGB, opacity, and where its corner lies in the scene."""
    person = actor.person
    dx, dy, roll = _sway(person, pts_s)
    scale = place.face_px / FACE_SCALE
    image = _expression(_cut_out(photograph, person), person, pts_s)
    if actor.faked:
        _swap_inner_face(image, person, pts_s)
    centre_x, centre_y = _FACE.centre[0] - _CUT[0], _FACE.centre[1] - _CUT[1]
    if person.mirrored:
        centre_x = image.width - centre_x
    x, y = place.centre_px[0] + dx * place.face_px, place.centre_px[1] + dy * place.face_px
    wide, high = scale * person.width, scale
    left, top = int(x - 1.25 * centre_x * wide), int(y - 1.25 * centre_y * high)
    size = (int(2.5 * centre_x * wide) + 2, int(2.5 * centre_y * high) + 2)
    turn, side = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    # Output pixel to cut-out pixel: move the face's centre to zero, unroll, unscale, move back.
    ox, oy = x - left, y - top
    affine = (
        turn / wide, side / wide, centre_x - (turn * ox + side * oy) / wide,
        -side / high, turn / high, centre_y - (-side * ox + turn * oy) / high,
    )  # fmt: skip
    if scale < 1:
        small = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BILINEAR
        )
        sx, sy = small.width / image.width, small.height / image.height
        image = small
        affine = tuple(v * sx for v in affine[:3]) + tuple(v * sy for v in affine[3:])
    moved = np.asarray(image.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC))
    return moved[..., :3], moved[..., 3], left, top


@lru_cache(maxsize=64)
def _cut_out(photograph: Path, person: Person) -> Image.Image:
    """A person's head with soft edges, RGBA, recoloured and perhaps mirrored."""
    x0, y0, x1, y1 = _CUT
    rgb = _load(photograph)[y0:y1, x0:x1].astype(np.float32) * np.array(person.gains, np.float32)
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    distance = np.hypot((x - 226) / 92, (y - 108) / 104)
    opacity = np.clip((1.06 - distance) / 0.1, 0, 1) * 255
    rgba = np.dstack([np.clip(rgb, 0, 255), opacity]).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(rgba[:, ::-1] if person.mirrored else rgba))


def _expression(head: Image.Image, person: Person, pts_s: float) -> Image.Image:
    """The head with its eyes shut now and then, and its mouth moving."""
    t = pts_s + person.phase
    blink = max(0.0, 1.0 - abs((t % 3.1) - 0.12) / 0.12)
    talk = 0.5 + 0.5 * sin(2 * pi * 1.9 * t) * sin(2 * pi * 0.4 * t)
    out = head.copy()
    for x, y in _EYES:
        if blink > 0.05:
            _squeeze(out, _at(head, person, x, y), (17, 5), 1.0 - 0.85 * blink)
    _squeeze(out, _at(head, person, *_MOUTH), (28, 14), 0.85 + 0.3 * talk)
    return out


def _at(head: Image.Image, person: Person, x: float, y: float) -> tuple[int, int]:
    left = x - _CUT[0]
    return int(head.width - left if person.mirrored else left), int(y - _CUT[1])


def _squeeze(head: Image.Image, centre: tuple[int, int], half: tuple[int, int], factor: float) -> None:
    """Scale a feature's height about its centre, in place, blended softly into its surroundings."""
    (x, y), (half_width, half_height) = centre, half
    box = (x - half_width, y - 2 * half_height, x + half_width, y + 2 * half_height)
    part = np.asarray(head.crop(box))
    middle = (part.shape[0] - 1) / 2
    source_rows = np.clip(middle + (np.arange(part.shape[0]) - middle) / factor, 0, part.shape[0] - 1)
    squeezed = Image.fromarray(part[np.rint(source_rows).astype(np.intp)])
    rows, columns = np.mgrid[-1 : 1 : part.shape[0] * 1j, -1 : 1 : part.shape[1] * 1j]
    mask = np.clip((1.0 - np.hypot(rows, columns)) / 0.35, 0, 1) * 255
    head.paste(squeezed, box[:2], Image.fromarray(mask.astype(np.uint8)))


def _swap_inner_face(head: Image.Image, person: Person, pts_s: float) -> None:
    """What gives live face swaps away, in place: an inner face that is sharper than what is round it, a tint that
    flickers, a mask that slips, and a soft band where both are blended.

    Taken from the face itself, so that it blinks and talks along. Each moment's slip is drawn from its own time.
    """
    slips = np.random.default_rng(round(pts_s * 1e6) % 2**32 + 1).standard_normal(4)
    x0, y0 = _at(head, person, _INNER.x1 if person.mirrored else _INNER.x0, _INNER.y0)
    box = (x0, y0, x0 + round(_INNER.width), y0 + round(_INNER.height))
    part = head.crop(box).convert("RGB")
    # Output pixel to pixel of the face, which is drawn a little too large and beside its place.
    across = 0.8 * sin(2 * pi * 0.7 * pts_s) + 0.5 * slips[0]
    down = 0.6 * sin(2 * pi * 0.9 * pts_s + 1) + 0.5 * slips[1]
    affine = (0.97, 0, 0.015 * part.width + across, 0, 0.97, 0.015 * part.height + down)
    inner = part.transform(part.size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    sharp = np.asarray(inner.filter(ImageFilter.UnsharpMask(radius=4, percent=150, threshold=0)))
    flicker = np.array([1.05, 0.95, 0.94]) * (1 + 0.025 * slips[2]) + np.array([0.015, 0.0, -0.015]) * slips[3]
    tinted = Image.fromarray(np.clip(sharp * flicker, 0, 255).astype(np.uint8))
    rows, columns = np.mgrid[-1 : 1 : part.height * 1j, -1 : 1 : part.width * 1j]
    radius = np.hypot(rows, columns)
    soft = part.filter(ImageFilter.GaussianBlur(3))
    blended = Image.composite(soft, part, _mask(1 - np.abs(radius - 0.9) / 0.25))
    blended.paste(tinted, (0, 0), _mask((1 - radius) / 0.6))
    head.paste(blended, box[:2], _mask((1.25 - radius) / 0.1))


def _mask(opacity: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(opacity, 0, 1) * 255).astype(np.uint8))


def _paste(canvas: np.ndarray, rgb: np.ndarray, opacity: np.ndarray, left: int, top: int) -> None:
    """Lay a picture with opacity on the canvas, in place, clipped to it."""
    height, width = canvas.shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + rgb.shape[1]), min(height, top + rgb.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = opacity[part][..., None].astype(np.float32) / 255
    under = canvas[y0:y1, x0:x1].astype(np.float32)
    canvas[y0:y1, x0:x1] = (under + (rgb[part] - under) * alpha).astype(np.uint8)
