"""What does StreamGuard's pipeline cost above the bare work? CPU per frame of 720p with one face, side by side.

    bare      one plain loop: the same decoding, and as many detector calls, mesh calls and crops as the pipeline makes,
              with nothing around them: no tracking, identity, quality, ring, grid, events, queues or threads
    pipeline  open_source -> Session -> windows

Both run in this process on the same file, in turns, and are compared by CPU seconds (all threads). Run it with
`make bench` or `python benchmarks/pipeline.py`; the goal is a ratio of at most 1.2.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from common import one_face_scene, percentiles, save, write_clip

from streamguard.config import SessionConfig
from streamguard.crop import follow_square
from streamguard.faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from streamguard.faces.look import tiles
from streamguard.faces.mesh import face_box
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources import open_source
from streamguard.sources.pixels import PictureMaker
from streamguard.values import Frame, Mesh

CONFIG = SessionConfig()


def bare(path: Path, detector: FaceDetector, mesher: FaceMesher) -> tuple[list[float], dict[str, int]]:
    """Milliseconds of each frame, and how often what was called."""
    clip, faces = CONFIG.clip, CONFIG.faces
    maker = PictureMaker()
    times_ms: list[float] = []
    counts = {"frames": 0, "looks": 0, "meshes": 0, "crops": 0}
    mesh: Mesh | None = None
    waiting, cover = [], []
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
                detections = [d for region in regions for d in detector.detect(picture, region)]
                counts["looks"] += len(regions)
                if mesh is None and detections:
                    mesh = mesher.measure(picture, detections[0])
            if mesh is not None and index % round(clip.grid_s * 25) == 0:
                mesh = mesher.follow(picture, mesh, (0.0, 0.0))
                counts["meshes"] += 1
                box = follow_square(None, face_box(mesh)).box
                waiting.append(picture.rgb_region(tuple(box), (clip.size_px, clip.size_px)))
                counts["crops"] += 1
            if len(waiting) == clip.length:
                np.stack(waiting)
                waiting.clear()
            counts["frames"] += 1
            now = time.perf_counter()
            times_ms.append((now - start) * 1e3)
            start = now
    return times_ms, counts


def pipeline(path: Path, detector: FaceDetector, mesher: FaceMesher) -> tuple[list[float], dict[str, int]]:
    session = Session(CONFIG, detector=detector, mesher=mesher)
    times_ms: list[float] = []
    crops = 0
    with open_source(path) as source:
        start = time.perf_counter()
        for turn in drive(source, session):
            crops += sum(len(window.crops) for window in turn.windows)
            now = time.perf_counter()
            if isinstance(turn.item, Frame):
                times_ms.append((now - start) * 1e3)
            start = now
    statistics = session.statistics()
    return times_ms, {
        "frames": statistics.frames,
        "looks": statistics.tracker.looks,
        "meshes": statistics.tracker.measured,
        "crops": crops,
    }


Way = Callable[[Path, FaceDetector, FaceMesher], tuple[list[float], dict[str, int]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the clip")
    parser.add_argument("--rounds", type=int, default=7, help="times that each way is run, in turns")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    detector, mesher = open_detector(), open_mesher()
    ways: dict[str, Way] = {"bare": bare, "pipeline": pipeline}
    cpu_ms: dict[str, list[float]] = {name: [] for name in ways}
    wall_ms: dict[str, list[float]] = {name: [] for name in ways}
    counts: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, one_face_scene(), seconds=args.seconds)
        for way in ways.values():
            way(path, detector, mesher)  # warm up: compiled networks, page cache
        for _ in range(args.rounds):
            for name, way in ways.items():
                before = time.process_time()
                times_ms, counts[name] = way(path, detector, mesher)
                cpu_ms[name].append((time.process_time() - before) * 1e3 / counts[name]["frames"])
                wall_ms[name] += times_ms
    ratios = [p / b for p, b in zip(cpu_ms["pipeline"], cpu_ms["bare"], strict=True)]
    save(
        "pipeline",
        {
            "what": "CPU milliseconds a frame, 1280x720 H.264, one face, 25 fps; rounds run in turns",
            "cpu_ms_per_frame": {name: [round(v, 3) for v in values] for name, values in cpu_ms.items()},
            "ratio_pipeline_to_bare": {"median": round(float(np.median(ratios)), 3), "worst": round(max(ratios), 3)},
            "wall_ms_per_frame": {name: percentiles(values) for name, values in wall_ms.items()},
            "calls": counts,
        },
        args.out,
    )


if __name__ == "__main__":
    main()
