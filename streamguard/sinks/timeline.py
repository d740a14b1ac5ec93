"""One picture that tells a whole stream: time to the right, one row a face generation, from birth to loss.

In each bar a line shows the scores, 0 at its foot and 1 at its head; above all rows is the participant's verdict.
`TracksPicture` is a Sink that gathers rows from events and writes a PNG when it is closed; `draw` is the drawing alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from ..events import (
    CannotJudge,
    EndOfStream,
    Event,
    FaceAppeared,
    FaceLost,
    MediaGap,
    ParticipantVerdictChanged,
    Score,
    StreamDown,
    VerdictChanged,
)
from ..picture import Picture
from ..values import Box, FaceState, GapCause, LostCause
from .annotate import PANEL, STATE_COLOURS, Colour, font
from .sink import discard, part_path, put_in_place, sink_error

WIDTH_PX = 1400
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 190, 110, 76, 58
ROW_PX, BAR_PX, THUMBNAIL_PX = 64, 30, 52
MOST_ROWS = 200
"""A picture is for people, and a stream may run for weeks: later faces are only counted."""
MOST_POINTS = 600
"""Of one row's line; then neighbours are averaged."""
SMOOTHING = 4
"""Lines are drawn so many times larger first, so that their edges are soft."""

GROUND: Colour = (255, 255, 255)
STRIPE: Colour = (246, 248, 251)
GRID: Colour = (222, 227, 235)
INK: Colour = (30, 41, 59)
FAINT: Colour = (100, 116, 139)
ALARM: Colour = (217, 70, 60)
FACE_COLOURS: tuple[Colour, ...] = (
    (59, 118, 209),
    (176, 64, 150),
    (0, 128, 150),
    (140, 96, 60),
    (40, 62, 130),
    (206, 130, 196),
    (110, 160, 200),
    (120, 130, 145),
)
"""By face id, so that generations of one face look alike. None looks like a verdict's colour."""

LOST_WORDS = {
    LostCause.GONE: "gone",
    LostCause.DOUBT: "in doubt",
    LostCause.CONTACT: "contact",
    LostCause.MEDIA_GAP: "cut off",
    LostCause.STREAM_ENDED: "end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The life of one face generation."""

    face_id: int
    generation: int
    first_pts_s: float
    last_pts_s: float
    lost: LostCause | None = None
    """None: still there when the picture was drawn."""
    verdicts: tuple[tuple[float, FaceState], ...] = ()
    """Since when, and what."""
    thumbnail: np.ndarray | None = None  # (H, W, 3) uint8 RGB: the face at birth
    curve: tuple[tuple[float, float], ...] = ()
    """Media time and score, 0 to 1: what all evidence of the face adds up to, or else each window's score."""
    calibrated: bool = True
    """False: the curve is of raw scores, which are no probabilities."""


@dataclass(slots=True)
class Curve:
    """Points that come for as long as they like."""

    points: list[tuple[float, float]] = field(default_factory=list)
    calibrated: bool = False
    _each: int = 1
    """Scores in a point."""
    _in_last: int = 0

    def add(self, score: Score) -> None:
        best = score.p_face if score.p_face is not None else score.p_fake
        if best is not None and not self.calibrated:
            self.calibrated, self.points, self._each, self._in_last = True, [], 1, 0  # raw ones are another scale
        value = best if self.calibrated else score.raw_score
        if value is None:
            return
        if self.points and self._in_last < self._each:
            time_s, mean = self.points[-1]
            kept = self._in_last / (self._in_last + 1)
            self.points[-1] = (time_s * kept + score.pts_end_s * (1 - kept), mean * kept + value * (1 - kept))
            self._in_last += 1
            return
        self.points.append((score.pts_end_s, value))
        self._in_last = 1
        if len(self.points) > MOST_POINTS:
            pairs = zip(self.points[0:-1:2], self.points[1::2], strict=False)
            rest = self.points[-1:] if len(self.points) % 2 else []
            self.points = [((a + c) / 2, (b + d) / 2) for (a, b), (c, d) in pairs] + rest
            self._each *= 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A moment at which media time broke, or the source failed."""

    pts_s: float
    words: str
    alarming: bool = True
    """False for what is expected, such as the end."""


GAP_WORDS = {
    GapCause.LONG_GAP: "gap",
    GapCause.BACKWARD_JUMP: "jump back",
    GapCause.RECONNECTED: "reconnected",
    GapCause.SIZE_CHANGED: "new size",
    GapCause.SCENE_CUT: "cut",
}


class TracksPicture:
    """Gathers the faces of one stream, and writes them as a PNG when closed. `warning` is shown beside the title."""

    def __init__(self, path: Path, *, warning: str = "") -> None:
        self._path = path
        self._warning = warning
        self._rows: dict[tuple[int, int], Row] = {}
        self._breaks: list[Break] = []
        self._curves: dict[tuple[int, int], Curve] = {}
        self._participant: list[tuple[float, FaceState]] = []
        self._left_out = 0
        self._end_s = 0.0
        self._closed = False

    def send(self, event: Event) -> None:
        self._end_s = max(self._end_s, event.pts_s)
        match event.kind:
            case FaceAppeared(face_id=face_id, generation=generation):
                self._appeared(face_id, generation, event.pts_s)
            case FaceLost(face_id=face_id, generation=generation, cause=cause, last_seen_pts_s=last_s):
                self._change((face_id, generation), lost=cause, last_pts_s=last_s)
            case VerdictChanged(face_id=face_id, generation=generation, state=state):
                row = self._rows.get((face_id, generation))
                if row is not None and len(row.verdicts) < MOST_ROWS:
                    self._change((face_id, generation), verdicts=(*row.verdicts, (event.pts_s, state)))
            case Score(face_id=face_id, generation=generation):
                if (face_id, generation) in self._rows:
                    self._curves.setdefault((face_id, generation), Curve()).add(event.kind)
            case ParticipantVerdictChanged(state=state):
                before = self._participant[-1][1] if self._participant else None
                if state is not before and len(self._participant) < MOST_ROWS:
                    self._participant.append((event.pts_s, state))
            case CannotJudge():
                self._broke(event.pts_s, "cannot judge")
            case MediaGap(cause=gap_cause):
                self._broke(event.pts_s, GAP_WORDS[gap_cause])
            case StreamDown():
                self._broke(event.pts_s, "source down")
            case EndOfStream():
                self._broke(event.pts_s, "end of stream", alarming=False)

    def warn(self, words: str) -> None:
        """Add to the warning."""
        self._warning = f"{self._warning}; {words}" if self._warning else words

    def see(self, face_id: int, generation: int, picture: Picture, box_px: Box) -> None:
        """Show the picture in which a face appeared: its row's thumbnail. Only the first for a row is kept."""
        row = self._rows.get((face_id, generation))
        if row is not None and row.thumbnail is None:
            self._change((face_id, generation), thumbnail=cut_thumbnail(picture, box_px))

    def rows(self) -> list[Row]:
        """Those still there end where the stream's newest event is."""
        rows = []
        for key, row in self._rows.items():
            curve = self._curves.get(key, Curve())
            last_s = max(row.last_pts_s, self._end_s) if row.lost is None else row.last_pts_s
            rows.append(replace(row, last_pts_s=last_s, curve=tuple(curve.points), calibrated=curve.calibrated))
        return rows

    def draw(self) -> Image.Image:
        return draw(
            self.rows(),
            self._breaks,
            left_out=self._left_out,
            participant=self._participant,
            warning=self._warning,
        )

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        part = part_path(self._path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.draw().save(part, format="PNG")
            put_in_place(part, self._path)
        except OSError as exc:
            discard(part, self._path)
            raise sink_error(str(self._path), exc) from exc

    def _appeared(self, face_id: int, generation: int, pts_s: float) -> None:
        if len(self._rows) >= MOST_ROWS:
            self._left_out += 1
            return
        self._rows[face_id, generation] = Row(
            face_id=face_id, generation=generation, first_pts_s=pts_s, last_pts_s=pts_s
        )

    def _change(self, key: tuple[int, int], **changes: object) -> None:
        if key in self._rows:
            self._rows[key] = replace(self._rows[key], **changes)  # type: ignore[arg-type]

    def _broke(self, pts_s: float, words: str, *, alarming: bool = True) -> None:
        if len(self._breaks) < MOST_ROWS:
            self._breaks.append(Break(pts_s=pts_s, words=words, alarming=alarming))


def cut_thumbnail(picture: Picture, box_px: Box, side_px: int = THUMBNAIL_PX) -> np.ndarray:
    """The face with a little of its surroundings, square. No larger than the picture, whatever the box says."""
    largest = max(picture.width, picture.height)
    half = min(0.65 * max(box_px.width, box_px.height, 2.0), largest)
    x, y = (min(max(place, -largest), 2.0 * largest) for place in box_px.centre)
    return picture.rgb_region((x - half, y - half, x + half, y + half), (side_px, side_px))  # (side, side, 3) uint8


@dataclass(frozen=True, slots=True)
class Scale:
    """From media time to pixels."""

    start_s: float
    end_s: float

    def x(self, pts_s: float) -> float:
        share = (pts_s - self.start_s) / (self.end_s - self.start_s)
        return LEFT_PX + share * (WIDTH_PX - LEFT_PX - RIGHT_PX)


def draw(
    rows: Sequence[Row],
    breaks: Sequence[Break] = (),
    *,
    left_out: int = 0,
    participant: Sequence[tuple[float, FaceState]] = (),
    warning: str = "",
) -> Image.Image:
    """The whole picture. Rows are ordered by birth; the participant's, if there is one, stands above them."""
    rows = sorted(rows, key=lambda row: (row.first_pts_s, row.face_id, row.generation))
    lines = len(rows) + bool(participant)
    height = TOP_PX + max(1, lines) * ROW_PX + BOTTOM_PX
    image = Image.new("RGB", (WIDTH_PX, height), GROUND)
    canvas = ImageDraw.Draw(image)
    scale = _scale(rows, breaks)
    bottom = height - BOTTOM_PX
    for i in range(0, lines, 2):
        canvas.rectangle((0, TOP_PX + i * ROW_PX, WIDTH_PX, TOP_PX + (i + 1) * ROW_PX - 1), fill=STRIPE)
    _draw_axis(canvas, scale, bottom)
    _draw_title(canvas, rows, left_out, warning)
    _draw_legend(canvas, {state for row in rows for _, state in row.verdicts} | {state for _, state in participant})
    _draw_breaks(canvas, breaks, scale, bottom)
    if participant:
        _draw_participant(canvas, participant, scale, TOP_PX + ROW_PX / 2)
    for i, row in enumerate(rows, start=bool(participant)):
        _draw_row(image, canvas, row, scale, TOP_PX + i * ROW_PX)
    if not lines:
        canvas.text((WIDTH_PX / 2, TOP_PX + ROW_PX / 2), "no face was seen", font=font(18), fill=FAINT, anchor="mm")
    return image


def _scale(rows: Sequence[Row], breaks: Sequence[Break]) -> Scale:
    times = [row.first_pts_s for row in rows] + [row.last_pts_s for row in rows] + [item.pts_s for item in breaks]
    start, end = min([0.0, *times]), max([0.0, *times])
    if times and min(times) > 0.5 * end:
        start = min(times)  # a camera's clock may have begun long ago
    return Scale(start, max(end, start + 1.0))


def tick_step(span_s: float) -> float:
    """A round number of seconds, minutes or hours that gives at most ten ticks."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200)
    return next((step for step in steps if span_s / step <= 10), 86400 * math.ceil(span_s / 864000))


def time_words(pts_s: float, step_s: float) -> str:
    """`2.5 s`, `1:30` or `2:05:00`, with as many places as the ticks need."""
    if pts_s < 60:
        return f"{pts_s:.1f} s" if step_s < 1 else f"{pts_s:.0f} s"
    minutes, seconds = divmod(pts_s, 60)
    rest = f"{seconds:04.1f}" if step_s < 1 else f"{seconds:02.0f}"
    if minutes < 60:
        return f"{minutes:.0f}:{rest}"
    return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{rest}"


def _draw_axis(canvas: ImageDraw.ImageDraw, scale: Scale, bottom: int) -> None:
    step = tick_step(scale.end_s - scale.start_s)
    first, last = math.ceil(scale.start_s / step - 1e-9), math.floor(scale.end_s / step + 1e-9)
    for i in range(first, last + 1):
        x = scale.x(i * step)
        canvas.line((x, TOP_PX, x, bottom), fill=GRID)
        canvas.line((x, bottom, x, bottom + 6), fill=FAINT)
        canvas.text((x, bottom + 10), time_words(i * step, step), font=font(15), fill=INK, anchor="mt")
    canvas.line((LEFT_PX, bottom, WIDTH_PX - RIGHT_PX, bottom), fill=FAINT)
    canvas.text((20, bottom + 10), "media time", font=font(14), fill=FAINT, anchor="lt")


def _draw_title(canvas: ImageDraw.ImageDraw, rows: Sequence[Row], left_out: int, warning: str) -> None:
    faces = len({row.face_id for row in rows})
    words = f"{faces} face{'' if faces == 1 else 's'}, {len(rows)} generation{'' if len(rows) == 1 else 's'}"
    if left_out:
        words += f", and {left_out} later ones that are not drawn"
    canvas.text((20, 16), words, font=font(20), fill=INK)
    x = 40 + canvas.textlength(words, font(20))
    scored = {row.calibrated for row in rows if row.curve}
    if scored:
        kinds = {True: "probability of fake", False: "raw score, uncalibrated"}
        told = "line: " + " or ".join(kinds[kind] for kind in sorted(scored, reverse=True))
        canvas.text((x, 28), told, font=font(14), fill=FAINT, anchor="lm")
        x += 20 + canvas.textlength(told, font(14))
    canvas.text((x, 28), warning, font=font(14), fill=ALARM, anchor="lm")


def _draw_legend(canvas: ImageDraw.ImageDraw, seen: set[FaceState]) -> None:
    """The colours of the stripes, if there are any."""
    x: float = WIDTH_PX - 20
    for state in reversed([state for state in FaceState if state in seen]):
        words = state.replace("_", " ").lower()
        x -= canvas.textlength(words, font(14))
        canvas.text((x, 28), words, font=font(14), fill=INK, anchor="lm")
        canvas.rectangle((x - 18, 23, x - 6, 33), fill=STATE_COLOURS[state])
        x -= 36


def _draw_row(image: Image.Image, canvas: ImageDraw.ImageDraw, row: Row, scale: Scale, top: int) -> None:
    colour = FACE_COLOURS[row.face_id % len(FACE_COLOURS)]
    middle = top + ROW_PX / 2
    if row.thumbnail is not None:
        thumbnail = ImageOps.fit(Image.fromarray(row.thumbnail), (THUMBNAIL_PX, THUMBNAIL_PX))
        image.paste(thumbnail, (20, int(middle - THUMBNAIL_PX / 2)))
    box = (20, middle - THUMBNAIL_PX / 2, 20 + THUMBNAIL_PX - 1, middle + THUMBNAIL_PX / 2 - 1)
    canvas.rectangle(box, outline=colour if row.thumbnail is not None else GRID, width=2)
    canvas.text((84, middle - 2), f"face {row.face_id}", font=font(17), fill=INK, anchor="ls")
    canvas.text((84, middle + 4), f"generation {row.generation}", font=font(13), fill=FAINT, anchor="lt")
    _draw_bar(canvas, row, scale, middle, colour)
    if row.curve:
        _draw_curve(image, row, scale, middle)


def _draw_curve(image: Image.Image, row: Row, scale: Scale, middle: float) -> None:
    """Scores inside the bar, 0 at its foot and 1 at its head."""
    left, right = scale.x(row.first_pts_s), max(scale.x(row.last_pts_s), scale.x(row.first_pts_s) + 4)
    top, height = middle - BAR_PX / 2 + 2, BAR_PX - 4
    mask = Image.new("L", (SMOOTHING * (math.ceil(right - left) + 1), SMOOTHING * (BAR_PX - 3)))
    points = [
        (
            SMOOTHING * min(max(0.0, scale.x(pts_s) - left), right - left),
            SMOOTHING * height * (1 - min(1.0, max(0.0, p))),
        )
        for pts_s, p in row.curve
    ]
    points.insert(0, (max(0.0, points[0][0] - 4 * SMOOTHING), points[0][1]))  # so that a single score shows too
    ImageDraw.Draw(mask).line(points, fill=255, width=2 * SMOOTHING, joint="curve")
    small = mask.reduce(SMOOTHING)
    image.paste(INK, (round(left), round(top)), small)


def _draw_participant(
    canvas: ImageDraw.ImageDraw, changes: Sequence[tuple[float, FaceState]], scale: Scale, middle: float
) -> None:
    """What StreamGuard thinks of the participant, from the first verdict to the end, each in words if there is room."""
    canvas.text((20, middle), "participant", font=font(17), fill=INK, anchor="lm")
    y0, y1 = middle - BAR_PX / 2, middle + BAR_PX / 2
    untils = [since for since, _ in changes[1:]] + [scale.end_s]
    for (since, state), until in zip(changes, untils, strict=True):
        x0 = scale.x(since)
        x1 = max(scale.x(until), x0 + 2)
        canvas.rectangle((x0, y0, x1, y1), fill=STATE_COLOURS[state])
        words = state.replace("_", " ").lower()
        if canvas.textlength(words, font(14)) + 12 < x1 - x0:
            canvas.text(((x0 + x1) / 2, middle), words, font=font(14), fill=PANEL, anchor="mm")


def _draw_bar(canvas: ImageDraw.ImageDraw, row: Row, scale: Scale, middle: float, colour: Colour) -> None:
    """From birth to loss: its times where there is room, its states as a stripe below, its end in words. A bar with a
    line in it is pale, and its times stand at the left."""
    x0 = scale.x(row.first_pts_s)
    x1 = max(scale.x(row.last_pts_s), x0 + 4)
    y0, y1 = middle - BAR_PX / 2, middle + BAR_PX / 2
    pale = tuple((3 * ground + ink) // 4 for ground, ink in zip(GROUND, colour, strict=True)) if row.curve else colour
    canvas.rounded_rectangle((x0, y0, x1, y1), radius=min(5, (x1 - x0) / 2), fill=pale, outline=colour)
    untils = [since for since, _ in row.verdicts[1:]] + [row.last_pts_s]
    for (since, state), until in zip(row.verdicts, untils, strict=False):
        canvas.rectangle(
            (scale.x(since), y1 + 3, max(scale.x(until), scale.x(since) + 2), y1 + 8), fill=STATE_COLOURS[state]
        )
    words = f"{row.first_pts_s:.2f} to {row.last_pts_s:.2f} s"
    if row.curve:
        canvas.text((84, middle + 19), words, font=font(12), fill=FAINT, anchor="lt")
    elif canvas.textlength(words, font(14)) + 16 < x1 - x0:
        canvas.text((x0 + 8, middle), words, font=font(14), fill=GROUND, anchor="lm")
    end = LOST_WORDS[row.lost] if row.lost is not None else "still there"
    ink = ALARM if row.lost in _SUSPECT else FAINT
    canvas.text((x1 + 7, middle), end, font=font(14), fill=ink, anchor="lm", stroke_width=2, stroke_fill=GROUND)


_SUSPECT = (LostCause.DOUBT, LostCause.CONTACT)
"""Ends after which it may be somebody else."""


def _draw_breaks(canvas: ImageDraw.ImageDraw, breaks: Sequence[Break], scale: Scale, bottom: int) -> None:
    """Dashed lines through all rows, named above them in two lines of text, so that close ones can be read."""
    ends = [-1e9, -1e9]
    for item in sorted(breaks, key=lambda item: item.pts_s):
        x = scale.x(item.pts_s)
        colour = ALARM if item.alarming else FAINT
        for y in range(TOP_PX - 4, bottom, 10):
            canvas.line((x, y, x, min(y + 5, bottom)), fill=colour, width=2)
        width = canvas.textlength(item.words, font(13))
        lane = next((i for i, end in enumerate(ends) if x - width / 2 > end + 8), None)
        if lane is None:
            continue  # a crowd of them: the lines say it
        ends[lane] = x + width / 2
        canvas.text((x, TOP_PX - 8 - 16 * lane), item.words, font=font(13), fill=colour, anchor="ms")
