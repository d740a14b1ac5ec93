"""Networks for tests of commands: calibrated, and sure of what the test says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from streamguard.cli.network import Network
from streamguard.config import ScoringConfig
from streamguard.engine.engine import Engine
from streamguard.testing import FakeBackend, brightness, fake_bundle


def calibrated(score: Callable[[np.ndarray], float] = brightness) -> Network:
    """Its probability is the raw score."""
    return Network(Engine(fake_bundle(), backend=FakeBackend(score=score)), ScoringConfig())


def untrained() -> Network:
    return Network(Engine(fake_bundle(calibrated=False), backend=FakeBackend()), ScoringConfig())


def use(monkeypatch: pytest.MonkeyPatch, network: Callable[[], Network]) -> None:
    """Commands judge with this one."""
    monkeypatch.setattr(Network, "open", lambda *_: network())
