"""Shortcuts: numbers that must not tell a pair apart, and a classifier that finds out whether they do."""

from __future__ import annotations

import numpy as np
import pytest

from streamguard.data.tracks import Done, Settings
from streamguard.training.augment import crop_tiles
from streamguard.training.fakes import KINDS, NEEDS_MOTION, make
from streamguard.training.shortcuts import auc, file_features, separation, shortcut_features

from .portraits import portrait_tiles

GROUPS = [f"person{i // 4}" for i in range(120)]
LABELS = np.tile([0, 1], 60)


def test_auc_counts_pairs() -> None:
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert auc(np.zeros(6), np.array([0, 0, 0, 1, 1, 1])) == 0.5
    assert auc(np.array([2.0, 1.0]), np.array([0, 1])) == 0.0


def test_what_tells_them_apart_is_found() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((120, 5))
    features[:, 3] += 3.0 * LABELS
    found = separation(features, LABELS, GROUPS)
    assert found.auc > 0.85
    assert found.low < found.auc < found.high


def test_what_does_not_is_near_chance() -> None:
    """Also where it knows each person, which the held-out folds do not let it use."""
    rng = np.random.default_rng(1)
    person = np.repeat(rng.standard_normal((30, 5)), 4, axis=0)
    found = separation(person + 0.1 * rng.standard_normal((120, 5)), LABELS, GROUPS)
    assert found.auc == pytest.approx(0.5, abs=0.13)
    same = separation(np.repeat(rng.standard_normal((60, 3)), 2, axis=0), LABELS, GROUPS)
    assert same.auc == pytest.approx(0.5, abs=0.02)


def test_border_of_a_wide_crop_is_the_same_on_both_sides() -> None:
    """What is forged lies within the border, but where the whole picture is made anew."""
    tiles, donor = portrait_tiles(0, 4, 60.0), portrait_tiles(1, 4, 60.0)
    real = shortcut_features(crop_tiles(tiles, 64, 2.0))
    for kind in sorted(KINDS.keys() - {"talking_still", "render"}):
        fake, _ = make(kind, tiles, donor, np.random.default_rng(4))
        found = shortcut_features(crop_tiles(fake, 64, 2.0))
        assert np.array_equal(found["border"], real["border"]), kind
        if kind not in NEEDS_MOTION:  # these leave some frames as they are
            assert not np.array_equal(found["frame"], real["frame"]), kind


def test_blurred_frame_is_less_sharp() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    blurred = np.repeat(np.repeat(sharp[:, ::4, ::4], 4, axis=1), 4, axis=2)
    (a, b), (c, d) = shortcut_features(sharp)["frame"][-2:], shortcut_features(blurred)["frame"][-2:]
    assert a > c
    assert b > d


def test_file_is_told_by_its_numbers() -> None:
    done = Done(
        settings=Settings(),
        file="a",
        side="whole",
        file_bytes=50_000,
        failure="",
        codec="h264",
        width=640,
        height=360,
        fps=25.0,
        frames=50,
        seconds=2.0,
        tracks=(),
    )
    assert file_features(done, ["h264", "vp9"]).tolist() == pytest.approx(
        [np.log(640), np.log(360), 25.0, np.log(2.0), np.log(25_000), 1.0, 0.0]
    )
