"""Weights that were trained on ImageNet, to start training from: Xception's for GML, EfficientNet-Lite0's for GML-S.

All that the image network has is filled; motion paths, anomaly branch and classifiers stay as they are. The files'
classifiers of 1000 things are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..assets import asset_path
from ..nets.gml import Gml
from ..nets.gml_s import GmlS
from .load import load_strictly
from .read import read_checkpoint

LITE0_ASSET = "lite0-imagenet"


def load_xception(net: Gml, path: Path | str) -> None:
    """A file in the well-known layout (conv1, bn1, block1.rep.0.conv1, ..., fc or last_linear), full width.

    Older ones hold the 1 x 1 convolutions as matrices. Whatever is missing, superfluous or misshapen is a
    CheckpointError which names it."""
    tensors = {
        name: tensor[:, :, None, None] if name.endswith(".pointwise.weight") and tensor.dim() == 2 else tensor
        for name, tensor in read_checkpoint(path).items()
        if name.rpartition(".")[0] not in ("fc", "last_linear")
    }
    _fill(net, Gml(replace(net.options, motion="none", anomaly=False)), tensors, path, xception_name)


def load_lite0(net: GmlS, path: Path | str | None = None) -> None:
    """A file in the layout of the published one (_conv_stem, _bn0, _blocks.0._depthwise_conv, ..., _fc), full width.

    None: that one itself, fetched if it is not here. CheckpointError as above."""
    path = asset_path(LITE0_ASSET) if path is None else path
    tensors = {name: each for name, each in read_checkpoint(path).items() if name.rpartition(".")[0] != "_fc"}
    _fill(net, GmlS(replace(net.options, motion="none", anomaly=False, texture=())), tensors, path, lite0_name)


def xception_name(name: str) -> str:
    """What the well-known layout calls a tensor of ours."""
    if match := re.fullmatch(r"blocks\.(\d+)\.units\.(\d+)\.(.+)", name):
        block, unit, part = int(match[1]) + 1, int(match[2]), match[3]
        # A block is a row of ReLU, separable convolution, norm, and so on; only the first begins without the ReLU.
        place = 3 * unit + (0 if block == 1 else 1)
        if part.startswith("bn."):
            return f"block{block}.rep.{place + 1}.{part.removeprefix('bn.')}"
        return f"block{block}.rep.{place}.{_SEPARABLE[part]}"
    if match := re.fullmatch(r"blocks\.(\d+)\.(skip.+)", name):
        return f"block{int(match[1]) + 1}.{match[2]}"
    if match := re.fullmatch(r"conv([34])\.(.+)", name):
        return (
            f"bn{match[1]}.{match[2][3:]}" if match[2].startswith("bn.") else f"conv{match[1]}.{_SEPARABLE[match[2]]}"
        )
    return name


def lite0_name(name: str) -> str:
    """What the published file calls a tensor of ours."""
    if match := re.fullmatch(r"blocks\.(\d+)\.(.+)\.([^.]+)", name):
        return f"_blocks.{match[1]}.{_BOTTLENECK[match[2]]}.{match[3]}"
    module, _, tensor = name.rpartition(".")
    return f"{_ENDS[module]}.{tensor}" if module in _ENDS else name


_SEPARABLE = {"depthwise.space.weight": "conv1.weight", "pointwise.weight": "pointwise.weight"}
_BOTTLENECK = {
    "expand": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise.space": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project": "_project_conv",
    "project_bn": "_bn2",
}
_ENDS = {"stem": "_conv_stem", "stem_bn": "_bn0", "head": "_conv_head", "head_bn": "_bn1"}


def _fill(
    net: nn.Module, image: nn.Module, tensors: Mapping[str, Tensor], path: Path | str, file_name: Callable[[str], str]
) -> None:
    """By way of the image network alone, which has every tensor that the file must have, under our names."""
    own = net.state_dict()
    kept = {name: own[name] for name in image.state_dict() if name.startswith("classifier.")}
    names = {name: file_name(name) for name in image.state_dict()}
    load_strictly(image, {**tensors, **kept}, path, file_names=names)
    with torch.no_grad():
        for name, tensor in image.state_dict().items():
            own[name].copy_(tensor)
