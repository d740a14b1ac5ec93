"""Halves of pictures: both are cut alike, whatever the width."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.data.reading import half_of
from streamguard.picture import Picture


@pytest.mark.parametrize("width", [4, 6, 7, 8, 9, 10, 11, 640, 642])
def test_halves_are_equally_large_and_do_not_overlap(width: int) -> None:
    columns = np.tile(np.arange(width, dtype=np.int64) % 251, (6, 1)).astype(np.uint8)
    chroma = np.tile(np.arange((width + 1) // 2, dtype=np.int64) % 251, (3, 1)).astype(np.uint8)
    picture = Picture(y=columns, u=chroma, v=chroma, matrix="bt601", full_range=True)
    left, right = half_of(picture, "left"), half_of(picture, "right")
    assert left.width == right.width >= width // 2 - 1
    assert (left.y == picture.y[:, : left.width]).all()
    start = (width - right.width) // 2 * 2
    assert start >= left.width
    assert (right.y == picture.y[:, start : start + right.width]).all()
    assert (right.u == picture.u[:, start // 2 : start // 2 + right.u.shape[1]]).all()
