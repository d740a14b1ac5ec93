"""Bundles that several files of this room look at: tracing a network takes seconds."""

from __future__ import annotations

import pytest

from streamguard.bundle import Bundle
from tests.export.small import small_bundle
from tests.one_thread import one_thread as one_thread


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Small ones of registered networks; each made when it is first asked for."""
    folder = tmp_path_factory.mktemp("bundles")

    class Made(dict[str, Bundle]):
        def __missing__(self, name: str) -> Bundle:
            self[name] = small_bundle(name, folder / name)
            return self[name]

    return Made()
