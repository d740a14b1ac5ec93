"""What may come out of a file of weights: plain files, printable names, dense finite tensors, and not too many."""

from __future__ import annotations

import errno
import os
import socket
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from streamguard.errors import CheckpointError
from streamguard.weights import rules
from streamguard.weights.rules import check_finite, open_plain, plain_tensors, shown

refuse = partial(CheckpointError, "some.pth")


def refusal(found: dict[object, object]) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        plain_tensors(found, refuse)
    return caught.value


# Files.


def test_plain_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xyz")
    with open_plain(tmp_path / "a", refuse) as file:
        assert file.read() == b"xyz"


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(rules.MOST_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (Path.mkdir, "is a folder"),
        (Path.touch, "is empty"),
        (make_pipe, "is no plain file"),
        (make_socket, "cannot be read (No such device or address)"),
        (lambda path: path.symlink_to("/dev/zero"), "is no plain file"),
        (make_large, f"has {rules.MOST_BYTES + 1} bytes; at most {rules.MOST_BYTES} are read"),
    ],
)
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], object], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make(Path("it"))
    files_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CheckpointError) as caught:
        open_plain(Path("it"), refuse)
    assert caught.value.problem == problem
    assert len(os.listdir("/proc/self/fd")) == files_before


def test_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read any: so the system's answer is played."""

    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(CheckpointError, match="Permission denied"):
        open_plain(tmp_path / "a", refuse)


def test_path_that_is_none_is_refused() -> None:
    with pytest.raises(CheckpointError, match="null byte"):
        open_plain(Path("a\0b"), refuse)


# Tensors.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float32])
def test_floats_become_float32(dtype: torch.dtype) -> None:
    given = torch.tensor([1.5, -2.0], dtype=dtype)
    taken = plain_tensors({"a": given}, refuse)["a"]
    assert taken.dtype == torch.float32
    assert taken.tolist() == [1.5, -2.0]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool])
def test_whole_numbers_stay(dtype: torch.dtype) -> None:
    assert plain_tensors({"a": torch.ones(2, dtype=dtype)}, refuse)["a"].dtype == dtype


def test_what_is_taken_owns_its_memory() -> None:
    """Views into one storage, strides and gradients are gone."""
    base = torch.arange(12.0).reshape(3, 4)
    taken = plain_tensors({"turned": base.T, "row": base[1], "trained": nn.Parameter(base)}, refuse)
    base.zero_()
    assert taken["turned"].is_contiguous()
    assert taken["turned"][1].tolist() == [1.0, 5.0, 9.0]
    assert taken["row"].tolist() == [4.0, 5.0, 6.0, 7.0]
    assert type(taken["trained"]) is Tensor
    assert not taken["trained"].requires_grad
    assert all(each.untyped_storage().nbytes() == 4 * each.numel() for each in taken.values())


class OfAnotherKind(Tensor):
    pass


def sparse() -> Tensor:
    return torch.eye(3).to_sparse()


def quantised() -> Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)


def nested() -> Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (sparse, "is sparse or nested"),
        (nested, "is sparse or nested"),
        (quantised, "is quantised"),
        (lambda: torch.ones(2, dtype=torch.complex64), "holds complex64"),
        (lambda: torch.ones(2).to(torch.float8_e4m3fn), "holds float8_e4m3fn"),
        (lambda: torch.ones(2, device="meta"), "has no values: it is on the device meta"),
        (lambda: torch.ones([1] * 9), "has 9 dimensions"),
        (lambda: torch.ones(1).expand(1000, 1000), "claims 1000000 elements, and its storage has not as many"),
        (lambda: torch.ones(3).as_strided((2, 3), (0, 1)), "claims 6 elements"),
        (lambda: torch.ones(2).as_subclass(OfAnotherKind), "is no tensor but OfAnotherKind"),
        (lambda: 3, "is no tensor but int"),
        (lambda: {"weight": torch.ones(2)}, "is no tensor but dict"),
    ],
)
def test_what_is_no_plain_tensor_is_refused_by_name(make: Callable[[], object], problem: str) -> None:
    error = refusal({"fine": torch.ones(2), "layer.weight": make()})
    assert error.where == "layer.weight"
    assert problem in error.problem


@pytest.mark.parametrize(
    ("name", "shown_as"),
    [
        ("", "''"),
        ("a\x1b[31mb", r"'a\x1b[31mb'"),
        ("two\nlines", r"'two\nlines'"),
        ("right\u202eleft", r"'right\u202eleft'"),
        (7, "7"),
        ("x" * 301, "x" * 120 + "..."),
    ],
)
def test_names_that_cannot_be_shown_are_refused_and_shown_escaped(name: object, shown_as: str) -> None:
    assert refusal({name: torch.ones(2)}).where == shown_as


def test_no_tensors_at_all_are_refused() -> None:
    assert refusal({}).problem == "holds no tensors"


def test_too_many_tensors_are_refused() -> None:
    one = torch.ones(1)
    assert "at most 20000" in refusal({str(i): one for i in range(20_001)}).problem


def test_too_many_bytes_are_refused_before_they_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as what they become: a float16 takes four bytes, and many views of one storage count each."""
    monkeypatch.setattr(rules, "MOST_BYTES", 1000)
    half = torch.ones(100, dtype=torch.float16)
    assert len(plain_tensors({"a": half, "b": half}, refuse)) == 2
    assert refusal({"a": half, "b": half, "c": half}).where == "c"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_value_that_is_no_number_is_refused_by_name(value: float) -> None:
    tensors = {"fine": torch.ones(3), "counter": torch.tensor(3), "broken": torch.tensor([0.0, value])}
    with pytest.raises(CheckpointError) as caught:
        check_finite(tensors, refuse)
    assert caught.value.where == "broken"


def test_float64_too_large_for_float32_is_no_number() -> None:
    taken = plain_tensors({"a": torch.tensor([1e300], dtype=torch.float64)}, refuse)
    with pytest.raises(CheckpointError, match="as float32"):
        check_finite(taken, refuse)


def test_words_of_strangers_are_harmless() -> None:
    assert shown("plain.name") == "plain.name"
    assert shown("") == "''"
    assert "\x1b" not in shown("\x1b[2J")
    assert len(shown("\x1b" * 10_000)) < 600
