"""The index: what it refuses, what it keeps, and that whatever is split is split by group."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamguard.data.index import LONGEST_KEY, Footage, Index, safe_key
from streamguard.data.tracks import Done, Found, Settings
from streamguard.errors import DataError
from streamguard.values import Frame
from tests.data.made import footage, pair_video, portrait_still, portrait_video


def index_of(*some: Footage, folder: Path = Path("data")) -> Index:
    return Index(folder, Path("media"), some)


def test_what_is_saved_is_opened_again(tmp_path: Path) -> None:
    real = footage("a-left", group="g", side="left", split="test", file="clips/a.mp4")
    fake = footage("a-right", label="fake", group="g", side="right", twin="a-left", file="clips/a.mp4")
    index = Index(tmp_path, Path("/media"), [real, fake, footage("other", identity="Ångström")])
    index.save()
    again = Index.open(tmp_path)
    assert again.footage == index.footage
    assert again.root == Path("/media")
    assert again.path(real) == Path("/media/clips/a.mp4")


@pytest.mark.parametrize(
    ("some", "problem"),
    [
        ([footage("a/b")], "safe folder name"),
        ([footage("..")], "safe folder name"),
        ([footage("a"), footage("A", file="b.mp4")], "twice"),
        ([footage("a", file="/etc/x.mp4")], "below the root"),
        ([footage("a", file="../x.mp4")], "below the root"),
        ([footage("a", group="")], "no group"),
        ([footage("a"), footage("b", file="./a.mp4")], "a and b are one file, './a.mp4'"),
        ([footage("a"), footage("b", file="a.mp4", side="left")], "a and b are one file"),
        ([footage("a", file="p.mp4", side="left"), footage("b", file="p.mp4", side="left")], "a and b are one file"),
        ([footage("a", file="line\nbreak.mp4")], r"file 'line\\nbreak.mp4' cannot be printed"),
        ([footage("a", file="\udcff.mp4")], r"file '\\udcff.mp4' cannot be printed"),
        ([footage("a", label="fake", method="")], "a fake has a method"),
        ([footage("a", method="swap")], "a fake has a method"),
        ([footage("a", label="fake", twin="b")], "no real footage"),
        ([footage("a", label="fake", twin="b", group="g"), footage("b", label="fake", group="g")], "no real footage"),
        ([footage("a", label="fake", twin="b"), footage("b")], "another group"),
    ],
)
def test_what_cannot_be_is_refused(some: list[Footage], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        index_of(*some)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "format 2; this version reads format 1"),
        ({"more": 1}, "more"),
        ({"root": None}, "root"),
        ({"footage": [{"key": "a"}]}, r"footage\.0\.file: missing"),
    ],
)
def test_an_index_is_read_strictly(change: dict[str, Any], problem: str, tmp_path: Path) -> None:
    Index(tmp_path, Path("/media"), [footage("a")]).save()
    path = tmp_path / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=problem) as caught:
        Index.open(tmp_path)
    assert str(path) in str(caught.value)


def test_a_missing_index_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="streamguard data prepare SOURCE --out DIR"):
        Index.open(tmp_path)


@pytest.mark.parametrize("text", ["real/a b (1).mp4", "фото/1", "...", "", "x" * 300, "-/../..", "con:1"])
def test_a_key_is_a_folder_name_and_stays_what_it_is(text: str) -> None:
    key = safe_key(text)
    assert key == safe_key(key)
    assert 0 < len(key) <= LONGEST_KEY
    assert Path(key).name == key
    assert key not in (".", "..")


def test_people_in_two_groups_are_named() -> None:
    some = [footage("a", group="g", identity="anna"), footage("b", group="h", identity="anna")]
    some += [footage("c", group="h", identity=""), footage("d", group="g", identity="")]
    assert index_of(*some).torn_identities() == ("anna",)


# Groups: whatever is split is split by them.


def many(seed: int, groups: int = 17) -> Index:
    """Groups of all sizes, some with fakes."""
    chance = random.Random(seed)
    some = []
    for group in range(groups):
        for clip in range(chance.randint(1, 9)):
            label = chance.choice(["real", "fake"])
            method = chance.choice(["swap", "talk"]) if label == "fake" else ""
            some.append(footage(f"g{group}c{clip}", group=f"g{group}", label=label, method=method))
    return index_of(*some)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [2, 5, 17])
def test_no_group_is_in_two_folds_and_none_is_left_out(seed: int, count: int) -> None:
    index = many(seed)
    folds = index.folds(count, seed)
    assert len(folds) == count
    assert all(folds), "no fold is empty"
    assert sorted(group for fold in folds for group in fold) == sorted(index.groups)
    of_fold = [{one.key for one in index.of_groups(fold)} for fold in folds]
    assert sum(map(len, of_fold)) == len(index.footage)
    assert len(set().union(*of_fold)) == len(index.footage)


def test_folds_are_these_and_stay_these() -> None:
    """Pinned: networks that were trained on folds are evaluated on them later."""
    folds = many(3, groups=7).folds(3)
    assert [sorted(fold) for fold in folds] == [["g1", "g2"], ["g0", "g3"], ["g4", "g5", "g6"]]


def test_folds_do_not_depend_on_the_order_of_footage() -> None:
    index = many(5)
    assert index_of(*reversed(index.footage)).folds(4) == index.folds(4)
    assert index.folds(4, seed=1) != index.folds(4, seed=2)


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_alike_in_each_label_and_method(seed: int) -> None:
    index = many(seed, groups=60)
    counts: dict[tuple[str, str], list[int]] = defaultdict(list)
    folds = index.folds(4)
    for kind in {(one.label, one.method) for one in index.footage}:
        for fold in folds:
            counts[kind].append(sum((one.label, one.method) == kind for one in index.of_groups(fold)))
    assert all(max(some) - min(some) <= 3 for some in counts.values()), counts


@pytest.mark.parametrize("count", [0, 1, 4])
def test_folds_that_cannot_be_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"3 groups cannot make {count} folds"):
        many(1, groups=3).folds(count)


def done(seconds: float) -> Done:
    found = Found(name="0", face_id=1, generation=1, patches=9, seconds=seconds, size_px=80.0, ended="GONE")
    told = {"failure": "", "codec": "h264", "width": 1, "height": 1, "fps": 25.0, "frames": 9, "seconds": 9.0}
    return Done(settings=Settings(), file="", side="whole", file_bytes=0, tracks=(found,), **told)  # type: ignore[arg-type]


def test_prepared_footage_weighs_as_long_as_its_faces_are_seen(tmp_path: Path) -> None:
    index = index_of(*[footage(key) for key in "abcd"], folder=tmp_path)
    for one, seconds in zip(index.footage, (60.0, 20.0, 20.0, 20.0), strict=True):
        index.tracks_folder(one).mkdir(parents=True)
        done(seconds).save(index.tracks_folder(one))
    assert sorted(map(sorted, index.folds(2))) == [["a"], ["b", "c", "d"]]


def test_a_half_prepared_index_has_no_folds(tmp_path: Path) -> None:
    """They would be others when it is prepared."""
    index = index_of(*[footage(key) for key in "abcd"], folder=tmp_path)
    index.tracks_folder(index.footage[0]).mkdir(parents=True)
    done(1.0).save(index.tracks_folder(index.footage[0]))
    with pytest.raises(DataError, match="only 1 of 4 are prepared"):
        index.folds(2)


def test_groups_are_chosen_by_name() -> None:
    index = many(1)
    assert {one.group for one in index.of_groups(["g1", "g4"])} == {"g1", "g4"}
    with pytest.raises(DataError, match="no group 'nobody'"):
        index.of_groups(["g1", "nobody"])


def test_a_group_that_an_official_split_tears_apart_is_named() -> None:
    whole = [footage("a", group="g", split="train"), footage("b", group="g", split="train"), footage("c")]
    assert index_of(*whole).torn_groups() == ()
    torn = index_of(*whole, footage("d", group="g", split="test"))
    assert torn.torn_groups() == ("g",)
    assert torn.groups_of_split("test") == ("g",)


def test_a_limited_index_keeps_fakes_and_their_twins_together() -> None:
    some = [footage(f"real{i}", group=f"g{i}") for i in range(50)]
    some += [footage(f"fake{i}", group=f"g{i}", label="fake", twin=f"real{i}") for i in range(50)]
    limited = index_of(*some).limited(7)
    keys = {one.key for one in limited.footage}
    assert 7 < len(keys) <= 14
    assert {one.twin for one in limited.footage if one.twin} <= keys
    assert {one.label for one in limited.footage} == {"real", "fake"}, "from all over it"


# Sources.


def frames_of(index: Index, one: Footage) -> list[Frame]:
    with index.source(one) as source:
        return [item for item in source if isinstance(item, Frame)]


def test_the_halves_of_a_pair_are_the_halves_of_each_picture(tmp_path: Path) -> None:
    pair_video(tmp_path / "pair.mp4", seconds=0.2)
    whole = footage("whole", file="pair.mp4")
    left, right = replace(whole, key="l", side="left"), replace(whole, key="r", side="right")
    index = Index(tmp_path, tmp_path, [left, right])
    for full, one, other in zip(*(frames_of(index, some) for some in (whole, left, right)), strict=True):
        assert (one.pts_s, other.pts_s) == (full.pts_s, full.pts_s)
        assert (one.picture.y == full.picture.y[:, :360]).all()
        assert (other.picture.y == full.picture.y[:, 360:]).all()
        assert (other.picture.v == full.picture.v[:, 180:]).all()


def test_a_still_is_one_frame(tmp_path: Path) -> None:
    portrait_still(tmp_path / "still.jpg")
    one = footage("still", file="still.jpg", still=True)
    assert len(frames_of(Index(tmp_path, tmp_path, [one]), one)) == 1


def test_a_whole_video_is_what_the_runtime_sees(tmp_path: Path) -> None:
    portrait_video(tmp_path / "a.mp4", seconds=0.2)
    frames = frames_of(Index(tmp_path, tmp_path, [footage("a")]), footage("a"))
    assert [round(frame.pts_s, 2) for frame in frames] == [0.0, 0.04, 0.08, 0.12, 0.16]
