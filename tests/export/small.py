"""Registered networks, so small that they are traced in seconds, and their bundles.

Everything in them is at work, as after training: motion paths, anomaly branch and both heads. In networks that are
new motion begins at zero, and would hide what their graphs do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from streamguard_export import registered

from streamguard.bundle import Bundle
from streamguard.nets.registry import ENTRIES, Entry
from tests.nets.shaken import moving, shaken

SMALL: dict[str, dict[str, str]] = {
    "gml": {"width": "0.06", "size_px": "64", "length": "4"},
    "gml-causal": {"width": "0.06", "size_px": "64", "temporal": "1,8,20,33", "length": "4"},
    "gml-s": {"width": "0.2", "size_px": "64", "temporal": "2,9,13", "length": "4"},
    "altfreezing": {"width": "0.05", "size_px": "64", "length": "8"},
}
NAMES = [
    pytest.param("gml-s"),
    pytest.param("altfreezing"),
    pytest.param("gml", marks=pytest.mark.full),
    pytest.param("gml-causal", marks=pytest.mark.full),
]
SEED = 3
"""With it the scores of different clips differ in all of them."""

_build = registered.build


def small_net(name: str) -> Any:
    return _shaken(ENTRIES[name], SMALL[name], seed=SEED)


def small_bundle(name: str, out: Path) -> Bundle:
    """Of `small_net(name)`, made as `streamguard bundle new` makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registered, "MEASURED_MACS", 0)
        patch.setattr(registered, "build", _shaken)
        return registered.new_bundle(out, ENTRIES[name], SMALL[name], seed=SEED)


def _shaken(entry: Entry, options: Mapping[str, str], *, seed: int) -> Any:
    return shaken(_build(entry, options, seed=seed), moving(8, faces=4, seed=9), seed=seed)
