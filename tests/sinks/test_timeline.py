"""The picture of tracks has a row a generation, placed by its times, with its end and the stream's breaks marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamguard.errors import SinkError
from streamguard.events import (
    CannotJudge,
    EndOfStream,
    Event,
    FaceAppeared,
    FaceLost,
    Kind,
    MediaGap,
    ParticipantVerdictChanged,
    Score,
    StreamDown,
    VerdictChanged,
)
from streamguard.picture import Picture
from streamguard.sinks import Sink, timeline
from streamguard.sinks.annotate import STATE_COLOURS
from streamguard.sinks.timeline import (
    ALARM,
    BAR_PX,
    FACE_COLOURS,
    INK,
    LEFT_PX,
    LOST_WORDS,
    RIGHT_PX,
    ROW_PX,
    TOP_PX,
    WIDTH_PX,
    Break,
    Row,
    TracksPicture,
    draw,
    tick_step,
    time_words,
)
from streamguard.values import Box, FaceState, GapCause, LostCause
from tests.sample_events import EVENTS, KINDS, event_of

BOX = Box(20.0, 20.0, 60.0, 60.0)


def at(pts_s: float, kind: Kind) -> Event:
    return replace(event_of(kind), pts_s=pts_s)


def test_no_face_has_the_colour_of_a_verdict() -> None:
    """The one that is fake must not stand in green."""
    for state in (FaceState.LIKELY_REAL, FaceState.UNCERTAIN, FaceState.LIKELY_FAKE):
        apart = [np.abs(np.subtract(colour, STATE_COLOURS[state])).max() for colour in FACE_COLOURS]
        assert min(apart) > 60, state


def appeared(face_id: int, generation: int = 1) -> FaceAppeared:
    return FaceAppeared(face_id=face_id, generation=generation, box_px=BOX)


def lost(face_id: int, last_s: float, cause: LostCause = LostCause.GONE) -> FaceLost:
    return FaceLost(face_id=face_id, generation=1, cause=cause, last_seen_pts_s=last_s)


def score(pts_s: float, **changes: object) -> Event:
    (sample,) = [kind for kind in KINDS if isinstance(kind, Score)]
    more = {"face_id": 1, "generation": 1, "pts_start_s": pts_s - 0.56, "pts_end_s": pts_s, **changes}
    return at(pts_s, replace(sample, **more))  # type: ignore[arg-type]


def raw(pts_s: float, value: float) -> Event:
    return score(pts_s, raw_score=value, p_fake=None, p_fake_low=None, p_fake_high=None, p_face=None)


def participant(state: FaceState, previous: FaceState = FaceState.WARMING_UP) -> ParticipantVerdictChanged:
    return ParticipantVerdictChanged(state=state, previous=previous, p_fake=0.5, face_id=1, generation=1)


def row(**changes: object) -> Row:
    return replace(Row(face_id=1, generation=1, first_pts_s=0.0, last_pts_s=10.0), **changes)  # type: ignore[arg-type]


def columns_of(image: Image.Image, colour: tuple[int, int, int], row_index: int) -> tuple[int, int]:
    """First and last column in this row that has a pixel of this colour."""
    top = TOP_PX + row_index * ROW_PX
    part = np.asarray(image)[top : top + ROW_PX, LEFT_PX:]
    xs = np.nonzero((part == colour).all(axis=2).any(axis=0))[0]
    assert len(xs), f"row {row_index} has no pixel of {colour}"
    return int(xs[0]) + LEFT_PX, int(xs[-1]) + LEFT_PX


def test_is_a_sink_that_takes_every_kind(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    assert isinstance(sink, Sink)
    for event in EVENTS:
        sink.send(event)
    sink.close()
    with Image.open(tmp_path / "tracks.png") as image:
        assert image.width == WIDTH_PX


def test_rows_follow_births_losses_and_verdicts(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    verdict = VerdictChanged(
        face_id=1, generation=1, state=FaceState.LIKELY_FAKE, previous=FaceState.WARMING_UP, reasons=()
    )
    for event in (
        at(1.0, appeared(1)),
        at(2.0, appeared(2)),
        at(3.0, verdict),
        at(5.0, lost(1, 4.5, LostCause.CONTACT)),
        at(5.5, appeared(1, generation=2)),
        at(9.0, EndOfStream(frames=225)),
    ):
        sink.send(event)
    first, second, third = sink.rows()
    assert (first.first_pts_s, first.last_pts_s, first.lost) == (1.0, 4.5, LostCause.CONTACT)
    assert first.verdicts == ((3.0, FaceState.LIKELY_FAKE),)
    assert (second.last_pts_s, second.lost) == (9.0, None), "a face that is still there ends with the stream"
    assert (third.face_id, third.generation, third.first_pts_s) == (1, 2, 5.5)


def test_a_warning_stands_beside_the_title() -> None:
    def reds(image: Image.Image) -> int:
        return int((np.asarray(image)[:TOP_PX] == ALARM).all(axis=2).sum())

    assert reds(draw([row()])) == 0
    assert reds(draw([row()], warning="untrained")) > 20


def test_a_warning_may_come_until_it_is_closed(tmp_path: Path) -> None:
    once, twice = (TracksPicture(tmp_path / "t.png", warning="untrained") for _ in range(2))
    twice.warn("partial")
    assert np.asarray(once.draw()).tobytes() != np.asarray(twice.draw()).tobytes()
    both = TracksPicture(tmp_path / "t.png", warning="untrained; partial")
    assert np.asarray(both.draw()).tobytes() == np.asarray(twice.draw()).tobytes()


def test_bar_spans_the_time_from_birth_to_loss() -> None:
    image = draw([row(first_pts_s=2.5, last_pts_s=7.5), row(face_id=2)])
    plot = WIDTH_PX - LEFT_PX - RIGHT_PX
    colour = FACE_COLOURS[1]
    order = 1  # the face born at 0 s is above
    assert columns_of(image, colour, order) == pytest.approx((LEFT_PX + plot / 4, LEFT_PX + plot * 3 / 4), abs=2)


def test_rows_stand_in_the_order_of_birth() -> None:
    image = draw([row(face_id=2, first_pts_s=5.0), row(face_id=1)])
    assert columns_of(image, FACE_COLOURS[1], 0)[0] < columns_of(image, FACE_COLOURS[2], 1)[0]


def test_generations_of_one_face_have_one_colour_and_neighbours_differ() -> None:
    image = draw([row(), row(generation=2, first_pts_s=5.0), row(face_id=2, first_pts_s=6.0)])
    columns_of(image, FACE_COLOURS[1], 0)
    columns_of(image, FACE_COLOURS[1], 1)
    columns_of(image, FACE_COLOURS[2], 2)


def test_states_are_a_stripe_below_the_bar() -> None:
    verdicts = ((0.0, FaceState.LIKELY_REAL), (5.0, FaceState.LIKELY_FAKE))
    image = draw([row(verdicts=verdicts)])
    real = columns_of(image, STATE_COLOURS[FaceState.LIKELY_REAL], 0)
    fake = columns_of(image, STATE_COLOURS[FaceState.LIKELY_FAKE], 0)
    assert real[1] == pytest.approx(fake[0], abs=2)
    assert fake[1] == pytest.approx(WIDTH_PX - RIGHT_PX, abs=2)


def height_of_line(image: Image.Image, x: float, row_index: int) -> float:
    """Where the score line crosses this column, as a share of the bar: 0 at its foot, 1 at its head."""
    top = TOP_PX + row_index * ROW_PX + (ROW_PX - BAR_PX) / 2
    column = np.asarray(image)[int(top) : int(top + BAR_PX), round(x)].astype(int)
    ys = np.nonzero(np.abs(column - INK).max(axis=1) < 60)[0]
    assert len(ys), f"no line at column {x}"
    return 1 - float(ys.mean()) / (BAR_PX - 1)


def test_scores_are_a_line_in_the_bar_at_their_height() -> None:
    image = draw([row(curve=((1.0, 0.1), (5.0, 0.9), (9.0, 0.9)))])
    plot = WIDTH_PX - LEFT_PX - RIGHT_PX
    at_start, at_end = (height_of_line(image, LEFT_PX + plot * share, 0) for share in (0.1, 0.7))
    assert at_start == pytest.approx(0.1, abs=0.1)
    assert at_end == pytest.approx(0.9, abs=0.1)
    assert (np.asarray(draw([row()])) == INK).all(axis=2)[TOP_PX : TOP_PX + ROW_PX, LEFT_PX:].sum() == 0


@pytest.mark.parametrize(
    ("changes", "value"),
    [({}, 0.58), ({"p_face": None}, 0.62), ({"p_face": None, "p_fake": None}, 0.875)],
    ids=["all evidence first", "else the window's probability", "else the raw score"],
)
def test_line_shows_the_best_score_there_is(changes: dict[str, object], value: float, tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    sink.send(at(0.0, appeared(1)))
    sink.send(score(2.0, **changes))
    sink.send(score(2.0, face_id=9))  # of a face that has no row
    (made,) = sink.rows()
    assert made.curve == ((2.0, value),)
    assert made.calibrated == (changes.get("p_fake", 1) is not None)


def test_raw_scores_and_probabilities_share_no_line(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    sink.send(at(0.0, appeared(1)))
    sink.send(raw(1.0, 0.3))
    sink.send(score(2.0))
    sink.send(raw(3.0, 0.3))
    (made,) = sink.rows()
    assert made.curve == ((2.0, 0.58),)


def test_line_of_a_long_life_is_averaged_to_a_bounded_number_of_points(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    sink.send(at(0.0, appeared(1)))
    for i in range(20_000):
        sink.send(raw(float(i), i / 20_000))
    (made,) = sink.rows()
    assert timeline.MOST_POINTS / 3 < len(made.curve) <= timeline.MOST_POINTS
    times, values = np.array(made.curve).T
    assert values == pytest.approx(times / 20_000, abs=1e-3)
    assert np.diff(times).max() < 3 * np.diff(times)[:-2].min()
    assert (times[0] < 100, times[-1] > 19_900) == (True, True)


def test_participant_has_a_row_above_all_others(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    sink.send(at(0.0, appeared(1)))
    for event in (
        at(2.0, participant(FaceState.UNCERTAIN)),
        at(5.0, participant(FaceState.LIKELY_FAKE, FaceState.UNCERTAIN)),
        at(6.0, participant(FaceState.LIKELY_FAKE, FaceState.LIKELY_FAKE)),
        at(10.0, EndOfStream(frames=250)),
    ):
        sink.send(event)
    assert sink._participant == [(2.0, FaceState.UNCERTAIN), (5.0, FaceState.LIKELY_FAKE)]
    image = sink.draw()
    plot = WIDTH_PX - LEFT_PX - RIGHT_PX
    unsure = columns_of(image, STATE_COLOURS[FaceState.UNCERTAIN], 0)
    fake = columns_of(image, STATE_COLOURS[FaceState.LIKELY_FAKE], 0)
    assert unsure == pytest.approx((LEFT_PX + plot * 0.2, LEFT_PX + plot * 0.5), abs=2)
    assert fake == pytest.approx((LEFT_PX + plot * 0.5, WIDTH_PX - RIGHT_PX), abs=3)
    columns_of(image, FACE_COLOURS[1], 1)


def test_participant_who_changes_without_end_is_bounded(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    for i in range(3 * timeline.MOST_ROWS):
        sink.send(at(float(i), participant(list(FaceState)[i % 2])))
    assert len(sink._participant) == timeline.MOST_ROWS


def test_break_is_a_line_through_every_row_where_it_happened() -> None:
    breaks = [Break(pts_s=5.0, words="cut")]
    image = draw([row(last_pts_s=4.0), row(face_id=2, last_pts_s=4.0), row(face_id=3, first_pts_s=9.0)], breaks)
    middle = LEFT_PX + (WIDTH_PX - LEFT_PX - RIGHT_PX) / 2
    for i in range(3):
        assert columns_of(image, ALARM, i)[0] == pytest.approx(middle, abs=2)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        *((MediaGap(cause=cause, gap_s=0.0), timeline.GAP_WORDS[cause]) for cause in GapCause),
        (StreamDown(url="u", code="TIMEOUT", message="", attempt=1), "source down"),
        (CannotJudge(missing_s=5.0), "cannot judge"),
        (EndOfStream(frames=1), "end of stream"),
    ],
)
def test_breaks_of_the_stream_are_named(kind: Kind, words: str, tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    sink.send(at(2.0, kind))
    assert [(item.pts_s, item.words) for item in sink._breaks] == [(2.0, words)]


def test_every_way_to_be_lost_has_a_word() -> None:
    assert set(LOST_WORDS) == set(LostCause)


def test_thumbnail_is_the_face_when_first_seen(tmp_path: Path) -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    rgb[20:60, 20:60] = (240, 60, 60)
    sink = TracksPicture(tmp_path / "tracks.png")
    sink.send(at(0.0, appeared(1)))
    sink.see(1, 1, Picture.from_rgb(rgb), BOX)
    sink.see(1, 1, Picture.from_rgb(np.zeros_like(rgb)), BOX)
    sink.see(9, 1, Picture.from_rgb(rgb), BOX)  # of a face that never appeared
    (made,) = sink.rows()
    assert made.thumbnail is not None
    assert np.abs(made.thumbnail[26, 26].astype(int) - (240, 60, 60)).max() < 8
    assert made.thumbnail[1, 1].max() < 12, "a little of the surroundings is shown"
    shown = np.asarray(sink.draw())[TOP_PX + ROW_PX // 2, 46]
    assert np.abs(shown.astype(int) - (240, 60, 60)).max() < 8


def test_late_faces_of_a_long_stream_are_only_counted(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "tracks.png")
    for face_id in range(timeline.MOST_ROWS + 7):
        sink.send(at(float(face_id), appeared(face_id)))
        sink.send(at(float(face_id), lost(face_id, float(face_id))))
    assert len(sink.rows()) == timeline.MOST_ROWS
    assert sink._left_out == 7


def test_stream_without_a_face_is_a_picture_too(tmp_path: Path) -> None:
    sink = TracksPicture(tmp_path / "new folder" / "tracks.png")
    sink.close()
    sink.close()
    with Image.open(tmp_path / "new folder" / "tracks.png") as image:
        assert image.width == WIDTH_PX


def test_an_older_picture_stays_if_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_written(image: Image.Image, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "tracks.png"
    path.write_bytes(b"older")
    monkeypatch.setattr(Image.Image, "save", half_written)
    with pytest.raises(SinkError):
        TracksPicture(path).close()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"tracks.png": b"older"}


def test_picture_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError):
        TracksPicture(tmp_path).close()


@pytest.mark.parametrize("span_s", [0.2, 1.0, 7.0, 59.0, 61.0, 600.0, 4000.0, 86_400.0, 2_000_000.0])
def test_axis_has_a_handful_of_round_ticks(span_s: float) -> None:
    assert 1 < span_s / tick_step(span_s) <= 10


@pytest.mark.parametrize(
    ("pts_s", "step_s", "words"),
    [
        (0.0, 1.0, "0 s"),
        (2.5, 0.5, "2.5 s"),
        (59.0, 1.0, "59 s"),
        (90.0, 30.0, "1:30"),
        (90.5, 0.5, "1:30.5"),
        (7500.0, 300.0, "2:05:00"),
    ],
)
def test_tick_is_written_as_people_do(pts_s: float, step_s: float, words: str) -> None:
    assert time_words(pts_s, step_s) == words


def test_stream_that_began_long_ago_is_drawn_from_its_first_face() -> None:
    image = draw([row(first_pts_s=90_000.0, last_pts_s=90_010.0)])
    assert columns_of(image, FACE_COLOURS[1], 0)[0] == pytest.approx(LEFT_PX, abs=2)
