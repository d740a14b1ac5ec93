"""How one source was watched: turns in; out come events on the clock of its first picture, and what people must know
of what was missed. Used by recordings, for reports and for what is printed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ..events import EndOfStream, Event, FaceLost, Score
from ..run import Turn
from ..session import Session
from ..sinks.report_words import count, moment, seconds
from ..sources import Source
from ..values import Frame, HeatMaps

Timed = TypeVar("Timed", Score, HeatMaps)

LEAST_OFFSET_S = 0.05
"""A file whose first picture is at less than this begins at 0, as people see it."""
LEAST_MISSING_S, LEAST_MISSING_SHARE = 1.0, 0.02
"""A file that ends earlier than it says, by more than both, was cut off. Sound may last a little longer."""


class Course:
    """One source's, from its first turn to its last."""

    def __init__(self) -> None:
        self.first_s: float | None = None
        """Media time of the first picture, as the source has it."""
        self.last_s = 0.0
        self.ended = False
        """The source said so."""
        self.scores = 0
        self._longest_step_s = 0.0

    @property
    def until_s(self) -> float:
        """How much was seen."""
        return self.last_s - (self.first_s or 0.0)

    def take(self, turn: Turn) -> None:
        if isinstance(turn.item, Frame):
            pts_s = turn.item.pts_s
            if self.first_s is None:
                self.first_s = self.last_s = pts_s
            self._longest_step_s = max(self._longest_step_s, pts_s - self.last_s)
            self.last_s = pts_s
        self.ended |= isinstance(turn.item, EndOfStream)
        self.scores += sum(isinstance(event.kind, Score) for event in turn.events)

    def relative(self, event: Event) -> Event:
        """The event with times that count from the first picture. What comes before that is at 0 anyway."""
        by_s = self.first_s
        if not by_s:
            return event
        kind = event.kind
        if isinstance(kind, Score):
            kind = _earlier(kind, by_s)
            maps = None if kind.maps is None else _earlier(kind.maps, by_s)
            kind = replace(kind, maps=maps)
        elif isinstance(kind, FaceLost):
            kind = replace(kind, last_seen_pts_s=kind.last_seen_pts_s - by_s)
        return replace(event, pts_s=event.pts_s - by_s, kind=kind)

    def notes(
        self,
        session: Session,
        source: Source | None = None,
        *,
        length_s: float | None = None,
        failure: BaseException | None = None,
    ) -> list[str]:
        """What is missing or odd, each as a line; a warning begins with a word in capitals. `length_s` is what the
        source says of itself."""
        told = [self._partial(source, length_s, failure), _damaged(source), _unscored(session), self._offset()]
        return [note for note in told if note]

    def _partial(self, source: Source | None, length_s: float | None, failure: BaseException | None) -> str:
        if failure is not None:
            return (
                f"PARTIAL: only until {moment(self.until_s)}, then it failed: {str(failure) or type(failure).__name__}"
            )
        if not self.ended:  # of a live stream there is never more than what was watched
            return "" if source is None or source.live else f"PARTIAL: only until {moment(self.until_s)}"
        if length_s is None or self.first_s is None:
            return ""
        missing_s = length_s - max(self.until_s, self.last_s)  # some containers count from 0, some from the start
        if missing_s <= max(LEAST_MISSING_S, LEAST_MISSING_SHARE * length_s) + self._longest_step_s:
            return ""
        said = f"though it says that it is {seconds(length_s)} long: the rest is missing or cannot be decoded"
        return f"PARTIAL: only until {moment(self.until_s)}, {said}"

    def _offset(self) -> str:
        if self.first_s is None or abs(self.first_s) < LEAST_OFFSET_S:
            return ""
        return f"Times count from the first picture, which is at {moment(self.first_s)} of the source's own clock."


def _earlier(timed: Timed, by_s: float) -> Timed:
    return replace(timed, pts_start_s=timed.pts_start_s - by_s, pts_end_s=timed.pts_end_s - by_s)


def _damaged(source: Source | None) -> str:
    """Of live streams this is nothing special, and what went is told as gaps."""
    if source is None or source.live:
        return ""
    decoded = source.statistics().decoded
    told = [
        count(number, what)
        for number, what in ((decoded.corrupt_packets, "packet"), (decoded.corrupt_frames, "picture"))
        if number
    ]
    return f"DAMAGED: {' and '.join(told)} could not be decoded, and nobody looked at them" if told else ""


def _unscored(session: Session) -> str:
    bad = session.statistics().bad_scores
    were = "was no number" if bad == 1 else "were no numbers"
    return f"UNSCORED: {count(bad, 'score')} {were} from 0 to 1: these windows do not count" if bad else ""
