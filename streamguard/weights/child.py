"""The process that opens a checkpoint of PyTorch's own kind: python -m streamguard.weights.child IN OUT.

Such a file is a pickle, and the code that takes pickles apart was not made for enemies. So it runs where it may crash,
hang or run out of memory: read.py starts this process, limits its time, and takes nothing from it but OUT. That holds
the tensors as safetensors (exit code 0), or why there are none (exit code 3).
"""

from __future__ import annotations

import ctypes
import json
import os
import pickletools
import re
import signal
import sys
import warnings
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor

from ..errors import CheckpointError
from ..zip_errors import BAD_ZIP
from .rules import MOST_BYTES, Refuse, open_plain, plain_tensors, shown

REFUSED = 3
"""Exit code. Python itself ends with 1 or 2."""
MEMORY_BYTES = 6 << 30
"""Beside what the process has once torch is there. A file of the largest size takes five times its size in copies."""
PR_SET_PDEATHSIG = 1
CPU_S = 150
"""Longer than the parent waits: for the case that nobody waits any more."""

WRAPPERS = ("state_dict", "model", "module")
"""Where programs that train put the weights, beside other things."""

_MOST_OPCODES = 100_000
_ZIP_MAGIC = b"PK\x03\x04"


def main(arguments: list[str]) -> int:
    path, out = (Path(each) for each in arguments)
    limit_process()
    try:
        data = save(tensors_in(path))
    except CheckpointError as exc:
        out.write_text(json.dumps({"where": exc.where, "problem": exc.problem}))
        return REFUSED
    try:
        out.write_bytes(data)
    except OSError as exc:
        out.write_text(
            json.dumps({"where": "", "problem": f"no room for its tensors in {out.parent} ({exc.strerror})"})
        )
        return REFUSED
    return 0


def limit_process() -> None:
    """Memory, time and the size of what is written, where the system can limit them."""
    torch.set_num_threads(1)
    if sys.platform == "win32":
        return
    import resource

    def lower(which: int, limit: int) -> None:
        _, hard = resource.getrlimit(which)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (limit, limit))

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # who waited for it may be killed
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_CPU, CPU_S)
    lower(resource.RLIMIT_FSIZE, 2 * MOST_BYTES)
    pages = Path("/proc/self/statm")
    if pages.exists():
        in_use = int(pages.read_text().split()[0]) * resource.getpagesize()
        lower(resource.RLIMIT_AS, in_use + MEMORY_BYTES)


def tensors_in(path: Path) -> dict[str, Tensor]:
    """What the file holds, or CheckpointError. Nothing that the file asks for is run."""
    refuse = partial(CheckpointError, str(path))
    try:
        with open_plain(path, refuse) as file:
            _check_archive(file, refuse)
            file.seek(0)
            values = _Values(os.fstat(file.fileno()).st_size, refuse)
            loaded = _loaded(file, values, refuse)
        found = _mapping_in(loaded, refuse)
        values.check(found)
        return plain_tensors(found, refuse)
    except CheckpointError:
        raise
    except MemoryError as exc:
        raise refuse("", _TOO_MUCH_MEMORY) from exc
    except Exception as exc:  # tensors can be made so that looking at them fails, in more ways than can be listed
        raise refuse("", _in_words(exc)) from exc


_TOO_MUCH_MEMORY = f"asks for more memory than reading it may take ({MEMORY_BYTES >> 30} GiB)"


def _check_archive(file: BinaryIO, refuse: Refuse) -> None:
    """Where it is a zip: nothing in it is larger inside than outside."""
    if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
        return
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except BAD_ZIP as exc:
        raise refuse(
            "", f"is a zip file that is damaged or cut off ({_one_line(str(exc) or type(exc).__name__)})"
        ) from exc
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise refuse(shown(info.filename), "is compressed or encrypted, which PyTorch never does")
    if sum(info.file_size for info in infos) > MOST_BYTES:
        raise refuse("", f"has more than {MOST_BYTES} bytes inside")


class _Values:
    """Where the values of tensors come from: out of the file, all of them, or not at all.

    torch hands over each storage when it has made it. It does not mind a file that never fills one.
    """

    def __init__(self, file_bytes: int, refuse: Refuse) -> None:
        self._bytes_left = file_bytes
        self._refuse = refuse
        self._places: set[int] = set()

    def take(self, storage: Any, location: str) -> Any:
        """As torch's `map_location`, whose storages have no type of their own: all of them stay on the CPU."""
        self._bytes_left -= storage.nbytes()
        if self._bytes_left < 0:
            raise self._refuse("", "claims more values than it has bytes")
        if getattr(storage, "_torch_load_uninitialized", False):
            storage.fill_(0xFF)  # no number, until the file's bytes take its place
        self._places.add(storage.data_ptr())
        return storage

    def check(self, found: Mapping[Any, Any]) -> None:
        """CheckpointError for a tensor whose values are not the file's."""
        for name, tensor in found.items():
            plain = isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.device.type == "cpu"
            if plain and tensor.numel() and tensor.untyped_storage().data_ptr() not in self._places:
                raise self._refuse(shown(str(name)), "has no values in the file")


def _loaded(file: BinaryIO, values: _Values, refuse: Refuse) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):
            loaded: object = torch.load(file, map_location=values.take, weights_only=True)
        return loaded
    except CheckpointError:
        raise
    except MemoryError as exc:
        raise refuse("", _TOO_MUCH_MEMORY) from exc
    except Exception as exc:  # torch gives no list of what it raises on damaged files
        asked = re.search(r"GLOBAL (\S+)", str(exc))
        code = asked[1] if asked else _code_asked_for(file)
        if code and re.fullmatch(r"[\w.]+", code):
            problem = f"asks for {shown(code)}, which is code and no tensor; nothing was run. Save the state_dict alone"
            raise refuse("", problem) from exc
        if code:
            raise refuse("", f"is no sound checkpoint of PyTorch (it asks for {shown(code)})") from exc
        raise refuse("", _in_words(exc)) from exc


def _code_asked_for(file: BinaryIO) -> str | None:
    """The first thing beyond tensors that a bare pickle would import: torch does not say it of newer protocols."""
    file.seek(0)
    words: list[str] = []
    try:
        for count, (opcode, value, _) in enumerate(pickletools.genops(file)):
            name = None
            if opcode.name in ("GLOBAL", "INST"):
                name = str(value).replace(" ", ".", 1)
            elif opcode.name == "STACK_GLOBAL" and len(words) >= 2:
                name = ".".join(words[-2:])
            elif isinstance(value, str):
                words = [*words[-1:], value]
            if name is not None and not name.startswith(("torch.", "collections.")):
                return name
            if count > _MOST_OPCODES:
                break
    except Exception:  # it is no pickle, or a damaged one: there is nothing to name
        pass
    return None


def _mapping_in(loaded: object, refuse: Refuse) -> dict[object, object]:
    """The names and tensors, with or without a wrapper around them."""
    if not isinstance(loaded, dict):
        raise refuse("", f"holds no named tensors but {shown(type(loaded).__name__)}")
    inner = [key for key in WRAPPERS if isinstance(loaded.get(key), dict)]
    if len(inner) > 1:
        raise refuse(
            "", f"holds both {inner[0]} and {inner[1]}, and nobody knows which is meant. Save one of them alone"
        )
    return loaded[inner[0]] if inner else loaded


def _in_words(exc: Exception) -> str:
    text = str(exc)
    if "allocate memory" in text:
        return _TOO_MUCH_MEMORY
    if "TorchScript" in text:
        return "is a TorchScript program; what is read are state_dicts"
    unpickling = type(exc).__name__ == "UnpicklingError"  # by name: nothing here imports what unpickles without care
    detail = text.partition("WeightsUnpickler error:")[2] if unpickling else text
    detail = detail.partition("Check the documentation")[0]
    if not detail.strip() or "weights_only" in detail:  # torch's advice, which is to load the file without any care
        detail = type(exc).__name__
    return f"is no sound checkpoint of PyTorch ({_one_line(detail)})"


def _one_line(text: str) -> str:
    return shown(" ".join(text.split()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
