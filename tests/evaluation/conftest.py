"""One index of portraits for all tests of this folder that need video."""

from __future__ import annotations

import pytest

from streamguard.data.index import Index
from tests.evaluation.videos import made_index


@pytest.fixture(scope="package")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return made_index(tmp_path_factory.mktemp("portraits"))
