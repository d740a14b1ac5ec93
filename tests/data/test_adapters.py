"""Adapters on tiny trees of real videos: what is real, who is tied to whom, and what was made of what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from streamguard.data.adapters import KINDS, read_dataset, regrouped
from streamguard.data.datasets import Dataset, tied
from streamguard.data.index import Footage
from streamguard.errors import DataError
from streamguard.values import Frame
from tests.data.made import pair_video, portrait_still, portrait_video


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return portrait_video(tmp_path_factory.mktemp("video") / "a.mp4", seconds=0.08)


def tree(root: Path, video: Path, files: Iterable[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, root / file)
    return root


def by_file(found: Dataset) -> dict[str, Footage]:
    return {one.file: one for one in found.footage}


def check_readable(found: Dataset, folder: Path) -> None:
    """Each is where the index says, and shows something."""
    index = found.index(folder)
    for one in index.footage:
        with index.source(one) as source:
            assert any(isinstance(item, Frame) for item in source)
        assert not one.twin or one.twin in {other.key for other in index.footage if other.label == "real"}


# FaceForensics++.

FFPP = (
    "original_sequences/youtube/c23/videos/000.mp4",
    "original_sequences/youtube/c23/videos/003.mp4",
    "original_sequences/youtube/c23/videos/010.mp4",
    "original_sequences/youtube/c23/videos/011.mp4",
    "original_sequences/youtube/c40/videos/000.mp4",
    "original_sequences/actors/c23/videos/01__walking_outside.mp4",
    "original_sequences/actors/c23/videos/02__walking_outside.mp4",
    "original_sequences/actors/c23/videos/09__kitchen_pan.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/003_000.mp4",
    "manipulated_sequences/Face2Face/c23/videos/000_003.mp4",
    "manipulated_sequences/FaceSwap/c23/videos/010_999.mp4",
    "manipulated_sequences/FaceShifter/c23/videos/000_003.mp4",
    "manipulated_sequences/NeuralTextures/c23/videos/010_011.mp4",
    "manipulated_sequences/Deepfakes/c40/videos/000_003.mp4",
    "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking_outside__ABCDEFGH.mp4",
)


def test_ffpp_ties_targets_and_sources(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path / "ffpp", video, FFPP)
    found = read_dataset(root)
    assert found.kind == "ffpp"
    some = by_file(found)
    assert len(some) == 14, "c23 alone"
    assert all("/c23/" in file for file in some)
    fake = some["manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"]
    real = some["original_sequences/youtube/c23/videos/000.mp4"]
    assert (fake.label, fake.method, fake.twin) == ("fake", "Deepfakes", real.key)
    assert (real.label, real.method, real.twin) == ("real", "", "")
    groups = {file.rpartition("videos/")[2]: one.group for file, one in some.items()}
    assert len({groups[name] for name in ("000.mp4", "003.mp4", "000_003.mp4", "003_000.mp4")}) == 1
    assert len({groups[name] for name in ("010.mp4", "011.mp4", "010_011.mp4", "010_999.mp4")}) == 1
    assert groups["000.mp4"] != groups["010.mp4"]
    # Swaps show the source's face, reenactment the target's own.
    assert fake.identity == "ffpp-003"
    assert some["manipulated_sequences/Face2Face/c23/videos/000_003.mp4"].identity == "ffpp-000"
    assert any("no official splits" in warning for warning in found.warnings)
    check_readable(found, tmp_path / "data")


def test_ffpp_actors_are_a_world_of_their_own(video: Path, tmp_path: Path) -> None:
    some = by_file(read_dataset(tree(tmp_path, video, FFPP)))
    fake = some["manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking_outside__ABCDEFGH.mp4"]
    twin = some["original_sequences/actors/c23/videos/01__walking_outside.mp4"]
    assert (fake.twin, fake.group, fake.method) == (twin.key, twin.group, "DeepFakeDetection")
    assert some["original_sequences/actors/c23/videos/02__walking_outside.mp4"].group == twin.group
    alone = some["original_sequences/actors/c23/videos/09__kitchen_pan.mp4"].group
    assert alone not in (twin.group, some["original_sequences/youtube/c23/videos/000.mp4"].group)


def test_ffpp_in_another_compression(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path, video, FFPP)
    assert {one.file for one in read_dataset(root, compression="c40").footage} == {
        "original_sequences/youtube/c40/videos/000.mp4",
        "manipulated_sequences/Deepfakes/c40/videos/000_003.mp4",
    }
    with pytest.raises(DataError, match="holds no video of compression raw"):
        read_dataset(root, compression="raw")


@pytest.mark.parametrize("place", ["splits", "dataset/splits", "."])
def test_ffpp_official_splits_and_their_pairs(place: str, video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path, video, [file for file in FFPP if "FaceSwap" not in file and "DeepFakeDetection" not in file])
    (root / place).mkdir(parents=True, exist_ok=True)
    for split, pairs in {"train": [["000", "003"]], "val": [["500", "501"]], "test": [["011", "010"]]}.items():
        (root / place / f"{split}.json").write_text(json.dumps(pairs))
    found = read_dataset(root)
    some = by_file(found)
    assert some["manipulated_sequences/Deepfakes/c23/videos/003_000.mp4"].split == "train"
    assert some["original_sequences/youtube/c23/videos/010.mp4"].split == "test"
    assert some["manipulated_sequences/NeuralTextures/c23/videos/010_011.mp4"].split == "test"
    assert found.index(tmp_path / "data").torn_groups() == (), "no group is in two splits"
    assert found.warnings == ()


def test_ffpp_pairs_of_a_split_are_tied_without_their_fakes(video: Path, tmp_path: Path) -> None:
    """Whoever has only the originals yet must not get other groups than with the fakes."""
    root = tree(tmp_path, video, [file for file in FFPP if "youtube/c23" in file])
    (root / "splits").mkdir()
    for split, pairs in {"train": [["000", "003"]], "val": [], "test": [["011", "010"]]}.items():
        (root / "splits" / f"{split}.json").write_text(json.dumps(pairs))
    assert len({one.group for one in read_dataset(root).footage}) == 2


# Celeb-DF v2.

CELEB = (
    "Celeb-real/id0_0000.mp4",
    "Celeb-real/id0_0001.mp4",
    "Celeb-real/id1_0000.mp4",
    "Celeb-real/id7_0000.mp4",
    "YouTube-real/00001.mp4",
    "YouTube-real/00002.mp4",
    "Celeb-synthesis/id0_id1_0000.mp4",
    "Celeb-synthesis/id1_id2_0005.mp4",
)


def test_celebdf_believes_the_folder_and_ties_ids(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path / "celeb", video, CELEB)
    # The digits say the opposite of the folders: they are not looked at.
    (root / "List_of_testing_videos.txt").write_text(
        "0 Celeb-real/id7_0000.mp4\n0 YouTube-real/00001.mp4\n1 Celeb-synthesis/id0_id1_0000.mp4\n"
    )
    found = read_dataset(root)
    assert found.kind == "celebdf2"
    some = by_file(found)
    assert {file for file, one in some.items() if one.label == "fake"} == {
        file for file in CELEB if "synthesis" in file
    }
    assert {file for file, one in some.items() if one.split == "test"} == {
        "Celeb-real/id7_0000.mp4", "YouTube-real/00001.mp4", "Celeb-synthesis/id0_id1_0000.mp4",
    }  # fmt: skip
    assert {one.split for one in found.footage} == {"train", "test"}
    fake = some["Celeb-synthesis/id0_id1_0000.mp4"]
    assert (fake.twin, fake.identity) == (some["Celeb-real/id0_0000.mp4"].key, "celebdf-id1")
    assert some["Celeb-synthesis/id1_id2_0005.mp4"].twin == "", "its original is not here"
    tied_groups = {some[file].group for file in CELEB if "id0" in file or "id1" in file}
    assert len(tied_groups) == 1
    assert len({one.group for one in found.footage}) == 4, "id0 with id1 and id2, id7, and two of YouTube"
    assert found.index(tmp_path / "data").torn_groups() == (fake.group,)
    check_readable(found, tmp_path / "data")


def test_celebdf_as_others_lay_it_out(video: Path, tmp_path: Path) -> None:
    """Other cases, and a level more."""
    root = tree(tmp_path, video, ["Celeb-real/videos/id0_0000.mp4", "Youtube-real/videos/00001.mp4"])
    (root / "List_of_testing_videos.txt").write_text("1 YouTube-real/00001.mp4\n1 YouTube-real/00170.mp4\n")
    found = read_dataset(root)
    assert by_file(found)["Youtube-real/videos/00001.mp4"].split == "test"
    assert any("1 of 2 test videos are not here" in warning for warning in found.warnings)


# DFDC.


def dfdc(root: Path, video: Path) -> Path:
    parts: dict[str, dict[str, dict[str, object]]] = {
        "dfdc_train_part_0": {
            "real.mp4": {"label": "REAL", "split": "train"},
            "one.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
            "two.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
            "gone.mp4": {"label": "FAKE", "split": "train", "original": "other.mp4"},
        },
        "validation": {"x.mp4": {"is_fake": 1}, "y.mp4": {"is_fake": 0, "split": "validate"}},
    }
    for part, entries in parts.items():
        tree(root, video, [f"{part}/{name}" for name in entries if name != "gone.mp4"])
        (root / part / "metadata.json").write_text(json.dumps(entries))
    return root


def test_dfdc_originals_tie_their_fakes(video: Path, tmp_path: Path) -> None:
    found = read_dataset(dfdc(tmp_path / "dfdc", video))
    assert found.kind == "dfdc"
    some = by_file(found)
    real = some["dfdc_train_part_0/real.mp4"]
    for name in ("one", "two"):
        fake = some[f"dfdc_train_part_0/{name}.mp4"]
        assert (fake.label, fake.twin, fake.group, fake.split) == ("fake", real.key, real.group, "train")
    assert (some["validation/x.mp4"].label, some["validation/x.mp4"].twin) == ("fake", "")
    assert (some["validation/y.mp4"].label, some["validation/y.mp4"].split) == ("real", "val")
    assert any("1 videos that metadata.json names are not here" in warning for warning in found.warnings)
    assert any("does not tell who its actors are" in warning for warning in found.warnings)
    check_readable(found, tmp_path / "data")


def test_dfdc_one_part_alone(video: Path, tmp_path: Path) -> None:
    root = dfdc(tmp_path, video) / "dfdc_train_part_0"
    assert {one.file for one in read_dataset(root).footage} == {"real.mp4", "one.mp4", "two.mp4"}


@pytest.mark.parametrize("entry", ["FAKE", {}, {"label": "MAYBE"}, {"label": "FAKE", "original": "../real.mp4"}])
def test_dfdc_entries_that_say_nothing_are_refused(entry: object, video: Path, tmp_path: Path) -> None:
    tree(tmp_path, video, ["a.mp4"])
    (tmp_path / "metadata.json").write_text(json.dumps({"a.mp4": entry}))
    with pytest.raises(DataError, match=r"metadata.json, a.mp4"):
        read_dataset(tmp_path)


# DeeperForensics.

DEEPER = (
    "manipulated_videos/end_to_end/000_M001.mp4",
    "manipulated_videos/end_to_end/003_M001.mp4",
    "manipulated_videos/end_to_end/010_W101.mp4",
    "manipulated_videos/end_to_end_level_5/000_M001.mp4",
)


def test_deeperforensics_with_the_originals_of_ffpp(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path / "deeper", video, DEEPER)
    (root / "lists" / "splits").mkdir(parents=True)
    for split, names in {"train": "000_M001.mp4\n003_M001.mp4\n", "val": "", "test": "010_W101.mp4\n"}.items():
        (root / "lists" / "splits" / f"{split}.txt").write_text(names)
    ffpp = tree(tmp_path / "ffpp", video, FFPP)
    found = read_dataset(root, reals=ffpp)
    assert (found.kind, found.root) == ("deeperforensics", tmp_path.resolve())
    some = by_file(found)
    original = some["ffpp/original_sequences/youtube/c23/videos/000.mp4"]
    for folder, method in (("end_to_end", "end_to_end"), ("end_to_end_level_5", "end_to_end_level_5")):
        fake = some[f"deeper/manipulated_videos/{folder}/000_M001.mp4"]
        assert (fake.twin, fake.group, fake.method, fake.split) == (original.key, original.group, method, "train")
    assert original.split == "train"
    tied_by_actor = some["deeper/manipulated_videos/end_to_end/003_M001.mp4"].group
    assert tied_by_actor == original.group
    assert some["deeper/manipulated_videos/end_to_end/010_W101.mp4"].group != original.group
    assert "ffpp/original_sequences/youtube/c23/videos/011.mp4" not in some, "nobody swapped it"
    check_readable(found, tmp_path / "data")


def test_deeperforensics_alone_says_where_reals_come_from(video: Path, tmp_path: Path) -> None:
    found = read_dataset(tree(tmp_path, video, DEEPER))
    assert {one.label for one in found.footage} == {"fake"}
    assert {one.twin for one in found.footage} == {""}
    assert any("--reals" in warning for warning in found.warnings)


# What anybody may have.


def test_folders_guess_groups_and_say_so(video: Path, tmp_path: Path) -> None:
    files = [
        "calls/real/anna_1.mp4",
        "calls/real/anna_2.mp4",
        "calls/real/bert/1.mp4",
        "calls/fake/anna_swapped.mp4",
        "calls/FAKE more/x.mp4",
        "notes/nothing.mp4",
        "calls/fake/bert/2.mp4",
        "calls/real/.hidden/x.mp4",
    ]
    root = tree(tmp_path / "own", video, files)
    portrait_still(root / "calls" / "real" / "dora.jpg")
    found = read_dataset(root)
    some = by_file(found)
    assert found.kind == "folders"
    assert set(some) == {*files[:4], files[6], "calls/real/dora.jpg"}
    assert {file: one.group for file, one in some.items()} == {
        "calls/real/anna_1.mp4": "anna",
        "calls/real/anna_2.mp4": "anna",
        "calls/fake/anna_swapped.mp4": "anna",
        "calls/real/bert/1.mp4": "bert",
        "calls/fake/bert/2.mp4": "bert",
        "calls/real/dora.jpg": "dora",
    }
    assert some["calls/fake/bert/2.mp4"].label == "fake"
    assert some["calls/fake/bert/2.mp4"].method == "unnamed"
    assert some["calls/real/dora.jpg"].still
    (warning,) = found.warnings
    assert "6 of 6 files are guessed" in warning
    assert "groups.tsv" in warning
    check_readable(found, tmp_path / "data")


def test_groups_tsv_overrules_the_guess(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path, video, ["real/a_1.mp4", "real/b_1.mp4", "fake/c.mp4"])
    table = (
        "file\tgroup\tmethod\ttwin\nreal/a_1.mp4\tx\t\t\nreal/b_1.mp4\tx\t\t\nfake/c.mp4\tx\tlive swap\treal/a_1.mp4\n"
    )
    (root / "groups.tsv").write_text(table)
    found = read_dataset(root)
    assert {one.group for one in found.footage} == {"x"}
    fake = by_file(found)["fake/c.mp4"]
    assert (fake.method, fake.twin) == ("live swap", by_file(found)["real/a_1.mp4"].key)
    assert found.warnings == ()


def test_groups_tsv_with_a_name_that_is_not_there_is_refused(video: Path, tmp_path: Path) -> None:
    """The file that was meant would silently get a guessed group."""
    root = tree(tmp_path, video, ["real/a.mp4", "fake/b.mp4"])
    (root / "groups.tsv").write_text("file\tgroup\nreal/A.mp4\tx\n")
    with pytest.raises(DataError, match=r"names 'real/A.mp4', which is not among the 2 files"):
        read_dataset(root)


def test_a_table_of_ones_own_ties_people_whom_the_layout_parts(video: Path, tmp_path: Path) -> None:
    source = tree(tmp_path / "source", video, ["real/ann_1.mp4", "real/bob_1.mp4", "fake/cid_1.mp4"])
    index = read_dataset(source, "folders").index(tmp_path / "out")
    table = tmp_path / "same.tsv"
    table.write_text("file\tgroup\nreal/bob_1.mp4\tann\n")
    assert {one.file: one.group for one in regrouped(index, table).footage} == {
        "real/ann_1.mp4": "ann",
        "real/bob_1.mp4": "ann",
        "fake/cid_1.mp4": "cid",
    }
    table.write_text("file\tgroup\nreal/nobody.mp4\tann\n")
    with pytest.raises(DataError, match=r"nobody\.mp4"):
        regrouped(index, table)


def test_pairs_are_two_footages_each(tmp_path: Path) -> None:
    pair_video(tmp_path / "keanu_0.mp4", seconds=0.08)
    found = read_dataset(tmp_path, "pairs")
    left, right = found.footage
    assert (left.side, left.label, left.method) == ("left", "real", "")
    assert (right.side, right.label, right.method, right.twin) == ("right", "fake", "unnamed", left.key)
    assert left.group == right.group == "keanu"
    check_readable(found, tmp_path / "data")


MANIFEST = """\
file\tlabel\tidentity\tdriver\tgroup\tmethod\tlicence\tlicence_class\tnotes
real/anna.mp4\treal\tanna\t\tg1\t\tCC0\tA\t
fake/anna.mp4\tfake\tanna\t\tg1\ttalking head\tMIT\tB\tcloned
pairs/p.mp4\tpair\tmodel\tdora\tg2\tlive swap\tMIT\tB\t
stills/s.jpg\tstill\tsven\t\tg3\t\tCC BY 4.0\tA\t
"""


def test_a_manifest_says_all(video: Path, tmp_path: Path) -> None:
    tree(tmp_path, video, ["real/anna.mp4", "fake/anna.mp4"])
    (tmp_path / "pairs").mkdir()
    pair_video(tmp_path / "pairs" / "p.mp4", seconds=0.08)
    portrait_still(tmp_path / "stills" / "s.jpg")
    (tmp_path / "manifest.tsv").write_text(MANIFEST)
    found = read_dataset(tmp_path)
    assert found.kind == "manifest", "though there are folders named real and fake"
    assert read_dataset(tmp_path / "manifest.tsv").footage == found.footage
    some = {one.key: one for one in found.footage}
    assert set(some) == {"real--anna", "fake--anna", "pairs--p-left", "pairs--p-right", "stills--s"}
    assert (some["fake--anna"].method, some["fake--anna"].licence_class) == ("talking head", "B")
    assert (some["pairs--p-left"].identity, some["pairs--p-left"].label) == ("dora", "real")
    assert (some["pairs--p-right"].identity, some["pairs--p-right"].twin) == ("model", "pairs--p-left")
    assert some["stills--s"].still
    assert some["stills--s"].label == "real"
    check_readable(found, tmp_path / "data")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("file\tlabel\na.mp4\treal\n", "no column 'group'"),
        ("file\tlabel\tgroup\na.mp4\tgenuine\tg\n", "line 2.*label must be real, fake, pair or still, not 'genuine'"),
        ("file\tlabel\tgroup\na.mp4\treal\t\n", "line 2.*group is empty"),
        ("file\tlabel\tgroup\n", "no footage"),
        ("file\tlabel\tgroup\n../a.mp4\treal\tg\n", "line 2: '../a.mp4' must be a file below the root"),
        ("file\tlabel\tgroup\n.\treal\tg\n", r"line 2: '\.' must be a file below the root"),
        ("file\tlabel\tgroup\n/\treal\tg\n", "line 2: '/' must be a file below the root"),
        ("file\tlabel\tgroup\na\0.mp4\treal\tg\n", r"line 2: 'a\\x00.mp4' cannot be printed"),
        (
            "file\tlabel\tgroup\na.mp4\treal\tg\n./a.mp4\tfake\th\n",
            "line 3: 'a.mp4' is the file of .*manifest.tsv, line 2 too",
        ),
        (
            "file\tlabel\tgroup\ttwin\na.mp4\treal\tg\t\nf.mp4\tfake\tg\taa.mp4\n",
            "line 3: its twin 'aa.mp4' is no real footage here",
        ),
        (
            "file\tlabel\tgroup\ttwin\ne.mp4\tfake\tg\t\nf.mp4\tfake\tg\te.mp4\n",
            "line 3: its twin 'e.mp4' is no real footage here",
        ),
    ],
)
def test_a_manifest_that_does_not_say_enough_is_refused(table: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv").write_text(table)
    with pytest.raises(DataError, match=problem):
        read_dataset(tmp_path).index(tmp_path)


def test_a_twin_is_a_file_whatever_else_bears_its_name(tmp_path: Path) -> None:
    """A thumbnail beside a video has its stem, and so has a second version of it."""
    rows = ["a.mp4\treal\tg\t", "a.png\tstill\tg\t", "f.mp4\tfake\tg\t./a.mp4", "p.mp4\tpair\tg\t", "p.mov\tpair\tg\t"]
    (tmp_path / "manifest.tsv").write_text("\n".join(["file\tlabel\tgroup\ttwin", *rows]))
    index = read_dataset(tmp_path).index(tmp_path / "data")
    file_of = {one.key: one.file for one in index.footage}
    assert {one.file: file_of[one.twin] for one in index.footage if one.label == "fake"} == {
        "f.mp4": "a.mp4",
        "p.mp4": "p.mp4",
        "p.mov": "p.mov",
    }


def test_a_link_to_a_file_is_no_second_file(video: Path, tmp_path: Path) -> None:
    """It would be in two groups, or real and fake."""
    root = tree(tmp_path, video, ["real/a.mp4", "fake/b.mp4"])
    (root / "fake" / "c.mp4").symlink_to(root / "real" / "a.mp4")
    with pytest.raises(DataError, match=r"'real/a\.mp4' and 'fake/c\.mp4' are one file"):
        read_dataset(root, "folders")
    (root / "manifest.tsv").write_text("file\tlabel\tgroup\nreal/a.mp4\treal\tg\nfake/c.mp4\tfake\th\n")
    with pytest.raises(DataError, match=r"line 3: 'fake/c\.mp4' is the file of .*, line 2 too"):
        read_dataset(root)


def test_groups_tsv_names_a_file_once_and_twins_that_are_there(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path, video, ["real/a.mp4", "fake/b.mp4"])
    (root / "groups.tsv").write_text("file\tgroup\nreal/a.mp4\tx\n./real/a.mp4\ty\n")
    with pytest.raises(DataError, match=r"line 3: 'real/a\.mp4' is named above already"):
        read_dataset(root)
    (root / "groups.tsv").write_text("file\tgroup\ttwin\nfake/b.mp4\tx\treal/aa.mp4\n")
    with pytest.raises(DataError, match=r"groups.tsv, fake/b.mp4: its twin 'real/aa.mp4' is no real footage here"):
        read_dataset(root)


def test_files_that_differ_in_their_ending_only_keep_keys_of_their_own(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path, video, ["real/a.mp4", "real/a.mov", "fake/b.mp4"])
    before = by_file(read_dataset(root))
    assert before["real/a.mp4"].key != before["real/a.mov"].key
    tree(root, video, ["real/a.mkv"])
    after = by_file(read_dataset(root))
    assert {file: after[file].key for file in before} == {file: one.key for file, one in before.items()}


def test_an_unknown_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    for kind in KINDS:
        assert kind in str(caught.value)
    for name in ("manifest.tsv", "original_sequences", "Celeb-synthesis", "metadata.json", "end_to_end"):
        assert name in str(caught.value)


def test_an_option_of_another_layout_is_refused(video: Path, tmp_path: Path) -> None:
    root = tree(tmp_path, video, ["real/a.mp4", "fake/b.mp4"])
    with pytest.raises(DataError, match="--compression is for"):
        read_dataset(root, compression="c40")
    with pytest.raises(DataError, match="--reals is for"):
        read_dataset(root, reals=tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")


def test_ties_are_followed_to_their_end() -> None:
    assert tied([("c", "b"), ("e", "d"), ("b", "a"), ("f", "f")]) == {
        "a": "a", "b": "a", "c": "a", "d": "d", "e": "d", "f": "f",
    }  # fmt: skip
