"""What every network is, besides an nn.Module that is made of one frozen dataclass of options.

`forward(crops)`, where it is causal also `step(crops, state, age)`, and where it has heat maps `maps(crops)` are
written down in docs/networks.md: they are called through nn.Module, which types none of them.
"""

from __future__ import annotations

from typing import ClassVar, Protocol


class ClipNet(Protocol):
    DECISIONS: ClassVar[dict[str, str]]
    """Where its paper is silent: what was decided, a line each."""

    @property
    def options(self) -> object:
        """The dataclass that it was made of."""
        ...

    @property
    def size_px(self) -> int: ...

    @property
    def length(self) -> int:
        """T: crops that an answer is about."""
        ...

    @property
    def memory(self) -> int:
        """R: crops before those that still matter."""
        ...

    @property
    def causal(self) -> bool: ...

    @property
    def look_ahead(self) -> int:
        """Crops after a moment that must be seen before the answer about it is final."""
        ...


class CausalNet(ClipNet, Protocol):
    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without N, of what `step` takes and gives, in order."""
        ...


WIDTHS = (0.01, 4.0)
SIZES_PX = (32, 1024)
MOST_LENGTH = 256


def check_bounds(*, size_px: int, length: int, width: float, least_length: int = 1) -> None:
    """What no machine could hold, or no layer could halve, is a ValueError: options may be a stranger's."""
    for name, value, (least, most) in (
        ("size_px", size_px, SIZES_PX),
        ("length", length, (least_length, MOST_LENGTH)),
        ("width", width, WIDTHS),
    ):
        if not least <= value <= most:  # so that what is no number is refused as well
            raise ValueError(f"{name} is {value:g}; it must be {least:g} to {most:g}")
