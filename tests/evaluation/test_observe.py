"""What is observed is what a scan tells: the same scores of the same moments."""

from __future__ import annotations

from math import nan
from typing import Literal

import numpy as np
import pytest

from streamguard.data.index import Index
from streamguard.engine.engine import Engine
from streamguard.errors import EngineError
from streamguard.evaluation.harmonise import Scaled
from streamguard.evaluation.observe import observe
from streamguard.evaluation.traces import Moment
from streamguard.events import Score
from streamguard.run import drive, join
from streamguard.sources import open_source
from streamguard.testing import FakeBackend, brightness, fake_bundle
from streamguard.values import Reason
from tests.evaluation.videos import HEIGHT, SECONDS, WIDTH


def scanned(index: Index, engine: Engine) -> list[Moment]:
    """As `scan` gets them."""
    found = []
    with open_source(index.path(index.footage[0])) as source:
        session, seat = join(engine, source)
        with seat:
            for turn in drive(source, session, seat=seat):
                for event in turn.events:
                    if isinstance(event.kind, Score):
                        score = event.kind
                        usable = set(score.reasons) <= {Reason.UNCALIBRATED}
                        found.append(Moment(score.pts_start_s, score.pts_end_s, score.raw_score, usable))
    return found


def darkness(crops: np.ndarray) -> float:
    return 1 - brightness(crops)


@pytest.mark.parametrize("graph", ["step", "window"])
def test_two_engines_on_one_decoding_say_what_each_says_alone(
    portraits: Index, graph: Literal["step", "window"]
) -> None:
    bundle = fake_bundle(graph=graph)
    with (
        Engine(bundle, backend=FakeBackend(graph, brightness)) as first,
        Engine(bundle, backend=FakeBackend(graph, darkness)) as second,
    ):
        both = observe(portraits.source(portraits.footage[0]), [first, second], seconds=30.0)
        for engine, observed in zip((first, second), both, strict=True):
            (face,) = observed.faces
            assert list(face.moments) == scanned(portraits, engine)
            assert len(face.moments) >= (3 if graph == "window" else 15)
            assert face.quality is not None
            assert 40 < face.quality.size_px < 110
            assert observed.usable_seconds == face.usable_seconds > 1.2
    bright, dark = ([moment.raw_score for moment in one.faces[0].moments] for one in both)
    assert [x + y for x, y in zip(bright, dark, strict=True)] == pytest.approx([1.0] * len(bright))


def test_footage_is_told_as_it_is_and_watched_no_longer_than_asked(portraits: Index) -> None:
    with Engine(fake_bundle(), backend=FakeBackend()) as engine:
        whole, part = (
            observe(portraits.source(portraits.footage[0]), [engine], seconds=seconds)[0] for seconds in (30.0, 1.0)
        )
    assert (whole.width, whole.height, whole.codec) == (WIDTH, HEIGHT, "h264")
    assert whole.seconds == pytest.approx(SECONDS - 0.04)
    assert whole.fps == pytest.approx(25.0)
    assert part.seconds == pytest.approx(1.0)
    (face,) = whole.faces
    assert 0.0 < face.start_s < 0.5
    assert face.end_s == pytest.approx(whole.seconds, abs=0.08)
    assert [round(place.pts_s - face.start_s) for place in face.places] == [0, 1, 2]
    assert abs(face.places[1].box_px.centre[0] - WIDTH / 2) < 30


def test_moment_that_allows_no_judgement_is_kept_and_marked(portraits: Index) -> None:
    """Far smaller than a face may be."""
    with Engine(fake_bundle(), backend=FakeBackend()) as engine:
        small = Scaled(portraits.source(portraits.footage[0]), 0.55)
        observed = observe(small, [engine], seconds=30.0)[0]
    (face,) = observed.faces
    assert face.moments
    assert not face.usable
    assert face.unusable["TOO_SMALL"] == len(face.moments)
    assert observed.usable_seconds == 0.0


def test_network_that_gives_no_numbers_is_an_error(portraits: Index) -> None:
    backend = FakeBackend(score=lambda crops: nan)
    with Engine(fake_bundle(), backend=backend) as engine, pytest.raises(EngineError, match=r"none of .* was a number"):
        observe(portraits.source(portraits.footage[0]), [engine], seconds=30.0)
