"""Real servers for real tests. Where one cannot be started the test is skipped, or fails if it is required.

`rtsp_server` starts servers and stops them after the test:

    camera = rtsp_server(codec="h265")
    with open_source(camera.url) as source: ...
    camera.pause(); camera.resume(); camera.resize(320, 240); camera.kill(); camera.restart()
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NoReturn

import pytest
from PIL import Image

from streamguard.assets import asset_path
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still

SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that Debian's GStreamer bindings are installed for."""
START_S = 30.0


def cannot(reason: str) -> NoReturn:
    """A real server or program is missing: skip, unless STREAMGUARD_REQUIRE_REAL says that it must be there."""
    if os.environ.get("STREAMGUARD_REQUIRE_REAL") == "1":
        pytest.fail(f"STREAMGUARD_REQUIRE_REAL=1, and {reason}")
    pytest.skip(reason)


class RtspServer:
    """A camera at `url`, on the loopback. After `restart` it listens on the same port."""

    def __init__(
        self,
        *,
        codec: Literal["h264", "h265"] = "h264",
        auth: Literal["basic", "digest"] | None = None,
        user: str = "user:pass",
        certificate: Path | None = None,
        lose_every: int = 0,
        pattern: str = "ball",
        pictures: Path | None = None,
        sound: bool = False,
    ) -> None:
        self._arguments = ["--codec", codec, "--user", user, "--lose-every", str(lose_every)]
        self._arguments += ["--pattern", pattern]
        self._arguments += ["--auth", auth] if auth else []
        self._arguments += ["--certificate", str(certificate)] if certificate else []
        self._arguments += ["--pictures", str(pictures)] if pictures else []
        self._arguments += ["--sound"] if sound else []
        self._scheme = "rtsps" if certificate else "rtsp"
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self.restart()

    @property
    def url(self) -> str:
        return self.url_for()

    def url_for(self, user: str = "", path: str = "live") -> str:
        """`user` is "name:password"."""
        return f"{self._scheme}://{user}{'@' if user else ''}127.0.0.1:{self.port}/{path}"

    def pause(self) -> None:
        """No more pictures; connections stay open, as with a frozen camera."""
        self._command("pause")

    def resume(self) -> None:
        self._command("resume")

    def resize(self, width: int, height: int) -> None:
        self._command(f"resize {width}x{height}")

    def kill(self) -> None:
        """Like a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def restart(self) -> None:
        self.kill()
        script = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(script), "--port", str(self.port), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        word, _, port = self._answer().partition(" ")
        if word != "ready":
            self.kill()
            cannot("the RTSP server (GStreamer's gi bindings) does not start")
        self.port = int(port)

    def _command(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return self._process.stdout.readline().strip() if selector.select(START_S) else ""


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    """Starts RTSP servers; see RtspServer for what they can do."""
    started: list[RtspServer] = []

    def start(**options: object) -> RtspServer:
        if not Path(SYSTEM_PYTHON).exists():
            cannot(f"{SYSTEM_PYTHON} does not exist")
        started.append(RtspServer(**options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a talking head, as pictures that the server codes and plays over and over."""
    folder = tmp_path_factory.mktemp("portrait")
    actor = Actor(person=PEOPLE[0], path=still(320, 180, 110))
    scene = Scene(photograph=asset_path("portrait"), width=640, height=360, actors=[actor])
    for index in range(100):
        Image.fromarray(scene.render(index / 25)).save(folder / f"{index:05d}.jpg", quality=92)
    return folder
