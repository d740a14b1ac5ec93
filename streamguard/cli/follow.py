"""The loop of every command that watches: turns of a source until it ends, a wish to stop comes, or time is up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..engine.engine import Seat
from ..errors import SourceError
from ..events import StreamDown
from ..run import Turn, drive
from ..session import Session
from ..sources import Source
from ..values import Frame
from .event_words import printable
from .record import Files, Recording
from .stop import StopSignals
from .view import View


def follow(
    source: Source, session: Session, stop: StopSignals, *, seat: Seat | None = None, seconds: float | None = None
) -> Iterator[Turn]:
    """`seconds` are media time, from the first frame on."""
    first_pts_s: float | None = None
    for turn in drive(source, session, seat=seat):
        yield turn
        if stop.came:
            return
        if seconds is not None and isinstance(turn.item, Frame):
            first_pts_s = turn.item.pts_s if first_pts_s is None else first_pts_s
            if turn.item.pts_s - first_pts_s >= seconds:
                return


def opened(turns: Iterator[Turn], error: type[SourceError] = SourceError) -> Iterator[Turn]:
    """The same turns, once it is sure that the source can be read; what cannot be opened raises before anything is
    written. A live source that would be tried again and again raises `error`."""
    opening = []
    for turn in turns:
        opening.append(turn)
        if isinstance(turn.item, StreamDown):
            raise error(turn.item.url, turn.item.message)
        if turn.item is not None:
            break
    return chain(opening, turns)


def show_and_record(
    view: View,
    files: Files | None,
    *,
    seat: Seat | None = None,
    seconds: float | None = None,
    must_open: type[SourceError] | None = None,
) -> int:
    """Follow the view's source to its end, showing and recording what happens; returns the exit code.

    Ctrl-C and SIGTERM are ends like any other: the files are finished and named. Only their exit codes differ.
    `must_open`: what is raised if the source cannot be opened right away; None: it is tried again and again.
    """
    with StopSignals() as stop:
        turns = follow(view.source, view.session, stop, seat=seat, seconds=seconds)
        if must_open is not None:
            turns = opened(turns, must_open)
        with view, Recording(files, view.session, view.source, seat=seat) as recording:
            for turn in turns:
                view.show(turn)
                recording.take(turn)
    for line in recording.lines():
        print(printable(line))
    return stop.exit_code
