"""What a scan says in the end of one stream, for people: a table of its faces, and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..events import Event, ParticipantVerdictChanged, Score
from ..sinks.report_page import summary
from ..sinks.report_story import FaceStory, Story
from ..sinks.report_words import moment, reason_words, state_words
from ..values import FaceState

HEAD = ("face", "seen", "generations", "windows", "last state", "score", "reasons")


class Account:
    """Gathers one stream's events."""

    def __init__(self) -> None:
        self.story = Story()
        self.alarmed = False
        """The participant was LIKELY_FAKE at some time."""
        self._ranges: dict[tuple[int, bool], tuple[float, float, float]] = {}
        """Newest, lowest and highest score by face, and whether it is a probability: what the face's state rests on."""

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            self.story.add(event)
            match event.kind:
                case Score() as score:
                    self._note(score)
                case ParticipantVerdictChanged(state=FaceState.LIKELY_FAKE):
                    self.alarmed = True

    def lines(self) -> Iterator[str]:
        yield summary(self.story)
        faces = list(self.story.faces.values())
        if faces:
            yield from table(HEAD, [self._row(face) for face in faces])
        yield f"participant: {self.verdict()}"

    def verdict(self) -> str:
        """The participant's, in words."""
        changes = self.story.participant
        if not changes:
            return "not judged"
        last = changes[-1]
        before = "" if last.state is FaceState.LIKELY_FAKE or not self.alarmed else ", was likely fake before"
        return f"{state_words(last.state)} since {moment(last.since_s)}{before} ({last.words})"

    def _note(self, score: Score) -> None:
        key = score.face_id, score.p_fake is not None
        best = score.p_fake if score.p_face is None else score.p_face
        value = score.raw_score if score.p_fake is None or best is None else best
        _, lowest, highest = self._ranges.get(key, (value, value, value))
        self._ranges[key] = value, min(lowest, value), max(highest, value)

    def _row(self, face: FaceStory) -> tuple[str, ...]:
        last_s = max(self.story.last_s(one) for one in face.generations)
        return (
            str(face.face_id),
            f"{moment(face.first_s)} to {moment(last_s)}",
            str(len(face.generations)),
            str(face.scores),
            state_words(face.state),
            self._score(face.face_id),
            reason_words(face.reasons) or "none",
        )

    def _score(self, face_id: int) -> str:
        forms = (True, "p(fake) {:.2f} now, {:.2f} to {:.2f}"), (False, "raw {1:.2f} to {2:.2f}, uncalibrated")
        for is_probability, form in forms:
            if (face_id, is_probability) in self._ranges:
                return form.format(*self._ranges[face_id, is_probability])
        return "none"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what stands in them."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = (zip(row, widths, strict=True) for row in (head, *rows))
    return ["  ".join(f"{cell:<{width}}" for cell, width in line).rstrip() for line in lines]
