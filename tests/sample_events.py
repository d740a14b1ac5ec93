"""One event of every kind, with every field set to a value of its own: what the tests of events and sinks send."""

from __future__ import annotations

from streamguard.events import (
    Blinded,
    CannotJudge,
    EndOfStream,
    Event,
    EventsLost,
    FaceAppeared,
    FaceLost,
    Kind,
    MediaGap,
    Overload,
    ParticipantVerdictChanged,
    Score,
    StageTimes,
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from streamguard.values import Box, FaceState, GapCause, HeatMaps, LostCause, Quality, Reason, StreamState

QUALITY = Quality(
    size_px=96.5,
    sharpness=0.8,
    luma=0.45,
    clipped=0.01,
    yaw_deg=-12.5,
    pitch_deg=3.25,
    roll_deg=-1.0,
    presence=0.97,
    padded=0.125,
)
KINDS: tuple[Kind, ...] = (
    StreamUp(url="rtsp://camera/door", width=1280, height=720, codec="h264", outage_s=2.5),
    StreamDown(url="rtsp://camera/door", code="TIMEOUT", message="sent nothing", attempt=3, retry_in_s=0.5),
    EndOfStream(frames=9_000_000_000),
    MediaGap(cause=GapCause.SCENE_CUT, gap_s=0.25),
    FaceAppeared(face_id=7, generation=2, box_px=Box(-4.0, 10.5, 96.0, 130.0)),
    FaceLost(face_id=7, generation=2, cause=LostCause.CONTACT, last_seen_pts_s=12.04),
    Score(
        face_id=7,
        generation=2,
        pts_start_s=10.0,
        pts_end_s=10.56,
        crops_real=7,
        crops_expected=8,
        gaps=1,
        raw_score=0.875,
        p_fake=0.62,
        p_fake_low=0.5,
        p_fake_high=0.71,
        p_face=0.58,
        state=FaceState.UNCERTAIN,
        reasons=(Reason.BLURRED, Reason.GAPS),
        quality=QUALITY,
        latency=StageTimes(wait_s=0.01, queue_s=0.002, infer_s=0.017),
        maps=HeatMaps(
            pts_start_s=9.92,
            pts_end_s=10.48,
            square_px=Box(-20.5, 4.0, 99.5, 124.0),
            width=3,
            height=2,
            anomaly=bytes((0, 1, 127, 128, 254, 255)),
            motion=b'\n\x00<&"\xff',
            comparable=True,
        ),
    ),
    VerdictChanged(
        face_id=7,
        generation=2,
        state=FaceState.LIKELY_FAKE,
        previous=FaceState.UNCERTAIN,
        reasons=(Reason.TURNED_AWAY,),
    ),
    CannotJudge(missing_s=5.0, reasons=(Reason.TOO_SMALL, Reason.DARK)),
    Blinded(silent_s=2.0),
    Overload(effective_hop_s=1.28, dropped=12),
    EventsLost(first_seq=100, last_seq=140),
    ParticipantVerdictChanged(
        state=FaceState.LIKELY_FAKE, previous=FaceState.UNCERTAIN, p_fake=0.93, face_id=7, generation=2
    ),
)


def event_of(kind: Kind, *, seq: int = 1) -> Event:
    return Event(
        stream_id="door",
        epoch="6b1f",
        seq=seq,
        pts_s=12.36,
        utc_s=1_800_000_000.125,
        participant_id="Žofie 🙂",
        stream_state=StreamState.LIVE,
        kind=kind,
    )


EVENTS = tuple(event_of(kind, seq=seq) for seq, kind in enumerate(KINDS, start=1))
