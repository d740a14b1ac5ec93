"""Every kind of pseudo-fake: the real clip again but for its mask, the same each time by its seed, weak and strong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from streamguard.errors import ConfigError
from streamguard.training.fakes import KINDS, NEEDS_MOTION, make, possible, shaken
from streamguard.training.fakes.inset import cut
from streamguard.training.fakes.looks import colour_transfer, recolour
from streamguard.training.fakes.masks import OVAL, soft_polygons
from streamguard.training.fakes.warp import at_points, fit_similarity, landmark_field, warp
from streamguard.training.tiles import Tiles

from .portraits import portrait_tiles

SEEDS = range(3)


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    return portrait_tiles(0, 6, 60.0)


@pytest.fixture(scope="module")
def donor() -> Tiles:
    return portrait_tiles(1, 6, 60.0)


@pytest.fixture(scope="module")
def unmoving(tiles: Tiles) -> Tiles:
    return tiles.frames(np.zeros(len(tiles), np.intp))


def changed(real: Tiles, fake: Tiles) -> np.ndarray:
    """(L, P, P): by how many levels, at most over the colours."""
    difference: np.ndarray = np.abs(real.pixels.astype(int) - fake.pixels).max(axis=3)
    return difference


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_the_mask_covers_is_changed(kind: str, tiles: Tiles, donor: Tiles) -> None:
    before = tiles.pixels.copy(), tiles.points.copy(), donor.pixels.copy()
    for seed in SEEDS:
        fake, mask = make(kind, tiles, donor, np.random.default_rng(seed))
        assert (fake.label, fake.key, tiles.label) == ("fake", tiles.key, "real")
        assert fake.pixels.dtype == np.uint8
        assert fake.pixels.shape == tiles.pixels.shape
        assert mask.dtype == np.float32
        assert mask.shape == tiles.pixels.shape[:3]
        assert 0 <= mask.min() <= mask.max() <= 1
        difference = changed(tiles, fake)
        assert difference[mask == 0].sum() == 0
        assert difference[mask > 0.5].max() > 2
    assert np.array_equal(before[0], tiles.pixels)
    assert np.array_equal(before[1], tiles.points)
    assert np.array_equal(before[2], donor.pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_everything(kind: str, tiles: Tiles, donor: Tiles) -> None:
    (one, one_mask), (again, again_mask), (other, _) = (
        make(kind, tiles, donor, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one_mask, again_mask)
    assert not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - NEEDS_MOTION))
def test_a_single_frame_can_be_forged(kind: str, tiles: Tiles, donor: Tiles) -> None:
    one = tiles.frames(np.array([0]))
    fake, mask = make(kind, one, donor.frames(np.array([0])), np.random.default_rng(1))
    assert changed(one, fake)[mask == 0].sum() == 0
    assert changed(one, fake).any()


@pytest.mark.parametrize("kind", ["self_blend", "low_resolution", "soft_ring", "render", "flicker"])
def test_some_draws_are_much_stronger_than_others(kind: str, tiles: Tiles, donor: Tiles) -> None:
    two, donor_two = tiles.frames(np.arange(2)), donor.frames(np.arange(2))
    strengths = []
    for seed in range(12):
        fake, mask = make(kind, two, donor_two, np.random.default_rng(seed))
        strengths.append(float((changed(two, fake) * mask).sum() / mask.sum()))
    assert max(strengths) > 2 * min(strengths)


def test_one_draw_holds_for_the_clip_or_not(unmoving: Tiles) -> None:
    """Of a clip in which nothing moves, the steady kind makes one picture, the others do not."""
    for seed in SEEDS:
        steady, _ = make("self_blend", unmoving, None, np.random.default_rng(seed))
        assert np.abs(steady.pixels.astype(int) - steady.pixels[0]).max() <= 1
        for kind in ("self_blend_frames", "flicker"):
            unsteady, _ = make(kind, unmoving, None, np.random.default_rng(seed))
            assert np.abs(unsteady.pixels.astype(int) - unsteady.pixels[0]).max() > 1


def test_frame_that_shows_itself_is_not_forged(tiles: Tiles) -> None:
    fake, mask = make("freeze", tiles, None, np.random.default_rng(0))
    forged = mask.max(axis=(1, 2)) > 0
    assert 0 < forged.sum() < len(tiles)
    assert (changed(tiles, fake).max(axis=(1, 2)) > 0).tolist() == forged.tolist()


def test_late_face_is_that_of_an_earlier_frame(unmoving: Tiles) -> None:
    """In a clip that only grows brighter, a delayed face is darker than its surroundings."""
    levels = np.linspace(60, 160, len(unmoving)).astype(np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], unmoving.pixels.shape).copy()
    clip = replace(unmoving, pixels=pixels)
    ways = []
    for seed in range(8):
        fake, mask = make("delay", clip, None, np.random.default_rng(seed))
        darkest = int(fake.pixels[-1][mask[-1] > 0.8].min(initial=160))
        ways.append(darkest - 160)
        assert fake.pixels[-1].max() <= 160
    assert min(ways) <= -20


def test_swap_brings_the_other_persons_face(tiles: Tiles, donor: Tiles) -> None:
    """The donor is a darker person, mirrored; recoloured, their face is still not the clip's own."""
    fake, mask = make("swap", tiles, donor, np.random.default_rng(3))
    inner = mask > 0.8
    assert inner.mean() > 0.03
    assert changed(tiles, fake)[inner].mean() > 6
    before, after = (image.pixels[inner].mean(axis=0) for image in (tiles, fake))
    assert np.abs(after - before).max() < 25  # the donor's skin is 75 levels darker


def test_talking_still_is_frozen_where_nothing_moves(tiles: Tiles, donor: Tiles) -> None:
    found = 0
    for seed in range(6):
        fake, mask = make("talking_still", tiles, donor, np.random.default_rng(seed))
        frozen = (mask == 0.25).all(axis=0)
        found += int(frozen.sum())
        assert (fake.pixels[:, frozen] == fake.pixels[0][frozen]).all()
        assert np.abs(fake.points - fake.points[0]).max() > 0.3
    assert found > 0


def test_still_shakes_and_talks(tiles: Tiles, donor: Tiles) -> None:
    still = shaken(tiles, 5, np.random.default_rng(0))
    assert still.still
    assert len(still) == 5
    fake, mask = make("talking_still", still, donor, np.random.default_rng(2))
    assert changed(still, fake)[mask == 0].sum() == 0
    assert mask[:, 0, 0].max() == 0  # its background is the camera's
    assert changed(still, fake)[mask > 0.9].mean() > 0.5


def test_points_of_a_shaken_still_stay_on_its_face(tiles: Tiles) -> None:
    """A white dot at one of the points is found where the points say."""
    pixels = np.zeros_like(tiles.pixels[:1])
    x, y = np.round(tiles.points[0, 4]).astype(int).tolist()
    pixels[0, y - 2 : y + 2, x - 2 : x + 2] = 255
    marked = replace(tiles.frames(np.array([0])), pixels=pixels)
    marked.points[0, 4] = (x, y)
    still = shaken(marked, 6, np.random.default_rng(1))
    rows, columns = np.mgrid[: tiles.side_px, : tiles.side_px] + 0.5
    for picture, points in zip(still.pixels, still.points, strict=True):
        weight = np.where(picture[..., 1] > 40, picture[..., 1], 0.0)
        middle = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
        assert middle == pytest.approx(points[4].tolist(), abs=0.3)
    assert np.abs(still.points[:, 4] - still.points[0, 4]).max() > 0.05


def test_what_cannot_be_made_is_refused_by_name(tiles: Tiles, unmoving: Tiles) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="no pseudo-fake is called 'wig'"):
        make("wig", tiles, None, rng)
    with pytest.raises(ConfigError, match="'swap' cannot be made"):
        make("swap", tiles, None, rng)
    still = replace(unmoving, still=True)
    assert NEEDS_MOTION.isdisjoint(possible(still, tiles))
    with pytest.raises(ConfigError, match="'freeze' cannot be made"):
        make("freeze", still, None, rng)
    assert set(possible(tiles, unmoving)) == set(KINDS)


# The tools that kinds are made with.


def test_landmarks_land_where_they_should(tiles: Tiles, donor: Tiles) -> None:
    """A field leads from each of the target's landmarks to the source's, a fraction of a pixel off."""
    face, other = cut(tiles, 0.3), cut(donor, 0.3)
    field = landmark_field(face.points, other.points, face.size, face.face_px)
    found = torch.from_numpy(face.points) + at_points(field, torch.from_numpy(face.points), face.size)
    off = (found - torch.from_numpy(other.points)).norm(dim=2)
    assert float(off.mean()) < 0.14
    assert float(off.max()) < 1.0
    plain = fit_similarity(face.points, other.points)(face.points)
    assert np.linalg.norm(plain - other.points, axis=2).mean() > 2 * float(off.mean())


def test_no_field_no_change() -> None:
    picture = torch.rand(2, 3, 40, 50) * 255
    nothing = torch.zeros(2, 2, 40, 40)
    for sharp in (False, True):
        assert torch.allclose(warp(picture, nothing, (40, 50), sharp=sharp), picture, atol=0.05)


def test_warp_goes_where_the_field_says_and_repeats_the_edge() -> None:
    picture = torch.arange(50.0).expand(1, 1, 40, 50).contiguous()
    right = torch.zeros(1, 2, 40, 40)
    right[:, 0] = 10
    moved = warp(picture, right, (40, 50))[0, 0, 20]
    assert moved[:38].tolist() == pytest.approx([x + 10 for x in range(38)], abs=0.01)
    assert moved[42:].tolist() == pytest.approx([49] * 8, abs=0.01)


def test_transferred_colours_have_the_targets_mean_and_spread() -> None:
    rng = np.random.default_rng(0)
    source = torch.from_numpy(rng.normal(90, 12, (2, 3, 60, 60)).astype(np.float32))
    target = torch.from_numpy(rng.normal([[[150]], [[120]], [[100]]], 20, (2, 3, 60, 60)).astype(np.float32))
    weight = torch.ones(2, 1, 60, 60)
    made = recolour(source, colour_transfer(source, target, weight, per_frame=True))
    assert made.mean(dim=(2, 3))[0].tolist() == pytest.approx([150, 120, 100], abs=3)
    assert made.std(dim=(2, 3)).mean().item() == pytest.approx(20, rel=0.15)


def test_mask_is_as_soft_as_asked_and_keeps_inside(tiles: Tiles) -> None:
    outline = tiles.points[:1, list(OVAL)]
    size = (tiles.side_px, tiles.side_px)
    hard = soft_polygons(outline, size, sigma_px=0.4)[0, 0]
    soft = soft_polygons(outline, size, sigma_px=4.0)[0, 0]
    within = soft_polygons(outline, size, sigma_px=4.0, low=0.5)[0, 0]
    (x, y), (next_x, next_y) = outline[0].T, np.roll(outline[0], 1, axis=0).T
    area = abs(float((x * next_y - y * next_x).sum())) / 2
    assert float(hard.sum()) == pytest.approx(area, rel=0.02)
    half_way = [float(((mask > 0.05) & (mask < 0.95)).sum()) for mask in (hard, soft)]
    assert half_way[1] > 4 * half_way[0]
    assert float((within * (hard < 0.01)).max()) < 0.12
    assert float(within.max()) == pytest.approx(1.0)
