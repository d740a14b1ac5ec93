"""`StreamDetector` on real cameras: scores come, trouble of one stream is told and stays its own, closing is prompt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamguard.config import DetectorConfig, SourceConfig
from streamguard.detector import StreamDetector
from streamguard.events import Event, Score, StreamDown, StreamUp
from streamguard.values import FaceState, Reason

from ..sources.servers import silent_port
from .conftest import RtspServer

pytestmark = pytest.mark.real

DEADLINE_S = 45.0
CONFIG = DetectorConfig(source=SourceConfig(open_timeout_s=4.0, read_timeout_s=2.5, longest_retry_s=1.0))


class Listener:
    """`on_event` for tests: waits for what should come."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, stream_id: str, kind: type, after: int = 0) -> list[Event]:
        return [e for e in self.events[after:] if e.stream_id == stream_id and isinstance(e.kind, kind)]

    def wait(self, stream_id: str, kind: type, count: int = 1, *, after: int = 0) -> Event:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.of(stream_id, kind, after)) >= count, DEADLINE_S)
        assert came, f"{stream_id}: {[type(e.kind).__name__ for e in self.events if e.stream_id == stream_id][-20:]}"
        return self.of(stream_id, kind, after)[count - 1]


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def detector(heard: Listener) -> Iterator[StreamDetector]:
    with StreamDetector(on_event=heard, bundle="untrained", config=CONFIG) as detector:
        yield detector


def test_scores_come_before_and_after_an_outage_and_the_neighbour_does_not_notice(
    rtsp_server: Callable[..., RtspServer], portrait: Path, detector: StreamDetector, heard: Listener
) -> None:
    camera, healthy = rtsp_server(pictures=portrait), rtsp_server(pictures=portrait)
    detector.watch(camera.url, stream_id="camera", participant_id="alice")
    detector.watch(healthy.url, stream_id="healthy")
    with silent_port() as silent:
        detector.watch(f"rtsp://127.0.0.1:{silent}/dead", stream_id="dead")
        for name in ("camera", "healthy"):
            score = heard.wait(name, Score, 20).kind
            assert isinstance(score, Score)
            assert (score.state, score.reasons) == (FaceState.UNCERTAIN, (Reason.UNCALIBRATED,))
        seen = len(heard.events)
        camera.kill()
        heard.wait("camera", StreamDown, after=seen)
        camera.restart()
        heard.wait("camera", StreamUp, after=seen)
        after_up = len(heard.events)
        heard.wait("camera", Score, 10, after=after_up)
        heard.wait("dead", StreamDown)
        assert heard.of("healthy", StreamDown) == []
        assert {e.participant_id for e in heard.events if e.stream_id == "camera"} == {"alice"}
        statistics = detector.statistics()
    assert statistics.streams["camera"].source.reconnects >= 1
    assert statistics.engine.slots <= 2, "the slot of the generation that ended is given back"


def test_each_stream_numbers_its_events_without_a_hole(
    rtsp_server: Callable[..., RtspServer], portrait: Path, detector: StreamDetector, heard: Listener
) -> None:
    camera = rtsp_server(pictures=portrait)
    stream = detector.watch(camera.url, stream_id="camera")
    heard.wait("camera", Score, 30)
    stream.close()
    assert stream.wait(DEADLINE_S)
    assert [event.seq for event in heard.events] == list(range(1, len(heard.events) + 1))
    assert stream.statistics().callback_events.dropped == 0


def test_closing_is_prompt_while_a_camera_is_silent(detector: StreamDetector) -> None:
    with silent_port() as silent:
        stream = detector.watch(f"rtsp://127.0.0.1:{silent}/dead", stream_id="dead")
        stream.close()
        assert not stream.statistics().alive
