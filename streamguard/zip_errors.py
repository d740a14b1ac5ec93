"""What zipfile and its decompressors raise on archives that are damaged, or made to look so. zipfile has no list."""

from __future__ import annotations

import struct
import zipfile
import zlib

BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,
    ValueError,
)
