"""The public names are this list, sorted, and each says what it is."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import streamguard

PUBLIC_NAMES = [
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


def test_public_names_are_the_list() -> None:
    assert streamguard.__all__ == PUBLIC_NAMES


def test_public_names_are_sorted() -> None:
    assert streamguard.__all__ == sorted(set(streamguard.__all__))


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_public_name_exists_and_says_what_it_is(name: str) -> None:
    item = getattr(streamguard, name)
    assert item.__module__.startswith("streamguard."), f"{name} is not ours"
    assert has_words(item), f"streamguard.{name} has no docstring of its own"


def test_docstring_that_python_makes_up_does_not_count() -> None:
    assert not has_words(type("Bare", (), {}))
    assert has_words(streamguard.Score)


def test_nothing_else_that_looks_public_is_there_but_submodules() -> None:
    names = {
        name for name, item in vars(streamguard).items() if not name.startswith("_") and not inspect.ismodule(item)
    }
    assert names - set(PUBLIC_NAMES) - {"annotations", "import_module", "Any", "TYPE_CHECKING"} == set()


def test_names_that_come_later_are_listed_and_come() -> None:
    assert set(streamguard._LATER) <= set(PUBLIC_NAMES)
    assert set(PUBLIC_NAMES) <= set(dir(streamguard))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'StreamGuarde'"):
        _ = streamguard.StreamGuarde


def test_names_that_come_later_do_not_come_with_the_package() -> None:
    code = "import sys, streamguard; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {f"streamguard.{module}" for module in streamguard._LATER.values()} & set(imported) == set()


def test_library_does_not_write_log_lines_of_its_own_accord() -> None:
    code = "import logging, streamguard; logging.getLogger('streamguard.sources').error('heard')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def has_words(item: object) -> bool:
    """A docstring that somebody wrote: dataclasses get one made of their signature."""
    words = inspect.cleandoc(item.__doc__ or "")
    return bool(words) and not words.startswith(f"{getattr(item, '__name__', '')}(")
