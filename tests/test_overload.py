"""A network that takes 200 ms for a window and ten faces that want one each 0.64 s: what gives, and that it comes back.

The device is simulated on the same clock as the camera, with the session, the batcher and the pace that run live. So
the numbers are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from streamguard.bundle import Graph
from streamguard.config import SessionConfig
from streamguard.engine.batcher import Batcher, Work
from streamguard.engine.pace import HEADROOM, Pace
from streamguard.events import FaceLost, Overload, Score
from streamguard.testing import fake_bundle
from streamguard.values import Box
from tests.sessions import Run, scored

RUN_S = 0.2
PEOPLE = (48, 64, 80, 96, 112, 128, 144, 160, 176, 208)
PLACES = [(60 + 125 * (i % 5), 95 + 165 * (i // 5)) for i in range(10)]


def crowd(count: int) -> dict[int, Box]:
    return {
        brightness: Box(x - 30, y - 40, x + 30, y + 40)
        for brightness, (x, y) in list(zip(PEOPLE, PLACES, strict=True))[:count]
    }


class SlowDevice:
    """One run at a time. What a seat and the engine's threads do live, on the camera's clock."""

    def __init__(self, graph: Graph = "window", run_s: float = RUN_S) -> None:
        clip = {"length": 4, "memory": 4} if graph == "step" else {}
        self.bundle = fake_bundle(graph=graph, **clip)  # type: ignore[arg-type]
        self.run_s = run_s
        self.batcher = Batcher(graph=graph, most_batch=8, at_once=1, stale_after_s=1.0)
        self.pace = Pace(graph=graph, clip=self.bundle.manifest.clip, at_once=1)
        self.run = Run(
            SessionConfig(clip=self.bundle.manifest.clip.config(graph)),
            calibration=self.bundle.manifest.calibrations[0],
        )
        self.jitter: Callable[[], float] = lambda: 1.0
        """Of what a batch takes."""
        self.lost = self.most_waiting = 0
        self.last_lost_s = 0.0
        self._batch: list[Work] = []
        self._begun_s = self._ready_s = 0.0
        self._now_s = 0.0

    def watch(self, seconds: float, faces: int) -> SlowDevice:
        until_s = self._now_s + seconds
        while self._now_s < until_s - 1e-9:
            before, heard = len(self.run.windows), len(self.run.heard.events)
            self.run.feed([self._now_s], lambda pts_s: crowd(faces))
            self._work()  # what it did since the last frame
            self._submit(before)
            self._work()
            self.run.session.set_hop(self.pace.hop_s(self._now_s), self._now_s)
            self.run.collect()
            self._forget_lost(heard)
            self._now_s += 0.08
        return self

    def _submit(self, before: int) -> None:
        for window in self.run.windows[before:]:
            work = Work(stream=1, window=window, taken_s=self._now_s, live=True)
            self.pace.ask(work.face, self._now_s)
            self._lose(self.batcher.add(work))
        self.most_waiting = max(self.most_waiting, self.batcher.statistics().queue.waiting)
        del self.run.windows[:]

    def _work(self) -> None:
        """Up to now, without a pause between batches."""
        if not self._batch:
            self._ready_s = self._now_s
        while self._ready_s <= self._now_s + 1e-9:
            if self._batch:
                self._end()
            self._batch, stale = self.batcher.take(self._ready_s)
            self._lose(stale)
            if not self._batch:
                return
            self._begun_s = self._ready_s
            self._ready_s += self._runs() * self.run_s * self.jitter()

    def _end(self) -> None:
        self.pace.measure(
            self._ready_s - self._begun_s,
            items=len(self._batch),
            runs=self._runs(),
            side_by_side=len(self._batch),
            now_s=self._ready_s,
        )
        self.run.session.put_scores([scored(work.window, 0.5) for work in self._batch])
        self.batcher.done(self._batch)
        self._batch = []

    def _runs(self) -> int:
        return sum(len(work.window.crops) for work in self._batch) if self._steps else len(self._batch)

    def _forget_lost(self, since: int) -> None:
        for event in self.run.heard.events[since:]:
            if isinstance(event.kind, FaceLost):
                face = event.kind.face_id, event.kind.generation
                self.batcher.forget(1, face)
                self.pace.forget(1, face)

    @property
    def _steps(self) -> bool:
        return self.bundle.manifest.clip.memory > 0

    def _lose(self, works: list[Work]) -> None:
        self.lost += len(works)
        self.last_lost_s = self._now_s if works else self.last_lost_s
        self.run.session.lose_work([work.window for work in works])

    def scores_of(self, since_s: float, until_s: float = 1e9) -> dict[int, list[float]]:
        """Each face's scored window ends."""
        found: dict[int, list[float]] = {}
        for event in self.run.heard.events:
            if isinstance(event.kind, Score) and since_s <= event.kind.pts_end_s < until_s:
                found.setdefault(event.kind.face_id, []).append(event.kind.pts_end_s)
        return found


@pytest.fixture(scope="module")
def crowded() -> SlowDevice:
    """After 30 s of ten faces. To be looked at, not to be driven on."""
    return SlowDevice().watch(30, faces=10)


def test_ten_faces_share_a_slow_network_evenly_and_hear_of_it(crowded: SlowDevice) -> None:
    scores = crowded.scores_of(since_s=12)
    assert len(scores) == 10
    counts = [len(times) for times in scores.values()]
    assert max(counts) - min(counts) <= 1, counts
    hop_s = crowded.run.heard.of(Overload)[-1].effective_hop_s
    assert hop_s == pytest.approx(10 * RUN_S * HEADROOM, abs=0.08)
    for times in scores.values():
        assert np.diff(times) == pytest.approx([hop_s] * (len(times) - 1), abs=0.081), "no face is skipped"


def test_what_is_dropped_is_counted_and_told_and_little_waits(crowded: SlowDevice) -> None:
    assert crowded.lost > 0
    assert sum(one.dropped for one in crowded.run.heard.of(Overload)) == crowded.lost
    assert crowded.run.session.statistics().work_dropped == crowded.lost
    assert crowded.most_waiting <= 10, "no more than one of each face"
    assert crowded.last_lost_s < 10, "with the hop stretched, nothing needs to be dropped any more"


def test_the_hop_does_not_swing(crowded: SlowDevice) -> None:
    assert len([one for one in crowded.run.heard.of(Overload) if one.dropped == 0]) <= 3


def test_it_recovers_by_itself_when_faces_leave() -> None:
    device = SlowDevice().watch(12, faces=10).watch(12, faces=2)
    assert device.run.heard.of(Overload)[-1].effective_hop_s == pytest.approx(0.64)
    for times in device.scores_of(since_s=20).values():
        assert np.diff(times) == pytest.approx([0.64] * (len(times) - 1))


def test_it_recovers_by_itself_when_the_network_is_fast_again() -> None:
    device = SlowDevice().watch(12, faces=10)
    device.run_s = 0.01
    device.watch(12, faces=10)
    assert device.run.heard.of(Overload)[-1].effective_hop_s == pytest.approx(0.64)
    assert {round(gap, 2) for times in device.scores_of(since_s=20).values() for gap in np.diff(times)} == {0.64}


def test_nothing_is_said_while_there_is_room() -> None:
    device = SlowDevice().watch(8, faces=2)
    assert device.run.heard.of(Overload) == []
    assert device.lost == 0


def test_steps_are_stretched_to_whole_replays_evenly_too() -> None:
    """Ten faces at 12.5 steps a second and 20 ms a step: two and a half times what the device can do."""
    device = SlowDevice("step", run_s=0.02).watch(24, faces=10)
    scores = device.scores_of(since_s=12)
    assert len(scores) == 10
    counts = [len(times) for times in scores.values()]
    assert max(counts) - min(counts) <= 2, counts
    hop_s = device.run.heard.of(Overload)[-1].effective_hop_s
    assert hop_s == pytest.approx(10 * 0.02 * 8 * HEADROOM, abs=0.09)
    assert device.last_lost_s < 12


def test_steps_recover_too() -> None:
    device = SlowDevice("step", run_s=0.02).watch(10, faces=10).watch(12, faces=2)
    for times in device.scores_of(since_s=20).values():
        assert {round(b - a, 2) for a, b in pairwise(times)} == {0.08}


def test_steps_near_the_border_are_neither_stretched_nor_lost() -> None:
    """Four faces ask for 0.8 of the device, whose batches are as long as it happens."""
    device = SlowDevice("step", run_s=0.8 * 0.08 / 4)
    rng = np.random.default_rng(0)
    device.jitter = lambda: float(rng.lognormal(0, 0.25))
    device.watch(20, faces=4)
    assert device.run.heard.of(Overload) == []
    assert device.lost == 0
