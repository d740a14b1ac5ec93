"""An open FFmpeg container as a series of Frames and AudioChunks. Runs on a decoder thread; knows no queue.

Damage is skipped and counted. Only nothing but damage is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..clock import Clock
from ..errors import CodecUnsupported, CorruptMedia, NoVideo, PictureError, SourceError, SourceTimeout
from ..values import AudioChunk, Frame, GapCause
from .failure import source_error
from .pixels import PictureMaker
from .sound import SoundMaker
from .source import Counters
from .timeline import Placed, Timeline

MOST_UNDECODABLE = 300
"""So many packets in a row that no decoder takes (10 s of video): this is not damage, it is not video."""
MOST_UNREADABLE = 50
"""So many failures in a row to find the next packet."""
MOST_CORRUPT = 300
"""So many damaged pictures in a row: the stream is not going to heal by itself."""
LONGEST_WAIT_FOR_KEYFRAME = 300
"""Frames. A stream that refreshes its pictures bit by bit never sends a whole one; it is taken after this many."""
FIRST_PICTURE_S = 30.0
"""Some cameras send a whole picture only every 20 s, and do not send one for a newcomer."""
_TEXT_AS_PICTURES = frozenset({"ansi", "bintext", "xbin", "idf"})
"""FFmpeg would happily paint a text file. That is no video."""


class Media(Protocol):
    """Something open that gives frames: what a decoder thread drives. Tests script it."""

    @property
    def codec(self) -> str: ...

    @property
    def paced(self) -> bool:
        """True: it can wait, so nothing is dropped. False: it comes when it comes."""
        ...

    @property
    def endless(self) -> bool:
        """True: its end means that the connection was lost."""
        ...

    def items(self) -> Iterator[Frame | AudioChunk | None]:
        """None is a sign of life: something was read, and it gave no frame."""
        ...

    def close(self) -> None: ...


class Decoding:
    """A Media made of an FFmpeg container, which it owns: closed with it, or at once if there is nothing to decode."""

    def __init__(
        self,
        container: InputContainer,
        *,
        url: str,
        paced: bool,
        endless: bool,
        audio: bool,
        threads: int,
        silence_s: float | None,
        timeline: Timeline,
        counters: Counters,
        clock: Clock,
    ) -> None:
        self._container = container
        self._url = url
        self.paced = paced
        self.endless = endless
        self._silence_s = silence_s
        self._timeline = timeline
        self._counters = counters
        self._clock = clock
        try:
            self._video = _video_stream(container, url)
        except SourceError:
            container.close()
            raise
        self._video.thread_type = "SLICE"  # frame threads cost a frame of delay each
        self._video.codec_context.thread_count = threads
        self.codec: str = self._video.codec_context.name
        self._sound = next(iter(container.streams.audio), None) if audio else None
        self._pictures = PictureMaker()
        self._chunks = SoundMaker()
        self._started = False
        self._cut_off_whole_one = False
        self._undecodable = 0
        self._corrupt = 0
        self._gap: GapCause | None = None
        self._last_picture_s = clock.now_s()
        timeline.expect_period(_period_s(self._video))

    def items(self) -> Iterator[Frame | AudioChunk | None]:
        for packet in self._packets():
            found = False
            for item in self._decoded(packet):
                found = True
                yield item
            if not found:
                yield None
            self._check_silence()
        if self.endless:
            self._check_silence(0.9)  # RTSP over TCP reports its own time limit as the end
        elif not self._started:
            raise CorruptMedia(self._url, "not one picture could be decoded")

    def close(self) -> None:
        self._container.close()

    def _packets(self) -> Iterator[Packet]:
        streams = [stream for stream in (self._video, self._sound) if stream is not None]
        failures = 0
        while True:
            try:
                for packet in self._container.demux(streams):
                    failures = 0
                    yield packet
                return
            except av.error.InvalidDataError as error:
                failures += 1
                self._counters.corrupt_packets += 1
                if failures > MOST_UNREADABLE:
                    raise source_error(self._url, error) from error
            except av.error.FFmpegError as error:
                raise source_error(self._url, error) from error

    def _decoded(self, packet: Packet) -> Iterator[Frame | AudioChunk]:
        for decoded in self._decode(packet):
            if isinstance(decoded, VideoFrame):
                frame = self._frame(decoded)
                if frame is not None:
                    yield frame
            elif isinstance(decoded, AudioFrame):
                yield from self._sounds(decoded)

    def _decode(self, packet: Packet) -> Sequence[object]:
        is_video = packet.stream is self._video
        try:
            frames: Sequence[object] = packet.decode()
        except av.error.FFmpegError as error:
            if is_video:
                self._refused(error)
            else:
                self._counters.sound_skipped += 1
            return []
        if is_video:
            self._cut_off_whole_one |= packet.is_keyframe and packet.is_discard
            self._undecodable = 0 if frames else self._undecodable
        return frames

    def _refused(self, error: av.error.FFmpegError) -> None:
        self._counters.corrupt_packets += 1
        self._undecodable += 1
        if self._undecodable > MOST_UNDECODABLE:
            raise source_error(self._url, error) from error

    def _frame(self, decoded: VideoFrame) -> Frame | None:
        arrival_s = self._clock.now_s()
        self._last_picture_s = arrival_s
        self._counters.frames_decoded += 1
        if not self._started and not self._is_clean_start(decoded):
            self._counters.frames_before_keyframe += 1
            return None
        if decoded.is_corrupt:
            if decoded.pts is None:
                self._place(decoded, arrival_s)  # it took its time; a time that it states may be as damaged as it is
            self._damaged()
            return None
        placed = self._place(decoded, arrival_s)
        self._corrupt = 0
        if placed is None:
            return None
        self._started = True
        return self._finished(decoded, placed, arrival_s)

    def _damaged(self) -> None:
        self._counters.corrupt_frames += 1
        self._corrupt += 1
        if self._corrupt > MOST_CORRUPT and self.endless:
            raise CorruptMedia(self._url, f"{self._corrupt} damaged pictures in a row")

    def _finished(self, decoded: VideoFrame, placed: Placed, arrival_s: float) -> Frame:
        gap, self._gap = self._gap, None
        try:
            picture = self._pictures.picture(decoded)
        except PictureError as error:
            raise CorruptMedia(self._url, str(error)) from error
        return Frame(
            pts_s=placed.pts_s,
            picture=picture,
            arrival_s=arrival_s,
            utc_s=self._utc_s(placed.sender_s),
            gap=gap,
            pts_guessed=placed.guessed,
        )

    def _place(self, decoded: VideoFrame, arrival_s: float) -> Placed | None:
        placed = self._timeline.place(decoded.pts, decoded.time_base, arrival_s)
        self._counters.duplicate_frames = self._timeline.skipped_duplicates
        self._counters.late_frames = self._timeline.skipped_late
        if placed is not None:
            self._counters.guessed_pts += placed.guessed
            self._gap = placed.gap or self._gap  # kept until a frame is whole enough to carry it
        return placed

    def _is_clean_start(self, decoded: VideoFrame) -> bool:
        """False for the grey and smeared pictures between joining a stream and its next whole picture."""
        if self._counters.frames_before_keyframe >= LONGEST_WAIT_FOR_KEYFRAME:
            return True
        # A recording that was trimmed without coding it anew begins within a group: its whole picture is decoded, and
        # the edit list keeps it from being shown.
        return (decoded.key_frame or self._cut_off_whole_one) and not decoded.is_corrupt

    def _utc_s(self, sender_s: float | None) -> float | None:
        """RTSP tells the wall clock of time zero once the first sender report came."""
        if sender_s is None or not self.endless:
            return None
        zero_us = self._container.start_time_realtime
        return zero_us / 1e6 + sender_s if zero_us else None

    def _sounds(self, decoded: AudioFrame) -> Iterator[AudioChunk]:
        for ticks, time_base, samples in self._chunks.chunks(decoded):
            pts_s = self._timeline.place_sound(ticks, time_base)
            if pts_s is None:
                self._counters.sound_skipped += 1
            else:
                yield AudioChunk(pts_s=pts_s, samples=samples)

    def _check_silence(self, share: float = 1.0) -> None:
        """Sound or damage alone keep FFmpeg's own time limits quiet."""
        if self._silence_s is None:
            return
        limit_s = self._silence_s if self._counters.frames_decoded else max(self._silence_s, FIRST_PICTURE_S)
        silent_s = self._clock.now_s() - self._last_picture_s
        if silent_s > share * limit_s:
            raise SourceTimeout(self._url, f"no picture for {silent_s:.0f} s")


def _video_stream(container: InputContainer, url: str) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise NoVideo(url)
    stream = streams[0]
    if stream.codec_context is None:
        raise CodecUnsupported(url, "no decoder for its video")
    if stream.codec_context.name in _TEXT_AS_PICTURES:
        raise NoVideo(url, "it is text")
    return stream


def _period_s(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate and 1 <= rate <= 240 else None
