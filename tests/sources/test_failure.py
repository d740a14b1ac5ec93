"""The whole table from FFmpeg's errors to ours, and that no password comes along."""

from __future__ import annotations

import errno
import os
import traceback

import av.error
import pytest

from streamguard.errors import SourceError, SourceNotFound
from streamguard.sources.failure import _BY_NUMBER, _BY_TYPE, source_error

URL = "rtsp://***@cam/live"

CODES = {
    av.error.HTTPUnauthorizedError: "AUTH_FAILED",
    av.error.HTTPForbiddenError: "AUTH_FAILED",
    av.error.HTTPNotFoundError: "NOT_FOUND",
    av.error.HTTPServerError: "UNREACHABLE",
    av.error.ExitError: "TIMEOUT",
    av.error.ProtocolNotFoundError: "CODEC_UNSUPPORTED",
    av.error.DecoderNotFoundError: "CODEC_UNSUPPORTED",
    av.error.DemuxerNotFoundError: "CODEC_UNSUPPORTED",
    av.error.PatchWelcomeError: "CODEC_UNSUPPORTED",
    av.error.InvalidDataError: "CORRUPT",
    av.error.EOFError: "CORRUPT",
}
NUMBERS = {
    errno.ETIMEDOUT: "TIMEOUT",
    errno.EAGAIN: "TIMEOUT",
    errno.ENOENT: "NOT_FOUND",
    errno.ENODEV: "NOT_FOUND",
    errno.ENXIO: "NOT_FOUND",
    errno.ECONNREFUSED: "UNREACHABLE",
    errno.ECONNRESET: "UNREACHABLE",
    errno.ECONNABORTED: "UNREACHABLE",
    errno.EPIPE: "UNREACHABLE",
    errno.EHOSTUNREACH: "UNREACHABLE",
    errno.EHOSTDOWN: "UNREACHABLE",
    errno.ENETUNREACH: "UNREACHABLE",
    errno.ENETDOWN: "UNREACHABLE",
    errno.EADDRNOTAVAIL: "UNREACHABLE",
    errno.EPROTONOSUPPORT: "CODEC_UNSUPPORTED",
    errno.ENOSYS: "CODEC_UNSUPPORTED",
    errno.EIO: "SOURCE",
    errno.EACCES: "SOURCE",
}


@pytest.mark.parametrize(("foreign", "code"), CODES.items())
def test_error_by_type(foreign: type[av.error.FFmpegError], code: str) -> None:
    assert source_error(URL, foreign(1, "word")).code == code


@pytest.mark.parametrize(("number", "code"), NUMBERS.items())
def test_error_by_number(number: int, code: str) -> None:
    foreign = av.error.FFmpegError(number, os.strerror(number))
    assert source_error(URL, foreign).code == code


def test_whole_table_is_tested() -> None:
    assert {foreign for foreign, _ in _BY_TYPE} == set(CODES)
    assert set(_BY_NUMBER) <= set(NUMBERS)


def test_our_own_errors_pass_unchanged() -> None:
    error = SourceNotFound(URL)
    assert source_error(URL, error) is error


def test_password_is_in_no_message_and_no_traceback() -> None:
    foreign = av.error.InvalidDataError(1, "Invalid data", "rtsp://user:secret@cam/live")

    def fail() -> None:
        try:
            raise foreign
        except av.error.FFmpegError as error:
            raise source_error(URL, error) from error

    with pytest.raises(SourceError) as caught:
        fail()
    told = "".join(traceback.format_exception(caught.value))
    assert "Invalid data" in told
    assert "secret" not in told + repr(caught.value) + repr(foreign)


def test_unknown_error_tells_its_type_only() -> None:
    assert "secret" not in str(source_error(URL, ValueError("secret")))
