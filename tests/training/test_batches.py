"""Batches: pairs are kept for a while, cut alike on both sides, and never of a group that is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamguard.crop import TEMPLATE_224
from streamguard.data.index import Index
from streamguard.errors import DataError
from streamguard.faces.mesh import FIVE_POINT_INDICES
from streamguard.training import fakes
from streamguard.training.augment import STILL
from streamguard.training.batches import Ahead, Bank, Batches, batch_of, warped
from streamguard.training.pairs import PairMaker
from streamguard.training.recipe import Recipe, recipe_from_text
from streamguard.training.tiles import Tiles

from .prepared import Person, blue, face_mesh, people, prepared

BASE = """
[net]
name = "gml-s"
span = 1.6
[net.options]
size_px = 64
[data]
degraded = 0.0
workers = 0
bank = 6
reuse = 3
[[stages]]
steps = 1
lr = 1e-3
length = 4
pairs = 3
kinds = { blue = 1 }
"""


def recipe(*changes: str) -> Recipe:
    return recipe_from_text(BASE, changes)


@pytest.fixture(autouse=True)
def blue_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fakes.KINDS, "blue", blue)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return prepared(tmp_path_factory.mktemp("data"), [*people(6), Person("heads", videos=0, alone=1)])


def test_batch_has_pairs_of_clips_side_by_side(index: Index) -> None:
    with Batches(index, index.groups, recipe("stages.0.windows=2"), 0) as batches:
        batch = batches.next()
    assert batch.crops.shape == (12, 4, 64, 64, 3)
    assert batch.crops.dtype == np.uint8
    assert batch.labels.tolist() == [0, 1] * 6
    assert batch.masks.shape == (12, 4, 8, 8)
    assert batch.masked.all()
    assert batch.twins.tolist() == [True] * 6
    assert not batch.masks[0::2].any(), "nothing was altered in real clips"
    assert (batch.masks[1::2].max(axis=(1, 2, 3)) > 0.9).all()


def test_both_sides_are_cut_and_varied_alike(index: Index) -> None:
    """A fake that is its own twin: whatever is done to crops, it is the same on both sides."""
    maker = PairMaker(index, index.groups, recipe("stages.0.made_length=8"), 0, 0)
    pairs = [maker.make(number) for number in range(8)]
    for pair in pairs:
        pair.fake = pair.real
    batch = batch_of(pairs, recipe(), 4, 2, np.random.default_rng(0))
    assert np.array_equal(batch.crops[0::2], batch.crops[1::2])
    assert len({crops.tobytes() for crops in batch.crops[0::2]}) == 16, "and each clip is varied in its own way"


def test_mask_lies_where_the_crop_shows_what_was_altered(index: Index) -> None:
    maker = PairMaker(index, index.groups, recipe(), 0, 0)
    change = "data.augment=0"
    batch = batch_of([maker.make(0)], recipe(change), 4, 1, np.random.default_rng(0))
    difference = np.abs(batch.crops[1].astype(int) - batch.crops[0]).max(axis=-1)  # (L, 64, 64)
    changed = (difference > 10).reshape(4, 8, 8, 8, 8).mean(axis=(2, 4))
    assert np.abs(batch.masks[1] - changed).max() < 0.25, "up to the rim, which resampling widens"


def test_unvaried_clips_are_those_at_the_beginning(index: Index) -> None:
    maker = PairMaker(index, index.groups, recipe("stages.0.made_length=8"), 0, 0)
    pair = maker.make(0)
    clips = [batch_of([pair], recipe(), 4, 2, np.random.default_rng(seed), vary=False).crops for seed in (0, 1)]
    assert np.array_equal(clips[0], clips[1])
    assert (clips[0][0] != clips[0][2]).any(), "the second window is a later one"


def test_pairs_are_seen_as_often_as_told_then_give_way(index: Index) -> None:
    with Batches(index, index.groups, recipe(), 0) as batches:
        for _ in range(40):
            batches.next()
        told = batches.statistics()
    assert told["bank"] == 6
    assert told["seen"] == pytest.approx(3, rel=0.15)


def test_bank_draws_what_was_seen_least_and_drops_the_oldest(index: Index) -> None:
    maker = PairMaker(index, index.groups, recipe(), 0, 0)
    bank, rng = Bank(3), np.random.default_rng(0)
    for number in range(3):
        bank.put(maker.make(number))
    assert {pair.number for pair in bank.draw(rng, 3)} == {0, 1, 2}
    bank.put(maker.make(3))
    assert [pair.number for pair in bank.draw(rng, 1)] == [3]
    assert {kept.pair.number for kept in bank.kept} == {1, 2, 3}
    assert len(bank.draw(rng, 7)) == 7, "more than there are: some twice"


def test_held_out_groups_are_in_no_batch(index: Index) -> None:
    groups = set(index.groups) - {"p00", "p03"}
    change = ["stages.0.pseudo=0.7", "stages.0.alone=0.3", "stages.0.kinds={blue=1,swap=1}", "data.reuse=1"]
    with Batches(index, groups, recipe(*change), 0) as batches:
        seen = frozenset[str]().union(*(batches.next().groups for _ in range(30)))
    assert seen == groups


def test_same_seed_gives_the_same_batches_and_another_gives_others(index: Index) -> None:
    def crops(seed: int) -> list[np.ndarray]:
        with Batches(index, index.groups, recipe(), 0, seed=seed) as batches:
            return [batches.next().crops for _ in range(4)]

    assert all(np.array_equal(*both) for both in zip(crops(0), crops(0), strict=True))
    assert not np.array_equal(crops(0)[0], crops(1)[0])


def test_restored_batches_go_on_as_if_nothing_had_been(index: Index) -> None:
    with Batches(index, index.groups, recipe(), 0) as batches:
        for _ in range(5):
            batches.next()
        state = batches.state()
        wanted = [batches.next().crops for _ in range(5)]
    with Batches(index, index.groups, recipe(), 0) as others:
        others.restore(state)
        assert all(np.array_equal(others.next().crops, crops) for crops in wanted)


def test_batches_made_ahead_are_the_same_and_can_be_restored(index: Index) -> None:
    with Batches(index, index.groups, recipe(), 0) as batches:
        wanted = [batches.next().crops for _ in range(6)]
    with Batches(index, index.groups, recipe(), 0) as batches:
        ahead = Ahead(batches)
        found = [ahead.next().crops for _ in range(3)]
        state = ahead.state()
        ahead.close()
    with Batches(index, index.groups, recipe(), 0) as batches:
        batches.restore(state)
        found += [batches.next().crops for _ in range(3)]
    assert all(np.array_equal(*both) for both in zip(found, wanted, strict=True))


def test_workers_make_pairs_without_end(index: Index) -> None:
    """Other processes: they know no kinds but the package's own."""
    change = ["data.workers=2", "data.reuse=1", "stages.0.kinds={self_blend=1}"]
    with Batches(index, index.groups, recipe(*change), 0) as batches:
        while batches.statistics()["made"] <= 12:
            assert set(batches.next().kinds) == {"self_blend"}


def test_what_fails_in_a_worker_is_raised_here(tmp_path: Path) -> None:
    index = prepared(tmp_path, people(2))
    change = ["data.workers=1", "stages.0.kinds={self_blend=1}"]
    for planes in tmp_path.rglob("planes.bin"):
        planes.write_bytes(b"")
    batches = Batches(index, index.groups, recipe(*change), 0)
    with batches, pytest.raises(DataError, match=r"planes.bin: is shorter than track.json says"):
        batches.next()


def test_similarity_crops_have_the_five_points_where_the_template_has_them() -> None:
    """A white dot at each point is found where AltFreezing's template has it."""
    mesh = face_mesh()
    five = np.stack([mesh[list(some)].mean(axis=0) for some in FIVE_POINT_INDICES])
    pixels = np.zeros((1, 120, 120, 3), np.uint8)
    for x, y in five:
        pixels[0, int(y - 1) : int(y + 2), int(x - 1) : int(x + 2)] = 255
    crop = warped(Tiles(pixels=pixels, points=mesh[None], face_px=40.0), 112, STILL)[0]
    template = TEMPLATE_224 / 2
    for x, y in template:
        near = crop[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5]
        assert near.max() > 100, "up to how well a similarity fits this face"
