"""Tensors into a network: all of them or none, and a network's own weights to the disk and back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from streamguard.errors import CheckpointError, MissingPackageError
from streamguard.weights.load import load_strictly, load_weights, rounded_to_halves, save_weights


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))


def tensors(seed: int = 1) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in net(seed).state_dict().items()}


def equal(a: nn.Module, b: dict[str, Tensor]) -> bool:
    held = a.state_dict()
    return held.keys() == b.keys() and all(torch.equal(each, b[name]) for name, each in held.items())


def refusal(given: dict[str, Tensor]) -> CheckpointError:
    """And nothing was written."""
    target = net()
    with pytest.raises(CheckpointError) as caught:
        load_strictly(target, given, "w.pth")
    assert equal(target, tensors(0))
    return caught.value


def test_all_tensors_are_taken() -> None:
    target = net()
    load_strictly(target, tensors(), "w.pth")
    assert equal(target, tensors())
    assert all(each.requires_grad for each in target.parameters())


def test_later_changes_of_what_was_given_do_not_reach_the_network() -> None:
    target, given = net(), tensors()
    load_strictly(target, given, "w.pth")
    given["0.weight"].zero_()
    assert equal(target, tensors())


def test_missing_tensor_is_named() -> None:
    given = tensors()
    del given["2.weight"]
    error = refusal(given)
    assert str(error) == "checkpoint w.pth, 2.weight: is missing"


def test_superfluous_tensor_is_named() -> None:
    assert str(refusal({**tensors(), "9.bias": torch.ones(2)})) == "checkpoint w.pth, 9.bias: is not in this network"


def test_wrong_shape_is_named_with_both() -> None:
    error = refusal({**tensors(), "0.weight": torch.ones(3, 4)})
    assert (error.where, error.problem) == ("0.weight", "has shape [3, 4]; this network has [4, 3]")


def test_a_shape_that_would_be_stretched_is_refused() -> None:
    assert refusal({**tensors(), "1.weight": torch.ones(1)}).where == "1.weight"


def test_wrong_kind_of_number_is_named() -> None:
    error = refusal({**tensors(), "0.bias": torch.ones(4, dtype=torch.int64)})
    assert (error.where, error.problem) == ("0.bias", "holds int64; this network has float32")


def test_only_name_of_a_shape_is_suggested() -> None:
    given = tensors()
    given["encoder"] = given.pop("3.weight")
    assert refusal(given).problem == "is missing (did you mean encoder?)"


def test_name_much_alike_is_suggested_among_several_of_one_shape() -> None:
    given = {f"layer.{name}": each for name, each in tensors().items()}
    target = nn.Module()
    target.layer = net()
    given["layer.0.biass"], given["unlike"] = given.pop("layer.0.bias"), given.pop("layer.2.bias")
    with pytest.raises(CheckpointError) as caught:
        load_strictly(target, given, "w.pth")
    assert caught.value.problem == "is missing (did you mean layer.0.biass?); wrong as well: 2 (layer.2.bias, unlike)"


def test_nothing_is_suggested_where_shapes_differ() -> None:
    given = tensors()
    del given["0.weight"]
    assert refusal({**given, "0.weights": torch.ones(9, 9)}).problem == "is missing; wrong as well: 1 (0.weights)"


def test_all_problems_are_counted_and_a_few_named() -> None:
    error = refusal({"other": torch.ones(1)})
    assert error.where == "0.weight"
    assert error.problem == "is missing; wrong as well: 10 (0.bias, 1.weight, 1.bias, ...)"


def test_name_of_a_stranger_is_shown_escaped() -> None:
    assert refusal({**tensors(), "a\x1b[2J": torch.ones(1)}).where == r"'a\x1b[2J'"


def test_counters_of_norms_may_be_absent_all_together() -> None:
    target, given = net(), tensors()
    del given["1.num_batches_tracked"]
    target.get_buffer("1.num_batches_tracked").fill_(7)
    load_strictly(target, given, "w.pth")
    assert equal(target, {**given, "1.num_batches_tracked": torch.tensor(0)})


def test_one_counter_alone_may_not_be_absent() -> None:
    target = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    given = {name: each for name, each in target.state_dict().items() if name != "1.num_batches_tracked"}
    with pytest.raises(CheckpointError, match=r"1\.num_batches_tracked: is missing"):
        load_strictly(target, given, "w.pth")


def test_file_may_have_its_own_names_and_errors_use_them() -> None:
    names = {name: f"their.{name}" for name in tensors()}
    theirs = {names[name]: each for name, each in tensors().items()}
    target = net()
    load_strictly(target, theirs, "w.pth", file_names=names)
    assert equal(target, tensors())
    del theirs["their.0.bias"]
    with pytest.raises(CheckpointError, match=r"their\.0\.bias: is missing"):
        load_strictly(net(), theirs, "w.pth", file_names=names)


# To the disk and back.


def test_saved_weights_come_back(tmp_path: Path) -> None:
    save_weights(net(1), tmp_path / "w.safetensors")
    target = net()
    load_weights(target, tmp_path / "w.safetensors")
    assert equal(target, tensors(1))
    assert [each.name for each in tmp_path.iterdir()] == ["w.safetensors"]


def test_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    """In whatever order and memory layout they lie."""
    save_weights(net(1), tmp_path / "a")
    again = net(1)
    weight = again.get_parameter("0.weight")
    weight.data = weight.data.T.contiguous().T
    again._modules = dict(reversed(again._modules.items()))
    assert list(again.state_dict()) != list(net(1).state_dict())
    save_weights(again, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_that_16_bits_hold_take_no_more_and_come_back_as_they_were(tmp_path: Path) -> None:
    rounded = rounded_to_halves(net(1))
    assert not equal(rounded, tensors(1))
    for name in ("2.weight", "0.bias", "1.running_mean"):
        tensor = rounded.state_dict()[name]
        tensor.copy_(torch.linspace(1, 2, tensor.numel()).view(tensor.shape) / 3)  # of which they hold none
    save_weights(rounded, tmp_path / "w", halves=True)
    kinds = {name: each.dtype for name, each in load_file(tmp_path / "w").items()}
    assert {name for name, kind in kinds.items() if kind == torch.float16} == {"0.weight", "3.weight"}
    target = net()
    load_weights(target, tmp_path / "w")
    assert equal(target, rounded.state_dict())


def test_rounding_changes_weights_by_what_16_bits_allow_and_nothing_else() -> None:
    before = net(1)
    with torch.no_grad():
        before.get_parameter("3.weight")[0, 0] = 70_000.0  # more than they reach
    given = {name: each.clone() for name, each in before.state_dict().items()}
    after = rounded_to_halves(before).state_dict()
    assert equal(before, given)
    for name in ("0.weight", "2.weight"):
        assert torch.equal(after[name], given[name].half().float())
        assert 0 < (after[name] / given[name] - 1).abs().max() <= 2**-11
    untouched = given.keys() - {"0.weight", "2.weight"}
    assert all(torch.equal(after[name], given[name]) for name in untouched)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    broken = net()
    with torch.no_grad():
        broken.get_parameter("2.weight")[0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=r"2\.weight"):
        save_weights(broken, tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_written_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "w.part").mkdir()
    (tmp_path / "w").write_bytes(b"old")
    with pytest.raises(CheckpointError, match=r"cannot be written \(Is a directory\)"):
        save_weights(net(), tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == b"old"


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"safetensors: pip install 'streamguard\[train\]'"):
        save_weights(net(), tmp_path / "w")
