"""Losses: the direction of labels, what counts and what does not, against sums by hand."""

from __future__ import annotations

import math

import pytest
import torch

from streamguard.nets.motion_net import Answers
from streamguard.training.losses import logit_loss, motion_loss

SURE_REAL, SURE_FAKE = [5.0, -5.0], [-5.0, 5.0]


def answers(*clips: list[list[float]], features: torch.Tensor | None = None, second: bool = False) -> Answers:
    scores = torch.tensor(clips)
    return Answers(scores, scores if second else None, features)


def test_label_1_is_fake() -> None:
    right = motion_loss(answers([SURE_FAKE], [SURE_REAL]), torch.tensor([1, 0]))
    wrong = motion_loss(answers([SURE_FAKE], [SURE_REAL]), torch.tensor([0, 1]))
    assert right.total < 1e-3 < 9 < wrong.total
    assert logit_loss(torch.tensor([[5.0], [-5.0]]), torch.tensor([1, 0])) < 0.01
    assert logit_loss(torch.tensor([[5.0], [-5.0]]), torch.tensor([0, 1])) > 4.9


def test_every_answer_of_every_clip_counts_alike() -> None:
    """A clip's label belongs to all of its own answers and to no other's."""
    loss = motion_loss(answers([[0.0, 1.0], [0.0, 2.0]], [[3.0, 0.0], [4.0, 0.0]]), torch.tensor([1, 0]))
    wanted = sum(math.log1p(math.exp(-margin)) for margin in (1, 2, 3, 4)) / 4
    torch.testing.assert_close(loss.first, torch.tensor(wanted))
    assert loss.total == loss.first


def test_the_branch_is_pulled_to_zero_on_real_clips_only() -> None:
    features = torch.zeros(3, 2, 4, 5, 5)
    features[0], features[1], features[2] = -2, 4, 100
    features.requires_grad_()
    loss = motion_loss(answers(*[[[0.0, 0.0]]] * 3, features=features), torch.tensor([0, 0, 1]))
    torch.testing.assert_close(loss.anomaly, torch.tensor(3.0))
    loss.anomaly.backward()
    assert features.grad is not None
    assert features.grad[0].max() < 0 < features.grad[1].min()
    assert not features.grad[2].any()


def test_without_real_clips_the_branch_is_left_alone() -> None:
    features = torch.ones(2, 1, 4, 5, 5)
    loss = motion_loss(answers([[0.0, 0.0]], [[0.0, 0.0]], features=features), torch.tensor([1, 1]))
    assert loss.anomaly == 0
    torch.testing.assert_close(loss.total, torch.tensor(math.log(2)))


def test_the_sum_is_of_all_three_and_each_can_be_left_out() -> None:
    given = answers([[0.0, 0.0]], features=torch.full((1, 1, 2, 3, 3), 0.5), second=True)
    whole = motion_loss(given, torch.tensor([0]))
    torch.testing.assert_close(whole.total, torch.tensor(2 * math.log(2) + 0.5))
    assert motion_loss(given, torch.tensor([0]), anomaly=0).total == pytest.approx(2 * math.log(2))
    assert motion_loss(given, torch.tensor([0]), second=0).total == pytest.approx(math.log(2) + 0.5)
