"""Commands under test, whatever terminal the tests are run in, and whatever network comes with the package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamguard import bundle
from streamguard.bundle import UNTRAINED


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture(autouse=True, scope="module")
def untrained_by_default() -> Iterator[None]:
    """It is small and its scores mean nothing, so that each test is about commands. tests/test_default.py is about the
    bundle that they open outside of tests; what runs in a process of its own says `--bundle untrained`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "DEFAULT", UNTRAINED)
        yield
