"""What a run remembers: the crop before, all at once or across runs; what is kept, in which order, and of whom."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamguard.nets.past import Past

FACES = 2


def clips(length: int) -> Tensor:
    """(N, L, 1, 1, 1): crop t of face n is 10 (n + 1) + t, which is never zero."""
    return (10 * (torch.arange(FACES) + 1)[:, None] + torch.arange(length)).float()[:, :, None, None, None]


def past_of(length: int, before: int = 0, state: list[Tensor] | None = None) -> Past:
    return Past((before + torch.arange(length))[None].expand(FACES, -1), state)


def numbers(x: Tensor) -> list[list[float]]:
    """Face by face."""
    return x.reshape(FACES, -1).tolist()


@pytest.mark.parametrize(("length", "wanted"), [(1, [[0], [0]]), (3, [[0, 10, 11], [0, 20, 21]])])
def test_one_back_without_a_state_is_zero_first_and_then_the_same_faces_crop_before(
    length: int, wanted: list[list[float]]
) -> None:
    past = past_of(length)
    x = clips(length)
    assert numbers(past.one_back(x.flatten(0, 1))) == wanted
    assert [numbers(kept) for kept in past.kept] == [numbers(x[:, -1])]


@pytest.mark.parametrize(("length", "wanted"), [(1, [[7], [8]]), (3, [[7, 10, 11], [8, 20, 21]])])
def test_one_back_with_a_state_begins_with_what_was_kept(length: int, wanted: list[list[float]]) -> None:
    last = torch.tensor([7.0, 8.0])[:, None, None, None]
    past, x = past_of(length, before=1, state=[last]), clips(length)
    assert numbers(past.one_back(x.flatten(0, 1))) == wanted
    assert [numbers(kept) for kept in past.kept] == [numbers(x[:, -1])]


@pytest.mark.parametrize(("length", "wanted"), [(1, [[0], [0]]), (3, [[11, 12, 0], [21, 22, 0]])])
def test_one_ahead_ends_with_zero_and_keeps_nothing(length: int, wanted: list[list[float]]) -> None:
    past = past_of(length)
    assert numbers(past.one_ahead(clips(length).flatten(0, 1))) == wanted
    assert past.kept == []


def test_recent_ones_come_before_and_as_many_are_kept() -> None:
    """Also when a run is shorter than what it keeps: 10 and 20 are still there after two crops."""
    first, second = clips(3)[:, :1, 0, 0], clips(3)[:, 1:, 0, 0]  # (N, L, 1)
    past = past_of(1)
    assert numbers(past.with_recent(first.flatten(0, 1), 3)) == [[0, 0, 0, 10], [0, 0, 0, 20]]
    assert numbers(past.kept[0]) == [[0, 0, 10], [0, 0, 20]]
    later = past_of(2, before=1, state=past.kept)
    assert numbers(later.with_recent(second.flatten(0, 1), 3)) == [[0, 0, 10, 11, 12], [0, 0, 20, 21, 22]]
    assert numbers(later.kept[0]) == [[10, 11, 12], [20, 21, 22]]


def test_of_no_recent_ones_none_are_kept() -> None:
    past = past_of(2)
    assert numbers(past.with_recent(clips(2)[:, :, 0, 0].flatten(0, 1), 0)) == [[10, 11], [20, 21]]
    assert past.kept[0].shape == (FACES, 0, 1)


@pytest.mark.parametrize(("age", "wanted"), [(1, [[0, 11, 12], [20, 21, 22]]), (2, [[0, 0, 12], [0, 21, 22]])])
def test_since_an_age_is_zero_where_a_face_is_younger(age: int, wanted: list[list[float]]) -> None:
    ages = torch.tensor([[0, 1, 2], [1, 2, 3]])
    assert numbers(Past(ages).since(clips(3).flatten(0, 1), age)) == wanted


def test_what_is_kept_is_taken_in_the_same_order() -> None:
    x, other = clips(2).flatten(0, 1), 100 * clips(2).flatten(0, 1)
    past = past_of(2)
    past.one_back(x)
    past.one_back(other)
    past.with_recent(x[:, :, 0, 0], 1)
    assert [numbers(kept) for kept in past.kept] == [[[11], [21]], [[1100], [2100]], [[11], [21]]]
    later = past_of(1, before=2, state=past.kept)
    assert numbers(later.one_back(x[::2])) == [[11], [21]]
    assert numbers(later.one_back(x[::2])) == [[1100], [2100]]
    assert numbers(later.with_recent(x[::2, :, 0, 0], 1)) == [[11, 10], [21, 20]]


def test_a_state_is_not_used_up() -> None:
    state = [torch.zeros(FACES, 1, 1, 1)]
    for _ in range(2):
        past_of(1, state=state).one_back(clips(1).flatten(0, 1))
    assert len(state) == 1


def test_what_is_kept_stays_when_what_it_was_made_of_is_written_over() -> None:
    x = clips(1).flatten(0, 1)
    past = past_of(1)
    past.one_back(x)
    past.with_recent(x[:, :, 0, 0], 1)
    x.zero_()
    assert [numbers(kept) for kept in past.kept] == [[[10], [20]], [[10], [20]]]


def test_a_state_must_have_as_many_tensors_as_are_taken() -> None:
    state, x = [torch.zeros(FACES, 1, 1, 1)], clips(1).flatten(0, 1)
    past = past_of(1, state=state)
    with pytest.raises(ValueError, match="1 tensors more"):
        past.check_used_up()
    past.one_back(x)
    past.check_used_up()
    with pytest.raises(ValueError, match="fewer tensors"):
        past.one_back(x)
    with pytest.raises(ValueError, match="fewer tensors"):
        past.with_recent(x[:, :, 0, 0], 1)
    without = past_of(1)
    without.one_back(x)
    without.check_used_up()
