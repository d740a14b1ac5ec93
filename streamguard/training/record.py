"""What a training leaves to be read: log.jsonl, a picture of it, and TensorBoard's files where that is installed."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

LOG = "log.jsonl"
PICTURE = "loss.png"

_log = logging.getLogger(__name__)

Line = dict[str, Any]


class Record:
    """One training's. Lines after the step that it goes on from are dropped: they come again."""

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        self._folder = folder
        self.lines = [line for line in _read(folder / LOG) if line["step"] <= step] if step else []
        _write_whole(folder / LOG, "".join(_as_text(line) for line in self.lines).encode())
        self._board = _board(folder, step)

    def put(self, line: Line) -> None:
        self.lines.append(line)
        with (self._folder / LOG).open("a", encoding="utf-8") as file:
            file.write(_as_text(line))
        if self._board is not None:
            for name, value in line.items():
                if name not in ("step", "stage") and isinstance(value, int | float):
                    self._board.add_scalar(name, value, line["step"])

    def draw(self) -> None:
        part = self._folder / f"{PICTURE}.part"
        picture_of(self.lines).save(part, format="png")
        os.replace(part, self._folder / PICTURE)

    def close(self) -> None:
        self.draw()
        if self._board is not None:
            self._board.close()


def _as_text(line: Mapping[str, Any]) -> str:
    return json.dumps(line) + "\n"


def _read(path: Path) -> list[Line]:
    """Without a last line that was cut off."""
    lines: list[Line] = []
    if path.is_file():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
    return lines


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _log.warning("tensorboard is not installed, so there are no files for it: pip install 'streamguard[train]'")
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)


WIDTH, HEIGHT, LEFT, RIGHT, GAP = 960, 300, 76, 24, 44
INK, FAINT, LOSS, SMOOTH, AUC, RANKED = "#1b1f24", "#d5dae0", "#b9c6dd", "#1f4fa3", "#b3261e", "#d88a1b"
SMOOTHING = 0.9
"""Of the bold loss curve: how much of it is the point before."""

Curve = tuple[str, str, Sequence[tuple[float, float]]]
"""Name, colour, points."""


def picture_of(lines: Sequence[Line]) -> Image.Image:
    """Loss above, monitored AUC below, both over steps; stages are told apart by vertical lines."""
    image = Image.new("RGB", (WIDTH, 2 * HEIGHT + GAP), "white")
    draw = ImageDraw.Draw(image)
    losses = _points(lines, "loss")
    last = max((line["step"] for line in lines), default=1)
    borders = [b["step"] for a, b in pairwise(lines) if a["stage"] != b["stage"]]
    curves: list[Curve] = [("loss", LOSS, losses), ("smoothed", SMOOTH, _smoothed(losses))]
    values = sorted(value for _, value in losses)
    # A few first losses far above all others would flatten the rest.
    top = values[min(len(values) - 1, int(0.99 * len(values)))] if values else 1.0
    _chart(draw, 0, "training loss", curves, last, (0.0, top * 1.05 or 1.0), borders)
    heard: list[Curve] = [
        ("AUC of pseudo-fakes of people who are not trained on", AUC, _points(lines, "auc")),
        ("fakes above their own twin", RANKED, _points(lines, "ranked")),
    ]
    lowest = min((value for _, _, points in heard for _, value in points), default=0.5)
    low = math.floor(10 * min(0.5, lowest)) / 10
    _chart(draw, HEIGHT + GAP // 2, "", heard, last, (low, 1.0), borders)
    return image


def _points(lines: Sequence[Line], name: str) -> list[tuple[float, float]]:
    return [(line["step"], line[name]) for line in lines if name in line and math.isfinite(line[name])]


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    smoothed: list[tuple[float, float]] = []
    for x, y in points:
        before = smoothed[-1][1] if smoothed else y
        smoothed.append((x, SMOOTHING * before + (1 - SMOOTHING) * y))
    return smoothed


def _chart(
    draw: ImageDraw.ImageDraw,
    top: int,
    title: str,
    curves: Sequence[Curve],
    last: float,
    limits: tuple[float, float],
    borders: Sequence[float],
) -> None:
    low, high = limits
    x0, x1, y0, y1 = LEFT, WIDTH - RIGHT, top + 40, top + HEIGHT - 30
    font = ImageFont.load_default(14)

    def place(x: float, y: float) -> tuple[float, float]:
        share = (min(max(y, low), high) - low) / (high - low)
        return x0 + (x1 - x0) * x / max(1.0, last), y1 - (y1 - y0) * share

    for value in _ticks(low, high):
        _, y = place(0, value)
        draw.line([(x0, y), (x1, y)], fill=FAINT)
        draw.text((x0 - 8, y), f"{value:.3g}", fill=INK, font=font, anchor="rm")
    for value in _ticks(0, last):
        x, _ = place(value, low)
        draw.line([(x, y1), (x, y1 + 4)], fill=INK)
        draw.text((x, y1 + 7), f"{value:g}", fill=INK, font=font, anchor="mt")
    draw.text((x1, y1 - 6), "step", fill=INK, font=font, anchor="rb")
    for border in borders:
        x, _ = place(border, low)
        draw.line([(x, y0), (x, y1)], fill=INK)
    draw.line([(x0, y0), (x0, y1), (x1, y1)], fill=INK)
    left = float(x0)
    for name, colour, points in curves:
        shown = [place(x, y) for x, y in points]
        if len(shown) > 1:
            draw.line(shown, fill=colour, width=2, joint="curve")
        for x, y in shown if len(shown) < 40 else []:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        draw.rectangle((left, top + 14, left + 18, top + 18), fill=colour)
        draw.text((left + 24, top + 16), name, fill=INK, font=font, anchor="lm")
        left += 24 + draw.textlength(name, font=font) + 28
    draw.text((x1, top + 16), title, fill=INK, font=font, anchor="rm")


def _ticks(low: float, high: float) -> list[float]:
    """Some four to eight round numbers."""
    if high <= low:
        return [low]
    raw = (high - low) / 6
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
