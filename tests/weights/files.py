"""Files of weights, sound and damaged, that the tests of this room read."""

from __future__ import annotations

import io
import os
import random
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor


def some_tensors() -> dict[str, Tensor]:
    return {
        "stem.weight": torch.arange(24.0).reshape(2, 3, 4),
        "stem.bias": torch.tensor([0.5, -0.5], dtype=torch.float64),
        "norm.count": torch.tensor(7),
    }


def zipped(content: object) -> bytes:
    """As torch.save writes since 1.6."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def legacy(content: object) -> bytes:
    """As torch.save wrote until 1.5."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def safetensors() -> bytes:
    return save(some_tensors())


class Evil:
    """Makes a folder when it is unpickled by a trusting reader."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


FORMS = {
    "zip.pth": lambda: zipped(OrderedDict(some_tensors())),
    "legacy.pth": lambda: legacy({"state_dict": OrderedDict(some_tensors()), "epoch": 3}),
    "file.safetensors": safetensors,
}


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Cut off, bits flipped, whole numbers set to extremes, pieces exchanged, doubled or taken out."""
    pattern = random.Random(seed)
    extremes = [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff\xff\xff\xff\x7f"]
    for i in range(count):
        copy = bytearray(data)
        at, other = pattern.randrange(len(data)), pattern.randrange(len(data))
        size = pattern.randint(1, 16)
        match i % 6:
            case 0:
                del copy[at:]
            case 1:
                for _ in range(pattern.randint(1, 4)):
                    copy[pattern.randrange(len(copy))] ^= 1 << pattern.randrange(8)
            case 2:
                extreme = pattern.choice(extremes)
                copy[at : at + len(extreme)] = extreme
            case 3:
                copy[at : at + size], copy[other : other + size] = data[other : other + size], data[at : at + size]
            case 4:
                copy[at:at] = data[other : other + size]
            case 5:
                del copy[at : at + size]
        yield bytes(copy)
