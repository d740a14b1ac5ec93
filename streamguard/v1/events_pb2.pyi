from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_STATE_UNSPECIFIED: _ClassVar[StreamState]
    STREAM_STATE_CONNECTING: _ClassVar[StreamState]
    STREAM_STATE_LIVE: _ClassVar[StreamState]
    STREAM_STATE_NO_FACE: _ClassVar[StreamState]
    STREAM_STATE_STALLED: _ClassVar[StreamState]
    STREAM_STATE_ENDED: _ClassVar[StreamState]

class FaceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FACE_STATE_UNSPECIFIED: _ClassVar[FaceState]
    FACE_STATE_WARMING_UP: _ClassVar[FaceState]
    FACE_STATE_LIKELY_REAL: _ClassVar[FaceState]
    FACE_STATE_UNCERTAIN: _ClassVar[FaceState]
    FACE_STATE_LIKELY_FAKE: _ClassVar[FaceState]
    FACE_STATE_LOW_QUALITY: _ClassVar[FaceState]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_TOO_SMALL: _ClassVar[Reason]
    REASON_BLURRED: _ClassVar[Reason]
    REASON_DARK: _ClassVar[Reason]
    REASON_OVEREXPOSED: _ClassVar[Reason]
    REASON_TURNED_AWAY: _ClassVar[Reason]
    REASON_OCCLUDED: _ClassVar[Reason]
    REASON_PADDED: _ClassVar[Reason]
    REASON_GAPS: _ClassVar[Reason]
    REASON_TOO_SLOW: _ClassVar[Reason]
    REASON_UNCALIBRATED: _ClassVar[Reason]
    REASON_NOT_SCORED: _ClassVar[Reason]

class GapCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_CAUSE_UNSPECIFIED: _ClassVar[GapCause]
    GAP_CAUSE_LONG_GAP: _ClassVar[GapCause]
    GAP_CAUSE_BACKWARD_JUMP: _ClassVar[GapCause]
    GAP_CAUSE_RECONNECTED: _ClassVar[GapCause]
    GAP_CAUSE_SIZE_CHANGED: _ClassVar[GapCause]
    GAP_CAUSE_SCENE_CUT: _ClassVar[GapCause]

class LostCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOST_CAUSE_UNSPECIFIED: _ClassVar[LostCause]
    LOST_CAUSE_GONE: _ClassVar[LostCause]
    LOST_CAUSE_DOUBT: _ClassVar[LostCause]
    LOST_CAUSE_CONTACT: _ClassVar[LostCause]
    LOST_CAUSE_MEDIA_GAP: _ClassVar[LostCause]
    LOST_CAUSE_STREAM_ENDED: _ClassVar[LostCause]
STREAM_STATE_UNSPECIFIED: StreamState
STREAM_STATE_CONNECTING: StreamState
STREAM_STATE_LIVE: StreamState
STREAM_STATE_NO_FACE: StreamState
STREAM_STATE_STALLED: StreamState
STREAM_STATE_ENDED: StreamState
FACE_STATE_UNSPECIFIED: FaceState
FACE_STATE_WARMING_UP: FaceState
FACE_STATE_LIKELY_REAL: FaceState
FACE_STATE_UNCERTAIN: FaceState
FACE_STATE_LIKELY_FAKE: FaceState
FACE_STATE_LOW_QUALITY: FaceState
REASON_UNSPECIFIED: Reason
REASON_TOO_SMALL: Reason
REASON_BLURRED: Reason
REASON_DARK: Reason
REASON_OVEREXPOSED: Reason
REASON_TURNED_AWAY: Reason
REASON_OCCLUDED: Reason
REASON_PADDED: Reason
REASON_GAPS: Reason
REASON_TOO_SLOW: Reason
REASON_UNCALIBRATED: Reason
REASON_NOT_SCORED: Reason
GAP_CAUSE_UNSPECIFIED: GapCause
GAP_CAUSE_LONG_GAP: GapCause
GAP_CAUSE_BACKWARD_JUMP: GapCause
GAP_CAUSE_RECONNECTED: GapCause
GAP_CAUSE_SIZE_CHANGED: GapCause
GAP_CAUSE_SCENE_CUT: GapCause
LOST_CAUSE_UNSPECIFIED: LostCause
LOST_CAUSE_GONE: LostCause
LOST_CAUSE_DOUBT: LostCause
LOST_CAUSE_CONTACT: LostCause
LOST_CAUSE_MEDIA_GAP: LostCause
LOST_CAUSE_STREAM_ENDED: LostCause

class Box(_message.Message):
    __slots__ = ("x0", "y0", "x1", "y1")
    X0_FIELD_NUMBER: _ClassVar[int]
    Y0_FIELD_NUMBER: _ClassVar[int]
    X1_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    x0: float
    y0: float
    x1: float
    y1: float
    def __init__(self, x0: _Optional[float] = ..., y0: _Optional[float] = ..., x1: _Optional[float] = ..., y1: _Optional[float] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("size_px", "sharpness", "luma", "clipped", "yaw_deg", "pitch_deg", "roll_deg", "presence", "padded")
    SIZE_PX_FIELD_NUMBER: _ClassVar[int]
    SHARPNESS_FIELD_NUMBER: _ClassVar[int]
    LUMA_FIELD_NUMBER: _ClassVar[int]
    CLIPPED_FIELD_NUMBER: _ClassVar[int]
    YAW_DEG_FIELD_NUMBER: _ClassVar[int]
    PITCH_DEG_FIELD_NUMBER: _ClassVar[int]
    ROLL_DEG_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    PADDED_FIELD_NUMBER: _ClassVar[int]
    size_px: float
    sharpness: float
    luma: float
    clipped: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    presence: float
    padded: float
    def __init__(self, size_px: _Optional[float] = ..., sharpness: _Optional[float] = ..., luma: _Optional[float] = ..., clipped: _Optional[float] = ..., yaw_deg: _Optional[float] = ..., pitch_deg: _Optional[float] = ..., roll_deg: _Optional[float] = ..., presence: _Optional[float] = ..., padded: _Optional[float] = ...) -> None: ...

class HeatMaps(_message.Message):
    __slots__ = ("pts_start_s", "pts_end_s", "square_px", "width", "height", "anomaly", "motion", "comparable")
    PTS_START_S_FIELD_NUMBER: _ClassVar[int]
    PTS_END_S_FIELD_NUMBER: _ClassVar[int]
    SQUARE_PX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ANOMALY_FIELD_NUMBER: _ClassVar[int]
    MOTION_FIELD_NUMBER: _ClassVar[int]
    COMPARABLE_FIELD_NUMBER: _ClassVar[int]
    pts_start_s: float
    pts_end_s: float
    square_px: Box
    width: int
    height: int
    anomaly: bytes
    motion: bytes
    comparable: bool
    def __init__(self, pts_start_s: _Optional[float] = ..., pts_end_s: _Optional[float] = ..., square_px: _Optional[_Union[Box, _Mapping]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., anomaly: _Optional[bytes] = ..., motion: _Optional[bytes] = ..., comparable: bool = ...) -> None: ...

class StageTimes(_message.Message):
    __slots__ = ("wait_s", "queue_s", "infer_s")
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    QUEUE_S_FIELD_NUMBER: _ClassVar[int]
    INFER_S_FIELD_NUMBER: _ClassVar[int]
    wait_s: float
    queue_s: float
    infer_s: float
    def __init__(self, wait_s: _Optional[float] = ..., queue_s: _Optional[float] = ..., infer_s: _Optional[float] = ...) -> None: ...

class StreamUp(_message.Message):
    __slots__ = ("url", "width", "height", "codec", "outage_s")
    URL_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    OUTAGE_S_FIELD_NUMBER: _ClassVar[int]
    url: str
    width: int
    height: int
    codec: str
    outage_s: float
    def __init__(self, url: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., codec: _Optional[str] = ..., outage_s: _Optional[float] = ...) -> None: ...

class StreamDown(_message.Message):
    __slots__ = ("url", "code", "message", "attempt", "retry_in_s")
    URL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RETRY_IN_S_FIELD_NUMBER: _ClassVar[int]
    url: str
    code: str
    message: str
    attempt: int
    retry_in_s: float
    def __init__(self, url: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., attempt: _Optional[int] = ..., retry_in_s: _Optional[float] = ...) -> None: ...

class EndOfStream(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: int
    def __init__(self, frames: _Optional[int] = ...) -> None: ...

class MediaGap(_message.Message):
    __slots__ = ("cause", "gap_s")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    GAP_S_FIELD_NUMBER: _ClassVar[int]
    cause: GapCause
    gap_s: float
    def __init__(self, cause: _Optional[_Union[GapCause, str]] = ..., gap_s: _Optional[float] = ...) -> None: ...

class FaceAppeared(_message.Message):
    __slots__ = ("face_id", "generation", "box_px")
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    BOX_PX_FIELD_NUMBER: _ClassVar[int]
    face_id: int
    generation: int
    box_px: Box
    def __init__(self, face_id: _Optional[int] = ..., generation: _Optional[int] = ..., box_px: _Optional[_Union[Box, _Mapping]] = ...) -> None: ...

class FaceLost(_message.Message):
    __slots__ = ("face_id", "generation", "cause", "last_seen_pts_s")
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_PTS_S_FIELD_NUMBER: _ClassVar[int]
    face_id: int
    generation: int
    cause: LostCause
    last_seen_pts_s: float
    def __init__(self, face_id: _Optional[int] = ..., generation: _Optional[int] = ..., cause: _Optional[_Union[LostCause, str]] = ..., last_seen_pts_s: _Optional[float] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("face_id", "generation", "pts_start_s", "pts_end_s", "crops_real", "crops_expected", "gaps", "raw_score", "p_fake", "state", "reasons", "quality", "latency", "p_fake_low", "p_fake_high", "p_face", "maps")
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PTS_START_S_FIELD_NUMBER: _ClassVar[int]
    PTS_END_S_FIELD_NUMBER: _ClassVar[int]
    CROPS_REAL_FIELD_NUMBER: _ClassVar[int]
    CROPS_EXPECTED_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    RAW_SCORE_FIELD_NUMBER: _ClassVar[int]
    P_FAKE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    P_FAKE_LOW_FIELD_NUMBER: _ClassVar[int]
    P_FAKE_HIGH_FIELD_NUMBER: _ClassVar[int]
    P_FACE_FIELD_NUMBER: _ClassVar[int]
    MAPS_FIELD_NUMBER: _ClassVar[int]
    face_id: int
    generation: int
    pts_start_s: float
    pts_end_s: float
    crops_real: int
    crops_expected: int
    gaps: int
    raw_score: float
    p_fake: float
    state: FaceState
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    quality: Quality
    latency: StageTimes
    p_fake_low: float
    p_fake_high: float
    p_face: float
    maps: HeatMaps
    def __init__(self, face_id: _Optional[int] = ..., generation: _Optional[int] = ..., pts_start_s: _Optional[float] = ..., pts_end_s: _Optional[float] = ..., crops_real: _Optional[int] = ..., crops_expected: _Optional[int] = ..., gaps: _Optional[int] = ..., raw_score: _Optional[float] = ..., p_fake: _Optional[float] = ..., state: _Optional[_Union[FaceState, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., latency: _Optional[_Union[StageTimes, _Mapping]] = ..., p_fake_low: _Optional[float] = ..., p_fake_high: _Optional[float] = ..., p_face: _Optional[float] = ..., maps: _Optional[_Union[HeatMaps, _Mapping]] = ...) -> None: ...

class VerdictChanged(_message.Message):
    __slots__ = ("face_id", "generation", "state", "previous", "reasons")
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    face_id: int
    generation: int
    state: FaceState
    previous: FaceState
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    def __init__(self, face_id: _Optional[int] = ..., generation: _Optional[int] = ..., state: _Optional[_Union[FaceState, str]] = ..., previous: _Optional[_Union[FaceState, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ...) -> None: ...

class ParticipantVerdictChanged(_message.Message):
    __slots__ = ("state", "previous", "p_fake", "face_id", "generation")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    P_FAKE_FIELD_NUMBER: _ClassVar[int]
    FACE_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    state: FaceState
    previous: FaceState
    p_fake: float
    face_id: int
    generation: int
    def __init__(self, state: _Optional[_Union[FaceState, str]] = ..., previous: _Optional[_Union[FaceState, str]] = ..., p_fake: _Optional[float] = ..., face_id: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class CannotJudge(_message.Message):
    __slots__ = ("missing_s", "reasons")
    MISSING_S_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    missing_s: float
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    def __init__(self, missing_s: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ...) -> None: ...

class Blinded(_message.Message):
    __slots__ = ("silent_s",)
    SILENT_S_FIELD_NUMBER: _ClassVar[int]
    silent_s: float
    def __init__(self, silent_s: _Optional[float] = ...) -> None: ...

class Overload(_message.Message):
    __slots__ = ("effective_hop_s", "dropped")
    EFFECTIVE_HOP_S_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    effective_hop_s: float
    dropped: int
    def __init__(self, effective_hop_s: _Optional[float] = ..., dropped: _Optional[int] = ...) -> None: ...

class EventsLost(_message.Message):
    __slots__ = ("first_seq", "last_seq")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    last_seq: int
    def __init__(self, first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("stream_id", "epoch", "seq", "pts_s", "utc_s", "participant_id", "stream_state", "stream_up", "stream_down", "end_of_stream", "media_gap", "face_appeared", "face_lost", "score", "verdict_changed", "cannot_judge", "blinded", "overload", "events_lost", "participant_verdict_changed")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PTS_S_FIELD_NUMBER: _ClassVar[int]
    UTC_S_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_STATE_FIELD_NUMBER: _ClassVar[int]
    STREAM_UP_FIELD_NUMBER: _ClassVar[int]
    STREAM_DOWN_FIELD_NUMBER: _ClassVar[int]
    END_OF_STREAM_FIELD_NUMBER: _ClassVar[int]
    MEDIA_GAP_FIELD_NUMBER: _ClassVar[int]
    FACE_APPEARED_FIELD_NUMBER: _ClassVar[int]
    FACE_LOST_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CANNOT_JUDGE_FIELD_NUMBER: _ClassVar[int]
    BLINDED_FIELD_NUMBER: _ClassVar[int]
    OVERLOAD_FIELD_NUMBER: _ClassVar[int]
    EVENTS_LOST_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_VERDICT_CHANGED_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: str
    seq: int
    pts_s: float
    utc_s: float
    participant_id: str
    stream_state: StreamState
    stream_up: StreamUp
    stream_down: StreamDown
    end_of_stream: EndOfStream
    media_gap: MediaGap
    face_appeared: FaceAppeared
    face_lost: FaceLost
    score: Score
    verdict_changed: VerdictChanged
    cannot_judge: CannotJudge
    blinded: Blinded
    overload: Overload
    events_lost: EventsLost
    participant_verdict_changed: ParticipantVerdictChanged
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[str] = ..., seq: _Optional[int] = ..., pts_s: _Optional[float] = ..., utc_s: _Optional[float] = ..., participant_id: _Optional[str] = ..., stream_state: _Optional[_Union[StreamState, str]] = ..., stream_up: _Optional[_Union[StreamUp, _Mapping]] = ..., stream_down: _Optional[_Union[StreamDown, _Mapping]] = ..., end_of_stream: _Optional[_Union[EndOfStream, _Mapping]] = ..., media_gap: _Optional[_Union[MediaGap, _Mapping]] = ..., face_appeared: _Optional[_Union[FaceAppeared, _Mapping]] = ..., face_lost: _Optional[_Union[FaceLost, _Mapping]] = ..., score: _Optional[_Union[Score, _Mapping]] = ..., verdict_changed: _Optional[_Union[VerdictChanged, _Mapping]] = ..., cannot_judge: _Optional[_Union[CannotJudge, _Mapping]] = ..., blinded: _Optional[_Union[Blinded, _Mapping]] = ..., overload: _Optional[_Union[Overload, _Mapping]] = ..., events_lost: _Optional[_Union[EventsLost, _Mapping]] = ..., participant_verdict_changed: _Optional[_Union[ParticipantVerdictChanged, _Mapping]] = ...) -> None: ...
