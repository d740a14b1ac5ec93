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

SECRET = "***"

_SECRET_NAME = (
    r"(?:[\w-]*(?:token|pass|secret|signature|credential|session)[\w-]*|(?:[\w-]*[-_])?key"
    r"|apikey|pwd|psw|user|username|usr|login|auth|sig|jwt|hdnea|hdnts)"
)
_IN_QUERY = re.compile(rf"(?i)((?:^|[?&;#]){_SECRET_NAME}=)[^&;#]*")
# Some recorders put it into the path: rtsp://host/user=admin_password=abc_channel=1.sdp
_IN_PATH = re.compile(r"(?i)((?:^|[/_&;])(?:user|username|password|passwd|pwd|pass)=).*?(?=[_&;][a-z]\w*?=|[/&;]|$)")
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
        return Address(kind="webcam", location=target.partition(":")[2] or "0", url=target)
    if target.lower().startswith("file://"):
        return _file(unquote(urlsplit(target).path))
    if _URL.match(target):
        return Address(kind="url", location=target, url=redacted(target))
    return _file(target)


def _file(path: str) -> Address:
    return Address(kind="file", location=str(Path(path)), url=str(Path(path)))


def redacted(url: str) -> str:
    """The URL with user, password and secret parameters replaced. Other text passes unchanged."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    rest = _without_user(rest)
    start = re.search(r"[?#]", rest)
    path, query = (rest[: start.start()], rest[start.start() :]) if start else (rest, "")
    return f"{scheme}://{_IN_PATH.sub(_keep_name, path)}{_IN_QUERY.sub(_keep_name, query)}"


def _keep_name(match: re.Match[str]) -> str:
    return match.group(1) + SECRET


def _without_user(rest: str) -> str:
    """`user:password@host/path` without the user. A password with an unescaped / ? or # is found by its odd "port"."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    odd_port = not authority.startswith("[") and re.search(r":(?!\d*$)", authority) is not None
    where = authority if "@" in authority or not odd_port else rest
    at = where.rfind("@")
    return f"{SECRET}{rest[at:]}" if at >= 0 else rest
