"""Somebody beside a swapped face is no fake: told from the swapped one by the genuine twin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamguard.data.index import Index
from streamguard.data.prepare import prepare_one
from streamguard.data.tracks import Done, Settings, Track, open_tracks
from streamguard.data.twins import compare, difference
from tests.data.made import footage, pair_video
from tests.faces.people import detector, mesher


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("pair")
    pair_video(folder / "pair.mp4", seconds=0.28)
    left = footage("l", file="pair.mp4", side="left", group="g")
    right = replace(left, key="r", side="right", label="fake", method="swap", twin="l")
    index = Index(folder / "data", folder, [left, right])
    for one in index.footage:
        prepare_one(index, one, Settings(), detector(), mesher())
    return index


def test_the_face_beside_a_swapped_one_is_left_out(index: Index) -> None:
    left, right = index.footage
    assert len(list(open_tracks(index.tracks_folder(right)))) == 2, "before it is known"
    assert [one.key for one, _ in compare(index)] == ["r"]
    (track,) = open_tracks(index.tracks_folder(right))
    assert track.box(0).centre[0] < 180, "the left one of the two was swapped"
    assert len(list(open_tracks(index.tracks_folder(left)))) == 2, "of real footage all is real"
    done = Done.open(index.tracks_folder(right))
    assert done is not None
    untouched, swapped = sorted((each.difference or 0.0, each.untouched) for each in done.tracks)
    assert (untouched[1], swapped[1]) == (True, False)
    assert untouched[0] < swapped[0] / 3
    assert done.kept_s == pytest.approx(done.tracks[0].seconds), "and its time is not counted"
    assert list(compare(index)) == [], "once is enough"


def test_a_single_face_is_never_called_untouched(index: Index) -> None:
    """A small change is a change, and the most careful fakes would be lost."""
    right = index.footage[1]
    folder = index.tracks_folder(right)
    before = Done.open(folder)
    assert before is not None
    try:
        replace(before, tracks=(replace(before.tracks[1], difference=None, untouched=False),)).save(folder)
        assert list(compare(index)) == []
    finally:
        before.save(folder)


def test_where_no_twin_shows_a_face_nothing_is_measured(index: Index) -> None:
    left = index.tracks_folder(index.footage[0])
    one, other = Track.open(left / "0"), Track.open(left / "1")
    assert difference(one, [other]) is None
    assert difference(one, []) is None
    assert difference(one, [other, one]) == 0.0
