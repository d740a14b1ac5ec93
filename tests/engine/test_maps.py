"""Heat maps: each clip gets its own, nobody but files waits for them, and when they fail scores go on without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from streamguard.bundle import MapRange, MapsSpec
from streamguard.config import EngineConfig
from streamguard.engine.engine import Engine
from streamguard.engine.map_ranges import with_ranges
from streamguard.engine.maps import LIVE_SHARE, STALE_AFTER_S, MapMaker, heat_maps
from streamguard.errors import EngineError
from streamguard.testing import FAKE_MAPS, FakeBackend, FakeMaps, ManualClock, fake_bundle
from streamguard.values import Box, MapClip
from tests.engine.windows import plain, window

LATE_S = 10.0
"""So long is waited for what must happen; it is never waited out."""


@pytest.fixture
def backend() -> FakeMaps:
    return FakeMaps()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def maker(backend: FakeMaps, clock: ManualClock) -> Iterator[MapMaker]:
    made = MapMaker(fake_bundle(maps=True), backend, clock=clock)
    yield made
    backend.gate.set()
    made.close(LATE_S)


def clip(face_id: int = 0, generation: int = 1, brightness: int = 100, end_s: float = 1.0) -> MapClip:
    return MapClip(
        face_id=face_id,
        generation=generation,
        crops=plain(brightness),
        pts_start_s=end_s - 0.56,
        pts_end_s=end_s,
        square_px=Box(10.0, 20.0, 130.0, 140.0),
        box_px=Box(40.0, 40.0, 100.0, 120.0),
    )


def test_each_clip_gets_its_own_maps(maker: MapMaker) -> None:
    seat = maker.join(live=False)
    clips = [clip(face_id, brightness=20 * face_id) for face_id in range(8)]
    seat.submit(clips)
    seat.wait()
    mapped = seat.collect()
    assert [one.clip.face_id for one in mapped] == list(range(8))
    assert all(np.array_equal(one.clip.crops, clips[0].crops[-1:] + 20 * i) for i, one in enumerate(mapped))
    for face_id, one in enumerate(mapped):
        assert one.maps.anomaly == bytes([20 * face_id] * 16)
        assert one.maps.motion == bytes(16)
        assert (one.maps.square_px, one.maps.pts_start_s, one.maps.pts_end_s) == (clips[0].square_px, 1.0 - 0.56, 1.0)
        assert (one.maps.width, one.maps.height, one.maps.comparable) == (4, 4, True)
    assert seat.collect() == []
    assert maker.statistics().made == 8


def test_streams_get_their_own_maps_only(maker: MapMaker) -> None:
    one, two = maker.join(live=False), maker.join(live=True)
    one.submit([clip(brightness=50)])
    two.submit([clip(brightness=200)])
    one.wait()
    two.wait()
    assert [each.clip.crops.max() for each in one.collect()] == [50]
    assert [each.clip.crops.max() for each in two.collect()] == [200]


def test_live_streams_come_first(maker: MapMaker, backend: FakeMaps) -> None:
    backend.gate.clear()
    files, live = maker.join(live=False), maker.join(live=True)
    files.submit([clip(brightness=brightness) for brightness in (10, 20, 30)])
    assert backend.entered.wait(LATE_S)
    live.submit([clip(brightness=40)])
    backend.gate.set()
    files.wait()
    live.wait()
    assert len(files.collect()) == 3
    assert len(live.collect()) == 1
    assert backend.seen == [10, 40, 20, 30], "the first was under way already"


def test_live_streams_have_a_share_of_one_core_and_files_what_they_want(
    maker: MapMaker, backend: FakeMaps, clock: ManualClock
) -> None:
    run = backend.run

    def slow(crops: np.ndarray) -> dict[str, np.ndarray]:
        clock.advance(0.2)
        return run(crops)

    backend.run = slow  # type: ignore[method-assign]
    live, other, files = maker.join(live=True), maker.join(live=True), maker.join(live=False)
    assert live.has_room()
    live.submit([clip()])
    live.wait()
    assert not live.has_room()
    assert not other.has_room(), "it is the share of all"
    assert files.has_room()
    clock.advance(0.2 / LIVE_SHARE - 0.2 - 0.01)
    assert not live.has_room()
    clock.advance(0.02)
    assert live.has_room()
    assert other.has_room()


def test_there_is_no_room_while_another_waits(maker: MapMaker, backend: FakeMaps) -> None:
    backend.gate.clear()
    live, other = maker.join(live=True), maker.join(live=True)
    live.submit([clip()])
    assert not other.has_room()
    backend.gate.set()
    live.wait()
    assert other.has_room()


def test_what_waits_too_long_is_dropped_and_counted_but_for_files(
    maker: MapMaker, backend: FakeMaps, clock: ManualClock
) -> None:
    backend.gate.clear()
    live, files = maker.join(live=True), maker.join(live=False)
    live.submit([clip(0)])
    assert backend.entered.wait(LATE_S)
    live.submit([clip(1)])
    files.submit([clip(2)])
    clock.advance(STALE_AFTER_S + 0.01)
    backend.gate.set()
    live.wait()
    files.wait()
    assert [one.clip.face_id for one in live.collect()] == [0]
    assert [one.clip.face_id for one in files.collect()] == [2]
    assert maker.statistics().dropped["stale"] == 1


@pytest.mark.parametrize("leave", [False, True])
def test_of_a_face_that_is_gone_there_is_no_map(maker: MapMaker, backend: FakeMaps, leave: bool) -> None:
    """Whether it is done already, under way or waiting; and the same id in another generation is another's."""
    seat = maker.join(live=False)
    seat.submit([clip(1)])
    seat.wait()
    backend.gate.clear()
    backend.entered.clear()
    seat.submit([clip(1), clip(1), clip(1, generation=2)])
    assert backend.entered.wait(LATE_S)
    if leave:
        seat.leave()
    else:
        seat.forget(1, 1)
    backend.gate.set()
    seat.wait()
    assert [(one.clip.face_id, one.clip.generation) for one in seat.collect()] == ([] if leave else [(1, 2)])
    assert maker.statistics().dropped["gone"] == (3 if leave else 2)


@pytest.mark.parametrize("error", [EngineError("fake", "broke"), RuntimeError("broke")])
def test_a_failure_is_told_and_ends_the_maps_and_nobody_waits_for_ever(
    maker: MapMaker, backend: FakeMaps, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    seat = maker.join(live=False)
    backend.error = error
    seat.submit([clip(1), clip(2)])
    seat.wait()
    assert seat.collect() == []
    assert seat.failure() is not None
    assert "broke" in str(seat.failure())
    assert not seat.has_room()
    backend.error = None
    seat.submit([clip(3)])
    seat.wait()
    assert seat.collect() == []
    assert maker.statistics().dropped["failed"] == 3
    assert "there are no more heat maps" in caplog.text


def test_a_map_that_is_no_number_is_a_failure(maker: MapMaker, backend: FakeMaps) -> None:
    cells = np.full((4, 4), np.nan, np.float32)
    backend.run = lambda crops: {"anomaly": cells, "motion": cells}  # type: ignore[method-assign]
    seat = maker.join(live=False)
    seat.submit([clip()])
    seat.wait()
    assert "the anomaly map holds what is no number" in str(seat.failure())


def test_nobody_waits_who_is_cancelled_or_when_all_is_closed(maker: MapMaker, backend: FakeMaps) -> None:
    backend.gate.clear()
    seat, other = maker.join(live=False), maker.join(live=False)
    seat.submit([clip()])
    other.submit([clip()])
    seat.cancel()
    seat.wait()
    maker.close(0.0)
    other.wait()
    assert not backend.closed, "it still hangs"
    backend.gate.set()
    maker.close(LATE_S)
    assert backend.closed


# Values.


def test_ranges_make_maps_of_all_clips_comparable() -> None:
    values = np.linspace(0.0, 3.0, 16, dtype=np.float32).reshape(4, 4)
    limits = MapRange(low=1.0, high=2.0)
    spec = replace(FAKE_MAPS, kinds=("anomaly",), ranges={"anomaly": limits})
    made = heat_maps(spec, clip(), {"anomaly": values})
    assert made.motion is None
    assert made.anomaly is not None
    assert list(made.anomaly) == [round(255 * min(1.0, max(0.0, value - 1))) for value in values.ravel().tolist()]
    assert made.comparable


def test_without_ranges_each_map_is_shown_against_itself_and_says_so() -> None:
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    spec = replace(FAKE_MAPS, ranges={}, measured_on="")
    made = heat_maps(spec, clip(), {"anomaly": 5 + values, "motion": np.full((4, 4), 7, np.float32)})
    assert made.anomaly == bytes(17 * i for i in range(16))
    assert made.motion == bytes(16), "the same everywhere is nothing to see"
    assert not made.comparable


class Scripted(FakeMaps):
    """Gives these values (h, w), whatever the crops."""

    def __init__(self, *values: np.ndarray) -> None:
        super().__init__()
        self._values = iter(values)

    def run(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        return {"anomaly": next(self._values)}


LARGE = MapsSpec(file="none.onnx", height=20, width=20, kinds=("anomaly",))


def test_ranges_are_the_median_and_what_one_in_a_thousand_exceeds() -> None:
    values = np.random.default_rng(0).permutation(np.arange(4000, dtype=np.float32)).reshape(10, 20, 20)
    found = with_ranges(LARGE, Scripted(*values), [plain(0)] * 10, measured_on="people")
    assert found.measured_on == "10 clips of people"
    assert found.ranges["anomaly"].low == pytest.approx(1999.5)
    assert found.ranges["anomaly"].high == pytest.approx(3995, abs=0.01)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.random.default_rng(0).random((2, 20, 20)), "2 clips are too few"),
        (np.zeros((0, 20, 20)), "0 clips are too few"),
        (np.ones((3, 20, 20)), "is 1 to 1: it can show nothing"),
        (np.full((3, 20, 20), np.nan), "is nan to nan"),
    ],
)
def test_ranges_that_would_mean_nothing_are_refused(values: np.ndarray, problem: str) -> None:
    with pytest.raises(EngineError, match=problem):
        with_ranges(LARGE, Scripted(*values), [plain(0)] * len(values), measured_on="people")


# The engine.


@pytest.mark.parametrize(
    ("maps", "calibrated", "wanted"),
    [
        ("none", True, False),
        ("drawn", True, True),
        ("drawn", False, False),
        ("events", True, True),
        ("events", False, True),
    ],
)
def test_maps_are_made_where_they_are_wanted_and_mean_something(maps: str, calibrated: bool, wanted: bool) -> None:
    backend = FakeMaps()
    bundle = fake_bundle(calibrated=calibrated, maps=True)
    config = EngineConfig(maps=maps)  # type: ignore[arg-type]
    with Engine(bundle, config, backend=FakeBackend(), maps=backend) as engine:
        assert engine.has_maps == wanted
        assert engine.maps_in_events == (maps == "events")
        assert (engine.join(live=True).maps is not None) == wanted
        assert (engine.statistics().maps is not None) == wanted
    assert backend.closed == wanted


def test_a_bundle_without_a_maps_graph_has_none() -> None:
    with Engine(fake_bundle(), EngineConfig(maps="events"), backend=FakeBackend()) as engine:
        assert not engine.has_maps
        assert not engine.maps_in_events


def test_scores_go_on_when_the_maps_graph_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise EngineError("fake", "cannot be run")

    monkeypatch.setattr("streamguard.engine.engine.open_maps", failing)
    with Engine(fake_bundle(maps=True), EngineConfig(maps="drawn"), backend=FakeBackend()) as engine:
        assert not engine.has_maps
        assert "there are no heat maps: fake: cannot be run" in caplog.text
        seat = engine.join(live=False)
        seat.submit([window(0)])
        seat.wait()
        assert len(seat.collect().scored) == 1


def test_scores_go_on_when_maps_fail_or_hang() -> None:
    backend = FakeMaps()
    backend.gate.clear()
    with Engine(fake_bundle(maps=True), EngineConfig(maps="drawn"), backend=FakeBackend(), maps=backend) as engine:
        seat = engine.join(live=True)
        assert seat.maps is not None
        seat.maps.submit([clip()])
        assert backend.entered.wait(LATE_S)
        seat.submit([window(0)])
        seat.wait()
        assert len(seat.collect().scored) == 1
        backend.error = RuntimeError("broke")
        backend.gate.set()
        seat.maps.wait()
        seat.submit([window(0)])
        seat.wait()
        assert len(seat.collect().scored) == 1
        statistics = engine.statistics().maps
        assert statistics is not None
        assert "broke" in str(statistics.failure)


def test_a_face_or_stream_that_is_gone_is_gone_for_maps_too() -> None:
    backend = FakeMaps()
    with Engine(fake_bundle(maps=True), EngineConfig(maps="drawn"), backend=FakeBackend(), maps=backend) as engine:
        seat = engine.join(live=False)
        assert seat.maps is not None
        seat.maps.submit([clip(1), clip(2)])
        seat.maps.wait()
        seat.forget(1, 1)
        assert [one.clip.face_id for one in seat.maps.collect()] == [2]
        seat.maps.submit([clip(2)])
        seat.maps.wait()
        seat.leave()
        assert seat.maps.collect() == []
