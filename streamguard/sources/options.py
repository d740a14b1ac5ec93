"""Which of FFmpeg's options open a live URL: low delay, FFmpeg's own time limits, and TLS that really checks.

Pure. Called by `live.py` for each connection.
"""

from __future__ import annotations

import ssl

from ..config import SourceConfig

_RTSP = ("rtsp", "rtsps")
_HTTP = ("http", "https")
_RTMP = ("rtmp", "rtmps", "rtmpt", "rtmpe")
_TLS = ("rtsps", "https", "rtmps", "tls")


def live_options(scheme: str, config: SourceConfig) -> dict[str, str]:
    """FFmpeg's options for one live URL. Options that a protocol does not know are ignored by FFmpeg."""
    options = {
        # Look at what is sent for no longer than needed. Not `nobuffer`: it throws away what was looked at, so the
        # first picture comes a whole keyframe interval later (measured: 2.1 s instead of 0.4 s).
        "probesize": "1000000",
        "analyzeduration": "1000000" if scheme in _RTSP else "2000000",
        "fpsprobesize": "0",
        **_limits(scheme, config),
    }
    if scheme in _RTSP:
        options |= _rtsp(scheme, config)
    if scheme in _TLS:
        options |= _tls(config)
    return options


def _limits(scheme: str, config: SourceConfig) -> dict[str, str]:
    """FFmpeg's own limits on silence, in microseconds. RTSP has one for connecting and reading."""
    read_us = str(round(config.read_timeout_s * 1e6))
    if scheme in _RTSP:
        return {"timeout": read_us}
    if scheme in _RTMP:
        return {"rw_timeout": read_us}  # its `timeout` means: be a server
    if scheme in _HTTP or scheme == "tcp":
        return {"rw_timeout": read_us, "timeout": str(round(config.open_timeout_s * 1e6))}
    if scheme == "srt":
        return {"timeout": read_us, "connect_timeout": str(round(config.open_timeout_s * 1e3))}
    if scheme in ("udp", "rtp"):
        return {"timeout": read_us, "rw_timeout": read_us, "overrun_nonfatal": "1", "buffer_size": "2097152"}
    return {"rw_timeout": read_us, "timeout": read_us}


def _rtsp(scheme: str, config: SourceConfig) -> dict[str, str]:
    transport = "tcp" if scheme == "rtsps" else config.rtsp_transport  # over UDP only the handshake would be encrypted
    options = {
        "rtsp_transport": transport,
        "allowed_media_types": "video+audio" if config.audio else "video",
    }
    if transport == "udp":
        # A packet that is this late is lost; until then the ones after it wait.
        return options | {"max_delay": "200000", "reorder_queue_size": "500", "buffer_size": "2097152"}
    return options | {"reorder_queue_size": "0"}


def _tls(config: SourceConfig) -> dict[str, str]:
    if not config.tls_verify:
        return {"tls_verify": "0"}
    # The FFmpeg in PyAV's wheels knows no system store of its own: name Python's.
    ca_file = config.tls_ca_file or ssl.get_default_verify_paths().cafile
    return {"tls_verify": "1", **({"ca_file": ca_file} if ca_file else {})}
