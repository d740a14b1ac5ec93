"""One open container: what is dropped, what is counted, and when it is given up."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.stream import Disposition

from streamguard.clock import Clock
from streamguard.errors import CorruptMedia, NoVideo, SourceTimeout
from streamguard.sources import decoding
from streamguard.sources.decoding import Decoding
from streamguard.sources.source import Counters
from streamguard.sources.timeline import LastFrame, Timeline
from streamguard.testing import ManualClock
from streamguard.values import AudioChunk, Frame, GapCause

from .scripted import write_video
from .test_file import damage


class TickingClock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        self.time_s += 1.0
        return self.time_s


def opened(
    path: Path,
    *,
    endless: bool = True,
    audio: bool = False,
    silence_s: float | None = None,
    after: LastFrame | None = None,
    clock: Clock | None = None,
) -> tuple[Decoding, Counters]:
    counters = Counters()
    media = Decoding(
        av.open(str(path)),
        url=path.name,
        paced=False,
        endless=endless,
        audio=audio,
        threads=1,
        silence_s=silence_s,
        timeline=Timeline(keeps_own_times=False, after=after),
        counters=counters,
        clock=clock or TickingClock(),
    )
    return media, counters


def frames(items: Iterator[Frame | AudioChunk | None]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


def drop_first(packet: av.Packet, index: int) -> list[av.Packet]:
    return [] if index == 0 else [packet]


def test_pictures_before_the_first_whole_one_are_not_shown(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", frames=30, codec="mpeg4", options={"g": "12"}, edit=drop_first)
    media, counters = opened(path)
    shown = frames(media.items())
    assert len(shown) == 30 - 12
    assert counters.frames_before_keyframe == 11
    assert shown[0].pts_s == 0.0


def test_stream_without_whole_pictures_is_taken_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LONGEST_WAIT_FOR_KEYFRAME", 10)
    path = write_video(tmp_path / "a.avi", frames=30, codec="mpeg4", options={"g": "300"}, edit=drop_first)
    media, counters = opened(path)
    shown = len(frames(media.items()))
    assert shown == counters.frames_decoded - 10 > 10
    assert counters.frames_before_keyframe == 10


def test_damaged_pictures_are_dropped_and_counted(tmp_path: Path) -> None:
    def tear(packet: av.Packet, index: int) -> list[av.Packet]:
        if index != 10:
            return [packet]
        torn = av.Packet(bytes(packet)[: packet.size // 2] + b"\x00" * (packet.size - packet.size // 2))
        torn.stream, torn.pts, torn.dts, torn.time_base = packet.stream, packet.pts, packet.dts, packet.time_base
        return [torn]

    path = write_video(
        tmp_path / "a.mkv", frames=30, size=(320, 240), options={"preset": "ultrafast", "g": "10"}, edit=tear
    )
    media, counters = opened(path)
    shown = frames(media.items())
    assert counters.corrupt_frames + counters.corrupt_packets >= 1
    assert len(shown) == 30 - counters.corrupt_frames - counters.corrupt_packets


def test_gap_of_a_dropped_picture_is_told_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", frames=5, codec="mjpeg", pixel_format="yuvj420p")
    media, counters = opened(path, after=LastFrame(pts_s=10.0, arrival_s=0.0))
    monkeypatch.setattr(Decoding, "_is_clean_start", lambda self, decoded: True)
    real = Decoding._place

    def place(self: Decoding, decoded: av.VideoFrame, arrival_s: float) -> object:
        placed = real(self, decoded, arrival_s)
        return None if counters.frames_decoded == 1 else placed  # the first is not shown

    monkeypatch.setattr(Decoding, "_place", place)
    shown = frames(media.items())
    assert [frame.gap for frame in shown] == [GapCause.RECONNECTED, None, None, None]


def test_time_of_a_damaged_picture_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", frames=30, codec="mjpeg", pixel_format="yuvj420p")
    media, counters = opened(path)
    real = media._frame

    class Damaged:
        is_corrupt, pts, time_base = True, 10**9, Fraction(1, 1000)

    def frame(decoded: av.VideoFrame) -> Frame | None:
        if counters.frames_decoded == 10:
            assert real(cast(av.VideoFrame, Damaged())) is None
        return real(decoded)

    monkeypatch.setattr(media, "_frame", frame)
    shown = frames(media.items())
    assert [round(frame.pts_s * 25) for frame in shown] == list(range(30))
    assert (counters.corrupt_frames, counters.late_frames) == (1, 0)


def test_endless_damage_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST_UNDECODABLE", 5)
    path = write_video(
        tmp_path / "a.mkv",
        frames=30,
        codec="mjpeg",
        pixel_format="yuvj420p",
        edit=lambda packet, index: damage(packet, 3 if index >= 10 else 0),
    )
    media, counters = opened(path)
    items = media.items()
    with pytest.raises(CorruptMedia):
        list(items)
    assert counters.corrupt_packets == 6


def test_sound_without_pictures_is_a_timeout_in_the_end(tmp_path: Path) -> None:
    def stop(packet: av.Packet, index: int) -> list[av.Packet]:
        return [packet] if index < 5 else []

    path = write_video(tmp_path / "a.mkv", frames=100, sound=True, edit=stop)
    media, _ = opened(path, audio=True, silence_s=30.0)
    with pytest.raises(SourceTimeout, match="no picture for"):
        list(media.items())


def test_silence_does_not_matter_to_a_recording(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=10, sound=True)
    media, _ = opened(path, audio=True, endless=False)
    assert len(frames(media.items())) == 10


def test_end_after_silence_is_a_timeout(tmp_path: Path) -> None:
    """FFmpeg's RTSP over TCP reports its own limit on silence as the end of the stream."""
    media, _ = opened(write_video(tmp_path / "a.mkv", frames=3), silence_s=1.0)
    with pytest.raises(SourceTimeout):
        list(media.items())


def test_end_shortly_before_the_limit_on_silence_is_a_timeout_too(tmp_path: Path) -> None:
    clock = ManualClock()
    media, _ = opened(write_video(tmp_path / "a.mkv", frames=3), silence_s=10.0, clock=clock)
    items = media.items()
    shown = [next(items) for _ in range(3)]
    assert all(isinstance(item, Frame) for item in shown)
    clock.advance(9.5)
    with pytest.raises(SourceTimeout):
        list(items)


def test_every_packet_is_a_sign_of_life(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", frames=30, codec="mpeg4", options={"g": "300"}, edit=drop_first)
    media, _ = opened(path)
    assert sum(item is None for item in media.items()) >= 29


def write_song_with_cover(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48000, layout="mono")
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        for packet in cover.encode(av.VideoFrame(64, 48, "yuvj420p")):
            container.mux(packet)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 48000
        for packet in [*sound.encode(samples), *sound.encode(None)]:
            container.mux(packet)
    return path


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = write_song_with_cover(tmp_path / "song.m4a")
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(NoVideo):
        opened(path)


def test_frames_say_when_they_arrived(tmp_path: Path) -> None:
    media, _ = opened(write_video(tmp_path / "a.mkv", frames=3))
    arrivals = [frame.arrival_s for frame in frames(media.items())]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] > 0
