"""ImageNet weights: every tensor to its place, and a network that then computes what the image network computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from streamguard.assets import asset_path
from streamguard.errors import CheckpointError
from streamguard.nets.gml import Gml, GmlOptions
from streamguard.nets.gml_s import GmlS, GmlSOptions
from streamguard.weights.imagenet import LITE0_ASSET, load_lite0, load_xception
from streamguard.weights.read import read_checkpoint

WIDTH = 0.06
NORM = ("weight", "bias", "running_mean", "running_var")


def wide(channels: int) -> int:
    return max(4, round(channels * WIDTH))


def xception_shapes(classifier: str = "fc") -> dict[str, tuple[int, ...]]:
    """The well-known layout at this width, written down from nets.md 4.3 k, block by block."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": (channels,) for part in NORM})

    def separable(name: str, inside: int, out: int) -> None:
        shapes[f"{name}.conv1.weight"] = (inside, 1, 3, 3)
        shapes[f"{name}.pointwise.weight"] = (out, inside)  # as the old file has it

    shapes["conv1.weight"] = (wide(32), 3, 3, 3)
    norm("bn1", wide(32))
    shapes["conv2.weight"] = (wide(64), wide(32), 3, 3)
    norm("bn2", wide(64))
    blocks = [
        (1, [64, 128, 128], False),
        (2, [128, 256, 256], True),
        (3, [256, 728, 728], True),
        *((number, [728] * 4, True) for number in range(4, 12)),
        (12, [728, 728, 1024], True),
    ]
    for number, channels, relu_first in blocks:
        index = 1 if relu_first else 0
        for inside, out in pairwise(channels):
            separable(f"block{number}.rep.{index}", wide(inside), wide(out))
            norm(f"block{number}.rep.{index + 1}", wide(out))
            index += 3  # convolution, norm, ReLU
        if number in (1, 2, 3, 12):
            shapes[f"block{number}.skip.weight"] = (wide(channels[-1]), wide(channels[0]), 1, 1)
            norm(f"block{number}.skipbn", wide(channels[-1]))
    separable("conv3", wide(1024), wide(1536))
    norm("bn3", wide(1536))
    separable("conv4", wide(1536), wide(2048))
    norm("bn4", wide(2048))
    shapes[f"{classifier}.weight"], shapes[f"{classifier}.bias"] = (1000, wide(2048)), (1000,)
    return shapes


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)

    def values(name: str, shape: tuple[int, ...]) -> Tensor:
        """Variances and scales are positive; else signals have both signs, and keep their size."""
        spread = 1.0 if len(shape) == 1 else (6 / math.prod(shape[1:])) ** 0.5
        signed = spread * (2 * torch.rand(shape, generator=random) - 1)
        return 1 + 0.3 * signed if name.endswith(("running_var", ".weight")) and len(shape) == 1 else signed

    return {name: values(name, shape) for name, shape in shapes.items()}


def write(tensors: dict[str, Tensor], path: Path) -> Path:
    """As .pth too, which another process reads: that takes a second."""
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def gml(**options: object) -> Gml:
    return Gml(GmlOptions(width=WIDTH, size_px=64, **options)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(("classifier", "file"), [("fc", "xception.safetensors"), ("last_linear", "xception.pth")])
def test_xceptions_tensors_come_to_their_places(tmp_path: Path, classifier: str, file: str) -> None:
    tensors = filled(xception_shapes(classifier))
    net = gml(form="causal")
    before = {name: each.clone() for name, each in net.state_dict().items()}
    load_xception(net, write(tensors, tmp_path / file))
    now = net.state_dict()
    for ours, theirs in (
        ("conv1.weight", "conv1.weight"),
        ("bn2.running_var", "bn2.running_var"),
        ("blocks.0.units.0.depthwise.space.weight", "block1.rep.0.conv1.weight"),
        ("blocks.0.units.1.bn.bias", "block1.rep.4.bias"),
        ("blocks.1.units.0.depthwise.space.weight", "block2.rep.1.conv1.weight"),
        ("blocks.6.units.2.bn.running_mean", "block7.rep.8.running_mean"),
        ("blocks.11.skip.weight", "block12.skip.weight"),
        ("blocks.11.skipbn.weight", "block12.skipbn.weight"),
        ("conv3.depthwise.space.weight", "conv3.conv1.weight"),
        ("conv4.bn.weight", "bn4.weight"),
    ):
        assert torch.equal(now[ours], tensors[theirs]), ours
    assert torch.equal(now["blocks.4.units.1.pointwise.weight"][:, :, 0, 0], tensors["block5.rep.4.pointwise.weight"])
    new = (".time.", ".motion.", "anomaly.", "classifier.")
    for name, each in now.items():
        if any(part in f".{name}" for part in new):
            assert torch.equal(each, before[name]), f"{name} is not the image network's"
        elif "num_batches" not in name:
            assert not torch.equal(each, before[name]), f"{name} was not filled"


def xception(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """Xception up to its classifier, written anew from its published description, on the names of the layout."""

    def normed(x: Tensor, name: str) -> Tensor:
        weight, bias, mean, variance = (tensors[f"{name}.{part}"][:, None, None] for part in NORM)
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def separable(x: Tensor, name: str, norm: str) -> Tensor:
        x = functional.conv2d(x, tensors[f"{name}.conv1.weight"], padding=1, groups=x.shape[1])
        return normed(functional.conv2d(x, tensors[f"{name}.pointwise.weight"][:, :, None, None]), norm)

    x = normed(functional.conv2d(x / 127.5 - 1, tensors["conv1.weight"], stride=2), "bn1").relu()
    x = normed(functional.conv2d(x, tensors["conv2.weight"]), "bn2").relu()
    for number in range(1, 13):
        before, block = x, f"block{number}"
        for j in range(3 if 4 <= number <= 11 else 2):
            place = 3 * j + (number > 1)
            x = separable(x if place == 0 else x.relu(), f"{block}.rep.{place}", f"{block}.rep.{place + 1}")
        if f"{block}.skip.weight" in tensors:
            x = functional.max_pool2d(x, 3, stride=2, padding=1)
            before = normed(functional.conv2d(before, tensors[f"{block}.skip.weight"], stride=2), f"{block}.skipbn")
        x = x + before
    x = separable(x, "conv3", "bn3").relu()
    return separable(x, "conv4", "bn4").relu().mean(dim=(2, 3))


@torch.no_grad()
def test_with_xceptions_weights_gml_begins_as_xception(tmp_path: Path) -> None:
    """In either form, and with whatever sees motion."""
    tensors = filled(xception_shapes())
    path = write(tensors, tmp_path / "xception.safetensors")
    crops = torch.randint(256, (1, 3, 64, 64, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    wanted = xception(tensors, crops[0].permute(0, 3, 1, 2).float())
    for net in (gml(motion="none", anomaly=False), gml(), gml(form="causal"), gml(motion="stm")):
        load_xception(net, path)
        seen: list[Tensor] = []
        net.classifier.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        net(crops)
        torch.testing.assert_close(seen[0], wanted, rtol=0, atol=1e-5 * wanted.max().item())
    assert (wanted == 0).any()
    assert wanted.std() > 0.1 * wanted.max()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("block5.rep.4.pointwise.weight"), "block5.rep.4.pointwise.weight: is missing"),
        (lambda t: t.update({"bn5.weight": torch.ones(3)}), "bn5.weight: is not in this network"),
        (lambda t: t.update({"block1.skip.weight": torch.ones(3, 3)}), r"block1.skip.weight: has shape \[3, 3\]"),
    ],
)
def test_xception_files_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], told: str
) -> None:
    tensors = filled(xception_shapes())
    change(tensors)
    net = gml()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    with pytest.raises(CheckpointError, match=told):
        load_xception(net, write(tensors, tmp_path / "xception.safetensors"))
    assert all(torch.equal(before[name], each) for name, each in net.state_dict().items())


def lite0(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """EfficientNet-Lite0 up to its classifier, written anew from its published description, on names of its file."""

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"]
        kernel, height = weight.shape[-1], x.shape[-1]
        total = max((-(-height // stride) - 1) * stride + kernel - height, 0)  # TensorFlow's SAME
        x = functional.pad(x, (total // 2, total - total // 2) * 2)
        return functional.conv2d(x, weight, stride=stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)

    def normed(x: Tensor, name: str) -> Tensor:
        weight, bias, mean, variance = (tensors[f"{name}.{part}"][:, None, None] for part in NORM)
        return (x - mean) / (variance + 1e-3).sqrt() * weight + bias

    x = normed(convolved((x - 127) / 128, "_conv_stem", 2), "_bn0").clamp(0, 6)
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for i, stride in enumerate(strides):
        before, block = x, f"_blocks.{i}"
        if i > 0:
            x = normed(convolved(x, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
        x = normed(convolved(x, f"{block}._depthwise_conv", stride), f"{block}._bn1").clamp(0, 6)
        x = normed(convolved(x, f"{block}._project_conv"), f"{block}._bn2")
        if x.shape == before.shape:
            x = x + before
    return normed(convolved(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """EfficientNet-Lite0's own file."""
    return read_checkpoint(asset_path(LITE0_ASSET))


@pytest.fixture(scope="module")
def gml_s() -> GmlS:
    net = GmlS(GmlSOptions(texture=(2, 4, 7))).eval()  # as the default bundle's
    load_lite0(net)
    return net


@torch.no_grad()
def test_with_lite0s_weights_gml_s_begins_as_the_published_network(gml_s: GmlS, published: dict[str, Tensor]) -> None:
    """On the real weights, and a real picture: padding, norms' epsilon and pixel scale are theirs."""
    from PIL import Image

    with Image.open(asset_path("portrait")) as picture:
        side = gml_s.size_px
        pixels = torch.tensor(bytearray(picture.convert("RGB").resize((side, side)).tobytes()), dtype=torch.uint8)
    crops = pixels.reshape(1, 1, side, side, 3).expand(1, 3, side, side, 3)
    seen: list[Tensor] = []
    hook = gml_s.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    gml_s(crops)
    hook.remove()
    wanted = lite0(published, pixels.reshape(1, side, side, 3).permute(0, 3, 1, 2).float())
    torch.testing.assert_close(seen[0], wanted.expand(3, -1), rtol=1e-3, atol=1e-4)
    classes = functional.linear(wanted[0], published["_fc.weight"], published["_fc.bias"]).softmax(dim=0)
    assert int(classes.argmax()) == 560  # ImageNet's "football helmet": she holds one, though for another trade
    assert classes.max() > 0.3


def test_lite0_files_that_do_not_fit_are_refused_by_name(tmp_path: Path, published: dict[str, Tensor]) -> None:
    tensors = dict(published)
    tensors["_blocks.3._depthwise.weight"] = tensors.pop("_blocks.3._depthwise_conv.weight")
    path = write(tensors, tmp_path / "lite0.safetensors")
    with pytest.raises(
        CheckpointError, match=r"_blocks.3._depthwise_conv.weight: .*did you mean _blocks.3._depthwise.w"
    ):
        load_lite0(GmlS(), path)


def test_narrow_networks_cannot_take_them(tmp_path: Path, published: dict[str, Tensor]) -> None:
    path = write(published, tmp_path / "lite0.safetensors")
    with pytest.raises(CheckpointError, match=r"_conv_stem\.weight: has shape"):
        load_lite0(GmlS(GmlSOptions(width=0.5)), path)
