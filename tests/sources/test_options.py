"""FFmpeg's options: its own time limits for each protocol, low delay, TLS that checks."""

from __future__ import annotations

import pytest

from streamguard.config import SourceConfig
from streamguard.sources.options import live_options

CONFIG = SourceConfig(open_timeout_s=10.0, read_timeout_s=8.0)
READ_US = "8000000"


@pytest.mark.parametrize(
    ("scheme", "limits"),
    [
        ("rtsp", {"timeout": READ_US}),
        ("rtsps", {"timeout": READ_US}),
        ("http", {"rw_timeout": READ_US, "timeout": "10000000"}),
        ("https", {"rw_timeout": READ_US, "timeout": "10000000"}),
        ("rtmp", {"rw_timeout": READ_US}),
        ("srt", {"timeout": READ_US, "connect_timeout": "10000"}),
        ("udp", {"timeout": READ_US}),
        ("whatever", {"timeout": READ_US, "rw_timeout": READ_US}),
    ],
)
def test_every_protocol_has_its_own_limit_on_silence(scheme: str, limits: dict[str, str]) -> None:
    assert limits.items() <= live_options(scheme, CONFIG).items()


def test_rtmp_is_never_made_a_server() -> None:
    assert "timeout" not in live_options("rtmp", CONFIG)


def test_first_pictures_are_not_thrown_away() -> None:
    assert "fflags" not in live_options("rtsp", CONFIG)


def test_packets_wait_for_late_ones_only_over_udp() -> None:
    udp = live_options("rtsp", SourceConfig(rtsp_transport="udp"))
    assert (udp["rtsp_transport"], udp["reorder_queue_size"]) == ("udp", "500")
    tcp = live_options("rtsp", CONFIG)
    assert (tcp["rtsp_transport"], tcp["reorder_queue_size"]) == ("tcp", "0")


def test_encrypted_rtsp_is_never_sent_over_udp() -> None:
    assert live_options("rtsps", SourceConfig(rtsp_transport="udp"))["rtsp_transport"] == "tcp"


def test_sound_is_asked_for_only_if_wanted() -> None:
    assert live_options("rtsp", CONFIG)["allowed_media_types"] == "video"
    assert live_options("rtsp", SourceConfig(audio=True))["allowed_media_types"] == "video+audio"


@pytest.mark.parametrize("scheme", ["rtsps", "https", "rtmps"])
def test_certificates_are_checked_unless_told_otherwise(scheme: str) -> None:
    assert live_options(scheme, CONFIG)["tls_verify"] == "1"
    assert live_options(scheme, SourceConfig(tls_ca_file="/ca.pem"))["ca_file"] == "/ca.pem"
    assert live_options(scheme, SourceConfig(tls_verify=False))["tls_verify"] == "0"


def test_plain_protocols_get_no_tls_options() -> None:
    assert "tls_verify" not in live_options("rtsp", CONFIG)
