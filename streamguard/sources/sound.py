"""From FFmpeg's audio frames to 16 kHz mono samples. Used by decoding only."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from ..values import AudioChunk


class SoundMaker:
    """Turns one stream's sound into (ticks, time base, samples). A change of format starts it anew."""

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None

    def chunks(self, frame: AudioFrame) -> Iterator[tuple[int | None, Fraction | None, np.ndarray]]:
        format_now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or format_now != self._format:
            self._resampler = AudioResampler(format="s16", layout="mono", rate=AudioChunk.RATE_HZ)
            self._format = format_now
        for out in self._resampler.resample(frame):
            if out.samples:
                yield out.pts, out.time_base, np.array(out.to_ndarray()[0], np.int16)
