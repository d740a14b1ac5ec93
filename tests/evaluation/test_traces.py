"""What is written is what is read; what must not be pooled is refused, by file and line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from streamguard.errors import SinkError, TraceError
from streamguard.evaluation.traces import (
    Moment,
    Place,
    TraceFile,
    judged_from,
    least_seconds,
    read_traces,
    usable_spans,
    write_traces,
)
from streamguard.scoring.verdict import _judged_from
from streamguard.values import Box
from tests.evaluation import made

OTHER = "1" * 64


def test_traces_come_back_as_they_were(tmp_path: Path) -> None:
    with_places = dataclasses.replace(
        made.face(made.moments([0.25, 0.5, 1 / 3])),
        places=(Place(1.0, Box(10.0, 20.0, 110.0, 140.0)),),
        unusable={"DARK": 2},
    )
    traces = [made.trace("a", "real", [with_places]), made.trace("b", "fake", [], twin="a")]
    header = made.header(held_out=("a", "b"), fold="0/3")
    write_traces(tmp_path / "t.jsonl", header, traces)
    found = read_traces([tmp_path / "t.jsonl"])
    assert found.traces == tuple(traces)
    assert found.header == header
    assert found.clip == made.CLIP


def test_cut_off_line_is_told_and_taken_up_again(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first, second = made.trace("a", "real", [0.1]), made.trace("b", "fake", [0.9])
    write_traces(path, made.header(), [first, second])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TraceError, match="line 3: is cut off"):
        read_traces([path])
    file = TraceFile(path, made.header())
    assert file.done("raw") == {"a"}
    assert file.done("harmonised") == set()
    file.add(second)
    assert read_traces([path]).traces == (first, second)


def test_file_of_another_bundle_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    TraceFile(path, made.header())
    with pytest.raises(TraceError, match="another bundle_sha256, precision"):
        TraceFile(path, made.header(bundle_sha256=OTHER, precision="bf16"))


def test_place_that_cannot_be_written_is_a_sink_error(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    with pytest.raises(SinkError):
        TraceFile(tmp_path / "t", made.header())
    with pytest.raises(SinkError):
        write_traces(tmp_path / "t", made.header(), [])
    with pytest.raises(TraceError, match="cannot be read"):
        read_traces([tmp_path / "none"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": "swap"}, "line 2, label: must be real or fake"),
        ({"new": 1}, "line 2, new: unknown field"),
        ({"seconds": None}, "line 2, seconds: must be a number"),
        ({"faces": {}}, "line 2, faces: must be a list"),
        ({"faces": [3]}, r"line 2, faces\.0: must be an object"),
        ({"fps": -1}, "line 2, fps: must be at least 0, not -1"),
        ({"seconds": -5}, "line 2, seconds: must be at least 0, not -5"),
        ({"width": -1}, "line 2, width: must be at least 0, not -1"),
        ({"usable_seconds": 1e308}, r"line 2, usable_seconds: is 1e\+308, and its usable moments judge 0\.64"),
        ({"usable_seconds": 0.65}, r"line 2, usable_seconds: is 0\.65, and its usable moments judge 0\.64"),
        ({"faces": []}, r"line 2, usable_seconds: is 0\.64, and its usable moments judge 0"),
    ],
)
def test_line_that_is_no_trace_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    check_refused(tmp_path, lambda trace: trace.update(change), told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"moments": [[0, 1, 2, 1]]}, r"faces\.0\.moments\.0: its score must be within 0 and 1, not 2"),
        ({"moments": [[0, 1, 0.5]]}, r"faces\.0\.moments\.0: must be 4 finite numbers"),
        ({"moments": [[0, 1, 0.5, True]]}, "must be 4 finite numbers"),
        ({"moments": [[0, 1, 0.5, 2]]}, "must be 0 or 1"),
        ({"moments": [[2, 1, 0.5, 1]]}, "must begin before it ends"),
        ({"moments": [[0, 2, 0.5, 1], [0, 1, 0.5, 1]]}, r"moments\.1: must begin before it ends, and end no earlier"),
        ({"moments": None}, r"faces\.0\.moments: must be a list"),
        ({"moments": [[0, 10**400, 0.5, 1]]}, r"moments\.0: must be 4 finite numbers"),
        ({"moments": [], "usable_seconds": 100}, r"faces\.0\.usable_seconds: is 100, and its usable moments judge 0"),
        ({"moments": [[0.08, 0.64, 0.1, 0]]}, r"faces\.0\.usable_seconds: is 0\.64, and its usable moments judge 0"),
        ({"quality": None}, r"faces\.0\.quality: is missing, though it has moments"),
        ({"places": [[1]]}, r"faces\.0\.places\.0: must be 5"),
        ({"face_id": "x"}, r"faces\.0\.face_id: must be a whole number"),
    ],
)
def test_face_that_is_none_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    check_refused(tmp_path, lambda trace: trace["faces"][0].update(change), told)


def check_refused(tmp_path: Path, change: object, told: str) -> None:
    path = tmp_path / "t.jsonl"
    write_traces(path, made.header(), [made.trace("a", "real", [0.1])])
    first, second = path.read_text().splitlines()
    trace = json.loads(second)
    change(trace)  # type: ignore[operator]
    path.write_text(f"{first}\n{json.dumps(trace)}\n")
    with pytest.raises(TraceError, match=told):
        read_traces([path])


def test_number_beyond_all_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_traces(path, made.header(), [made.trace("a", "real", [0.123])])
    path.write_text(path.read_text().replace("0.123", "1e999"))
    with pytest.raises(TraceError, match="finite"):
        read_traces([path])


def test_file_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("{}\n")
    with pytest.raises(TraceError, match="line 1: is no header"):
        read_traces([path])
    path.write_text("")
    with pytest.raises(TraceError, match="is empty"):
        read_traces([path])
    with pytest.raises(TraceError, match="no file"):
        read_traces([])


# What may be pooled.


def two_files(tmp_path: Path, first: dict[str, object], second: dict[str, object], *groups: str) -> list[Path]:
    paths = []
    for i, (fields, group) in enumerate(zip((first, second), groups, strict=True)):
        path = tmp_path / f"{i}.jsonl"
        write_traces(path, made.header(**fields), [made.trace(f"key{i}", "real", [0.1], group=group)])
        paths.append(path)
    return paths


def test_folds_of_different_bundles_are_one_cross_fitted_set(tmp_path: Path) -> None:
    found = read_traces(
        two_files(tmp_path, {"held_out": ("a",)}, {"held_out": ("b",), "bundle_sha256": OTHER}, "a", "b")
    )
    assert found.cross_fitted
    assert len(found.bundles) == 2
    assert [trace.group for trace in found.of("raw")] == ["a", "b"]


def test_bundles_that_say_nothing_are_not_cross_fitted(tmp_path: Path) -> None:
    found = read_traces(two_files(tmp_path, {"held_out": ("a",)}, {"bundle_sha256": OTHER}, "a", "b"))
    assert not found.cross_fitted
    assert not found.held_out


def test_group_that_two_bundles_scored_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="its group a was scored by another bundle"):
        read_traces(two_files(tmp_path, {}, {"bundle_sha256": OTHER}, "a", "a"))
    assert len(read_traces(two_files(tmp_path, {}, {}, "a", "a")).traces) == 2, "one bundle may take several goes"


def test_group_that_was_trained_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="group b is not among those that made 1 was held out from"):
        read_traces(two_files(tmp_path, {}, {"held_out": ("a",)}, "a", "b"))


@pytest.mark.parametrize("other", [{"precision": "bf16"}, {"graph": "step"}, {"seconds": 20.0}])
def test_what_measures_different_things_is_not_pooled(tmp_path: Path, other: dict[str, object]) -> None:
    with pytest.raises(TraceError, match=f"header.{next(iter(other))}: is not that of"):
        read_traces(two_files(tmp_path, {}, other, "a", "b"))


def test_footage_is_there_once_under_each_condition(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    twice = [made.trace("a", "real", [0.1]), made.trace("a", "real", [0.1], condition="mirror")]
    write_traces(path, made.header(), twice)
    assert read_traces([path]).conditions == ("raw", "mirror")
    with pytest.raises(TraceError, match=r"is in .* too, under the same condition"):
        read_traces([path, path])
    write_traces(path, made.header(), [twice[0], twice[0]])
    with pytest.raises(TraceError, match="line 3: a is in line 2 too"):
        read_traces([path])


# Time.


def test_what_a_moment_judges_is_what_a_verdict_takes() -> None:
    for moment in (*made.moments([0.5, 0.5]), Moment(1.0, 4.0, 0.5, True), Moment(3.9, 4.0, 0.5, True)):
        assert judged_from(made.CLIP, moment) == _judged_from(made.CLIP, moment.pts_start_s, moment.pts_end_s)


def test_usable_time_counts_each_second_once() -> None:
    side_by_side = made.moments([0.5] * 3)
    assert usable_spans(made.CLIP, [side_by_side]) == pytest.approx(3 * 0.64)
    assert usable_spans(made.CLIP, [side_by_side, side_by_side]) == pytest.approx(3 * 0.64)
    overlapping = [Moment(0.0, 1.0, 0.5, True), Moment(0.08, 1.08, 0.5, True), Moment(9.0, 10.0, 0.5, False)]
    assert usable_spans(made.CLIP, [overlapping]) == pytest.approx(1.08 - 0.36)
    assert usable_spans(made.CLIP, []) == 0.0
    assert least_seconds(made.CLIP) == pytest.approx(1.28)
