"""The nouns of StreamGuard, in the order in which data flows: Frame, Face, Patch, Window. Events are in events.py.

All are frozen. Units stand in the names: `_s` seconds, `_px` pixels of the source picture. `pts_s` is media time (the
stream's own clock, always increasing within one stream); wall-clock time is never stored in the same field.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from .errors import EventFormatError
from .picture import Picture


class Box(NamedTuple):
    """A rectangle in pixels of the source picture, x to the right and y down. May leave the picture."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def scale(self) -> float:
        """The side of the square of the same area: how large a face is, whatever its shape."""
        return float(np.sqrt(max(0.0, self.width * self.height)))

    def moved(self, dx: float, dy: float) -> Box:
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)

    def share_inside(self, width_px: float, height_px: float) -> float:
        """The share of this box's area that lies inside a picture of this size, 0 to 1."""
        inside_width = min(self.x1, width_px) - max(self.x0, 0.0)
        inside_height = min(self.y1, height_px) - max(self.y0, 0.0)
        if inside_width <= 0 or inside_height <= 0:
            return 0.0
        return inside_width * inside_height / (self.width * self.height)


class StreamState(StrEnum):
    """State of a whole video stream."""

    CONNECTING = "CONNECTING"
    LIVE = "LIVE"
    NO_FACE = "NO_FACE"
    """Pictures come, and there is no face in them."""
    STALLED = "STALLED"
    """No pictures come."""
    ENDED = "ENDED"


class FaceState(StrEnum):
    """State of one face."""

    WARMING_UP = "WARMING_UP"
    LIKELY_REAL = "LIKELY_REAL"
    UNCERTAIN = "UNCERTAIN"
    LIKELY_FAKE = "LIKELY_FAKE"
    LOW_QUALITY = "LOW_QUALITY"


class Reason(StrEnum):
    """Why a face cannot be judged, or only with doubt."""

    TOO_SMALL = "TOO_SMALL"
    BLURRED = "BLURRED"
    DARK = "DARK"
    OVEREXPOSED = "OVEREXPOSED"
    TURNED_AWAY = "TURNED_AWAY"
    OCCLUDED = "OCCLUDED"
    PADDED = "PADDED"
    GAPS = "GAPS"
    TOO_SLOW = "TOO_SLOW"
    UNCALIBRATED = "UNCALIBRATED"
    NOT_SCORED = "NOT_SCORED"
    """The picture would do, and the network does not answer."""


class GapCause(StrEnum):
    """Why media time does not simply go on."""

    LONG_GAP = "LONG_GAP"
    BACKWARD_JUMP = "BACKWARD_JUMP"
    RECONNECTED = "RECONNECTED"
    SIZE_CHANGED = "SIZE_CHANGED"
    SCENE_CUT = "SCENE_CUT"


class LostCause(StrEnum):
    """Why a face's generation ended."""

    GONE = "GONE"
    """Not seen for longer than the tracker coasts."""
    DOUBT = "DOUBT"
    """It may be somebody else now: appearance, position or size do not agree."""
    CONTACT = "CONTACT"
    """Two faces met; which is which cannot be told afterwards."""
    MEDIA_GAP = "MEDIA_GAP"
    """The stream jumped, cut, or changed its size."""
    STREAM_ENDED = "STREAM_ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One decoded picture with its time. Made by sources, fed to a Session."""

    pts_s: float
    """Media time. Strictly increasing within one stream, whatever the sender's counters do."""
    picture: Picture
    arrival_s: float
    """Monotonic wall clock when it was decoded: where latency is counted from."""
    utc_s: float | None = None
    """Sender's wall clock (Unix seconds), where the stream tells it."""
    gap: GapCause | None = None
    """Set on the first frame after media time broke."""
    pts_guessed: bool = False
    """The stream gave no usable time for this frame; it was placed one frame period after the previous one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AudioChunk:
    """16 kHz mono sound on the same clock as the frames. Only made when a bundle asks for it."""

    pts_s: float
    samples: np.ndarray  # (N,) int16
    RATE_HZ = 16000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection:
    """What a detector found in one picture."""

    box_px: Box
    score: float
    """0 to 1, the detector's own."""
    eyes_px: tuple[tuple[float, float], tuple[float, float]]
    """Left and right eye as they stand in the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the picture allows. Each is a measurement; limits and reasons are decided elsewhere."""

    size_px: float
    """Side of the square with the face box's area."""
    sharpness: float
    """0 (flat or blurred) to about 1 (crisp): energy of fine detail against coarse detail inside the face."""
    luma: float
    """Mean brightness of the face, 0 to 1."""
    clipped: float
    """Share of the face's pixels that are black or white, 0 to 1."""
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    presence: float
    """How surely a whole face is seen, 0 to 1: the mesh network's confidence, less where masks or the like cover it."""
    padded: float
    """Share of the face's surroundings that lies outside the picture, 0 to 1: of a face, of a square of twice its size;
    of a window, of what its network looks at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mesh:
    """A face measured in one picture by the mesh network."""

    points_px: np.ndarray  # (468, 3) float32: x, y in picture pixels, z in the same unit (smaller is nearer)
    presence: float
    """0 to 1."""
    chip: np.ndarray  # (H, W, 3) uint8 RGB: the upright square that the network saw, for quality and appearance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Face:
    """One person's face in one frame, measured in that very frame."""

    face_id: int
    generation: int
    """Counts up whenever it may be somebody else. Windows and state never cross a generation."""
    box_px: Box
    points_px: np.ndarray  # (5, 2) float32: left eye, right eye, nose, left and right mouth corner, as in the picture
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """The pixels around one face at one grid point: wider than any crop recipe needs."""

    face: Face
    pts_s: float
    grid_index: int
    picture: Picture
    """A copy of the region, reduced by a whole factor if the face is large."""
    origin_px: tuple[int, int]
    """Where the region's corner lies in the source picture."""
    reduction: int
    """Source pixels per pixel of `picture`."""
    arrival_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """Crops of one face generation on its grid, for a clip network: a whole clip, or the newest step of it."""

    face_id: int
    generation: int
    crop_epoch: int
    """Counts up when the crop's square moves or crops are missing: recurrent state of another epoch is another slot."""
    age: int
    """Crops of this epoch that were given before. Always 0 for whole clips; with steps, 0 asks for a fresh slot, which
    the first crops warm: they are the last ones seen, replayed through the new square."""
    crops: np.ndarray  # (L, H, W, 3) uint8 RGB
    pts_s: tuple[float, ...]
    """Media time of each crop; a repeated crop keeps its own time."""
    grid_s: tuple[float, ...]
    """The grid points which the crops stand for."""
    pts_start_s: float
    """This and what follows speak of all crops that the score will rest on: for a step also of the R + T - 1 before."""
    crops_real: int
    crops_expected: int
    gaps: int
    """Grid points without a frame, filled by repeating the crop before."""
    quality: Quality
    """The worst of them, field by field."""
    arrival_s: float
    """When its newest frame was decoded."""

    @property
    def pts_end_s(self) -> float:
        return self.pts_s[-1]

    @property
    def slot(self) -> tuple[int, int, int]:
        """Whose recurrent state this is, within one stream."""
        return self.face_id, self.generation, self.crop_epoch

    def __repr__(self) -> str:
        return (
            f"Window(face {self.face_id}.{self.generation}, {self.pts_start_s:.3f} to {self.pts_end_s:.3f} s, "
            f"crops {self.crops.shape}, {self.gaps} gaps)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A network's answer about a window."""

    window: Window
    raw_score: float
    """0 (real) to 1 (fake). Not a probability."""
    taken_s: float
    """When the window was handed in, and when the network began and ended: wall clock, for the latency by stage."""
    begun_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMaps:
    """Where in a face's square the network found how much, over the crops of one clip. An aid for looking, and no
    proof. A map is a byte a cell, row by row from the top left: 0 is little, 255 is much."""

    pts_start_s: float
    """Media time of the first and the last of the crops that the maps are the mean of."""
    pts_end_s: float
    square_px: Box
    """What the maps cover, in pixels of the source picture."""
    width: int
    """Cells of each map."""
    height: int
    anomaly: bytes | None = None
    """What the network's anomaly branch finds there; it is trained to find nothing on real faces. None: it has none."""
    motion: bytes | None = None
    """How far what is seen there is not what the crop before foretells. None: the network knows no motion."""
    comparable: bool
    """True: 0 and 255 stand for the same in every clip, measured on real faces. False: for this clip's own least and
    most."""

    def __post_init__(self) -> None:
        for name, cells in (("anomaly", self.anomaly), ("motion", self.motion)):
            if cells is not None and len(cells) != self.width * self.height:
                raise EventFormatError(name, f"has {len(cells)} bytes, and {self.width} x {self.height} cells")

    def __repr__(self) -> str:
        kinds = " and ".join(name for name in ("anomaly", "motion") if getattr(self, name) is not None)
        return f"HeatMaps({kinds}, {self.width} x {self.height}, {self.pts_start_s:.3f} to {self.pts_end_s:.3f} s)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapClip:
    """A whole clip of one face generation that heat maps are wanted of."""

    face_id: int
    generation: int
    crops: np.ndarray  # (R + T, H, W, 3) uint8 RGB
    pts_start_s: float
    """Of the last T crops, which the maps will be the mean of."""
    pts_end_s: float
    square_px: Box
    """Where all crops lie in the source picture."""
    box_px: Box
    """The face in the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mapped:
    """What a network made of such a clip."""

    clip: MapClip
    """With its newest crop only."""
    maps: HeatMaps
