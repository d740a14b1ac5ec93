"""The annotated video shows boxes where faces are, keeps the pictures' times, and fits any size into the first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamguard.errors import ClosedError, SinkError, SinkFullError
from streamguard.events import Score
from streamguard.picture import Picture
from streamguard.sinks import annotate
from streamguard.sinks.annotate import PANEL, AnnotatedVideo, Label, draw_labels, face_label, text_size
from streamguard.values import Box, Face, FaceState
from tests.sample_events import KINDS, QUALITY

GREY = (90, 90, 90)
RED = (250, 20, 20)


def picture(width: int = 320, height: int = 240, colour: tuple[int, int, int] = GREY) -> Picture:
    return Picture.from_rgb(np.full((height, width, 3), colour, np.uint8))


def label(box: Box, *lines: str) -> Label:
    return Label(box_px=box, lines=lines, colour=RED)


def drawn(labels: list[Label], size: tuple[int, int] = (320, 240)) -> np.ndarray:
    image = Image.new("RGB", size, GREY)
    draw_labels(image, labels)
    return np.asarray(image)


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert all(frame.time is not None for frame in frames)
    return [float(frame.time or 0) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


def where(rgb: np.ndarray, colour: tuple[int, int, int], tolerance: int = 0) -> Box:
    """The smallest box around every pixel of this colour."""
    ys, xs = np.nonzero((np.abs(rgb.astype(int) - colour) <= tolerance).all(axis=2))
    assert len(xs), f"no pixel is {colour}"
    return Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)


def test_box_is_drawn_where_the_face_is() -> None:
    rgb = drawn([label(Box(100, 60, 180, 160))])
    assert where(rgb, RED) == Box(100, 60, 181, 161)
    assert tuple(rgb[110, 140]) == GREY, "the face itself stays visible"


def test_box_may_leave_the_picture_or_be_empty() -> None:
    drawn([label(Box(-50, -50, 40, 40), "a"), label(Box(300, 200, 400, 300), "b"), label(Box(9, 9, 9, 9), "c")])
    drawn([label(Box(-500, -500, -400, -400), "far outside")])


@pytest.mark.parametrize(
    "box",
    [Box(100, 100, 160, 160), Box(0, 0, 50, 50), Box(270, 190, 320, 240), Box(-30, 100, 30, 160), Box(0, 0, 320, 240)],
)
def test_text_stays_inside_the_picture(box: Box) -> None:
    rgb = drawn([label(box, "face 7.2", "96 px")])
    text = where(rgb, annotate.TEXT, tolerance=40)
    assert 0 < text.x0 < text.x1 < 320
    assert 0 < text.y0 < text.y1 < 240
    assert where(rgb, PANEL).width > text.width


def test_texts_of_neighbours_do_not_cover_each_other() -> None:
    size, first, second = (640, 480), Box(200, 200, 260, 280), Box(230, 200, 290, 280)
    one = panel_pixels(drawn([label(first, "face 1.1", "96 px")], size), drawn([label(first)], size))
    other = panel_pixels(drawn([label(second, "face 2.1", "96 px")], size), drawn([label(second)], size))
    both = panel_pixels(
        drawn([label(first, "face 1.1", "96 px"), label(second, "face 2.1", "96 px")], size),
        drawn([label(first), label(second)], size),
    )
    assert both > max(one, other) * 1.9


def panel_pixels(with_text: np.ndarray, without: np.ndarray) -> int:
    return int((with_text != without).any(axis=2).sum())


def test_text_can_be_read_at_720p_and_shrinks_with_the_picture() -> None:
    assert text_size((1280, 720)) == 20
    assert text_size((160, 120)) == 10


def test_face_label_names_id_generation_state_and_quality() -> None:
    face = Face(
        face_id=7, generation=2, box_px=Box(1, 2, 3, 4), points_px=np.zeros((5, 2), np.float32), quality=QUALITY
    )
    made = face_label(face, FaceState.LIKELY_FAKE)
    assert made.lines == (
        "face 7.2  likely fake",
        "96 px  sharp 0.80  light 0.45",
        "yaw -12  pitch +3  whole 0.97",
    )
    assert made.box_px == face.box_px
    assert made.colour == annotate.STATE_COLOURS[FaceState.LIKELY_FAKE]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"p_fake_low": 0.05, "p_fake_high": 0.3, "p_face": 0.93}, "p(fake) 0.93, window 0.12 [0.05 to 0.30]"),
        ({"p_fake_low": 0.05, "p_fake_high": 0.3, "p_face": None}, "p(fake) 0.12 [0.05 to 0.30]"),
        ({"p_fake_low": None, "p_fake_high": None, "p_face": None}, "p(fake) 0.12"),
        ({"p_fake": None, "raw_score": 0.51}, "raw 0.51, uncalibrated"),
    ],
)
def test_face_label_shows_the_score_and_whether_it_is_a_probability(changes: dict[str, float], line: str) -> None:
    face = Face(
        face_id=7, generation=2, box_px=Box(1, 2, 3, 4), points_px=np.zeros((5, 2), np.float32), quality=QUALITY
    )
    (score,) = [kind for kind in KINDS if isinstance(kind, Score)]
    made = face_label(face, FaceState.UNCERTAIN, score=replace(score, **{"p_fake": 0.12, **changes}))  # type: ignore[arg-type]
    assert made.lines[:2] == ("face 7.2  uncertain", line)
    assert made.lines[2:] == face_label(face).lines[1:]


def test_face_label_of_an_untrained_network_says_so() -> None:
    face = Face(
        face_id=7, generation=2, box_px=Box(1, 2, 3, 4), points_px=np.zeros((5, 2), np.float32), quality=QUALITY
    )
    (score,) = [kind for kind in KINDS if isinstance(kind, Score)]
    made = face_label(face, score=replace(score, p_fake=None, raw_score=0.51), trained=False)
    assert made.lines[1] == "raw 0.51, untrained"


def test_every_state_has_a_colour_of_its_own() -> None:
    assert set(annotate.STATE_COLOURS) == set(FaceState)
    assert len(set(annotate.STATE_COLOURS.values())) == len(FaceState)


@pytest.mark.parametrize("codec", annotate.ENCODERS)
def test_video_keeps_uneven_times_and_every_picture(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {codec}")
    monkeypatch.setattr(annotate, "ENCODERS", {"no_such_encoder": {}, codec: annotate.ENCODERS[codec]})
    times = [5.0, 5.04, 5.08, 5.5, 5.54, 7.123]
    with AnnotatedVideo(tmp_path / "out" / "video.mp4") as video:
        for pts_s in times:
            video.add(picture(), pts_s)
        assert video.pictures == len(times)
    read, _ = decoded(tmp_path / "out" / "video.mp4")
    assert read == pytest.approx([pts_s - 5.0 for pts_s in times], abs=1e-4)
    with av.open(str(tmp_path / "out" / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.duration * stream.time_base >= read[-1], "a player would stop before the last picture"


def test_time_that_does_not_grow_is_placed_after_the_one_before(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4") as video:
        for pts_s in (1.0, 1.0, 0.5, 1.2):
            video.add(picture(), pts_s)
    read, _ = decoded(tmp_path / "video.mp4")
    assert read == pytest.approx([0.0, 0.0, 0.0, 0.2], abs=1e-3)
    assert read == sorted(set(read))


def test_colours_and_boxes_survive_the_encoder(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4") as video:
        video.add(picture(640, 480, (40, 160, 70)), 0.0, [label(Box(200, 100, 400, 300))])
    _, pictures = decoded(tmp_path / "video.mp4")
    assert np.abs(pictures[0][200, 300].astype(int) - (40, 160, 70)).max() <= 6
    assert where(pictures[0], RED, tolerance=40) == pytest.approx(Box(200, 100, 400, 300), abs=3)


def test_change_of_size_is_letterboxed_and_its_boxes_move_along(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4") as video:
        video.add(picture(640, 480), 0.0)
        video.add(picture(240, 480, (200, 200, 200)), 0.1, [label(Box(60, 100, 180, 300))])
    _, pictures = decoded(tmp_path / "video.mp4")
    assert pictures[1].shape == (480, 640, 3)
    assert pictures[1][240, 100].max() < 20, "black beside the narrow picture"
    assert pictures[1][240, 320].min() > 180
    assert where(pictures[1], RED, tolerance=40) == pytest.approx(Box(260, 100, 380, 300), abs=4)


@pytest.mark.parametrize(("width", "height"), [(321, 241), (322, 241), (7, 5), (1, 1), (2, 400)])
def test_any_first_size_becomes_a_video(width: int, height: int, tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4") as video:
        video.add(picture(width, height), 0.0, [label(Box(0, 0, width, height), "face 1.1", "tiny")])
    _, pictures = decoded(tmp_path / "video.mp4")
    assert pictures[0].shape[:2] == (max(16, height // 2 * 2), max(16, width // 2 * 2))


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "video.mp4")
    video.add(picture(), 0.0)
    video.close()
    video.close()
    with pytest.raises(ClosedError):
        video.add(picture(), 1.0)


def test_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with AnnotatedVideo(tmp_path / "file" / "video.mp4") as video, pytest.raises(SinkError):
        video.add(picture(), 0.0)


def test_full_disk_is_a_typed_error_once() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    video = AnnotatedVideo(Path("/dev/full"))

    def fill() -> None:
        for i in range(50):
            video.add(Picture.from_rgb(noise), i / 25)
        video.close()

    with pytest.raises(SinkFullError):
        fill()
    video.close()


def test_no_encoder_at_all_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotate, "ENCODERS", {"no_such_encoder": {}})
    with AnnotatedVideo(tmp_path / "video.mp4") as video, pytest.raises(SinkError, match="can encode neither"):
        video.add(picture(), 0.0)


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"older")
    with AnnotatedVideo(path) as video:
        video.add(picture(), 0.0)
        assert path.read_bytes() == b"older"
    assert len(decoded(path)[0]) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_finished_leaves_the_older_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "video.mp4"
    path.write_bytes(b"older")
    video = AnnotatedVideo(path)
    video.add(picture(), 0.0)
    monkeypatch.setattr(video, "_encode", broken)
    with pytest.raises(SinkFullError):
        video.add(picture(), 0.04)
    video.close()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"video.mp4": b"older"}
