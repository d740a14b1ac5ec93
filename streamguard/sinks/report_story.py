"""What a report keeps of a stream: faces with their scores, states and turning points, and what happened to the stream.

Events in, a `Story` to tell out; `report_page` tells it. Everything has a bound, and what was left out is counted: a
stream may run for weeks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, pstdev
from typing import Protocol

from ..events import (
    Blinded,
    CannotJudge,
    EndOfStream,
    Event,
    EventsLost,
    FaceAppeared,
    FaceLost,
    MediaGap,
    Overload,
    ParticipantVerdictChanged,
    Score,
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from ..values import FaceState, LostCause, Reason
from .markup import plain
from .report_moments import Moments
from .report_moments import Painter as MomentPainter
from .report_words import GAP_WORDS, listed, reason_words, seconds, state_words

MOST_GENERATIONS = 200
MOST_BARS, MOST_BARS_TOGETHER = 2_000, 20_000
"""Scores of one face, and of all, before neighbours are merged."""
MOST_SPANS = 400
"""States of one face generation, and of the participant."""
MOST_TURNS = 24
"""Turning points of one face."""
MOST_THUMBNAILS = 300
MOST_MARKS = 200
"""Things that happened to the stream: the first half of them, and the last."""
RUNNING_MEAN = 5
"""Raw scores that are averaged where nothing is calibrated."""
LONG_AGO_S = 6 * 3600.0
"""A clock that shows more than this at the first event began before the stream: the report begins with that event."""

Key = tuple[int, int]
"""Face id and generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One score over its window, or several neighbours merged."""

    generation: int
    start_s: float
    end_s: float
    raw: float
    mean: float
    """Of the last raw scores of its generation, and their standard deviation."""
    spread: float
    p_fake: float | None = None
    low: float | None = None
    high: float | None = None
    p_face: float | None = None
    scores: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A state, since when, and why."""

    since_s: float
    state: FaceState
    words: str = ""


@dataclass(slots=True, kw_only=True)
class Turn:
    """A moment at which something changed for a face."""

    pts_s: float
    generation: int
    state: FaceState
    changes: list[str]
    reasons: tuple[Reason, ...] = ()
    jpeg: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Generation:
    """The life of one face generation."""

    face_id: int
    number: int
    first_s: float
    last_s: float
    lost: LostCause | None = None
    """None: still there when the report was written."""
    spans: list[Span] = field(default_factory=list)
    spans_left_out: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RUNNING_MEAN))
    newest_turn: Turn | None = None
    """What `see` belongs to."""

    @property
    def state(self) -> FaceState:
        return self.spans[-1].state if self.spans else FaceState.WARMING_UP


@dataclass(slots=True, kw_only=True)
class FaceStory:
    """All generations of one face id."""

    face_id: int
    generations: list[Generation] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    scores_a_bar: int = 1
    scores: int = 0
    turns: list[Turn] = field(default_factory=list)
    turns_left_out: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    states: set[FaceState] = field(default_factory=set)
    """All that it ever had."""
    highest_p_face: float | None = None
    uncalibrated_scores: int = 0

    @property
    def calibrated(self) -> bool:
        return any(bar.p_fake is not None for bar in self.bars)

    @property
    def first_s(self) -> float:
        return min(one.first_s for one in self.generations)

    @property
    def last_s(self) -> float:
        return max(one.last_s for one in self.generations)

    @property
    def state(self) -> FaceState:
        """Its newest generation's last."""
        return self.generations[-1].state


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened to the stream: at a moment, or over a time that ended then."""

    kind: str
    pts_s: float
    words: str
    detail: str = ""
    """In somebody else's words, made plain."""
    missing_s: float = 0.0
    times: int = 1
    alarming: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the stream said of itself."""

    url: str
    width: int
    height: int
    codec: str


class Painter(Protocol):
    """Makes a thumbnail; called only when one is wanted."""

    def __call__(self) -> bytes: ...


class Story:
    """Gathers one stream."""

    def __init__(self) -> None:
        self.faces: dict[int, FaceStory] = {}
        self.moments = Moments()
        self.generations_left_out = 0
        self.scores_left_out = 0
        self.thumbnails_left_out = 0
        self.participant: list[Span] = []
        self.participant_left_out = 0
        self.participant_id: str | None = None
        self.stream_id: str | None = None
        self.source: Source | None = None
        self.ended = False
        self.frames: int | None = None
        self._generations: dict[Key, Generation] = {}
        self.early_marks: list[Mark] = []
        self.late_marks: deque[Mark] = deque(maxlen=MOST_MARKS // 2)
        self._marks = 0
        self._bars = 0
        self._thumbnails = 0
        self._first_s: float | None = None
        self._end_s = 0.0

    # What is told.

    @property
    def start_s(self) -> float:
        first_s = self._first_s or 0.0
        return first_s if first_s > LONG_AGO_S else min(0.0, first_s)

    @property
    def end_s(self) -> float:
        return max(self.start_s, self._end_s)

    @property
    def scores(self) -> int:
        return self.scores_left_out + sum(face.scores for face in self.faces.values())

    @property
    def marks(self) -> list[Mark]:
        """Things that happened; after the early ones some may be left out."""
        return [*self.early_marks, *self.late_marks]

    @property
    def marks_left_out(self) -> int:
        return self._marks - len(self.marks)

    def last_s(self, generation: Generation) -> float:
        """Those still there end where the stream's newest event is."""
        return generation.last_s if generation.lost is not None else max(generation.last_s, self.end_s)

    # What comes.

    def add(self, event: Event) -> None:
        pts_s = event.pts_s
        self._end_s = max(self._end_s, pts_s)
        if self._first_s is None and pts_s != 0:  # 0 is also: before the first frame
            self._first_s = pts_s
        self.stream_id = event.stream_id if self.stream_id is None else self.stream_id
        self.participant_id = event.participant_id if self.participant_id is None else self.participant_id
        match event.kind:
            case Score():
                self._add_score(event.kind)
            case FaceAppeared() | FaceLost() | VerdictChanged():
                self._add_face_event(event.kind, pts_s)
            case ParticipantVerdictChanged():
                self._add_participant(event.kind, pts_s)
            case StreamUp():
                self._add_source(event.kind, pts_s)
            case EndOfStream(frames=frames):
                self.ended, self.frames = True, frames
            case _:
                self._add_mark(mark_of(event.kind, pts_s))

    def see_maps(self, key: Key, pts_s: float, paint: MomentPainter) -> None:
        """Heat maps of this face's window that ends then."""
        if key in self._generations:
            self.moments.add_maps(key, pts_s, paint)

    def see(self, key: Key, paint: Painter) -> None:
        """A picture of this face at its newest turning point. The least telling ones go when there is no more room."""
        generation = self._generations.get(key)
        turn = generation.newest_turn if generation is not None else None
        if turn is None or turn.jpeg is not None:
            return
        if self._thumbnails >= MOST_THUMBNAILS:
            self.thumbnails_left_out += 1
            shown = [turn for face in self.faces.values() for turn in face.turns if turn.jpeg is not None]
            weakest = min(shown, key=_weight)
            if _weight(weakest) >= _weight(turn):
                return
            weakest.jpeg = None
            self._thumbnails -= 1
        turn.jpeg = paint()
        self._thumbnails += 1

    # Faces.

    def _add_face_event(self, kind: FaceAppeared | FaceLost | VerdictChanged, pts_s: float) -> None:
        if isinstance(kind, FaceAppeared):
            self._appeared(kind.face_id, kind.generation, pts_s)
            return
        generation = self._generations.get((kind.face_id, kind.generation))
        if generation is None:
            return
        if isinstance(kind, FaceLost):
            generation.lost, generation.last_s = kind.cause, max(generation.first_s, kind.last_seen_pts_s)
            del self._generations[kind.face_id, kind.generation]
            self.moments.end((kind.face_id, kind.generation))
            return
        face = self.faces[kind.face_id]
        generation.last_s = max(generation.last_s, pts_s)
        generation.spans_left_out += _append(
            generation.spans, Span(since_s=pts_s, state=kind.state, words=reason_words(kind.reasons))
        )
        face.states.add(kind.state)
        for reason in kind.reasons:
            face.reasons[reason] += 0  # named, though no score was given under it
        if kind.state is kind.previous:
            change = f"still {state_words(kind.state)}, for another reason"
        else:
            change = f"{state_words(kind.previous)} → {state_words(kind.state)}"
        self._turn(face, generation, pts_s, kind.state, change, kind.reasons)

    def _appeared(self, face_id: int, number: int, pts_s: float) -> None:
        if sum(len(face.generations) for face in self.faces.values()) >= MOST_GENERATIONS:
            self.generations_left_out += 1
            return
        face = self.faces.setdefault(face_id, FaceStory(face_id=face_id))
        generation = Generation(face_id=face_id, number=number, first_s=pts_s, last_s=pts_s)
        face.generations.append(generation)
        self._generations[face_id, number] = generation
        face.states.add(FaceState.WARMING_UP)
        words = "appeared" if len(face.generations) == 1 else f"appeared again, as generation {number}"
        self._turn(face, generation, pts_s, FaceState.WARMING_UP, words)

    def _turn(
        self,
        face: FaceStory,
        generation: Generation,
        pts_s: float,
        state: FaceState,
        change: str,
        reasons: tuple[Reason, ...] | None = None,
    ) -> None:
        newest = generation.newest_turn
        if newest is not None and newest.pts_s == pts_s and len(newest.changes) < MOST_TURNS:
            newest.changes.append(change)
            newest.state = state
            newest.reasons = newest.reasons if reasons is None else reasons
            return
        turn = Turn(pts_s=pts_s, generation=generation.number, state=state, changes=[change], reasons=reasons or ())
        generation.newest_turn = turn
        face.turns.append(turn)
        if len(face.turns) > MOST_TURNS:
            dullest = face.turns.pop(_dullest(face.turns))
            face.turns_left_out += 1
            self._thumbnails -= dullest.jpeg is not None

    def _add_score(self, score: Score) -> None:
        generation = self._generations.get((score.face_id, score.generation))
        if generation is None:
            self.scores_left_out += 1
            return
        face = self.faces[score.face_id]
        face.scores += 1
        self.moments.add_score(score)
        face.uncalibrated_scores += score.p_fake is None
        face.reasons.update(score.reasons)
        generation.last_s = max(generation.last_s, score.pts_end_s)
        self._end_s = max(self._end_s, score.pts_end_s)
        if score.p_face is not None:
            face.highest_p_face = max(score.p_face, face.highest_p_face or 0.0)
        generation.recent.append(score.raw_score)
        bar = Bar(
            generation=score.generation,
            start_s=score.pts_start_s,
            end_s=score.pts_end_s,
            raw=score.raw_score,
            mean=fmean(generation.recent),
            spread=pstdev(generation.recent),
            p_fake=score.p_fake,
            low=score.p_fake_low,
            high=score.p_fake_high,
            p_face=score.p_face,
        )
        last = face.bars[-1] if face.bars else None
        if last is not None and can_merge(last, bar, face.scores_a_bar):
            face.bars[-1] = merged(last, bar)
            return
        face.bars.append(bar)
        self._bars += 1
        if len(face.bars) > MOST_BARS:
            self._thin(face)
        elif self._bars > MOST_BARS_TOGETHER:
            self._thin(max(self.faces.values(), key=lambda one: len(one.bars)))

    def _thin(self, face: FaceStory) -> None:
        """Half as many bars, each of twice as many scores; generations stay apart."""
        face.scores_a_bar *= 2
        kept: list[Bar] = []
        for bar in face.bars:
            if kept and can_merge(kept[-1], bar, face.scores_a_bar):
                kept[-1] = merged(kept[-1], bar)
            else:
                kept.append(bar)
        self._bars -= len(face.bars) - len(kept)
        face.bars = kept

    # The stream.

    def _add_participant(self, kind: ParticipantVerdictChanged, pts_s: float) -> None:
        words = f"probability of fake {kind.p_fake:.2f} then, resting on face {kind.face_id}.{kind.generation}"
        self.participant_left_out += _append(self.participant, Span(since_s=pts_s, state=kind.state, words=words))
        generation = self._generations.get((kind.face_id, kind.generation))
        if generation is not None:
            face = self.faces[kind.face_id]
            change = f"participant: {state_words(kind.previous)} → {state_words(kind.state)}"
            newest = generation.newest_turn
            reasons = newest.reasons if newest is not None and newest.pts_s == pts_s else None
            self._turn(face, generation, pts_s, generation.state, change, reasons)

    def _add_source(self, kind: StreamUp, pts_s: float) -> None:
        self.source = Source(url=kind.url, width=kind.width, height=kind.height, codec=kind.codec)
        if kind.outage_s is not None:
            words = f"pictures came again after {seconds(kind.outage_s)} without any"
            self._add_mark(Mark(kind="up", pts_s=pts_s, words=words, alarming=False))

    def _add_mark(self, mark: Mark) -> None:
        full = len(self.early_marks) >= MOST_MARKS // 2
        marks: list[Mark] | deque[Mark] = self.late_marks if full and self.late_marks else self.early_marks
        if marks and marks[-1].kind == mark.kind and not mark.missing_s and not marks[-1].missing_s:
            marks[-1] = replace(mark, pts_s=marks[-1].pts_s, times=marks[-1].times + 1)
            return
        self._marks += 1
        (self.late_marks if full else self.early_marks).append(mark)


def can_merge(one: Bar, other: Bar, most: int) -> bool:
    return one.generation == other.generation and one.scores + other.scores <= most


def merged(one: Bar, other: Bar) -> Bar:
    """From the first's start to the second's end, at the mean height; the interval holds both. Where only one of them
    is calibrated, its numbers stand for both."""
    scores = one.scores + other.scores

    def mean(a: float, b: float) -> float:
        return (a * one.scores + b * other.scores) / scores

    def of_both(a: float | None, b: float | None, how: Callable[[float, float], float]) -> float | None:
        return (b if a is None else a) if a is None or b is None else how(a, b)

    return replace(
        other,
        start_s=min(one.start_s, other.start_s),
        end_s=max(one.end_s, other.end_s),
        raw=mean(one.raw, other.raw),
        p_fake=of_both(one.p_fake, other.p_fake, mean),
        low=of_both(one.low, other.low, min),
        high=of_both(one.high, other.high, max),
        p_face=one.p_face if other.p_face is None else other.p_face,
        scores=scores,
    )


def mark_of(kind: object, pts_s: float) -> Mark:
    """An event about the stream, in words."""
    match kind:
        case MediaGap(cause=cause, gap_s=gap_s):
            missing = f", {seconds(gap_s)} of media time are missing" if gap_s > 0 else ""
            words = f"media time broke: {GAP_WORDS[cause]}{missing}. All faces start anew"
            return Mark(kind=f"gap {cause}", pts_s=pts_s, words=words, missing_s=max(0.0, gap_s))
        case StreamDown(code=code, message=message, retry_in_s=retry_in_s):
            after = "It is not tried again" if retry_in_s is None else f"Tried again in {seconds(retry_in_s)}"
            words = f"the source failed. {after}"
            return Mark(kind="down", pts_s=pts_s, words=words, detail=plain(f"{code}: {message}" if message else code))
        case CannotJudge(missing_s=missing_s, reasons=reasons):
            why = f": {reason_words(reasons)}" if reasons else ""
            words = f"nobody could be judged for {seconds(missing_s)}{why}"
            return Mark(kind="abstained", pts_s=pts_s, words=words, missing_s=max(0.0, missing_s))
        case Blinded(silent_s=silent_s):
            return Mark(kind="blinded", pts_s=pts_s, words=f"no picture came for {seconds(silent_s)}: blind")
        case Overload(effective_hop_s=hop_s, dropped=dropped):
            words = f"the machine could not keep up: scores come every {seconds(hop_s)}, {dropped} windows dropped"
            return Mark(kind="overload", pts_s=pts_s, words=words)
        case EventsLost(first_seq=first, last_seq=last):
            words = f"events {first} to {last} were lost: what they told is missing here"
            return Mark(kind="lost", pts_s=pts_s, words=words)
    raise TypeError(f"no mark for {listed([type(kind).__name__])}")


def _append(spans: list[Span], span: Span) -> int:
    """Add a span; over the bound, the shortest one inside is given to the span before it. Says how many went."""
    if spans and spans[-1].state is span.state:
        spans[-1] = replace(spans[-1], words=span.words)
        return 0
    spans.append(span)
    if len(spans) <= MOST_SPANS:
        return 0
    shortest = min(range(1, len(spans) - 1), key=lambda i: spans[i + 1].since_s - spans[i].since_s)
    del spans[shortest]
    return 1


_TELLING = (
    FaceState.WARMING_UP,
    FaceState.LOW_QUALITY,
    FaceState.UNCERTAIN,
    FaceState.LIKELY_REAL,
    FaceState.LIKELY_FAKE,
)


def _weight(turn: Turn) -> int:
    """How telling a turning point is. Among equals the earliest goes first, as min() finds it."""
    return _TELLING.index(turn.state)


def _dullest(turns: Sequence[Turn]) -> int:
    """The turning point that is missed least: close to its neighbours, and not telling. Never the first or the last."""
    return min(
        range(1, len(turns) - 1),
        key=lambda i: (turns[i + 1].pts_s - turns[i - 1].pts_s) * (1 + _weight(turns[i])),
    )
