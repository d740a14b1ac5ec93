"""The plain arithmetic that the fast pixel paths are held against, and natural-looking test pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from streamguard.picture import Affine, Matrix, Picture


def smooth(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Natural-looking RGB: no detail finer than chroma can hold."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def reference_rgb(picture: Picture) -> np.ndarray:
    """(H, W, 3) float: straight from the standards' formulas, chroma spread bilinearly."""
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[picture.matrix]
    size = (picture.width, picture.height)
    u, v = (
        np.asarray(
            Image.fromarray(plane.astype(np.float32)).resize(
                size, Image.Resampling.BILINEAR, box=(0, 0, picture.width / 2, picture.height / 2)
            )
        )
        for plane in (picture.u, picture.v)
    )
    y = picture.y.astype(np.float64)
    if picture.full_range:
        y, cb, cr = y / 255, (u - 128) / 255, (v - 128) / 255
    else:
        y, cb, cr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], -1) * 255, 0, 255)


def reference_sample(rgb: np.ndarray, affine: Affine, size: int, fine: int = 4) -> np.ndarray:
    """(size, size, 3) float: bilinear point samples, fine x fine an output pixel, edges replicated.

    When shrinking, weighted by a triangle two output pixels wide (the usual antialiasing filter).
    """
    a, b, c, d, e, f = affine
    shrinks = abs(a * e - b * d) > 1
    steps = (np.arange(-fine, (size + 1) * fine) + 0.5) / fine if shrinks else np.arange(size) + 0.5
    x, y = np.meshgrid(steps, steps)
    px, py = a * x + b * y + c - 0.5, d * x + e * y + f - 0.5
    px, py = np.clip(px, 0, rgb.shape[1] - 1), np.clip(py, 0, rgb.shape[0] - 1)
    x0, y0 = np.floor(px).astype(int), np.floor(py).astype(int)
    x1, y1 = np.minimum(x0 + 1, rgb.shape[1] - 1), np.minimum(y0 + 1, rgb.shape[0] - 1)
    wx, wy = (px - x0)[..., None], (py - y0)[..., None]
    top = rgb[y0, x0] * (1 - wx) + rgb[y0, x1] * wx
    bottom = rgb[y1, x0] * (1 - wx) + rgb[y1, x1] * wx
    samples = top * (1 - wy) + bottom * wy
    if not shrinks:
        return np.asarray(samples)
    out_centres = np.arange(size) + 0.5
    weights = np.clip(1 - np.abs(steps[None, :] - out_centres[:, None]), 0, None)
    weights /= weights.sum(1, keepdims=True)
    return np.asarray(np.einsum("iy,yxc,jx->ijc", weights, samples, weights, optimize=True))


def as_matrix(rgb: np.ndarray, matrix: Matrix, full_range: bool) -> Picture:
    """The same colours coded by another standard."""
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[matrix]
    red, green, blue = (rgb[..., i].astype(np.float64) / 255 for i in range(3))
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    if full_range:
        planes = y * 255, cb * 255 + 128, cr * 255 + 128
    else:
        planes = y * 219 + 16, cb * 224 + 128, cr * 224 + 128
    y8, u8, v8 = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes)
    u8, v8 = (np.asarray(Image.fromarray(plane).reduce(2)) for plane in (u8, v8))
    return Picture(y=y8, u=u8, v=v8, matrix=matrix, full_range=full_range)
