"""A folder takes the place of an older bundle, whole or not at all, and of nothing else. More is in test_bundle.py."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from streamguard.errors import ConfigError, SinkError, SinkFullError
from streamguard.sealed_files import replacing


def old_bundle(folder: Path, *others: str) -> Path:
    """Of another format, and damaged: it names a file that is gone."""
    folder.mkdir()
    (folder / "bundle.json").write_text('{"format": 0, "files": {"weights.bin": {}, "gone.bin": {}}}')
    for name in ("weights.bin", *others):
        (folder / name).write_text("old")
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fill(out: Path) -> None:
    with replacing(out) as folder:
        (folder / "new.bin").write_text("new")


@pytest.mark.parametrize("there", ["nothing", "no folder above", "an empty folder", "an older bundle"])
def test_what_was_filled_is_at_its_place_and_nothing_else_is_left(tmp_path: Path, there: str) -> None:
    out = tmp_path / "above" / "out" if there == "no folder above" else tmp_path / "out"
    match there:
        case "an empty folder":
            out.mkdir()
        case "an older bundle":
            old_bundle(out)
    fill(out)
    assert names_in(out) == {"new.bin"}
    assert names_in(out.parent) == {"out"}
    (tmp_path / "any").mkdir()
    assert out.stat().st_mode == (tmp_path / "any").stat().st_mode, "others may read it as they may any new folder"


@pytest.mark.parametrize(
    "there", ["a file", "a folder of letters", "a bundle and a letter", "a bundle and a folder", "a link", "no JSON"]
)
def test_anything_else_is_refused_before_the_work_and_stays(tmp_path: Path, there: str) -> None:
    out = tmp_path / "out"
    match there:
        case "a file":
            out.write_text("a year's work")
        case "a folder of letters":
            out.mkdir()
            (out / "letter.txt").touch()
        case "a bundle and a letter":
            old_bundle(out, "letter.txt")
        case "a bundle and a folder":
            (old_bundle(out) / "letters").mkdir()
        case "a link":
            out.symlink_to(old_bundle(tmp_path / "real"))
        case "no JSON":
            (old_bundle(out) / "bundle.json").write_text("[]")
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="is there and is no bundle: it is not overwritten"), replacing(out):
        pytest.fail("the work began")
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_if_the_filling_fails_the_older_bundle_stays(tmp_path: Path) -> None:
    out = old_bundle(tmp_path / "out")
    with pytest.raises(ZeroDivisionError), replacing(out) as folder:
        (folder / "half.bin").write_bytes(bytes(1 // len(list(folder.iterdir()))))
    assert names_in(out) == {"bundle.json", "weights.bin"}
    assert names_in(tmp_path) == {"out"}


def test_if_the_last_move_fails_the_older_bundle_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = old_bundle(tmp_path / "out")
    really = os.rename

    def rename(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        really(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(SinkError, match="Input/output error"):
        fill(out)
    assert names_in(out) == {"bundle.json", "weights.bin"}
    assert names_in(tmp_path) == {"out"}


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(SinkFullError, match="no space is left"), replacing(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names_in(tmp_path) == set()


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="file/out: "), replacing(tmp_path / "file" / "out"):
        pytest.fail("the work began")


def test_a_folder_inside_a_bundle_is_refused(tmp_path: Path) -> None:
    """It would be a file too many there: the bundle around it would open no more."""
    bundle = old_bundle(tmp_path / "bundle")
    for out in (bundle / "inner", bundle / "deep" / "inner"):
        with pytest.raises(ConfigError, match="would be inside the bundle"), replacing(out):
            pytest.fail("the work began")
    assert names_in(bundle) == {"bundle.json", "weights.bin"}
