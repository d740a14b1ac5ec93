"""What a target means (file, webcam, URL), and how to name it without giving away its credentials.

Every name of a source that leaves this folder, in events, errors, logs and reprs, went through `redacted`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from ..errors import SourceNotFound

SECRET = "***"

_HARMLESS = re.compile(
    r"(?i)audio|bitrate|buffer_size|camera|channel|codec|fifo_size|format|fps|height|latency|mode|overrun_nonfatal"
    r"|pkt_size|profile|proto|quality|rate|resolution|rtsp_transport|size|subtype|t|tcp|timeout|transport|transtype|ttl"
    r"|udp|unicast|video|width"
)
"""Options whose values may be shown. No list of secret names would ever be whole."""
_PLAIN = re.compile(r"[\w.:-]{0,16}")

_PREFIX = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+:)+/{1,2}|//")
"""As of a URL, or of what was meant to be one: `rtsp:/`, `async:http://`, `//`."""
_COLON, _AT = re.compile(r":(?!\\)|%(?:25)*3[Aa]"), re.compile(r"@|%(?:25)*40")
_BETWEEN = re.compile(r"([\s/|]+)")
MOST_SHOWN = 2000
"""Longer than this no address is; the rest is cut off, so that hostile text costs no time."""
_OPTION = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#]*)(?P<equals>=?)(?P<value>[^&;#]*)")
_RTMP_OPTION = re.compile(r"(?P<before>\s)(?P<name>[\w.:-]+)(?P<equals>=)(?P<value>\S*)")
# Some recorders put it into the path: rtsp://host/user=admin_password=abc_channel=1.sdp
_IN_PATH = re.compile(
    r"(?i)((?:^|[/_&;])(?:user|username|password|passwd|pwd|pass|token|key|secret|auth|sig)=).*?(?=[_&;][a-z]\w*?=|[/&;\s]|$)"
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Address:
    """Where pictures come from. `location` is for FFmpeg only: it may hold a password."""

    kind: Literal["file", "webcam", "url"]
    location: str
    url: str
    """The same, to be shown."""

    def __post_init__(self) -> None:
        # A name may hold bytes that are no text, and events are UTF-8.
        object.__setattr__(self, "url", self.url.encode("utf-8", "backslashreplace").decode())

    def __repr__(self) -> str:
        return f"Address({self.kind}, {self.url})"

    @property
    def scheme(self) -> str:
        return urlsplit(self.location).scheme.lower() if self.kind == "url" else ""

    @property
    def host_and_port(self) -> tuple[str, int] | None:
        """Whom to call over TCP; None where the scheme is another."""
        if self.scheme not in _PORTS:
            return None
        try:
            parts = urlsplit(self.location)
            port = parts.port or _PORTS[self.scheme]
        except ValueError:
            return None
        return (parts.hostname, port) if parts.hostname else None


_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}


def address_of(target: str | os.PathLike[str]) -> Address:
    """`webcam`, `webcam:1`, `webcam:/dev/video2`, `scheme://...`, or else a path."""
    if isinstance(target, os.PathLike):
        return _file(os.fspath(target))
    if target == "webcam" or target.startswith("webcam:"):
        return Address(kind="webcam", location=target.partition(":")[2] or "0", url=redacted(target))
    if target.lower().startswith("file://"):
        return _file(unquote(urlsplit(target).path))
    if _URL.match(target):
        _check_host(target)
        return Address(kind="url", location=target, url=redacted(target))
    return _file(target)


def _check_host(url: str) -> None:
    """A host that cannot be one would otherwise be tried again and again."""
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("[") and "]" not in host:
        raise SourceNotFound(redacted(url), "the bracket of its IPv6 host is not closed")
    port = host.rpartition("]")[2].rpartition(":")[2]
    if port.isdecimal() and ":" in host and int(port[:9]) > 65535:
        raise SourceNotFound(redacted(url), f"port {port[:9]} is above 65535")


def _file(path: str) -> Address:
    return Address(kind="file", location=str(Path(path)), url=redacted(str(Path(path))))


def redacted(url: str) -> str:
    """The URL with user, password and all but harmless parameters replaced.

    Of other text, such as a path, `user:password@` and `?name=value` are replaced too: it may be a mistyped URL.
    """
    if len(url) > MOST_SHOWN:
        url = url[:MOST_SHOWN] + "..."
    prefix = _PREFIX.match(url)
    if prefix is None:
        path, mark, query = _without_logins(url).partition("?")
        return path + _OPTION.sub(_without_stated_value, mark + query)
    rest = _without_user(url[prefix.end() :])
    start = re.search(r"[?#]", rest)
    path, query = (rest[: start.start()], rest[start.start() :]) if start else (rest, "")
    path = _IN_PATH.sub(_keep_name, _RTMP_OPTION.sub(_without_value, _without_logins(path)))
    return prefix.group() + path + _OPTION.sub(_without_value, query)


def _keep_name(match: re.Match[str]) -> str:
    return match.group(1) + SECRET


def _without_logins(text: str) -> str:
    """Each `user:password@` between slashes, also percent-encoded, and each `name@` right after `//`."""
    pieces = _BETWEEN.split(text)
    for i in range(0, len(pieces), 2):
        ats = list(_AT.finditer(pieces[i]))
        if ats:
            login = pieces[i][: ats[-1].start()]
            if _COLON.search(login) or (i and pieces[i - 1].endswith("//")):
                pieces[i] = SECRET + pieces[i][ats[-1].start() :]
    return "".join(pieces)


def _without_value(match: re.Match[str]) -> str:
    before, name, equals, value = match.group("before", "name", "equals", "value")
    if not (name or value) or (_HARMLESS.fullmatch(name) and _PLAIN.fullmatch(value)):
        return match.group()
    return f"{before}{name}={SECRET}" if equals else before + SECRET


def _without_stated_value(match: re.Match[str]) -> str:
    return _without_value(match) if match["equals"] else match.group()


def _without_user(rest: str) -> str:
    """`user:password@host/path` without the user. A password with an unescaped / ? or # is found by its odd "port"."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    odd_port = not authority.startswith("[") and re.search(r":(?!\d*$)", authority) is not None
    where = authority if "@" in authority or not odd_port else rest
    at = where.rfind("@")
    return f"{SECRET}{rest[at:]}" if at >= 0 else rest
