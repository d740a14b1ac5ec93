"""Footage as a Source: the runtime's own file source, and around it one that shows half of each picture.

Used by the index. A still is no other source: it is a file of one frame. `repeated` gives it long enough for a tracker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..events import StreamUp
from ..picture import Picture
from ..sources import Item, Source, SourceStatistics, open_source
from ..sources.source import SourceBase
from ..values import Frame

Side = Literal["whole", "left", "right"]

STILL_FRAMES = 8
"""A face appears with its second sighting, and its mesh has settled a few after that."""
STILL_STEP_S = 0.04


def open_footage(path: Path, *, side: Side = "whole") -> Source:
    source = open_source(path)
    return source if side == "whole" else HalfSource(source, side)


class HalfSource(SourceBase):
    """One half of each picture of a source. A place in one half is the same place in the other, within a pixel."""

    def __init__(self, source: Source, side: Literal["left", "right"]) -> None:
        self.url = f"{source.url} ({side} half)"
        self.live = source.live
        self._source = source
        self._side = side

    def read(self, timeout_s: float) -> Item | None:
        item = self._source.read(timeout_s)
        if isinstance(item, Frame):
            return replace(item, picture=half_of(item.picture, self._side))
        if isinstance(item, StreamUp) and item.width:
            return replace(item, url=self.url, width=half_width(item.width))
        return item

    def close(self) -> None:
        self._source.close()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()


def half_width(width: int) -> int:
    """Even, because chroma is stored for every second pixel; up to three columns in the middle belong to neither."""
    return max(1, width // 2 // 2 * 2)


def half_of(picture: Picture, side: Literal["left", "right"]) -> Picture:
    width = half_width(picture.width)
    start = 0 if side == "left" else (picture.width - width) // 2 * 2
    return picture.region(start, 0, start + width, picture.height)


def repeated(source: Source) -> Iterator[Item]:
    """A still's items, its one frame several times."""
    for item in source:
        if not isinstance(item, Frame):
            yield item
            continue
        for i in range(STILL_FRAMES):
            yield replace(item, pts_s=item.pts_s + i * STILL_STEP_S, gap=None)
        return
