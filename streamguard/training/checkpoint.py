"""Where a training stands, on the disk: enough to go on as if it had never stopped. A file is whole or not there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointError

FORMAT = 1
KEPT = 2
"""The newest so many: the last one may be that of a training which has just gone wrong."""

_NAME = re.compile(r"checkpoint-(\d+)\.pt")


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Tensors and plain values as checkpoint-STEP.pt; older ones than the last few are removed afterwards."""
    path = folder / f"checkpoint-{step}.pt"
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            with part.open("wb") as file:
                torch.save({"format": FORMAT, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise CheckpointError(str(path), "", f"cannot be written ({exc.strerror})") from exc
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Those of a training, the newest last."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return [found[step] for step in sorted(found)]


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Nothing but tensors and plain values comes out of it. CheckpointError for any other file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # whatever a damaged file makes of the loader
        raise CheckpointError(str(path), "", f"cannot be read ({type(exc).__name__})") from exc
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(str(path), "format", f"is not {FORMAT}: this is no checkpoint of a training here")
    return state
