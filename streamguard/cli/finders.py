"""The networks that find faces, fetched if they are not here yet."""

from __future__ import annotations

import sys
from pathlib import Path

from ..assets import pull
from ..faces.detector import FaceDetector, FaceMesher, open_detector, open_mesher
from .models import ProgressBar


def finders(path: Path | None = None) -> tuple[FaceDetector, FaceMesher]:
    """The detector (a network of the caller's, if one is named) and the mesher."""
    fetch()
    return open_detector(path), open_mesher()


def fetch(*names: str) -> None:
    """Model files that are missing, with a progress bar; without names all that are needed."""
    progress = ProgressBar() if sys.stderr.isatty() else None
    try:
        pull(names or None, progress=progress)
    finally:
        if progress is not None:
            progress.close()
