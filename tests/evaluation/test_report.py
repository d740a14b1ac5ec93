"""The page: whole, without scripts or anything from outside, and nothing in it is made up."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamguard.data.index import Index
from streamguard.errors import SinkError
from streamguard.evaluation import charts
from streamguard.evaluation.conditions import HARMONISED, SHORTCUTS
from streamguard.evaluation.evaluate import Evaluation, Mistake, measure
from streamguard.evaluation.measures import Bin
from streamguard.evaluation.pictures import SIDE_PX, cut_face, take_pictures
from streamguard.evaluation.report import FACES, page, write_report
from streamguard.evaluation.traces import RAW, FaceTrace, Place, Trace, TraceSet
from streamguard.picture import Picture
from streamguard.values import Box
from tests.evaluation import made
from tests.evaluation.test_evaluate import CALIBRATION, people, whole


class Tags(HTMLParser):
    """Every tag is closed where it must be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def everything() -> TraceSet:
    """Raw, harmonised, three levels of noise and two changes of which nobody should mind."""
    traces = people(8)
    for i, condition in enumerate((HARMONISED, "noise/1", "noise/3", "noise/5", "mirror", SHORTCUTS[0])):
        traces += [
            made.trace(one.key, one.label, [(m.raw_score + 0.02 * i) / 1.2 for m in one.faces[0].moments],
                       group=one.group, condition=condition, twin=one.twin)
            for one in people(8)
        ]  # fmt: skip
    return whole(traces)


@pytest.fixture(scope="module")
def traces() -> TraceSet:
    return everything()


@pytest.fixture(scope="module")
def evaluation(traces: TraceSet) -> Evaluation:
    return measure(traces, CALIBRATION)


def test_page_is_whole_and_asks_for_nothing(evaluation: Evaluation, traces: TraceSet) -> None:
    html = page(evaluation, traces, title="made by hand", pictures={})
    tags = read(html)
    assert {tag for tag, _ in tags.seen}.isdisjoint({"script", "link", "iframe", "object", "form", "input"})
    assert not re.search(r"https?:|url\(|@import|\bon\w+=", html)
    assert ("meta", {"name": "robots", "content": "noindex"}) in tags.seen
    headings = [tag for tag, _ in tags.seen if tag == "h2"]
    assert len(headings) >= 10
    for words in ("Robustness", "Scores over time, raw", "Scores over time, harmonised", "Verdicts, raw",
                  "The worst mistakes", "Changed footage against itself"):  # fmt: skip
        assert words in tags.text


def test_numbers_on_the_page_are_those_of_the_evaluation(evaluation: Evaluation, traces: TraceSet) -> None:
    text = read(page(evaluation, traces, title="made", pictures={})).text
    auc = evaluation.of(RAW).tracks.auc
    assert f"{auc.value:.3f} [{auc.low90:.3f},\N{NO-BREAK SPACE}{auc.high90:.3f}]" in text
    change = evaluation.of("mirror").against_raw
    assert change is not None
    assert f"{change.change.value:+.3f}" in text
    assert f"{evaluation.of('noise/3').tracks.auc.value:.2f}" in text
    found = evaluation.of(RAW).verdicts
    assert found is not None
    assert f"{found.accused_tracks} of {found.accused.count}, at most {found.accused_bound:.1%}" in text


def test_what_is_not_defined_is_not_made_up() -> None:
    alone = whole([made.trace("a", "real", [0.1] * 4)])
    text = read(page(measure(alone), alone, title="one", pictures={})).text
    assert "n/a" in text
    assert "nan" not in text.lower()
    assert "Reliability" not in text, "uncalibrated: there are no probabilities"
    nobody = whole([made.trace("a", "real", [])])
    assert "nan" not in read(page(measure(nobody), nobody, title="none", pictures={})).text.lower()


def test_hostile_names_are_shown_and_nothing_else() -> None:
    bad = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"
    hostile = whole([made.trace(f"k{bad}", "fake", [0.2] * 4, method=bad), made.trace("r", "real", [0.8] * 4)])
    html = page(measure(hostile), hostile, title=bad, pictures={})
    tags = read(html)
    assert "script" not in {tag for tag, _ in tags.seen}
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in html
    assert "<script>alert(1)</script>" in tags.text, "as it is written"


def test_warnings_stand_on_top(traces: TraceSet) -> None:
    untrained = whole(traces.traces, trained=False)
    plain = read(page(measure(untrained), untrained, title="x", pictures={})).text
    assert "Warning: UNTRAINED" in plain
    assert FACES not in plain


def test_page_with_faces_says_that_it_must_stay_here(evaluation: Evaluation, traces: TraceSet) -> None:
    worst = evaluation.of(RAW).mistakes[0]
    pictures = {(worst.key, worst.face_id, worst.generation): "data:image/jpeg;base64,AAAA"}
    tags = read(page(evaluation, traces, title="x", pictures=pictures))
    assert FACES in tags.text
    assert [attributes["src"] for tag, attributes in tags.seen if tag == "img"] == ["data:image/jpeg;base64,AAAA"]


def test_page_is_put_in_place_whole(evaluation: Evaluation, traces: TraceSet, tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "report.html", evaluation, traces, title="x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    (tmp_path / "taken").mkdir()
    (tmp_path / "blocked").write_text("")
    with pytest.raises(SinkError):
        write_report(tmp_path / "blocked" / "report.html", evaluation, traces, title="x")


# Drawings.


def test_roc_goes_from_corner_to_corner() -> None:
    svg = charts.roc_chart([("raw", [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)])])
    plot = charts.Plot
    corners = [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]
    assert f'points="{" ".join(f"{plot.x(x)},{plot.y(y)}" for x, y in corners)}" class="line l0"' in svg


def test_reliability_draws_bins_that_hold_something() -> None:
    nan = float("nan")
    bins = [
        Bin(low=0.0, high=0.1, count=0.0, p=nan, share=nan, share_low=nan, share_high=nan),
        Bin(low=0.1, high=0.2, count=3.0, p=0.15, share=0.2, share_low=nan, share_high=nan),
        Bin(low=0.2, high=0.3, count=5.0, p=0.25, share=0.3, share_low=0.1, share_high=0.5),
    ]
    svg = charts.reliability_chart(bins)
    assert svg.count("<circle") == 2
    assert svg.count("whisker") == 1
    assert "nan" not in svg


def test_course_has_a_hole_where_nothing_could_be_judged() -> None:
    moments = (*made.moments([0.0, 1.0]), *made.moments([0.5], start_s=1.28, usable=False),
               *made.moments([0.5], start_s=1.92))  # fmt: skip
    svg = charts.course_chart(made.trace("a", "real", []), made.face(moments))
    lines = re.findall(r'points="([^"]+)" class="line', svg)
    width, height = charts.COURSE_PX
    assert lines == [f"0.0,{height - 2}.0 {width / 3:.1f},2.0", f"{width}.0,{height / 2}"]


def test_long_courses_are_thinned_and_keep_their_ends() -> None:
    thinned = charts.thinned(list(range(1000)))
    assert (len(thinned), thinned[0], thinned[-1]) == (charts.MOST_POINTS, 0, 999)
    assert charts.thinned([1, 2]) == [1, 2]


# Pictures.


def seen_at(key: str, pts_s: float, box: Box) -> Trace:
    face = made.face(made.moments([0.9] * 4))
    placed = FaceTrace(
        face_id=1, generation=1, start_s=0.0, end_s=2.0, quality=face.quality, usable_seconds=face.usable_seconds,
        places=(Place(0.0, Box(0, 0, 4, 4)), Place(pts_s, box)), moments=face.moments,
    )  # fmt: skip
    return made.trace(key, "real", [placed])


def mistake(key: str, pts_s: float) -> Mistake:
    return Mistake(key=key, label="real", method="", face_id=1, generation=1, score=2.0, worst_pts_s=pts_s)


def test_picture_is_of_the_face_at_its_worst_moment(portraits: Index) -> None:
    box = Box(90, 50, 150, 130)
    traces = [seen_at("ada", 1.0, box), seen_at("gone", 1.0, box)]
    wanted = [mistake("ada", 1.0), mistake("gone", 1.0), mistake("ada", 99.0)]
    (_, url), (_, gone), (_, late) = take_pictures(portraits, traces, wanted)
    assert gone == late == "", "it is not in the index; the footage is shorter"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"), float)
    assert shown.shape == (SIDE_PX, SIDE_PX, 3)
    with portraits.source(portraits.footage[0]) as source:
        frame = next(item for item in source if getattr(item, "pts_s", 0.0) >= 1.0)
    expected = cut_face(frame.picture, box)  # type: ignore[union-attr]  # only frames have a time
    assert np.abs(shown - expected).mean() < 6


def test_face_at_the_border_is_cut_all_the_same() -> None:
    picture = Picture.from_rgb(np.full((40, 60, 3), 90, np.uint8))
    for box in (Box(-500, -500, -400, -400), Box(0, 0, 1e6, 1e6), Box(5, 5, 5, 5)):
        assert cut_face(picture, box).shape == (SIDE_PX, SIDE_PX, 3)
