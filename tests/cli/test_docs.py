"""What the docs say of the program: every command has its place, and the demo's pictures are there and shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from streamguard.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "docs/", "docs/cli.md": ""}
PICTURES = {"demo-report.png": (900, 1000), "demo-timeline.png": (1400, 200), "demo-frame.jpg": (900, 500)}
"""Each with the least size that can be read."""
LARGEST_BYTES = 250_000


@pytest.mark.parametrize("name", PICTURES)
def test_docs_show_a_picture_of_the_demo_that_can_be_read_and_loads_fast(name: str) -> None:
    path = ROOT / "docs" / name
    assert path.stat().st_size < LARGEST_BYTES
    with Image.open(path) as image:
        assert image.width >= PICTURES[name][0]
        assert image.height >= PICTURES[name][1]
        assert image.convert("L").getextrema() != (255, 255), "not blank"
    for page, folder in PAGES.items():
        assert re.search(rf"!\[[^\]]{{20,}}\]\({folder}{name}\)", (ROOT / page).read_text()), page


def test_docs_have_no_picture_that_nobody_shows() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = "".join(page.read_text() for page in pages)
    pictures = [path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".png", ".jpg")]
    assert [name for name in pictures if name not in shown] == []


def test_docs_name_every_command() -> None:
    table = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs" / "cli.md").read_text(), re.M)
    assert table == list(COMMANDS)
