"""Online equals offline: the same frames give the same windows and the same scores, bit for bit, live beside other
streams in whatever batches, or from a file one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from streamguard.assets import asset_path
from streamguard.bundle import UNTRAINED, Graph, open_bundle
from streamguard.config import EngineConfig, SessionConfig
from streamguard.engine.engine import Engine, Seat
from streamguard.events import EndOfStream, Score, StreamUp, VerdictChanged
from streamguard.faces.detector import open_detector, open_mesher
from streamguard.picture import Picture
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources import Item
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still, walk
from streamguard.testing import EventRecorder, ScriptedSource
from streamguard.values import Frame, Window

SECONDS = 6.0
BUNDLE = open_bundle(UNTRAINED)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """Two people; one of them walks, so that squares move and state starts afresh."""
    ways = [
        Actor(person=PEOPLE[0], path=still(150, 190, 90)),
        Actor(
            person=PEOPLE[1], path=walk([(0, 420, 180, 90), (2, 420, 180, 90), (5, 540, 200, 120), (9, 540, 200, 120)])
        ),
    ]
    scene = Scene(photograph=Path(asset_path("portrait")), width=640, height=360, actors=ways)
    times = [index / 25 for index in range(round(SECONDS * 25))]
    return [Frame(pts_s=t, picture=Picture.from_rgb(scene.render(t)), arrival_s=t) for t in times]


class Camera(ScriptedSource):
    """Gives its frames when it likes: sometimes at once, sometimes only when the engine has answered everything."""

    def __init__(self, frames: list[Frame], *, live: bool, seed: int = 0) -> None:
        up = StreamUp(url=self.url, width=640, height=360, codec="painted")
        items: list[Item | Exception | float] = [up, *frames, EndOfStream(frames=len(frames))]
        super().__init__(items)
        self.live = live
        self.seat: Seat | None = None
        self._rng = np.random.default_rng(seed)

    def read(self, timeout_s: float) -> Item | None:
        if self.live and self.seat is not None and self._rng.random() < 0.4:
            self.seat.wait(60)
        return super().read(timeout_s)


@dataclass
class Watched:
    windows: list[Window] = field(default_factory=list)
    heard: EventRecorder = field(default_factory=EventRecorder)

    def scores(self) -> dict[tuple[int, int, float], tuple[float, float]]:
        return {
            (score.face_id, score.generation, score.pts_end_s): (score.raw_score, score.pts_start_s)
            for score in self.heard.of(Score)
        }


def watch(engine: Engine, frames: list[Frame], *, live: bool, seed: int = 0) -> Watched:
    seen = Watched()
    source = Camera(frames, live=live, seed=seed)
    session = Session(SessionConfig(clip=engine.clip), detector=open_detector(), mesher=open_mesher())
    with engine.join(live=live) as source.seat:
        for turn in drive(source, session, seat=source.seat):
            seen.windows += turn.windows
            seen.heard.add(turn.events)
    return seen


@pytest.fixture(scope="module", params=["window", "step"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    graph: Graph = request.param
    # However busy this machine is, no step is given up for being late: it would make the face start afresh.
    config = EngineConfig(graph=graph, precision="fp32", most_batch=3, stale_after_s=60.0)
    with Engine(BUNDLE, config) as engine:
        yield engine


@pytest.fixture(scope="module")
def offline(engine: Engine, frames: list[Frame]) -> Watched:
    return watch(engine, frames, live=False)


def online_beside_others(engine: Engine, frames: list[Frame]) -> Watched:
    """Two more streams show the same people from a little later on, so that batches are mixed."""
    others = [
        threading.Thread(target=watch, args=(engine, frames[10 * n :]), kwargs={"live": True, "seed": n})
        for n in (1, 2)
    ]
    for thread in others:
        thread.start()
    seen = watch(engine, frames, live=True)
    for thread in others:
        thread.join()
    return seen


def test_windows_and_scores_are_the_same_online_and_offline(
    engine: Engine, frames: list[Frame], offline: Watched
) -> None:
    online = online_beside_others(engine, frames)
    assert [repr(window) for window in online.windows] == [repr(window) for window in offline.windows]
    for one, other in zip(online.windows, offline.windows, strict=True):
        assert (one.slot, one.age, one.pts_s, one.grid_s) == (other.slot, other.age, other.pts_s, other.grid_s)
        assert np.array_equal(one.crops, other.crops)
    here, there = online.scores(), offline.scores()
    assert len(here) > 0.7 * len(there)
    assert {key: there[key] for key in here} == here
    assert len({raw for raw, _ in here.values()}) > 5, "the scores tell windows apart"


def test_offline_scores_every_window_and_repeats_itself(engine: Engine, frames: list[Frame], offline: Watched) -> None:
    again = watch(engine, frames, live=False)
    assert again.scores() == offline.scores()
    warm = [window for window in offline.windows if window.age + len(window.crops) >= engine.clip.length]
    assert len(offline.scores()) == len(warm)
    assert [(e.seq, e.pts_s, e.kind) for e in again.heard.events if isinstance(e.kind, VerdictChanged)] == [
        (e.seq, e.pts_s, e.kind) for e in offline.heard.events if isinstance(e.kind, VerdictChanged)
    ]
