"""Does `push` ever hold up its host? The time of each call, with 720p frames at 25 a second, side by side.

    copy      copying the array, which `push` must do: it never keeps the caller's memory
    working   push, while the network scores
    stalled   push, while the network hangs
    reference push of av.VideoFrames, which are kept by reference, while the network hangs

The goal is a p99 below 1 ms while the engine is stalled. Run it with `make bench` or `python benchmarks/push.py`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from common import one_face_scene, percentiles, save

from streamguard.detector import StreamDetector
from streamguard.testing import FakeBackend, fake_bundle

RATE_HZ = 25


def paced(count: int, call: Callable[[int], object]) -> list[float]:
    """Milliseconds of each call, made at the camera's pace."""
    times_ms = []
    next_s = time.perf_counter()
    for index in range(count):
        next_s += 1 / RATE_HZ
        time.sleep(max(0.0, next_s - time.perf_counter()))
        before = time.perf_counter()
        call(index)
        times_ms.append((time.perf_counter() - before) * 1e3)
    return times_ms


def pushed(frames: list[Any], count: int, *, stalled: bool) -> tuple[list[float], int]:
    """The calls' times, and how many frames were dropped."""
    backend = FakeBackend()
    if stalled:
        backend.gate.clear()
    with StreamDetector(bundle=fake_bundle(), backend=backend, on_event=lambda event: None) as detector:
        call = detector.open_stream("call")
        times_ms = paced(count, lambda index: call.push(frames[index % len(frames)], pts_s=index / RATE_HZ))
        assert backend.entered.is_set(), "the network was never asked: nothing was measured"
        dropped = call.statistics().source.frame_queue.dropped
        backend.gate.set()
    return times_ms, dropped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each way")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    scene = one_face_scene()
    arrays = [scene.render(index / RATE_HZ) for index in range(50)]
    videos = [av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p") for array in arrays]
    count = round(args.seconds * RATE_HZ)
    copied: list[np.ndarray] = [arrays[0]]

    def copy(index: int) -> None:
        copied[0] = np.array(arrays[index % len(arrays)])

    ways: dict[str, tuple[list[float], int]] = {
        "copy": (paced(count, copy), 0),
        "working": pushed(arrays, count, stalled=False),
        "stalled": pushed(arrays, count, stalled=True),
        "reference": pushed(videos, count, stalled=True),
    }
    results = {name: {**percentiles(times_ms), "dropped": dropped} for name, (times_ms, dropped) in ways.items()}
    save(
        "push",
        {
            "what": "milliseconds of a call; 1280x720 at 25 a second, one face, the pipeline in the same process",
            "calls_each": count,
            "call_ms": results,
            "ratio_of_p99_stalled_to_copy": round(results["stalled"]["p99"] / results["copy"]["p99"], 2),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
