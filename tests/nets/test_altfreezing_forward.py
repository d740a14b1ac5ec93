"""AltFreezing computes what the published network computes: written anew, functionally, on the official names.

tests/weights/test_altfreezing.py holds names and shapes; this holds everything between them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streamguard.nets.altfreezing import AltFreezing, AltFreezingOptions
from streamguard.weights.altfreezing import official_names

from .shaken import moving, shaken

KERNELS_IN_TIME = {2: (3, 3, 3), 3: (3, 1, 3, 1), 4: (3, 1, 3, 1, 3, 1), 5: (1, 3, 1)}
"""Of the first convolution of each block, by the official number of its stage."""


def published(tensors: dict[str, Tensor], crops: Tensor) -> Tensor:
    """Logits (N, 1) of crops (N, T, H, W, 3)."""

    def normed(x: Tensor, name: str) -> Tensor:
        parts = ("weight", "bias", "running_mean", "running_var")
        weight, bias, mean, variance = (tensors[f"{name}.{part}"][:, None, None, None] for part in parts)
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"]
        padding = [side // 2 for side in weight.shape[2:]]
        return functional.conv3d(x, weight, stride=(1, stride, stride), padding=padding)

    mean, std = torch.tensor([0.485, 0.456, 0.406]) * 255, torch.tensor([0.229, 0.224, 0.225]) * 255
    x = ((crops.float() - mean) / std).permute(0, 4, 1, 2, 3)
    stem = "resnet.s1.pathway0_stem"
    x = normed(convolved(x, f"{stem}.conv", 2), f"{stem}.bn").relu()
    x = functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for stage, kernels in KERNELS_IN_TIME.items():
        for i, kernel in enumerate(kernels):
            block = f"resnet.s{stage}.pathway0_res{i}"
            assert tensors[f"{block}.branch2.a.weight"].shape[2:] == (kernel, 1, 1)
            stride = 2 if i == 0 and stage > 2 else 1
            y = normed(convolved(x, f"{block}.branch2.a"), f"{block}.branch2.a_bn").relu()
            y = normed(convolved(y, f"{block}.branch2.b", stride), f"{block}.branch2.b_bn").relu()
            y = normed(convolved(y, f"{block}.branch2.c"), f"{block}.branch2.c_bn")
            if i == 0:
                x = normed(convolved(x, f"{block}.branch1", stride), f"{block}.branch1_bn")
            x = (x + y).relu()
        if stage == 2:
            x = functional.max_pool3d(x, (2, 1, 1), (2, 1, 1))
    x = x.mean(dim=(2, 3, 4))
    return x @ tensors["resnet.head.projection.weight"].T + tensors["resnet.head.projection.bias"]


@torch.no_grad()
def test_it_computes_what_the_published_network_computes() -> None:
    crops = moving(6, faces=3, size_px=64)
    net = shaken(AltFreezing(AltFreezingOptions(width=1 / 16, size_px=64, length=6)), crops)
    own = net.state_dict()
    tensors = {official: own[ours] for ours, official in official_names(net).items()}
    wanted = published(tensors, crops)
    torch.testing.assert_close(net(crops), wanted, rtol=1e-4, atol=1e-5)
    assert wanted.std() > 1e-2
    channels = [crops.clone() for _ in range(3)]
    for i, each in enumerate(channels):
        each[..., i] //= 2
        torch.testing.assert_close(net(each), published(tensors, each), rtol=1e-4, atol=1e-5)
