"""The report is one file that needs nothing else, tells what happened in words, and lets nobody write markup in it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamguard.errors import ClosedError, SinkError
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
    StreamDown,
    StreamUp,
    VerdictChanged,
)
from streamguard.picture import Picture
from streamguard.sinks import Sink, report_story
from streamguard.sinks.annotate import STATE_COLOURS
from streamguard.sinks.markup import element
from streamguard.sinks.report import Report
from streamguard.sinks.report_page import is_warning
from streamguard.sinks.report_story import Bar, Story, merged
from streamguard.sinks.report_style import STYLE
from streamguard.sinks.report_words import (
    GAP_WORDS,
    LOST_MEANING,
    LOST_WORDS,
    REASON_MEANING,
    REASON_WORDS,
    STATE_MEANING,
    moment,
    seconds,
)
from streamguard.values import Box, FaceState, GapCause, LostCause, Reason
from tests.sample_events import EVENTS, KINDS, event_of

BOX = Box(20.0, 20.0, 60.0, 60.0)
RED, GREEN = (240, 60, 60), (40, 200, 90)
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\u202egnp.exe\u2066 \x00\ud800</title></style>-->"
)
VOID = {"meta", "img", "br", "hr", "col"}


@dataclass
class Page(HTMLParser):
    """Reads a page strictly: every element is closed where it should be."""

    text: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.feed(self.text)
        self.close()
        self.wrong += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if len(dict(attributes)) != len(attributes):
            self.wrong.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> does not close what is open")

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data

    def of(self, *, tag: str = "", css: str = "") -> list[dict[str, str]]:
        return [
            attributes
            for name, attributes in self.tags
            if tag in ("", name) and (not css or css in attributes.get("class", "").split())
        ]

    @property
    def plain(self) -> str:
        return re.sub(r"\s+", " ", self.words)


def at(pts_s: float, kind: Kind) -> Event:
    return replace(event_of(kind), pts_s=pts_s)


def appeared(face_id: int = 1, generation: int = 1) -> FaceAppeared:
    return FaceAppeared(face_id=face_id, generation=generation, box_px=BOX)


def lost(face_id: int, last_s: float, cause: LostCause = LostCause.GONE, generation: int = 1) -> FaceLost:
    return FaceLost(face_id=face_id, generation=generation, cause=cause, last_seen_pts_s=last_s)


def verdict(
    state: FaceState,
    previous: FaceState = FaceState.WARMING_UP,
    *reasons: Reason,
    face_id: int = 1,
    generation: int = 1,
) -> VerdictChanged:
    return VerdictChanged(face_id=face_id, generation=generation, state=state, previous=previous, reasons=reasons)


def score(end_s: float, p_fake: float | None, face_id: int = 1, *, raw: float = 0.5, **changes: object) -> Score:
    (sample,) = [kind for kind in KINDS if isinstance(kind, Score)]
    fields: dict[str, object] = {
        "face_id": face_id,
        "generation": 1,
        "pts_start_s": end_s - 0.5,
        "pts_end_s": end_s,
        "raw_score": raw,
        "p_fake": p_fake,
        "p_fake_low": None if p_fake is None else max(0.0, p_fake - 0.1),
        "p_fake_high": None if p_fake is None else min(1.0, p_fake + 0.1),
        "p_face": p_fake,
        "reasons": (),
        **changes,
    }
    return replace(sample, **fields)  # type: ignore[arg-type]


def participant(state: FaceState, face_id: int = 1) -> ParticipantVerdictChanged:
    return ParticipantVerdictChanged(
        state=state, previous=FaceState.UNCERTAIN, p_fake=0.93, face_id=face_id, generation=1
    )


def painted(colour: tuple[int, int, int]) -> Picture:
    rgb = np.full((100, 100, 3), 10, np.uint8)
    rgb[20:60, 20:60] = colour
    return Picture.from_rgb(rgb)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Page]:
    """Sends events, closes, and reads the page."""

    def write(events: Iterable[Event], *, title: str = "a call", notes: Iterable[str] = ()) -> Page:
        report = Report(tmp_path / "report.html", title=title, notes=tuple(notes))
        for event in events:
            report.send(event)
        report.close()
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert page.wrong == []
        return page

    return write


# One file that needs nothing else.


def test_is_a_sink_that_takes_every_kind(written: Callable[..., Page], tmp_path: Path) -> None:
    assert isinstance(Report(tmp_path / "other.html", title=""), Sink)
    page = written(EVENTS)
    assert page.plain.count("Face 7") >= 2
    assert "The stream ended after 9,000,000,000 frames." in page.plain


def test_page_runs_nothing_and_loads_nothing(written: Callable[..., Page]) -> None:
    page = written(busy_stream())
    assert page.of(tag="script") == page.of(tag="link") == page.of(tag="iframe") == []
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "xlink:href", "data", "action", "style"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,")), (tag, attributes)
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert all(value.startswith("url(#") for _, a in page.tags for value in a.values() if "url(" in value)
    (policy,) = [meta["content"] for meta in page.of(tag="meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_every_link_inside_the_page_leads_somewhere(written: Callable[..., Page]) -> None:
    page = written(busy_stream())
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = [attributes["href"][1:] for attributes in page.of(tag="a")]
    patterns = {value[5:-1] for _, a in page.tags for value in a.values() if value.startswith("url(#")}
    assert len(ids) == len(set(ids))
    assert links
    assert patterns
    assert set(links) | patterns <= set(ids)


def test_drawings_and_pictures_say_in_words_what_they_show(written: Callable[..., Page], tmp_path: Path) -> None:
    page = written(busy_stream())
    charts = page.of(tag="svg", css="chart")
    assert len(charts) == 3, "the participant and two faces"
    assert all(chart["role"] == "img" for chart in charts)
    assert "Face 2 over time" in page.plain
    assert "probability of fake 0.90 to 0.90" in page.plain
    assert "likely fake from 4.00 s" in page.plain


def busy_stream() -> Iterator[Event]:
    """Two faces, one of them twice, with verdicts, scores, and everything that can go wrong."""
    yield at(0.0, StreamUp(url="rtsp://camera/door", width=1280, height=720, codec="h264"))
    yield at(0.5, appeared(1))
    yield at(0.5, appeared(2))
    for i in range(1, 9):
        yield at(float(i), score(float(i), 0.1))
        yield at(float(i), score(float(i), 0.9, face_id=2))
    yield at(4.0, verdict(FaceState.LIKELY_FAKE, face_id=2))
    yield at(4.0, participant(FaceState.LIKELY_FAKE, face_id=2))
    yield at(5.0, verdict(FaceState.LOW_QUALITY, FaceState.WARMING_UP, Reason.DARK, Reason.BLURRED))
    yield at(9.0, lost(1, 8.5, LostCause.DOUBT))
    yield at(9.5, appeared(1, 2))
    yield at(10.0, CannotJudge(missing_s=2.0, reasons=(Reason.OCCLUDED,)))
    yield at(11.0, StreamDown(url="u", code="TIMEOUT", message="sent nothing", attempt=1, retry_in_s=0.5))
    yield at(14.0, MediaGap(cause=GapCause.RECONNECTED, gap_s=3.0))
    yield at(15.0, Blinded(silent_s=2.0))
    yield at(16.0, Overload(effective_hop_s=1.28, dropped=12))
    yield at(17.0, EventsLost(first_seq=100, last_seq=140))
    yield at(20.0, EndOfStream(frames=500))


# What others wrote stays text.


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([at(1.0, StreamUp(url=HOSTILE, width=1, height=1, codec=HOSTILE))], id="url and codec"),
        pytest.param([at(1.0, StreamDown(url="u", code=HOSTILE, message=HOSTILE, attempt=1))], id="failure"),
        pytest.param([replace(at(1.0, Blinded(silent_s=2.0)), stream_id=HOSTILE)], id="stream id"),
        pytest.param([replace(at(1.0, Blinded(silent_s=2.0)), participant_id=HOSTILE)], id="participant id"),
    ],
)
def test_hostile_events_appear_as_text(events: list[Event], written: Callable[..., Page]) -> None:
    shows_hostile_text_only(written(events))


def test_hostile_title_and_notes_appear_as_text(written: Callable[..., Page]) -> None:
    shows_hostile_text_only(written([], title=HOSTILE))
    shows_hostile_text_only(written([], notes=["UNTRAINED " + HOSTILE]))
    shows_hostile_text_only(written([], notes=[HOSTILE]))


def shows_hostile_text_only(page: Page) -> None:
    assert page.of(tag="script") == page.of(tag="img") == []
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;" in page.words
    assert "\\u202egnp.exe\\u2066" in page.words, "what turns text around is shown, not obeyed"
    assert "\\u0000\\ud800</title></style>-->" in page.words
    assert not re.search("[\x00\u202a-\u202e\u2066-\u2069]", page.text)


def test_markup_is_only_what_was_made_as_markup() -> None:
    hostile = "\"><b onclick='x'>"
    made = element("p", hostile, element("i", "fine"), title=hostile, hidden=None, aria_label="a")
    written = "&quot;&gt;&lt;b onclick=&#x27;x&#x27;&gt;"
    assert made == f'<p title="{written}" aria-label="a">{written}<i>fine</i></p>'
    assert element("img", src="#") == '<img src="#">'


def test_ten_thousand_characters_are_cut_and_counted(written: Callable[..., Page]) -> None:
    page = written(
        [at(1.0, StreamDown(url="u", code="X", message="m" * 10_000, attempt=1))],
        title="t" * 10_000,
        notes=["n" * 10_000, *("note" for _ in range(10_000))],
    )
    assert "t" * 400 + " … (9600 more characters)" in page.words
    assert "n" * 400 + " … (9600 more characters)" in page.words
    assert "m" * 300 in page.words
    assert "9,981 more notes left out" in page.plain
    assert len(page.text) < 40_000


def test_names_in_any_script_stay_readable(written: Callable[..., Page]) -> None:
    assert "Žofie 🙂 שלום 👩\u200d🚀" in written([], title="Žofie 🙂 שלום 👩\u200d🚀").words


# What it says.


def test_summary_says_that_nobody_was_judged_and_why(written: Callable[..., Page]) -> None:
    faces = [at(0.1, appeared(1)), at(0.2, appeared(2))]
    end = at(12.0, EndOfStream(frames=300))
    assert "2 faces in 12.0 s of video. Nobody was judged: no window was scored." in written([*faces, end]).plain
    raw = [at(2.0, score(2.0, None)), at(2.0, verdict(FaceState.UNCERTAIN, FaceState.WARMING_UP, Reason.UNCALIBRATED))]
    uncalibrated = written([*faces, *raw, end]).plain
    assert "1 window scored. Nobody was judged: the scores are not calibrated, so they are no" in uncalibrated
    unsure = [at(2.0, score(2.0, 0.5)), at(2.0, verdict(FaceState.UNCERTAIN))]
    undecided = written([*faces, *unsure, end]).plain
    assert "No face could be decided: what was seen was not enough." in undecided
    assert "Nobody was judged" not in undecided


def test_summary_names_who_looked_fake_and_who_real(written: Callable[..., Page]) -> None:
    events = [at(0.1, appeared(face_id)) for face_id in (1, 2, 3, 4, 5, 6)]
    for face_id, states in {
        1: [FaceState.LIKELY_REAL],
        2: [FaceState.LIKELY_FAKE],
        3: [FaceState.LIKELY_FAKE, FaceState.UNCERTAIN],
        4: [FaceState.LIKELY_REAL, FaceState.UNCERTAIN],
        5: [FaceState.LIKELY_REAL],
    }.items():
        events += [at(1.0 + i, verdict(state, face_id=face_id)) for i, state in enumerate(states)]
    said = written(events).plain
    assert "Face 2 looked likely fake at the end." in said
    assert "Face 3 looked likely fake for a time." in said
    assert "Faces 1 and 5 looked likely real." in said
    assert "Face 4 looked likely real for a time." in said
    assert "Face 6 could not be decided." in said
    assert "Nobody was judged" not in said


def test_a_fake_generation_is_not_forgotten_when_the_face_comes_back(written: Callable[..., Page]) -> None:
    events = [at(0.1, appeared()), at(1.0, verdict(FaceState.LIKELY_FAKE)), at(2.0, lost(1, 2.0, LostCause.DOUBT))]
    events += [at(3.0, appeared(1, 2)), at(4.0, verdict(FaceState.LIKELY_REAL, generation=2))]
    said = written(events).plain
    assert "Face 1 looked likely fake for a time." in said
    assert "looked likely real" not in said


def test_empty_stream_is_a_sensible_page(written: Callable[..., Page]) -> None:
    assert "No face was seen. Nobody was judged." in written([]).plain
    up = at(0.0, StreamUp(url="call.mp4", width=640, height=360, codec="h264"))
    page = written([up, at(12.0, EndOfStream(frames=300))])
    assert "No face was seen in 12.0 s of video. Nobody was judged." in page.plain
    assert "call.mp4, 640 × 360 pixels, h264" in page.plain
    assert page.of(tag="table") == page.of(tag="svg", css="chart") == []


def test_a_face_without_a_score_has_a_strip_and_no_curve(written: Callable[..., Page]) -> None:
    page = written([at(0.0, appeared()), at(3.0, verdict(FaceState.LOW_QUALITY, FaceState.WARMING_UP, Reason.DARK))])
    assert page.of(tag="path", css="bar") == []
    assert len(page.of(tag="rect", css="low_quality")) > 1, "one more than in the legend"
    assert "No window was scored" in page.plain


def test_notes_in_capitals_stand_out_as_warnings(written: Callable[..., Page]) -> None:
    page = written([], notes=["UNTRAINED bundle: scores mean nothing", "StreamGuard 0.3.0"])
    assert len(page.of(css="warning")) == 1
    assert "Warning: UNTRAINED bundle: scores mean nothing" in page.plain
    assert "StreamGuard 0.3.0" in page.plain
    assert [is_warning(note) for note in ("GPU is used", "A face", "", "  ", "UNTRAINED", "Untrained")] == [
        *(False, False, False, False, True, False)
    ]


def test_axis_says_which_kind_of_score_it_shows(written: Callable[..., Page]) -> None:
    face = at(0.0, appeared())
    calibrated = written([face, at(1.0, score(1.0, 0.2))]).plain
    raw = written([face, at(1.0, score(1.0, None))]).plain
    assert "Probability of fake, 0 to 1" in calibrated
    assert "where it lies with 90% confidence" in calibrated
    assert "running mean" not in calibrated
    assert "Raw score (uncalibrated), 0 to 1" in raw
    assert "running mean of the last five raw scores" in raw
    assert "Probability of fake" not in raw
    mixed = written([face, at(1.0, score(1.0, 0.2)), at(2.0, score(2.0, None))]).plain
    assert "1 score without a calibrated probability not drawn" in mixed


def test_table_has_a_row_a_face_with_its_numbers(written: Callable[..., Page]) -> None:
    page = written(busy_stream())
    assert len(page.of(tag="tr")) == 3
    assert "Face 2 1 0.50 s to 20.00 s 8 likely fake 0.90 none".replace(" ", "") in page.plain.replace(" ", "")
    assert "Face 1 2 0.50 s to 20.00 s 8 warming up 0.10 too dark, blurred".replace(" ", "") in page.plain.replace(
        " ", ""
    )


def test_what_happened_to_the_stream_is_listed_and_marked(written: Callable[..., Page]) -> None:
    page = written(busy_stream())
    for words in (
        "Nobody could be judged for 2.0 s: covered.",
        "The source failed. Tried again in 0.50 s. TIMEOUT: sent nothing",
        "Media time broke: reconnected, 3.0 s of media time are missing. All faces start anew.",
        "No picture came for 2.0 s: blind.",
        "The machine could not keep up: scores come every 1.3 s, 12 windows dropped.",
        "Events 100 to 140 were lost: what they told is missing here.",
        "The stream ended after 500 frames.",
    ):
        assert words in page.plain
    assert "6 things went wrong on the way" in page.plain
    assert len(page.of(css="hole")) == 2 * 3, "two times that are missing, in each of three drawings"
    assert {line["x1"] for line in page.of(tag="line", css="alarm")} == {
        *("50.00%", "55.00%", "70.00%", "75.00%", "80.00%", "85.00%")
    }


def test_stream_that_was_left_before_its_end_says_so(written: Callable[..., Page]) -> None:
    assert "the stream did not say that it was over" in written([at(3.0, appeared())]).plain


def test_generations_are_told_apart_with_how_they_ended(written: Callable[..., Page]) -> None:
    page = written(busy_stream())
    assert "Generation 1: 0.50 s to 8.50 s, ended: in doubt." in page.plain
    assert "Generation 2: 9.50 s to 20.00 s, still there at the end." in page.plain
    assert {line["x1"] for line in page.of(tag="line", css="border")} == {"2.50%", "42.50%", "47.50%", "100.00%"}


def test_participant_has_its_own_strip(written: Callable[..., Page]) -> None:
    page = written(busy_stream())
    assert "probability of fake 0.93 then, resting on face 2.1." in page.plain
    assert "The participant looked likely fake at the end." in page.plain
    assert "Kept across faces" in page.plain
    assert "Kept across faces" not in written([at(0.0, appeared())]).plain


@pytest.mark.parametrize("table", [REASON_WORDS, REASON_MEANING], ids=["words", "meaning"])
def test_every_reason_has_words(table: dict[Reason, str]) -> None:
    assert set(table) == set(Reason)


def test_everything_else_has_words_too() -> None:
    assert set(STATE_MEANING) == set(FaceState)
    assert set(GAP_WORDS) == set(GapCause)
    assert set(LOST_WORDS) == set(LOST_MEANING) == set(LostCause)


def test_words_on_states_can_be_read() -> None:
    """WCAG AA: 4.5 to 1, for the dark text on each state's colour."""
    assert "fill:#0b1220" in STYLE
    for colour in STATE_COLOURS.values():
        assert contrast(colour, (0x0B, 0x12, 0x20)) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_in_light_and_dark(scheme: int) -> None:
    def colour(name: str) -> tuple[int, ...]:
        digits = re.findall(rf"--{name}:#([0-9a-f]{{3,6}})", STYLE)[scheme]
        whole = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
        return tuple(bytes.fromhex(whole))

    for text, ground in (
        *((text, ground) for text in ("ink", "faint", "alarm") for ground in ("ground", "card")),
        *(("warn-ink", "warn-ground"), ("on-mark", "alarm"), ("on-mark", "calm")),
    ):
        assert contrast(colour(text), colour(ground)) >= 4.5, (text, ground)


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    def luminance(colour: tuple[int, ...]) -> float:
        linear = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# Curves.


def path_of(page: Page, css: str) -> str:
    (path,) = [a["d"] for a in page.of(tag="path", css=css) if "viewBox" not in a and len(a["d"]) > 8]
    return path


def test_score_is_a_bar_over_its_window_at_its_height(written: Callable[..., Page]) -> None:
    events = [at(0.0, appeared()), at(5.0, score(5.0, 0.25, pts_start_s=2.0)), at(10.0, EndOfStream(frames=1))]
    page = written(events)
    assert path_of(page, "bar") == "M2000 750H5000"
    assert path_of(page, "band") == "M2000 650H5000V850H2000Z"


def test_line_shows_what_all_evidence_adds_up_to(written: Callable[..., Page]) -> None:
    events = [at(float(i), score(float(i), 0.5, p_face=i / 10)) for i in (2, 4, 6)]
    page = written([at(0.0, appeared()), *events, at(10.0, EndOfStream(frames=1))])
    assert path_of(page, "sum") == "M2000 800L4000 600L6000 400"


def test_raw_scores_have_a_running_mean_of_five_and_its_spread(written: Callable[..., Page]) -> None:
    heights = [0.2, 0.4, 0.6, 0.8, 1.0, 0.2]
    events = [at(1.0 + i, score(1.0 + i, None, raw=raw)) for i, raw in enumerate(heights)]
    page = written([at(0.0, appeared()), *events, at(10.0, EndOfStream(frames=1))])
    line = [tuple(map(int, point.split())) for point in path_of(page, "sum")[1:].split("L")]
    assert line[4] == (5000, 400), "the mean of 0.2 to 1.0 is 0.6"
    assert line[5] == (6000, 400), "the first is forgotten"
    band = [tuple(map(int, point.split())) for point in path_of(page, "band")[1:-1].split("L")]
    assert band[4] == (5000, round(1000 * (1 - 0.6 - np.std(heights[:5]))))


def test_no_line_crosses_a_generation_or_a_long_hole(written: Callable[..., Page]) -> None:
    def runs(*events: Event) -> int:
        return path_of(written([at(0.0, appeared()), *events, at(30.0, EndOfStream(frames=1))]), "sum").count("M")

    one, two = at(1.0, score(1.0, 0.5)), at(2.0, score(2.0, 0.5))
    assert runs(one, two) == 1
    assert runs(one, two, at(12.0, score(12.0, 0.5))) == 2
    second = at(2.6, score(2.6, 0.5, generation=2))
    assert runs(one, at(1.1, lost(1, 1.1)), at(2.0, appeared(1, 2)), second) == 2


def test_states_fill_the_strip_from_birth_to_loss(written: Callable[..., Page]) -> None:
    events = [at(0.0, appeared()), at(2.0, verdict(FaceState.UNCERTAIN)), at(5.0, verdict(FaceState.LIKELY_FAKE))]
    page = written([*events, at(8.0, lost(1, 8.0)), at(10.0, EndOfStream(frames=1))])
    strip = [
        (rect["class"].split()[1], rect["x"], rect["width"]) for rect in page.of(tag="rect", css="state") if "x" in rect
    ]
    assert strip == [
        ("warming_up", "0.00%", "20.00%"),
        ("uncertain", "20.00%", "30.00%"),
        ("likely_fake", "50.00%", "30.00%"),
    ]


def test_a_clock_that_began_long_ago_is_drawn_from_the_first_event(written: Callable[..., Page]) -> None:
    up = at(0.0, StreamUp(url="u", width=1, height=1, codec="c"))
    events = [up, at(1_800_000_000.0, appeared()), at(1_800_000_010.0, EndOfStream(frames=250))]
    page = written(events)
    assert "1 face in 10.0 s of video." in page.plain
    assert {line["x1"] for line in page.of(tag="line", css="border")} == {"0.00%", "100.00%"}


# Pictures.


def thumbnails(path: Path) -> list[np.ndarray]:
    page = Page(path.read_text(encoding="utf-8"))
    sources = [image["src"].removeprefix("data:image/jpeg;base64,") for image in page.of(tag="img")]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


def test_picture_stands_at_its_turning_point(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with Report(path, title="a call") as report:
        for event, colour in (
            (at(0.5, appeared()), GREEN),
            (at(4.0, verdict(FaceState.LIKELY_FAKE, FaceState.UNCERTAIN, Reason.BLURRED)), RED),
        ):
            report.send(event)
            report.see(event.pts_s, 1, 1, painted(colour), BOX)
    first, second = thumbnails(path)
    assert np.abs(first[88, 88].astype(int) - GREEN).max() < 12
    assert np.abs(second[88, 88].astype(int) - RED).max() < 12
    assert first[2, 2].max() < 30, "a little of the surroundings is shown"
    page = Page(path.read_text(encoding="utf-8"))
    assert [image["alt"] for image in page.of(tag="img")] == [
        "Face 1 at 0.50 s, warming up",
        "Face 1 at 4.00 s, likely fake",
    ]
    assert "4.00 s uncertain → likely fakeWhy: blurred" in page.plain


def test_what_changes_at_one_moment_is_one_turning_point_with_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with Report(path, title="a call") as report:
        report.send(at(0.5, appeared()))
        for kind, colour in (
            (verdict(FaceState.LIKELY_FAKE, FaceState.UNCERTAIN), RED),
            (participant(FaceState.LIKELY_FAKE), GREEN),
        ):
            report.send(at(4.0, kind))
            report.see(4.0, 1, 1, painted(colour), BOX)
    (shown,) = thumbnails(path)
    assert np.abs(shown[88, 88].astype(int) - RED).max() < 12, "the first stays"
    page = Page(path.read_text(encoding="utf-8"))
    assert len(page.of(tag="li", css="turn")) == 2
    assert len(page.of(tag="img")) == 1
    assert "participant: uncertain → likely fake" in page.plain


def test_picture_of_a_face_that_did_not_turn_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with Report(path, title="a call") as report:
        report.see(0.0, 1, 1, painted(RED), BOX)
        report.send(at(0.5, appeared()))
        report.see(0.5, 2, 1, painted(RED), BOX)
        report.see(0.5, 1, 7, painted(RED), BOX)
        report.send(at(0.6, lost(1, 0.6)))
        report.see(0.6, 1, 1, painted(RED), BOX)
    assert thumbnails(path) == []


@pytest.mark.parametrize("box", [Box(-500, -500, -400, -400), Box(5, 5, 5, 5), Box(-1e6, -1e6, 1e6, 1e6)])
def test_any_box_gives_a_picture(box: Box, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with Report(path, title="a call") as report:
        report.send(at(0.5, appeared()))
        report.see(0.5, 1, 1, painted(RED), box)
    assert len(thumbnails(path)) == 1


# Bounds.


def test_a_hundred_thousand_scores_become_a_bounded_drawing_that_says_so(written: Callable[..., Page]) -> None:
    def events() -> Iterator[Event]:
        yield at(0.0, appeared())
        for i in range(100_000):
            yield at(1.0 + i, score(1.0 + i, 0.9 if i >= 50_000 else 0.1))

    page = written(events())
    assert "100,000 windows scored" in page.plain
    assert "the mean of up to 64 neighbouring scores" in page.plain
    bars = re.findall(r"M(\d+) (\d+)H(\d+)", path_of(page, "bar"))
    assert 1_000 <= len(bars) <= report_story.MOST_BARS
    assert [height for _, height, _ in bars[:700]] == ["900"] * 700
    assert [height for _, height, _ in bars[-700:]] == ["100"] * 700
    assert len(page.text) < 250_000


def test_scores_are_thinned_evenly_and_never_across_generations() -> None:
    story = Story()
    for generation in (1, 2):
        story.add(at(0.0, appeared(1, generation)))
        for i in range(3_333):
            story.add(at(0.0, score(10_000.0 * generation + i, 0.5, generation=generation)))
        story.add(at(0.0, lost(1, 0.0, generation=generation)))
    face = story.faces[1]
    assert len(face.bars) <= report_story.MOST_BARS
    assert sum(bar.scores for bar in face.bars) == 6_666
    assert {bar.scores for bar in face.bars[:500]} == {face.scores_a_bar}
    for bar in face.bars:
        assert bar.start_s >= 10_000.0 * bar.generation - 1
        assert bar.end_s <= 10_000.0 * bar.generation + 3_333


def test_merged_bars_span_both_and_weigh_them_by_their_scores() -> None:
    one = Bar(generation=1, start_s=1.0, end_s=2.0, raw=0.2, mean=0.1, spread=0.1, scores=3)
    one = replace(one, p_fake=0.2, low=0.1, high=0.4, p_face=0.3)
    other = replace(one, start_s=2.0, end_s=3.0, raw=0.6, mean=0.5, p_fake=0.6, low=0.5, high=0.7, p_face=0.4, scores=1)
    both = merged(one, other)
    assert (both.start_s, both.end_s, both.scores) == (1.0, 3.0, 4)
    assert [both.raw, both.p_fake] == pytest.approx([0.3, 0.3])
    assert (both.low, both.high) == (0.1, 0.7)
    assert (both.mean, both.p_face) == (0.5, 0.4), "what was known at the end"


def test_scores_with_and_without_calibration_in_turns_are_bounded_too() -> None:
    story = Story()
    story.add(at(0.0, appeared()))
    for i in range(3 * report_story.MOST_BARS):
        story.add(at(float(i), score(float(i), None if i % 2 else 0.3)))
    assert len(story.faces[1].bars) <= report_story.MOST_BARS
    assert all(bar.p_fake == pytest.approx(0.3) for bar in story.faces[1].bars[:-1])


def test_many_faces_share_a_bound_on_scores() -> None:
    story = Story()
    for face_id in range(20):
        story.add(at(0.0, appeared(face_id)))
    for i in range(1_500):
        for face_id in range(20):
            story.add(at(float(i), score(float(i), 0.3, face_id=face_id)))
    assert sum(len(face.bars) for face in story.faces.values()) <= report_story.MOST_BARS_TOGETHER
    assert min(len(face.bars) for face in story.faces.values()) > 300
    assert story.scores == 30_000


def test_late_generations_are_counted_and_their_scores_too(written: Callable[..., Page]) -> None:
    events = []
    for face_id in range(report_story.MOST_GENERATIONS + 7):
        events += [at(1.0 + face_id, appeared(face_id)), at(1.0 + face_id, score(1.0 + face_id, 0.2, face_id))]
        events.append(at(1.0 + face_id, lost(face_id, 1.0 + face_id)))
    page = written(events)
    assert len(page.of(tag="section", css="face")) == report_story.MOST_GENERATIONS
    assert "200 or more faces" in page.plain
    assert "207 windows scored" in page.plain
    assert "7 later face generations not shown: this report holds 200." in page.plain
    assert "7 scores of faces that are not shown, or that had ended." in page.plain


def test_turning_points_of_a_flickering_face_are_thinned_and_the_telling_ones_stay() -> None:
    story = Story()
    story.add(at(0.0, appeared()))
    for i in range(1, 2_000):
        state = FaceState.LIKELY_FAKE if i == 1_000 else (FaceState.UNCERTAIN, FaceState.LOW_QUALITY)[i % 2]
        story.add(at(float(i), verdict(state)))
        story.see((1, 1), lambda: b"jpeg")
    face = story.faces[1]
    assert len(face.turns) == report_story.MOST_TURNS
    assert face.turns_left_out == 2_000 - report_story.MOST_TURNS
    times = [turn.pts_s for turn in face.turns]
    assert (times[0], times[-1]) == (0.0, 1_999.0)
    assert 1_000.0 in times
    assert max(np.diff(times)) < 600
    assert story._thumbnails == sum(turn.jpeg is not None for turn in face.turns)


def test_pictures_are_bounded_and_the_telling_ones_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_story, "MOST_THUMBNAILS", 5)
    path = tmp_path / "report.html"
    with Report(path, title="a call") as report:
        for face_id in range(1, 9):
            report.send(at(float(face_id), appeared(face_id)))
            report.see(float(face_id), face_id, 1, painted(GREEN), BOX)
        report.send(at(20.0, verdict(FaceState.LIKELY_FAKE, face_id=8)))
        report.see(20.0, 8, 1, painted(RED), BOX)
    shown = [image["alt"] for image in Page(path.read_text(encoding="utf-8")).of(tag="img")]
    assert shown == [*(f"Face {i} at {i}.00 s, warming up" for i in (2, 3, 4, 5)), "Face 8 at 20.00 s, likely fake"]
    assert "4 pictures of turning points: there were too many." in Page(path.read_text(encoding="utf-8")).plain


def test_states_that_change_without_end_keep_the_longest_and_the_last() -> None:
    story = Story()
    story.add(at(0.0, appeared()))
    for i in range(5_000):
        states = (FaceState.UNCERTAIN, FaceState.LIKELY_REAL)
        story.add(at(i + (1_000.0 if i > 2_500 else 0.0), verdict(states[i % 2])))
        story.add(at(i + (1_000.0 if i > 2_500 else 0.0), participant(states[i % 2])))
    (generation,) = story.faces[1].generations
    for spans, left_out in (
        (generation.spans, generation.spans_left_out),
        (story.participant, story.participant_left_out),
    ):
        assert len(spans) <= report_story.MOST_SPANS
        assert left_out > 4_000
        assert spans[-1].state is FaceState.LIKELY_REAL
        lengths = [after.since_s - span.since_s for span, after in pairwise(spans)]
        assert max(lengths) >= 1_000


def test_what_happened_keeps_its_beginning_and_its_end(written: Callable[..., Page]) -> None:
    events = [at(float(i), CannotJudge(missing_s=0.5 + i)) for i in range(1, 501)]
    page = written(events)
    listed = page.of(tag="span", css="badge")
    assert len(listed) == report_story.MOST_MARKS + 1
    assert "300 more in between, left out." in page.plain
    assert "Nobody could be judged for 1.5 s." in page.plain
    assert "Nobody could be judged for 8 min 20 s." in page.plain
    assert "500 things went wrong" in page.plain


def test_a_source_that_fails_again_and_again_is_one_line(written: Callable[..., Page]) -> None:
    down = [
        at(3.0, StreamDown(url="u", code="TIMEOUT", message="m", attempt=i, retry_in_s=30.0)) for i in range(1, 1_001)
    ]
    page = written([at(1.0, Blinded(silent_s=2.0)), *down])
    assert "The source failed. Tried again in 30.0 s. 1,000 times. TIMEOUT: m" in page.plain
    assert len(page.of(tag="span", css="badge")) == 3


def test_times_that_are_missing_are_never_put_together(written: Callable[..., Page]) -> None:
    page = written([at(1.0 + i, MediaGap(cause=GapCause.LONG_GAP, gap_s=float(i))) for i in range(3)])
    assert len(page.of(tag="span", css="badge")) == 4


# Files.


def test_an_older_report_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.html"
    path.parent.mkdir()
    path.write_text("older")
    report = Report(path, title="a call")
    report.send(at(0.5, appeared()))
    assert path.read_text() == "older"
    report.close()
    report.close()
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]


def test_an_older_report_stays_if_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_written(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "report.html"
    path.write_bytes(b"older")
    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(SinkError):
        Report(path, title="a call").close()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"report.html": b"older"}


def test_report_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError):
        Report(tmp_path, title="a call").close()


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.html", title="a call")
    report.close()
    with pytest.raises(ClosedError):
        report.send(at(0.5, appeared()))
    with pytest.raises(ClosedError):
        report.see(0.5, 1, 1, painted(RED), BOX)


# Words.


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [(0.48, "0.48 s"), (12.0, "12.0 s"), (59.96, "1 min"), (200.0, "3 min 20 s"), (7_500.0, "2 h 5 min")],
)
def test_durations_are_written_as_people_do(duration_s: float, words: str) -> None:
    assert seconds(duration_s) == words


@pytest.mark.parametrize(
    ("pts_s", "words"),
    [(0.0, "0.00 s"), (2.5, "2.50 s"), (59.999, "1:00.0"), (90.55, "1:30.6"), (7_500.0, "2:05:00")],
)
def test_moments_are_written_as_people_do(pts_s: float, words: str) -> None:
    assert moment(pts_s) == words


def test_a_note_may_come_until_it_is_closed_and_a_warning_stands_out(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.html", title="t", notes=["made by a test"])
    report.note("PARTIAL: only until 1.00 s")
    report.close()
    html = (tmp_path / "r.html").read_text()
    assert html.index("Warning: ") < html.index("PARTIAL: only until 1.00 s") < html.index("made by a test")
    with pytest.raises(ClosedError):
        report.note("too late")
