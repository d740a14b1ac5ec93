"""Signals while a command watches: remembered once, and the host's own handlers come back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from threading import Thread

import pytest

from streamguard.cli.stop import StopSignals, ended_by_sigterm

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Hosts(Exception):
    """Raised by the handler that was there before."""


def hosts_own(number: int, frame: object) -> None:
    raise Hosts


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    before = {number: signal.signal(number, hosts_own) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_is_remembered_and_the_second_does_not_wait(number: int, code: int) -> None:
    with StopSignals() as stop:
        os.kill(os.getpid(), number)
        assert stop.came
        with pytest.raises(Hosts):
            os.kill(os.getpid(), number)
    assert stop.exit_code == code


def test_the_hosts_handlers_come_back() -> None:
    with StopSignals() as stop:
        assert hosts_own not in [signal.getsignal(number) for number in SIGNALS]
    assert [signal.getsignal(number) for number in SIGNALS] == [hosts_own, hosts_own]
    assert (stop.came, stop.exit_code) == (False, 0)


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopSignals():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_on_another_thread_nothing_is_touched() -> None:
    seen = []

    def watch() -> None:
        with StopSignals() as stop:
            seen.append((stop.exit_code, signal.getsignal(signal.SIGTERM)))

    thread = Thread(target=watch)
    thread.start()
    thread.join()
    assert seen == [(0, hosts_own)]


def test_sigterm_ends_as_an_exit_would_so_that_what_is_half_made_goes() -> None:
    with pytest.raises(SystemExit) as ended, ended_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is hosts_own
