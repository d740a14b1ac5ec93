"""Does memory stay flat? Many frames through push and through decode, resident memory sampled, slope after warm-up.

    python benchmarks/soak.py                  # 200,000 frames each way, as `make test-full` does
    python benchmarks/soak.py --frames 20000   # a quick look

push: the same few pictures are pushed as numpy RGB at changing sizes, read back and fed to a session.
decode: one short H.264 clip with a resolution change and a rotation of formats is opened again and again.
detector: such clips as streams of one StreamDetector, scored by the untrained network; a quarter of the frames.
The slope is a straight line through the samples after the first third, in KiB per 1,000 frames; a leak of one
640x360 picture every 1,000 frames would be 338.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from common import one_face_scene, rss_mib, save, write_clip

from streamguard.bundle import UNTRAINED
from streamguard.config import ClipConfig, FacesConfig, SessionConfig
from streamguard.detector import StreamDetector
from streamguard.events import EndOfStream
from streamguard.faces.detector import open_detector, open_mesher
from streamguard.session import Session
from streamguard.sources import PushSource, open_source
from streamguard.values import Frame

FLAT_KIB_PER_1000 = 20.0
"""Below this a slope counts as flat: 20 bytes a frame, 0.5 KiB a second at 25 fps, is the allocator's noise."""


def push(frames: int, session: Session) -> Iterator[int]:
    """Numpy pictures of two sizes and three formats; converted on the reading side."""
    scene = one_face_scene(640, 360, 90)
    pictures = [scene.render(i / 25) for i in range(50)]
    source = PushSource("soak")
    shapes = ["rgb", "bgr", "av"]
    for index in range(frames):
        picture = pictures[index % len(pictures)]
        if index % 1000 > 900:
            picture = picture[: picture.shape[0] // 2 * 2 - 40]
        format_ = shapes[index // 200 % 3]
        given = av.VideoFrame.from_ndarray(picture, format="rgb24") if format_ == "av" else picture
        source.push(given, pts_s=index / 25, **({} if format_ == "av" else {"format": format_}))
        while (item := source.read(0.0)) is not None:
            feed(session, item)
        yield index + 1
    source.close()


def decode(frames: int, session: Session, folder: Path) -> Iterator[int]:
    """Short files, opened again and again: open, probe, decode, scale, close."""
    paths = []
    for width, height in ((640, 360), (480, 272)):
        path = folder / f"{width}.mp4"
        write_clip(path, one_face_scene(width, height, 90), seconds=20)
        paths.append(path)
    done = 0
    offset_s = 0.0
    while done < frames:
        with open_source(paths[done // 500 % 2]) as source:
            for item in source:
                if isinstance(item, Frame):
                    feed(session, item, offset_s)
                    done += 1
                    yield done
        offset_s += 20.0


def detect(frames: int, folder: Path) -> Iterator[int]:
    """Streams that come and go at one engine: windows, slots, scores, mailboxes, threads, a callback."""
    path = folder / "detected.mp4"
    write_clip(path, one_face_scene(640, 360, 90), seconds=20)
    done = 0
    with StreamDetector(on_event=lambda event: None, bundle=UNTRAINED) as detector:
        while done < frames:
            for event in detector.watch(path):
                if isinstance(event.kind, EndOfStream):
                    done += event.kind.frames
                    yield done


def feed(session: Session, item: object, offset_s: float = 0.0) -> None:
    if isinstance(item, Frame):
        moved = Frame(pts_s=item.pts_s + offset_s, picture=item.picture, arrival_s=item.arrival_s)
        session.feed(moved, item.arrival_s)
        session.take_work()
        session.events()


def measure(name: str, frames: int, steps: Iterator[int]) -> dict[str, Any]:
    every = max(1, frames // 200)
    counts, memory = [], []
    start = time.monotonic()
    next_look = next_word = every
    for done in steps:
        if done >= next_look:
            next_look = done + every
            gc.collect()
            counts.append(done)
            memory.append(rss_mib())
            if done >= next_word:
                next_word = done + every * 20
                sys.stderr.write(f"{name}: {done} of {frames} frames, {memory[-1]:.1f} MiB\n")
        if done >= frames:
            break
    third = len(counts) // 3
    slope_mib, _ = np.polyfit(counts[third:], memory[third:], 1)
    slope = slope_mib * 1024 * 1000
    return {
        "frames": frames,
        "slope_kib_per_1000_frames": round(float(slope), 2),
        "flat": bool(abs(slope) < FLAT_KIB_PER_1000 or slope < 0),
        "rss_mib": {"after_third": round(memory[third], 1), "end": round(memory[-1], 1), "peak": round(max(memory), 1)},
        "frames_per_second": round(frames / (time.monotonic() - start)),
    }


def main() -> int:
    if "MALLOC_ARENA_MAX" not in os.environ:
        # glibc gives threads heaps of their own, which fill up slowly while streams come and go, and then stay. With
        # one heap for all, what still grows is ours.
        os.environ["MALLOC_ARENA_MAX"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    detector, mesher = open_detector(), open_mesher()
    # Faces are measured often enough to exercise everything, seldom enough that 200,000 frames take minutes.
    config = SessionConfig(faces=FacesConfig(detect_every_s=2.0, tile_px=1000), clip=ClipConfig(grid_s=0.4, hop_s=3.2))
    results: dict[str, Any] = {"what": "resident memory over many frames; slope after the first third"}
    results["push"] = measure("push", args.frames, push(args.frames, Session(config, detector=detector, mesher=mesher)))
    with tempfile.TemporaryDirectory() as folder:
        session = Session(config, detector=detector, mesher=mesher)
        results["decode"] = measure("decode", args.frames, decode(args.frames, session, Path(folder)))
        results["detector"] = measure("detector", args.frames // 4, detect(args.frames // 4, Path(folder)))
    save("soak", results, args.out)
    return 0 if all(results[name]["flat"] for name in ("push", "decode", "detector")) else 1


if __name__ == "__main__":
    sys.exit(main())
