"""AltFreezing's published checkpoint (model.pth), into our network. Its authors' code names the tensors otherwise."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError
from ..nets.altfreezing import AltFreezing
from .load import load_strictly
from .read import read_checkpoint
from .rules import shown

ROOT = "resnet."
"""All official names begin so, once what trainers put before them is gone."""

_BEFORE = re.compile(r"(?:(?:module|network)\.)+")
_MODULES = {
    "stem.conv": "s1.pathway0_stem.conv",
    "stem.norm": "s1.pathway0_stem.bn",
    "head": "head.projection",
}
_IN_BLOCK = {
    "shortcut": "branch1",
    "shortcut_norm": "branch1_bn",
    **{name: f"branch2.{name}" for name in ("a", "b", "c")},
    **{f"{name}_norm": f"branch2.{name}_bn" for name in ("a", "b", "c")},
}


def official_names(net: AltFreezing) -> dict[str, str]:
    """Our name of each tensor to the official one."""
    return {name: ROOT + _official(name) for name in net.state_dict()}


def load(net: AltFreezing, path: Path | str) -> None:
    """Every tensor of the file into the network, and every one of the network from the file; else CheckpointError."""
    tensors = _without_prefixes(read_checkpoint(path), path)
    load_strictly(net, tensors, path, file_names=official_names(net))


def _official(name: str) -> str:
    """stages.1.0.a_norm.weight is s3.pathway0_res0.branch2.a_bn.weight: the stem is their first stage."""
    module, _, tensor = name.rpartition(".")
    if module in _MODULES:
        return f"{_MODULES[module]}.{tensor}"
    _, stage, block, part = module.split(".")
    return f"s{int(stage) + 2}.pathway0_res{block}.{_IN_BLOCK[part]}.{tensor}"


def _without_prefixes(tensors: dict[str, Tensor], path: Path | str) -> dict[str, Tensor]:
    """Wrappers for several GPUs, and the authors' trainer, put their own words before each name."""
    bare: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = _BEFORE.match(name)
        short = name[match.end() :] if match else name
        if short in bare:
            raise CheckpointError(str(path), shown(short), "is there twice, with different words before it")
        bare[short] = tensor
    if not any(name.startswith(ROOT) for name in bare):
        first = shown(next(iter(bare)))
        raise CheckpointError(
            str(path), "", f"is not of AltFreezing: no name begins with {ROOT} (the first is {first})"
        )
    return bare
