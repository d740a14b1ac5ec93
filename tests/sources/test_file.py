"""Files: every frame in order, in bounded memory, and a typed error for everything that is no video."""

from __future__ import annotations

import gc
import threading
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamguard.config import SourceConfig
from streamguard.errors import (
    ClosedError,
    CodecUnsupported,
    CorruptMedia,
    NoVideo,
    SourceError,
    SourceNotFound,
)
from streamguard.events import EndOfStream, StreamUp
from streamguard.sources import Item, Source, open_source
from streamguard.values import AudioChunk, Frame

from .scripted import PATIENCE_S, write_video


def read_all(source: Source) -> list[Item]:
    with source:
        return list(source)


def frames_of(items: list[Item]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


def test_every_frame_comes_in_order_then_the_end(tmp_path: Path) -> None:
    items = read_all(open_source(write_video(tmp_path / "a.mp4", frames=30)))
    assert items[0] == StreamUp(url=str(tmp_path / "a.mp4"), width=64, height=48, codec="h264")
    assert [round(frame.pts_s, 3) for frame in frames_of(items)] == [round(i * 0.04, 3) for i in range(30)]
    assert items[-1] == EndOfStream(frames=30)
    assert len(items) == 32


def test_b_frames_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    path = write_video(tmp_path / "b.mp4", frames=30, options={"preset": "veryfast", "bf": "3"})
    pts = [frame.pts_s for frame in frames_of(read_all(open_source(path)))]
    assert len(pts) == 30
    assert pts == sorted(pts)


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format"),
    [
        ("libx264", "mkv", "yuv420p"),
        ("libx264", "ts", "yuv420p"),
        ("libx264", "mp4", "yuv444p"),
        ("libx265", "mp4", "yuv420p10le"),
        ("libvpx-vp9", "webm", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
        ("mjpeg", "mov", "yuvj422p"),
        ("mpeg4", "mp4", "yuv420p"),
    ],
)
def test_codecs_and_containers(tmp_path: Path, codec: str, suffix: str, pixel_format: str) -> None:
    path = write_video(tmp_path / f"a.{suffix}", frames=8, codec=codec, pixel_format=pixel_format)
    frames = frames_of(read_all(open_source(path)))
    assert len(frames) == 8
    assert (frames[0].picture.width, frames[0].picture.height) == (64, 48)


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.mkv", pts=lambda index: 250 + index)
    assert frames_of(read_all(open_source(path)))[0].pts_s == pytest.approx(10.0)


def test_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    path = write_video(tmp_path / "vfr.mkv", frames=6, pts=lambda index: index * index)
    times = [round(frame.pts_s * 25) for frame in frames_of(read_all(open_source(path)))]
    assert times == [0, 1, 4, 9, 16, 25]


def test_decoder_waits_for_the_reader(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.mp4", frames=200), SourceConfig(queue_frames=3))
    with source:
        assert isinstance(source.read(PATIENCE_S), StreamUp)
        frames = frames_of(list(source))
        statistics = source.statistics()
    assert len(frames) == 200
    assert statistics.frame_queue.peak_waiting <= 3
    assert statistics.frame_queue.dropped == 0


def test_size_may_change_in_mid_stream(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.ts", frames=5)
    large = write_video(tmp_path / "large.ts", frames=5, size=(128, 96), pts=lambda index: 100 + index)
    joined = tmp_path / "both.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    sizes = [frame.picture.width for frame in frames_of(read_all(open_source(joined)))]
    assert sizes == [64] * 5 + [128] * 5


def test_file_whose_time_jumps_back_says_so(tmp_path: Path) -> None:
    part = write_video(tmp_path / "part.ts", frames=50).read_bytes()
    joined = tmp_path / "twice.ts"
    joined.write_bytes(part + part)
    source = open_source(joined)
    frames = frames_of(read_all(source))
    times = [frame.pts_s for frame in frames]
    assert len(times) == 100 - source.statistics().decoded.late_frames == 98
    assert all(later > earlier for earlier, later in pairwise(times))
    assert sum(frame.gap is not None for frame in frames) == 1


def damage(packet: av.Packet, index: int) -> list[av.Packet]:
    """Every fifth packet is noise."""
    if index % 5 != 3:
        return [packet]
    noise = av.Packet(bytes(np.random.default_rng(index).integers(1, 255, packet.size, np.uint8)))
    noise.stream, noise.pts, noise.dts, noise.time_base = packet.stream, packet.pts, packet.dts, packet.time_base
    return [noise]


@pytest.mark.parametrize("whole_every", [20, 300])
def test_file_trimmed_without_coding_anew_is_read_from_its_cut(tmp_path: Path, whole_every: int) -> None:
    """Times below zero become an edit list, as a cut between whole pictures does."""
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(whole_every)}
    source = open_source(write_video(tmp_path / "cut.mp4", frames=50, pts=lambda index: index - 15, options=options))
    with source:
        frames = frames_of(list(source))
        decoded = source.statistics().decoded
    assert [round(frame.pts_s * 25) for frame in frames] == list(range(35))
    assert decoded.frames_before_keyframe == 0


def test_damaged_packets_are_skipped_and_counted(tmp_path: Path) -> None:
    source = open_source(
        write_video(tmp_path / "torn.mkv", frames=40, codec="mjpeg", pixel_format="yuvj420p", edit=damage)
    )
    with source:
        frames = frames_of(list(source))
        decoded = source.statistics().decoded
    assert len(frames) == 32
    assert decoded.corrupt_packets + decoded.corrupt_frames == 8


def test_truncated_file_gives_what_it_has(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", frames=50).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    items = read_all(open_source(tmp_path / "cut.mkv"))
    assert 5 < len(frames_of(items)) < 50
    assert isinstance(items[-1], EndOfStream)


def test_nothing_but_damage_is_an_error_not_an_end(tmp_path: Path) -> None:
    def noise(packet: av.Packet, index: int) -> list[av.Packet]:
        return damage(packet, 3)

    path = write_video(tmp_path / "noise.mkv", frames=20, codec="mjpeg", pixel_format="yuvj420p", edit=noise)
    with pytest.raises(CorruptMedia):
        read_all(open_source(path))


@pytest.mark.parametrize(("suffix", "codec"), [("jpg", "mjpeg"), ("png", "png")])
def test_picture_is_a_video_of_one_frame(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"odd%d.{suffix}"
    write_video(
        path,
        frames=1,
        codec=codec,
        pixel_format="yuvj420p" if codec == "mjpeg" else "rgb24",
        container_options={"update": "1"},
    )
    written = next(tmp_path.iterdir())
    written.rename(path)
    for index in (1, 2):
        (tmp_path / f"odd{index}.{suffix}").write_bytes(path.read_bytes())
    items = read_all(open_source(path))
    assert len(frames_of(items)) == 1
    assert items[-1] == EndOfStream(frames=1)


def test_file_named_like_a_protocol_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4").rename(tmp_path / "rtp:1.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(frames_of(read_all(open_source("rtp:1.mp4")))) == 10


def test_missing_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"nowhere\.mp4"):
        open_source(tmp_path / "nowhere.mp4")


def test_folder_and_empty_file_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for path in (tmp_path, tmp_path / "empty.mp4"):
        with pytest.raises(CorruptMedia):
            open_source(path)


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes.nfo", "notes"])
def test_text_is_no_video(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Dear diary,\n" * 500)
    with pytest.raises((CorruptMedia, NoVideo)):
        read_all(open_source(tmp_path / name))


def test_noise_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(100_000))
    with pytest.raises((CorruptMedia, NoVideo)):
        read_all(open_source(tmp_path / "noise.mp4"))


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(NoVideo):
        read_all(open_source(write_sound(tmp_path / "a.wav")))


def test_failure_is_raised_again_at_each_read(tmp_path: Path) -> None:
    source = open_source(write_sound(tmp_path / "a.wav"))
    for _ in range(2):
        with pytest.raises(NoVideo):
            source.read(PATIENCE_S)
    assert source.statistics().failures == 1


def test_codec_without_decoder_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XXX"))
    with pytest.raises((CodecUnsupported, NoVideo)):
        read_all(open_source(path))


def test_metadata_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(path)
    data = path.read_bytes()
    encoder = data.rindex(b"Lavf")
    path.write_bytes(data[:encoder] + b"\xff\xfe\xff\xfe" + data[encoder + 4 :])
    assert len(frames_of(read_all(open_source(path)))) == 10


def test_sound_comes_at_16_khz_on_the_clock_of_the_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=50, sound=True)
    items = read_all(open_source(path, SourceConfig(audio=True)))
    chunks = [item for item in items if isinstance(item, AudioChunk)]
    assert len(frames_of(items)) == 50
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert samples.dtype == np.int16
    assert len(samples) == pytest.approx(2 * AudioChunk.RATE_HZ, rel=0.05)
    assert chunks[-1].pts_s == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[8000:24000]))
    assert spectrum.argmax() == pytest.approx(440, abs=2)


def test_sound_is_left_out_unless_wanted(tmp_path: Path) -> None:
    items = read_all(open_source(write_video(tmp_path / "a.mkv", sound=True)))
    assert not any(isinstance(item, AudioChunk) for item in items)


def test_close_ends_the_decoder_at_once(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.mp4", frames=300))
    source.read(PATIENCE_S)
    source.close()
    source.close()
    assert not any("a.mp4" in thread.name for thread in threading.enumerate())
    with pytest.raises(ClosedError):
        source.read(0.0)


def test_decoder_ends_with_a_source_that_nobody_closed(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "forgotten.mp4", frames=100), SourceConfig(queue_frames=1))
    assert isinstance(source.read(PATIENCE_S), StreamUp)
    [decoder] = [thread for thread in threading.enumerate() if "forgotten.mp4" in thread.name]
    del source
    gc.collect()
    decoder.join(PATIENCE_S)
    assert not decoder.is_alive()


def test_read_after_the_end_is_an_error_and_iteration_stops(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.mp4"))
    assert isinstance(list(source)[-1], EndOfStream)
    assert list(source) == []
    with pytest.raises(ClosedError):
        source.read(0.0)


def test_statistics_are_there_before_and_after(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.mp4"))
    assert source.statistics().frames_read == 0
    read_all(source)
    assert source.statistics().frames_read == source.statistics().decoded.frames_decoded == 10


def test_repr_shows_no_pixels_and_names_the_file(tmp_path: Path) -> None:
    assert repr(open_source(write_video(tmp_path / "a.mp4"))) == f"FileSource({tmp_path / 'a.mp4'})"


def test_source_error_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"x" * 1000)
    with pytest.raises(SourceError, match=r"bad\.mp4"):
        read_all(open_source(tmp_path / "bad.mp4"))
