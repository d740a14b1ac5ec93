"""AltFreezing: the published shapes, counted, and what its head makes of other sizes."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from streamguard.nets.altfreezing import AltFreezing, AltFreezingOptions, Block

NARROW = 1 / 16


def narrow(*, size_px: int = 64, length: int = 8) -> AltFreezing:
    """With weights that are no initial ones: every part counts."""
    torch.manual_seed(5)
    net = AltFreezing(AltFreezingOptions(width=NARROW, size_px=size_px, length=length)).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]  # None only without statistics
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return net


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def full() -> AltFreezing:
    with torch.device("meta"):
        return AltFreezing()


def kind(kernel: tuple[int, ...]) -> str:
    if kernel == (3, 1, 1):
        return "temporal"
    if kernel == (1, 3, 3):
        return "spatial"
    return "shared"


def test_it_has_the_published_convolutions(full: AltFreezing) -> None:
    kernels = [module.kernel_size for module in full.modules() if isinstance(module, nn.Conv3d)]
    assert Counter(kind(kernel) for kernel in kernels) == {"temporal": 9, "spatial": 16, "shared": 28}
    assert kernels.count((5, 7, 7)) == 1


def test_it_has_the_published_number_of_parameters(full: AltFreezing) -> None:
    """27.17 M, by group, and the norms, which that number leaves out."""
    numbers = Counter[str]()
    for module in full.modules():
        own = sum(each.numel() for each in module.parameters(recurse=False))
        numbers[kind(module.kernel_size) if isinstance(module, nn.Conv3d) else type(module).__name__] += own
    assert {name: number for name, number in numbers.items() if number} == {
        "spatial": 11_317_248,
        "temporal": 5_517_312,
        "shared": 10_336_192,
        "Linear": 2_049,
        "BatchNorm3d": 53_120,
    }
    assert sum(numbers.values()) - numbers["BatchNorm3d"] == 27_172_801


def test_shapes_between_the_stages_are_the_published_ones(full: AltFreezing) -> None:
    shapes: list[tuple[int, ...]] = []
    handles = [
        module.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[1:])))
        for module in (full.stem, *full.stages)
    ]
    logits = full.eval()(torch.empty(1, 32, 224, 224, 3, dtype=torch.uint8, device="meta"))
    for handle in handles:
        handle.remove()
    assert shapes == [(64, 32, 56, 56), (256, 32, 56, 56), (512, 16, 28, 28), (1024, 16, 14, 14), (2048, 16, 7, 7)]
    assert logits.shape == (1, 1)


def test_weights_are_those_of_layers_only(full: AltFreezing) -> None:
    """What normalises pixels is part of the network, not of its weights."""
    assert {name.split(".")[0] for name in full.state_dict()} == {"stem", "stages", "head"}


def test_strides_lie_on_the_spatial_convolution(full: AltFreezing) -> None:
    blocks = [module for module in full.modules() if isinstance(module, Block)]
    assert all(block.a.stride == (1, 1, 1) and block.c.stride == (1, 1, 1) for block in blocks)
    assert [block.b.stride[1] for block in blocks] == [1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1]


def test_head_equals_the_published_pool_at_the_published_size() -> None:
    net = narrow(size_px=224, length=32)
    kept: list[Tensor] = []
    net.stages[3].register_forward_hook(lambda module, args, out: kept.append(out))
    with torch.no_grad():
        logits = net(noise(1, 32, 224, 224))
        pooled = nn.AvgPool3d((16, 7, 7), stride=1)(kept[0])  # (1, C, 1, 1, 1)
        published = net.head(pooled.permute(0, 2, 3, 4, 1)).view(1, -1)
    torch.testing.assert_close(logits, published, rtol=1e-5, atol=1e-5)


def test_other_sizes_give_one_logit_too() -> None:
    assert narrow()(noise(2, 10, 96, 80)).shape == (2, 1)


def test_pixels_are_normalised_inside() -> None:
    """Straight from the published recipe: (x - 255 mean) / (255 std), channels before time."""
    net, crops = narrow(), noise(1, 4, 64, 64)
    kept: list[Tensor] = []
    net.stem.register_forward_pre_hook(lambda module, args: kept.append(args[0]))
    net(crops)
    red = (crops[0, 2, 5, 7, 0].float() / 255 - 0.485) / 0.229
    blue = (crops[0, 2, 5, 7, 2].float() / 255 - 0.406) / 0.225
    torch.testing.assert_close(kept[0][0, 0, 2, 5, 7], red)
    torch.testing.assert_close(kept[0][0, 2, 2, 5, 7], blue)


def test_faces_of_a_batch_do_not_see_each_other() -> None:
    net, crops = narrow(), noise(2, 8, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(crops)[1:], net(crops[1:]), rtol=0, atol=1e-5)


def test_order_of_time_matters() -> None:
    net, crops = narrow(), noise(1, 8, 64, 64)
    with torch.no_grad():
        assert (net(crops) - net(crops.flip(1))).abs().item() > 1e-4


def test_nothing_is_kept_between_calls() -> None:
    net, crops = narrow(), noise(1, 8, 64, 64)
    with torch.no_grad():
        before = net(crops)
        net(noise(1, 8, 64, 64, seed=1))
        assert torch.equal(net(crops), before)


def test_dropout_is_for_training_only() -> None:
    net = narrow()
    crops = noise(1, 8, 64, 64)
    assert torch.equal(net(crops), net(crops))
    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eval()
    assert not torch.equal(net(crops), net(crops))


def test_untrained_blocks_hand_on_their_input_and_the_logit_is_quiet() -> None:
    torch.manual_seed(1)
    net = AltFreezing(AltFreezingOptions(width=NARROW, size_px=64, length=8)).eval()
    x = torch.rand(1, 16, 4, 8, 8)
    assert torch.equal(net.get_submodule("stages.0.1")(x), x)
    assert 1e-6 < net(noise(1, 8, 64, 64)).abs().item() < 0.5


def test_it_says_what_it_needs() -> None:
    net = narrow(size_px=96, length=12)
    assert (net.size_px, net.length, net.memory, net.causal, net.look_ahead) == (96, 12, 0, False, 11)
    assert net.options == AltFreezingOptions(size_px=96, length=12, width=NARROW)
    assert all(isinstance(line, str) and "\n" not in line for line in AltFreezing.DECISIONS.values())


def test_options_are_published_ones_by_default() -> None:
    assert dataclasses.asdict(AltFreezingOptions()) == {"size_px": 224, "length": 32, "width": 1.0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("size_px", 31), ("size_px", 1025), ("length", 1), ("length", 257)),
        *(("width", 0.0), ("width", float("nan")), ("width", 5.0)),
    ],
)
def test_impossible_options_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        AltFreezingOptions(**{name: value})  # type: ignore[arg-type]
