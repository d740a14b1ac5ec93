"""The words of a report: states, reasons and times as people say them, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..values import FaceState, GapCause, LostCause, Reason

STATE_MEANING: dict[FaceState, str] = {
    FaceState.WARMING_UP: "seen, but not for long enough to be scored yet.",
    FaceState.LIKELY_REAL: "what was seen so far speaks for a real face.",
    FaceState.UNCERTAIN: "scored, and it may be either; also where the scores are not calibrated.",
    FaceState.LIKELY_FAKE: "what was seen so far speaks for a manipulated face. A reason to look closer, not a proof.",
    FaceState.LOW_QUALITY: "the picture does not allow to judge; the reasons say why.",
}
REASON_WORDS: dict[Reason, str] = {
    Reason.TOO_SMALL: "too small",
    Reason.BLURRED: "blurred",
    Reason.DARK: "too dark",
    Reason.OVEREXPOSED: "overexposed",
    Reason.TURNED_AWAY: "turned away",
    Reason.OCCLUDED: "covered",
    Reason.PADDED: "cut off by the picture's border",
    Reason.GAPS: "pictures missing",
    Reason.NOT_SCORED: "not scored",
    Reason.TOO_SLOW: "too few pictures a second",
    Reason.UNCALIBRATED: "not calibrated",
}
REASON_MEANING: dict[Reason, str] = {
    Reason.TOO_SMALL: "the face has too few pixels.",
    Reason.BLURRED: "fine detail is missing, as when out of focus or strongly compressed.",
    Reason.DARK: "there is too little light on the face.",
    Reason.OVEREXPOSED: "much of the face is plain white or black.",
    Reason.TURNED_AWAY: "the head is turned too far from the camera.",
    Reason.OCCLUDED: "something covers part of the face.",
    Reason.PADDED: "part of the face's surroundings lies outside the picture.",
    Reason.GAPS: "frames were missing in the window and were filled by repeating others.",
    Reason.TOO_SLOW: "the source sends fewer pictures a second than the network needs.",
    Reason.NOT_SCORED: "the picture would do, and the network did not answer.",
    Reason.UNCALIBRATED: "nobody measured what this network's scores mean: they are no probabilities.",
}
LOST_WORDS: dict[LostCause, str] = {
    LostCause.GONE: "gone",
    LostCause.DOUBT: "in doubt",
    LostCause.CONTACT: "contact",
    LostCause.MEDIA_GAP: "cut off",
    LostCause.STREAM_ENDED: "end of stream",
}
LOST_MEANING: dict[LostCause, str] = {
    LostCause.GONE: "not seen any more.",
    LostCause.DOUBT: "it may be somebody else from here on.",
    LostCause.CONTACT: "it met another face; which is which cannot be told afterwards.",
    LostCause.MEDIA_GAP: "the stream jumped, cut or changed its size.",
    LostCause.STREAM_ENDED: "the stream was over.",
}
GAP_WORDS: dict[GapCause, str] = {
    GapCause.LONG_GAP: "a long gap",
    GapCause.BACKWARD_JUMP: "a jump back",
    GapCause.RECONNECTED: "reconnected",
    GapCause.SIZE_CHANGED: "another picture size",
    GapCause.SCENE_CUT: "a scene cut",
}


def state_words(state: FaceState) -> str:
    return state.replace("_", " ").lower()


def reason_words(reasons: Iterable[Reason]) -> str:
    return ", ".join(REASON_WORDS[reason] for reason in reasons)


def seconds(duration_s: float) -> str:
    """`0.48 s`, `12.0 s`, `3 min 20 s` or `2 h 5 min`."""
    if duration_s < 1:
        return f"{duration_s:.2f} s"
    if duration_s < 59.95:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def moment(pts_s: float) -> str:
    """`2.50 s`, `1:30.5` or `2:05:00`: a point on the axis, as exactly as is of use."""
    if pts_s < 59.995:
        return f"{pts_s:.2f} s"
    tenths = round(pts_s * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"{minutes}:{rest / 10:04.1f}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 face`, `2 faces`, `1,200 scores`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """`1`, `1 and 2`, `1, 2 and 3`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
