"""Tells, face by face and while the call is still on, whether a face in live video is being faked.

The map, in the order in which data flows and in which modules may import each other (right may import left):

    values events errors clock queues picture        the nouns; import nothing of ours but each other
      < config assets bundle                         settings; where model files come from; what a network is
      < sources faces ring crop engine scoring       the stages: they never import each other
      < session                                      one stream's core, fed by hand; the only place where stages meet
      < run detector aio                             the loop around it; StreamDetector; asyncio
      < cli                                          the program `streamguard`

`wire` turns events into protobuf and JSON, `sinks` write them somewhere, `testing` holds fakes for your own tests.
docs/architecture.md says why it is so. The names below are the public ones; everything else may change.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .config import (
    ClipConfig,
    DetectorConfig,
    EngineConfig,
    FacesConfig,
    ScoringConfig,
    SessionConfig,
    SourceConfig,
)
from .errors import (
    AssetError,
    AssetHashError,
    BudgetError,
    BundleError,
    CalibrationError,
    CheckpointError,
    ClosedError,
    CodecUnsupported,
    ConfigError,
    CorruptMedia,
    EngineError,
    EventFormatError,
    MissingPackageError,
    NoVideo,
    OverloadedError,
    PictureError,
    SinkError,
    SinkFullError,
    SourceAbandoned,
    SourceAuthFailed,
    SourceDisconnected,
    SourceError,
    SourceNotFound,
    SourceTimeout,
    SourceTLSFailed,
    SourceUnreachable,
    StreamGuardError,
    TraceError,
)
from .events import (
    Blinded,
    CannotJudge,
    EndOfStream,
    Event,
    EventsLost,
    FaceAppeared,
    FaceLost,
    MediaGap,
    Overload,
    ParticipantVerdictChanged,
    Score,
    StageTimes,
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from .picture import Picture
from .values import (
    AudioChunk,
    Box,
    Detection,
    Face,
    FaceState,
    Frame,
    GapCause,
    HeatMaps,
    LostCause,
    Mesh,
    Patch,
    Quality,
    Reason,
    Scored,
    StreamState,
    Window,
)

if TYPE_CHECKING:
    from .bundle import Bundle, open_bundle
    from .detector import DetectorStatistics, StreamDetector, open_stream_detector
    from .engine.engine import Engine, EngineStatistics
    from .faces.detector import open_detector, open_mesher
    from .run import Turn, drive
    from .session import Session, SessionStatistics
    from .sources import PushSource, Source, open_source
    from .stream import PushStream, Stream, StreamStatistics
    from .wire import event_from_json, event_from_proto, event_to_json, event_to_proto

__version__ = "0.1.0"

# Names whose modules are heavy: imported when first asked for, so that `import streamguard` stays light.
# A name added here goes into the block above and into __all__ too.
_LATER = {
    "Bundle": "bundle",
    "DetectorStatistics": "detector",
    "Engine": "engine.engine",
    "EngineStatistics": "engine.engine",
    "PushSource": "sources",
    "PushStream": "stream",
    "Session": "session",
    "SessionStatistics": "session",
    "Source": "sources",
    "Stream": "stream",
    "StreamDetector": "detector",
    "StreamStatistics": "stream",
    "Turn": "run",
    "drive": "run",
    "event_from_json": "wire",
    "event_from_proto": "wire",
    "event_to_json": "wire",
    "event_to_proto": "wire",
    "open_bundle": "bundle",
    "open_detector": "faces.detector",
    "open_mesher": "faces.detector",
    "open_source": "sources",
    "open_stream_detector": "detector",
}

__all__ = [
    "AssetError",
    "AssetHashError",
    "AudioChunk",
    "Blinded",
    "Box",
    "BudgetError",
    "Bundle",
    "BundleError",
    "CalibrationError",
    "CannotJudge",
    "CheckpointError",
    "ClipConfig",
    "ClosedError",
    "CodecUnsupported",
    "ConfigError",
    "CorruptMedia",
    "Detection",
    "DetectorConfig",
    "DetectorStatistics",
    "EndOfStream",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineStatistics",
    "Event",
    "EventFormatError",
    "EventsLost",
    "Face",
    "FaceAppeared",
    "FaceLost",
    "FaceState",
    "FacesConfig",
    "Frame",
    "GapCause",
    "HeatMaps",
    "LostCause",
    "MediaGap",
    "Mesh",
    "MissingPackageError",
    "NoVideo",
    "Overload",
    "OverloadedError",
    "ParticipantVerdictChanged",
    "Patch",
    "Picture",
    "PictureError",
    "PushSource",
    "PushStream",
    "Quality",
    "Reason",
    "Score",
    "Scored",
    "ScoringConfig",
    "Session",
    "SessionConfig",
    "SessionStatistics",
    "SinkError",
    "SinkFullError",
    "Source",
    "SourceAbandoned",
    "SourceAuthFailed",
    "SourceConfig",
    "SourceDisconnected",
    "SourceError",
    "SourceNotFound",
    "SourceTLSFailed",
    "SourceTimeout",
    "SourceUnreachable",
    "StageTimes",
    "Stream",
    "StreamDetector",
    "StreamDown",
    "StreamGuardError",
    "StreamState",
    "StreamStatistics",
    "StreamUp",
    "TraceError",
    "Turn",
    "VerdictChanged",
    "Window",
    "drive",
    "event_from_json",
    "event_from_proto",
    "event_to_json",
    "event_to_proto",
    "open_bundle",
    "open_detector",
    "open_mesher",
    "open_source",
    "open_stream_detector",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until its host asks to hear


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATER])
