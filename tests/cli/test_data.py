"""`streamguard data`: from a folder to faces, its account, going on, and what is told of what cannot be read."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamguard.cli import data
from streamguard.cli.main import main
from streamguard.data.index import Index
from streamguard.data.prepare import prepare_one
from streamguard.data.tracks import Settings
from tests.data.made import pair_video, portrait_still, portrait_video
from tests.faces.people import detector, mesher


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real videos, a still, a fake, and a file that is none."""
    folder = tmp_path_factory.mktemp("footage")
    portrait_video(folder / "real" / "anna_1.mp4", seconds=0.2)
    portrait_video(folder / "real" / "bert_1.mp4", seconds=0.12)
    portrait_still(folder / "real" / "dora.jpg")
    portrait_video(folder / "fake" / "anna_2.mp4", seconds=0.12)
    (folder / "fake" / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def prepared(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    """The folder, and what `prepare` gave and said: code, standard output, standard error."""
    out = tmp_path_factory.mktemp("prepared") / "data"
    # In a process of its own, as people call it: several processes below it.
    done = subprocess.run(
        [sys.executable, "-m", "streamguard", "data", "prepare", footage, "--out", out, "--jobs", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    return out, done.returncode, done.stdout, done.stderr


def rows(text: str) -> dict[tuple[str, str], list[str]]:
    """Label and method to the numbers of the account."""
    lines = [re.split(r"  +", line) for line in text.splitlines()]
    return {(line[0], line[1] if len(line) == 8 else ""): line[-6:] for line in lines if len(line) in (7, 8)}


def test_prepare_tells_what_there_is_and_what_failed(prepared: tuple[Path, int, str, str]) -> None:
    _, code, said, told = prepared
    assert code == 3, "a file could not be read"
    found = rows(said)
    assert list(found) == [("label", "method"), ("real", "stills"), ("real", ""), ("fake", "unnamed"), ("all", "")]
    assert found["label", "method"] == ["clips", "groups", "tracks", "minutes", "failed", "no face"]
    assert found["real", "stills"] == ["1", "1", "1", "0.0", "0", "0"]
    assert found["real", ""] == ["2", "2", "2", "0.0", "0", "0"]
    assert found["fake", "unnamed"] == ["2", "2", "1", "0.0", "1", "0"]
    assert found["all", ""] == ["5", "4", "4", "0.0", "1", "0"]
    assert re.search(r"^failed: .*broken\.mp4 ", said, re.M)
    assert re.search(r"streamguard: error: .*broken\.mp4 ", told)
    assert "folders, 5 clips of 4 groups" in told
    assert "warning: the groups of 5 of 5 files are guessed" in told


def test_again_only_what_failed_is_tried(
    prepared: tuple[Path, int, str, str], footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prepared[0]
    before = {path: path.stat().st_mtime_ns for path in out.glob("tracks/*/done.json")}
    assert main(["data", "prepare", str(footage), "--out", str(out), "--jobs", "1"]) == 3
    said = capsys.readouterr()
    assert "4 were done before" in said.err
    assert rows(said.out) == rows(prepared[2])
    again = {path for path, changed in before.items() if path.stat().st_mtime_ns != changed}
    assert {path.parent.name for path in again} == {"fake--broken"}


def test_show_tells_the_same(prepared: tuple[Path, int, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(prepared[0])]) == 0
    assert rows(capsys.readouterr().out) == rows(prepared[2])


def test_pictures_show_each_face_once(
    prepared: tuple[Path, int, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "faces.html"
    assert main(["data", "show", str(prepared[0]), "--pictures", str(page)]) == 0
    assert "4 faces: " in capsys.readouterr().out
    html = page.read_text()
    assert len(re.findall(r'<img src="data:image/jpeg;base64,[A-Za-z0-9+/=]{500,}"', html)) == 4
    assert len(re.findall('<figure class="real">', html)) == 3
    for key in ("real--anna_1", "real--dora", "fake--anna_2"):
        assert key in html
    assert "http" not in html, "it asks nobody"


def test_names_from_outside_do_no_harm_on_the_page(tmp_path: Path) -> None:
    portrait_still(tmp_path / "real" / "<script>x.jpg")
    portrait_video(tmp_path / "fake" / "y.mp4", seconds=0.04)
    index = data_index(tmp_path, tmp_path / "data")
    for one in index.footage:
        prepare_one(index, one, Settings(), detector(), mesher())
    page = tmp_path / "faces.html"
    assert main(["data", "show", str(index.folder), "--pictures", str(page)]) == 0
    assert "<script>" not in page.read_text()


def data_index(source: Path, folder: Path) -> Index:
    from streamguard.data.adapters import read_dataset

    index = read_dataset(source).index(folder)
    index.save()
    return index


def test_a_page_that_cannot_be_written_is_told(
    prepared: tuple[Path, int, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "show", str(prepared[0]), "--pictures", str(tmp_path / "no" / "faces.html")]) == 1
    assert "faces.html: No such file" in capsys.readouterr().err


def test_show_of_what_is_half_done(footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = data_index(footage, tmp_path / "data")
    (tmp_path / "data" / "tracks" / "nobody").mkdir(parents=True)
    assert main(["data", "show", str(index.folder)]) == 0
    said = capsys.readouterr().out
    assert "5 are not prepared yet" in said
    assert "1 folders in" in said


def test_an_untouched_face_and_a_torn_group_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair_video(tmp_path / "p.mp4", seconds=0.12)
    (tmp_path / "manifest.tsv").write_text("file\tlabel\tgroup\tsplit\np.mp4\tpair\tg\ttrain\nq.mp4\treal\tg\ttest\n")
    # The other half and the torn group's other member are not needed for what is told.
    assert main(["data", "prepare", str(tmp_path), "--out", str(tmp_path / "data"), "--jobs", "1"]) == 3
    said = capsys.readouterr()
    assert "1 of 1 groups are in more than one official split (such as g)" in said.err
    assert "1 faces were left as they are in a fake of somebody else" in said.out
    assert rows(said.out)["fake", "unnamed"][2] == "1"
    assert "official split test: 1 clips of 1 groups" in said.out


def test_one_person_in_two_groups_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["a.mp4\treal\tg\tanna", "b.mp4\treal\th\tanna", "c.mp4\treal\th\tcid"]
    (tmp_path / "manifest.tsv").write_text("\n".join(["file\tlabel\tgroup\tidentity", *rows]))
    monkeypatch.setattr(data, "_work", lambda index, *_: 0)
    assert main(["data", "prepare", str(tmp_path), "--out", str(tmp_path / "data")]) == 0
    assert "warning: 1 identities are in more than one group (such as anna)" in capsys.readouterr().err


def test_another_dataset_does_not_take_the_folder_of_the_first(
    prepared: tuple[Path, int, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait_video(tmp_path / "real" / "x.mp4", seconds=0.04)
    portrait_video(tmp_path / "fake" / "y.mp4", seconds=0.04)
    before = (prepared[0] / "index.json").read_bytes()
    assert main(["data", "prepare", str(tmp_path), "--out", str(prepared[0])]) == 3
    assert "holds the index of other footage" in capsys.readouterr().err
    assert (prepared[0] / "index.json").read_bytes() == before


def test_media_that_were_moved_are_the_same_footage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait_still(tmp_path / "here" / "real" / "x.jpg")
    portrait_still(tmp_path / "here" / "fake" / "y.jpg")
    index = data_index(tmp_path / "here", tmp_path / "data")
    prepare_one(index, index.footage[0], Settings(), detector(), mesher())
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.setattr(data, "_work", lambda index, *_: 0)
    assert main(["data", "prepare", str(tmp_path / "there"), "--out", str(tmp_path / "data")]) == 0
    assert "1 were done before" in capsys.readouterr().err
    assert Index.open(tmp_path / "data").root == tmp_path / "there"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--seconds", "0"], 2, "--seconds: must be more than 0"),
        (["--grid", "nan"], 2, "--grid: must be at least 0.005 seconds"),
        (["--jobs", "0"], 2, "--jobs: must be at least 1"),
        (["--limit", "0"], 2, "--limit: must be at least 1"),
        (["--kind", "celebdf2"], 3, "holds no footage of the layout celebdf2"),
        (["--compression", "c40"], 3, "--compression is for FaceForensics++"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str], code: int, said: str, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "prepare", str(footage), "--out", str(tmp_path / "data"), *arguments]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "data").exists(), "nothing is begun"


def test_help_teaches_the_layouts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "prepare", "--help"]) == 0
    said = capsys.readouterr().out
    for word in ("manifest.tsv", "original_sequences", "Celeb-real", "metadata.json", "end_to_end", "real and fake"):
        assert word in said


def test_a_limit_is_an_index_of_its_own(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data, "_work", lambda index, *_: 0)
    assert main(["data", "prepare", str(footage), "--out", str(tmp_path), "--limit", "2"]) == 0
    assert len(Index.open(tmp_path).footage) == 2
    assert "2 are not prepared yet" in capsys.readouterr().out


@pytest.mark.full
def test_ctrl_c_finishes_what_has_begun_and_a_second_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "broken.mp4").write_bytes(b"the first, and told at once")
    for i in range(6):
        portrait_video(tmp_path / "real" / f"a_{i}.mp4", seconds=0.4)
    command = [sys.executable, "-m", "streamguard", "data", "prepare", str(tmp_path), "--out", str(tmp_path / "data")]
    running = subprocess.Popen([*command, "--jobs", "1"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert any("broken.mp4" in line for line in running.stderr), "it has begun"
    running.send_signal(signal.SIGINT)
    _, told = running.communicate()
    assert running.returncode == 130
    assert "run the same command again to go on" in told
    records = tmp_path / "data" / "tracks"
    done = {path: path.stat().st_mtime_ns for path in records.glob("real*/done.json")}
    assert len(done) < 6
    assert subprocess.run([*command, "--jobs", "1"], check=False, capture_output=True).returncode == 3
    assert len(list(records.glob("real*/done.json"))) == 6
    assert {path: path.stat().st_mtime_ns for path in done} == done
