"""What targets mean, and that no credential is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamguard.sources.address import address_of, redacted


@pytest.mark.parametrize(
    ("target", "kind", "location"),
    [
        ("clip.mp4", "file", "clip.mp4"),
        ("odd:name.mp4", "file", "odd:name.mp4"),
        ("file:///tmp/a%20b.mp4", "file", "/tmp/a b.mp4"),
        (Path("/tmp/a.mp4"), "file", "/tmp/a.mp4"),
        ("webcam", "webcam", "0"),
        ("webcam:1", "webcam", "1"),
        ("webcam:/dev/video2", "webcam", "/dev/video2"),
        ("rtsp://cam/live", "url", "rtsp://cam/live"),
        ("srt://cam:9000?mode=caller", "url", "srt://cam:9000?mode=caller"),
    ],
)
def test_target_means(target: str | Path, kind: str, location: str) -> None:
    address = address_of(target)
    assert (address.kind, address.location) == (kind, location)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:secret@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://user@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:p@secret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec/ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec?ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:sec#ret@cam/live", "rtsp://***@cam/live"),
        ("rtsp://[::1]:8554/live", "rtsp://[::1]:8554/live"),
        ("rtsp://user:secret@[::1]:8554/live", "rtsp://***@[::1]:8554/live"),
        ("http://cam/at@home.m3u8", "http://cam/at@home.m3u8"),
        ("https://cam/l.m3u8?token=secret&quality=2", "https://cam/l.m3u8?token=***&quality=2"),
        ("https://cam/l?quality=2&access_token=se_cret==", "https://cam/l?quality=2&access_token=***"),
        ("https://cam/l?PASSWORD=secret#key=secret", "https://cam/l?PASSWORD=***#key=***"),
        ("https://cam/l?X-Amz-Signature=secret&a=1", "https://cam/l?X-Amz-Signature=***&a=1"),
        ("srt://cam:9?passphrase=secret", "srt://cam:9?passphrase=***"),
        ("https://cam/l?api_key=secret;sig=secret", "https://cam/l?api_key=***;sig=***"),
        ("rtsp://cam/user=secret_password=secret_channel=1.sdp", "rtsp://cam/user=***_password=***_channel=1.sdp"),
        ("rtsp://cam/user=secret&password=secret&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("https://cam/l?monkey=1&tone=2", "https://cam/l?monkey=1&tone=2"),
        ("/home/me/key=1.mp4", "/home/me/key=1.mp4"),
    ],
)
def test_credentials_are_never_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert redacted(shown) == shown


def test_repr_of_an_address_shows_no_password() -> None:
    assert "secret" not in repr(address_of("rtsp://user:secret@cam/live?token=secret"))


@pytest.mark.parametrize(
    ("url", "whom"),
    [
        ("rtsp://cam/live", ("cam", 554)),
        ("https://cam:8443/l", ("cam", 8443)),
        ("udp://239.0.0.1:1234", None),
        ("rtsp://cam:notaport/live", None),
    ],
)
def test_whom_to_call(url: str, whom: tuple[str, int] | None) -> None:
    assert address_of(url).host_and_port == whom
