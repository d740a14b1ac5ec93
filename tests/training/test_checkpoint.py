"""Checkpoints: whole or not there, the last few, and nothing but tensors and plain values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamguard.errors import CheckpointError
from streamguard.training.checkpoint import KEPT, checkpoints, load_checkpoint, save_checkpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 7, {"weights": torch.arange(3), "rng": {"state": 2**100}, "lost": [0.5, None]})
    state = load_checkpoint(path)
    assert path.name == "checkpoint-7.pt"
    assert state["weights"].tolist() == [0, 1, 2]
    assert (state["rng"], state["lost"]) == ({"state": 2**100}, [0.5, None])


def test_the_last_few_are_kept_in_order(tmp_path: Path) -> None:
    for step in (5, 10, 100, 20):
        save_checkpoint(tmp_path, step, {})
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-20.pt", "checkpoint-100.pt"]
    assert KEPT == 2


def test_nothing_is_left_of_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(tmp_path, 1, {"function": lambda: None})
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone.checkpoint-1.pt: cannot be written"):
        save_checkpoint(tmp_path / "gone", 1, {})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04}."])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint-1.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint-1.pt"):
        load_checkpoint(path)


def test_files_of_another_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-1.pt"
    torch.save({"format": 2}, path)
    with pytest.raises(CheckpointError, match="format"):
        load_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.mkdir, (str(tmp_path / "evil"),))

    path = tmp_path / "checkpoint-1.pt"
    torch.save({"format": 1, "evil": Evil()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / "evil").exists()
