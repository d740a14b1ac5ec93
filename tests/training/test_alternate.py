"""Alternate freezing: who is held still when, that held means bit for bit, and that training can go on later."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from streamguard.nets.altfreezing import AltFreezing, AltFreezingOptions
from streamguard.training.alternate import AlternatingSchedule, AlternatingSgd, Group, kernel_groups

QUICK = AlternatingSchedule(spatial_frozen=2, temporal_frozen=1)


class Small(nn.Module):
    """One kernel of each kind, a norm, a bias, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Conv3d(1, 4, (3, 3, 3), padding=1, bias=False)
        self.over_time = nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0))
        self.over_space = nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1))
        self.point = nn.Conv3d(4, 4, 1)
        self.norm = nn.BatchNorm3d(4)
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.over_space(self.over_time(self.both(x))))
        logits: Tensor = self.head(self.norm(self.point(x)).mean(dim=(2, 3, 4)))
        return logits


SPATIAL = {"over_space.weight", "over_space.bias"}
TEMPORAL = {"over_time.weight", "over_time.bias"}


def small() -> Small:
    torch.manual_seed(3)
    return Small()


def backward(net: nn.Module, seed: int = 0) -> None:
    x = torch.rand(2, 1, 4, 6, 6, generator=torch.Generator().manual_seed(seed))
    net(x).square().sum().backward()


def iterate(net: nn.Module, optimizer: AlternatingSgd, seed: int = 0) -> None:
    with optimizer.frozen():
        backward(net, seed)
    optimizer.step()


def copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in net.named_parameters()}


def moved(net: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])}


# The schedule.


def test_published_schedule_holds_spatial_kernels_20_times_and_temporal_ones_once() -> None:
    table = {
        **{0: "spatial", 1: "spatial", 19: "spatial", 20: "temporal", 21: "spatial", 40: "spatial", 41: "temporal"},
        **{42: "spatial", 2099: "temporal", 2100: "spatial"},
    }
    assert {iteration: AlternatingSchedule().frozen_at(iteration) for iteration in table} == table


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (AlternatingSchedule(spatial_frozen=3, temporal_frozen=2), "sssttsssttsss"),
        (AlternatingSchedule(spatial_frozen=3, temporal_frozen=2, first="temporal"), "ttsssttsssttss"),
        (AlternatingSchedule(spatial_frozen=1, temporal_frozen=3), "stttsttts"),
        (AlternatingSchedule(spatial_frozen=1, temporal_frozen=1, first="temporal"), "tsts"),
    ],
)
def test_schedule_follows_its_numbers(schedule: AlternatingSchedule, expected: str) -> None:
    assert "".join(schedule.frozen_at(i)[0] for i in range(len(expected))) == expected


@pytest.mark.parametrize(("name", "value"), [("spatial_frozen", 0), ("temporal_frozen", -1), ("first", "both")])
def test_impossible_schedule_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        AlternatingSchedule(**{name: value})  # type: ignore[arg-type]


def test_direction_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    net = small()
    with caplog.at_level(logging.INFO, "streamguard.training.alternate"):
        optimizer = AlternatingSgd(net, AlternatingSchedule(), lr=0.1)
        iterate(net, optimizer)
    assert caplog.messages == [
        "spatial kernels (2 tensors) frozen for 20 iterations, then temporal ones (2 tensors) for 1; spatial first"
    ]


# Groups.


def test_groups_follow_the_shapes_of_kernels() -> None:
    groups = kernel_groups(small())
    assert set(groups.spatial) == SPATIAL
    assert set(groups.temporal) == TEMPORAL
    assert set(groups.shared) == {name for name, _ in small().named_parameters()} - SPATIAL - TEMPORAL


@pytest.mark.parametrize(
    ("kernel", "group"),
    [((5, 1, 1), "temporal"), ((1, 1, 3), "spatial"), ((1, 5, 1), "spatial"), ((3, 1, 3), "shared"), (1, "shared")],
)
def test_kernels_of_other_sizes_find_their_group(kernel: int | tuple[int, int, int], group: str) -> None:
    net = small()
    net.point = nn.Conv3d(4, 4, kernel)
    assert "point.weight" in getattr(kernel_groups(net), group)


def test_altfreezing_has_the_published_groups() -> None:
    with torch.device("meta"):
        groups = kernel_groups(AltFreezing())
    assert len(groups.temporal) == 9
    assert len(groups.spatial) == 16
    assert sum(each.ndim == 5 for each in groups.shared.values()) == 28
    assert sum(each.numel() for each in groups.temporal.values()) == 5_517_312
    assert sum(each.numel() for each in groups.spatial.values()) == 11_317_248


def test_parameters_that_the_user_holds_still_stay_so() -> None:
    net = small()
    net.over_space.bias.requires_grad_(False)  # type: ignore[union-attr]  # it was made with one
    optimizer, before = AlternatingSgd(net, QUICK, lr=0.1), copied(net)
    for _ in range(3):
        iterate(net, optimizer)
    assert moved(net, before) == set(before) - {"over_space.bias"}
    assert not net.over_space.bias.requires_grad  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("net", "missing"),
    [
        (nn.Sequential(nn.Linear(3, 3)), "spatial"),
        (nn.Sequential(nn.Conv3d(1, 1, (3, 1, 1)), nn.Conv2d(1, 1, 3)), "spatial"),
        (nn.Sequential(nn.Conv3d(1, 1, (1, 3, 3)), nn.Conv3d(1, 1, 3)), "temporal"),
    ],
)
def test_network_without_both_kinds_is_refused(net: nn.Module, missing: str) -> None:
    with pytest.raises(ValueError, match=f"Sequential has no {missing} kernels to train"):
        AlternatingSgd(net, QUICK, lr=0.1)


# Steps.


def test_what_is_held_keeps_every_bit_and_all_else_moves() -> None:
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1, weight_decay=0.1)
    for held in (SPATIAL, SPATIAL, TEMPORAL, SPATIAL, SPATIAL, TEMPORAL):
        before = copied(net)
        iterate(net, optimizer, seed=optimizer.iteration)
        assert moved(net, before) == set(before) - held
    assert optimizer.iteration == 6


def test_other_direction_works() -> None:
    net = small()
    optimizer = AlternatingSgd(net, AlternatingSchedule(spatial_frozen=1, temporal_frozen=2, first="temporal"), lr=0.1)
    for held in (TEMPORAL, TEMPORAL, SPATIAL, TEMPORAL):
        before = copied(net)
        iterate(net, optimizer, seed=optimizer.iteration)
        assert moved(net, before) == set(before) - held


def test_what_is_held_stays_even_when_gradients_were_computed_for_it() -> None:
    net = small()
    optimizer, before = AlternatingSgd(net, QUICK, lr=0.1, weight_decay=0.1), copied(net)
    backward(net)  # not inside frozen()
    optimizer.step()
    assert moved(net, before) == set(before) - SPATIAL


def test_what_is_held_has_no_say_in_the_norm_that_gradients_are_cut_by() -> None:
    """Several processes compute gradients for everything: what they cut must be what one process cuts."""
    norms = []
    for outside in (False, True):
        net = small()
        optimizer = AlternatingSgd(net, QUICK, lr=0.1)
        with nullcontext() if outside else optimizer.frozen():
            backward(net)
        optimizer.forget_held()
        norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0))
    assert torch.equal(*norms)


def test_what_is_held_gets_no_gradient_and_none_is_left_of_before() -> None:
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1)
    backward(net)
    assert net.over_space.weight.grad is not None
    with optimizer.frozen():
        backward(net)
        assert {name for name, each in net.named_parameters() if each.grad is None} == SPATIAL
    optimizer.step()
    assert all(each.grad is None and each.requires_grad for each in net.parameters())


def test_an_error_inside_leaves_the_network_trainable() -> None:
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1)
    with pytest.raises(KeyError), optimizer.frozen():
        raise KeyError
    assert all(each.requires_grad for each in net.parameters())
    assert optimizer.iteration == 0


def test_momentum_of_a_group_does_not_grow_or_leak_while_it_is_held() -> None:
    """Against SGD that was only ever shown the iterations in which this group is trained, by hand."""
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1, momentum=0.5, weight_decay=0.0)
    expected, velocity = net.over_space.weight.detach().clone(), torch.zeros_like(net.over_space.weight)
    for iteration in range(9):
        with optimizer.frozen():
            backward(net, iteration)
        gradient = net.over_space.weight.grad
        assert (gradient is None) == (iteration % 3 != 2)
        if gradient is not None:
            velocity = 0.5 * velocity + gradient
            expected = expected - 0.1 * velocity
        optimizer.step()
    torch.testing.assert_close(net.over_space.weight, expected, rtol=0, atol=1e-6)
    assert velocity.abs().max() > 0


def test_each_optimiser_has_a_momentum_of_its_own_for_shared_tensors() -> None:
    """The step in which temporal kernels are held begins without the momentum of the steps before it."""
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1, momentum=0.5, weight_decay=0.0)
    iterate(net, optimizer, 0)
    iterate(net, optimizer, 1)
    with optimizer.frozen():
        backward(net, 2)
    before, gradient = net.head.weight.detach().clone(), net.head.weight.grad
    assert gradient is not None
    expected = before - 0.1 * gradient
    optimizer.step()
    torch.testing.assert_close(net.head.weight, expected, rtol=0, atol=1e-7)


def test_kernels_decay_and_vectors_do_not() -> None:
    net = small()
    optimizer, before = AlternatingSgd(net, QUICK, lr=0.1, momentum=0.0, weight_decay=0.5), copied(net)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    decayed = {"both.weight", "over_time.weight", "point.weight", "head.weight"}
    assert moved(net, before) == decayed
    torch.testing.assert_close(net.head.weight, before["head.weight"] * 0.95)


def test_learning_rate_can_be_set() -> None:
    net = small()
    optimizer, before = AlternatingSgd(net, QUICK, lr=0.1), copied(net)
    optimizer.set_lr(0.0)
    for _ in range(3):
        iterate(net, optimizer)
    assert moved(net, before) == set()


def test_iteration_that_is_given_up_leaves_no_gradients() -> None:
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1)
    with optimizer.frozen():
        backward(net)
    optimizer.zero_grad()
    assert all(each.grad is None for each in net.parameters())
    assert optimizer.iteration == 0


def test_altfreezing_itself_is_trained_so() -> None:
    torch.manual_seed(3)
    net = AltFreezing(AltFreezingOptions(width=1 / 16, size_px=32, length=4)).train()
    optimizer = AlternatingSgd(net, AlternatingSchedule(spatial_frozen=1, temporal_frozen=1), lr=0.1)
    crops = torch.randint(0, 256, (2, 4, 32, 32, 3), dtype=torch.uint8)
    groups: dict[Group, set[str]] = {
        "spatial": set(optimizer.groups.spatial),
        "temporal": set(optimizer.groups.temporal),
    }
    for held in ("spatial", "temporal", "spatial", "temporal"):
        before = copied(net)
        with optimizer.frozen():
            net(crops).square().sum().backward()
        optimizer.step()
        assert moved(net, before) & groups[held] == set()
    assert moved(net, before) >= groups["spatial"]


# Going on later.


def resumed(net: nn.Module, optimizer: AlternatingSgd) -> tuple[Small, AlternatingSgd]:
    """Through a file, as weights only."""
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    net_again = Small()
    net_again.load_state_dict(state["net"])
    again = AlternatingSgd(net_again, optimizer.schedule, lr=99.0)
    again.load_state_dict(state["optimizer"])
    return net_again, again


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_training_that_went_on_equals_training_that_never_stopped(stop: int) -> None:
    net = small()
    optimizer = AlternatingSgd(net, QUICK, lr=0.1)
    for seed in range(stop):
        iterate(net, optimizer, seed)
    net_again, again = resumed(net, optimizer)
    for seed in range(stop, 7):
        iterate(net, optimizer, seed)
        iterate(net_again, again, seed)
    assert moved(net_again, copied(net)) == set()
    assert again.iteration == 7


def other_schedule() -> AlternatingSgd:
    return AlternatingSgd(small(), AlternatingSchedule(), lr=0.1)


def other_network() -> AlternatingSgd:
    net = small()
    net.head = nn.Linear(4, 2)
    return AlternatingSgd(net, QUICK, lr=0.1)


@pytest.mark.parametrize(("other", "words"), [(other_schedule, "another schedule"), (other_network, "another network")])
def test_state_of_something_else_is_refused(other: Callable[[], AlternatingSgd], words: str) -> None:
    optimizer = AlternatingSgd(small(), QUICK, lr=0.1)
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(other().state_dict())
    assert optimizer.iteration == 0


def test_a_state_of_which_only_a_part_fits_changes_nothing() -> None:
    optimizer = AlternatingSgd(small(), QUICK, lr=0.1)
    state = AlternatingSgd(small(), QUICK, lr=0.5).state_dict()
    state["temporal_frozen"]["param_groups"].pop()
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict() == before


def test_parameters_in_another_order_are_another_network() -> None:
    """An optimiser knows its parameters by their place: momentum would go to the wrong ones."""
    net, mixed = small(), small()
    first = next(iter(mixed._modules))
    mixed._modules[first] = mixed._modules.pop(first)  # and now last
    assert {each for each, _ in mixed.named_parameters()} == {each for each, _ in net.named_parameters()}
    with pytest.raises(ValueError, match="another network"):
        AlternatingSgd(net, QUICK, lr=0.1).load_state_dict(AlternatingSgd(mixed, QUICK, lr=0.1).state_dict())


def test_what_is_frozen_by_hand_meanwhile_stays_frozen() -> None:
    optimizer = AlternatingSgd(small(), QUICK, lr=0.1)
    held = {"spatial": optimizer.groups.spatial, "temporal": optimizer.groups.temporal}[optimizer.frozen_group]
    first, *others = held.values()
    first.requires_grad_(False)
    with optimizer.frozen():
        pass
    assert not first.requires_grad
    assert all(each.requires_grad for each in others)
