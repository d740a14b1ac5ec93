"""What the runtime said of each footage, kept on disk: JSON lines, one footage and condition a line, after a header.

Traces are the only thing that measures and calibration read, so each can be repeated without the media. Several files
may be read as one set: of a network trained K times on all but one fold of the groups, each bundle traces only the
groups that it never saw, and the set is cross-fitted. What must not be pooled is refused here, so that nobody has to
remember which weights saw whom.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..bundle import Graph, Manifest, Precision
from ..config import ClipConfig
from ..errors import TraceError
from ..sinks.sink import sink_error
from ..strict import Refuse, added, build, read_json
from ..values import Box, Quality

Label = Literal["real", "fake"]

RAW = "raw"
"""The condition of footage as it is."""
ROUNDED_S = 1e-5
"""More than what one moment judges can be off by: times are kept to the microsecond."""
WINDOWS_NEEDED = 2
"""Windows' worth of usable media time that a face needs before it can have a verdict at all; less is no track."""


class Moment(NamedTuple):
    """One answer of the network."""

    pts_start_s: float
    """Of all that the score rests on, as in the event `Score`; a verdict is about the last T crops of it."""
    pts_end_s: float
    raw_score: float
    """0 (real) to 1 (fake). Not a probability."""
    usable: bool
    """The picture allowed a judgement."""


class Place(NamedTuple):
    """Where the face was, now and then: for pictures of it."""

    pts_s: float
    box_px: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceTrace:
    """One face generation: what others call a track."""

    face_id: int
    generation: int
    start_s: float
    """When it appeared, in media time."""
    end_s: float
    """When it was last seen."""
    quality: Quality | None
    """Medians over its moments, of angles without their sign; None if it was never scored."""
    unusable: dict[str, int] = field(default_factory=dict)
    """Reasons (`Reason`) against moments, and how many moments each was named for."""
    usable_seconds: float
    """Media time that its usable moments judge, each counted once."""
    places: tuple[Place, ...] = ()
    moments: tuple[Moment, ...] = ()
    """In order of their end."""

    @property
    def size_px(self) -> float | None:
        """Median side of the square with the face's area."""
        return None if self.quality is None else self.quality.size_px

    @property
    def usable(self) -> list[Moment]:
        return [moment for moment in self.moments if moment.usable]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One footage under one condition."""

    key: str
    """Of the footage, in its index."""
    condition: str
    """`raw`, `harmonised`, a distortion with its level such as `noise/3`, or another of CONDITIONS."""
    label: Label
    group: str
    """People tied together: what is split and resampled."""
    identity: str
    method: str
    """How it was faked; empty for real footage."""
    dataset: str
    twin: str
    """Key of the genuine footage it was made from, frame by frame; empty where there is none."""
    seconds: float
    """Media time that was watched."""
    usable_seconds: float
    """Media time in which at least one face could be judged."""
    fps: float
    """Frames that came, by the seconds between the first and the last; 0 where there were fewer than two."""
    codec: str
    width: int
    height: int
    faces: tuple[FaceTrace, ...]

    @property
    def is_fake(self) -> bool:
        return self.label == "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What made the traces of one file. Everything that decides a score is here."""

    format: Literal[1] = 1
    bundle: str
    """Name and version."""
    bundle_sha256: str
    network: str = added("")
    """Its registered name and options (`network_of`); empty where the bundle does not say."""
    trained: bool
    graph: Graph
    precision: Precision
    backend: str
    clip: ClipConfig
    held_out: tuple[str, ...] | None = None
    """The groups that the bundle says its training never saw; None: it says nothing of that. If it is told, only
    footage of these groups may be in the file."""
    fold: str = ""
    """Which part of the index was traced: `2/3` is the third of three folds; empty: all of it."""
    seconds: float
    """The most media time that was watched of a footage."""
    version: str
    """Of StreamGuard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a set."""

    path: str
    header: Header
    traces: tuple[Trace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSet:
    """Traces that may be pooled: one graph at one precision, one way of making clips, no footage twice under one
    condition, no group scored by two bundles under one condition."""

    parts: tuple[Part, ...]

    @property
    def traces(self) -> tuple[Trace, ...]:
        return tuple(trace for part in self.parts for trace in part.traces)

    @property
    def conditions(self) -> tuple[str, ...]:
        """In the order in which they came."""
        return tuple(dict.fromkeys(trace.condition for trace in self.traces))

    def of(self, condition: str) -> tuple[Trace, ...]:
        return tuple(trace for trace in self.traces if trace.condition == condition)

    @property
    def header(self) -> Header:
        """Any of them: for what all have in common (graph, precision, clip)."""
        return self.parts[0].header

    @property
    def clip(self) -> ClipConfig:
        return self.header.clip

    @property
    def bundles(self) -> tuple[str, ...]:
        """Their sha256, in the order in which they came."""
        return tuple(dict.fromkeys(part.header.bundle_sha256 for part in self.parts))

    @property
    def cross_fitted(self) -> bool:
        """Several bundles, and each says that it never saw the groups that it scored here."""
        return len(self.bundles) > 1 and self.held_out

    @property
    def held_out(self) -> bool:
        """Every bundle says that its training never saw the groups that it scored here."""
        return all(part.header.held_out is not None for part in self.parts)


def network_of(manifest: Manifest) -> str:
    """What two bundles have in common if they are one network with other weights; empty if it is not said."""
    net = manifest.net
    return "" if net is None else " ".join([net.name, *(f"{name}={net.options[name]}" for name in sorted(net.options))])


def judged_from(clip: ClipConfig, moment: Moment) -> float:
    """Where what a moment judges begins: each crop stands for the grid step before it, and the last T are judged. The
    same as a FaceVerdict takes it."""
    return max(moment.pts_start_s - clip.grid_s, moment.pts_end_s - clip.length * clip.grid_s)


def usable_spans(clip: ClipConfig, faces: Iterable[Sequence[Moment]]) -> float:
    """Media time that the usable moments of these faces judge, each second of it counted once."""
    spans = sorted((judged_from(clip, one), one.pts_end_s) for moments in faces for one in moments if one.usable)
    total_s, until_s = 0.0, float("-inf")
    for start_s, end_s in spans:
        total_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return total_s


def least_seconds(clip: ClipConfig) -> float:
    """Usable media time without which a face can have no verdict: it is then no track, and only counted."""
    return WINDOWS_NEEDED * clip.length * clip.grid_s


# On disk.


class TraceFile:
    """A file that traces are added to, one whole line at a time. What is there already is kept, if the same bundle and
    settings made it; a last line that was cut off is taken away. SinkError if it cannot be written."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.traces: list[Trace] = []
        """All that are in it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size:
                self._take_up(header)
            else:
                path.write_bytes(_header_line(header))
        except OSError as exc:
            raise sink_error(str(path), exc) from exc

    def done(self, condition: str) -> set[str]:
        """Keys of the footage that is in it under this condition."""
        return {trace.key for trace in self.traces if trace.condition == condition}

    def add(self, trace: Trace) -> None:
        data = _trace_line(trace)
        try:
            with self.path.open("r+b") as file:
                end = file.seek(0, os.SEEK_END)
                try:
                    file.write(data)
                    file.flush()
                except OSError:
                    file.truncate(end)
                    raise
        except OSError as exc:
            raise sink_error(str(self.path), exc) from exc
        self.traces.append(trace)

    def _take_up(self, header: Header) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self.path.open("r+b") as file:
                file.truncate(whole)
        if not whole:
            self.path.write_bytes(_header_line(header))
            return
        there = _read_file(self.path, data[:whole])
        differing = [
            one.name
            for one in dataclasses.fields(Header)
            if getattr(there.header, one.name) != getattr(header, one.name)
        ]
        if differing:
            raise TraceError(
                str(self.path),
                "header",
                f"was made with another {', '.join(differing)}. Choose another --out, or remove this file",
            )
        self.traces = list(there.traces)


def write_traces(path: Path, header: Header, traces: Iterable[Trace]) -> None:
    """A whole file at once; an older one is replaced. SinkError if it cannot be written, SinkFullError if there is no
    room left."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(_header_line(header))
            for trace in traces:
                file.write(_trace_line(trace))
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise sink_error(str(path), exc) from exc


def read_traces(paths: Iterable[str | os.PathLike[str]]) -> TraceSet:
    """All files as one set. TraceError where they cannot be read, or must not be pooled."""
    parts = []
    for path in paths:
        try:
            data = Path(path).read_bytes()
        except OSError as exc:
            raise TraceError(str(path), "", f"cannot be read ({exc.strerror})") from exc
        parts.append(_read_file(Path(path), data))
    if not parts:
        raise TraceError("", "", "no file was named")
    return pooled(parts)


def pooled(parts: Sequence[Part]) -> TraceSet:
    """The set, after all checks of whether it may be one."""
    _check_alike(parts)
    for part in parts:
        _check_held_out(part)
    _check_apart(parts)
    return TraceSet(parts=tuple(parts))


def _check_alike(parts: Sequence[Part]) -> None:
    first = parts[0]
    for other in parts[1:]:
        for name in ("graph", "precision", "clip", "seconds"):
            mine, theirs = getattr(first.header, name), getattr(other.header, name)
            if mine != theirs:
                raise TraceError(
                    other.path,
                    f"header.{name}",
                    f"is not that of {first.path}: they measure different things, so measure them apart",
                )


def _check_held_out(part: Part) -> None:
    held_out = part.header.held_out
    if held_out is None:
        return
    for trace in part.traces:
        if trace.group not in held_out:
            raise TraceError(
                part.path,
                trace.key,
                f"its group {trace.group} is not among those that {part.header.bundle} was held out from: the "
                "network may have been trained on these people",
            )


def _check_apart(parts: Sequence[Part]) -> None:
    """A group that two bundles scored would count twice, and under two networks."""
    keys: dict[tuple[str, str], Part] = {}
    groups: dict[tuple[str, str], Part] = {}
    for part in parts:
        for trace in part.traces:
            before = keys.setdefault((trace.condition, trace.key), part)
            if before is not part:
                raise TraceError(part.path, trace.key, f"is in {before.path} too, under the same condition")
            other = groups.setdefault((trace.condition, trace.group), part)
            if other.header.bundle_sha256 != part.header.bundle_sha256:
                raise TraceError(
                    part.path,
                    trace.key,
                    f"its group {trace.group} was scored by another bundle in {other.path}, under the same condition: "
                    "each group must be scored by one",
                )


def _header_line(header: Header) -> bytes:
    return _line({"header": dataclasses.asdict(header)})


def _trace_line(trace: Trace) -> bytes:
    return _line(
        {
            **_shallow(trace),
            "faces": [
                {
                    **_shallow(face),
                    "quality": None if face.quality is None else dataclasses.asdict(face.quality),
                    "places": [[_time(place.pts_s), *map(round, place.box_px)] for place in face.places],
                    "moments": [
                        [_time(one.pts_start_s), _time(one.pts_end_s), one.raw_score, int(one.usable)]
                        for one in face.moments
                    ],
                }
                for face in trace.faces
            ],
        }
    )


def _time(pts_s: float) -> float:
    """To the microsecond: no container knows more."""
    return round(pts_s, 6)


def _shallow(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _read_file(path: Path, data: bytes) -> Part:
    lines = data.split(b"\n")
    if lines.pop():
        raise TraceError(
            str(path), f"line {len(lines) + 1}", "is cut off. Run evaluate again with the same --out: it goes on there"
        )
    if not lines:
        raise TraceError(str(path), "", "is empty")
    first = _object(path, 1, lines[0])
    if "header" not in first:
        raise TraceError(str(path), "line 1", "is no header of traces")
    header = build(Header, first["header"], _refuse(path, 1))
    traces = tuple(_read_trace(path, number, line, header.clip) for number, line in enumerate(lines[1:], start=2))
    seen: dict[tuple[str, str], int] = {}
    for number, trace in enumerate(traces, start=2):
        before = seen.setdefault((trace.condition, trace.key), number)
        if before != number:
            raise TraceError(str(path), f"line {number}", f"{trace.key} is in line {before} too, as {trace.condition}")
    return Part(path=str(path), header=header, traces=traces)


def _refuse(path: Path, number: int) -> Refuse:
    def refuse(where: str, problem: str) -> TraceError:
        return TraceError(str(path), f"line {number}{f', {where}' if where else ''}", problem)

    return refuse


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    found = read_json(line, "", _refuse(path, number))
    if not isinstance(found, dict):
        raise _refuse(path, number)("", "must be an object")
    return found


def _read_trace(path: Path, number: int, line: bytes, clip: ClipConfig) -> Trace:
    """Everything is checked as strictly as a manifest is; only the moments, which are many, by hand."""
    refuse = _refuse(path, number)
    fields = _object(path, number, line)
    given = fields.get("faces")
    faces = []
    for i, face in enumerate(given if isinstance(given, list) else []):
        where = f"faces.{i}"
        inside = partial(_inside, refuse, where)
        if not isinstance(face, dict):
            raise refuse(where, "must be an object")
        moments = tuple(_moments(face.get("moments"), partial(_inside, refuse, f"{where}.moments")))
        places = tuple(_places(face.get("places"), partial(_inside, refuse, f"{where}.places")))
        made = build(FaceTrace, {**face, "moments": [], "places": []}, inside)
        _check_usable(clip, made.usable_seconds, [moments], inside)
        if moments and made.quality is None:
            raise inside("quality", "is missing, though it has moments")
        faces.append(dataclasses.replace(made, moments=moments, places=places))
    if not isinstance(given, list):
        raise refuse("faces", "must be a list")
    trace = build(Trace, {**fields, "faces": []}, refuse)
    for name in ("seconds", "fps", "width", "height"):
        if getattr(trace, name) < 0:
            raise refuse(name, f"must be at least 0, not {getattr(trace, name):g}")
    _check_usable(clip, trace.usable_seconds, [face.moments for face in faces], refuse)
    return dataclasses.replace(trace, faces=tuple(faces))


def _check_usable(clip: ClipConfig, told_s: float, faces: Sequence[Sequence[Moment]], refuse: Refuse) -> None:
    """What is measured trusts that a face with usable seconds has usable moments."""
    judged_s = usable_spans(clip, faces)
    usable = sum(one.usable for moments in faces for one in moments)
    if abs(told_s - judged_s) > ROUNDED_S * (1 + usable):
        raise refuse("usable_seconds", f"is {told_s:g}, and its usable moments judge {judged_s:g}")


def _inside(refuse: Refuse, outer: str, where: str, problem: str) -> TraceError:
    made = refuse(f"{outer}.{where}" if where else outer, problem)
    assert isinstance(made, TraceError)
    return made


def _moments(rows: Any, refuse: Refuse) -> Iterator[Moment]:
    before_s = float("-inf")
    for i, row in enumerate(_rows(rows, 4, refuse)):
        start_s, end_s, raw_score, usable = row
        if not (start_s <= end_s and before_s <= end_s):
            raise refuse(str(i), "must begin before it ends, and end no earlier than the one before")
        if not 0 <= raw_score <= 1:
            raise refuse(str(i), f"its score must be within 0 and 1, not {raw_score:g}")
        if usable not in (0, 1):
            raise refuse(str(i), "its last number must be 0 or 1")
        before_s = end_s
        yield Moment(start_s, end_s, raw_score, bool(usable))


def _places(rows: Any, refuse: Refuse) -> Iterator[Place]:
    for pts_s, *box in _rows(rows, 5, refuse):
        yield Place(pts_s, Box(*box))


def _rows(rows: Any, length: int, refuse: Refuse) -> Iterator[list[float]]:
    if not isinstance(rows, list):
        raise refuse("", "must be a list")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != length or not all(_is_number(x) for x in row):
            raise refuse(str(i), f"must be {length} finite numbers")
        yield [float(x) for x in row]


def _is_number(x: Any) -> bool:
    try:
        return type(x) in (int, float) and isfinite(x)
    except OverflowError:  # a whole number beyond all floats
        return False
