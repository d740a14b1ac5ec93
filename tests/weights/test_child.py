"""What torch.save wrote, taken apart: tensors come out, or a refusal in words. Nothing the file asks for is run."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from streamguard.errors import CheckpointError
from streamguard.weights import child
from streamguard.weights.child import tensors_in
from streamguard.weights.read import read_checkpoint

from .files import FORMS, Evil, legacy, mutations, some_tensors, zipped


def at(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refusal(path: Path, data: bytes) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        tensors_in(at(path, data))
    error = caught.value
    assert error.path == str(path)
    assert "weights_only" not in str(error)  # torch's advice is to load it without care
    assert str(error).isprintable()
    assert len(error.problem) < 400
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "it.pth"


# What is read.


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3, "optimizer": {"lr": [0.1], "m": torch.ones(1)}},
        lambda tensors: {"model": tensors, "args": None},
        lambda tensors: {"module": tensors},
    ],
)
def test_tensors_come_out_of_every_wrapper(
    path: Path, write: Callable[[object], bytes], wrap: Callable[[object], object]
) -> None:
    found = tensors_in(at(path, write(wrap(some_tensors()))))
    assert found.keys() == some_tensors().keys()
    assert found["stem.weight"].tolist() == some_tensors()["stem.weight"].tolist()
    assert found["stem.bias"].dtype == torch.float32
    assert found["norm.count"].item() == 7


def test_tensor_may_be_named_as_a_wrapper_is(path: Path) -> None:
    assert tensors_in(at(path, zipped({"model": torch.ones(2)})))["model"].tolist() == [1.0, 1.0]


def test_tensors_of_one_storage_come_out_apart(path: Path) -> None:
    flat = torch.arange(6.0)
    found = tensors_in(at(path, zipped({"a": flat[:3], "b": flat[3:]})))
    assert (found["a"].tolist(), found["b"].tolist()) == ([0.0, 1.0, 2.0], [3.0, 4.0, 5.0])


# Code.


@pytest.mark.parametrize(
    "write",
    [
        zipped,
        legacy,
        *(lambda content, p=p: pickle.dumps(content, protocol=p) for p in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
    ids=["zip", "legacy", *(f"pickle {p}" for p in range(pickle.HIGHEST_PROTOCOL + 1))],
)
def test_code_is_named_and_not_run(path: Path, tmp_path: Path, write: Callable[[object], bytes]) -> None:
    data = write({"weight": Evil(tmp_path / "ran")})
    error = refusal(path, data)
    assert (
        error.problem == "asks for posix.mkdir, which is code and no tensor; nothing was run. Save the state_dict alone"
    )
    assert not (tmp_path / "ran").exists()


def test_code_beside_the_weights_is_refused_too(path: Path, tmp_path: Path) -> None:
    data = zipped({"state_dict": some_tensors(), "hook": Evil(tmp_path / "ran")})
    assert "asks for posix.mkdir" in refusal(path, data).problem
    assert not (tmp_path / "ran").exists()


def test_the_trap_of_these_tests_does_spring(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    torch.load(io.BytesIO(zipped(Evil(tmp_path / "ran"))), weights_only=False)
    assert (tmp_path / "ran").exists()


def test_whole_networks_are_refused_by_their_class(path: Path) -> None:
    assert "asks for torch.nn.modules.linear.Linear" in refusal(path, zipped(torch.nn.Linear(2, 2))).problem


def test_damaged_name_is_not_called_code(path: Path) -> None:
    data = legacy(some_tensors()).replace(b"FloatStorage", b"Flo\x01\x1b[age")
    assert refusal(path, data).problem == r"is no sound checkpoint of PyTorch (it asks for 'torch.Flo\x01\x1b[age')"


# Other refusals.


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ([torch.ones(2)], "", "holds no named tensors but list"),
        (torch.ones(2), "", "holds no named tensors but Tensor"),
        ({}, "", "holds no tensors"),
        ({"state_dict": {}, "epoch": 3}, "", "holds no tensors"),
        ({"epoch": 3, "weight": torch.ones(2)}, "epoch", "is no tensor but int"),
        ({"state_dict": {"weight": [1.0]}}, "weight", "is no tensor but list"),
        ({"model": {"a": torch.ones(1)}, "state_dict": {"a": torch.zeros(1)}}, "", "holds both state_dict and model"),
        ({"weight": torch.ones(1).expand(1 << 20, 1 << 20)}, "weight", "claims 1099511627776 elements"),
        ({"weight": torch.eye(2).to_sparse()}, "weight", "is sparse"),
        ({"weight": torch.ones(2, device="meta")}, "weight", "has no values: it is on the device meta"),
        ({"weight": torch.ones(2, dtype=torch.complex64)}, "weight", "holds complex64"),
        ({"we\x07ight": torch.ones(2)}, r"'we\x07ight'", "cannot be printed"),
        ({3: torch.ones(2)}, "3", "names are text"),
    ],
)
@pytest.mark.parametrize("write", [zipped, legacy])
def test_what_is_no_state_dict_is_refused(
    path: Path, write: Callable[[object], bytes], content: object, where: str, problem: str
) -> None:
    error = refusal(path, write(content))
    assert error.where == where
    assert problem in error.problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"hello, this is no checkpoint", "is no sound checkpoint of PyTorch"),
        (b"\x80\x02N.", "is no sound checkpoint of PyTorch"),
        (b"PK\x03\x04" + bytes(100), "is a zip file that is damaged or cut off"),
        (zipped(some_tensors())[:-30], "is a zip file that is damaged or cut off"),
        (legacy(some_tensors())[:-30], "is no sound checkpoint of PyTorch"),
        (bytes(1000), "is no sound checkpoint of PyTorch"),
    ],
)
def test_what_is_no_checkpoint_is_refused(path: Path, data: bytes, problem: str) -> None:
    assert problem in refusal(path, data).problem


def rezipped(data: bytes, compression: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return out.getvalue()


def test_zip_that_grows_when_unpacked_is_refused(path: Path) -> None:
    bomb = rezipped(zipped({"weight": torch.zeros(1 << 20)}), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 20_000
    error = refusal(path, bomb)
    assert error.problem == "is compressed or encrypted, which PyTorch never does"
    assert error.where.endswith(".pkl")


def test_zip_whose_parts_overlap_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what its table claims: one piece of the file may be named many times."""
    monkeypatch.setattr(child, "MOST_BYTES", 1000)
    assert refusal(path, zipped({"weight": torch.zeros(1000)})).problem == "has more than 1000 bytes inside"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_is_refused_in_words(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/constants.pkl", "a/data.pkl", "a/version"):
            archive.writestr(name, b"3\n")
    assert refusal(path, path.read_bytes()).problem == "is a TorchScript program; what is read are state_dicts"


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (
            RuntimeError("something odd\x1b\n in here"),
            r"is no sound checkpoint of PyTorch ('something odd\x1b in here')",
        ),
        (MemoryError(), "asks for more memory than reading it may take (6 GiB)"),
    ],
)
def test_tensors_that_cannot_even_be_looked_at_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(child, "plain_tensors", fail)
    assert refusal(path, zipped(some_tensors())).problem == problem


# The process. Its limits cannot be taken back, so each runs in one of its own.


def test_every_damaged_file_is_read_or_refused(tmp_path: Path) -> None:
    """Many files in one process: one that crashes it would show, and so would one that no refusal is made of."""
    for form in ("zip.pth", "legacy.pth"):
        for i, data in enumerate(mutations(FORMS[form](), 150, seed=8)):
            (tmp_path / f"{i:03}-{form}").write_bytes(data)
    code = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from streamguard.errors import CheckpointError\n"
        "from streamguard.weights.child import limit_process, tensors_in\n"
        "limit_process()\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        found = [path.name, len(tensors_in(path)), '']\n"
        "    except CheckpointError as exc:\n"
        "        found = [path.name, 0, str(exc)]\n"
        "    print(json.dumps(found))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 300
    assert all(error.isprintable() and "weights_only" not in error for _, _, error in answers)
    for form in ("zip.pth", "legacy.pth"):
        refused = [bool(error) for name, _, error in answers if name.endswith(form)]
        assert sum(refused) > 50
        assert not all(refused)


# Values.


def legacy_without_values(content: object) -> bytes:
    """As `legacy`, but the list of what is in the file is empty, and nothing follows it."""
    data = legacy(content)
    file = io.BytesIO(data)
    for _ in range(4):  # magic number, protocol, system, content
        for _ in pickletools.genops(file):
            pass
    return data[: file.tell()] + pickle.dumps([], protocol=2)


def test_a_tensor_whose_values_are_not_in_the_file_is_no_number(path: Path) -> None:
    """Else it would hold what was in this process' memory before, and pass for weights."""
    data = legacy_without_values({"a": torch.ones(1000)})
    found = tensors_in(at(path, data + bytes(4000)))  # as long as an honest one
    assert found["a"].isnan().all()
    with pytest.raises(CheckpointError, match="a: has values that are no finite numbers"):
        read_checkpoint(path)


def test_what_claims_more_values_than_the_file_has_bytes_is_refused_before_they_are_made(path: Path) -> None:
    error = refusal(path, legacy_without_values({"a": torch.ones(100_000)}))
    assert error.problem == "claims more values than it has bytes"


class Empty:
    """A tensor that the file only gives a size of."""

    def __reduce__(self) -> tuple[object, ...]:
        return torch.Tensor, (10,)


@pytest.mark.parametrize("write", [zipped, legacy])
def test_a_tensor_that_is_made_instead_of_read_is_refused_by_name(path: Path, write: Callable[[object], bytes]) -> None:
    error = refusal(path, write({"b": torch.ones(2), "a": Empty()}))
    assert (error.where, error.problem) == ("a", "has no values in the file")


def test_a_name_that_safetensors_keeps_is_refused_as_such(path: Path) -> None:
    assert refusal(path, zipped({"__metadata__": torch.ones(2)})).where == "__metadata__"
