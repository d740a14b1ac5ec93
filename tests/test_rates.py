"""The same video at many rates, through files: crops lie on the grid, gaps and resets are the right ones.

And at live pace, pushed from another thread, the windows are bit for bit those of the file.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from math import floor
from pathlib import Path

import av
import numpy as np
import pytest

from streamguard.assets import asset_path
from streamguard.config import SessionConfig, SourceConfig
from streamguard.faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from streamguard.run import drive
from streamguard.session import Session
from streamguard.sources import PushSource, Source, open_source
from streamguard.sources.portrait import PEOPLE, Actor, Scene, still
from streamguard.values import Window

GRID_S, EARLY_S = 0.08, 0.02
TICK = Fraction(1, 90000)


@pytest.fixture(scope="module")
def finder() -> tuple[FaceDetector, FaceMesher]:
    return open_detector(), open_mesher()


@pytest.fixture(scope="module")
def scene() -> Scene:
    actor = Actor(person=PEOPLE[0], path=still(240, 135, 90))
    return Scene(photograph=asset_path("portrait"), width=480, height=270, actors=[actor])


def times_of(rate: str) -> list[float]:
    """Three seconds of frame times, on the file's clock."""
    if rate == "random":
        steps = np.random.default_rng(5).choice([0.011, 0.017, 0.034, 0.041, 0.05], 200)
        exact = np.cumsum(steps)
    elif rate == "holes":
        exact = np.array([t for t in np.arange(0, 3, 0.04) if not (0.93 < t < 1.05 or 1.8 < t < 2.2)])
    else:
        exact = np.arange(0, 3, 1 / float(rate))
    return [float(round(t / TICK) * TICK) for t in exact[exact < 3]]


def write(path: Path, scene: Scene, times_s: Sequence[float]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.codec_context.time_base = TICK
        for pts_s in times_s:
            frame = av.VideoFrame.from_ndarray(scene.render(pts_s), format="rgb24")
            frame.pts, frame.time_base = round(pts_s / TICK), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def windows_of(source: Source, finder: tuple[FaceDetector, FaceMesher]) -> tuple[list[Window], Session]:
    session = Session(SessionConfig(), detector=finder[0], mesher=finder[1])
    with source:
        windows = [window for turn in drive(source, session) for window in turn.windows]
    return windows, session


def expected_runs(times_s: Sequence[float], anchor_s: float) -> tuple[int, int]:
    """Gaps and resets, counted plainly from the frame times alone."""
    points = sorted({floor((t - anchor_s + EARLY_S) / GRID_S + 1e-4) for t in times_s if t >= anchor_s})
    steps = np.diff(points)
    return int((steps == 2).sum()), int((steps > 2).sum())


@pytest.mark.parametrize("rate", ["25", "12.5", "30", "60", "random", "holes"])
def test_windows_lie_on_the_grid_with_the_right_gaps_and_resets(
    rate: str, scene: Scene, finder: tuple[FaceDetector, FaceMesher], tmp_path: Path
) -> None:
    times_s = times_of(rate)
    write(tmp_path / "clip.mp4", scene, times_s)
    windows, session = windows_of(open_source(tmp_path / "clip.mp4"), finder)
    assert len(windows) >= 2
    longest_step_s = float(np.diff(times_s).max())
    for window in windows:
        for i, (pts_s, point_s) in enumerate(zip(window.pts_s, window.grid_s, strict=True)):
            if i and pts_s == window.pts_s[i - 1]:
                continue  # repeated: told as a gap
            late_s = EARLY_S if longest_step_s <= 2 * EARLY_S else GRID_S - EARLY_S
            assert -EARLY_S - 1e-3 <= pts_s - point_s <= late_s + 1e-3
            assert min(abs(pts_s - t) for t in times_s) < 1e-3
        assert np.diff(window.grid_s) == pytest.approx([GRID_S] * 7)
        assert window.gaps == 8 - window.crops_real
    anchor_s = windows[0].grid_s[0]
    statistics = session.statistics()
    assert (statistics.gaps, statistics.resets) == expected_runs(times_s, anchor_s)
    if rate == "holes":
        assert statistics.resets == 1
        assert statistics.gaps >= 1


def test_live_pace_and_offline_pace_give_bit_equal_windows(
    scene: Scene, finder: tuple[FaceDetector, FaceMesher], tmp_path: Path
) -> None:
    write(tmp_path / "clip.mp4", scene, times_of("25"))
    offline, _ = windows_of(open_source(tmp_path / "clip.mp4"), finder)

    with av.open(str(tmp_path / "clip.mp4")) as container:
        frames = list(container.decode(video=0))
    live = PushSource("live", SourceConfig(queue_frames=100))  # all frames: a slow machine must not drop
    pace = threading.Event()

    def publish() -> None:
        for before, frame in zip([None, *frames], frames, strict=False):
            pace.wait(0.0 if before is None else float((frame.pts - before.pts) * frame.time_base))
            live.push(frame)
        live.end()

    publisher = threading.Thread(target=publish)
    publisher.start()
    online, _ = windows_of(live, finder)
    publisher.join()
    assert live.statistics().frame_queue.dropped == 0, "this machine is too slow for the comparison"
    assert len(online) == len(offline) >= 3
    for one, other in zip(online, offline, strict=True):
        assert [a - online[0].pts_s[0] for a in one.pts_s] == pytest.approx(
            [a - offline[0].pts_s[0] for a in other.pts_s]
        )
        assert (one.crops == other.crops).all()


def test_two_readings_of_a_file_are_bit_equal(
    scene: Scene, finder: tuple[FaceDetector, FaceMesher], tmp_path: Path
) -> None:
    write(tmp_path / "clip.mp4", scene, times_of("30"))
    first, _ = windows_of(open_source(tmp_path / "clip.mp4"), finder)
    again, _ = windows_of(open_source(tmp_path / "clip.mp4"), finder)
    assert [w.pts_s for w in first] == [w.pts_s for w in again]
    assert all((one.crops == other.crops).all() for one, other in zip(first, again, strict=True))
