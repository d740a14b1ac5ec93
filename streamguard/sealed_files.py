"""The files of a bundle, each with its size and sha256, in a folder or in a zip. Called by bundle.py.

Nothing that the files say of themselves is believed: names are plain, reading stops at the limit, and only what has the
size and the hash that bundle.json states comes through. What does not is refused by its name.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from .errors import BundleError, ConfigError, SinkError, SinkFullError, StreamGuardError
from .strict import Refuse, read_json, shown
from .zip_errors import BAD_ZIP

MANIFEST = "bundle.json"
MOST_MANIFEST_BYTES = 1 << 20
MOST_FILES = 64
"""Besides bundle.json."""
MOST_FILE_BYTES = 2 << 30
MOST_BYTES = 4 << 30
"""All files together."""

_CHUNK_BYTES = 1 << 20
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    sha256: str
    size_bytes: int


Files = Mapping[str, FileSpec]


def check_specs(files: Files, refuse: Refuse) -> None:
    """What the manifest says of its files is possible."""
    if len(files) > MOST_FILES:
        raise refuse("files", f"has {len(files)} files; at most {MOST_FILES} may be in a bundle")
    seen = {MANIFEST}
    for name, spec in files.items():
        where = f"files.{shown(name)}"
        if _PLAIN.fullmatch(name) is None:
            raise refuse(where, "is no plain file name: letters, digits, '.', '_' and '-' only, and no folder")
        if name.lower() in seen:
            raise refuse(where, "has the same name as another file (upper and lower case are the same)")
        seen.add(name.lower())
        if re.fullmatch("[0-9a-f]{64}", spec.sha256) is None:
            raise refuse(f"{where}.sha256", "must be 64 lower-case hexadecimal digits")
        if not 0 <= spec.size_bytes <= MOST_FILE_BYTES:
            raise refuse(f"{where}.size_bytes", f"must be 0 to {MOST_FILE_BYTES}")
    total = sum(spec.size_bytes for spec in files.values())
    if total > MOST_BYTES:
        raise refuse("files", f"are {total} bytes together; at most {MOST_BYTES} may be in a bundle")


# Folders.


def read_manifest(folder: Path, refuse: Refuse) -> bytes:
    """bundle.json's bytes."""
    if MANIFEST not in _names_in(folder, refuse):
        raise refuse(MANIFEST, "is not in this folder: it is no bundle")
    with _reading(folder / MANIFEST, refuse) as file:
        return _at_most(file, MOST_MANIFEST_BYTES, MANIFEST, refuse)


def check_folder(folder: Path, files: Files, refuse: Refuse) -> None:
    """In the folder are bundle.json and exactly these files, byte for byte."""
    found = _names_in(folder, refuse)
    _check_same_names(found, files, refuse)
    for name, spec in files.items():
        size = found[name]
        if size != spec.size_bytes:
            raise refuse(name, f"has {size} bytes, not {spec.size_bytes} as bundle.json says")
    for name, spec in files.items():
        with _reading(folder / name, refuse) as file:
            _check_content(file, spec, name, refuse, lambda chunk: None)


def describe_folder(folder: Path, refuse: Refuse) -> dict[str, FileSpec]:
    """Size and hash of every file but bundle.json, for who makes a bundle."""
    specs = {}
    for name, size in sorted(_names_in(folder, refuse).items()):
        if name != MANIFEST:
            with _reading(folder / name, refuse) as file:
                specs[name] = FileSpec(sha256=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=size)
    return specs


def _names_in(folder: Path, refuse: Refuse) -> dict[str, int]:
    """Every name in the folder with its size. Folders, links and devices are refused."""
    found: dict[str, int] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(found) > MOST_FILES:
                    raise refuse("", f"has more than {MOST_FILES} files")
                if not entry.is_file(follow_symlinks=False):
                    kind = "a link" if entry.is_symlink() else "no file"
                    raise refuse(shown(entry.name), f"is {kind}: only plain files may be in a bundle")
                found[entry.name] = entry.stat(follow_symlinks=False).st_size
    except OSError as exc:
        raise refuse("", f"cannot be read ({exc.strerror})") from exc
    return found


def _check_same_names(found: Mapping[str, object], files: Files, refuse: Refuse) -> None:
    for name in sorted(files):
        if name not in found:
            raise refuse(name, "is missing")
    for name in sorted(found):
        if name not in files and name != MANIFEST:
            raise refuse(shown(name), "is not named in bundle.json")


@contextmanager
def _reading(path: Path, refuse: Refuse) -> Iterator[io.BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as exc:
        raise refuse(path.name, f"cannot be read ({exc.strerror})") from exc


def _at_most(file: IO[bytes], most: int, name: str, refuse: Refuse) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise refuse(name, f"has more than {most} bytes")
    return data


def _check_content(file: IO[bytes], spec: FileSpec, name: str, refuse: Refuse, keep: Callable[[bytes], object]) -> None:
    """Read it in pieces, hand each to `keep`, and never read more than one byte too many."""
    digest = hashlib.sha256()
    size = 0
    while chunk := file.read(min(_CHUNK_BYTES, spec.size_bytes + 1 - size)):
        size += len(chunk)
        digest.update(chunk)
        keep(chunk)
    if size > spec.size_bytes:
        raise refuse(name, f"has more than the {spec.size_bytes} bytes that bundle.json says")
    if size < spec.size_bytes:
        raise refuse(name, f"has {size} bytes, not {spec.size_bytes} as bundle.json says")
    if digest.hexdigest() != spec.sha256:
        raise refuse(name, "its sha256 is not the one in bundle.json")


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """For makers of bundles: an empty folder to fill, which then takes the place of `out`; nothing of it stays if the
    filling fails. An older bundle is replaced; anything else at `out` is refused, before the work begins.
    """
    out = Path(os.path.abspath(out))
    check_replaceable(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=".bundle-"))
        try:
            (temporary / "new").mkdir()
            yield temporary / "new"
            _move_in(temporary / "new", out, temporary / "old", lambda: False)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as exc:
        raise _cannot_write(out, exc) from exc


def check_replaceable(out: Path) -> None:
    """For makers, before they begin: what is at `out`, if anything, is a bundle, and is in none. Else ConfigError."""
    for folder in Path(os.path.abspath(out)).parents:
        if (folder / MANIFEST).exists():
            raise ConfigError("OUT", f"{out} would be inside the bundle {folder}: only what it names may be there")
    if os.path.lexists(out) and not _is_bundle_folder(out):
        raise ConfigError("OUT", f"{out} is there and is no bundle: it is not overwritten. Name another folder")


def _is_bundle_folder(path: Path) -> bool:
    """A folder with nothing in it but a bundle, sound or not, of this version or another; or with nothing at all."""
    if path.is_symlink() or not path.is_dir():
        return False
    refuse = partial(BundleError, str(path))
    try:
        names = _names_in(path, refuse)
        manifest = read_json(read_manifest(path, refuse), MANIFEST, refuse) if names else {"files": {}}
    except BundleError:
        return False
    files = manifest.get("files") if isinstance(manifest, dict) else None
    return isinstance(files, dict) and names.keys() <= {MANIFEST, *files}


def _cannot_write(out: Path, exc: OSError) -> SinkError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return SinkFullError(str(out), "no space is left there")
    return SinkError(str(out), exc.strerror or str(exc))


# Zips.


@contextmanager
def opened_zip(path: Path, refuse: Refuse) -> Iterator[zipfile.ZipFile]:
    """A zip whose table of contents is sound; whatever is wrong with it later is refused as well."""
    try:
        with _CautiousFile(path) as file, zipfile.ZipFile(file) as archive:
            _check_table(archive, refuse)
            yield archive
    except BAD_ZIP as exc:
        raise refuse("", f"is no sound zip file ({' '.join(str(exc).split()) or type(exc).__name__})") from exc
    except OSError as exc:
        raise refuse("", f"cannot be read ({exc.strerror})") from exc


class _CautiousFile(io.FileIO):
    """Never reads much at once: zipfile would take a table of contents of any size into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > 2 * _CHUNK_BYTES:
            raise zipfile.BadZipFile("its table of contents is too large")
        return super().read(size) or b""


def _check_table(archive: zipfile.ZipFile, refuse: Refuse) -> None:
    infos = archive.infolist()
    if len(infos) > MOST_FILES + 1:
        raise refuse("", f"has more than {MOST_FILES} files")
    seen: set[str] = set()
    for info in infos:
        name = shown(info.orig_filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise refuse(name, "is a link or no file: only plain files may be in a bundle")
        if _PLAIN.fullmatch(info.orig_filename) is None:
            raise refuse(name, "is no plain file name: letters, digits, '.', '_' and '-' only, and no folder")
        if info.filename in seen:
            raise refuse(name, "is there twice")
        seen.add(info.filename)
        if info.flag_bits & 1:
            raise refuse(name, "is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refuse(name, "is compressed in a way other than deflate")


def read_zip_manifest(archive: zipfile.ZipFile, refuse: Refuse) -> bytes:
    """bundle.json's bytes."""
    if MANIFEST not in archive.namelist():
        raise refuse(MANIFEST, "is not in this zip: it is no bundle")
    with archive.open(MANIFEST) as file:
        return _at_most(file, MOST_MANIFEST_BYTES, MANIFEST, refuse)


def check_zip_names(archive: zipfile.ZipFile, files: Files, refuse: Refuse) -> None:
    """In the zip are bundle.json and exactly these files."""
    _check_same_names(dict.fromkeys(archive.namelist()), files, refuse)


def check_zip(archive: zipfile.ZipFile, files: Files, refuse: Refuse) -> None:
    """Each file in the zip is what bundle.json says, byte for byte."""
    for name, spec in files.items():
        with archive.open(name) as member:
            _check_content(member, spec, name, refuse, lambda chunk: None)


def unpack(archive: zipfile.ZipFile, manifest: bytes, files: Files, target: Path, refuse: Refuse) -> None:
    """Write bundle.json and the files into `target`, all or nothing. What lay there before is replaced if it is not
    the same: another process may have been first, and use it already.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpack-"))
    except OSError as exc:
        raise _cannot_unpack(target, exc, refuse) from exc
    fresh = temporary / "new"
    try:
        fresh.mkdir()
        for name, spec in files.items():
            with archive.open(name) as member, (fresh / name).open("xb") as kept:
                _check_content(member, spec, name, refuse, kept.write)
        (fresh / MANIFEST).write_bytes(manifest)
        _move_in(fresh, target, temporary / "old", lambda: is_unpacked(target, manifest, files))
    except OSError as exc:
        raise _cannot_unpack(target, exc, refuse) from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_unpacked(folder: Path, manifest: bytes, files: Files) -> bool:
    """True if exactly this was unpacked here before, and nobody changed it since."""
    refuse = partial(BundleError, str(folder))
    try:
        if read_manifest(folder, refuse) != manifest:
            return False
        check_folder(folder, files, refuse)
    except BundleError:
        return False
    return True


def _move_in(fresh: Path, target: Path, aside: Path, is_there: Callable[[], bool]) -> None:
    try:
        os.rename(fresh, target)
    except OSError:  # something is in the way
        if not is_there():
            _replace(target, fresh, aside)


def _replace(target: Path, fresh: Path, aside: Path) -> None:
    os.rename(target, aside)
    try:
        os.rename(fresh, target)
    except BaseException:
        os.rename(aside, target)
        raise


def _cannot_unpack(target: Path, exc: OSError, refuse: Refuse) -> StreamGuardError:
    problem = f"cannot be unpacked to {target.parent} ({exc.strerror}). Set STREAMGUARD_HOME to a writable folder"
    return refuse("", problem)


def pack(folder: Path, files: Files, out: Path) -> None:
    """The same folder always gives the same zip, byte for byte. It is whole, or not there."""
    if os.path.lexists(out) and not _is_bundle(out):
        raise ConfigError("OUT.zip", f"{out} is there and is no bundle: it is not overwritten. Name another file")
    part = out.with_name(f"{out.name}.part")
    try:
        part.unlink(missing_ok=True)  # of an attempt that was cut off; of a link only the link goes
        try:
            _write_zip(part, folder, sorted([MANIFEST, *files]))
            os.replace(part, out)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise _cannot_write(out, exc) from exc


def _is_bundle(path: Path) -> bool:
    """A plain file that looks like what `pack` writes."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except (OSError, *BAD_ZIP):
        return False


def _write_zip(path: Path, folder: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "x") as archive:
        for name in names:
            # Stored: weights hardly shrink, and what zlib makes differs between its versions.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = (folder / name).stat().st_size  # more than 2 GiB need another form from the start
            with (folder / name).open("rb") as file, archive.open(info, "w") as member:
                shutil.copyfileobj(file, member, _CHUNK_BYTES)
