"""The processor: how many cores this process may use, what they are made for, and how OpenVINO is to use them."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

MOST_AT_ONCE = 32
"""Calls of one network that run side by side, however many cores there are."""

CPUINFO = Path("/proc/cpuinfo")


def load_openvino() -> Any:
    """The package, without its telemetry: importing it would otherwise report to Google Analytics that it was used, and
    leave an id in the home folder. Nothing that watches people may call home. Every import of it is this one."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def usable_cores() -> int:
    """Those that the scheduler lets this process use; a container's share in time is not counted."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def calls_at_once() -> int:
    return min(usable_cores(), MOST_AT_ONCE)


@lru_cache(maxsize=1)
def has_fast_int8() -> bool:
    """True if the processor multiplies and adds 8-bit numbers in one instruction. False also where nobody can tell."""
    try:
        flags = next((line for line in CPUINFO.read_text().splitlines() if line.startswith("flags")), "")
    except OSError:
        return False
    return not {"avx512_vnni", "avx_vnni", "amx_int8"}.isdisjoint(flags.split())


def openvino_settings(inference_precision: str = "f32") -> dict[str, Any]:
    """One core a call, and as many calls at once as there are cores.

    With fewer OpenVINO streams, calls from different threads would wait for each other. Pinning is off, or the
    streams of several networks would all sit on the first cores. f32: the same numbers on every processor.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": calls_at_once(),
        "INFERENCE_NUM_THREADS": calls_at_once(),
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": inference_precision,
    }
