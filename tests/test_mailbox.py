"""Events on their way to a slow reader: scores go first, and whatever goes is counted and named."""

from __future__ import annotations

import threading

import numpy as np

from streamguard.events import Event, EventsLost, Score, VerdictChanged
from streamguard.mailbox import Mailbox
from tests.sample_events import KINDS, event_of

SCORE = next(kind for kind in KINDS if isinstance(kind, Score))
VERDICT = next(kind for kind in KINDS if isinstance(kind, VerdictChanged))


def score(seq: int) -> Event:
    return event_of(SCORE, seq=seq)


def verdict(seq: int) -> Event:
    return event_of(VERDICT, seq=seq)


def all_of(mailbox: Mailbox) -> list[Event]:
    found = []
    while (event := mailbox.get(0)) is not None:
        found.append(event)
    return found


def told(events: list[Event]) -> list[str]:
    return [
        f"{event.kind.first_seq}-{event.kind.last_seq} lost" if isinstance(event.kind, EventsLost) else str(event.seq)
        for event in events
    ]


def test_events_come_out_in_order() -> None:
    mailbox = Mailbox(4)
    for seq in (1, 2, 3):
        mailbox.put(verdict(seq))
    assert told(all_of(mailbox)) == ["1", "2", "3"]
    assert mailbox.statistics().dropped == 0


def test_the_oldest_score_goes_before_any_verdict() -> None:
    mailbox = Mailbox(4)
    for event in (verdict(1), score(2), score(3), verdict(4), verdict(5)):
        mailbox.put(event)
    assert told(all_of(mailbox)) == ["1", "2-3 lost", "4", "5"]
    assert mailbox.statistics().dropped == 2


def test_neighbours_that_are_lost_are_told_as_one() -> None:
    mailbox = Mailbox(3)
    for seq in range(1, 101):
        mailbox.put(score(seq))
    assert told(all_of(mailbox)) == ["1-98 lost", "99", "100"]
    assert mailbox.statistics().peak_waiting == 3


def test_without_scores_the_oldest_event_goes() -> None:
    mailbox = Mailbox(3)
    for seq in range(1, 7):
        mailbox.put(verdict(seq))
    assert told(all_of(mailbox)) == ["1-4 lost", "5", "6"]


def test_every_number_is_given_or_named_as_lost_whatever_comes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        mailbox = Mailbox(int(rng.integers(2, 9)))
        got: list[Event] = []
        count = int(rng.integers(1, 60))
        for seq in range(1, count + 1):
            mailbox.put(score(seq) if rng.random() < 0.6 else verdict(seq))
            if rng.random() < 0.1:
                got += [event for event in [mailbox.get(0)] if event is not None]
        got += all_of(mailbox)
        seen: list[int] = []
        lost = 0
        for event in got:
            if isinstance(event.kind, EventsLost):
                seen += range(event.kind.first_seq, event.kind.last_seq + 1)
                lost += event.kind.last_seq + 1 - event.kind.first_seq
            else:
                seen.append(event.seq)
        assert seen == list(range(1, count + 1))
        assert lost == mailbox.statistics().dropped


def test_a_closed_mailbox_still_gives_what_is_in_it() -> None:
    mailbox = Mailbox(4)
    mailbox.put(verdict(1))
    mailbox.close()
    mailbox.close()
    mailbox.put(verdict(2))
    assert not mailbox.over
    assert told(all_of(mailbox)) == ["1"]
    assert mailbox.over
    assert mailbox.get(None) is None


def test_a_reader_that_waits_is_woken_by_an_event_and_by_the_end() -> None:
    mailbox = Mailbox(4)
    got: list[Event | None] = []
    reader = threading.Thread(target=lambda: got.extend([mailbox.get(None), mailbox.get(None)]))
    reader.start()
    mailbox.put(verdict(1))
    mailbox.close()
    reader.join(60)
    assert [None if event is None else event.seq for event in got] == [1, None]


def test_a_file_waits_for_room_and_not_for_a_closed_mailbox() -> None:
    mailbox = Mailbox(2)
    done = threading.Event()

    def write() -> None:
        for seq in range(1, 6):
            mailbox.put_waiting(verdict(seq))
        done.set()

    threading.Thread(target=write, daemon=True).start()
    assert [mailbox.get(60).seq for _ in range(3)] == [1, 2, 3]  # type: ignore[union-attr]
    assert done.wait(60)
    writer = threading.Thread(target=lambda: mailbox.put_waiting(verdict(6)), daemon=True)
    writer.start()
    mailbox.close()
    writer.join(60)
    assert not writer.is_alive()
    assert mailbox.statistics().dropped == 0
