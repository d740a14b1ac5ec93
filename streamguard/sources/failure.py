"""From FFmpeg's errors to ours: one table, read in one place, with no credentials in what comes out.

Called by whoever opens or reads media. FFmpeg answers several different troubles with the same "I/O error"; `reach.py`
tells those apart.
"""

from __future__ import annotations

import errno

import av.error

from ..errors import (
    CodecUnsupported,
    CorruptMedia,
    SourceAuthFailed,
    SourceError,
    SourceNotFound,
    SourceTimeout,
    SourceUnreachable,
)

_BY_TYPE: tuple[tuple[type[Exception], type[SourceError]], ...] = (
    (av.error.HTTPUnauthorizedError, SourceAuthFailed),
    (av.error.HTTPForbiddenError, SourceAuthFailed),
    (av.error.HTTPNotFoundError, SourceNotFound),
    (av.error.HTTPServerError, SourceUnreachable),
    (av.error.ExitError, SourceTimeout),  # our own limit on opening
    (av.error.ProtocolNotFoundError, CodecUnsupported),
    (av.error.DecoderNotFoundError, CodecUnsupported),
    (av.error.DemuxerNotFoundError, CodecUnsupported),
    (av.error.PatchWelcomeError, CodecUnsupported),
    (av.error.InvalidDataError, CorruptMedia),
    (av.error.EOFError, CorruptMedia),  # while opening; the end of an open stream is no error
)

_BY_NUMBER: dict[int, type[SourceError]] = {
    errno.ETIMEDOUT: SourceTimeout,
    errno.EAGAIN: SourceTimeout,
    errno.ENOENT: SourceNotFound,
    errno.ENODEV: SourceNotFound,
    errno.ENXIO: SourceNotFound,
    errno.ECONNREFUSED: SourceUnreachable,
    errno.ECONNRESET: SourceUnreachable,
    errno.ECONNABORTED: SourceUnreachable,
    errno.EPIPE: SourceUnreachable,
    errno.EHOSTUNREACH: SourceUnreachable,
    errno.EHOSTDOWN: SourceUnreachable,
    errno.ENETUNREACH: SourceUnreachable,
    errno.ENETDOWN: SourceUnreachable,
    errno.EADDRNOTAVAIL: SourceUnreachable,
    errno.EPROTONOSUPPORT: CodecUnsupported,
    errno.ENOSYS: CodecUnsupported,
}


def source_error(url: str, error: Exception) -> SourceError:
    """Our error for one of FFmpeg's. `url` is already redacted; FFmpeg's own copy of it is taken out of `error`."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, av.error.FFmpegError):
        error.args = (error.errno, error.strerror)  # its third is the URL as it was given, password and all
        return _type_of(error)(url, error.strerror)
    return SourceError(url, type(error).__name__)


def _type_of(error: av.error.FFmpegError) -> type[SourceError]:
    for foreign, ours in _BY_TYPE:
        if isinstance(error, foreign):
            return ours
    return _BY_NUMBER.get(error.errno, SourceError)
