"""Nothing passes between people: a thousand births, deaths and re-uses of slots over several streams, all freed slots
poisoned, and each score is bit for bit that of the same face alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np
import pytest

from streamguard.bundle import UNTRAINED, open_bundle
from streamguard.config import EngineConfig
from streamguard.engine.backend import Arrays, Backend
from streamguard.engine.engine import Engine, Seat
from streamguard.engine.open_backend import open_backend
from tests.engine.windows import window

BACKENDS = ("openvino", "onnxruntime")
BIRTHS = 1000
STREAMS = 3
BUNDLE = open_bundle(UNTRAINED)
SIZE_PX = BUNDLE.manifest.clip.size_px
POOL = np.random.default_rng(0).integers(0, 256, (40, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


class Poisoning:
    """A backend whose slots are filled with NaN or a constant, in turns, when they are given back."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.freed = 0
        self.reused = 0
        self._seen: set[int] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def open_slot(self) -> int:
        slot = self._backend.open_slot()
        self.reused += slot in self._seen
        self._seen.add(slot)
        return slot

    def close_slot(self, slot: int) -> None:
        self._backend.fill(slot, nan if self.freed % 2 else 7.0)
        self._backend.close_slot(slot)
        self.freed += 1

    def step(self, slots: list[int], arrays: Arrays) -> dict[str, np.ndarray]:
        return self._backend.step(slots, arrays)


class Life:
    """One face generation's crops: now and then several at once, and sometimes it starts afresh half way."""

    def __init__(self, rng: np.random.Generator, seat: int, face_id: int, generation: int) -> None:
        self.seat, self.face_id, self.generation = seat, face_id, generation
        self.steps: list[tuple[int, int, np.ndarray]] = []
        epoch, age = 1, 0
        for _ in range(int(rng.integers(1, 6))):
            if age and rng.random() < 0.15:
                epoch, age = epoch + 1, 0
            count = int(rng.integers(1, 3))
            self.steps.append((epoch, age, rng.integers(0, len(POOL), count)))
            age += count
        self.given = 0
        self.scores: list[float] = []

    def give(self, seat: Seat) -> None:
        epoch, age, crops = self.steps[self.given]
        self.given += 1
        seat.submit([window(self.face_id, self.generation, epoch=epoch, age=age, crops=POOL[crops])])

    @property
    def over(self) -> bool:
        return self.given == len(self.steps)


def step_backend(name: str) -> Backend:
    return open_backend(BUNDLE, EngineConfig(backend=name, graph="step", precision="fp32"))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def live(engine: Engine, births: int, forget: Callable[[Seat, Life], None]) -> list[Life]:
    """Faces come and go over the streams at random, some dozen at a time, and share batches as it happens."""
    rng = np.random.default_rng(11)
    seats = [engine.join(live=False) for _ in range(STREAMS)]
    lives: list[Life] = []
    here: list[Life] = []
    while len(lives) < births or here:
        while len(lives) < births and len(here) < 12:
            seat = int(rng.integers(0, STREAMS))
            # Ids are used again, in a new generation, as they are for a face that was lost for a moment.
            face_id = int(rng.integers(0, 40))
            generation = 1 + sum(each.seat == seat and each.face_id == face_id for each in lives)
            if any(each.seat == seat and each.face_id == face_id for each in here):
                continue
            here.append(Life(rng, seat, face_id, generation))
            lives.append(here[-1])
        for life in here:
            if rng.random() < 0.7:
                life.give(seats[life.seat])
        for number, place in enumerate(seats):
            place.wait()
            answers = place.collect()
            assert answers.lost == []
            for one in answers.scored:
                owner = (number, one.window.face_id, one.window.generation)
                of = next(each for each in here if (each.seat, each.face_id, each.generation) == owner)
                of.scores.append(one.raw_score)
        for life in [each for each in here if each.over]:
            here.remove(life)
            forget(seats[life.seat], life)
    return lives


def alone(lives: list[Life], name: str) -> list[list[float]]:
    """Each face on a slot that nobody had before."""
    scores = []
    with Engine(BUNDLE, EngineConfig(), backend=step_backend(name)) as engine:
        for life in lives:
            with engine.join(live=False) as seat:
                life.given = 0
                found = []
                while not life.over:
                    life.give(seat)
                    seat.wait()
                    found += [one.raw_score for one in seat.collect().scored]
            scores.append(found)
    return scores


def test_no_score_differs_from_that_of_the_face_alone(name: str) -> None:
    backend = Poisoning(step_backend(name))
    with Engine(BUNDLE, EngineConfig(), backend=backend) as engine:  # type: ignore[arg-type]
        lives = live(engine, BIRTHS, lambda seat, life: seat.forget(life.face_id, life.generation))
        assert engine.statistics().slots == 0
    assert backend.freed >= BIRTHS
    assert backend.reused >= BIRTHS - 100
    scores = [life.scores for life in lives]
    assert scores == alone(lives, name)
    assert len({score for each in scores for score in each}) > BIRTHS / 2, "the network tells them apart"


def test_a_stale_generation_cannot_write(name: str) -> None:
    """Its slot is somebody else's by now; what it hands in late is lost, and the other's scores do not move."""
    with Engine(BUNDLE, EngineConfig(), backend=step_backend(name)) as engine:
        seat = engine.join(live=False)

        def score(generation: int, age: int) -> list[float]:
            seat.submit([window(0, generation, age=age, crops=POOL[age : age + 1])])
            seat.wait()
            return [one.raw_score for one in seat.collect().scored]

        undisturbed = [score(1, age) for age in range(6)]
        seat.forget(0, 1)
        disturbed = []
        for age in range(6):
            disturbed.append(score(2, age))
            assert score(1, age + 6) == [], "of the generation that is over"
        assert disturbed == undisturbed
        assert engine.statistics().dropped == {"no_state": 6}
