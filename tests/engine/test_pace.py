"""How often faces can be scored: costs and faces in, one hop for all out; it comes back by itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from streamguard.bundle import ClipSpec, Graph
from streamguard.engine.batcher import FILES_SHARE
from streamguard.engine.pace import HEADROOM, REMEMBER_S, SMOOTH_S, SURE_AFTER_S, Pace

CLIP = ClipSpec(size_px=32, grid_s=0.08, length=8, memory=16, hop_s=0.64, recipe="square")


def window_pace(at_once: int = 1) -> Pace:
    return Pace(graph="window", clip=CLIP, at_once=at_once)


def ask(pace: Pace, faces: int, now_s: float = 0.0) -> None:
    for face_id in range(faces):
        pace.ask((1, face_id, 1), now_s)


def test_the_usual_hop_holds_while_nothing_is_measured_and_while_there_is_room() -> None:
    pace = window_pace()
    ask(pace, 100)
    assert pace.hop_s(0.0) == 0.64
    pace = window_pace()
    ask(pace, 3)
    pace.measure(0.1, items=1, runs=1, side_by_side=1, now_s=0.0)
    assert pace.hop_s(0.0) == 0.64


def test_ten_faces_of_200_ms_need_a_hop_of_two_seconds_and_some_room() -> None:
    pace = window_pace()
    ask(pace, 10)
    pace.measure(0.2, items=1, runs=1, side_by_side=1, now_s=0.0)
    assert pace.hop_s(0.0) == pytest.approx(2.0 * HEADROOM)


def test_what_runs_side_by_side_counts_by_its_share() -> None:
    alone, together, crowded = window_pace(2), window_pace(2), window_pace(2)
    alone.measure(0.2, items=1, runs=1, side_by_side=1, now_s=0.0)  # one lane of two
    together.measure(0.2, items=2, runs=2, side_by_side=2, now_s=0.0)  # both lanes
    crowded.measure(0.4, items=2, runs=2, side_by_side=4, now_s=0.0)  # each had half a lane
    hops = []
    for pace in (alone, together, crowded):
        ask(pace, 20)
        hops.append(pace.hop_s(0.0))
    assert hops == pytest.approx([20 * 0.2 / 2 * HEADROOM] * 3)


def test_a_batch_that_was_held_up_does_not_count() -> None:
    """The first one warms the network up, and any may meet a busy machine."""
    pace = window_pace()
    ask(pace, 10)
    for seconds in (5.0, *[0.01] * 6, 3.0, *[0.01] * 6, 4.0, *[0.01] * 6):
        pace.measure(seconds, items=1, runs=1, side_by_side=1, now_s=0.0)
        if seconds < 1:
            assert pace.hop_s(0.0) == 0.64


def test_the_hop_comes_back_when_faces_leave() -> None:
    pace = window_pace()
    ask(pace, 10, now_s=0.0)
    pace.measure(0.2, items=1, runs=1, side_by_side=1, now_s=0.0)
    long_s = pace.hop_s(0.0)
    ask(pace, 2, now_s=10.0)
    assert long_s > 2.0
    assert pace.hop_s(10.0) == long_s, "not before it is sure"
    assert pace.hop_s(10.0 + min(SURE_AFTER_S, REMEMBER_S + long_s)) == 0.64


def test_faces_that_ended_do_not_count() -> None:
    pace = window_pace()
    ask(pace, 10)
    pace.measure(0.2, items=1, runs=1, side_by_side=1, now_s=0.0)
    pace.hop_s(0.0)
    for face_id in range(2, 10):
        pace.forget(1, (face_id, 1))
    assert pace.fitting_s(0.0) == 0.64, "there is room for another stream at once"
    pace.hop_s(0.0)
    assert pace.hop_s(SURE_AFTER_S) == 0.64


def test_the_hop_comes_back_when_the_machine_is_free_again() -> None:
    pace = window_pace()
    cost_s = 0.2
    for tick in range(80):  # four batches a second
        now_s = tick * 0.25
        cost_s = 0.2 if now_s < 10 else 0.01
        ask(pace, 10, now_s)
        pace.measure(cost_s, items=1, runs=1, side_by_side=1, now_s=now_s)
        hop_s = pace.hop_s(now_s)
        assert hop_s == 0.64 if now_s > 10 + SMOOTH_S + SURE_AFTER_S else now_s > 10 or hop_s > 2.0


def test_the_hop_is_not_shortened_for_a_moment_of_room() -> None:
    pace = window_pace()
    ask(pace, 10)
    pace.measure(0.2, items=1, runs=1, side_by_side=1, now_s=0.0)
    hops = {pace.hop_s(0.0)}
    for tick in range(20):
        now_s = tick * 0.5
        ask(pace, 10, now_s)
        if tick % 6 < 3:  # faces come and go
            pace.forget(1)
        hops.add(pace.hop_s(now_s))
    assert len(hops) == 1


@pytest.mark.parametrize(
    ("load", "most_changes"), [(0.5, 0), (0.7, 0), (0.75, 0), (0.8, 0), (0.85, 2), (0.9, 4), (0.95, 4), (1.0, 6)]
)
@pytest.mark.parametrize("graph", ["window", "step"])
def test_at_the_border_of_what_the_machine_can_do_the_hop_does_not_swing(
    graph: Graph, load: float, most_changes: int
) -> None:
    """Four faces for a minute, each batch as long as it happens: lognormal, sigma 0.25."""
    rng = np.random.default_rng(0)
    pace = Pace(graph=graph, clip=CLIP, at_once=1)
    run_s = pace.usual_s / 4 * load
    hops = [pace.usual_s]
    now_s = 0.0
    while now_s < 60:
        ask(pace, 4, now_s)
        for _ in range(2):  # half of the faces in each batch
            seconds = 2 * run_s * float(rng.lognormal(0, 0.25))
            pace.measure(seconds, items=2, runs=2, side_by_side=2, now_s=now_s)
            hops.append(pace.hop_s(now_s))
            now_s += max(hops[-1] / 2, 0.04)
    assert sum(one != other for one, other in pairwise(hops)) <= most_changes


def test_files_count_as_far_as_their_share_is_sure() -> None:
    pace = window_pace()
    ask(pace, 10)
    pace.measure(0.1, items=1, runs=1, side_by_side=1, now_s=0.0)
    alone_s = pace.hop_s(0.0)
    for _ in range(100):
        pace.ask_for_file(0.0)
    assert pace.hop_s(0.0) == pytest.approx(alone_s * (1 + FILES_SHARE))


def test_small_changes_of_cost_do_not_make_it_swing() -> None:
    pace = window_pace()
    ask(pace, 10)
    hops = set()
    for i in range(200):
        pace.measure(0.2 * (1.04 if i % 2 else 0.96), items=1, runs=1, side_by_side=1, now_s=0.0)
        hops.add(pace.hop_s(0.0))
    assert len(hops) == 1


def test_steps_are_stretched_to_where_it_helps() -> None:
    """A face that is scored more rarely than it remembers costs all that it remembers at each hop."""
    pace = Pace(graph="step", clip=CLIP, at_once=1)
    ask(pace, 4)
    pace.measure(0.015, items=1, runs=1, side_by_side=1, now_s=0.0)
    assert pace.hop_s(0.0) == 0.08
    ask(pace, 10)
    assert pace.hop_s(0.0) == pytest.approx(10 * 0.015 * HEADROOM * 24)
    assert pace.hop_s(0.0) > 24 * 0.08
