"""The conditions that footage is judged under: which there are, and how each makes a source of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ..data.index import Footage, Index
from ..data.reading import open_footage
from ..errors import ConfigError, CorruptMedia
from ..sources import Source
from .distortions import (
    DISTORTIONS,
    LEVELS,
    Changed,
    distorted,
    mirrored,
    parse_distortion,
    with_blurred_border,
    with_padded_border,
)
from .harmonise import FileFacts, Style, harmonised, recoded, style_of
from .traces import RAW, Trace

HARMONISED = "harmonised"
AS_FAKE, AS_REAL = "reencode-as-fake", "reencode-as-real"
CONTAINER = "container"
_BORDERS: Mapping[str, Callable[[Source], Source]] = {
    "blur-border": lambda source: Changed(source, with_blurred_border),
    "pad-border": lambda source: Changed(source, with_padded_border),
    "mirror": lambda source: Changed(source, mirrored),
}
SHORTCUTS = (AS_FAKE, AS_REAL, *_BORDERS, CONTAINER)
"""What a network that looks at faces should not mind."""
ROBUSTNESS = tuple(f"{name}/{level}" for name in DISTORTIONS for level in range(1, LEVELS + 1))
SETS = {"robustness": ROBUSTNESS, "shortcuts": SHORTCUTS}
"""Names for several."""


def parse_conditions(text: str) -> tuple[str, ...]:
    """`raw,harmonised,robustness`. Raw is always among them, and first: what others are compared with, and where face
    sizes come from. ConfigError for what is none."""
    wanted = [RAW]
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name in SETS:
            wanted += SETS[name]
        elif name in (RAW, HARMONISED, *SHORTCUTS):
            wanted.append(name)
        elif name in DISTORTIONS:
            wanted += [f"{name}/{level}" for level in range(1, LEVELS + 1)]
        elif name.partition("/")[0] in DISTORTIONS:
            parse_distortion(name)
            wanted.append(name)
        else:
            known = ", ".join((RAW, HARMONISED, *SETS, *SHORTCUTS, *DISTORTIONS))
            raise ConfigError(
                "--conditions", f"{name!r} is none; there are {known}, and a distortion's level as noise/3"
            )
    return tuple(dict.fromkeys(wanted))


def leaves_alone(condition: str, label: str) -> bool:
    """Footage of this label is as it was: its raw trace holds."""
    return condition == RAW or (condition, label) in ((AS_FAKE, "fake"), (AS_REAL, "real"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What conditions need to know, of each footage and of both classes."""

    files: Mapping[str, FileFacts]
    """By key; only of footage in which a face was found."""
    fake: Style | None
    """None: there is no such footage."""
    real: Style | None


def facts_of(index: Index, traces: Iterable[Trace]) -> Facts:
    """From raw traces, and the sizes of the files."""
    footage = {one.key: one for one in index.footage}
    files: dict[str, FileFacts] = {}
    labels: dict[str, list[FileFacts]] = {"real": [], "fake": []}
    for trace in traces:
        seen = [face for face in trace.faces if face.quality is not None]
        if trace.condition != RAW or trace.key not in footage or not seen:
            continue
        longest = max(seen, key=lambda face: (face.usable_seconds, len(face.moments)))
        assert longest.size_px is not None
        files[trace.key] = FileFacts(
            face_px=longest.size_px,
            width=trace.width,
            height=trace.height,
            fps=trace.fps,
            codec=trace.codec,
            bits_a_pixel=_bits_a_pixel(index.path(footage[trace.key])),
        )
        labels[trace.label].append(files[trace.key])
    for one in index.footage:
        if one.key in files and one.twin in files:  # frames of both stay side by side
            files[one.key] = replace(files[one.key], face_px=files[one.twin].face_px)
    styles = {label: style_of(found) if found else None for label, found in labels.items()}
    return Facts(files=files, fake=styles["fake"], real=styles["real"])


def open_under(index: Index, footage: Footage, condition: str, facts: Facts, folder: Path) -> Source | None:
    """The footage under a condition; None if it cannot be put under it, for no face was found in it. `folder` is for
    what has to be a file; whoever made it removes it."""
    if condition == RAW or leaves_alone(condition, footage.label):
        return index.source(footage)
    if condition in _BORDERS:
        return _BORDERS[condition](index.source(footage))
    if condition == CONTAINER:
        return open_footage(_in_other_container(index.path(footage), folder), side=footage.side)
    if condition in (HARMONISED, AS_FAKE, AS_REAL):
        known = facts.files.get(footage.key)
        if known is None:
            return None
        if condition == HARMONISED:
            return harmonised(index.source(footage), known)
        style = facts.fake if condition == AS_FAKE else facts.real
        return None if style is None else recoded(index.source(footage), known, style)
    return distorted(index.source(footage), condition, seed=footage.key)


def needs_facts(conditions: Sequence[str]) -> bool:
    return any(condition in (HARMONISED, AS_FAKE, AS_REAL) for condition in conditions)


def _bits_a_pixel(path: Path) -> float:
    with _opened(path) as container:
        stream = container.streams.video[0]
        seconds = container.duration / av.time_base if container.duration else 0.0
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        pixels = stream.width * stream.height * float(rate) * seconds
    return 8 * os.path.getsize(path) / pixels if pixels else 0.1


def _in_other_container(path: Path, folder: Path) -> Path:
    """The same packets in Matroska, or in MP4 what is Matroska already. What an edit list hid at the start is then
    seen, and sound is left out."""
    with _opened(path) as given:
        matroska = "matroska" in given.format.name
        made = folder / f"{path.stem}{'.mp4' if matroska else '.mkv'}"
        try:
            with av.open(str(made), "w") as out:
                stream = given.streams.video[0]
                copied = out.add_stream_from_template(stream)
                copied.metadata.update(stream.metadata)
                for packet in _with_dts(given.demux(stream)):
                    packet.stream = copied
                    out.mux(packet)
        except av.error.FFmpegError as exc:
            raise CorruptMedia(str(path), f"cannot be put into another container: {exc.strerror}") from exc
    return made


def _with_dts(packets: Iterable[Any]) -> Iterator[Any]:
    """Matroska leaves out when its first packets are to be decoded, and MP4 wants to know: just before the others."""
    early = []
    for packet in packets:
        if not packet.size:
            continue
        if packet.dts is None:
            early.append(packet)
            continue
        for i, one in enumerate(early):
            one.dts = packet.dts - len(early) + i
            yield one
        early = []
        yield packet
    yield from early


def _opened(path: Path) -> Any:
    try:
        return av.open(f"file:{path}", options={"pattern_type": "none"}, metadata_errors="replace")
    except av.error.FFmpegError as exc:
        raise CorruptMedia(str(path), exc.strerror) from exc
