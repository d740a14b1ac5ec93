"""One footage through the runtime: a source in, what each engine said of its faces out. As `scan` does it, and no other
way: source, Session, Engine, Score events.

Several engines may look at once, where they run one graph of one bundle at different precisions: the windows are the
same, so the footage is decoded, and its faces are followed, only once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from statistics import median

from ..config import ScoringConfig
from ..engine.engine import Engine, Seat
from ..errors import EngineError
from ..events import EndOfStream, FaceAppeared, FaceLost, Score, StreamUp
from ..run import Turn, drive, join
from ..session import Session
from ..sources import Source
from ..values import Box, Frame, Quality, Reason, Window
from .traces import FaceTrace, Moment, Place, usable_spans

PLACE_EVERY_S = 1.0
"""Where a face is, is kept this often."""

Key = tuple[int, int]
"""Face id and generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one engine said of one footage, and what the footage is like."""

    seconds: float
    usable_seconds: float
    fps: float
    codec: str
    width: int
    height: int
    faces: tuple[FaceTrace, ...]


def observe(source: Source, engines: Sequence[Engine], *, seconds: float) -> list[Observed]:
    """One for each engine. Reads at most so much media time. SourceError if the source fails, EngineError if an engine
    does, or if not one of its scores was a number."""
    watched = [_Watch(engine) for engine in engines]
    first, others = watched[0], watched[1:]
    codec, pictures = "", _Pictures()
    scoring = ScoringConfig(cannot_judge_after_s=None)  # nobody is there to be alarmed
    with source, ExitStack() as stack:
        session, seat = join(engines[0], source, scoring=scoring)
        stack.enter_context(seat)
        seats = [stack.enter_context(watch.engine.join(live=False)) for watch in others]
        for turn in drive(source, session, seat=seat):
            if isinstance(turn.item, StreamUp):
                codec = turn.item.codec
            answers = [_ask(seat, turn) for seat in seats]
            first.take(turn, session)
            for watch, raw_scores in zip(others, answers, strict=True):
                watch.take(turn, session, raw_scores)
            if isinstance(turn.item, Frame) and pictures.take(turn.item) >= seconds:
                break
    bad = session.statistics().bad_scores
    if bad and not any(face.moments for face in first.faces.values()):
        raise EngineError(
            engines[0].backend.name, f"none of {bad} scores of {engines[0].bundle.name} was a number from 0 to 1"
        )
    return [watch.observed(codec, pictures) for watch in watched]


def _ask(seat: Seat, turn: Turn) -> dict[tuple[Key, float], float]:
    """The same windows, of another engine: its raw scores by face and end."""
    if isinstance(turn.item, EndOfStream):
        return {}
    seat.submit(turn.windows)
    seat.wait()
    found = {(_key(one.window), one.window.pts_end_s): one.raw_score for one in seat.collect().scored}
    for event in turn.events:
        if isinstance(event.kind, FaceLost):
            seat.forget(event.kind.face_id, event.kind.generation)
    return found


def _key(window: Window) -> Key:
    return window.face_id, window.generation


@dataclass(slots=True)
class _Pictures:
    """The frames of one footage, counted."""

    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    size: tuple[int, int] = (0, 0)

    def take(self, frame: Frame) -> float:
        """Media time until now."""
        if not self.count:
            self.first_s, self.size = frame.pts_s, (frame.picture.width, frame.picture.height)
        self.count += 1
        self.last_s = frame.pts_s
        return self.last_s - self.first_s


@dataclass(slots=True)
class _Face:
    start_s: float
    end_s: float
    moments: list[Moment] = field(default_factory=list)
    qualities: list[Quality] = field(default_factory=list)
    unusable: Counter[str] = field(default_factory=Counter)
    places: list[Place] = field(default_factory=list)


class _Watch:
    """One engine's faces."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.faces: dict[Key, _Face] = {}

    def take(self, turn: Turn, session: Session, raw_scores: dict[tuple[Key, float], float] | None = None) -> None:
        """`raw_scores`: its own, if the session was given another engine's."""
        for event in turn.events:
            match event.kind:
                case FaceAppeared(face_id=face_id, generation=generation, box_px=box):
                    place = Place(event.pts_s, box)
                    self.faces[face_id, generation] = _Face(event.pts_s, event.pts_s, places=[place])
                case Score() as score:
                    self._add(score, raw_scores)
                case FaceLost(face_id=face_id, generation=generation, last_seen_pts_s=last_s):
                    self.faces[face_id, generation].end_s = last_s
        if isinstance(turn.item, Frame):
            for face in session.faces():
                self._see((face.face_id, face.generation), turn.item.pts_s, face.box_px)

    def _add(self, score: Score, raw_scores: dict[tuple[Key, float], float] | None) -> None:
        key = score.face_id, score.generation
        raw_score = score.raw_score if raw_scores is None else raw_scores.get((key, score.pts_end_s))
        if raw_score is None or not 0.0 <= raw_score <= 1.0:
            return
        against = [reason for reason in score.reasons if reason is not Reason.UNCALIBRATED]
        face = self.faces[key]
        face.moments.append(Moment(score.pts_start_s, score.pts_end_s, raw_score, not against))
        face.qualities.append(score.quality)
        face.unusable.update(reason.value for reason in against)

    def _see(self, key: Key, pts_s: float, box_px: Box) -> None:
        face = self.faces[key]
        face.end_s = pts_s
        if pts_s - face.places[-1].pts_s >= PLACE_EVERY_S:
            face.places.append(Place(pts_s, box_px))

    def observed(self, codec: str, pictures: _Pictures) -> Observed:
        clip = self.engine.clip
        seconds = pictures.last_s - pictures.first_s
        return Observed(
            seconds=seconds,
            usable_seconds=usable_spans(clip, [face.moments for face in self.faces.values()]),
            fps=(pictures.count - 1) / seconds if seconds > 0 else 0.0,
            codec=codec,
            width=pictures.size[0],
            height=pictures.size[1],
            faces=tuple(
                FaceTrace(
                    face_id=face_id,
                    generation=generation,
                    start_s=face.start_s,
                    end_s=face.end_s,
                    quality=_medians(face.qualities),
                    unusable=dict(sorted(face.unusable.items())),
                    usable_seconds=usable_spans(clip, [face.moments]),
                    places=tuple(face.places),
                    moments=tuple(face.moments),
                )
                for (face_id, generation), face in self.faces.items()
            ),
        )


def _medians(qualities: Sequence[Quality]) -> Quality | None:
    """Field by field; of angles without their sign."""
    if not qualities:
        return None
    columns: dict[str, list[float]] = defaultdict(list)
    for quality in qualities:
        for one in fields(Quality):
            value = getattr(quality, one.name)
            columns[one.name].append(abs(value) if one.name.endswith("_deg") else value)
    return Quality(**{name: float(median(values)) for name, values in columns.items()})
