"""Writes streamguard/v1/*_pb2.py and .pyi from the .proto files beside this script; `--check` only compares.

Run by `make proto` and `make check`. The generator is pinned in pyproject.toml (extra `test`), so that its output does
not change by itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def generate(folder: Path) -> list[Path]:
    """Generate into `folder`; returns the files written, relative to it."""
    from grpc_tools import protoc

    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    status = protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}", f"--pyi_out={folder}", *protos])
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")
    return sorted(path.relative_to(folder) for path in folder.rglob("*_pb2.py*"))


def stale_files() -> list[str]:
    """Committed files that differ from what the generator makes now, are missing, or have no .proto any more."""
    with tempfile.TemporaryDirectory() as name:
        fresh = {path: (Path(name) / path).read_bytes() for path in generate(Path(name))}
    committed = {path.relative_to(ROOT): path.read_bytes() for path in (ROOT / "streamguard" / "v1").glob("*_pb2.py*")}
    return sorted(str(path) for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed file is stale")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    stale = stale_files()
    for path in stale:
        sys.stderr.write(f"stale: {path}. Run: make proto\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
