"""Degradations: one draw, both sides alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamguard.training.degrade import Codec, Degradation, draw, through_codec
from streamguard.training.fakes import make
from streamguard.training.tiles import Tiles

from .portraits import portrait_tiles

HARD = Codec(crf=38, preset="ultrafast", keyframes=12, b_frames=0)
GREY = (0.3, 0.6, 0.1, 5.0) * 3
# The reach in pixels within which a change at one pixel shows elsewhere.
LOCAL: dict[str, tuple[Degradation, int]] = {
    "colours": (Degradation(colours=GREY), 0),
    "gamma": (Degradation(gamma=0.7), 0),
    "blur": (Degradation(blur=1.0), 5),
    "noise": (Degradation(noise=5.0, seed=3), 0),
    "coloured noise": (Degradation(noise=5.0, noise_coloured=True, seed=4), 0),
    "scale": (Degradation(scale=0.5), 5),
    "lost": (Degradation(lost=0.5, burst=2, seed=1), 0),
    "stutter": (Degradation(stutter=2), 0),
}


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    return portrait_tiles(0, 8, 60.0)


@pytest.mark.parametrize("name", LOCAL)
def test_both_sides_are_degraded_alike(name: str, tiles: Tiles) -> None:
    """What was the same before is the same after, but for what filters carry over from within the mask."""
    change, reach = LOCAL[name]
    fake, mask = make("self_blend", tiles, None, np.random.default_rng(1))
    real_after, fake_after = change.apply(tiles), change.apply(fake)
    assert not np.array_equal(real_after.pixels, tiles.pixels)
    touched = change.apply_to_mask(mask) > 0
    for _ in range(reach):
        touched = _grown(touched)
    same = (real_after.pixels == fake_after.pixels).all(axis=3)
    assert same[~touched].all()
    assert not same.all()
    assert np.array_equal(real_after.points, fake_after.points)
    assert real_after.label == "real"
    assert fake_after.label == "fake"


def _grown(mask: np.ndarray) -> np.ndarray:
    out = mask.copy()
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    out[:, :, 1:] |= mask[:, :, :-1]
    out[:, :, :-1] |= mask[:, :, 1:]
    return out


def test_codec_hits_both_sides_as_hard(tiles: Tiles) -> None:
    """Far from the mask the encoder's loss is as large on either side, though not the same."""
    fake, mask = make("self_blend", tiles, None, np.random.default_rng(1))
    far = mask.max(axis=0) == 0
    losses = [
        float(np.abs(through_codec(side.pixels, HARD)[:, far].astype(int) - side.pixels[:, far]).mean())
        for side in (tiles, fake)
    ]
    assert losses[0] > 1
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_higher_crf_loses_more(tiles: Tiles) -> None:
    losses = []
    for crf in (18, 40):
        made = through_codec(tiles.pixels, replace(HARD, crf=crf))
        assert made.shape == tiles.pixels.shape
        losses.append(float(np.abs(made.astype(int) - tiles.pixels).mean()))
    assert losses[1] > 2 * losses[0]


@pytest.mark.parametrize("preset", ["ultrafast", "superfast", "veryfast"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_every_frame_comes_back_in_its_place(preset: str, b_frames: int) -> None:
    levels = np.array([40, 80, 60, 120, 100, 160, 140], np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (7, 64, 48, 3)).copy()
    made = through_codec(pixels, Codec(crf=30, preset=preset, keyframes=4, b_frames=b_frames))
    assert np.abs(made.mean(axis=(1, 2, 3)) - levels).max() < 6


def test_lost_frames_repeat_the_one_before_with_its_points(tiles: Tiles) -> None:
    change = Degradation(lost=0.5, burst=2, seed=1)
    order = change.order(len(tiles))
    assert order[0] == 0
    assert (order <= np.arange(len(tiles))).all()
    assert 0 < (order != np.arange(len(tiles))).sum() < len(tiles) - 1
    after = change.apply(tiles)
    assert np.array_equal(after.pixels, tiles.pixels[order])
    assert np.array_equal(after.points, tiles.points[order])
    mask = np.arange(len(tiles), dtype=np.float32)[:, None, None]
    assert change.apply_to_mask(mask)[:, 0, 0].tolist() == order.tolist()


def test_nothing_drawn_nothing_done(tiles: Tiles) -> None:
    assert np.array_equal(Degradation().apply(tiles).pixels, tiles.pixels)


def test_draws_repeat_by_seed_and_differ(tiles: Tiles) -> None:
    draws = [draw(np.random.default_rng(seed)) for seed in range(60)]
    assert draws == [draw(np.random.default_rng(seed)) for seed in range(60)]
    for part in ("colours", "gamma", "blur", "noise", "scale", "codec", "lost", "stutter"):
        default = getattr(Degradation(), part)
        assert 0 < sum(getattr(each, part) != default for each in draws) < len(draws), part
    codecs = [each.codec for each in draws if each.codec is not None]
    assert 18 <= min(codec.crf for codec in codecs) < 24
    assert 34 < max(codec.crf for codec in codecs) <= 40
    before = tiles.pixels.copy()
    one, again = draws[0].apply(tiles), draws[0].apply(tiles)
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(before, tiles.pixels)
