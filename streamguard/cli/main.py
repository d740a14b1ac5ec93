"""The program's frame: finds the command, imports it, runs it, and turns errors into one line and an exit code.

A command is a module here with `add_parser(subparsers)` and `run(args) -> int`. It imports what is heavy inside `run`.
One that shows events itself says SHOWS_EVENTS = True: then warnings, which tell the same, are logged only with -v.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Protocol, TypeAlias, cast

from .. import __version__
from ..errors import (
    AssetError,
    BundleError,
    CheckpointError,
    ConfigError,
    DataError,
    MissingPackageError,
    SourceError,
    StreamGuardError,
    TraceError,
)

COMMANDS = {
    "scan": "judge every face in video files, and write a report of each",
    "watch": "judge every face in a live stream or webcam while it runs",
    "demo": "scan a test video with a face that is faked by code, or your webcam",
    "faces": "find and follow faces, and print what happens to each; judges nobody",
    "models": "fetch and check the model files that find faces; list the networks that judge them",
    "data": "prepare footage for training and evaluation: whose it is, what is true of it, and its faces",
    "bundle": "say what a network's bundle is, check all of it, pack it, or make one",
    "train": "train a network on footage that was prepared for it",
    "evaluate": "measure a network on footage whose labels are known, with intervals",
    "calibrate": "make its scores probabilities, and keep its verdicts to a budget of false alarms",
    "doctor": "tell what this machine can run, and how to mend what is missing",
}
"""Each command's module and its line in the help. Shown without importing any of them."""

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConfigError, 2),
    (SourceError, 3),
    (DataError, 3),
    (TraceError, 3),
    (AssetError, 4),
    (BundleError, 4),
    (CheckpointError, 4),
    (MissingPackageError, 4),
    (KeyboardInterrupt, 130),
    (BrokenPipeError, 141),
    (Exception, 1),
)
"""The first that fits counts. argparse itself ends with 2 on a wrong command line."""

LIKELY_FAKE = 10
"""Not an error: `scan` and `watch` are done, and somebody was LIKELY_FAKE."""

DATA_FAILED = 3
"""As for a DataError: `data prepare` is done, and some of the footage could not be read."""

# argparse's own type for what add_subparsers returns.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Command(Protocol):
    """What a command's module has."""

    def add_parser(self, subparsers: Subparsers) -> object: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        return _main(argv)
    except KeyboardInterrupt:  # wherever it came, also while a command is imported
        return exit_code(KeyboardInterrupt())


def _main(argv: Sequence[str] | None) -> int:
    _mend_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(arguments).parse_args(arguments)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 2
    with _logging(args.verbose, shows_events=_shows_events(args.command)):
        try:
            code = _command(args.command).run(args)
            sys.stdout.flush()
            return code
        except BrokenPipeError as exc:
            _discard_stdout()
            return exit_code(exc)
        except (StreamGuardError, OSError) as exc:
            from .event_words import printable  # it may name a file, and names may hold anything

            logging.getLogger(__name__).debug("where it happened", exc_info=True)
            told = str(exc)
            if isinstance(exc, OSError) and exc.filename is None and exc.errno in (errno.ENOSPC, errno.EDQUOT):
                told = "standard output: no space is left there"  # a file's own failure is a SinkError
                _discard_stdout()
            sys.stderr.write(f"streamguard: error: {printable(told)}\n")
            return exit_code(exc)
        except Exception as exc:
            logging.getLogger(__name__).debug("where it happened", exc_info=True)
            what = " ".join(f"{type(exc).__name__}: {exc}".split())
            report = "please report it (run with -vv for the traceback)"
            sys.stderr.write(f"streamguard: internal error: {what}; {report}\n")
            return exit_code(exc)


def exit_code(error: BaseException) -> int:
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, complete for the command that is asked for; the others are only named."""
    parser = argparse.ArgumentParser(
        prog="streamguard",
        description="Tells, face by face, whether a face in live video is being faked.",
        epilog="Exit codes: 0 done, 10 somebody was LIKELY_FAKE (scan, watch), 1 failed, 2 wrong usage or setting, "
        "3 source, 4 model or package missing, 130 Ctrl-C, 141 the reader left, 143 SIGTERM.",
    )
    parser.add_argument("--version", action="version", version=f"streamguard {__version__}")
    _add_verbose(parser, 0)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked_for = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == asked_for:
            _command(name).add_parser(subparsers)
            _add_verbose(subparsers.choices[name], argparse.SUPPRESS)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _add_verbose(parser: argparse.ArgumentParser, default: int | str) -> None:
    """Before or after the command, as people type it."""
    told = "tell on stderr what happens; -vv tells everything"
    parser.add_argument("-v", "--verbose", action="count", default=default, help=told)


def _command(name: str) -> Command:
    return cast(Command, import_module(f"{__package__}.{name}"))


def _shows_events(name: str) -> bool:
    return bool(getattr(_command(name), "SHOWS_EVENTS", False))


class _WithoutTraceback(logging.Formatter):
    """Tracebacks are for -vv."""

    def formatException(self, ei: object) -> str:
        return ""


@contextmanager
def _logging(verbose: int, *, shows_events: bool) -> Iterator[None]:
    """Log lines of this package go to stderr while the command runs."""
    logger = logging.getLogger("streamguard")
    handler = logging.StreamHandler()
    formatter = logging.Formatter if verbose > 1 else _WithoutTraceback
    handler.setFormatter(formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level_before = logger.level
    logger.addHandler(handler)
    quiet = logging.ERROR if shows_events else logging.WARNING
    logger.setLevel((quiet, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level_before)


def _mend_streams() -> None:
    """Streams that the caller closed (`>&-`) swallow what is said; what their encoding lacks is escaped."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    """The reader of our output has left: what is still buffered must not raise again when Python ends."""
    with suppress(OSError):  # not a real file, as under a test
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
