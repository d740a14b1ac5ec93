"""The grid: which frame counts for which point, what a missing point does, what is kept."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.picture import Picture
from streamguard.ring import TOLERANCE, PatchRing
from streamguard.values import Box, Face, Patch, Quality

QUALITY = Quality(
    size_px=80, sharpness=1, luma=0.5, clipped=0, yaw_deg=0, pitch_deg=0, roll_deg=0, presence=1, padded=0
)
FACE = Face(face_id=1, generation=1, box_px=Box(0, 0, 80, 80), points_px=np.zeros((5, 2), np.float32), quality=QUALITY)
PICTURE = Picture.from_rgb(np.zeros((4, 4, 3), np.uint8))


def patch(pts_s: float, index: int) -> Patch:
    return Patch(
        face=FACE, pts_s=pts_s, grid_index=index, picture=PICTURE, origin_px=(0, 0), reduction=1, arrival_s=pts_s
    )


def fill(times_s: list[float], grid_s: float = 0.08, capacity: int = 1000) -> PatchRing:
    ring = PatchRing(anchor_pts_s=times_s[0], grid_s=grid_s, capacity=capacity)
    for pts_s in times_s:
        if ring.wants(pts_s):
            ring.put(patch(pts_s, ring.index_of(pts_s)))
    return ring


@pytest.mark.parametrize("rate_hz", [12.5, 25.0, 30.0, 50.0, 60.0, 59.94])
def test_every_crop_lies_on_its_point_within_tolerance(rate_hz: float) -> None:
    ring = fill([3.0 + i / rate_hz for i in range(200)])
    early, late = TOLERANCE * ring.grid_s, max(1 / rate_hz - TOLERANCE * ring.grid_s, 0.0)
    for item in ring.newest(1000):
        offset = item.patch.pts_s - ring.point_s(item.grid_index)
        assert -early - 1e-6 <= offset <= late + 1e-6
        assert not item.repeated
    assert ring.statistics().gaps == 0


def test_each_point_takes_its_first_frame_only() -> None:
    ring = fill([0.0, 0.02, 0.04, 0.07, 0.08, 0.10, 0.15])
    assert [(item.grid_index, item.patch.pts_s) for item in ring.newest(9)] == [(0, 0.0), (1, 0.07), (2, 0.15)]


def test_one_missing_point_repeats_the_crop_before_and_counts_as_a_gap() -> None:
    ring = fill([0.0, 0.08, 0.24, 0.32])
    run = ring.newest(9)
    assert [item.grid_index for item in run] == [0, 1, 2, 3, 4]
    assert [item.repeated for item in run] == [False, False, True, False, False]
    assert run[2].patch is run[1].patch
    assert ring.statistics().gaps == 1
    assert ring.statistics().resets == 0


def test_two_missing_points_start_the_run_anew() -> None:
    ring = fill([0.0, 0.08, 0.32, 0.40])
    assert [item.grid_index for item in ring.newest(9)] == [4, 5]
    assert ring.statistics().resets == 1
    assert ring.statistics().gaps == 0


def test_a_frame_exactly_on_the_early_border_belongs_to_the_coming_point() -> None:
    ring = PatchRing(anchor_pts_s=0.0, grid_s=0.08, capacity=4)
    assert ring.index_of(0.08 - 0.02) == 1
    assert ring.index_of(0.08 - 0.0201) == 0


def test_full_ring_forgets_its_oldest_patch() -> None:
    ring = fill([i * 0.08 for i in range(50)], capacity=8)
    assert [item.grid_index for item in ring.newest(99)] == list(range(42, 50))
    assert ring.nbytes == 8 * PICTURE.nbytes


def test_random_rate_keeps_points_consecutive_and_increasing() -> None:
    rng = np.random.default_rng(7)
    times = list(np.cumsum(rng.uniform(0.005, 0.06, 2000)))
    ring = fill(times)
    run = ring.newest(2000)
    indices = [item.grid_index for item in run]
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    real = [item.patch.pts_s for item in run if not item.repeated]
    assert real == sorted(set(real))
    assert ring.statistics().gaps == 0  # no hole longer than 0.06 s can miss a point of 0.08 s


def test_a_slow_source_never_keeps_a_long_run() -> None:
    ring = fill([i / 4 for i in range(100)])
    assert len(ring.newest(99)) == 1
    assert ring.statistics().resets == 99
