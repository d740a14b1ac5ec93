"""The door for files of weights: what is sound comes in, and whatever happens to the reader is an error in words."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from streamguard.errors import CheckpointError, MissingPackageError
from streamguard.weights import read
from streamguard.weights.read import read_checkpoint, read_safetensors

from .files import FORMS, Evil, legacy, mutations, safetensors, some_tensors, zipped


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert caught.value.path == str(path)
    return caught.value


@pytest.fixture
def pth(tmp_path: Path) -> Path:
    (tmp_path / "it.pth").write_bytes(zipped(some_tensors()))
    return tmp_path / "it.pth"


# safetensors.


def test_safetensors_are_read(tmp_path: Path) -> None:
    (tmp_path / "it.safetensors").write_bytes(safetensors())
    found = read_checkpoint(tmp_path / "it.safetensors")
    assert found.keys() == some_tensors().keys()
    assert all(torch.equal(found[name], each.to(found[name].dtype)) for name, each in some_tensors().items())
    assert found["stem.bias"].dtype == torch.float32
    assert found["norm.count"].dtype == torch.int64


def test_safetensors_are_read_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(safetensors())
    assert read_safetensors(tmp_path / "weights.bin").keys() == some_tensors().keys()


def table(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("data", "where", "problem"),
    [
        (b"abc", "", "is no safetensors file, or is cut off"),
        (b"\xff" * 100, "", "is no safetensors file, or is cut off"),
        (struct.pack("<Q", 2) + b"{}", "", "holds no tensors"),
        (struct.pack("<Q", 4) + b"[1, ", "", "is no sound safetensors file"),
        (struct.pack("<Q", 17 << 20) + bytes(18 << 20), "", "has a table of 17825792 bytes"),
        (table({"a": entry("F32", [1 << 40], 0, 4)}, bytes(4)), "", "is no sound safetensors file"),
        (table({"a": entry("F32", [2], 0, 8)}, bytes(4)), "", "is no sound safetensors file"),
        (table({"a": entry("X9", [1], 0, 4)}, bytes(4)), "", "is no sound safetensors file"),
        (save({"a": torch.ones(2, dtype=torch.complex64)}), "a", "holds complex64"),
        (save({"a\nb": torch.ones(2)}), r"'a\nb'", "cannot be printed"),
        (save({"fine": torch.ones(2), "odd": torch.tensor([float("nan")])}), "odd", "no finite numbers"),
    ],
)
def test_safetensors_that_are_none_are_refused(tmp_path: Path, data: bytes, where: str, problem: str) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes(data)
    error = refusal(path)
    assert error.where == where
    assert problem in error.problem


def test_every_damaged_safetensors_file_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    errors = []
    for data in mutations(safetensors(), 300, seed=8):
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except CheckpointError as exc:
            errors.append(str(exc))
    assert 100 < len(errors) < 300
    assert all(error.isprintable() for error in errors)


# Through the other process.


def test_what_torch_saved_is_read_and_nothing_is_left_behind(
    pth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the folder that we are in has a torch.py and a streamguard.py of its own."""
    folder, temporary = tmp_path / "here", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    for name in ("torch.py", "streamguard.py", "json.py"):
        (folder / name).write_text("raise SystemExit(1)")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    found = read_checkpoint("../it.pth")
    assert found["stem.weight"].tolist() == some_tensors()["stem.weight"].tolist()
    assert found["stem.bias"].dtype == torch.float32
    assert list(temporary.iterdir()) == []


def test_code_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "it.pth").write_bytes(legacy({"state_dict": Evil(tmp_path / "ran")}))
    assert refusal(tmp_path / "it.pth").problem.startswith("asks for posix.mkdir, which is code")
    assert not (tmp_path / "ran").exists()


def test_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "it.pt").write_bytes(zipped({"fine": torch.ones(2), "odd": torch.tensor([1.0, float("inf")])}))
    assert refusal(tmp_path / "it.pt").where == "odd"


def test_file_that_eats_memory_is_told_so(tmp_path: Path) -> None:
    """A few bytes that claim a storage of 8 GB; it would be asked for before anything else is looked at."""
    data = legacy({"weight": torch.zeros(123_457)})
    count = b"J" + struct.pack("<i", 123_457)  # as pickle writes whole numbers of four bytes
    assert data.count(count) >= 1
    (tmp_path / "it.pth").write_bytes(data.replace(count, b"J" + struct.pack("<i", 2_000_000_000)))
    assert refusal(tmp_path / "it.pth").problem == "asks for more memory than reading it may take (6 GiB)"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL, perhaps for want of memory"),
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
        ("import os; os.abort()", "was ended by SIGABRT"),
        ("raise ValueError('oh\\x1b')", r"failed with code 1 ('ValueError: oh\x1b')"),
        ("import sys; sys.exit(5)", "failed with code 5 (it said nothing)"),
        ("pass", "failed with code 0 (it said nothing)"),
        ("import sys; sys.exit(3)", "refused it and could not say why"),
        ("import sys; open(sys.argv[2], 'w').write('[1]'); sys.exit(3)", "refused it and could not say why"),
        ("import sys; open(sys.argv[2], 'w').write('hello')", "is no safetensors file, or is cut off"),
    ],
)
def test_whatever_ends_the_process_is_told(pth: Path, monkeypatch: pytest.MonkeyPatch, code: str, problem: str) -> None:
    monkeypatch.setattr(read, "CHILD", ("-c", code))
    error = refusal(pth)
    assert problem in error.problem
    assert str(error).isprintable()


def test_process_gets_nothing_that_we_are_told(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own standard input is a pipe that never ends."""
    monkeypatch.setattr(read, "CHILD", ("-c", "import sys; sys.stdin.read(); sys.exit(6)"))
    monkeypatch.setattr(read, "TIME_LIMIT_S", 30.0)
    kept, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)
    try:
        assert "failed with code 6" in refusal(pth).problem
    finally:
        os.dup2(kept, 0)
        for handle in (kept, reading, writing):
            os.close(handle)


def test_process_that_hangs_is_ended_and_told(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "CHILD", ("-c", "while True: pass"))
    monkeypatch.setattr(read, "TIME_LIMIT_S", 0.2)
    assert refusal(pth).problem == "reading it did not end within 0.2 s and was stopped"


def test_process_that_cannot_be_started_is_told(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(pth))
    assert "cannot be started (Permission denied)" in refusal(pth).problem


def test_process_sees_nothing_of_our_environment(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    code = "import os, sys; sys.exit(' '.join(sorted(set(os.environ) - {'LC_CTYPE'})))"
    monkeypatch.setattr(read, "CHILD", ("-c", code))
    named = {"PATH", "LD_LIBRARY_PATH"} & set(os.environ)
    expected = " ".join(sorted({"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONPATH"} | named))
    assert f"({expected})" in refusal(pth).problem


@pytest.mark.parametrize("name", ["it.pth", "it.safetensors"])
def test_what_is_no_file_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(read, "CHILD", ("-c", "raise AssertionError"))
    assert "No such file" in refusal(tmp_path / name).problem
    (tmp_path / name).touch()
    assert refusal(tmp_path / name).problem == "is empty"
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert refusal(tmp_path / name).problem == "is no plain file"


@pytest.mark.parametrize("name", ["torch", "safetensors"])
def test_missing_package_is_named_with_its_extra(pth: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in (name, f"{name}.torch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError) as caught:
        read_checkpoint(pth)
    assert str(caught.value) == f"reading weights needs {name}: pip install 'streamguard[train]'"


def test_forms_are_the_ones_that_damage_is_tried_on() -> None:
    assert FORMS["zip.pth"]().startswith(b"PK")
    assert FORMS["legacy.pth"]().startswith(b"\x80\x02")
