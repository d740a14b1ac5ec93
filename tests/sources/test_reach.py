"""One vague error from FFmpeg, told apart by asking again."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamguard.config import SourceConfig
from streamguard.errors import (
    CorruptMedia,
    SourceAuthFailed,
    SourceError,
    SourceTimeout,
    SourceTLSFailed,
    SourceUnreachable,
)
from streamguard.sources.address import address_of
from streamguard.sources.reach import better_told

from .servers import closed_port, http_server, make_certificate, silent_port

CONFIG = SourceConfig(open_timeout_s=1.0)


def told(url: str, error: SourceError) -> SourceError:
    return better_told(error, address_of(url), CONFIG)


def test_unknown_host() -> None:
    assert isinstance(told("rtsp://no-such-host.invalid/x", SourceError("x")), SourceUnreachable)


def test_nobody_at_that_port() -> None:
    error = told(f"rtsp://127.0.0.1:{closed_port()}/x", SourceTimeout("x"))
    assert isinstance(error, SourceUnreachable)
    assert "ECONNREFUSED" in str(error)


def test_somebody_who_does_not_answer_stays_a_timeout() -> None:
    with silent_port() as port:
        error = SourceTimeout("x")
        assert told(f"rtsps://127.0.0.1:{port}/x", error) is error


def test_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    with http_server(tmp_path, make_certificate(tmp_path)) as port:
        assert isinstance(told(f"https://127.0.0.1:{port}/x", SourceError("x")), SourceTLSFailed)


def test_plain_server_behind_an_encrypted_url(tmp_path: Path) -> None:
    with http_server(tmp_path) as port:
        assert isinstance(told(f"https://127.0.0.1:{port}/x", SourceError("x")), SourceTLSFailed)


@pytest.mark.parametrize("error", [SourceAuthFailed("x"), CorruptMedia("x")])
def test_clear_error_is_not_asked_about(error: SourceError) -> None:
    assert told("rtsp://no-such-host.invalid/x", error) is error


def test_udp_is_never_knocked_at() -> None:
    error = SourceTimeout("x")
    assert told("udp://239.0.0.1:1234", error) is error
