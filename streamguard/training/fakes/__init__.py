"""Pseudo-fakes: forgeries made from clips of real people, each beside its untouched twin. One file a family.

A kind takes a clip, perhaps another person's, and a generator of random numbers; it gives the forged clip and its mask,
(L, P, P) float32, 0 where the pixels are the very ones of the real clip. What it draws decides how strong the forgery
is, from barely visible to plain. docs/pseudo_fakes.md shows them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...errors import ConfigError
from ..tiles import Tiles
from .flicker import flicker
from .low_resolution import low_resolution
from .render import render
from .retime import delay, freeze, retime
from .self_blend import self_blend, self_blend_frames
from .soft_ring import soft_ring
from .stills import shaken as shaken
from .swap import swap
from .talking_still import talking_still

Kind = Callable[[Tiles, Tiles | None, np.random.Generator], tuple[Tiles, np.ndarray]]

KINDS: dict[str, Kind] = {
    "self_blend": self_blend,
    "self_blend_frames": self_blend_frames,
    "swap": swap,
    "soft_ring": soft_ring,
    "low_resolution": low_resolution,
    "delay": delay,
    "freeze": freeze,
    "retime": retime,
    "talking_still": talking_still,
    "render": render,
    "flicker": flicker,
}
NEEDS_DONOR = frozenset({"swap"})
"""Kinds that cannot be made without another person's tiles. Others may use them where they are given."""
NEEDS_MOTION = frozenset({"delay", "freeze", "retime"})
"""Kinds that are the real clip again where nothing moves."""


def possible(tiles: Tiles, donor: Tiles | None) -> tuple[str, ...]:
    """The kinds that can be made of these."""
    lacking = NEEDS_DONOR if donor is None else frozenset[str]()
    if len(tiles) == 1 or tiles.still:
        lacking |= NEEDS_MOTION
    return tuple(kind for kind in KINDS if kind not in lacking)


def make(kind: str, tiles: Tiles, donor: Tiles | None, rng: np.random.Generator) -> tuple[Tiles, np.ndarray]:
    """The clip forged in this way, labelled so, and the mask of what was changed."""
    if kind not in KINDS:
        raise ConfigError("kind", f"no pseudo-fake is called {kind!r}; there are {', '.join(KINDS)}")
    can = possible(tiles, donor)
    if kind not in can:
        raise ConfigError("kind", f"{kind!r} cannot be made of this clip and donor, but {', '.join(can)} can")
    return KINDS[kind](tiles, donor, rng)
