"""Heat maps in a session: whose turn it is, that they are of the right person and place, and who is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from streamguard.config import EngineConfig, SessionConfig
from streamguard.engine.engine import Engine
from streamguard.events import EndOfStream, FaceLost, Score
from streamguard.map_turns import CALM, TURN_S
from streamguard.run import MAPS_EVERY_S, Turn, drive
from streamguard.session import Session
from streamguard.sources import Item
from streamguard.testing import (
    CALIBRATION,
    FakeBackend,
    FakeMaps,
    ManualClock,
    PaintedFaces,
    ScriptedSource,
    fake_bundle,
)
from streamguard.values import Box, FaceState, Frame, HeatMaps, MapClip, Mapped
from tests import sessions
from tests.sessions import ANYTHING_GOES, FACE, HEIGHT, Run, box_at, frame_at, scored, still

ADA, BEN = 64, 192
"""How bright they are painted."""
BOTH = {ADA: box_at(150, 180), BEN: box_at(450, 180)}


def times(start_s: float, end_s: float) -> list[float]:
    """As often as the network wants pictures, and no more."""
    return sessions.times(start_s, end_s, 12.5)


def run_of(*, in_events: bool = False) -> Run:
    clip = fake_bundle().manifest.clip.config("window")
    config = SessionConfig(clip=clip, maps_every_s=MAPS_EVERY_S, maps_in_events=in_events)
    return Run(config, calibration=CALIBRATION)


def answered(clip: MapClip, value: int = 9) -> Mapped:
    maps = HeatMaps(
        pts_start_s=clip.pts_start_s,
        pts_end_s=clip.pts_end_s,
        square_px=clip.square_px,
        width=2,
        height=1,
        motion=bytes([value, 0]),
        comparable=True,
    )
    return Mapped(clip=clip, maps=maps)


def fed(run: Run, seconds: float, people: dict[int, Box], *, start_s: float = 0.0) -> list[MapClip]:
    """The clips that were handed out, each when it was."""
    clips: list[MapClip] = []
    for pts_s in times(start_s, start_s + seconds):
        run.feed([pts_s], still(people))
        clips += run.session.take_map_work()
    return clips


def test_each_face_has_its_turn_about_once_a_second() -> None:
    clips = fed(run_of(), 8.0, BOTH)
    for face_id in (1, 2):
        ends = [clip.pts_end_s for clip in clips if clip.face_id == face_id]
        assert 6 <= len(ends) <= 8
        assert all(1.0 <= later - earlier <= 1.64 + 1e-6 for earlier, later in pairwise(ends)), "or at the next window"


def test_a_face_that_is_likely_real_has_its_turn_more_rarely() -> None:
    run = run_of()
    clips: list[MapClip] = []
    for pts_s in times(0.0, 16.0):
        windows = len(run.windows)
        run.feed([pts_s], still({ADA: box_at(300, 180)}))
        clips += run.session.take_map_work()
        run.session.put_scores([scored(window, 0.01) for window in run.windows[windows:]])
    (face,) = run.session.faces()
    assert run.session.face_state(face) is FaceState.LIKELY_REAL
    ends = [clip.pts_end_s for clip in clips if clip.pts_end_s > 6.0]
    assert 2 <= len(ends) <= 4
    assert all(later - earlier >= CALM * MAPS_EVERY_S for earlier, later in pairwise(ends))


def test_a_crowd_costs_no_more_than_a_few() -> None:
    people = {40 + 16 * i: box_at(60 + 125 * (i % 5), 90 + 180 * (i // 5)) for i in range(10)}
    seconds = 6.0
    clips = fed(run_of(), seconds, people)
    turns = Counter(clip.face_id for clip in clips)
    assert len(turns) == 10
    assert max(turns.values()) - min(turns.values()) <= 1
    assert len(clips) - len(people) <= seconds / TURN_S, "each has a first one, then they take turns"
    assert len(clips) < 0.7 * seconds * len(people) / MAPS_EVERY_S


def test_a_clip_is_that_of_the_score_of_the_same_time_and_lies_where_it_says() -> None:
    run = run_of()
    clips = fed(run, 4.0, BOTH)
    windows = {(window.face_id, window.pts_end_s): window for window in run.windows}
    assert len(clips) >= 4
    for clip in clips:
        window = windows[clip.face_id, clip.pts_end_s]
        assert np.array_equal(clip.crops, window.crops)
        assert clip.pts_start_s == window.pts_s[-run.session._config.clip.length]
        person = BOTH[ADA if clip.crops[-1].mean() < 60 else BEN]
        assert clip.box_px == person
        assert clip.square_px.centre == person.centre
        assert clip.square_px.width == pytest.approx(2 * person.scale)


def test_beyond_the_border_the_square_is_where_the_crops_are() -> None:
    edge = box_at(24, HEIGHT - 30)
    clips = fed(run_of(), 2.0, {ADA: edge})
    assert clips
    x0, _, _, y1 = clips[0].square_px
    assert x0 < 0
    assert y1 > HEIGHT
    # Where the face begins in the crop, counted from the square's edge, is where it begins in the picture.
    crop, square = clips[0].crops[-1], clips[0].square_px
    columns = np.flatnonzero(crop[len(crop) // 2].mean(axis=1) > 40)
    right = square.x0 + (columns.max() + 1) * square.width / len(crop)
    assert right == pytest.approx(edge.x1, abs=square.width / len(crop))


def test_without_room_no_clip_is_cut_and_its_turn_stays() -> None:
    run = run_of()
    run.session.make_map_room(0)
    assert fed(run, 3.0, BOTH) == []
    run.session.make_map_room(1)
    assert len(fed(run, 0.7, BOTH, start_s=3.0)) == 1
    run.session.make_map_room(64)
    (other,) = fed(run, 0.7, BOTH, start_s=3.7)
    assert run.session.statistics().map_clips == 2
    assert run.session.statistics().maps_left_out == 0
    assert other.face_id in (1, 2)


def test_a_stream_that_is_overloaded_has_no_maps_and_counts_them() -> None:
    run = run_of()
    run.session.set_hop(2.0, now_s=0.0)
    assert fed(run, 8.0, BOTH) == []
    assert run.session.statistics().maps_left_out >= 6
    run.session.set_hop(0.64, now_s=8.0)
    assert len(fed(run, 3.0, BOTH, start_s=8.0)) >= 2


def test_who_becomes_likely_fake_has_a_turn_at_once() -> None:
    run = run_of()
    clips: list[MapClip] = []
    for pts_s in times(0.0, 12.0):
        run.feed([pts_s], still({ADA: box_at(300, 180)}))
        clips += run.session.take_map_work()
        if run.windows and run.session.face_state(run.session.faces()[0]) is not FaceState.LIKELY_FAKE:
            run.session.put_scores([scored(run.windows[-1], 0.99)])
            if run.session.face_state(run.session.faces()[0]) is FaceState.LIKELY_FAKE:
                (at_once,) = run.session.take_map_work() or clips[-1:]
                assert at_once.pts_end_s == run.windows[-1].pts_end_s, "the window that made it so"
                return
    pytest.fail("it never became likely fake")


def test_maps_of_a_generation_that_ended_are_refused_and_counted() -> None:
    run = run_of(in_events=True)
    (clip,) = fed(run, 1.0, {ADA: box_at(300, 180)})
    run.feed(times(1.0, 3.0), still({}))
    assert run.heard.of(FaceLost) != []
    assert run.session.put_maps([answered(clip)]) == []
    assert run.session.statistics().stale_maps == 1
    run.feed(times(3.0, 5.0), still({ADA: box_at(300, 180)}))
    (face,) = run.session.faces()
    assert (face.face_id, face.generation) != (clip.face_id, clip.generation)
    run.session.put_maps([answered(clip)])
    assert run.session.mapped(face) is None


def test_an_older_map_does_not_take_the_place_of_a_newer() -> None:
    run = run_of()
    first, second = fed(run, 2.5, {ADA: box_at(300, 180)})[:2]
    newer, older = answered(second), answered(first)
    assert run.session.put_maps([newer, older]) == [newer]
    assert run.session.mapped(run.session.faces()[0]) is newer


def test_scores_carry_each_map_once_and_only_on_request() -> None:
    for in_events in (True, False):
        run = run_of(in_events=in_events)
        (clip,) = fed(run, 1.0, {ADA: box_at(300, 180)})
        mapped = answered(clip)
        run.session.put_maps([mapped])
        run.session.put_scores([scored(window, 0.5) for window in run.windows])
        run.feed(times(1.0, 2.0), still({ADA: box_at(300, 180)}))
        run.session.put_scores([scored(run.windows[-1], 0.5)])
        run.collect()
        carried = [score.maps for score in run.heard.of(Score)]
        assert carried == [mapped.maps if in_events else None, *[None] * (len(carried) - 1)]
        assert len(carried) > 1


# The whole way: a driver, an engine and its maps.


class Watching(ScriptedSource):
    def __init__(self, items: Sequence[Item], *, live: bool) -> None:
        super().__init__([*items, EndOfStream(frames=len(items))], ManualClock())
        self.live = live


def watched(frames: Sequence[Frame], *, live: bool, backend: FakeMaps | None = None) -> list[Turn]:
    config = EngineConfig(maps="events")
    with (
        Engine(fake_bundle(maps=True), config, backend=FakeBackend(), maps=backend or FakeMaps()) as engine,
        engine.join(live=live) as seat,
    ):
        session = Session(
            SessionConfig(clip=engine.clip, maps_every_s=MAPS_EVERY_S, maps_in_events=True),
            detector=PaintedFaces(FACE),
            mesher=PaintedFaces(FACE),
            limits=ANYTHING_GOES,
            calibration=engine.calibration,
        )
        return list(drive(Watching(frames, live=live), session, ManualClock(), seat=seat))


def changing_places() -> list[Frame]:
    """They pass each other, hide and come back: ids stay with some, and places with none."""
    frames = []
    for pts_s in times(0.0, 16.0):
        x = 120 + 400 * abs((pts_s / 4) % 2 - 1)
        people = {ADA: box_at(x, 90), BEN: box_at(640 - x, 270)}
        if 5.0 < pts_s < 6.0 or 11.0 < pts_s < 12.0:
            people = {}
        frames.append(frame_at(pts_s, people))
    return frames


def test_maps_are_of_the_person_that_the_score_is_of() -> None:
    """A fake score and a fake map of the same crops both say who is in them."""
    frames = changing_places()
    events = [event for turn in watched(frames, live=False) for event in turn.events]
    carried = [event.kind for event in events if isinstance(event.kind, Score) and event.kind.maps is not None]
    generations = {(score.face_id, score.generation) for score in carried}
    assert len(generations) >= 5
    assert len(carried) >= 8
    for score in carried:
        assert score.maps is not None
        assert score.maps.anomaly is not None
        middle = np.frombuffer(score.maps.anomaly, np.uint8).reshape(4, 4)[1:3, 1:3].mean()
        bright = score.raw_score > 0.2
        assert bright == (middle > 100), score
        assert score.maps.pts_end_s == score.pts_end_s, "a file's score carries the map of its own window"
        frame = next(frame for frame in frames if frame.pts_s == score.maps.pts_end_s)
        x, y = score.maps.square_px.centre
        person = Box(x - 5, y - 5, x + 5, y + 5)
        seen = frame.picture.y[int(person.y0) : int(person.y1), int(person.x0) : int(person.x1)]
        assert set(np.unique(seen)) == {BEN if bright else ADA}, "that person stood there then"


def test_turns_bring_the_maps_with_their_crops() -> None:
    turns = watched([frame_at(pts_s, BOTH) for pts_s in times(0.0, 3.0)], live=False)
    mapped = [one for turn in turns for one in turn.maps]
    assert {one.clip.face_id for one in mapped} == {1, 2}
    for turn in turns:
        for one in turn.maps:
            assert isinstance(turn.item, Frame)
            assert one.clip.pts_end_s == turn.item.pts_s, "at the picture that they are of"


def test_a_file_gives_the_same_maps_each_time() -> None:
    frames = changing_places()[:60]
    one, other = (
        [(mapped.clip.face_id, mapped.maps) for turn in watched(frames, live=False) for mapped in turn.maps]
        for _ in range(2)
    )
    assert one == other


def test_a_live_stream_never_waits_for_a_map() -> None:
    """One that hangs: all frames are watched and scored to the end, without any."""
    backend = FakeMaps()
    backend.gate.clear()
    frames = [frame_at(pts_s, BOTH) for pts_s in times(0.0, 3.0)]
    source = Watching(frames, live=True)
    with Engine(fake_bundle(maps=True), EngineConfig(maps="drawn"), backend=FakeBackend(), maps=backend) as engine:
        with engine.join(live=True) as seat:
            session = Session(
                SessionConfig(clip=engine.clip, maps_every_s=MAPS_EVERY_S),
                detector=PaintedFaces(FACE),
                mesher=PaintedFaces(FACE),
                limits=ANYTHING_GOES,
                calibration=engine.calibration,
            )
            turns = list(drive(source, session, ManualClock(), seat=seat))
            assert session.statistics().map_clips == 1, "while one is not back, no other is cut"
        backend.gate.set()
    assert sum(isinstance(event.kind, Score) for turn in turns for event in turn.events) > 0
    assert not any(turn.maps for turn in turns)
