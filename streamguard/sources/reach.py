"""Why could it not be opened? FFmpeg says "I/O error" for an unknown host, for an untrusted certificate and for more.

Called on a decoder thread after a live URL failed to open: asks the name server, knocks at the port, tries the TLS
handshake, and gives the error that fits best.
"""

from __future__ import annotations

import errno
import socket
import ssl

from ..config import SourceConfig
from ..errors import SourceDisconnected, SourceError, SourceTimeout, SourceTLSFailed, SourceUnreachable
from .address import Address

_TLS = ("rtsps", "https", "rtmps")
_KNOCK_S = 2.0


def better_told(error: SourceError, address: Address, config: SourceConfig) -> SourceError:
    """The error that fits best; `error` itself where nothing better is known."""
    whom = address.host_and_port
    vague = type(error) in (SourceError, SourceTimeout, SourceDisconnected)
    if whom is None or not vague:
        return error
    try:
        with socket.create_connection(whom, min(_KNOCK_S, config.open_timeout_s)) as knocked:
            if address.scheme in _TLS and not isinstance(error, SourceTimeout):
                _shake_hands(knocked, whom[0], config)
    except ssl.SSLError as refused:
        return SourceTLSFailed(address.url, _reason(refused))
    except socket.gaierror:
        return SourceUnreachable(address.url, "unknown host")
    except OSError as refused:
        return SourceUnreachable(address.url, errno.errorcode.get(refused.errno or 0, "no answer"))
    return error


def _shake_hands(connection: socket.socket, host: str, config: SourceConfig) -> None:
    context = ssl.create_default_context(cafile=config.tls_ca_file)
    if not config.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.wrap_socket(connection, server_hostname=host).close()


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or "handshake failed"
