"""What is in the repository: only what belongs there."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MEDIA = {
    ".mp4",
    ".mkv",
    ".mov",
    ".avi",
    ".webm",
    ".ts",
    ".h264",
    ".wav",
    ".mp3",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
}
MODELS = {
    ".pt",
    ".pth",
    ".pkl",
    ".pickle",
    ".ckpt",
    ".joblib",
    ".npy",
    ".npz",
    ".tflite",
    ".onnx",
    ".engine",
    ".bin",
    ".safetensors",
}
BUNDLES = {"streamguard/bundles/default", "streamguard/bundles/untrained"}
LARGEST_MEDIA_BYTES = 200_000


def tracked() -> list[Path]:
    """Every file that git knows, or, outside git (an unpacked sdist), that is not a hidden or built one."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    hidden = {"build", "dist", "out", "__pycache__"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") or part in hidden for part in path.relative_to(ROOT).parts[:-1])
    ]


FILES = tracked()


def test_repository_is_seen() -> None:
    assert ROOT / "pyproject.toml" in FILES
    assert Path(__file__) in FILES


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    """Paths begin in the repository, in the user's home or in a temporary folder that the code asks for."""
    wrong = {str(path.relative_to(ROOT)): found for path in FILES if (found := machine_paths(text_of(path)))}
    assert wrong == {}


def machine_paths(text: str) -> list[str]:
    found = re.findall(r"(?<![\w.:/-])/(?:work|home|root|Users|mnt|workspace)/[\w.-]+", text)
    return [path for path in found if path.rpartition("/")[2] not in ("me", "you", "user")]  # nobody's: an example


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /ho" + "me/anna/project", 1),
        ("cd '/wo" + "rk/main'", 1),
        ("https://example.org/ho" + "me/page", 0),
        ("/ho" + "me/me/clip.mp4", 0),
        ("rtsp://camera/ro" + "ot/live", 0),
        ("ro" + "ot/x", 0),
    ],
)
def test_machine_paths_are_told_from_addresses(text: str, found: int) -> None:
    assert len(machine_paths(text)) == found


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


def test_media_is_small_unless_it_is_a_picture_of_the_docs() -> None:
    """Tests make their own media by code."""
    large = [
        str(path.relative_to(ROOT))
        for path in FILES
        if path.suffix.lower() in MEDIA
        and path.stat().st_size > LARGEST_MEDIA_BYTES
        and not (path.is_relative_to(ROOT / "docs") and path.suffix.lower() in {".png", ".jpg", ".gif", ".webp"})
    ]
    assert large == []


def test_no_network_and_no_pickle_is_in_the_repository_but_in_the_two_bundles_of_the_package() -> None:
    """test_untrained.py makes one of them again, from a seed; test_default.py says what the other must be."""
    found = [path.relative_to(ROOT) for path in FILES if path.suffix.lower() in MODELS]
    assert [str(path) for path in found if path.parent.as_posix() not in BUNDLES] == []
    there = {path.relative_to(ROOT).parent.as_posix() for path in FILES if path.name == "bundle.json"}
    assert there <= BUNDLES


def test_no_code_opens_pickles() -> None:
    """A pickle runs code when it is opened. Saying so in words is fine; importing or allowing it is not."""
    opened = re.compile(
        r"^\s*(import|from) (pickle|cPickle|dill|joblib|shelve)\b|allow_pickle=True|weights_only=False", re.M
    )
    trap = ROOT / "tests" / "weights" / "test_child.py"  # shows that the trap it sets would have caught somebody
    code = [path for path in FILES if path.suffix == ".py" and path not in (Path(__file__), trap)]
    assert [str(path.relative_to(ROOT)) for path in code if opened.search(text_of(path))] == []


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".py"], ids=lambda path: str(path.relative_to(ROOT)))
def test_module_says_what_it_is(path: Path) -> None:
    if path.name.endswith("_pb2.py"):
        return
    words = ast.get_docstring(ast.parse(text_of(path)))
    assert words, f"{path.relative_to(ROOT)} has no docstring"


def test_docs_link_to_files_that_exist() -> None:
    pages = [path for path in FILES if path.suffix == ".md"]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", text_of(page))
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_code_in_the_docs_imports_what_exists() -> None:
    blocks = [
        block
        for page in FILES
        if page.suffix == ".md"
        for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL)
    ]
    assert blocks
    for block in blocks:
        imports: list[ast.stmt] = [
            node for node in ast.parse(block).body if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        exec(compile(ast.Module(imports, type_ignores=[]), "docs", "exec"), {})
