"""The program's frame: help, verbosity, and what each error becomes."""

from __future__ import annotations

import argparse
import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamguard import __version__, errors
from streamguard.cli import main as frame
from streamguard.cli.main import COMMANDS, exit_code, main


class ScriptedCommand:
    """Stands in for a command's module: does what the test says."""

    def __init__(self, action: Any) -> None:
        self.action = action
        self.seen = argparse.Namespace()

    def add_parser(self, subparsers: frame.Subparsers) -> None:
        subparsers.add_parser("demo").add_argument("--out")

    def run(self, args: argparse.Namespace) -> int:
        self.seen = args
        if isinstance(self.action, BaseException):
            raise self.action
        result: int = self.action()
        return result


def run_with(monkeypatch: pytest.MonkeyPatch, action: Any, *arguments: str) -> tuple[int, argparse.Namespace]:
    command = ScriptedCommand(action)
    monkeypatch.setattr(frame, "_command", lambda name: command)
    return main(["demo", *arguments] if "demo" not in arguments else arguments), command.seen


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; from streamguard.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"    {name} " in done.stdout
    imported = done.stderr.split()
    assert [name for name in imported if name.startswith("streamguard.cli.")] == ["streamguard.cli.main"]
    assert {"av", "openvino", "google.protobuf", "grpc"}.isdisjoint(imported)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_of_itself_what_the_help_says(name: str) -> None:
    subparsers = argparse.ArgumentParser().add_subparsers()
    frame._command(name).add_parser(subparsers)
    assert [action.help for action in subparsers._choices_actions] == [COMMANDS[name]]


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"streamguard {__version__}\n"


def test_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "streamguard", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"streamguard {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["doctor", "--nonsense"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_the_commands_own_code_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, lambda: 7)[0] == 7


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("faces.coast_s", "too long"), 2),
        (errors.SourceUnreachable("rtsp://camera"), 3),
        (errors.SourceAbandoned("rtsp://camera"), 3),
        (errors.AssetError("face-mesh", "not here", "Run: streamguard models pull"), 4),
        (errors.AssetHashError("face-mesh", "not ours", "Run: streamguard models pull"), 4),
        (errors.MissingPackageError("aiortc", "webrtc", "a WebRTC source"), 4),
        (errors.PictureError("odd"), 1),
        (errors.EventFormatError("kind", "odd"), 1),
        (errors.SinkFullError("out.jsonl", "no space is left"), 1),
        (errors.ClosedError("session"), 1),
        (PermissionError(13, "Permission denied", "out"), 1),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, BaseException) else str(item),
)
def test_error_is_one_line_and_a_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, error)[0] == code
    assert capsys.readouterr().err == f"streamguard: error: {error}\n"


def test_every_error_class_has_a_code() -> None:
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert {exit_code(kind.__new__(kind)) for kind in kinds} == {1, 2, 3, 4}


def test_bug_is_one_line_that_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, ZeroDivisionError("by 0"))[0] == 1
    said = capsys.readouterr().err
    assert said.startswith("streamguard: internal error: ZeroDivisionError: by 0; please report it")
    assert said.count("\n") == 1
    assert run_with(monkeypatch, ZeroDivisionError("by 0"), "-vv")[0] == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_cannot_be_written_in_the_terminals_encoding_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))

    def speak() -> int:
        sys.stdout.write("caf\xe9 \udce9\n")
        return 0

    assert run_with(monkeypatch, speak)[0] == 0
    assert raw.getvalue() == b"caf\\xe9 \\udce9\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that can close a stream")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    line = f'"$0" -m streamguard models list {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_interrupt_is_130_and_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(monkeypatch, KeyboardInterrupt())[0] == 130
    assert capsys.readouterr() == ("", "")


def test_reader_that_leaves_is_141_and_quiet() -> None:
    """`streamguard ... | head -1`: neither a traceback nor a second complaint when Python ends."""
    code = (
        "import sys; from streamguard.cli import main as frame\n"
        "class Command:\n"
        "    def add_parser(self, subparsers): subparsers.add_parser('demo')\n"
        "    def run(self, args):\n"
        "        sys.stdin.readline()\n"
        "        print('still buffered')\n"
        "        raise BrokenPipeError\n"
        "frame._command = lambda name: Command()\n"
        "sys.exit(frame.main(['demo']))\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, "-c", code], text=True, env=buffered, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        process.stdin.write("the reader has left\n")
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize("arguments", [["-v", "demo"], ["demo", "-v"]])
def test_verbose_may_stand_before_or_after_the_command(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, lambda: 0, *arguments)[1].verbose == 1


@pytest.mark.parametrize(("flags", "expected"), [([], ["W"]), (["-v"], ["I", "W"]), (["-vv"], ["D", "I", "W"])])
def test_log_lines_go_to_stderr_as_asked(
    flags: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def speak() -> int:
        logger = logging.getLogger("streamguard.sources")
        logger.debug("said D")
        logger.info("said I")
        logger.warning("said W")
        return 0

    run_with(monkeypatch, speak, *flags)
    out, err = capsys.readouterr()
    assert [line[-1] for line in err.splitlines() if "said" in line] == expected
    assert out == ""


@pytest.mark.parametrize(("flags", "expected"), [([], ["E"]), (["-v"], ["W", "E"])])
def test_what_a_command_shows_itself_is_not_told_twice(
    flags: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def speak() -> int:
        logging.getLogger("streamguard.sources").warning("said W")
        logging.getLogger("streamguard.sources").error("said E")
        return 0

    monkeypatch.setattr(ScriptedCommand, "SHOWS_EVENTS", True, raising=False)
    run_with(monkeypatch, speak, *flags)
    assert [line[-1] for line in capsys.readouterr().err.splitlines()] == expected


def test_commands_that_watch_show_events_themselves() -> None:
    assert {name for name in COMMANDS if frame._shows_events(name)} == {"scan", "watch", "demo", "faces"}


def test_logging_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("streamguard")
    before = (list(logger.handlers), logger.level)
    run_with(monkeypatch, lambda: 0, "-vv")
    assert (logger.handlers, logger.level) == before


def test_output_is_flushed_before_the_command_counts_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class LeavingReader(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", LeavingReader())
    assert run_with(monkeypatch, lambda: 0)[0] == 141


def test_ctrl_c_while_a_command_is_imported_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamguard.cli.main.import_module", interrupted)
    assert main(["doctor"]) == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_standard_output_without_room_is_named() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "streamguard", "models", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "streamguard: error: standard output: no space is left there\n")
