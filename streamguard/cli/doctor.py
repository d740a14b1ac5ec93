"""`streamguard doctor`: what this machine can run, each line ok, missing or broken, with the command that mends it."""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .. import __version__
from ..cores import load_openvino, usable_cores
from .main import COMMANDS, Subparsers

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..engine.backend import Backend

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    name: str
    state: State
    detail: str
    """What is there, or what it would be good for."""
    remedy: str = ""
    """The command that mends it."""
    required: bool = False
    """Without it StreamGuard cannot watch a video at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalPackage:
    module: str
    distribution: str
    extra: str
    good_for: str


OPTIONAL_PACKAGES = (
    OptionalPackage(
        module="onnxruntime", distribution="onnxruntime", extra="onnxruntime", good_for="networks on ONNX Runtime"
    ),
    OptionalPackage(module="tensorrt", distribution="tensorrt", extra="tensorrt", good_for="networks on NVIDIA GPUs"),
    OptionalPackage(module="pycuda", distribution="pycuda", extra="tensorrt", good_for="networks on NVIDIA GPUs"),
    OptionalPackage(
        module="tensorrt_rtx",
        distribution="tensorrt-rtx-cu13-bindings",
        extra="tensorrt-rtx",
        good_for="networks on NVIDIA RTX cards",
    ),
    OptionalPackage(module="aiortc", distribution="aiortc", extra="webrtc", good_for="WebRTC calls"),
    OptionalPackage(module="torch", distribution="torch", extra="train", good_for="training, and exporting networks"),
)

PROTOCOLS = {
    "rtsp": ("rtsp://127.0.0.1:1/", "cameras", True),
    "tls": ("tls://127.0.0.1:1", "encrypted cameras (rtsps)", False),
    "https": ("https://127.0.0.1:1/", "streams on web servers", False),
    "srt": ("srt://127.0.0.1:1", "SRT senders", False),
}
"""Protocol: an address on this machine where nobody listens, what it is good for, and whether it is required."""

DECODERS: dict[str, tuple[tuple[str, ...], bool]] = {
    "h264": (("h264",), True),
    "hevc": (("hevc",), False),
    "vp8": (("vp8", "libvpx"), False),
    "vp9": (("vp9", "libvpx-vp9"), False),
    "av1": (("libdav1d", "libaom-av1"), False),  # FFmpeg's own `av1` only drives hardware
}
"""Codec: the decoders that need no hardware, and whether one is required."""

REINSTALL_AV = "pip install --force-reinstall av"
BUILD_AV = "build PyAV against an FFmpeg that has it: pip install --no-binary av av"


def add_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor",
        help=COMMANDS["doctor"],
        description="Tells what this machine can run. Exit code 0 if StreamGuard can watch a video here, else 1.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def run(args: argparse.Namespace) -> int:
    report = examine()
    works = all(finding.state == "ok" for findings in report.values() for finding in findings if finding.required)
    if args.json:
        content = {title: [asdict(finding) for finding in findings] for title, findings in report.items()}
        print(json.dumps({"version": __version__, "works": works, "findings": content}, indent=2))
    else:
        print("\n".join(_table(report, works)))
    return 0 if works else 1


def examine() -> dict[str, list[Finding]]:
    """Every check, by its heading. A check that fails in an unforeseen way is itself a finding."""
    return {title: list(_guarded(title, check)) for title, check in CHECKS.items()}


def _guarded(title: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as exc:
        yield Finding(name=title, state="broken", detail=f"{type(exc).__name__}: {exc}", required=True)


def _table(report: dict[str, list[Finding]], works: bool) -> Iterator[str]:
    yield f"streamguard {__version__}"
    width = max(len(finding.name) for findings in report.values() for finding in findings)
    for title, findings in report.items():
        yield f"\n{title}"
        for finding in findings:
            optional = " (optional)" if finding.state == "missing" and not finding.required else ""
            yield f"  {finding.state:<8} {finding.name:<{width}}  {finding.detail}{optional}"
            if finding.remedy:
                yield f"  {'':<8} {'':<{width}}  -> {finding.remedy}"
    yield ""
    yield "StreamGuard can watch a video on this machine." if works else "StreamGuard cannot watch a video here yet."


def _machine() -> Iterator[Finding]:
    new_enough = sys.version_info >= (3, 11)
    yield Finding(
        name="python",
        state="ok" if new_enough else "broken",
        detail=f"{platform.python_version()} ({sys.executable})",
        remedy="" if new_enough else "install Python 3.11 or newer",
        required=True,
    )
    yield Finding(name="platform", state="ok", detail=platform.platform())
    yield Finding(name="cores", state="ok", detail=f"{usable_cores()} usable of {os.cpu_count()}")
    memory = memory_bytes()
    yield Finding(name="memory", state="ok", detail=f"{memory / 2**30:.1f} GiB" if memory else "unknown")


def memory_bytes() -> int | None:
    """The machine's memory, or the container's limit if that is less."""
    try:
        amounts = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        return None
    with suppress(OSError, ValueError):  # no container, or the word `max`
        amounts.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(amounts)


def _video() -> Iterator[Finding]:
    try:
        import av
    except ImportError as exc:
        yield Finding(name="av", state="broken", detail=str(exc), remedy=REINSTALL_AV, required=True)
        return
    ffmpeg = getattr(av, "ffmpeg_version_info", "of unknown version")
    yield Finding(name="av", state="ok", detail=f"{av.__version__} with FFmpeg {ffmpeg}", required=True)
    for protocol, (address, good_for, required) in PROTOCOLS.items():
        here = can_speak(address)
        yield Finding(
            name=protocol,
            state="ok" if here else "missing",
            detail=good_for,
            remedy="" if here else BUILD_AV,
            required=required,
        )
    for codec, (decoders, required) in DECODERS.items():
        decoder = next((name for name in decoders if has_decoder(name)), None)
        yield Finding(
            name=codec,
            state="ok" if decoder else "missing",
            detail=f"decoded by {decoder}" if decoder else "cannot be decoded",
            remedy="" if decoder else BUILD_AV,
            required=required,
        )
    yield _test_decode()
    yield _hardware_decoders()


def can_speak(address: str) -> bool:
    """PyAV has no list of protocols, so ask for an address where nobody listens: a known one is refused otherwise."""
    import av

    try:
        av.open(address, timeout=2.0).close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.error.FFmpegError, OSError):
        return True
    return True


def has_decoder(name: str) -> bool:
    import av

    try:
        av.codec.Codec(name, "r")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _test_decode() -> Finding:
    try:
        frames = frames_decoded(sample_clip())
    except Exception as exc:
        return Finding(
            name="test decode",
            state="broken",
            detail=f"{type(exc).__name__}: {exc}",
            remedy=REINSTALL_AV,
            required=True,
        )
    return Finding(name="test decode", state="ok", detail=f"{frames} pictures made, encoded and decoded", required=True)


TEST_FRAMES = 8


def sample_clip() -> bytes:
    """A tiny H.264 video (MPEG-4 where FFmpeg cannot encode H.264) in an mp4 file."""
    import av
    import numpy as np

    file = io.BytesIO()
    encoder = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for i in range(TEST_FRAMES):
            grey = np.full((96, 128, 3), 20 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def frames_decoded(clip: bytes) -> int:
    import av

    with av.open(io.BytesIO(clip)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    if frames != TEST_FRAMES:
        raise ValueError(f"{frames} of {TEST_FRAMES} pictures came back")
    return frames


def _hardware_decoders() -> Finding:
    """Those that this FFmpeg was built with and that open on this machine. None is needed."""
    import av
    from av.codec.hwaccel import HWAccel, hwdevices_available

    built, clip = hwdevices_available(), sample_clip()
    working = []
    for device in built:
        try:
            hardware = HWAccel(device_type=device, allow_software_fallback=False)
            with av.open(io.BytesIO(clip), hwaccel=hardware) as container:
                next(container.decode(video=0))
        except Exception:  # whatever a driver says, this one does not work here
            continue
        working.append(device)
    return Finding(
        name="hardware decoders",
        state="ok" if working else "missing",
        detail=f"{', '.join(working) or 'none'} working; built with {', '.join(built) or 'none'}",
    )


def _engines() -> Iterator[Finding]:
    yield from _openvino()
    for package in OPTIONAL_PACKAGES:
        version = _version(package)
        yield Finding(
            name=package.module,
            state="ok" if version else "missing",
            detail=version or package.good_for,
            remedy="" if version else f"pip install 'streamguard[{package.extra}]'",
        )
    yield _nvidia_driver()


def _openvino() -> Iterator[Finding]:
    try:
        openvino = load_openvino()
        core = openvino.Core()
        devices = list(core.available_devices)
    except Exception as exc:
        remedy = "pip install --force-reinstall openvino"
        yield Finding(name="openvino", state="broken", detail=str(exc), remedy=remedy, required=True)
        return
    version = openvino.__version__.partition("-")[0]
    yield Finding(name="openvino", state="ok", detail=f"{version}, devices: {', '.join(devices)}", required=True)
    for device in devices:
        abilities = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
        precisions = [name for name in ("FP32", "FP16", "BF16", "INT8") if name in abilities]
        name = core.get_property(device, "FULL_DEVICE_NAME")
        yield Finding(name=f"openvino {device}", state="ok", detail=f"{name}: {', '.join(precisions)}")


def _version(package: OptionalPackage) -> str | None:
    """Found without importing: torch alone takes seconds."""
    if find_spec(package.module) is None:
        return None
    try:
        return metadata.version(package.distribution)
    except metadata.PackageNotFoundError:
        return "installed, version unknown"


def _nvidia_driver() -> Finding:
    question = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=20, check=True).stdout
    except FileNotFoundError:
        return Finding(name="nvidia driver", state="missing", detail="networks on NVIDIA GPUs")
    except (OSError, subprocess.SubprocessError) as exc:
        return Finding(name="nvidia driver", state="broken", detail=str(exc), remedy="nvidia-smi")
    return Finding(name="nvidia driver", state="ok", detail="; ".join(answer.strip().splitlines()))


def _models() -> Iterator[Finding]:
    from .. import assets

    for status in assets.status():
        if not status.asset.runtime:
            continue
        state: State = {"present": "ok", "missing": "missing", "damaged": "broken"}[status.state]  # type: ignore[assignment]
        yield Finding(
            name=status.asset.name,
            state=state,
            detail=status.asset.purpose,
            remedy="" if state == "ok" else "streamguard models pull",
            required=True,
        )


def _network() -> Iterator[Finding]:
    """The bundle that comes with StreamGuard, and what would run it here; a score is made, not only promised."""
    from ..bundle import open_bundle
    from ..engine.open_backend import open_backend
    from ..errors import StreamGuardError

    remedy = "pip install --force-reinstall streamguard"
    try:
        bundle = open_bundle()
        backend = open_backend(bundle)
        runs = tried(backend, bundle.manifest.clip.size_px, bundle.manifest.clip.config(backend.graph).crops)
        backend.close()
    except StreamGuardError as exc:
        yield Finding(name="bundle", state="broken", detail=str(exc), remedy=remedy, required=True)
        return
    yield Finding(name="bundle", state="ok", detail=f"{bundle.name}, {_worth(bundle, backend)}", required=True)
    how = f"{backend.graph} graph in {backend.precision} by {backend.name}"
    state: State = "ok" if runs else "broken"
    yield Finding(name="network", state=state, detail=how, remedy="" if runs else remedy, required=True)


def _worth(bundle: Bundle, backend: Backend) -> str:
    """What its scores are worth on this machine."""
    if not bundle.manifest.trained:
        return "NOT trained: its scores mean nothing, and nobody is judged"
    if bundle.calibration(backend.graph, backend.precision) is None:
        return f"trained, NOT calibrated for its {backend.graph} graph in {backend.precision}: nobody is judged"
    return "trained and calibrated"


def tried(backend: Backend, size_px: int, crops: int) -> bool:
    """Whether it gives a number."""
    import numpy as np

    if backend.graph == "window":
        given = backend.run({"crops": np.zeros((1, crops, size_px, size_px, 3), np.uint8)})
    else:
        slot = backend.open_slot()
        crop = np.zeros((1, size_px, size_px, 3), np.uint8)
        given = backend.step([slot], {"crops": crop, "age": np.zeros(1, np.int64)})
        backend.close_slot(slot)
    return all(bool(np.isfinite(array).all()) for array in given.values())


CHECKS: dict[str, Callable[[], Iterable[Finding]]] = {
    "machine": _machine,
    "video": _video,
    "engines": _engines,
    "face models": _models,
    "network": _network,
}
