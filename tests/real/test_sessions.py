"""A real camera with a real face, through sources and session: what a subscriber would be told when things go wrong.

Beside each trouble runs a healthy camera, whose face must not lose its generation, a crop, or a frame.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamguard.config import SourceConfig
from streamguard.events import Blinded, FaceAppeared, FaceLost, MediaGap, StreamDown, StreamUp
from streamguard.faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from streamguard.sources import open_source
from streamguard.values import GapCause, LostCause

from ..sources.servers import silent_port
from .conftest import RtspServer
from .driving import Driven

pytestmark = pytest.mark.real

StartServer = Callable[..., RtspServer]
Finder = tuple[FaceDetector, FaceMesher]

KINDS = [("h264", "tcp"), ("h264", "udp"), ("h265", "tcp"), ("h265", "udp")]


@pytest.fixture(scope="module")
def finder() -> Finder:
    return open_detector(), open_mesher()


def watch(url: str, finder: Finder, transport: str = "tcp", **settings: float) -> Driven:
    config = SourceConfig(
        rtsp_transport="udp" if transport == "udp" else "tcp",
        open_timeout_s=4.0,
        longest_retry_s=2.0,
        **settings,  # type: ignore[arg-type]
    )
    return Driven(open_source(url, config), finder)


@contextlib.contextmanager
def healthy_beside(rtsp_server: StartServer, portrait: Path, finder: Finder) -> Iterator[None]:
    """A second stream over all that happens to the first: same face generation, no gap, no drop."""
    with watch(rtsp_server(pictures=portrait).url, finder) as neighbour:
        neighbour.wait_windows(2)
        seen, dropped = len(neighbour.events), neighbour.source.statistics().frame_queue.dropped
        before = neighbour.session.statistics()
        yield
        neighbour.wait_windows(1)
        after = neighbour.session.statistics()
        assert neighbour.of(StreamDown, seen) == []
        assert neighbour.of(MediaGap, seen) == []
        assert neighbour.of(FaceLost, seen) == []
        assert neighbour.source.statistics().frame_queue.dropped == dropped
        assert after.resets == before.resets


@pytest.mark.parametrize(("codec", "transport"), KINDS)
def test_restarted_camera_tells_down_and_up_and_the_face_starts_anew(
    rtsp_server: StartServer, portrait: Path, finder: Finder, codec: str, transport: str
) -> None:
    camera = rtsp_server(codec=codec, pictures=portrait)
    with (
        healthy_beside(rtsp_server, portrait, finder),
        watch(camera.url, finder, transport, read_timeout_s=2.5) as driven,
    ):
        driven.wait_windows(2)
        first = driven.of(FaceAppeared)[0]
        seen = len(driven.events)
        camera.kill()
        down = driven.wait(StreamDown, after=seen)
        assert down.retry_in_s is not None
        assert driven.state == "STALLED"
        time.sleep(1.5)  # the outage itself: longer than a face is waited for
        camera.restart()
        up = driven.wait(StreamUp, after=seen)
        assert up.outage_s is not None
        gap = driven.wait(MediaGap, after=seen)
        assert gap.cause is GapCause.RECONNECTED
        assert driven.wait(FaceLost, after=seen).cause is LostCause.MEDIA_GAP
        again = driven.wait(FaceAppeared, after=seen)
        assert (again.face_id, again.generation) != (first.face_id, first.generation)
        driven.wait_windows(1)
        assert not any(w.pts_start_s < gap_pts(driven) < w.pts_end_s for w in driven.windows)


def gap_pts(driven: Driven) -> float:
    """Media time of the frame before the last break."""
    return max(event.pts_s for event in driven.events if isinstance(event.kind, MediaGap))


@pytest.mark.parametrize(("codec", "transport"), [("h264", "tcp"), ("h265", "udp")])
def test_frozen_camera_alarms_and_no_window_spans_the_freeze(
    rtsp_server: StartServer, portrait: Path, finder: Finder, codec: str, transport: str
) -> None:
    camera = rtsp_server(codec=codec, pictures=portrait)
    with healthy_beside(rtsp_server, portrait, finder), watch(camera.url, finder, transport) as driven:
        driven.wait_windows(2)
        seen = len(driven.events)
        camera.pause()
        assert driven.wait(Blinded, after=seen).silent_s >= 2.0
        assert driven.state == "STALLED"
        camera.resume()
        gap = driven.wait(MediaGap, after=seen)
        assert gap.gap_s > 1.5
        driven.wait(FaceAppeared, after=seen)
        driven.wait_windows(1)
        assert driven.state == "LIVE"
        assert all(window.pts_end_s - window.pts_start_s < 0.8 for window in driven.windows)


@pytest.mark.parametrize(("codec", "transport"), [("h264", "tcp"), ("h265", "tcp")])
def test_switched_resolution_starts_a_new_generation(
    rtsp_server: StartServer, portrait: Path, finder: Finder, codec: str, transport: str
) -> None:
    camera = rtsp_server(codec=codec, pictures=portrait)
    with healthy_beside(rtsp_server, portrait, finder), watch(camera.url, finder, transport) as driven:
        driven.wait_windows(2)
        seen = len(driven.events)
        camera.resize(480, 270)
        assert driven.wait(MediaGap, after=seen).cause is GapCause.SIZE_CHANGED
        assert driven.wait(FaceLost, after=seen).cause is LostCause.MEDIA_GAP
        driven.wait(FaceAppeared, after=seen)
        driven.wait_windows(1)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_lost_packets_never_stop_the_stream(
    rtsp_server: StartServer, portrait: Path, finder: Finder, codec: str
) -> None:
    """Every 50th packet is lost, over UDP: faces may blink, the stream goes on, nobody else notices."""
    camera = rtsp_server(codec=codec, pictures=portrait, lose_every=50)
    with healthy_beside(rtsp_server, portrait, finder), watch(camera.url, finder, "udp") as driven:
        driven.wait_windows(4)
        assert driven.of(StreamDown) == []
        assert driven.state in ("LIVE", "NO_FACE")


@pytest.mark.parametrize("trouble", ["wrong password", "accepts and is silent", "nobody there"])
def test_camera_that_cannot_be_opened_is_told_and_tried_again(
    rtsp_server: StartServer, portrait: Path, finder: Finder, trouble: str
) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(healthy_beside(rtsp_server, portrait, finder))
        if trouble == "wrong password":
            url, code = rtsp_server(auth="basic").url_for("user:wrong"), "AUTH_FAILED"
        elif trouble == "accepts and is silent":
            url, code = f"rtsp://user:secret@127.0.0.1:{stack.enter_context(silent_port())}/live", "TIMEOUT"
        else:
            url, code = "rtsp://user:secret@127.0.0.1:9/live", "UNREACHABLE"
        driven = stack.enter_context(watch(url, finder))
        first = driven.wait(StreamDown)
        assert (first.code, first.attempt) == (code, 1)
        again = driven.wait(StreamDown, lambda down: down.attempt == 2)
        assert again.retry_in_s is not None
        assert again.retry_in_s <= 2.0
        assert driven.state == "CONNECTING"
        assert "wrong" not in str(driven.events)
        assert "secret" not in str(driven.events)
