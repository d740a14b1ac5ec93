"""Networks under test are so small that a second thread only waits for the first; beside other work it waits for long.

A folder's conftest.py imports the fixture for its tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
