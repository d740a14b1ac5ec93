"""What a scan says of a stream in the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamguard.cli.account import Account, table
from streamguard.events import Event, FaceAppeared, Kind, ParticipantVerdictChanged, Score
from streamguard.values import Box, FaceState, Reason, StreamState
from tests.sample_events import KINDS

(SCORE,) = (replace(kind, face_id=1, generation=1, reasons=()) for kind in KINDS if isinstance(kind, Score))
BORN = FaceAppeared(face_id=1, generation=1, box_px=Box(0, 0, 9, 9))


def account_of(*kinds: Kind) -> Account:
    account = Account()
    for seq, kind in enumerate((BORN, *kinds), start=1):
        event = Event(stream_id="s", epoch="e", seq=seq, pts_s=1.0 * seq, stream_state=StreamState.LIVE, kind=kind)
        account.take([event])
    return account


def row_of(account: Account) -> str:
    (row,) = [line for line in account.lines() if line.startswith("1 ") and " s to " in line]
    return row


def verdict(state: FaceState, previous: FaceState) -> ParticipantVerdictChanged:
    return ParticipantVerdictChanged(state=state, previous=previous, p_fake=0.5, face_id=1, generation=1)


def test_range_of_probabilities_holds_the_least_and_the_most_even_zero() -> None:
    account = account_of(*(replace(SCORE, raw_score=0.9, p_fake=p, p_face=None) for p in (0.0, 0.25, 0.125)))
    assert "p(fake) 0.12 now, 0.00 to 0.25" in row_of(account)


def test_raw_scores_are_told_as_such_and_never_mixed_with_probabilities() -> None:
    raw = [replace(SCORE, raw_score=r, p_fake=None, reasons=(Reason.UNCALIBRATED,)) for r in (0.25, 0.75)]
    assert "raw 0.25 to 0.75, uncalibrated" in row_of(account_of(*raw))
    assert "not calibrated" in row_of(account_of(*raw))
    assert "p(fake) 0.58 now, 0.58 to 0.58" in row_of(account_of(*raw, replace(SCORE, raw_score=0.9, p_fake=0.5)))


def test_what_is_shown_is_what_the_state_rests_on_and_not_one_window() -> None:
    scores = [replace(SCORE, p_fake=0.5, p_face=p) for p in (0.25, 0.98, 0.93)]
    assert "p(fake) 0.93 now, 0.25 to 0.98" in row_of(account_of(*scores))


def test_a_face_without_a_score_has_none() -> None:
    assert row_of(account_of()).split()[-2:] == ["none", "none"]


@pytest.mark.parametrize(
    ("states", "alarmed", "words"),
    [
        ([], False, "not judged"),
        ([FaceState.LIKELY_REAL], False, "likely real since 2.00 s"),
        ([FaceState.LIKELY_FAKE], True, "likely fake since 2.00 s"),
        ([FaceState.LIKELY_FAKE, FaceState.UNCERTAIN], True, "uncertain since 3.00 s, was likely fake before"),
    ],
)
def test_participants_verdict_remembers_that_it_was_fake(states: list[FaceState], alarmed: bool, words: str) -> None:
    before = [FaceState.WARMING_UP, *states]
    account = account_of(*(verdict(state, previous) for state, previous in zip(states, before, strict=False)))
    assert account.alarmed is alarmed
    assert account.verdict().startswith(words)
    assert f"participant: {account.verdict()}" in list(account.lines())


def test_a_windows_or_a_faces_state_alone_is_no_alarm() -> None:
    assert not account_of(replace(SCORE, state=FaceState.LIKELY_FAKE, p_fake=0.99)).alarmed


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    assert table(("a", "bb"), [("1", "2"), ("333", "4")]) == ["a    bb", "1    2", "333  4"]
