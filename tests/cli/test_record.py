"""What `--out` writes: files that are closed whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamguard.cli import record
from streamguard.cli.record import Files, Recording
from streamguard.config import SessionConfig
from streamguard.errors import SinkError
from streamguard.session import Session
from streamguard.sinks.jsonl import JsonLines
from streamguard.testing import PaintedFaces


def new_session() -> Session:
    finder = PaintedFaces((60.0, 80.0))
    return Session(SessionConfig(), detector=finder, mesher=finder)


def test_files_that_were_opened_are_closed_if_a_later_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[JsonLines] = []
    close = JsonLines.close

    def noting(self: JsonLines) -> None:
        closed.append(self)
        close(self)

    def failing(path: Path) -> None:
        raise SinkError(str(path), "as scripted")

    monkeypatch.setattr(JsonLines, "close", noting)
    monkeypatch.setattr(record, "AnnotatedVideo", failing)
    with pytest.raises(SinkError, match="as scripted"), Recording(Files(folder=tmp_path), new_session()):
        pytest.fail("it did not open")
    assert len(closed) == 1


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Recording(None, new_session()) as recording:
        pass
    assert recording.written == []
    assert list(tmp_path.iterdir()) == []
