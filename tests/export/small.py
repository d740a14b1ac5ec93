"""Registered networks, so small that they are traced in seconds, and their bundles."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamguard_export import registered

from streamguard.bundle import Bundle
from streamguard.nets.registry import ENTRIES

SMALL: dict[str, dict[str, str]] = {
    "gml": {"width": "0.05", "size_px": "64", "temporal": "6", "anomaly": "no", "length": "4"},
    "gml-causal": {"width": "0.05", "size_px": "64", "temporal": "6", "anomaly": "no", "length": "4"},
    "gml-s": {"width": "0.1", "size_px": "32", "temporal": "2", "anomaly": "no", "length": "4"},
    "altfreezing": {"width": "0.05", "size_px": "64", "length": "8"},
}
SEED = 5


def small_bundle(name: str, out: Path) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registered, "MEASURED_MACS", 0)
        return registered.new_bundle(out, ENTRIES[name], SMALL[name], seed=SEED)
