"""Webcams by number or name, on each platform."""

from __future__ import annotations

import pytest

from streamguard.config import SourceConfig
from streamguard.errors import SourceNotFound
from streamguard.events import StreamDown
from streamguard.sources import open_source
from streamguard.sources.address import address_of
from streamguard.sources.source import Counters
from streamguard.sources.timeline import Timeline
from streamguard.sources.webcam import device_of, webcam_opener
from streamguard.testing import ManualClock

from .scripted import PATIENCE_S


@pytest.mark.parametrize(
    ("which", "platform", "device"),
    [
        ("0", "linux", ("/dev/video0", "v4l2")),
        ("/dev/video2", "linux", ("/dev/video2", "v4l2")),
        ("1", "darwin", ("1:none", "avfoundation")),
        ("FaceTime HD Camera", "darwin", ("FaceTime HD Camera:none", "avfoundation")),
        ("USB Camera", "win32", ("video=USB Camera", "dshow")),
    ],
)
def test_device(which: str, platform: str, device: tuple[str, str]) -> None:
    assert device_of(which, platform) == device


def test_missing_webcam_is_not_found() -> None:
    opener = webcam_opener(address_of("webcam:/dev/video987"), SourceConfig(), ManualClock())
    with pytest.raises(SourceNotFound, match="webcam:/dev/video987"):
        opener(Timeline(keeps_own_times=False), Counters())


def test_missing_webcam_is_tried_again_since_it_may_be_plugged_in() -> None:
    with open_source("webcam:/dev/video987", clock=ManualClock()) as source:
        down = source.read(PATIENCE_S)
    assert isinstance(down, StreamDown)
    assert down.code == "NOT_FOUND"
    assert down.retry_in_s is not None
