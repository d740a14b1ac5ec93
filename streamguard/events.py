"""What comes out of a stream. `proto/streamguard/v1/events.proto` is the definition; these classes are its Python face.

Field for field the same (tests/test_events.py holds them together), so one generic converter, `wire.py`, serves all.

    match event.kind:
        case FaceAppeared(face_id=face_id): ...
        case Score(p_fake=p_fake) if p_fake is not None: ...
"""

from __future__ import annotations

from dataclasses import dataclass

from .values import Box, FaceState, GapCause, HeatMaps, LostCause, Quality, Reason, StreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUp:
    """Pictures come (again)."""

    url: str
    """Where from, without credentials."""
    width: int
    height: int
    codec: str
    outage_s: float | None = None
    """How long there was nothing; None the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDown:
    """The source failed. Never means the end: that is EndOfStream."""

    url: str
    code: str
    """The error's stable code: UNREACHABLE, TIMEOUT, NOT_FOUND, AUTH_FAILED, TLS_FAILED, CORRUPT, ..."""
    message: str
    attempt: int
    """Failures in a row, this one included."""
    retry_in_s: float | None = None
    """None: it will not be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfStream:
    """The source said that it is over. Nothing follows."""

    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaGap:
    """Media time broke. Every face of the stream starts a new window."""

    cause: GapCause
    gap_s: float
    """How much media time is missing; 0 for a cut or a change of size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceAppeared:
    """A face generation begins: a new face, or one that may be somebody else now."""

    face_id: int
    generation: int
    box_px: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceLost:
    """A face generation is over; nothing more comes for it."""

    face_id: int
    generation: int
    cause: LostCause
    last_seen_pts_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Where the latency of a score went, in seconds."""

    wait_s: float
    """From the decoded frame until the window was ready to be taken."""
    queue_s: float
    infer_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One network's answer about one window of one face."""

    face_id: int
    generation: int
    pts_start_s: float
    pts_end_s: float
    crops_real: int
    crops_expected: int
    gaps: int
    raw_score: float
    """The network's own output, 0 to 1. Not a probability."""
    p_fake: float | None = None
    """Calibrated. None if the bundle is not for the graph and precision in use, or the picture allows no judgement."""
    state: FaceState
    reasons: tuple[Reason, ...] = ()
    quality: Quality
    latency: StageTimes
    p_fake_low: float | None = None
    """Where `p_fake` lies with 90% confidence, as far as the calibration data can tell. There if `p_fake` is."""
    p_fake_high: float | None = None
    p_face: float | None = None
    """All evidence of this generation so far, forgetting what is old: what `state` rests on. There if `p_fake` is."""
    maps: HeatMaps | None = None
    """The newest maps of this face that no score carried before. Only on request, and only now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanged:
    """What StreamGuard thinks of a face is another than before."""

    face_id: int
    generation: int
    state: FaceState
    previous: FaceState
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantVerdictChanged:
    """What StreamGuard thinks of the participant (or of the stream, where none is named) is another than before. It is
    kept across generations: hiding does not shed it, and it is forgotten over minutes."""

    state: FaceState
    previous: FaceState
    p_fake: float
    face_id: int
    """The face that it rests on."""
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotJudge:
    """Nobody could be judged for a stated time: no face, none that would do, none for long enough, or none that the
    network answered for. Abstaining is not an escape."""

    missing_s: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blinded:
    """The stream is said to be up, and nothing can be seen: silence is an alarm."""

    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """The machine cannot keep up: what it does about it."""

    effective_hop_s: float
    """Scores come this far apart now."""
    dropped: int
    """Pieces of work dropped since the last such event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLost:
    """A subscriber was too slow: these sequence numbers are gone for it."""

    first_seq: int
    last_seq: int


Kind = (
    StreamUp
    | StreamDown
    | EndOfStream
    | MediaGap
    | FaceAppeared
    | FaceLost
    | Score
    | VerdictChanged
    | CannotJudge
    | Blinded
    | Overload
    | EventsLost
    | ParticipantVerdictChanged
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of one video stream. `(epoch, seq)` orders and names it."""

    stream_id: str
    epoch: str
    """Changes when the stream is opened anew: sequence numbers then start again."""
    seq: int
    """Counts up by one from 1."""
    pts_s: float
    """Media time of the newest frame when it happened; 0 before the first."""
    utc_s: float | None = None
    """The sender's wall clock at that frame, where the stream tells it."""
    participant_id: str | None = None
    stream_state: StreamState
    kind: Kind
