"""Public fakes: test your own code, and ours, without cameras, clocks or networks.

ManualClock       time that moves when you say so
ScriptedSource    yields the items you list, or fails as you say
painted           a picture in which every person is a rectangle of their own brightness
PaintedFaces      detector and mesher for such pictures: tests can tell whose pixels a crop holds
fake_bundle       a bundle without files, calibrated or not
FakeBackend       scores crops by a function of yours, as slowly as you like, or not before you say so
FakeMaps          heat maps that show how bright each place of the crops is
EventRecorder     keeps events, and finds them by kind
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from .bundle import (
    Bundle,
    Calibration,
    ClipSpec,
    Graph,
    GraphSpec,
    Manifest,
    MapRange,
    MapsSpec,
    OutputSpec,
    Precision,
    Provenance,
    Temperature,
    Thresholds,
)
from .engine.backend import Arrays
from .errors import ClosedError
from .events import EndOfStream, Event, Kind
from .faces.mesh import FIVE_POINT_INDICES
from .picture import Picture
from .queues import QueueStatistics
from .sources.source import Counters, Item, SourceBase, SourceStatistics
from .values import Box, Detection, Frame, Mesh

K = TypeVar("K")


class ManualClock:
    """A clock for tests."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> float:
        assert seconds >= 0, "time does not run back"
        self._now_s += seconds
        return self._now_s


class ScriptedSource(SourceBase):
    """Yields the items in order. An exception is raised; a number is so many seconds of silence on the clock.

    After EndOfStream, and when the script is used up without one, reading raises ClosedError.
    """

    live = True
    url = "scripted:"

    def __init__(self, items: Iterable[Item | Exception | float], clock: ManualClock | None = None) -> None:
        self._items = iter(items)
        self._clock = clock or ManualClock()
        self._silent_s = 0.0
        self._read = 0
        self._closed = False

    def read(self, timeout_s: float) -> Item | None:
        if self._closed:
            raise ClosedError("scripted source")
        while self._silent_s <= 0:
            item = next(self._items, None)
            if item is None:
                raise ClosedError("scripted source (its script has no more items and did not say EndOfStream)")
            if isinstance(item, Exception):
                raise item
            if not isinstance(item, (int, float)):
                self._read += isinstance(item, Frame)
                self._closed = isinstance(item, EndOfStream)
                return item
            self._silent_s = float(item)
        waited_s = min(timeout_s, self._silent_s)
        self._silent_s -= waited_s
        self._clock.advance(waited_s)
        return None

    def close(self) -> None:
        self._closed = True

    def statistics(self) -> SourceStatistics:
        return SourceStatistics(
            frames_read=self._read,
            decoded=Counters(frames_decoded=self._read),
            frame_queue=QueueStatistics(capacity=0),
            sound_queue=QueueStatistics(capacity=0),
        )


BACKGROUND = 16
"""Brightness of a painted picture where nobody is."""


def painted(width: int, height: int, people: Mapping[int, Box]) -> Picture:
    """A picture in which each person is a rectangle of brightness `key` (32 to 255); later ones stand in front."""
    y = np.full((height, width), BACKGROUND, np.uint8)
    for brightness, box in people.items():
        assert brightness > BACKGROUND
        top, bottom, left, right = (max(0, round(side)) for side in (box.y0, box.y1, box.x0, box.x1))
        y[top:bottom, left:right] = brightness
    coded = y[::2, ::2]
    return Picture(y=y, u=_COLOURS[0][coded], v=_COLOURS[1][coded], matrix="bt601", full_range=True)


# Colours as far apart as they go for brightnesses that are near: by the golden angle.
_ANGLES = np.arange(256) * 2.399963
_COLOURS = tuple(np.rint(128 + 30 * wave).astype(np.uint8) for wave in (np.cos(_ANGLES), np.sin(_ANGLES)))


class PaintedFaces:
    """Finds the rectangles of `painted` pictures, exactly. Detector and mesher in one.

    `presence` is the visible share of the face. Like the real mesh network, `follow` takes whatever face it finds
    where it looks: also somebody else's.
    """

    def __init__(self, face_px: tuple[float, float]) -> None:
        self._area = face_px[0] * face_px[1]
        self.looks = 0
        self.measured = 0

    def detect(self, picture: Picture, region_px: Box | None = None) -> list[Detection]:
        self.looks += 1
        found = []
        for brightness in _people_in(picture, region_px):
            box = _box_of(picture, brightness)
            if self._visible(picture, brightness) > 0.5 and _holds(region_px, box):
                found.append(Detection(box_px=box, score=0.9, eyes_px=_eyes(box)))
        return found

    def measure(self, picture: Picture, detection: Detection) -> Mesh:
        return self._nearest(picture, detection.box_px)

    def follow(self, picture: Picture, mesh: Mesh, shift_px: tuple[float, float] = (0.0, 0.0)) -> Mesh:
        points = mesh.points_px
        box = Box(*(float(v) for v in (*points[:, :2].min(0), *points[:, :2].max(0))))
        return self._nearest(picture, box.moved(*shift_px))

    def _nearest(self, picture: Picture, place: Box) -> Mesh:
        """Whoever shows most in the surroundings of a place."""
        self.measured += 1
        margin = place.scale / 4
        area = Box(place.x0 - margin, place.y0 - margin, place.x1 + margin, place.y1 + margin)
        people = _people_in(picture, area)
        if not people:
            return _mesh(picture, place, 0.0)
        brightness = max(people, key=lambda b: int((_part(picture, area) == b).sum()))
        return _mesh(picture, _box_of(picture, brightness), self._visible(picture, brightness))

    def _visible(self, picture: Picture, brightness: int) -> float:
        return float((picture.y == brightness).sum()) / self._area


def _part(picture: Picture, region: Box | None) -> np.ndarray:
    if region is None:
        return picture.y
    return picture.y[max(0, int(region.y0)) : max(0, int(region.y1)), max(0, int(region.x0)) : max(0, int(region.x1))]


def _people_in(picture: Picture, region: Box | None) -> list[int]:
    counts = np.bincount(_part(picture, region).ravel(), minlength=256)
    return [int(value) for value in np.flatnonzero(counts) if value > BACKGROUND]


def _box_of(picture: Picture, brightness: int) -> Box:
    rows, columns = np.nonzero(picture.y == brightness)
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def _holds(region: Box | None, box: Box) -> bool:
    if region is None:
        return True
    return region.x0 <= box.x0 and region.y0 <= box.y0 and box.x1 <= region.x1 and box.y1 <= region.y1


def _eyes(box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    y = box.y0 + 0.35 * box.height
    return (box.x0 + 0.3 * box.width, y), (box.x0 + 0.7 * box.width, y)


_FIVE = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
"""Where eyes, nose and mouth corners of a painted face are, as shares of its box."""


def _mesh(picture: Picture, box: Box, presence: float) -> Mesh:
    shares = np.random.default_rng(0).uniform(0.02, 0.98, (468, 3))
    shares[0, :2], shares[9, :2] = (0.0, 0.0), (1.0, 1.0)
    for indices, place in zip(FIVE_POINT_INDICES, _FIVE, strict=True):
        shares[list(indices), :2] = place
    shares[:, 2] = 0.0
    points = shares * (box.width, box.height, 1.0) + (box.x0, box.y0, 0.0)
    chip = picture.rgb_region((*np.floor(box[:2]), *np.ceil(box[2:])), (192, 192))
    return Mesh(points_px=points.astype(np.float32), presence=min(1.0, presence), chip=chip)


CALIBRATION = Calibration(
    graph="window",
    precision="fp32",
    prior=0.5,
    curve=Temperature(scale=1.0, offset=0.0, stderr=0.2),
    thresholds=Thresholds(fake_enter=0.9, fake_leave=0.7, real_leave=0.3, real_enter=0.1, false_positive_rate=0.01),
    fitted_on="nothing: it is made up for tests",
)


MAP_CELLS = 4
"""On a side of a fake map."""
FAKE_MAPS = MapsSpec(
    file="none.onnx",
    height=MAP_CELLS,
    width=MAP_CELLS,
    kinds=("anomaly", "motion"),
    ranges={"anomaly": MapRange(low=0.0, high=255.0), "motion": MapRange(low=0.0, high=255.0)},
    measured_on="nothing: it is made up for tests",
)


def fake_bundle(
    *,
    graph: Graph = "window",
    calibrated: bool = True,
    size_px: int = 32,
    grid_s: float = 0.08,
    length: int = 8,
    memory: int = 0,
    hop_s: float = 0.64,
    maps: bool = False,
) -> Bundle:
    """A manifest for a FakeBackend. Calibrated: the probability is the raw score. With `maps` for FakeMaps, too."""
    manifest = Manifest(
        network="fake",
        version="0",
        trained=calibrated,
        clip=ClipSpec(size_px=size_px, grid_s=grid_s, length=length, memory=memory, hop_s=hop_s, recipe="square"),
        output=OutputSpec(tensor="score", kind="probability"),
        graphs={graph: {"fp32": GraphSpec(file="none.onnx", tolerance=0.0)}},
        calibrations=(dataclasses.replace(CALIBRATION, graph=graph),) if calibrated else (),
        maps=FAKE_MAPS if maps else None,
        provenance=Provenance(data="none", commit="none", licence="Apache-2.0"),
        files={},
    )
    return Bundle(folder=Path(), manifest=manifest, sha256="0" * 64)


def brightness(crops: np.ndarray) -> float:
    """How bright crops are, 0 to 1: with painted faces, who is in them."""
    return float(crops.mean() / 255)


class FakeBackend:
    """Scores the crops that it is given by a function. One run at a time, `seconds` each; a slot keeps the mean of what
    its face showed. While `gate` is not set it hangs, as a broken device does. An `error` is raised by every run."""

    name, device = "fake", "nothing"
    precision: Precision = "fp32"
    at_once = 1
    bytes_per_slot = 8

    def __init__(
        self, graph: Graph = "window", score: Callable[[np.ndarray], float] = brightness, *, seconds: float = 0.0
    ) -> None:
        self.graph = graph
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.runs = 0
        self.entered = threading.Event()
        """Set when the first run has begun."""
        self.closed = False
        self._score = score
        self._seconds = seconds
        self._device = threading.Lock()
        self._opening = threading.Lock()
        self._slots: dict[int, float] = {}

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return {"score": np.array([[self._work(crops)] for crops in arrays["crops"]], np.float32)}

    def open_slot(self) -> int:
        with self._opening:
            slot = next(i for i in range(len(self._slots) + 1) if i not in self._slots)
            self._slots[slot] = 0.0
            return slot

    def step(self, slots: Sequence[int], arrays: Arrays) -> dict[str, np.ndarray]:
        assert len(set(slots)) == len(slots)
        for slot, crop, age in zip(slots, arrays["crops"], arrays["age"], strict=True):
            self._slots[slot] += (self._work(crop) - self._slots[slot]) / (int(age) + 1)
        return {"score": np.array([[self._slots[slot]] for slot in slots], np.float32)}

    def clear(self, slot: int) -> None:
        self._slots[slot] = 0.0

    def fill(self, slot: int, value: float) -> None:
        self._slots[slot] = value

    def close_slot(self, slot: int) -> None:
        with self._opening:
            del self._slots[slot]

    def close(self) -> None:
        self.closed = True

    def _work(self, crops: np.ndarray) -> float:
        with self._device:
            self.entered.set()
            self.gate.wait()
            if self.error is not None:
                raise self.error
            self.runs += 1
            time.sleep(self._seconds)
            return self._score(crops)


class FakeMaps:
    """Maps of brightness: `anomaly` of the newest crop, and `motion` of what changed since the oldest. It hangs while
    `gate` is not set; an `error` is raised by every run."""

    name = "fake"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        """Set when the first run has begun."""
        self.error: Exception | None = None
        self.seen: list[float] = []
        """How bright each clip was, in turn."""
        self.closed = False

    def run(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        self.entered.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error
        self.seen.append(float(crops.mean()))
        newest, oldest = _cells(crops[-1]), _cells(crops[0])
        return {"anomaly": newest, "motion": np.abs(newest - oldest)}

    def close(self) -> None:
        self.closed = True


def _cells(crop: np.ndarray) -> np.ndarray:
    """How bright a crop (H, W, 3) is in each of 4 x 4 places: float32."""
    side = len(crop) // MAP_CELLS
    used = crop[: side * MAP_CELLS, : side * MAP_CELLS]
    return used.reshape(MAP_CELLS, side, MAP_CELLS, side, 3).mean(axis=(1, 3, 4)).astype(np.float32)


class EventRecorder:
    """Collects events; `of(FaceAppeared)` gives the payloads of one kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def add(self, events: Iterable[Event]) -> None:
        self.events.extend(events)

    def of(self, kind: type[K]) -> list[K]:
        return [event.kind for event in self.events if isinstance(event.kind, kind)]

    def kinds(self) -> list[type[Kind]]:
        return [type(event.kind) for event in self.events]
