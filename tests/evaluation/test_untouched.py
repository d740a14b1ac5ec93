"""Somebody beside a swapped face is no fake: they are left out of the fake's trace, under every condition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamguard.data.index import Index
from streamguard.data.prepare import prepare_one
from streamguard.data.tracks import Settings
from streamguard.data.twins import compare
from streamguard.engine.engine import Engine
from streamguard.evaluation.conditions import Facts, facts_of, open_under
from streamguard.evaluation.observe import observe
from streamguard.evaluation.tracing import Job, _trace_of
from streamguard.evaluation.untouched import box_under, without_untouched
from streamguard.testing import FakeBackend, fake_bundle
from streamguard.values import Box
from tests.data.made import footage, pair_video
from tests.faces.people import detector, mesher


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("pair")
    pair_video(folder / "pair.mp4", seconds=0.8)
    left = footage("l", file="pair.mp4", side="left", group="g")
    right = replace(left, key="r", side="right", label="fake", method="swap", twin="l")
    index = Index(folder / "data", folder, [left, right])
    for one in index.footage:
        prepare_one(index, one, Settings(seconds=0.4), detector(), mesher())
    assert [one.key for one, _ in compare(index)] == ["r"]
    return index


def test_the_untouched_face_is_left_out_wherever_it_stands(pair: Index, tmp_path: Path) -> None:
    left, right = pair.footage
    facts = Facts(files={}, fake=None, real=None)
    with Engine(fake_bundle(), backend=FakeBackend()) as engine:
        for condition in ("raw", "mirror", "pad-border", "harmonised"):
            source = open_under(pair, right, condition, facts, tmp_path)
            assert source is not None
            (seen,) = observe(source, [engine], seconds=30.0)
            kept = without_untouched(pair, right, condition, seen, engine.clip)
            assert (len(seen.faces), len(kept.faces)) == (2, 1)
            x, _ = kept.faces[0].places[0].box_px.centre
            swapped_left = x < seen.width / 2
            assert swapped_left == (condition != "mirror")
            if condition == "raw":
                facts = facts_of(pair, [_trace_of(Job(footage=right, condition="raw"), seen)])
        (genuine,) = observe(pair.source(left), [engine], seconds=30.0)
        assert without_untouched(pair, left, "raw", genuine, engine.clip) == genuine, "of real footage all is real"


def test_footage_that_was_not_prepared_is_left_as_it_is(pair: Index, tmp_path: Path) -> None:
    elsewhere = Index(tmp_path, pair.root, pair.footage)
    with Engine(fake_bundle(), backend=FakeBackend()) as engine:
        (seen,) = observe(elsewhere.source(elsewhere.footage[1]), [engine], seconds=0.3)
        assert without_untouched(elsewhere, elsewhere.footage[1], "raw", seen, engine.clip) is seen


def test_places_follow_the_picture() -> None:
    box = Box(10, 20, 30, 40)
    assert box_under("raw", box, (100, 50), (100, 50)) == box
    assert box_under("harmonised", box, (100, 50), (200, 100)) == Box(20, 40, 60, 80)
    assert box_under("mirror", box, (100, 50), (100, 50)) == Box(70, 20, 90, 40)
    assert box_under("pad-border", box, (100, 50), (108, 58)) == Box(14, 24, 34, 44)
