"""What the processor can do, and how it is shared out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamguard import cores


def test_each_call_has_one_core_and_all_cores_can_be_busy() -> None:
    settings = cores.openvino_settings()
    assert settings["NUM_STREAMS"] == settings["INFERENCE_NUM_THREADS"] == cores.calls_at_once() >= 1
    assert settings["ENABLE_CPU_PINNING"] is False
    assert settings["INFERENCE_PRECISION_HINT"] == "f32"


def test_calls_at_once_are_as_many_as_cores_but_not_hundreds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 3)
    assert cores.calls_at_once() == 3
    monkeypatch.setattr(cores, "usable_cores", lambda: 200)
    assert cores.calls_at_once() == cores.MOST_AT_ONCE


def test_usable_cores_are_those_of_this_process() -> None:
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", True),
        ("model name\t: some\nflags\t\t: fpu avx_vnni\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd\n", False),
    ],
)
def test_fast_int8_is_told_by_the_flags(
    text: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cores, "CPUINFO", tmp_path / "cpuinfo")
    assert cores.has_fast_int8.__wrapped__() is expected


def test_where_nobody_can_tell_there_is_no_fast_int8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "CPUINFO", tmp_path / "nothing")
    assert cores.has_fast_int8.__wrapped__() is False
