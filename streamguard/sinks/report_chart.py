"""The drawings of a report, as inline SVG: a face's scores over its strip of states, and the participant's strip.

They stretch to any width: places to the right are percentages, and text keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..values import FaceState
from .markup import Markup, element
from .report_story import Bar, FaceStory, Generation, Mark, Span, Story
from .report_words import LOST_WORDS, count, listed, moment, seconds, state_words
from .timeline import tick_step, time_words

MARKS_PX = 24
PLOT_PX = 150
STRIP_PX = 26
NAMES_PX = 20
AXIS_PX = 24
UNITS = 10_000
"""Of the stretched drawing, to the right; upwards it has a thousand."""
NARROW_PX, WIDE_PX = 270, 780
"""How wide a drawing is at least on a telephone, and on a desk: decides which words have room."""
DISC_PX = 18
LONGEST_HOLE_S = 4.0
"""Lines are not drawn through more than this without a score (or twice a merged bar's length)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From media time to a share of the width."""

    start_s: float
    end_s: float

    @classmethod
    def of(cls, story: Story) -> Axis:
        return cls(story.start_s, max(story.end_s, story.start_s + 0.1))

    def share(self, pts_s: float) -> float:
        return min(1.0, max(0.0, (pts_s - self.start_s) / (self.end_s - self.start_s)))

    def percent(self, pts_s: float) -> str:
        return _percent(self.share(pts_s))

    def units(self, pts_s: float) -> str:
        return f"{self.share(pts_s) * UNITS:.0f}"

    def ticks(self) -> Iterator[tuple[float, str]]:
        step = tick_step(self.end_s - self.start_s)
        first, last = math.ceil(self.start_s / step - 1e-9), math.floor(self.end_s / step + 1e-9)
        for i in range(first, last + 1):
            yield i * step, time_words(i * step, step)


def definitions() -> Markup:
    """Patterns that the drawings share: states differ by them too, not by colour alone. Once a page."""
    stripes = element(
        "pattern",
        element("path", d="M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6", class_="ink"),
        id="stripes",
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
    )
    dots = element(
        "pattern",
        element("circle", cx=3, cy=3, r=1.1, class_="dot"),
        id="dots",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
    )
    hatch = element(
        "pattern",
        element("path", d="M0 0 L0 6", class_="hatch"),
        id="hatch",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    return element("svg", element("defs", stripes, dots, hatch), width=0, height=0, aria_hidden="true", class_="defs")


def face_chart(story: Story, face: FaceStory) -> Markup:
    """Scores above, the strip of states below, on one axis of media time."""
    axis = Axis.of(story)
    plot = PLOT_PX if face.bars else 0
    strip = MARKS_PX + plot + 8
    bottom = strip + STRIP_PX + NAMES_PX
    parts = [
        element("title", f"Face {face.face_id} over time"),
        element("desc", described(story, face)),
        *_time_lines(axis, MARKS_PX, bottom),
        *_bands(axis, story.marks, MARKS_PX, bottom),
    ]
    if face.bars:
        parts += _levels()
        parts.append(_scores(axis, face))
    parts += _marks(axis, story.marks, bottom)
    for generation in face.generations:
        last_s = story.last_s(generation)
        parts += strip_parts(axis, generation.spans, generation.first_s, last_s, strip)
        parts += _borders(axis, generation, last_s, MARKS_PX, strip)
    return _drawing(parts, bottom + AXIS_PX)


def participant_chart(story: Story) -> Markup:
    axis = Axis.of(story)
    bottom = MARKS_PX + STRIP_PX + 6
    told = listed([f"{state_words(span.state)} from {moment(span.since_s)}" for span in story.participant[:20]])
    parts = [
        element("title", "The participant's verdict over time"),
        element("desc", told),
        *_time_lines(axis, MARKS_PX, bottom),
        *_bands(axis, story.marks, MARKS_PX, bottom),
        *_marks(axis, story.marks, bottom),
        *strip_parts(axis, story.participant, story.participant[0].since_s, story.end_s, MARKS_PX + 2),
    ]
    return _drawing(parts, bottom + AXIS_PX)


def described(story: Story, face: FaceStory) -> str:
    """The drawing in words, for who cannot see it."""
    words = [f"Seen from {moment(face.first_s)} to {moment(story.last_s(face.generations[-1]))}"]
    if face.calibrated:
        values = [bar.p_fake for bar in face.bars if bar.p_fake is not None]
        words.append(f"{count(face.scores, 'score')}: probability of fake {min(values):.2f} to {max(values):.2f}")
    elif face.bars:
        raw = [bar.raw for bar in face.bars]
        words.append(f"{count(face.scores, 'score')}: raw score {min(raw):.2f} to {max(raw):.2f}, uncalibrated")
    else:
        words.append("No score")
    spans = [span for generation in face.generations for span in generation.spans]
    states = [f"{state_words(span.state)} from {moment(span.since_s)}" for span in spans[:20]]
    words.append(f"States: {listed(states)}" if states else "State: warming up")
    return ". ".join(words) + "."


def _drawing(parts: Sequence[str], height: int) -> Markup:
    drawing = element("svg", *parts, class_="chart", width="100%", height=height, role="img")
    return element("div", drawing, class_="drawing")


def _time_lines(axis: Axis, top: int, bottom: int) -> list[Markup]:
    parts = []
    for i, (pts_s, words) in enumerate(axis.ticks()):
        x = axis.percent(pts_s)
        parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        anchor = "start" if axis.share(pts_s) < 0.02 else "end" if axis.share(pts_s) > 0.98 else "middle"
        parts.append(
            element("text", words, x=x, y=bottom + 17, text_anchor=anchor, class_="tick odd" if i % 2 else "tick")
        )
    parts.append(element("line", x1="0%", x2="100%", y1=bottom, y2=bottom, class_="axis"))
    return parts


def _levels() -> list[Markup]:
    parts = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = MARKS_PX + (1 - level) * PLOT_PX
        parts.append(element("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid"))
        if level in (0.0, 0.5, 1.0):
            parts.append(element("text", f"{level:.1f}", x=-7, y=y + 4, text_anchor="end", class_="tick"))
    return parts


def _scores(axis: Axis, face: FaceStory) -> Markup:
    """Every score as a bar over its window, and what they add up to as a line with its band."""
    calibrated = face.calibrated
    bars = [bar for bar in face.bars if bar.p_fake is not None] if calibrated else face.bars
    heights = [bar.p_fake if bar.p_fake is not None else bar.raw for bar in bars]
    flat = "".join(
        f"M{axis.units(bar.start_s)} {_y(height)}H{_end(axis, bar)}" for bar, height in zip(bars, heights, strict=True)
    )
    if calibrated:
        band = "".join(
            f"M{axis.units(bar.start_s)} {_y(bar.high)}H{_end(axis, bar)}V{_y(bar.low)}H{axis.units(bar.start_s)}Z"
            for bar in bars
            if bar.low is not None and bar.high is not None
        )
        told = [(bar, bar.p_face) for bar in bars if bar.p_face is not None]
        line = "".join(_line(axis, run) for run in _runs(told))
    else:
        means = [(bar, bar.mean) for bar in bars]
        line = "".join(_line(axis, run) for run in _runs(means))
        band = "".join(_band(axis, [bar for bar, _ in run]) for run in _runs(means))
    return element(
        "svg",
        element("path", d=band, class_="band"),
        element("path", d=flat, class_="bar"),
        element("path", d=line, class_="sum"),
        x="0%",
        y=MARKS_PX,
        width="100%",
        height=PLOT_PX,
        viewBox=f"0 0 {UNITS} 1000",
        preserveAspectRatio="none",
    )


def _runs(told: Sequence[tuple[Bar, float]]) -> Iterator[list[tuple[Bar, float]]]:
    """Cut where a generation ends, or where too long nothing was scored."""
    run: list[tuple[Bar, float]] = []
    for bar, value in told:
        if run:
            before = run[-1][0]
            longest_s = max(LONGEST_HOLE_S, 2 * (before.end_s - before.start_s))
            if before.generation != bar.generation or bar.end_s - before.end_s > longest_s:
                yield run
                run = []
        run.append((bar, value))
    if run:
        yield run


def _line(axis: Axis, run: Sequence[tuple[Bar, float]]) -> str:
    """Through the ends of the windows: that is when it was known."""
    points = [f"{axis.units(bar.end_s)} {_y(value)}" for bar, value in run]
    if len(points) == 1:
        points.append(f"{float(axis.units(run[0][0].end_s)) + 30:.0f} {_y(run[0][1])}")
    return "M" + "L".join(points)


def _band(axis: Axis, bars: Sequence[Bar]) -> str:
    upper = [f"{axis.units(bar.end_s)} {_y(bar.mean + bar.spread)}" for bar in bars]
    lower = [f"{axis.units(bar.end_s)} {_y(bar.mean - bar.spread)}" for bar in reversed(bars)]
    return "M" + "L".join([*upper, *lower]) + "Z"


def _y(value: float | None) -> str:
    return f"{(1 - min(1.0, max(0.0, value or 0.0))) * 1000:.0f}"


def _end(axis: Axis, bar: Bar) -> str:
    """A window's end, at least wide enough to be seen."""
    return f"{max(axis.share(bar.end_s) * UNITS, axis.share(bar.start_s) * UNITS + 20):.0f}"


def strip_parts(axis: Axis, spans: Sequence[Span], first_s: float, last_s: float, top: float) -> list[Markup]:
    """States from birth to loss, each with its word where there is room."""
    known = list(spans)
    if not known or known[0].since_s > first_s:
        known.insert(0, Span(since_s=first_s, state=FaceState.WARMING_UP))
    parts: list[Markup] = []
    for span, until_s in zip(known, [span.since_s for span in known[1:]] + [last_s], strict=True):
        x, share = axis.percent(span.since_s), max(0.002, axis.share(until_s) - axis.share(span.since_s))
        place: dict[str, str | float] = {"x": x, "y": top, "width": _percent(share), "height": STRIP_PX}
        words = f"{state_words(span.state)} from {moment(span.since_s)} to {moment(max(until_s, span.since_s))}"
        told = element("title", f"{words}: {span.words}" if span.words else words)
        parts.append(element("rect", told, **place, class_=f"state {span.state.lower()}"))
        pattern = PATTERNS.get(span.state)
        if pattern is not None:
            parts.append(element("rect", **place, fill=f"url(#{pattern})", class_="over"))
        short = state_words(span.state)
        fits = _room(share, short)
        if fits is not None:
            middle = _percent(axis.share(span.since_s) + share / 2)
            parts.append(element("text", short, x=middle, y=top + 17, text_anchor="middle", class_=f"word{fits}"))
    return parts


PATTERNS = {FaceState.LIKELY_FAKE: "stripes", FaceState.LOW_QUALITY: "dots"}


def _borders(axis: Axis, generation: Generation, last_s: float, top: float, strip: float) -> list[Markup]:
    """Where a generation begins and ends, its number, and how it ended."""
    x0, x1 = axis.percent(generation.first_s), axis.percent(last_s)
    bottom = strip + STRIP_PX + NAMES_PX
    parts = [element("line", x1=x, x2=x, y1=top, y2=bottom, class_="border") for x in (x0, x1)]
    share = axis.share(last_s) - axis.share(generation.first_s)
    name = f"gen {generation.number}"
    end = LOST_WORDS[generation.lost] if generation.lost is not None else "still there"
    both = _room(share, name + end + "  ")
    alone = _room(share, name)
    y = strip + STRIP_PX + 15
    if alone is not None:
        parts.append(element("text", name, x=x0, dx=4, y=y, class_=f"name{alone}"))
    if both is not None:
        parts.append(element("text", end, x=x1, dx=-4, y=y, text_anchor="end", class_=f"name{both}"))
    return parts


def _room(share: float, words: str) -> str | None:
    """Extra class of a text in this share of the width: none, `wide` if only wide drawings have room; None: no room."""
    need_px = 6.6 * len(words) + 10
    if share * NARROW_PX >= need_px:
        return ""
    return " wide" if share * WIDE_PX >= need_px else None


def _bands(axis: Axis, marks: Iterable[Mark], top: float, bottom: float) -> list[Markup]:
    """Times that are missing, or in which nobody could be judged."""
    parts = []
    for mark in marks:
        share = axis.share(mark.pts_s) - axis.share(mark.pts_s - mark.missing_s)
        if mark.missing_s > 0 and share > 0:
            x = axis.percent(mark.pts_s - mark.missing_s)
            told = element("title", f"{mark.words}, {seconds(mark.missing_s)}")
            parts.append(
                element(
                    "rect",
                    told,
                    x=x,
                    y=top,
                    width=_percent(share),
                    height=bottom - top,
                    fill="url(#hatch)",
                    class_="hole",
                )
            )
    return parts


def _marks(axis: Axis, marks: Sequence[Mark], bottom: float) -> list[Markup]:
    """Dashed lines with the numbers that the list below gives them; a crowd keeps its lines and loses numbers."""
    parts: list[Markup] = []
    last = -1.0
    for number, mark in enumerate(marks, start=1):
        x, share = axis.percent(mark.pts_s), axis.share(mark.pts_s)
        loud = "alarm" if mark.alarming else "calm"
        parts.append(element("line", x1=x, x2=x, y1=MARKS_PX - 4, y2=bottom, class_=f"mark {loud}"))
        if share - last < DISC_PX / WIDE_PX:
            continue
        room = "" if share - last >= DISC_PX / NARROW_PX else " wide"
        last = share
        parts.append(element("circle", element("title", mark.words), cx=x, cy=11, r=9, class_=f"disc {loud}{room}"))
        parts.append(element("text", str(number), x=x, y=15, text_anchor="middle", class_=f"number{room}"))
    return parts


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"


def swatch(state: FaceState) -> Markup:
    """A state's colour and pattern beside its word."""
    parts = [element("rect", width=18, height=14, class_=f"state {state.lower()}")]
    if state in PATTERNS:
        parts.append(element("rect", width=18, height=14, fill=f"url(#{PATTERNS[state]})", class_="over"))
    return element("svg", *parts, width=18, height=14, class_="swatch", aria_hidden="true")


def key_swatch(kind: str) -> Markup:
    """What a line, bar or band of the drawing looks like."""
    if kind == "band":
        part = element("rect", y=2, width=26, height=10, class_="band")
    else:
        part = element("path", d="M2 7H24", class_=kind)
    return element("svg", part, width=26, height=14, class_="swatch", aria_hidden="true")
