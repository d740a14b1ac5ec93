"""Events survive the way to protobuf and JSON and back, and what does not fit is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streamguard.errors import EventFormatError
from streamguard.events import EndOfStream, Event, FaceAppeared, Score, StreamUp
from streamguard.v1 import events_pb2
from streamguard.values import Box, StreamState
from streamguard.wire import (
    event_from_bytes,
    event_from_json,
    event_from_proto,
    event_to_bytes,
    event_to_json,
    event_to_proto,
)
from tests.sample_events import EVENTS, KINDS, event_of

SCORE = next(event for event in EVENTS if isinstance(event.kind, Score))
BARE = Event(stream_id="s", epoch="e", seq=1, pts_s=0.0, stream_state=StreamState.ENDED, kind=EndOfStream(frames=0))


def kind_name(event: Event) -> str:
    return type(event.kind).__name__


@pytest.mark.parametrize("event", [*EVENTS, BARE], ids=kind_name)
def test_event_survives_protobuf(event: Event) -> None:
    assert event_from_proto(event_to_proto(event)) == event
    assert event_from_bytes(event_to_bytes(event)) == event


@pytest.mark.parametrize("event", [*EVENTS, BARE], ids=kind_name)
def test_event_survives_json_on_one_line(event: Event) -> None:
    text = event_to_json(event)
    assert "\n" not in text
    assert event_from_json(text) == event
    assert event_from_json(text.encode()) == event


def test_json_is_the_protos_own_with_camel_case_and_enum_names() -> None:
    assert json.loads(event_to_json(SCORE))["score"] == {
        "faceId": 7,
        "generation": 2,
        "ptsStartS": 10.0,
        "ptsEndS": 10.56,
        "cropsReal": 7,
        "cropsExpected": 8,
        "gaps": 1,
        "rawScore": 0.875,
        "pFake": 0.62,
        "pFakeLow": 0.5,
        "pFakeHigh": 0.71,
        "pFace": 0.58,
        "state": "FACE_STATE_UNCERTAIN",
        "reasons": ["REASON_BLURRED", "REASON_GAPS"],
        "quality": {
            "sizePx": 96.5,
            "sharpness": 0.8,
            "luma": 0.45,
            "clipped": 0.01,
            "yawDeg": -12.5,
            "pitchDeg": 3.25,
            "rollDeg": -1.0,
            "presence": 0.97,
            "padded": 0.125,
        },
        "latency": {"waitS": 0.01, "queueS": 0.002, "inferS": 0.017},
        "maps": {
            "ptsStartS": 9.92,
            "ptsEndS": 10.48,
            "squarePx": {"x0": -20.5, "y0": 4.0, "x1": 99.5, "y1": 124.0},
            "width": 3,
            "height": 2,
            "anomaly": "AAF/gP7/",
            "motion": "CgA8JiL/",
            "comparable": True,
        },
    }


def test_heat_maps_that_nobody_asked_for_are_absent() -> None:
    assert isinstance(SCORE.kind, Score)
    without = event_of(replace(SCORE.kind, maps=None))
    assert "maps" not in json.loads(event_to_json(without))["score"]
    assert event_from_bytes(event_to_bytes(without)) == without


def test_a_heat_map_of_another_size_than_it_says_is_refused_by_its_field() -> None:
    message = event_to_proto(SCORE)
    message.score.maps.motion = b"short"
    with pytest.raises(EventFormatError, match="has 5 bytes, and 3 x 2 cells") as refused:
        event_from_bytes(message.SerializeToString())
    assert refused.value.field == "kind.score.maps.motion"
    message.score.maps.ClearField("motion")
    found = event_from_proto(message).kind
    assert isinstance(found, Score)
    assert found.maps is not None
    assert found.maps.motion is None, "a network may have one map only"


def test_json_writes_zeros_and_leaves_out_only_what_is_absent() -> None:
    assert isinstance(SCORE.kind, Score)
    written = json.loads(event_to_json(event_of(replace(SCORE.kind, raw_score=0.0, p_fake=None, gaps=0, reasons=()))))
    assert written["score"]["rawScore"] == 0.0
    assert written["score"]["gaps"] == 0
    assert written["score"]["reasons"] == []
    assert "pFake" not in written["score"]


def test_json_writes_large_counters_as_text_so_that_no_reader_rounds_them() -> None:
    assert json.loads(event_to_json(event_of(EndOfStream(frames=2**63))))["endOfStream"] == {"frames": str(2**63)}


def test_people_read_names_in_their_own_script() -> None:
    assert "Žofie 🙂" in event_to_json(SCORE)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_number_that_is_not_finite_is_refused_on_the_way_out(number: float) -> None:
    assert isinstance(SCORE.kind, Score)
    broken = event_of(replace(SCORE.kind, quality=replace(SCORE.kind.quality, luma=number)))
    with pytest.raises(EventFormatError, match=r"kind\.score\.quality\.luma: must be finite"):
        event_to_json(broken)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_number_that_is_not_finite_is_refused_on_the_way_in(text: str) -> None:
    data = json.loads(event_to_json(SCORE))
    data["score"]["rawScore"] = text
    with pytest.raises(EventFormatError, match=r"kind\.score\.raw_score: must be finite"):
        event_from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (StreamUp(url="u", width=-1, height=1, codec="h264"), "kind.stream_up.width"),
        (StreamUp(url="u", width=2**32, height=1, codec="h264"), "kind.stream_up.width"),
        (StreamUp(url="\ud800", width=1, height=1, codec="h264"), "kind.stream_up.url"),
        (StreamUp(url=None, width=1, height=1, codec="h264"), "kind.stream_up.url"),  # type: ignore[arg-type]
        (FaceAppeared(face_id=1, generation=1, box_px=(0.0, 0.0, 1.0, 1.0)), "kind.face_appeared.box_px"),  # type: ignore[arg-type]
        (replace(KINDS[3], cause="SCENE_CUT"), "kind.media_gap.cause"),  # type: ignore[arg-type]
        (replace(KINDS[8], reasons=("DARK",)), "kind.cannot_judge.reasons"),  # type: ignore[arg-type]
        ("no kind", "kind"),
    ],
)
def test_value_that_does_not_fit_is_refused_by_name(kind: Any, field: str) -> None:
    with pytest.raises(EventFormatError) as caught:
        event_to_proto(event_of(kind))
    assert caught.value.field == field


def test_unknown_json_field_is_refused_by_name() -> None:
    with pytest.raises(EventFormatError, match="colour"):
        event_from_json('{"streamId": "s", "colour": 1}')


def test_unknown_enum_name_is_refused_by_name() -> None:
    text = event_to_json(SCORE).replace("FACE_STATE_UNCERTAIN", "FACE_STATE_BORED")
    with pytest.raises(EventFormatError, match="FACE_STATE_BORED"):
        event_from_json(text)


@pytest.mark.parametrize("number", [0, 99])
def test_enum_number_that_is_unset_or_unknown_is_refused(number: int) -> None:
    message = event_to_proto(SCORE)
    setattr(message.score, "state", number)  # noqa: B010 - the type checker knows that it is no FaceState
    with pytest.raises(EventFormatError, match=rf"kind\.score\.state: {number} is no FaceState"):
        event_from_proto(message)


def test_unknown_kind_from_a_newer_sender_is_refused() -> None:
    newer = event_to_proto(SCORE)
    newer.ClearField("kind")
    data = newer.SerializeToString() + varint(999 << 3 | 2) + b"\x00"
    with pytest.raises(EventFormatError, match="999: unknown field number"):
        event_from_bytes(data)


def test_unknown_field_deep_inside_is_refused_with_its_path() -> None:
    message = event_to_proto(SCORE)
    message.score.quality.MergeFromString(varint(77 << 3) + b"\x01")
    with pytest.raises(EventFormatError) as caught:
        event_from_proto(message)
    assert caught.value.field == "kind.score.quality.77"


def test_event_without_a_kind_is_refused() -> None:
    message = event_to_proto(SCORE)
    message.ClearField("kind")
    with pytest.raises(EventFormatError, match="kind: missing"):
        event_from_proto(message)


def test_missing_part_is_refused_by_name() -> None:
    message = event_to_proto(SCORE)
    message.score.ClearField("quality")
    with pytest.raises(EventFormatError, match=r"kind\.score\.quality: missing"):
        event_from_proto(message)


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "null", "{" * 100_000, b"\xff\xfe", '{"seq": "one"}'])
def test_text_that_is_no_event_is_refused(text: str | bytes) -> None:
    with pytest.raises(EventFormatError):
        event_from_json(text)


def test_bytes_that_are_no_event_are_refused() -> None:
    with pytest.raises(EventFormatError, match="not a protobuf event"):
        event_from_bytes(b"\xff\xff\xff")


def test_empty_message_is_no_event() -> None:
    with pytest.raises(EventFormatError):
        event_from_proto(events_pb2.Event())


def test_part_that_is_all_zero_is_still_there_on_the_other_side() -> None:
    event = event_of(FaceAppeared(face_id=0, generation=0, box_px=Box(0, 0, 0, 0)))
    assert event_from_proto(event_to_proto(event)) == event


def varint(number: int) -> bytes:
    """Protobuf's variable-length integer."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
