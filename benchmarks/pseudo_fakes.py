"""The picture of docs/pseudo_fakes.md: every kind of pseudo-fake, of the portrait.

python benchmarks/pseudo_fakes.py

A row a kind: the real frame, the forged one, and the mask, for a weak and a strong draw. The other person is the
portrait too, mirrored, reshaped and recoloured.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests' portraits

from streamguard.training.fakes import KINDS, make
from streamguard.training.tiles import Tiles
from tests.training.portraits import portrait_tiles

OUT = Path(__file__).resolve().parent.parent / "docs" / "pseudo-fakes.jpg"
CELL, TITLE = 132, 20
DRAWS = 12
"""Of this many seeds the one that changes least and the one that changes most are shown."""


@dataclass(frozen=True)
class Made:
    fake: Tiles
    mask: np.ndarray
    frame: int
    changed: float


def main() -> None:
    torch.set_num_threads(1)
    real, donor = portrait_tiles(0, 8, 110.0), portrait_tiles(1, 8, 110.0)
    names = list(KINDS)
    columns = 2
    rows = -(-len(names) // columns)
    width, height = 5 * CELL, CELL + TITLE
    sheet = Image.new("RGB", (columns * width + 12, rows * height), "white")
    for place, kind in enumerate(names):
        column, row = divmod(place, rows)
        sheet.paste(_strip(kind, real, donor), (column * (width + 12), row * height))
        sys.stderr.write(f"{kind}\n")
    sheet.save(OUT, quality=86)


def _strip(kind: str, real: Tiles, donor: Tiles) -> Image.Image:
    made = sorted((_made(kind, real, donor, seed) for seed in range(DRAWS)), key=lambda each: each.changed)
    weak, strong = made[0], made[-1]
    strip = Image.new("RGB", (5 * CELL, CELL + TITLE), "white")
    cells = [real.pixels[strong.frame]]
    for each in (weak, strong):
        cells += [
            each.fake.pixels[each.frame],
            np.repeat((255 * each.mask[each.frame]).astype(np.uint8)[..., None], 3, 2),
        ]
    start, end = round(0.14 * real.side_px), round(0.86 * real.side_px)
    for index, cell in enumerate(cells):
        shown = Image.fromarray(np.ascontiguousarray(cell[start:end, start:end]))
        strip.paste(shown.resize((CELL, CELL), Image.Resampling.LANCZOS), (index * CELL, TITLE))
    text = ImageDraw.Draw(strip)
    font = ImageFont.load_default(13)
    for index, words in enumerate((kind, "weakest", "mask", f"strongest of {DRAWS}", "mask")):
        text.text((index * CELL + 2, 2), words, fill="black", font=font)
    return strip


def _made(kind: str, real: Tiles, donor: Tiles, seed: int) -> Made:
    fake, mask = make(kind, real, donor, np.random.default_rng(seed))
    by_frame = np.abs(fake.pixels.astype(int) - real.pixels).mean(axis=(1, 2, 3))
    frame = int(by_frame.argmax())
    return Made(fake=fake, mask=mask, frame=frame, changed=float(by_frame[frame]))


if __name__ == "__main__":
    main()
