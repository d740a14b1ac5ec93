"""A checkpoint file in, named tensors out. The file may come from anybody.

`.safetensors` is read here: it is nothing but numbers and a table. What PyTorch itself saves is a pickle, which another
process takes apart (child.py), so that the worst a file can do is to end that process.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import CheckpointError, MissingPackageError

if TYPE_CHECKING:
    from torch import Tensor

    from .rules import Refuse

CHILD = ("-m", "streamguard.weights.child")
TIME_LIMIT_S = 120.0
MOST_HEADER_BYTES = 16 << 20
"""Of a safetensors file: its table."""

_MOST_REFUSAL_BYTES = 1 << 16
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


def read_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """Every tensor of a .safetensors file, or of what torch.save wrote (.pth, .pt, by any name).

    Floats become float32; whole numbers stay. Where tensors lie in "state_dict", "model" or "module", what is beside
    it is left. Anything but plain, finite tensors is a CheckpointError that names it.
    """
    path = Path(path)
    refuse = partial(CheckpointError, str(path))
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    _need_packages()
    from .rules import open_plain

    open_plain(path, refuse).close()  # what is wrong with the file itself is said without starting a process
    with tempfile.TemporaryDirectory(prefix="streamguard-") as folder:
        out = Path(folder) / "tensors"
        _run_child(path, out, refuse)
        return _read_safetensors(out, refuse)


def read_safetensors(path: Path | str) -> dict[str, Tensor]:
    """The same for a safetensors file, whatever its name."""
    _need_packages()
    return _read_safetensors(Path(path), partial(CheckpointError, str(path)))


def sha256_of(path: Path | str) -> str:
    """Of a file that could be a checkpoint: anything else is a CheckpointError, and nothing waits for it."""
    _need_packages()
    from .rules import open_plain

    with open_plain(Path(path), partial(CheckpointError, str(path))) as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


def _need_packages() -> None:
    try:
        import torch
    except ImportError as exc:
        raise MissingPackageError("torch", "train", "reading weights") from exc
    try:
        import safetensors.torch
    except ImportError as exc:
        raise MissingPackageError("safetensors", "train", "reading weights") from exc
    del torch, safetensors


def _read_safetensors(path: Path, refuse: Refuse) -> dict[str, Tensor]:
    from safetensors.torch import load

    from .rules import MOST_BYTES, check_finite, open_plain, plain_tensors

    # Read, not mapped: a file that shrinks while it is mapped ends the process.
    with open_plain(path, refuse) as file:
        data = file.read(MOST_BYTES + MOST_HEADER_BYTES)
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) < 8 or header_bytes > len(data) - 8:
        raise refuse("", "is no safetensors file, or is cut off")
    if header_bytes > MOST_HEADER_BYTES:
        raise refuse("", f"has a table of {header_bytes} bytes; at most {MOST_HEADER_BYTES} are read")
    try:
        found = load(data)
    except Exception as exc:  # the package has no list of what it raises
        raise refuse("", f"is no sound safetensors file ({_one_line(str(exc))})") from exc
    tensors = plain_tensors(found, refuse)
    check_finite(tensors, refuse)
    return tensors


def _run_child(path: Path, out: Path, refuse: Refuse) -> None:
    """Returns once the tensors are in `out`."""
    from .child import REFUSED

    command = [sys.executable, "-P", *CHILD, str(path), str(out)]
    words = out.with_name("stderr")
    try:
        with words.open("wb") as stderr:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                timeout=TIME_LIMIT_S,
                env=_child_environment(),
            ).returncode
    except subprocess.TimeoutExpired as exc:
        raise refuse("", f"reading it did not end within {TIME_LIMIT_S:g} s and was stopped") from exc
    except OSError as exc:
        raise refuse("", f"the process that reads it cannot be started ({exc.strerror})") from exc
    if code == REFUSED:
        raise _refusal_in(out, refuse)
    if code < 0:
        hint = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
        raise refuse("", f"the process that read it was ended by {_signal_name(-code)}{hint}")
    if code != 0 or not out.exists():
        raise refuse("", f"the process that read it failed with code {code} ({_last_line(words)})")


def _child_environment() -> dict[str, str]:
    """So little that the child behaves alike everywhere, and finds the packages that we found."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    packages = os.pathsep.join(os.path.abspath(each) for each in sys.path)
    return {**kept, "PYTHONPATH": packages, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def _refusal_in(out: Path, refuse: Refuse) -> CheckpointError:
    try:
        with out.open("rb") as file:
            told = json.loads(file.read(_MOST_REFUSAL_BYTES))
        return refuse(str(told["where"]), str(told["problem"]))
    except (OSError, ValueError, KeyError, TypeError):
        return refuse("", "the process that read it refused it and could not say why")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(words: Path) -> str:
    with words.open("rb") as file:
        file.seek(max(0, words.stat().st_size - 2000))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return _one_line(lines[-1]) if lines else "it said nothing"


def _one_line(text: str) -> str:
    from .rules import shown

    return shown(" ".join(text.split()))
