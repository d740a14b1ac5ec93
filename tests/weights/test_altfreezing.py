"""AltFreezing's published names: a file that carries all of them is taken, any other is refused by name.

The table of names and shapes is written here on its own, from the description of the published checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from streamguard.errors import CheckpointError
from streamguard.nets.altfreezing import AltFreezing, AltFreezingOptions
from streamguard.weights.altfreezing import load, official_names
from streamguard.weights.load import save_weights

NARROW = AltFreezingOptions(width=1 / 16, size_px=64, length=8)
BLOCKS = ((3, 3, 3), (3, 1, 3, 1), (3, 1, 3, 1, 3, 1), (1, 3, 1))


def official_shapes(stem: int = 64) -> Iterator[tuple[str, tuple[int, ...]]]:
    """model.pth, tensor by tensor, in the order of its modules."""

    def norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        for each in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.{each}", (channels,)
        yield f"{name}.num_batches_tracked", ()

    yield "resnet.s1.pathway0_stem.conv.weight", (stem, 3, 5, 7, 7)
    yield from norm("resnet.s1.pathway0_stem.bn", stem)
    before, inner = stem, stem
    for i, kernels in enumerate(BLOCKS):
        for j, moments in enumerate(kernels):
            name = f"resnet.s{i + 2}.pathway0_res{j}"
            if j == 0:
                yield f"{name}.branch1.weight", (4 * inner, before, 1, 1, 1)
                yield from norm(f"{name}.branch1_bn", 4 * inner)
            yield f"{name}.branch2.a.weight", (inner, before, moments, 1, 1)
            yield from norm(f"{name}.branch2.a_bn", inner)
            yield f"{name}.branch2.b.weight", (inner, inner, 1, 3, 3)
            yield from norm(f"{name}.branch2.b_bn", inner)
            yield f"{name}.branch2.c.weight", (4 * inner, inner, 1, 1, 1)
            yield from norm(f"{name}.branch2.c_bn", 4 * inner)
            before = 4 * inner
        inner *= 2
    yield "resnet.head.projection.weight", (1, before)
    yield "resnet.head.projection.bias", (1,)


def official_tensors(stem: int = 64) -> dict[str, Tensor]:
    """Each tensor with values of its own."""
    return {
        name: torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape) / 1e6 + i
        if not name.endswith("num_batches_tracked")
        else torch.tensor(1000 + i)
        for i, (name, shape) in enumerate(official_shapes(stem))
    }


def saved(tensors: object, path: Path) -> Path:
    torch.save(tensors, path)
    return path


def safetensors_file(tensors: dict[str, Tensor], path: Path) -> Path:
    """Quick to read: no process is started for it."""
    from safetensors.torch import save_file

    save_file(tensors, path)
    return path


def narrow() -> AltFreezing:
    return AltFreezing(NARROW).eval()


def test_literal_examples_of_the_published_names() -> None:
    shapes = dict(official_shapes())
    assert shapes["resnet.s2.pathway0_res0.branch2.a.weight"] == (64, 64, 3, 1, 1)
    assert shapes["resnet.s2.pathway0_res0.branch2.b.weight"] == (64, 64, 1, 3, 3)
    assert shapes["resnet.s2.pathway0_res0.branch2.c.weight"] == (256, 64, 1, 1, 1)
    assert shapes["resnet.s5.pathway0_res1.branch2.a.weight"] == (512, 2048, 3, 1, 1)
    assert shapes["resnet.head.projection.weight"] == (1, 2048)


def test_every_tensor_has_its_official_name_and_shape() -> None:
    with torch.device("meta"):
        net = AltFreezing()
    names = official_names(net)
    assert {names[name]: tuple(each.shape) for name, each in net.state_dict().items()} == dict(official_shapes())


def test_names_are_mapped_to_what_they_mean() -> None:
    names = official_names(narrow())
    assert names["stem.norm.running_var"] == "resnet.s1.pathway0_stem.bn.running_var"
    assert names["stages.0.0.shortcut.weight"] == "resnet.s2.pathway0_res0.branch1.weight"
    assert names["stages.2.5.b_norm.bias"] == "resnet.s4.pathway0_res5.branch2.b_bn.bias"
    assert names["head.weight"] == "resnet.head.projection.weight"


def test_full_published_shapes_are_imported_from_what_torch_saves(tmp_path: Path) -> None:
    """As the authors' trainer writes it: wrapped, with words before the names, beside other things."""
    tensors = official_tensors()
    wrapped = {"epoch": 3, "state_dict": {f"module.network.{name}": each for name, each in tensors.items()}}
    with torch.device("meta"):
        net = AltFreezing()
    net.to_empty(device="cpu")
    load(net, saved(wrapped, tmp_path / "model.pth"))
    held = net.state_dict()
    assert all(torch.equal(held[ours], tensors[official]) for ours, official in official_names(net).items())


@pytest.mark.parametrize("before", ["", "module.", "network.", "network.module.", "module.module.network."])
def test_import_gives_the_logits_of_the_network_whose_weights_it_holds(tmp_path: Path, before: str) -> None:
    torch.manual_seed(4)
    trained = AltFreezing(NARROW).train()
    crops = torch.randint(0, 256, (2, 8, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
        trained(crops)  # moves the statistics of norms
        expected = trained.eval()(crops)
    names = official_names(trained)
    tensors = {before + names[name]: each for name, each in trained.state_dict().items()}
    net = narrow()
    load(net, safetensors_file(tensors, tmp_path / "model.safetensors"))
    with torch.no_grad():
        assert torch.equal(net(crops), expected)


def refusal(tensors: dict[str, Tensor], folder: Path) -> CheckpointError:
    """And nothing of the network has changed."""
    net = narrow()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load(net, safetensors_file(tensors, folder / "model.safetensors"))
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())
    return caught.value


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = official_tensors(stem=4)
    del tensors["resnet.s3.pathway0_res2.branch2.b.weight"]
    error = refusal(tensors, tmp_path)
    assert error.where == "resnet.s3.pathway0_res2.branch2.b.weight"
    assert error.problem == "is missing"


def test_renamed_tensor_is_named_with_what_was_meant(tmp_path: Path) -> None:
    tensors = official_tensors(stem=4)
    tensors["resnet.s4.pathway0_res1.branch2.conv_a.weight"] = tensors.pop("resnet.s4.pathway0_res1.branch2.a.weight")
    error = refusal(tensors, tmp_path)
    assert error.where == "resnet.s4.pathway0_res1.branch2.a.weight"
    assert error.problem == "is missing (did you mean resnet.s4.pathway0_res1.branch2.conv_a.weight?)"


def test_misshapen_tensor_is_named_with_both_shapes(tmp_path: Path) -> None:
    tensors = official_tensors(stem=4)
    tensors["resnet.head.projection.weight"] = torch.zeros(400, 128)
    error = refusal(tensors, tmp_path)
    assert error.where == "resnet.head.projection.weight"
    assert error.problem == "has shape [400, 128]; this network has [1, 128]"


def test_superfluous_tensor_is_named(tmp_path: Path) -> None:
    error = refusal({**official_tensors(stem=4), "resnet.extra.weight": torch.zeros(3)}, tmp_path)
    assert (error.where, error.problem) == ("resnet.extra.weight", "is not in this network")


def test_file_of_another_network_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    save_weights(narrow(), path)
    with pytest.raises(CheckpointError, match=r"no name begins with resnet\. \(the first is"):
        load(narrow(), path)


def test_tensor_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    tensors = official_tensors(stem=4)
    tensors["module.resnet.head.projection.bias"] = torch.ones(1)
    error = refusal(tensors, tmp_path)
    assert error.where == "resnet.head.projection.bias"
    assert "twice" in error.problem
