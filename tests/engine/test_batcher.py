"""Whose turn it is: newest clip of a face, all of its steps, evenly over faces and streams, nothing lost in silence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from streamguard.bundle import Graph
from streamguard.engine.batcher import FILES_SHARE, MOST_STEPS_WAITING, Batcher, Work
from tests.engine.windows import plain, window


def batcher(
    graph: Graph = "window",
    *,
    most_batch: int = 8,
    at_once: int = 1,
    stale_after_s: float = 1.0,
    most_waiting: int = 64,
) -> Batcher:
    return Batcher(
        graph=graph,
        most_batch=most_batch,
        at_once=at_once,
        stale_after_s=stale_after_s,
        most_waiting=most_waiting,
    )


def work(stream: int, face_id: int = 0, taken_s: float = 0.0, *, live: bool = True, end_s: float = 1.0) -> Work:
    return Work(stream=stream, window=window(face_id, end_s=end_s), taken_s=taken_s, live=live)


def faces(batch: list[Work]) -> list[tuple[int, int]]:
    return [(one.stream, one.window.face_id) for one in batch]


def test_all_that_is_ready_is_one_batch_up_to_the_largest() -> None:
    line = batcher(most_batch=3)
    for face_id in range(5):
        line.add(work(1, face_id))
    first, _ = line.take(0.0)
    second, _ = line.take(0.0)
    assert faces(first) == [(1, 0), (1, 1), (1, 2)]
    assert faces(second) == [(1, 3), (1, 4)]
    assert line.take(0.0) == ([], [])


def test_a_newer_clip_of_a_face_takes_the_place_of_the_one_that_waits() -> None:
    line = batcher()
    old, new = work(1, end_s=1.0), work(1, taken_s=0.5, end_s=2.0)
    assert line.add(old) == []
    assert line.add(new) == [old]
    assert line.take(0.6) == ([new], [])
    assert line.statistics().dropped == {"replaced": 1}


def test_a_files_clips_all_wait_in_order_however_long() -> None:
    line = batcher()
    works = [work(1, end_s=float(i), live=False) for i in range(4)]
    assert all(line.add(one) == [] for one in works)
    taken = []
    for now_s in (100.0, 200.0, 300.0, 400.0):
        batch, stale = line.take(now_s)
        assert stale == []
        taken += batch
        line.done(batch)
    assert taken == works


def test_steps_of_a_face_all_count_and_wait_in_order() -> None:
    line = batcher("step")
    steps = [Work(stream=1, window=window(age=i, crops=plain(9, 1)), taken_s=0.0, live=True) for i in range(3)]
    for one in steps:
        assert line.add(one) == []
    for one in steps:
        batch, _ = line.take(0.1)
        assert batch == [one]
        assert line.take(0.1) == ([], []), "a face is in one batch at a time"
        line.done(batch)


def test_a_step_that_waited_too_long_takes_those_after_it_along() -> None:
    line = batcher("step")
    steps = [Work(stream=1, window=window(age=i, crops=plain(9, 1)), taken_s=i * 0.5, live=True) for i in range(3)]
    for one in steps:
        line.add(one)
    assert line.take(1.1) == ([], steps)
    assert line.statistics().dropped == {"stale": 3}


def test_steps_are_bounded_though_nothing_takes_them() -> None:
    line = batcher("step", most_waiting=10_000)
    gone = [
        each
        for i in range(MOST_STEPS_WAITING + 1)
        for each in line.add(Work(stream=1, window=window(age=i, crops=plain(9, 1)), taken_s=0.0, live=True))
    ]
    assert len(gone) == MOST_STEPS_WAITING
    assert line.statistics().queue.waiting == 1


def test_old_live_work_is_dropped_and_told() -> None:
    line = batcher(stale_after_s=1.0)
    old, fresh = work(1, 0, 0.0), work(1, 1, 0.9)
    line.add(old)
    line.add(fresh)
    assert line.take(1.5) == ([fresh], [old])


def test_a_crowd_is_served_evenly() -> None:
    """Ten faces, room for three: whoever was served longest ago comes first, so that nobody starves."""
    line = batcher(most_batch=3)
    served = dict.fromkeys(range(10), 0)
    for turn in range(100):
        for face_id in range(10):
            line.add(work(1, face_id, taken_s=float(turn)))
        batch, _ = line.take(float(turn))
        for one in batch:
            served[one.window.face_id] += 1
        line.done(batch)
    assert set(served.values()) == {30}


def test_a_stream_with_many_faces_does_not_hold_up_one_with_a_single_face() -> None:
    line = batcher(most_batch=2)
    for face_id in range(20):
        line.add(work(1, face_id, taken_s=0.0))
    line.add(work(2, 0, taken_s=0.5))
    batch, _ = line.take(0.5)
    assert faces(batch) == [(1, 0), (2, 0)]


def test_what_waits_of_a_face_that_is_gone_is_given_back() -> None:
    line = batcher()
    for face_id in (0, 1):
        line.add(work(1, face_id))
    line.add(work(2, 0))
    assert faces(line.forget(1, (0, 1))) == [(1, 0)]
    assert faces(line.forget(1)) == [(1, 1)]
    assert faces(line.take(0.0)[0]) == [(2, 0)]
    assert line.statistics().dropped == {"gone": 2}


def test_the_oldest_face_goes_when_everything_is_full() -> None:
    line = batcher(most_waiting=3)
    for face_id in range(3):
        line.add(work(1, face_id, taken_s=float(face_id)))
    gone = line.add(work(1, 3, taken_s=3.0))
    assert faces(gone) == [(1, 0)]
    assert line.statistics().queue.waiting == 3
    assert line.statistics().queue.peak_waiting == 4


def test_nothing_is_lost_in_silence() -> None:
    """Whatever happens, each piece of work is done, given back, or still waits; counts and content agree."""
    rng = np.random.default_rng(3)
    for graph in ("window", "step"):
        line = batcher(graph, most_batch=3, stale_after_s=0.5, most_waiting=12)
        put: list[Work] = []
        ended: list[Work] = []
        going: list[list[Work]] = []
        for tick in range(2000):
            now_s = tick * 0.02
            action = rng.integers(0, 4)
            if action <= 1:
                one = work(int(rng.integers(0, 3)), int(rng.integers(0, 5)), now_s, live=bool(rng.random() < 0.8))
                put.append(one)
                ended += line.add(one)
            elif action == 2:
                batch, stale = line.take(now_s)
                ended += stale
                if batch:
                    assert len({each.face for each in batch}) == len(batch)
                    assert not {each.face for each in batch} & {each.face for b in going for each in b}
                    going.append(batch)
            elif going:
                done = going.pop(0)
                line.done(done)
                ended += done
            if rng.random() < 0.02:
                ended += line.forget(int(rng.integers(0, 3)), (int(rng.integers(0, 5)), 1))
            waiting = line.statistics().queue.waiting
            assert len(put) == len(ended) + sum(map(len, going)) + waiting
            assert len({id(each) for each in ended}) == len(ended)
        statistics = line.statistics()
        assert statistics.queue.put == len(put)
        assert statistics.queue.dropped == sum(statistics.dropped.values()) > 0


def step(stream: int, face_id: int, age: int, taken_s: float, *, live: bool) -> Work:
    shown = window(face_id, age=age, crops=plain(9, 1))
    return Work(stream=stream, window=shown, taken_s=taken_s, live=live)


def watch_beside_files(*, live_faces: int, run_s: float, seconds: float = 40.0, files: int = 12) -> tuple[float, int]:
    """A device that does one run at a time, live faces with a step each 80 ms, and files that hand in the next step as
    soon as they have an answer. Returns which share of the live steps was done, and how many of the files'."""
    line = batcher("step", most_waiting=1000)
    for stream in range(files):
        line.add(step(10 + stream, 0, 0, 0.0, live=False))
    handed = done_live = done_files = 0
    now_s = 0.0
    while now_s < seconds:
        while handed * 0.08 <= now_s:
            for face_id in range(live_faces):
                line.add(step(1, face_id, handed, handed * 0.08, live=True))
            handed += 1
        batch, _ = line.take(now_s)
        now_s += run_s * len(batch) if batch else 0.01
        line.done(batch)
        for one in batch:
            done_live += one.live
            done_files += not one.live
            if not one.live:
                line.add(step(one.stream, 0, 0, now_s, live=False))
    return done_live / (handed * live_faces), done_files


def test_files_do_not_starve_a_live_stream() -> None:
    """60 ms a run, a live step each 80 ms: files get the quarter that is left."""
    share, files = watch_beside_files(live_faces=1, run_s=0.06)
    assert share > 0.99
    assert files > 0.9 * 0.25 * 40 / 0.06


def test_live_streams_do_not_bring_files_to_a_standstill() -> None:
    _, files = watch_beside_files(live_faces=8, run_s=0.06)
    assert FILES_SHARE * 0.8 < files / (40 / 0.06) < FILES_SHARE * 1.3


def test_files_have_the_device_to_themselves_when_nobody_is_live() -> None:
    line = batcher(most_batch=4)
    for stream in range(6):
        line.add(work(stream, live=False))
    assert len(line.take(0.0)[0]) == 4


def test_beside_live_streams_files_get_only_lanes_that_are_free() -> None:
    line = batcher(at_once=2)
    line.add(work(1, live=True))
    for stream in range(2, 6):
        line.add(work(stream, live=False))
    assert faces(line.take(0.0)[0]) == [(1, 0)]
    assert len(line.take(0.0)[0]) == 1, "the other lane"
    assert line.take(0.0)[0] == []


def test_a_stream_that_joins_late_and_a_new_face_do_not_starve() -> None:
    """Three times as many faces as can be served: who comes last is served as often as all others, from the start."""
    line = batcher(most_batch=4, stale_after_s=1.0)
    served: dict[tuple[int, int], list[int]] = {}
    for turn in range(120):
        here = [(stream, face) for stream in (1, 2) for face in range(6)]
        here += [(3, face) for face in range(3)] if turn >= 60 else []
        here += [(1, 99)] if turn >= 60 else []
        for stream, face in here:
            line.add(work(stream, face, turn * 0.1))
        batch, _ = line.take(turn * 0.1)
        for one in faces(batch):
            served.setdefault(one, []).append(turn)
        line.done(batch)
    for late in ((3, 0), (3, 1), (3, 2), (1, 99)):
        assert served[late][0] <= 63
        assert max(b - a for a, b in pairwise(served[late])) <= 7
    for stream, face in ((1, 0), (1, 5), (2, 0), (2, 5)):
        assert max(b - a for a, b in pairwise(served[stream, face])) <= 8
