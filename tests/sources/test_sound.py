"""Sound of any kind becomes 16 kHz mono."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamguard.sources.sound import SoundMaker


def tone(rate: int, layout: str, seconds: float = 1.0, start_s: float = 0.0) -> av.AudioFrame:
    at = np.arange(int(rate * seconds)) / rate
    wave = (10000 * np.sin(2 * np.pi * 1000 * at)).astype(np.int16)
    channels = 2 if layout == "stereo" else 1
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(start_s * rate), Fraction(1, rate)
    return frame


@pytest.mark.parametrize(("rate", "layout"), [(8000, "mono"), (16000, "mono"), (44100, "stereo"), (48000, "stereo")])
def test_sound_becomes_16_khz_mono(rate: int, layout: str) -> None:
    chunks = list(SoundMaker().chunks(tone(rate, layout)))
    samples = np.concatenate([samples for _, _, samples in chunks])
    assert samples.dtype == np.int16
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(16000, abs=100)
    assert np.abs(np.fft.rfft(samples[:8000])).argmax() * 2 == pytest.approx(1000, abs=4)


def test_time_comes_along() -> None:
    ticks, time_base, _ = next(SoundMaker().chunks(tone(48000, "stereo", start_s=3.0)))
    assert ticks is not None
    assert time_base is not None
    assert float(ticks * time_base) == pytest.approx(3.0, abs=0.005)


def test_format_may_change_in_mid_stream() -> None:
    maker = SoundMaker()
    assert list(maker.chunks(tone(8000, "mono")))
    assert list(maker.chunks(tone(48000, "stereo", start_s=1.0)))
