"""What every benchmark shares: the test clip, the machine's description, the result file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

import streamguard
from streamguard.assets import asset_path
from streamguard.cores import load_openvino
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def one_face_scene(width: int = 1280, height: int = 720, face_px: float = 160.0) -> Scene:
    actor = Actor(person=PEOPLE[0], path=still(width / 2, height / 2, face_px))
    return Scene(photograph=asset_path("portrait"), width=width, height=height, actors=[actor])


def write_clip(path: Path, scene: Scene, *, seconds: float, rate_hz: int = 25) -> None:
    """H.264 as a camera sends it: no B-frames, a keyframe a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=rate_hz, options={"preset": "veryfast", "bf": "0", "g": str(rate_hz)}
        )
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.time_base = Fraction(1, rate_hz)
        for index in range(round(seconds * rate_hz)):
            frame = av.VideoFrame.from_ndarray(scene.render(index / rate_hz), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def command(*words: object) -> None:
    """One of streamguard's, on one thread; its own words on the terminal, and the end of everything if it fails."""
    print("$ streamguard", *words, file=sys.stderr, flush=True)
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "streamguard", *map(str, words)], check=True, env=alone)


def percentiles(values: list[float]) -> dict[str, float]:
    """p99 first: the mean hides what a viewer notices."""
    array = np.asarray(values)
    return {
        "p99": round(float(np.percentile(array, 99)), 4),
        "p50": round(float(np.percentile(array, 50)), 4),
        "mean": round(float(array.mean()), 4),
    }


def rss_mib() -> float:
    """Resident memory of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def save(name: str, results: dict[str, Any], out: Path | None = None) -> Path:
    """Write results with machine, versions and commit; print them too."""
    path = out or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"benchmark": name, **_about(), "results": results}, indent=2)
    path.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    return path


def _about() -> dict[str, Any]:
    return {
        "command": " ".join(["python", *_without_places(sys.argv)]),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else ""),
        "machine": {"cpu": _cpu_name(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
        "versions": {
            "streamguard": streamguard.__version__,
            "python": platform.python_version(),
            "av": av.__version__,
            "openvino": load_openvino().__version__.split("-")[0],
            "numpy": np.__version__,
        },
    }


def _without_places(words: list[str]) -> list[str]:
    """Where the result is written says nothing about it, and folders of this machine are nobody else's."""
    if "--out" in words:
        at = words.index("--out")
        words = words[:at] + words[at + 2 :]
    return [words[0].removeprefix(f"{ROOT}/"), *("FOLDER" if Path(word).is_absolute() else word for word in words[1:])]


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
