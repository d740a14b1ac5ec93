"""Tensors into a network, all of them or none, and a network's weights onto the disk and back."""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError, MissingPackageError
from .read import read_safetensors
from .rules import check_finite, shown

COUNTER = "num_batches_tracked"
"""What norms count while they train. Nothing here reads it, and PyTorch before 0.4.1 did not write it."""


def load_strictly(
    net: nn.Module, tensors: Mapping[str, Tensor], path: Path | str, *, file_names: Mapping[str, str] | None = None
) -> None:
    """Fill every tensor of the network's state_dict. All must be there, of the right shape, and nothing else.

    Everything is compared before anything is written. The counters of norms may be absent, all of them together; they
    become 0 then. `file_names`: what the file calls the network's tensors, where it has its own names.
    """
    file_names = file_names or {}
    wanted = {file_names.get(name, name): tensor for name, tensor in net.state_dict().items()}
    if not any(name.endswith(COUNTER) for name in tensors):
        counters = [name for name in wanted if name.endswith(COUNTER)]
        tensors = {**tensors, **{name: torch.zeros_like(wanted[name], device="cpu") for name in counters}}
    problems = list(_problems(wanted, tensors))
    if problems:
        raise _refused(problems, wanted, tensors, path)
    with torch.no_grad():
        for name, target in wanted.items():
            target.copy_(tensors[name])


def save_weights(net: nn.Module, path: Path | str, *, halves: bool = False) -> None:
    """As safetensors, under PyTorch's names. The same weights always give the same bytes; a file is whole or not there.

    `halves`: tensors that 16 bits hold exactly take only these; read again, they are the same.
    Values that are no numbers are a CheckpointError: such a file could not be read again.
    """
    try:
        from safetensors.torch import save
    except ImportError as exc:
        raise MissingPackageError("safetensors", "train", "saving weights") from exc
    path = Path(path)
    refuse = partial(CheckpointError, str(path))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}
    check_finite(tensors, refuse)
    if halves:
        small = [name for name, tensor in tensors.items() if is_exact_in_half(tensor.numpy())]
        tensors |= {name: tensors[name].half() for name in small}
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            part.write_bytes(save(tensors))
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise refuse("", f"cannot be written ({exc.strerror})") from exc


def is_exact_in_half(array: np.ndarray) -> bool:
    """Of weights, which fill a bundle, only. Norms and biases have one dimension: they stay as they are."""
    if array.dtype != np.float32 or array.ndim < 2:
        return False
    with np.errstate(over="ignore"):
        return bool((array.astype(np.float16) == array).all())


def rounded_to_halves(net: nn.Module) -> nn.Module:
    """A copy whose weights 16 bits hold exactly; a tensor with a value that is too large for them stays as it is."""
    copied = copy.deepcopy(net)
    with torch.no_grad():
        for each in copied.parameters():
            near = each.half().float()
            if each.ndim >= 2 and near.isfinite().all():
                each.copy_(near)
    return copied


def load_weights(net: nn.Module, path: Path | str) -> None:
    """What `save_weights` wrote of such a network."""
    load_strictly(net, read_safetensors(path), path)


def _problems(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Names, and what is wrong with each."""
    for name, target in wanted.items():
        given = tensors.get(name)
        if given is None:
            yield name, "is missing"
        elif given.shape != target.shape:
            yield name, f"has shape {list(given.shape)}; this network has {list(target.shape)}"
        elif given.is_floating_point() != target.is_floating_point():
            kinds = [str(each.dtype).removeprefix("torch.") for each in (given, target)]
            yield name, f"holds {kinds[0]}; this network has {kinds[1]}"
    for name in sorted(tensors):
        if name not in wanted:
            yield name, "is not in this network"


def _refused(
    problems: list[tuple[str, str]], wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path | str
) -> CheckpointError:
    """Tells the first in full, and names a few of the others."""
    name, problem = problems[0]
    meant = _meant(name, wanted, tensors) if name in wanted and name not in tensors else None
    if meant is not None:
        problem += f" (did you mean {shown(meant)}?)"
    others = [shown(each) for each, _ in problems[1:] if each != meant]
    if others:
        more = ", ..." if len(others) > 3 else ""
        problem += f"; wrong as well: {len(others)} ({', '.join(others[:3])}{more})"
    return CheckpointError(str(path), shown(name), problem)


def _meant(missing: str, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str | None:
    """Which of the superfluous names stands for the missing one: the only one of its shape, or one much like it."""
    shape = wanted[missing].shape
    extra = [name for name in tensors if name not in wanted and tensors[name].shape == shape]
    rivals = [name for name in wanted if name not in tensors and wanted[name].shape == shape]
    if len(extra) == 1 and len(rivals) == 1:
        return extra[0]
    alike = difflib.get_close_matches(missing, extra, n=1, cutoff=0.8)
    return alike[0] if alike else None
