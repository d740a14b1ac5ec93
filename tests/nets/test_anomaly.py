"""The anomaly branch: nine blocks that begin as their shortcuts, F* with both signs, and a classifier on its mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamguard.nets.anomaly import AnomalyBranch

from .shaken import shaken

CHANNELS = 8


def features(seed: int = 0) -> Tensor:
    return torch.randn(4, CHANNELS, 6, 5, generator=torch.Generator().manual_seed(seed))


def branch(*, classifier: bool = True) -> AnomalyBranch:
    torch.manual_seed(0)
    return AnomalyBranch(CHANNELS, classifier=classifier)


def test_nine_bottlenecks_of_a_quarter_of_the_channels() -> None:
    convolutions = [
        [
            (each.in_channels, each.out_channels, each.kernel_size)
            for each in block.modules()
            if isinstance(each, nn.Conv2d)
        ]
        for block in branch().blocks
    ]
    assert convolutions == 9 * [[(8, 2, (1, 1)), (2, 2, (3, 3)), (2, 8, (1, 1))]]


@torch.no_grad()
def test_what_it_finds_has_the_size_of_the_features_and_both_signs() -> None:
    x = features()
    found = shaken(branch(), seed=1)(x).features
    assert found.shape == x.shape
    assert (found < 0).any()
    assert (found > 0).any()


@torch.no_grad()
def test_it_begins_as_its_shortcuts() -> None:
    """Of which all but the last end with a ReLU."""
    net, x = branch(), features()
    assert torch.equal(net(x).features, x.relu())
    assert torch.equal(net.blocks[-1](x), x)


@torch.no_grad()
def test_classes_are_read_from_the_mean_over_the_picture() -> None:
    net = shaken(branch(), seed=1)
    found = net(features())
    assert net.classifier is not None
    wanted = found.features.mean(dim=(2, 3)) @ net.classifier.weight.T + net.classifier.bias  # (N L, 2)
    torch.testing.assert_close(found.scores, wanted)
    assert wanted.std(dim=0).min() > 1e-3


@torch.no_grad()
def test_without_a_classifier_there_is_the_same_map_and_no_score() -> None:
    net, bare = branch(), branch(classifier=False)
    assert not any(isinstance(each, nn.Linear) for each in bare.modules())
    found = bare(features())
    assert found.scores is None
    assert torch.equal(found.features, net(features()).features)


def test_all_of_it_learns_after_one_step() -> None:
    """In the first only the norms that begin at zero, and the classifier; then what lies behind them as well."""
    net = branch().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        scores = net(features()).scores
        nn.functional.cross_entropy(scores, torch.tensor([0, 1, 0, 1])).backward()
        gradients = {name: each.grad for name, each in net.named_parameters()}
        optimizer.step()
    assert [name for name, each in gradients.items() if each is None or not each.any()] == []
