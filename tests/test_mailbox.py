"""Events on their way to a slow reader: scores go first, and whatever goes is counted and named."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import streamguard.mailbox
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


def lost_by(mailbox: Mailbox, events: list[Event]) -> int:
    for event in events:
        mailbox.put(event)
    return mailbox.statistics().dropped


def test_scores_between_verdicts_are_not_all_given_up_for_one_place() -> None:
    """A place is freed by two neighbours, and from then on by one more each."""
    mailbox = Mailbox(1000)
    events = [score(seq) if seq % 2 else verdict(seq) for seq in range(1, 1101)]
    assert lost_by(mailbox, events[:1000]) == 0
    assert lost_by(mailbox, events[1000:1001]) == 2
    assert lost_by(mailbox, events[1001:]) == 101
    assert told(all_of(mailbox))[:2] == ["1-101 lost", "102"]


def test_two_scores_go_before_a_verdict_that_would_be_cheaper() -> None:
    mailbox = Mailbox(5)
    lost_by(mailbox, [verdict(1), score(2), score(3), verdict(4), score(5), score(6)])
    assert told(all_of(mailbox)) == ["1", "2-3 lost", "4", "5", "6"]
    mailbox = Mailbox(5)
    lost_by(mailbox, [verdict(1), score(2), score(3), verdict(4), score(5), score(6), verdict(7)])
    assert told(all_of(mailbox)) == ["1", "2-3 lost", "4", "5-6 lost", "7"]
    mailbox = Mailbox(4)
    lost_by(mailbox, [verdict(1), verdict(2), score(3), verdict(4), verdict(5)])
    assert told(all_of(mailbox)) == ["1", "2-3 lost", "4", "5"]


def test_what_was_lost_before_it_came_here_is_told_as_one_with_what_is_lost_here() -> None:
    mailbox = Mailbox(3)
    lost_by(mailbox, [event_of(EventsLost(first_seq=1, last_seq=5), seq=5), *map(verdict, (6, 7, 8))])
    assert told(all_of(mailbox)) == ["1-6 lost", "7", "8"]
    for seq in (9, 10, 11, 12):
        mailbox.put(event_of(EventsLost(first_seq=seq, last_seq=seq), seq=seq))
    assert told(all_of(mailbox)) == ["9-12 lost"]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_full_mailbox_takes_no_longer_the_more_it_holds(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    looks = 0
    worth = streamguard.mailbox._worth

    def counted(place: streamguard.mailbox._Place) -> streamguard.mailbox._Worth | None:
        nonlocal looks
        looks += 1
        return worth(place)

    monkeypatch.setattr(streamguard.mailbox, "_worth", counted)
    rng = np.random.default_rng(1)
    mailbox = Mailbox(2000)
    for seq in range(1, 10_001):
        mailbox.put(score(seq) if rng.random() < share else verdict(seq))
    assert looks < 10 * 10_000


def test_what_goes_while_nobody_reads_counts_once_somebody_does() -> None:
    mailbox = Mailbox(2, reader=False)
    assert lost_by(mailbox, [verdict(1), verdict(2), verdict(3)]) == 0
    mailbox.begin_reading()
    assert mailbox.statistics().dropped == 2
    assert told(all_of(mailbox)) == ["1-2 lost", "3"]


def test_putting_says_whether_anybody_can_get_it() -> None:
    mailbox = Mailbox(2)
    assert mailbox.put(verdict(1))
    assert mailbox.put_waiting(verdict(2))
    mailbox.close()
    assert not mailbox.put(verdict(3))
    assert not mailbox.put_waiting(verdict(4))


def test_no_place_is_waited_for_where_nobody_is_expected() -> None:
    mailbox = Mailbox(2, reader=False)
    done = threading.Event()

    def write() -> None:
        for seq in range(1, 6):
            mailbox.put_waiting(verdict(seq))
        done.set()

    threading.Thread(target=write, daemon=True).start()
    mailbox.expect_nobody()
    assert done.wait(60)
    mailbox.begin_reading()
    mailbox.expect_nobody()
    threading.Thread(target=lambda: mailbox.put_waiting(verdict(6)), daemon=True).start()
    assert told([event for event in (mailbox.get(60), mailbox.get(60), mailbox.get(60)) if event]) == [
        "1-4 lost",
        "5",
        "6",
    ]


def test_every_number_is_given_or_named_as_lost_whatever_comes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        capacity = int(rng.integers(2, 9))
        mailbox = Mailbox(capacity)
        got: list[Event] = []
        count = int(rng.integers(1, 60))
        for seq in range(1, count + 1):
            mailbox.put(score(seq) if rng.random() < 0.6 else verdict(seq))
            assert len(mailbox) <= capacity
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
