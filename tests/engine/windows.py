"""Windows made by hand, for tests of what comes after the session."""

from __future__ import annotations

import numpy as np

from streamguard.values import Quality, Window

QUALITY = Quality(
    size_px=120, sharpness=0.8, luma=0.5, clipped=0.0, yaw_deg=0, pitch_deg=0, roll_deg=0, presence=1.0, padded=0.0
)


def window(
    face_id: int = 0,
    generation: int = 1,
    *,
    epoch: int = 1,
    age: int = 0,
    crops: np.ndarray | None = None,
    end_s: float = 1.0,
    grid_s: float = 0.08,
) -> Window:
    crops = np.full((8, 32, 32, 3), 128, np.uint8) if crops is None else crops
    pts_s = tuple(end_s - grid_s * i for i in reversed(range(len(crops))))
    return Window(
        face_id=face_id,
        generation=generation,
        crop_epoch=epoch,
        age=age,
        crops=crops,
        pts_s=pts_s,
        grid_s=pts_s,
        pts_start_s=pts_s[0],
        crops_real=len(crops),
        crops_expected=len(crops),
        gaps=0,
        quality=QUALITY,
        arrival_s=end_s,
    )


def plain(brightness: int, count: int = 8, size_px: int = 32) -> np.ndarray:
    """(count, size, size, 3) uint8 of one brightness."""
    return np.full((count, size_px, size_px, 3), brightness, np.uint8)
