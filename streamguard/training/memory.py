"""Freed memory is kept for the next step. A setting of the whole process: commands make it, libraries do not."""

from __future__ import annotations

import ctypes
import logging
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_log = logging.getLogger(__name__)


def keep_freed_memory() -> None:
    """Each step takes and frees the same large tensors. glibc would hand each back to the system and fetch it anew,
    page by page and cleared: a third of a training step on a CPU. Does nothing where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        _log.debug("no mallopt: freed memory goes back to the system")
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 2**28)
