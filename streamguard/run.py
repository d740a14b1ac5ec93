"""The one loop around a session: a source's items in, events out, scored on the way if there is a seat at an engine.

Everything runs through here: `scan` on the program's own thread, each stream of a StreamDetector on one of its own.
The session's deadlines are kept here, so a source that has gone silent still makes events.

A live source's windows are scored beside the loop, and the answers are taken up as they come. A file waits for the
answers to each frame's windows: it can, and so it gives the same events each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .clock import Clock, MonotonicClock
from .config import FacesConfig, ScoringConfig, SessionConfig
from .engine.engine import Engine, Seat
from .events import EndOfStream, Event, FaceLost
from .faces.detector import open_detector, open_mesher
from .map_turns import MOST_WAITING
from .session import Session
from .sources.source import Item, Source
from .values import AudioChunk, Frame, Mapped, Window

LONGEST_WAIT_S = 1.0
"""Control comes back to the caller at least this often, frame or no frame."""
ANSWERS_EVERY_S = 0.05
"""While answers are awaited, they are looked for this often though no frame comes."""
LAST_ANSWERS_S = 2.0
"""A live stream that ends waits this long for the scores of its last windows."""
MAPS_EVERY_S = 1.0
"""Media time between two heat maps of one face, where they are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one reading of the source brought."""

    item: Item | None
    """None: nothing came in time."""
    events: list[Event]
    windows: list[Window]
    maps: list[Mapped] = field(default_factory=list)
    """Heat maps of faces that are there."""


def join(
    engine: Engine,
    source: Source,
    *,
    faces: FacesConfig | None = None,
    scoring: ScoringConfig | None = None,
    stalled_after_s: float | None = None,
    stream_id: str | None = None,
    participant_id: str | None = None,
) -> tuple[Session, Seat]:
    """A session for a source that makes what the engine's network wants, and its seat there. OverloadedError if the
    engine has no room for another live stream. Without a `stream_id` it is the source's URL, without credentials."""
    usual = SessionConfig()
    config = SessionConfig(
        faces=faces or usual.faces,
        clip=engine.clip,
        scoring=scoring or usual.scoring,
        stalled_after_s=stalled_after_s or usual.stalled_after_s,
        maps_every_s=MAPS_EVERY_S if engine.has_maps else None,
        maps_in_events=engine.maps_in_events,
    )
    session = Session(
        config,
        detector=open_detector(),
        mesher=open_mesher(),
        stream_id=stream_id or source.url,
        participant_id=participant_id,
        calibration=engine.calibration,
    )
    return session, engine.join(live=source.live)


def drive(source: Source, session: Session, clock: Clock | None = None, *, seat: Seat | None = None) -> Iterator[Turn]:
    """Read until the source says that it is over. A source that fails for good raises its typed error here, and so does
    a backend (EngineError). Without a seat nothing is scored. However it ends, windows without an answer are lost."""
    try:
        yield from _drive(source, session, clock or MonotonicClock(), seat)
    finally:
        if seat is not None:
            session.lose_work(seat.give_up())


def _drive(source: Source, session: Session, clock: Clock, seat: Seat | None) -> Iterator[Turn]:
    item: Item | None = None
    while not isinstance(item, EndOfStream):
        item = source.read(_wait_s(session, seat, clock.now_s()) if source.live else LONGEST_WAIT_S)
        now_s = clock.now_s()
        if isinstance(item, Frame):
            _make_map_room(session, seat)
            session.feed(item, now_s)
        elif isinstance(item, EndOfStream):
            if seat is not None:
                seat.wait(LAST_ANSWERS_S if source.live else None)
                _take_answers(session, seat)
                session.lose_work(seat.give_up())
                if source.live:
                    session.set_hop(seat.hop_s(), now_s)  # what was lost is told before the end, for nothing follows it
            session.source_event(item, now_s)
        elif item is not None and not isinstance(item, AudioChunk):
            session.source_event(item, now_s)
        if source.live:  # a slow disk is no blinded camera: a file gives the same events wherever it lies
            session.tick(now_s)  # sound alone is no sign of life
        windows = session.take_work()
        maps: list[Mapped] = []
        if seat is not None and not isinstance(item, EndOfStream):
            seat.submit(windows)
            if source.live:
                session.set_hop(seat.hop_s(), now_s)
            maps += _take_maps(session, seat)
            if not source.live:
                seat.wait()
            _take_answers(session, seat)
            if not source.live:  # of whom these scores made LIKELY_FAKE, before the picture is over
                maps += _take_maps(session, seat)
        events = session.events()
        if seat is not None:
            for event in events:
                if isinstance(event.kind, FaceLost):
                    seat.forget(event.kind.face_id, event.kind.generation)
        yield Turn(item=item, events=events, windows=windows, maps=maps)


def _take_answers(session: Session, seat: Seat) -> None:
    answers = seat.collect()
    session.put_scores(answers.scored)
    session.lose_work(answers.lost)


def _make_map_room(session: Session, seat: Seat | None) -> None:
    """A live stream may have one map at a time."""
    if seat is not None and seat.maps is not None:
        room = seat.maps.has_room()
        session.make_map_room(0 if not room else 1 if seat.live else MOST_WAITING)


def _take_maps(session: Session, seat: Seat) -> list[Mapped]:
    """Hand in clips, and take the maps that there are; a file's are waited for. Before scores, which may carry them."""
    if seat.maps is None:
        return []
    seat.maps.submit(session.take_map_work())
    if not seat.live:
        seat.maps.wait()
    return session.put_maps(seat.maps.collect())


def _wait_s(session: Session, seat: Seat | None, now_s: float) -> float:
    wait_s = ANSWERS_EVERY_S if seat is not None and seat.outstanding else LONGEST_WAIT_S
    deadline_s = session.next_deadline_s()
    return wait_s if deadline_s is None else min(wait_s, max(0.0, deadline_s - now_s))
