"""Calls the program's function with the events of all streams, in turns, on one thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .events import Event
from .mailbox import Mailbox
from .moment import Moment

logger = logging.getLogger(__name__)

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackStatistics:
    called: int
    failed: int
    """Calls that raised. The first such exception is raised by `close`, all are logged."""
    lost: int
    """Events of all streams that were dropped because the callback was too slow."""


class Callback:
    """A mailbox for each stream; they are emptied in turns, an event at a time."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._changed = threading.Condition()
        self._ready: deque[Mailbox] = deque()
        self._mailboxes: dict[Mailbox, Moment] = {}
        self._closing = self._abandoned = False
        self._called = self._failed = self._lost_before = 0
        self._failure: BaseException | None = None
        self._failure_taken = False
        self._thread = threading.Thread(target=self._run, name="streamguard-callback", daemon=True)
        self._thread.start()

    def add(self, mailbox: Mailbox) -> Moment:
        """When it got the last event of this mailbox, which somebody closes."""
        moment = Moment()
        with self._changed:
            self._mailboxes[mailbox] = moment
        mailbox.on_ready = lambda: self._note(mailbox)
        return moment

    def remove(self, mailbox: Mailbox) -> None:
        with self._changed:
            moment = self._mailboxes.pop(mailbox, None)
            if moment is not None:
                self._lost_before += mailbox.statistics().dropped
        if moment is not None:
            moment.happen()

    @property
    def is_this_thread(self) -> bool:
        """The callback itself is no reason for it to wait for itself."""
        return threading.current_thread() is self._thread

    def close(self, timeout_s: float) -> None:
        """Once it got what waits; what it does not get in time is dropped, and logged. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self.is_this_thread:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._changed:
                told, self._abandoned = self._abandoned, True
                mailboxes = dict(self._mailboxes)
            waiting = sum(len(mailbox) for mailbox in mailboxes)
            if not told:
                logger.error("on_event is too slow: the %d events that wait for it are dropped", waiting)
            for moment in mailboxes.values():
                moment.happen()

    def take_failure(self) -> BaseException | None:
        """Its first exception, once."""
        with self._changed:
            failure = None if self._failure_taken else self._failure
            self._failure_taken = failure is not None or self._failure_taken
            return failure

    def statistics(self) -> CallbackStatistics:
        with self._changed:
            lost = self._lost_before + sum(mailbox.statistics().dropped for mailbox in self._mailboxes)
            return CallbackStatistics(called=self._called, failed=self._failed, lost=lost)

    def _note(self, mailbox: Mailbox) -> None:
        with self._changed:
            if mailbox not in self._ready:
                self._ready.append(mailbox)
                self._changed.notify_all()

    def _run(self) -> None:
        while (mailbox := self._next()) is not None:
            event = mailbox.get(0)
            if event is not None:
                self._call(event)
                self._note(mailbox)
            elif mailbox.over:
                self.remove(mailbox)

    def _next(self) -> Mailbox | None:
        """Waits for a mailbox with something in it. None once all are empty and it is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closing)
            return self._ready.popleft() if self._ready and not self._abandoned else None

    def _call(self, event: Event) -> None:
        self._called += 1
        try:
            self._on_event(event)
        except BaseException as exc:  # sys.exit too must not end this thread: the next event may be an alarm
            self._failed += 1
            self._failure = exc if self._failure is None else self._failure
            logger.error("on_event raised on %s", type(event.kind).__name__, exc_info=exc)
