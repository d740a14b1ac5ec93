"""RTSP as it is in the world: frames on pace, and cameras that die, freeze, lie, or change their minds.

Beside each trouble runs a healthy camera, which must not lose a frame.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamguard.config import SourceConfig
from streamguard.events import StreamDown, StreamUp
from streamguard.sources import open_source
from streamguard.values import AudioChunk, Frame, GapCause

from ..sources.servers import make_certificate, silent_port
from .conftest import RtspServer
from .watching import Watched, pace

pytestmark = pytest.mark.real

StartServer = Callable[..., RtspServer]

ALL = [("h264", "tcp"), ("h264", "udp"), ("h265", "tcp"), ("h265", "udp")]
TWO = [("h264", "tcp"), ("h265", "udp")]
QUICK = {"open_timeout_s": 4.0, "read_timeout_s": 2.5, "longest_retry_s": 2.0}
"""Limits that a test can wait for."""


def watch(camera: RtspServer, transport: str = "tcp", **settings: object) -> Watched:
    config = SourceConfig(rtsp_transport=transport, **{**QUICK, **settings})  # type: ignore[arg-type]
    return Watched(open_source(camera.url, config))


@contextlib.contextmanager
def healthy_beside(rtsp_server: StartServer) -> Iterator[None]:
    """A second stream, watched over all that happens to the first: it must not lose a frame."""
    with watch(rtsp_server()) as neighbour:
        neighbour.wait_frames(40)  # its burst at the start may be cut
        first, dropped = len(neighbour.frames), neighbour.source.statistics().frame_queue.dropped
        yield
        neighbour.wait_frames(5)
        frames = neighbour.frames[first:]
        assert neighbour.source.statistics().frame_queue.dropped == dropped
        assert not neighbour.downs
        assert all(frame.gap is None for frame in frames)
        assert all(later.pts_s - earlier.pts_s < 0.06 for earlier, later in pairwise(frames))


@pytest.mark.parametrize(("codec", "transport"), ALL)
def test_frames_come_on_pace(rtsp_server: StartServer, codec: str, transport: str) -> None:
    with watch(rtsp_server(codec=codec), transport) as camera:
        up = camera.wait(StreamUp)
        assert (up.width, up.height, up.codec) == (640, 360, "hevc" if codec == "h265" else "h264")
        camera.wait_frames(100)
        frames = camera.frames
        assert frames[0].pts_s < 1.0
        assert all(0.02 < later.pts_s - earlier.pts_s < 0.06 for earlier, later in pairwise(frames[15:]))
        assert pace(frames[15:]) == pytest.approx(1.0, abs=0.25)
        assert all(frame.gap is None for frame in frames)
        assert camera.source.statistics().decoded.corrupt_frames == 0


def test_first_picture_is_whole(rtsp_server: StartServer) -> None:
    """Joined between two keyframes: no grey, no smear."""
    server = rtsp_server()
    with watch(server) as first:
        first.wait_frames(40)
        with watch(server) as second:
            picture = second.wait(Frame).picture
    # The pattern is a white ball on black.
    middle = np.mean((picture.y > 40) & (picture.y < 210))
    assert middle < 0.02


def test_sender_wall_clock_is_known_after_its_first_report(rtsp_server: StartServer) -> None:
    with watch(rtsp_server()) as camera:
        frame = camera.wait(Frame, lambda frame: frame.utc_s is not None)
        assert frame.utc_s == pytest.approx(time.time(), abs=60.0)


def test_sound_comes_with_the_picture(rtsp_server: StartServer) -> None:
    with watch(rtsp_server(sound=True), audio=True) as camera:
        camera.wait_frames(75)
        chunks = [item for item in camera.items if isinstance(item, AudioChunk)]
        seconds = sum(len(chunk.samples) for chunk in chunks) / AudioChunk.RATE_HZ
        assert seconds == pytest.approx(chunks[-1].pts_s - chunks[0].pts_s, abs=0.3)
        assert abs(chunks[-1].pts_s - camera.frames[-1].pts_s) < 0.7


@pytest.mark.parametrize(("codec", "transport"), ALL)
def test_camera_that_is_restarted_comes_back(rtsp_server: StartServer, codec: str, transport: str) -> None:
    server = rtsp_server(codec=codec)
    with healthy_beside(rtsp_server), watch(server, transport) as camera:
        camera.wait_frames(30)
        last = camera.frames[-1]
        seen = len(camera.items)
        server.kill()
        down = camera.wait(StreamDown, after=seen)
        assert down.code in ("DISCONNECTED", "TIMEOUT", "UNREACHABLE")
        server.restart()
        up = camera.wait(StreamUp, after=seen)
        back = camera.wait(Frame, lambda frame: frame.gap is not None, after=seen)
        assert up.outage_s is not None
        assert back.gap is GapCause.RECONNECTED
        last = [frame for frame in camera.frames if frame.arrival_s < back.arrival_s][-1]
        assert back.pts_s - last.pts_s == pytest.approx(back.arrival_s - last.arrival_s, abs=0.5)
        camera.wait_frames(25)
        assert camera.source.statistics().reconnects == 1


@pytest.mark.parametrize(("codec", "transport"), TWO)
def test_camera_that_freezes_for_5_s_goes_on(rtsp_server: StartServer, codec: str, transport: str) -> None:
    """With the limits as they come (8 s), nothing is torn down: media time simply jumps."""
    server = rtsp_server(codec=codec)
    with healthy_beside(rtsp_server):
        config = SourceConfig(rtsp_transport=transport)  # type: ignore[arg-type]
        with Watched(open_source(server.url, config)) as camera:
            camera.wait_frames(30)
            seen = len(camera.items)
            server.pause()
            time.sleep(5.0)  # the freeze itself
            server.resume()
            camera.wait_frames(30)
            steps = [later.pts_s - earlier.pts_s for earlier, later in pairwise(camera.frames)]
            assert 4.5 < max(steps) < 8.0
            assert not camera.downs
            assert all(frame.gap is None for frame in camera.frames)
            assert len(camera.items) > seen


@pytest.mark.parametrize(("codec", "transport"), TWO)
def test_camera_that_freezes_for_longer_is_opened_again(rtsp_server: StartServer, codec: str, transport: str) -> None:
    server = rtsp_server(codec=codec)
    with healthy_beside(rtsp_server), watch(server, transport) as camera:
        camera.wait_frames(30)
        seen = len(camera.items)
        server.pause()
        assert camera.wait(StreamDown, after=seen).code == "TIMEOUT"
        server.resume()
        up = camera.wait(StreamUp, after=seen)
        assert up.outage_s is not None
        assert up.outage_s > 2.0
        assert camera.wait(Frame, lambda frame: frame.gap is GapCause.RECONNECTED, after=seen)
        camera.wait_frames(25)


@pytest.mark.parametrize(("codec", "transport"), ALL)
def test_size_may_change(rtsp_server: StartServer, codec: str, transport: str) -> None:
    server = rtsp_server(codec=codec)
    with watch(server, transport) as camera:
        camera.wait_frames(30)
        seen = len(camera.items)
        server.resize(320, 240)
        small = camera.wait(Frame, lambda frame: frame.picture.width == 320, after=seen)
        assert small.picture.height == 240
        camera.wait_frames(25)
        assert {(f.picture.width, f.picture.height) for f in camera.frames} == {(640, 360), (320, 240)}
        times = [frame.pts_s for frame in camera.frames]
        assert all(later > earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_lost_packets_cost_pictures_not_the_stream(rtsp_server: StartServer, codec: str) -> None:
    """Every 50th packet is lost, over UDP. H.264 flags the torn pictures; H.265 shows none until its next keyframe."""
    server = rtsp_server(codec=codec, lose_every=50, pattern="snow")
    with healthy_beside(rtsp_server), watch(server, "udp", queue_frames=50) as camera:
        camera.wait_frames(150)
        assert not camera.downs
        frames = camera.frames
        assert all(frame.gap is None for frame in frames)
        steps = [later.pts_s - earlier.pts_s for earlier, later in pairwise(frames)]
        assert min(steps) > 0.02
        assert 3 <= sum(step > 0.06 for step in steps) <= 30
        assert max(steps) < 1.2  # a keyframe comes every second
        assert pace(frames[15:]) == pytest.approx(1.0, abs=0.25)
        if codec == "h264":
            assert camera.source.statistics().decoded.corrupt_frames > 0


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_password(rtsp_server: StartServer, auth: str) -> None:
    server = rtsp_server(auth=auth, user="user:p@ss1")
    right = Watched(open_source(server.url_for("user:p%40ss1"), SourceConfig(**QUICK)))  # type: ignore[arg-type]
    wrong = Watched(open_source(server.url_for("user:secret")))
    with right, wrong:
        right.wait_frames(10)
        down = wrong.wait(StreamDown)
        assert down.code == "AUTH_FAILED"
        assert down.retry_in_s is not None
        assert down.retry_in_s >= 15.0
        assert "secret" not in repr(down)


def test_path_that_does_not_exist(rtsp_server: StartServer) -> None:
    with Watched(open_source(rtsp_server().url_for(path="nothing"))) as camera:
        down = camera.wait(StreamDown)
        assert down.code == "NOT_FOUND"
        assert down.retry_in_s is not None


def test_port_that_accepts_and_never_answers(rtsp_server: StartServer) -> None:
    with healthy_beside(rtsp_server), silent_port() as port:
        config = SourceConfig(**QUICK)  # type: ignore[arg-type]
        with Watched(open_source(f"rtsp://127.0.0.1:{port}/live", config)) as camera:
            assert camera.wait(StreamDown, lambda down: down.attempt == 2).code == "TIMEOUT"
            assert camera.source.statistics().abandoned_threads == 0


def test_camera_that_is_dead_at_the_start_comes_up_later(rtsp_server: StartServer) -> None:
    server = rtsp_server()
    server.kill()
    with healthy_beside(rtsp_server), watch(server) as camera:
        assert camera.wait(StreamDown).code == "UNREACHABLE"
        server.restart()
        assert camera.wait(StreamUp).outage_s is None
        camera.wait_frames(10)


def test_certificate_is_checked(rtsp_server: StartServer, tmp_path: Path) -> None:
    server = rtsp_server(certificate=make_certificate(tmp_path))
    trusting = Watched(open_source(server.url, SourceConfig(tls_ca_file=str(tmp_path / "certificate.pem"))))
    careless = Watched(open_source(server.url, SourceConfig(tls_verify=False)))
    careful = Watched(open_source(server.url))
    with trusting, careless, careful:
        trusting.wait_frames(5)
        careless.wait_frames(5)
        down = careful.wait(StreamDown)
        assert down.code == "TLS_FAILED"
        assert not careful.frames


def test_close_is_prompt_while_a_server_is_silent() -> None:
    with silent_port() as port, socket.create_connection(("127.0.0.1", port)):
        source = open_source(f"rtsp://127.0.0.1:{port}/live")
        assert source.read(0.2) is None
        started_s = time.monotonic()
        source.close()
        assert time.monotonic() - started_s < 5.0  # FFmpeg's own limit would be 8 s
