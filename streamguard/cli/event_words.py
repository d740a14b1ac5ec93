"""Events in plain words: what a command prints, one line each."""

from __future__ import annotations

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
from ..sinks.markup import plain
from ..values import Reason

MOST_CHARACTERS = 4000
"""Of anything that somebody else wrote."""


def event_line(event: Event) -> str:
    """One event for people."""
    return f"{event.pts_s:9.2f} s  {printable(_words(event))}"


def printable(text: str) -> str:
    """Text from outside, such as a file's name, with nothing in it that a terminal would obey."""
    return plain(text, MOST_CHARACTERS)


def code_words(code: str) -> str:
    """`LIKELY_FAKE` as people say it."""
    return code.replace("_", " ").lower()


def _words(event: Event) -> str:
    match event.kind:
        case StreamUp() as up:
            again = "" if up.outage_s is None else f" again after {up.outage_s:.1f} s"
            return f"stream up{again}: {up.width}x{up.height} {up.codec}"
        case StreamDown() as down:
            retry = "not tried again" if down.retry_in_s is None else f"next try in {down.retry_in_s:.1f} s"
            return f"stream down ({down.code}, failure {down.attempt}, {retry}): {down.message}"
        case EndOfStream() as end:
            return f"end of stream after {end.frames} frames"
        case MediaGap() as gap:
            length = f" of {gap.gap_s:.2f} s" if gap.gap_s else ""
            return f"media gap{length}: {code_words(gap.cause)}"
        case FaceAppeared() as new:
            x, y = new.box_px.centre
            return f"face {new.face_id}.{new.generation} appeared at {x:.0f},{y:.0f}, {new.box_px.scale:.0f} px"
        case FaceLost() as lost:
            return f"face {lost.face_id}.{lost.generation} lost: {code_words(lost.cause)}"
        case Score() as score:
            face = f"face {score.face_id}.{score.generation} scored {score_words(score)}"
            return f"{face}: {code_words(score.state)}{_because(score.reasons)}"
        case VerdictChanged() as verdict:
            face = f"face {verdict.face_id}.{verdict.generation}"
            return f"{face} is {code_words(verdict.state)}{_because(verdict.reasons)}"
        case ParticipantVerdictChanged() as verdict:
            rests_on = f"p(fake) {verdict.p_fake:.2f}, face {verdict.face_id}.{verdict.generation}"
            return f"participant is {code_words(verdict.state)} ({rests_on})"
        case CannotJudge() as cannot:
            return f"cannot judge: no usable face for {cannot.missing_s:.1f} s{_because(cannot.reasons)}"
        case Blinded() as blinded:
            return f"blinded: nothing to see for {blinded.silent_s:.1f} s"
        case Overload() as overload:
            return f"scores come every {overload.effective_hop_s:.2f} s, {overload.dropped} windows dropped"
        case EventsLost() as missing:
            return f"events {missing.first_seq} to {missing.last_seq} were lost"


def score_words(score: Score) -> str:
    """`p(fake) 0.93, window 0.85`: what the state rests on, and the newest window. Or the raw score, which is no
    probability."""
    if score.p_fake is None:
        return f"raw {score.raw_score:.2f}"
    window = f"{score.p_fake:.2f}"
    return f"p(fake) {window}" if score.p_face is None else f"p(fake) {score.p_face:.2f}, window {window}"


def _because(reasons: tuple[Reason, ...]) -> str:
    return f" ({', '.join(code_words(reason) for reason in reasons)})" if reasons else ""
