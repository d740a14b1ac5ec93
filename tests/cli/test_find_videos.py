"""Which videos a scan finds, in which order, and where their results go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamguard.cli.find_videos import NoVideoFound, find_videos


def made(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")
    return root


def found(*targets: Path, out: Path = Path("out")) -> list[str]:
    return [str(video.folder.relative_to(out)) for video in find_videos(targets, out).videos]


def test_a_folder_is_walked_in_order_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, "b.mp4", "a.MKV", "sub/c.webm", "notes.txt", ".hidden.mp4", ".git/d.mp4", "a/z.mov", "no_suffix")
    assert found(tmp_path) == ["a", "b", "a/z", "sub/c"]


def test_a_file_that_is_named_counts_whatever_it_is_called(tmp_path: Path) -> None:
    made(tmp_path, ".hidden", "notes.txt", "x.mp4")
    names = [tmp_path / ".hidden", tmp_path / "notes.txt", tmp_path / "missing.mp4"]
    assert found(*names) == [".hidden", "notes", "missing"]


def test_what_is_named_twice_is_scanned_once(tmp_path: Path) -> None:
    made(tmp_path, "x.mp4")
    assert found(tmp_path / "x.mp4", tmp_path, tmp_path / "." / "x.mp4") == ["x"]


@pytest.mark.parametrize("name", ["...mp4", "..mp4", "....mp4"])
def test_no_name_leads_out_of_the_folder_for_all(name: str, tmp_path: Path) -> None:
    made(tmp_path, name)
    (folder,) = (video.folder for video in find_videos([tmp_path / name], tmp_path / "out").videos)
    assert folder.resolve().parent == tmp_path / "out"


def test_what_cannot_be_asked_for_is_left_to_who_reads_it(tmp_path: Path) -> None:
    made(tmp_path, "x.mp4")
    assert found(tmp_path / ("y" * 300 + ".mp4"), tmp_path / "x.mp4") == ["y" * 300, "x"]


def test_results_of_different_videos_never_share_a_folder(tmp_path: Path) -> None:
    made(tmp_path, "1/x.mp4", "2/x.mp4", "2/x.mkv", "2/X.mkv")
    assert found(tmp_path / "1" / "x.mp4", tmp_path / "2" / "x.mp4", tmp_path / "2" / "x.mkv") == [
        "x.mp4",
        "x.mp4-2",
        "x.mkv",
    ]
    assert len({name.casefold() for name in found(tmp_path / "2")}) == 3


def test_a_folder_of_results_is_never_named_like_a_result(tmp_path: Path) -> None:
    made(tmp_path, "a.mp4", "a/report.html.mp4")
    assert found(tmp_path) == ["a", "a/report.html.mp4"]


def test_own_results_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, "x.mp4", "out/x/annotated.mp4", "out/x/other.mp4", "elsewhere/annotated.mp4")
    made(tmp_path, "earlier/x/annotated.mp4", "earlier/x/events.jsonl", "earlier/x/mine.mp4")
    names = found(tmp_path, out=tmp_path / "out")
    assert names == ["x", "earlier/x/mine", "elsewhere/annotated"]


def test_an_out_that_is_the_folder_itself_hides_nothing(tmp_path: Path) -> None:
    made(tmp_path, "x.mp4", "x/annotated.mp4", "x/events.jsonl")
    assert found(tmp_path, out=tmp_path) == ["x"]


def test_links_that_go_round_are_not_followed(tmp_path: Path) -> None:
    made(tmp_path, "x.mp4")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.mp4").symlink_to(tmp_path / "self.mp4")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "other.mp4").symlink_to(tmp_path / "x.mp4")
    assert found(tmp_path) == ["other", "x"]


def test_pipes_and_folders_that_are_named_like_videos_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, "folder.mp4/x.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert found(tmp_path) == ["folder.mp4/x"]


def test_nothing_found_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    made(tmp_path, "notes.txt")
    with pytest.raises(NoVideoFound, match=r"holds no file that is named like a video.*\.mkv"):
        find_videos([tmp_path], tmp_path / "out")


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "x.mp4", "locked/y.mp4")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    result = find_videos([tmp_path], tmp_path / "out")
    assert [video.path.name for video in result.videos] == ["x.mp4"]
    assert [str(error.filename) for error in result.unlisted] == [str(tmp_path / "locked")]
