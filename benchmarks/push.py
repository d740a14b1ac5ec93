"""Does `push` ever hold up its host? The time of each call, at 25 frames a second, the pipeline in the same process.

    copy      numpy's copy of the array beside a pipeline that is not there: what memory alone costs
    working   push, while the network scores
    stalled   push, while the network hangs
    reference push of av.VideoFrames, which are kept by reference, while the network hangs
    four      push to four streams in turn, from one thread, while the network hangs

each with 720p frames, `stalled` and `numpy` with 1080p frames too. `numpy` pushes nothing but copies with numpy beside
the pipeline of `stalled`: numpy lets go of the GIL while it copies, and then waits until another thread gives it back.

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
from PIL import Image

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


def pushed(
    frames: list[Any], count: int, *, stalled: bool, streams: int = 1, numpy: bool = False
) -> tuple[list[float], int]:
    """The calls' times, and how many frames were dropped. `numpy`: of numpy's copy instead, after each push."""
    backend = FakeBackend()
    if stalled:
        backend.gate.clear()
    times_ms: list[float] = []
    with StreamDetector(bundle=fake_bundle(), backend=backend, on_event=lambda event: None) as detector:
        calls = [detector.open_stream(f"call-{number}") for number in range(streams)]

        def frame_comes(index: int) -> None:
            frame = frames[index % len(frames)]
            for call in calls:
                before = time.perf_counter()
                call.push(frame, pts_s=index / RATE_HZ)
                if numpy:
                    before = time.perf_counter()
                    np.array(frame)
                times_ms.append((time.perf_counter() - before) * 1e3)

        paced(count, frame_comes)
        assert backend.entered.is_set(), "the network was never asked: nothing was measured"
        dropped = sum(call.statistics().source.frame_queue.dropped for call in calls)
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
    large = [np.asarray(Image.fromarray(array).resize((1920, 1080))) for array in arrays[:20]]
    count = round(args.seconds * RATE_HZ)

    ways: dict[str, tuple[list[float], int]] = {
        "copy": (paced(count, lambda index: np.array(arrays[index % len(arrays)])), 0),
        "working": pushed(arrays, count, stalled=False),
        "stalled": pushed(arrays, count, stalled=True),
        "reference": pushed(videos, count, stalled=True),
        "four": pushed(arrays, count, stalled=True, streams=4),
        "numpy": pushed(arrays, count, stalled=True, numpy=True),
        "stalled_1080p": pushed(large, count, stalled=True),
        "numpy_1080p": pushed(large, count, stalled=True, numpy=True),
    }
    results = {name: {**percentiles(times_ms), "dropped": dropped} for name, (times_ms, dropped) in ways.items()}
    save(
        "push",
        {
            "what": "milliseconds of a call; 1280x720 or 1920x1080 at 25 a second, one face, the pipeline beside it",
            "frames_each": count,
            "call_ms": results,
            "ratio_of_p99_stalled_to_copy": round(results["stalled"]["p99"] / results["copy"]["p99"], 2),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
