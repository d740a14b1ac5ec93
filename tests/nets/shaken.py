"""Networks and clips for tests: every path of the network matters, as after training, and pictures move."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from streamguard.nets.motion import ChannelTaps

Net = TypeVar("Net", bound=nn.Module)


def shaken(net: Net, crops: Tensor | None = None, seed: int = 0) -> Net:
    """In eval mode, with nothing left at zero. Norms have seen `crops` if there are any: then signals neither fade nor
    grow, and scores are neither all alike nor all sure."""
    random = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=random)

    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.weight.copy_(uniform(module.weight, 0.5, 1.0))
                module.bias.copy_(uniform(module.bias, -0.3, 0.3))
                module.running_mean.copy_(uniform(module.running_mean, -0.3, 0.3))
                module.running_var.copy_(uniform(module.running_var, 0.7, 1.5))
            elif isinstance(module, ChannelTaps):
                module.weight.add_(uniform(module.weight, -0.4, 0.4))
            elif isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                inputs = module.weight[0].numel()
                bound = (6 / inputs) ** 0.5
                module.weight.copy_(uniform(module.weight, -bound, bound))
                if module.bias is not None:
                    module.bias.copy_(uniform(module.bias, -0.3, 0.3))
        if crops is not None:
            norms = [each for each in net.modules() if isinstance(each, nn.BatchNorm2d | nn.BatchNorm3d)]
            momenta = [each.momentum for each in norms]
            for each in norms:
                each.momentum = 0.5  # not 1: what hardly varies would be blown up, rounding and all
            net.train()(crops)
            for each, momentum in zip(norms, momenta, strict=True):
                each.momentum = momentum
    return net.eval()


def moving(length: int, *, faces: int = 1, size_px: int = 64, seed: int = 0) -> Tensor:
    """Random smooth pictures that drift: (N, L, H, W, 3) uint8."""
    random = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(faces, 3, 9, 9, generator=random)
    pictures = nn.functional.interpolate(coarse, size=(size_px, size_px), mode="bilinear")
    drifting = [torch.roll(pictures, (2 * t, 3 * t), dims=(2, 3)) for t in range(length)]
    noise = 20 * torch.rand(faces, length, 3, size_px, size_px, generator=random)
    return (torch.stack(drifting, dim=1) * 0.9 + noise).to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous()
