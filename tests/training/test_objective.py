"""What is minimised: each term says what it should of answers that are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.nets.motion_net import MotionNet
from streamguard.nets.past import Past
from streamguard.training.losses import difference_loss, logit_loss, motion_loss, ranking_loss
from streamguard.training.objective import TERMS, Objective
from streamguard.training.recipe import LossPart

SIZE_PX = 32


def batch(length: int = 3) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    crops = torch.randint(0, 256, (4, length, SIZE_PX, SIZE_PX, 3), dtype=torch.uint8)
    masks = torch.zeros(4, length, SIZE_PX // 8, SIZE_PX // 8)
    masks[1::2, :, 1:3] = 1
    masked, twins = torch.tensor([True, True, True, False]), torch.tensor([True, False])
    return crops, torch.tensor([0, 1, 0, 1]), masks, masked, twins


NETWORKS: dict[str, Callable[[], MotionNet]] = {
    "gml-s": lambda: GmlS(GmlSOptions(width=0.1, size_px=SIZE_PX, length=2)),
    "gml": lambda: Gml(GmlOptions(width=0.08, size_px=SIZE_PX, length=3)),
    "without-anomaly": lambda: GmlS(GmlSOptions(width=0.1, size_px=SIZE_PX, length=2, anomaly=False)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_terms_are_the_losses_and_their_sum(name: str) -> None:
    weights = LossPart(anomaly=0.3, second=0.5, ranking=2.0, difference=0.7, smoothing=0.1)
    torch.manual_seed(1)
    objective = Objective(NETWORKS[name](), weights).eval()
    given = batch()
    crops, labels = given[:2]
    terms = dict(zip(TERMS, objective(*given).tolist(), strict=True))
    answers = objective.net.answers(crops, Past.of_clips(crops))  # type: ignore[operator]  # a network, not a tensor
    main = motion_loss(answers, labels, anomaly=0.3, second=0.5, smoothing=0.1)
    assert terms["first"] == pytest.approx(main.first.item())
    assert (terms["anomaly"], terms["second"]) == pytest.approx((main.anomaly.item(), main.second.item()))
    assert terms["loss"] == pytest.approx(sum(terms[name] for name in TERMS[1:]), rel=1e-5)
    assert terms["ranking"] > 0
    assert terms["difference"] > 0


def test_difference_is_learned_at_the_layer_before_the_anomaly_branch() -> None:
    objective = Objective(GmlS(GmlSOptions(width=0.1, size_px=SIZE_PX, length=2)), LossPart(difference=1.0))
    objective(*batch())[-1].backward()
    felt = {name for name, each in objective.net.named_parameters() if each.grad is not None and each.grad.any()}
    assert "blocks.10.project_bn.weight" in felt
    assert not [name for name in felt if name.startswith(("blocks.11.", "anomaly", "classifier"))]


def test_ranking_wants_fakes_above_their_own_twins_only() -> None:
    logits = torch.tensor([0.0, 5.0, 3.0, -3.0])
    both = ranking_loss(logits, torch.tensor([True, True]))
    first = ranking_loss(logits, torch.tensor([True, False]))
    assert first.item() == pytest.approx(0.018, abs=1e-3)
    assert both.item() == pytest.approx((0.018 + 7.001) / 2, abs=1e-2)
    assert ranking_loss(logits, torch.tensor([False, False])).item() == 0.0


def test_difference_counts_where_it_is_known_what_was_altered() -> None:
    masks = torch.zeros(2, 1, 4, 4)
    masks[1, :, :2] = 1
    found = torch.full((2, 1, 2, 2), -20.0)
    found[1, :, 0] = 20.0
    assert difference_loss(found, masks, torch.tensor([True, True])).item() < 1e-6
    assert difference_loss(-found, masks, torch.tensor([True, False])).item() == pytest.approx(20.0)


def test_smoothed_labels_do_not_want_certainty() -> None:
    labels, sure = torch.tensor([0, 1]), torch.tensor([[-9.0], [9.0]])
    assert logit_loss(sure, labels).item() < 0.001
    assert logit_loss(sure, labels, smoothing=0.2).item() == pytest.approx(0.9, abs=0.01)
