"""Pairs: of the groups that they may be made of, alike on both sides, and the same each time by their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamguard.data.index import Index
from streamguard.errors import ConfigError, DataError
from streamguard.training.pairs import Pair, PairMaker, material_of
from streamguard.training.recipe import Recipe, recipe_from_text

from .prepared import Person, leave_untouched, people, prepared

BASE = """
[net]
name = "gml-s"
[data]
degraded = 0.0
[[stages]]
steps = 1
lr = 1e-3
length = 4
kinds = { self_blend = 1 }
"""


def recipe(*changes: str) -> Recipe:
    return recipe_from_text(BASE, changes)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    everybody = [*people(4), Person("twins", videos=0, twins=1), Person("heads", videos=0, alone=1)]
    return prepared(tmp_path_factory.mktemp("data"), [*everybody, Person("still", videos=0, stills=1)])


def made(index: Index, count: int, *changes: str, groups: list[str] | None = None, seed: int = 0) -> list[Pair]:
    maker = PairMaker(index, groups or index.groups, recipe(*changes), 0, seed)
    return [maker.make(number) for number in range(count)]


def test_pseudo_fake_differs_from_its_twin_only_where_the_mask_says(index: Index) -> None:
    for pair in made(index, 6):
        assert (pair.real.label, pair.fake.label, pair.kind) == ("real", "fake", "self_blend")
        assert pair.mask is not None
        changed = (pair.real.pixels != pair.fake.pixels).any(axis=3)
        assert changed.any()
        assert not changed[pair.mask == 0].any()


def test_number_decides_everything(index: Index) -> None:
    first, again = made(index, 3, "data.degraded=1"), made(index, 3, "data.degraded=1")
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.real.pixels, other.real.pixels)
        assert np.array_equal(one.fake.pixels, other.fake.pixels)
    others = made(index, 3, "data.degraded=1", seed=1)
    assert any(one.real.key != other.real.key for one, other in zip(first, others, strict=True))


def test_groups_come_equally_often_whatever_was_filmed_of_them(tmp_path: Path) -> None:
    index = prepared(tmp_path, [Person("often", videos=9), Person("seldom", videos=1)])
    groups = [pair.real.group for pair in made(index, 60)]
    assert 18 <= groups.count("seldom") <= 42


def test_twins_show_the_same_moments_of_both(index: Index) -> None:
    for pair in made(index, 4, "stages.0.pseudo=0", "stages.0.twins=1"):
        assert (pair.fake.key, pair.real.key) == ("twins-right0", "twins-left0")
        assert pair.same_moments
        assert pair.mask is None
        # Of the made-up twins only what drifts by tells the moment: both were written alike, frame by frame.
        steps = [
            np.abs(np.diff(side.pixels.astype(int), axis=0)).mean(axis=(1, 2, 3)) for side in (pair.real, pair.fake)
        ]
        assert np.array_equal(steps[0] > 0.5, steps[1] > 0.5)


def test_a_fake_is_never_paired_with_a_face_elsewhere_in_the_picture(tmp_path: Path) -> None:
    index = prepared(tmp_path, [*people(2), Person("apart", videos=0, twins=1, apart=True)])
    with pytest.raises(DataError, match="no fake and its twin show the same"):
        made(index, 1, "stages.0.pseudo=0", "stages.0.twins=1")


def test_untouched_faces_of_fakes_are_neither_fake_nor_real(tmp_path: Path) -> None:
    index = prepared(tmp_path, [*people(2), Person("heads", videos=0, alone=2), Person("twins", videos=0, twins=1)])
    for key in ("heads-alone0", "twins-right0"):
        leave_untouched(index, key)
    material = material_of(index, index.groups)
    assert [place.footage.key for place in material.alone["heads"]] == ["heads-alone1"]
    assert "twins" not in material.twins
    assert "twins" in material.real


def test_fakes_without_a_twin_come_with_somebody_else(index: Index) -> None:
    for pair in made(index, 4, "stages.0.pseudo=0", "stages.0.alone=1"):
        assert (pair.fake.group, pair.real.label) == ("heads", "real")
        assert pair.real.group != "heads"
        assert not pair.same_moments


def test_stills_become_clips(index: Index) -> None:
    for pair in made(index, 3, "stages.0.stills=1"):
        assert pair.real.group == "still"
        assert len(pair.real) == 4
        assert (pair.real.pixels[0] != pair.real.pixels[1]).any()


def test_stills_are_not_forged_by_kinds_that_need_motion(index: Index) -> None:
    kinds = {pair.kind for pair in made(index, 12, "stages.0.stills=0.9", "stages.0.kinds.freeze=9") if pair.real.still}
    assert kinds == {"self_blend"}
    with pytest.raises(ConfigError, match="need motion"):
        made(index, 1, "stages.0.stills=0.5", "stages.0.kinds={freeze=1}")
    with pytest.raises(ConfigError, match="need motion"):
        made(index, 1, "stages.0.length=1", "stages.0.kinds={freeze=1}")


def test_swaps_are_given_another_group(index: Index) -> None:
    assert all(pair.kind == "swap" for pair in made(index, 4, "stages.0.kinds={swap=1}"))
    with pytest.raises(DataError, match="needs real people of two groups"):
        made(index, 1, "stages.0.kinds={swap=1}", groups=["p00"])


def test_only_the_given_groups_are_drawn(index: Index) -> None:
    pairs = made(index, 20, "stages.0.kinds={swap=1}", groups=["p01", "p02"])
    assert {pair.real.group for pair in pairs} == {"p01", "p02"}


@pytest.mark.parametrize("length", [1, 6])
def test_both_sides_are_degraded_alike(index: Index, length: int) -> None:
    """Where nothing was altered, both sides are the same after it: but for what a codec carries from elsewhere. In
    clips frames are lost and repeated, too, and the picture moves on from each to the next."""
    for pair in made(index, 8, "data.degraded=1", f"stages.0.length={length}"):
        assert pair.mask is not None
        same = np.abs(pair.real.pixels.astype(int) - pair.fake.pixels).mean(axis=3)
        border = np.zeros_like(same, bool)
        border[:, :4] = border[:, -4:] = True
        assert np.median(same[border & (pair.mask == 0)]) <= 2


def test_clips_that_are_too_long_for_all_footage_are_refused(index: Index) -> None:
    with pytest.raises(DataError, match=r"wants real video of 8 s, and these groups have none"):
        made(index, 1, "stages.0.length=100")
    with pytest.raises(DataError, match=r"wants photographs, and these groups have none.*'stages.\*.stills=0'"):
        made(index, 1, "stages.0.stills=0.5", groups=["p00", "p01"])


def test_unknown_kinds_are_refused(index: Index) -> None:
    with pytest.raises(ConfigError, match="no pseudo-fake is called 'blur'"):
        made(index, 1, "stages.0.kinds={blur=1}")


def test_footage_that_was_not_prepared_is_refused(tmp_path: Path) -> None:
    index = prepared(tmp_path, people(2))
    empty = Index(tmp_path / "other", index.root, index.footage)
    with pytest.raises(DataError, match="streamguard data prepare"):
        made(empty, 1)
