"""What does StreamGuard's pipeline cost above the bare work? CPU per frame of 720p with one face, side by side.

    bare      one plain loop: the same decoding, and as many detector calls, mesh calls, crops and (with a network) runs
              of the network as the pipeline makes, with nothing around them: no tracking, identity, quality, ring,
              grid, slots, batches, verdicts, events, queues or threads
    pipeline  open_source -> Session -> windows, and with a network -> Engine -> scores

Each is measured without a network and with the untrained one of the package (smaller than real ones: a larger network
makes the ratio smaller). All run in this process on the same file, in turns, and are compared by the time that they
take, and by CPU seconds of all threads: the pipeline decodes on a thread of its own, so it takes less time than its CPU
seconds say. Run it with `make bench` or `python benchmarks/pipeline.py`; the goals are ratios of at most 1.2 and, with
the network, 1.15.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from common import one_face_scene, percentiles, save, write_clip

from streamguard.bundle import UNTRAINED, open_bundle
from streamguard.config import ClipConfig, SessionConfig
from streamguard.crop import follow_square
from streamguard.engine.backend import Backend
from streamguard.engine.engine import Engine
from streamguard.faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from streamguard.faces.look import tiles
from streamguard.faces.mesh import face_box
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources import open_source
from streamguard.sources.pixels import PictureMaker
from streamguard.values import Box, Frame, Mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What both ways use, opened once."""

    detector: FaceDetector
    mesher: FaceMesher
    engine: Engine | None
    """None: nothing is scored."""

    @property
    def config(self) -> SessionConfig:
        return SessionConfig() if self.engine is None else SessionConfig(clip=self.engine.clip)


@dataclass(slots=True)
class Bare:
    """The network's part of the bare loop: each crop into one slot, or each full clip into the window graph."""

    backend: Backend | None
    clip: ClipConfig
    waiting: list[np.ndarray] = field(default_factory=list)
    slot: int | None = None
    age: int = 0
    runs: int = 0

    def show(self, crop: np.ndarray) -> None:
        if self.backend is not None and self.clip.feed == "step":
            self.slot = self.backend.open_slot() if self.slot is None else self.slot
            self.backend.step([self.slot], {"crops": crop[None], "age": np.array([self.age])})
            self.age += 1
            self.runs += 1
            return
        self.waiting.append(crop)
        if len(self.waiting) == self.clip.crops:
            crops = np.stack(self.waiting)
            if self.backend is not None:
                self.backend.run({"crops": crops[None]})
                self.runs += 1
            self.waiting.clear()

    def close(self) -> None:
        if self.backend is not None and self.slot is not None:
            self.backend.close_slot(self.slot)


def bare(path: Path, tools: Tools) -> tuple[list[float], dict[str, int]]:
    """Milliseconds of each frame, and how often what was called."""
    clip, faces = tools.config.clip, tools.config.faces
    maker = PictureMaker()
    times_ms: list[float] = []
    counts = {"frames": 0, "looks": 0, "meshes": 0, "crops": 0}
    mesh: Mesh | None = None
    network = Bare(None if tools.engine is None else tools.engine.backend, clip)
    cover: list[Box] = []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "SLICE"
        container.streams.video[0].codec_context.thread_count = 1
        start = time.perf_counter()
        for index, decoded in enumerate(container.decode(video=0)):
            picture = maker.picture(decoded)
            cover = cover or tiles(picture.width, picture.height, faces.tile_px)
            if index % round(faces.detect_every_s * 25) == 0:
                turns = round(faces.tile_round_s / faces.detect_every_s)
                share = -(-len(cover) // turns)
                regions = [None, *cover] if index == 0 else [None, *cover[:share]]
                detections = [d for region in regions for d in tools.detector.detect(picture, region)]
                counts["looks"] += len(regions)
                if mesh is None and detections:
                    mesh = tools.mesher.measure(picture, detections[0])
            if mesh is not None and index % round(clip.grid_s * 25) == 0:
                mesh = tools.mesher.follow(picture, mesh, (0.0, 0.0))
                counts["meshes"] += 1
                box = follow_square(None, face_box(mesh)).box
                network.show(picture.rgb_region(tuple(box), (clip.size_px, clip.size_px)))
                counts["crops"] += 1
            counts["frames"] += 1
            now = time.perf_counter()
            times_ms.append((now - start) * 1e3)
            start = now
    network.close()
    return times_ms, counts | {"network_runs": network.runs}


def pipeline(path: Path, tools: Tools) -> tuple[list[float], dict[str, int]]:
    session = Session(tools.config, detector=tools.detector, mesher=tools.mesher)
    times_ms: list[float] = []
    crops = 0
    seat = None if tools.engine is None else tools.engine.join(live=False)
    with open_source(path) as source, seat or nullcontext():
        start = time.perf_counter()
        for turn in drive(source, session, seat=seat):
            crops += sum(len(window.crops) for window in turn.windows)
            now = time.perf_counter()
            if isinstance(turn.item, Frame):
                times_ms.append((now - start) * 1e3)
            start = now
    statistics = session.statistics()
    stepped = tools.config.clip.feed == "step"
    runs = 0 if tools.engine is None else crops if stepped else statistics.windows
    return times_ms, {
        "frames": statistics.frames,
        "looks": statistics.tracker.looks,
        "meshes": statistics.tracker.measured,
        "crops": crops,
        "network_runs": runs,
    }


def compare(path: Path, tools: Tools, rounds: int) -> dict[str, Any]:
    """Both ways in turns, after each ran once to warm up: compiled networks, page cache."""
    ways: dict[str, Callable[[Path, Tools], tuple[list[float], dict[str, int]]]] = {"bare": bare, "pipeline": pipeline}
    cpu_ms: dict[str, list[float]] = {name: [] for name in ways}
    wall_ms: dict[str, list[float]] = {name: [] for name in ways}
    took_s: dict[str, list[float]] = {name: [] for name in ways}
    counts: dict[str, dict[str, int]] = {}
    for way in ways.values():
        way(path, tools)
    for _ in range(rounds):
        for name, way in ways.items():
            before, begun_s = time.process_time(), time.perf_counter()
            times_ms, counts[name] = way(path, tools)
            cpu_ms[name].append((time.process_time() - before) * 1e3 / counts[name]["frames"])
            took_s[name].append(time.perf_counter() - begun_s)
            wall_ms[name] += times_ms
    return {
        "cpu_ms_per_frame": {name: [round(v, 3) for v in values] for name, values in cpu_ms.items()},
        "ratio_of_cpu": ratio(cpu_ms["pipeline"], cpu_ms["bare"]),
        "ratio_of_time": ratio(took_s["pipeline"], took_s["bare"]),
        "wall_ms_per_frame": {name: percentiles(values) for name, values in wall_ms.items()},
        "calls": counts,
    }


def ratio(ours: list[float], bare: list[float]) -> dict[str, float]:
    """Round by round."""
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return {"median": round(float(np.median(ratios)), 3), "worst": round(max(ratios), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the clip")
    parser.add_argument("--rounds", type=int, default=7, help="times that each way is run, in turns")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    results: dict[str, Any] = {
        "what": "CPU milliseconds a frame, 1280x720 H.264, one face, 25 fps; rounds run in turns",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, one_face_scene(), seconds=args.seconds)
        plain = Tools(detector=open_detector(), mesher=open_mesher(), engine=None)
        results |= compare(path, plain, args.rounds)
        with Engine(open_bundle(UNTRAINED)) as engine:
            backend = engine.backend
            about = f"{engine.bundle.name}, {backend.graph}, {backend.precision}, {backend.name}, untrained"
            results["with_network"] = {
                "network": about,
                **compare(path, replace(plain, engine=engine), args.rounds),
            }
    save("pipeline", results, args.out)


if __name__ == "__main__":
    main()
