"""How true probabilities are before and after calibration, as one SVG file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ..sinks.markup import Markup, element
from .calibrate import Calibrated, reliability
from .charts import Plot
from .measures import Bin

WIDTH_PX, HEIGHT_PX, TITLE_PX = 384, 360, 64
"""Of a drawing, and of the words above."""
STYLE = """
svg{background:#fff;overflow:visible;font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
text{fill:#1e293b}.head{font-size:14px;font-weight:600}.tick,.name,.note{fill:#56637a}
.grid{stroke:#e3e8ef}.line{fill:none}.diagonal{stroke:#94a3b8;stroke-dasharray:4 4}
.point{fill:#2563c9;fill-opacity:.75}.whisker{stroke:#2563c9;stroke-width:1.5;stroke-opacity:.7}
"""


def calibration_svg(found: Sequence[Calibrated]) -> str:
    """A row for each graph and precision: as it was, and as it is on people left out."""
    parts = [element("style", Markup(STYLE))]
    for row, one in enumerate(found):
        calibration, samples = one.calibration, one.samples
        was = "raw scores" if one.before.verdicts is None else "before"
        sides = (
            (was, one.p_before, one.before),
            (f"{calibration.curve.kind}, cross-fitted", one.p_after, one.after),
        )
        for column, (words, p, account) in enumerate(sides):
            notes = (f"Brier skill {account.brier_skill}", f"calibration error {account.calibration_error}")
            parts.append(
                element(
                    "g",
                    element("text", f"{calibration.graph} {calibration.precision}: {words}", y=16, class_="head"),
                    *(element("text", note, y=34 + 16 * i, class_="note") for i, note in enumerate(notes)),
                    element(
                        "g",
                        _drawing(reliability(samples, p, calibration.prior)),
                        transform=f"translate(0 {TITLE_PX})",
                    ),
                    transform=f"translate({column * WIDTH_PX + 16} {row * (HEIGHT_PX + TITLE_PX) + 8})",
                )
            )
    width, height = 2 * WIDTH_PX + 16, len(found) * (HEIGHT_PX + TITLE_PX) + 8
    where = "http://www.w3.org/2000/svg"
    box = f"0 0 {width} {height}"
    return element("svg", *parts, xmlns=where, width=width, height=height, viewBox=box) + "\n"


def _drawing(bins: Sequence[Bin]) -> Markup:
    """A dot is as large as its share; the line is 90% over groups."""
    plot = Plot("Reliability", "p_fake that was said", "share of fakes")
    plot.line([(0, 0), (1, 1)], "diagonal")
    for one in bins:
        if not one.count > 0:
            continue
        if isfinite(one.share_low) and isfinite(one.share_high):
            plot.upright(one.p, one.share_low, one.share_high)
        told = f"{100 * one.count:.1f}% of all: {one.p:.2f} said, {one.share:.2f} were fake"
        plot.dot(one.p, one.share, 3 + 14 * one.count**0.5, told)
    return plot.svg()
