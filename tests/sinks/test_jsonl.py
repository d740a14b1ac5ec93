"""Each event is one whole line, at once; trouble is a typed error and leaves whole lines behind."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import pytest

from streamguard.errors import ClosedError, SinkError, SinkFullError
from streamguard.sinks import Sink
from streamguard.sinks.jsonl import JsonLines
from streamguard.wire import event_from_json, event_to_json
from tests.sample_events import EVENTS


class NearlyFullDisk(io.BytesIO):
    """Takes a limited number of bytes in all, a few at a time, as an unbuffered file may."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(bytes(data[: min(50, self.room)]))
        self.room -= taken
        return taken


def test_is_a_sink(tmp_path: Path) -> None:
    with JsonLines.create(tmp_path / "events.jsonl") as sink:
        assert isinstance(sink, Sink)


def test_every_event_comes_back_from_its_line(tmp_path: Path) -> None:
    with JsonLines.create(tmp_path / "new folder" / "events.jsonl") as sink:
        for event in EVENTS:
            sink.send(event)
    lines = (tmp_path / "new folder" / "events.jsonl").read_bytes().splitlines()
    assert [event_from_json(line) for line in lines] == list(EVENTS)


def test_line_is_there_before_the_file_is_closed(tmp_path: Path) -> None:
    with JsonLines.create(tmp_path / "events.jsonl") as sink:
        sink.send(EVENTS[0])
        assert (tmp_path / "events.jsonl").read_text(encoding="utf-8") == event_to_json(EVENTS[0]) + "\n"


def test_line_does_not_wait_in_a_buffer() -> None:
    below = io.BytesIO()
    buffer = io.BufferedWriter(below)
    JsonLines(buffer, "standard output", owned=False).send(EVENTS[0])
    assert below.getvalue() == event_to_json(EVENTS[0]).encode() + b"\n"


def test_file_that_is_there_already_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("old\n", encoding="utf-8")
    JsonLines.create(path).close()
    assert path.read_bytes() == b""


def test_standard_output_is_flushed_and_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    sink = JsonLines.stdout()
    sink.send(EVENTS[0])
    assert capfd.readouterr().out == event_to_json(EVENTS[0]) + "\n"
    sink.close()
    sys.stdout.write("still open\n")
    assert capfd.readouterr().out == "still open\n"


def test_full_disk_keeps_whole_lines_and_is_a_typed_error() -> None:
    whole = event_to_json(EVENTS[0]).encode() + b"\n"
    disk = NearlyFullDisk(room=len(whole) + 120)
    sink = JsonLines(disk, "disk/events.jsonl", owned=True)
    sink.send(EVENTS[0])
    with pytest.raises(SinkFullError, match=r"disk/events\.jsonl: no space is left there"):
        sink.send(EVENTS[1])
    assert disk.getvalue() == whole
    disk.room = 10_000
    sink.send(EVENTS[2])
    assert [event_from_json(line) for line in disk.getvalue().splitlines()] == [EVENTS[0], EVENTS[2]]


def test_systems_own_full_device_is_a_typed_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with JsonLines.create(Path("/dev/full")) as sink, pytest.raises(SinkFullError):
        sink.send(EVENTS[0])


def test_reader_that_left_is_a_broken_pipe() -> None:
    class Pipe(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        JsonLines(Pipe(), "standard output", owned=False).send(EVENTS[0])


def test_folder_cannot_be_written_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(SinkError) as caught:
        JsonLines.create(tmp_path)
    assert caught.value.target == str(tmp_path)


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    sink = JsonLines.create(tmp_path / "events.jsonl")
    sink.close()
    sink.close()
    with pytest.raises(ClosedError):
        sink.send(EVENTS[0])
