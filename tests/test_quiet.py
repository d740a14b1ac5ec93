"""Nobody is called: whatever watches people must not report home, nor leave traces beside what it was told to write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from streamguard.config import home_folder

ROOT = Path(__file__).parent.parent

WATCHED = """
import socket, sys
def refuse(*address):
    raise SystemExit(f"connects to {address}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from streamguard.engine.open_backend import open_backend
from streamguard.bundle import open_bundle
from streamguard.faces.detector import open_detector, open_mesher
open_detector(), open_mesher()
open_backend(open_bundle()).close()
assert sys.modules["openvino"]
assert sys.modules["openvino_telemetry"] is None
print("quiet")
"""


def test_running_networks_connects_to_nobody_and_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "STREAMGUARD_HOME": str(home_folder())}
    done = subprocess.run([sys.executable, "-c", WATCHED], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "quiet\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_openvino_is_imported_in_one_place_only() -> None:
    """Where its telemetry is kept out."""
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("streamguard", "export", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"^ *(import openvino\b(?!\.)|from openvino import)", runtime(path), flags=re.M)
    ]
    assert found == ["streamguard/cores.py"]


def runtime(path: Path) -> str:
    """The source without its block for type checkers."""
    return re.sub(r"^if TYPE_CHECKING:\n(?:    .*\n|\n)+", "", path.read_text(encoding="utf-8"), flags=re.M)
