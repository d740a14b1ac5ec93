"""The drawings of an evaluation's report, as inline SVG that is made here: no scripts, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TypeVar

from ..sinks.markup import Markup, element, plain
from .measures import Bin
from .traces import FaceTrace, Trace
from .verdicts import CURVE_S, Verdicts

SIDE_PX = 300
LEFT_PX, TOP_PX, BOTTOM_PX = 40, 8, 38
COURSE_PX = (220, 64)
"""Of one track's scores over time."""
MOST_POINTS = 150
"""Of one line; more are thinned out."""

T = TypeVar("T")

Point = tuple[float, float]
"""Both 0 to 1, up and to the right."""


class Plot:
    """A square with axes from 0 to 1, to draw in."""

    def __init__(self, title: str, across: str, up: str, *, ticks: Sequence[tuple[float, str]] | None = None) -> None:
        self._parts: list[Markup] = [element("title", title)]
        shares = [(share, f"{share:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        for share, word in shares:
            y = self.y(share)
            self._parts.append(element("line", x1=self.x(0), x2=self.x(1), y1=y, y2=y, class_="grid"))
            self._parts.append(self._text(word, self.x(0) - 6, y + 4, "end", "tick"))
        for share, word in ticks or shares:
            x = self.x(share)
            self._parts.append(element("line", x1=x, x2=x, y1=self.y(0), y2=self.y(1), class_="grid"))
            self._parts.append(self._text(word, x, self.y(0) + 16, "middle", "tick"))
        self._parts.append(self._text(across, self.x(0.5), self.y(0) + 33, "middle", "name"))
        self._parts.append(
            element("text", up, x=12, y=self.y(0.5), class_="name", text_anchor="middle",
                    transform=f"rotate(-90 12 {self.y(0.5):.0f})")
        )  # fmt: skip

    @staticmethod
    def x(share: float) -> float:
        return round(LEFT_PX + share * SIDE_PX, 1)

    @staticmethod
    def y(share: float) -> float:
        return round(TOP_PX + (1 - share) * SIDE_PX, 1)

    def line(self, points: Sequence[Point], class_: str) -> None:
        told = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in thinned(points) if isfinite(x) and isfinite(y))
        self._parts.append(element("polyline", points=told, class_=f"line {class_}"))

    def dot(self, x: float, y: float, radius: float, told: str) -> None:
        title = element("title", told)
        self._parts.append(element("circle", title, cx=self.x(x), cy=self.y(y), r=round(radius, 1), class_="point"))

    def upright(self, x: float, low: float, high: float) -> None:
        at = self.x(x)
        self._parts.append(element("line", x1=at, x2=at, y1=self.y(low), y2=self.y(high), class_="whisker"))

    def svg(self) -> Markup:
        width, height = LEFT_PX + SIDE_PX + 14, TOP_PX + SIDE_PX + BOTTOM_PX
        return element(
            "svg", *self._parts, viewBox=f"0 0 {width} {height}", width=width, height=height, class_="chart", role="img"
        )

    @staticmethod
    def _text(word: str, x: float, y: float, anchor: str, class_: str) -> Markup:
        return element("text", word, x=x, y=y, text_anchor=anchor, class_=class_)


def roc_chart(lines: Iterable[tuple[str, Sequence[Point]]]) -> Markup:
    """One line a condition, in the order of the key's colours."""
    plot = Plot("ROC by track", "real tracks above the threshold", "fake tracks above it")
    plot.line([(0, 0), (1, 1)], "diagonal")
    for i, (_, points) in enumerate(lines):
        plot.line(points, f"l{i}")
    return plot.svg()


def reliability_chart(bins: Sequence[Bin]) -> Markup:
    """What was said, and how often it was so. A dot is as large as there are tracks in it."""
    plot = Plot("Reliability", "p_fake that was said", "share of fakes")
    plot.line([(0, 0), (1, 1)], "diagonal")
    total = sum(one.count for one in bins) or 1.0
    for one in bins:
        if not one.count:
            continue
        if isfinite(one.share_low) and isfinite(one.share_high):
            plot.upright(one.p, one.share_low, one.share_high)
        told = f"{one.count:.1f} tracks: {one.p:.2f} said, {one.share:.2f} were fake"
        plot.dot(one.p, one.share, 3 + 14 * (one.count / total) ** 0.5, told)
    return plot.svg()


def detection_chart(found: Verdicts) -> Markup:
    """Share of fakes that were told by each time, at the bundle's thresholds and at chosen rates."""
    longest_s = CURVE_S[-1]
    ticks = [(second / longest_s, f"{second} s") for second in range(0, int(longest_s) + 1, 5)]
    plot = Plot("Time to detection", "after the face appeared", "share of fake tracks", ticks=ticks)
    curves = [found.told.curve, *(one.curve for one in found.at_rates.values())]
    plot.line(_over_time(found.in_view), "diagonal")
    for i, curve in enumerate(curves):
        plot.line(_over_time(curve), f"l{i}")
    return plot.svg()


def _over_time(values: Sequence[float]) -> list[Point]:
    return [(at_s / CURVE_S[-1], value) for at_s, value in zip(CURVE_S, values, strict=True)]


def course_chart(trace: Trace, face: FaceTrace) -> Markup:
    """Raw scores of one track over its time; moments that allowed no judgement are left out and leave a hole."""
    width, height = COURSE_PX
    first_s, last_s = face.moments[0].pts_end_s, face.moments[-1].pts_end_s
    span_s = max(last_s - first_s, 1e-6)
    runs: list[list[Point]] = [[]]
    for moment in thinned(face.moments):
        if moment.usable:
            x = (moment.pts_end_s - first_s) / span_s * width
            runs[-1].append((x, (1 - moment.raw_score) * (height - 4) + 2))
        elif runs[-1]:
            runs.append([])
    lines = [
        element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in run), class_="line l0")
        for run in runs
        if run
    ]
    middle = element("line", x1=0, x2=width, y1=height / 2, y2=height / 2, class_="grid")
    title = element("title", f"{plain(trace.key)}: raw scores from {first_s:.1f} to {last_s:.1f} s")
    return element(
        "svg", title, middle, *lines, viewBox=f"0 0 {width} {height}", width=width, height=height, class_="course",
        role="img",
    )  # fmt: skip


def thinned(values: Sequence[T], most: int = MOST_POINTS) -> list[T]:
    """Some of them, evenly, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]
