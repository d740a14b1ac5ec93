"""Traces made by hand, for tests of everything that reads them."""

from __future__ import annotations

from collections.abc import Sequence

from streamguard.config import ClipConfig
from streamguard.evaluation.traces import RAW, FaceTrace, Header, Label, Moment, Trace, usable_spans
from streamguard.values import Quality

CLIP = ClipConfig()
"""Windows of 8 crops, 0.64 s, side by side."""


def header(**fields: object) -> Header:
    usual: dict[str, object] = {
        "bundle": "made 1",
        "bundle_sha256": "0" * 64,
        "trained": True,
        "graph": "window",
        "precision": "fp32",
        "backend": "none",
        "clip": CLIP,
        "seconds": 30.0,
        "version": "0",
    }
    return Header(**{**usual, **fields})  # type: ignore[arg-type]  # fields of many types


def moments(scores: Sequence[float], *, start_s: float = 0.0, usable: bool = True) -> tuple[Moment, ...]:
    """Windows side by side."""
    step = CLIP.hop_s
    return tuple(
        Moment(round(start_s + i * step + CLIP.grid_s, 6), round(start_s + (i + 1) * step, 6), score, usable)
        for i, score in enumerate(scores)
    )


def quality(**fields: float) -> Quality:
    usual = {
        "size_px": 120.0,
        "sharpness": 0.5,
        "luma": 0.5,
        "clipped": 0.0,
        "yaw_deg": 3.0,
        "pitch_deg": 3.0,
        "roll_deg": 1.0,
        "presence": 0.9,
        "padded": 0.0,
    }
    return Quality(**{**usual, **fields})


def face(made: Sequence[Moment], *, face_id: int = 1, generation: int = 1, **fields: float) -> FaceTrace:
    return FaceTrace(
        face_id=face_id,
        generation=generation,
        start_s=0.0,
        end_s=made[-1].pts_end_s if made else 0.0,
        quality=quality(**fields) if made else None,
        usable_seconds=usable_spans(CLIP, [made]),
        moments=tuple(made),
    )


def trace(
    key: str,
    label: Label,
    faces: Sequence[FaceTrace] | Sequence[float],
    *,
    group: str | None = None,
    condition: str = RAW,
    twin: str = "",
    method: str | None = None,
    fps: float = 25.0,
) -> Trace:
    """`faces`, or the scores of the windows of one."""
    made = tuple(one if isinstance(one, FaceTrace) else face(moments([one])) for one in faces)
    if faces and not isinstance(faces[0], FaceTrace):
        made = (face(moments([float(one) for one in faces if not isinstance(one, FaceTrace)])),)
    return Trace(
        key=key,
        condition=condition,
        label=label,
        group=group or key,
        identity=key,
        method=("swap" if label == "fake" else "") if method is None else method,
        dataset="made",
        twin=twin,
        seconds=10.0,
        usable_seconds=usable_spans(CLIP, [one.moments for one in made]),
        fps=fps,
        codec="h264",
        width=640,
        height=480,
        faces=made,
    )
