"""What a file of weights may be, and what may come out of it; all else is refused. Called by read and child.

Plain files of a bounded size; named, dense tensors of ordinary numbers, and no more of them than networks have.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import CheckpointError

MOST_BYTES = 1 << 30
"""Of the file, and of all its tensors once they are float32."""
MOST_TENSORS = 20_000
MOST_NAME_LENGTH = 300
MOST_DIMENSIONS = 8

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)

Refuse: TypeAlias = Callable[[str, str], CheckpointError]
"""(where, problem) to the error that is raised: who calls knows which file it is."""


def open_plain(path: Path, refuse: Refuse) -> BinaryIO:
    """For reading. Never waits, as opening a pipe would, and never opens what has no size."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as exc:  # ValueError: no path at all, with a NUL in it
        raise refuse("", f"cannot be read ({getattr(exc, 'strerror', exc)})") from exc
    problem = _problem_with_file(os.fstat(handle))
    if problem is not None:
        os.close(handle)
        raise refuse("", problem)
    return os.fdopen(handle, "rb")


def plain_tensors(found: Mapping[Any, object], refuse: Refuse) -> dict[str, Tensor]:
    """Copies that own their memory: float32 whatever they were (if they were any float), whole numbers as they are.

    Whether their values are numbers is not looked at: `check_finite`.
    """
    if not found:
        raise refuse("", "holds no tensors")
    if len(found) > MOST_TENSORS:
        raise refuse("", f"holds {len(found)} tensors; at most {MOST_TENSORS} are read")
    taken: dict[str, Tensor] = {}
    bytes_left = MOST_BYTES
    for name, value in found.items():
        checked = _checked_name(name, refuse)
        if type(value) not in (Tensor, nn.Parameter):
            raise refuse(shown(checked), f"is no tensor but {shown(type(value).__name__)}")
        assert isinstance(value, Tensor)  # said again for mypy
        problem = _problem_with(value)
        if problem is not None:
            raise refuse(shown(checked), problem)
        dtype = torch.float32 if value.is_floating_point() else value.dtype
        bytes_left -= value.numel() * dtype.itemsize
        if bytes_left < 0:
            raise refuse(shown(checked), f"is too much: with it, the tensors have more than {MOST_BYTES} bytes")
        taken[checked] = value.detach().to(dtype).clone(memory_format=torch.contiguous_format)
    return taken


def check_finite(tensors: Mapping[str, Tensor], refuse: Refuse) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise refuse(shown(name), "has values that are no finite numbers (as float32)")


def shown(text: str) -> str:
    """A stranger's word in a message: on one line, not too long, nothing that a terminal would obey."""
    cut = text if len(text) <= 120 else f"{text[:120]}..."
    return cut if cut and cut.isprintable() else ascii(cut)


def _problem_with_file(status: os.stat_result) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "is no plain file"
    if status.st_size == 0:
        return "is empty"
    if status.st_size > MOST_BYTES:
        return f"has {status.st_size} bytes; at most {MOST_BYTES} are read"
    return None


def _checked_name(name: object, refuse: Refuse) -> str:
    if not isinstance(name, str):
        raise refuse(shown(repr(name)), "is no name of a tensor: names are text")
    if len(name) > MOST_NAME_LENGTH:
        raise refuse(shown(name), f"is a name of {len(name)} characters; at most {MOST_NAME_LENGTH} are read")
    if name == "__metadata__":
        raise refuse(name, "is no name of a tensor: safetensors keeps it for itself")
    if not name or not name.isprintable():
        raise refuse(shown(name), "is no name of a tensor: it is empty or has characters that cannot be printed")
    return name


def _problem_with(tensor: Tensor) -> str | None:
    if tensor.layout != torch.strided or tensor.is_nested:
        return "is sparse or nested; only dense tensors are read"
    if tensor.is_quantized:
        return "is quantised; only plain numbers are read"
    if tensor.device.type != "cpu":
        return f"has no values: it is on the device {tensor.device.type}"
    if tensor.dtype not in _FLOATS + _INTEGERS:
        return f"holds {str(tensor.dtype).removeprefix('torch.')}; only floats of 16 to 64 bits and integers are read"
    if tensor.dim() > MOST_DIMENSIONS:
        return f"has {tensor.dim()} dimensions; at most {MOST_DIMENSIONS} are read"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"claims {tensor.numel()} elements, and its storage has not as many"
    return None
