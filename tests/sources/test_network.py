"""What goes wrong with URLs, each over a real socket on the loopback, and what a URL that works gives."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from streamguard.config import SourceConfig
from streamguard.errors import CodecUnsupported
from streamguard.events import EndOfStream, StreamDown, StreamUp
from streamguard.sources import Item, open_source
from streamguard.values import Frame

from .scripted import PATIENCE_S, write_video
from .servers import closed_port, http_server, make_certificate, silent_port
from .test_file import write_sound

QUICK = SourceConfig(open_timeout_s=0.5, read_timeout_s=0.5)


def first_down(url: str, config: SourceConfig = QUICK) -> StreamDown:
    with open_source(url, config) as source:
        item = source.read(PATIENCE_S)
        while item is None:
            item = source.read(PATIENCE_S)
    assert isinstance(item, StreamDown), item
    return item


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https", "rtmp"])
def test_server_that_never_answers_is_a_timeout(scheme: str) -> None:
    with silent_port() as port:
        down = first_down(f"{scheme}://127.0.0.1:{port}/live/x")
    assert down.code == "TIMEOUT"
    assert down.retry_in_s is not None


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https", "rtmp"])
def test_port_where_nobody_listens_is_unreachable(scheme: str) -> None:
    assert first_down(f"{scheme}://127.0.0.1:{closed_port()}/live/x").code == "UNREACHABLE"


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_unknown_host_is_unreachable(scheme: str) -> None:
    down = first_down(f"{scheme}://no-such-host.invalid/live")
    assert down.code == "UNREACHABLE"


@pytest.mark.parametrize(
    ("status", "code"), [(401, "AUTH_FAILED"), (403, "AUTH_FAILED"), (404, "NOT_FOUND"), (503, "UNREACHABLE")]
)
def test_http_status(tmp_path: Path, status: int, code: str) -> None:
    with http_server(tmp_path) as port:
        assert first_down(f"http://127.0.0.1:{port}/status/{status}").code == code


def test_protocol_that_ffmpeg_lacks_is_not_tried_again() -> None:
    with open_source("nonsense://cam/live") as source:
        down = source.read(PATIENCE_S)
        assert isinstance(down, StreamDown)
        assert (down.code, down.retry_in_s) == ("CODEC_UNSUPPORTED", None)
        with pytest.raises(CodecUnsupported):
            source.read(PATIENCE_S)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav")
    with http_server(tmp_path) as port:
        down = first_down(f"http://127.0.0.1:{port}/a.wav")
    assert (down.code, down.retry_in_s) == ("NO_VIDEO", None)


def test_page_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>" * 1000)
    with http_server(tmp_path) as port:
        assert first_down(f"http://127.0.0.1:{port}/index.html").code == "CORRUPT"


def test_recording_over_http_loses_nothing_and_ends(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=60)
    items = []
    with (
        http_server(tmp_path) as port,
        open_source(f"http://127.0.0.1:{port}/a.mp4", SourceConfig(queue_frames=1)) as source,
    ):
        for item in source:
            items.append(item)
            time.sleep(0.002)  # a slow reader
    assert isinstance(items[0], StreamUp)
    assert sum(isinstance(item, Frame) for item in items) == 60
    assert items[-1] == EndOfStream(frames=60)


def test_list_of_segments_over_http_ends(tmp_path: Path) -> None:
    for index in range(2):
        write_video(tmp_path / f"{index}.ts", frames=25, pts=lambda i, index=index: 25 * index + i)  # type: ignore[misc]
    segments = "".join(f"#EXTINF:1.0,\n{index}.ts\n" for index in range(2))
    playlist = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{segments}#EXT-X-ENDLIST\n"
    (tmp_path / "live.m3u8").write_text(playlist)
    with http_server(tmp_path) as port, open_source(f"http://127.0.0.1:{port}/live.m3u8") as source:
        items = list(source)
    assert sum(isinstance(item, Frame) for item in items) == 50
    assert isinstance(items[-1], EndOfStream)


def test_endless_stream_that_ends_was_cut_off(tmp_path: Path) -> None:
    write_video(tmp_path / "a.h264", frames=20)
    with http_server(tmp_path) as port, open_source(f"http://127.0.0.1:{port}/a.h264") as source:
        items: list[Item | None] = []
        while not (items and isinstance(items[-1], StreamDown)):
            items.append(source.read(PATIENCE_S))
    assert isinstance(items[-1], StreamDown)
    assert items[-1].code == "DISCONNECTED"
    assert any(isinstance(item, Frame) for item in items)


def test_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    write_video(tmp_path / "a.mp4")
    with http_server(tmp_path, certificate) as port:
        down = first_down(f"https://127.0.0.1:{port}/a.mp4", SourceConfig())
    assert down.code == "TLS_FAILED"
    assert "self-signed" in down.message


def test_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, host="camera.example")
    write_video(tmp_path / "a.mp4")
    with http_server(tmp_path, certificate) as port:
        config = SourceConfig(tls_ca_file=str(tmp_path / "certificate.pem"))
        assert first_down(f"https://127.0.0.1:{port}/a.mp4", config).code == "TLS_FAILED"


@pytest.mark.parametrize("trusted", [True, False])
def test_trusted_certificate_or_no_check_is_accepted(tmp_path: Path, trusted: bool) -> None:
    certificate = make_certificate(tmp_path)
    write_video(tmp_path / "a.mp4")
    config = SourceConfig(tls_ca_file=str(tmp_path / "certificate.pem")) if trusted else SourceConfig(tls_verify=False)
    with (
        http_server(tmp_path, certificate) as port,
        open_source(f"https://127.0.0.1:{port}/a.mp4", config) as source,
    ):
        assert isinstance(source.read(PATIENCE_S), StreamUp)


def test_no_credential_is_in_events_repr_logs_or_thread_names(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"rtsp://user:secret@127.0.0.1:{closed_port()}/live?token=secret"
    with open_source(url, QUICK) as source:
        down = source.read(PATIENCE_S)
        assert "secret" not in f"{source!r} {source.url} {down}"
    assert caplog.records
    assert "secret" not in caplog.text
